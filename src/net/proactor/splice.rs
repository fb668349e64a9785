//! Splicing: what one socket receives is sent to another, and the application only hears how much.
//!
//! Through a pipe where there is one, as the reactor does, so that the bytes stay in the kernel. The kernel says when a socket has
//! some ([`Kind::Readable`](super::operations::Kind)), and we move them ourselves: its own operation for that (`IORING_OP_SPLICE`)
//! is always given to another thread, which costs more than the call that it saves. Without a pipe, the kernel has received
//! the bytes into our memory, and they are sent as [`crate::app::Action::Forward`] sends them.
//!
//! A pipe comes after everything that waits in our memory. The head of a response waits there, and the first bytes of its body:
//! so a splice of much stays in the kernel until they have left ([`Way::Soon`]). Received instead, its bytes would wait in our
//! memory in their turn, and none of it would ever find the way free.

use super::{
    Proactor,
    connection::{Connection, Phase, Receiving},
    io::Io,
    operations::Operation,
};
use crate::{
    app::{App, ConnId},
    net::driver::{Finish, Moved, Pipe, Socket as _, is_unsupported},
};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use socket2::Socket;
use std::{
    io::{self, ErrorKind},
    mem,
};

/// The rest of a splice that was asked for. See [`crate::app::Action::Splice`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Splice {
    pub(super) to: ConnId,
    /// Bytes; never zero.
    pub(super) left: u64,
}

/// A splice with less left than this does not wait for a pipe: it is one large buffer, or a few small ones.
const WORTH_WAITING: u64 = 64 * 1024;

/// The way of the next bytes of a splice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Through a pipe, now.
    Pipe,
    /// When the bytes before them have left our memory, or some of them the pipe, that is seen again.
    Soon,
    /// Through our memory.
    Memory,
}

/// The result of one step of a splice through a pipe.
enum Found {
    /// This number of bytes is on its way.
    Moved(usize),
    /// Nothing for now, or nothing that goes this way.
    Nothing,
    /// The peer sends nothing more.
    End,
    /// The connection is broken.
    Failed(ErrorKind),
}

impl Io {
    /// Carries out [`crate::app::Action::Splice`].
    pub(super) fn begin_splice(&mut self, from: ConnId, to: ConnId, len: u64) {
        if let Some((key, socket)) = self.common.table.find_mut(from) {
            debug_assert!(socket.splice.is_none(), "one splice at a time");
            socket.splice = Some(Box::new(Splice { to, left: len }));
            self.touch(key);
        }
    }

    /// Counts the next `len` bytes of a connection for its splice: the connection that gets them, and how many, without
    /// their being heard. `None` if there is no splice.
    pub(super) fn count_spliced(&mut self, from: ConnId, len: usize) -> Option<(ConnId, usize)> {
        let mut splice = self.common.table.find_mut(from)?.1.splice.take()?;
        // Bytes that come after the other side has gone are heard.
        self.common.table.find_mut(splice.to)?;
        let moved = usize::try_from(splice.left).map_or(len, |left| left.min(len));
        splice.left -= moved as u64;
        let to = splice.to;
        if splice.left > 0 {
            self.common.table.find_mut(from)?.1.splice = Some(splice);
        }
        Some((to, moved))
    }

    /// Whether the next bytes of a socket go through a pipe, and if so, has the kernel tell when there are some. Otherwise they
    /// are received.
    pub(super) fn look_for_splice(&mut self, key: usize) -> bool {
        let Some(socket) = self.common.table.get_mut(key) else { return false };
        let Some(splice) = socket.splice.as_deref().copied().filter(|_| socket.wants_input()) else { return false };
        let sender = (socket.receiving, socket.arriving == 0, socket.looking || socket.readable);
        let way = if socket.broken.is_some() { Way::Memory } else { self.way(splice) };
        match way {
            Way::Memory => return false,
            Way::Soon => self.wait_for_the_way(key, splice.to),
            Way::Pipe => {}
        }
        match sender {
            // Bytes that were received meanwhile go first.
            (Receiving::Many | Receiving::Once(_), ..) => self.stop_receiving(key),
            (Receiving::No, true, false) if way == Way::Pipe => {
                if let Some(socket) = self.common.table.get_mut(key) {
                    socket.looking = true;
                    socket.in_flight += 1;
                    self.ring.push(Operation::readable(socket.fd(), key));
                }
            }
            _ => {}
        }
        true
    }

