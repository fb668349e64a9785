//! The news that servers tell each other over channels, as JSON.

use super::super::hall::Card;
use serde::{Deserialize, Serialize};

/// The channel of all servers.
pub(super) const ALL: &str = "chat:all";

/// The channel of one server.
pub(super) fn to(server: &str) -> String {
    format!("chat:to:{server}")
}

/// News, and the server that tells it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Letter {
    /// The server.
    pub(super) by: String,
    pub(super) news: News,
}

/// Something that happens.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum News {
    /// There is more to read in a room.
    More {
        room: String,
    },
    /// There are more records.
    Records,
    /// The server is here, and wants to know who is there.
    Hello,
    /// The server is still here.
    Beat,
    /// The server stops.
    Bye,
    /// People of the server, some of all.
    People {
        cards: Vec<Card>,
    },
    /// One of them has changed.
    Person {
        card: Card,
    },
    Gone {
        name: String,
        why: String,
    },
    /// A room has made way for another.
    Forgotten {
        room: String,
    },
    PutOut {
        room: String,
        name: String,
        why: String,
    },
    Direct {
        to: String,
        from: String,
        text: String,
        at: u64,
        /// The answer has it, too.
        number: u64,
    },
    /// The answer to words for one person: the person has them.
    Arrived {
        number: u64,
    },
    /// The answer to words for one person: there is no such person.
    Missed {
        number: u64,
    },
    /// The name belongs to a person of the server.
    Taken {
        name: String,
    },
}

impl Letter {
    /// As it is sent.
    pub(super) fn written(by: &str, news: News) -> Vec<u8> {
        serde_json::to_vec(&Self { by: by.to_owned(), news }).unwrap_or_default()
    }

    /// One that is none is not for us: a later version may say more.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::record::Role, *};

    #[test]
    fn a_letter_comes_back_as_it_was_written() {
        let card = Card {
            name: "ann".to_owned(),
            was: None,
            away: true,
            rooms: vec![("tea".to_owned(), Role::Owner)],
            why: String::new(),
        };
        for news in [News::Hello, News::More { room: "tea".to_owned() }, News::People { cards: vec![card] }] {
            let written = Letter::written("a1", news);
            let read = Letter::read(&written).unwrap();
            assert_eq!(Letter::written(&read.by, read.news), written);
        }
        assert_eq!(Letter::read(b"{\"by\":\"a1\",\"news\":{\"kind\":\"dance\"}}"), None);
        assert_eq!(Letter::read(b"\xff"), None);
    }
}
