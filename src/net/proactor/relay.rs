//! Relaying: what one socket receives is sent to another, and the application only hears how much.
//!
//! By copying, or by reference where a buffer is well filled, as [`crate::app::Action::Forward`] does: the kernel has
//! received the bytes into our memory anyway.

use super::io::Io;
use crate::app::ConnId;

/// What is left of a relay that was asked for. See [`crate::app::Action::Relay`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Relay {
    pub(super) to: ConnId,
    /// Bytes; never zero.
    pub(super) left: u64,
}

impl Io {
    /// Carries out [`crate::app::Action::Relay`].
    pub(super) fn begin_relay(&mut self, from: ConnId, to: ConnId, len: u64) {
        if let Some((_, socket)) = self.common.table.find_mut(from) {
            debug_assert!(socket.relay.is_none(), "one relay at a time");
            socket.relay = Some(Box::new(Relay { to, left: len }));
        }
    }

    /// Of the next `len` bytes of a connection: who gets how many without their being heard? `None` if nobody does.
    pub(super) fn count_relayed(&mut self, from: ConnId, len: usize) -> Option<(ConnId, usize)> {
        let mut relay = self.common.table.find_mut(from)?.1.relay.take()?;
        // What comes after the other side has gone is heard.
        self.common.table.find_mut(relay.to)?;
        let moved = usize::try_from(relay.left).map_or(len, |left| left.min(len));
        relay.left -= moved as u64;
        let to = relay.to;
        if relay.left > 0 {
            self.common.table.find_mut(from)?.1.relay = Some(relay);
        }
        Some((to, moved))
    }
}
