//! The table of all operations.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;

use super::bank::{Bank, Call};

/// An identifier that nobody has.
pub const INVENTED: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody who is signed in: it names nothing, and is about what is the caller's own.
    SignedIn,
    /// The owner of what the request names.
    Owner {
        /// The ids that must be of something of the caller's.
        own: &'static [&'static str],
        /// The ids that may be of something of anybody's.
        anybodys: &'static [&'static str],
    },
    /// People in the group `operators`.
    Operator,
}

use Access::{Operator, Owner, Public, SignedIn};

/// An operation: its method and path as in the document, who may ask, and a good body if it takes one. In path and body,
/// what stands in braces is filled in.
pub struct Row {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub body: Option<&'static str>,
}

const fn get(path: &'static str, access: Access) -> Row {
    Row { method: Method::GET, path, access, body: None }
}

const fn post(path: &'static str, access: Access, body: Option<&'static str>) -> Row {
    Row { method: Method::POST, path, access, body }
}

const ACCOUNT: Access = Owner { own: &["account_id"], anybodys: &[] };
const OPERATION: Access = Owner { own: &["operation_id"], anybodys: &[] };
const NOTIFICATION: Access = Owner { own: &["notification_id"], anybodys: &[] };
const TRANSFER: Access = Owner { own: &["from_account_id"], anybodys: &["to_account_id"] };

const CREDENTIALS: Option<&str> = Some(r#"{"email": "new@example.com", "password": "{name} staple"}"#);
const CODE: Option<&str> = Some(r#"{"email": "new@example.com", "code": "12345678"}"#);
const ADDRESS: Option<&str> = Some(r#"{"email": "new@example.com"}"#);
const NEW_PASSWORD: Option<&str> =
    Some(r#"{"email": "new@example.com", "code": "12345678", "new_password": "{name} staple"}"#);
const REFRESH: Option<&str> = Some(r#"{"refresh_token": "token"}"#);
const OPEN: Option<&str> = Some(r#"{"name": "{name}", "currency": "EUR"}"#);
const MOVE: Option<&str> = Some(r#"{"account_id": "{account_id}", "amount": "0.01"}"#);
const BATCH: Option<&str> = Some(
    r#"{"operations": [{"kind": "DEPOSIT", "idempotency_key": "{name}", "account_id": "nobodys", "amount": "0.01"}]}"#,
);
const MOVE_BETWEEN: Option<&str> =
    Some(r#"{"from_account_id": "{from_account_id}", "to_account_id": "{to_account_id}", "amount": "0.01"}"#);

/// Every operation there is.
pub const ROWS: &[Row] = &[
    // Identity.
    post("/auth/sign-up", Public, CREDENTIALS),
    post("/auth/confirm", Public, CODE),
    post("/auth/sign-in", Public, CREDENTIALS),
    post("/auth/refresh", Public, REFRESH),
    post("/auth/sign-out", SignedIn, None),
    post("/auth/sign-out-everywhere", SignedIn, None),
    post("/auth/forgot-password", Public, ADDRESS),
    post("/auth/reset-password", Public, NEW_PASSWORD),
    get("/.well-known/jwks.json", Public),
    // Accounts.
    get("/accounts", SignedIn),
    post("/accounts", SignedIn, OPEN),
    get("/accounts/{account_id}", ACCOUNT),
    post("/accounts/{account_id}/close", ACCOUNT, None),
    // Banking.
    post("/deposit", ACCOUNT, MOVE),
    post("/withdraw", ACCOUNT, MOVE),
    post("/transfer", TRANSFER, MOVE_BETWEEN),
    // The accounts that its operations name are looked at one by one.
    post("/batches", SignedIn, BATCH),
    get("/operation-status/{operation_id}", OPERATION),
    get("/operations", SignedIn),
    get("/operations/{operation_id}/timeline", OPERATION),
    // Query.
    get("/balances", SignedIn),
    get("/balances/{account_id}", ACCOUNT),
    get("/transactions/{account_id}", ACCOUNT),
    // Notifications.
    get("/notifications", SignedIn),
    post("/notifications/{notification_id}/read", NOTIFICATION, None),
    get("/notifications/preferences", SignedIn),
    Row {
        method: Method::PUT,
        path: "/notifications/preferences",
        access: SignedIn,
        body: Some(r#"{"email": false}"#),
    },
    // For operators.
    get("/ops/queues", Operator),
    get("/ops/dead-letters", Operator),
    get("/ops/dead-letters/{dead_letter_id}", Operator),
    post("/ops/dead-letters/{dead_letter_id}/redrive", Operator, None),
    get("/ops/trial-balance", Operator),
    get("/ops/operations/{operation_id}/timeline", Operator),
    get("/ops/people", Operator),
    get("/ops/people/{user_id}/accounts", Operator),
    get("/ops/accounts/{account_id}", Operator),
    get("/ops/accounts/{account_id}/transactions", Operator),
    post("/ops/audits", Operator, None),
    get("/ops/audits/latest", Operator),
    get("/ops/flow", Operator),
    post("/ops/operators", Operator, ADDRESS),
    post("/ops/operators/remove", Operator, ADDRESS),
];

/// What stands for the braces of a row, by name.
#[derive(Clone)]
pub struct Filling(pub BTreeMap<&'static str, String>);

impl Filling {
    /// Names that nothing has.
    pub fn invented() -> Self {
        let ids = ["account_id", "from_account_id", "to_account_id", "operation_id", "notification_id"];
        let names = ids.into_iter().chain(["user_id", "dead_letter_id"]).map(|id| (id, INVENTED.to_owned()));
        Self(names.chain([("name", "invented".to_owned())]).collect())
    }

    /// The same, but for one name.
    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut filling = self.clone();
        filling.0.insert(name, value.to_owned());
        filling
    }

    /// The template with every name in braces replaced.
    pub fn fill(&self, template: &str) -> String {
        self.0
            .iter()
            .fold(template.to_owned(), |filled, (name, value)| filled.replace(&format!("{{{name}}}"), value))
    }
}

impl Row {
    /// `POST /deposit`.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The request, with what the row has in braces filled in.
    pub fn ask<'a>(&self, bank: &'a Bank, filling: &Filling) -> Call<'a> {
        let call = bank.call(&self.method, filling.fill(self.path));
        match self.body {
            Some(body) => call.body(filling.fill(body)),
            None => call,
        }
    }

    /// The ids that the request names, in path and body.
    pub fn ids(&self) -> BTreeSet<&'static str> {
        let braced = |template: &'static str| {
            template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
        };
        let named = braced(self.path).chain(self.body.into_iter().flat_map(braced));
        named.filter(|name| name.ends_with("_id")).collect()
    }

    /// The ids in it that must be of something of the caller's, and those that may be of something of anybody's.
    pub fn owned(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self.access {
            Owner { own, anybodys } => (own, anybodys),
            Public | SignedIn | Operator => (&[], &[]),
        }
    }
}
