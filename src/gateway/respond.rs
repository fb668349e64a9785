//! Responses as they go over the wire.

use super::outcome::{Executed, Outcome};
use crate::{
    buf::Output,
    http::{BodyLength, Status, Version, framing, http_date, write_connection, write_status_line},
};
use serde::Serialize;
use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};

/// Bytes that most heads are shorter than.
const USUAL: usize = 256;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
/// Each line is JSON.
pub(super) const JSON_LINES: &str = "application/x-ndjson";

/// The facts of a request that its response depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) version: Version,
    /// HEAD: the same without its content.
    pub(super) head_only: bool,
    /// Another request may follow.
    pub(super) reuse: bool,
}

impl Asked {
    /// Of a request that could not be understood.
    pub(super) const UNKNOWN: Self = Self { version: Version::Http11, head_only: false, reuse: false };

    /// The framing of content whose length is not known yet.
    pub(super) fn unknown_length(&self) -> BodyLength {
        match self.version {
            Version::Http11 => BodyLength::Chunked,
            Version::Http10 => BodyLength::UntilClose,
        }
    }
}

/// The head of a response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) status: Status,
    pub(super) kind: &'static str,
    pub(super) length: BodyLength,
    pub(super) allow: Option<&'static str>,
    pub(super) retry_after: Option<Duration>,
}

impl Head {
    pub(super) fn new(status: Status, kind: &'static str, length: BodyLength) -> Self {
        Self { status, kind, length, allow: None, retry_after: None }
    }

    pub(super) fn write(&self, asked: Asked, wall: SystemTime, output: &mut Output) {
        let out = output.tail(USUAL);
        write_status_line(Version::Http11, self.status, self.status.reason().as_bytes(), out);
        for part in [b"Date: ", &http_date(wall)[..], b"\r\nContent-Type: ", self.kind.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
        framing::write_field(self.length, out);
        // An answer is of its moment.
        out.extend_from_slice(b"Cache-Control: no-store\r\n");
        if let Some(allow) = self.allow {
            out.extend_from_slice(format!("Allow: {allow}\r\n").as_bytes());
        }
        if let Some(after) = self.retry_after {
            out.extend_from_slice(format!("Retry-After: {}\r\n", seconds(after)).as_bytes());
        }
        write_connection(asked.version, asked.reuse, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// In whole seconds, and never too early.
fn seconds(after: Duration) -> u64 {
    after.as_secs() + u64::from(after.subsec_nanos() > 0)
}

/// One outcome in JSON.
#[derive(Serialize)]
struct Told<'a> {
    /// Of the content, the first is 1; none if there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executed: Option<Executed>,
}

/// A line of JSON that tells `outcome`.
pub(super) fn told(outcome: &Outcome, line: Option<u64>) -> Vec<u8> {
    let text = Some(outcome.text.as_str());
    let status = outcome.status.code();
    let told = if outcome.is_success() {
        Told { line, status, answer: text, error: None, executed: None }
    } else {
        Told { line, status, answer: None, error: text, executed: Some(outcome.executed) }
    };
    let mut json = serde_json::to_vec(&told).unwrap_or_default();
    json.push(b'\n');
    json
}

/// `STATS commands=3 errors=0` as an object. `None`: it is not in that form.
pub(super) fn numbers(answer: &str) -> Option<Vec<u8>> {
    let mut words = answer.split(' ');
    words.next().filter(|word| *word == "STATS")?;
    let pair = |word: &str| {
        let (name, number) = word.split_once('=')?;
        Some((name.to_owned(), number.parse::<u64>().ok()?.into()))
    };
    let object = words.map(pair).collect::<Option<serde_json::Map<String, serde_json::Value>>>()?;
    let mut json = Vec::new();
    writeln!(json, "{}", serde_json::Value::Object(object)).ok()?;
    Some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_an_object_of_numbers() {
        let json = numbers("STATS commands=3 errors=0 seconds=12").unwrap();
        assert_eq!(json, b"{\"commands\":3,\"errors\":0,\"seconds\":12}\n");
        for wrong in ["", "STATS a", "STATS a=b", "PONG a=1", "STATS a=1  b=2"] {
            assert_eq!(numbers(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_time_to_wait_is_rounded_up() {
        assert_eq!([0, 1, 1000, 1001].map(|millis| seconds(Duration::from_millis(millis))), [0, 1, 1, 2]);
    }
}
