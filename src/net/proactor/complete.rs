//! Completions since the kernel was entered last: all of them are noted first, and the application hears them
//! afterwards.
//!
//! The results of sends are noted at once. So an application hears that a peer takes nothing before it hears what the
//! same peer sent meanwhile.

use super::{
    buffers::Group,
    closing::is_starved,
    connection::{Phase, Receiving},
    io::{Accepted, Arrival, Io},
    operations::Kind,
};
use crate::net::driver::Socket as _;
use io_uring::cqueue::{self, buffer_select, more};
use nix::libc;
use socket2::Socket;
use std::{
    io::{Error, ErrorKind},
    mem,
    net::Shutdown,
    os::fd::FromRawFd,
};

impl Io {
    /// Notes what the kernel has done.
    pub(super) fn note_all(&mut self) {
        let mut batch = mem::take(&mut self.batch);
        self.ring.harvest(&mut batch);
        for done in batch.drain(..) {
            self.note(&done);
        }
        self.batch = batch;
        self.note_tried();
        self.note_refused();
    }

    fn note(&mut self, done: &cqueue::Entry) {
        let Some((kind, key)) = Kind::of(done.user_data()) else { return };
        let (result, last) = (done.result(), !more(done.flags()));
        match kind {
            Kind::Accept => return self.accepted.push_back(Accepted { index: key, socket: accepted(result), last }),
            Kind::Knock => return self.knocked.push_back(key),
            Kind::Wake => {
                self.common.mail = true;
                self.listens &= !last;
                return;
            }
            Kind::Receive | Kind::ReceiveSmall | Kind::ReceiveBulk | Kind::Connect => {
                self.note_arrival(kind, key, done)
            }
            Kind::Send => {
                self.taken(key, result);
                self.common.recount(key);
            }
            Kind::TrySend => return self.refused(key, result),
            Kind::Watch => self.note_watch(key, result, last),
            Kind::Readable => self.note_readable(key),
            Kind::Writable => self.note_room(key),
        }
        if last && let Some(socket) = self.common.table.get_mut(key) {
            socket.in_flight -= 1;
            self.bury(key);
        }
    }

    fn note_arrival(&mut self, kind: Kind, key: usize, done: &cqueue::Entry) {
        let buffer = buffer_select(done.flags());
        let group = if kind == Kind::ReceiveBulk { Group::Bulk } else { Group::Small };
        if is_starved(done.result()) {
            self.buffers(group).miss();
        }
        let small = self.buffers(Group::Small).size();
        let Some(socket) = self.common.table.get_mut(key) else { return };
        if kind != Kind::Connect && !more(done.flags()) {
            socket.receiving = Receiving::No;
        }
        if matches!(kind, Kind::ReceiveSmall | Kind::ReceiveBulk) {
            socket.much = usize::try_from(done.result()).is_ok_and(|len| len >= small);
        }
        let arrival = Arrival { key, result: done.result(), buffer, group };
        if socket.phase == Phase::Gone {
            return self.recycle(arrival);
        }
        socket.arriving += 1;
        self.arrivals.push_back(arrival);
    }

    /// The bytes that arrived are wanted no more.
    pub(super) fn recycle(&mut self, arrival: Arrival) {
        if let Some(number) = arrival.buffer {
            let buffers = self.buffers(arrival.group);
            let buffer = buffers.take(number);
            buffers.give_back(number, buffer);
        }
    }

