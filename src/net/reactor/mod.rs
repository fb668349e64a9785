//! One thread, any number of connections: the event loop (mio over epoll or kqueue).
//!
//! The order of a turn is told in [`super::driver`]. Here, the kernel says who is ready, and we read and write ourselves.
//!
//! Five rules keep it fast and fair:
//!
//! 1. A socket is registered once, edge-triggered, for both directions. The kernel tells every change once; [`connection`]
//!    remembers it.
//! 2. Write first. The kernel has room as a rule, so the reactor does not ask first; all that one call sends to one
//!    socket is one system call.
//! 3. A read that got less than it asked for is the last one until the next event.
//! 4. A visit reads no more than a share. A connection with more input waits at the end of the queue, and the kernel is
//!    asked for news in between.
//! 5. Nothing is called from inside a call: what the application causes, it hears later, from the queue.
//!
//! A request through a proxy therefore costs two reads, two writes and, if nothing else happens, two waits.
//!
//! A part of a file ([`Cx::send_file`](crate::app::Cx::send_file)) leaves by sendfile(2): its bytes go from the kernel's page cache to the socket
//! and never pass through our memory. Its head and its first bytes share a segment (`MSG_MORE`). Three things are different from
//! bytes in our memory:
//!
//! - sendfile does not wait for a socket that is set so, but it does wait for a disk. So bytes that are not cached are read by
//!   another thread first; [`super::driver`] tells how that is found out.
//! - A small part is read and sent with its head: one write is cheaper than a write and a sendfile.
//! - How long the file is shows only when it ends: a part that ends early resets its connection.

mod accept;
mod actions;
mod alarm;
mod closing;
mod connection;
mod deliver;
mod io;
mod read;
mod scratch;
mod splice;
#[cfg(test)]
mod tests;
mod write;

use super::{
    DriverConfig,
    driver::{Common, EventLoop, Remote, StillOpen, Transport},
};
use crate::{
    app::{App, Cx, ListenerId},
    net::{clock, options::limit_ahead},
    time::Instant,
};
use accept::Listener;
use connection::Connection;
use io::Io;
use mio::{Interest, Token, Waker, net::TcpListener};
use socket2::SockRef;
use std::{
    io::{Error, ErrorKind, Result},
    time::Duration,
};

/// Keys of sockets count from 0, so these never meet one.
const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);
const FIRST_LISTENER: usize = usize::MAX - 1 - MAX_LISTENERS;
/// As many as a [`ListenerId`] can name.
const MAX_LISTENERS: usize = 256;

/// A readiness-driven event loop that runs one application on the thread that calls [`Reactor::run`].
pub type Reactor<A> = EventLoop<A, Io>;

impl<A: App> Reactor<A> {
    /// An event loop without listeners.
    ///
    /// # Errors
    ///
    /// The system has no descriptors left for it.
    pub fn new(app: A, config: DriverConfig) -> Result<Self> {
        let now = clock::now();
        let io = Io::new(config, now.instant)?;
        let waker = Waker::new(io.poll.registry(), WAKER)?;
        let remote = Remote::new(move || waker.wake());
        Ok(Self::with(app, Cx::new(now), io, remote))
    }

    /// Accepts connections from `listener`, too. Its connections will send small writes at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// There are 256 listeners already, or the kernel refuses to watch this one.
    pub fn listen(&mut self, listener: std::net::TcpListener) -> Result<ListenerId> {
        let Ok(id) = u8::try_from(self.io.listeners.len()).map(ListenerId) else {
            return Err(Error::new(ErrorKind::InvalidInput, "an event loop takes at most 256 listeners"));
        };
        self.io.listen(id, listener)?;
        Ok(id)
    }
}

impl Transport for Io {
    type Socket = Connection;

    fn common(&self) -> &Common<Connection> {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common<Connection> {
        &mut self.common
    }

    fn wait(&mut self, patience: Option<Duration>, alarm: Option<Instant>) -> Result<()> {
        self.alarm.arm(alarm, self.poll.registry())?;
        match self.poll.poll(&mut self.events, patience) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    fn note(&mut self) {
        self.note_events();
    }

    fn is_busy(&self) -> bool {
        self.common.room() > 0 && (0..self.listeners.len()).any(|index| self.is_ready_at(index))
    }

    fn carry_out(&mut self, cx: &mut Cx) {
        self.perform_all(cx);
    }

    fn go_on(&mut self, key: usize) {
        self.common.enqueue(key);
    }

    fn close_now(&mut self, key: usize) {
        self.remove(key);
    }

    fn give_up(&mut self, key: usize) {
        self.end(key);
    }

    fn visit<A: App>(on: &mut Reactor<A>, key: usize) {
        on.visit_socket(key);
    }

    fn accept<A: App>(on: &mut Reactor<A>) {
        on.accept_burst();
    }

    fn listen(&mut self, id: ListenerId, listener: std::net::TcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        limit_ahead(&listener)?;
        let mut socket = TcpListener::from_std(listener);
        let index = self.vacant_listener();
        if index >= MAX_LISTENERS {
            return Err(Error::new(ErrorKind::InvalidInput, "an event loop takes at most 256 listeners"));
        }
        self.poll.registry().register(&mut socket, Token(FIRST_LISTENER + index), Interest::READABLE)?;
        self.add_listener(index, Listener::new(id, socket));
        self.keep_spare();
        Ok(())
    }

    fn rename(&mut self, id: ListenerId, other: ListenerId) {
        self.listeners.iter_mut().filter(|listener| listener.id == id).for_each(|listener| listener.id = other);
    }

    fn close_listener<A: App>(on: &mut Reactor<A>, id: ListenerId, _open: StillOpen) {
        for index in 0..on.io.listeners.len() {
            if on.io.listeners[index].id == id {
                on.io.listeners[index].ready = true;
                on.accept_from(index, usize::MAX);
                on.io.listeners[index].close(on.io.poll.registry());
            }
        }
    }

    fn drain<A: App>(on: &mut Reactor<A>, within: Duration) {
        for listener in &mut on.io.listeners {
            listener.ready = true;
        }
        on.accept_waiting(usize::MAX);
        on.io.listeners.iter_mut().for_each(|listener| listener.close(on.io.poll.registry()));
        on.io.listeners.clear();
        on.begin_drain(within);
    }
}
