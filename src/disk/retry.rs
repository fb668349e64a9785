//! A disk that fails is tried again, but not at each call, and that is said once.

use crate::time::Instant;
use std::time::Duration;

/// The time between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// When a disk that has failed is tried again.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    at: Option<Instant>,
}

impl Retry {
    /// When it is tried again. `None`: it has not failed.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is too early to try.
    pub(crate) fn is_early(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at > now)
    }

    /// The disk has done it. Whether it had failed before.
    pub(crate) fn worked(&mut self) -> bool {
        self.at.take().is_some()
    }

    /// The disk has failed. Whether it had not before.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.at.replace(now + PAUSE).is_none()
    }
}
