//! The broker's rules: sessions, subscriptions, retained messages, and which message goes to whom. No socket, clock or file in it.
//!
//! ```text
//!   connect packet lost tick ──▶ Core ──▶ Link::out     bytes for each connection, gated by records
//!                 stored(n)               take_records  what has to be on the disk first
//!                                         take_ends     connections that the broker ends
//! ```
//!
//! A packet for a client waits in its outbox until the records are stored that it stands for: so what a client was told, and what it
//! was sent, is never forgotten. Only messages of QoS 0, and answers to pings, promise nothing and do not wait.

mod bridge;
mod connect;
mod deliver;
mod ending;
mod handshake;
mod incoming;
mod own;
mod publish;
mod restore;
mod subscribe;

#[cfg(test)]
mod timed;
#[cfg(test)]
mod world;

use super::{
    bridge::Rules,
    limits::Limits,
    link::Link,
    message::{Key, Message, millis},
    outbox::Outbox,
    record::Record,
    retained::Retained,
    session::Session,
    tree::{Match, Tree},
};
use crate::{
    app::ConnId,
    buf::Output,
    mqtt::{Packet, Reason, Text},
    time::Now,
};
pub(crate) use connect::{Accepted, Arrival, refuse};
pub(crate) use incoming::Stop;
use slab::Slab;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    mem,
    sync::Arc,
};

/// The broker.
#[derive(Debug)]
pub(crate) struct Core {
    limits: Limits,
    sessions: Slab<Session>,
    by_client: HashMap<Text, Key>,
    tree: Tree,
    retained: Retained,
    /// The times at which sessions and wills are due, in milliseconds since 1970. One that was called off is passed over.
    due: BTreeSet<(u64, Due, Key)>,
    records: Vec<Record>,
    /// How many records were made.
    made: u64,
    /// Of these, how many are stored.
    stored: u64,
    /// Records that were taken and are not stored: up to which number, and how many bytes.
    unwritten: VecDeque<(u64, usize)>,
    unwritten_bytes: usize,
    /// Sessions with output to be sent.
    dirty: Vec<Key>,
    /// Sessions with output that waits for the disk.
    gated: Vec<Key>,
    /// Sessions with messages that wait for room, whose output was taken.
    starved: Vec<Key>,
    ends: Vec<End>,
    /// The session of the bridge to another broker.
    bridge: Option<(Key, Arc<Rules>)>,
    /// Kept for its memory.
    found: Vec<Match>,
    pub(crate) counts: Counts,
}

/// Why a session is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Will,
    Expiry,
}

/// A connection that has no session any more. It ends when its last bytes have left, of which some may wait for records.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) conn: ConnId,
    /// Its last bytes.
    pub(crate) out: Outbox,
    pub(crate) why: &'static str,
    /// Its client has nothing more to say.
    pub(crate) is_heard_out: bool,
}

/// All that was counted since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Messages from clients.
    pub(crate) received: u64,
    /// Messages to clients.
    pub(crate) sent: u64,
    /// Messages that found no place in a queue.
    pub(crate) dropped: u64,
    /// Messages that were too old when their turn came.
    pub(crate) expired: u64,
    pub(crate) connected: u64,
    pub(crate) refused: u64,
}

/// The broker in numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) connected: usize,
    pub(crate) away: usize,
    pub(crate) subscriptions: usize,
    pub(crate) retained: usize,
    pub(crate) waiting: usize,
    pub(crate) inflight: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) longest_queue: usize,
    pub(crate) unwritten_bytes: usize,
    pub(crate) counts: Counts,
}

impl Core {
    /// A broker without a past.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: Slab::new(),
            by_client: HashMap::new(),
            tree: Tree::default(),
            retained: Retained::default(),
            due: BTreeSet::new(),
            records: Vec::new(),
            made: 0,
            stored: 0,
            unwritten: VecDeque::new(),
            unwritten_bytes: 0,
            dirty: Vec::new(),
            gated: Vec::new(),
            starved: Vec::new(),
            ends: Vec::new(),
            bridge: None,
            found: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// The bounds that it keeps.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Moves the records that were made into `into`, in order.
    pub(crate) fn take_records(&mut self, into: &mut Vec<Record>) {
        if self.records.is_empty() {
            return;
        }
        let bytes = self.records.iter().map(Record::weight).sum();
        self.unwritten.push_back((self.made, bytes));
        self.unwritten_bytes += bytes;
        into.append(&mut self.records);
    }

    /// The number of records that are stored, of all that were ever taken.
    pub(crate) fn stored(&mut self, records: u64, now: Now) {
        self.stored = records;
        while let Some((_, bytes)) = self.unwritten.front().copied().filter(|(last, _)| *last <= records) {
            self.unwritten.pop_front();
            self.unwritten_bytes -= bytes;
        }
        let at = millis(now);
        for key in mem::take(&mut self.gated) {
            let Some(link) = self.link(key) else { continue };
            link.stored(records);
            link.is_gated = false;
            if link.is_fed() {
                self.pump(key, at);
            }
            self.touch(key);
        }
    }

