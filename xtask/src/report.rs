//! The parts of a task, each timed, and the summary at its end.
//!
//! The last line is the sum of all tests, alone on its line, for people and for machines that look for it.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::Fault;
use crate::tally::Tally;

/// What one part came to.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) tally: Tally,
    /// Something the reader of the summary should know.
    pub(crate) note: Option<String>,
    pub(crate) fault: Option<Fault>,
}

impl From<Result<(), Fault>> for Verdict {
    fn from(result: Result<(), Fault>) -> Self {
        Self { fault: result.err(), ..Self::default() }
    }
}

enum Part {
    Run { name: &'static str, duration: Duration, verdict: Verdict },
    LeftOut { name: &'static str, reason: &'static str },
}

#[derive(Default)]
pub(crate) struct Report {
    parts: Vec<Part>,
}

impl Report {
    /// Runs one part and says whether it passed.
    pub(crate) fn run<V: Into<Verdict>>(&mut self, name: &'static str, work: impl FnOnce() -> V) -> bool {
        println!("\n── {name}");
        // What the part's programs print must come behind its name: a closed output is nothing to stop for.
        let _closed = std::io::stdout().flush();
        let started = Instant::now();
        let verdict = work().into();
        let passed = verdict.passed();
        if let Some(fault) = &verdict.fault {
            eprintln!("── {name}: {fault}");
        }
        self.parts.push(Part::Run { name, duration: started.elapsed(), verdict });
        passed
    }

    /// Notes parts that are not run, and why.
    pub(crate) fn leave_out(&mut self, names: impl IntoIterator<Item = &'static str>, reason: &'static str) {
        self.parts.extend(names.into_iter().map(|name| Part::LeftOut { name, reason }));
    }

    /// Prints a line for each part and the sum of all tests.
    pub(crate) fn conclude(&self) -> ExitCode {
        println!("\n── summary");
        for part in &self.parts {
            println!("{}", part.line());
        }
        let tally = self.tally();
        println!("{tally}");
        if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// All tests. A part that failed without a failed test, such as a build, counts as one.
    pub(crate) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for part in &self.parts {
            if let Part::Run { verdict, .. } = part {
                sum += verdict.tally;
                sum.failed += u64::from(verdict.fault.is_some() && verdict.tally.failed == 0);
            }
        }
        sum
    }
}

impl Verdict {
    fn passed(&self) -> bool {
        self.fault.is_none() && self.tally.failed == 0
    }
}

impl Part {
    fn line(&self) -> String {
        match self {
            Self::LeftOut { name, reason } => columns("not run", name, "", reason),
            Self::Run { name, duration, verdict } => {
                let word = if verdict.passed() { "passed" } else { "FAILED" };
                let time = format!("{:.1} s", duration.as_secs_f32());
                let tests = (verdict.tally != Tally::default()).then(|| verdict.tally.to_string());
                // A fault can have the output of a program behind its first line, which was printed where it happened.
                let fault = verdict.fault.as_ref().map(|fault| fault.to_string().lines().take(1).collect());
                let remarks: Vec<_> = tests.into_iter().chain(verdict.note.clone()).chain(fault).collect();
                columns(word, name, &time, &remarks.join("; "))
            }
        }
    }
}

fn columns(word: &str, name: &str, time: &str, remark: &str) -> String {
    format!("{word:<8} {name:<28} {time:>9}  {remark}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> Fault {
        Fault::Output { command: "cargo".to_owned(), reason: "nothing".to_owned() }
    }

    #[test]
    fn a_part_that_fails_without_a_test_counts_as_one_failure() {
        let mut report = Report::default();
        let tests = Tally { passed: 5, failed: 2, skipped: 1 };
        assert!(!report.run("tests", || Verdict { tally: tests, note: None, fault: Some(fault()) }));
        assert!(!report.run("build", || Verdict::from(Err(fault()))));
        assert!(report.run("format", || Verdict::from(Ok(()))));
        assert_eq!(report.tally(), Tally { passed: 5, failed: 3, skipped: 1 });
        assert!(report.parts[1].line().ends_with("`cargo` printed what cannot be read: nothing"));
        assert_eq!(report.conclude(), ExitCode::FAILURE);
    }

    #[test]
    fn a_part_whose_runner_ended_well_in_spite_of_a_failed_test_has_failed() {
        let mut report = Report::default();
        let tally = Tally { passed: 1, failed: 1, skipped: 0 };
        assert!(!report.run("tests", || Verdict { tally, ..Verdict::default() }));
        assert_eq!(report.conclude(), ExitCode::FAILURE);
    }
}
