//! Finds a field in compact JSON by its bytes. A parser would cost the machine that is being measured several times
//! as much; all that is asked of these answers is one text or one number with a plain value.

/// The text of the first `"field":"…"`. Only texts are understood that a request may carry as they are: ids, tokens and
/// statuses have neither escapes nor blanks.
pub fn text<'a>(json: &'a [u8], field: &str) -> Option<&'a str> {
    let value = value(json, field)?.strip_prefix(b"\"")?;
    let end = value.iter().position(|byte| !byte.is_ascii_graphic() || b"\"\\".contains(byte))?;
    (value[end] == b'"').then(|| std::str::from_utf8(&value[..end]).ok())?
}

/// The whole number of `"field":…`.
pub fn number(json: &[u8], field: &str) -> Option<u64> {
    let value = value(json, field)?;
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).ok()?.parse().ok()
}

/// How many times these bytes occur.
pub fn count(json: &[u8], bytes: &[u8]) -> usize {
    json.windows(bytes.len()).filter(|window| *window == bytes).count()
}

/// Everything from the field's value on.
fn value<'a>(json: &'a [u8], field: &str) -> Option<&'a [u8]> {
    let name = field.as_bytes();
    let mut rest = json;
    while let Some(quote) = rest.iter().position(|byte| *byte == b'"') {
        rest = &rest[quote + 1..];
        if let Some(value) = rest.strip_prefix(name).and_then(|after| after.strip_prefix(b"\":")) {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATION: &[u8] = br#"{"operation_id":"01890a5d","kind":"DEPOSIT","status":"COMPLETED","account_version":17,"amount":"1.00"}"#;

    #[test]
    fn fields_are_found() {
        assert_eq!(text(OPERATION, "operation_id"), Some("01890a5d"));
        assert_eq!(text(OPERATION, "status"), Some("COMPLETED"));
        assert_eq!(number(OPERATION, "account_version"), Some(17));
        assert_eq!(number(br#"{"version":3}"#, "version"), Some(3));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for json in [
            &b""[..],
            b"{}",
            b"\"status",
            br#"{"status":"#,
            br#"{"status":5}"#,
            br#"{"a_status":"x"}"#,
            br#"{"status":"a\nb"}"#,
            br#"{"status":"a b"}"#,
        ] {
            assert_eq!(text(json, "status"), None, "{}", String::from_utf8_lossy(json));
        }
        assert_eq!(number(OPERATION, "version"), None);
        assert_eq!(number(OPERATION, "status"), None);
    }

    #[test]
    fn what_occurs_is_counted() {
        let results = br#"[{"status":200,"operation":{"status":"PENDING"}},{"status":422},{"status":200}]"#;
        assert_eq!(count(results, b"\"status\":200"), 2);
        assert_eq!(count(b"", b"\"status\":200"), 0);
    }
}
