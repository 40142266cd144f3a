//! The parts of the OpenAPI document that all services share.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Type,
};
use utoipa::{IntoParams, ToSchema};

use crate::{FieldError, Problem};

/// Names lists of problems that handlers document, each with the statuses it may answer. The statuses that every
/// handler may answer (429, 500, 503, 504) are always among them.
///
/// ```
/// web::problems! {
///     /// What a deposit may be refused with.
///     DepositProblems: BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, CONFLICT, UNPROCESSABLE_ENTITY;
/// }
///
/// #[utoipa::path(post, path = "/deposit", responses((status = 200), DepositProblems))]
/// async fn deposit() {}
/// ```
#[macro_export]
macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $($status:ident),+ $(,)?;)+) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl $crate::utoipa::IntoResponses for $name {
            fn responses() -> ::std::collections::BTreeMap<
                String,
                $crate::utoipa::openapi::RefOr<$crate::utoipa::openapi::Response>,
            > {
                $crate::problem_responses(&[$($crate::StatusCode::$status),+])
            }
        }
    )+};
}

/// The headers of a request that changes something.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "the handlers read these headers through `Signed` and `Wait`; this documents them"
)]
pub struct WriteHeaders {
    /// Makes a repetition of this request known as one: the same request with the same key has its effect once and
    /// gets the first answer again. 1 to 255 visible ASCII characters, kept for a day.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        example = "order-42"
    )]
    idempotency_key: Option<String>,
    /// `wait=N` (RFC 7240) asks for the answer once the operation has ended, within N seconds, at most 10.
    #[param(rename = "Prefer", required = false, example = "wait=10")]
    prefer: Option<String>,
}

/// The statuses that every handler may answer.
const ALWAYS: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// A problem for each of these statuses, and for those that every handler may answer. A body that may be too large may
/// also be too slow.
pub fn problem_responses(statuses: &[StatusCode]) -> BTreeMap<String, RefOr<Response>> {
    let response = |status: &StatusCode| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let description = status.canonical_reason().unwrap_or("Problem");
        let response =
            ResponseBuilder::new().description(description).content(crate::problem::PROBLEM_JSON, content);
        (status.as_str().to_owned(), RefOr::T(response.build()))
    };
    let slow = statuses.contains(&StatusCode::PAYLOAD_TOO_LARGE).then_some(&StatusCode::REQUEST_TIMEOUT);
    statuses.iter().chain(slow).chain(&ALWAYS).map(response).collect()
}

/// Completes a document with what the handlers refer to: the schema of a problem, and how to sign in (`bearer`); and
/// with what the edge adds to them, the entity tags.
pub fn describe(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    let mut schemas = vec![
        (Problem::name().into_owned(), <Problem as utoipa::PartialSchema>::schema()),
        (FieldError::name().into_owned(), <FieldError as utoipa::PartialSchema>::schema()),
    ];
    Problem::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.bearer_format = Some("JWT".to_owned());
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document.paths.paths.values_mut().filter_map(|path| path.get.as_mut()).for_each(describe_tags);
}

/// Says of what is read as JSON that who has the answer already is only told so.
fn describe_tags(reading: &mut Operation) {
    let responses = &mut reading.responses.responses;
    let Some(RefOr::T(found)) = responses.get("200") else { return };
    if !found.content.contains_key("application/json") {
        return;
    }
    let not_modified = ResponseBuilder::new().description("The answer is still the one with this tag.");
    responses.insert("304".to_owned(), RefOr::T(not_modified.build()));
    reading.parameters.get_or_insert_default().push(RefOr::T(if_none_match()));
}

fn if_none_match() -> Parameter {
    ParameterBuilder::new()
        .name("If-None-Match")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The `ETag` of an answer that the sender has: it is not sent again while it is true.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}
