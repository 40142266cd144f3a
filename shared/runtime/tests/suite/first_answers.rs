//! The JSON of a first answer as it lies on disk, and what becomes of a request whose first answer is damaged.

use conformance::records::damaged;
use ports::{Item, Key, Record, Store, Transaction};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use runtime::{Answered, Decision, Fault, Once, OnceRefused, Refusal, decide_and_commit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{NOTES, World, world};

const DAMAGED_ANSWERS: usize = 1_024;

/// Whatever lies in the place of person 1's first answer to the key `key`.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Stored(Value);

impl Record for Stored {
    fn key(&self) -> Key {
        Key::new(NOTES, "00000000-0000-0000-0000-000000000001", "key#key")
    }
}

fn layout() -> Value {
    json!({
        "user_id": "00000000-0000-0000-0000-000000000001",
        "idempotency_key": "key",
        // SHA-256 over the route, a zero byte and the request's JSON.
        "fingerprint": "5ba88b9e63f802d4c44fe46be12ada2d8ea8449a7ecb8431c940019301e6bc10",
        "answer": {"milk": 2},
        "expires_at": "2026-01-02T00:00:00.000Z",
    })
}

impl World {
    /// Asks with the key, as a service does whose answer is any JSON.
    async fn order(&self) -> Result<Answered<Value>, Refusal<String>> {
        let caller = self.caller(1, Some("key"));
        let attempt = async || {
            let asked = ("order", &"milk");
            let ticket =
                match Once::look::<_, Refusal<String>>(&self.store, NOTES, &caller, asked, self.now()).await?
                {
                    Once::Replay(answered) => return Ok(Decision::Nothing(answered)),
                    Once::New(ticket) => ticket,
                };
            let mut transaction = Transaction::new(self.sources.fresh_id());
            ticket.keep(&mut transaction, &json!({"milk": 2}))?;
            Ok(Decision::Commit(transaction, Answered { answer: json!({"milk": 2}), is_replay: false }))
        };
        decide_and_commit(&self.store, attempt).await
    }

    async fn stored(&self) -> Item {
        self.store.get(&[Stored(Value::Null).key()]).await.unwrap().remove(0).unwrap()
    }

    async fn put(&self, value: Value) {
        let mut transaction = Transaction::new(self.sources.fresh_id());
        transaction.create(&Stored(value)).unwrap();
        self.store.commit(&transaction).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_answer_has_its_layout() {
    let world = world();
    assert!(!world.order().await.unwrap().is_replay);
    let stored = world.stored().await;
    assert_eq!(serde_json::from_str::<Value>(&stored.body).unwrap(), layout());
    assert_eq!(stored.expires_at.map(|at| at.to_string()).as_deref(), layout()["expires_at"].as_str());
}

#[tokio::test(start_paused = true)]
async fn a_first_answer_is_read_from_its_layout() {
    let world = world();
    let mut newer = layout();
    newer["a_field_of_tomorrow"] = json!([null]);
    world.put(newer).await;
    assert_eq!(world.order().await.unwrap(), Answered { answer: json!({"milk": 2}), is_replay: true });
}

#[tokio::test(start_paused = true)]
async fn a_damaged_first_answer_is_no_panic() {
    let mut runner = TestRunner::default();
    for _ in 0..DAMAGED_ANSWERS {
        let value = damaged(&layout()).new_tree(&mut runner).unwrap().current();
        let world = world();
        world.put(value.clone()).await;
        match world.order().await {
            // What is still readable counts, and what has expired is replaced.
            Ok(_) | Err(Refusal::Once(OnceRefused::KeyReused) | Refusal::Fault(Fault::Unavailable(_))) => {}
            other => panic!("{value}: {other:?}"),
        }
    }
}
