//! Amounts with two decimals, as whole cents, so that a test can add them up without a float.

/// Writes cents as the wire has them: 1250 is `12.50`.
#[must_use]
pub fn decimal(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.unsigned_abs() / 100, minor.unsigned_abs() % 100)
}

/// Reads cents from the wire's form, which always has its two decimals.
#[must_use]
pub fn minor(text: &str) -> i64 {
    let cents = text
        .split_once('.')
        .filter(|(_, fraction)| fraction.len() == 2)
        .map(|(whole, fraction)| format!("{whole}{fraction}"));
    match cents.and_then(|digits| digits.parse().ok()) {
        Some(minor) => minor,
        None => panic!("{text:?} is not an amount with two decimals"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_written_and_read_back() {
        for (cents, text) in [(0, "0.00"), (1, "0.01"), (1_250, "12.50"), (-5, "-0.05"), (-1_250, "-12.50")] {
            assert_eq!(decimal(cents), text);
            assert_eq!(minor(text), cents);
        }
    }
}
