//! What pages are put together from: amounts, times, states, fields.

use kernel::{Currency, Timestamp};
use maud::{Markup, html};

use crate::api::{ApiError, Problem};
use crate::locale::Locale;
use crate::model::Transaction;
use crate::text::Text;

/// An amount with its currency. What the bank wrote as none is shown as it came.
pub fn amount(locale: Locale, decimal: &str, currency: Currency) -> Markup {
    html! { data.amount value=(decimal) { (locale.decimal(decimal, currency)) "\u{a0}" span.currency { (currency.code()) } } }
}

/// An amount that came in or went out, with its sign.
pub fn movement(locale: Locale, transaction: &Transaction) -> Markup {
    let Transaction { amount: decimal, currency, .. } = transaction;
    let (class, sign) = match (transaction.is_completed(), transaction.is_credit()) {
        (false, _) => ("void", ""),
        (true, true) => ("credit", "+"),
        (true, false) => ("debit", "\u{2212}"),
    };
    html! { span class=(class) { (sign) (amount(locale, decimal, *currency)) } }
}

/// A moment, which scripts write anew in the time zone of the browser.
pub fn time(locale: Locale, at: Timestamp) -> Markup {
    html! { time datetime=(at) data-local { (locale.time(at)) } }
}

/// A state in one word, with its colour.
pub fn state(locale: Locale, name: &str) -> Markup {
    let class = match name {
        "COMPLETED" | "OPEN" | "POSTED" | "CLEAN" => "good",
        "FAILED" | "REFUSED" | "FINDINGS" => "bad",
        "PENDING" | "CLOSING" | "RUNNING" => "busy",
        _ => "quiet",
    };
    // What there are no words for is in the API's capitals.
    let shown = Text::of_name(name).map_or_else(|| capitalised(name), |text| text.of(locale).to_owned());
    html! { span.state.(class) { (shown) } }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().into_iter();
    first.chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}

/// A name of the API in words, if there are any.
pub fn named(locale: Locale, name: &str) -> &str {
    Text::of_name(name).map_or(name, |text| text.of(locale))
}

/// A field of a form: its label, what is in it, and what is wrong with it.
pub struct Field<'a> {
    pub name: &'a str,
    pub label: &'a str,
    pub kind: &'a str,
    pub value: &'a str,
    pub hint: Option<&'a str>,
    pub autocomplete: &'a str,
    pub is_required: bool,
    /// The list of what may be meant, by its id.
    pub list: Option<&'a str>,
}

impl<'a> Field<'a> {
    /// A line of text that has to be there.
    pub fn text(name: &'a str, label: &'a str, value: &'a str) -> Self {
        Self {
            name,
            label,
            kind: "text",
            value,
            hint: None,
            autocomplete: "off",
            is_required: true,
            list: None,
        }
    }

    /// Draws the field, with what the API found wrong with it.
    pub fn draw(&self, refused: Option<&ApiError>) -> Markup {
        let Self { name, label, kind, value, hint, autocomplete, is_required, list } = self;
        let fault = fault_of(name, refused);
        let (hint_id, fault_id) = (format!("{name}-hint"), format!("{name}-fault"));
        let described: Vec<_> = [hint.map(|_| hint_id.as_str()), fault.map(|_| fault_id.as_str())]
            .into_iter()
            .flatten()
            .collect();
        let described = (!described.is_empty()).then(|| described.join(" "));
        let input_mode = (*name == "amount").then_some("decimal");
        html! {
            div.field {
                label for=(name) { (label) }
                @if let Some(hint) = hint { p.hint id=(hint_id) { (hint) } }
                input id=(name) name=(name) type=(kind) value=(value) autocomplete=(autocomplete) inputmode=[input_mode] list=[*list]
                    required[*is_required] aria-invalid=[fault.map(|_| "true")] aria-describedby=[described];
                @if let Some(fault) = fault { p.fault id=(fault_id) { (fault) } }
            }
        }
    }
}

/// What the API found wrong with a field.
fn fault_of<'a>(name: &str, refused: Option<&'a ApiError>) -> Option<&'a str> {
    match refused {
        Some(ApiError::Refused(problem)) => {
            problem.errors.iter().find(|error| error.field == name).map(|error| error.message.as_str())
        }
        _ => None,
    }
}

/// Why a form was refused, above its fields.
pub fn refusal(locale: Locale, refused: Option<&ApiError>) -> Markup {
    html! {
        @match refused {
            None => {},
            Some(ApiError::Refused(problem)) => div.alert role="alert" { (in_words(locale, problem)) },
            Some(ApiError::Unreachable(_)) => div.alert role="alert" { (Text::UnreachableWhy.of(locale)) },
        }
    }
}

/// A problem in the language of the page where there are words for it, else as the API has it.
fn in_words(locale: Locale, problem: &Problem) -> &str {
    named_problem(&problem.code).map_or(problem.detail.as_str(), |text| text.of(locale))
}

fn named_problem(code: &str) -> Option<Text> {
    match code {
        "WRONG_CREDENTIALS" => Some(Text::WrongPassword),
        "EMAIL_TAKEN" => Some(Text::EmailTaken),
        "WEAK_PASSWORD" => Some(Text::WeakPassword),
        "ACCOUNT_NOT_OPEN" => Some(Text::AccountNotOpen),
        "INVALID_AMOUNT" => Some(Text::InvalidAmount),
        "CURRENCY_MISMATCH" => Some(Text::CurrencyMismatch),
        "SAME_ACCOUNT" => Some(Text::SameAccount),
        "RATE_LIMITED" | "TOO_MANY_ATTEMPTS" => Some(Text::TooManyWhy),
        _ => None,
    }
}

/// The link to the next page of a list.
pub fn next_page(locale: Locale, path: &str, next: Option<&str>) -> Markup {
    html! {
        @if next.is_some() {
            p.more { a.button.quiet href=(path) rel="next" { (Text::Older.of(locale)) } }
        }
    }
}
