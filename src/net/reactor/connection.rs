//! One socket as the reactor sees it: what the kernel said about it, and what waits to be sent.

use crate::{
    app::{ConnId, Progress, Reads},
    buf::Output,
    net::{
        acknowledged::progress,
        driver::{Closing, Files, Finish, Pipe, Socket},
    },
};
use bytes::Bytes;
use mio::{event::Event, net::TcpStream};
use std::io;

/// No action is staged.
pub(super) const NONE: u32 = u32::MAX;

/// Where in its life a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Asked for by [`crate::app::Cx::connect`]; the kernel has not said how it went.
    Connecting,
    /// The application's.
    Open,
    /// Let go of by the application; the rest of its output is still ours to send.
    Flushing,
    /// Everything is sent. Reads and discards up to so many bytes, so that closing does not become a reset.
    Lingering(u32),
}

/// Bytes that a splice has taken and the receiver has not.
#[derive(Debug)]
pub(super) struct Piped {
    pub(super) pipe: Pipe,
    /// The connection that waits for room in it.
    pub(super) from: ConnId,
}

/// The rest of a splice that was asked for. See [`crate::app::Action::Splice`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Splice {
    pub(super) to: ConnId,
    /// Bytes; never zero.
    pub(super) left: u64,
}

/// A socket and what is known about it. No heap while nothing waits to be sent.
#[derive(Debug)]
pub struct Connection {
    pub(super) stream: TcpStream,
    pub(super) output: Output,
    /// The parts of files behind `output`, and the bytes behind those.
    pub(super) files: Option<Box<Files>>,
    /// The bytes that a splice has for it, before `output`.
    pub(super) piped: Option<Box<Piped>>,
    /// The connection that it belongs to, or belonged to: a socket that is closing outlives the name.
    pub(super) conn: ConnId,
    pub(super) phase: Phase,
    /// Bytes that our kernel has taken from us.
    pub(super) written: u64,
    /// Of these, how many the peer's had confirmed when a closing socket was looked at last.
    pub(super) confirmed: u64,
    /// How much of what waits is counted in [`crate::net::waiting`].
    pub(super) counted: u32,
    /// Actions of the present call that have bytes for it: a list through [`super::actions`], first and last.
    pub(super) staged: (u32, u32),
    /// Its bytes go to another, unheard.
    pub(super) splice: Option<Box<Splice>>,
    /// The write that failed. The peer's words before it are heard first, then this.
    pub(super) broken: Option<io::ErrorKind>,
    /// It came in by a listener: it counts against `max_connections`.
    pub(super) accepted: bool,
    /// The kernel may have input. Cleared by a read that found less than it asked for.
    pub(super) readable: bool,
    /// The kernel said that no more will come: only an end or an error ends the reading, not a short read.
    pub(super) at_end: bool,
    /// The kernel may have room. Cleared by a write that was refused in part.
    pub(super) writable: bool,
    /// The kernel said that something is wrong, and has not been asked yet what it is.
    pub(super) error: bool,
    /// The application does not want input now.
    pub(super) paused: bool,
    pub(super) reads: Reads,
    /// The end of the peer's stream was read.
    pub(super) ended: bool,
    pub(super) finish: Finish,
    /// When everything is sent, the peer's end is waited for.
    pub(super) linger: bool,
    /// It waits in the ready queue.
    pub(super) queued: bool,
    /// The application has to hear how much is unsent.
    pub(super) unreported: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, conn: ConnId, phase: Phase, accepted: bool) -> Self {
        Self {
            stream,
            output: Output::new(),
            files: None,
            piped: None,
            conn,
            phase,
            written: 0,
            confirmed: 0,
            counted: 0,
            staged: (NONE, NONE),
            splice: None,
            broken: None,
            accepted,
            readable: false,
            at_end: false,
            // A new socket's buffer is empty; one that still connects takes nothing.
            writable: phase == Phase::Open,
            error: false,
            paused: false,
            reads: Reads::Small,
            ended: false,
            finish: Finish::No,
            linger: true,
            queued: false,
            unreported: false,
        }
    }

    /// Remembers what the kernel said. Edge-triggered: it says so once.
    pub(super) fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.at_end |= event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed();
        self.error |= event.is_error();
    }

    /// Whether the application should hear what the kernel has. Unwanted input can wait for later, but the last bytes
    /// of a connection that breaks cannot.
    pub(super) fn can_read(&self) -> bool {
        self.readable && !self.ended && (!self.paused || self.is_breaking())
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

    /// Whether something is wrong with it: what has arrived is all that there will be.
    pub(super) fn is_breaking(&self) -> bool {
        self.error || self.broken.is_some()
    }

    /// A write failed: nothing more can be sent, but what the peer said before may still lie in the kernel.
    pub(super) fn broke(&mut self, kind: io::ErrorKind) {
        self.broken = Some(kind);
        self.output.clear();
        self.files = None;
        // The pipe is closed with the bytes in it. The application tells the sender that filled it, or the sender
        // notices when it has more.
        self.piped = None;
        self.unreported = false;
        self.finish = Finish::Done;
        self.readable = true;
        self.at_end = true;
    }
}

impl Socket for Connection {
    fn conn(&self) -> ConnId {
        self.conn
    }

    fn accepted(&self) -> bool {
        self.accepted
    }

    fn closing(&self) -> Option<Closing> {
        match self.phase {
            Phase::Connecting | Phase::Open => None,
            Phase::Flushing => Some(Closing::Flushing),
            Phase::Lingering(_) => Some(Closing::Lingering),
        }
    }

    fn has_work(&self) -> bool {
        match self.phase {
            Phase::Connecting => self.writable || self.error,
            Phase::Open => {
                self.can_read()
                    || (self.writable && self.unsent() > 0)
                    || self.error
                    || self.broken.is_some()
                    || self.unreported
            }
            Phase::Flushing => self.writable,
            Phase::Lingering(allowance) => self.readable && allowance > 0,
        }
    }

    fn queued(&mut self) -> &mut bool {
        &mut self.queued
    }

    fn unsent(&self) -> usize {
        let files = self.files.as_ref().map_or(0, |files| files.unsent());
        files.saturating_add(self.output.len() + self.piped.as_ref().map_or(0, |piped| piped.pipe.len()))
    }

    fn in_memory(&self) -> usize {
        let files = self.files.as_ref().map_or(0, |files| files.held());
        files + self.output.len() + self.piped.as_ref().map_or(0, |piped| piped.pipe.len())
    }

    fn outgoing(&mut self) -> (&mut Output, &mut Option<Box<Files>>) {
        (&mut self.output, &mut self.files)
    }

    fn counted(&mut self) -> &mut u32 {
        &mut self.counted
    }

    fn progress(&self) -> Progress {
        progress(&self.stream, self.written, self.unsent())
    }

    fn confirmed(&mut self) -> &mut u64 {
        &mut self.confirmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand idle connections are the point of an event loop: a megabyte and a half, no more.
    #[test]
    fn an_idle_connection_is_small() {
        // In a debug build, a socket of mio remembers its poll in two more words.
        assert!(size_of::<Connection>() <= 168, "{}", size_of::<Connection>());
    }
}
