//! The audit of the books: every head is computed anew from the journal, every chain is walked, every currency is
//! summed. Entries come in any order; one that comes before its predecessor waits for it.
//!
//! A scan is not one moment of the store, so a bank that moves may show a head without its last entry, or an entry
//! without its head. What differs after the first look is therefore looked at again: the heads first, and then the
//! journal, which must hold every entry up to each head, since the two are written together. What is newer than a head
//! does not count, but must be found in the head in the end. So movement is never taken for a fault, and no fault for
//! movement.
//!
//! Memory: one head and a place an account, and the few entries that wait.

use std::collections::{BTreeMap, HashMap, HashSet};

use kernel::{AccountId, Currency, Money};
use serde::Serialize;

use crate::domain::{self, Entry, Hash, Head, Link, Side, Verdict};
use crate::records::LedgerItem;

/// The most findings that are kept word for word; the rest is only counted.
const FINDINGS_MAX: usize = 100;

/// The balances of one currency. Their sum is zero, or money was made or lost.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TrialBalance {
    pub currency: Currency,
    /// What the bank owes its customers: the sum of all heads, in minor units.
    pub customers_minor: i128,
    /// The contra account of deposits, in minor units.
    pub cash_in_minor: i128,
    /// The contra account of withdrawals, in minor units.
    pub cash_out_minor: i128,
}

impl TrialBalance {
    /// Zero, in good books.
    pub fn sum_minor(&self) -> i128 {
        self.customers_minor + self.cash_in_minor + self.cash_out_minor
    }
}

/// What the audit found.
#[derive(Debug, Default)]
pub struct Books {
    /// The stored heads.
    pub heads: HashMap<AccountId, Head>,
    pub entries: u64,
    pub refusals: u64,
    /// Links of chains that were verified.
    pub links: u64,
    /// A row a currency, in the order of their codes.
    pub trial_balances: Vec<TrialBalance>,
    /// What is wrong, in words; at most a hundred.
    pub findings: Vec<String>,
    /// How much is wrong.
    pub findings_count: u64,
}

/// An audit under way.
#[derive(Default)]
pub(crate) struct Audit {
    books: Books,
    chains: HashMap<AccountId, Chain>,
    sums: BTreeMap<Currency, Sums>,
    closed: HashSet<AccountId>,
    /// The accounts that are looked at again; none during the first look.
    unsettled: HashSet<AccountId>,
}

/// What the journal says of a currency, in minor units.
#[derive(Clone, Copy, Default)]
struct Sums {
    cash_in: i128,
    cash_out: i128,
    /// The halves of transfers that one head holds and the other was read too early to hold.
    under_way: i128,
}

/// The entries of an account, as far as they follow one another.
struct Chain {
    balance_minor: i64,
    version: u64,
    last_hash: Hash,
    waiting: BTreeMap<u64, Waiting>,
    /// The newest entry that is newer than the head as it was read for the second look; zero if there is none.
    newest_version: u64,
    /// What is wrong with how the entries follow one another; at most a hundred.
    findings: Vec<String>,
}

/// An entry that came before its predecessor.
struct Waiting {
    change_minor: i64,
    balance_after: Money,
    previous_hash: Hash,
    hash: Hash,
}

impl Audit {
    /// Takes an item at the first look.
    pub(crate) fn take(&mut self, item: LedgerItem) {
        match item {
            LedgerItem::Head(head) => {
                self.books.heads.insert(head.account_id, head);
            }
            LedgerItem::Verdict(record) => match record.verdict {
                Verdict::Posted(entry) => self.take_entry(&entry),
                Verdict::Refused(_) => self.books.refusals += 1,
                Verdict::Closed(closed) => {
                    self.closed.insert(closed.account_id);
                }
            },
        }
    }

    fn take_entry(&mut self, entry: &Entry) {
        self.books.entries += 1;
        let customers =
            [entry.debit, entry.credit].into_iter().filter(|side| matches!(side, Side::Account(_)));
        let linked = entry.links.iter().map(|link| Side::Account(link.account_id));
        if !customers.eq(linked) || entry.amount.minor <= 0 || entry.debit == entry.credit {
            self.find(format!("entry {} is not balanced", entry.operation_id));
        }
        for link in &entry.links {
            self.books.links += 1;
            if domain::hash(entry, link) != link.hash {
                self.find(format!(
                    "entry {} of account {} was altered: its hash differs",
                    link.version, link.account_id
                ));
            }
            self.chains.entry(link.account_id).or_insert(Chain::EMPTY).follow(entry, link);
        }
        sum(&mut self.sums, entry, |_| true);
    }

