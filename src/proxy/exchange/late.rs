//! Which deadline of an exchange has passed, and what follows from it.
//!
//! | deadline | set while | what follows |
//! |---|---|---|
//! | its end (`--request-timeout`) | always, but in a tunnel, and when only others wait for the response | 504, or the answer breaks off; 408 if it was the client's turn |
//! | the end of a wait | it waits in the pool's queue, for another exchange, before another try, or for those that read with its client | the state's own answer |
//! | the next part of the content (`--body-timeout`) | it is the client's turn to send it | 408 |
//! | a look at its pace | the same | 408 if it is too slow and others wait for the connection (`--body-rate`) |
//!
//! While the backend takes no content, the client is not read, and nothing is its turn. A client of HTTP/2 that may have to wait for its
//! window is asked for before it is late (`granted.rs`).

use super::{
    Core, Event, Exchange, Failure, Step,
    granted::{Granted, Verdict},
    timer,
};
use crate::{
    app::{Cx, Progress},
    proxy::{
        due::{Due, Kind},
        explain::Timer,
        worker::Worker,
    },
    time::Instant,
};
use std::time::Duration;

/// How long the pieces of a body are added up, to tell how fast it comes. Long enough for a line that loses a few packets in a
/// row; twice as long is still shorter than requests wait for a connection (5 s), so that a body that stands still gives its
/// connection up in time for them.
const PACE: Duration = Duration::from_secs(2);

/// A kind of deadline of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Deadline {
    /// The whole exchange must be over.
    Whole,
    /// A wait is over.
    Wait,
    /// More of the request's content must have come.
    Body,
    /// Not a deadline, but the time to see how fast the content comes.
    Pace,
}

impl Kind for Deadline {
    const ALL: &'static [Self] = &[Self::Whole, Self::Wait, Self::Body, Self::Pace];

    fn index(self) -> usize {
        self as usize
    }
}

/// When an exchange has to be somewhere.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Clock {
    due: Due<Deadline, 4>,
    /// The backend takes no content now.
    congested: bool,
    /// How much content has come since its pace was judged last.
    paced: u32,
    /// The window that more of the content may have to wait for.
    granted: Granted,
}

impl Clock {
    /// All must be over by `until`.
    pub(in crate::proxy) fn new(until: Option<Instant>) -> Self {
        let mut clock = Self::default();
        clock.due.set(Deadline::Whole, until);
        clock
    }

    /// The content of the request must have begun to come, or gone on, by `at`. Its pace does not count yet.
    fn await_body(&mut self, at: Option<Instant>) {
        self.due.set(Deadline::Body, at);
        self.due.set(Deadline::Pace, None);
    }

    /// It is the client's turn to send more of the content within `limit`; `came` bytes of it have just come.
    fn expect_body(&mut self, now: Instant, limit: Duration, came: usize) {
        if self.congested {
            return;
        }
        self.due.set(Deadline::Body, Some(now + limit));
        if came > 0 {
            self.granted = Granted::Unasked;
        }
        if self.due.at(Deadline::Pace).is_none() {
            self.due.set(Deadline::Pace, Some(now + PACE));
            self.paced = 0;
        }
        self.paced = self.paced.saturating_add(u32::try_from(came).unwrap_or(u32::MAX));
    }
}

impl Core {
    /// Tells the driver the earliest deadline.
    pub(super) fn arm(&mut self, cx: &mut Cx) {
        self.clock.due.arm(timer(self.key), cx);
    }

    /// There is no deadline any more: the exchange is over.
    pub(in crate::proxy) fn disarm(&mut self, cx: &mut Cx) {
        self.clock.due.clear(timer(self.key), cx);
    }
}

impl Exchange {
    /// The content that has to come first must go on by `at`; `None`: enough is here.
    pub(in crate::proxy) fn await_body(&mut self, cx: &mut Cx, at: Option<Instant>) {
        self.core.clock.await_body(at);
        self.core.arm(cx);
    }

