//! `POST /batches`: many operations in one request, each with a key and an answer of its own.
//!
//! What cannot be told apart is no batch, and is refused whole: no list, one that is empty or too long, an operation
//! without a key, a key twice. Every other fault is one operation's: it is answered the problem that it would have had from
//! its own route, and the others are as if it had not been there. Operations are begun in parts of [`TOGETHER_MAX`], so
//! many parts at once as [`BATCH_PARTS_AT_ONCE`] says, and answered in the order of the request; in lines, if the sender
//! wants them, a part at a time.
//!
//! Absent on purpose: waiting for the ends of operations, and an order in which the ledger judges them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use ports::Store;
use runtime::{Answered, Caller};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use web::{AmountText, Body, Problem, Signed, accepts_lines, charge, check_idempotency_key, read_json};

use super::{OperationKind, OperationView, account_id, request};
use crate::domain::{Movement, Operation, Request};
use crate::{Banking, TOGETHER_MAX};

/// The most operations of one batch.
pub const BATCH_OPERATIONS_MAX: usize = 1_000;
/// The most parts of one batch that are written at once.
pub const BATCH_PARTS_AT_ONCE: usize = 4;

/// How many operations of a batch count as one request where requests are limited: each takes about a tenth of what one
/// that comes alone takes.
const OPERATIONS_A_REQUEST: usize = 10;
/// The most fields that are named where a batch is refused whole.
const ERRORS_MAX: usize = 20;

web::problems! {
    /// What a batch may be refused with as a whole.
    BatchProblems: BAD_REQUEST, UNAUTHORIZED, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNPROCESSABLE_ENTITY;
}

/// Operations, in any order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchBody {
    #[schema(value_type = Vec<BatchOperation>, min_items = 1, max_items = 1_000)]
    operations: Operations,
}

/// The operations as they were written, so that each is judged by itself.
struct Operations(Vec<Box<RawValue>>);

/// A deposit to or a withdrawal from an account of the caller, or a transfer from one, with a key of its own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchOperation {
    kind: OperationKind,
    /// Makes a repetition of this operation known as one, in this batch, in another or by the route of its own: 1 to 255
    /// visible ASCII characters, kept for a day, and once in a batch.
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "order-42")]
    idempotency_key: String,
    /// One of the caller's accounts: of a deposit or a withdrawal.
    account_id: Option<String>,
    /// One of the caller's accounts: of a transfer.
    from_account_id: Option<String>,
    /// Any account: of a transfer.
    to_account_id: Option<String>,
    amount: AmountText,
    /// The account's currency, if the caller wants it checked.
    #[schema(example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: Option<String>,
    /// One line of at most 140 characters.
    #[schema(max_length = 140, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    description: Option<String>,
}

/// What became of the operations, in the order of the request.
#[derive(Serialize, ToSchema)]
struct BatchAnswer {
    results: Vec<BatchResult>,
}

/// What became of one operation.
#[derive(Serialize, ToSchema)]
struct BatchResult {
    /// That of the operation.
    idempotency_key: String,
    /// What its own route would have answered. After a 409 that is `REQUEST_IN_FLIGHT` or a 5xx it may be asked for again,
    /// with the same key.
    #[schema(example = 200)]
    status: u16,
    /// The operation, where the status is 200, as it was answered first.
    #[schema(value_type = OperationView, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<OperationView>,
    /// Whether an earlier request had begun it, where the status is 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
    /// Why there is no operation, where the status is another.
    #[schema(value_type = Problem, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// One operation that is asked for: its key, and what it is, unless that cannot be read.
struct Order {
    idempotency_key: String,
    request: Result<Request, Problem>,
}

/// What became of one operation, before it is written down.
type Outcome = Result<Answered<Operation>, Problem>;

/// Ask for up to 1,000 operations at once, each under a key of its own.
///
/// One that is wrong is refused alone. The same batch may be sent again: what was begun is not begun twice. With
/// `Accept: application/x-ndjson` the answer is a line for each operation, as they become durable.
#[utoipa::path(post, path = "/batches", tag = "banking", request_body = BatchBody,
    responses((status = 200, content(
        (BatchAnswer = "application/json"), (BatchResult = "application/x-ndjson"),
    )), BatchProblems))]
pub(super) async fn batches<S: Store>(
    State(banking): State<Arc<Banking<S>>>,
    Signed(caller): Signed,
    headers: HeaderMap,
    Body(body): Body<BatchBody>,
) -> Result<Response, Problem> {
    let orders = body.orders()?;
    let requests = orders.len().div_ceil(OPERATIONS_A_REQUEST);
    charge(u32::try_from(requests - 1).unwrap_or(u32::MAX))?;
    let parts = answers(banking, caller, orders);
    if accepts_lines(&headers) {
        return Ok(web::lines(parts));
    }
    let results = parts.map(stream::iter).flatten().collect().await;
    Ok(Json(BatchAnswer { results }).into_response())
}

impl BatchBody {
    /// Reads each operation by itself.
    fn orders(self) -> Result<Vec<Order>, Problem> {
        let mut wrong = Vec::new();
        let (mut orders, mut keys) = (Vec::with_capacity(self.operations.0.len()), HashSet::new());
        for (index, written) in self.operations.0.iter().enumerate() {
            match Order::read(written) {
                Some(order) if keys.insert(order.idempotency_key.clone()) => orders.push(order),
                Some(_) => wrong.push((index, "is that of another operation of the batch")),
                None => wrong.push((index, "must be a text")),
            }
        }
        if wrong.is_empty() {
            return Ok(orders);
        }
        let detail = "Each operation of a batch needs a key of its own.";
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_BATCH", detail);
        Err(wrong.into_iter().take(ERRORS_MAX).fold(problem, |problem, (index, message)| {
            problem.with_error(format!("operations[{index}].idempotency_key"), message)
        }))
    }
}

