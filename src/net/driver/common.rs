//! The things that every transport has to remember: its sockets, which of them have work, and what the application is told next.

use super::{
    DriverConfig, Gate, Pipes, Socket, Table, Waiting,
    file::{Cut, Reads},
};
use crate::{
    app::{Action, ConnId, Cx, Progress},
    buf::relax,
    time::{Instant, wheel::Timers},
};
use std::{collections::VecDeque, io::ErrorKind, mem};

/// The events that the application has to hear next.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) enum Ready {
    /// The socket with this key has work. The key may be stale: a visit to a later socket finds nothing to do.
    Socket(usize),
    /// A connection that never had a socket.
    Failed(ConnId, ErrorKind),
}

/// An answer to a question of the application about a connection.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) enum Told {
    /// Whether nothing waits: for [`Cx::peek`].
    Quiet(bool),
    /// How far the peer is: for [`Cx::progress`].
    Progress(Progress),
    /// The peer waits for us: a thread reads what is to be sent to it.
    HeldUp,
}

/// The rules that do not depend on how bytes are moved.
#[derive(Debug)]
pub struct Common<S> {
    pub(in crate::net) config: DriverConfig,
    pub(in crate::net) table: Table<S>,
    /// When and whether connections are accepted.
    pub(in crate::net) gate: Gate,
    /// To be visited in this turn.
    pub(super) ready: VecDeque<Ready>,
    /// To be visited in the next: they had their share of this one.
    later: VecDeque<Ready>,
    /// How many were visited since the turn began.
    pub(in crate::net) visited: usize,
    /// Actions of the present call; kept for its memory.
    actions: Vec<Action>,
    /// Questions of the present call, with their answers.
    pub(in crate::net) told: VecDeque<(ConnId, Told)>,
    /// The bytes that wait to be sent on all sockets.
    pub(in crate::net) waiting: Waiting,
    /// For splices.
    pub(in crate::net) pipes: Pipes,
    /// The threads that read files.
    pub(super) reads: Reads,
    /// When reads have taken too long, by the key of their socket.
    pub(super) reading: Timers<usize>,
    /// Connections that break off since their files cannot be read.
    pub(super) cut: Vec<Cut>,
    /// Deadlines of closing sockets, by key.
    pub(in crate::net) closing: Timers<usize>,
    /// When this turn began.
    pub(in crate::net) now: Instant,
    /// Another thread used the [`super::Remote`].
    pub(in crate::net) mail: bool,
}

impl<S: Socket> Common<S> {
    /// No socket.
    pub(in crate::net) fn new(config: DriverConfig, now: Instant) -> Self {
        Self {
            config,
            table: Table::default(),
            gate: Gate::new(config.spare),
            ready: VecDeque::new(),
            later: VecDeque::new(),
            visited: 0,
            actions: Vec::new(),
            told: VecDeque::new(),
            waiting: Waiting::default(),
            pipes: Pipes::new(config.pipes),
            reads: Reads::new(config.disk_threads),
            reading: Timers::new(now),
            cut: Vec::new(),
            closing: Timers::new(now),
            now,
            mail: false,
        }
    }

    /// Work that was put off in the last turn is due in this one.
    pub(super) fn begin_turn(&mut self) {
        self.visited = 0;
        if !self.later.is_empty() {
            self.ready.append(&mut self.later);
        }
    }

    pub(super) fn next_ready(&mut self) -> Option<Ready> {
        self.visited += 1;
        self.ready.pop_front()
    }

    pub(in crate::net) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.later.is_empty() || !self.cut.is_empty()
    }

    /// Has a socket visited in this turn, if it has work.
    pub(in crate::net) fn enqueue(&mut self, key: usize) {
        if let Some(socket) = self.table.get_mut(key)
            && socket.has_work()
            && !mem::replace(socket.queued(), true)
        {
            self.ready.push_back(Ready::Socket(key));
        }
    }

    /// Has a socket visited in the next turn, if it has work.
    pub(in crate::net) fn enqueue_later(&mut self, key: usize) {
        if let Some(socket) = self.table.get_mut(key)
            && socket.has_work()
            && !mem::replace(socket.queued(), true)
        {
            self.later.push_back(Ready::Socket(key));
        }
    }

    /// A connection that was asked for could not even be begun.
    pub(in crate::net) fn refuse(&mut self, conn: ConnId, kind: ErrorKind) {
        self.ready.push_back(Ready::Failed(conn, kind));
    }

    /// Counts again the bytes that wait to be sent on a socket: they may have changed.
    pub(in crate::net) fn recount(&mut self, key: usize) {
        if let Some(socket) = self.table.get_mut(key) {
            let now = socket.in_memory();
            self.waiting.recount(socket.counted(), now);
        }
    }

    /// Takes what the application asked for in one call. Give the list back when it is empty: its memory is used again.
    pub(in crate::net) fn take_actions(&mut self, cx: &mut Cx) -> Vec<Action> {
        let mut actions = mem::take(&mut self.actions);
        cx.take_actions(&mut actions);
        actions
    }

    pub(in crate::net) fn give_back_actions(&mut self, mut actions: Vec<Action>) {
        actions.clear();
        relax(&mut actions);
        self.actions = actions;
    }

    /// Answers [`Cx::progress`].
    pub(in crate::net) fn tell_progress(&mut self, conn: ConnId) {
        if let Some((_, socket)) = self.table.find_mut(conn) {
            let held_up = socket.outgoing().1.as_ref().is_some_and(|files| files.is_held_up());
            let told = if held_up { Told::HeldUp } else { Told::Progress(socket.progress()) };
            self.told.push_back((conn, told));
        }
    }

    /// How many more connections there is room for. When there is none, the backlog waits, and behind it the clients.
    pub(in crate::net) fn room(&self) -> usize {
        self.config.max_connections.saturating_sub(self.table.accepted())
    }
}
