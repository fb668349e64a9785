//! The people of other servers: their names, their rooms, and what is done to them from here or to ours from there.

use super::{
    super::{
        event::{Event, Person, Told},
        name::{clean, is_name, key},
        record::Role,
    },
    Card, Hall, Share,
};
use crate::{session::CloseReason, time::Now};
use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::Arc,
};

/// People of other servers that are known: all servers of a cluster together have no more. Others are not shown here.
const MAX_OTHERS: usize = 100_000;

/// Rooms of one of them.
const MAX_ROOMS: usize = 100;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// By the key of the name.
    people: HashMap<String, Other>,
    /// By the key of the room.
    rooms: HashMap<String, Vec<Person>>,
}

#[derive(Debug)]
struct Other {
    server: String,
    name: Arc<str>,
    /// The keys of its rooms.
    rooms: BTreeSet<String>,
}

impl Others {
    pub(super) fn has(&self, key: &str) -> bool {
        self.people.contains_key(key)
    }

    pub(super) fn people_in(&self, key: &str) -> &[Person] {
        self.rooms.get(key).map_or(&[], Vec::as_slice)
    }

    /// All are forgotten. Returns the rooms in which somebody was.
    pub(super) fn clear(&mut self) -> Vec<String> {
        self.people.clear();
        mem::take(&mut self.rooms).into_keys().collect()
    }

    fn server_of(&self, name: &str) -> Option<String> {
        self.find(&key(name)).map(|(server, _)| server)
    }

    /// The server of the person with this key, and how the person writes the name.
    pub(super) fn find(&self, key: &str) -> Option<(String, Arc<str>)> {
        self.people.get(key).map(|other| (other.server.clone(), Arc::clone(&other.name)))
    }

    fn of(&self, server: &str) -> Vec<Arc<str>> {
        self.people.values().filter(|other| other.server == server).map(|other| Arc::clone(&other.name)).collect()
    }

    /// Takes a person out of the books. Returns the rooms that it was in.
    fn remove(&mut self, key: &str, server: &str) -> Option<Other> {
        let other = self.people.remove(key)?;
        if other.server != server {
            self.people.insert(key.to_owned(), other);
            return None;
        }
        for room in &other.rooms {
            let Some(people) = self.rooms.get_mut(room) else { continue };
            people.retain(|person| !person.name.eq_ignore_ascii_case(&other.name));
            if people.is_empty() {
                self.rooms.remove(room);
            }
        }
        Some(other)
    }
}

/// How loudly a change is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Volume {
    /// Each change by itself.
    Each,
    /// Nothing: it was so before, and this server did not know.
    Silent,
}

impl Hall {
    /// All there is to know of a person of another server. Returns the rooms that have another list of people now.
    pub(crate) fn other(&mut self, server: &str, card: Card, volume: Volume, now: Now) -> BTreeSet<String> {
        let Card { name, was, away, rooms, why } = card;
        let id = key(&name);
        if !is_name(&name) || !self.settle_name(server, &id) {
            return BTreeSet::new();
        }
        let others = &mut self.company.others;
        let before = others.remove(&key(was.as_deref().unwrap_or(&name)), server);
        if others.has(&id) || others.people.len() >= MAX_OTHERS {
            return BTreeSet::new();
        }
        let name: Arc<str> = name.into();
        let parts: Vec<_> = rooms.into_iter().take(MAX_ROOMS).filter(|(room, _)| is_name(room)).collect();
        let mut other = Other { server: server.to_owned(), name: Arc::clone(&name), rooms: BTreeSet::new() };
        for (room, role) in parts {
            self.follow(&room, now);
            if role == Role::Owner {
                self.settle_owner(server, &key(&room));
            }
            let person = Person { name: Arc::clone(&name), away, role };
            let people = self.company.others.rooms.entry(key(&room)).or_default();
            people.push(person);
            other.rooms.insert(key(&room));
        }
        let (old, mut was_in) = before.map_or((None, BTreeSet::new()), |before| (Some(before.name), before.rooms));
        if volume == Volume::Each {
            self.tell_change(old.as_ref(), (&name, &clean(&why)), &was_in, &other.rooms);
        }
        was_in.extend(other.rooms.iter().cloned());
        self.company.others.people.insert(id, other);
        was_in
    }

    /// Whether a person of another server may have the name with this key. Two servers may have given it at the same moment, or apart: the one
    /// whose name comes first in the alphabet keeps it.
    fn settle_name(&mut self, server: &str, id: &str) -> bool {
        let Some(own) = self.names.get(id).copied() else { return true };
        if self.company.me.as_str() < server {
            return false;
        }
        let name = self.free_name();
        let Some(person) = self.people.get_mut(&own) else { return true };
        person.logged_in = false;
        let old = Arc::clone(&person.name);
        self.refuse(own, format!("{old} is also the name of a person on another server, who keeps it"));
        self.call(own, &old, name);
        true
    }