    /// The kernel took only a part of what was tried to be sent, or nothing.
    fn refused(&mut self, key: usize, result: i32) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        socket.trying = false;
        let result = if result == -libc::EAGAIN { 0 } else { result };
        socket.refused = result >= 0;
        socket.behind |= socket.phase == Phase::Open;
        self.taken(key, result);
        self.clear_the_way(key);
        self.common.recount(key);
    }

    /// Bytes whose sending was tried and not refused were sent.
    fn note_tried(&mut self) {
        let mut tried = mem::take(&mut self.tried);
        for (key, len) in tried.drain(..) {
            if let Some(socket) = self.common.table.get_mut(key)
                && mem::take(&mut socket.trying)
            {
                self.taken(key, i32::try_from(len).expect("at most TRIED bytes"));
                self.common.recount(key);
            }
        }
        self.tried = tried;
    }

    /// A send has ended: the peer's kernel, or ours, took `result` bytes.
    fn taken(&mut self, key: usize, result: i32) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        socket.sending = false;
        socket.written += u64::try_from(result).unwrap_or(0);
        match (usize::try_from(result), socket.phase) {
            (_, Phase::Gone) => {}
            (Ok(taken), phase) => {
                socket.output.consume(taken);
                socket.refused &= !socket.output.is_empty();
                if socket.broken.is_some() {
                    return socket.output.clear();
                }
                socket.behind |= !socket.output.is_empty() && phase == Phase::Open;
                let empty = socket.output.is_empty();
                let unsent = socket.unsent();
                match phase {
                    Phase::Flushing(_) if unsent == 0 => self.hang_up(key),
                    Phase::Flushing(_) => self.common.begin_closing(key),
                    _ if socket.behind => {
                        socket.behind = unsent > 0;
                        socket.unreported = true;
                        self.common.enqueue(key);
                    }
                    _ => {}
                }
                self.touch(key);
                if empty {
                    self.clear_the_way(key);
                }
            }
            (Err(_), Phase::Open) => self.broke(key, kind_of(result)),
            (Err(_), _) => self.bid_farewell(key, false),
        }
    }

    /// A connection is broken. The peer's earlier bytes are received and heard first, whether they are wanted or not.
    pub(super) fn broke(&mut self, key: usize, kind: ErrorKind) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        socket.broke(kind);
        self.clear_the_way(key);
        self.common.recount(key);
        let Some(socket) = self.common.table.get_mut(key) else { return };
        // Now that comes to an end, even if it was not the peer who broke the connection.
        let _ = socket.socket.shutdown(Shutdown::Read);
        self.common.enqueue(key);
        self.touch(key);
    }

    /// Notes the sends that the kernel did not take at once. It will not take them for a while, and the application has
    /// to know.
    ///
    /// A send that can be done is done while the kernel is entered, so that its completion is here by now.
    fn note_refused(&mut self) {
        let mut sent = mem::take(&mut self.sent);
        for key in sent.drain(..) {
            if let Some(socket) = self.common.table.get_mut(key)
                && socket.sending
                && socket.phase == Phase::Open
            {
                socket.behind = true;
                socket.unreported = true;
                self.common.enqueue(key);
                self.clear_the_way(key);
            }
        }
        self.sent = sent;
    }

    /// Something happened to a connection that is not read from. It may be an error, or only the peer's end.
    fn note_watch(&mut self, key: usize, result: i32, last: bool) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        socket.watched &= !last;
        let is_error = u32::try_from(result).is_ok_and(|events| events & libc::POLLERR.unsigned_abs() as u32 != 0);
        // If an operation still receives or sends, its own completion tells of it.
        if is_error
            && socket.phase == Phase::Open
            && socket.receiving == Receiving::No
            && let Ok(Some(error)) | Err(error) = socket.socket.take_error()
        {
            let kind = socket.broken.unwrap_or(error.kind());
            self.broke(key, kind);
        }
    }

    /// Closes a socket that is not wanted any more, once the kernel has let go of it.
    pub(super) fn bury(&mut self, key: usize) {
        if let Some(socket) = self.common.table.get_mut(key)
            && socket.phase == Phase::Gone
            && socket.in_flight == 0
            // Arrivals that were noted for it must not meet the next socket with its key.
            && socket.arriving == 0
        {
            self.common.table.remove(key);
        }
    }
}

/// The result of accepting.
fn accepted(result: i32) -> std::io::Result<Socket> {
    if result < 0 {
        return Err(Error::from_raw_os_error(-result));
    }
    // SAFETY: the kernel has just opened this descriptor for us, and no other code knows it.
    #[allow(unsafe_code)]
    Ok(unsafe { Socket::from_raw_fd(result) })
}

/// The meaning of a negative result.
pub(super) fn kind_of(result: i32) -> ErrorKind {
    Error::from_raw_os_error(-result).kind()
}
