//! Rooms: how they come to be, who is in them, what they keep.

use super::{
    super::{
        event::{Event, Person, RoomLine, Told},
        limits::HISTORY_BYTES,
        name::key,
        record::{Limit, Record, Role},
    },
    Done, Hall, LOBBY, PersonId, Refused, Share,
    people::Joined,
};
use crate::time::{Instant, Now};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// One room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: Arc<str>,
    pub(super) people: BTreeSet<PersonId>,
    pub(super) history: VecDeque<Kept>,
    weight: usize,
    /// The number of the next message.
    pub(super) next: u64,
    /// When it was entered or left last.
    used: Instant,
    /// The parts of accounts in it, by the keys of their names.
    pub(super) roles: BTreeMap<String, Role>,
    /// A room without an owner belongs to the guest who found it empty, until that one leaves.
    pub(super) guest_owner: Option<PersonId>,
    /// Something was said that only this server knows, since the others were last met.
    pub(super) spoke_alone: bool,
    /// By kind and by the key of the name.
    pub(super) limits: BTreeMap<(Limit, String), Entry>,
}

/// A ban, or that a person may not speak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// In seconds since 1970.
    pub(super) until: u64,
    /// The one that had the name then: another name does not help.
    pub(super) person: Option<PersonId>,
}

/// A message in a room's history.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) seq: u64,
    pub(super) event: Arc<Event>,
    /// The speaker, if that was since the server began.
    pub(super) by: Option<PersonId>,
}

impl Room {
    pub(super) fn new(name: &str, now: Instant) -> Self {
        Self {
            name: name.into(),
            people: BTreeSet::new(),
            history: VecDeque::new(),
            weight: 0,
            next: 1,
            used: now,
            roles: BTreeMap::new(),
            guest_owner: None,
            spoke_alone: false,
            limits: BTreeMap::new(),
        }
    }

    /// Keeps a message, and lets the oldest go that are too many.
    pub(super) fn keep(&mut self, kept: Kept, most: usize) {
        self.weight += kept.event.weight();
        self.history.push_back(kept);
        while self.history.len() > most || self.weight > HISTORY_BYTES && self.history.len() > 1 {
            let Some(old) = self.history.pop_front() else { break };
            self.weight -= old.event.weight();
        }
    }

    pub(super) fn has_owner(&self) -> bool {
        self.guest_owner.is_some() || self.roles.values().any(|role| *role == Role::Owner)
    }

    /// Whether no person of this server needs it.
    fn is_spare(&self) -> bool {
        self.people.is_empty() && !self.has_owner() && key(&self.name) != LOBBY
    }
}

impl Hall {
    pub(super) fn join(&mut self, id: PersonId, name: &str, now: Now) -> Done {
        let key = key(name);
        let person = self.person(id)?;
        if person.is_in(&key) {
            return self.turn_to(id, &key);
        }
        if person.joined.len() >= self.limits.joined {
            return Err(format!("you are in {} rooms already: /leave one", self.limits.joined).into());
        }
        let name_of_person = Arc::clone(&person.name);
        if let Some(time) = self.limited(id, &key, Limit::Ban, now) {
            return Err(format!("you may not enter {name} for {time}").into());
        }
        self.open(&key, name, now)?;
        let most = self.limits.members;
        let room = self.room(&key)?;
        if room.people.len() + self.company.people_in(&key).len() >= most {
            return Err(format!("{name} is full").into());
        }
        let joined = Event::new(Told::Joined { room: Arc::clone(&room.name), name: name_of_person });
        self.tell_room(&key, &joined, None);
        let room = self.room_mut(&key)?;
        room.people.insert(id);
        room.used = now.instant;
        let next = room.next;
        self.found(id, &key);
        self.person_mut(id)?.joined.push(Joined { key: key.clone(), from: next });
        let entered = Told::Entered { room: Arc::clone(&self.room(&key)?.name), next, people: self.people_in(&key) };
        self.effects.tell(id, entered);
        let room = self.rooms.get(&key).ok_or("the room is gone")?;
        room.history.iter().for_each(|kept| self.effects.pass_again(id, Arc::clone(&kept.event)));
        self.share_card(id, None, "");
        self.say_if_alone(id);
        Ok(())
    }

    /// Makes a room that a person is in the current one.
    fn turn_to(&mut self, id: PersonId, key: &str) -> Done {
        let name = Arc::clone(&self.room(key)?.name);
        let person = self.person_mut(id)?;
        if let Some(at) = person.joined.iter().position(|joined| joined.key == key) {
            let joined = person.joined.remove(at);
            person.joined.push(joined);
        }
        self.effects.tell(id, Told::Done { text: format!("your words go to {name} now") });
        Ok(())
    }

