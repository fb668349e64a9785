//! Messages: to a room, or to one person.

use super::{
    super::{
        event::{Event, Told},
        limits::MAX_DIRECT,
        name::clean,
        record::{Limit, Record},
    },
    Done, Hall, PersonId, Refused,
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

/// A message on its way into a room.
#[derive(Debug)]
pub(super) struct Message {
    /// The speaker, of this server.
    pub(super) by: Option<PersonId>,
    /// The speaker's own number.
    pub(super) number: Option<u64>,
    pub(super) from: Arc<str>,
    pub(super) text: String,
    pub(super) at: u64,
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
        match words.number {
            // The answer comes when all servers have heard it.
            Some(number) if person.passed_on.contains(&number) => return Ok(()),
            Some(number) if number <= person.last_id() => return self.accept_again(id, number),
            _ => {}
        }
        if let Some(time) = self.limited(id, &key, Limit::Mute, now) {
            return Err(format!("you may not speak in {key} for {time}").into());
        }
        if self.keeping.is_full() {
            return Err("the server cannot write down what is said: try again later".into());
        }
        let message = Message {
            by: Some(id),
            number: words.number,
            from: Arc::clone(&self.person(id)?.name),
            text: clean(words.text),
            at: seconds(now),
            announcement: words.announcement,
        };
        if self.company.is_together() {
            return self.pass_on(id, &key, message);
        }
        let seq = self.room(&key)?.next;
        self.room_mut(&key)?.spoke_alone = true;
        self.deliver(&key, seq, message, false, now)
    }

    /// Tells a room a message, and keeps it. `again`: it is history, which people who are here now have asked for.
    pub(super) fn deliver(&mut self, key: &str, seq: u64, message: Message, again: bool, now: Now) -> Done {
        let Message { by, number, from, text, at, announcement } = message;
        let history = self.limits.history;
        let room = self.room_mut(key)?;
        room.next = seq + 1;
        let name = Arc::clone(&room.name);
        let record =
            Record::Said { room: name.to_string(), seq, from: from.to_string(), text: text.clone(), at, announcement };
        let event = Event::new(Told::Said { room: Arc::clone(&name), seq, from, text, at, announcement });
        room.keep(Kept { seq, event: Arc::clone(&event), by }, history);
        self.said += 1;
        self.keep(record);
        let silent = by.filter(|by| self.people.get(by).is_some_and(|person| !person.echo));
        if again {
            self.tell_room_again(key, &event, silent);
        } else {
            self.tell_room(key, &event, silent);
        }
        // The speaker may have left meanwhile.
        if let (Some(id), Some(number)) = (by, number)
            && let Some(person) = self.people.get_mut(&id)
        {
            person.remember(number, Arc::clone(&name), seq);
            let quits = person.quits;
            self.tell_when_stored(id, Told::Accepted { id: number, room: name, seq });
            if quits {
                self.quit_when_stored(id, now);
            }
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
        let (text, at) = (clean(text), seconds(now));
        let other = match self.named(to) {
            Ok(other) => other,
            Err(nobody) => return self.direct_elsewhere(id, to, (&from, &text), at, now).unwrap_or(Err(nobody)),
        };
        let to = self.put_direct(other, from, text.clone(), at)?;
        self.effects.tell(id, Told::Sent { to, text, at });
        Ok(())
    }

    /// Tells one person what another has said. Returns the name of the one.
    pub(super) fn put_direct(
        &mut self,
        to: PersonId,
        from: Arc<str>,
        text: String,
        at: u64,
    ) -> Result<Arc<str>, Refused> {
        let person = self.person_mut(to)?;
        let seq = person.next_direct;
        person.next_direct += 1;
        let event = Event::new(Told::Direct { seq, from, text, at });
        if person.direct.len() == MAX_DIRECT {
            person.direct.pop_front();
        }
        person.direct.push_back(Arc::clone(&event));
        let name = Arc::clone(&person.name);
        self.effects.pass(to, event);
        Ok(name)
    }
}
