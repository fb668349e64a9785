//! The primitive types of section 1.5, written.

/// The longest string or binary datum.
const MAX_DATUM: usize = 65_535;

/// A two byte integer.
pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A four byte integer.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A variable byte integer, in as few bytes as it needs. `value` is below 2²⁸.
pub fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    debug_assert!(value < 1 << 28, "{value} has no place in four bytes");
    while value > 0x7F {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`put_varint`] writes.
pub(super) fn varint_len(value: u32) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// Binary data, of which no more than 65,535 bytes can be said.
pub fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MAX_DATUM)];
    put_u16(out, bytes.len() as u16);
    out.extend_from_slice(bytes);
}

/// A string. One that is too long is cut between two characters.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(MAX_DATUM);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    put_binary(out, &text.as_bytes()[..end]);
}
