//! What is wrong with a field, said to the person who sent it: in her words, and without repeating what she sent.

use std::error::Error;

/// The longest message and the longest name of a field that are answered, in characters.
const CHARACTERS_MAX: usize = 120;

/// How errors of the parsers of numbers and identifiers begin, and what a person is told.
const IN_OTHER_WORDS: [(&str, &str); 5] = [
    ("UUID parsing failed", "is not an identifier of this bank"),
    ("invalid digit", "must be a whole number"),
    ("cannot parse integer", "must be a whole number"),
    ("number too large", "is too large"),
    ("number too small", "is too small"),
];

/// The first error of this type among an error and its causes.
pub(crate) fn cause<'a, E: Error + 'static>(mut error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    loop {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        error = error.source()?;
    }
}

/// A field, and what is wrong with it.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    pub field: String,
    pub message: String,
}

impl Wrong {
    /// Reads an error of serde. `path` is where it happened, as `serde_path_to_error` writes it; nothing comes of
    /// an error that belongs to no field.
    pub fn read(path: &str, error: &str) -> Option<Self> {
        let error = without_position(error);
        let quoted = || error.split('`').nth(1).unwrap_or_default();
        let (field, message) = if error.starts_with("missing field") {
            (below(path, quoted()), "is missing".to_owned())
        } else if error.starts_with("unknown field") {
            (below(parent(path, quoted()), quoted()), "is not known".to_owned())
        } else if error.starts_with("duplicate field") {
            (below(parent(path, quoted()), quoted()), "is sent twice".to_owned())
        } else if let Some(expected) = expected(error) {
            (path.to_owned(), format!("must be {expected}"))
        } else {
            let known = IN_OTHER_WORDS.iter().find(|(start, _)| error.starts_with(start));
            (path.to_owned(), known.map_or(error, |(_, words)| words).to_owned())
        };
        let is_a_field = !field.is_empty() && field != ".";
        is_a_field.then(|| Self { field: shortened(&field), message: shortened(&message) })
    }
}

/// What serde wanted to see. What it saw instead stands in front of it, and is not repeated.
fn expected(error: &str) -> Option<String> {
    let is_about_a_value = ["invalid type", "invalid value", "invalid length", "unknown variant"];
    is_about_a_value.iter().find(|start| error.starts_with(**start))?;
    let (_, expected) = error.rsplit_once(", expected ")?;
    Some(match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, zero or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        expected if expected.starts_with("struct ") || expected == "a map" => "an object".to_owned(),
        expected if expected.starts_with("a sequence") => "a list".to_owned(),
        expected => expected.replace('`', ""),
    })
}

/// The place above a field, if the path names the field itself.
fn parent<'a>(path: &'a str, field: &str) -> &'a str {
    match path.strip_suffix(field) {
        Some(above) => above.strip_suffix('.').unwrap_or(above),
        None => path,
    }
}

fn below(path: &str, field: &str) -> String {
    if path.is_empty() || path == "." { field.to_owned() } else { format!("{path}.{field}") }
}

/// serde_json ends its messages with a position, which says little to somebody whose program wrote the text.
fn without_position(error: &str) -> &str {
    error.rsplit_once(" at line ").map_or(error, |(message, _)| message)
}

fn shortened(text: &str) -> String {
    text.chars().take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_plain_words() {
        for (path, error, told) in [
            (".", "missing field `amount` at line 1 column 2", Some(("amount", "is missing"))),
            ("from", "missing field `id`", Some(("from.id", "is missing"))),
            (
                "extra",
                "unknown field `extra`, expected `a` or `b` at line 1",
                Some(("extra", "is not known")),
            ),
            (
                "from.extra",
                "unknown field `extra`, there are no fields",
                Some(("from.extra", "is not known")),
            ),
            (".", "duplicate field `amount`", Some(("amount", "is sent twice"))),
            (
                "name",
                "invalid type: string \"secret\", expected a string",
                Some(("name", "must be a string")),
            ),
            (
                "name",
                "invalid type: string \", expected x\", expected i64",
                Some(("name", "must be a whole number")),
            ),
            (
                "age",
                "invalid value: integer `-1`, expected u8",
                Some(("age", "must be a whole number, zero or more")),
            ),
            ("kind", "unknown variant `secret`, expected `A` or `B`", Some(("kind", "must be A or B"))),
            (
                "id",
                "UUID parsing failed: invalid character",
                Some(("id", "is not an identifier of this bank")),
            ),
            ("limit", "invalid digit found in string", Some(("limit", "must be a whole number"))),
            ("currency", "is not a currency code", Some(("currency", "is not a currency code"))),
            (".", "invalid length 0, expected struct Deposit with 5 elements", None),
        ] {
            let read = Wrong::read(path, error);
            let read = read.as_ref().map(|wrong| (wrong.field.as_str(), wrong.message.as_str()));
            assert_eq!(read, told, "{path}: {error}");
        }
    }
}
