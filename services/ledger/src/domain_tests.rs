//! Given these heads, when this command comes, then that is the verdict; and what holds whatever commands come.

use FailureReason::{AccountClosed, BalanceNotZero, BalanceTooLarge, CurrencyMismatch, InsufficientFunds};
use contracts::VERSION;
use proptest::prelude::*;

use super::*;
use crate::fixture::*;

/// The largest balance there can be.
const MOST: &str = "92233720368547758.07 EUR";

/// An account that has had five entries.
fn head(number: u128, balance: &str) -> Head {
    let balance = money(balance);
    let last_hash = Hash([5; 32]);
    Head { balance, version: 5, last_hash, ..Head::new(account(number), owner(number), balance.currency) }
}

fn closed(number: u128) -> Head {
    Head { is_closed: true, ..head(number, "0.00 EUR") }
}

fn heads(given: &[Head]) -> Heads {
    given.iter().map(|head| (head.account_id, head.clone())).collect()
}

#[derive(Debug)]
enum Then {
    /// What the debited and the credited account hold afterwards.
    Posted(&'static [&'static str]),
    Closed,
    Refused(FailureReason),
}
use Then::{Closed, Posted, Refused};

#[test]
fn a_movement_of_one_account_is_judged_by_its_head() {
    let ten = || vec![head(1, "10.00 EUR")];
    for (given, when, then) in [
        (vec![], deposit(1, 1, "5.00 EUR"), Posted(&["5.00 EUR"])),
        (ten(), deposit(1, 1, "5.00 EUR"), Posted(&["15.00 EUR"])),
        (ten(), deposit(1, 1, "5 JPY"), Refused(CurrencyMismatch)),
        (vec![closed(1)], deposit(1, 1, "5.00 EUR"), Refused(AccountClosed)),
        (vec![closed(1)], deposit(1, 1, "5 JPY"), Refused(AccountClosed)),
        (vec![head(1, MOST)], deposit(1, 1, "0.01 EUR"), Refused(BalanceTooLarge)),
        (vec![head(1, "92233720368547758.06 EUR")], deposit(1, 1, "0.01 EUR"), Posted(&[MOST])),
        (vec![], withdraw(1, 1, "0.01 EUR"), Refused(InsufficientFunds)),
        (ten(), withdraw(1, 1, "9.99 EUR"), Posted(&["0.01 EUR"])),
        (ten(), withdraw(1, 1, "10.00 EUR"), Posted(&["0.00 EUR"])),
        (ten(), withdraw(1, 1, "10.01 EUR"), Refused(InsufficientFunds)),
        (ten(), withdraw(1, 1, "10 JPY"), Refused(CurrencyMismatch)),
        (vec![head(1, MOST)], withdraw(1, 1, MOST), Posted(&["0.00 EUR"])),
        (vec![closed(1)], withdraw(1, 1, "0.01 EUR"), Refused(AccountClosed)),
        (vec![], close(1, 1, "EUR"), Closed),
        (vec![head(1, "0.00 EUR")], close(1, 1, "EUR"), Closed),
        (ten(), close(1, 1, "EUR"), Refused(BalanceNotZero)),
        (vec![closed(1)], close(1, 1, "EUR"), Refused(AccountClosed)),
    ] {
        check(&heads(&given), &when, &then);
    }
}

