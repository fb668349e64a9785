//! The echo service: every line comes back with its number, `quit` ends.
//!
//! ```text
//! < Welcome! Every line comes back; "quit" ends.
//! > hello
//! < Echo #1: hello
//! > quit
//! < Goodbye!
//! ```

use super::{
    line_session::{LineLimits, LineProtocol, LineSession},
    lines::Line,
};
use crate::{buf::Output, http::framing::write_decimal, session::CloseReason, time::Now};
use std::ops::ControlFlow;

/// The state of one conversation.
#[derive(Debug, Default)]
pub struct Echo {
    /// Lines heard so far.
    lines: u64,
}

impl Echo {
    /// A conversation that starts now.
    #[must_use]
    pub fn session(now: Now) -> LineSession<Self> {
        Self::session_within(LineLimits::default(), now)
    }

    /// A conversation that starts now, within other limits than the usual.
    #[must_use]
    pub fn session_within(limits: LineLimits, now: Now) -> LineSession<Self> {
        LineSession::new(Self::default(), limits, now)
    }
}

impl LineProtocol for Echo {
    fn greet(&mut self, output: &mut Output) {
        output.extend(b"Welcome! Every line comes back; \"quit\" ends.\n");
    }

    fn line(&mut self, line: Line<'_>, _now: Now, output: &mut Output) -> ControlFlow<CloseReason> {
        self.lines += 1;
        match line {
            Line::Text(text) if text.trim_ascii().eq_ignore_ascii_case(b"quit") => {
                output.extend(b"Goodbye!\n");
                return ControlFlow::Break(CloseReason::PeerAsked);
            }
            Line::Text(text) => {
                // Not through a format string: a line is bytes, and need not be UTF-8.
                echo(self.lines, &text, output);
            }
            Line::TooLong => echo(self.lines, b"(too long)", output),
        }
        ControlFlow::Continue(())
    }
}

fn echo(number: u64, text: &[u8], output: &mut Output) {
    let out = output.tail(32 + text.len());
    out.extend_from_slice(b"Echo #");
    write_decimal(number, out);
    for part in [b": ", text, b"\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        service::testing::{assert_transcript, drain, now},
        session::Session,
    };

    const WELCOME: &str = "Welcome! Every line comes back; \"quit\" ends.\n";

    #[test]
    fn transcripts() {
        const CASES: &[(&str, &str, CloseReason)] = &[
            ("", "", CloseReason::PeerFinished),
            ("hello\n", "Echo #1: hello\n", CloseReason::PeerFinished),
            ("a\r\nb\n\n", "Echo #1: a\nEcho #2: b\nEcho #3: \n", CloseReason::PeerFinished),
            ("a\nunfinished", "Echo #1: a\n", CloseReason::PeerFinished),
            ("quit\n", "Goodbye!\n", CloseReason::PeerAsked),
            ("a\n QUIT \r\nnot heard\n", "Echo #1: a\nGoodbye!\n", CloseReason::PeerAsked),
            ("quitter\nquit\n", "Echo #1: quitter\nGoodbye!\n", CloseReason::PeerAsked),
        ];
        for (input, said, reason) in CASES {
            assert_transcript(Echo::session, input.as_bytes(), &format!("{WELCOME}{said}"), *reason);
        }
    }

    #[test]
    fn a_line_need_not_be_text() {
        let now = now();
        let mut session = Echo::session(now);
        drain(&mut session);
        session.receive(b"\xff\x00\n", now);
        assert_eq!(drain(&mut session), b"Echo #1: \xff\x00\n");
    }

    #[test]
    fn a_line_at_the_limit_comes_back_and_one_past_it_does_not() {
        let limit = LineLimits::default().line;
        let now = now();
        let mut session = Echo::session(now);
        drain(&mut session);
        let line = "x".repeat(limit);
        session.receive(format!("{line}\r\n{line}x\r\nnext\n").as_bytes(), now);
        let said = format!("Echo #1: {line}\nEcho #2: (too long)\nEcho #3: next\n");
        assert_eq!(String::from_utf8(drain(&mut session)).unwrap(), said);
    }
}
