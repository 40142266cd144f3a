//! The JSON of people, codes, sessions and failed tries as they lie on disk: what is written here is written for ever.

use super::*;
use crate::domain::PasswordHash;
use conformance::records::check_record;
use serde_json::json;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const AT: &str = "2027-01-15T08:00:00.000Z";
const ADA: &str = "00000000-0000-0000-0000-000000000001";

fn ada() -> UserId {
    UserId::new(Uuid::from_u128(1))
}

fn email() -> Email {
    "ada@example.org".parse().unwrap()
}

#[test]
fn a_person_and_her_address_have_their_layouts() {
    let confirmed = User {
        user_id: ada(),
        email: email(),
        password_hash: PasswordHash("$argon2id$…".to_owned()),
        confirmed_at: Some(NOW),
        groups: vec!["operators".to_owned()],
        generation: 2,
        created_at: NOW,
    };
    let layout = json!({
        "user_id": ADA,
        "email": "ada@example.org",
        "password_hash": "$argon2id$…",
        "confirmed_at": AT,
        "groups": ["operators"],
        "generation": 2,
        "created_at": AT,
    });
    check_record(&confirmed, &layout);
    let new = User { confirmed_at: None, groups: Vec::new(), generation: 0, ..confirmed };
    let layout = json!({
        "user_id": ADA,
        "email": "ada@example.org",
        "password_hash": "$argon2id$…",
        "generation": 0,
        "created_at": AT,
    });
    check_record(&new, &layout);
    let address = Address { email: email(), user_id: ada() };
    check_record(&address, &json!({"email": "ada@example.org", "user_id": ADA}));
}

#[test]
fn a_code_has_its_layout_whatever_it_is_for() {
    for (purpose, name) in [(Purpose::Confirm, "CONFIRM"), (Purpose::Reset, "RESET")] {
        let code = Code {
            user_id: ada(),
            purpose,
            digest: Digest("5e88".to_owned()),
            tries: 2,
            issued_at: NOW,
            expires_at: NOW,
        };
        let layout = json!({
            "user_id": ADA,
            "purpose": name,
            "digest": "5e88",
            "tries": 2,
            "issued_at": AT,
            "expires_at": AT,
        });
        check_record(&code, &layout);
    }
}

#[test]
fn a_session_has_its_layout() {
    let session = Session {
        user_id: ada(),
        session_id: SessionId::new(Uuid::from_u128(2)),
        generation: 2,
        family: Digest("5e88".to_owned()),
        current: Digest("6b86".to_owned()),
        created_at: NOW,
        expires_at: NOW,
    };
    let layout = json!({
        "user_id": ADA,
        "session_id": "00000000-0000-0000-0000-000000000002",
        "generation": 2,
        "family": "5e88",
        "current": "6b86",
        "created_at": AT,
        "expires_at": AT,
    });
    check_record(&session, &layout);
}

#[test]
fn failed_tries_have_their_layout() {
    let locked = Attempts {
        address: Digest("5e88".to_owned()),
        failures: 1,
        since: NOW,
        locks: 1,
        locked_until: Some(NOW),
        expires_at: NOW,
    };
    let layout = json!({
        "address": "5e88",
        "failures": 1,
        "since": AT,
        "locks": 1,
        "locked_until": AT,
        "expires_at": AT,
    });
    check_record(&locked, &layout);
}
