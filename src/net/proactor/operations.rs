//! The operations that the kernel is asked for, and how each finds its socket: a completion carries the token that its
//! operation was given.
//!
//! A token is the key of a socket and the kind of operation. The kernel may answer late, even for a connection that the
//! application has long let go of; so a key is not given to another socket before the last completion for it has come,
//! and a completion cannot meet another socket. `Connection::in_flight` counts.
//!
//! This is also where memory is lent to the kernel. Most kinds of operation name none. The others:
//!
//! - [`Operation::receive`] and [`Operation::receive_once`] name none either: the kernel takes a buffer of [`super::buffers`] when bytes have arrived, so
//!   a thousand idle connections occupy none.
//! - [`Operation::send`] reads from a connection's `Output`, which is left alone until the completion.
//! - [`Operation::try_send`] reads from it only while it is submitted.
//! - [`Operation::connect`] reads an address that the connection keeps until then.

#![allow(unsafe_code)] // Each block carries its argument.

use super::buffers::Group;
use crate::net::driver::SLICES;
use io_uring::{
    opcode,
    squeue::{Entry, Flags},
    types::Fd,
};
use nix::libc;
use socket2::SockAddr;
use std::{io::IoSlice, ptr};

/// The token of operations whose result is not waited for.
pub(super) const NOBODY: u64 = u64::MAX;

/// Bytes that are tried to be sent at once. More does not fit into a socket's buffer as a rule, and trying would be in vain;
/// and it is far below what the kernel takes in one call, so that "all of them" is never only the first part.
pub(super) const TRIED: usize = 1024 * 1024;

/// The subject of an operation; with a key, its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Into small buffers.
    Receive,
    /// Into one small buffer.
    ReceiveSmall,
    /// Into one large buffer.
    ReceiveBulk,
    Send,
    /// Send all of it while it is submitted. Only what fails is completed.
    TrySend,
    /// Tell when there is input for a splice to move.
    Readable,
    /// Tell when there is room for what a splice has.
    Writable,
    Connect,
    /// Look out for errors of a connection that is not read.
    Watch,
    /// The key is a listener's.
    Accept,
    /// The key is a listener's: a connection waits at it.
    Knock,
    /// Another thread has something to say.
    Wake,
}

impl Kind {
    /// A receive operation that ends with its first piece.
    pub(super) fn receive_once(group: Group) -> Self {
        match group {
            Group::Small => Self::ReceiveSmall,
            Group::Bulk => Self::ReceiveBulk,
        }
    }

    /// The token for this kind of operation on the socket with `key`.
    pub(super) fn token(self, key: usize) -> u64 {
        (key as u64) << 8 | self as u64
    }

    /// The meaning of a token; `None` for [`NOBODY`].
    pub(super) fn of(token: u64) -> Option<(Self, usize)> {
        let kind = KINDS.get((token & 0xff) as usize)?;
        Some((*kind, usize::try_from(token >> 8).ok()?))
    }

    /// Whether a token is that of an operation which is over when the call that submits it returns.
    pub(super) fn is_over_at_once(token: u64) -> bool {
        matches!(Self::of(token), Some((Self::TrySend, _)))
    }
}

const KINDS: [Kind; 12] = [
    Kind::Receive,
    Kind::ReceiveSmall,
    Kind::ReceiveBulk,
    Kind::Send,
    Kind::TrySend,
    Kind::Readable,
    Kind::Writable,
    Kind::Connect,
    Kind::Watch,
    Kind::Accept,
    Kind::Knock,
    Kind::Wake,
];

/// Pieces for one vectored send: what the kernel reads to learn where they are.
pub(super) struct Vector {
    header: libc::msghdr,
    slices: [IoSlice<'static>; SLICES],
}

// SAFETY: the pointers in it lead to itself and to `Bytes`, which may be sent; they are only followed by the kernel.
unsafe impl Send for Vector {}

/// A request to the kernel. The memory that it names outlives it: the code that makes one promises so.
pub(super) struct Operation(Entry);

impl Operation {
    pub(super) fn into_entry(self) -> Entry {
        self.0
    }

    fn new(entry: &Entry, kind: Kind, key: usize) -> Self {
        Self(entry.clone().user_data(kind.token(key)))
    }

    /// Takes connections: one, or one after the other until it is cancelled.
    pub(super) fn accept(listener: i32, key: usize, many: bool) -> Self {
        let entry = if many {
            opcode::AcceptMulti::new(Fd(listener)).flags(libc::SOCK_CLOEXEC).build()
        } else {
            opcode::Accept::new(Fd(listener), ptr::null_mut(), ptr::null_mut()).flags(libc::SOCK_CLOEXEC).build()
        };
        Self::new(&entry, Kind::Accept, key)
    }

    /// Tells once that a connection waits, and leaves it where it is.
    pub(super) fn knock(listener: i32, key: usize) -> Self {
        let flags = u32::from(libc::POLLIN.unsigned_abs());
        Self::new(&opcode::PollAdd::new(Fd(listener), flags).build(), Kind::Knock, key)
    }

    /// Receives into small buffers that the kernel takes when there is something to put in, again and again until it is cancelled.
    pub(super) fn receive(socket: i32, key: usize) -> Self {
        Self::new(&opcode::RecvMulti::new(Fd(socket), Group::Small as u16).build(), Kind::Receive, key)
    }

    /// Receives once, into a buffer of `group`, at most `most` bytes.
    pub(super) fn receive_once(socket: i32, key: usize, group: Group, most: usize) -> Self {
        // No address: it is the buffer's, and no more than its length is received.
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let once = opcode::Recv::new(Fd(socket), ptr::null_mut(), most).buf_group(group as u16).build();
        Self::new(&once.flags(Flags::BUFFER_SELECT), Kind::receive_once(group), key)
    }

