//! What an audit finds when it holds one part of the bank against another.

/// The result of a comparison.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How many things were compared.
    pub compared: u64,
    /// How many have not heard of their event yet.
    pub behind: u64,
    /// What is wrong, in words.
    pub findings: Vec<String>,
}

impl Comparison {
    /// Adds another result to this one.
    pub fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.behind += other.behind;
        self.findings.extend(other.findings);
    }
}
