//! Integers that begin in the middle of a byte (RFC 7541 §5.1).

use super::Error;

/// Bytes after the first. Five hold 35 bits, and no length or index needs more than 32.
const MOST_BYTES: u32 = 5;

/// Reads an integer of which the lowest `prefix` bits of the first byte are the beginning, and advances `input` past it.
pub(super) fn read(input: &mut &[u8], prefix: u32) -> Result<usize, Error> {
    let [first, rest @ ..] = *input else { return Err(Error::Truncated) };
    let full = (1u64 << prefix) - 1;
    let start = u64::from(*first) & full;
    let (value, rest) = if start < full { (start, rest) } else { read_rest(rest, start)? };
    *input = rest;
    usize::try_from(value).ok().filter(|value| *value <= u32::MAX as usize).ok_or(Error::IntegerTooLarge)
}

fn read_rest(mut rest: &[u8], mut value: u64) -> Result<(u64, &[u8]), Error> {
    for place in 0..MOST_BYTES {
        let [byte, after @ ..] = rest else { return Err(Error::Truncated) };
        value += u64::from(byte & 0x7f) << (7 * place);
        rest = after;
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
    Err(Error::IntegerTooLarge)
}

/// Appends an integer that begins in the lowest `prefix` bits of a byte, whose other bits are `pattern`.
#[inline]
pub(super) fn write(value: usize, prefix: u32, pattern: u8, out: &mut Vec<u8>) {
    let full = (1usize << prefix) - 1;
    if value < full {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | full as u8);
    write_rest(value - full, out);
}

fn write_rest(mut rest: usize, out: &mut Vec<u8>) {
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541 §C.1, and the ends of every length.
    #[test]
    fn integers_as_they_are_written() {
        for (value, prefix, bytes) in [
            (10, 5, &[0b1010][..]),
            (1337, 5, &[31, 154, 10]),
            (42, 8, &[42]),
            (30, 5, &[30]),
            (31, 5, &[31, 0]),
            (158, 5, &[31, 127]),
            (159, 5, &[31, 128, 1]),
            (0, 4, &[0]),
            (u32::MAX as usize, 7, &[127, 128, 255, 255, 255, 15]),
        ] {
            let mut out = Vec::new();
            write(value, prefix, 0, &mut out);
            assert_eq!(out, bytes, "{value}");
            let with_more = [bytes, b"more"].concat();
            let mut input = &with_more[..];
            assert_eq!((read(&mut input, prefix), input), (Ok(value), &b"more"[..]));
            for cut in 0..bytes.len() {
                assert_eq!(read(&mut &bytes[..cut], prefix), Err(Error::Truncated), "{value} cut at {cut}");
            }
        }
    }

    #[test]
    fn the_other_bits_of_the_first_byte_are_somebody_elses() {
        let mut out = Vec::new();
        write(2, 4, 0x10, &mut out);
        write(15, 4, 0x10, &mut out);
        assert_eq!(out, [0x12, 0x1f, 0]);
        assert_eq!(read(&mut &[0xf2][..], 4), Ok(2));
    }

    #[test]
    fn integers_that_are_too_large() {
        for bytes in [
            &[127, 129, 255, 255, 255, 15][..],      // 2^32
            &[127, 255, 255, 255, 255, 127],         // 35 bits
            &[127, 128, 128, 128, 128, 128, 0],      // A small one, in more bytes than any needs.
            &[127, 255, 255, 255, 255, 255, 255, 1], // Beyond what 64 bits could add up.
        ] {
            assert_eq!(read(&mut { bytes }, 7), Err(Error::IntegerTooLarge), "{bytes:?}");
        }
    }
}
