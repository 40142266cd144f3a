//! Good books are found good, whatever the order they are read in and whatever moves meanwhile; and whatever is changed
//! in them is found.

use kernel::{OperationId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::domain::{Command, Heads};
use crate::fixture::*;
use crate::records::VerdictRecord;

/// The items of a ledger, to be tampered with.
#[derive(Clone)]
struct Ledger {
    heads: BTreeMap<AccountId, Head>,
    verdicts: Vec<VerdictRecord>,
}

impl Ledger {
    fn of(commands: &[Command]) -> Self {
        let mut heads = Heads::new();
        let judged = judge(&mut heads, commands).into_iter().zip(commands);
        let verdicts = judged.map(|(verdict, command)| VerdictRecord {
            operation_id: command.operation_id(),
            delivered_at: NOW,
            verdict,
        });
        Self { verdicts: verdicts.collect(), heads: heads.into_iter().collect() }
    }

    fn head(&mut self, number: u128) -> &mut Head {
        self.heads.get_mut(&account(number)).unwrap()
    }

    fn entry(&mut self, number: u128) -> &mut Entry {
        let record =
            self.verdicts.iter_mut().find(|record| record.operation_id == operation(number)).unwrap();
        match &mut record.verdict {
            Verdict::Posted(entry) => entry,
            other => panic!("{other:?} is no entry"),
        }
    }

    fn remove(&mut self, number: u128) {
        self.verdicts.retain(|record| record.operation_id != operation(number));
    }

    /// Writes the hashes of an entry anew, as somebody would who knows how they are made.
    fn rehash(&mut self, number: u128) {
        let entry = self.entry(number);
        let hashes: Vec<Hash> = entry.links.iter().map(|link| domain::hash(entry, link)).collect();
        entry.links.iter_mut().zip(hashes).for_each(|(link, hash)| link.hash = hash);
    }

    fn items(self) -> Vec<LedgerItem> {
        let heads = self.heads.into_values().map(LedgerItem::Head);
        heads.chain(self.verdicts.into_iter().map(LedgerItem::Verdict)).collect()
    }

    fn audit(self) -> Books {
        let heads = self.heads.clone();
        audit([self.clone().items(), self.items()], [&heads, &heads])
    }
}

/// Audits as the ledger does, with what the store shows at each look: its items twice, and then the heads before and
/// after the second time.
fn audit(items: [Vec<LedgerItem>; 2], heads: [&BTreeMap<AccountId, Head>; 2]) -> Books {
    let [first, second] = items;
    let mut audit = Audit::default();
    first.into_iter().for_each(|item| audit.take(item));
    let unsettled = audit.unsettled();
    if !unsettled.is_empty() {
        let [before, after] =
            heads.map(|heads| unsettled.iter().filter_map(|id| heads.get(id).cloned()).collect());
        audit.begin_again(&unsettled, before);
        second.into_iter().for_each(|item| audit.take_again(item));
        audit.end_again(after);
    }
    audit.finish()
}

/// Three entries of account 1, two of account 2, one of account 3 in another currency, a refusal and two closings.
fn ledger() -> Ledger {
    Ledger::of(&[
        deposit(1, 1, "100.00 EUR"),
        transfer(2, 1, 2, "30.00 EUR"),
        withdraw(3, 1, "20.00 EUR"),
        withdraw(4, 2, "5.00 EUR"),
        deposit(5, 3, "500 JPY"),
        withdraw(6, 3, "501 JPY"),
        close(7, 4, "EUR"),
        close(8, 1, "EUR"),
    ])
}

#[test]
fn good_books_have_no_findings_and_sum_to_zero() {
    let books = ledger().audit();
    assert_eq!(books.findings, [""; 0]);
    assert_eq!((books.entries, books.links, books.refusals, books.findings_count), (5, 6, 2, 0));
    assert_eq!(books.heads.len(), 4);
    let trial = |code: &str, customers_minor, cash_in_minor, cash_out_minor| TrialBalance {
        currency: code.parse().unwrap(),
        customers_minor,
        cash_in_minor,
        cash_out_minor,
    };
    let expected = [trial("EUR", 7_500, -10_000, 2_500), trial("JPY", 500, -500, 0)];
    assert_eq!(books.trial_balances, expected);
    assert!(expected.iter().all(|trial| trial.sum_minor() == 0));
}

#[test]
fn empty_books_are_good() {
    let books = Audit::default().finish();
    assert_eq!((books.entries, books.findings_count, books.trial_balances.len()), (0, 0, 0));
}

#[test]
fn the_order_of_the_items_does_not_matter() {
    let count = ledger().items().len();
    for rotation in 0..count {
        for is_reversed in [false, true] {
            let mut items = ledger().items();
            items.rotate_left(rotation);
            if is_reversed {
                items.reverse();
            }
            // Nothing is left for a second look.
            let books = audit([items, Vec::new()], [&BTreeMap::new(); 2]);
            assert_eq!(books.findings, [""; 0], "rotated by {rotation}, reversed {is_reversed}");
        }
    }
}

type Tampering = fn(&mut Ledger);

fn check(table: &[(&str, Tampering, &str)]) {
    for (given, tamper, then) in table {
        let mut ledger = ledger();
        tamper(&mut ledger);
        let books = ledger.audit();
        let is_named = books.findings.iter().any(|finding| finding.contains(then));
        assert!(is_named, "{given}: none of {:?} has {then:?}", books.findings);
        assert_eq!(books.findings_count, books.findings.len() as u64);
    }
}

#[test]
fn a_head_that_was_changed_is_found() {
    let wrong = format!("account {} holds", account(1));
    check(&[
        ("more", |ledger| ledger.head(1).balance.minor += 1, &wrong),
        ("less than nothing", |ledger| ledger.head(1).balance.minor = -1, "is overdrawn: -0.01 EUR"),
        (
            "another currency",
            |ledger| ledger.head(1).balance = money("50.00 USD"),
            "the accounts of USD sum to 5000",
        ),
        ("an entry more", |ledger| ledger.head(1).version += 1, &wrong),
        ("another hash", |ledger| ledger.head(1).last_hash = Hash::NONE, &wrong),
        (
            "as it was before",
            |ledger| {
                let Link { version, balance_after, hash, .. } = ledger.entry(2).links[0].clone();
                let head = ledger.head(1);
                (head.version, head.balance, head.last_hash) = (version, balance_after, hash);
            },
            "but its journal has entry 3",
        ),
        ("opened again", |ledger| ledger.head(4).is_closed = false, "is open, but its journal has it closed"),
        ("closed", |ledger| ledger.head(1).is_closed = true, "is closed, but its journal has it open"),
        ("gone", |ledger| _ = ledger.heads.remove(&account(1)), "has entries but no head"),
        ("without entries", |ledger| ledger.verdicts.clear(), "but its journal gives 0.00 EUR after 0"),
    ]);
}

#[test]
fn an_entry_that_was_changed_is_found() {
    const ALTERED: &str = "was altered: its hash differs";
    check(&[
        ("amount", |ledger| ledger.entry(1).amount.minor += 1, ALTERED),
        ("description", |ledger| ledger.entry(1).description = None, ALTERED),
        ("time", |ledger| ledger.entry(1).occurred_at = Timestamp::EPOCH, ALTERED),
        ("hash", |ledger| ledger.entry(3).links[0].hash = Hash::NONE, ALTERED),
        ("owner", |ledger| ledger.entry(3).links[0].owner = owner(9), ALTERED),
        ("balance", |ledger| ledger.entry(2).links[1].balance_after.minor += 1, ALTERED),
        ("balance's currency", |ledger| ledger.entry(2).links[1].balance_after = money("30.00 USD"), ALTERED),
        ("another payee", |ledger| ledger.entry(2).credit = Side::Account(account(9)), "is not balanced"),
        ("no payee", |ledger| _ = ledger.entry(2).links.pop(), "is not balanced"),
        ("to cash", |ledger| ledger.entry(2).credit = Side::CashOut, "is not balanced"),
        ("to itself", |ledger| ledger.entry(1).credit = Side::CashIn, "is not balanced"),
        ("negative", |ledger| ledger.entry(1).amount.minor *= -1, "is not balanced"),
    ]);
}

#[test]
fn an_entry_that_was_changed_with_its_hashes_is_found() {
    check(&[
        (
            "a link of the middle",
            |ledger| {
                ledger.entry(2).description = Some("gift".to_owned());
                ledger.rehash(2);
            },
            "breaks at entry 3",
        ),
        (
            "the last link",
            |ledger| {
                ledger.entry(3).description = Some("gift".to_owned());
                ledger.rehash(3);
            },
            "but its journal gives",
        ),
        (
            "the amount",
            |ledger| {
                ledger.entry(3).amount.minor -= 1;
                ledger.rehash(3);
            },
            "has a wrong balance after entry 3",
        ),
        (
            "the amount with balance and head",
            |ledger| {
                ledger.entry(5).amount = money("600 JPY");
                ledger.entry(5).links[0].balance_after = money("600 JPY");
                ledger.rehash(5);
                ledger.head(3).balance = money("600 JPY");
            },
            "but its journal gives",
        ),
    ]);
}

#[test]
fn an_entry_that_was_removed_or_added_is_found() {
    let between = format!("account {} lacks the entries between 1 and 3", account(1));
    let twice = format!("account {} has two entries numbered 3", account(1));
    let early = format!("account {} has two entries numbered 0", account(1));
    check(&[
        ("the first one removed", |ledger| ledger.remove(1), "lacks the entries between 0 and 2"),
        ("one of the middle removed", |ledger| ledger.remove(2), &between),
        ("the last one removed", |ledger| ledger.remove(3), "but its journal gives 70.00 EUR after 2"),
        ("the only one removed", |ledger| ledger.remove(5), "but its journal gives 0 JPY after 0"),
        (
            "the last one doubled",
            |ledger| {
                let doubled = ledger.entry(3).clone();
                ledger.verdicts.push(VerdictRecord {
                    operation_id: operation(9),
                    delivered_at: NOW,
                    verdict: Verdict::Posted(doubled),
                });
            },
            &twice,
        ),
        ("one numbered before the first", |ledger| ledger.entry(1).links[0].version = 0, &early),
    ]);
}

#[test]
fn findings_are_counted_past_those_that_are_kept() {
    let mut ledger =
        Ledger::of(&(1..=150).map(|number| deposit(number, number, "1.00 EUR")).collect::<Vec<_>>());
    ledger.heads.clear();
    let books = ledger.audit();
    assert_eq!(books.findings.len(), FINDINGS_MAX);
    assert_eq!(books.findings_count, 150);
}

/// A ledger that moves while it is read: each item is as it was at a time of its own, within the time of its reading.
#[derive(Clone, Debug)]
struct Moving {
    commands: Vec<Command>,
    /// When each of the four readings begins, and the last one ends.
    times: [usize; 5],
    picks: Vec<Index>,
}

impl Moving {
    /// What one reading shows, of those that are told as `is_lost` never anything.
    fn read(&self, reading: usize, is_lost: impl Fn(&VerdictRecord) -> bool) -> Ledger {
        let (from, to) = (self.times[reading], self.times[reading + 1]);
        let mut picks = self.picks.iter().cycle().skip(reading);
        let mut time = || from + picks.next().unwrap().index(to - from + 1);
        let last = Ledger::of(&self.commands[..to]);
        let verdicts = last.verdicts.iter().enumerate();
        let seen = verdicts.filter(|(index, record)| *index < time() && !is_lost(record));
        let verdicts = seen.map(|(_, record)| record.clone()).collect();
        let heads = last
            .heads
            .keys()
            .filter_map(|account_id| Ledger::of(&self.commands[..time()]).heads.remove_entry(account_id));
        Ledger { heads: heads.collect(), verdicts }
    }

    fn audit(&self, is_lost: impl Fn(&VerdictRecord) -> bool) -> Books {
        let [first, before, second, after] = [0, 1, 2, 3].map(|reading| self.read(reading, &is_lost));
        audit([first.items(), second.items()], [&before.heads, &after.heads])
    }
}

/// Movements of three accounts, the third of which is closed at times.
fn moving() -> impl Strategy<Value = Moving> {
    let kinds = vec((0..5_u8, 1..=3_u128, 1..=3_u128, 1..=9_u32), 1..20);
    (kinds, vec(any::<Index>(), 5), vec(any::<Index>(), 7..40)).prop_map(|(kinds, times, picks)| {
        let command = |(index, (kind, one, other, cents)): (usize, (u8, u128, u128, u32))| {
            let (number, amount) = (index as u128 + 1, format!("0.0{cents} EUR"));
            match kind {
                0 => withdraw(number, one, &amount),
                1 | 2 if one != other => transfer(number, one, other, &amount),
                3 => close(number, 3, "EUR"),
                _ => deposit(number, one, &amount),
            }
        };
        let commands: Vec<Command> = kinds.into_iter().enumerate().map(command).collect();
        let mut times: Vec<usize> = times.iter().map(|time| time.index(commands.len() + 1)).collect();
        times.sort_unstable();
        Moving { commands, times: times.try_into().unwrap(), picks }
    })
}

proptest! {
    #[test]
    fn movement_is_never_taken_for_a_fault(moving in moving()) {
        let books = moving.audit(|_| false);
        prop_assert_eq!(books.findings, [""; 0]);
        prop_assert!(books.trial_balances.iter().all(|trial| trial.sum_minor() == 0));
    }

    #[test]
    fn an_entry_that_was_lost_before_is_found_through_any_movement(moving in moving(), lost in any::<Index>()) {
        let posted: Vec<OperationId> = Ledger::of(&moving.commands[..moving.times[0]])
            .verdicts
            .iter()
            .filter(|record| matches!(record.verdict, Verdict::Posted(_)))
            .map(|record| record.operation_id)
            .collect();
        prop_assume!(!posted.is_empty());
        let lost = posted[lost.index(posted.len())];
        prop_assert!(moving.audit(|record| record.operation_id == lost).findings_count > 0);
    }

    #[test]
    fn a_head_that_was_lost_before_is_found_through_any_movement(moving in moving()) {
        let known = Ledger::of(&moving.commands[..moving.times[0]]).heads;
        prop_assume!(!known.is_empty());
        let lost = *known.keys().next().unwrap();
        let [first, before, second, after] = [0, 1, 2, 3].map(|reading| {
            let mut ledger = moving.read(reading, |_| false);
            ledger.heads.remove(&lost);
            ledger
        });
        let books = audit([first.items(), second.items()], [&before.heads, &after.heads]);
        prop_assert!(books.findings_count > 0);
    }
}
