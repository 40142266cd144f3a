//! The messages a customer finds about her money.

use e2e::{Api, Operation, Person, text, wait_until};
use serde_json::{Value, json};

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
            messages.into_iter().find(|message| message["operation_id"] == ended["operation_id"])
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
    let first = person.post(format!("/notifications/{id}/read")).send().must_be(200).json();
    let again = person.post(format!("/notifications/{id}/read")).send().must_be(200).json();
    assert!(first["read_at"].is_string() && first == again, "{first} {again}");
    let read = wait_until("the message is read", || {
        let messages = person.all("/notifications", 100);
        messages
            .into_iter()
            .find(|message| message["notification_id"] == id && message["read_at"].is_string())
    });
    assert_eq!(read["read_at"], first["read_at"]);
    let unread = person.all("/notifications?unread=true", 100);
    assert!(unread.iter().all(|message| message["notification_id"] != id), "{unread:?}");
    assert_eq!(unread.len() + 1, person.all("/notifications", 100).len());
}

#[test]
fn letters_are_a_matter_of_choice() {
    let api = Api::from_environment();
    let (person, other) = (Person::sign_up(&api), Person::sign_up(&api));
    let prefer = |email: Value| {
        api.call("PUT", "/notifications/preferences")
            .bearer(&person.access_token)
            .json(&json!({"email": email}))
            .send()
    };
    let preferred = |person: &Person| person.get("/notifications/preferences").send().must_be(200).json();
    assert_eq!(preferred(&person)["email"], true);
    for choice in [false, true, false] {
        prefer(json!(choice)).must_be(200);
        assert_eq!(preferred(&person)["email"], choice);
    }
    prefer(json!("no")).problem(&[422]);
    assert_eq!((&preferred(&person)["email"], &preferred(&other)["email"]), (&json!(false), &json!(true)));
}
