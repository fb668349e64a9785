//! The things that all workers of a proxy share.

use super::{config::Config, exchange::Cache, load::Load, stats::Counters};
use crate::{backend::Backend, health::Health, pool::Slots, tls};
use std::{
    sync::{Arc, atomic::AtomicBool},
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
    /// `None`: nothing is cached, and no request looks.
    pub(super) cache: Option<Cache>,
    /// One per worker.
    pub(super) counters: Vec<Counters>,
    /// `None`: no client speaks TLS.
    pub(super) tls: Option<Arc<tls::Shared>>,
    /// Empty: no backend speaks TLS.
    pub(super) servers: Arc<tls::Servers>,
    /// When the proxy started.
    pub(super) started: Instant,
    /// The end has begun.
    pub(super) draining: AtomicBool,
}
