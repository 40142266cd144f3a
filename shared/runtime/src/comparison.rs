//! What an audit finds when it holds one part of the bank against another.

/// How many things are named; of further ones there is the number only.
const NAMED_MAX: usize = 100;

/// The result of a comparison.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How many things were compared.
    pub compared: u64,
    /// How many have not heard of their event yet.
    pub behind: u64,
    /// The first hundred of those, in words.
    pub behind_named: Vec<String>,
    /// How much is wrong.
    pub findings_count: u64,
    /// The first hundred things that are wrong, in words.
    pub findings: Vec<String>,
}

impl Comparison {
    /// Notes something that has not heard of its event yet.
    pub fn lag(&mut self, what: String) {
        self.behind += 1;
        name(&mut self.behind_named, [what]);
    }

    /// Notes something that is wrong.
    pub fn find(&mut self, finding: String) {
        self.findings_count += 1;
        name(&mut self.findings, [finding]);
    }

    /// Adds another result to this one.
    pub fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.behind += other.behind;
        self.findings_count += other.findings_count;
        name(&mut self.behind_named, other.behind_named);
        name(&mut self.findings, other.findings);
    }
}

fn name(named: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    let room = NAMED_MAX - named.len();
    named.extend(more.into_iter().take(room));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_and_the_first_hundred_are_named() {
        let mut page = Comparison { compared: 80, ..Comparison::default() };
        for number in 0..80 {
            page.find(format!("wrong {number}"));
            page.lag(format!("late {number}"));
        }
        let mut all = Comparison::default();
        all.add(page.clone());
        all.add(page);
        assert_eq!((all.compared, all.behind, all.findings_count), (160, 160, 160));
        assert_eq!((all.behind_named.len(), all.findings.len()), (NAMED_MAX, NAMED_MAX));
        assert_eq!((all.findings[99].as_str(), all.behind_named[0].as_str()), ("wrong 19", "late 0"));
    }
}
