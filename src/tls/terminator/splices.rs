//! Splices of which one side is protected: the driver cannot carry them out, since it has only sealed bytes.

use crate::app::ConnId;
use std::collections::HashMap;

/// Running splices, by the connection whose bytes are passed on.
#[derive(Debug, Default)]
pub(super) struct Splices {
    running: HashMap<ConnId, Splice>,
}

/// One splice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Splice {
    pub(super) to: ConnId,
    pub(super) left: u64,
}

impl Splices {
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn begin(&mut self, from: ConnId, to: ConnId, len: u64) {
        self.running.insert(from, Splice { to, left: len });
    }

    /// The splice from a connection.
    pub(super) fn of(&self, from: ConnId) -> Option<Splice> {
        if self.running.is_empty() { None } else { self.running.get(&from).copied() }
    }

    /// Counts bytes that were passed on; with the last one it is over.
    pub(super) fn passed(&mut self, from: ConnId, len: u64) {
        let Some(splice) = self.running.get_mut(&from) else { return };
        splice.left = splice.left.saturating_sub(len);
        if splice.left == 0 {
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
