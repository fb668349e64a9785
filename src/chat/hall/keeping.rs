//! Records on their way to the disk, and what is told when they are there.

use super::{
    super::{
        event::{Event, Told},
        limits::MAX_BACKLOG,
        name::key,
        record::{Archive, Record, Stored},
    },
    Account, Effect, Hall, PersonId, Share,
    room::{Entry, Kept, Room},
};
use crate::time::Now;
use std::{collections::VecDeque, sync::Arc};

/// How many records there were, and how many of them are written.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    made: u64,
    stored: u64,
    /// Told as soon as so many are written.
    waiting: VecDeque<(u64, PersonId, Arc<Event>)>,
    /// People who quit as soon as so many are written: the answers that they wait for come before the goodbye.
    quitting: VecDeque<(u64, PersonId)>,
}

impl Keeping {
    /// Answers and goodbyes that wait, and records that are not written.
    pub(super) fn waiting(&self) -> (usize, u64) {
        (self.waiting.len() + self.quitting.len(), self.made - self.stored)
    }

    /// The disk does not keep up.
    pub(super) fn is_full(&self) -> bool {
        self.made - self.stored >= MAX_BACKLOG
    }
}

impl Hall {
    /// More records are written: so many.
    pub(crate) fn stored(&mut self, records: u64, now: Now) {
        self.keeping.stored += records;
        while self.keeping.waiting.front().is_some_and(|(made, ..)| *made <= self.keeping.stored) {
            let Some((_, id, event)) = self.keeping.waiting.pop_front() else { break };
            self.effects.pass(id, event);
        }
        while self.keeping.quitting.front().is_some_and(|(made, _)| *made <= self.keeping.stored) {
            let Some((_, id)) = self.keeping.quitting.pop_front() else { break };
            self.quit(id, now);
        }
    }

    pub(super) fn quit_when_stored(&mut self, id: PersonId, now: Now) {
        let has_post = self.company.post.has_some_of(id);
        if let Some(person) = self.people.get_mut(&id) {
            person.quits = has_post || !person.passed_on.is_empty();
            if person.quits {
                return;
            }
        }
        if self.keeping.made == self.keeping.stored {
            return self.quit(id, now);
        }
        self.keeping.quitting.push_back((self.keeping.made, id));
    }

    /// Such a person says nothing more.
    pub(super) fn is_quitting(&self, id: PersonId) -> bool {
        let quits = self.people.get(&id).is_some_and(|person| person.quits);
        quits || self.keeping.quitting.iter().any(|(_, quitting)| *quitting == id)
    }

    pub(super) fn keep(&mut self, record: Record) {
        self.keeping.made += 1;
        self.effects.push(Effect::Record(Box::new(record)));
    }

    /// Tells a person when all that was kept so far is written.
    pub(super) fn tell_when_stored(&mut self, id: PersonId, told: Told) {
        if self.keeping.made == self.keeping.stored {
            return self.effects.tell(id, told);
        }
        self.keeping.waiting.push_back((self.keeping.made, id, Event::new(told)));
    }

    /// Keeps it, and has the other servers do the same.
    pub(super) fn keep_everywhere(&mut self, record: Record) {
        self.share(Share::Record(record.clone()));
        self.keep(record);
    }

    /// Takes over all that was kept.
    pub(super) fn restore(&mut self, archive: Archive, now: Now) {
        for (key, (name, hash)) in archive.accounts {
            self.accounts.insert(key, Account { name: name.into(), hash });
        }
        for (key, Stored { name, roles, limits, said }) in archive.rooms {
            let mut room = Room::new(&name, now.instant);
            room.roles = roles;
            room.limits = limits.into_iter().map(|(of, until)| (of, Entry { until, person: None })).collect();
            for record in said {
                room.take_back(record, self.limits.history);
            }
            self.rooms.insert(key, room);
        }
    }

    /// Whether a name is registered.
    pub(super) fn is_registered(&self, name: &str) -> bool {
        self.accounts.contains_key(&key(name))
    }
}

impl Room {
    /// A message of an earlier run.
    fn take_back(&mut self, record: Record, history: usize) {
        let Record::Said { seq, from, text, at, announcement, .. } = record else { return };
        self.next = seq + 1;
        let room = Arc::clone(&self.name);
        let event = Event::new(Told::Said { room, seq, from: from.into(), text, at, announcement });
        self.keep(Kept { seq, event, by: None }, history);
    }
}
