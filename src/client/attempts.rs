//! Whether a request may be sent again: the line that must not be crossed.
//!
//! A request whose answer is missing was executed or it was not. Sending it again is only right if it never left, or if
//! executing it twice is the same as executing it once. Everything else is reported instead: the caller knows what a
//! second payment costs.
//!
//! | what had left | idempotent | otherwise |
//! |---|---|---|
//! | nothing | again | again |
//! | a part | again, while tries are left | [`Error::MaybeExecuted`] |
//! | all | again, while tries are left | [`Error::MaybeExecuted`] |
//!
//! All tries share one deadline ([`DeadlineBudget`]). A try that may be followed by others gets its share of what is left,
//! so that one which hangs leaves time for the next; a request that must not be sent twice gets everything.
//!
//! ```
//! use socket_patterns::client::{Attempts, Cause, Error, Policy, Verdict, Written, demo};
//! use std::{io::{BufRead, BufReader, Write}, net::TcpStream, time::Duration};
//!
//! let server = demo::command_server()?;
//! let now = || socket_patterns::net::clock::now().instant;
//!
//! // Three tries within a second, all in all.
//! let policy = Policy { deadline: Duration::from_secs(1), tries: 3 };
//! let mut attempts = Attempts::new(policy, true, now());
//! let answer = loop {
//!     let Some(within) = attempts.begin(now()) else { panic!("the time is over") };
//!     let mut stream = socket_patterns::net::connect::connect(server.address(), within)?;
//!     stream.set_read_timeout(Some(within))?;
//!     stream.write_all(b"PING\n")?;
//!     let mut answer = String::new();
//!     match BufReader::new(stream).read_line(&mut answer) {
//!         Ok(1..) => break answer,
//!         _ => match attempts.failed(Written::Wholly, Cause::Ended, now()) {
//!             Verdict::Again => {}
//!             Verdict::GiveUp(error) => return Err(error.into()),
//!         },
//!     }
//! };
//! assert_eq!(answer, "PONG\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{Cause, Error, Written};
use crate::{resilience::DeadlineBudget, time::Instant};
use std::time::Duration;

/// How long and how often a request is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The time for all tries together, waits between them included.
    pub deadline: Duration,
    /// How often it may be sent. A request that is not idempotent is sent once, whatever this says; a try of which nothing
    /// left does not count.
    pub tries: u32,
}

impl Default for Policy {
    /// Half a minute, and three tries: two of them may meet a server that is just going down.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), tries: 3 }
    }
}

/// The tries of one request.
#[derive(Debug, Clone)]
pub struct Attempts {
    budget: DeadlineBudget,
    /// How often it may still be sent.
    left: u32,
    idempotent: bool,
    /// The most that left in any try so far.
    written: Written,
}

/// The step after a try without an answer.
#[derive(Debug)]
#[must_use = "a request that is given up has to be reported"]
pub enum Verdict {
    /// It may be sent again.
    Again,
    /// Tell the caller.
    GiveUp(Error),
}

impl Attempts {
    /// A request that was just asked for. `idempotent`: executing it twice is the same as executing it once.
    #[must_use]
    pub fn new(policy: Policy, idempotent: bool, now: Instant) -> Self {
        let left = if idempotent { policy.tries.max(1) } else { 1 };
        Self { budget: DeadlineBudget::new(policy.deadline, now), left, idempotent, written: Written::Nothing }
    }

    /// Begins a try: how long it may take. `None`: the time is over.
    #[must_use]
    pub fn begin(&mut self, now: Instant) -> Option<Duration> {
        let share = self.budget.for_try(now, self.left);
        (!share.is_zero()).then_some(share)
    }

    /// A try ended without an answer, with so much of the request written.
    pub fn failed(&mut self, written: Written, cause: Cause, now: Instant) -> Verdict {
        self.written = self.written.max(written);
        self.left -= u32::from(written > Written::Nothing).min(self.left);
        let allowed = written == Written::Nothing || (self.idempotent && self.left > 0);
        if allowed && now < self.budget.ends() { Verdict::Again } else { Verdict::GiveUp(self.error(cause)) }
    }

