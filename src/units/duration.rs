//! How long: `250ms`, `30s`, `5m`, `1h 30m`.

use humantime::parse_duration;
use std::time::Duration;

/// A year. Added to any clock it still is a time; a sum with the system's calendar panics on more than that can hold.
pub const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);

const HINT: &str = "write 30s or 250ms";

/// Reads a duration for clap. A plain number is refused, even `0`: it does not say seconds or milliseconds.
///
/// # Errors
///
/// A line that says what to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    if is_negative(text) {
        return Err(format!("must not be negative: {HINT}"));
    }
    let duration = match parse_duration(text) {
        // The one plain number that humantime takes.
        Ok(_) if text.trim() == "0" => return Err(HINT.to_owned()),
        Ok(duration) => duration,
        Err(humantime::DurationError::UnknownUnit { unit, .. }) if unit.is_empty() => return Err(HINT.to_owned()),
        Err(humantime::DurationError::UnknownUnit { unit, .. }) => return Err(format!("no unit `{unit}`: {HINT}")),
        // The library's own words ("expected number at 0") tell a user nothing.
        Err(_) => return Err(format!("not a duration: {HINT}")),
    };
    if duration > MAX_DURATION { Err("more than a year: write 365days at most".to_owned()) } else { Ok(duration) }
}

/// Whether a text is meant as a number below zero.
pub(super) fn is_negative(text: &str) -> bool {
    text.trim().strip_prefix('-').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Like [`duration`], for what must take some time: with an interval of zero a loop would spin.
///
/// # Errors
///
/// As for [`duration`], and for zero.
pub fn nonzero_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than zero".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        const CASES: &[(&str, Result<Duration, &str>)] = &[
            ("250ms", Ok(Duration::from_millis(250))),
            ("30s", Ok(Duration::from_secs(30))),
            ("5m", Ok(Duration::from_secs(300))),
            ("1h 30m", Ok(Duration::from_secs(5400))),
            ("1.5s", Ok(Duration::from_millis(1500))),
            ("0s", Ok(Duration::ZERO)),
            ("365days", Ok(MAX_DURATION)),
            ("365days 1ns", Err("more than a year: write 365days at most")),
            ("30", Err(HINT)),
            ("0", Err(HINT)),
            (" 0 ", Err(HINT)),
            ("1.5", Err(HINT)),
            ("5 parsecs", Err("no unit `parsecs`: write 30s or 250ms")),
            ("", Err("not a duration: write 30s or 250ms")),
            ("soon", Err("not a duration: write 30s or 250ms")),
            ("-", Err("not a duration: write 30s or 250ms")),
            ("-1s", Err("must not be negative: write 30s or 250ms")),
            ("-1", Err("must not be negative: write 30s or 250ms")),
        ];
        for (text, expected) in CASES {
            assert_eq!(duration(text), expected.map_err(str::to_owned), "{text:?}");
        }
        for absurd in ["99999999999999999999s", "18446744073709551615years", "s", "10 s s", "\0"] {
            assert!(duration(absurd).is_err(), "{absurd:?}");
        }
    }

    #[test]
    fn an_interval_is_longer_than_zero() {
        assert_eq!(nonzero_duration("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(nonzero_duration("0ms"), Err("must be longer than zero".to_owned()));
        assert_eq!(nonzero_duration("1"), Err(HINT.to_owned()));
    }
}