    /// The accounts whose head and journal differ after the first look.
    pub(crate) fn unsettled(&self) -> Vec<AccountId> {
        let heads = self.books.heads.values();
        let differing = heads.filter(|head| !self.bears_out(head)).map(|head| head.account_id);
        let journal = self.chains.keys().chain(&self.closed);
        let headless = journal.filter(|account_id| !self.books.heads.contains_key(*account_id)).copied();
        differing.chain(headless).collect::<HashSet<_>>().into_iter().collect()
    }

    /// Begins the second look, with the heads of the unsettled accounts read anew.
    pub(crate) fn begin_again(&mut self, unsettled: &[AccountId], heads: Vec<Head>) {
        self.unsettled = unsettled.iter().copied().collect();
        self.sums.clear();
        for account_id in unsettled {
            self.books.heads.remove(account_id);
            self.chains.remove(account_id);
            self.closed.remove(account_id);
        }
        self.books.heads.extend(heads.into_iter().map(|head| (head.account_id, head)));
    }

    /// Takes an item at the second look. What is wrong with an item in itself, the first look has found.
    pub(crate) fn take_again(&mut self, item: LedgerItem) {
        let LedgerItem::Verdict(record) = item else { return };
        match record.verdict {
            Verdict::Posted(entry) => {
                let heads = &self.books.heads;
                let is_held = |link: &Link| {
                    heads.get(&link.account_id).is_some_and(|head| link.version <= head.version)
                };
                for link in entry.links.iter().filter(|link| self.unsettled.contains(&link.account_id)) {
                    let chain = self.chains.entry(link.account_id).or_insert(Chain::EMPTY);
                    if is_held(link) {
                        chain.follow(&entry, link);
                    } else {
                        chain.newest_version = chain.newest_version.max(link.version);
                    }
                }
                sum(&mut self.sums, &entry, is_held);
            }
            Verdict::Closed(closed) if self.unsettled.contains(&closed.account_id) => {
                self.closed.insert(closed.account_id);
            }
            Verdict::Closed(_) | Verdict::Refused(_) => {}
        }
    }

    /// Ends the second look, with the heads of the unsettled accounts read once more: what the journal had beyond
    /// them must be in them by now.
    pub(crate) fn end_again(&mut self, heads: Vec<Head>) {
        let heads: HashMap<AccountId, Head> = heads.into_iter().map(|head| (head.account_id, head)).collect();
        for account_id in std::mem::take(&mut self.unsettled) {
            let newest_version = self.chains.get(&account_id).map_or(0, |chain| chain.newest_version);
            match heads.get(&account_id) {
                None => self.find(format!("account {account_id} has entries but no head")),
                Some(head) if head.version < newest_version => self.find(format!(
                    "account {account_id} holds {} after {} entries, but its journal has entry {newest_version}",
                    head.balance, head.version
                )),
                // It was closed after its head was read for the second look.
                Some(head) if head.is_closed => {
                    let is_older = |head: &Head| !head.is_closed;
                    if self.books.heads.get(&account_id).is_none_or(is_older) {
                        self.closed.remove(&account_id);
                    }
                }
                Some(_) => {}
            }
        }
    }

    pub(crate) fn finish(mut self) -> Books {
        let mut findings = Vec::new();
        for (account_id, head) in &self.books.heads {
            let (balance_minor, version, last_hash) = self.journal_of(*account_id);
            if (head.balance.minor, head.version, head.last_hash) != (balance_minor, version, last_hash) {
                findings.push(format!(
                    "account {account_id} holds {} after {} entries, but its journal gives {} after {version}",
                    head.balance,
                    head.version,
                    Money::from_minor(balance_minor, head.balance.currency),
                ));
            }
            if head.is_closed != self.closed.contains(account_id) {
                let (stored, judged) = if head.is_closed { ("closed", "open") } else { ("open", "closed") };
                findings.push(format!("account {account_id} is {stored}, but its journal has it {judged}"));
            }
            if head.balance.minor < 0 {
                findings.push(format!("account {account_id} is overdrawn: {}", head.balance));
            }
        }
        for (account_id, chain) in &mut self.chains {
            findings.append(&mut chain.findings);
            if let Some(version) = chain.waiting.keys().next() {
                findings.push(format!(
                    "account {account_id} lacks the entries between {} and {version}",
                    chain.version
                ));
            }
        }
        self.books.trial_balances = self.trial_balances();
        for trial in self.books.trial_balances.iter().filter(|trial| trial.sum_minor() != 0) {
            findings.push(format!(
                "the accounts of {} sum to {} minor units, not to zero",
                trial.currency,
                trial.sum_minor()
            ));
        }
        findings.into_iter().for_each(|finding| self.find(finding));
        self.books
    }

