//! One pipelined connection and the requests on it, without the connection: what happened comes in, what to do comes out.
//!
//! ```text
//!                    a wait is over                      established
//!         ┌──────────────────────────────▶ Connecting ────────────────▶ Up
//!      Waiting ◀──────── failed ──────────────┘                         │
//!         ▲  ◀───────────────────── lost: ended, broken, silent, ───────┘
//!         │                         nonsense, no room
//!         │ asked again
//!      GaveUp ◀── too many tries
//!
//!   submit ──▶ queue ──▶ outgoing ──▶ (written) ──▶ answered
//!                ▲          │ nothing written          │ lost or timed out
//!                └──────────┴──────────────────────────┘ if idempotent; else MaybeExecuted
//! ```
//!
//! The driver calls in what happened, then carries out [`Link::next_action`] until there is none, writes what
//! [`Link::io_slices`] shows, and calls [`Link::expire`] at [`Link::deadline`].

mod requests;
#[cfg(test)]
mod tests;

use super::{
    Answer, Beat, Blame, Cause, Config, Correlation, Error, Heartbeat, PeerError, Received, Reconnect, Written, config,
    outgoing::Outgoing, reconnect::Again,
};
use crate::{
    resilience::{Breaker, BreakerState, RetryBudget, later},
    service::lines::{Line, Lines},
    time::Instant,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use requests::{Entry, Job};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

/// The longest answer: that of the longest request, and an id.
const MAX_ANSWER: usize = 16 * 1024;

/// The connection and all requests of a client, of name `T`.
#[derive(Debug)]
pub struct Link<T> {
    config: Config,
    state: State,
    /// Waiting to be sent, or to be sent again.
    queue: VecDeque<Job<T>>,
    correlation: Correlation<Entry<T>>,
    outgoing: Outgoing,
    lines: Lines,
    reconnect: Reconnect,
    breaker: Option<Breaker>,
    /// It was told that the breaker is half-open.
    half_open: bool,
    retries: RetryBudget,
    /// No request and no try ends before this.
    earliest: Option<Instant>,
    /// Why there is no connection.
    down: Option<Cause>,
    actions: VecDeque<Action<T>>,
    finishing: bool,
    stats: Stats,
    dice: SmallRng,
}

#[derive(Debug)]
enum State {
    /// Until then, nothing.
    Waiting {
        until: Instant,
    },
    /// Until then, the driver tries.
    Connecting {
        until: Instant,
    },
    Up {
        heartbeat: Option<Heartbeat>,
        /// Whether the peer has said anything yet.
        answered: bool,
    },
    /// Until the next request.
    GaveUp,
    Closed,
}

/// A task for the driver.
#[derive(Debug)]
pub enum Action<T> {
    /// Connect; then call [`Link::connected`] or [`Link::connect_failed`].
    Connect,
    /// Close the connection, or stop trying to connect: with a reset, so that half a request is not taken for a whole one.
    Close,
    /// Tell the caller that asked.
    Done(T, Result<Answer, Error>),
    /// Tell the watcher.
    Event(Event),
}

/// News for a person who watches.
#[derive(Debug, Clone)]
pub enum Event {
    /// There is a connection.
    Connected,
    /// There is none: it was lost, or a try failed.
    Lost {
        /// Why.
        cause: Cause,
        /// The next try.
        again: Again,
    },
    /// It will not be tried again until the next request.
    GaveUp {
        /// How many tries there were.
        tries: u32,
        /// Why there is no connection.
        cause: Cause,
    },
    /// The breaker changed.
    Breaker(BreakerState),
    /// An answer came too late and was dropped.
    Late {
        /// Of which request.
        id: u64,
    },
}

/// Counts of a client's work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests that were asked for.
    pub requests: u64,
    /// Those that the server answered.
    pub answered: u64,
    /// Those that were reported as errors.
    pub failed: u64,
    /// Tries after the first.
    pub repeated: u64,
    /// Connections established.
    pub connections: u64,
    /// Answers that came after their request was given up.
    pub late: u64,
}