    /// A try is broken off by this side, with so much of the request written: how to report it.
    pub fn abandon(&mut self, written: Written, cause: Cause) -> Error {
        self.written = self.written.max(written);
        self.error(cause)
    }

    /// How to report it if nothing more is tried. The report covers what earlier tries may have done.
    #[must_use]
    pub fn error(&self, cause: Cause) -> Error {
        match self.written {
            Written::Nothing => Error::NotSent(cause),
            written => Error::MaybeExecuted { written, cause },
        }
    }

    /// When the time for all tries is over.
    #[must_use]
    pub fn ends(&self) -> Instant {
        self.budget.ends()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::base, *};

    const SECOND: Duration = Duration::from_secs(1);

    /// The outcome of a request whose tries all fail at once: how many tries there were, and the error. `written` says
    /// how much left in each.
    fn tried(idempotent: bool, tries: u32, written: &[Written]) -> (usize, Option<Error>) {
        let now = base();
        let mut attempts = Attempts::new(Policy { deadline: SECOND, tries }, idempotent, now);
        for (n, part) in written.iter().enumerate() {
            assert!(attempts.begin(now).is_some());
            if let Verdict::GiveUp(error) = attempts.failed(*part, Cause::Ended, now) {
                return (n + 1, Some(error));
            }
        }
        (written.len(), None)
    }

    #[test]
    fn only_what_cannot_have_been_executed_is_sent_again() {
        use Written::{Nothing, Partly, Wholly};
        type Case<'c> = (bool, u32, &'c [Written], usize, Option<Written>);
        let cases: &[Case<'_>] = &[
            (false, 3, &[Nothing, Nothing, Nothing, Nothing], 4, None),
            (false, 3, &[Nothing, Partly], 2, Some(Partly)),
            (false, 3, &[Wholly], 1, Some(Wholly)),
            (true, 3, &[Wholly, Partly], 2, None),
            (true, 3, &[Wholly, Partly, Partly], 3, Some(Wholly)),
            (true, 3, &[Nothing, Wholly, Nothing, Nothing, Wholly, Nothing], 6, None),
            (true, 1, &[Partly], 1, Some(Partly)),
            (true, 0, &[Partly], 1, Some(Partly)),
        ];
        for (idempotent, tries, written, made, end) in cases {
            let (n, error) = tried(*idempotent, *tries, written);
            let ended = error.map(|error| match error {
                Error::MaybeExecuted { written, .. } => written,
                Error::NotSent(_) | Error::Invalid(_) => Nothing,
            });
            assert_eq!((n, ended), (*made, *end), "idempotent: {idempotent}, {tries} tries, {written:?}");
        }
    }

    #[test]
    fn tries_share_the_time_and_never_exceed_it() {
        let start = base();
        let policy = Policy { deadline: 12 * SECOND, tries: 3 };
        let mut idempotent = Attempts::new(policy, true, start);
        assert_eq!(Attempts::new(policy, false, start).begin(start), Some(12 * SECOND));
        assert_eq!(idempotent.begin(start), Some(4 * SECOND));
        // A try of which nothing left does not make the next one's share larger.
        assert!(matches!(idempotent.failed(Written::Nothing, Cause::Ended, start), Verdict::Again));
        assert_eq!(idempotent.begin(start), Some(4 * SECOND));
        let mut now = start;
        while let Some(share) = idempotent.begin(now) {
            now += share;
            if let Verdict::GiveUp(_) = idempotent.failed(Written::Wholly, Cause::TimedOut, now) {
                break;
            }
        }
        assert_eq!(now, start + 12 * SECOND);
        assert_eq!(idempotent.begin(now), None);
        let late = Attempts::new(policy, true, start).failed(Written::Nothing, Cause::Ended, now);
        assert!(matches!(late, Verdict::GiveUp(Error::NotSent(Cause::Ended))));
    }
}
