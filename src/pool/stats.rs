//! Why a connection is not kept, and how often each thing happened.

use serde::{Serialize, Serializer};
use std::ops::AddAssign;

/// Why a connection to a backend is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotKept {
    /// The pool's capacity is 0: a connection serves one request.
    PoolingOff,
    /// This worker keeps its share of idle connections to this backend already.
    TooManyIdle,
    /// It was opened longer ago than the lifetime.
    TooOld,
    /// It idled for the idle timeout: soon the backend would close it, perhaps just when we send.
    IdleTooLong,
    /// It served as many requests as a connection may.
    TooManyRequests,
    /// A request of another worker waits for a connection to this backend, and the cap allows no more.
    SlotWanted,
    /// It ended, failed or said something while idle.
    Lost,
    /// It ended while a request used it, or must not be used again: its message was cut off or said `close`.
    Ended,
    /// Given up for a new one: a connection that idled beside it turned out dead.
    Replaced,
    /// Its backend went down while it idled.
    Retired,
    /// The worker is shutting down.
    Draining,
}

impl NotKept {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 11] = [
        Self::PoolingOff,
        Self::TooManyIdle,
        Self::TooOld,
        Self::IdleTooLong,
        Self::TooManyRequests,
        Self::SlotWanted,
        Self::Lost,
        Self::Ended,
        Self::Replaced,
        Self::Retired,
        Self::Draining,
    ];

    /// One word for logs and counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PoolingOff => "pooling-off",
            Self::TooManyIdle => "too-many-idle",
            Self::TooOld => "too-old",
            Self::IdleTooLong => "idle-too-long",
            Self::TooManyRequests => "too-many-requests",
            Self::SlotWanted => "slot-wanted",
            Self::Lost => "lost",
            Self::Ended => "ended",
            Self::Replaced => "replaced",
            Self::Retired => "retired",
            Self::Draining => "draining",
        }
    }
}

/// Counts of one worker's pool: events so far, and connections now. The sum over all workers is the whole picture.
///
/// Law, checked after every operation of a debug build: `opened - closed.total() == idle + busy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// New connections that checkouts asked for, including those that then failed to connect.
    pub opened: u64,
    /// Checkouts that got an idle connection.
    pub reused: u64,
    /// Connections that ended or were given up, by reason.
    pub closed: Closed,
    /// Requests that had to wait. Waiting again after a grant is not counted again.
    pub waited: u64,
    /// Requests that were refused because the queue was full.
    pub refused: u64,
    /// Requests waiting now.
    pub waiting: usize,
    /// Connections kept now that no request uses.
    pub idle: usize,
    /// Connections that requests use now, or that are being opened for one.
    pub busy: usize,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.opened += other.opened;
        self.reused += other.reused;
        self.closed.0.iter_mut().zip(other.closed.0).for_each(|(sum, n)| *sum += n);
        self.waited += other.waited;
        self.refused += other.refused;
        self.waiting += other.waiting;
        self.idle += other.idle;
        self.busy += other.busy;
    }
}

/// A counter for each [`NotKept`]. Serialized as a map from its word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closed([u64; NotKept::ALL.len()]);

impl Closed {
    /// How many connections were closed for this reason.
    #[must_use]
    pub fn count(&self, reason: NotKept) -> u64 {
        self.0[reason as usize]
    }

    /// How many were closed at all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// One more.
    pub(super) fn add(&mut self, reason: NotKept) {
        self.0[reason as usize] += 1;
    }
}

impl Serialize for Closed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(NotKept::ALL.map(|reason| (reason.as_str(), self.count(reason))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_word() {
        let mut closed = Closed::default();
        for (n, reason) in NotKept::ALL.into_iter().enumerate() {
            (0..=n).for_each(|_| closed.add(reason));
        }
        let json = serde_json::to_value(closed).unwrap();
        for (n, reason) in NotKept::ALL.into_iter().enumerate() {
            assert_eq!(closed.count(reason), n as u64 + 1, "{reason:?}");
            assert_eq!(json[reason.as_str()], n + 1, "{reason:?}");
        }
        assert_eq!((closed.total(), json.as_object().unwrap().len()), (66, 11));
    }

    #[test]
    fn workers_add_up() {
        let mut closed = Closed::default();
        closed.add(NotKept::Lost);
        let one = Stats { opened: 1, reused: 2, closed, waited: 3, refused: 4, waiting: 5, idle: 6, busy: 7 };
        let mut sum = one;
        sum += one;
        closed.add(NotKept::Lost);
        let two = Stats { opened: 2, reused: 4, closed, waited: 6, refused: 8, waiting: 10, idle: 12, busy: 14 };
        assert_eq!(sum, two);
    }
}