impl Order {
    /// Reads an operation; without a key it is none.
    fn read(written: &RawValue) -> Option<Self> {
        /// As much of an operation as every one has.
        #[derive(Deserialize)]
        struct Keyed {
            idempotency_key: String,
        }

        let bytes = written.get().as_bytes();
        let (idempotency_key, request) = match read_json::<BatchOperation>(bytes) {
            Ok(mut operation) => {
                let idempotency_key = std::mem::take(&mut operation.idempotency_key);
                let is_key = check_idempotency_key(&idempotency_key);
                (idempotency_key, is_key.and_then(|()| operation.request()))
            }
            Err(problem) => (read_json::<Keyed>(bytes).ok()?.idempotency_key, Err(problem)),
        };
        Some(Self { idempotency_key, request })
    }
}

impl BatchOperation {
    fn request(self) -> Result<Request, Problem> {
        let own = ("account_id", self.account_id.as_deref());
        let from = ("from_account_id", self.from_account_id.as_deref());
        let to = ("to_account_id", self.to_account_id.as_deref());
        let movement = match self.kind {
            OperationKind::Deposit => Movement::Deposit { account_id: the_account(own, [from, to])? },
            OperationKind::Withdraw => Movement::Withdraw { account_id: the_account(own, [from, to])? },
            OperationKind::Transfer => Movement::Transfer {
                from_account_id: the_account(from, [own])?,
                to_account_id: the_account(to, [own])?,
            },
        };
        request(movement, &self.amount, self.currency.as_deref(), self.description)
    }
}

/// A field by its name, and what it holds.
type Field<'a> = (&'static str, Option<&'a str>);

/// The account that a field names, where others have no place in an operation of its kind.
fn the_account<const N: usize>(
    (name, named): Field<'_>,
    others: [Field<'_>; N],
) -> Result<kernel::AccountId, Problem> {
    let wrong = |name, message: &str| {
        let detail = "A field of the operation is missing, or is none of its kind's.";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_BODY", detail).with_error(name, message)
    };
    if let Some((other, _)) = others.iter().find(|(_, named)| named.is_some()) {
        return Err(wrong(*other, "is not known for this kind"));
    }
    account_id(named.ok_or_else(|| wrong(name, "is missing"))?)
}

/// What becomes of the operations, a part at a time, in order.
fn answers<S: Store>(
    banking: Arc<Banking<S>>,
    caller: Caller,
    orders: Vec<Order>,
) -> impl Stream<Item = Vec<BatchResult>> + Send + 'static {
    let mut orders = orders.into_iter().peekable();
    let parts = std::iter::from_fn(move || {
        orders.peek()?;
        Some(orders.by_ref().take(TOGETHER_MAX).collect())
    });
    let begin = move |part| begin(Arc::clone(&banking), caller.clone(), part);
    stream::iter(parts).map(begin).buffered(BATCH_PARTS_AT_ONCE)
}

async fn begin<S: Store>(banking: Arc<Banking<S>>, caller: Caller, part: Vec<Order>) -> Vec<BatchResult> {
    let mut asked = Vec::with_capacity(part.len());
    let mut refused = Vec::with_capacity(part.len());
    for Order { idempotency_key, request } in part {
        let problem = match request {
            Ok(request) => {
                let idempotency_key = Some(idempotency_key.clone());
                asked.push((Caller { idempotency_key, ..caller.clone() }, request));
                None
            }
            Err(problem) => Some(problem),
        };
        refused.push((idempotency_key, problem));
    }
    let mut outcomes: Vec<Outcome> = match banking.submit_all(&asked).await {
        Ok(answers) => answers.into_iter().map(|answer| answer.map_err(Problem::from)).collect(),
        // It is one fault, so it becomes a problem, and is logged, once.
        Err(fault) => vec![Err(Problem::from(fault)); asked.len()],
    };
    let mut outcomes = outcomes.drain(..);
    let results = refused.into_iter().filter_map(|(idempotency_key, problem)| {
        let outcome = match problem {
            Some(problem) => Err(problem),
            None => outcomes.next()?,
        };
        Some(BatchResult::new(idempotency_key, outcome))
    });
    results.collect()
}

impl BatchResult {
    fn new(idempotency_key: String, outcome: Outcome) -> Self {
        match outcome {
            Ok(Answered { answer, is_replay }) => Self {
                idempotency_key,
                status: StatusCode::OK.as_u16(),
                operation: Some(answer.into()),
                replayed: Some(is_replay),
                problem: None,
            },
            Err(problem) => Self {
                idempotency_key,
                status: problem.status().as_u16(),
                operation: None,
                replayed: None,
                problem: Some(problem),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Operations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(OperationsVisitor)
    }
}

/// Stops at the first operation that is too many, rather than keep whatever a body may hold.
struct OperationsVisitor;

impl<'de> Visitor<'de> for OperationsVisitor {
    type Value = Operations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of 1 to {BATCH_OPERATIONS_MAX} operations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Operations, A::Error> {
        let mut operations = Vec::new();
        while let Some(operation) = list.next_element()? {
            if operations.len() == BATCH_OPERATIONS_MAX {
                return Err(A::Error::invalid_length(operations.len() + 1, &self));
            }
            operations.push(operation);
        }
        if operations.is_empty() {
            return Err(A::Error::invalid_length(0, &self));
        }
        Ok(Operations(operations))
    }
}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
