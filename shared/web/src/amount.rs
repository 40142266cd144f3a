//! Amounts and currencies as people send them.

use std::borrow::Cow;

use axum::http::StatusCode;
use kernel::Currency;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::Problem;

/// An amount by its digits, from a JSON text or a JSON number: `"12.50"` or `12.50`. It never was a float.
///
/// It is read from a JSON text only, so it can not stand in a structure that serde reads twice (`flatten`, untagged).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct AmountText(String);

impl AmountText {
    /// The digits, as they were sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for AmountText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let wrong = || D::Error::custom("must be a text or a number, such as \"12.50\"");
        match raw.get().as_bytes() {
            [b'"', ..] => serde_json::from_str(raw.get()).map(Self).map_err(|_| wrong()),
            [b'-' | b'0'..=b'9', ..] => Ok(Self(raw.get().to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl PartialSchema for AmountText {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Number]))
            .pattern(Some(r"^[0-9]+(\.[0-9]+)?$"))
            .exclusive_minimum(Some(0))
            .description(Some("More than zero, with no more decimals than the currency has. A number is read by its digits."))
            .examples(["12.50"])
            .into()
    }
}

impl ToSchema for AmountText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Amount")
    }
}

/// The currency with this code.
///
/// # Errors
/// 422 `INVALID_CURRENCY` if there is none that money can be kept in.
pub fn parse_currency(code: &str) -> Result<Currency, Problem> {
    code.parse().map_err(|reason: kernel::UnknownCurrency| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_CURRENCY", format!("The currency {reason}."))
            .with_error("currency", reason.to_string())
    })
}
