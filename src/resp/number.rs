//! How numbers are written in commands and replies.

/// A decimal integer as the original takes it: no blank, no plus, no zero in front.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    // Below zero, where one number more fits.
    let below = digits.iter().try_fold(0_i64, |sum, digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))
    })?;
    if negative { Some(below) } else { below.checked_neg() }
}

/// A number with a point or an exponent, or infinity; never NaN. One that is too large, or so small that it would be zero, is refused.
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    let (value, is_exact) = real(text)?;
    (is_exact || value.is_subnormal()).then_some(value)
}

/// A number to add to another with more digits than are held here: one that is too small is zero.
pub(crate) fn addend(text: &[u8]) -> Option<f64> {
    real(text).filter(|(value, is_exact)| *is_exact || value.is_finite()).map(|(value, _)| value)
}

/// The bound of a range: blanks may stand before it, nothing is zero, and a number that is too large is infinity.
pub(crate) fn bound(text: &[u8]) -> Option<f64> {
    blank(text).map(|(value, _)| value)
}

/// A number to sort by: as a bound, but a number has to be one that can be held.
pub(crate) fn weight(text: &[u8]) -> Option<f64> {
    blank(text).filter(|(_, is_exact)| *is_exact).map(|(value, _)| value)
}

fn blank(text: &[u8]) -> Option<(f64, bool)> {
    match text {
        [] => Some((0.0, true)),
        [b' ' | b'\t'..=b'\r', rest @ ..] if !rest.is_empty() => blank(rest),
        _ => real(text),
    }
}

/// A number, and whether it is in the range of numbers that are held with all their digits.
fn real(text: &[u8]) -> Option<(f64, bool)> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| !value.is_nan())?;
    let is_named = text.iter().any(|byte| matches!(byte, b'n' | b'N'));
    let mut digits = text.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
    let is_zero = !digits.any(|digit| matches!(digit, b'1'..=b'9'));
    Some((value, value.is_normal() || is_named || is_zero))
}

/// Room for an integer in decimal.
pub(crate) struct Decimal {
    bytes: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(value: i64) -> Self {
        let (mut bytes, mut start, mut left) = ([0; 20], 20, value.unsigned_abs());
        loop {
            start -= 1;
            // The remainder of a division by ten.
            bytes[start] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if value < 0 {
            start -= 1;
            bytes[start] = b'-';
        }
        Self { bytes, start }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// A score as the original writes it: C's `%.17g`.
pub(crate) fn score(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // Exact as an integer, and short.
    #[allow(clippy::cast_possible_truncation)]
    if value.fract() == 0.0 && value.abs() < 1e15 && (value != 0.0 || value.is_sign_positive()) {
        return (value as i64).to_string();
    }
    let text = format!("{value:.16e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..17).contains(&exponent) {
        let decimals = usize::try_from(16 - exponent).unwrap_or_default();
        trim(&format!("{value:.decimals$}"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_strict() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("-0", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            ("-", None),
            ("1.0", None),
        ] {
            assert_eq!(integer(text.as_bytes()), expected, "{text:?}");
            if let Some(value) = expected {
                assert_eq!(Decimal::new(value).bytes(), text.as_bytes());
            }
        }
    }

    #[test]
    fn scores_are_written_as_c_does() {
        for (value, expected) in [
            (0.0, "0"),
            (3.0, "3"),
            (-2.5, "-2.5"),
            (3.1, "3.1000000000000001"),
            (1e20, "1e+20"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.5e-7, "1.4999999999999999e-07"),
            (0.0001, "0.0001"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(score(value), expected);
        }
    }

    #[test]
    fn numbers_are_read_as_by_c() {
        // As a score, as a bound, and to sort by.
        for (text, expected) in [
            ("1.5", [Some(1.5); 3]),
            ("+1", [Some(1.0); 3]),
            ("-.5e1", [Some(-5.0); 3]),
            ("0e500", [Some(0.0); 3]),
            ("inf", [Some(f64::INFINITY); 3]),
            ("-Infinity", [Some(f64::NEG_INFINITY); 3]),
            ("1e400", [None, Some(f64::INFINITY), None]),
            ("-1e400", [None, Some(f64::NEG_INFINITY), None]),
            ("1e-400", [None, Some(0.0), None]),
            ("1e-310", [Some(1e-310), Some(1e-310), None]),
            ("", [None, Some(0.0), Some(0.0)]),
            (" 1", [None, Some(1.0), Some(1.0)]),
            ("\t\n1", [None, Some(1.0), Some(1.0)]),
            (" ", [None; 3]),
            ("1 ", [None; 3]),
            ("nan", [None; 3]),
            ("e5", [None; 3]),
            ("1e", [None; 3]),
        ] {
            let found = [float(text.as_bytes()), bound(text.as_bytes()), weight(text.as_bytes())];
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
