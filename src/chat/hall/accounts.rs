//! Registered names: a password keeps a name for those who know it.
//!
//! The hash of a password takes a tenth of a second and 19 MiB, on purpose, so it is not computed here: the hall asks, and is told.

use super::{
    super::{
        event::Told,
        limits::MAX_FAILURES,
        name::key,
        record::{Record, Role},
    },
    Account, Ask, Done, Effect, Hall, LOBBY, PersonId, Verdict,
};
use crate::{session::CloseReason, time::Now};
use std::sync::Arc;

impl Hall {
    /// Keeps the name that a person has.
    pub(super) fn register(&mut self, id: PersonId, password: &str) -> Done {
        let person = self.person(id)?;
        let name = person.name.to_string();
        if person.logged_in || self.is_registered(&name) {
            return Err(format!("{name} is registered already").into());
        }
        if name.starts_with("guest-") {
            return Err("take a name of your own first: /nick NAME".into());
        }
        if self.accounts.len() >= self.limits.accounts {
            return Err("no more names can be registered".into());
        }
        self.effects.push(Effect::Ask(id, Ask::Hash { name, password: password.to_owned() }));
        Ok(())
    }

    /// Takes a name that is registered.
    pub(super) fn log_in(&mut self, id: PersonId, name: &str, password: &str) -> Done {
        let account = self.accounts.get(&key(name)).ok_or_else(|| format!("{name} is not registered"))?;
        let (name, hash, password) = (account.name.to_string(), account.hash.clone(), password.to_owned());
        self.effects.push(Effect::Ask(id, Ask::Verify { name, hash, password }));
        Ok(())
    }

    /// The answer to an [`Ask`] of a person.
    pub(crate) fn judged(&mut self, id: PersonId, verdict: Verdict, now: Now) {
        let Some(person) = self.people.get_mut(&id) else { return };
        match verdict {
            Verdict::Busy => self.refuse(id, "too many others log in just now: try again"),
            Verdict::Wrong => {
                person.failures += 1;
                let last = person.failures >= MAX_FAILURES;
                self.refuse(id, "that is not the password");
                if last {
                    self.effects.tell(id, Told::End { text: "too many wrong passwords: goodbye".to_owned() });
                    self.effects.end(id, CloseReason::Protocol("too many wrong passwords"));
                    self.forget(id, "", now);
                }
            }
            Verdict::Hashed { name, hash } => self.registered(id, &name, hash),
            Verdict::Right { name } => self.logged_in(id, &name, now),
        }
    }

    /// The hash for a name is there. Meanwhile its person may have come back elsewhere and taken another name, or another one has
    /// registered it.
    fn registered(&mut self, id: PersonId, name: &str, hash: String) {
        let Some(person) = self.people.get_mut(&id).filter(|person| *person.name == *name) else { return };
        if self.accounts.contains_key(&key(name)) {
            return self.refuse(id, format!("{name} is registered already"));
        }
        person.logged_in = true;
        let owns_lobby = self.accounts.is_empty() && self.lobby_owner.is_none();
        self.accounts.insert(key(name), Account { name: name.into(), hash: hash.clone() });
        self.keep_everywhere(Record::Account { name: name.to_owned(), hash });
        let mut text = format!("{name} is yours: next time, /login {name} PASSWORD");
        if owns_lobby {
            self.give_role(LOBBY, name, Role::Owner);
            text.push_str("\nyours is the first name here, so the lobby is yours, too");
        }
        self.tell_when_stored(id, Told::Done { text });
    }

    /// The password was right: the name is this person's, whoever has it now.
    fn logged_in(&mut self, id: PersonId, name: &str, now: Now) {
        let holder = self.named(name).unwrap_or(id);
        if holder != id {
            self.effects.tell(holder, Told::End { text: "you have logged in elsewhere".to_owned() });
            self.effects.end(holder, CloseReason::PeerAsked);
            self.forget(holder, "", now);
        }
        self.take_from_others(name);
        let Some(person) = self.people.get_mut(&id) else { return };
        (person.logged_in, person.failures) = (true, 0);
        let old = Arc::clone(&person.name);
        if *old != *name {
            self.call(id, &old, name.into());
        }
        self.effects.tell(id, Told::Done { text: format!("you are logged in as {name}") });
    }

    /// A person takes a name that is not the account's.
    pub(super) fn log_out(&mut self, id: PersonId) {
        let Some(person) = self.people.get_mut(&id) else { return };
        person.logged_in = false;
        self.effects.tell(id, Told::Done { text: "you are no longer logged in".to_owned() });
    }
}
