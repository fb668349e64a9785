//! The end of a socket, after the application let go of it. Why it lingers, and for how long, is told in
//! `net/driver/closing.rs`.

use super::{
    actions::peek,
    connection::{Connection, Phase},
    io::Io,
    read::Read,
};
use crate::{
    app::Reads,
    net::driver::{ALLOWANCE, BUDGET, Finish, Socket as _},
};
use socket2::SockRef;
use std::{net::Shutdown, time::Duration};

impl Io {
    /// After what was queued: no more. The socket keeps its key and loses its name.
    pub(super) fn close(&mut self, key: usize) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        let conn = socket.conn;
        if socket.phase == Phase::Connecting || socket.broken.is_some() {
            self.remove(key);
        } else if socket.unsent() == 0 {
            self.common.table.unname(conn);
            self.hang_up(key);
        } else {
            socket.phase = Phase::Flushing;
            socket.confirmed = socket.progress().acknowledged;
            self.common.table.unname(conn);
            self.common.begin_closing(key);
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
        match self.common.table.get_mut(key).map(|socket| socket.phase) {
            Some(Phase::Flushing) => self.flush_rest(key),
            Some(Phase::Lingering(allowance)) => self.discard(key, allowance),
            _ => {}
        }
    }

    fn flush_rest(&mut self, key: usize) {
        let before = self.common.table.get_mut(key).map(|socket| socket.unsent());
        self.flush(key);
        let Some(socket) = self.common.table.get_mut(key) else { return };
        if socket.broken.is_some() {
            self.remove(key);
        } else if socket.unsent() == 0 {
            self.hang_up(key);
        } else if Some(socket.unsent()) < before {
            self.common.begin_closing(key);
        }
    }

    /// Closes a socket that has not come to its end. If something was still to be sent, with a reset: the peer must not
    /// take what it has for the whole.
    pub(super) fn end(&mut self, key: usize) {
        match self.common.table.get_mut(key).map(|socket| socket.phase) {
            Some(Phase::Lingering(_)) => drop(self.remove(key)),
            Some(Phase::Connecting | Phase::Open | Phase::Flushing) => self.abort(key),
            None => {}
        }
    }

    /// Closes a socket now, whatever it was doing.
    pub(super) fn remove(&mut self, key: usize) -> Option<Connection> {
        let mut socket = self.common.table.remove(key)?;
        self.common.waiting.recount(&mut socket.counted, 0);
        if matches!(socket.phase, Phase::Flushing | Phase::Lingering(_)) {
            self.common.closing.set(key, None, self.common.now);
        }
        // The sender that waited for room here is read again.
        if let Some(piped) = &socket.piped
            && let Some((feeder, _)) = self.common.table.find_mut(piped.from)
        {
            self.common.enqueue(feeder);
        }
        Some(socket)
    }

    /// Everything is sent: announces our end, and waits for the peer's.
    fn hang_up(&mut self, key: usize) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        // Input that waits would turn closing into a reset, whatever the application expects. The kernel's report of it
        // may be as old as the turn, and that is long if an application has computed in it.
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
        socket.reads = Reads::Large;
        self.common.begin_closing(key);
        self.common.enqueue(key);
    }

    /// Throws away input, at most an ordinary share of it in one visit.
    fn discard(&mut self, key: usize, mut allowance: u32) {
        let mut heard = 0;
        // Without an allowance nothing is read any more: only the time is waited for.
        while heard < BUDGET && allowance > 0 {
            match self.read(key) {
                Read::Input(len) | Read::Spliced { len, .. } => {
                    heard += len;
                    allowance = allowance.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
                }
                Read::Drained | Read::Blocked => break,
                Read::End | Read::Failed(_) => {
                    self.remove(key);
                    return;
                }
            }
            if self.common.table.get_mut(key).is_none_or(|socket| !socket.readable) {
                break;
            }
        }
        if let Some(socket) = self.common.table.get_mut(key) {
            socket.phase = Phase::Lingering(allowance);
            self.common.enqueue_later(key);
        }
    }
}
