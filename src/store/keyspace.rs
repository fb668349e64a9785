//! The databases: which keys there are, what they hold, when they expire, and who has to be told of a change.
//!
//! ```text
//!   Db   keys      key ─▶ Entry { value, expires, access, epoch }     places without gaps: a random one is one look-up
//!        volatile  keys that expire
//! ```
//!
//! A key that has expired is removed when it is next looked at, or by a sample that is taken ten times a second (`expire.rs`). All changes go
//! through this file, which keeps four books: the memory in use, the record of changes, the keys that transactions watch, and the keys that
//! clients wait for.

use super::{
    client::{Client, Key, Place},
    config::{DATABASES, Policy},
    dump::dump,
    fault::{Fault, Outcome},
    log::{self, Log},
    random::Random,
    value::{ALLOCATION, Encodings, Kind, Text, Value},
};
use indexmap::{IndexMap, IndexSet};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
};

/// Memory of a key besides the bytes of its name and its value: its place, its part of the index, its counts.
const KEY: usize = 64 + 20 + 16 + ALLOCATION;

/// Memory of the second mention of a key that expires.
const VOLATILE: usize = 40;

/// A key's value, and what is known about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// Milliseconds of calendar time; 0: never.
    pub(crate) expires: i64,
    /// When it was last used, or how often, as the policy of eviction has it (`evict.rs`).
    pub(crate) access: u32,
    /// The snapshot that has it already (`sweep.rs`).
    pub(crate) epoch: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Db {
    pub(crate) keys: IndexMap<Key, Entry>,
    pub(crate) volatile: IndexSet<Key>,
    /// Its number when the snapshot began.
    pub(crate) home: usize,
}

impl Db {
    /// Whether a key is still here although its time has come.
    fn has_expired(&self, key: &[u8], now: i64) -> bool {
        self.keys.get(key).is_some_and(|entry| entry.expires != 0 && entry.expires <= now)
    }
}

/// A copy of all keys as they were at one moment, on its way to a file.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Written and not yet handed on.
    pub(crate) bytes: Vec<u8>,
    pub(crate) db_written: Option<usize>,
    /// Where the sweep is: databases and places before these have yet to be visited.
    pub(crate) db: usize,
    pub(crate) place: usize,
}

/// Counts for INFO.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) expired: u64,
    pub(crate) evicted: u64,
}

/// A client that watches a key.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) client: u64,
    /// The key is here, has expired, and had done so when the client began to watch. For the client it is absent, and that it is removed is no change.
    pub(crate) was_expired: bool,
}

#[derive(Debug)]
pub(crate) struct Keyspace {
    pub(crate) dbs: Vec<Db>,
    /// Calendar time in milliseconds.
    pub(crate) now: i64,
    /// Bytes of memory that keys and values take, about.
    pub(crate) used: usize,
    /// Changes since the start.
    pub(crate) changes: u64,
    pub(crate) log: Log,
    pub(crate) random: Random,
    pub(crate) counts: Counts,
    pub(crate) policy: Policy,
    pub(crate) encodings: Encodings,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) epoch: u32,
    /// Keys that are watched for transactions, and by whom.
    pub(crate) watched: HashMap<Place, Vec<Watcher>>,
    /// Clients whose watched keys have changed.
    pub(crate) broken: HashSet<u64>,
    /// Clients that wait for an element, the first one first.
    pub(crate) waiting: HashMap<Place, VecDeque<u64>>,
    /// Keys that they wait for, and that have one now.
    pub(crate) ready: Vec<Place>,
    /// Expired keys are removed. Not while the record is read, which says itself when they were.
    pub(crate) expires: bool,
}

