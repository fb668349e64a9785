//! The command service: one line asks, one line answers, in order, so that a client may send many before it reads.
//!
//! ```text
//! > PING               < PONG
//! > echo some words    < some words
//! > TIME               < TIME 2026-07-29T12:00:00Z
//! > STATS              < STATS commands=3 errors=0 seconds=12
//! > HELP               < HELP PING, ECHO text, TIME, STATS, HELP, QUIT
//! > nonsense           < ERROR unknown command: HELP lists them
//! > QUIT               < BYE
//! ```
//!
//! Names are read in any case. Blank lines are ignored and not answered. An error costs one answer, not the connection.

use super::{
    line_session::{LineLimits, LineProtocol, LineSession},
    lines::Line,
    say,
};
use crate::{buf::Output, session::CloseReason, time::Now};
use std::{
    ops::ControlFlow,
    time::{Instant, SystemTime},
};

/// What one conversation remembers, for `STATS`.
#[derive(Debug)]
pub struct Command {
    since: Instant,
    /// Lines that asked for something, wrong ones too.
    commands: u64,
    /// Those that were answered with `ERROR`.
    errors: u64,
}

/// A line that was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request<'i> {
    Ping,
    Echo(&'i [u8]),
    Time,
    Stats,
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
}

impl Error {
    fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "line too long",
            Self::Unknown => "unknown command: HELP lists them",
            Self::Argument => "this command takes nothing after its name",
        }
    }
}

impl<'i> Request<'i> {
    /// `None` for a blank line.
    fn parse(line: &'i [u8]) -> Result<Option<Self>, Error> {
        let line = line.trim_ascii_start();
        if line.is_empty() {
            return Ok(None);
        }
        let name = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (name, rest) = line.split_at(name);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("ECHO") {
            // One space belongs to the command, all others to the text.
            return Ok(Some(Self::Echo(rest.get(1..).unwrap_or_default())));
        }
        let request = match () {
            () if is("PING") => Self::Ping,
            () if is("TIME") => Self::Time,
            () if is("STATS") => Self::Stats,
            () if is("HELP") => Self::Help,
            () if is("QUIT") => Self::Quit,
            () => return Err(Error::Unknown),
        };
        if rest.trim_ascii().is_empty() { Ok(Some(request)) } else { Err(Error::Argument) }
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
        let protocol = Self { since: now.instant, commands: 0, errors: 0 };
        LineSession::new(protocol, limits, now)
    }

    fn answer(&mut self, request: Request<'_>, now: Now, output: &mut Output) -> ControlFlow<CloseReason> {
        match request {
            Request::Ping => output.extend(b"PONG\n"),
            Request::Echo(text) => {
                output.extend(text);
                output.extend(b"\n");
            }
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
            Request::Help => output.extend(b"HELP PING, ECHO text, TIME, STATS, HELP, QUIT\n"),
            Request::Quit => {
                output.extend(b"BYE\n");
                return ControlFlow::Break(CloseReason::PeerAsked);
            }
        }
        ControlFlow::Continue(())
    }
}

impl LineProtocol for Command {
    fn line(&mut self, line: Line<'_>, now: Now, output: &mut Output) -> ControlFlow<CloseReason> {
        let request = match &line {
            Line::Text(text) => Request::parse(text),
            Line::TooLong => Err(Error::TooLong),
        };
        self.commands += u64::from(request != Ok(None));
        match request {
            Ok(None) => {}
            Ok(Some(request)) => return self.answer(request, now, output),
            Err(error) => {
                self.errors += 1;
                say(output, format_args!("ERROR {}\n", error.as_str()));
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        service::testing::{assert_transcript, drain, now},
        session::Session,
    };
    use std::time::Duration;

    #[test]
    fn transcripts() {
        const HELP: &str = "HELP PING, ECHO text, TIME, STATS, HELP, QUIT\n";
        const UNKNOWN: &str = "ERROR unknown command: HELP lists them\n";
        const ARGUMENT: &str = "ERROR this command takes nothing after its name\n";
        let cases: &[(&str, &str)] = &[
            ("", ""),
            ("PING\n", "PONG\n"),
            ("ping\r\nPiNg \n  PING\n", "PONG\nPONG\nPONG\n"),
            ("\n \r\n\t\n\r\nPING\n", "PONG\n"),
            ("ECHO a\necho  b \r\nECHO\nECHO \n", "a\n b \n\n\n"),
            ("TIME\n", "TIME 2026-07-29T12:00:00Z\n"),
            ("HELP\n", HELP),
            ("PINGS\n", UNKNOWN),
            ("PING x\nTIME?\nPING\n", &format!("{ARGUMENT}{UNKNOWN}PONG\n")),
            ("\0\nPING\n", &format!("{UNKNOWN}PONG\n")),
            ("PING\nwhat\n\nSTATS\n", &format!("PONG\n{UNKNOWN}STATS commands=3 errors=1 seconds=0\n")),
            ("PING\nQUIT", "PONG\n"),
        ];
        for (input, said) in cases {
            assert_transcript(Command::session, input.as_bytes(), said, CloseReason::PeerFinished);
        }
        let pipelined = b"PING\nECHO x\nquit\r\nPING\n";
        assert_transcript(Command::session, pipelined, "PONG\nx\nBYE\n", CloseReason::PeerAsked);
    }

    #[test]
    fn a_line_that_is_too_long_is_answered_once_and_the_session_goes_on() {
        let limit = LineLimits::default().line;
        let text = "x".repeat(limit - "ECHO ".len());
        let now = now();
        let mut session = Command::session(now);
        session.receive(format!("ECHO {text}\nECHO {text}x").as_bytes(), now);
        assert_eq!(String::from_utf8(drain(&mut session)).unwrap(), format!("{text}\nERROR line too long\n"));
        session.receive(b"and so on\nPING\n", now);
        assert_eq!(drain(&mut session), b"PONG\n");
    }

    #[test]
    fn time_and_stats_follow_the_clock() {
        let start = now();
        let mut session = Command::session(start);
        session.receive(b"TIME\nSTATS\n", start.after(Duration::from_secs(61)));
        assert_eq!(drain(&mut session), b"TIME 2026-07-29T12:01:01Z\nSTATS commands=2 errors=0 seconds=61\n");
        let before_1970 = Now { wall: SystemTime::UNIX_EPOCH - Duration::from_secs(1), ..start };
        session.receive(b"TIME\n", before_1970);
        assert_eq!(drain(&mut session), b"TIME 1970-01-01T00:00:00Z\n");
    }
}