    /// Two guests may have found the same room empty, on two servers at the same moment: one of them owns it.
    fn settle_owner(&mut self, server: &str, room: &str) {
        let Some(at) = self.rooms.get_mut(room) else { return };
        if let Some(own) = at.guest_owner.take_if(|_| server < self.company.me.as_str()) {
            self.share_card(own, None, "");
        }
    }

    fn tell_change(
        &mut self,
        old: Option<&Arc<str>>,
        (name, why): (&Arc<str>, &str),
        before: &BTreeSet<String>,
        after: &BTreeSet<String>,
    ) {
        if let Some(old) = old.filter(|old| *old != name) {
            let renamed = Event::new(Told::Renamed { old: Arc::clone(old), new: Arc::clone(name) });
            before.intersection(after).for_each(|room| self.tell_room(room, &renamed, None));
        }
        for key in after.difference(before) {
            let Some(room) = self.rooms.get(key).map(|room| Arc::clone(&room.name)) else { continue };
            self.tell_room(key, &Event::new(Told::Joined { room, name: Arc::clone(name) }), None);
        }
        for key in before.difference(after) {
            let Some(room) = self.rooms.get(key).map(|room| Arc::clone(&room.name)) else { continue };
            let left = Told::Left { room, name: Arc::clone(old.unwrap_or(name)), why: why.to_owned() };
            self.tell_room(key, &Event::new(left), None);
        }
    }

    /// People of other servers are as they are there from now on; those in the rooms hear who is there, once.
    pub(crate) fn others_at_once(&mut self, server: &str, cards: Vec<Card>, now: Now) {
        let mut changed = BTreeSet::new();
        for card in cards {
            changed.extend(self.other(server, card, Volume::Silent, now));
        }
        changed.iter().for_each(|key| self.show_people(key));
    }

    /// A person of another server is gone.
    pub(crate) fn other_gone(&mut self, server: &str, name: &str, why: &str) {
        let Some(other) = self.company.others.remove(&key(name), server) else { return };
        self.tell_change(Some(&other.name), (&other.name, &clean(why)), &other.rooms, &BTreeSet::new());
    }

    /// A whole server is gone. `None`: it tells at once who is there.
    pub(crate) fn server_gone(&mut self, server: &str, why: Option<&str>, now: Now) {
        self.give_up_post(Some(server), now);
        for name in self.company.others.of(server) {
            match why {
                Some(why) => self.other_gone(server, &name, why),
                None => drop(self.company.others.remove(&key(&name), server)),
            }
        }
    }

    /// A person of another server says something to one of this. Returns whether there is such a one.
    pub(crate) fn direct_from_elsewhere(&mut self, to: &str, from: &str, text: &str, at: u64) -> bool {
        let to = self.named(to).ok().filter(|_| is_name(from));
        to.is_some_and(|to| self.put_direct(to, from.into(), clean(text), at).is_ok())
    }

    /// Puts a person of another server out of a room. `false`: there is no such person.
    pub(super) fn put_out_elsewhere(&mut self, room: &str, name: &str, why: &str) -> bool {
        let is_there = self.company.people_in(room).iter().any(|person| person.name.eq_ignore_ascii_case(name));
        let Some(server) = self.company.others.server_of(name).filter(|_| is_there) else { return false };
        let (room, name, why) = (room.to_owned(), name.to_owned(), why.to_owned());
        self.share(Share::PutOut { server, room, name, why });
        true
    }

    /// A moderator of another server puts a person of this one out of a room.
    pub(crate) fn put_out_from_elsewhere(&mut self, room: &str, name: &str, why: &str, now: Now) {
        if let Ok(person) = self.named(name) {
            // Nothing is to be done if the person has left meanwhile.
            let _ = self.put_out(person, &key(room), &clean(why), now);
        }
    }

    /// A person of this server knew the password of a name: it is no longer that of another one elsewhere.
    pub(super) fn take_from_others(&mut self, name: &str) {
        if let Some(server) = self.company.others.server_of(name) {
            self.other_gone(&server, name, "");
            self.share(Share::Taken { name: name.to_owned() });
        }
    }

    /// A person of another server knew the password of a name.
    pub(crate) fn taken_elsewhere(&mut self, name: &str, now: Now) {
        let Ok(holder) = self.named(name) else { return };
        self.effects.tell(holder, Told::End { text: "you have logged in elsewhere".to_owned() });
        self.effects.end(holder, CloseReason::PeerAsked);
        self.forget(holder, "", now);
    }
}
