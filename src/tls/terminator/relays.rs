//! Relays of which one side is protected: the driver cannot carry them out, since it has only sealed bytes.

use crate::app::ConnId;
use std::collections::HashMap;

/// Running relays, by the connection whose bytes are passed on.
#[derive(Debug, Default)]
pub(super) struct Relays {
    running: HashMap<ConnId, Relay>,
}

/// One relay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relay {
    pub(super) to: ConnId,
    pub(super) left: u64,
}

impl Relays {
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn begin(&mut self, from: ConnId, to: ConnId, len: u64) {
        self.running.insert(from, Relay { to, left: len });
    }

    /// The relay from a connection.
    pub(super) fn of(&self, from: ConnId) -> Option<Relay> {
        if self.running.is_empty() { None } else { self.running.get(&from).copied() }
    }

    /// Counts bytes that were passed on; with the last one it is over.
    pub(super) fn passed(&mut self, from: ConnId, len: u64) {
        let Some(relay) = self.running.get_mut(&from) else { return };
        relay.left = relay.left.saturating_sub(len);
        if relay.left == 0 {
            self.running.remove(&from);
        }
    }

    /// The connection is gone.
    pub(super) fn end(&mut self, from: ConnId) {
        if !self.running.is_empty() {
            self.running.remove(&from);
        }
    }
}
