//! How many: a whole number between two others.

use std::{num::NonZeroU64, ops::RangeInclusive};

/// As many of anything as a flag may ask for, unless something lower is known: more than memory or descriptors are there for, and
/// no sum of a few of them overflows.
pub const MAX_COUNT: u64 = 1_000_000_000;

/// As many threads as a flag may ask for. Each takes a few of the 65,530 maps that Linux allows a process; beyond them a thread that
/// has just started ends with a panic instead of an error that could be told.
pub const MAX_THREADS: u64 = 10_000;

/// As many workers as a flag may ask for: more event loops than this have no processors to run on, and each takes descriptors.
pub const MAX_WORKERS: u64 = 1024;

/// Reads a number of things for clap, as whatever integer the flag is kept in: `value_parser = number::<u32>(0..=10)`.
///
/// All flags of all programs answer a wrong number in one of three ways: it is not a whole number, it must be at least so many, or
/// at most so many.
pub fn number<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = read(text, &range)?;
        T::try_from(number).map_err(|_| too_large::<T>())
    }
}

/// Like [`number`] from 1 to `most`, for flags that are kept in a type without a zero:
/// `value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT)`.
pub fn at_least_one<T: TryFrom<NonZeroU64>>(
    most: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = NonZeroU64::new(read(text, &(1..=most))?).expect("the range begins with 1");
        T::try_from(number).map_err(|_| too_large::<T>())
    }
}

/// Reads plain digits. `parse` alone would let a sign pass.
fn read(text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let (least, most) = (range.start(), range.end());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_prefix('-') {
        Some(digits) if is_number(digits) => Err(format!("must be at least {least}")),
        None if is_number(text) => match text.parse() {
            Ok(number) if number < *least => Err(format!("must be at least {least}")),
            Ok(number) if number <= *most => Ok(number),
            _ => Err(format!("must be at most {most}")),
        },
        _ => Err("not a whole number".to_owned()),
    }
}

/// The answer if the type of a flag is smaller than its range, as on a machine of 32 bits.
fn too_large<T>() -> String {
    format!("must fit into {} bits", size_of::<T>() * 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU16;

    #[test]
    fn numbers_of_things() {
        const WORD: &str = "not a whole number";
        const CASES: &[(&str, Result<u32, &str>)] = &[
            ("2", Ok(2)),
            ("0010", Ok(10)),
            ("10", Ok(10)),
            ("11", Err("must be at most 10")),
            ("1000000000000", Err("must be at most 10")),
            ("18446744073709551616", Err("must be at most 10")),
            ("1", Err("must be at least 2")),
            ("0", Err("must be at least 2")),
            ("-1", Err("must be at least 2")),
            ("", Err(WORD)),
            ("-", Err(WORD)),
            ("--1", Err(WORD)),
            ("+1", Err(WORD)),
            ("1.5", Err(WORD)),
            ("1k", Err(WORD)),
            ("many", Err(WORD)),
            ("\u{661}", Err(WORD)),
        ];
        for (text, expected) in CASES {
            assert_eq!(number::<u32>(2..=10)(text), expected.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn flags_that_must_not_be_zero_say_so_in_the_same_way() {
        let read = at_least_one::<NonZeroU16>(70_000);
        assert_eq!(read("1"), Ok(NonZeroU16::MIN));
        assert_eq!(read("0"), Err("must be at least 1".to_owned()));
        assert_eq!(read("-5"), Err("must be at least 1".to_owned()));
        assert_eq!(read("70001"), Err("must be at most 70000".to_owned()));
        // Within the range and beyond the type.
        assert_eq!(read("65536"), Err("must fit into 16 bits".to_owned()));
    }
}