#[test]
fn a_transfer_is_judged_by_both_heads() {
    let ten = || head(1, "10.00 EUR");
    for (given, when, then) in [
        (vec![ten()], transfer(1, 1, 2, "10.00 EUR"), Posted(&["0.00 EUR", "10.00 EUR"])),
        (vec![ten(), head(2, "7.00 EUR")], transfer(1, 1, 2, "2.50 EUR"), Posted(&["7.50 EUR", "9.50 EUR"])),
        (vec![], transfer(1, 1, 2, "0.01 EUR"), Refused(InsufficientFunds)),
        (vec![head(2, "7.00 EUR")], transfer(1, 1, 2, "0.01 EUR"), Refused(InsufficientFunds)),
        (vec![ten()], transfer(1, 1, 2, "10.01 EUR"), Refused(InsufficientFunds)),
        (vec![ten()], transfer(1, 1, 2, "10 JPY"), Refused(CurrencyMismatch)),
        (vec![ten(), head(2, "7 JPY")], transfer(1, 1, 2, "1.00 EUR"), Refused(CurrencyMismatch)),
        (vec![ten(), head(2, MOST)], transfer(1, 1, 2, "0.01 EUR"), Refused(BalanceTooLarge)),
        (vec![closed(1), head(2, "7.00 EUR")], transfer(1, 1, 2, "0.01 EUR"), Refused(AccountClosed)),
        (vec![ten(), closed(2)], transfer(1, 1, 2, "1.00 EUR"), Refused(AccountClosed)),
    ] {
        check(&heads(&given), &when, &then);
    }
}

/// Judges, and holds everything that a verdict says against what was expected.
fn check(given: &Heads, when: &Command, then: &Then) {
    let verdict = decide(given, when, NOW);
    let mut after = given.clone();
    apply(&mut after, &verdict);
    match (&verdict, then) {
        (Verdict::Posted(entry), Posted(balances)) => {
            assert_eq!(entry.operation_id, when.operation_id());
            assert_eq!(entry.occurred_at, NOW);
            let links = entry.links.iter();
            let told: Vec<_> = links.map(|link| (link.account_id, link.balance_after)).collect();
            let expected: Vec<_> =
                when.accounts().zip(balances.iter().map(|balance| money(balance))).collect();
            assert_eq!(told, expected, "{when:?}");
            for link in &entry.links {
                check_link(given, &after, link);
            }
        }
        (Verdict::Closed(event), Closed) => {
            let head = &after[&event.account_id];
            assert!(head.is_closed && head.balance.minor == 0, "{when:?}");
            assert_eq!(given.get(&event.account_id).map_or(0, |head| head.version), head.version);
        }
        (Verdict::Refused(refusal), Refused(reason)) => {
            assert_eq!(refusal.reason, *reason, "{when:?}");
            assert_eq!(&refusal.command, when);
            let payer = when.accounts().next().and_then(|account_id| given.get(&account_id));
            assert_eq!(refusal.balance, payer.map(|head| head.balance));
            assert_eq!(refusal.version, payer.map_or(0, |head| head.version));
            assert_eq!(&after, given, "a refusal changes nothing");
        }
        (verdict, then) => panic!("given {given:?}, when {when:?}, then {then:?} and not {verdict:?}"),
    }
}

fn check_link(given: &Heads, after: &Heads, link: &Link) {
    let before = given.get(&link.account_id);
    assert_eq!(link.version, before.map_or(0, |head| head.version) + 1);
    assert_eq!(link.previous_hash, before.map_or(Hash::NONE, |head| head.last_hash));
    let expected = Head {
        account_id: link.account_id,
        owner: link.owner,
        balance: link.balance_after,
        version: link.version,
        is_closed: false,
        last_hash: link.hash,
    };
    assert_eq!(after[&link.account_id], expected);
}

#[test]
fn money_comes_from_and_goes_to_the_contra_accounts() {
    let given = heads(&[head(1, "10.00 EUR")]);
    let (first, second) = (Side::Account(account(1)), Side::Account(account(2)));
    for (when, debit, credit) in [
        (deposit(1, 1, "1.00 EUR"), Side::CashIn, first),
        (withdraw(1, 1, "1.00 EUR"), first, Side::CashOut),
        (transfer(1, 1, 2, "1.00 EUR"), first, second),
    ] {
        let Verdict::Posted(entry) = decide(&given, &when, NOW) else { panic!("{when:?} is refused") };
        assert_eq!((entry.debit, entry.credit, entry.amount), (debit, credit, money("1.00 EUR")));
    }
}

