//! The credentials of the `Basic` scheme (RFC 7617), as `Authorization` and `Proxy-Authorization` carry them.

use super::Fields;

/// The user and the password that the field of that name tells, with the colon between them. `None`: there is no such field or more
/// than one, or it is of another scheme.
#[must_use]
pub fn basic_credentials(fields: &Fields, name: &str) -> Option<Vec<u8>> {
    const SCHEME: &[u8] = b"basic";
    let mut lines = fields.get_all(name);
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let (scheme, rest) = line.split_at_checked(SCHEME.len())?;
    let text = rest.trim_ascii_start();
    if !scheme.eq_ignore_ascii_case(SCHEME) || text.len() == rest.len() {
        return None;
    }
    base64(text).filter(|credentials| credentials.contains(&b':'))
}

/// The user that these credentials name. Bytes that are no UTF-8 are replaced: it is to be shown.
#[must_use]
pub fn basic_user(fields: &Fields, name: &str) -> Option<Box<str>> {
    let credentials = basic_credentials(fields, name)?;
    let user = credentials.split(|byte| *byte == b':').next()?;
    Some(String::from_utf8_lossy(user).into())
}

/// RFC 4648 §4. The digits that fill the last group up may be left out, as some clients do.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        // A group of one digit stands for no byte.
        let whole = group.len().checked_sub(1).filter(|whole| *whole > 0)?;
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=whole]);
    }
    Some(bytes)
}
