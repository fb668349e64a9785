//! Deadlines by key.

use crate::app::TimerKey;
use std::time::Instant;

/// Deadlines by key.
#[derive(Debug)]
pub struct Timers {}

impl Timers {
    /// No deadline.
    #[must_use]
    pub fn new(_now: Instant) -> Self {
        Self {}
    }

    /// Sets, moves or drops a deadline.
    pub fn set(&mut self, _key: TimerKey, _at: Option<Instant>, _now: Instant) {}

    /// When to look again.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        None
    }

    /// Takes one that has passed.
    pub fn expire(&mut self, _now: Instant) -> Option<TimerKey> {
        None
    }
}
