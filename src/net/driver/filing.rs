//! The way of a file to a socket, as far as it does not depend on how bytes are moved: what is due, what is read by a thread first, and
//! what becomes of a file that cannot be read.

use super::{
    Common, EventLoop, Socket, Transport,
    file::{Behind, Cut, Files, GATHERED, Look, Piece},
};
use crate::{app::App, buf::Unreadable};

/// Bytes of files after which others have their turn: two pieces, and what is before them. A socket that takes more at once is a rare one.
pub(in crate::net) const SHARE: usize = 1024 * 1024;

/// The next bytes that a socket has to send, after those in a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Next {
    /// None.
    Nothing,
    /// Its output, and what follows at once.
    Output(Behind),
    /// This number of bytes of its first file, which are in the kernel's memory.
    Piece(usize),
    /// None before a thread has read them.
    Wait,
}

impl<S: Socket> Common<S> {
    /// Finds out what a socket has to send. A small part that is due is in its output then, and a read that is needed is under way.
    pub(in crate::net) fn next_to_send(&mut self, key: usize) -> Next {
        let Self { table, reads, reading, cut, now, config, .. } = self;
        let Some(socket) = table.get_mut(key) else { return Next::Nothing };
        let conn = socket.conn();
        let (output, slot) = socket.outgoing();
        while output.len() < GATHERED
            && let Some(files) = slot
        {
            match files.look(output) {
                Look::Copied(len) => Files::advance(slot, output, len),
                Look::Cached(len) if output.is_empty() => return Next::Piece(len),
                Look::Cached(_) => return Next::Output(files.behind()),
                Look::Ask(ask) => {
                    files.wait(reads.begin(key, conn, ask));
                    reading.set(key, Some(*now + config.disk_patience), *now);
                    break;
                }
                Look::Wait => break,
                Look::Lost(why) => {
                    files.lose();
                    cut.push(Cut { key, conn, why });
                    break;
                }
            }
        }
        match (output.is_empty(), slot) {
            (false, _) => Next::Output(Behind::Nothing),
            (true, Some(_)) => Next::Wait,
            (true, None) => Next::Nothing,
        }
    }

    /// A piece of a file was sent, or not. Tells how many bytes are on their way.
    pub(in crate::net) fn note_piece(&mut self, key: usize, piece: Piece) -> usize {
        let Some(socket) = self.table.get_mut(key) else { return 0 };
        let conn = socket.conn();
        let (output, slot) = socket.outgoing();
        let why = match piece {
            Piece::Sent(len) => {
                Files::advance(slot, output, len);
                return len;
            }
            Piece::Refused | Piece::Broken(_) => return 0,
            Piece::Unsupported => {
                slot.iter_mut().for_each(|files| files.slow_down());
                return 0;
            }
            Piece::End => Unreadable::Truncated,
            Piece::Unreadable(kind) => Unreadable::Failed(kind),
        };
        slot.iter_mut().for_each(|files| files.lose());
        self.cut.push(Cut { key, conn, why });
        0
    }

    /// Takes what threads have read. Tells which sockets can go on.
    fn take_reads(&mut self) -> Vec<usize> {
        let mut keys = Vec::new();
        for done in self.reads.take() {
            let Some(socket) = self.table.get_mut(done.key).filter(|socket| socket.conn() == done.conn) else {
                continue;
            };
            let (output, slot) = socket.outgoing();
            let Some(files) = slot.as_mut().filter(|files| files.is_held_up()) else { continue };
            if !files.take(done.ticket) {
                continue;
            }
            match done.read {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    let len = bytes.len();
                    output.push(bytes);
                    Files::advance(slot, output, len);
                }
                Err(why) => {
                    files.lose();
                    self.cut.push(Cut { key: done.key, conn: done.conn, why });
                }
            }
            self.reading.set(done.key, None, self.now);
            keys.push(done.key);
        }
        keys
    }

    /// Gives up reads that took too long.
    pub(super) fn give_up_reads(&mut self) {
        while let Some(key) = self.reading.expire(self.now) {
            let Some(socket) = self.table.get_mut(key) else { continue };
            let conn = socket.conn();
            // The key may be another socket's by now.
            if let Some(files) = socket.outgoing().1.as_mut().filter(|files| files.is_held_up()) {
                files.lose();
                self.cut.push(Cut { key, conn, why: Unreadable::TooSlow });
            }
        }
    }
}

impl<A: App, T: Transport> EventLoop<A, T> {
    /// Threads have read something.
    pub(super) fn hear_reads(&mut self) {
        for key in self.io.common_mut().take_reads() {
            self.io.go_on(key);
        }
    }

    /// Resets the connections whose files cannot be read, and says so.
    pub(super) fn hear_cut(&mut self) {
        while let Some(Cut { key, conn, why }) = self.io.common_mut().cut.pop() {
            // It may have ended meanwhile, by itself.
            if self.io.common_mut().table.get_mut(key).is_none_or(|socket| socket.conn() != conn) {
                continue;
            }
            tracing::warn!(?conn, %why, "a connection is reset: what its client was promised cannot be sent");
            self.io.give_up(key);
            self.app.cut_short(&mut self.cx, conn, why);
            self.cx.release(conn);
            self.settle();
        }
    }
}
