//! RFC 9110 §5.6.7, RFC 9111 §4.2.

use crate::cache::date::parse_date;
use std::time::{Duration, SystemTime};

fn at(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}

/// 2026-11-21 00:00:00.
const NOW: i64 = 1_795_219_200;

fn parse(text: &str) -> Option<i64> {
    let seconds = |time: SystemTime| match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_secs() as i64,
        Err(before) => -(before.duration().as_secs() as i64),
    };
    parse_date(text.as_bytes(), at(NOW)).map(seconds)
}

#[test]
fn three_forms_in_any_case() {
    const EXAMPLE: i64 = 784_111_777;
    for (text, expected) in [
        // RFC 9110 §5.6.7: a recipient MUST accept all three.
        ("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE),
        ("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE),
        ("Sun Nov  6 08:49:37 1994", EXAMPLE),
        ("Sun Nov 06 08:49:37 1994", EXAMPLE),
        // RFC 9111 §4.2: SHOULD match without regard to case.
        ("sUN, 06 nOV 1994 08:49:37 gmt", EXAMPLE),
        ("SUNDAY, 06-NOV-94 08:49:37 GMT", EXAMPLE),
        ("SUN NOV  6 08:49:37 1994", EXAMPLE),
        // A wrong weekday adds no doubt about the date.
        ("Mon, 06 Nov 1994 08:49:37 GMT", EXAMPLE),
        ("Friday, 06-Nov-94 08:49:37 GMT", EXAMPLE),
        ("Sat Nov  6 08:49:37 1994", EXAMPLE),
        // The ends of months, of leap years, of time.
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
        ("Thu, 29 Feb 2024 12:00:00 GMT", 1_709_208_000),
        ("Tue, 19 Jan 2038 03:14:08 GMT", 1 << 31),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ("Mon, 01 Jan 0001 00:00:00 GMT", -62_135_596_800),
        // A leap second is the nearest time that is not later (RFC 9111 §4.2).
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_799),
    ] {
        assert_eq!(parse(text), Some(expected), "{text}");
    }
}

#[test]
fn values_that_are_no_dates() {
    for text in [
        "",
        "0",
        "-1",
        "now",
        "784111777",
        "1994-11-06T08:49:37Z",
        // Another zone: SHOULD be invalid (RFC 9111 §4.2).
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun, 06 Nov 1994 08:49:37",
        // Nearly.
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994  08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 GMTx",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 94",
        // Days and times that do not exist.
        "Xxx, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nix 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Thu, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 12:00:00 GMT",
        "Thu, 29 Feb 1900 12:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 -8:49:37 GMT",
        "Sun, 06 Nov +994 08:49:37 GMT",
        "S\u{fc}n, 06 Nov 1994 08:49:37 GMT",
        ",",
        "Sun,",
    ] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

/// RFC 9110 §5.6.7: a year that appears to be more than 50 years ahead MUST be read as the most recent one in the past.
#[test]
fn a_year_of_two_digits_has_a_century() {
    for (text, year) in [
        ("Saturday, 21-Nov-26 00:00:00 GMT", 2026),
        ("Friday, 21-Nov-75 00:00:00 GMT", 2075),
        ("Thursday, 21-Nov-75 00:00:00 GMT", 2075),
        // Fifty years to the second, and one more.
        ("Saturday, 21-Nov-76 00:00:00 GMT", 2076),
        ("Sunday, 21-Nov-76 00:00:01 GMT", 1976),
        ("Wednesday, 01-Jan-70 00:00:00 GMT", 2070),
        ("Friday, 31-Dec-99 23:59:59 GMT", 1999),
    ] {
        // By years of average length, which is near enough in the middle of one.
        assert_eq!(parse(text).map(|seconds| 1970 + seconds.div_euclid(31_556_952)), Some(year), "{text}");
    }
}

/// Every day from 1900 to 2200 is read as what an independent count says.
#[test]
fn days_follow_each_other() {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [(&str, i64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    // 1900-01-01 was a Monday, 25,567 days before 1970.
    let mut count = 0;
    for year in 1900..2200 {
        let leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
        for (month, length) in MONTHS {
            for day in 1..=length + i64::from(leap && month == "Feb") {
                let text = format!("{}, {day:02} {month} {year} 00:00:00 GMT", DAYS[count as usize % 7]);
                assert_eq!(parse(&text), Some((count - 25_567) * 86_400), "{text}");
                count += 1;
            }
        }
    }
}
