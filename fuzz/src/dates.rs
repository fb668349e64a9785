//! The reader of dates: what the `httpdate` crate reads, ours reads as the same time, if the year is whole; what ours reads
//! is read again when it is written; capitals change nothing; and a year of two digits is never more than fifty years away.

use super::pieces::MOST;
use socket_patterns::{cache::date::parse_date, http::http_date};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Fifty years with the most leap days that they can have.
const FIFTY_YEARS: u32 = 50 * 365 + 13;

/// The end of what a year of four digits can say.
const YEAR_10000: u64 = 253_402_300_800;

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    // Sun, 06 Nov 1994; the last leap day that there was; the first day after one.
    for now in [784_111_777, 1_709_164_800, 1_709_251_200] {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let Ok(text) = std::str::from_utf8(data) else {
            assert_eq!(parse_date(data, now), None, "dates are ASCII");
            return;
        };
        read(text.trim(), now);
    }
}

fn read(text: &str, now: SystemTime) {
    let ours = parse_date(text.as_bytes(), now);
    assert_eq!(parse_date(text.to_ascii_uppercase().as_bytes(), now), ours, "{text}");
    // Of the three forms, the one with the whole name of the day has the short year.
    let short = text.find(',').is_some_and(|comma| comma > 3);
    if let Ok(theirs) = httpdate::parse_http_date(text)
        && !short
    {
        assert_eq!(ours, Some(theirs), "{text}");
    }
    let Some(ours) = ours else { return };
    if short {
        assert!(ours <= now + DAY * FIFTY_YEARS && ours + DAY * FIFTY_YEARS >= now, "{text} at {now:?}");
    }
    let in_range = ours.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.as_secs() < YEAR_10000);
    if in_range {
        assert_eq!(parse_date(&http_date(ours), now), Some(ours), "{text}");
    }
}