#[test]
fn what_no_service_sends_is_malformed() {
    let zero = |mut command: Command| {
        match &mut command {
            Command::Deposit(movement) | Command::Withdraw(movement) => movement.amount.minor = 0,
            Command::Transfer(transfer) => transfer.amount.minor = -1,
            Command::Close(_) => {}
        }
        command
    };
    let events = [deposit(1, 1, "1.00 EUR"), close(2, 2, "EUR")]
        .map(|command| event(&decide(&Heads::new(), &command, NOW)).unwrap());
    for (when, then) in [
        (message(zero(deposit(1, 1, "1.00 EUR"))), Malformed::NotPositive),
        (message(zero(withdraw(1, 1, "1.00 EUR"))), Malformed::NotPositive),
        (message(zero(transfer(1, 1, 2, "1.00 EUR"))), Malformed::NotPositive),
        (message(transfer(1, 1, 1, "1.00 EUR")), Malformed::ToItself),
        (events[0].clone(), Malformed::NotACommand("DEPOSIT_EVENT")),
        (events[1].clone(), Malformed::NotACommand("ACCOUNT_CLOSED_EVENT")),
    ] {
        assert_eq!(Command::try_from(when.clone()), Err(then), "{when:?}");
    }
    for command in [deposit(1, 1, "0.01 EUR"), transfer(1, 1, 2, "0.01 EUR"), close(1, 1, "EUR")] {
        assert_eq!(Command::try_from(message(command.clone())), Ok(command));
    }
}

#[test]
fn an_entry_whose_links_were_altered_has_no_event() {
    let whole = decide(&Heads::new(), &deposit(1, 1, "1.00 EUR"), NOW);
    let Verdict::Posted(entry) = whole else { panic!("{whole:?}") };
    let twice = Entry { links: [&entry.links[..], &entry.links[..]].concat(), ..entry.clone() };
    let without = Entry { links: Vec::new(), ..entry.clone() };
    let elsewhere = Entry { credit: Side::CashOut, ..entry.clone() };
    for altered in [twice, without, elsewhere] {
        assert_eq!(event(&Verdict::Posted(altered)), Err(Unbalanced(entry.operation_id)));
    }
}

#[test]
fn an_event_tells_what_was_posted() {
    let given = heads(&[head(1, "10.00 EUR")]);
    let moved = |number: u128, balance_after: &str| MovedEvent {
        operation_id: operation(number),
        account_id: account(1),
        owner: owner(1),
        amount: money("1.00 EUR"),
        balance_after: money(balance_after),
        account_version: 6,
        description: Some(format!("movement {number}")),
        occurred_at: NOW,
    };
    let leg = |number: u128, balance_after: &str, account_version: u64| Leg {
        account_id: account(number),
        owner: owner(number),
        balance_after: money(balance_after),
        account_version,
    };
    let transferred = TransferredEvent {
        operation_id: operation(3),
        from: leg(1, "9.00 EUR", 6),
        to: leg(2, "1.00 EUR", 1),
        amount: money("1.00 EUR"),
        description: None,
        occurred_at: NOW,
    };
    let closed = AccountClosedEvent {
        operation_id: operation(4),
        account_id: account(9),
        owner: owner(9),
        currency: money("0.00 EUR").currency,
        account_version: 0,
        occurred_at: NOW,
    };
    for (when, then) in [
        (deposit(1, 1, "1.00 EUR"), Message::Deposited(moved(1, "11.00 EUR"))),
        (withdraw(2, 1, "1.00 EUR"), Message::Withdrawn(moved(2, "9.00 EUR"))),
        (transfer(3, 1, 2, "1.00 EUR"), Message::Transferred(transferred)),
        (close(4, 9, "EUR"), Message::AccountClosed(closed)),
    ] {
        assert_eq!(event(&decide(&given, &when, NOW)), Ok(then));
    }
}

