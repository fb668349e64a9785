//! How much passed: counted by the drivers, because a session does not know what its peer took.

use super::counters::Counters;
use crate::units::Counted;
use std::{fmt, io, ops::Add, sync::atomic::Ordering::Relaxed};

/// Totals of all connections of a server. Shared by threads: each number is right, but they need not be of the same
/// moment.
#[derive(Debug, Default)]
pub struct Traffic {
    counters: Counters<5>,
}

const RECEIVED: usize = 0;
const SENT: usize = 1;
const FAILED: usize = 2;
const ANSWERED: usize = 3;
const CUT: usize = 4;

/// A reading of [`Traffic`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Bytes read from peers.
    pub received: u64,
    /// Bytes handed to the kernel; by an event loop, to its queue for a peer, but of large files as they leave.
    pub sent: u64,
    /// Connections that ended in an error: a reset, a peer that took nothing.
    pub failed: u64,
    /// Requests that sessions have answered.
    pub answered: u64,
}

/// As it is told at the end of a server.
impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} received, {} sent, {} failed",
            Counted(self.answered, "request"),
            Counted(self.received, "byte"),
            Counted(self.sent, "byte"),
            Counted(self.failed, "connection"),
        )
    }
}

impl Traffic {
    /// Counted together with the children that this process forks from now on.
    ///
    /// # Errors
    ///
    /// The system has no memory left.
    pub fn inherited() -> io::Result<Self> {
        Counters::inherited().map(|counters| Self { counters })
    }

    /// The numbers now.
    #[must_use]
    pub fn volume(&self) -> Volume {
        let [received, sent, failed, answered, _] = self.counters.each_ref().map(|number| number.load(Relaxed));
        Volume { received, sent, failed, answered }
    }

    /// Counts connections that failed unheard: their process has gone.
    pub fn lost(&self, connections: u64) {
        self.counters[FAILED].fetch_add(connections, Relaxed);
    }

    /// Connections, of the failed ones and of those that were closing, that were reset because a part of a file could not be sent to its end.
    #[must_use]
    pub fn cut_short(&self) -> u64 {
        self.counters[CUT].load(Relaxed)
    }

    pub(super) fn cut(&self) {
        self.counters[CUT].fetch_add(1, Relaxed);
    }

    pub(crate) fn received(&self, len: usize) {
        self.counters[RECEIVED].fetch_add(len as u64, Relaxed);
    }

    pub(crate) fn sent(&self, len: usize) {
        self.counters[SENT].fetch_add(len as u64, Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.lost(1);
    }

    pub(super) fn answered(&self, requests: u32) {
        // Most calls into a session answer nothing, and an addition to a shared number is never free.
        if requests > 0 {
            self.counters[ANSWERED].fetch_add(u64::from(requests), Relaxed);
        }
    }
}

impl Add for Volume {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            sent: self.sent + other.sent,
            failed: self.failed + other.failed,
            answered: self.answered + other.answered,
        }
    }
}
