//! One thread, any number of connections: the event loop (mio over epoll or kqueue).
//!
//! ```text
//!   turn:  poll ─▶ note events ─▶ visit who is ready ─▶ accept ─▶ deadlines ─▶ mailbox ─▶ poll …
//!                                      │      ▲
//!                          App hears ◀─┘      │ carry out what it asked for
//!                                      └──────┘
//! ```
//!
//! Five rules keep it fast and fair:
//!
//! 1. A socket is registered once, edge-triggered, for both directions. The kernel tells every change once; [`connection`]
//!    remembers it.
//! 2. Write first. Room in the kernel is the rule, so nobody asks for it; what one call sends to one socket is one system
//!    call.
//! 3. A read that got less than it asked for is the last one until the next event.
//! 4. Nobody reads more than a share in one visit. Who has more to say waits at the end of the queue, and the kernel is
//!    asked for news in between.
//! 5. Nothing is called from inside a call: what the application causes, it hears later, from the queue.
//!
//! A request through a proxy therefore costs two reads, two writes and, if nothing else happens, two waits.

mod accept;
mod actions;
mod alarm;
mod closing;
mod connection;
mod deliver;
mod io;
mod pipe;
mod read;
mod relay;
mod remote;
mod scratch;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub(in crate::net) use closing::LINGER;
pub use remote::Remote;
pub(in crate::net) use write::CONFIRMED;
#[cfg(target_os = "linux")]
pub(in crate::net) use {
    accept::{BACK_OFF, explain, out_of_descriptors},
    closing::ALLOWANCE,
    deliver::BUDGET,
    io::Told,
    table::{Filed, Table},
};

use crate::{
    app::{App, Cx, ListenerId},
    net::{clock, ending::Ending, options::limit_ahead},
};
use accept::{Listener, Listeners};
use alarm::Alarm;
use io::Io;
use mio::{Events, Interest, Token, Waker, net::TcpListener};
use socket2::SockRef;
use std::{
    io::{Error, ErrorKind, Result},
    time::Duration,
};

/// Events taken from the kernel at once. More than a turn of a busy worker has; 12 KiB.
const EVENTS: usize = 1024;

/// Deadlines that one turn reports at most: after a pause of a thousand connections, others have their turn in between.
const DEADLINES: usize = 1024;

/// As long as a lost link needs to be noticed by a few retransmissions.
const STALL: Duration = Duration::from_secs(30);

/// Keys of sockets count from 0, so these never meet one.
const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);
const FIRST_LISTENER: usize = usize::MAX - 1 - MAX_LISTENERS;
/// As many as a [`ListenerId`] can name.
const MAX_LISTENERS: usize = 256;

/// How much a reactor takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReactorConfig {
    /// Accepted connections open at once, those that are closing included. At the limit, new ones wait in the backlog.
    pub max_connections: usize,
    /// Descriptors that are kept for so many of them, so that they are accepted even if the process has none left.
    pub spare: usize,
    /// Bytes of one read. As long as the longest head that is accepted, so that a head is one read.
    pub read_size: usize,
    /// Bytes of one read of a connection with [`Cx::set_bulk`]. Measured with a plain relay, CPU seconds per GiB: 16 KiB 0.92,
    /// 64 KiB 0.28, 256 KiB 0.24, 512 KiB 0.21.
    pub bulk_read_size: usize,
    /// Pipes through which relays pass their bytes at once; 0: all are copied. Linux only.
    pub pipes: usize,
    /// How long the peer of a closed connection may take nothing of what is left for it. Then it is reset.
    pub stall: Duration,
}

impl Default for ReactorConfig {
    /// Ten thousand connections, no descriptor kept, 16 KiB and 512 KiB, 64 pipes, 30 seconds.
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            spare: 0,
            read_size: 16 * 1024,
            bulk_read_size: 512 * 1024,
            pipes: 64,
            stall: STALL,
        }
    }
}

/// An event loop that runs one application on the thread that calls [`Reactor::run`].
#[derive(Debug)]
pub struct Reactor<A> {
    app: A,
    cx: Cx,
    io: Io,
    listeners: Listeners,
    remote: Remote,
    alarm: Alarm,
    /// No more is accepted; ends at this time if connections are left.
    ending: Ending,
}

/// Says what the application cannot know.
pub(in crate::net) fn report_cut(clients: usize) {
    if clients > 0 {
        tracing::warn!(clients, "cut off after the drain timeout: they had not taken all of their answers");
    }
}

