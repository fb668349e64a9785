//! The Common and the Combined Log Format, as Apache's manual describes them (`mod_log_config`).
//!
//! ```text
//! 127.0.0.1 - ann [10/Oct/2000:13:55:36 +0000] "GET /a HTTP/1.1" 200 2326 "http://a.test/" "curl/8.5"
//! client      user when it began                request line    status  bytes  referer    program
//! ```

use super::{Line, RequestLine};
use crate::http::http_date;
use std::{fmt::Write as _, time::SystemTime};

/// The longest part of a field of the request that is shown. A longer one has no other reader than this log.
const FIELD_MAX: usize = 1024;

/// The line, with its end.
pub(super) fn line(line: &Line<'_>, combined: bool) -> String {
    let record = line.record;
    let mut out = String::with_capacity(256);
    // Writing to a string does not fail.
    let _ = write!(out, "{} - ", record.client);
    match record.user.as_deref() {
        None => out.push('-'),
        Some(user) => word(&mut out, user.as_bytes()),
    }
    let _ = write!(out, " [{}] \"", time(record.started.wall));
    match line.asked {
        RequestLine::Head(head, version) => {
            quote(&mut out, head.method.as_str().as_bytes());
            out.push(' ');
            quote(&mut out, head.target().as_bytes());
            let _ = write!(out, " {version}");
        }
        // It is escaped already.
        RequestLine::Bytes(shown) => out.push_str(shown),
    }
    let _ = write!(out, "\" {} ", record.status);
    // Nothing is not the same as a length of 0 in this form.
    match record.sent {
        0 => out.push('-'),
        sent => drop(write!(out, "{sent}")),
    }
    if combined {
        for name in ["referer", "user-agent"] {
            out.push_str(" \"");
            match line.asked {
                RequestLine::Head(head, _) => quote(&mut out, cut(head.fields.get(name).unwrap_or(b"-"))),
                RequestLine::Bytes(_) => out.push('-'),
            }
            out.push('"');
        }
    }
    out.push('\n');
    out
}

fn cut(value: &[u8]) -> &[u8] {
    &value[..value.len().min(FIELD_MAX)]
}

/// `10/Oct/2000:13:55:36 +0000`, from `Tue, 10 Oct 2000 13:55:36 GMT`.
fn time(wall: SystemTime) -> String {
    let date = http_date(wall);
    let part = |from: usize, to: usize| String::from_utf8_lossy(&date[from..to]).into_owned();
    format!("{}/{}/{}:{} +0000", part(5, 7), part(8, 11), part(12, 16), part(17, 25))
}

/// A word without quotes around it, which a space would end.
fn word(out: &mut String, bytes: &[u8]) {
    let from = out.len();
    quote(out, bytes);
    let word = out.split_off(from).replace(' ', "\\x20");
    // No user is not the same as one without a name.
    out.push_str(if word.is_empty() { "\"\"" } else { &word });
}

/// The inside of a quoted string: quotes, backslashes and all that is not printable ASCII are escaped as Apache does it.
fn quote(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => out.push(char::from(*byte)),
            other => drop(write!(out, "\\x{other:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_user_is_one_word() {
        for (user, shown) in
            [("ann", "ann"), ("", "\"\""), ("a b", "a\\x20b"), ("a\"]", "a\\\"]"), ("\n\u{e9}", "\\x0a\\xc3\\xa9")]
        {
            let mut out = String::from("127.0.0.1 - ");
            word(&mut out, user.as_bytes());
            assert_eq!(out.strip_prefix("127.0.0.1 - "), Some(shown));
        }
    }

    #[test]
    fn the_time_is_that_of_the_form() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(971_186_136);
        assert_eq!(time(wall), "10/Oct/2000:13:55:36 +0000");
    }

    #[test]
    fn no_byte_ends_a_quoted_string_or_a_line() {
        for (bytes, shown) in [
            (&b"/a?b='c'"[..], "/a?b='c'"),
            (b"a\" 200 0\n\"", "a\\\" 200 0\\x0a\\\""),
            (b"\\\xc3\xa9\x1b[2J\x7f\x00", "\\\\\\xc3\\xa9\\x1b[2J\\x7f\\x00"),
        ] {
            let mut out = String::new();
            quote(&mut out, bytes);
            assert_eq!(out, shown);
        }
    }
}
