//! People: how they come, what they are called, how they go.

use super::{
    super::{event::Told, name::key},
    Done, Hall, PersonId, Refused, Share, Token,
};
use crate::time::{Instant, Now};
use std::{collections::VecDeque, sync::Arc};

/// Numbers of own messages that are remembered with the number that each got in its room.
const REMEMBERED: usize = 64;

/// One person.
#[derive(Debug)]
pub(super) struct Somebody {
    pub(super) name: Arc<str>,
    pub(super) token: Token,
    /// The connection is lost, and the place kept until then.
    pub(super) away_until: Option<Instant>,
    /// The last one is the current one.
    pub(super) joined: Vec<Joined>,
    /// Messages to this person, the latest of them.
    pub(super) direct: VecDeque<Arc<super::Event>>,
    pub(super) next_direct: u64,
    /// The first message to this person that was not handed to a connection, while away.
    pub(super) direct_from: u64,
    /// The last numbers of own messages, with those of their rooms.
    pub(super) sent: VecDeque<(u64, Arc<str>, u64)>,
    /// Numbers of own messages that the other servers were told, and that have not come back.
    pub(super) passed_on: VecDeque<u64>,
    /// Quits as soon as these are answered.
    pub(super) quits: bool,
    /// Own messages come back.
    pub(super) echo: bool,
    /// The name is that of an account, and the password was right.
    pub(super) logged_in: bool,
    /// Wrong passwords.
    pub(super) failures: u32,
}

/// A room that a person is in.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) key: String,
    /// The first message that was not handed to a connection, while away.
    pub(super) from: u64,
}

impl Somebody {
    pub(super) fn is_in(&self, key: &str) -> bool {
        self.joined.iter().any(|joined| joined.key == key)
    }

    /// The greatest number of an own message.
    pub(super) fn last_id(&self) -> u64 {
        self.sent.back().map_or(0, |(id, ..)| *id).max(self.passed_on.back().copied().unwrap_or(0))
    }

    pub(super) fn remember(&mut self, id: u64, room: Arc<str>, seq: u64) {
        self.passed_on.retain(|passed_on| *passed_on != id);
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((id, room, seq));
    }
}

impl Hall {
    /// A new person, with a name that may be changed.
    ///
    /// # Errors
    ///
    /// The hall has no place: in words for whoever wanted to come.
    pub(crate) fn arrive(&mut self, token: Token, now: Now) -> Result<PersonId, &'static str> {
        // A place that is kept for somebody makes way for somebody who is here.
        while self.people.len() >= self.limits.people
            && let Some((_, id)) = self.leaving.first().copied()
        {
            self.forget(id, "lost the connection", now);
        }
        if self.people.len() >= self.limits.people {
            return Err("the hall is full: try again later");
        }
        self.arrived += 1;
        let id = PersonId(self.arrived);
        let name = self.free_name();
        self.effects.tell(id, Told::Welcome { name: name.to_string(), token: token.0.clone() });
        self.names.insert(key(&name), id);
        self.tokens.insert(token.clone(), id);
        let person = Somebody {
            name,
            token,
            away_until: None,
            joined: Vec::new(),
            direct: VecDeque::new(),
            next_direct: 1,
            direct_from: 1,
            sent: VecDeque::new(),
            passed_on: VecDeque::new(),
            quits: false,
            echo: false,
            logged_in: false,
            failures: 0,
        };
        self.people.insert(id, person);
        self.share_card(id, None, "");
        Ok(id)
    }

    /// A name for a guest.
    pub(super) fn free_name(&self) -> Arc<str> {
        let is_free = |name: &String| {
            !self.names.contains_key(name) && !self.accounts.contains_key(name) && !self.company.has(name)
        };
        let names = (self.arrived..).map(|number| format!("guest-{number}"));
        names.into_iter().find(is_free).unwrap_or_default().into()
    }

    pub(super) fn person(&self, id: PersonId) -> Result<&Somebody, Refused> {
        self.people.get(&id).ok_or_else(|| Refused::from("you have left"))
    }

    pub(super) fn person_mut(&mut self, id: PersonId) -> Result<&mut Somebody, Refused> {
        self.people.get_mut(&id).ok_or_else(|| Refused::from("you have left"))
    }

    /// The person of this name.
    pub(super) fn named(&self, name: &str) -> Result<PersonId, Refused> {
        self.names.get(&key(name)).copied().ok_or_else(|| Refused(format!("{name} is not here")))
    }

    pub(super) fn rename(&mut self, id: PersonId, name: &str) -> Done {
        let old = Arc::clone(&self.person(id)?.name);
        match self.names.get(&key(name)) {
            Some(other) if *other != id => {
                let away = self.people.get(other).is_some_and(|person| person.away_until.is_some());
                let hint = if away { "; its owner lost the connection and may come back" } else { "" };
                return Err(format!("{name} is taken{hint}: choose another name").into());
            }
            _ if self.company.has(&key(name)) => return Err(format!("{name} is taken: choose another name").into()),
            _ => {}
        }
        let same = key(name) == key(&old);
        if !same && self.is_registered(name) {
            return Err(format!("{name} is registered: /login {name} PASSWORD, or choose another name").into());
        }
        if !same && self.person(id)?.logged_in {
            self.log_out(id);
        }
        self.call(id, &old, name.into());
        Ok(())
    }

    /// Gives a person another name, which is free.
    pub(super) fn call(&mut self, id: PersonId, old: &Arc<str>, new: Arc<str>) {
        self.names.remove(&key(old));
        self.names.insert(key(&new), id);
        let Some(person) = self.people.get_mut(&id) else { return };
        person.name = Arc::clone(&new);
        let rooms: Vec<String> = person.joined.iter().map(|joined| joined.key.clone()).collect();
        self.effects.tell(id, Told::Named { name: Arc::clone(&new) });
        let renamed = super::Event::new(Told::Renamed { old: Arc::clone(old), new });
        for room in rooms {
            // A person who shares several of these rooms hears it several times; that does no harm.
            self.tell_room(&room, &renamed, Some(id));
        }
        self.share_card(id, Some(old), "");
    }

    pub(super) fn echo(&mut self, id: PersonId, on: bool) -> Done {
        self.person_mut(id)?.echo = on;
        let text = if on { "your messages come back to you" } else { "your messages do not come back to you" };
        self.effects.tell(id, Told::Done { text: text.to_owned() });
        Ok(())
    }

    /// A person is gone for good.
    pub(super) fn forget(&mut self, id: PersonId, why: &str, now: Now) {
        let Some(person) = self.people.remove(&id) else { return };
        self.names.remove(&key(&person.name));
        self.tokens.remove(&person.token);
        if let Some(until) = person.away_until {
            self.leaving.remove(&(until, id));
        }
        for joined in &person.joined {
            self.go_out(id, &joined.key, &person.name, why, now);
        }
        self.share(Share::Gone { name: person.name.to_string(), why: why.to_owned() });
    }
}
