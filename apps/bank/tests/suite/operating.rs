//! `operators` and `dead-letters`: the same with the bank running and stopped.

use serde_json::{Value, json};

use crate::support::{Directory, Ran, Serving, until};

fn redrive(directory: &Directory, id: &str) -> Ran {
    directory.run(&["dead-letters", "redrive", id])
}

/// Puts a dead letter into the store of a bank that is stopped.
fn bury(directory: &Directory, id: &str) {
    let envelope = json!({
        "message_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "kind": "DEPOSIT_CMD",
        "version": 1,
        "group": "poison",
        "correlation_id": "order-42",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "occurred_at": "2026-11-22T10:00:00.000Z",
        "body": {"amount": "all of it"},
    });
    let sql = format!(
        "INSERT INTO queue_dead_letters (dead_letter_id, consumer, reason, attempts, died_at, envelope) \
         VALUES ('{id}', 'ledger_commands', 'DEPOSIT_CMD cannot be read', 1, 0, '{envelope}')"
    );
    assert_eq!(directory.tamper(&sql), 1);
}

#[test]
fn an_operator_is_named_and_removed_with_the_bank_running_and_stopped() {
    let directory = Directory::with_demo();
    let added = directory.run(&["operators", "add", " Ada@Example.com "]);
    assert_eq!(added.success(), "ada@example.com is an operator from the next sign-in on.\n");
    let nobody = directory.run(&["operators", "add", "nobody@example.com"]);
    assert_eq!(nobody.failure(), "nobody signed up with this email address");

    let serving = Serving::start(&directory, &["--issuer", "https://bank.example.com"]);
    let (ada, grace) = (serving.sign_in("ada@example.com"), serving.sign_in("grace@example.com"));
    assert_eq!(serving.get(&ada, "/ops/queues").0, 200);
    assert_eq!(serving.get(&grace, "/ops/queues").0, 403);

    let issuer = ["--issuer", "https://bank.example.com"];
    let add =
        |email: &str, options: &[&str]| directory.run(&[&["operators", "add", email], options].concat());
    assert!(add("grace@example.com", &[]).failure().contains("another --issuer"));
    assert_eq!(add("nobody@example.com", &issuer).failure(), "There is no such person.");
    assert_eq!(
        add("nobody", &issuer).failure(),
        "\"nobody\" is not an email address such as ada@example.org"
    );
    assert!(add("grace@example.com", &issuer).success().starts_with("grace@example.com is an operator"));
    let grace = serving.sign_in("grace@example.com");
    assert_eq!(serving.get(&grace, "/ops/queues").0, 200);

    let remove =
        |email: &str, options: &[&str]| directory.run(&[&["operators", "remove", email], options].concat());
    assert!(
        remove("grace@example.com", &issuer)
            .success()
            .starts_with("grace@example.com is an operator no more")
    );
    assert_eq!(remove("nobody@example.com", &issuer).failure(), "There is no such person.");
    let (ada, grace) = (serving.sign_in("ada@example.com"), serving.sign_in("grace@example.com"));
    assert_eq!((serving.get(&ada, "/ops/queues").0, serving.get(&grace, "/ops/queues").0), (200, 403));
    serving.stop();
    remove("ada@example.com", &[]).success();
    assert_eq!(remove("nobody@example.com", &[]).failure(), "nobody signed up with this email address");
    let serving = Serving::start(&directory, &[]);
    let ada = serving.sign_in("ada@example.com");
    assert_eq!(serving.get(&ada, "/ops/queues").0, 403);
}

