//! The thread that does a link's I/O: one socket, one mailbox, one clock.
//!
//! Writes do not block, so that it is known of every byte whether the kernel took it. Reading comes before judging: what
//! had arrived before a connection broke are answers.

mod connecting;

use super::{
    Action, Answer, Cause, Config, Error, Event, Link, Request, Stats,
    server::{Found, Server},
};
use crate::{net::clock, time::Instant};
use connecting::Try;
use mio::{Events, Interest, Poll, Token, Waker, net::TcpStream};
use socket2::SockRef;
use std::{
    io::{self, ErrorKind, IoSlice, Read as _, Write as _},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// Bytes of one read.
const READ: usize = 16 * 1024;

/// Reads in one turn: a peer that never stops sending must not keep the clock from being looked at.
const READS: usize = 16;

/// How many requests one `writev` takes.
const SLICES: usize = 64;

/// Called with the answer to one request, or with why there is none.
pub(super) type Callback = Box<dyn FnOnce(Result<Answer, Error>) + Send>;
/// Called with all other events.
pub(super) type Watcher = Box<dyn FnMut(Event) + Send>;

/// Orders that other threads leave for the driver.
#[derive(Default)]
pub(super) struct Mail {
    pub(super) submitted: Vec<(Request, Callback)>,
    /// The server's addresses, or why they are unknown.
    found: Option<Found>,
    pub(super) finish: bool,
    pub(super) close: bool,
    /// The driver reads no more mail.
    pub(super) gone: bool,
}

pub(super) struct Driver {
    link: Link<Callback>,
    poll: Poll,
    mail: Arc<Mutex<Mail>>,
    waker: Arc<Waker>,
    server: Server,
    connect_timeout: Duration,
    attempt: Try,
    /// The server's addresses are being looked up.
    looking: bool,
    stream: Option<TcpStream>,
    /// Whether it is known to be connected.
    established: bool,
    /// Whether the kernel has not said that it is full.
    writable: bool,
    readable: bool,
    watcher: Watcher,
    buffer: Box<[u8]>,
}

impl Driver {
    pub(super) fn new(
        server: Server,
        config: Config,
        mail: Arc<Mutex<Mail>>,
        watcher: Watcher,
    ) -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let link = Link::new(config, rand::random(), clock::now().instant);
        let driver = Self {
            link,
            poll,
            mail,
            waker: Arc::clone(&waker),
            server,
            connect_timeout: config.connect_timeout,
            attempt: Try::No,
            looking: false,
            stream: None,
            established: false,
            writable: false,
            readable: false,
            watcher,
            buffer: vec![0; READ].into(),
        };
        Ok((driver, waker))
    }

    /// Begins with a connection that exists, or with trying to get one.
    pub(super) fn begin(&mut self, stream: Option<std::net::TcpStream>) -> io::Result<()> {
        let now = clock::now().instant;
        let Some(stream) = stream else {
            self.link.connect(now);
            return Ok(());
        };
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, SOCKET, Interest::READABLE | Interest::WRITABLE)?;
        self.stream = Some(stream);
        self.established();
        Ok(())
    }

    /// Until everything is answered and nothing more comes.
    pub(super) fn run(mut self) -> Stats {
        let mut events = Events::with_capacity(16);
        loop {
            self.settle();
            if self.link.is_done() && self.leave() {
                return self.link.stats();
            }
            let timeout = self.patience();
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    tracing::error!(%error, "the client cannot wait for events");
                    self.link.close();
                    continue;
                }
                _ => {}
            }
            for event in &events {
                if event.token() == SOCKET {
                    self.writable |= event.is_writable() || event.is_error() || event.is_write_closed();
                    self.readable |= event.is_readable() || event.is_error() || event.is_read_closed();
                }
            }
            if self.stream.is_some() && !self.established {
                self.check_connected();
            }
            self.read();
            self.take_mail();
            self.link.expire(clock::now().instant);
        }
    }

    fn patience(&self) -> Option<Duration> {
        if self.readable && self.established {
            return Some(Duration::ZERO);
        }
        let next = self.link.deadline().into_iter().chain(self.next_try()).min()?;
        let left = next.saturating_duration_since(clock::now().instant);
        // mio counts in milliseconds: rounded down, the last one would be spent spinning.
        Some(left + Duration::from_micros(999))
    }

    /// Does what the link wants until it wants nothing more.
    fn settle(&mut self) {
        loop {
            self.write();
            let Some(action) = self.link.next_action() else { return };
            match action {
                Action::Connect => self.begin_try(),
                Action::Close => self.reset(),
                Action::Done(callback, result) => callback(result),
                Action::Event(event) => (self.watcher)(event),
            }
        }
    }

    fn established(&mut self) {
        if let Some(stream) = &self.stream {
            // Without it a request may wait for the acknowledgement of the one before; it works all the same.
            let _ = stream.set_nodelay(true);
        }
        self.attempt = Try::No;
        self.established = true;
        self.writable = true;
        self.link.connected(clock::now().instant);
    }

    /// Writes what there is to write.
    fn write(&mut self) {
        while self.established && self.writable && self.link.unsent() > 0 {
            let Some(stream) = &mut self.stream else { return };
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.link.io_slices(&mut slices);
            match stream.write_vectored(&slices[..filled]) {
                Ok(taken) => self.link.wrote(taken, clock::now().instant),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => self.writable = false,
                    kind => return self.broken(kind),
                },
            }
        }
    }

    /// Nothing more can be written. Bytes that arrived before are heard first.
    fn broken(&mut self, kind: ErrorKind) {
        self.writable = false;
        self.readable = true;
        while self.stream.is_some() && self.readable {
            self.read();
        }
        // Unless reading has told the reason already.
        if self.stream.take().is_some() {
            self.link.lost(Cause::Broken(kind), clock::now().instant);
        }
    }

    fn read(&mut self) {
        for _ in 0..READS {
            let Some(stream) = self.stream.as_mut().filter(|_| self.established && self.readable) else { return };
            let lost = match stream.read(&mut self.buffer) {
                Ok(0) => Cause::Ended,
                Ok(len) => {
                    let now = clock::now().instant;
                    self.link.received(&self.buffer[..len], now);
                    // The link may have had enough of it: nothing that follows is heard.
                    if self.link.is_down() {
                        return;
                    }
                    continue;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::WouldBlock => {
                        self.readable = false;
                        return;
                    }
                    kind => Cause::Broken(kind),
                },
            };
            self.stream = None;
            self.link.lost(lost, clock::now().instant);
        }
    }

    /// Closes with a reset: half a request must not look like a whole one to a peer that takes an end for a line's end.
    fn reset(&mut self) {
        self.attempt = Try::No;
        if let Some(stream) = self.stream.take() {
            // Closed without it, at worst.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    }

    fn take_mail(&mut self) {
        let (submitted, found, finish, close) = {
            let mut mail = lock(&self.mail);
            (mem::take(&mut mail.submitted), mail.found.take(), mail.finish, mail.close)
        };
        if let Some(found) = found {
            self.found(found);
        }
        let now: Instant = clock::now().instant;
        for (request, callback) in submitted {
            self.link.submit(callback, request, now);
        }
        if finish {
            self.link.finish();
        }
        if close {
            self.link.close();
        }
    }

    /// Closes the mailbox; `false`: there was something in it.
    fn leave(&mut self) -> bool {
        let mut mail = lock(&self.mail);
        mail.gone = mail.submitted.is_empty();
        mail.gone
    }
}

/// Its thread may end in any way, be it by a panic in a callback: after that, no caller waits for an answer from it.
impl Drop for Driver {
    fn drop(&mut self) {
        let mut mail = lock(&self.mail);
        mail.gone = true;
        let unread = mem::take(&mut mail.submitted);
        // A callback may own something whose drop wants the mailbox.
        drop(mail);
        drop(unread);
    }
}

pub(super) fn lock(mail: &Mutex<Mail>) -> MutexGuard<'_, Mail> {
    // Nothing in here can panic halfway through a change.
    mail.lock().unwrap_or_else(PoisonError::into_inner)
}
