//! `serve --demo`: what a newcomer finds.

use serde_json::Value;

use crate::support::{Directory, Serving, until};

fn items(answer: &Value) -> &Vec<Value> {
    answer["items"].as_array().unwrap()
}

#[test]
fn the_demo_is_a_month_of_two_people() {
    let directory = Directory::new();
    let serving = Serving::start(&directory, &["--demo"]);
    let ada = serving.sign_in("ada@example.com");
    let (_, balances) = serving.get(&ada, "/balances");
    let held: Vec<_> =
        items(&balances).iter().map(|item| (item["balance"].as_str().unwrap(), &item["currency"])).collect();
    assert_eq!(held, [("1183.87", &"EUR".into()), ("250.00", &"EUR".into()), ("327.95", &"USD".into())]);

    let grace = serving.sign_in("grace@example.com");
    let (_, operations) = serving.get(&grace, "/operations?limit=100");
    let operations = items(&operations);
    assert!(operations.iter().all(|operation| operation["status"] != "PENDING"));
    let failed: Vec<_> = operations.iter().filter(|operation| operation["status"] == "FAILED").collect();
    assert_eq!((failed.len(), failed[0]["reason"].as_str()), (1, Some("INSUFFICIENT_FUNDS")));
    // It spans weeks, newest first, and each operation ended in the moment it was asked for.
    let created: Vec<&str> =
        operations.iter().map(|operation| operation["created_at"].as_str().unwrap()).collect();
    assert!(created.is_sorted_by(|newer, older| newer > older), "{created:?}");
    let days: std::collections::BTreeSet<&str> = created.iter().map(|at| &at[..10]).collect();
    assert!(days.len() > 10, "{days:?}");
    for operation in operations {
        assert_eq!(
            operation["created_at"].as_str().unwrap()[..19],
            operation["ended_at"].as_str().unwrap()[..19]
        );
    }
    let (_, notifications) = serving.get(&grace, "/notifications?limit=100");
    assert!(items(&notifications).len() >= operations.len());
    let status = |token: &str| {
        let (_, accounts) = serving.get(token, "/accounts");
        let of =
            |account: &Value| [&account["status"], &account["close_rejected_reason"]].map(Value::to_string);
        items(&accounts).iter().map(of).collect::<Vec<_>>()
    };
    let (open, closed) = (["\"OPEN\"", "null"], ["\"CLOSED\"", "null"]);
    assert_eq!(status(&grace), [open, closed, open]);
    assert_eq!(status(&ada), [open, open, ["\"OPEN\"", "\"BALANCE_NOT_ZERO\""]]);
}

#[test]
fn the_demo_has_an_operator_and_something_for_her_to_send_again() {
    let directory = Directory::new();
    let serving = Serving::start(&directory, &["--demo"]);
    let (ada, olive) = (serving.sign_in("ada@example.com"), serving.sign_in("olive@example.com"));
    let told = |token: &str| items(&serving.get(token, "/notifications?limit=100").1).len();
    let before = told(&ada);
    let (_, letters) = serving.get(&olive, "/ops/dead-letters");
    let [letter] = items(&letters).as_slice() else { panic!("not one dead letter: {letters}") };
    assert_eq!(
        (&letter["consumer"], &letter["kind"]),
        (&"notifications_events".into(), &"WITHDRAW_EVENT".into())
    );
    assert!(letter["reason"].as_str().unwrap().contains("by the demo"), "{letter}");
    let id = letter["dead_letter_id"].as_str().unwrap();
    let redrive = format!("/ops/dead-letters/{id}/redrive");
    assert_eq!(serving.post_as(&olive, &redrive, &Value::Null).0, 200);
    until("what was put aside", || (told(&ada) == before + 1).then_some(()));
    assert!(items(&serving.get(&olive, "/ops/dead-letters").1).is_empty());
}

#[test]
fn the_demo_is_filled_in_once_and_only_into_an_empty_bank() {
    let directory = Directory::with_demo();
    let serving = Serving::start(&directory, &["--demo"]);
    assert!(serving.greeting.iter().any(|line| line.contains("who sign in with")), "{:?}", serving.greeting);
    let ada = serving.sign_in("ada@example.com");
    assert_eq!(items(&serving.get(&ada, "/accounts").1).len(), 3);
    drop(serving);

    let directory = Directory::new();
    let serving = Serving::start(&directory, &[]);
    assert!(!serving.greeting.iter().any(|line| line.contains("demo")), "{:?}", serving.greeting);
    let eve = serde_json::json!({"email": "eve@example.com", "password": crate::support::PASSWORD});
    assert_eq!(serving.post("/auth/sign-up", &eve).0, 201);
    serving.stop();
    let serving = Serving::start(&directory, &["--demo"]);
    assert!(serving.greeting.iter().any(|line| line.contains("not filled in")), "{:?}", serving.greeting);
    let ada = serde_json::json!({"email": "ada@example.com", "password": crate::support::PASSWORD});
    assert_eq!(serving.post("/auth/sign-in", &ada).0, 401);
}