#[test]
fn an_event_tells_what_was_refused() {
    let given = heads(&[head(1, "10.00 EUR")]);
    let failed = |number: u128, amount: &str, reason: FailureReason| MoveFailedEvent {
        operation_id: operation(number),
        account_id: account(1),
        owner: owner(1),
        amount: money(amount),
        reason,
        balance_after: Some(money("10.00 EUR")),
        account_version: 5,
        description: Some(format!("movement {number}")),
        occurred_at: NOW,
    };
    let transfer_failed = TransferFailedEvent {
        operation_id: operation(3),
        from: party(2),
        to: party(1),
        amount: money("1.00 EUR"),
        reason: InsufficientFunds,
        balance_after: None,
        account_version: 0,
        description: None,
        occurred_at: NOW,
    };
    let close_rejected = CloseRejectedEvent {
        operation_id: operation(4),
        account_id: account(1),
        owner: owner(1),
        reason: BalanceNotZero,
        occurred_at: NOW,
    };
    for (when, then) in [
        (deposit(1, 1, "1 JPY"), Message::DepositFailed(failed(1, "1 JPY", CurrencyMismatch))),
        (withdraw(2, 1, "11.00 EUR"), Message::WithdrawFailed(failed(2, "11.00 EUR", InsufficientFunds))),
        (transfer(3, 2, 1, "1.00 EUR"), Message::TransferFailed(transfer_failed)),
        (close(4, 1, "EUR"), Message::CloseRejected(close_rejected)),
    ] {
        assert_eq!(event(&decide(&given, &when, NOW)), Ok(then));
    }
}

type Change = fn(&mut Entry, &mut Link);

#[test]
fn every_field_is_in_the_hash() {
    let given = heads(&[head(1, "10.00 EUR")]);
    let Verdict::Posted(entry) = decide(&given, &deposit(1, 1, "1.00 EUR"), NOW) else {
        panic!("it is refused")
    };
    let link = entry.links[0].clone();
    assert_eq!(hash(&entry, &link), link.hash);
    let changes: [(&str, Change); 15] = [
        ("operation", |entry, _| entry.operation_id = operation(2)),
        ("debit", |entry, _| entry.debit = Side::CashOut),
        ("credit", |entry, _| entry.credit = Side::Account(account(2))),
        ("amount", |entry, _| entry.amount.minor += 1),
        ("currency", |entry, _| entry.amount.currency = money("1.00 USD").currency),
        ("description", |entry, _| entry.description = Some("movement 2".to_owned())),
        ("longer description", |entry, _| entry.description = Some("movement 1 ".to_owned())),
        ("no description", |entry, _| entry.description = None),
        ("time", |entry, _| entry.occurred_at = NOW + std::time::Duration::from_millis(1)),
        ("account", |_, link| link.account_id = account(2)),
        ("owner", |_, link| link.owner = owner(2)),
        ("version", |_, link| link.version += 1),
        ("previous hash", |_, link| link.previous_hash = Hash([6; 32])),
        ("balance", |_, link| link.balance_after.minor += 1),
        ("balance's currency", |_, link| link.balance_after.currency = money("1.00 USD").currency),
    ];
    for (field, change) in changes {
        let (mut entry, mut changed) = (entry.clone(), link.clone());
        change(&mut entry, &mut changed);
        assert_ne!(hash(&entry, &changed), link.hash, "{field}");
    }
}

#[test]
fn a_hash_is_written_as_64_digits() {
    let text = format!("\"00ff{}\"", "5a".repeat(30));
    let hash: Hash = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&hash).unwrap(), text);
    assert_eq!(format!("\"{hash}\" \"{hash:?}\""), format!("{text} {text}"));
    for (part, times) in [("", 0), ("0", 63), ("0", 65), ("g", 64), ("F", 64), ("+1", 32), ("é", 32)] {
        let wrong = part.repeat(times);
        assert!(serde_json::from_value::<Hash>(wrong.clone().into()).is_err(), "{wrong}");
    }
}

/// Commands on four accounts, small and very large amounts, seldom in another currency, seldom a closing.
fn any_command() -> impl Strategy<Value = Command> {
    let amount = prop_oneof![8 => 1..2_000_i64, 1 => Just(kernel::AMOUNT_MINOR_MAX)];
    let currency = prop_oneof![9 => Just("EUR"), 1 => Just("JPY")];
    (0..10_u8, 1..=4_u128, 1..4_u128, amount, currency).prop_map(|(which, first, step, minor, currency)| {
        let amount = Money::from_minor(minor, currency.parse().unwrap()).to_string();
        match which {
            0..3 => deposit(0, first, &amount),
            3..6 => withdraw(0, first, &amount),
            6..9 => transfer(0, first, (first - 1 + step) % 4 + 1, &amount),
            _ => close(0, first, currency),
        }
    })
}

