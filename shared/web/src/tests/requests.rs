//! Good requests, each part of them.

use super::*;

#[tokio::test]
async fn a_deposit_is_taken() {
    let bank = small_bank();
    for amount in ["\"12.50\"", "12.50", "12.5", "\"12.5\""] {
        let headers = [("idempotency-key", "key-1"), ("prefer", "wait=3")];
        let seen = post_deposit(&bank, &headers, deposit_of(amount)).await;
        assert_eq!(seen.status, 200, "{seen:?}");
        assert_eq!(seen.body, json!({"operation_id": "key-1", "amount": "12.50", "wait_seconds": 3}));
        assert_eq!(seen.header("preference-applied"), "wait=3");
        assert_eq!(seen.header("idempotency-replayed"), "");
    }
    let seen = post_deposit(&bank, &[("idempotency-key", "again")], deposit_of("1")).await;
    assert_eq!(seen.header("idempotency-replayed"), "true");
    assert_eq!(seen.header("preference-applied"), "");
}

#[test]
fn an_amount_is_kept_by_its_digits() {
    for (json, kept) in [("\"12.50\"", "12.50"), ("0.1", "0.1"), ("1e400", "1e400"), ("\"\\u0031\"", "1")] {
        let amount: AmountText = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_value(amount).unwrap(), kept);
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let bank = small_bank();
    let alice = [("authorization", "Bearer alice")];
    let first = send(&bank, ask("/operations", &alice)).await;
    assert_eq!(first.body["items"][0]["operation_id"], "25 after None");
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let second = send(&bank, ask(&format!("/operations?limit=100&cursor={cursor}"), &alice)).await;
    assert_eq!(second.body["items"][0]["operation_id"], "100 after Some(\"sort#1\")");
    assert_eq!(serde_json::to_value(Listing::<u8>::new(vec![], None)).unwrap(), json!({"items": []}));
}

#[tokio::test]
async fn who_is_signed_in_is_known() {
    let bank = small_bank();
    for (scheme, path, status) in [
        ("Bearer alice", format!("/accounts/{ACCOUNT}"), 200),
        ("bearer alice", format!("/accounts/{ACCOUNT}"), 200),
        ("Bearer operator", "/ops/whoami".to_owned(), 200),
        ("Bearer alice", "/ops/whoami".to_owned(), 403),
    ] {
        let seen = send(&bank, ask(&path, &[("authorization", scheme)])).await;
        assert_eq!(seen.status, status, "{scheme} {path} {seen:?}");
    }
    assert_eq!(send(&bank, ask("/trace", &[])).await.status, 200);
}

#[tokio::test]
async fn a_token_is_verified_once_until_it_expires() {
    let world = World::default();
    let bank = bank(HttpSettings::default(), &world);
    let alice = [("authorization", "Bearer alice")];
    for _ in 0..3 {
        assert_eq!(send(&bank, ask("/operations", &alice)).await.status, 200);
    }
    assert_eq!(world.verified.load(Ordering::Relaxed), 1);
    world.advance(Duration::from_secs(60));
    let expired = send(&bank, ask("/operations", &alice)).await;
    assert_eq!(expired.refusal(), (401, "INVALID_TOKEN", vec![]));
    assert_eq!(expired.body["detail"], "The access token has expired.");
}
