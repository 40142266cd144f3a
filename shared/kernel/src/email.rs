//! Email addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest address, in bytes (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const EMAIL_BYTES_MAX: usize = 254;
/// The longest part before the @ (RFC 5321, section 4.5.3.1.1).
const EMAIL_LOCAL_BYTES_MAX: usize = 64;

/// An address that letters can be sent to, in the one spelling under which it is known.
///
/// It is trimmed, and lower case as a whole. RFC 5321 lets a mail server tell `Ada@` from `ada@`; none that people
/// use does, and two customers whose addresses differ in nothing else would be a trap. Only ASCII is taken.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// The text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an email address such as ada@example.org")]
pub struct InvalidEmail;

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the @, which a password must not consist of.
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        if text.len() > EMAIL_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidEmail);
        }
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail)?;
        let is_local_sound = !local.is_empty()
            && local.len() <= EMAIL_LOCAL_BYTES_MAX
            && !local.contains(['"', '(', ')', ',', ':', ';', '<', '>', '[', '\\', ']'])
            && local.split('.').all(|part| !part.is_empty());
        if is_local_sound && domain.split('.').all(is_domain_label) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidEmail)
        }
    }
}

/// A second @ is refused here, as any other character that no label of a domain has (RFC 1123, section 2.1).
fn is_domain_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// An address is personal, so it never reaches a log by way of `Debug`.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        for (given, then) in [
            ("ada@example.org", "ada@example.org"),
            ("  Ada.Lovelace+bank@Example.ORG\n", "ada.lovelace+bank@example.org"),
            ("o'hara_1@sub.example-mail.co.uk", "o'hara_1@sub.example-mail.co.uk"),
            ("root@localhost", "root@localhost"),
        ] {
            let email: Email = given.parse().unwrap();
            assert_eq!(email.as_str(), then, "{given}");
            assert_eq!(email.local_part(), &then[..then.find('@').unwrap()], "{given}");
            assert_eq!(String::from(email), then, "{given}");
        }
    }

    #[test]
    fn an_address_is_no_longer_than_a_mail_server_takes_it() {
        // Every part has a length that it may have: only their sum is too large in the end.
        let domain = |first: usize| [first, 63, 63].map(|length| "x".repeat(length)).join(".");
        let address = |first: usize| format!("{}@{}", "x".repeat(EMAIL_LOCAL_BYTES_MAX), domain(first));
        let longest = address(61);
        assert_eq!(longest.len(), EMAIL_BYTES_MAX);
        assert_eq!(longest.parse::<Email>().unwrap().as_str(), longest);
        assert_eq!(address(62).parse::<Email>(), Err(InvalidEmail));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long_local = format!("{}@example.org", "x".repeat(65));
        let long = format!("ada@{}.org", "x.".repeat(130));
        let long_label = format!("ada@{}.org", "x".repeat(64));
        for given in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.org",
            "ada@@example.org",
            "ada@b@example.org",
            "a da@example.org",
            "ada@example..org",
            "ada@-example.org",
            "ada@example-.org",
            ".ada@example.org",
            "a..b@example.org",
            "ada@example.org\nBcc: eve@example.org",
            "\"ada\"@example.org",
            "<ada@example.org>",
            "ada@ex_ample.org",
            "ädä@example.org",
            "ada@exämple.org",
            "ada@example.org.",
            &long_local,
            &long,
            &long_label,
        ] {
            assert_eq!(given.parse::<Email>(), Err(InvalidEmail), "{given}");
        }
    }

    #[test]
    fn an_address_is_not_shown_by_debug() {
        assert_eq!(format!("{:?}", "ada@example.org".parse::<Email>().unwrap()), "Email(…)");
    }
}
