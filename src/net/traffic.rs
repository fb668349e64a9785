//! How much passed: counted by the drivers, because a session does not know what its peer took.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What all connections of a server moved together. Shared by threads; each number is right, all of them at one moment are
/// not promised.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
}

/// A reading of [`Traffic`], or the difference of two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Bytes read from peers.
    pub received: u64,
    /// Bytes handed to the kernel; by an event loop, to its queue for a peer.
    pub sent: u64,
    /// Connections that ended in an error: a reset, a peer that took nothing.
    pub failed: u64,
}

impl Traffic {
    /// The numbers now.
    #[must_use]
    pub fn volume(&self) -> Volume {
        Volume {
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }

    /// Adds what somebody else counted: a process of its own.
    pub fn add(&self, other: Volume) {
        self.received.fetch_add(other.received, Relaxed);
        self.sent.fetch_add(other.sent, Relaxed);
        self.failed.fetch_add(other.failed, Relaxed);
    }

    pub(super) fn received(&self, len: usize) {
        self.received.fetch_add(len as u64, Relaxed);
    }

    pub(super) fn sent(&self, len: usize) {
        self.sent.fetch_add(len as u64, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }
}
