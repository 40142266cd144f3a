//! The messages a customer finds about her money.

use e2e::{Api, Operation, Person, text, wait_until};
use serde_json::Value;

fn inbox(person: &Person, messages_min: usize) -> Vec<Value> {
    wait_until(&format!("there are {messages_min} messages"), || {
        Some(person.all("/notifications", 2)).filter(|messages| messages.len() >= messages_min)
    })
}

#[test]
fn money_that_moves_is_told() {
    let api = Api::from_environment();
    let (payer, payee) = (Person::sign_up(&api), Person::sign_up(&api));
    let to = payee.open_account("current", "EUR");
    let before = inbox(&payee, 0).len();
    let from = payer.open_account_with(1_000);
    let ended = payer.complete(&Operation::Transfer { from_account_id: from, to_account_id: to, minor: 250 });
    let told = |person: &Person| {
        wait_until("the transfer is told", || {
            let messages = person.all("/notifications", 100);
            messages.into_iter().find(|message| message.to_string().contains(text(&ended, "operation_id")))
        })
    };
    assert!(text(&told(&payer), "notification_id") != text(&told(&payee), "notification_id"));
    assert!(inbox(&payee, before + 1).len() > before);
}

#[test]
fn a_message_is_marked_as_read() {
    let person = Person::sign_up(&Api::from_environment());
    person.open_account_with(1_000);
    let messages = inbox(&person, 1);
    assert!(messages.iter().all(|message| message["read_at"].is_null()), "{messages:?}");
    let id = text(&messages[0], "notification_id");
    for _ in 0..2 {
        let answer = person.post(format!("/notifications/{id}/read")).send();
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    }
    let read = wait_until("the message is read", || {
        let messages = person.all("/notifications", 100);
        messages
            .into_iter()
            .find(|message| message["notification_id"] == id && message["read_at"].is_string())
    });
    assert_eq!(text(&read, "notification_id"), id);
}
