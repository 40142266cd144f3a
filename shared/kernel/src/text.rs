//! Words that one person writes and another reads: names of accounts, and what goes with a payment.

/// Whether a text is one line that reads as it is written.
///
/// Without control characters and separators of lines and paragraphs nobody can begin a line in the bank's name. And
/// without the marks that turn the direction of the text behind them (Unicode Standard Annex 9, sections 2.1 to 2.3),
/// a payer's words cannot make the bank's own, which stand around them, look otherwise. Letters of any script, and the
/// marks that stand for a direction without turning any other letter, are taken.
pub fn is_plain_line(text: &str) -> bool {
    let breaks_or_turns = |character: char| {
        character.is_control()
            || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    !text.chars().any(breaks_or_turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_it_is_written() {
        for text in
            ["", "Rent", "Für später 🐖", "שכר דירה", "إيجار\u{200F} 12", "家賃", "👩\u{200D}👧", "o\u{308}"]
        {
            assert!(is_plain_line(text), "{text:?}");
        }
        for text in [
            "two\nlines",
            "two\r\nlines",
            "two\u{85}lines",
            "two\u{2028}lines",
            "two\u{2029}lines",
            "nothing\0",
            "\u{1B}[31mred",
            "\u{7F}",
            "\u{202A}embedded",
            "\u{202E}05.21 RUE",
            "\u{2066}isolated",
            "ended\u{2069}",
        ] {
            assert!(!is_plain_line(text), "{text:?}");
        }
    }
}
