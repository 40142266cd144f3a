//! How many tests passed, failed and were left out, read from what the runners print at their end.

use std::fmt;
use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// Reads nextest's last line, such as `Summary [ 1.2s] 9/10 tests run: 7 passed (1 slow), 2 failed, 3 skipped`.
    /// Whatever is neither passed nor skipped (failed, timed out, not executed) counts as failed.
    pub(crate) fn of_nextest(line: &str) -> Option<Self> {
        let line = without_colour(line);
        let (_, after) = line.split_once("Summary [")?;
        let (_, counts) = after.split_once(" run: ")?;
        let mut tally = Self::default();
        for part in without_brackets(counts).split(',') {
            let (number, word) = counted(part)?;
            match word {
                "passed" => tally.passed += number,
                "skipped" => tally.skipped += number,
                _ => tally.failed += number,
            }
        }
        Some(tally)
    }

    /// Reads the last line of the standard harness, such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    pub(crate) fn of_harness(line: &str) -> Option<Self> {
        let line = without_colour(line);
        let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let mut tally = Self::default();
        for part in counts.split(';') {
            match counted(part) {
                Some((number, "passed")) => tally.passed += number,
                Some((number, "failed")) => tally.failed += number,
                Some((number, "ignored")) => tally.skipped += number,
                // Measured, filtered out and the time are no results.
                _ => {}
            }
        }
        Some(tally)
    }

    /// Reads one of the last lines of node's test runner, such as `ℹ pass 24`: each has one count.
    pub(crate) fn of_node(line: &str) -> Option<Self> {
        let line = without_colour(line);
        let (word, number) = line.trim().strip_prefix("ℹ ")?.split_once(' ')?;
        let number = number.parse().ok()?;
        match word {
            "pass" => Some(Self { passed: number, ..Self::default() }),
            "fail" | "cancelled" => Some(Self { failed: number, ..Self::default() }),
            "skipped" | "todo" => Some(Self { skipped: number, ..Self::default() }),
            // All of them, the groups they are in, and the time.
            _ => None,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The number and the word after it.
fn counted(part: &str) -> Option<(u64, &str)> {
    let mut words = part.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?))
}

/// The text without what is in brackets: a slow test is counted among those that passed.
fn without_brackets(text: &str) -> String {
    let mut pieces = text.split('(');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| plain + piece.split_once(')').map_or("", |(_, rest)| rest))
}

/// The text without the terminal's colour codes, which begin with an escape and end with an `m`.
fn without_colour(text: &str) -> String {
    let mut pieces = text.split('\u{1b}');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| plain + piece.split_once('m').map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nextest_prints_is_read() {
        let cases = [
            ("     Summary [   0.077s] 17 tests run: 17 passed, 0 skipped", (17, 0, 0)),
            ("     Summary [   1.000s] 1 test run: 1 passed, 12 skipped", (1, 0, 12)),
            (
                "Summary [ 12.3s] 9/10 tests run: 6 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 3 skipped",
                (6, 3, 3),
            ),
            (
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m \u{1b}[33;1mskipped\u{1b}[0m\n",
                (2, 0, 0),
            ),
        ];
        for (line, (passed, failed, skipped)) in cases {
            assert_eq!(Tally::of_nextest(line), Some(Tally { passed, failed, skipped }), "{line}");
        }
        assert_eq!(Tally::of_nextest("    Starting 17 tests across 2 binaries"), None);
    }

    #[test]
    fn what_the_standard_harness_prints_is_read() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 4 filtered out; finished in 0.00s";
        assert_eq!(Tally::of_harness(line), Some(Tally { passed: 3, failed: 1, skipped: 2 }));
        assert_eq!(Tally::of_harness("test a ... ok"), None);
    }

    #[test]
    fn what_nodes_runner_prints_is_read() {
        let lines =
            ["ℹ tests 29", "ℹ suites 7", "\u{1b}[34mℹ pass 23\u{1b}[39m", "ℹ fail 2", "ℹ cancelled 1"];
        let mut tally = Tally::default();
        for line in
            lines.into_iter().chain(["ℹ skipped 2", "ℹ todo 1", "ℹ duration_ms 91668.13", "ℹ Error: no"])
        {
            tally += Tally::of_node(line).unwrap_or_default();
        }
        assert_eq!(tally, Tally { passed: 23, failed: 3, skipped: 3 });
    }
}