    /// The next connection with something to send.
    pub(crate) fn take_output(&mut self) -> Option<(ConnId, Output)> {
        while let Some(key) = self.dirty.pop() {
            if let Some(link) = self.link(key) {
                let output = (link.conn, link.take());
                if link.is_starved() {
                    self.starved.push(key);
                }
                return Some(output);
            }
        }
        None
    }

    /// Whether messages wait whose receivers may have room in the driver's next turn.
    pub(crate) fn is_starved(&self) -> bool {
        !self.starved.is_empty()
    }

    /// The driver's next turn: whatever it was given before has left, or it has told what has not.
    pub(crate) fn turn(&mut self, now: Now) {
        for key in mem::take(&mut self.starved) {
            let Some(link) = self.link(key) else { continue };
            link.told(None);
            if link.is_fed() {
                self.pump(key, millis(now));
            }
        }
    }

    /// The next connection that is to be ended.
    pub(crate) fn take_end(&mut self) -> Option<End> {
        self.ends.pop()
    }

    /// The bytes that a connection's peer has not taken.
    pub(crate) fn unsent(&mut self, key: Key, unsent: usize, now: Now) {
        let Some(link) = self.link(key) else { return };
        link.told(Some(unsent));
        if link.is_fed() {
            self.pump(key, millis(now));
        }
    }

    /// Whether nothing more is to be heard of a connection for now.
    pub(crate) fn has_to_wait(&self, key: Key) -> bool {
        self.unwritten_bytes > self.limits.unwritten
            || self.sessions.get(key).and_then(Session::link).is_some_and(Link::has_to_wait)
    }

    /// The broker in numbers.
    pub(crate) fn numbers(&self) -> Numbers {
        let connected = self.sessions.iter().filter(|(_, session)| session.link.is_ok()).count();
        let sum = |of: fn(&Session) -> usize| self.sessions.iter().map(|(_, session)| of(session)).sum();
        Numbers {
            connected,
            away: self.sessions.len() - connected,
            subscriptions: self.tree.len(),
            retained: self.retained.len(),
            waiting: sum(|session| session.outgoing.waiting()),
            inflight: sum(|session| session.outgoing.inflight()),
            queued_bytes: sum(|session| session.outgoing.bytes()),
            longest_queue: self.sessions.iter().map(|(_, session)| session.outgoing.waiting()).max().unwrap_or(0),
            unwritten_bytes: self.unwritten_bytes,
            counts: self.counts,
        }
    }

    fn link(&mut self, key: Key) -> Option<&mut Link> {
        self.sessions.get_mut(key)?.link_mut()
    }

    fn record(&mut self, record: Record) {
        self.made += 1;
        self.records.push(record);
    }

    /// Makes a record of a session that is kept.
    fn record_of(&mut self, key: Key, record: Record) {
        if self.sessions.get(key).is_some_and(Session::is_kept) {
            self.record(record);
            self.depend(key);
        }
    }

    /// Packets for a client depend on the last record from now on.
    fn depend(&mut self, key: Key) {
        let made = self.made;
        self.link(key).into_iter().for_each(|link| link.after = made);
    }

    /// Says something to a client, when the records are stored that it stands for. `frees`: it ends a message of the client.
    fn answer(&mut self, key: Key, packet: &Packet, frees: u16) {
        let stored = self.stored;
        if let Some(link) = self.link(key) {
            link.answer(packet, stored, frees);
            self.touch(key);
        }
    }

    /// A connection has something to send, or something that waits.
    fn touch(&mut self, key: Key) {
        let Some(link) = self.sessions.get_mut(key).and_then(Session::link_mut) else { return };
        if link.out.is_ready() && !mem::replace(&mut link.is_dirty, true) {
            self.dirty.push(key);
        }
        if link.out.waiting() > 0 && !mem::replace(&mut link.is_gated, true) {
            self.gated.push(key);
        }
    }

    /// A message found no room.
    fn starve(&mut self, key: Key) {
        if self.link(key).is_some_and(Link::starve) {
            self.starved.push(key);
        }
    }

    /// A topic's retained message is another one from now on, or none.
    fn retain(&mut self, message: &Arc<Message>) {
        let kept = (!message.payload.is_empty()).then(|| Arc::clone(message));
        self.retained.set(&message.topic, kept);
    }

    /// Whether a message may be retained.
    fn has_room_for(&self, message: &Message) -> bool {
        let old = self.retained.find(&message.topic);
        let (count, bytes) = old.map_or((0, 0), |old| (1, old.weight()));
        self.retained.len() - count < self.limits.retained
            && self.retained.bytes() - bytes + message.weight() <= self.limits.retained_bytes
    }
}

/// A refusal in the words of MQTT 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) why: &'static str,
}