impl Keyspace {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dbs: (0..DATABASES).map(|home| Db { home, ..Db::default() }).collect(),
            now: 0,
            used: 0,
            changes: 0,
            log: Log::default(),
            random: Random::new(seed),
            counts: Counts::default(),
            policy: Policy::NoEviction,
            encodings: Encodings::default(),
            snapshot: None,
            epoch: 0,
            watched: HashMap::new(),
            broken: HashSet::new(),
            waiting: HashMap::new(),
            ready: Vec::new(),
            expires: true,
        }
    }

    /// Where a key is, after it was removed if it has expired.
    fn find(&mut self, db: usize, key: &[u8]) -> Option<usize> {
        let (place, _, entry) = self.dbs[db].keys.get_full(key)?;
        if entry.expires != 0 && entry.expires <= self.now && self.expires {
            self.expire(db, key);
            return None;
        }
        Some(place)
    }

    /// Removes a key whose time has come.
    pub(crate) fn expire(&mut self, db: usize, key: &[u8]) {
        self.counts.expired += 1;
        self.log.add(db, [&b"DEL"[..], key].into_iter());
        self.remove(db, key);
        self.broke(db, key);
    }

    /// The value of a key, for a command that reads it.
    pub(crate) fn read(&mut self, db: usize, key: &[u8]) -> Option<&Value> {
        let Some(place) = self.find(db, key) else {
            self.counts.misses += 1;
            return None;
        };
        self.counts.hits += 1;
        let access = self.access(db, place);
        let (_, entry) = self.dbs[db].keys.get_index_mut(place)?;
        entry.access = access;
        Some(&entry.value)
    }

    /// The same for a command that asks about a key and does not use it.
    pub(crate) fn look(&mut self, db: usize, key: &[u8]) -> Option<&Entry> {
        let place = self.find(db, key);
        let count = if place.is_some() { &mut self.counts.hits } else { &mut self.counts.misses };
        *count += 1;
        self.dbs[db].keys.get_index(place?).map(|(_, entry)| entry)
    }

    fn access(&mut self, db: usize, place: usize) -> u32 {
        let before = self.dbs[db].keys[place].access;
        self.policy.touched(before, self.now, &mut self.random)
    }

    /// A key and what belongs to it, without a trace.
    pub(crate) fn peek(&mut self, db: usize, key: &[u8]) -> Option<&Entry> {
        let place = self.find(db, key)?;
        self.dbs[db].keys.get_index(place).map(|(_, entry)| entry)
    }

    pub(crate) fn exists(&mut self, db: usize, key: &[u8]) -> bool {
        self.find(db, key).is_some()
    }

    /// A collection, for a command that reads it.
    pub(crate) fn collection<K: Kind>(&mut self, db: usize, key: &[u8]) -> Outcome<Option<&K>> {
        match self.read(db, key) {
            None => Ok(None),
            Some(value) => K::of(value).map(Some).ok_or(Fault::WrongType),
        }
    }

    pub(crate) fn text(&mut self, db: usize, key: &[u8]) -> Outcome<Option<&Text>> {
        match self.read(db, key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Fault::WrongType),
        }
    }

    /// Changes the value of a key that has one. A collection that is empty afterwards is removed.
    pub(crate) fn change<R>(&mut self, db: usize, key: &[u8], act: impl FnOnce(&mut Value) -> R) -> Option<R> {
        let place = self.find(db, key)?;
        let access = self.access(db, place);
        let (_, entry) = self.dbs[db].keys.get_index_mut(place)?;
        entry.access = access;
        let before = entry.value.weight();
        let result = act(&mut entry.value);
        entry.value.settle(&self.encodings);
        self.used = self.used + entry.value.weight() - before;
        let is_empty = !matches!(entry.value, Value::Text(_)) && entry.value.elements() == 0;
        if is_empty {
            self.remove(db, key);
        }
        Some(result)
    }

    /// Changes a collection that exists.
    pub(crate) fn change_if<K: Kind, R>(
        &mut self,
        db: usize,
        key: &[u8],
        act: impl FnOnce(&mut K) -> R,
    ) -> Outcome<Option<R>> {
        self.change(db, key, |value| K::of_mut(value).map(act).ok_or(Fault::WrongType)).transpose()
    }

    /// Changes a collection, which begins empty if there is none.
    pub(crate) fn change_or_make<K: Kind + Default, R>(
        &mut self,
        db: usize,
        key: &[u8],
        act: impl FnOnce(&mut K) -> R,
    ) -> Outcome<R> {
        if self.exists(db, key) {
            let changed = self.change_if(db, key, act)?;
            return changed.ok_or(Fault::NoSuchKey);
        }
        let mut made = K::default();
        let result = act(&mut made);
        if !made.is_empty() {
            self.insert(db, key, made.into_value(), 0);
        }
        Ok(result)
    }

    /// Gives a key a value in place of all that it was.
    pub(crate) fn put(&mut self, db: usize, key: &[u8], mut value: Value, expires: i64) {
        value.settle(&self.encodings);
        let (epoch, fresh) = (self.epoch, self.policy.fresh(self.now));
        let Some((place, name, entry)) = self.dbs[db].keys.get_full_mut(key) else {
            return self.insert(db, key, value, expires);
        };
        let (before, was_volatile) = (entry.value.weight(), entry.expires != 0);
        let weight = value.weight();
        let name = (was_volatile != (expires != 0)).then(|| Rc::clone(name));
        *entry = Entry { value, expires, access: entry.access, epoch };
        self.used = self.used + weight - before;
        if let Some(name) = name {
            self.set_volatile(db, name, expires != 0);
        }
        let access = if self.policy.counts() { self.access(db, place) } else { fresh };
        self.dbs[db].keys[place].access = access;
        self.signal(db, key);
    }

    fn insert(&mut self, db: usize, key: &[u8], mut value: Value, expires: i64) {
        value.settle(&self.encodings);
        let name: Key = key.into();
        self.used += KEY + key.len() + value.weight();
        if expires != 0 {
            self.set_volatile(db, Rc::clone(&name), true);
        }
        let access = self.policy.fresh(self.now);
        self.dbs[db].keys.insert(name, Entry { value, expires, access, epoch: self.epoch });
        self.signal(db, key);
    }

    fn set_volatile(&mut self, db: usize, key: Key, on: bool) {
        if on {
            self.used += VOLATILE;
            self.dbs[db].volatile.insert(key);
        } else {
            self.used -= VOLATILE;
            self.dbs[db].volatile.swap_remove(&key);
        }
    }

    /// Sets the time at which a key that exists expires; 0: never.
    pub(crate) fn set_expires(&mut self, db: usize, key: &[u8], expires: i64) {
        let Some((_, name, entry)) = self.dbs[db].keys.get_full_mut(key) else { return };
        let before = std::mem::replace(&mut entry.expires, expires);
        if (before != 0) != (expires != 0) {
            let name = Rc::clone(name);
            self.set_volatile(db, name, expires != 0);
        }
    }

    /// Removes a key, and tells what it was.
    pub(crate) fn remove(&mut self, db: usize, key: &[u8]) -> Option<Entry> {
        let entry = self.dbs[db].keys.swap_remove(key)?;
        self.used -= KEY + key.len() + entry.value.weight();
        if entry.expires != 0 {
            self.used -= VOLATILE;
            self.dbs[db].volatile.swap_remove(key);
        }
        let keys = &mut self.dbs[db].keys;
        if keys.capacity() > 1024 && keys.len() * 8 < keys.capacity() {
            keys.shrink_to(keys.len() * 2);
        }
        Some(entry)
    }

    /// Removes a key for a command: one that has expired was not there.
    pub(crate) fn delete(&mut self, db: usize, key: &[u8]) -> Option<Entry> {
        self.find(db, key)?;
        let entry = self.remove(db, key);
        self.touched(db, key);
        entry
    }

    /// A command has changed this key.
    pub(crate) fn touched(&mut self, db: usize, key: &[u8]) {
        self.changes += 1;
        self.broke(db, key);
    }

    /// Transactions that watch this key are to fail.
    pub(crate) fn broke(&mut self, db: usize, key: &[u8]) {
        if !self.watched.is_empty()
            && let Some(watchers) = self.watched.get_mut(&(db, key.into()))
        {
            let is_there = self.dbs[db].keys.contains_key(key);
            for watcher in watchers {
                if watcher.was_expired && !is_there {
                    watcher.was_expired = false;
                } else {
                    self.broken.insert(watcher.client);
                }
            }
        }
    }

    /// A client watches a key from now on.
    pub(crate) fn watch(&mut self, client: &mut Client, key: &[u8]) {
        let place = (client.db, key.into());
        if client.watching.contains(&place) {
            return;
        }
        let was_expired = self.dbs[client.db].has_expired(key, self.now);
        self.watched.entry(place.clone()).or_default().push(Watcher { client: client.id, was_expired });
        client.watching.push(place);
    }

    /// Whether a transaction of this client must not run: a key that it watches is not what it was, or has expired since and was not removed yet.
    pub(crate) fn is_broken(&self, client: &Client) -> bool {
        let has_expired = |place: &Place| {
            let watchers = self.watched.get(place).into_iter().flatten();
            watchers.filter(|watcher| watcher.client == client.id).any(|watcher| !watcher.was_expired)
                && self.dbs[place.0].has_expired(&place.1, self.now)
        };
        self.broken.contains(&client.id) || client.watching.iter().any(has_expired)
    }

    /// The client watches nothing any more.
    pub(crate) fn unwatch(&mut self, client: &mut Client) {
        for place in std::mem::take(&mut client.watching) {
            if let Some(watchers) = self.watched.get_mut(&place) {
                watchers.retain(|watcher| watcher.client != client.id);
                if watchers.is_empty() {
                    self.watched.remove(&place);
                }
            }
        }
        self.broken.remove(&client.id);
    }

    /// A key exists that may have been waited for.
    pub(crate) fn signal(&mut self, db: usize, key: &[u8]) {
        if !self.waiting.is_empty() {
            let place = (db, key.into());
            if self.waiting.contains_key(&place) && !self.ready.contains(&place) {
                self.ready.push(place);
            }
        }
    }

    /// Removes all keys of a database.
    pub(crate) fn flush(&mut self, db: usize) -> usize {
        self.about_to_be(db, None);
        let removed = std::mem::take(&mut self.dbs[db].keys);
        for (key, entry) in &removed {
            self.used -= KEY + key.len() + entry.value.weight() + if entry.expires != 0 { VOLATILE } else { 0 };
        }
        self.dbs[db].volatile = IndexSet::new();
        removed.len()
    }

    /// Tells transactions that a database will hold what another one holds, or nothing.
    fn about_to_be(&mut self, db: usize, other: Option<usize>) {
        let (now, before) = (self.now, &self.dbs[db]);
        let after = other.map(|other| &self.dbs[other]);
        for ((_, key), watchers) in self.watched.iter_mut().filter(|((place, _), _)| *place == db) {
            let was_there = before.keys.contains_key(key);
            let will_be_there = after.is_some_and(|after| after.keys.contains_key(key));
            let will_have_expired = after.is_some_and(|after| after.has_expired(key, now));
            for watcher in watchers.iter_mut().filter(|_| was_there || will_be_there) {
                // It is absent before and after, as far as the client can see.
                let is_absent = (watcher.was_expired || !was_there) && (!will_be_there || will_have_expired);
                if is_absent {
                    watcher.was_expired = will_have_expired;
                } else {
                    self.broken.insert(watcher.client);
                }
            }
        }
    }

    /// Exchanges two databases.
    pub(crate) fn swap(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        self.about_to_be(a, Some(b));
        self.about_to_be(b, Some(a));
        self.dbs.swap(a, b);
        for db in [a, b] {
            let waited: Vec<Key> =
                self.waiting.keys().filter(|(place, _)| *place == db).map(|(_, key)| Rc::clone(key)).collect();
            waited
                .iter()
                .filter(|key| self.dbs[db].keys.contains_key(*key))
                .for_each(|key| self.ready.push((db, Rc::clone(key))));
        }
    }

    /// A command will change this key, or make another from it: a snapshot that does not have it yet takes it first.
    pub(crate) fn about_to_change(&mut self, db: usize, key: &[u8]) {
        let Some(snapshot) = &mut self.snapshot else { return };
        let Db { keys, home, .. } = &mut self.dbs[db];
        let Some((_, name, entry)) = keys.get_full_mut(key) else { return };
        if std::mem::replace(&mut entry.epoch, self.epoch) != self.epoch {
            log::select(&mut snapshot.bytes, &mut snapshot.db_written, *home);
            dump(&mut snapshot.bytes, name, &entry.value, entry.expires);
        }
    }
}
