//! One client: its protocol, its transaction, its subscriptions, and what of its commands has come so far.

use super::{request::Parser, words::Kept};
use crate::time::Instant;
use indexmap::IndexSet;
use std::{collections::HashMap, rc::Rc};

/// The name of a key.
pub(crate) type Key = Rc<[u8]>;

/// A key of a database.
pub(crate) type Place = (usize, Key);

/// A channel or a pattern.
pub(crate) type Name = Rc<[u8]>;

#[derive(Debug)]
pub(crate) struct Client {
    /// Never used twice.
    pub(crate) id: u64,
    /// Its place in the table, which another client has after it.
    pub(crate) slot: usize,
    pub(crate) address: String,
    pub(crate) name: Vec<u8>,
    pub(crate) db: usize,
    pub(crate) resp3: bool,
    /// It has said the password, or there is none.
    pub(crate) is_known: bool,
    /// MULTI was called.
    pub(crate) multi: Option<Multi>,
    /// Keys that it watches.
    pub(crate) watching: Vec<Place>,
    pub(crate) subscribed: Subscribed,
    /// It is shown all commands.
    pub(crate) is_monitor: bool,
    pub(crate) wait: Option<Box<Wait>>,
    pub(crate) held: Held,
    /// Bytes of its input from the command on that has its turn.
    pub(crate) query: usize,
    /// Bytes that wait to be sent, by the driver's last word.
    pub(crate) unsent: usize,
    /// Its next commands are not run before it has read more.
    pub(crate) is_full: bool,
    /// Nothing more is heard; it goes when what it was told is sent.
    pub(crate) is_closing: bool,
    pub(crate) replies: Replies,
    /// Times in milliseconds.
    pub(crate) since: i64,
    pub(crate) used: i64,
    pub(crate) last: &'static str,
}

/// A transaction that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Multi {
    pub(crate) queue: Vec<Kept>,
    /// A command was refused already, so that EXEC will be.
    pub(crate) is_refused: bool,
    /// Bytes of memory.
    pub(crate) weight: usize,
}

/// Channels that it listens to.
#[derive(Debug, Default)]
pub(crate) struct Subscribed {
    pub(crate) channels: IndexSet<Name>,
    pub(crate) patterns: IndexSet<Name>,
    pub(crate) shards: IndexSet<Name>,
}

/// A command that waits for an element.
#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) words: Kept,
    pub(crate) keys: Vec<Place>,
    pub(crate) until: Option<Instant>,
}

/// Bytes of commands that have not had their turn.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    /// Those before this have.
    pub(crate) start: usize,
    /// The state of the parser within a command that has not come to its end.
    pub(crate) parser: Option<Box<Parser>>,
}

/// Whether it wants to hear replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replies {
    On,
    Off,
    /// Not that to the next command.
    SkipNext,
    /// Not that to this one.
    Skip,
}

impl Client {
    pub(crate) fn new(id: u64, slot: usize, address: String, is_known: bool, now: i64) -> Self {
        Self {
            id,
            slot,
            address,
            name: Vec::new(),
            db: 0,
            resp3: false,
            is_known,
            multi: None,
            watching: Vec::new(),
            subscribed: Subscribed::default(),
            is_monitor: false,
            wait: None,
            held: Held::default(),
            query: 0,
            unsent: 0,
            is_full: false,
            is_closing: false,
            replies: Replies::On,
            since: now,
            used: now,
            last: "NULL",
        }
    }

    /// As CLIENT LIST tells it.
    pub(crate) fn describe(&self, local: &str, now: i64) -> String {
        let mut flags = String::new();
        flags.push_str(if self.is_monitor { "O" } else { "" });
        flags.push_str(if self.subscribed.count() > 0 { "P" } else { "" });
        flags.push_str(if self.multi.is_some() { "x" } else { "" });
        flags.push_str(if self.wait.is_some() { "b" } else { "" });
        flags.push_str(if flags.is_empty() { "N" } else { "" });
        let multi = self.multi.as_ref().map_or(-1, |multi| i64::try_from(multi.queue.len()).unwrap_or(i64::MAX));
        let held = (self.held.bytes.len() - self.held.start).max(self.query);
        format!(
            "id={} addr={} laddr={local} fd={} name={} age={} idle={} flags={flags} db={} sub={} psub={} ssub={} multi={multi} \
             qbuf={held} qbuf-free=0 argv-mem=0 multi-mem={} rbs=0 rbp=0 obl=0 oll=0 omem={} tot-mem={} events=r cmd={} \
             user=default redir=-1 resp={}",
            self.id,
            self.address,
            self.slot,
            String::from_utf8_lossy(&self.name),
            (now - self.since) / 1000,
            (now - self.used) / 1000,
            self.db,
            self.subscribed.channels.len(),
            self.subscribed.patterns.len(),
            self.subscribed.shards.len(),
            self.multi.as_ref().map_or(0, |multi| multi.weight),
            self.unsent,
            held + self.unsent + size_of::<Self>(),
            self.last,
            if self.resp3 { 3 } else { 2 },
        )
    }
}

impl Subscribed {
    pub(crate) fn count(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shards.len()
    }
}

/// All clients, by their places and by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// A client whose command runs is not in its place.
    slots: Vec<Option<Box<Client>>>,
    ids: HashMap<u64, usize>,
    last_id: u64,
}

impl Clients {
    pub(crate) fn add(&mut self, slot: usize, address: String, is_known: bool, now: i64) {
        self.last_id += 1;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.ids.insert(self.last_id, slot);
        self.slots[slot] = Some(Box::new(Client::new(self.last_id, slot, address, is_known, now)));
    }

    pub(crate) fn take(&mut self, slot: usize) -> Option<Box<Client>> {
        self.slots.get_mut(slot)?.take()
    }

    pub(crate) fn put_back(&mut self, client: Box<Client>) {
        let slot = client.slot;
        self.slots[slot] = Some(client);
    }

    /// It has gone.
    pub(crate) fn forget(&mut self, id: u64) {
        self.ids.remove(&id);
    }

    pub(crate) fn slot(&self, id: u64) -> Option<usize> {
        self.ids.get(&id).copied()
    }

    pub(crate) fn by_id(&mut self, id: u64) -> Option<&mut Client> {
        let slot = self.slot(id)?;
        self.at(slot)
    }

    pub(crate) fn at(&mut self, slot: usize) -> Option<&mut Client> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().flatten().map(|client| &**client)
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}
