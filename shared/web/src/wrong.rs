//! What is wrong with a field, said to the person who sent it: in her words, and without repeating what she sent.

use std::error::Error;

/// The longest message and the longest name of a field that are answered, in characters.
const CHARACTERS_MAX: usize = 120;

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
            (path.to_owned(), error.to_owned())
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
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number".to_owned(),
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
