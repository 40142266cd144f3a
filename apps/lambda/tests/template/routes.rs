//! Every route of the OpenAPI document, and what the gateway refuses by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::Value;
use web::Problem;

use crate::functions::{FUNCTION, program};
use crate::template::{Template, root};

/// Who may call a route.
#[derive(PartialEq, Eq, Debug)]
enum Callers {
    Anybody,
    Signed,
}

/// A method and a path, and what is known of them.
type Routes = BTreeMap<(String, String), (String, Callers)>;

/// What customers of the one process alone are told.
const ONE_PROCESS_ONLY: &[&str] = &["/operations/{operation_id}/timeline"];

/// The routes of the document, but those of the one process alone, which has all for operators.
fn documented() -> Routes {
    let text = fs::read_to_string(root().join("openapi.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut routes = Routes::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let service = operation["tags"][0].as_str().unwrap();
            if service == "operations" {
                assert!(path.starts_with("/ops/"), "{path}");
                continue;
            }
            if ONE_PROCESS_ONLY.contains(&path.as_str()) {
                continue;
            }
            let is_open = operation["security"] == serde_json::json!([{}]);
            let callers = if is_open { Callers::Anybody } else { Callers::Signed };
            routes.insert((method.to_uppercase(), path.clone()), (format!("{service}_service_api"), callers));
        }
    }
    routes
}

#[test]
fn every_route_is_answered_by_its_service_and_open_to_whom_it_should_be() {
    let template = Template::read();
    let mut routes = Routes::new();
    for function in template.of_type(FUNCTION) {
        let events = function.property("Events").as_object();
        for event in events.into_iter().flatten().map(|(_, event)| event) {
            assert_eq!(
                event["Type"], "Api",
                "{}: queues and streams have mappings of their own",
                function.id
            );
            let properties = &event["Properties"];
            assert_eq!(properties["RestApiId"], "Api");
            let text = |name: &str| properties[name].as_str().unwrap().to_owned();
            let callers = match properties["Auth"]["Authorizer"].as_str() {
                None => Callers::Signed,
                Some("NONE") => Callers::Anybody,
                Some(other) => panic!("there is no authorizer {other}"),
            };
            let route = (text("Method"), text("Path"));
            let twice = routes.insert(route, (program(function).to_owned(), callers));
            assert_eq!(twice, None, "{}", function.id);
        }
    }
    assert_eq!(routes, documented());
}

#[test]
fn who_is_not_let_through_openly_shows_an_access_token_of_the_pool() {
    let template = Template::read();
    let api = template.resource("Api");
    assert_eq!(api.text("Auth.DefaultAuthorizer"), "CognitoAuthorizer");
    let authorizers = api.property("Auth.Authorizers").as_object().unwrap();
    assert_eq!(authorizers.keys().collect::<Vec<_>>(), ["CognitoAuthorizer"]);
    assert_eq!(authorizers["CognitoAuthorizer"]["UserPoolArn"], "UserPool.Arn");
    let scopes = &authorizers["CognitoAuthorizer"]["AuthorizationScopes"];
    assert_eq!(scopes, &serde_json::json!(["aws.cognito.signin.user.admin"]));
}

#[tokio::test]
async fn what_the_gateway_refuses_looks_as_if_the_bank_had_refused_it() {
    let template = Template::read();
    let responses = template.resource("Api").property("GatewayResponses").as_object().unwrap();
    let kinds: BTreeSet<&str> = responses.keys().map(String::as_str).collect();
    let needed = BTreeSet::from([
        "UNAUTHORIZED",
        "MISSING_AUTHENTICATION_TOKEN",
        "THROTTLED",
        "DEFAULT_4XX",
        "DEFAULT_5XX",
    ]);
    assert!(kinds.is_superset(&needed), "{kinds:?}");
    for (kind, response) in responses {
        let body = response["ResponseTemplates"]["application/json"].as_str().unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["correlation_id"], "$context.requestId", "{kind}");
        assert_eq!(body["status"], response["StatusCode"], "{kind}");

        let status = StatusCode::from_u16(body["status"].as_u64().unwrap().try_into().unwrap()).unwrap();
        let code: &'static str = body["code"].as_str().unwrap().to_owned().leak();
        let ours = Problem::new(status, code, body["detail"].as_str().unwrap()).into_response();
        let headers = response["ResponseParameters"]["Headers"].as_object().unwrap();
        for (name, value) in ours.headers() {
            let written = headers.iter().find(|(written, _)| written.eq_ignore_ascii_case(name.as_str()));
            let written = written.and_then(|(_, value)| value.as_str()).unwrap_or_default();
            assert_eq!(written, format!("'{}'", value.to_str().unwrap()), "{kind}: {name}");
        }
        let ours: Value = serde_json::from_slice(&to_bytes(ours.into_body(), 4_096).await.unwrap()).unwrap();
        for (field, value) in ours.as_object().unwrap() {
            assert_eq!(&body[field], value, "{kind}: {field}");
        }
    }
}
