//! A conversation in lines, as a [`Session`]: what `echo` and `command` have in common.
//!
//! It decides three things that a protocol of lines should not have to think about: when to stop answering because the
//! answers are not taken, when silence has lasted too long, and that a stream's last, unfinished line is no line.

use super::{
    HIGH_WATER,
    lines::{Line, Lines},
};
use crate::{
    buf::Output,
    session::{self, ANSWERS, CloseReason, Session, Wants},
    time::{Instant, Now},
};
use std::{ops::ControlFlow, time::Duration};

/// A protocol that hears lines and answers with bytes.
pub trait LineProtocol {
    /// Said once, before anything is heard.
    fn greet(&mut self, _output: &mut Output) {}
    /// Answers one line, or ends the conversation after what it wrote.
    fn line(&mut self, line: Line<'_>, now: Now, output: &mut Output) -> ControlFlow<CloseReason>;
    /// When the next answer that takes time is due; `None`: nothing was promised.
    fn due_at(&self) -> Option<Instant> {
        None
    }
    /// Answers what is due. Called not before [`Self::due_at`].
    fn due(&mut self, _now: Now, _output: &mut Output) -> ControlFlow<CloseReason> {
        ControlFlow::Continue(())
    }
    /// How many lines were understood, and are not answered yet.
    fn owed(&self) -> u32 {
        0
    }
    /// Whether the next line has to wait for an answer that is not due.
    fn is_busy(&self) -> bool {
        false
    }
}

/// How long a line and a silence may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineLimits {
    /// Bytes in a line, its end not counted.
    pub line: usize,
    /// Silence after which the session ends.
    pub idle: Duration,
}

impl Default for LineLimits {
    /// A long paragraph, and long enough to look up a command in the course.
    fn default() -> Self {
        Self { line: 8 * 1024, idle: Duration::from_secs(300) }
    }
}

/// One peer's conversation in `P`.
#[derive(Debug)]
pub struct LineSession<P> {
    protocol: P,
    lines: Lines,
    output: Output,
    /// Heard, but not yet looked at: the answers to what came before wait to be sent.
    held: Vec<u8>,
    idle: Duration,
    /// When the peer was last heard, or got an answer that it had to wait for.
    heard: Now,
    /// The peer sends nothing more.
    ended: bool,
    /// The conversation is over: nothing is answered any more.
    closed: Option<CloseReason>,
    /// Lines that were answered since the driver asked for their number.
    answered: u32,
}

impl<P: LineProtocol> LineSession<P> {
    /// A conversation that starts now, with the protocol's greeting as its first output.
    pub fn new(mut protocol: P, limits: LineLimits, now: Now) -> Self {
        let mut output = Output::new();
        protocol.greet(&mut output);
        Self {
            protocol,
            lines: Lines::new(limits.line),
            output,
            held: Vec::new(),
            idle: limits.idle,
            heard: now,
            ended: false,
            closed: None,
            answered: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn protocol(&self) -> &P {
        &self.protocol
    }

    /// Answers the lines in `input` until the output is full or an answer takes time; returns what was not looked at.
    fn answer<'i>(&mut self, mut input: &'i [u8]) -> &'i [u8] {
        let enough = self.answered.saturating_add(ANSWERS);
        // Without output, the driver would not call again for the rest.
        let full = |output: &Output, answered| output.len() >= HIGH_WATER || answered >= enough && !output.is_empty();
        while self.closed.is_none() && !full(&self.output, self.answered) && !self.protocol.is_busy() {
            let Some(line) = self.lines.next(&mut input) else { return &[] };
            let (before, owed) = (self.output.len(), self.protocol.owed());
            if let ControlFlow::Break(reason) = self.protocol.line(line, self.heard, &mut self.output) {
                self.closed = Some(reason);
            }
            // A blank line may be owed nothing. Another may make others due as well.
            let still = self.protocol.owed();
            let asked = self.output.len() > before || still > owed;
            self.answered += owed + u32::from(asked) - still;
        }
        if self.closed.is_some() { &[] } else { input }
    }

    /// Keeps for later what came although nothing was wanted.
    fn hold(&mut self, input: &[u8]) {
        if !session::hold(&mut self.held, input) {
            self.closed = Some(CloseReason::Protocol("too many requests at once"));
        }
    }

    /// Goes on where the full output made it stop.
    fn resume(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.held = self.answer(&held).to_vec();
    }
}

impl<P: LineProtocol> Session for LineSession<P> {
    fn receive(&mut self, input: &[u8], now: Now) {
        self.heard = now;
        if self.held.is_empty() {
            self.held = self.answer(input).to_vec();
        } else if self.closed.is_none() {
            self.hold(input);
        }
    }

    fn receive_end(&mut self, _now: Now) {
        self.ended = true;
    }

    fn output(&mut self) -> &mut Output {
        if self.output.is_empty() && !self.held.is_empty() && !self.protocol.is_busy() {
            self.resume();
        }
        &mut self.output
    }

