//! Events of a REST API, in the shapes that AWS documents, through a router behind the bank's edge.

use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::AppendHeaders;
use axum::routing::{get, post};
use serde_json::json;
use web::{HttpSettings, Signed, Traced};

use super::*;

const ADA: &str = "01890a5d-ac96-774b-bcce-b302099a8004";

/// A router that tells what it was asked.
fn router() -> Router {
    let router = Router::new()
        .route("/me", get(async |Signed(caller): Signed| caller.user_id.to_string()))
        .route("/keyed", post(async |Signed(caller): Signed| caller.idempotency_key.unwrap_or_default()))
        .route("/echo", post(async |body: String| body))
        .route("/trace", get(async |Traced(trace): Traced| trace.traceparent))
        .route(
            "/accounts/{id}",
            get(async |Path(id): Path<String>, RawQuery(query): RawQuery| {
                format!("{id}?{}", query.unwrap_or_default())
            }),
        )
        .route("/two", get(async || (AppendHeaders([("x-one", "1"), ("x-one", "2")]), "")))
        .route("/panic", get(async || -> StatusCode { panic!("a handler fails") }));
    web::finish(router, HttpSettings::default(), system::sources())
}

/// An event; `changes` stand over what it has by itself.
fn event(method: &str, path: &str, changes: Value) -> ProxyRequest {
    let mut event = json!({
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": null,
        "multiValueHeaders": null,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {"stage": "dev", "path": format!("/dev{path}"), "identity": {"sourceIp": "203.0.113.9"}},
        "body": null,
        "isBase64Encoded": false,
    });
    let Value::Object(changes) = changes else { panic!("the changes are an object") };
    event.as_object_mut().unwrap().extend(changes);
    serde_json::from_value(event).unwrap()
}

fn signed(claims: &Value) -> Value {
    json!({"authorizer": {"claims": claims}})
}

async fn ask(event: ProxyRequest) -> (u16, String) {
    let answer = answer(router(), event, None).await.unwrap();
    (answer.status_code, answer.body)
}

#[tokio::test]
async fn claims_that_the_gateway_checked_sign_a_request() {
    let claims = json!({"sub": ADA, "token_use": "access", "exp": "Sun Nov 22 10:00:00 UTC 2026"});
    let (status, body) = ask(event("GET", "/me", json!({"requestContext": signed(&claims)}))).await;
    assert_eq!((status, body.as_str()), (200, ADA));
    for context in [
        json!({}),
        json!({"authorizer": null}),
        json!({"authorizer": {}}),
        signed(&json!({"sub": "somebody"})),
        signed(&json!({"sub": ADA, "token_use": "id"})),
    ] {
        let (status, body) = ask(event("GET", "/me", json!({"requestContext": context}))).await;
        assert_eq!(status, 401, "{context}: {body}");
        assert!(body.contains("UNAUTHENTICATED"), "{context}: {body}");
    }
}

#[tokio::test]
async fn the_query_is_as_it_was_sent() {
    let query = json!({"from": ["2026-11-22T10:00:00+01:00"], "kind": ["A&B", "C=D"]});
    let asked = event("GET", "/accounts/a%20b", json!({"multiValueQueryStringParameters": query}));
    let (status, body) = ask(asked).await;
    assert_eq!(status, 200);
    let (id, query) = body.split_once('?').unwrap();
    assert_eq!(id, "a b");
    let mut parts: Vec<_> = query.split('&').collect();
    parts.sort_unstable();
    assert_eq!(parts, ["from=2026-11-22T10%3A00%3A00%2B01%3A00", "kind=A%26B", "kind=C%3DD"]);
}

#[tokio::test]
async fn a_header_sent_twice_stays_two() {
    let claims = json!({"sub": ADA});
    let headers = json!({"Idempotency-Key": ["one", "two"]});
    let changes = json!({"requestContext": signed(&claims), "multiValueHeaders": headers});
    let (status, body) = ask(event("POST", "/keyed", changes)).await;
    assert_eq!(status, 400);
    assert!(body.contains("INVALID_IDEMPOTENCY_KEY"), "{body}");
    let answer = answer(router(), event("GET", "/two", json!({})), None).await.unwrap();
    assert_eq!(answer.multi_value_headers["x-one"], ["1", "2"]);
}

#[tokio::test]
async fn bodies_come_as_text_and_as_base64() {
    let said = "½ €";
    let encoded = STANDARD.encode(said);
    for (body, is_base64_encoded) in [(said, false), (encoded.as_str(), true)] {
        let changes = json!({"body": body, "isBase64Encoded": is_base64_encoded});
        assert_eq!(ask(event("POST", "/echo", changes)).await, (200, said.to_owned()));
    }
    assert_eq!(ask(event("POST", "/echo", json!({}))).await, (200, String::new()));
    let changes = json!({"body": "not base64", "isBase64Encoded": true});
    let refused = answer(router(), event("POST", "/echo", changes), None).await;
    assert!(matches!(refused, Err(GatewayError::Body(_))));
}

#[tokio::test]
async fn what_is_no_path_is_not_found() {
    for path in ["/nothing", "/accounts/../me", "/white space", "", "no-slash", "/accounts/%zz/"] {
        let (status, body) = ask(event("GET", path, json!({}))).await;
        assert_eq!(status, 404, "{path}: {body}");
        assert!(body.contains("NOT_FOUND"), "{path}: {body}");
    }
    let (status, _) = ask(event("TEAPOT", "/me", json!({}))).await;
    assert_eq!(status, 405);
    assert!(answer(router(), event("GET ME", "/me", json!({})), None).await.is_err());
}

#[tokio::test]
async fn a_handler_that_panics_is_answered() {
    let (status, body) = ask(event("GET", "/panic", json!({}))).await;
    assert_eq!(status, 500);
    assert!(!body.contains("a handler fails"), "{body}");
}

#[tokio::test]
async fn the_trace_is_the_clients_or_else_that_of_aws() {
    let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let traced = async |headers: Value| {
        let asked = event("GET", "/trace", json!({"multiValueHeaders": headers}));
        answer(router(), asked, Some(xray)).await.unwrap().body
    };
    let ours = traced(json!({})).await;
    assert!(ours.starts_with("00-5759e988bd862e3fe1be46a994272793-"), "{ours}");
    assert!(ours.ends_with("-01"), "{ours}");
    let hers = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let continued = traced(json!({"Traceparent": [hers]})).await;
    assert!(continued.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{continued}");
}
