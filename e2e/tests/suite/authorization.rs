//! Nobody sees or moves another's money: what belongs to another answers just like what does not exist.

use e2e::{Answer, Api, INVENTED_ID, Operation, Person, text, wait_until};
use serde_json::{Value, json};

/// The endpoints that name something of a person's, as a request about one id.
const BY_ACCOUNT: &[(&str, &str)] = &[
    ("GET", "/accounts/{id}"),
    ("POST", "/accounts/{id}/close"),
    ("GET", "/balances/{id}"),
    ("GET", "/balances/{id}?min_version=1"),
    ("GET", "/transactions/{id}"),
    ("GET", "/transactions/{id}?kind=DEPOSIT&limit=5"),
];

/// Everything that wants a token, with a body where it takes one.
const PROTECTED: &[(&str, &str)] = &[
    ("POST", "/accounts"),
    ("GET", "/accounts"),
    ("GET", "/accounts/{id}"),
    ("POST", "/accounts/{id}/close"),
    ("POST", "/deposit"),
    ("POST", "/withdraw"),
    ("POST", "/transfer"),
    ("POST", "/batches"),
    ("GET", "/operation-status/{id}"),
    ("GET", "/operations"),
    ("GET", "/transactions/{id}"),
    ("GET", "/balances/{id}"),
    ("GET", "/balances"),
    ("GET", "/notifications"),
    ("POST", "/notifications/{id}/read"),
    ("GET", "/notifications/preferences"),
    ("POST", "/auth/sign-out"),
    ("POST", "/auth/sign-out-everywhere"),
];

fn ask(person: &Person, method: &str, path: &str) -> Answer {
    if method == "GET" { person.get(path).send() } else { person.post(path).send() }
}

/// A problem without the request's own parts.
fn anonymous(problem: &Value, id: &str) -> String {
    let mut problem = problem.clone();
    problem["correlation_id"] = Value::Null;
    problem.to_string().replace(id, "{id}")
}

/// That the answer to another's id is the one to an id that nobody has.
#[track_caller]
fn assert_hidden(foreign: &Answer, foreign_id: &str, invented: &Answer) {
    let (foreign, invented) = (foreign.problem(&[404]), invented.problem(&[404]));
    assert_eq!(anonymous(&foreign, foreign_id), anonymous(&invented, INVENTED_ID));
}

#[test]
fn another_persons_account_does_not_exist() {
    let api = Api::from_environment();
    let (owner, intruder) = (Person::sign_up(&api), Person::sign_up(&api));
    let account_id = owner.open_account_with(10_000);
    for (method, path) in BY_ACCOUNT {
        let foreign = ask(&intruder, method, &path.replace("{id}", &account_id));
        let invented = ask(&intruder, method, &path.replace("{id}", INVENTED_ID));
        assert_hidden(&foreign, &account_id, &invented);
    }
    assert_eq!(owner.account(&account_id)["status"], "OPEN");
}

#[test]
fn another_persons_money_can_not_be_moved() {
    let api = Api::from_environment();
    let (owner, intruder) = (Person::sign_up(&api), Person::sign_up(&api));
    let (account_id, own) = (owner.open_account_with(10_000), intruder.open_account_with(100));
    let attempts = |id: &str| {
        [
            Operation::Deposit { account_id: id.to_owned(), minor: 1 },
            Operation::Withdraw { account_id: id.to_owned(), minor: 1 },
            Operation::Transfer { from_account_id: id.to_owned(), to_account_id: own.clone(), minor: 1 },
        ]
    };
    for (foreign, invented) in attempts(&account_id).iter().zip(&attempts(INVENTED_ID)) {
        assert_hidden(&intruder.ask(foreign).send(), &account_id, &intruder.ask(invented).send());
    }
    let nowhere =
        Operation::Transfer { from_account_id: own.clone(), to_account_id: INVENTED_ID.to_owned(), minor: 1 };
    intruder.ask(&nowhere).send().problem(&[404]);
    assert_eq!((owner.balance(&account_id), intruder.balance(&own)), (10_000, 100));
}

#[test]
fn a_foreign_account_is_not_told_apart_by_its_currency_or_amount() {
    let api = Api::from_environment();
    let (owner, intruder) = (Person::sign_up(&api), Person::sign_up(&api));
    let account_id = owner.open_account_with(10_000);
    for (amount, currency) in [("1", "USD"), ("1.001", "EUR"), ("0", "EUR"), ("1", "JPY")] {
        let ask = |id: &str| {
            let body = json!({"account_id": id, "amount": amount, "currency": currency});
            intruder.post("/withdraw").json(&body).send()
        };
        let (foreign, invented) = (ask(&account_id), ask(INVENTED_ID));
        assert_eq!(
            anonymous(&foreign.problem(&[404, 422]), &account_id),
            anonymous(&invented.problem(&[404, 422]), INVENTED_ID)
        );
    }
}

