//! Letters, by a real bank to a mail server that takes them, refuses them, or takes its time.

use serde_json::{Value, json};

use crate::mail_server::{MAIL_PASSWORD, MailServer, Mode};
use crate::support::{Directory, PASSWORD, Serving, until};

const ADA: &str = "ada@example.com";
const EVE: &str = "eve@example.com";

fn serve(directory: &Directory, mail_server_url: &str) -> Serving {
    Serving::start_with(
        directory,
        &["--mail-from", "The Bank <bank@example.com>", "--rate-limit", "off"],
        &[("BANK_SMTP_URL", mail_server_url), ("BANK_LOG", "debug")],
    )
}

/// The bank of the demo, whose month was sent no letters of, and Ada as its operator.
fn demo() -> Directory {
    let directory = Directory::with_demo();
    directory.run(&["operators", "add", ADA]).success();
    directory
}

/// Ada, who has a confirmed address, and an account of hers with 1183.87 euros.
struct Ada<'a> {
    serving: &'a Serving,
    token: String,
    account_id: String,
}

impl<'a> Ada<'a> {
    fn sign_in(serving: &'a Serving) -> Self {
        let token = serving.sign_in(ADA);
        let (_, balances) = serving.get(&token, "/balances");
        let account_id = balances["items"][0]["account_id"].as_str().unwrap().to_owned();
        Self { serving, token, account_id }
    }

    /// Deposits or withdraws, and returns the id of the operation, which has ended.
    fn moves(&self, path: &str, amount: &str) -> String {
        let body = json!({"account_id": self.account_id, "amount": amount, "description": "Zoë’s café"});
        let (status, operation) = self.serving.post_as(&self.token, path, &body);
        assert_eq!((status, &operation["status"]), (200, &json!("COMPLETED")), "{operation}");
        operation["operation_id"].as_str().unwrap().to_owned()
    }

    /// Waits until her inbox tells of an operation.
    fn is_told_of(&self, operation_id: &str) {
        until("a notification", || {
            let (_, inbox) = self.serving.get(&self.token, "/notifications");
            inbox["items"]
                .as_array()
                .unwrap()
                .iter()
                .find(|item| item["operation_id"] == operation_id)
                .cloned()
        });
    }

    /// Waits until no letter is left to be sent.
    fn has_no_letter_to_wait_for(&self) {
        until("the end of a queue", || {
            let (_, queues) = self.serving.get(&self.token, "/ops/queues");
            let queues = queues["items"].as_array().unwrap();
            let queue = queues.iter().find(|queue| queue["consumer"] == "notifications_emails").unwrap();
            (queue["waiting"] == 0 && queue["retrying"] == 0).then_some(())
        });
    }
}

/// Nothing that was logged tells an address, a password, or any of these.
fn assert_discreet(directory: &Directory, secrets: &[&str]) {
    let log = directory.log();
    assert!(log.contains("answered"), "{log}");
    for secret in ["@", PASSWORD, MAIL_PASSWORD].iter().chain(secrets) {
        assert!(!log.contains(secret), "{secret:?} is in the log: {log}");
    }
}

/// A code that is not this one.
fn other_than(code: &str) -> String {
    code.chars().map(|digit| if digit == '7' { '1' } else { '7' }).collect()
}

