//! A line client's side: a line asks, a line answers, in order.

use super::Heard;
use crate::load::{Kind, Scheme};
use bytes::Bytes;

/// The longest line that is waited for. The services' own limit is far below.
const MAX_LINE: usize = 64 * 1024;

/// The line to send, and the answers that are right.
#[derive(Debug, Clone)]
pub struct LineScript {
    pub(super) request: Bytes,
    scheme: Scheme,
    /// The text that has to come back. `None`: any that is no error.
    expected: Option<Vec<u8>>,
    keep_alive: bool,
}

impl LineScript {
    /// Says `line`, and unless connections are kept, goodbye.
    ///
    /// # Errors
    ///
    /// A line that says what cannot be sent.
    pub fn new(scheme: Scheme, line: &str, keep_alive: bool) -> Result<Self, String> {
        let (word, rest) = line.trim_start().split_once(' ').unwrap_or((line.trim(), ""));
        if line.contains(['\n', '\r']) || line.len() > MAX_LINE / 2 {
            return Err("what is said has to be one line of at most 32 KiB".to_owned());
        }
        if word.eq_ignore_ascii_case("quit") || (scheme == Scheme::Command && word.is_empty()) {
            return Err("this line has no answer to measure".to_owned());
        }
        let expected = match scheme {
            Scheme::Command if word.eq_ignore_ascii_case("ping") => Some(b"PONG".to_vec()),
            Scheme::Command if word.eq_ignore_ascii_case("echo") => Some(rest.into()),
            Scheme::Command => None,
            Scheme::Echo | Scheme::Http | Scheme::Https => Some(line.into()),
        };
        let farewell = match (keep_alive, scheme) {
            (true, _) => "",
            (false, Scheme::Command) => "QUIT\n",
            (false, _) => "quit\n",
        };
        let request = format!("{line}\n{farewell}").into_bytes().into();
        Ok(Self { request, scheme, expected, keep_alive })
    }

    pub(super) fn protocol(&self) -> &'static str {
        match self.scheme {
            Scheme::Command => "command",
            Scheme::Echo | Scheme::Http | Scheme::Https => "echo",
        }
    }

    /// Judges the answer to request number `number` of its connection, from 1.
    fn judge(&self, line: &[u8], number: u64) -> Result<(), Kind> {
        let text = match self.scheme {
            Scheme::Command if line == b"ERROR busy: try again later" => return Err(Kind::Busy),
            Scheme::Command if line.starts_with(b"ERROR ") => return Err(Kind::BadResponse),
            Scheme::Command => line,
            Scheme::Echo | Scheme::Http | Scheme::Https => numbered(line, number).ok_or(Kind::BadResponse)?,
        };
        match &self.expected {
            Some(expected) if expected != text => Err(Kind::BadResponse),
            _ => Ok(()),
        }
    }
}

/// The text of `Echo #N: text`, if the number is right.
fn numbered(line: &[u8], number: u64) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"Echo #")?;
    let colon = memchr::memchr(b':', rest)?;
    let (digits, text) = rest.split_at(colon);
    let said: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (said == number).then_some(text.strip_prefix(b": ")?)
}

/// How far the answers on one connection have come.
#[derive(Debug)]
pub(in crate::load) struct LineTalk {
    /// A line that has begun.
    partial: Vec<u8>,
    asked: u64,
    answered: u64,
    greeting: bool,
}

impl LineTalk {
    pub(super) fn new(script: &LineScript) -> Self {
        Self { partial: Vec::new(), asked: 0, answered: 0, greeting: script.scheme == Scheme::Echo }
    }

    pub(super) fn awaits_greeting(&self) -> bool {
        self.greeting
    }

    pub(super) fn asked(&mut self) {
        self.asked += 1;
    }

    pub(super) fn hear(&mut self, script: &LineScript, input: &mut &[u8]) -> Heard {
        let Some(end) = memchr::memchr(b'\n', input) else {
            self.partial.extend_from_slice(input);
            *input = &[];
            return if self.partial.len() > MAX_LINE { Heard::Broken(Kind::BadResponse) } else { Heard::More };
        };
        let (line, rest) = input.split_at(end);
        *input = &rest[1..];
        if self.partial.is_empty() {
            return self.line(script, line);
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(line);
        self.line(script, &whole)
    }

    fn line(&mut self, script: &LineScript, line: &[u8]) -> Heard {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if std::mem::take(&mut self.greeting) {
            return match line {
                b"Busy: try again later." => Heard::Broken(Kind::Busy),
                _ if line.starts_with(b"Welcome") => Heard::Greeted,
                _ => Heard::Broken(Kind::BadResponse),
            };
        }
        if self.answered == self.asked {
            let farewell = !script.keep_alive && self.asked > 0 && matches!(line, b"Goodbye!" | b"BYE");
            // A refusal may come before the first request is sent.
            let refused = script.scheme == Scheme::Command && line == b"ERROR busy: try again later";
            return match (farewell, refused) {
                (true, _) => Heard::More,
                (false, true) => Heard::Broken(Kind::Busy),
                (false, false) => Heard::Unasked,
            };
        }
        self.answered += 1;
        let verdict = script.judge(line, self.answered);
        Heard::Answer { verdict, last: !script.keep_alive || verdict == Err(Kind::Busy) }
    }
}
