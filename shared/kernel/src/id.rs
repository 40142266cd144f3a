//! Typed identifiers. Outside they are opaque strings; inside, a customer can not be passed for an account.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// The text is not an identifier of this bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an identifier of this bank")]
pub struct InvalidId;

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Names something by a fresh UUID; where it comes from is the caller's affair (see `ports::Sources`).
            pub fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID behind the identifier.
            pub fn uuid(self) -> Uuid {
                self.0
            }

            /// When the identifier was made, if it is a UUID of version 7, which carries its time (RFC 9562).
            pub fn made_at(self) -> Option<Timestamp> {
                if self.0.get_version_num() != 7 {
                    return None;
                }
                let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
                let millis = seconds.checked_mul(1_000)?.checked_add(u64::from(nanos) / 1_000_000)?;
                i64::try_from(millis).ok().map(Timestamp::from_millis)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Takes the one form that [`fmt::Display`] writes, so that an identifier has a single spelling.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let id = Uuid::try_parse(text).map_err(|_| InvalidId)?;
                let mut spelling = Uuid::encode_buffer();
                if id.as_hyphenated().encode_lower(&mut spelling) == text { Ok(Self(id)) } else { Err(InvalidId) }
            }
        }
    )*};
}

identifiers! {
    /// A person who signed up: the subject of her tokens.
    UserId;
    /// An account of a customer.
    AccountId;
    /// A deposit, withdrawal, transfer or closing that somebody asked for. It is also the key of the ledger's verdict.
    OperationId;
    /// One message, for as long as it is delivered.
    MessageId;
    /// An entry of a customer's inbox.
    NotificationId;
    /// One sign-in, until it is signed out or expires.
    SessionId;
}

/// What ties all work done for one request together, from the HTTP call to the last projection.
///
/// It is the caller's text where she sends one, so it is bounded to 64 characters of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorrelationId(String);

impl CorrelationId {
    /// The longest correlation id, in bytes.
    pub const LENGTH_MAX: usize = 64;

    /// A correlation id of the bank's own.
    pub fn new(id: Uuid) -> Self {
        Self(id.to_string())
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > Self::LENGTH_MAX || !text.bytes().all(is_allowed) {
            return Err(InvalidId);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for CorrelationId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<CorrelationId> for String {
    fn from(id: CorrelationId) -> Self {
        id.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(text.parse::<AccountId>().unwrap().to_string(), text);
        for other in ["01890A5D-AC96-774B-BCCE-B302099A8057", "01890a5dac96774bbcceb302099a8057", "", "42"] {
            assert_eq!(other.parse::<AccountId>(), Err(InvalidId), "{other}");
        }
    }

    #[test]
    fn a_version_7_identifier_tells_its_time() {
        let id: AccountId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(id.made_at(), Some(Timestamp::from_millis(0x01890a5dac96)));
        let random: AccountId = "936da01f-9abd-4d9d-80c7-02af85c822a8".parse().unwrap();
        assert_eq!(random.made_at(), None);
    }

    #[test]
    fn a_correlation_id_is_short_and_plain() {
        for text in ["order-42_a.b", "7", &"x".repeat(CorrelationId::LENGTH_MAX)] {
            let id: CorrelationId = text.parse().unwrap();
            assert_eq!(
                (id.as_str(), id.to_string().as_str(), format!("{id:?}").as_str()),
                (text, text, text)
            );
            assert_eq!(String::from(id), text);
        }
        for text in ["", "a b", "ä", "x\n", &"x".repeat(65)] {
            assert_eq!(text.parse::<CorrelationId>(), Err(InvalidId), "{text}");
        }
    }
}
