//! The things that all workers of a proxy share.

use super::{config::Config, exchange::Cache, stats::Counters};
use crate::{
    backend::{Backend, BackendId},
    health::Health,
    pool::Slots,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Instant,
};

/// Immutable, atomics, or locked for a moment.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) backends: Vec<Backend>,
    pub(super) health: Arc<Health>,
    pub(super) load: Load,
    pub(super) slots: Arc<Slots>,
    /// `None`: nothing is cached, and nobody looks.
    pub(super) cache: Option<Cache>,
    /// One per worker.
    pub(super) counters: Vec<Counters>,
    /// When the proxy started.
    pub(super) started: Instant,
    /// The end has begun.
    pub(super) draining: AtomicBool,
}

/// Requests in flight per backend, over all workers: what least-connections compares.
#[derive(Debug)]
pub(super) struct Load(Vec<AtomicU32>);

impl Load {
    pub(super) fn new(backends: usize) -> Self {
        Self((0..backends).map(|_| AtomicU32::new(0)).collect())
    }

    pub(super) fn begin(&self, backend: BackendId) {
        self.0[backend.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, backend: BackendId) {
        let before = self.0[backend.index()].fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a request left a backend that it never went to");
    }

    pub(super) fn of(&self, backend: BackendId) -> u32 {
        self.0[backend.index()].load(Ordering::Relaxed)
    }
}