#[test]
fn an_address_is_confirmed_and_a_password_replaced_by_the_code_of_a_letter() {
    const NEW_PASSWORD: &str = "one person and a year";
    let (directory, mail) = (Directory::new(), MailServer::start(Mode::Accept));
    let serving = serve(&directory, &mail.url());
    let sign_in = |password: &str| {
        let (status, answer) = serving.post("/auth/sign-in", &json!({"email": EVE, "password": password}));
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    let spend = |path: &str, body: Value| {
        let (status, answer) = serving.post(path, &body);
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };

    assert_eq!(serving.post("/auth/sign-up", &json!({"email": EVE, "password": PASSWORD})).0, 201);
    assert_eq!(sign_in(PASSWORD), refused(403, "NOT_CONFIRMED"));
    let letter = mail.letter(1);
    assert_eq!((letter.to.as_str(), letter.from.as_str()), (EVE, "\"The Bank\" <bank@example.com>"));
    assert_eq!(letter.subject, "Your code to confirm your email address");
    let confirm = |code: &str| spend("/auth/confirm", json!({"email": EVE, "code": code}));
    assert_eq!(confirm(&other_than(letter.code())), refused(422, "INVALID_CODE"));
    assert_eq!(sign_in(PASSWORD), refused(403, "NOT_CONFIRMED"));
    assert_eq!(confirm(letter.code()), refused(204, ""));
    assert_eq!(confirm(letter.code()), refused(422, "INVALID_CODE"), "a code is good once");
    assert_eq!(sign_in(PASSWORD), refused(200, ""));

    for email in ["nobody@example.com", EVE] {
        assert_eq!(spend("/auth/forgot-password", json!({"email": email})), refused(204, ""));
    }
    let reset_letter = mail.letter(2);
    assert_eq!(
        (reset_letter.to.as_str(), reset_letter.subject.as_str()),
        (EVE, "Your code to set a new password")
    );
    let reset = |code: &str| {
        spend("/auth/reset-password", json!({"email": EVE, "code": code, "new_password": NEW_PASSWORD}))
    };
    assert_eq!(reset(&other_than(reset_letter.code())), refused(422, "INVALID_CODE"));
    assert_eq!(sign_in(PASSWORD), refused(200, ""), "a wrong code changes nothing");
    assert_eq!(reset(reset_letter.code()), refused(204, ""));
    assert_eq!(sign_in(PASSWORD), refused(401, "WRONG_CREDENTIALS"));
    assert_eq!(sign_in(NEW_PASSWORD), refused(200, ""));
    serving.stop();
    assert_eq!(mail.letters().len(), 2, "nobody is written to in vain, and nobody twice");

    let secrets = [NEW_PASSWORD, letter.code(), reset_letter.code()];
    assert_discreet(&directory, &secrets);
}

#[test]
fn whoever_withdraws_is_written_to_unless_she_does_not_want_it() {
    let (directory, mail) = (demo(), MailServer::start(Mode::Accept));
    let serving = serve(&directory, &mail.url());
    let ada = Ada::sign_in(&serving);
    ada.moves("/deposit", "20.00");
    ada.moves("/withdraw", "12.50");
    let letter = mail.letter(1);
    assert_eq!((letter.to.as_str(), letter.subject.as_str()), (ADA, "You withdrew 12.50 EUR"));
    let told = "12.50 EUR was paid out of your account. It now holds 1191.37 EUR. Your note: “Zoë’s café”.";
    assert!(letter.body.contains(told), "{letter:?}");

    let prefer = |email: bool| {
        let preferences = json!({"email": email});
        let answer = serving.put_as(&ada.token, "/notifications/preferences", &preferences);
        assert_eq!(answer, (200, preferences));
    };
    prefer(false);
    let silent = ada.moves("/withdraw", "13.50");
    ada.is_told_of(&silent);
    ada.has_no_letter_to_wait_for();
    prefer(true);
    ada.moves("/withdraw", "14.50");
    assert_eq!(mail.letter(2).subject, "You withdrew 14.50 EUR");
    ada.has_no_letter_to_wait_for();
    let token = ada.token.clone();
    serving.stop();
    assert_eq!(mail.letters().len(), 2);
    assert!(directory.log().contains("message handled"), "the bank logs all it has to say");
    assert_discreet(&directory, &[&token]);
}

#[test]
fn a_letter_that_is_refused_for_good_is_a_dead_letter_until_it_is_sent_again() {
    let (directory, mail) = (demo(), MailServer::start(Mode::RefuseForGood));
    let serving = serve(&directory, &mail.url());
    let ada = Ada::sign_in(&serving);
    let withdrawal = ada.moves("/withdraw", "12.50");
    let dead_letter_id = until("a dead letter", || {
        let list = directory.run(&["dead-letters", "list"]);
        let row = list.success().lines().nth(1)?;
        assert!(
            row.contains(" notifications_emails ") && row.ends_with("the mail server answered 550"),
            "{row}"
        );
        row.split(' ').next().map(str::to_owned)
    });
    let show = directory.run(&["dead-letters", "show", &dead_letter_id]);
    assert!(show.success().contains(&withdrawal) && !show.stdout.contains('@'), "{show:?}");
    let deposit = ada.moves("/deposit", "20.00");
    ada.is_told_of(&withdrawal);
    ada.is_told_of(&deposit);
    // A code that is refused dies with its letter: she asks for another.
    assert_eq!(serving.post("/auth/sign-up", &json!({"email": EVE, "password": PASSWORD})).0, 201);
    until("a refused code", || directory.log().contains("a letter with a code was refused").then_some(()));

    mail.set(Mode::Accept);
    directory.run(&["dead-letters", "redrive", &dead_letter_id]).success();
    assert_eq!(mail.letter(1).subject, "You withdrew 12.50 EUR");
    ada.has_no_letter_to_wait_for();
    assert_eq!(directory.run(&["dead-letters", "list"]).success(), "There are no dead letters.\n");
    serving.stop();
    assert_eq!(mail.letters().len(), 1);
    assert!(directory.log().contains("message is a dead letter now"));
    assert_discreet(&directory, &[]);
}

#[test]
fn what_is_refused_for_now_is_sent_later_and_once() {
    let (directory, mail) = (demo(), MailServer::start(Mode::RefuseForNow));
    let serving = serve(&directory, &mail.url());
    let ada = Ada::sign_in(&serving);
    ada.moves("/withdraw", "12.50");
    assert_eq!(serving.post("/auth/sign-up", &json!({"email": EVE, "password": PASSWORD})).0, 201);
    mail.begun(2);
    assert_eq!(mail.letters(), []);
    mail.set(Mode::Accept);
    mail.letter(2);
    ada.has_no_letter_to_wait_for();
    serving.stop();
    let letters = mail.letters();
    let mut readers: Vec<&str> = letters.iter().map(|letter| letter.to.as_str()).collect();
    readers.sort_unstable();
    assert_eq!(readers, [ADA, EVE]);
    assert_eq!(directory.run(&["dead-letters", "list"]).success(), "There are no dead letters.\n");
    assert!(directory.log().contains("message will be delivered again"));
    let codes = letters.iter().filter(|letter| letter.to == EVE).map(|letter| letter.code());
    assert_discreet(&directory, &codes.collect::<Vec<_>>());
}

#[test]
fn a_letter_that_comes_twice_because_an_answer_was_lost_can_be_told() {
    let (directory, mail) = (demo(), MailServer::start(Mode::LoseAnswer));
    let serving = serve(&directory, &mail.url());
    let ada = Ada::sign_in(&serving);
    ada.moves("/withdraw", "12.50");
    let first = mail.letter(1);
    mail.set(Mode::Accept);
    let second = mail.letter(2);
    assert!(first.message_id.ends_with("@example.com>"), "{first:?}");
    assert_eq!(first, second);
    ada.has_no_letter_to_wait_for();
    serving.stop();
    assert_discreet(&directory, &[]);
}

#[test]
fn a_slow_mail_server_holds_up_nothing_but_letters() {
    const MORE: usize = 40;
    let (directory, mail) = (demo(), MailServer::start(Mode::Hold));
    let serving = serve(&directory, &mail.url());
    let ada = Ada::sign_in(&serving);
    let withdrawal = ada.moves("/withdraw", "12.50");
    mail.begun(1);
    let deposit = ada.moves("/deposit", "20.00");
    ada.is_told_of(&withdrawal);
    ada.is_told_of(&deposit);
    // More letters than are handed to the mail server at once: all of them wait, and no movement does.
    for _ in 0..MORE {
        ada.moves("/deposit", "1.00");
        ada.moves("/withdraw", "1.00");
    }
    assert_eq!(mail.letters(), []);
    mail.set(Mode::Accept);
    mail.letter(1 + MORE);
    ada.has_no_letter_to_wait_for();
    serving.stop();
    assert_eq!(mail.letters().len(), 1 + MORE);
    assert_discreet(&directory, &[]);
}

#[test]
fn letters_wait_while_the_bank_itself_cannot_sign_in_to_the_mail_server() {
    const WRONG_PASSWORD: &str = "letters-and-postcards";
    let (directory, mail) = (demo(), MailServer::start(Mode::Accept));
    let serving = serve(&directory, &mail.url_with(WRONG_PASSWORD));
    Ada::sign_in(&serving).moves("/withdraw", "12.50");
    until("a refused sign-in", || directory.log().contains("the mail server answered 535").then_some(()));
    serving.stop();
    assert_eq!(directory.run(&["dead-letters", "list"]).success(), "There are no dead letters.\n");

    let serving = serve(&directory, &mail.url());
    assert_eq!(mail.letter(1).subject, "You withdrew 12.50 EUR");
    Ada::sign_in(&serving).has_no_letter_to_wait_for();
    serving.stop();
    assert_eq!(mail.letters().len(), 1);
    assert_discreet(&directory, &[WRONG_PASSWORD]);
}
