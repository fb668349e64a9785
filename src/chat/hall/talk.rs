//! Messages: to a room, or to one person.

use super::{
    super::{
        event::{Event, Told},
        limits::MAX_DIRECT,
        name::clean,
        record::{Limit, Record},
    },
    Done, Hall, PersonId,
    room::Kept,
    seconds,
};
use crate::time::Now;
use std::sync::Arc;

/// Something that a person wants to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'w> {
    /// `None`: the current room.
    pub(super) room: Option<&'w str>,
    /// The speaker's own number.
    pub(super) number: Option<u64>,
    pub(super) text: &'w str,
    pub(super) announcement: bool,
}

impl Hall {
    /// Says something in a room, to all but the speaker. With a number it is said once, however often it comes.
    pub(super) fn say(&mut self, id: PersonId, words: Words<'_>, now: Now) -> Done {
        let key = self.meant(id, words.room)?;
        let person = self.person(id)?;
        if !person.is_in(&key) {
            return Err(format!("you are not in {key}: /join it first").into());
        }
        if let Some(number) = words.number.filter(|number| *number <= person.last_id()) {
            return self.accept_again(id, number);
        }
        if let Some(time) = self.limited(id, &key, Limit::Mute, now) {
            return Err(format!("you may not speak in {key} for {time}").into());
        }
        if self.keeping.is_full() {
            return Err("the server cannot write down what is said: try again later".into());
        }
        let person = self.person(id)?;
        let (from, echo) = (Arc::clone(&person.name), person.echo);
        let (text, at, announcement) = (clean(words.text), seconds(now), words.announcement);
        let history = self.limits.history;
        let room = self.room_mut(&key)?;
        let seq = room.next;
        room.next += 1;
        let name = Arc::clone(&room.name);
        let record =
            Record::Said { room: name.to_string(), seq, from: from.to_string(), text: text.clone(), at, announcement };
        let event = Event::new(Told::Said { room: Arc::clone(&name), seq, from, text, at, announcement });
        room.keep(Kept { seq, event: Arc::clone(&event), by: Some(id) }, history);
        self.said += 1;
        self.keep(record);
        self.tell_room(&key, &event, Some(id).filter(|_| !echo));
        if let Some(number) = words.number {
            self.person_mut(id)?.remember(number, Arc::clone(&name), seq);
            self.tell_when_stored(id, Told::Accepted { id: number, room: name, seq });
        }
        Ok(())
    }

    /// The answer to a repetition.
    fn accept_again(&mut self, id: PersonId, number: u64) -> Done {
        let sent = self.person(id)?.sent.iter().find(|(sent, ..)| *sent == number);
        let Some((number, room, seq)) = sent.cloned() else {
            return Err("the ID of a message must be greater than that of the one before".into());
        };
        // Behind its record, if that is still to be written.
        self.tell_when_stored(id, Told::Accepted { id: number, room, seq });
        Ok(())
    }

    /// Says something to one person.
    pub(super) fn direct(&mut self, id: PersonId, to: &str, text: &str, now: Now) -> Done {
        let from = Arc::clone(&self.person(id)?.name);
        let other = self.named(to)?;
        let (text, at) = (clean(text), seconds(now));
        let person = self.person_mut(other)?;
        let seq = person.next_direct;
        person.next_direct += 1;
        let event = Event::new(Told::Direct { seq, from, text: text.clone(), at });
        if person.direct.len() == MAX_DIRECT {
            person.direct.pop_front();
        }
        person.direct.push_back(Arc::clone(&event));
        let to = Arc::clone(&person.name);
        self.effects.pass(other, event);
        self.effects.tell(id, Told::Sent { to, text, at });
        Ok(())
    }
}