    /// While its receiver's kernel takes nothing, a splice does not wait: the application hears how much is unsent, and decides.
    /// Otherwise it waits for bytes before it if a pipe would be its way then, or if much waits on all sockets: else more would be
    /// received before the application hears that nothing of it was sent.
    fn way(&mut self, splice: Splice) -> Way {
        let much = self.common.waiting.is_much();
        let pipes = self.common.pipes.is_available(self.common.now);
        let Some((_, receiver)) = self.common.table.find_mut(splice.to) else { return Way::Memory };
        let open = receiver.phase == Phase::Open && receiver.finish == Finish::No && receiver.broken.is_none();
        let pipe = if receiver.piped.is_some() { !receiver.choked } else { pipes && !much };
        let first = receiver.output.is_empty() && receiver.files.is_none() && !receiver.sending;
        let full = receiver.piped.as_deref().is_some_and(Pipe::is_full);
        match (open, first) {
            (true, true) if full => Way::Soon,
            (true, true) if pipe => Way::Pipe,
            (true, false) if splice.left >= WORTH_WAITING && !receiver.behind && (pipe || much) => Way::Soon,
            _ => Way::Memory,
        }
    }

    /// Has the splice of the socket with this key looked at again when its receiver has sent something.
    fn wait_for_the_way(&mut self, key: usize, to: ConnId) {
        if let Some((_, receiver)) = self.common.table.find_mut(to) {
            receiver.feeder = u32::try_from(key).ok();
            // A try that succeeds is told by nothing: the kernel must not wait for something else.
            self.awaited |= receiver.trying;
        }
    }

    /// The bytes of a connection have left, or do not for now, or never will: a splice that waited for that goes on.
    pub(super) fn clear_the_way(&mut self, key: usize) {
        let feeder = self.common.table.get_mut(key).and_then(|receiver| receiver.feeder.take());
        // The key may be another socket's by now, which is looked at in vain.
        if let Some(feeder) = feeder {
            self.touch(feeder as usize);
        }
    }

    /// One step of a splice through a pipe.
    fn splice_through_pipe(&mut self, key: usize) -> Found {
        let Some(socket) = self.common.table.get_mut(key) else { return Found::Nothing };
        let ready = mem::take(&mut socket.readable);
        let Some(splice) = socket.splice.as_deref().copied() else { return Found::Nothing };
        // Input that is not wanted now, or goes another way, is reported again when it is looked for.
        if !ready || !socket.wants_input() || self.way(splice) != Way::Pipe {
            return Found::Nothing;
        }
        let begun = self.common.table.find_mut(splice.to).and_then(|(_, receiver)| receiver.piped.take());
        let pipe = begun.or_else(|| self.common.pipes.take(self.common.now).map(Box::new));
        let Some(mut pipe) = pipe else { return Found::Nothing };
        let Some(socket) = self.common.table.get_mut(key) else { return Found::Nothing };
        let before = pipe.len();
        let filled = without_waiting(&socket.socket, || pipe.fill(&socket.socket, splice.left));
        let mut choked = false;
        let found = match filled {
            Ok(Moved::Bytes(len)) => Found::Moved(len),
            Ok(Moved::Nothing) => {
                // Input has been reported, so it may be that the pipe has no room for more pieces.
                choked = before > 0;
                Found::Nothing
            }
            Ok(Moved::End) => {
                socket.ended = true;
                Found::End
            }
            Err(error) if is_unsupported(&error) => {
                self.common.pipes.give_up();
                choked = before > 0;
                Found::Nothing
            }
            Err(error) => Found::Failed(error.kind()),
        };
        self.send_piped(splice.to, pipe, choked);
        found
    }

