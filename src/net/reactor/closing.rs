//! What happens to a socket after the application let go of it.
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

use super::{
    actions::peek,
    connection::{Connection, Finish, Phase},
    deliver::BUDGET,
    io::Io,
    read::Read,
};
use socket2::SockRef;
use std::{mem, net::Shutdown, time::Duration};

/// How long to wait for the peer's end. Time to read an answer over a bad line; nginx waits as long for the next byte.
pub(in crate::net) const LINGER: Duration = Duration::from_secs(5);

/// How much to throw away meanwhile. Reading costs CPU time; afterwards the peer's window closes and it waits with us.
pub(in crate::net) const ALLOWANCE: usize = 64 * 1024 * 1024;

impl Io {
    /// After what was queued: no more. The socket keeps its key and loses its name.
    pub(super) fn close(&mut self, key: usize) {
        let (now, stall) = (self.now, self.config.stall);
        let Some(socket) = self.table.get_mut(key) else { return };
        let conn = socket.conn;
        if socket.phase == Phase::Connecting || socket.broken.is_some() {
            self.remove(key);
        } else if socket.unsent() == 0 {
            self.table.unname(conn);
            self.hang_up(key);
        } else {
            socket.phase = Phase::Flushing;
            socket.confirmed = socket.progress().acknowledged;
            self.table.unname(conn);
            self.closing.set(key, Some(now + stall), now);
        }
    }

    /// Now, and so that the peer sees that something broke: the kernel sends a reset instead of an end.
    pub(super) fn abort(&mut self, key: usize) {
        if let Some(socket) = self.remove(key) {
            let _ = SockRef::from(&socket.stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Goes on with a socket that is closing.
    pub(super) fn advance(&mut self, key: usize) {
        match self.table.get_mut(key).map(|socket| socket.phase) {
            Some(Phase::Flushing) => self.flush_rest(key),
            Some(Phase::Lingering(allowance)) => self.discard(key, allowance),
            _ => {}
        }
    }

    fn flush_rest(&mut self, key: usize) {
        let (now, stall) = (self.now, self.config.stall);
        let before = self.table.get_mut(key).map(|socket| socket.unsent());
        self.flush(key);
        let Some(socket) = self.table.get_mut(key) else { return };
        if socket.broken.is_some() {
            self.remove(key);
        } else if socket.unsent() == 0 {
            self.hang_up(key);
        } else if Some(socket.unsent()) < before {
            self.closing.set(key, Some(now + stall), now);
        }
    }

    /// Closes those that took too long.
    pub(super) fn expire_closing(&mut self) {
        while let Some(key) = self.closing.expire(self.now) {
            if !self.moves(key) {
                self.give_up(key);
            }
        }
    }

    /// Whether the peer of a closing socket has taken some of what was sent since the last look. Then it has as much time again:
    /// our kernel may have had all of it long ago, and what it still has would be destroyed by a reset.
    fn moves(&mut self, key: usize) -> bool {
        let Some(socket) = self.table.get_mut(key) else { return false };
        let progress = socket.progress();
        let before = mem::replace(&mut socket.confirmed, progress.acknowledged);
        let (limit, under_way) = match socket.phase {
            Phase::Flushing => (self.config.stall, true),
            // The confirmation of our end is no progress.
            Phase::Lingering(_) => (LINGER, progress.outstanding > 1),
            Phase::Connecting | Phase::Open => return false,
        };
        let moves = under_way && progress.acknowledged > before;
        if moves {
            self.closing.set(key, Some(self.now + limit), self.now);
        }
        moves
    }

    /// Closes a socket that has not come to its end. If something was still to be sent, with a reset: the peer must not
    /// take what it has for the whole.
    fn give_up(&mut self, key: usize) {
        match self.table.get_mut(key).map(|socket| socket.phase) {
            Some(Phase::Lingering(_)) => drop(self.remove(key)),
            Some(Phase::Connecting | Phase::Open | Phase::Flushing) => self.abort(key),
            None => {}
        }
    }

    /// Closes whatever is left when the event loop ends. Tells from how many clients a part of what was said to them is taken
    /// back; they have left the application already.
    pub(super) fn give_up_all(&mut self) -> usize {
        let mut cut = 0;
        for key in self.table.keys() {
            let flushing = |socket: &mut Connection| socket.accepted && socket.phase == Phase::Flushing;
            cut += usize::from(self.table.get_mut(key).is_some_and(flushing));
            self.give_up(key);
        }
        cut
    }

    /// Closes a socket now, whatever it was doing.
    pub(super) fn remove(&mut self, key: usize) -> Option<Connection> {
        let mut socket = self.table.remove(key)?;
        self.waiting.recount(&mut socket.counted, 0);
        if matches!(socket.phase, Phase::Flushing | Phase::Lingering(_)) {
            self.closing.set(key, None, self.now);
        }
        // Who waited for room here is read again.
        if let Some(piped) = &socket.piped
            && let Some((feeder, _)) = self.table.find_mut(piped.from)
        {
            self.enqueue(feeder);
        }
        Some(socket)
    }

    /// Everything is sent: announces our end, and waits for the peer's.
    fn hang_up(&mut self, key: usize) {
        let Some(socket) = self.table.get_mut(key) else { return };
        // Input that waits would turn closing into a reset, whatever the application expects. What the kernel said of it may be
        // as old as the turn, and that is long if somebody has computed in it.
        if !(socket.ended || socket.linger || socket.readable) {
            socket.readable = matches!(peek(&socket.stream), Ok(true));
        }
        if socket.ended || !(socket.linger || socket.readable) {
            self.remove(key);
            return;
        }
        if socket.finish != Finish::Done {
            let _ = socket.stream.shutdown(Shutdown::Write);
            socket.finish = Finish::Done;
        }
        socket.phase = Phase::Lingering(ALLOWANCE);
        socket.bulk = true;
        self.closing.set(key, Some(self.now + LINGER), self.now);
        self.enqueue(key);
    }

    /// Throws away input: a share of it, as everybody gets.
    fn discard(&mut self, key: usize, mut allowance: usize) {
        let mut heard = 0;
        // Without an allowance nothing is read any more: only the time is waited for.
        while heard < BUDGET && allowance > 0 {
            match self.read(key) {
                Read::Input(len) | Read::Relayed { len, .. } => {
                    heard += len;
                    allowance = allowance.saturating_sub(len);
                }
                Read::Drained | Read::Blocked => break,
                Read::End | Read::Failed(_) => {
                    self.remove(key);
                    return;
                }
            }
            if self.table.get_mut(key).is_none_or(|socket| !socket.readable) {
                break;
            }
        }
        if let Some(socket) = self.table.get_mut(key) {
            socket.phase = Phase::Lingering(allowance);
            self.enqueue_later(key);
        }
    }
}
