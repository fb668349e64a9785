//! One socket as the proactor sees it: what the kernel is doing for it, and what waits on either side.

use super::{buffers::Group, operations::Vector, splice::Splice};
use crate::{
    app::{ConnId, Progress, Reads},
    buf::Output,
    net::{
        acknowledged::progress,
        driver::{self, BUDGET, Closing, Files, Finish, Pipe},
    },
};
use bytes::Bytes;
use socket2::{SockAddr, Socket};
use std::{
    collections::VecDeque,
    io::ErrorKind,
    os::fd::{AsRawFd, RawFd},
};

/// Where in its life a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Asked for by [`crate::app::Cx::connect`]; the kernel has not said how it went.
    Connecting,
    /// The application's.
    Open,
    /// Let go of by the application; the rest of its output is still ours to send. Of input, so much is thrown away.
    Flushing(u32),
    /// Everything is sent. Throws away up to so many bytes, so that closing does not become a reset.
    Lingering(u32),
    /// Nothing is wanted any more, but the kernel has not said yet that it has let go of everything.
    Gone,
}

/// The operation that waits for input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// None: what the peer sends stays in the kernel, and its window closes.
    No,
    /// One that goes on until it is cancelled, into small buffers.
    Many,
    /// One for a single buffer of this group.
    Once(Group),
    /// One that was asked to end, and has not ended yet.
    Ending,
}

/// Input that came while the application did not want it: a receive operation cannot be stopped in the middle of a
/// turn.
#[derive(Debug, Default)]
pub(super) struct Stash {
    pub(super) input: VecDeque<Bytes>,
    /// The end came after it.
    pub(super) end: bool,
}

/// A socket, and what is known about it. No buffer while nothing arrives, no heap while nothing waits.
pub struct Connection {
    pub(super) socket: Socket,
    /// Everything that the peer has not taken. While an operation sends, its first pieces are the kernel's to read.
    pub(super) output: Output,
    /// The parts of files behind `output`, and the bytes behind those.
    pub(super) files: Option<Box<Files>>,
    /// Bytes that our kernel has taken from us.
    pub(super) written: u64,
    /// Of these, how many the peer's had confirmed when a closing socket was looked at last.
    pub(super) confirmed: u64,
    /// How much of what waits is counted in [`crate::net::waiting`].
    pub(super) counted: u32,
    /// The connection that it belongs to, or belonged to: a socket that is closing outlives the name.
    pub(super) conn: ConnId,
    pub(super) phase: Phase,
    /// Where the pieces of the present send are.
    pub(super) vector: Option<Box<Vector>>,
    pub(super) stash: Option<Box<Stash>>,
    /// Its next bytes belong to another.
    pub(super) splice: Option<Box<Splice>>,
    /// The bytes that a splice has for it, before `output`.
    pub(super) piped: Option<Box<Pipe>>,
    /// The key of the socket whose splice waits until `output` has left, or the pipe has room.
    pub(super) feeder: Option<u32>,
    /// Where to, while it connects.
    pub(super) address: Option<Box<SockAddr>>,
    /// The send that failed. The peer's words before it are heard first, then this.
    pub(super) broken: Option<ErrorKind>,
    /// Completions of receive operations that were noted and not yet heard.
    pub(super) arriving: u16,
    /// Bytes that the application heard in the turn with this number.
    pub(super) share: (u32, u32),
    /// Operations whose last completion has not come.
    pub(super) in_flight: u8,
    pub(super) receiving: Receiving,
    pub(super) finish: Finish,
    /// An operation looks out for input that is to be spliced through a pipe.
    pub(super) looking: bool,
    /// It has found some.
    pub(super) readable: bool,
    /// An operation looks out for room for what a pipe has.
    pub(super) crammed: bool,
    /// That pipe has no room for more pieces, however few bytes are in it.
    pub(super) choked: bool,
    /// It came in by a listener: it counts against `max_connections`.
    pub(super) accepted: bool,
    /// An operation sends.
    pub(super) sending: bool,
    /// An operation was submitted that sends at once or fails. Never while the application is called.
    pub(super) trying: bool,
    /// The kernel did not take all of what it was given: until it has, an operation waits for room.
    pub(super) refused: bool,
    /// An operation looks out for errors.
    pub(super) watched: bool,
    /// The application does not want input now.
    pub(super) paused: bool,
    /// Input is received piece by piece, and in large pieces if there is much of it.
    pub(super) reads: Reads,
    /// The last of those pieces was more than a small buffer takes.
    pub(super) much: bool,
    /// The end of the peer's stream was received. The application may not have heard so yet: see [`Stash::end`].
    pub(super) ended: bool,
    /// When everything is sent, the peer's end is waited for.
    pub(super) linger: bool,
    /// It waits in the ready queue.
    pub(super) queued: bool,
    /// Its output, or its wish for input, changed in this turn.
    pub(super) dirty: bool,
    /// The application was told, or has to be, that not everything left at once.
    pub(super) behind: bool,
    /// The application has to hear how much is unsent.
    pub(super) unreported: bool,
}

