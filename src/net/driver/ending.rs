//! When a driver stops: at once, or when nothing is left to do, or when that has taken too long.

use crate::time::Instant;
use std::time::Duration;

/// A time too far to be named is no limit in practice.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The words about the end so far.
#[derive(Debug, Default)]
pub(in crate::net) struct Ending {
    drained_by: Option<Instant>,
    stopped: bool,
}

impl Ending {
    /// Connections that are open may finish `within` this time. `true`: that was not said before.
    pub(in crate::net) fn drain(&mut self, now: Instant, within: Duration) -> bool {
        self.drained_by.replace(now + within.min(A_YEAR)).is_none()
    }

    /// Nothing more may be done.
    pub(in crate::net) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether no more connections are to come.
    pub(in crate::net) fn has_begun(&self) -> bool {
        self.stopped || self.drained_by.is_some()
    }

    /// When it is over whatever still runs.
    pub(in crate::net) fn deadline(&self) -> Option<Instant> {
        self.drained_by
    }

    /// Whether the time for connections that are still open has passed, and no end at once was asked for.
    pub(in crate::net) fn is_late(&self, now: Instant) -> bool {
        !self.stopped && self.drained_by.is_some_and(|by| now >= by)
    }

    /// Whether it is over. `idle`: there is no connection left.
    pub(in crate::net) fn is_over(&self, now: Instant, idle: bool) -> bool {
        self.stopped || self.drained_by.is_some_and(|by| idle || now >= by)
    }
}
