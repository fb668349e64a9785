//! The stream of what lasts: accounts, parts in rooms, bans and mutes. All servers have all of it, and keep it in their own files, too.
//!
//! Of two accounts of one name that were registered apart, the one that comes first in the stream is the account. Each server reads the
//! stream from its beginning when it starts, and then adds what it has and the stream does not.

use super::{
    super::{hall::Hall, name::key, record::Record},
    streams::{Broken, COUNT, Streams, Tag},
};
use crate::{resp::Value, time::Now};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashSet, VecDeque},
    mem,
};

const STREAM: &str = "chat:records";

/// Records that the stream keeps, about.
const KEEPS: &str = "200000";

/// Records made while there was no connection. Older ones are read from the hall at the next start.
const MAX_WAITING: usize = 10_000;

/// One entry.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    server: String,
    record: Record,
}

/// The known part of the stream.
#[derive(Debug, Default)]
pub(super) struct Records {
    me: String,
    /// The last entry that was read: time and number.
    last: (u64, u64),
    asks: bool,
    again: bool,
    /// The end was reached since the connection was made.
    caught_up: bool,
    /// The names of accounts that are in the stream.
    accounts: HashSet<String>,
    /// All records that are in it, while it is read from its beginning.
    seen: Option<HashSet<Vec<u8>>>,
    waiting: VecDeque<Record>,
}

impl Records {
    pub(super) fn new(me: &str) -> Self {
        Self { me: me.to_owned(), seen: Some(HashSet::new()), ..Self::default() }
    }

    /// There is a connection.
    pub(super) fn begin(&mut self, streams: &mut Streams) {
        (self.asks, self.again, self.caught_up) = (true, false, false);
        streams.ask(&["XREVRANGE", STREAM, "+", "-", "COUNT", "1"], Tag::LastRecord);
    }

    /// The last entry of all.
    pub(super) fn last(&mut self, value: &Value, streams: &mut Streams) -> Result<(), Broken> {
        let entries = value.list().ok_or(Broken("the records cannot be read"))?;
        let last = entries.first().and_then(|entry| id(entry.list()?.first()?)).unwrap_or_default();
        if last < self.last {
            // Another stream than the one that was read: the store has lost it.
            self.last = (0, 0);
            self.accounts.clear();
            self.seen = Some(HashSet::new());
        }
        self.ask(streams);
        Ok(())
    }

    fn ask(&mut self, streams: &mut Streams) {
        self.asks = true;
        let (from, count) = (format!("({}-{}", self.last.0, self.last.1), COUNT.to_string());
        streams.ask(&["XRANGE", STREAM, &from, "+", "COUNT", &count], Tag::Records);
    }

    /// There is more.
    pub(super) fn more(&mut self, streams: &mut Streams) {
        if self.asks {
            self.again = true;
        } else {
            self.ask(streams);
        }
    }

    /// Some entries.
    pub(super) fn heard(
        &mut self,
        value: &Value,
        hall: &mut Hall,
        streams: &mut Streams,
        now: Now,
    ) -> Result<bool, Broken> {
        let entries = value.list().ok_or(Broken("the records cannot be read"))?;
        for entry in entries {
            let [at, fields] = entry.list().unwrap_or_default() else { return Err(Broken("an entry is none")) };
            self.last = id(at).ok_or(Broken("an entry has no number"))?;
            let [_, json] = fields.list().unwrap_or_default() else { continue };
            let Some(entry) = json.text().and_then(|json| serde_json::from_slice(json).ok()) else { continue };
            self.take(entry, hall, now);
        }
        if entries.len() >= COUNT || mem::take(&mut self.again) {
            self.ask(streams);
            return Ok(false);
        }
        self.asks = false;
        if mem::replace(&mut self.caught_up, true) {
            return Ok(false);
        }
        let waiting = mem::take(&mut self.waiting);
        let missing = self.seen.take().map(|seen| {
            let is_there = |record: &Record| match record {
                Record::Account { name, .. } => self.accounts.contains(&key(name)),
                _ => seen.contains(&written(record)),
            };
            hall.lasting().into_iter().filter(|record| !is_there(record) && !waiting.contains(record)).collect()
        });
        let missing: Vec<Record> = missing.unwrap_or_default();
        let any = !missing.is_empty() || !waiting.is_empty();
        missing.iter().chain(&waiting).for_each(|record| self.add(record, streams));
        Ok(any)
    }

    fn take(&mut self, entry: Entry, hall: &mut Hall, now: Now) {
        let Entry { server, record } = entry;
        let is_second = match &record {
            Record::Account { name, .. } => !self.accounts.insert(key(name)),
            _ => false,
        };
        if let Some(seen) = &mut self.seen {
            seen.insert(written(&record));
        }
        if server != self.me && !is_second {
            hall.learn(record, now);
        }
    }

    /// Something was decided here.
    pub(super) fn share(&mut self, record: Record, streams: &mut Streams) -> bool {
        if self.caught_up {
            self.add(&record, streams);
        } else {
            if self.waiting.len() == MAX_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(record);
        }
        self.caught_up
    }

    /// The connection is lost.
    pub(super) fn end(&mut self) {
        self.caught_up = false;
    }

    fn add(&mut self, record: &Record, streams: &mut Streams) {
        let entry = Entry { server: self.me.clone(), record: record.clone() };
        let json = serde_json::to_vec(&entry).unwrap_or_default();
        let words: [&[u8]; 8] = [b"XADD", STREAM.as_bytes(), b"MAXLEN", b"~", KEEPS.as_bytes(), b"*", b"m", &json];
        streams.ask(&words, Tag::Sent);
    }
}

fn written(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.write(&mut bytes);
    bytes
}

/// The two numbers of an entry.
fn id(value: &Value) -> Option<(u64, u64)> {
    let (time, number) = std::str::from_utf8(value.text()?).ok()?.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}