    /// A timer passed: what that means.
    pub(super) fn expired(&mut self, worker: &mut Worker, cx: &mut Cx) -> Option<Event<'static>> {
        let now = cx.now();
        match self.core.clock.due.past(now)? {
            Deadline::Whole => Some(Event::Expired),
            Deadline::Wait => {
                self.core.clock.due.set(Deadline::Wait, None);
                Some(Event::WaitOver)
            }
            Deadline::Body => {
                if let Some(conn) = self.core.client.may_await_window(worker)
                    && self.core.clock.granted.ask()
                {
                    self.core.clock.due.set(Deadline::Body, None);
                    cx.progress(conn);
                    return None;
                }
                self.core.clock.await_body(None);
                Some(Event::RequestBad(Failure::BodyTimeout))
            }
            Deadline::Pace => {
                let clock = &mut self.core.clock;
                clock.due.set(Deadline::Pace, Some(now + PACE));
                let came = u64::from(std::mem::take(&mut clock.paced));
                let slow = came < worker.shared.config.body_rate.saturating_mul(PACE.as_secs());
                // A body that comes slowly does no harm, until another request waits for the connection that it goes
                // to.
                let wanted = self.link().is_some_and(|link| worker.shared.slots.wanted(link.backend));
                (slow && wanted).then_some(Event::RequestBad(Failure::BodyTooSlow))
            }
        }
    }
}

impl Exchange {
    /// Its client is that far with what was sent to it. `unwritten`: and something is not with the driver.
    pub(in crate::proxy) fn client_progressed(
        &mut self,
        progress: Progress,
        unwritten: bool,
        limit: Duration,
        cx: &mut Cx,
    ) -> Option<Event<'static>> {
        let clock = &mut self.core.clock;
        match clock.granted.progressed(progress, unwritten)? {
            Verdict::Waits => {
                clock.due.set(Deadline::Body, Some(cx.now() + limit));
                self.core.arm(cx);
                None
            }
            Verdict::Late => {
                clock.await_body(None);
                Some(Event::RequestBad(Failure::BodyTimeout))
            }
        }
    }
}

impl Step<'_> {
    /// The backend that took no more of the request is gone, and the client need not wait for it.
    pub(super) fn forget_congestion(&mut self) {
        if self.core.clock.congested {
            self.want_body(true);
        }
    }

    /// Waits until `at` at the longest; `None`: waits for nothing.
    pub(super) fn wait_until(&mut self, at: Option<Instant>) {
        self.explain_timer(Timer::Wait, at);
        self.core.clock.due.set(Deadline::Wait, at);
        self.core.arm(self.cx);
    }

    /// From here on the exchange as a whole may take as long as it takes.
    pub(super) fn has_no_end(&mut self) {
        self.core.clock.due.set(Deadline::Whole, None);
        self.core.arm(self.cx);
    }

    /// It is the client's turn to send more of its request; so much of it has just come.
    pub(super) fn expect_body(&mut self, came: usize) {
        let limit = self.worker.shared.config.deadlines.body;
        if came == 0 {
            // Each part of it is expected anew, and there may be many.
            self.explain_timer(Timer::Body, Some(self.cx.now() + limit));
        }
        self.core.clock.expect_body(self.cx.now(), limit, came);
        self.core.arm(self.cx);
    }

    /// Nothing of the content is the client's to send now.
    pub(super) fn expect_no_body(&mut self) {
        self.core.clock.await_body(None);
        self.core.arm(self.cx);
    }

    /// Whether the backend takes more of the content. If not, the client is not read, and nothing is its turn.
    pub(super) fn want_body(&mut self, wanted: bool) {
        self.core.clock.congested = !wanted;
        self.reply().want_body(wanted);
        if !wanted {
            self.expect_no_body();
        } else if !self.core.request.is_complete() && !self.may_have_no_content() {
            self.expect_body(0);
        }
    }
}
