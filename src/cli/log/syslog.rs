//! A line as the system's log takes it (RFC 5424 §6).
//!
//! ```text
//! <30>1 2026-11-30T12:00:00.123456Z host proxy 4711 - - client=127.0.0.1 …
//!  │  │ time                        host program process
//!  │  version
//!  facility × 8 + severity
//! ```

use nix::unistd::{gethostname, getpid};
use std::{env, path::Path, time::SystemTime};
use tracing::Level;

/// System daemons (RFC 5424 §6.2.1).
const FACILITY: u8 = 3;

/// The value of a field that is not known.
const NIL: &str = "-";

/// The longest part of a line that is sent: what fits into one datagram of UDP, with room for the header.
const LONGEST: usize = 60_000;

/// The program as it names itself.
#[derive(Debug)]
pub(super) struct Sender {
    /// The fields between the time and the text.
    fields: String,
}

impl Sender {
    pub(super) fn this_process() -> Self {
        let host = gethostname().ok().and_then(|name| name.into_string().ok());
        let program = env::args_os().next().and_then(|name| Some(Path::new(&name).file_name()?.to_str()?.to_owned()));
        Self::new(host.as_deref(), program.as_deref(), getpid().as_raw())
    }

    fn new(host: Option<&str>, program: Option<&str>, process: i32) -> Self {
        Self { fields: format!(" {} {} {process} {NIL} {NIL} ", name(host, 255), name(program, 48)) }
    }

    /// Appends the datagram for a line.
    pub(super) fn write(&self, level: Level, now: SystemTime, line: &[u8], out: &mut Vec<u8>) {
        let time = humantime::format_rfc3339_micros(now);
        out.extend_from_slice(format!("<{}>1 {time}{}", FACILITY * 8 + severity(level), self.fields).as_bytes());
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(&text[..text.len().min(LONGEST)]);
    }
}

/// A name of printable characters, of which there may be so many.
fn name(text: Option<&str>, longest: usize) -> &str {
    match text {
        Some(text) if (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) => text,
        _ => NIL,
    }
}

/// RFC 5424 §6.2.1. It knows no level below debug.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_has_the_header_of_the_standard() {
        let sender = Sender::new(Some("a.test"), Some("proxy"), 7);
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_500_000);
        for (level, line, expected) in [
            (Level::INFO, "hello\n", "<30>1 1970-01-01T00:00:01.500000Z a.test proxy 7 - - hello"),
            (Level::ERROR, "", "<27>1 1970-01-01T00:00:01.500000Z a.test proxy 7 - - "),
            (Level::WARN, "a b", "<28>1 1970-01-01T00:00:01.500000Z a.test proxy 7 - - a b"),
            (Level::TRACE, "x\n", "<31>1 1970-01-01T00:00:01.500000Z a.test proxy 7 - - x"),
        ] {
            let mut out = Vec::new();
            sender.write(level, now, line.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        for (host, program) in [(None, None), (Some(""), Some("a b")), (Some("é"), Some(&*"x".repeat(49)))] {
            assert_eq!(Sender::new(host, program, 7).fields, " - - 7 - - ");
        }
        let mut out = Vec::new();
        sender.write(Level::INFO, now, &[b'x'; 70_000], &mut out);
        assert!(out.len() > LONGEST && out.len() < 65_000);
    }
}
