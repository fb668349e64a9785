//! A lost connection, and the way back: each message that was said meanwhile comes once, in order.
//!
//! Messages of a room are numbered. A client that names the last number it has seen of each room gets exactly what follows. Without numbers
//! it gets what was never handed to the old connection; what was on its way when that broke is not known to us, so only a client that
//! counts loses nothing and hears nothing twice.

use super::{
    super::{
        command::Seen,
        event::{Event, Told},
    },
    Done, Hall, PersonId, Token,
};
use crate::time::Now;
use std::sync::Arc;

/// In a list of what was seen: messages to one person.
const DIRECT: &str = "@";

impl Hall {
    /// The person that has this token.
    #[must_use]
    pub(crate) fn holder(&self, token: &str) -> Option<PersonId> {
        self.tokens.get(&Token(token.to_owned())).copied()
    }

    /// A person's connection is gone. `untold`: what was never handed to it, in order.
    pub(crate) fn lose<'e>(&mut self, id: PersonId, untold: impl IntoIterator<Item = &'e Arc<Event>>, now: Now) {
        let is_quitting = self.is_quitting(id);
        let Some(person) = self.people.get_mut(&id) else { return };
        if person.away_until.is_some() {
            return;
        }
        if is_quitting || person.joined.is_empty() && !person.logged_in {
            // There is nothing to come back to.
            return self.forget(id, "", now);
        }
        person.direct_from = person.next_direct;
        for joined in &mut person.joined {
            joined.from = self.rooms.get(&joined.key).map_or(1, |room| room.next);
        }
        for event in untold {
            match &event.told {
                Told::Said { room, seq, .. } => {
                    let joined = person.joined.iter_mut().find(|joined| joined.key.eq_ignore_ascii_case(room));
                    joined.into_iter().for_each(|joined| joined.from = joined.from.min(*seq));
                }
                Told::Direct { seq, .. } => person.direct_from = person.direct_from.min(*seq),
                _ => {}
            }
        }
        person.away_until = Some(now.instant);
        self.leaving.insert((now.instant, id));
        self.wait_from(id, now);
        self.share_card(id, None, "");
    }

    /// The place of a person who is away is kept for its whole time from now on.
    pub(crate) fn wait_from(&mut self, id: PersonId, now: Now) {
        let Some(until) = self.people.get_mut(&id).and_then(|person| person.away_until.as_mut()) else { return };
        self.leaving.remove(&(*until, id));
        *until = now.instant + self.limits.resume;
        self.leaving.insert((*until, id));
    }

    /// The connection of `id` becomes that of the token's holder, whose own connection is gone by now.
    pub(super) fn resume(&mut self, id: PersonId, token: &str, seen: &[Seen<'_>], now: Now) -> Done {
        let Some(holder) = self.holder(token).filter(|holder| *holder != id) else {
            return Err("nobody has this token: too much time has passed, or the server was restarted".into());
        };
        if !self.person(id)?.joined.is_empty() {
            return Err("/resume comes first on a connection: /leave your rooms".into());
        }
        self.forget(id, "", now);
        self.effects.replace(id, holder);
        let person = self.person_mut(holder)?;
        let until = person.away_until.take();
        let (name, last_id) = (person.name.to_string(), person.last_id());
        let seen_of =
            |name: &str| seen.iter().find(|seen| seen.room.eq_ignore_ascii_case(name)).map(|seen| seen.seq + 1);
        let direct_from = seen_of(DIRECT).unwrap_or(person.direct_from);
        let (echo, first) = (person.echo, person.next_direct - person.direct.len() as u64);
        let direct: Vec<_> = person.direct.iter().skip(direct_from.saturating_sub(first) as usize).cloned().collect();
        let rooms: Vec<_> = person
            .joined
            .iter()
            .map(|joined| (joined.key.clone(), seen_of(&joined.key).unwrap_or(joined.from)))
            .collect();
        if let Some(until) = until {
            self.leaving.remove(&(until, holder));
        }
        self.share_card(holder, None, "");
        // It is one answer to one command: however much of the queue it would take, it has a place.
        self.effects.tell_again(holder, Told::Resumed { name, last_id });
        if direct_from < first {
            let text = format!("{} messages to you are no longer kept", first - direct_from);
            self.effects.tell_again(holder, Told::Refused { text });
        }
        direct.into_iter().for_each(|event| self.effects.pass_again(holder, event));
        for (key, from) in rooms {
            self.replay(holder, &key, from, echo);
        }
        Ok(())
    }

    /// Tells what was said in a room from a number on.
    fn replay(&mut self, id: PersonId, key: &str, from: u64, echo: bool) {
        let people = self.people_in(key);
        let Some(room) = self.rooms.get(key) else { return };
        self.effects.tell_again(id, Told::People { room: Arc::clone(&room.name), people });
        let first = room.history.front().map_or(room.next, |kept| kept.seq);
        if from < first {
            let text = format!("{} messages in {} are no longer kept", first - from, room.name);
            self.effects.tell_again(id, Told::Refused { text });
        }
        for kept in room.history.iter().filter(|kept| kept.seq >= from && (echo || kept.by != Some(id))) {
            self.effects.pass_again(id, Arc::clone(&kept.event));
        }
    }
}
