//! Given nothing, when this happens, then these people are told that.

use super::*;
use contracts::accounts::AccountStatus;
use contracts::banking::{MoveCmd, Party};
use contracts::ledger::AccountClosedEvent;
use contracts::topology::ROUTES;
use contracts::topology::consumers::NOTIFICATIONS_EMAILS;
use kernel::Money;
use proptest::prelude::*;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LATER: Timestamp = Timestamp::from_millis(1_800_000_060_000);

fn ada() -> UserId {
    UserId::new(Uuid::from_u128(1))
}

fn bob() -> UserId {
    UserId::new(Uuid::from_u128(2))
}

fn account(number: u128) -> AccountId {
    AccountId::new(Uuid::from_u128(number))
}

fn operation(number: u128) -> OperationId {
    OperationId::new(
        Builder::from_unix_timestamp_millis(1, &number.to_be_bytes()[6..].try_into().unwrap()).into_uuid(),
    )
}

fn euros(minor: i64) -> Money {
    Money::from_minor(minor, "EUR".parse().unwrap())
}

fn moved(description: Option<&str>) -> MovedEvent {
    MovedEvent {
        operation_id: operation(9),
        account_id: account(11),
        owner: ada(),
        amount: euros(1_250),
        balance_after: euros(11_250),
        account_version: 3,
        description: description.map(str::to_owned),
        occurred_at: NOW,
    }
}

fn move_refused(reason: FailureReason) -> MoveFailedEvent {
    MoveFailedEvent {
        operation_id: operation(9),
        account_id: account(11),
        owner: ada(),
        amount: euros(1_250),
        reason,
        balance_after: Some(euros(300)),
        account_version: 3,
        description: None,
        occurred_at: NOW,
    }
}

fn transferred(payee: UserId, description: Option<&str>) -> TransferredEvent {
    TransferredEvent {
        operation_id: operation(9),
        from: Leg { account_id: account(11), owner: ada(), balance_after: euros(7_700), account_version: 4 },
        to: Leg { account_id: account(12), owner: payee, balance_after: euros(8_800), account_version: 2 },
        amount: euros(1_250),
        description: description.map(str::to_owned),
        occurred_at: NOW,
    }
}

fn transfer_refused(reason: FailureReason) -> TransferFailedEvent {
    TransferFailedEvent {
        operation_id: operation(9),
        from: Party { account_id: account(11), owner: ada() },
        to: Party { account_id: account(12), owner: bob() },
        amount: euros(1_250),
        reason,
        balance_after: Some(euros(300)),
        account_version: 3,
        description: None,
        occurred_at: NOW,
    }
}

fn state(status: AccountStatus, closed_at: Option<Timestamp>) -> AccountState {
    AccountState {
        account_id: account(11),
        owner: ada(),
        name: "Savings".to_owned(),
        currency: "EUR".parse().unwrap(),
        status,
        revision: 1,
        created_at: NOW,
        closed_at,
    }
}

fn close_refused(reason: FailureReason) -> CloseRejectedEvent {
    CloseRejectedEvent {
        operation_id: operation(9),
        account_id: account(11),
        owner: ada(),
        reason,
        occurred_at: NOW,
    }
}

/// What Ada alone is told of an event about her account.
fn told(when: &Message) -> Notice {
    let mut told = notices(when);
    assert_eq!(told.len(), 1, "{when:?} concerns one person");
    let then = told.remove(0);
    assert_eq!((then.owner, then.account_id), (ada(), account(11)), "{when:?}");
    then
}

#[test]
fn who_moved_money_is_told() {
    for (when, kind, title, text) in [
        (
            Message::Deposited(moved(None)),
            Kind::DepositCompleted,
            "You received 12.50 EUR",
            "12.50 EUR was paid into your account. It now holds 112.50 EUR.",
        ),
        (
            Message::Withdrawn(moved(Some("for the rent"))),
            Kind::WithdrawCompleted,
            "You withdrew 12.50 EUR",
            "12.50 EUR was paid out of your account. It now holds 112.50 EUR. Your note: “for the rent”.",
        ),
        (
            Message::Transferred(transferred(ada(), Some("for later"))),
            Kind::TransferMoved,
            "You moved 12.50 EUR",
            "12.50 EUR was moved between your accounts. The one it left now holds 77.00 EUR, the other 88.00 EUR. \
             Your note: “for later”.",
        ),
    ] {
        let then = told(&when);
        assert_eq!((then.kind, then.title.as_str(), then.text.as_str()), (kind, title, text));
        assert_eq!(then.operation_id, Some(operation(9)), "{when:?}");
    }
}

