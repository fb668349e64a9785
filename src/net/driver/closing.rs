//! How long a socket may take to close after the application let go of it.
//!
//! ```text
//!   close ──▶ Flushing ──everything sent──▶ Lingering ──the peer's end──▶ closed
//!                │ `stall` without progress        │ 5 s without progress
//!                └──────────────────────────────┴──▶ closed
//! ```
//!
//! Closing a socket whose peer still sends makes the kernel answer with a reset, and a reset destroys what the peer has
//! not read yet: the answer that explains why we stopped listening. So our end is announced first, and what still comes
//! is thrown away for a while (RFC 9112 §9.6). A peer whose end was heard already cannot be reset: it is closed at once.

use super::{Common, Socket};
use std::{mem, time::Duration};

/// How long to wait for the peer's end. Time to read an answer over a bad line; nginx waits as long for the next byte.
pub(in crate::net) const LINGER: Duration = Duration::from_secs(5);

/// How much to throw away meanwhile. Reading costs CPU time; afterwards the peer's window closes and it waits with us.
pub(in crate::net) const ALLOWANCE: u32 = 64 * 1024 * 1024;

/// How far a closing socket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The rest of its output is still ours to send.
    Flushing,
    /// Everything is sent; the peer's end is waited for.
    Lingering,
}

impl<S: Socket> Common<S> {
    /// Gives a socket that closes its time: from now on, or from its last progress on.
    pub(in crate::net) fn begin_closing(&mut self, key: usize) {
        let Some(socket) = self.table.get_mut(key) else { return };
        let limit = match socket.closing() {
            Some(Closing::Flushing) => self.config.stall,
            Some(Closing::Lingering) => LINGER,
            None => return,
        };
        self.closing.set(key, Some(self.now + limit), self.now);
    }

    /// The next closing socket that took too long.
    pub(super) fn next_late(&mut self) -> Option<usize> {
        while let Some(key) = self.closing.expire(self.now) {
            if !self.moves(key) {
                return Some(key);
            }
            self.begin_closing(key);
        }
        None
    }

    /// Whether the peer of a closing socket has taken some of what was sent since the last look. Then it has as much time again:
    /// our kernel may have had all of it long ago, and what it still has would be destroyed by a reset.
    fn moves(&mut self, key: usize) -> bool {
        let Some(socket) = self.table.get_mut(key) else { return false };
        let progress = socket.progress();
        let before = mem::replace(socket.confirmed(), progress.acknowledged);
        let under_way = match socket.closing() {
            Some(Closing::Flushing) => true,
            // The confirmation of our end is no progress.
            Some(Closing::Lingering) => progress.outstanding > 1,
            None => false,
        };
        under_way && progress.acknowledged > before
    }
}
