//! The things that all workers share: the certificates that hold now, the tickets, the counts.

use super::{Counters, Store, Tickets};
use bytes::Bytes;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// Everything that terminators of one proxy have in common.
#[derive(Debug)]
pub struct Shared {
    /// Locked for as long as it takes to clone a reference: once for each handshake.
    store: RwLock<Arc<Store>>,
    pub(super) tickets: Arc<Tickets>,
    /// For a handshake.
    pub(super) patience: Duration,
    /// For a client that speaks HTTP without TLS.
    pub(super) plain_answer: Bytes,
    /// Counts of what became of connections.
    pub counters: Counters,
}

impl Shared {
    /// `plain_answer` is for clients that speak HTTP without TLS: all that they get.
    #[must_use]
    pub fn new(store: Store, tickets: Tickets, patience: Duration, plain_answer: impl Into<Bytes>) -> Self {
        Self {
            store: RwLock::new(Arc::new(store)),
            tickets: Arc::new(tickets),
            patience,
            plain_answer: plain_answer.into(),
            counters: Counters::default(),
        }
    }

    /// The certificates for the next handshake.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Others could not be read, for this reason: the certificates from before stay in use.
    pub fn keep(&self, why: &str) {
        self.counters.reloaded(false);
        tracing::error!("{why}; the certificates from before stay in use");
    }

    /// Puts other certificates in place: handshakes that begin from now on see them, all others keep theirs.
    pub fn replace(&self, store: Store) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(store);
    }
}
