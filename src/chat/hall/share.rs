//! The things that other servers of a cluster are told.

use super::super::record::{Record, Role};
use serde::{Deserialize, Serialize};

/// Something that has happened on this server, and that others have to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Share {
    /// A person wants to say this. It is told when it comes back, in the order that all servers have ([`Hall::heard`](super::Hall::heard)).
    Said(Spoken),
    /// All there is to know of a person.
    Card(Card),
    /// A person is gone.
    Gone { name: String, why: String },
    /// A room is there.
    Opened { room: String },
    /// A room has made way for another.
    Forgotten { room: String },
    /// A person of that server has to leave a room.
    PutOut { server: String, room: String, name: String, why: String },
    /// Words for one person of that server, which answers with their number.
    Direct { server: String, to: String, from: String, text: String, at: u64, number: u64 },
    /// The name belongs to a person of this server, who knew the password.
    Taken { name: String },
    /// Something that lasts.
    Record(Record),
}

/// A message on its way to all servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spoken {
    /// The speaker's server, and its number of the message: by these it knows its own.
    pub(crate) server: String,
    pub(crate) id: u64,
    pub(crate) room: String,
    pub(crate) from: String,
    pub(crate) text: String,
    pub(crate) at: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) announcement: bool,
}

/// A person, as other servers know it. The whole of it each time, so that one that is lost does no lasting harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) name: String,
    /// The name until now, if it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) away: bool,
    /// The names of its rooms, and its part in each.
    pub(crate) rooms: Vec<(String, Role)>,
    /// Why it left the room that is no longer among these.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
}
