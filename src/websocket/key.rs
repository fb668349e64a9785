//! The proof that a server understands WebSockets (RFC 6455 §4.2.2): a hash of the client's key, which no other protocol's server gives.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Appended to the key before it is hashed: a text that occurs nowhere else.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `Sec-WebSocket-Accept` for this `Sec-WebSocket-Key`; `None` if that is not sixteen bytes in Base64.
///
/// SHA-1 protects nothing here. It only shows that the answer was made for this question.
#[must_use]
pub fn accept(key: &[u8]) -> Option<String> {
    let (digits, end) = key.split_at_checked(22)?;
    // Of the last digit only two bits belong to the sixteenth byte.
    let is_whole = digits.iter().all(|digit| ALPHABET.contains(digit)) && b"AQgw".contains(&digits[21]) && end == b"==";
    is_whole.then(|| base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID.as_bytes()].concat()).as_ref()))
}

/// RFC 4648 §4.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        let digit = |nth: usize| ALPHABET[(bits >> (18 - 6 * nth) & 63) as usize] as char;
        text.extend((0..=group.len()).map(digit));
        text.extend(std::iter::repeat_n('=', 3 - group.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ==").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn a_key_is_sixteen_bytes() {
        for key in [
            "",
            "dGhl",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25jZQ==x",
            "dGhlIHNhbXBsZSBub25jZ!==",
        ] {
            assert_eq!(accept(key.as_bytes()), None, "{key}");
        }
    }

    /// RFC 4648 §10.
    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
