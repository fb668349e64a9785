//! The `Date` field's value (RFC 9110 §5.6.7, §6.6.1).

use std::{
    io::Write,
    time::{Duration, SystemTime},
};

/// `Sun, 06 Nov 1994 08:49:37 GMT`. Changes once a second: cache it that long. Times before 1970 or after 9999 are shown
/// as the nearest that has such a form.
#[must_use]
pub fn http_date(wall: SystemTime) -> [u8; 29] {
    const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let wall = SystemTime::UNIX_EPOCH + since.min(YEAR_10000 - Duration::from_secs(1));
    let mut text = [b' '; 29];
    // The form is of fixed length, and a write to a slice that is long enough does not fail.
    let _ = write!(&mut text[..], "{}", httpdate::HttpDate::from(wall));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_the_rfc_and_at_both_ends_of_time() {
        for (seconds, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (253_402_300_800, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(String::from_utf8_lossy(&http_date(wall)), text);
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(http_date(before), http_date(SystemTime::UNIX_EPOCH));
    }
}
