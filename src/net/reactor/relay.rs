//! Relaying: what one socket sends goes to another, and the application only hears how much.

use super::{connection::Relay, io::Io, read::Read};
use crate::app::ConnId;

impl Io {
    /// Carries out [`crate::app::Action::Relay`].
    pub(super) fn begin_relay(&mut self, from: ConnId, to: ConnId, len: u64) {
        if let Some((key, socket)) = self.table.find_mut(from) {
            debug_assert!(socket.relay.is_none(), "one relay at a time");
            socket.relay = Some(Box::new(Relay { to, left: len }));
            self.enqueue(key);
        }
    }

    /// One step of a relay from the socket with this key.
    pub(super) fn relay(&mut self, key: usize, Relay { to, left }: Relay) -> Read {
        if self.table.find_mut(to).is_none() {
            self.count_relayed(key, left);
            return self.read(key);
        }
        match self.read_most(key, usize::try_from(left).unwrap_or(usize::MAX)) {
            Read::Input(len) => {
                self.count_relayed(key, len as u64);
                Read::Relayed { len, to: Some(to) }
            }
            other => other,
        }
    }

    /// So many bytes of a relay are done. With the last, it is over.
    fn count_relayed(&mut self, key: usize, len: u64) {
        let Some(socket) = self.table.get_mut(key) else { return };
        match socket.relay.as_deref_mut().filter(|relay| relay.left > len) {
            Some(relay) => relay.left -= len,
            None => socket.relay = None,
        }
    }
}
