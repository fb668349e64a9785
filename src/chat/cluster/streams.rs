//! The streams of rooms: which number is known of each, and what is asked to know more.

use super::super::{
    hall::{Hall, Known, Spoken},
    name::key,
};
use crate::{resp::Value, time::Now};
use std::{collections::HashMap, mem};

/// The set of all rooms.
pub(super) const ROOMS: &str = "chat:rooms";

/// Entries that are asked for at once.
pub(super) const COUNT: usize = 100;

/// How long a room in which nothing is said stays in Redis: 30 days, in seconds.
const LASTS: &str = "2592000";

/// A command for Redis.
pub(crate) type Words = Vec<Vec<u8>>;

/// Which question an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tag {
    /// Of no interest.
    Ignored,
    /// Of no interest, unless it is refused.
    Sent,
    /// Words were added to a room: their number.
    Added { key: String },
    /// The highest number of a room in which somebody has spoken alone.
    Highest { key: String },
    /// More of a room.
    More { key: String },
    /// The names of all rooms.
    Rooms,
    /// The last record.
    LastRecord,
    /// More records.
    Records,
}

/// The connection cannot be trusted any more: why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) &'static str);

/// The known parts of the streams of rooms.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// By the key of the room.
    rooms: HashMap<String, Follow>,
    pub(super) asks: Vec<(Words, Tag)>,
    /// Entries that a stream keeps, about.
    keeps: usize,
}

#[derive(Debug, Default)]
struct Follow {
    /// It was asked what there is, and not answered.
    asks: bool,
    /// Something came behind the question.
    again: bool,
    /// All that was said before this server listened is known.
    caught_up: bool,
}

impl Streams {
    pub(super) fn new(keeps: usize) -> Self {
        Self { keeps, ..Self::default() }
    }

    pub(super) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W], tag: Tag) {
        self.asks.push((words.iter().map(|word| word.as_ref().to_vec()).collect(), tag));
    }

    /// Nothing is known of what was asked before.
    pub(super) fn clear(&mut self) {
        self.rooms.clear();
        self.asks.clear();
    }

    /// Begins with a room that the hall has.
    pub(super) fn open(&mut self, known: &Known) {
        let (key, name) = (key(&known.room), stream(&known.room));
        self.ask(&["SADD", ROOMS, &known.room], Tag::Sent);
        if known.next > 1 {
            // The numbers of the store do not fall behind ours. It refuses if they are ahead, or the same.
            let highest = format!("0-{}", known.next - 1);
            self.ask(&["XADD", &name, &highest, "mark", ""], Tag::Ignored);
            self.ask(&["EXPIRE", &name, LASTS], Tag::Sent);
        }
        if known.spoke_alone {
            self.rooms.insert(key.clone(), Follow { asks: true, again: true, caught_up: false });
            self.ask(&["XREVRANGE", &name, "+", "-", "COUNT", "1"], Tag::Highest { key });
        } else {
            self.rooms.insert(key.clone(), Follow { asks: true, ..Follow::default() });
            self.ask_more(key, known.next);
        }
    }

    fn ask_more(&mut self, key: String, next: u64) {
        let (from, count) = (format!("0-{next}"), COUNT.to_string());
        self.ask(&["XRANGE", &stream(&key), &from, "+", "COUNT", &count], Tag::More { key });
    }

    /// A room makes way for another.
    pub(super) fn forget(&mut self, room: &str) {
        self.rooms.remove(&key(room));
        self.ask(&["SREM", ROOMS, room], Tag::Sent);
        self.ask(&["DEL", &stream(room)], Tag::Sent);
    }

    pub(super) fn drop_room(&mut self, key: &str) {
        self.rooms.remove(key);
    }

    /// Adds words to a room.
    pub(super) fn add(&mut self, spoken: &Spoken) {
        let (name, keeps) = (stream(&spoken.room), self.keeps.to_string());
        let json = serde_json::to_vec(spoken).unwrap_or_default();
        let words: [&[u8]; 8] = [b"XADD", name.as_bytes(), b"MAXLEN", b"~", keeps.as_bytes(), b"0-*", b"m", &json];
        self.ask(&words, Tag::Added { key: key(&spoken.room) });
        self.ask(&["EXPIRE", &name, LASTS], Tag::Sent);
    }

    /// There is more in a room.
    pub(super) fn more(&mut self, room: &str, hall: &mut Hall, now: Now) {
        let key = key(room);
        match self.rooms.get_mut(&key) {
            Some(follow) if follow.asks => follow.again = true,
            Some(follow) => {
                if let Some(next) = hall.next_in(&key) {
                    follow.asks = true;
                    self.ask_more(key, next);
                }
            }
            None => match hall.next_in(&key) {
                Some(next) => {
                    self.rooms.insert(key.clone(), Follow { asks: true, ..Follow::default() });
                    self.ask_more(key, next);
                }
                // It is opened, and then asked for.
                None => hall.follow(room, now),
            },
        }
    }

    /// Words were added: under a number that must be ahead of all that is known.
    pub(super) fn added(&mut self, key: &str, value: &Value, hall: &Hall) -> Result<(), Broken> {
        let number = number(value).ok_or(Broken("what is said cannot be added"))?;
        match hall.next_in(key) {
            Some(next) if number < next => Err(Broken("its numbers have begun again")),
            _ => Ok(()),
        }
    }

    /// The highest number of a room.
    pub(super) fn highest(&mut self, key: String, value: &Value, hall: &mut Hall) -> Result<(), Broken> {
        let entries = value.list().ok_or(Broken("a stream cannot be read"))?;
        let highest = entries.first().and_then(|entry| number(entry.list()?.first()?)).unwrap_or(0);
        hall.go_on_behind(&key, highest);
        let Some(follow) = self.rooms.get_mut(&key) else { return Ok(()) };
        (follow.again, follow.caught_up) = (false, true);
        if let Some(next) = hall.next_in(&key) {
            self.ask_more(key, next);
        }
        Ok(())
    }

    /// More of a room.
    pub(super) fn heard(&mut self, key: String, value: &Value, hall: &mut Hall, now: Now) -> Result<(), Broken> {
        let entries = value.list().ok_or(Broken("a stream cannot be read"))?;
        let Some(follow) = self.rooms.get_mut(&key) else { return Ok(()) };
        for entry in entries {
            let [id, fields] = entry.list().unwrap_or_default() else { return Err(Broken("an entry is none")) };
            let number = number(id).ok_or(Broken("an entry has no number"))?;
            let spoken = match fields.list().unwrap_or_default() {
                [name, json] if name.text() == Some(b"m") => {
                    json.text().and_then(|json| serde_json::from_slice(json).ok())
                }
                _ => None,
            };
            hall.heard(&key, number, spoken, !follow.caught_up, now);
        }
        let is_all = entries.len() < COUNT;
        follow.caught_up |= is_all;
        follow.asks = !is_all || mem::take(&mut follow.again);
        if follow.asks
            && let Some(next) = hall.next_in(&key)
        {
            self.ask_more(key, next);
        }
        Ok(())
    }
}

/// The stream of a room.
fn stream(room: &str) -> String {
    format!("chat:room:{}", key(room))
}

/// The number in `0-41`.
fn number(id: &Value) -> Option<u64> {
    std::str::from_utf8(id.text()?).ok()?.strip_prefix("0-")?.parse().ok()
}
