//! The words every part of the bank shares: money, currencies, identifiers, addresses and time.
//!
//! Everything here is a value: parsed once at the edge, then passed on without doubt. There is no float,
//! no clock and no randomness; time and identifiers are always somebody's argument.
#![warn(missing_docs)]

mod currency;
mod email;
mod hexadecimal;
mod id;
mod money;
mod text;
mod timestamp;
mod wire;

pub use currency::{Currency, UnknownCurrency};
pub use email::{Email, InvalidEmail};
pub use hexadecimal::{from_hexadecimal, hexadecimal};
pub use id::{
    AccountId, CorrelationId, InvalidId, MessageId, NotificationId, OperationId, SessionId, UserId,
};
pub use money::{AMOUNT_MINOR_MAX, Decimal, InvalidAmount, Money};
pub use text::is_plain_line;
pub use timestamp::{InvalidTimestamp, Timestamp};
