//! The `Date` field's value (RFC 9110 §5.6.7, §6.6.1).

use std::{
    cell::Cell,
    io::Write,
    time::{Duration, SystemTime},
};

/// The last second that has such a form: of the year 9999, since 1970.
const LAST: u64 = 253_402_300_799;

thread_local! {
    /// The second that was asked for last, and its form: it changes once a second, and a second has many responses.
    static SHOWN: Cell<(u64, [u8; 29])> = const { Cell::new((0, *b"Thu, 01 Jan 1970 00:00:00 GMT")) };
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`. Times before 1970 or after 9999 are shown as the nearest that has such a form.
#[must_use]
pub fn http_date(wall: SystemTime) -> [u8; 29] {
    let second = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().min(LAST);
    let (shown, text) = SHOWN.get();
    if shown == second {
        return text;
    }
    let text = formatted(second);
    SHOWN.set((second, text));
    text
}

fn formatted(second: u64) -> [u8; 29] {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
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
