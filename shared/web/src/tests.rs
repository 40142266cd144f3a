//! The whole of it in process: a small bank behind the edge, asked as a client asks.

mod bad_input;
mod batches;
mod decoders;
mod edge;
mod limits;
mod requests;
mod telling;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use kernel::{AccountId, Timestamp};
use ports::{Clock, Ids, Sources};
use runtime::{Answered, Caller, Fault, OnceRefused};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::*;

pub const USER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
pub const ACCOUNT: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

/// A clock that a test moves, and ids that count.
#[derive(Clone, Default)]
pub struct World {
    now: Arc<AtomicI64>,
    ids: Arc<AtomicU64>,
    /// How many signatures were checked.
    pub verified: Arc<AtomicUsize>,
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }
}

impl Ids for World {
    fn fresh(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.ids.fetch_add(1, Ordering::Relaxed)) + 0x1_0000_0000_0000_0001)
    }
}

impl World {
    pub fn sources(&self) -> Sources {
        Sources::new(self.clone(), self.clone())
    }

    pub fn advance(&self, time: Duration) {
        self.now.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Verifier for World {
    fn verify(&self, token: &str) -> Result<(Principal, Timestamp), Refused> {
        self.verified.fetch_add(1, Ordering::Relaxed);
        let groups = match token {
            "alice" => vec![],
            "operator" => vec![OPERATORS.to_owned()],
            "expired" => return Err(Refused::Expired),
            _ => return Err(Refused::Invalid),
        };
        let principal = Principal { user_id: USER.parse().unwrap(), groups };
        Ok((principal, Timestamp::EPOCH + Duration::from_secs(60)))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Deposit {
    #[schema(value_type = String, example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    account_id: AccountId,
    amount: AmountText,
    currency: String,
    description: Option<String>,
    urgency: Option<u8>,
}

#[derive(Serialize, ToSchema)]
struct Operation {
    operation_id: String,
    #[schema(example = "12.50")]
    amount: String,
    wait_seconds: Option<u64>,
}

problems! {
    /// What a deposit may be refused with.
    DepositProblems: BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, CONFLICT, UNPROCESSABLE_ENTITY;
}

/// Takes a deposit.
#[utoipa::path(
    post, path = "/deposit", request_body = Deposit, security(("bearer" = [])),
    responses((status = 200, body = Operation), DepositProblems),
)]
async fn deposit(
    Signed(caller): Signed,
    wait: Wait,
    Body(deposit): Body<Deposit>,
) -> Result<Response, Problem> {
    let money = kernel::Money::parse_amount(deposit.amount.as_str(), parse_currency(&deposit.currency)?)
        .map_err(|reason| {
            let detail = format!("The amount {reason}.");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_AMOUNT", detail)
                .with_error("amount", reason.to_string())
        })?;
    let operation = Operation {
        operation_id: caller.idempotency_key.clone().unwrap_or_default(),
        amount: money.decimal().to_string(),
        wait_seconds: wait.0.map(|wait| wait.as_secs()),
    };
    let is_replay = caller.idempotency_key.as_deref() == Some("again");
    Ok(wait.applied(answered(StatusCode::OK, Answered { answer: operation, is_replay })))
}

/// Lists operations.
#[utoipa::path(get, path = "/operations", params(Paging), responses((status = 200, body = Listing<Operation>)))]
async fn operations(
    _caller: Signed,
    Params(paging): Params<Paging>,
) -> Result<Json<Listing<Operation>>, Problem> {
    let page = paging.page()?;
    let operation_id = format!("{} after {:?}", page.limit, page.after);
    let operation = Operation { operation_id, amount: "1.00".to_owned(), wait_seconds: None };
    Ok(Json(Listing::new(vec![operation], Some("sort#1"))))
}

async fn account(Signed(caller): Signed, PathId(id): PathId<AccountId>) -> Result<Json<Value>, Problem> {
    if id.to_string() != ACCOUNT {
        return Err(not_found(AccountId::WHAT));
    }
    Ok(Json(json!({"account_id": id, "owner": caller.user_id})))
}

async fn whoami(Operator(Caller { user_id, .. }): Operator) -> Json<Value> {
    Json(json!({"user_id": user_id}))
}

async fn trace(Traced(trace): Traced) -> Json<Value> {
    Json(json!({"correlation_id": trace.correlation_id, "traceparent": trace.traceparent}))
}

async fn fault(axum::extract::Path(name): axum::extract::Path<String>) -> Problem {
    match name.as_str() {
        "busy" => Fault::Busy { retry_after: Duration::from_millis(1_200) }.into(),
        "unavailable" => Fault::Unavailable("disk secret-path is full".to_owned()).into(),
        "internal" => Fault::Internal("secret-path is broken".to_owned()).into(),
        "reused" => OnceRefused::KeyReused.into(),
        "in-flight" => OnceRefused::InFlight.into(),
        _ => panic!("secret-path has a bug"),
    }
}

fn documented() -> (Router, utoipa::openapi::OpenApi) {
    let (router, mut document) =
        OpenApiRouter::new().routes(routes!(deposit)).routes(routes!(operations)).split_for_parts();
    describe(&mut document);
    (router, document)
}

/// The small bank.
pub fn bank(settings: HttpSettings, world: &World) -> Router {
    let routes = documented()
        .0
        .route("/accounts/{account_id}", get(account))
        .route("/ops/whoami", get(whoami))
        .route("/trace", get(trace))
        .route("/fault/{name}", get(fault))
        .route("/slow", get(std::future::pending::<()>))
        .route("/plain", get(async || (StatusCode::BAD_GATEWAY, "secret-path is away").into_response()))
        .route("/page", get(async || axum::response::Html("<p>hello</p>")))
        .route("/auth/sign-in", post(async || StatusCode::NO_CONTENT));
    finish(authenticate(routes, world.clone(), world.sources()), settings, world.sources())
}

pub fn small_bank() -> Router {
    bank(HttpSettings::default(), &World::default())
}

/// A request by its method, path and headers.
pub fn request(method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<HttpBody>) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

pub fn ask(path: &str, headers: &[(&str, &str)]) -> Request {
    request(Method::GET, path, headers, HttpBody::empty())
}

/// An answer as a client sees it; what is not JSON is a text.
#[derive(Debug)]
pub struct Seen {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The status, the code and the fields that are wrong.
    pub fn refusal(&self) -> (u16, &str, Vec<&str>) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status);
        assert_eq!(self.body["correlation_id"], self.header("x-correlation-id"));
        let errors = self.body["errors"].as_array().into_iter().flatten();
        let fields = errors.map(|error| error["field"].as_str().unwrap()).collect();
        (self.status, self.body["code"].as_str().unwrap(), fields)
    }
}

