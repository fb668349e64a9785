//! Sums of decimal fractions as the original has them: in the 80-bit numbers of x86, whose mantissa has 64 bits, written with at most 17
//! decimals. So 0.1 and 0.2 are 0.3, and both servers tell a client the same.

use super::{
    fault::{Fault, Outcome, refuse},
    number,
};

/// A mantissa and the power of two it is to be multiplied by; the highest bit of the mantissa is set unless it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extended {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

/// The largest power of ten that a fraction may be divided by here.
const MOST_DECIMALS: usize = 19;

impl Extended {
    /// `value` times two to the power of `exponent`, rounded to the nearest. `sticky`: it is a little more.
    fn round(negative: bool, value: u128, exponent: i32, sticky: bool) -> Self {
        if value == 0 {
            return Self { negative: false, mantissa: 0, exponent: 0 };
        }
        let zeros = value.leading_zeros();
        let value = value << zeros;
        let exponent = exponent - i32::try_from(zeros).unwrap_or_default() + 64;
        let (high, low) = ((value >> 64) as u64, value as u64);
        let half = 1 << 63;
        let up = low > half || (low == half && (sticky || high & 1 == 1));
        match high.checked_add(u64::from(up)) {
            Some(mantissa) => Self { negative, mantissa, exponent },
            None => Self { negative, mantissa: half, exponent: exponent + 1 },
        }
    }

    /// A decimal number. `None`: it has more digits than are worked with here.
    fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (rest, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let power: i32 = power.parse().ok().filter(|power| (-100..=100).contains(power))?;
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        // More decimals than can be worked with change the last bit at most.
        let (fraction, beyond) = match fraction.char_indices().nth(usize::try_from(19 + power).unwrap_or(0)) {
            Some((end, _)) => fraction.split_at(end),
            None => (fraction, ""),
        };
        let is_cut = beyond.bytes().any(|digit| digit != b'0');
        let fraction = fraction.trim_end_matches('0');
        // The point moves to the right, and zeros fill up what is behind the last digit.
        let decimals = i32::try_from(fraction.len()).ok()? - power;
        let zeros = "0".repeat(usize::try_from(-decimals).unwrap_or(0));
        let decimals = usize::try_from(decimals).unwrap_or(0);
        let digits = format!("{whole}{fraction}{zeros}");
        if digits.is_empty() || digits.len() > 37 || decimals > MOST_DECIMALS {
            return None;
        }
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: u128 = digits.parse().ok()?;
        if digits == 0 {
            return Some(Self { negative: false, mantissa: 0, exponent: 0 });
        }
        let divisor = 10_u128.pow(u32::try_from(decimals).ok()?);
        let shift = digits.leading_zeros();
        let value = digits << shift;
        // A long division: the first quotient, and 64 bits more of it.
        let (first, rest) = (value / divisor, value % divisor);
        let (second, last) = ((rest << 64) / divisor, (rest << 64) % divisor);
        let shift = i32::try_from(shift).ok()?;
        if first >> 64 == 0 {
            Some(Self::round(negative, (first << 64) | second, -shift - 64, last != 0 || is_cut))
        } else {
            Some(Self::round(negative, first, -shift, second != 0 || last != 0 || is_cut))
        }
    }

    fn add(self, other: Self) -> Self {
        if self.mantissa == 0 {
            return other;
        }
        if other.mantissa == 0 {
            return self;
        }
        let (large, small) = if (self.exponent, self.mantissa) >= (other.exponent, other.mantissa) {
            (self, other)
        } else {
            (other, self)
        };
        // One bit is left free for what is carried.
        let a = u128::from(large.mantissa) << 63;
        let distance = u32::try_from(large.exponent - small.exponent).unwrap_or(u32::MAX);
        let b = u128::from(small.mantissa) << 63;
        let (b, lost) =
            if distance > 127 { (0, true) } else { (b >> distance, distance > 0 && b << (128 - distance) != 0) };
        let sum = if large.negative == small.negative { a + b } else { a - b - u128::from(lost) };
        Self::round(large.negative, sum, large.exponent - 63, lost)
    }

    /// As C writes it with `%.17Lf`, without zeros at the end. `None`: it is too large to be written here.
    fn write(self) -> Option<String> {
        const DECIMALS: u128 = 100_000_000_000_000_000;
        let (whole, fraction) = if self.exponent >= 0 {
            if self.exponent > 63 {
                return None;
            }
            (u128::from(self.mantissa) << self.exponent, 0)
        } else {
            let shift = self.exponent.unsigned_abs();
            let mantissa = u128::from(self.mantissa);
            let whole = if shift < 64 { mantissa >> shift } else { 0 };
            let part = if shift < 64 { mantissa & ((1 << shift) - 1) } else { mantissa };
            let scaled = part * DECIMALS;
            let (quotient, rest, half) =
                if shift > 126 { (0, 1, 2) } else { (scaled >> shift, scaled & ((1 << shift) - 1), 1 << (shift - 1)) };
            let up = rest > half || (rest == half && quotient & 1 == 1);
            (whole, quotient + u128::from(up))
        };
        let (whole, fraction) = (whole + fraction / DECIMALS, fraction % DECIMALS);
        let text = format!("{whole}.{fraction:017}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let sign = if self.negative && text != "0" { "-" } else { "" };
        Some(format!("{sign}{text}"))
    }
}

/// The sum of what a key has and what is added, as it is kept and told.
pub(crate) fn sum(before: Option<&[u8]>, by: &[u8]) -> Outcome<String> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Fault::NotFloat);
    let (before, by) = (text(before.unwrap_or(b"0"))?, text(by)?);
    let valid = |word: &str| number::addend(word.as_bytes()).ok_or(Fault::NotFloat);
    let (a, b) = (valid(before)?, valid(by)?);
    if let (Some(a), Some(b)) = (Extended::parse(before), Extended::parse(by))
        && let Some(sum) = a.add(b).write()
    {
        return Ok(sum);
    }
    let sum = a + b;
    if sum.is_nan() || sum.is_infinite() {
        return refuse("ERR increment would produce NaN or Infinity");
    }
    let written = format!("{sum:.17}");
    Ok(written.trim_end_matches('0').trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of the original on x86.
    #[test]
    fn sums_are_those_of_80_bits() {
        for (before, by, expected) in [
            ("0.1", "0.2", "0.3"),
            ("10.5", "0.1", "10.6"),
            ("3.0", "1.10", "4.1"),
            ("5", "-5", "0"),
            ("1", "-1.5", "-0.5"),
            ("0", "0.00000000000000001", "0.00000000000000001"),
            ("5.0e3", "2.0e2", "5200"),
            ("100", "0.25", "100.25"),
            ("1e3", "5.780", "1005.78000000000000003"),
            ("1e-2", "12.5E1", "125.01"),
            ("0", "3.14159265358979323846264338327950288", "3.14159265358979324"),
            ("1", "3.14159265358979323846264338327950288", "4.14159265358979324"),
            ("0", "0.3333333333333333333333333333333333333", "0.33333333333333333"),
        ] {
            assert_eq!(sum(Some(before.as_bytes()), by.as_bytes()), Ok(expected.to_owned()), "{before} + {by}");
        }
        assert_eq!(sum(None, b"x"), Err(Fault::NotFloat));
    }
}