    fn wants(&self) -> Wants {
        match self.closed {
            Some(reason) => Wants::Close(reason),
            None if !self.output.is_empty() || !self.held.is_empty() => Wants::Flush,
            // With nothing to flush this means: until the deadline, nothing.
            None if self.ended && self.protocol.due_at().is_some() => Wants::Flush,
            None if self.ended => Wants::Close(CloseReason::PeerFinished),
            None => Wants::Input,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.closed.is_some() {
            return None;
        }
        let idle = self.heard.instant + self.idle;
        match self.protocol.due_at() {
            // It waits for us.
            Some(due) if self.output.is_empty() => Some(due),
            Some(due) => Some(due.min(idle)),
            None => Some(idle),
        }
    }

    fn promised(&self) -> Option<Instant> {
        self.protocol.due_at().filter(|_| self.closed.is_none())
    }

    fn expire(&mut self, now: Now) {
        if self.deadline().is_none_or(|at| now.instant < at) {
            return;
        }
        if self.protocol.due_at().is_some_and(|at| at <= now.instant) {
            self.heard = now;
            let owed = self.protocol.owed();
            if let ControlFlow::Break(reason) = self.protocol.due(now, &mut self.output) {
                self.closed = Some(reason);
            }
            self.answered += owed - self.protocol.owed();
            return self.resume();
        }
        // Unsent answers mean that the peer does not read: there is no point in keeping them any longer.
        let unread = !self.output.is_empty() || !self.held.is_empty();
        self.closed = Some(if unread { CloseReason::TooSlow } else { CloseReason::Idle });
        self.output.clear();
        self.held = Vec::new();
    }

    fn answered(&mut self) -> u32 {
        std::mem::take(&mut self.answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{drain, now};
    use std::io::Write;

    /// Answers every line with so many bytes.
    #[derive(Debug)]
    struct Verbose(usize);

    impl LineProtocol for Verbose {
        fn line(&mut self, _: Line<'_>, _: Now, output: &mut Output) -> ControlFlow<CloseReason> {
            writeln!(output, "{:1$}", "", self.0 - 1).unwrap();
            ControlFlow::Continue(())
        }
    }

    fn session(answer: usize) -> (LineSession<Verbose>, Now) {
        let now = now();
        (LineSession::new(Verbose(answer), LineLimits::default(), now), now)
    }

    #[test]
    fn a_peer_that_never_reads_does_not_grow_our_memory() {
        let (mut session, now) = session(10_000);
        session.receive(&[b'\n'; 1_000], now);
        assert_eq!(session.wants(), Wants::Flush);
        assert!((HIGH_WATER..HIGH_WATER + 10_000).contains(&session.output().len()));
        // Nothing is lost either: as it reads, the rest is answered, and never more than that at once.
        let mut answered = 0;
        while session.wants() == Wants::Flush {
            let unsent = session.output().len();
            assert!(unsent < HIGH_WATER + 10_000);
            answered += unsent;
            session.output().consume(unsent);
        }
        assert_eq!((answered, session.wants()), (1_000 * 10_000, Wants::Input));
    }

    /// So that others are served in between.
    #[test]
    fn a_peer_with_many_lines_is_answered_in_parts() {
        let (mut session, now) = session(1);
        let (mut parts, most) = (0, ANSWERS as usize);
        session.receive(&[b'\n'; 1_000], now);
        while session.wants() == Wants::Flush {
            let unsent = session.output().len();
            assert_eq!(unsent, most.min(1_000 - parts * most));
            session.output().consume(unsent);
            parts += 1;
        }
        assert_eq!((parts, session.wants()), (1_000_usize.div_ceil(most), Wants::Input));
    }

    #[test]
    fn the_end_is_heard_after_the_answers() {
        let (mut session, now) = session(100);
        session.receive(b"\n\nunfinished", now);
        session.receive_end(now);
        assert_eq!(session.wants(), Wants::Flush);
        assert_eq!(drain(&mut session).len(), 200);
        assert_eq!(session.wants(), Wants::Close(CloseReason::PeerFinished));
    }

    #[test]
    fn silence_ends_the_session_at_its_deadline() {
        let (mut session, start) = session(100);
        let idle = LineLimits::default().idle;
        let later = start.after(idle / 2);
        session.receive(b"half a line", later);
        session.expire(start.after(idle));
        assert_eq!((session.wants(), session.deadline()), (Wants::Input, Some(later.instant + idle)));
        session.expire(later.after(idle));
        assert_eq!((session.wants(), session.deadline()), (Wants::Close(CloseReason::Idle), None));
    }

    #[test]
    fn answers_that_nobody_takes_end_the_session_too() {
        let (mut session, start) = session(100);
        session.receive(b"\n", start);
        session.expire(start.after(LineLimits::default().idle));
        assert_eq!(session.wants(), Wants::Close(CloseReason::TooSlow));
        assert!(session.output().is_empty());
    }
}
