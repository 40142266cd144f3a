//! Traces over OTLP, as whoever keeps them sees them: one for each operation, across its messages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;
use serde_json::json;

use crate::support::{Directory, PASSWORD, Serving, until};

/// Takes what is sent to `/v1/traces` and keeps it.
struct Receiver {
    url: String,
    received: Arc<Mutex<Vec<ResourceSpans>>>,
}

impl Receiver {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::default();
        let keeper = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let keeper = Arc::clone(&keeper);
                thread::spawn(move || take_all(stream, &keeper));
            }
        });
        Self { url, received }
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        received.iter().flat_map(|of| &of.scope_spans).flat_map(|of| of.spans.clone()).collect()
    }

    /// The spans of the trace whose first one has this name.
    fn trace(&self, first: &str) -> Vec<Span> {
        let mut spans = self.spans();
        let trace_id = spans.iter().find(|span| span.name == first).map(|span| span.trace_id.clone());
        spans.retain(|span| Some(&span.trace_id) == trace_id.as_ref());
        spans
    }
}

/// Takes one request after the other, as HTTP/1.1 has it.
fn take_all(stream: TcpStream, keeper: &Mutex<Vec<ResourceSpans>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut answers, mut head) = (stream, Vec::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        if line != "\r\n" {
            head.push(line.trim_end().to_ascii_lowercase());
            continue;
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        assert!(head.contains(&"content-type: application/x-protobuf".to_owned()), "{head:?}");
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        keeper.lock().unwrap().extend(request.resource_spans);
        answers.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        head.clear();
    }
}

/// Each span below its parent, those of one parent by name.
fn tree(spans: &[Span], parent: &[u8], depth: usize) -> Vec<String> {
    let mut children: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == parent).collect();
    children.sort_by_key(|span| &span.name);
    let below = |span: &&Span| {
        let mut lines = vec![format!("{}{}", "  ".repeat(depth), span.name)];
        lines.extend(tree(spans, &span.span_id, depth + 1));
        lines
    };
    children.iter().flat_map(below).collect()
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == name);
    match value.and_then(|attribute| attribute.value.clone()).and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

/// Ada, who signed up and has this many accounts.
fn ada(serving: &Serving, accounts: usize) -> (String, Vec<String>) {
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(serving.post("/auth/sign-up", &credentials).0, 201);
    let token = serving.sign_in("ada@example.com");
    let open = |number| {
        let account = json!({"name": format!("Account {number}"), "currency": "EUR"});
        let (status, account) = serving.post_as(&token, "/accounts", &account);
        assert_eq!(status, 201, "{account}");
        account["account_id"].as_str().unwrap().to_owned()
    };
    let accounts = (0..accounts).map(open).collect();
    (token, accounts)
}

#[test]
fn an_operation_is_one_trace_from_its_request_to_the_last_projection() {
    let (receiver, directory) = (Receiver::listen(), Directory::new());
    let soon = [("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let serving = Serving::start_with(&directory, &["--otlp-endpoint", &receiver.url], &soon);
    let (token, accounts) = ada(&serving, 2);
    let deposit = json!({"account_id": accounts[0], "amount": "12.50"});
    let transfer = json!({"from_account_id": accounts[0], "to_account_id": accounts[1], "amount": "2.50"});
    let inboxes = ["banking_events", "notifications_events", "query_events"];
    // Money that leaves an account is worth a letter.
    let letters = ["banking_events", "notifications_emails", "notifications_events", "query_events"];
    for (path, body, receivers) in [("/deposit", deposit, &inboxes[..]), ("/transfer", transfer, &letters)] {
        let (status, operation) = serving.post_as(&token, path, &body);
        assert_eq!((status, &operation["status"]), (200, &json!("COMPLETED")), "{operation}");
        let first = format!("POST {path}");
        let spans = until("the whole trace", || {
            let spans = receiver.trace(&first);
            (spans.len() >= 2 + receivers.len()).then_some(spans)
        });
        let mut expected = vec![first.clone(), "  process ledger_commands".to_owned()];
        expected.extend(receivers.iter().map(|receiver| format!("    process {receiver}")));
        assert_eq!(tree(&spans, &[], 0), expected);
        let mut correlations: Vec<String> = Vec::new();
        for span in &spans {
            let is_first = span.name == first;
            let kind = if is_first { SpanKind::Server } else { SpanKind::Consumer };
            assert_eq!(span.kind, kind as i32, "{}", span.name);
            assert!(span.end_time_unix_nano > span.start_time_unix_nano, "{}", span.name);
            assert_eq!(span.status.clone().unwrap_or_default().code, 0, "{}", span.name);
            let correlation =
                if is_first { "bank.correlation_id" } else { "messaging.message.conversation_id" };
            correlations.push(text(&span.attributes, correlation));
        }
        correlations.dedup();
        assert_eq!(correlations.len(), 1, "{correlations:?}");
    }
    let of_service = receiver.received.lock().unwrap()[0].resource.clone().unwrap();
    assert_eq!(text(&of_service.attributes, "service.name"), "bank");
    let all = format!("{:?}", receiver.spans());
    for secret in ["ada@", PASSWORD, &token] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    serving.stop();
}

#[test]
fn the_client_decides_of_her_trace_and_the_bank_of_its_own_and_the_last_spans_leave_at_the_end() {
    let (receiver, directory) = (Receiver::listen(), Directory::new());
    let late = [("OTEL_BSP_SCHEDULE_DELAY", "3600000"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url)];
    let serving = Serving::start_with(&directory, &["--otlp-sample", "none"], &late);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let ask = |traceparent: &str| {
        let request = ureq::get(format!("{}/openapi.json", serving.address));
        request.header("traceparent", traceparent).call().unwrap();
    };
    ask(&format!("00-{trace}-b7ad6b7169203331-01"));
    ask("00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    ask("");
    assert_eq!(receiver.spans(), []);
    serving.stop();
    let spans = receiver.spans();
    let [span] = &spans[..] else { panic!("{spans:?}") };
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(
        (hexadecimal(&span.trace_id), hexadecimal(&span.parent_span_id)),
        (trace.to_owned(), "b7ad6b7169203331".to_owned())
    );
}

#[test]
fn a_receiver_that_is_away_holds_up_nobody_and_is_told_of_once() {
    let directory = Directory::new();
    let soon = [("OTEL_BSP_SCHEDULE_DELAY", "1")];
    // Nobody may listen there, and nobody does.
    let serving = Serving::start_with(&directory, &["--otlp-endpoint", "http://127.0.0.1:1"], &soon);
    let (token, accounts) = ada(&serving, 1);
    let told = || directory.log().matches("spans could not be sent").count();
    until("a line of log", || (told() > 0).then_some(()));
    let deposit = json!({"account_id": accounts[0], "amount": "12.50"});
    for _ in 0..10 {
        let (status, operation) = serving.post_as(&token, "/deposit", &deposit);
        assert_eq!((status, &operation["status"]), (200, &json!("COMPLETED")), "{operation}");
    }
    serving.stop();
    assert_eq!(told(), 1, "{}", directory.log());
}
