//! How many: a whole number.

use std::num::NonZeroU64;

/// Reads a number of things of which there has to be one for clap, as whatever integer the flag is kept in:
/// `value_parser = at_least_one::<NonZeroUsize>`.
///
/// # Errors
///
/// A line that says what to write instead, or that the number does not fit into `T`.
pub fn at_least_one<T: TryFrom<NonZeroU64>>(text: &str) -> Result<T, String> {
    // `parse` alone would let a sign pass.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("write a whole number, 1 or more".to_owned());
    }
    let number = text.parse::<u64>().map_err(|_| "too large")?;
    let number = NonZeroU64::new(number).ok_or("must be 1 or more")?;
    T::try_from(number).map_err(|_| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn numbers_of_things() {
        const HINT: &str = "write a whole number, 1 or more";
        const CASES: &[(&str, Result<u32, &str>)] = &[
            ("1", Ok(1)),
            ("0010", Ok(10)),
            ("4294967295", Ok(u32::MAX)),
            ("4294967296", Err("too large")),
            ("18446744073709551616", Err("too large")),
            ("0", Err("must be 1 or more")),
            ("", Err(HINT)),
            ("-1", Err(HINT)),
            ("+1", Err(HINT)),
            ("1.5", Err(HINT)),
            ("1k", Err(HINT)),
            ("x", Err(HINT)),
        ];
        for (text, expected) in CASES {
            assert_eq!(
                at_least_one::<NonZeroU32>(text).map(NonZeroU32::get),
                expected.map_err(str::to_owned),
                "{text:?}"
            );
        }
    }
}
