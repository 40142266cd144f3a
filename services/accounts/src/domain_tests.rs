//! Given an account, when this is asked or answered, then it is so.

use super::*;
use contracts::ledger::{AccountClosedEvent, CloseRejectedEvent};
use proptest::prelude::*;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LATER: Timestamp = Timestamp::from_millis(1_800_000_060_000);

fn owner() -> UserId {
    UserId::new(Uuid::from_u128(1))
}

fn account_id() -> AccountId {
    AccountId::new(Uuid::from_u128(2))
}

fn operation(number: u128) -> OperationId {
    OperationId::new(Uuid::from_u128(number))
}

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

fn opening(name: &str) -> Result<(Account, Message), Rejection> {
    let request = Request { name: name.to_owned(), currency: euro() };
    open(&request, Asked { owner: owner(), account_id: account_id(), now: NOW })
}

fn account(status: Status, revision: u64) -> Account {
    let (account, _) = opening("Savings").unwrap();
    Account { status, revision, ..account }
}

fn is_open() -> Status {
    Status::Open { close_rejected_reason: None }
}

fn was_not_closed(reason: FailureReason) -> Status {
    Status::Open { close_rejected_reason: Some(reason) }
}

fn is_closing(number: u128) -> Status {
    Status::Closing { operation_id: operation(number) }
}

fn is_closed() -> Status {
    Status::Closed { closed_at: LATER }
}

fn answer(number: u128, verdict: Verdict) -> Conclusion {
    Conclusion { operation_id: operation(number), account_id: account_id(), owner: owner(), verdict }
}

const CLOSED: Verdict = Verdict::Closed { closed_at: LATER };
const NOT_EMPTY: Verdict = Verdict::Rejected { reason: FailureReason::BalanceNotZero };

#[test]
fn a_new_account_is_open_and_the_others_are_told() {
    let (account, event) = opening("Savings").unwrap();
    assert_eq!((account.status.clone(), account.revision, account.created_at), (is_open(), 1, NOW));
    assert_eq!((account.owner, account.account_id, account.currency), (owner(), account_id(), euro()));
    assert_eq!(event, Message::CreateAccount(account.state()));
    assert_eq!(account.state().status, AccountStatus::Open);
}

#[test]
fn a_name_is_short_and_plain() {
    let longest = "ä".repeat(NAME_CHARACTERS_MAX);
    let longer = "x".repeat(NAME_CHARACTERS_MAX + 1);
    for (given, then) in [
        ("Savings", Ok("Savings")),
        ("  Für später 🐖\t\n", Ok("Für später 🐖")),
        ("x", Ok("x")),
        (&longest, Ok(longest.as_str())),
        ("", Err(Rejection::InvalidName)),
        (" \u{3000} ", Err(Rejection::InvalidName)),
        ("two\nlines", Err(Rejection::InvalidName)),
        ("nul\0", Err(Rejection::InvalidName)),
        ("\u{202E}sgnivaS", Err(Rejection::InvalidName)),
        (&longer, Err(Rejection::InvalidName)),
    ] {
        let name = opening(given).map(|(account, _)| account.name);
        assert_eq!(name.as_deref(), then.as_ref().map(|name| *name), "{given:?}");
    }
}

#[test]
fn an_account_is_closed_from_open_only() {
    for (given, then) in [
        (Some(is_open()), Ok(is_closing(7))),
        (Some(was_not_closed(FailureReason::BalanceNotZero)), Ok(is_closing(7))),
        (Some(is_closing(6)), Err(Rejection::AccountNotOpen)),
        (Some(is_closing(7)), Err(Rejection::AccountNotOpen)),
        (Some(is_closed()), Err(Rejection::AccountNotOpen)),
        (None, Err(Rejection::AccountNotFound)),
    ] {
        let stored = given.clone().map(|status| account(status, 4));
        let closing = close(stored.as_ref(), operation(7));
        assert_eq!(
            closing.as_ref().map(|(account, _)| account.status.clone()),
            then.as_ref().cloned(),
            "{given:?}"
        );
        if let Ok((account, command)) = closing {
            let Account { account_id, owner, currency, revision, .. } = account;
            assert_eq!(revision, 5);
            let asked = CloseAccountCmd { operation_id: operation(7), account_id, owner, currency };
            assert_eq!(command, Message::CloseAccountCmd(asked));
        }
    }
}