pub async fn send(bank: &Router, request: Request) -> Seen {
    let (parts, body) = bank.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let text = || Value::String(String::from_utf8(bytes.to_vec()).unwrap());
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
    Seen { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// Posts a deposit as somebody who is signed in.
pub async fn post_deposit(bank: &Router, headers: &[(&str, &str)], body: impl Into<HttpBody>) -> Seen {
    let fixed = [("authorization", "Bearer alice"), ("content-type", "application/json")];
    send(bank, request(Method::POST, "/deposit", &[&fixed[..], headers].concat(), body)).await
}

pub fn deposit_of(amount: &str) -> String {
    format!(r#"{{"account_id": "{ACCOUNT}", "amount": {amount}, "currency": "EUR"}}"#)
}

#[test]
fn the_document_lists_problems_once() {
    let document = serde_json::to_value(documented().1).unwrap();
    let responses = &document["paths"]["/deposit"]["post"]["responses"];
    let statuses: Vec<&str> = responses.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200", "400", "401", "404", "409", "422", "429", "500", "503", "504"]);
    let problem = &responses["422"]["content"]["application/problem+json"]["schema"]["$ref"];
    assert_eq!(problem, "#/components/schemas/Problem");
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["Problem"]["properties"]["errors"]["items"]["$ref"],
        "#/components/schemas/FieldError"
    );
    let optional = json!(["type", "title", "status", "detail", "code"]);
    assert_eq!(schemas["Problem"]["required"], optional);
    assert_eq!(schemas["Amount"]["type"], json!(["string", "number"]));
    assert_eq!(schemas["Deposit"]["properties"]["amount"]["$ref"], "#/components/schemas/Amount");
    assert!(schemas["Listing_Operation"]["properties"]["items"].is_object());
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}