impl Connection {
    pub(super) fn new(socket: Socket, conn: ConnId, phase: Phase, accepted: bool) -> Self {
        Self {
            socket,
            output: Output::new(),
            files: None,
            written: 0,
            confirmed: 0,
            counted: 0,
            conn,
            phase,
            vector: None,
            stash: None,
            splice: None,
            piped: None,
            feeder: None,
            address: None,
            broken: None,
            arriving: 0,
            share: (0, 0),
            in_flight: 0,
            receiving: Receiving::No,
            finish: Finish::No,
            looking: false,
            readable: false,
            crammed: false,
            choked: false,
            accepted,
            sending: false,
            trying: false,
            refused: false,
            watched: false,
            paused: false,
            reads: Reads::Small,
            much: false,
            ended: false,
            linger: true,
            queued: false,
            dirty: false,
            behind: false,
            unreported: false,
        }
    }

    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Queues bytes behind all that waits.
    pub(super) fn queue(&mut self, bytes: Bytes) {
        match &mut self.files {
            None => self.output.push(bytes),
            Some(files) => files.push_bytes(bytes),
        }
    }

    /// Queues a copy of bytes behind all that waits.
    pub(super) fn queue_copy(&mut self, bytes: &[u8]) {
        match &mut self.files {
            None => self.output.extend(bytes),
            Some(files) => files.extend(bytes),
        }
    }

    /// Whether the kernel should be receiving for it.
    pub(super) fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Open => !self.ended && !self.is_unwanted() && self.stash.is_none(),
            Phase::Flushing(allowance) | Phase::Lingering(allowance) => !self.ended && allowance > 0,
            Phase::Connecting | Phase::Gone => false,
        }
    }

    /// Whether the application does not want to hear it now. Unwanted input can wait for later, but the last bytes of a
    /// connection that breaks cannot.
    pub(super) fn is_unwanted(&self) -> bool {
        self.paused && self.broken.is_none()
    }

    /// Whether the application heard enough of it in this turn.
    pub(super) fn had_its_share(&self, turn: u32) -> bool {
        self.share.0 == turn && self.share.1 as usize >= BUDGET
    }

    /// The application hears so much of it now.
    pub(super) fn count(&mut self, turn: u32, len: usize) {
        let before = if self.share.0 == turn { self.share.1 } else { 0 };
        self.share = (turn, before.saturating_add(u32::try_from(len).unwrap_or(u32::MAX)));
    }

    /// Keeps input for later.
    pub(super) fn keep(&mut self, input: Bytes) {
        self.stash.get_or_insert_default().input.push_back(input);
    }

    /// Keeps input for later that came before what is kept already.
    pub(super) fn keep_first(&mut self, input: Bytes) {
        self.stash.get_or_insert_default().input.push_front(input);
    }

    /// Nothing more of what the peer said is going to be heard.
    pub(super) fn is_heard_out(&self) -> bool {
        self.ended && self.arriving == 0 && self.stash.is_none()
    }

    /// A send failed: nothing more can be sent, but what the peer said before may still have to be heard.
    pub(super) fn broke(&mut self, kind: ErrorKind) {
        self.broken = Some(kind);
        self.unreported = false;
        // Closed with what is in it. The connection that filled it is received from again.
        self.piped = None;
        self.files = None;
        // Else the kernel still reads from it. It will be told soon that this is in vain.
        if !self.sending && !self.trying {
            self.output.clear();
        }
        self.finish = Finish::Done;
    }
}

impl driver::Socket for Connection {
    fn conn(&self) -> ConnId {
        self.conn
    }

    fn accepted(&self) -> bool {
        self.accepted
    }

    fn closing(&self) -> Option<Closing> {
        match self.phase {
            Phase::Connecting | Phase::Open | Phase::Gone => None,
            Phase::Flushing(_) => Some(Closing::Flushing),
            Phase::Lingering(_) => Some(Closing::Lingering),
        }
    }

    /// Only a socket with something to tell is ever queued.
    fn has_work(&self) -> bool {
        true
    }

    fn queued(&mut self) -> &mut bool {
        &mut self.queued
    }

    fn unsent(&self) -> usize {
        if self.phase == Phase::Gone {
            return 0;
        }
        let piped = self.piped.as_ref().map_or(0, |pipe| pipe.len());
        let files = self.files.as_ref().map_or(0, |files| files.unsent());
        files.saturating_add(self.output.len() + piped)
    }

    fn in_memory(&self) -> usize {
        if self.phase == Phase::Gone {
            return 0;
        }
        let piped = self.piped.as_ref().map_or(0, |pipe| pipe.len());
        let files = self.files.as_ref().map_or(0, |files| files.held());
        files + self.output.len() + piped
    }

    fn outgoing(&mut self) -> (&mut Output, &mut Option<Box<Files>>) {
        (&mut self.output, &mut self.files)
    }

    fn counted(&mut self) -> &mut u32 {
        &mut self.counted
    }

    fn progress(&self) -> Progress {
        progress(&self.socket, self.written, self.unsent())
    }

    fn confirmed(&mut self) -> &mut u64 {
        &mut self.confirmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As for the reactor: ten thousand idle connections are two megabytes.
    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Connection>() <= 192, "{}", size_of::<Connection>());
    }
}
