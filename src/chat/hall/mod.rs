//! The hall: people, rooms, and what is said. Pure: commands and time come in, effects go out.
//!
//! ```text
//!   arrive, command, lose, expire, stored, judged  ──▶  Hall  ──▶  effects, in the order in which they have to happen
//! ```
//!
//! A [`PersonId`] stays the same over several connections: a person whose connection is lost is *away*, keeps name and rooms for
//! [`Limits::resume`], and comes back with a token (`resume`).

mod accounts;
mod company;
mod effects;
mod keeping;
mod learned;
mod moderation;
mod others;
mod people;
mod post;
mod resume;
mod room;
mod share;
mod talk;
#[cfg(test)]
mod tests;

pub(crate) use company::Known;
pub(crate) use effects::{Ask, Effect, PersonId, Token, Verdict};
pub(crate) use others::Volume;
pub(crate) use share::{Card, Share, Spoken};

use super::{
    census::Census,
    command::{Command, HELP},
    event::{Event, Told},
    limits::Limits,
    name::key,
    record::Archive,
};
use crate::{
    session::CloseReason,
    time::{Instant, Now},
};
use company::Company;
use effects::Effects;
use keeping::Keeping;
use people::Somebody;
use room::Room;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::SystemTime,
};
use talk::Words;

/// The room that is always there.
pub(crate) const LOBBY: &str = "lobby";

/// All that a server knows of its people.
#[derive(Debug)]
pub(crate) struct Hall {
    limits: Limits,
    /// By the key of its name: in this order they are listed.
    rooms: BTreeMap<String, Room>,
    people: HashMap<PersonId, Somebody>,
    /// By the key of the name.
    names: HashMap<String, PersonId>,
    tokens: HashMap<Token, PersonId>,
    /// People that are away, and until when.
    leaving: BTreeSet<(Instant, PersonId)>,
    /// For the names of guests, and for identities.
    arrived: u64,
    effects: Effects,
    /// Messages said so far.
    said: u64,
    /// By the key of the name.
    accounts: HashMap<String, Account>,
    /// The key of the name of the account that owns the lobby, if it is told.
    lobby_owner: Option<String>,
    keeping: Keeping,
    company: Company,
}

/// A registered name.
#[derive(Debug)]
struct Account {
    name: Arc<str>,
    /// Of its password.
    hash: String,
}

/// A hall in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) people: usize,
    pub(crate) away: usize,
    pub(crate) rooms: usize,
    pub(crate) said: u64,
}

impl Hall {
    /// A hall with all that was kept of the last one, and with its lobby, which belongs to the account of this name.
    #[must_use]
    pub(crate) fn new(limits: Limits, archive: Archive, lobby_owner: Option<&str>, now: Now) -> Self {
        let mut hall = Self {
            limits,
            rooms: BTreeMap::new(),
            people: HashMap::new(),
            names: HashMap::new(),
            tokens: HashMap::new(),
            leaving: BTreeSet::new(),
            arrived: 0,
            effects: Effects::default(),
            said: 0,
            accounts: HashMap::new(),
            lobby_owner: lobby_owner.map(key),
            keeping: Keeping::default(),
            company: Company::default(),
        };
        hall.restore(archive, now);
        hall.rooms.entry(LOBBY.to_owned()).or_insert_with(|| Room::new(LOBBY, now.instant));
        hall
    }

    /// Takes what has to happen now.
    pub(crate) fn take_effects(&mut self, into: &mut Vec<Effect>) {
        self.effects.take(into);
    }

    /// One line of a person.
    pub(crate) fn command(&mut self, id: PersonId, command: Command<'_>, now: Now) {
        if self.is_quitting(id) {
            return;
        }
        let done = match command {
            Command::Blank => Ok(()),
            Command::Say(text) => self.say(id, Words { room: None, number: None, text, announcement: false }, now),
            Command::Send(room, number, text) => {
                self.say(id, Words { room: Some(room), number: Some(number), text, announcement: false }, now)
            }
            Command::Announce(room, text) => self.announce(id, room, text, now),
            Command::Moderate(room, act) => self.moderate(id, room, act, now),
            Command::Register(password) => self.register(id, password),
            Command::Login(name, password) => self.log_in(id, name, password),
            Command::Nick(name) => self.rename(id, name),
            Command::Join(room) => self.join(id, room, now),
            Command::Leave(room) => self.leave(id, room, now),
            Command::Rooms => self.list_rooms(id),
            Command::People(room) => self.list_people(id, room),
            Command::Direct(to, text) => self.direct(id, to, text, now),
            Command::Echo(on) => self.echo(id, on),
            Command::Resume(token, seen) => self.resume(id, token, &seen, now),
            Command::Help => {
                self.effects.tell(id, Told::Done { text: HELP.to_owned() });
                Ok(())
            }
            Command::Quit => {
                self.quit_when_stored(id, now);
                Ok(())
            }
        };
        if let Err(Refused(text)) = done {
            self.refuse(id, text);
        }
    }

    fn quit(&mut self, id: PersonId, now: Now) {
        self.effects.tell(id, Told::End { text: "goodbye".to_owned() });
        self.effects.end(id, CloseReason::PeerAsked);
        self.forget(id, "", now);
    }

    /// A line of a person that was not understood.
    pub(crate) fn refuse(&mut self, id: PersonId, text: impl Into<String>) {
        self.effects.tell(id, Told::Refused { text: text.into() });
    }

    /// People whose time to come back has passed are gone.
    pub(crate) fn expire(&mut self, now: Now) {
        while let Some((until, id)) = self.leaving.first().copied()
            && until <= now.instant
        {
            self.forget(id, "lost the connection", now);
        }
        self.expire_post(now);
    }

    /// The hall in numbers.
    #[must_use]
    pub(crate) fn numbers(&self) -> Numbers {
        let away = self.leaving.len();
        Numbers { people: self.people.len() - away, away, rooms: self.rooms.len(), said: self.said }
    }

    /// The numbers of all that it holds.
    pub(crate) fn census(&self) -> Census {
        let away = self.leaving.len();
        let (waiting, unwritten) = self.keeping.waiting();
        Census {
            people: self.people.len() - away,
            away,
            members: self.rooms.values().map(|room| room.people.len()).sum(),
            names: self.names.len(),
            tokens: self.tokens.len(),
            waiting,
            unwritten,
            ..Census::default()
        }
    }

    /// As [`Self::tell_room`], of a message that is history.
    fn tell_room_again(&mut self, key: &str, event: &Arc<Event>, except: Option<PersonId>) {
        let Some(room) = self.rooms.get(key) else { return };
        for id in room.people.iter().filter(|id| Some(**id) != except) {
            self.effects.pass_again(*id, Arc::clone(event));
        }
    }

    /// Tells everybody in a room, but for `except`.
    fn tell_room(&mut self, key: &str, event: &Arc<Event>, except: Option<PersonId>) {
        let Some(room) = self.rooms.get(key) else { return };
        for id in room.people.iter().filter(|id| Some(**id) != except) {
            self.effects.pass(*id, Arc::clone(event));
        }
    }
}

/// Why a command was not carried out, in words for the person.
#[derive(Debug, PartialEq, Eq)]
struct Refused(String);

impl From<&str> for Refused {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Refused {
    fn from(text: String) -> Self {
        Self(text)
    }
}

type Done = Result<(), Refused>;

/// Seconds since 1970, for what is shown and stored.
fn seconds(now: Now) -> u64 {
    now.wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