#[test]
fn only_the_answer_that_an_account_waits_for_changes_it() {
    let reason = FailureReason::BalanceNotZero;
    for (given, when, then) in [
        (is_closing(7), answer(7, CLOSED), Some(is_closed())),
        (is_closing(7), answer(7, NOT_EMPTY), Some(was_not_closed(reason))),
        (is_closing(7), answer(6, CLOSED), None),
        (is_closing(7), answer(6, NOT_EMPTY), None),
        (is_open(), answer(7, CLOSED), None),
        (was_not_closed(reason), answer(7, NOT_EMPTY), None),
        (is_closed(), answer(7, CLOSED), None),
        (is_closed(), answer(7, NOT_EMPTY), None),
    ] {
        let concluded = conclude(&account(given.clone(), 4), &when);
        let status = concluded.as_ref().map(|(account, _)| account.status.clone());
        assert_eq!(status, then, "{given:?} {when:?}");
        if let Some((account, event)) = concluded {
            assert_eq!(account.revision, 5);
            let told = (account.status == is_closed()).then(|| Message::CloseAccount(account.state()));
            assert_eq!(event, told, "{given:?} {when:?}");
        }
    }
}

#[test]
fn the_ledgers_answers_are_read() {
    let closed = AccountClosedEvent {
        operation_id: operation(7),
        account_id: account_id(),
        owner: owner(),
        currency: euro(),
        account_version: 9,
        occurred_at: LATER,
    };
    let rejected = CloseRejectedEvent {
        operation_id: operation(7),
        account_id: account_id(),
        owner: owner(),
        reason: FailureReason::BalanceNotZero,
        occurred_at: LATER,
    };
    assert_eq!(Conclusion::try_from(&Message::AccountClosed(closed)), Ok(answer(7, CLOSED)));
    assert_eq!(Conclusion::try_from(&Message::CloseRejected(rejected)), Ok(answer(7, NOT_EMPTY)));
    let other = Message::CloseAccount(account(is_closed(), 3).state());
    assert_eq!(Conclusion::try_from(&other), Err(NotAConclusion("CLOSE_ACCOUNT_EVENT")));
}

#[test]
fn an_account_waits_for_one_answer() {
    let asked = account(is_closing(7), 2);
    for (found, is_waiting) in [
        (is_closing(7), true),
        (is_closing(8), false),
        (is_open(), false),
        (was_not_closed(FailureReason::BalanceNotZero), false),
        (is_closed(), false),
    ] {
        assert_eq!(account(found.clone(), 3).waits_as(&asked), is_waiting, "{found:?}");
    }
    assert!(!asked.waits_as(&account(is_open(), 1)), "nothing is waited for that was never asked");
}

/// What may happen to an account.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Close,
    /// An answer to the request made so many requests ago.
    Answer {
        requests_ago: usize,
        verdict: Verdict,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    let verdict = prop_oneof![Just(CLOSED), Just(NOT_EMPTY)];
    prop_oneof![
        Just(Happening::Close),
        (0_usize..3, verdict).prop_map(|(requests_ago, verdict)| Happening::Answer { requests_ago, verdict }),
    ]
}

proptest! {
    /// Whatever is asked and answered, in whatever order and however often, the account is closed once at most, by the
    /// answer to the newest request, and a rebuild makes the events again that were sent.
    #[test]
    fn an_account_is_closed_once_and_for_good(happenings in prop::collection::vec(happening(), 0..40)) {
        let (mut account, event) = opening("Savings").unwrap();
        let mut sent = vec![event];
        let mut requests: Vec<OperationId> = Vec::new();
        for happening in happenings {
            let before = account.clone();
            let changed = match happening {
                Happening::Close => {
                    let operation_id = operation(100 + requests.len() as u128);
                    close(Some(&account), operation_id).ok().map(|(account, _)| {
                        requests.push(operation_id);
                        (account, None)
                    })
                }
                Happening::Answer { requests_ago, verdict } => {
                    let asked = requests.iter().rev().nth(requests_ago);
                    asked.and_then(|asked| {
                        conclude(&account, &Conclusion { operation_id: *asked, ..answer(0, verdict) })
                    })
                }
            };
            let Some((next, event)) = changed else { continue };
            prop_assert_eq!(next.revision, before.revision + 1);
            prop_assert!(!matches!(before.status, Status::Closed { .. }), "a closed account never changes");
            if matches!(happening, Happening::Answer { .. }) {
                prop_assert_eq!(before.status, Status::Closing { operation_id: requests[requests.len() - 1] });
            }
            sent.extend(event);
            account = next;
        }
        prop_assert_eq!(events(&account), sent);
    }

    #[test]
    fn no_name_panics(name in ".{0,120}") {
        if let Ok((account, _)) = opening(&name) {
            prop_assert_eq!(account.name.trim(), &account.name);
            prop_assert!(!account.name.is_empty());
        }
    }
}
