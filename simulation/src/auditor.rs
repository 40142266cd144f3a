//! The independent auditor: a plain model of a bank that reads what a run left behind and says what is wrong with it.
//!
//! It shares no code with the bank. It reads JSON, counts in `i128`, keeps decimals and times by its own rules, and
//! knows of the bank only what its documents promise. `model` replays the ledger's verdicts in the order of their
//! commits, each of which must be the one that the accounts as they were then allow. The others hold the rest against
//! it: the stored books and their chains, what customers asked and heard, the projections, the messages to people, and
//! the dead letters. Absent on purpose: any opinion on how the bank came to what it did.

mod answers;
mod books;
mod form;
mod life;
mod model;
mod movements;
mod notices;
mod projections;
mod queues;

use crate::record::Record;

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is, in words.
    pub what: String,
    /// The identifiers of what it is about, to find it in the trace.
    pub about: Vec<String>,
}

impl Finding {
    /// Something that is about nothing in particular.
    pub fn new(what: &str) -> Self {
        Self { what: what.to_owned(), about: Vec::new() }
    }
}

/// The findings of an audit under way.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: impl Into<String>, about: &[&str]) {
        let about = about.iter().filter(|id| !id.is_empty()).map(|id| (*id).to_owned()).collect();
        self.0.push(Finding { what: what.into(), about });
    }
}

/// Everything that is wrong with what a run left behind; nothing where it is as it should be.
pub fn audit(record: &Record) -> Vec<Finding> {
    let mut findings = Findings::default();
    let model = model::Model::replay(record, &mut findings);
    books::check(record, &model, &mut findings);
    movements::check(record, &model, &mut findings);
    life::check(record, &model, &mut findings);
    projections::check(record, &model, &mut findings);
    notices::check(record, &model, &mut findings);
    answers::check(record, &model, &mut findings);
    queues::check(record, &mut findings);
    findings.0
}

#[cfg(test)]
#[path = "auditor/tests.rs"]
mod tests;
