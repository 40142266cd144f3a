//! The fields of one span or event, by name, in the order they were first recorded.
//!
//! A name appears once: who records it again replaces the value. Names in [`REDACTED`] keep their place and lose
//! their value here, where every field of every log event passes, so that no careless log line can leak one.

use std::error::Error;
use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

/// What stands for a value that must not be read.
const HIDDEN: &str = "[redacted]";

/// Names whose values are secrets or tell who a person is.
const REDACTED: [&str; 10] = [
    "access_token",
    "authorization",
    "cookie",
    "email",
    "new_password",
    "password",
    "private_key",
    "refresh_token",
    "secret",
    "token",
];

/// Characters of one value that are kept: a log line is bounded, whatever is in it.
const VALUE_CHARACTERS_MAX: usize = 4_096;

/// How many causes of an error are followed.
const CAUSES_MAX: usize = 8;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields {
    entries: Vec<(&'static str, Value)>,
}

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.entries.iter().find(|(held, _)| *held == name).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.entries.iter().map(|(name, value)| (*name, value))
    }

    /// Takes over the other's fields: where both have one, the other's is kept.
    pub(crate) fn merge(&mut self, inner: Self) {
        if self.entries.is_empty() {
            *self = inner;
            return;
        }
        for (name, value) in inner.entries {
            self.put(name, value);
        }
    }

    fn set(&mut self, name: &'static str, value: Value) {
        self.put(name, if REDACTED.contains(&name) { Value::from(HIDDEN) } else { value });
    }

    fn put(&mut self, name: &'static str, value: Value) {
        match self.entries.iter_mut().find(|(held, _)| *held == name) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name, value)),
        }
    }

    fn set_text(&mut self, name: &'static str, mut text: String) {
        // A text of so few bytes has no more characters, which need not be counted then.
        let is_short = text.len() <= VALUE_CHARACTERS_MAX;
        if !is_short && let Some((end, _)) = text.char_indices().nth(VALUE_CHARACTERS_MAX) {
            text.truncate(end);
            text.push('…');
        }
        self.set(name, Value::from(text));
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field.name(), value.to_owned());
    }

    /// An error is written with its causes: the first of them alone seldom says what to do.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        for _ in 1..CAUSES_MAX {
            let Some(error) = cause else { break };
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.set_text(field.name(), text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set_text(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_appears_once_and_the_inner_value_is_kept() {
        let mut outer = Fields::default();
        outer.set("service", Value::from("banking"));
        outer.set("attempt", Value::from(1));
        let mut inner = Fields::default();
        inner.set("attempt", Value::from(2));
        inner.set("batch", Value::from(16));
        outer.merge(inner);
        let entries: Vec<_> = outer.iter().map(|(name, value)| (name, value.to_string())).collect();
        assert_eq!(
            entries,
            [("service", "\"banking\"".to_owned()), ("attempt", "2".to_owned()), ("batch", "16".to_owned())]
        );
    }

    #[test]
    fn every_redacted_name_loses_its_value() {
        for name in REDACTED {
            let mut fields = Fields::default();
            fields.set(name, Value::from("hunter2"));
            assert_eq!(fields.get(name), Some(&Value::from(HIDDEN)), "{name}");
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let mut fields = Fields::default();
        fields.set_text("reason", "é".repeat(VALUE_CHARACTERS_MAX + 1));
        let kept = fields.get("reason").and_then(Value::as_str).map(|text| text.chars().count());
        assert_eq!(kept, Some(VALUE_CHARACTERS_MAX + 1), "the text and the mark that it was cut");
    }
}
