//! What a reactor has apart from its application: sockets, who of them has work, and the buffers.
//!
//! Nothing here calls the application. That is what keeps a call from happening inside another: whatever an application
//! has to hear goes to the ready queue, and [`super::deliver`] takes it from there.

use super::{
    ReactorConfig,
    connection::{Connection, Phase},
    pipe::Pipes,
    scratch::Scratch,
    table::Table,
};
use crate::{
    app::{Action, App, ConnId, Cx, Progress},
    net::{connect, waiting::Waiting},
    time::wheel::Timers,
};
use mio::{Interest, Poll, Token, event::Event, net::TcpStream};
use std::{collections::VecDeque, io, net::SocketAddr, time::Instant};

/// What the application has to hear next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ready {
    /// The socket with this key has work. The key may be stale: a visit to a later socket finds nothing to do.
    Socket(usize),
    /// A connection that never had a socket.
    Failed(ConnId, io::ErrorKind),
}

/// What the application wanted to know of a connection.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) enum Told {
    /// Whether nothing waits: for [`crate::app::Cx::probe`].
    Quiet(bool),
    /// How far the peer is: for [`crate::app::Cx::progress`].
    Progress(Progress),
}

impl Told {
    /// Tells it.
    pub(in crate::net) fn tell<A: App>(self, app: &mut A, cx: &mut Cx, conn: ConnId) {
        match self {
            Self::Quiet(quiet) => app.probed(cx, conn, quiet),
            Self::Progress(progress) => app.progressed(cx, conn, progress),
        }
    }
}

/// Everything but the application.
#[derive(Debug)]
pub(super) struct Io {
    pub(super) poll: Poll,
    pub(super) config: ReactorConfig,
    pub(super) table: Table<Connection>,
    pub(super) scratch: Scratch,
    pub(super) pipes: Pipes,
    /// To be visited in this turn.
    pub(super) ready: VecDeque<Ready>,
    /// To be visited in the next: they had their share, and others wait in the kernel.
    pub(super) later: VecDeque<Ready>,
    /// Actions of the present call; kept for its memory.
    pub(super) actions: Vec<Action>,
    /// Questions of the present call, with their answers.
    pub(super) told: VecDeque<(ConnId, Told)>,
    /// What waits to be sent on all sockets.
    pub(super) waiting: Waiting,
    /// Per action, the next one with bytes for the same socket.
    pub(super) chain: Vec<u32>,
    /// Keys of sockets that the present call concerned.
    pub(super) touched: Vec<usize>,
    /// Deadlines of closing sockets, by key.
    pub(super) closing: Timers<usize>,
    /// When this turn began.
    pub(super) now: Instant,
    /// How many sockets were visited since the kernel was asked last.
    pub(super) visited: usize,
}

impl Io {
    pub(super) fn new(config: ReactorConfig, now: Instant) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            table: Table::default(),
            scratch: Scratch::new(config.read_size.max(config.bulk_read_size)),
            pipes: Pipes::new(config.pipes),
            config,
            ready: VecDeque::new(),
            later: VecDeque::new(),
            actions: Vec::new(),
            told: VecDeque::new(),
            waiting: Waiting::default(),
            chain: Vec::new(),
            touched: Vec::new(),
            closing: Timers::new(now),
            now,
            visited: 0,
        })
    }

    /// Files a new socket. Registered once, for both directions, edge-triggered; never again.
    pub(super) fn adopt(
        &mut self,
        mut stream: TcpStream,
        conn: ConnId,
        phase: Phase,
        accepted: bool,
    ) -> io::Result<()> {
        let token = Token(self.table.next_key());
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.table.insert(Connection::new(stream, conn, phase, accepted));
        Ok(())
    }

    /// Carries out [`Action::Connect`].
    pub(super) fn connect(&mut self, conn: ConnId, to: SocketAddr) {
        let begun = connect::begin(to).and_then(|stream| self.adopt(stream, conn, Phase::Connecting, false));
        if let Err(error) = begun {
            self.ready.push_back(Ready::Failed(conn, connect::kind_of(&error)));
        }
    }

    /// Remembers what the kernel said about a socket.
    ///
    /// All events of a turn are noted before the first is acted on: no socket is closed in between, so none of them can
    /// meet the next tenant of its key.
    pub(super) fn note(&mut self, key: usize, event: &Event) {
        if let Some(socket) = self.table.get_mut(key) {
            socket.note(event);
            self.enqueue(key);
        }
    }

    /// What waits to be sent on a socket has changed, maybe.
    pub(super) fn recount(&mut self, key: usize) {
        if let Some(socket) = self.table.get_mut(key) {
            let now = socket.unsent();
            self.waiting.recount(&mut socket.counted, now);
        }
    }

    /// Has a socket visited in this turn, if it has work.
    pub(super) fn enqueue(&mut self, key: usize) {
        if let Some(socket) = self.table.get_mut(key)
            && !socket.queued
            && socket.has_work()
        {
            socket.queued = true;
            self.ready.push_back(Ready::Socket(key));
        }
    }

    /// Has a socket visited in the next turn, if it has work.
    pub(super) fn enqueue_later(&mut self, key: usize) {
        if let Some(socket) = self.table.get_mut(key)
            && !socket.queued
            && socket.has_work()
        {
            socket.queued = true;
            self.later.push_back(Ready::Socket(key));
        }
    }
}
