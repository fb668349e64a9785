//! All that is not keys: the clients, the channels they listen to, the parameters, and what has to be done about clients.

use super::{
    client::{Client, Clients, Name},
    config::Config,
    reply::Reply,
};
use crate::time::{Instant, Now};
use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};
use std::collections::VecDeque;

/// A task of the driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Send this to the client at a place.
    Send(usize, Bytes),
    /// Let it go, after that.
    Close(usize),
    /// Let it go at once: it does not read.
    Abort(usize),
    /// Call again at this time, or not at all.
    Deadline(usize, Option<Instant>),
}

/// Things that a command asks of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Write the file again.
    Rewrite,
    /// End, as after SIGTERM.
    Shutdown,
}

/// A kind of subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Channel,
    Pattern,
    Shard,
}

type Listeners = IndexMap<Name, IndexSet<u64>>;

#[derive(Debug, Default)]
pub(crate) struct Channels {
    pub(crate) channels: Listeners,
    pub(crate) patterns: Listeners,
    pub(crate) shards: Listeners,
}

/// The state of the file of changes, as the driver last told it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    /// Bytes of the files that would be read at a start.
    pub(crate) size: u64,
    /// The same after the last rewrite.
    pub(crate) base: u64,
    /// Bytes that have yet to be written.
    pub(crate) behind: u64,
    /// It is being written again.
    pub(crate) is_rewriting: bool,
    /// The last rewrite did not succeed.
    pub(crate) has_failed: bool,
    /// The disk takes nothing.
    pub(crate) is_stuck: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clients: Clients,
    pub(crate) channels: Channels,
    /// Clients that are shown all commands.
    pub(crate) monitors: IndexSet<u64>,
    pub(crate) config: Config,
    pub(crate) effects: Vec<Effect>,
    pub(crate) asks: Vec<Ask>,
    /// Clients that have stopped waiting: the commands behind theirs have their turn.
    pub(crate) served: VecDeque<u64>,
    /// Clients that are to wait no longer, and whether with an error.
    pub(crate) unblock: Vec<(u64, bool)>,
    pub(crate) now: Now,
    pub(crate) started: Now,
    pub(crate) commands: u64,
    pub(crate) connections: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) file: FileState,
    /// Bytes of the process in memory, as the system tells.
    pub(crate) resident: usize,
    pub(crate) peak: usize,
    /// 40 hexadecimal digits, others with each start.
    pub(crate) run_id: String,
    /// Expired keys are looked for. Tests of clients turn that off.
    pub(crate) expires_actively: bool,
}

impl World {
    pub(crate) fn new(config: Config, now: Now, run_id: String) -> Self {
        Self {
            clients: Clients::default(),
            channels: Channels::default(),
            monitors: IndexSet::new(),
            config,
            effects: Vec::new(),
            asks: Vec::new(),
            served: VecDeque::new(),
            unblock: Vec::new(),
            now,
            started: now,
            commands: 0,
            connections: 0,
            refused: 0,
            errors: 0,
            file: FileState::default(),
            resident: 0,
            peak: 0,
            run_id,
            expires_actively: true,
        }
    }
}

impl Channels {
    pub(crate) fn of(&mut self, kind: Kind) -> &mut Listeners {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// The client listens to `name` no longer.
    pub(crate) fn leave(&mut self, kind: Kind, name: &[u8], id: u64) {
        let listeners = self.of(kind);
        if let Some(ids) = listeners.get_mut(name) {
            ids.swap_remove(&id);
            if ids.is_empty() {
                listeners.shift_remove(name);
            }
        }
    }

    /// The client listens to nothing any more.
    pub(crate) fn leave_all(&mut self, client: &mut Client) {
        let subscribed = std::mem::take(&mut client.subscribed);
        for (kind, names) in [
            (Kind::Channel, subscribed.channels),
            (Kind::Pattern, subscribed.patterns),
            (Kind::Shard, subscribed.shards),
        ] {
            names.iter().for_each(|name| self.leave(kind, name, client.id));
        }
    }
}

/// A message, written once for each protocol.
#[derive(Default)]
pub(crate) struct Message([Option<Bytes>; 2]);

impl Message {
    /// The bytes for a client, written by `write` when the first one needs them.
    pub(crate) fn bytes(&mut self, resp3: bool, write: impl FnOnce(&mut Reply)) -> Bytes {
        let place = &mut self.0[usize::from(resp3)];
        place
            .get_or_insert_with(|| {
                let mut reply = Reply::new(resp3);
                write(&mut reply);
                Bytes::from(reply.bytes)
            })
            .clone()
    }
}