#[test]
fn who_failed_is_told_why() {
    use FailureReason::{
        AccountClosed, BalanceNotZero, BalanceTooLarge, CurrencyMismatch, InsufficientFunds,
    };
    let deposit = |reason| Message::DepositFailed(move_refused(reason));
    let withdrawal = |reason| Message::WithdrawFailed(move_refused(reason));
    let transfer = |reason| Message::TransferFailed(transfer_refused(reason));
    for (when, kind, movement, words) in [
        (deposit(AccountClosed), Kind::DepositFailed, "deposit", "the account is closed"),
        (
            deposit(CurrencyMismatch),
            Kind::DepositFailed,
            "deposit",
            "the account is kept in another currency",
        ),
        (
            deposit(BalanceTooLarge),
            Kind::DepositFailed,
            "deposit",
            "the account would hold more than the bank can count",
        ),
        (
            withdrawal(InsufficientFunds),
            Kind::WithdrawFailed,
            "withdrawal",
            "there was not enough money in the account",
        ),
        (
            transfer(InsufficientFunds),
            Kind::TransferFailed,
            "transfer",
            "there was not enough money in the account",
        ),
        (transfer(AccountClosed), Kind::TransferFailed, "transfer", "one of the two accounts is closed"),
        (
            transfer(CurrencyMismatch),
            Kind::TransferFailed,
            "transfer",
            "the two accounts are not kept in the currency of the transfer",
        ),
        (
            transfer(BalanceTooLarge),
            Kind::TransferFailed,
            "transfer",
            "the bank cannot post so much to the account to be paid",
        ),
    ] {
        let then = told(&when);
        assert_eq!(then.kind, kind, "{when:?}");
        assert_eq!(then.title, format!("Your {movement} of 12.50 EUR failed"));
        assert_eq!(then.text, format!("No money was moved: {words}."));
        assert_eq!(then.operation_id, Some(operation(9)), "{when:?}");
    }
    let then = told(&Message::CloseRejected(close_refused(BalanceNotZero)));
    assert_eq!((then.kind, then.title.as_str()), (Kind::AccountNotClosed, "Your account was not closed"));
    assert_eq!(then.text, "Your account stays as it was: there is still money in the account.");
}

#[test]
fn an_owner_is_told_of_her_accounts_life() {
    let then = told(&Message::CreateAccount(state(AccountStatus::Open, None)));
    assert_eq!((then.kind, then.title.as_str()), (Kind::AccountOpened, "Your account is open"));
    assert_eq!(then.text, "Your account “Savings” in EUR is open.");
    assert_eq!((then.operation_id, then.notification_id.made_at()), (None, Some(NOW)));

    let then = told(&Message::CloseAccount(state(AccountStatus::Closed, Some(LATER))));
    assert_eq!((then.kind, then.title.as_str()), (Kind::AccountClosed, "Your account is closed"));
    assert_eq!(then.text, "Your account “Savings” in EUR is closed for good.");
    assert_eq!((then.operation_id, then.notification_id.made_at()), (None, Some(LATER)));
}

#[test]
fn the_two_sides_of_a_transfer_do_not_hear_each_others_balance() {
    let told = notices(&Message::Transferred(transferred(bob(), Some("rent"))));
    let [payer, payee] = &told[..] else { panic!("two people are told: {told:?}") };
    assert_eq!((payer.owner, payer.kind, payer.account_id), (ada(), Kind::TransferSent, account(11)));
    assert_eq!(payer.title, "You sent 12.50 EUR");
    assert_eq!(
        payer.text,
        "12.50 EUR was transferred from your account. It now holds 77.00 EUR. Your note: “rent”."
    );
    assert_eq!((payee.owner, payee.kind, payee.account_id), (bob(), Kind::TransferReceived, account(12)));
    assert_eq!(payee.title, "You received 12.50 EUR");
    assert_eq!(
        payee.text,
        "12.50 EUR was transferred to your account. It now holds 88.00 EUR. The sender wrote: “rent”."
    );
    assert_ne!(payer.notification_id, payee.notification_id);
}