impl<A: App> Reactor<A> {
    /// An event loop without listeners.
    ///
    /// # Errors
    ///
    /// The system has no descriptors left for it.
    pub fn new(app: A, config: ReactorConfig) -> Result<Self> {
        let now = clock::now();
        let io = Io::new(config, now.instant)?;
        let waker = Waker::new(io.poll.registry(), WAKER)?;
        let remote = Remote::new(move || waker.wake());
        let listeners = Listeners::new(config.spare);
        let cx = Cx::new(now);
        Ok(Self { app, cx, io, listeners, remote, alarm: Alarm::default(), ending: Ending::default() })
    }

    /// Accepts connections from `listener`, too. Its connections will send small writes at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// There are 256 listeners already, or the kernel refuses to watch this one.
    pub fn listen(&mut self, listener: std::net::TcpListener) -> Result<ListenerId> {
        let index = self.listeners.all.len();
        let Ok(id) = u8::try_from(index) else {
            return Err(Error::new(ErrorKind::InvalidInput, "an event loop takes at most 256 listeners"));
        };
        listener.set_nonblocking(true)?;
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        limit_ahead(&listener)?;
        let mut socket = TcpListener::from_std(listener);
        self.io.poll.registry().register(&mut socket, Token(FIRST_LISTENER + index), Interest::READABLE)?;
        self.listeners.all.push(Listener::new(socket));
        self.listeners.keep_spare(0);
        Ok(ListenerId(id))
    }

    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Runs until it was told to stop, or to drain and the last connection has ended; gives the application back.
    ///
    /// # Errors
    ///
    /// The kernel refuses to wait for events. What goes wrong with a connection is told to the application instead.
    pub fn run(mut self) -> Result<A> {
        let mut events = Events::with_capacity(EVENTS);
        self.app.started(&mut self.cx);
        self.settle();
        while !self.is_over() {
            self.turn(&mut events)?;
        }
        let late = self.ending.is_late(self.cx.now());
        if late && self.cx.open() > 0 {
            self.app.cut_off(&mut self.cx);
            self.settle();
        }
        let cut = self.io.give_up_all();
        if late {
            report_cut(cut);
        }
        Ok(self.app)
    }

    fn turn(&mut self, events: &mut Events) -> Result<()> {
        self.alarm.arm(self.cx.alarm(), self.io.poll.registry())?;
        match self.io.poll.poll(events, self.patience()) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => other?,
        }
        self.cx.set_clock(clock::now());
        self.io.now = self.cx.now();
        let again = self.cx.take_call();
        let mut mail = false;
        for event in events.iter() {
            match event.token() {
                WAKER => mail = true,
                // It has woken us; what has passed is seen by the clock.
                ALARM => {}
                Token(key) if key >= FIRST_LISTENER => {
                    if let Some(listener) = self.listeners.all.get_mut(key - FIRST_LISTENER) {
                        listener.ready = true;
                    }
                }
                Token(key) => self.io.note(key, event),
            }
        }
        self.hear_ready();
        self.accept_burst();
        self.hear_deadlines();
        if mail {
            self.hear_mail();
        }
        if again {
            self.app.woken(&mut self.cx);
            self.settle();
        }
        Ok(())
    }

    /// How long to wait for the kernel: not at all while something is ready, else until the next deadline.
    fn patience(&self) -> Option<Duration> {
        let waiting = !self.io.ready.is_empty() || !self.io.later.is_empty() || self.cx.is_called_again();
        if waiting || (self.listeners.is_ready() && self.has_room()) {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.cx.next_deadline(),
            self.io.closing.next(),
            self.listeners.exhausted_until,
            self.listeners.ask_again,
            self.ending.deadline(),
            self.io.pipes.deadline(),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(self.cx.now()))
    }

    fn hear_deadlines(&mut self) {
        self.io.expire_closing();
        self.io.pipes.expire(self.io.now);
        for _ in 0..DEADLINES {
            let Some(key) = self.cx.next_expired() else { return };
            self.app.expired(&mut self.cx, key);
            self.settle();
        }
    }

    fn hear_mail(&mut self) {
        let asked = self.remote.take();
        if asked.wake() {
            self.app.woken(&mut self.cx);
            self.settle();
        }
        if asked.drain() {
            self.drain(self.remote.within());
        }
        if asked.stop() {
            self.ending.stop();
        }
    }

    /// Takes whom the kernel has accepted already, closes the listeners and tells the application to come to an end.
    fn drain(&mut self, within: Duration) {
        for listener in &mut self.listeners.all {
            listener.ready = true;
        }
        self.accept(usize::MAX);
        self.listeners = Listeners::default();
        if self.ending.drain(self.cx.now(), within) {
            self.app.drain(&mut self.cx);
            self.settle();
        }
    }

    fn is_over(&self) -> bool {
        self.ending.is_over(self.cx.now(), self.io.table.is_empty() && self.cx.open() == 0)
    }
}
