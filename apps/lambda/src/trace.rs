//! The trace that AWS began, in the words of the bank.

use axum::http::HeaderValue;

/// The `traceparent` (W3C Trace Context) of an X-Ray tracing header such as
/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`, so that the bank's logs and messages have
/// the trace that X-Ray shows. Both write a trace id as 32 digits of base 16, X-Ray with the time set off.
pub(crate) fn traceparent(xray: &str) -> Option<HeaderValue> {
    let field = |name: &str| xray.split(';').find_map(|part| part.trim().strip_prefix(name));
    let (time, rest) = field("Root=1-")?.split_once('-')?;
    let parent = field("Parent=")?;
    let flags = if field("Sampled=") == Some("1") { "01" } else { "00" };
    HeaderValue::try_from(format!("00-{time}{rest}-{parent}-{flags}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_xray_header_becomes_a_traceparent() {
        for (xray, expected) in [
            (
                "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
                Some("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"),
            ),
            (
                "Root=1-5759e988-bd862e3fe1be46a994272793; Parent=53995c3f42cd8ad8; Sampled=0; Lineage=a:0",
                Some("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00"),
            ),
            ("Root=1-5759e988-bd862e3fe1be46a994272793", None),
            ("Self=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8", None),
            ("", None),
        ] {
            assert_eq!(traceparent(xray).as_ref().and_then(|text| text.to_str().ok()), expected, "{xray}");
        }
    }
}
