//! The commands themselves: one function a command, one file a group.
//!
//! A function gets a [`Call`]: the words, the client, the keyspace, and where the reply goes. It checks in the order in which the original
//! checks, so that a command that is wrong in two ways is refused for the same one.

pub(crate) mod bitfield;
pub(crate) mod bits;
pub(crate) mod blocking;
pub(crate) mod clients;
pub(crate) mod connection;
pub(crate) mod expiry;
pub(crate) mod hashes;
pub(crate) mod info;
pub(crate) mod introspect;
pub(crate) mod keys;
pub(crate) mod keyspec;
pub(crate) mod lcs;
pub(crate) mod lists;
pub(crate) mod monitor;
pub(crate) mod pubsub;
pub(crate) mod scan;
pub(crate) mod scripts;
pub(crate) mod server;
pub(crate) mod sets;
pub(crate) mod sort;
pub(crate) mod strings;
pub(crate) mod subcommands;
pub(crate) mod transactions;
pub(crate) mod zrange;
pub(crate) mod zsets;
pub(crate) mod zunion;

use super::number;
pub(crate) use super::{
    client::Client,
    fault::{Fault, Outcome, refuse},
    keyspace::Keyspace,
    reply::Reply,
    value::{Kind, Value},
    words::{Kept, Words},
    world::World,
};

/// One command of the table.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// Words, the name included; below zero: at least so many.
    pub(crate) arity: i32,
    pub(crate) flags: u32,
    /// The places of its first and its last key, and the step between; the last may count from the end.
    pub(crate) keys: (i32, i32, i32),
    pub(crate) run: fn(&mut Call<'_>) -> Outcome,
    pub(crate) group: &'static str,
    pub(crate) since: &'static str,
    pub(crate) summary: &'static str,
}

/// The flags of commands that are asked for here, in the order of [`FLAGS`].
pub(crate) const WRITE: u32 = 1;
pub(crate) const READONLY: u32 = 1 << 1;
pub(crate) const DENYOOM: u32 = 1 << 2;
pub(crate) const ADMIN: u32 = 1 << 3;
pub(crate) const PUBSUB: u32 = 1 << 4;
pub(crate) const FAST: u32 = 1 << 9;
pub(crate) const NO_AUTH: u32 = 1 << 10;
pub(crate) const MOVABLE: u32 = 1 << 12;
pub(crate) const NO_MULTI: u32 = 1 << 13;
pub(crate) const FLAGS: [&str; 14] = [
    "write",
    "readonly",
    "denyoom",
    "admin",
    "pubsub",
    "noscript",
    "blocking",
    "loading",
    "stale",
    "fast",
    "no_auth",
    "allow_busy",
    "movablekeys",
    "no_multi",
];

/// All commands.
pub(crate) trait Commands {
    /// The command of a name in any case.
    fn find(&self, name: &[u8]) -> Option<&'static Command>;
    fn all(&self) -> &'static [Command];
}

/// The record of a command that has changed something.
#[derive(Debug, Default)]
pub(crate) enum Record {
    /// Its words.
    #[default]
    AsIs,
    /// Other commands of the same effect: without a time from now on, without chance.
    Instead(Vec<Kept>),
}

/// The reason for which a command is run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why<'a> {
    /// Its client asks for it.
    Asked,
    /// It is a part of a transaction: it does not wait.
    Queued,
    /// Its client waits, and this key was written to. It takes nothing from another one, which may have something as well.
    Ready(&'a [u8]),
}

/// One command of one client.
pub(crate) struct Call<'a> {
    pub(crate) words: Words<'a>,
    pub(crate) out: &'a mut Reply,
    pub(crate) client: &'a mut Client,
    pub(crate) keys: &'a mut Keyspace,
    pub(crate) world: &'a mut World,
    pub(crate) commands: &'static dyn Commands,
    pub(crate) record: Record,
    pub(crate) why: Why<'a>,
}

impl<'a> Call<'a> {
    pub(crate) fn word(&self, index: usize) -> &'a [u8] {
        self.words.at(index)
    }

    pub(crate) fn db(&self) -> usize {
        self.client.db
    }

    pub(crate) fn integer(&self, index: usize) -> Outcome<i64> {
        number::integer(self.word(index)).ok_or(Fault::NotInteger)
    }

    pub(crate) fn float(&self, index: usize) -> Outcome<f64> {
        number::float(self.word(index)).ok_or(Fault::NotFloat)
    }

    /// An integer that is not below zero; `text` says that it is.
    pub(crate) fn positive(&self, index: usize, text: &'static str) -> Outcome<usize> {
        match number::integer(self.word(index)) {
            Some(value) => usize::try_from(value).or_else(|_| refuse(text)),
            None => refuse(text),
        }
    }

    /// A collection that is read.
    pub(crate) fn collection<K: Kind>(&mut self, key: &[u8]) -> Outcome<Option<&K>> {
        self.keys.collection(self.client.db, key)
    }

    /// Refuses a key that holds something else.
    pub(crate) fn check<K: Kind>(&mut self, key: &[u8]) -> Outcome<bool> {
        self.keys.collection::<K>(self.client.db, key).map(|it| it.is_some())
    }

    /// Takes all words behind the key out of its collection, and tells how many were in it.
    pub(crate) fn remove_words<K: Kind>(&mut self, remove: impl Fn(&mut K, &[u8]) -> bool) -> Outcome {
        let (key, words) = (self.word(1), self.words);
        let count = |all: &mut K| words.from(2).filter(|word| remove(all, word)).count();
        let removed = self.keys.change_if(self.client.db, key, count)?.unwrap_or(0);
        if removed > 0 {
            self.touched(key);
        }
        self.out.len(removed);
        Ok(())
    }

    pub(crate) fn touched(&mut self, key: &[u8]) {
        self.keys.touched(self.client.db, key);
    }

    /// Has these words recorded in place of the client's.
    pub(crate) fn record(&mut self, words: &[&[u8]]) {
        let kept = Kept::new(words.iter().copied());
        match &mut self.record {
            Record::Instead(list) => list.push(kept),
            Record::AsIs => self.record = Record::Instead(vec![kept]),
        }
    }

    /// Nothing is recorded unless [`Call::record`] is called.
    pub(crate) fn record_nothing(&mut self) {
        self.record = Record::Instead(Vec::new());
    }
}

/// Places from `start` to `stop`, which may count from the end, of so many. Empty where they do not meet.
pub(crate) fn span(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let place = |index: i64| if index < 0 { index.saturating_add(len).max(0) } else { index };
    // A stop that counts beyond the beginning is before it.
    let end = if stop < 0 { stop.saturating_add(len) } else { stop };
    let (from, to) = (place(start), end.min(len - 1));
    if from > to || from >= len {
        return 0..0;
    }
    usize::try_from(from).unwrap_or_default()..usize::try_from(to + 1).unwrap_or_default()
}
