//! Bytes as people read and copy them: two hexadecimal digits each, in small letters, the higher one first.

const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// The digits of these bytes.
pub fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

/// The bytes that have these digits; none if there are more or fewer, or others. Capital letters are others, so that
/// bytes have a single spelling.
pub fn from_hexadecimal<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != BYTES || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? * 16 + value(*low)?;
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_written_as_it_is_read() {
        let all: [u8; 256] = std::array::from_fn(|byte| byte as u8);
        let text = hexadecimal(&all);
        assert_eq!((&text[..10], &text[506..]), ("0001020304", "fdfeff"));
        assert_eq!(from_hexadecimal(&text), Some(all));
    }

    #[test]
    fn other_texts_are_no_bytes() {
        assert_eq!(from_hexadecimal("00ff"), Some([0, 255]));
        for text in ["", "00", "00f", "00fff", "00ffff", "00FF", "0x00", "00fg", " 0ff", "é0f"] {
            assert_eq!(from_hexadecimal::<2>(text), None, "{text}");
        }
    }
}