impl<T> Link<T> {
    /// Without a connection: call [`Self::connected`], or [`Self::connect`]. `seed` decides the jitter.
    #[must_use]
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        Self {
            state: State::GaveUp,
            queue: VecDeque::new(),
            correlation: Correlation::new(),
            outgoing: Outgoing::default(),
            lines: Lines::new(MAX_ANSWER),
            reconnect: Reconnect::new(config.backoff, config.reconnects),
            breaker: config.breaker.map(Breaker::new),
            half_open: false,
            retries: RetryBudget::new(config.retry_ratio, config::FREE_RETRIES, now),
            earliest: None,
            down: None,
            actions: VecDeque::new(),
            finishing: false,
            stats: Stats::default(),
            dice: SmallRng::seed_from_u64(seed),
            config,
        }
    }

    /// Asks the driver for a connection.
    pub fn connect(&mut self, now: Instant) {
        self.state = State::Connecting { until: later(now, self.config.connect_timeout) };
        self.actions.push_back(Action::Connect);
    }

    /// There is a connection.
    pub fn connected(&mut self, now: Instant) {
        let heartbeat = self.config.heartbeat.map(|config| Heartbeat::new(config, now));
        self.state = State::Up { heartbeat, answered: false };
        self.down = None;
        self.lines = Lines::new(MAX_ANSWER);
        self.stats.connections += 1;
        self.actions.push_back(Action::Event(Event::Connected));
        self.pump(now);
    }

    /// The driver could not connect.
    pub fn connect_failed(&mut self, cause: Cause, now: Instant) {
        if matches!(self.state, State::Connecting { .. }) {
            // For want of descriptors, nothing was learned about the peer.
            if cause.blame() == Blame::Peer {
                self.breaker_failure(now);
            }
            self.retreat(cause, now);
        }
    }

    /// Bytes that wait to be written, as slices; tells how many it filled. None while there is no connection.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.outgoing.io_slices(slices)
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.outgoing.len()
    }

    /// The kernel took so many of them.
    pub fn wrote(&mut self, taken: usize, now: Instant) {
        self.outgoing.wrote(taken);
        self.pump(now);
    }

    /// Bytes arrived.
    pub fn received(&mut self, mut input: &[u8], now: Instant) {
        let State::Up { heartbeat, .. } = &mut self.state else { return };
        if let Some(heartbeat) = heartbeat {
            heartbeat.heard(now);
        }
        while let Some(line) = self.lines.next(&mut input) {
            let heard = match &line {
                Line::TooLong => Err(Cause::Protocol(PeerError::TooLong)),
                Line::Text(text) => self.hear(text, now),
            };
            if let Err(cause) = heard {
                return self.disconnect(cause, now);
            }
        }
        self.pump(now);
    }

    /// One line of the peer. The error is why it is not listened to any more.
    fn hear(&mut self, line: &[u8], now: Instant) -> Result<(), Cause> {
        let State::Up { answered, .. } = &mut self.state else { return Ok(()) };
        let first = !std::mem::replace(answered, true);
        let received = match self.correlation.receive(line) {
            Ok(received) => received,
            // How a full server refuses a client: instead of listening, so that nothing was executed.
            Err(PeerError::NoId) if first && line.starts_with(b"ERROR busy") => return Err(Cause::Busy),
            Err(error) => return Err(Cause::Protocol(error)),
        };
        self.reconnect.proven();
        match received {
            Received::Answer(Entry::Heartbeat, _) => {}
            Received::Answer(Entry::Job { job, .. }, text) => self.succeed(job, text, now),
            Received::Late(id) => {
                self.stats.late += 1;
                self.actions.push_back(Action::Event(Event::Late { id }));
            }
        }
        Ok(())
    }

    /// The connection is gone; the driver has closed its end. Hear first what had arrived before: those are answers.
    pub fn lost(&mut self, cause: Cause, now: Instant) {
        if !matches!(self.state, State::Up { .. }) {
            return;
        }
        // A server that has no room says so before it hears anything.
        let unheard = matches!(cause, Cause::Busy);
        let lost = self.correlation.lost();
        let (mut again, mut unanswered) = (Vec::new(), false);
        for (id, entry) in lost {
            let written = if unheard { Written::Nothing } else { self.outgoing.written(id) };
            if let Entry::Job { job, .. } = entry {
                unanswered = true;
                again.extend(self.job_failed(job, written, &cause, now));
            }
        }
        self.outgoing.clear();
        for job in again.into_iter().rev() {
            self.queue.push_front(job);
        }
        // The end of a connection without an open request is no failure.
        if unanswered || !self.queue.is_empty() || !matches!(cause, Cause::Ended) {
            self.breaker_failure(now);
        }
        self.retreat(cause, now);
    }

    /// Closes the connection from this side.
    fn disconnect(&mut self, cause: Cause, now: Instant) {
        self.actions.push_back(Action::Close);
        self.lost(cause, now);
    }

    /// There is no connection: waits before the next try, if there is one and a request needs it.
    fn retreat(&mut self, cause: Cause, now: Instant) {
        if self.finishing && self.queue.is_empty() {
            self.state = State::GaveUp;
            return;
        }
        let unit = self.dice.random();
        match self.reconnect.failed(unit) {
            Ok(again) => {
                self.state = State::Waiting { until: later(now, again.after) };
                self.actions.push_back(Action::Event(Event::Lost { cause: cause.clone(), again }));
            }
            Err(super::GaveUp { tries }) => {
                self.state = State::GaveUp;
                self.actions.push_back(Action::Event(Event::GaveUp { tries, cause: cause.clone() }));
                let last = Box::new(cause.clone());
                self.fail_queue(|_| Cause::GaveUp { tries, last: last.clone() });
            }
        }
        self.down = Some(cause);
    }

    /// The clock: call it at [`Self::deadline`]; early and repeated calls are harmless.
    pub fn expire(&mut self, now: Instant) {
        match &mut self.state {
            State::Waiting { until } if *until <= now => self.connect(now),
            State::Connecting { until } if *until <= now => {
                self.actions.push_back(Action::Close);
                self.connect_failed(Cause::Connect(io::ErrorKind::TimedOut), now);
            }
            State::Up { heartbeat: Some(heartbeat), .. } => match heartbeat.expire(now) {
                Some(Beat::Ask) => {
                    let id = self.correlation.send(Entry::Heartbeat);
                    self.outgoing.push(id, format!("#{id} HEARTBEAT\n").into_bytes());
                }
                Some(Beat::Dead { .. }) => self.disconnect(Cause::Silent, now),
                None => {}
            },
            State::Waiting { .. } | State::Connecting { .. } | State::Up { .. } | State::GaveUp | State::Closed => {}
        }
        if self.earliest.is_some_and(|at| at <= now) {
            self.expire_requests(now);
        }
        self.pump(now);
    }

    /// When [`Self::expire`] is to be called, if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let state = match &self.state {
            State::Waiting { until } | State::Connecting { until } => Some(*until),
            State::Up { heartbeat, .. } => heartbeat.as_ref().map(Heartbeat::next),
            State::GaveUp | State::Closed => None,
        };
        // The request that it was set for may have been answered since.
        let requests = self.earliest.filter(|_| !self.queue.is_empty() || !self.correlation.is_empty());
        [state, requests].into_iter().flatten().min()
    }

    /// The next task; `None`: nothing to do until something happens.
    pub fn next_action(&mut self) -> Option<Action<T>> {
        self.actions.pop_front()
    }

    /// Nothing more will be asked: the end is reached when everything is answered or has failed.
    pub fn finish(&mut self) {
        self.finishing = true;
    }

    /// Ends at once: what waits is reported as what it is.
    pub fn close(&mut self) {
        if matches!(self.state, State::Up { .. } | State::Connecting { .. }) {
            self.actions.push_back(Action::Close);
        }
        for (id, entry) in self.correlation.lost() {
            if let Entry::Job { mut job, .. } = entry {
                let written = self.outgoing.written(id);
                let error = job.attempts.abandon(written, Cause::Closed);
                self.fail(job, error);
            }
        }
        self.outgoing.clear();
        self.fail_queue(|_| Cause::Closed);
        self.state = State::Closed;
        self.finishing = true;
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let jobs = || self.correlation.waiting().any(|(_, entry)| matches!(entry, Entry::Job { .. }));
        self.finishing && self.actions.is_empty() && self.queue.is_empty() && !jobs()
    }

    /// Whether there is no connection: what still arrives on the old one is not heard.
    #[must_use]
    pub fn is_down(&self) -> bool {
        !matches!(self.state, State::Up { .. })
    }

    /// Counts of the work so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
