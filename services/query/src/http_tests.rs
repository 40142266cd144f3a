//! The routes, asked as a client asks: the shapes on the wire and what is refused.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use contracts::Message;
use serde_json::{Value, json};
use tower::ServiceExt;
use web::{HttpSettings, Principal};

use crate::fixture::*;

impl World {
    /// What a person is answered.
    async fn get(&self, reader: Option<u64>, path: &str) -> (StatusCode, Value) {
        let (router, _) = super::routes(self.query.clone()).split_for_parts();
        let bank = web::finish(router, HttpSettings::default(), self.sources.clone());
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        if let Some(reader) = reader {
            request.extensions_mut().insert(Principal { user_id: owner(reader), groups: Vec::new() });
        }
        let response = bank.oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn read(&self, path: &str) -> Value {
        let (status, body) = self.get(Some(1), path).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}");
        body
    }
}

async fn projected() -> World {
    let world = world();
    world.take(&[opened(1), opened(2)]).await;
    world
        .take(&[
            deposited(1, 1, 10_000, After(10_000, 1)),
            transferred(2, 250, (1, After(9_750, 2)), (2, After(250, 1))),
            withdraw_failed(3, 1, 999_999, After(9_750, 2)),
            Message::Withdrawn(moved(4, 1, 750, After(9_000, 3))),
        ])
        .await;
    world
}

fn balance() -> Value {
    json!({
        "account_id": account(1),
        "name": "account 1",
        "currency": "EUR",
        "balance": "90.00",
        "available": "90.00",
        "version": 3,
        "updated_at": "2027-01-15T08:04:00.000Z",
    })
}

#[tokio::test(start_paused = true)]
async fn a_balance_has_its_shape() {
    let world = projected().await;
    assert_eq!(world.read(&format!("/balances/{}", account(1))).await, balance());
    assert_eq!(world.read(&format!("/balances/{}?min_version=3", account(1))).await, balance());
    assert_eq!(world.read("/balances").await, json!({"items": [balance()]}));
}

#[tokio::test(start_paused = true)]
async fn a_history_has_its_shape() {
    let world = projected().await;
    let expected = json!({"items": [
        {
            "transaction_id": format!("{}-debit", operation(4)),
            "operation_id": operation(4),
            "kind": "WITHDRAW",
            "direction": "DEBIT",
            "status": "COMPLETED",
            "amount": "7.50",
            "currency": "EUR",
            "balance_after": "90.00",
            "description": "movement 4",
            "occurred_at": "2027-01-15T08:04:00.000Z",
        },
        {
            "transaction_id": format!("{}-debit", operation(3)),
            "operation_id": operation(3),
            "kind": "WITHDRAW",
            "direction": "DEBIT",
            "status": "FAILED",
            "reason": "INSUFFICIENT_FUNDS",
            "amount": "9999.99",
            "currency": "EUR",
            "balance_after": "97.50",
            "occurred_at": "2027-01-15T08:03:00.000Z",
        },
        {
            "transaction_id": format!("{}-debit", operation(2)),
            "operation_id": operation(2),
            "kind": "TRANSFER",
            "direction": "DEBIT",
            "status": "COMPLETED",
            "amount": "2.50",
            "currency": "EUR",
            "balance_after": "97.50",
            "counterparty_account_id": account(2),
            "occurred_at": "2027-01-15T08:02:00.000Z",
        },
        {
            "transaction_id": format!("{}-credit", operation(1)),
            "operation_id": operation(1),
            "kind": "DEPOSIT",
            "direction": "CREDIT",
            "status": "COMPLETED",
            "amount": "100.00",
            "currency": "EUR",
            "balance_after": "100.00",
            "description": "movement 1",
            "occurred_at": "2027-01-15T08:01:00.000Z",
        },
    ]});
    assert_eq!(world.read(&format!("/transactions/{}", account(1))).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_history_is_paged_and_filtered() {
    let world = projected().await;
    let path = format!("/transactions/{}", account(1));
    let mut query = "?limit=1".to_owned();
    let mut operations = Vec::new();
    loop {
        let page = world.read(&format!("{path}{query}")).await;
        operations.extend(page["items"].as_array().unwrap().iter().map(|row| row["operation_id"].clone()));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(operations, [4, 3, 2, 1].map(|number| json!(operation(number))));
    for (query, count) in [
        ("?kind=WITHDRAW", 2),
        ("?kind=TRANSFER", 1),
        ("?from=2027-01-15T08:02:00Z&to=2027-01-15T08:03:00Z", 2),
        ("?from=2027-01-15T10:03:00%2B02:00", 2),
        ("?to=2027-01-15T08:00:59Z", 0),
    ] {
        let page = world.read(&format!("{path}{query}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_answered_is_refused() {
    let world = projected().await;
    let (balance, history) = (format!("/balances/{}", account(1)), format!("/transactions/{}", account(1)));
    let not_yet = StatusCode::CONFLICT;
    for (reader, path, status, code) in [
        (None, balance.clone(), StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        (None, history.clone(), StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        (None, "/balances".to_owned(), StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        (Some(2), balance.clone(), StatusCode::NOT_FOUND, "NOT_FOUND"),
        (Some(2), history.clone(), StatusCode::NOT_FOUND, "NOT_FOUND"),
        (Some(1), "/balances/42".to_owned(), StatusCode::NOT_FOUND, "NOT_FOUND"),
        (Some(1), format!("/balances/{}", account(9)), StatusCode::NOT_FOUND, "NOT_FOUND"),
        (Some(1), format!("{balance}?min_version=4"), not_yet, "NOT_PROJECTED_YET"),
        (Some(1), format!("{balance}?min_version=-1"), StatusCode::BAD_REQUEST, "INVALID_QUERY"),
        (Some(1), format!("{balance}?version=1"), StatusCode::BAD_REQUEST, "INVALID_QUERY"),
        (Some(1), format!("{history}?limit=0"), StatusCode::BAD_REQUEST, "INVALID_QUERY"),
        (Some(1), format!("{history}?limit=101"), StatusCode::BAD_REQUEST, "INVALID_QUERY"),
        (Some(1), format!("{history}?kind=REFUND"), StatusCode::BAD_REQUEST, "INVALID_QUERY"),
        (Some(1), format!("{history}?from=yesterday"), StatusCode::BAD_REQUEST, "INVALID_QUERY"),
        (Some(1), format!("{history}?cursor=abc"), StatusCode::BAD_REQUEST, "INVALID_CURSOR"),
    ] {
        let (answered, problem) = world.get(reader, &path).await;
        assert_eq!((answered, &problem["code"]), (status, &json!(code)), "{path} {problem}");
    }
}
