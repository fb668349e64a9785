//! How busy each backend is: requests in flight, over all workers.
//!
//! Every request writes here twice. So each worker has a row of its own in lines of memory of its own, and a reader adds up the
//! rows: what one worker writes throws nothing out of the caches of the others.

use crate::backend::BackendId;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Requests in flight: what least-connections and power-of-two compare, and what `/stats` shows.
#[derive(Debug)]
pub(super) struct Load(Box<[Row]>);

/// One worker's requests, by backend.
type Row = Box<[Line]>;

/// Two lines of memory, as processors fetch neighbours along.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line([AtomicU32; COUNTERS]);

const COUNTERS: usize = 32;

impl Load {
    pub(super) fn new(workers: usize, backends: usize) -> Self {
        let row = || (0..backends.div_ceil(COUNTERS)).map(|_| Line::default()).collect();
        Self((0..workers).map(|_| row()).collect())
    }

    fn counter(row: &Row, backend: BackendId) -> &AtomicU32 {
        &row[backend.index() / COUNTERS].0[backend.index() % COUNTERS]
    }

    /// A request of this worker goes to the backend.
    pub(super) fn begin(&self, worker: usize, backend: BackendId) {
        let counter = Self::counter(&self.0[worker], backend);
        // No other thread writes it, so a plain store is enough.
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }

    /// It has left it again.
    pub(super) fn end(&self, worker: usize, backend: BackendId) {
        let counter = Self::counter(&self.0[worker], backend);
        let before = counter.load(Relaxed);
        debug_assert!(before > 0, "a request left a backend that it never went to");
        counter.store(before.saturating_sub(1), Relaxed);
    }

    /// All that are anywhere.
    pub(super) fn all(&self) -> u32 {
        self.0.iter().flatten().flat_map(|line| &line.0).map(|counter| counter.load(Relaxed)).sum()
    }

    /// All that are there.
    pub(super) fn of(&self, backend: BackendId) -> u32 {
        self.0.iter().map(|row| Self::counter(row, backend).load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_of_all_workers_add_up() {
        let load = Load::new(3, 40);
        let (one, other) = (BackendId(0), BackendId(39));
        for (worker, backend) in [(0, one), (0, other), (1, one), (2, one)] {
            load.begin(worker, backend);
        }
        assert_eq!((load.of(one), load.of(other), load.of(BackendId(32))), (3, 1, 0));
        assert_eq!(load.all(), 4);
        load.end(1, one);
        load.end(0, other);
        assert_eq!((load.of(one), load.of(other)), (2, 0));
    }
}
