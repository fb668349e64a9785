//! A client that was accepted, before and while it is served.

use super::{Seat, Shared, lingering::Lingering};
use crate::net::{blocking::drive, clock};
use std::{
    io::Write as _,
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::{AsRawFd as _, RawFd},
    sync::Arc,
};

/// An accepted connection. Dropping the last handle closes it.
#[derive(Debug)]
pub struct Client {
    // First: a client that sees that this connection was closed, and comes in its place, has to find the seat free.
    seat: Option<Seat>,
    // Shared with the list of clients that are to hear of a stop: no second descriptor is needed.
    stream: Arc<TcpStream>,
    peer: SocketAddr,
    shared: Arc<Shared>,
    lingering: Arc<Lingering>,
}

impl Client {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, lingering: &Arc<Lingering>) -> Self {
        Self {
            seat: None,
            stream: Arc::new(stream),
            peer,
            shared: Arc::clone(shared),
            lingering: Arc::clone(lingering),
        }
    }

    /// Gives it a seat if fewer than `max` are taken; else refuses it. Only the thread that accepts may call this.
    #[must_use]
    pub fn admit(mut self, max: usize) -> Option<Self> {
        if self.shared.active() >= max {
            self.refuse();
            return None;
        }
        self.seat = Some(self.shared.seat());
        Some(self)
    }

    /// Talks with it until the conversation ends, on this thread; if the server has ended meanwhile, refuses it.
    pub fn serve(&self) {
        let Some(number) = self.shared.enter(&self.stream) else { return self.refuse() };
        let _seat = self.seat.is_none().then(|| self.shared.seat());
        let _entered = Entered { number, shared: &self.shared };
        let mut conversation = self.shared.open(clock::now());
        match drive(&self.stream, &mut conversation, self.shared.traffic()) {
            Ok(reason) => tracing::debug!(peer = %self.peer, reason = reason.as_str(), "closed"),
            // One client's connection broke: the other clients are not concerned.
            Err(error) => tracing::debug!(peer = %self.peer, %error, "connection failed"),
        }
    }

    /// Tells it that there is no room, in the words of its service. Never waits: the buffer of a new socket is empty, and it
    /// is left to others to see whether the words are read.
    pub fn refuse(&self) {
        self.shared.refuse();
        tracing::debug!(peer = %self.peer, "refused: no room");
        if self.stream.set_nonblocking(true).is_ok()
            && (&*self.stream).write_all(self.shared.service().refusal().as_bytes()).is_ok()
            && self.stream.shutdown(Shutdown::Write).is_ok()
        {
            self.lingering.add(Arc::clone(&self.stream), clock::now().instant);
        }
    }

    /// Its number in this process.
    pub(super) fn descriptor(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Closes our copy of the connection, which goes on in another process; what is left counts it as active.
    pub(super) fn hand_over(self) -> Option<Seat> {
        self.seat
    }
}

/// Takes the client off the list, even if its session panics.
struct Entered<'s> {
    number: usize,
    shared: &'s Shared,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.shared.leave(self.number);
    }
}
