//! The hall as one of several that behave as one: what is said here goes to all of them and is told when it comes back, in the order that
//! all have. Without the others, the hall goes on alone.
//!
//! ```text
//!              alone             together
//!   Starting ─────────▶ Alone ◀──────────▶ Together
//!       ╰─────────────────────────────────────▲
//! ```
//!
//! The number of a message is given by the store that all servers share, and each tells its people the messages of a room in the order of these
//! numbers. Alone, a server counts on by itself. When they meet again, a room in which nobody here has spoken meanwhile gets what others
//! have said; a room in which somebody has goes on behind the highest number of all, and what was said on each side stays there.

use super::{
    super::{
        event::{Event, Person, Told},
        name::{clean, is_name},
        record::Role,
    },
    Card, Done, Effect, Hall, PersonId, Share, Spoken,
    others::Others,
    post::Post,
    room::Room,
    talk::Message,
};
use crate::time::Now;
use std::{collections::VecDeque, mem, sync::Arc};

/// Messages that were passed on and have not come back. One more is refused: the store is slow, and memory is not there to wait for it.
const MAX_PENDING: usize = 10_000;

/// Said in each room when the other servers are lost, and to people who enter one while they are.
const ALONE: &str = "the other servers cannot be reached: for now, only people of this server hear each other";

/// Said in each room when they are back.
const TOGETHER: &str = "the other servers are back: all hear each other again";

/// The hall's place among others.
#[derive(Debug, Default)]
pub(super) struct Company {
    standing: Standing,
    /// The name of this server among the others.
    pub(super) me: String,
    pending: VecDeque<Pending>,
    /// Messages passed on so far.
    passed_on: u64,
    pub(super) others: Others,
    pub(super) post: Post,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// There are no others.
    #[default]
    Single,
    /// They were not met yet, and not missed either.
    Starting,
    Alone,
    Together,
}

/// A message that was passed on.
#[derive(Debug)]
struct Pending {
    id: u64,
    key: String,
    message: Message,
}

/// A room as the store has to know it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) room: String,
    pub(crate) next: u64,
    pub(crate) spoke_alone: bool,
}

impl Company {
    pub(super) fn is_together(&self) -> bool {
        self.standing == Standing::Together
    }

    /// Whether another server has a person of a name with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.others.has(key)
    }

    /// The people of other servers in a room.
    pub(super) fn people_in(&self, key: &str) -> &[Person] {
        self.others.people_in(key)
    }

    /// The part that a person of another server has in a room.
    pub(super) fn role(&self, room: &str, name: &str) -> Role {
        let found = self.people_in(room).iter().find(|person| person.name.eq_ignore_ascii_case(name));
        found.map_or(Role::Member, |person| person.role)
    }
}

impl Hall {
    /// From now on, this hall is one of several, under that name.
    pub(crate) fn join_company(&mut self, me: &str) {
        self.company.standing = Standing::Starting;
        me.clone_into(&mut self.company.me);
    }

    /// The others can be reached.
    pub(crate) fn together(&mut self) {
        if mem::replace(&mut self.company.standing, Standing::Together) == Standing::Alone {
            self.tell_rooms(TOGETHER);
        }
    }

    /// The others cannot be reached. Messages that were passed on and have not come back are told here.
    pub(crate) fn alone(&mut self, now: Now) {
        let was_together = mem::replace(&mut self.company.standing, Standing::Alone) == Standing::Together;
        for Pending { key, message, .. } in mem::take(&mut self.company.pending) {
            let Some(room) = self.rooms.get_mut(&key) else { continue };
            room.spoke_alone = true;
            let seq = room.next;
            // The room is there.
            let _ = self.deliver(&key, seq, message, false, now);
        }
        if was_together {
            self.tell_rooms(ALONE);
        }
        self.give_up_post(None, now);
        for key in self.company.others.clear() {
            self.show_people(&key);
        }
    }

    fn tell_rooms(&mut self, text: &str) {
        let event = Event::new(Told::Done { text: text.to_owned() });
        let rooms: Vec<String> = self.rooms.keys().cloned().collect();
        rooms.iter().for_each(|key| self.tell_room(key, &event, None));
    }

    /// A person who has entered a room hears that the others are missing.
    pub(super) fn say_if_alone(&mut self, id: PersonId) {
        if self.company.standing == Standing::Alone {
            self.effects.tell(id, Told::Done { text: ALONE.to_owned() });
        }
    }