    /// Sends the pieces, as far as the kernel takes them at once; when it takes none, waits until it does. `more` follows at once, so that a
    /// segment that is not full waits for it (`MSG_MORE`).
    ///
    /// # Safety
    ///
    /// The pieces stay where they are and as they are, and `vector` is left alone, until the completion was harvested.
    pub(super) unsafe fn send(
        socket: i32,
        key: usize,
        pieces: &[IoSlice<'_>],
        vector: &mut Option<Box<Vector>>,
        more: bool,
    ) -> Self {
        // SAFETY: the caller's promise is the one that is asked for.
        let entry = unsafe { sending(socket, pieces, vector, if more { libc::MSG_MORE } else { 0 }) };
        Self::new(&entry, Kind::Send, key)
    }

    /// Sends the pieces while it is submitted. If the kernel takes all of them, nothing more is heard of it; else the
    /// completion tells how many bytes it took (`MSG_WAITALL`: less than all is a failure), or `EAGAIN` for none.
    ///
    /// # Safety
    ///
    /// The pieces stay where they are and as they are, and `vector` is left alone, until it was submitted. They are at most
    /// [`TRIED`] bytes.
    pub(super) unsafe fn try_send(
        socket: i32,
        key: usize,
        pieces: &[IoSlice<'_>],
        vector: &mut Option<Box<Vector>>,
        more: bool,
    ) -> Self {
        let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL | if more { libc::MSG_MORE } else { 0 };
        // SAFETY: the kernel does not wait (`MSG_DONTWAIT`), so it looks at the pieces only while it takes the operation.
        let entry = unsafe { sending(socket, pieces, vector, flags) };
        Self::new(&entry.flags(Flags::SKIP_SUCCESS), Kind::TrySend, key)
    }

    /// Connects.
    ///
    /// # Safety
    ///
    /// `to` stays where it is until the completion was harvested.
    pub(super) unsafe fn connect(socket: i32, key: usize, to: &SockAddr) -> Self {
        Self::new(&opcode::Connect::new(Fd(socket), to.as_ptr().cast(), to.len()).build(), Kind::Connect, key)
    }

    /// Tells every change of the connection that may be an error. Told once each, as by an edge-triggered epoll.
    pub(super) fn watch(socket: i32, key: usize) -> Self {
        // Errors and hang-ups are always told.
        Self::new(&opcode::PollAdd::new(Fd(socket), 0).multi(true).build(), Kind::Watch, key)
    }

    /// Tells once that there is input, an end or an error.
    pub(super) fn readable(socket: i32, key: usize) -> Self {
        let flags = u32::from((libc::POLLIN | libc::POLLRDHUP).unsigned_abs());
        Self::new(&opcode::PollAdd::new(Fd(socket), flags).build(), Kind::Readable, key)
    }

    /// Tells once that there is room.
    pub(super) fn writable(socket: i32, key: usize) -> Self {
        let flags = u32::from(libc::POLLOUT.unsigned_abs());
        Self::new(&opcode::PollAdd::new(Fd(socket), flags).build(), Kind::Writable, key)
    }

    /// Tells every write to an eventfd. Its number need not be read: the write alone counts.
    pub(super) fn wake(eventfd: i32) -> Self {
        let flags = u32::from(libc::POLLIN.unsigned_abs());
        Self::new(&opcode::PollAdd::new(Fd(eventfd), flags).multi(true).build(), Kind::Wake, 0)
    }
}

/// An operation that sends the pieces.
///
/// # Safety
///
/// The pieces and `vector` are left alone as long as the kernel uses them.
unsafe fn sending(socket: i32, pieces: &[IoSlice<'_>], vector: &mut Option<Box<Vector>>, flags: i32) -> Entry {
    let flags = libc::MSG_NOSIGNAL | flags;
    if let [only] = pieces {
        // Of more than this, the kernel sends the first part.
        let len = u32::try_from(only.len()).unwrap_or(u32::MAX).min(i32::MAX as u32);
        opcode::Send::new(Fd(socket), only.as_ptr(), len).flags(flags).build()
    } else {
        let vector = vector.get_or_insert_with(|| Box::new(Vector::new()));
        // SAFETY: the caller keeps the pieces; only the kernel looks at them.
        unsafe { vector.fill(pieces) };
        opcode::SendMsg::new(Fd(socket), &raw const vector.header).flags(flags.unsigned_abs()).build()
    }
}

impl Vector {
    fn new() -> Self {
        // SAFETY: a msghdr is integers and pointers, for which zero means "none".
        let header = unsafe { std::mem::zeroed() };
        Self { header, slices: [IoSlice::new(&[]); SLICES] }
    }

    /// # Safety
    ///
    /// The pieces outlive their use by the kernel.
    unsafe fn fill(&mut self, pieces: &[IoSlice<'_>]) {
        for (slice, piece) in self.slices.iter_mut().zip(pieces) {
            // SAFETY: the lifetime ends too late here. Only the kernel reads it, and the caller sees to it that the
            // memory lives as long.
            *slice = IoSlice::new(unsafe { std::slice::from_raw_parts(piece.as_ptr(), piece.len()) });
        }
        // An `IoSlice` is an `iovec` by promise of the standard library; the kernel only reads through it.
        self.header.msg_iov = self.slices.as_mut_ptr().cast();
        self.header.msg_iovlen = pieces.len().min(SLICES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_what_and_whose() {
        for key in [0, 1, 0xff, 0x100, u32::MAX as usize] {
            for kind in KINDS {
                assert_eq!(Kind::of(kind.token(key)), Some((kind, key)));
            }
        }
        assert_eq!(Kind::of(NOBODY), None);
        assert_eq!(Kind::of(KINDS.len() as u64), None);
    }
}