    /// Makes sure that there is such a room.
    pub(super) fn open(&mut self, key: &str, name: &str, now: Now) -> Done {
        if self.rooms.contains_key(key) {
            return Ok(());
        }
        if self.rooms.len() >= self.limits.rooms {
            let spare = self.rooms.iter().filter(|(key, _)| self.is_spare(key)).min_by_key(|(_, room)| room.used);
            let Some(spare) = spare.map(|(key, _)| key.clone()) else {
                return Err(format!("there are {} rooms already, all in use", self.limits.rooms).into());
            };
            self.forget_room(&spare);
            self.share(Share::Forgotten { room: spare });
        }
        self.rooms.insert(key.to_owned(), Room::new(name, now.instant));
        self.share(Share::Opened { room: name.to_owned() });
        Ok(())
    }

    /// Whether a room may be forgotten to make place for another.
    pub(super) fn is_spare(&self, key: &str) -> bool {
        self.rooms.get(key).is_some_and(Room::is_spare) && self.company.people_in(key).is_empty()
    }

    pub(super) fn forget_room(&mut self, key: &str) {
        self.rooms.remove(key);
        self.keep(Record::Forgotten { room: key.to_owned() });
    }

    pub(super) fn room(&self, key: &str) -> Result<&Room, Refused> {
        self.rooms.get(key).ok_or_else(|| Refused(format!("there is no room {key}")))
    }

    pub(super) fn room_mut(&mut self, key: &str) -> Result<&mut Room, Refused> {
        self.rooms.get_mut(key).ok_or_else(|| Refused(format!("there is no room {key}")))
    }

    /// The key of the room that a person means: the named one, or the current one.
    pub(super) fn meant(&self, id: PersonId, room: Option<&str>) -> Result<String, Refused> {
        match room {
            Some(name) => Ok(key(name)),
            None => {
                let current = self.person(id)?.joined.last();
                Ok(current.ok_or("you are in no room: /join one first, as in /join lobby")?.key.clone())
            }
        }
    }

    pub(super) fn leave(&mut self, id: PersonId, room: Option<&str>, now: Now) -> Done {
        let key = self.meant(id, room)?;
        self.put_out(id, &key, "", now)
    }

    /// Takes a person out of a room; `why` is told to those who stay.
    pub(super) fn put_out(&mut self, id: PersonId, key: &str, why: &str, now: Now) -> Done {
        let person = self.person_mut(id)?;
        let before = person.joined.len();
        person.joined.retain(|joined| joined.key != key);
        if person.joined.len() == before {
            return Err(format!("you are not in {key}").into());
        }
        let name = Arc::clone(&person.name);
        let room = Arc::clone(&self.room(key)?.name);
        self.effects.tell(id, Told::Exited { room, why: why.to_owned() });
        self.go_out(id, key, &name, why, now);
        self.share_card(id, None, why);
        Ok(())
    }

    /// The room's part of it.
    pub(super) fn go_out(&mut self, id: PersonId, key: &str, name: &Arc<str>, why: &str, now: Now) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        room.people.remove(&id);
        room.used = now.instant;
        room.guest_owner.take_if(|owner| *owner == id);
        let left = Told::Left { room: Arc::clone(&room.name), name: Arc::clone(name), why: why.to_owned() };
        self.tell_room(key, &Event::new(left), None);
    }

    pub(super) fn people_in(&self, key: &str) -> Vec<Person> {
        let Some(room) = self.rooms.get(key) else { return Vec::new() };
        let shown = |id: &PersonId| {
            let person = self.people.get(id)?;
            let (name, away) = (Arc::clone(&person.name), person.away_until.is_some());
            Some(Person { name, away, role: self.role_of(*id, key) })
        };
        room.people.iter().filter_map(shown).chain(self.company.people_in(key).iter().cloned()).collect()
    }

    pub(super) fn list_rooms(&mut self, id: PersonId) -> Done {
        let line = |(key, room): (&String, &Room)| RoomLine {
            room: Arc::clone(&room.name),
            people: room.people.len() + self.company.people_in(key).len(),
        };
        let rooms = self.rooms.iter().map(line).collect();
        self.effects.tell(id, Told::Rooms { rooms });
        Ok(())
    }

    pub(super) fn list_people(&mut self, id: PersonId, room: Option<&str>) -> Done {
        let key = self.meant(id, room)?;
        let room = Arc::clone(&self.room(&key)?.name);
        let people = self.people_in(&key);
        self.effects.tell(id, Told::People { room, people });
        Ok(())
    }
}
