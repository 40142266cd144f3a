//! What a refused request is answered: a problem document (RFC 9457).
//!
//! Its `type` is the reference `/problems/` with the code in small letters, such as `/problems/insufficient-funds`; it
//! names the problem and never changes. A fault of the machine is logged here, once, and what is answered reveals
//! nothing of its cause.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use runtime::{Fault, OnceRefused, Refusal};
use serde::{Serialize, Serializer};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::passage;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A request that was not done, and why, in words for the person who sent it.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
}

/// One field of the request that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// Where it is, such as `amount`.
    #[schema(example = "amount")]
    pub field: String,
    /// What is wrong with it.
    #[schema(example = "must be more than zero")]
    pub message: String,
}

/// A problem as it is written.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
struct Wire<'a> {
    /// Names the problem; a reference that never changes.
    #[schema(example = "/problems/invalid-amount")]
    r#type: &'a str,
    /// The same for every problem of this type.
    #[schema(example = "Invalid amount")]
    title: &'a str,
    /// The status of the answer.
    #[schema(example = 422)]
    status: u16,
    /// What happened this time.
    #[schema(example = "The amount is not one that can be posted.")]
    detail: &'a str,
    /// The problem's name for programs.
    #[schema(example = "INVALID_AMOUNT")]
    code: &'a str,
    /// The fields that are wrong, where they can be told.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
    /// Names the request in every log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    correlation_id: Option<&'a str>,
}

impl Problem {
    /// A problem with this status, its name for programs in capitals, and a sentence for a person.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts { status, code, detail: detail.into(), errors: Vec::new(), retry_after: None }))
    }

    /// Says which field is wrong, and in what way.
    #[must_use]
    pub fn with_error(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { field: field.into(), message: message.into() });
        self
    }

    /// Says when to ask again. It is written in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The problem's name for programs.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The fields that are wrong.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The problem that a bare status stands for, where a part of the framework answered with nothing more.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => return not_found("resource"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("METHOD_NOT_ALLOWED", "The resource does not know this method.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("BODY_TOO_LARGE", "The body is too large."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("UNSUPPORTED_MEDIA_TYPE", "The body is of an unknown type.")
            }
            status if status.is_client_error() => ("BAD_REQUEST", "The request could not be understood."),
            StatusCode::SERVICE_UNAVAILABLE => ("UNAVAILABLE", UNAVAILABLE),
            _ => ("INTERNAL", INTERNAL),
        };
        Self::new(status, code, detail)
    }
}

const UNAVAILABLE: &str =
    "A part that the bank stands on does not answer. Ask again with the same Idempotency-Key.";
const INTERNAL: &str = "The bank failed. The correlation id names this request in its log.";

/// What somebody else's id and one that does not exist are both answered. `what` is the thing's name, as in
/// [`Identifier::WHAT`](crate::Identifier::WHAT).
pub fn not_found(what: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("There is no such {what}."))
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let correlation_id = passage::correlation_id();
        match fault {
            // A full queue is not a failure: it is how the bank says that it is at its limit.
            Fault::Busy { retry_after } => {
                tracing::warn!(correlation_id, "refused: busy");
                busy(retry_after)
            }
            Fault::Unavailable(cause) => {
                tracing::error!(correlation_id, cause, "unavailable");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", UNAVAILABLE)
                    .retry_after(Duration::from_secs(1))
            }
            Fault::Internal(cause) => {
                tracing::error!(correlation_id, cause, "internal fault");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", INTERNAL)
            }
        }
    }
}

/// More is asked than can be done now, and nothing was.
pub(crate) fn busy(retry_after: Duration) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "BUSY", "The bank is busy. Nothing was done; ask again.")
        .retry_after(retry_after)
}

impl<R: Into<Self>> From<Refusal<R>> for Problem {
    fn from(refusal: Refusal<R>) -> Self {
        match refusal {
            Refusal::Rejected(rejection) => rejection.into(),
            Refusal::Once(refused) => refused.into(),
            Refusal::Fault(fault) => fault.into(),
        }
    }
}

impl From<OnceRefused> for Problem {
    fn from(refused: OnceRefused) -> Self {
        match refused {
            OnceRefused::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "IDEMPOTENCY_KEY_REUSED",
                "This Idempotency-Key was used for another request.",
            ),
            OnceRefused::InFlight => Self::new(
                StatusCode::CONFLICT,
                "REQUEST_IN_FLIGHT",
                "A request with this Idempotency-Key has not been answered yet.",
            )
            .retry_after(Duration::from_secs(1)),
        }
    }
}

/// `INSUFFICIENT_FUNDS` → `/problems/insufficient-funds`.
fn type_of(code: &str) -> String {
    format!("/problems/{}", code.to_ascii_lowercase().replace('_', "-"))
}

/// `INSUFFICIENT_FUNDS` → `Insufficient funds`.
fn title_of(code: &str) -> String {
    let mut title = code.to_ascii_lowercase().replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

/// A length of time as `Retry-After` writes it: whole seconds, rounded up, at least one.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Parts { status, code, detail, errors, retry_after } = *self.0;
        let correlation_id = passage::correlation_id();
        let wire = Wire {
            r#type: &type_of(code),
            title: &title_of(code),
            status: status.as_u16(),
            detail: &detail,
            code,
            errors: &errors,
            correlation_id: correlation_id.as_deref(),
        };
        // A structure of texts and one number can always be written.
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let mut response =
            (status, [(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON))], body).into_response();
        let headers = response.headers_mut();
        if let Some(after) = retry_after {
            headers.insert(RETRY_AFTER, whole_seconds(after).into());
        }
        // RFC 6750, section 3: a token that was sent and is no good is told apart from none.
        if status == StatusCode::UNAUTHORIZED {
            let challenge = if code == "INVALID_TOKEN" { "Bearer error=\"invalid_token\"" } else { "Bearer" };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// As a part of an answer, which names its request itself.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Parts { status, code, detail, errors, .. } = self.0.as_ref();
        let wire = Wire {
            r#type: &type_of(code),
            title: &title_of(code),
            status: status.as_u16(),
            detail,
            code,
            errors,
            correlation_id: None,
        };
        wire.serialize(serializer)
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Wire::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Problem")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Wire::schemas(schemas);
    }
}
