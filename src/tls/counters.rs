//! Counts of handshakes, for all workers. They change once in a connection's life, so one set is shared.

use super::Failure;
use crate::units::WordCounts;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts of what became of the connections to TLS listeners.
#[derive(Debug, Default)]
pub struct Counters {
    full: AtomicU64,
    resumed: AtomicU64,
    failures: WordCounts,
    reloaded: AtomicU64,
    not_reloaded: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// Handshakes in which a certificate was shown.
    pub full: u64,
    /// Handshakes that resumed an earlier connection.
    pub resumed: u64,
    /// Failures by reason ([`Failure::as_str`]), in handshakes and after.
    pub failures: BTreeMap<&'static str, u64>,
    /// How often certificates were reloaded.
    pub reloaded: u64,
    /// How often they were to be reloaded, and something was wrong with them.
    pub not_reloaded: u64,
}

impl Counters {
    pub(super) fn done(&self, resumed: bool) {
        let counter = if resumed { &self.resumed } else { &self.full };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, failure: Failure) {
        self.failures.count(failure.as_str());
    }

    /// The certificates were to be reloaded; whether they were.
    pub fn reloaded(&self, done: bool) {
        let counter = if done { &self.reloaded } else { &self.not_reloaded };
        counter.fetch_add(1, Relaxed);
    }

    /// The counts now.
    #[must_use]
    pub fn read(&self) -> Handshakes {
        Handshakes {
            full: self.full.load(Relaxed),
            resumed: self.resumed.load(Relaxed),
            reloaded: self.reloaded.load(Relaxed),
            not_reloaded: self.not_reloaded.load(Relaxed),
            failures: self.failures.read(),
        }
    }
}