    /// Tells the people of a room who is there.
    pub(super) fn show_people(&mut self, key: &str) {
        let Some(room) = self.rooms.get(key) else { return };
        let people = Told::People { room: Arc::clone(&room.name), people: self.people_in(key) };
        self.tell_room(key, &Event::new(people), None);
    }

    /// Tells the other servers, if there are any.
    pub(super) fn share(&mut self, share: Share) {
        let lasts = matches!(share, Share::Record(_));
        if self.company.is_together() || lasts && self.company.standing != Standing::Single {
            self.effects.push(Effect::Share(Box::new(share)));
        }
    }

    /// Tells them of a person.
    pub(super) fn share_card(&mut self, id: PersonId, was: Option<&str>, why: &str) {
        if self.company.is_together()
            && let Some(card) = self.card(id, was, why)
        {
            self.share(Share::Card(card));
        }
    }

    fn card(&self, id: PersonId, was: Option<&str>, why: &str) -> Option<Card> {
        let person = self.people.get(&id)?;
        let part = |key: &str| Some((self.rooms.get(key)?.name.to_string(), self.role_of(id, key)));
        Some(Card {
            name: person.name.to_string(),
            was: was.map(str::to_owned),
            away: person.away_until.is_some(),
            rooms: person.joined.iter().filter_map(|joined| part(&joined.key)).collect(),
            why: why.to_owned(),
        })
    }

    /// All people of this server.
    pub(crate) fn cards(&self) -> Vec<Card> {
        self.people.keys().filter_map(|id| self.card(*id, None, "")).collect()
    }

    /// All rooms.
    pub(crate) fn known_rooms(&self) -> Vec<Known> {
        let known = |room: &Room| Known { room: room.name.to_string(), next: room.next, spoke_alone: room.spoke_alone };
        self.rooms.values().map(known).collect()
    }

    /// The number of the next message in a room.
    pub(crate) fn next_in(&self, key: &str) -> Option<u64> {
        self.rooms.get(key).map(|room| room.next)
    }

    /// A message goes to all servers, this one included.
    pub(super) fn pass_on(&mut self, id: PersonId, key: &str, message: Message) -> Done {
        if self.company.pending.len() >= MAX_PENDING {
            return Err("the other servers cannot be told what is said: try again later".into());
        }
        self.company.passed_on += 1;
        let number = self.company.passed_on;
        let spoken = Spoken {
            server: self.company.me.clone(),
            id: number,
            room: self.room(key)?.name.to_string(),
            from: message.from.to_string(),
            text: message.text.clone(),
            at: message.at,
            announcement: message.announcement,
        };
        if let Some(own) = message.number {
            self.person_mut(id)?.passed_on.push_back(own);
        }
        self.company.pending.push_back(Pending { id: number, key: key.to_owned(), message });
        self.share(Share::Said(spoken));
        Ok(())
    }

    /// The store has this under that number; nothing: it has only counted so far. `again`: it was said before this server listened.
    pub(crate) fn heard(&mut self, key: &str, seq: u64, spoken: Option<Spoken>, again: bool, now: Now) {
        let Some(room) = self.rooms.get_mut(key).filter(|room| room.next <= seq) else { return };
        let message = match spoken {
            None => None,
            Some(spoken) if spoken.server == self.company.me => {
                let place = self.company.pending.iter().position(|pending| pending.id == spoken.id);
                // One that is not there was told when this server was alone.
                place.and_then(|place| self.company.pending.remove(place)).map(|pending| pending.message)
            }
            Some(Spoken { from, text, at, announcement, .. }) if is_name(&from) => {
                Some(Message { by: None, number: None, from: from.into(), text: clean(&text), at, announcement })
            }
            Some(_) => None,
        };
        room.next = seq + 1;
        if let Some(message) = message {
            // The room is there.
            let _ = self.deliver(key, seq, message, again, now);
        }
    }

    /// The highest number that the store has of a room in which somebody has spoken alone.
    pub(crate) fn go_on_behind(&mut self, key: &str, highest: u64) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        room.next = room.next.max(highest + 1);
        room.spoke_alone = false;
    }

    /// There is such a room on another server.
    pub(crate) fn follow(&mut self, name: &str, now: Now) {
        if is_name(name) {
            // Without a place for it, it is not heard here.
            let _ = self.open(&super::key(name), name, now);
        }
    }

    /// Another server has let a room go. Returns whether this one could do the same.
    pub(crate) fn let_room_go(&mut self, key: &str) -> bool {
        let is_spare = self.is_spare(key);
        if is_spare {
            self.forget_room(key);
        }
        is_spare
    }
}
