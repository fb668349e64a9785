//! The events that people are told of, and how they go over the wire: a line, or JSON for the page.
//!
//! An event is made once and shared by all who are told it. Each of its two forms is written by the first session that needs it, on that
//! session's thread, so a message to a thousand people is encoded once and outside of the hall's lock.

use super::record::Role;
use bytes::Bytes;
use serde::Serialize;
use std::{
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

/// Bytes that an event takes beside its text: its own fields, its forms, its place in a queue.
const WEIGHT: usize = 256;

/// One thing that somebody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Told {
    /// The first words.
    Welcome {
        name: String,
        token: String,
    },
    /// One has come back; `last_id` is the greatest ID of an own message that arrived.
    Resumed {
        name: String,
        last_id: u64,
    },
    /// A message in a room; `seq` counts the messages of the room from 1, without gaps.
    Said {
        room: Arc<str>,
        seq: u64,
        from: Arc<str>,
        text: String,
        at: u64,
        #[serde(skip_serializing_if = "is_false")]
        announcement: bool,
    },
    /// A message to one person; `seq` counts those to this person.
    Direct {
        seq: u64,
        from: Arc<str>,
        text: String,
        at: u64,
    },
    /// One's own message to one person.
    Sent {
        to: Arc<str>,
        text: String,
        at: u64,
    },
    /// The number that one's own message got.
    Accepted {
        id: u64,
        room: Arc<str>,
        seq: u64,
    },
    /// One has joined a room. Messages with a number below `next` that follow are history.
    Entered {
        room: Arc<str>,
        next: u64,
        people: Vec<Person>,
    },
    /// One has left a room.
    Exited {
        room: Arc<str>,
        why: String,
    },
    Joined {
        room: Arc<str>,
        name: Arc<str>,
    },
    Left {
        room: Arc<str>,
        name: Arc<str>,
        why: String,
    },
    Renamed {
        old: Arc<str>,
        new: Arc<str>,
    },
    /// One's own new name.
    Named {
        name: Arc<str>,
    },
    People {
        room: Arc<str>,
        people: Vec<Person>,
    },
    Rooms {
        rooms: Vec<RoomLine>,
    },
    /// Something was done.
    Done {
        text: String,
    },
    /// Something was not done.
    Refused {
        text: String,
    },
    /// The last words.
    End {
        text: String,
    },
}

/// One person in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Person {
    pub(crate) name: Arc<str>,
    /// The connection is lost, and the place kept.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) away: bool,
    pub(crate) role: Role,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature is serde's.
fn is_false(flag: &bool) -> bool {
    !flag
}

/// One room in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RoomLine {
    pub(crate) room: Arc<str>,
    pub(crate) people: usize,
}

/// Something that is told to one person or to many.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) told: Told,
    line: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
}

impl Event {
    /// To be told as often as wanted.
    #[must_use]
    pub(crate) fn new(told: Told) -> Arc<Self> {
        Arc::new(Self { told, line: OnceLock::new(), json: OnceLock::new() })
    }

    /// As a line, or several, each with its end.
    pub(crate) fn line(&self) -> Bytes {
        self.line.get_or_init(|| Bytes::from(self.told.line())).clone()
    }

    /// As `form` makes of its JSON: all callers have the same form.
    pub(crate) fn json(&self, form: impl FnOnce(Vec<u8>) -> Bytes) -> Bytes {
        self.json.get_or_init(|| form(serde_json::to_vec(&self.told).unwrap_or_default())).clone()
    }

    /// The part that it takes of its receiver's queue.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        WEIGHT + self.told.text_len()
    }
}

impl Told {
    fn text_len(&self) -> usize {
        match self {
            Self::Said { text, .. }
            | Self::Direct { text, .. }
            | Self::Sent { text, .. }
            | Self::Done { text }
            | Self::Refused { text }
            | Self::End { text } => text.len(),
            Self::Entered { people, .. } | Self::People { people, .. } => people.len() * 32,
            Self::Rooms { rooms } => rooms.len() * 48,
            Self::Exited { why, .. } | Self::Left { why, .. } => why.len(),
            Self::Welcome { .. }
            | Self::Resumed { .. }
            | Self::Accepted { .. }
            | Self::Joined { .. }
            | Self::Renamed { .. }
            | Self::Named { .. } => 0,
        }
    }

    /// For people: a message begins with `[`, the server's words with `*`, a refusal with `!`.
    fn line(&self) -> String {
        match self {
            Self::Welcome { name, token } => format!(
                "* welcome, you are {name}; try /join lobby, and /help\n* after a lost connection: /resume {token}\n"
            ),
            Self::Resumed { name, last_id } => {
                format!("* welcome back, {name}; the last ID that arrived is {last_id}\n")
            }
            Self::Said { room, seq, from, text, announcement, .. } => {
                format!("[{room} {seq}] {from}{} {text}\n", if *announcement { " announces:" } else { ":" })
            }
            Self::Direct { seq, from, text, .. } => format!("[@ {seq}] {from}: {text}\n"),
            Self::Sent { to, text, .. } => format!("* to {to}: {text}\n"),
            Self::Accepted { id, room, seq } => format!("* {id} is [{room} {seq}]\n"),
            Self::Entered { room, next, people } => {
                format!("* you are in {room}, the next message is {next}; {}\n", list(people))
            }
            Self::Exited { room, why } => format!("* you have left {room}{}\n", because(why)),
            Self::Joined { room, name } => format!("* {name} has joined {room}\n"),
            Self::Left { room, name, why } => format!("* {name} has left {room}{}\n", because(why)),
            Self::Renamed { old, new } => format!("* {old} is now {new}\n"),
            Self::Named { name } => format!("* you are {name} now\n"),
            Self::People { room, people } => format!("* in {room}: {}\n", list(people)),
            Self::Rooms { rooms } => table(rooms),
            Self::Done { text } => text.lines().fold(String::new(), |all, line| all + "* " + line + "\n"),
            Self::Refused { text } => format!("! {text}\n"),
            Self::End { text } => format!("* {text}\n"),
        }
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn list(people: &[Person]) -> String {
    let mut text = format!("{} here:", people.len());
    for person in people {
        let role = match person.role {
            Role::Member => "",
            Role::Moderator => " (moderator)",
            Role::Owner => " (owner)",
        };
        let away = if person.away { " (away)" } else { "" };
        let _ = write!(text, " {}{role}{away}", person.name);
    }
    text
}

fn table(rooms: &[RoomLine]) -> String {
    let mut text = format!("* {} rooms\n", rooms.len());
    for room in rooms {
        let _ = writeln!(text, "* {} {}", room.room, room.people);
    }
    text
}