    /// Sends what a pipe has, as far as there is room. One that is `choked` takes nothing more before some of it has left.
    fn send_piped(&mut self, to: ConnId, pipe: Box<Pipe>, choked: bool) {
        let now = self.common.now;
        let Some((key, receiver)) = self.common.table.find_mut(to) else { return };
        if pipe.len() == 0 {
            return self.common.pipes.give_back(*pipe, now);
        }
        receiver.piped = Some(pipe);
        receiver.choked = choked;
        if receiver.crammed {
            self.common.recount(key);
        } else if let Err(error) = self.empty_pipe(key) {
            self.broke(key, error.kind());
        }
        if let Some(receiver) = self.common.table.get_mut(key)
            && receiver.piped.is_some()
        {
            receiver.unreported = true;
            self.common.enqueue(key);
            self.touch(key);
        }
    }

    /// Moves what a pipe has to its socket; tells how many bytes that took.
    fn empty_pipe(&mut self, key: usize) -> io::Result<usize> {
        let Some(receiver) = self.common.table.get_mut(key) else { return Ok(0) };
        let Some(pipe) = &mut receiver.piped else { return Ok(0) };
        let taken = without_waiting(&receiver.socket, || pipe.drain(&receiver.socket))?;
        receiver.written += taken as u64;
        receiver.choked &= taken == 0;
        if pipe.len() == 0
            && let Some(pipe) = receiver.piped.take()
        {
            self.common.pipes.give_back(*pipe, self.common.now);
        }
        self.common.recount(key);
        Ok(taken)
    }

    /// Has the kernel tell when there is room for what a pipe has.
    pub(super) fn wait_for_room(&mut self, key: usize) {
        if let Some(socket) = self.common.table.get_mut(key)
            && !mem::replace(&mut socket.crammed, true)
        {
            socket.in_flight += 1;
            self.ring.push(Operation::writable(socket.fd(), key));
        }
    }

    /// There is room for what a pipe has.
    pub(super) fn note_room(&mut self, key: usize) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        socket.crammed = false;
        let phase = socket.phase;
        if phase == Phase::Gone {
            return;
        }
        match self.empty_pipe(key) {
            Ok(taken) => self.note_emptied(key, taken),
            Err(error) if phase == Phase::Open => self.broke(key, error.kind()),
            Err(_) => self.bid_farewell(key, false),
        }
        self.clear_the_way(key);
    }

    fn note_emptied(&mut self, key: usize, taken: usize) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        match socket.phase {
            Phase::Flushing(_) if socket.unsent() == 0 => self.hang_up(key),
            Phase::Flushing(_) if taken > 0 => self.common.begin_closing(key),
            Phase::Open if taken > 0 => {
                socket.unreported = true;
                self.common.enqueue(key);
            }
            _ => {}
        }
        self.touch(key);
    }

    /// Input for a splice has arrived.
    pub(super) fn note_readable(&mut self, key: usize) {
        if let Some(socket) = self.common.table.get_mut(key) {
            socket.looking = false;
            if socket.phase == Phase::Open {
                socket.readable = true;
                self.common.enqueue(key);
            }
        }
    }
}

impl<A: App> Proactor<A> {
    /// Moves what has arrived for a splice, and tells the application how much.
    pub(super) fn hear_spliced(&mut self, key: usize, conn: ConnId) {
        if !self.io.common.table.tenant(key, conn).is_some_and(|socket: &mut Connection| socket.readable) {
            return;
        }
        let found = self.io.splice_through_pipe(key);
        self.io.touch(key);
        match found {
            Found::Nothing => return,
            Found::Moved(len) => {
                self.io.count_spliced(conn, len);
                self.app.spliced(&mut self.cx, conn, len as u64);
            }
            Found::End => self.app.ended(&mut self.cx, conn),
            Found::Failed(kind) => return self.fail(conn, kind),
        }
        self.settle();
    }
}

/// Calls `work` while the socket refuses what it cannot do at once. Otherwise it waits, as the ring needs it to: an operation on a
/// socket that refuses would be refused, too. Nothing is submitted meanwhile.
pub(super) fn without_waiting<T>(socket: &Socket, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    fcntl(socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let result = work();
    fcntl(socket, FcntlArg::F_SETFL(OFlag::empty()))?;
    result
}
