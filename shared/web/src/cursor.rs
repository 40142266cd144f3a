//! Cursors: where a list continues, as an opaque text.
//!
//! A cursor is the sort key of the last item, with a version in front and a checksum behind, so that one that was cut,
//! changed or invented is refused. It is no secret and gives no right: the list it belongs to is the caller's own.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::Problem;

/// The version that is written.
const VERSION: u8 = 1;
/// The bytes of the checksum.
const CHECKSUM_BYTES: usize = 4;
/// The longest sort key, in bytes: that of DynamoDB.
const SORT_BYTES_MAX: usize = 1_024;
/// The longest cursor, in characters.
const CURSOR_LENGTH_MAX: usize = (1 + SORT_BYTES_MAX + CHECKSUM_BYTES).div_ceil(3) * 4;

/// The cursor behind the item with this sort key.
pub fn encode(sort: &str) -> String {
    let mut bytes = Vec::with_capacity(1 + sort.len() + CHECKSUM_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(sort.as_bytes());
    let checksum = checksum(&bytes);
    bytes.extend_from_slice(&checksum);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The sort key that a cursor stands for.
///
/// # Errors
/// 400 `INVALID_CURSOR` if it is not one that [`encode`] wrote.
pub fn decode(cursor: &str) -> Result<String, Problem> {
    sort_in(cursor).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "INVALID_CURSOR",
            "The cursor is not one that this list gave out.",
        )
        .with_error("cursor", "must be the next_cursor of the page before")
    })
}

fn sort_in(cursor: &str) -> Option<String> {
    if cursor.len() > CURSOR_LENGTH_MAX {
        return None;
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let end = bytes.len().checked_sub(CHECKSUM_BYTES)?;
    if bytes[end..] != checksum(&bytes[..end]) || bytes.first() != Some(&VERSION) {
        return None;
    }
    bytes.truncate(end);
    bytes.remove(0);
    String::from_utf8(bytes).ok()
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(bytes);
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_decodes(sort in "\\PC{0,200}") {
            prop_assert_eq!(decode(&encode(&sort)).unwrap(), sort);
        }

        #[test]
        fn a_changed_cursor_is_refused(sort in "[a-z0-9#]{0,60}", at in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_-]") {
            let cursor = encode(&sort);
            let at = at.index(cursor.len());
            prop_assume!(cursor[at..=at] != letter);
            let changed = format!("{}{letter}{}", &cursor[..at], &cursor[at + 1..]);
            prop_assert!(decode(&changed).is_err(), "{}", changed);
            prop_assert!(decode(&cursor[..at]).is_err());
        }

        #[test]
        fn no_text_panics(text in ".{0,100}") {
            prop_assert!(decode(&text).is_err());
        }
    }

    #[test]
    fn the_longest_sort_key_fits() {
        let sort = "x".repeat(SORT_BYTES_MAX);
        assert_eq!(decode(&encode(&sort)).unwrap(), sort);
        assert!(decode(&"A".repeat(CURSOR_LENGTH_MAX + 1)).is_err());
    }
}
