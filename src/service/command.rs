//! The command service: one line asks, one line answers, in order, so that a client may send many before it reads.
//!
//! ```text
//! > PING               < PONG
//! > echo some words    < some words
//! > TIME               < TIME 2026-07-29T12:00:00Z
//! > STATS              < STATS commands=3 errors=0 seconds=12
//! > HEARTBEAT          < HEARTBEAT_ACK
//! > DELAY 250 slow     < slow                                   a quarter of a second later
//! > HELP               < HELP PING, ECHO text, TIME, STATS, …
//! > nonsense           < ERROR unknown command: HELP lists them
//! > QUIT               < BYE
//! ```
//!
//! Names are read in any case. Blank lines are ignored and not answered. An error costs one answer, not the connection.
//!
//! # Request ids
//!
//! A line that begins with `#` and a number is answered with a line that begins with the same. Then answers need no order:
//! one that takes time is overtaken by later ones. Lines without an id are answered in order, and a plain `DELAY` holds up
//! everything after it.
//!
//! ```text
//! > #17 DELAY 250 slow
//! > #18 ECHO quick     < #18 quick
//!                      < #17 slow
//! ```
//!
//! `QUIT`, and the end of the input, wait for the answers that are not due yet.

use super::{
    line_session::{LineLimits, LineProtocol, LineSession},
    lines::Line,
    say,
};
use crate::{
    buf::Output,
    session::CloseReason,
    time::{Instant, Now},
};
use std::{
    ops::ControlFlow,
    time::{Duration, SystemTime},
};

/// Answers that one client may have waiting for their time: each costs us its text.
pub const MAX_DELAYED: usize = 64;

/// The longest `DELAY`: a test that waits for more than a minute tests something else.
pub const MAX_DELAY: Duration = Duration::from_secs(60);

/// The state of one conversation, for `STATS`.
#[derive(Debug)]
pub struct Command {
    since: Instant,
    /// Lines that asked for something, wrong ones too.
    commands: u64,
    /// Those that were answered with `ERROR`.
    errors: u64,
    /// Answers that are not due, in the order in which they will be.
    delayed: Vec<Delayed>,
    /// `QUIT` was heard and waits for them.
    quitting: Option<Id>,
}

/// The id that the answer to a line begins with; `None`: the line had no id.
type Id = Option<u64>;

/// An answer that takes time.
#[derive(Debug)]
struct Delayed {
    due: Instant,
    id: Id,
    text: Vec<u8>,
}

/// A line that was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request<'i> {
    Ping,
    Echo(&'i [u8]),
    Time,
    Stats,
    Heartbeat,
    Delay(Duration, &'i [u8]),
    Help,
    Quit,
}

/// Why a line was not understood. The text follows `ERROR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Error {
    TooLong,
    Unknown,
    /// Something follows a name that takes nothing.
    Argument,
    /// Something else than a number follows the `#`.
    Id,
    /// Nothing follows the id.
    Nothing,
    /// `DELAY` without a number of milliseconds, or with too large a one.
    Delay,
    TooManyDelayed,
}

impl Error {
    fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "line too long",
            Self::Unknown => "unknown command: HELP lists them",
            Self::Argument => "this command takes nothing after its name",
            Self::Id => "a request id is # and a number, as in #17",
            Self::Nothing => "no command after the request id",
            Self::Delay => "DELAY takes 0 to 60000 milliseconds and a text",
            Self::TooManyDelayed => "too many delayed answers: wait for some of the 64",
        }
    }
}

/// The id that a line begins with, and the rest.
fn split_id(line: &[u8]) -> Result<(Id, &[u8]), Error> {
    let line = line.trim_ascii_start();
    let Some(numbered) = line.strip_prefix(b"#") else { return Ok((None, line)) };
    let digits = numbered.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = numbered.split_at(digits);
    if !rest.first().is_none_or(u8::is_ascii_whitespace) {
        return Err(Error::Id);
    }
    Ok((Some(number(digits).ok_or(Error::Id)?), rest))
}

