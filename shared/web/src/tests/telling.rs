//! What the bank tells of requests: lines of log, and the spans of recorded traces.

use std::sync::Mutex;

use tracing::subscriber::DefaultGuard;

use super::*;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// All of it, and line by line.
    fn read(&self) -> (String, Vec<Value>) {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (text, lines)
    }

    /// How many requests were logged.
    fn requests(&self) -> usize {
        self.read().1.iter().filter(|line| line["fields"]["message"] == "answered").count()
    }

    /// The fields of the spans that were told.
    fn spans(&self) -> Vec<Value> {
        let spans = self.read().1.into_iter().filter(|line| line["target"] == runtime::SPANS);
        spans.map(|line| line["fields"].clone()).collect()
    }
}

/// Keeps what this thread logs until the guard is dropped.
fn listen() -> (Log, DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn the_log_names_requests_and_holds_no_secret() {
    let (log, guard) = listen();
    let bank = small_bank();
    let alice = [("authorization", "Bearer alice"), ("x-correlation-id", "order-42")];
    send(&bank, ask(&format!("/accounts/{ACCOUNT}?token=secret-in-query"), &alice)).await;
    send(&bank, ask("/trace", &[("authorization", "Bearer secret-token")])).await;
    post_deposit(&bank, &[], deposit_of("\"secret-amount\"")).await;
    send(&bank, ask("/fault/internal", &alice)).await;
    drop(guard);
    let (text, lines) = log.read();
    assert_eq!(lines.len(), 5, "{text}");
    let fields = &lines[0]["fields"];
    assert_eq!((&fields["route"], &fields["status"]), (&json!("/accounts/{account_id}"), &json!(200)));
    assert_eq!((&fields["correlation_id"], &fields["user_id"]), (&json!("order-42"), &json!(USER)));
    assert_eq!(
        (&lines[3]["level"], &lines[3]["fields"]["cause"]),
        (&json!("ERROR"), &json!("secret-path is broken"))
    );
    assert_eq!(lines[3]["fields"]["correlation_id"], "order-42");
    for secret in ["secret-in-query", "secret-token", "secret-amount"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn what_failed_is_logged_whatever_share_of_requests_is() {
    for (share, plain) in [(Share::ALL, 3), (Share::NONE, 0)] {
        let (log, guard) = listen();
        let bank = bank(HttpSettings { logged: share, ..HttpSettings::default() }, &World::default());
        for path in ["/trace", "/nowhere", "/fault/in-flight"] {
            send(&bank, ask(path, &[])).await;
        }
        assert_eq!(log.requests(), plain, "{share:?}");
        for path in ["/fault/internal", "/fault/busy", "/plain"] {
            send(&bank, ask(path, &[])).await;
        }
        assert_eq!(log.requests(), plain + 3, "{share:?}");
        drop(guard);
    }
}

#[tokio::test]
async fn the_requests_of_a_trace_are_logged_all_or_none() {
    let (log, guard) = listen();
    let settings = HttpSettings { logged: "0.5".parse().unwrap(), ..HttpSettings::default() };
    let bank = bank(settings, &World::default());
    let mut counts = [0, 0];
    for trace in 1..=100_u64 {
        let trace = trace.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let traceparent = format!("00-0af7651916cd43dd{trace:016x}-b7ad6b7169203331-00");
        let before = log.requests();
        for _ in 0..3 {
            send(&bank, ask("/trace", &[("traceparent", &traceparent)])).await;
        }
        match log.requests() - before {
            0 => counts[0] += 1,
            3 => counts[1] += 1,
            some => panic!("{some} of 3"),
        }
    }
    assert!(counts.iter().all(|count| *count > 25), "{counts:?}");
    drop(guard);
}

#[tokio::test]
async fn a_request_of_a_recorded_trace_is_a_span_and_names_nobody() {
    let (log, guard) = listen();
    let bank = bank(HttpSettings { traced: Share::ALL, ..HttpSettings::default() }, &World::default());
    let headers = [("authorization", "Bearer alice"), ("x-correlation-id", "order-42")];
    send(&bank, ask(&format!("/accounts/{ACCOUNT}?token=secret-in-query"), &headers)).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    for flags in ["01", "00"] {
        let traceparent = format!("00-{trace}-b7ad6b7169203331-{flags}");
        send(&bank, ask("/fault/internal", &[("traceparent", &traceparent)])).await;
    }
    drop(guard);
    let spans = log.spans();
    let [begun, continued] = &spans[..] else { panic!("{spans:#?}") };
    for (name, value) in [
        ("otel.name", json!("GET /accounts/{account_id}")),
        ("otel.kind", json!("server")),
        ("http.request.method", json!("GET")),
        ("http.route", json!("/accounts/{account_id}")),
        ("http.response.status_code", json!(200)),
        ("bank.correlation_id", json!("order-42")),
        ("parent_span_id", Value::Null),
        ("error.type", Value::Null),
    ] {
        assert_eq!(begun[name], value, "{name} of {begun:#}");
    }
    assert!(begun["duration_ns"].as_u64().unwrap() > 0);
    assert!(!begun.to_string().contains(USER) && !begun.to_string().contains("secret"), "{begun:#}");
    assert_eq!(continued["parent_span_id"], "b7ad6b7169203331");
    assert!(continued["traceparent"].as_str().unwrap().starts_with(&format!("00-{trace}-")));
    assert_eq!(
        (&continued["error.type"], &continued["http.response.status_code"]),
        (&json!("500"), &json!(500))
    );
}
