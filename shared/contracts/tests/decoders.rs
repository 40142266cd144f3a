//! Messages as they may come: any message reads back as it was written, and a damaged one is refused or is a message
//! like any other, whatever its kind and version are.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use conformance::records::{any_json, damaged};
use contracts::accounts::{AccountState, AccountStatus, CloseAccountCmd};
use contracts::banking::{MoveCmd, Party, TransferCmd};
use contracts::ledger::{
    AccountClosedEvent, CloseRejectedEvent, FailureReason, Leg, MoveFailedEvent, MovedEvent,
    TransferFailedEvent, TransferredEvent,
};
use contracts::{DecodeError, Kind, Message, VERSION};
use kernel::{AccountId, Currency, Money, OperationId, Timestamp, UserId};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Reads an identifier by its number.
fn id<T: for<'a> Deserialize<'a>>(number: u128) -> T {
    let digits = format!("{number:032x}");
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    serde_json::from_value(json!(parts.join("-"))).unwrap()
}

fn currency() -> impl Strategy<Value = Currency> {
    select(&["EUR", "JPY", "BHD", "CLF"][..]).prop_map(|code| code.parse().unwrap())
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

/// What nearly every message has: an operation, two accounts with their owners, and an amount.
#[derive(Clone, Debug)]
struct Parts {
    operation_id: OperationId,
    accounts: [AccountId; 2],
    owners: [UserId; 2],
    amount: Money,
    balance: Money,
    version: u64,
    description: Option<String>,
    at: Timestamp,
    closed_at: Option<Timestamp>,
    reason: FailureReason,
    status: AccountStatus,
}

fn parts() -> impl Strategy<Value = Parts> {
    use FailureReason::{
        AccountClosed, BalanceNotZero, BalanceTooLarge, CurrencyMismatch, InsufficientFunds,
    };
    let reasons = [InsufficientFunds, AccountClosed, CurrencyMismatch, BalanceTooLarge, BalanceNotZero];
    let statuses = [AccountStatus::Open, AccountStatus::Closing, AccountStatus::Closed];
    let minor = || (i64::MIN + 1)..=i64::MAX;
    (
        any::<[u128; 5]>(),
        (minor(), minor(), currency()),
        any::<u64>(),
        option::of(any::<String>()),
        (time(), option::of(time())),
        (select(reasons.to_vec()), select(statuses.to_vec())),
    )
        .prop_map(|(ids, (amount, balance, currency), version, description, times, names)| Parts {
            operation_id: id(ids[0]),
            accounts: [id(ids[1]), id(ids[2])],
            owners: [id(ids[3]), id(ids[4])],
            amount: Money::from_minor(amount, currency),
            balance: Money::from_minor(balance, currency),
            version,
            description,
            at: times.0,
            closed_at: times.1,
            reason: names.0,
            status: names.1,
        })
}

impl Parts {
    fn message(self, kind: Kind) -> Message {
        match kind {
            Kind::CreateAccount => Message::CreateAccount(self.account()),
            Kind::CloseAccount => Message::CloseAccount(self.account()),
            Kind::DepositCmd => Message::DepositCmd(self.movement()),
            Kind::WithdrawCmd => Message::WithdrawCmd(self.movement()),
            Kind::Deposited => Message::Deposited(self.moved()),
            Kind::Withdrawn => Message::Withdrawn(self.moved()),
            Kind::DepositFailed => Message::DepositFailed(self.move_failed()),
            Kind::WithdrawFailed => Message::WithdrawFailed(self.move_failed()),
            Kind::TransferCmd | Kind::Transferred | Kind::TransferFailed => self.transfer(kind),
            Kind::CloseAccountCmd | Kind::AccountClosed | Kind::CloseRejected => self.closing(kind),
        }
    }

    fn account(self) -> AccountState {
        AccountState {
            account_id: self.accounts[0],
            owner: self.owners[0],
            name: self.description.unwrap_or_default(),
            currency: self.amount.currency,
            status: self.status,
            revision: self.version,
            created_at: self.at,
            closed_at: self.closed_at,
        }
    }

    fn movement(self) -> MoveCmd {
        let Self { operation_id, accounts: [account_id, _], owners: [owner, _], amount, description, .. } =
            self;
        MoveCmd { operation_id, account_id, owner, amount, description }
    }

    fn moved(self) -> MovedEvent {
        MovedEvent {
            operation_id: self.operation_id,
            account_id: self.accounts[0],
            owner: self.owners[0],
            amount: self.amount,
            balance_after: self.balance,
            account_version: self.version,
            description: self.description,
            occurred_at: self.at,
        }
    }

    fn move_failed(self) -> MoveFailedEvent {
        MoveFailedEvent {
            operation_id: self.operation_id,
            account_id: self.accounts[0],
            owner: self.owners[0],
            amount: self.amount,
            reason: self.reason,
            balance_after: self.closed_at.map(|_| self.balance),
            account_version: self.version,
            description: self.description,
            occurred_at: self.at,
        }
    }

    fn transfer(self, kind: Kind) -> Message {
        let party = |side: usize| Party { account_id: self.accounts[side], owner: self.owners[side] };
        let leg = |side: usize| Leg {
            account_id: self.accounts[side],
            owner: self.owners[side],
            balance_after: self.balance,
            account_version: self.version,
        };
        let (operation_id, amount, occurred_at) = (self.operation_id, self.amount, self.at);
        let description = self.description.clone();
        match kind {
            Kind::TransferCmd => {
                let (from, to) = (party(0), party(1));
                Message::TransferCmd(TransferCmd { operation_id, from, to, amount, description })
            }
            Kind::Transferred => {
                let (from, to) = (leg(0), leg(1));
                let event = TransferredEvent { operation_id, from, to, amount, description, occurred_at };
                Message::Transferred(event)
            }
            _ => Message::TransferFailed(TransferFailedEvent {
                operation_id,
                from: party(0),
                to: party(1),
                amount,
                reason: self.reason,
                balance_after: self.closed_at.map(|_| self.balance),
                account_version: self.version,
                description,
                occurred_at,
            }),
        }
    }

    fn closing(self, kind: Kind) -> Message {
        let (operation_id, account_id, owner) = (self.operation_id, self.accounts[0], self.owners[0]);
        let (currency, reason, occurred_at) = (self.amount.currency, self.reason, self.at);
        match kind {
            Kind::CloseAccountCmd => {
                Message::CloseAccountCmd(CloseAccountCmd { operation_id, account_id, owner, currency })
            }
            Kind::AccountClosed => Message::AccountClosed(AccountClosedEvent {
                operation_id,
                account_id,
                owner,
                currency,
                account_version: self.version,
                occurred_at,
            }),
            _ => Message::CloseRejected(CloseRejectedEvent {
                operation_id,
                account_id,
                owner,
                reason,
                occurred_at,
            }),
        }
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    (parts(), select(Kind::ALL)).prop_map(|(parts, kind)| parts.message(kind))
}

fn decode(kind: &str, version: u32, body: &Value) -> Result<Message, DecodeError> {
    Message::decode(kind, version, &serde_json::value::to_raw_value(body).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_048) })]

    #[test]
    fn every_message_reads_back(message in any_message()) {
        let (kind, body) = (message.kind().name(), message.body());
        prop_assert_eq!(&Message::decode(kind, VERSION, &body).unwrap(), &message);
        // As it lies in a store that keeps objects without their order, too.
        let reordered: Value = serde_json::from_str(body.get()).unwrap();
        prop_assert_eq!(decode(kind, VERSION, &reordered).unwrap(), message);
    }

    #[test]
    fn a_damaged_message_is_refused_or_is_a_message(
        (kind, body) in any_message().prop_flat_map(|message| {
            let body: Value = serde_json::from_str(message.body().get()).unwrap();
            (Just(message.kind()), damaged(&body))
        })
    ) {
        match decode(kind.name(), VERSION, &body) {
            Ok(read) => {
                prop_assert_eq!(read.kind(), kind);
                prop_assert_eq!(Message::decode(kind.name(), VERSION, &read.body()).unwrap(), read);
            }
            Err(DecodeError::Body { kind: named, .. }) => prop_assert_eq!(named, kind.name()),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }

    #[test]
    fn any_kind_version_and_body_have_an_answer(
        kind in prop_oneof![any::<String>(), select(Kind::ALL).prop_map(|kind| kind.name().to_owned())],
        version in prop_oneof![Just(VERSION), any::<u32>()],
        body in any_json(),
    ) {
        let is_known = Kind::ALL.iter().any(|known| known.name() == kind);
        match decode(&kind, version, &body) {
            Ok(_) => prop_assert!(is_known && version == VERSION),
            Err(DecodeError::Kind(named)) => prop_assert!(!is_known && named == kind),
            Err(DecodeError::Version { .. }) => prop_assert!(is_known && version != VERSION),
            Err(DecodeError::Body { .. }) => prop_assert!(is_known && version == VERSION),
        }
    }

    #[test]
    fn a_body_that_is_cut_short_is_no_json(message in any_message(), at in any::<prop::sample::Index>()) {
        let body = message.body();
        let cut: Vec<u8> = body.get().bytes().take(at.index(body.get().len())).collect();
        prop_assert!(serde_json::from_slice::<Box<RawValue>>(&cut).is_err());
    }
}
