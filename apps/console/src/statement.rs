//! Statements: an account's history as CSV (RFC 4180), for a spreadsheet or a bookkeeper.
//!
//! Rows are sent page by page as the API gives them, so a statement may be as long as an account is old. If the bank
//! fails on the way the download fails, rather than end early. Times are in UTC, amounts in plain decimals, those that
//! went out with a minus.

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::stream;

use crate::api::{ApiError, Ask, segment};
use crate::customer::Filter;
use crate::model::{Account, Listing, Transaction};
use crate::visitor::{Customer, Failure};

const HEADINGS: [&str; 9] = [
    "occurred_at",
    "kind",
    "status",
    "amount",
    "currency",
    "balance_after",
    "description",
    "counterparty_account_id",
    "operation_id",
];

/// The most rows that are asked for at once.
const PAGE: &str = "100";

/// What of a statement has been read.
struct Reading {
    customer: Customer,
    account_id: String,
    filter: Filter,
    /// A page that was read and not sent yet.
    page: Option<Listing<Transaction>>,
}

/// Sends what a filter leaves of an account's history.
pub async fn csv(
    customer: Customer,
    Path(account_id): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Response, Failure> {
    let account: Account = customer.get(format!("/accounts/{}", segment(&account_id))).await?;
    // The first page tells whether the filter is one at all, while there can still be an answer that says so.
    let first: Listing<Transaction> = customer.get(filter.path(&account.account_id, PAGE)).await?;
    let heading = stream::iter([record(&HEADINGS)]);
    let reading = Reading { customer, account_id: account.account_id, filter, page: Some(first) };
    let pages = stream::try_unfold(reading, |mut reading| async move {
        let Some(page) = reading.page.take() else { return Ok(None) };
        if let Some(next) = page.next_cursor {
            reading.filter.cursor = next;
            let path = reading.filter.path(&reading.account_id, PAGE);
            reading.page = Some(reading.customer.ask(Ask::get(path)).await?);
        }
        Ok(Some((rows(&page.items)?, reading)))
    });
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"statement.csv\""),
    ];
    Ok((headers, Body::from_stream(futures::StreamExt::chain(heading, pages))).into_response())
}

fn rows(transactions: &[Transaction]) -> Result<Vec<u8>, ApiError> {
    let mut text = Vec::new();
    for transaction in transactions {
        let occurred_at = transaction.occurred_at.to_string();
        let sign = if transaction.is_credit() { "" } else { "-" };
        text.extend(record(&[
            &occurred_at,
            &transaction.kind,
            &transaction.status,
            &format!("{sign}{}", transaction.amount),
            transaction.currency.code(),
            transaction.balance_after.as_deref().unwrap_or_default(),
            &harmless(transaction.description.as_deref().unwrap_or_default()),
            transaction.counterparty_account_id.as_deref().unwrap_or_default(),
            &transaction.operation_id,
        ])?);
    }
    Ok(text)
}

fn record(fields: &[&str]) -> Result<Vec<u8>, ApiError> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let unwritten = |error: &dyn std::fmt::Display| ApiError::Unreachable(error.to_string());
    writer.write_record(fields).map_err(|error| unwritten(&error))?;
    writer.into_inner().map_err(|error| unwritten(&error))
}

/// A text that no spreadsheet takes for a formula: somebody else may have written it (OWASP, CSV injection).
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_quoted_where_it_has_to_be_and_is_no_formula() {
        let transaction: Transaction = serde_json::from_value(serde_json::json!({
            "operation_id": "o1", "kind": "TRANSFER", "direction": "DEBIT", "status": "COMPLETED", "amount": "12.50",
            "currency": "EUR", "balance_after": "7.50", "description": "=HYPERLINK(\"x\"), or so",
            "occurred_at": "2026-11-21T09:00:00Z"
        }))
        .unwrap();
        let text = String::from_utf8(rows(&[transaction]).unwrap()).unwrap();
        let time = "2026-11-21T09:00:00.000Z";
        assert_eq!(
            text,
            format!("{time},TRANSFER,COMPLETED,-12.50,EUR,7.50,\"'=HYPERLINK(\"\"x\"\"), or so\",,o1\r\n")
        );
    }
}
