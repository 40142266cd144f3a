//! What the API answers, as far as the pages show it.
//!
//! It is written down anew, and not taken from the services: the console knows of the bank what its document says.
//! Identifiers are opaque. A value that a later bank may add is shown by its name.

use kernel::{Currency, Money, Timestamp};
use serde::Deserialize;

/// One page of a list.
#[derive(Deserialize)]
pub struct Listing<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

/// A pair of tokens.
#[derive(Deserialize)]
pub struct SignedIn {
    pub access_token: String,
    pub refresh_token: String,
    pub expires_in: u64,
}

#[derive(Clone, Deserialize)]
pub struct Account {
    pub account_id: String,
    pub name: String,
    pub currency: Currency,
    pub status: String,
    pub created_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub close_rejected_reason: Option<String>,
}

impl Account {
    /// Whether money can be moved to it and from it.
    pub fn is_open(&self) -> bool {
        self.status == "OPEN"
    }
}

#[derive(Clone, Deserialize)]
pub struct Balance {
    pub account_id: String,
    pub balance: String,
}

#[derive(Clone, Deserialize)]
pub struct Operation {
    pub operation_id: String,
    pub kind: String,
    pub status: String,
    pub reason: Option<String>,
    pub account_id: Option<String>,
    pub from_account_id: Option<String>,
    pub amount: String,
    pub currency: Currency,
    pub description: Option<String>,
    pub balance_after: Option<String>,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

impl Operation {
    /// The account that the one who asked for it sees it in.
    pub fn own_account_id(&self) -> Option<&str> {
        self.account_id.as_deref().or(self.from_account_id.as_deref())
    }
}

#[derive(Clone, Deserialize)]
pub struct Transaction {
    pub operation_id: String,
    pub kind: String,
    pub direction: String,
    pub status: String,
    pub reason: Option<String>,
    pub amount: String,
    pub currency: Currency,
    pub balance_after: Option<String>,
    pub description: Option<String>,
    pub counterparty_account_id: Option<String>,
    pub occurred_at: Timestamp,
}

impl Transaction {
    /// Whether it moved money.
    pub fn is_completed(&self) -> bool {
        self.status == "COMPLETED"
    }

    /// Whether the money came in.
    pub fn is_credit(&self) -> bool {
        self.direction == "CREDIT"
    }
}

#[derive(Deserialize)]
pub struct Notification {
    pub notification_id: String,
    pub title: String,
    pub text: String,
    pub operation_id: Option<String>,
    pub created_at: Timestamp,
    pub read_at: Option<Timestamp>,
}

/// An amount of the API, which is a decimal in the units of its currency; none if the bank writes what no amount is.
pub fn money(decimal: &str, currency: Currency) -> Option<Money> {
    format!("{decimal} {currency}").parse().ok()
}