    /// Balance, entries and last hash of an account, as far as its journal was read without a gap.
    fn journal_of(&self, account_id: AccountId) -> (i64, u64, Hash) {
        match self.chains.get(&account_id) {
            Some(chain) => (chain.balance_minor, chain.version, chain.last_hash),
            None => (0, 0, Hash::NONE),
        }
    }

    fn bears_out(&self, head: &Head) -> bool {
        let has_gap = self.chains.get(&head.account_id).is_some_and(|chain| !chain.waiting.is_empty());
        let stored = (head.balance.minor, head.version, head.last_hash);
        stored == self.journal_of(head.account_id)
            && !has_gap
            && head.is_closed == self.closed.contains(&head.account_id)
    }

    fn trial_balances(&self) -> Vec<TrialBalance> {
        let mut customers: BTreeMap<Currency, i128> =
            self.sums.iter().map(|(currency, sums)| (*currency, sums.under_way)).collect();
        for head in self.books.heads.values() {
            *customers.entry(head.balance.currency).or_default() += i128::from(head.balance.minor);
        }
        customers
            .into_iter()
            .map(|(currency, customers_minor)| {
                let Sums { cash_in, cash_out, .. } = self.sums.get(&currency).copied().unwrap_or_default();
                TrialBalance { currency, customers_minor, cash_in_minor: cash_in, cash_out_minor: cash_out }
            })
            .collect()
    }

    fn find(&mut self, finding: String) {
        self.books.findings_count += 1;
        if self.books.findings.len() < FINDINGS_MAX {
            self.books.findings.push(finding);
        }
    }
}

/// Adds an entry to the sums of its currency, unless it is newer than all heads it changed; `is_held` tells whether a
/// head holds it.
fn sum(sums: &mut BTreeMap<Currency, Sums>, entry: &Entry, is_held: impl Fn(&Link) -> bool) {
    if !entry.links.is_empty() && !entry.links.iter().any(&is_held) {
        return;
    }
    let sums = sums.entry(entry.amount.currency).or_default();
    let amount = i128::from(entry.amount.minor);
    for (side, signed) in [(entry.debit, -amount), (entry.credit, amount)] {
        match side {
            Side::CashIn => sums.cash_in += signed,
            Side::CashOut => sums.cash_out += signed,
            Side::Account(account_id) => {
                if entry.links.iter().any(|link| link.account_id == account_id && !is_held(link)) {
                    sums.under_way += signed;
                }
            }
        }
    }
}

impl Chain {
    const EMPTY: Self = Self {
        balance_minor: 0,
        version: 0,
        last_hash: Hash::NONE,
        waiting: BTreeMap::new(),
        newest_version: 0,
        findings: Vec::new(),
    };

    /// Takes an entry, and goes on as far as entries follow one another.
    fn follow(&mut self, entry: &Entry, link: &Link) {
        let account_id = link.account_id;
        let is_credited = entry.credit == Side::Account(account_id);
        let waiting = Waiting {
            change_minor: if is_credited { entry.amount.minor } else { -entry.amount.minor },
            balance_after: link.balance_after,
            previous_hash: link.previous_hash,
            hash: link.hash,
        };
        if link.version <= self.version || self.waiting.insert(link.version, waiting).is_some() {
            return self.find(format!("account {account_id} has two entries numbered {}", link.version));
        }
        while let Some(next) = self.waiting.remove(&(self.version + 1)) {
            self.version += 1;
            let version = self.version;
            if next.previous_hash != self.last_hash {
                self.find(format!("the chain of account {account_id} breaks at entry {version}"));
            }
            if self.balance_minor.checked_add(next.change_minor) != Some(next.balance_after.minor) {
                self.find(format!("account {account_id} has a wrong balance after entry {version}"));
            }
            self.balance_minor = next.balance_after.minor;
            self.last_hash = next.hash;
        }
    }

    fn find(&mut self, finding: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
