//! HTTP dates as a recipient reads them: the three forms of RFC 9110 §5.6.7, with what RFC 9111 §4.2 adds for caches.
//!
//! ```text
//! Sun, 06 Nov 1994 08:49:37 GMT     IMF-fixdate, what everybody sends
//! Sunday, 06-Nov-94 08:49:37 GMT    RFC 850, with a year that one has to guess
//! Sun Nov  6 08:49:37 1994          asctime()
//! ```

use crate::http::Fields;
use std::time::{Duration, SystemTime};

const WEEKDAYS: [&[u8]; 7] = [b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday"];
const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
const SECONDS_A_DAY: i64 = 86_400;

/// Reads a date in any of the three forms, in any case. `None` for everything else: another zone, a date that does not
/// exist. `now` decides the century of a year with two digits.
///
/// That the weekday is that day's is not asked: it says nothing that the date does not, and many senders get it wrong
/// (RFC 9110 §5.6.7 wants recipients to be robust).
#[must_use]
pub fn parse_date(text: &[u8], now: SystemTime) -> Option<SystemTime> {
    let comma = text.iter().position(|byte| *byte == b',');
    match comma {
        Some(3) => fixdate(text),
        Some(at) => rfc850(&text[..at], text.get(at + 1..)?, now),
        None => asctime(text),
    }
}

/// The first line of that name as a date; `None` if there is none or if it is not one.
#[must_use]
pub fn date_of(fields: &Fields, name: &str, now: SystemTime) -> Option<SystemTime> {
    parse_date(fields.get(name)?, now)
}

fn fixdate(text: &[u8]) -> Option<SystemTime> {
    let [d1, d2, d3, b',', b' ', day @ .., b' ', b'G' | b'g', b'M' | b'm', b'T' | b't'] = text else { return None };
    let [n1, n2, b' ', m1, m2, m3, b' ', y1, y2, y3, y4, b' ', time @ ..] = day else { return None };
    let date =
        Date { year: number(&[*y1, *y2, *y3, *y4])?, month: month(&[*m1, *m2, *m3])?, day: number(&[*n1, *n2])? };
    is_weekday(&[*d1, *d2, *d3], 3).then(|| date.at(time_of_day(time)?)).flatten()
}

fn rfc850(name: &[u8], rest: &[u8], now: SystemTime) -> Option<SystemTime> {
    let [b' ', day @ .., b' ', b'G' | b'g', b'M' | b'm', b'T' | b't'] = rest else { return None };
    let [n1, n2, b'-', m1, m2, m3, b'-', y1, y2, b' ', time @ ..] = day else { return None };
    let (month, day, seconds) = (month(&[*m1, *m2, *m3])?, number(&[*n1, *n2])?, time_of_day(time)?);
    let short = number(&[*y1, *y2])?;
    // More than fifty years ahead means the most recent year in the past with these digits (a MUST of RFC 9110 §5.6.7).
    let today = civil(now);
    let limit = (today.year + 50, today.month, today.day, unix_seconds(now).rem_euclid(SECONDS_A_DAY));
    let century = today.year - today.year.rem_euclid(100);
    let years = [century + 100 + short, century + short, century - 100 + short];
    let year = years.into_iter().find(|year| (*year, month, day, seconds) <= limit)?;
    is_weekday(name, usize::MAX).then(|| Date { year, month, day }.at(seconds)).flatten()
}

fn asctime(text: &[u8]) -> Option<SystemTime> {
    let [d1, d2, d3, b' ', m1, m2, m3, b' ', n1, n2, b' ', time @ .., b' ', y1, y2, y3, y4] = text else { return None };
    let tens = if *n1 == b' ' { b'0' } else { *n1 };
    let date =
        Date { year: number(&[*y1, *y2, *y3, *y4])?, month: month(&[*m1, *m2, *m3])?, day: number(&[tens, *n2])? };
    is_weekday(&[*d1, *d2, *d3], 3).then(|| date.at(time_of_day(time)?)).flatten()
}

/// `08:49:37` as seconds since midnight. A leap second is the one before it: the nearest time that is not later
/// (RFC 9111 §4.2).
fn time_of_day(text: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = text else { return None };
    let (hour, minute, second) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?);
    (hour < 24 && minute < 60 && second <= 60).then(|| (hour * 60 + minute) * 60 + second.min(59))
}

/// Whether it is a day of the week, by its first `letters`.
fn is_weekday(name: &[u8], letters: usize) -> bool {
    WEEKDAYS.iter().any(|day| day[..day.len().min(letters)].eq_ignore_ascii_case(name))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

/// 1 to 12.
fn month(name: &[u8; 3]) -> Option<i64> {
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    i64::try_from(at + 1).ok()
}

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// Days since 1970-01-01. `None` for a day that the calendar does not have.
    fn days(self) -> Option<i64> {
        let Self { year, month, day } = self;
        let days = days_before_year(year) + days_before_month(year, month) + day - 1;
        let length = days_before_year(year + i64::from(month == 12)) + days_before_month(year, month % 12 + 1)
            - days_before_year(year)
            - days_before_month(year, month);
        (1 <= day && day <= length).then_some(days)
    }

    /// The moment `seconds` after its midnight.
    fn at(self, seconds: i64) -> Option<SystemTime> {
        unix(self.days()? * SECONDS_A_DAY + seconds)
    }
}

/// From 1970-01-01 to the first of `year`.
fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    (year - 1970) * 365 + leap_days(past) - leap_days(1969)
}

fn days_before_month(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 13] = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    BEFORE[usize::try_from(month).unwrap_or(0).min(12)] + i64::from(leap && month > 2)
}

fn unix(seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

/// Seconds since 1970, negative before.
fn unix_seconds(time: SystemTime) -> i64 {
    let whole = |distance: Duration| i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => -whole(before.duration()),
    }
}

/// The day on which a time falls.
fn civil(time: SystemTime) -> Date {
    let days = unix_seconds(time).div_euclid(SECONDS_A_DAY);
    // A year of the calendar's average length: off by one at most.
    let mut year = 1970 + days.saturating_mul(400).div_euclid(146_097);
    while days_before_year(year) > days {
        year -= 1;
    }
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let of_year = days - days_before_year(year);
    let month = (1..=12).rev().find(|month| days_before_month(year, *month) <= of_year).unwrap_or(1);
    Date { year, month, day: of_year - days_before_month(year, month) + 1 }
}