#[test]
fn another_persons_operation_does_not_exist() {
    let api = Api::from_environment();
    let (owner, intruder) = (Person::sign_up(&api), Person::sign_up(&api));
    let deposit = Operation::Deposit { account_id: owner.open_account("current", "EUR"), minor: 100 };
    let ended = owner.complete(&deposit);
    let operation_id = text(&ended, "operation_id");
    let status = |id: &str| intruder.get(format!("/operation-status/{id}")).send();
    assert_hidden(&status(operation_id), operation_id, &status(INVENTED_ID));
    assert!(intruder.all("/operations", 100).is_empty());
}

#[test]
fn the_payee_does_not_see_the_payers_operation() {
    let api = Api::from_environment();
    let (payer, payee) = (Person::sign_up(&api), Person::sign_up(&api));
    let (from, to) = (payer.open_account_with(1_000), payee.open_account("current", "EUR"));
    let ended = payer.complete(&Operation::Transfer { from_account_id: from, to_account_id: to, minor: 1 });
    let operation_id = text(&ended, "operation_id");
    let status = |id: &str| payee.get(format!("/operation-status/{id}")).send();
    assert_hidden(&status(operation_id), operation_id, &status(INVENTED_ID));
}

#[test]
fn another_persons_message_does_not_exist() {
    let api = Api::from_environment();
    let (owner, intruder) = (Person::sign_up(&api), Person::sign_up(&api));
    owner.open_account_with(100);
    let messages = wait_until("there is a message", || {
        Some(owner.all("/notifications", 100)).filter(|messages| !messages.is_empty())
    });
    let id = text(&messages[0], "notification_id");
    let read = |id: &str| intruder.post(format!("/notifications/{id}/read")).send();
    assert_hidden(&read(id), id, &read(INVENTED_ID));
    assert!(owner.all("/notifications", 100).iter().all(|message| message["read_at"].is_null()));
    assert!(intruder.all("/notifications", 100).is_empty());
}

#[test]
fn another_persons_cursor_opens_no_door() {
    let api = Api::from_environment();
    let (owner, intruder) = (Person::sign_up(&api), Person::sign_up(&api));
    let account_id = owner.open_account_with(100);
    owner.complete(&Operation::Deposit { account_id: account_id.clone(), minor: 100 });
    owner.open_account("second", "EUR");
    let own = intruder.open_account("current", "EUR");
    let history = (format!("/transactions/{account_id}"), format!("/transactions/{own}"));
    wait_until("the history has two lines", || (owner.history(&account_id).len() == 2).then_some(()));
    for (theirs, mine) in [
        (history.0.as_str(), history.1.as_str()),
        ("/accounts", "/accounts"),
        ("/operations", "/operations"),
        ("/balances", "/balances"),
    ] {
        let page = owner.get(format!("{theirs}?limit=1")).send().must_be(200).json();
        // A list that was given whole has no cursor to steal.
        let Some(cursor) = page["next_cursor"].as_str() else { continue };
        let answer = intruder.get(format!("{mine}?limit=100&cursor={cursor}")).send();
        if answer.status != 200 {
            answer.problem(&[400, 422]);
            continue;
        }
        assert!(!answer.body.contains(&account_id), "{mine} shows another's account: {}", answer.body);
    }
}

#[test]
fn without_a_token_nothing_is_told() {
    let api = Api::from_environment();
    let owner = Person::sign_up(&api);
    let account_id = owner.open_account_with(100);
    for (method, path) in PROTECTED {
        for id in [account_id.as_str(), INVENTED_ID] {
            let path = path.replace("{id}", id);
            let call = if *method == "GET" { api.get(&path) } else { api.post(&path) };
            let answer = call.send();
            let problem = answer.problem(&[401]);
            assert!(
                answer.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")),
                "{answer:?}"
            );
            assert!(!problem.to_string().contains(&account_id) || path.contains(&account_id), "{problem}");
        }
    }
}

#[test]
fn customers_are_no_operators() {
    let person = Person::sign_up(&Api::from_environment());
    for path in ["/ops/queues", "/ops/dead-letters", "/ops/trial-balance"] {
        person.get(path).send().problem(&[403, 404]);
        person.api.get(path).send().problem(&[401, 404]);
    }
}