/// The number that `digits` stand for, if they are digits and few enough.
fn number(digits: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// The first word, and what follows the space after it.
fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    // One space belongs to the word, all others to the text.
    (word, rest.get(1..).unwrap_or_default())
}

impl<'i> Request<'i> {
    /// `None` for a blank line.
    fn parse(line: &'i [u8]) -> Result<Option<Self>, Error> {
        let line = line.trim_ascii_start();
        if line.is_empty() {
            return Ok(None);
        }
        let (name, rest) = split_word(line);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let request = match () {
            () if is("ECHO") => return Ok(Some(Self::Echo(rest))),
            () if is("DELAY") => return Self::parse_delay(rest).map(Some),
            () if is("PING") => Self::Ping,
            () if is("TIME") => Self::Time,
            () if is("STATS") => Self::Stats,
            () if is("HEARTBEAT") => Self::Heartbeat,
            () if is("HELP") => Self::Help,
            () if is("QUIT") => Self::Quit,
            () => return Err(Error::Unknown),
        };
        if rest.trim_ascii().is_empty() { Ok(Some(request)) } else { Err(Error::Argument) }
    }

    fn parse_delay(rest: &'i [u8]) -> Result<Self, Error> {
        let (digits, text) = split_word(rest.trim_ascii_start());
        let delay = number(digits).map(Duration::from_millis).filter(|delay| *delay <= MAX_DELAY);
        delay.map(|delay| Self::Delay(delay, text)).ok_or(Error::Delay)
    }
}

/// Begins an answer.
fn begin(output: &mut Output, id: Id) {
    if let Some(id) = id {
        say(output, format_args!("#{id} "));
    }
}

impl Command {
    /// A conversation that starts now.
    #[must_use]
    pub fn session(now: Now) -> LineSession<Self> {
        Self::session_within(LineLimits::default(), now)
    }

    /// A conversation that starts now, within other limits than the usual.
    #[must_use]
    pub fn session_within(limits: LineLimits, now: Now) -> LineSession<Self> {
        let protocol = Self { since: now.instant, commands: 0, errors: 0, delayed: Vec::new(), quitting: None };
        LineSession::new(protocol, limits, now)
    }

    /// The text that a line asks to have sent back, and nothing else: that of `ECHO` and of `DELAY`. An answer has no mark that tells
    /// such a text from an error, so a client that asked for `ERROR …` has to compare.
    #[must_use]
    pub fn sent_back(line: &str) -> Option<&[u8]> {
        match Request::parse(line.as_bytes()) {
            Ok(Some(Request::Echo(text) | Request::Delay(_, text))) => Some(text),
            _ => None,
        }
    }

    fn answer(&mut self, id: Id, request: Request<'_>, now: Now, output: &mut Output) -> ControlFlow<CloseReason> {
        match request {
            Request::Quit => return self.quit(id, output),
            Request::Delay(delay, text) => return self.delay(id, delay, text, now, output),
            answered_at_once => {
                begin(output, id);
                self.answer_at_once(answered_at_once, now, output);
            }
        }
        ControlFlow::Continue(())
    }

    fn answer_at_once(&self, request: Request<'_>, now: Now, output: &mut Output) {
        match request {
            Request::Ping => output.extend(b"PONG\n"),
            Request::Echo(text) => line(output, text),
            Request::Time => {
                // A clock before 1970 has no such notation, and it is not worth a panic.
                let wall = now.wall.max(SystemTime::UNIX_EPOCH);
                say(output, format_args!("TIME {}\n", humantime::format_rfc3339_seconds(wall)));
            }
            Request::Stats => {
                let seconds = now.instant.saturating_duration_since(self.since).as_secs();
                let Self { commands, errors, .. } = self;
                say(output, format_args!("STATS commands={commands} errors={errors} seconds={seconds}\n"));
            }
            Request::Heartbeat => output.extend(b"HEARTBEAT_ACK\n"),
            Request::Help => output.extend(HELP.as_bytes()),
            Request::Delay(..) | Request::Quit => debug_assert!(false, "these have answers of their own"),
        }
    }