/// Each command under an operation of its own.
fn any_commands() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(any_command(), 1..80).prop_map(|mut commands| {
        for (number, command) in (1..).zip(&mut commands) {
            match command {
                Command::Deposit(movement) | Command::Withdraw(movement) => {
                    movement.operation_id = operation(number);
                }
                Command::Transfer(transfer) => transfer.operation_id = operation(number),
                Command::Close(close) => close.operation_id = operation(number),
            }
        }
        commands
    })
}

/// What the contra accounts of a currency hold after an entry.
fn contra_change(entry: &Entry, currency: Currency) -> i128 {
    let amount = if entry.amount.currency == currency { i128::from(entry.amount.minor) } else { 0 };
    match (entry.debit, entry.credit) {
        (Side::CashIn, _) => -amount,
        (_, Side::CashOut) => amount,
        _ => 0,
    }
}

proptest! {
    #[test]
    fn no_money_is_made_or_lost_or_owed_by_a_customer(commands in any_commands()) {
        let mut heads = Heads::new();
        let currencies = ["EUR", "JPY"].map(|code| code.parse::<Currency>().unwrap());
        let mut contra = [0_i128; 2];
        for command in &commands {
            let verdict = judge(&mut heads, std::slice::from_ref(command)).remove(0);
            for (currency, contra) in currencies.iter().zip(&mut contra) {
                if let Verdict::Posted(entry) = &verdict {
                    *contra += contra_change(entry, *currency);
                }
                let balances = heads.values().map(|head| head.balance).filter(|held| held.currency == *currency);
                prop_assert_eq!(balances.map(|held| i128::from(held.minor)).sum::<i128>() + *contra, 0);
            }
            prop_assert!(heads.values().all(|head| head.balance.minor >= 0));
        }
    }

    #[test]
    fn the_entries_of_an_account_are_a_chain_that_ends_in_its_head(commands in any_commands()) {
        let mut heads = Heads::new();
        let mut ends = Heads::new();
        for verdict in judge(&mut heads, &commands) {
            let Verdict::Posted(entry) = verdict else { continue };
            for link in &entry.links {
                let new = || Head::new(link.account_id, link.owner, entry.amount.currency);
                let end = ends.entry(link.account_id).or_insert_with(new);
                let is_credited = entry.credit == Side::Account(link.account_id);
                let change = if is_credited { entry.amount.minor } else { -entry.amount.minor };
                prop_assert_eq!(link.version, end.version + 1);
                prop_assert_eq!(link.previous_hash, end.last_hash);
                prop_assert_eq!(link.balance_after.minor, end.balance.minor + change);
                prop_assert_eq!(hash(&entry, link), link.hash);
                (end.version, end.balance, end.last_hash) = (link.version, link.balance_after, link.hash);
            }
        }
        for head in heads.values().filter(|head| head.version > 0) {
            let open = Head { is_closed: false, ..head.clone() };
            prop_assert_eq!(&ends[&head.account_id], &open);
        }
    }

    #[test]
    fn a_verdict_follows_from_heads_and_command_alone(commands in any_commands()) {
        let mut heads = Heads::new();
        for command in &commands {
            let before = heads.clone();
            let verdict = judge(&mut heads, std::slice::from_ref(command)).remove(0);
            prop_assert_eq!(&decide(&before, command, NOW), &verdict);
            if let Verdict::Refused(_) = &verdict {
                prop_assert_eq!(&heads, &before);
            }
            for closed in before.values().filter(|head| head.is_closed) {
                prop_assert_eq!(&heads[&closed.account_id], closed);
            }
            let event = event(&verdict).unwrap();
            let read = Message::decode(event.kind().name(), VERSION, &event.body()).unwrap();
            prop_assert_eq!(read, event);
        }
    }
}
