//! How many bytes: `512`, `16k`, `1m`, `2g`. A `k` is 1024 bytes, as in page and buffer sizes.

use super::duration::is_negative;

const HINT: &str = "write 512, 16k, 1m or 2g";

/// Reads a size in bytes for clap, as whatever integer the flag is kept in: `value_parser = cli::size::<usize>`.
///
/// # Errors
///
/// A line that says what to write instead, or that the size does not fit into `T`.
pub fn size<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    if is_negative(text) {
        return Err(format!("must not be negative: {HINT}"));
    }
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    // `parse` alone would let a sign pass.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("not a size: {HINT}"));
    }
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.and_then(|bytes| T::try_from(bytes).ok()).ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        const WRONG: &str = "not a size: write 512, 16k, 1m or 2g";
        const CASES: &[(&str, Result<u64, &str>)] = &[
            ("0", Ok(0)),
            ("512", Ok(512)),
            ("16k", Ok(16 << 10)),
            ("16K", Ok(16 << 10)),
            ("1m", Ok(1 << 20)),
            ("2G", Ok(2 << 30)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err("too large")),
            ("17179869183g", Ok(u64::MAX - (1 << 30) + 1)),
            ("17179869184g", Err("too large")),
            ("", Err(WRONG)),
            ("k", Err(WRONG)),
            ("1.5m", Err(WRONG)),
            ("+1", Err(WRONG)),
            ("-1k", Err("must not be negative: write 512, 16k, 1m or 2g")),
            ("-1", Err("must not be negative: write 512, 16k, 1m or 2g")),
            ("16 k", Err(WRONG)),
            ("16kk", Err(WRONG)),
            ("16kb", Err(WRONG)),
            ("1\u{661}", Err(WRONG)),
            ("1µ", Err(WRONG)),
        ];
        for (text, expected) in CASES {
            assert_eq!(size::<u64>(text), expected.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn a_size_fits_its_flag() {
        assert_eq!(size::<u16>("65535"), Ok(u16::MAX));
        assert_eq!(size::<u16>("64k"), Err("too large".to_owned()));
    }
}