#[test]
fn what_concerns_nobody_is_passed_over() {
    let closed = AccountClosedEvent {
        operation_id: operation(9),
        account_id: account(11),
        owner: ada(),
        currency: "EUR".parse().unwrap(),
        account_version: 3,
        occurred_at: NOW,
    };
    let command = MoveCmd {
        operation_id: operation(9),
        account_id: account(11),
        owner: ada(),
        amount: euros(1),
        description: None,
    };
    for when in
        [Message::AccountClosed(closed), Message::DepositCmd(command.clone()), Message::WithdrawCmd(command)]
    {
        assert_eq!(notices(&when), [], "{when:?}");
    }
}

#[test]
fn a_letter_is_for_what_its_owner_must_hear() {
    for (when, is_worth_it) in [
        (Message::Deposited(moved(None)), [false].as_slice()),
        (Message::Withdrawn(moved(None)), &[true]),
        (Message::Transferred(transferred(bob(), None)), &[true, false]),
        (Message::Transferred(transferred(ada(), None)), &[false]),
        (Message::DepositFailed(move_refused(FailureReason::AccountClosed)), &[false]),
        (Message::WithdrawFailed(move_refused(FailureReason::InsufficientFunds)), &[false]),
        (Message::TransferFailed(transfer_refused(FailureReason::InsufficientFunds)), &[false]),
        (Message::CreateAccount(state(AccountStatus::Open, None)), &[false]),
        (Message::CloseAccount(state(AccountStatus::Closed, Some(LATER))), &[true]),
        (Message::CloseRejected(close_refused(FailureReason::BalanceNotZero)), &[false]),
    ] {
        let letters: Vec<bool> =
            notices(&when).iter().map(|notice| notice.kind.is_worth_a_letter()).collect();
        assert_eq!(letters, is_worth_it, "{when:?}");
        // The queue of the letters hears what may become one; of a transfer between one's own accounts none does.
        let route = ROUTES.iter().find(|route| route.kind == when.kind()).unwrap();
        let is_heard = route.receivers.contains(&NOTIFICATIONS_EMAILS);
        assert!(is_heard || !letters.contains(&true), "no letter would ever be sent of {when:?}");
        let is_transfer = matches!(when, Message::Transferred(_));
        assert!(!is_heard || is_transfer || letters.contains(&true), "{when:?} is sent for nothing");
    }
}

proptest! {
    /// An event names its notices by itself: always the same, in the order of time, and no two alike, be they of one
    /// event or of two.
    #[test]
    fn notices_are_named_by_what_they_are_about(
        first in any::<u64>(), second in any::<u64>(), first_ms in 0_i64..1 << 47, second_ms in 0_i64..1 << 47,
    ) {
        prop_assume!(first != second);
        let named = |number: u64, millis| {
            let event = TransferredEvent {
                // The part of the identifier that the kind is folded into is as random as the rest.
                operation_id: operation(u128::from(number) << 16),
                occurred_at: Timestamp::from_millis(millis),
                ..transferred(bob(), None)
            };
            notices(&Message::Transferred(event)).iter().map(|notice| notice.notification_id).collect::<Vec<_>>()
        };
        let (one, other) = (named(first, first_ms), named(second, second_ms));
        prop_assert_eq!(&one, &named(first, first_ms));
        prop_assert_ne!(one[0], one[1]);
        prop_assert!(one.iter().all(|id| !other.contains(id)));
        prop_assert_eq!(one[0].made_at(), Some(Timestamp::from_millis(first_ms)));
        if first_ms < second_ms {
            prop_assert!(one[0].to_string() < other[1].to_string());
        }
    }
}