#[test]
fn dead_letters_are_read_and_sent_again_with_the_bank_running_and_stopped() {
    let directory = Directory::with_demo();
    assert_eq!(directory.run(&["dead-letters", "list"]).success(), "There are no dead letters.\n");
    for id in ["letter-1", "letter-2"] {
        bury(&directory, id);
    }
    let audit = directory.run(&["audit"]);
    assert!(audit.success().contains("WARNING: ledger_commands has 2 dead letters"), "{audit:?}");

    let list = directory.run(&["dead-letters", "list"]);
    let rows: Vec<&str> = list.success().lines().collect();
    assert_eq!(rows.len(), 3);
    assert!(rows[0].starts_with("ID ") && rows[0].ends_with("REASON"), "{rows:?}");
    assert!(
        rows[1].starts_with("letter-1 ")
            && rows[1].contains(" DEPOSIT_CMD ")
            && rows[1].ends_with("cannot be read")
    );
    assert_eq!(
        rows[0].find("REASON"),
        rows[1].find("DEPOSIT_CMD cannot"),
        "the columns stand below one another"
    );
    let show = directory.run(&["dead-letters", "show", "letter-1"]);
    let letter: Value = serde_json::from_str(show.success()).unwrap();
    assert_eq!(letter["envelope"]["body"], json!({"amount": "all of it"}));

    let said = redrive(&directory, "letter-1");
    assert!(said.success().contains("once the bank serves"), "{said:?}");
    for id in ["letter-1", "letter-3", "../letter-2"] {
        assert_eq!(redrive(&directory, id).failure(), format!("there is no dead letter {id}"));
    }

    let serving = Serving::start(&directory, &[]);
    redrive(&directory, "letter-2").success();
    for (id, why) in
        [("letter-2", "There is no such dead letter."), ("../queues?", "there is no dead letter ../queues?")]
    {
        assert_eq!(redrive(&directory, id).failure(), why);
    }
    assert!(directory.run(&["dead-letters", "show", "letter-2"]).failure().contains("letter-2"));
    // Neither can be understood, so both die again under new ids.
    for _ in 0..500 {
        if directory.run(&["dead-letters", "list"]).stdout.lines().count() == 3 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    serving.stop();
    let list = directory.run(&["dead-letters", "list"]);
    assert!(list.success().lines().count() == 3 && !list.stdout.contains("letter-"), "{list:?}");
}

#[test]
fn an_audit_asked_for_over_http_finds_what_was_altered() {
    let directory = Directory::with_demo();
    let altered = "UPDATE transactions SET body = json_set(body, '$.transaction.description', 'nothing') \
                   WHERE sort = (SELECT min(sort) FROM transactions)";
    assert_eq!(directory.tamper(altered), 1);
    let serving = Serving::start(&directory, &[]);
    let olive = serving.sign_in("olive@example.com");
    assert_eq!(serving.post_as(&olive, "/ops/audits", &Value::Null).0, 202);
    let audit = until("the end of the audit", || {
        let (_, audit) = serving.get(&olive, "/ops/audits/latest");
        (audit["status"] != "RUNNING").then_some(audit)
    });
    assert_eq!(
        (&audit["status"], &audit["found"]["findings_count"]),
        (&json!("FINDINGS"), &json!(1)),
        "{audit}"
    );
    let finding = audit["found"]["findings"][0].as_str().unwrap();
    assert!(finding.contains("otherwise than the ledger"), "{finding}");
}

/// Whoever wonders who looked at her finds the operator's id beside her own, and no address.
#[test]
fn a_look_at_a_person_leaves_a_line_in_the_log() {
    let directory = Directory::with_demo();
    let serving = Serving::start(&directory, &["--log", "trace"]);
    let olive = serving.sign_in("olive@example.com");
    let (_, person) = serving.get(&olive, "/ops/people?email=ada@example.com");
    let ada = person["user_id"].as_str().unwrap();
    let (_, accounts) = serving.get(&olive, &format!("/ops/people/{ada}/accounts"));
    let account = accounts["items"][0]["account_id"].as_str().unwrap();
    let (_, history) = serving.get(&olive, &format!("/ops/accounts/{account}/transactions"));
    let operation = history["items"][0]["operation_id"].as_str().unwrap();
    assert_eq!(serving.get(&olive, &format!("/ops/accounts/{account}")).0, 200);
    assert_eq!(serving.get(&olive, &format!("/ops/operations/{operation}/timeline")).0, 200);
    let (_, operator) = serving.get(&olive, "/ops/people?email=olive@example.com");
    let operator = operator["user_id"].as_str().unwrap();
    let log = until("the last line", || {
        Some(directory.log()).filter(|log| log.contains("an operator looked at an operation"))
    });
    for look in ["for a person", "at a person's accounts", "at an account", "at a history", "at an operation"]
    {
        let is_told = |line: &str| line.contains(look) && line.contains(ada) && line.contains(operator);
        assert!(log.lines().any(is_told), "a look {look} is not in the log");
    }
    assert!(!log.contains("ada@") && !log.contains("olive@"), "an address is in the log");
}

#[test]
fn a_copy_made_beside_a_bank_that_serves_is_that_bank() {
    let (directory, copy) = (Directory::with_demo(), Directory::new());
    let serving = Serving::start(&directory, &[]);
    let ada = serving.sign_in("ada@example.com");
    let account = json!({"name": "Holidays", "currency": "EUR"});
    assert_eq!(serving.post_as(&ada, "/accounts", &account).0, 201);
    let before = serving.get(&ada, "/accounts");
    let to = copy.data().display().to_string();
    let told = directory.run(&["backup", &to]);
    assert!(told.success().starts_with(&format!("{to} is a copy of ")), "{told:?}");
    assert_eq!(serving.post_as(&ada, "/accounts", &account).0, 201);
    assert!(directory.run(&["backup", &to]).failure().ends_with("is not empty"));
    serving.stop();

    assert!(copy.run(&["audit"]).success().ends_with("The books are right.\n"));
    let restored = Serving::start(&copy, &[]);
    assert_eq!(restored.get(&ada, "/accounts"), before, "her token is signed with the same key");
}
