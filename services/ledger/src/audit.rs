//! The audit of the books: every head is computed anew from the journal, every chain is walked, every currency is
//! summed. Entries come in any order; one that comes before its predecessor waits for it.
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
    contra: BTreeMap<Currency, (i128, i128)>,
    closed: HashSet<AccountId>,
}

/// The entries of an account, as far as they follow one another.
struct Chain {
    balance_minor: i64,
    version: u64,
    last_hash: Hash,
    waiting: BTreeMap<u64, Waiting>,
}

/// An entry that came before its predecessor.
struct Waiting {
    change_minor: i64,
    balance_after: Money,
    previous_hash: Hash,
    hash: Hash,
}

impl Audit {
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
        let (cash_in, cash_out) = self.contra.entry(entry.amount.currency).or_default();
        let amount = i128::from(entry.amount.minor);
        for (side, signed) in [(entry.debit, -amount), (entry.credit, amount)] {
            match side {
                Side::CashIn => *cash_in += signed,
                Side::CashOut => *cash_out += signed,
                Side::Account(_) => {}
            }
        }
        for link in &entry.links {
            self.take_link(entry, link);
        }
    }

    fn take_link(&mut self, entry: &Entry, link: &Link) {
        self.books.links += 1;
        if domain::hash(entry, link) != link.hash {
            self.find(format!(
                "entry {} of account {} was altered: its hash differs",
                link.version, link.account_id
            ));
        }
        let is_credited = entry.credit == Side::Account(link.account_id);
        let waiting = Waiting {
            change_minor: if is_credited { entry.amount.minor } else { -entry.amount.minor },
            balance_after: link.balance_after,
            previous_hash: link.previous_hash,
            hash: link.hash,
        };
        let new = || Chain { balance_minor: 0, version: 0, last_hash: Hash::NONE, waiting: BTreeMap::new() };
        let chain = self.chains.entry(link.account_id).or_insert_with(new);
        if link.version <= chain.version || chain.waiting.insert(link.version, waiting).is_some() {
            let finding = format!("account {} has two entries numbered {}", link.account_id, link.version);
            return self.find(finding);
        }
        let mut broken = Vec::new();
        while let Some(next) = chain.waiting.remove(&(chain.version + 1)) {
            chain.version += 1;
            if next.previous_hash != chain.last_hash {
                broken.push(format!(
                    "the chain of account {} breaks at entry {}",
                    link.account_id, chain.version
                ));
            }
            if chain.balance_minor.checked_add(next.change_minor) != Some(next.balance_after.minor) {
                let version = chain.version;
                broken.push(format!("account {} has a wrong balance after entry {version}", link.account_id));
            }
            chain.balance_minor = next.balance_after.minor;
            chain.last_hash = next.hash;
        }
        broken.into_iter().for_each(|finding| self.find(finding));
    }

    pub(crate) fn finish(mut self) -> Books {
        let mut findings = Vec::new();
        for (account_id, head) in &self.books.heads {
            let (balance_minor, version, last_hash) = match self.chains.get(account_id) {
                Some(chain) => (chain.balance_minor, chain.version, chain.last_hash),
                None => (0, 0, Hash::NONE),
            };
            let stored = (head.balance.minor, head.version, head.last_hash);
            if stored != (balance_minor, version, last_hash) {
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
        for (account_id, chain) in &self.chains {
            if !self.books.heads.contains_key(account_id) {
                findings.push(format!("account {account_id} has entries but no head"));
            }
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

    fn trial_balances(&self) -> Vec<TrialBalance> {
        let mut customers: BTreeMap<Currency, i128> =
            self.contra.keys().map(|currency| (*currency, 0)).collect();
        for head in self.books.heads.values() {
            *customers.entry(head.balance.currency).or_default() += i128::from(head.balance.minor);
        }
        let contra = |currency| self.contra.get(&currency).copied().unwrap_or_default();
        customers
            .into_iter()
            .map(|(currency, customers_minor)| {
                let (cash_in_minor, cash_out_minor) = contra(currency);
                TrialBalance { currency, customers_minor, cash_in_minor, cash_out_minor }
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

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
