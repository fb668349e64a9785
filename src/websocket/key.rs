//! The proof that a server understands WebSockets (RFC 6455 §4.2.2): a hash of the client's key, which no other protocol's server gives.

use crate::units::{BASE64, base64};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Appended to the key before it is hashed: a text that occurs nowhere else.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `Sec-WebSocket-Accept` for this `Sec-WebSocket-Key`; `None` if that is not sixteen bytes in Base64.
///
/// SHA-1 protects nothing here. It only shows that the answer was made for this question.
#[must_use]
pub fn accept(key: &[u8]) -> Option<String> {
    let (digits, end) = key.split_at_checked(22)?;
    // Of the last digit only two bits belong to the sixteenth byte.
    let is_whole = digits.iter().all(|digit| BASE64.contains(digit)) && b"AQgw".contains(&digits[21]) && end == b"==";
    is_whole.then(|| base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID.as_bytes()].concat()).as_ref()))
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
}