    fn delay(
        &mut self,
        id: Id,
        delay: Duration,
        text: &[u8],
        now: Now,
        output: &mut Output,
    ) -> ControlFlow<CloseReason> {
        if self.delayed.len() >= MAX_DELAYED {
            self.refuse(id, Error::TooManyDelayed, output);
            return ControlFlow::Continue(());
        }
        let due = now.instant + delay;
        // Behind those that are due at the same time: they were asked for earlier.
        let place = self.delayed.partition_point(|other| other.due <= due);
        self.delayed.insert(place, Delayed { due, id, text: text.to_vec() });
        self.due(now, output)
    }

    fn quit(&mut self, id: Id, output: &mut Output) -> ControlFlow<CloseReason> {
        self.quitting = Some(id);
        self.say_bye(output)
    }

    /// Ends the conversation if it was asked to and nothing else is to be said.
    fn say_bye(&mut self, output: &mut Output) -> ControlFlow<CloseReason> {
        match self.quitting.take_if(|_| self.delayed.is_empty()) {
            Some(id) => {
                begin(output, id);
                output.extend(b"BYE\n");
                ControlFlow::Break(CloseReason::PeerAsked)
            }
            None => ControlFlow::Continue(()),
        }
    }

    fn refuse(&mut self, id: Id, error: Error, output: &mut Output) {
        self.errors += 1;
        begin(output, id);
        say(output, format_args!("ERROR {}\n", error.as_str()));
    }
}

const HELP: &str = "HELP PING, ECHO text, TIME, STATS, HEARTBEAT, DELAY MS text, HELP, QUIT; \
                    #N before any of them comes back before its answer\n";

fn line(output: &mut Output, text: &[u8]) {
    output.extend(text);
    output.extend(b"\n");
}

impl LineProtocol for Command {
    fn line(&mut self, line: Line<'_>, now: Now, output: &mut Output) -> ControlFlow<CloseReason> {
        let (id, request) = match &line {
            Line::TooLong => (None, Err(Error::TooLong)),
            Line::Text(text) => match split_id(text) {
                Err(error) => (None, Err(error)),
                // A client that numbers a request waits for its answer.
                Ok((Some(id), rest)) => {
                    (Some(id), Request::parse(rest).and_then(|it| it.ok_or(Error::Nothing)).map(Some))
                }
                Ok((None, rest)) => (None, Request::parse(rest)),
            },
        };
        self.commands += u64::from(request != Ok(None));
        match request {
            Ok(None) => {}
            Ok(Some(request)) => return self.answer(id, request, now, output),
            Err(error) => self.refuse(id, error, output),
        }
        ControlFlow::Continue(())
    }

    fn due_at(&self) -> Option<Instant> {
        self.delayed.first().map(|first| first.due)
    }

    fn due(&mut self, now: Now, output: &mut Output) -> ControlFlow<CloseReason> {
        let due = self.delayed.partition_point(|delayed| delayed.due <= now.instant);
        for Delayed { id, text, .. } in self.delayed.drain(..due) {
            begin(output, id);
            line(output, &text);
        }
        if self.delayed.is_empty() {
            self.delayed = Vec::new();
        }
        self.say_bye(output)
    }

    fn owed(&self) -> u32 {
        // At most 64, and one.
        self.delayed.len() as u32 + u32::from(self.quitting.is_some())
    }

    fn is_busy(&self) -> bool {
        self.quitting.is_some() || self.delayed.iter().any(|delayed| delayed.id.is_none())
    }
}

#[cfg(test)]
mod tests;
