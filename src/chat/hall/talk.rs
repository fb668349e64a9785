//! Messages: to a room, or to one person.

use super::{
    super::{
        event::{Event, Told},
        limits::MAX_DIRECT,
        name::{clean, key},
    },
    Done, Hall, PersonId,
    room::Kept,
    seconds,
};
use crate::time::Now;
use std::sync::Arc;

impl Hall {
    /// Says something in the current room.
    pub(super) fn say_here(&mut self, id: PersonId, text: &str, now: Now) -> Done {
        let room = self.meant(id, None)?;
        self.say(id, &room, None, text, now)
    }

    /// Says something in a room, to all but the speaker. With a `number` it is said once, however often it comes.
    pub(super) fn say(&mut self, id: PersonId, room: &str, number: Option<u64>, text: &str, now: Now) -> Done {
        let key = key(room);
        let person = self.person(id)?;
        if !person.is_in(&key) {
            return Err(format!("you are not in {room}: /join it first").into());
        }
        if let Some(number) = number.filter(|number| *number <= person.last_id()) {
            return self.accept_again(id, number);
        }
        let (from, echo) = (Arc::clone(&person.name), person.echo);
        let history = self.limits.history;
        let room = self.room_mut(&key)?;
        let seq = room.next;
        room.next += 1;
        let name = Arc::clone(&room.name);
        let said = Told::Said { room: Arc::clone(&name), seq, from, text: clean(text), at: seconds(now) };
        let event = Event::new(said);
        room.keep(Kept { seq, event: Arc::clone(&event), by: Some(id) }, history);
        self.said += 1;
        self.tell_room(&key, &event, Some(id).filter(|_| !echo));
        if let Some(number) = number {
            self.person_mut(id)?.remember(number, Arc::clone(&name), seq);
            self.effects.tell(id, Told::Accepted { id: number, room: name, seq });
        }
        Ok(())
    }

    /// The answer to a repetition.
    fn accept_again(&mut self, id: PersonId, number: u64) -> Done {
        let sent = self.person(id)?.sent.iter().find(|(sent, ..)| *sent == number);
        let Some((number, room, seq)) = sent.cloned() else {
            return Err("the ID of a message must be greater than that of the one before".into());
        };
        self.effects.tell(id, Told::Accepted { id: number, room, seq });
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
