//! Files: the kernel sends them from its own memory, but we ask it to by calls of our own (sendfile(2)).
//!
//! The ring's own operation for that (`IORING_OP_SPLICE`) is always given to another thread of the kernel's, which costs more than
//! the call that it saves, and needs a pipe. The head of a file leaves by a call of its own, too: by the ring, the file's turn would come only
//! after the kernel was entered. If there is no room for all of the head, the ring waits for it, as it does for other bytes.

use super::{connection::Phase, io::Io, splice::without_waiting};
use crate::net::driver::{Behind, CONFIRMED, Next, Piece, SHARE, SLICES, Socket as _};
use nix::libc;
use std::io::{ErrorKind, IoSlice};

impl Io {
    /// Sends from files what is due, a share of it. `Some`: what waits in the output is to be sent, and whether more follows at
    /// once. `None`: nothing, for now.
    pub(super) fn send_files(&mut self, key: usize) -> Option<bool> {
        if let Some(socket) = self.common.table.get_mut(key) {
            socket.behind |= socket.unsent() >= CONFIRMED && socket.phase == Phase::Open;
        }
        let mut total = 0;
        let next = loop {
            if total >= SHARE {
                self.filing.push(key);
                break None;
            }
            match self.common.next_to_send(key) {
                Next::Nothing => break Some(false),
                Next::Output(behind) => match self.send_ahead(key, behind) {
                    Some(sent) => total += sent,
                    None => break Some(behind == Behind::Part),
                },
                Next::Wait => break None,
                Next::Piece(len) => match self.send_piece(key, len) {
                    Some(sent) => total += sent,
                    None => break None,
                },
            }
        };
        self.common.recount(key);
        self.tell_sent(key, total, next.is_none());
        // How long this turn waits for the kernel was found out before. It must not wait if there is more to send or to tell now, or another
        // deadline: that of a read, or of a socket that is closing.
        let is_open = self.common.table.get_mut(key).is_some_and(|socket| socket.phase == Phase::Open);
        self.awaited |= next.is_none() || !is_open || self.common.has_ready();
        next
    }

    /// Sends what is before a file, if the file follows. `None`: the ring has to send it, or the rest of it.
    fn send_ahead(&mut self, key: usize, behind: Behind) -> Option<usize> {
        let more = match behind {
            Behind::Nothing => return None,
            Behind::Part => libc::MSG_MORE,
            Behind::LargePart => 0,
        };
        let socket = self.common.table.get_mut(key)?;
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = socket.output.io_slices(&mut slices);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | more;
        // The ring meets an error once more, and knows what to do about it.
        let sent = socket.socket.send_vectored_with_flags(&slices[..filled], flags).ok()?;
        socket.output.consume(sent);
        socket.written += sent as u64;
        socket.output.is_empty().then_some(sent)
    }

    /// Sends a piece of a file. `None`: there is no room for it, or never will be.
    fn send_piece(&mut self, key: usize, len: usize) -> Option<usize> {
        let socket = self.common.table.get_mut(key)?;
        if socket.crammed {
            return None;
        }
        let (files, socket) = (socket.files.as_deref_mut()?, &socket.socket);
        let piece = without_waiting(socket, || Ok(files.send(socket, len)));
        match piece.unwrap_or_else(|error| Piece::Broken(error.kind())) {
            Piece::Refused => {
                self.wait_for_room(key);
                None
            }
            Piece::Broken(kind) => {
                self.break_off(key, kind);
                None
            }
            piece => {
                let sent = self.common.note_piece(key, piece);
                self.common.table.get_mut(key)?.written += sent as u64;
                Some(sent)
            }
        }
    }

    /// The connection is gone.
    fn break_off(&mut self, key: usize, kind: ErrorKind) {
        match self.common.table.get_mut(key).map(|socket| socket.phase) {
            Some(Phase::Open) => {
                self.broke(key, kind);
                self.awaited = true;
            }
            Some(_) => self.bid_farewell(key, false),
            None => {}
        }
    }

    /// After a share of `sent` bytes. As for bytes, the application hears of it unless all of it left at once. Bytes in the output are the
    /// ring's, which tells of them later. `waits`: the rest does not go on at once.
    fn tell_sent(&mut self, key: usize, sent: usize, waits: bool) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        let unsent = socket.unsent();
        match socket.phase {
            Phase::Flushing(_) if unsent == 0 => self.hang_up(key),
            Phase::Flushing(_) if sent > 0 => self.common.begin_closing(key),
            Phase::Open if socket.broken.is_none() && (waits || socket.behind) && (sent > 0 || !socket.behind) => {
                socket.behind = unsent > 0;
                socket.unreported = true;
                self.common.enqueue(key);
            }
            _ => {}
        }
        if waits || unsent == 0 {
            self.clear_the_way(key);
        }
    }
}
