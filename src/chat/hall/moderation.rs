//! Order in a room: its owner makes moderators, and these put people out, keep them out, and keep them silent.
//!
//! A part in a room belongs to an account, so it lasts. A guest who opens a room, or finds one empty that has no owner, owns it until the
//! guest leaves. A ban is of a name, and of the person that has it: a guest who comes back on another connection under another name is
//! another person to us.

use super::{
    super::{
        command::Act,
        event::{Event, Told},
        limits::MAX_ENTRIES,
        name::key,
        record::{Limit, Record, Role},
    },
    Done, Hall, LOBBY, PersonId, Refused,
    room::Entry,
    seconds,
    talk::Words,
};
use crate::time::Now;
use std::time::Duration;

impl Hall {
    /// A person's part in a room.
    pub(super) fn role_of(&self, id: PersonId, room: &str) -> Role {
        let (Some(person), Some(at)) = (self.people.get(&id), self.rooms.get(room)) else { return Role::Member };
        if at.guest_owner == Some(id) {
            return Role::Owner;
        }
        if !person.logged_in {
            return Role::Member;
        }
        let name = key(&person.name);
        if room == LOBBY && self.lobby_owner.as_ref() == Some(&name) {
            return Role::Owner;
        }
        at.roles.get(&name).copied().unwrap_or(Role::Member)
    }

    /// A person has entered a room: it is the person's own if it was empty and has no owner.
    pub(super) fn found(&mut self, id: PersonId, key_of_room: &str) {
        let Some(person) = self.people.get(&id) else { return };
        let (name, logged_in) = (person.name.to_string(), person.logged_in);
        let Some(room) = self.rooms.get_mut(key_of_room) else { return };
        let others = self.company.people_in(key_of_room);
        if key_of_room == LOBBY || room.has_owner() || room.people.len() > 1 || !others.is_empty() {
            return;
        }
        if logged_in {
            self.give_role(key_of_room, &name, Role::Owner);
        } else {
            room.guest_owner = Some(id);
        }
    }

    /// Gives an account a part in a room, and keeps that.
    pub(super) fn give_role(&mut self, room: &str, name: &str, role: Role) {
        let Some(at) = self.rooms.get_mut(room) else { return };
        if role == Role::Member {
            at.roles.remove(&key(name));
        } else {
            at.roles.insert(key(name), role);
        }
        self.keep_everywhere(Record::Role { room: room.to_owned(), name: key(name), role });
        if let Ok(id) = self.named(name) {
            self.share_card(id, None, "");
        }
    }

    pub(super) fn announce(&mut self, id: PersonId, room: Option<&str>, text: &str, now: Now) -> Done {
        let at = self.meant(id, room)?;
        self.demand(id, &at, Role::Moderator)?;
        self.say(id, Words { room: Some(&at), number: None, text, announcement: true }, now)
    }

    pub(super) fn moderate(&mut self, id: PersonId, room: Option<&str>, act: Act<'_>, now: Now) -> Done {
        let at = self.meant(id, room)?;
        self.room(&at)?;
        match act {
            Act::Kick(name, why) => {
                let other = self.subject(id, &at, name)?;
                let why = self.by(id, "put out by", why);
                if other.is_none() && self.put_out_elsewhere(&at, name, &why) {
                    return Ok(());
                }
                let other = other.ok_or_else(|| Refused(format!("{name} is not here")))?;
                self.put_out(other, &at, &why, now).map_err(|_| format!("{name} is not in {at}").into())
            }
            Act::Limit(limit, name, time) => self.limit(id, &at, limit, name, time, now),
            Act::Lift(limit, name) => {
                self.demand(id, &at, Role::Moderator)?;
                if self.room_mut(&at)?.limits.remove(&(limit, key(name))).is_none() {
                    return Err(format!("{name} may do that already").into());
                }
                self.keep_everywhere(Record::Limit { room: at.clone(), name: key(name), limit, until: 0 });
                let text = format!("{name} may {} {at} again", if limit == Limit::Ban { "enter" } else { "speak in" });
                self.effects.tell(id, Told::Done { text });
                Ok(())
            }
            Act::Role(name, role) => {
                self.demand(id, &at, Role::Owner)?;
                if !self.is_registered(name) {
                    return Err(format!("{name} is not registered: only a registered name can be a moderator").into());
                }
                if self.room(&at)?.roles.get(&key(name)) == Some(&Role::Owner) {
                    return Err(format!("{at} belongs to {name}").into());
                }
                self.give_role(&at, name, role);
                let part = if role == Role::Member { "a member" } else { "a moderator" };
                self.tell_all(&at, format!("{name} is {part} of {at} now"));
                Ok(())
            }
        }
    }

    fn limit(&mut self, id: PersonId, at: &str, limit: Limit, name: &str, time: Duration, now: Now) -> Done {
        let other = self.subject(id, at, name)?;
        let until = seconds(now) + time.as_secs();
        let room = self.room_mut(at)?;
        room.limits.retain(|_, entry| entry.until > seconds(now));
        if room.limits.len() >= MAX_ENTRIES {
            return Err(format!("{at} has {MAX_ENTRIES} bans and mutes already: lift some").into());
        }
        room.limits.insert((limit, key(name)), Entry { until, person: other });
        self.keep_everywhere(Record::Limit { room: at.to_owned(), name: key(name), limit, until });
        let why = self.by(id, "banned by", "");
        self.impose(at, limit, (name, other), time, &why, now);
        Ok(())
    }

    /// Tells a room of a limit, and puts out a person who may not be there.
    pub(super) fn impose(
        &mut self,
        at: &str,
        limit: Limit,
        (name, other): (&str, Option<PersonId>),
        time: Duration,
        why: &str,
        now: Now,
    ) {
        let shown = humantime::format_duration(Duration::from_secs(time.as_secs()));
        match limit {
            Limit::Mute => self.tell_all(at, format!("{name} may not speak in {at} for {shown}")),
            Limit::Ban => {
                self.tell_all(at, format!("{name} may not enter {at} for {shown}"));
                if let Some(other) = other {
                    // Nothing is to be done if the person is elsewhere.
                    let _ = self.put_out(other, at, why, now);
                }
            }
        }
    }

    /// For how long a person may not do something in a room.
    pub(super) fn limited(
        &self,
        id: PersonId,
        room: &str,
        limit: Limit,
        now: Now,
    ) -> Option<humantime::FormattedDuration> {
        let name = key(&self.people.get(&id)?.name);
        let limits = &self.rooms.get(room)?.limits;
        let fits = |((kind, banned), entry): (&(Limit, String), &Entry)| {
            let meant = *kind == limit && (*banned == name || entry.person == Some(id));
            meant.then_some(entry.until)
        };
        let until = limits.iter().filter_map(fits).max()?;
        let left = until.checked_sub(seconds(now)).filter(|left| *left > 0)?;
        Some(humantime::format_duration(Duration::from_secs(left)))
    }

    /// The person of this name, if there is one, and if this one may moderate that one.
    fn subject(&self, id: PersonId, room: &str, name: &str) -> Result<Option<PersonId>, Refused> {
        self.demand(id, room, Role::Moderator)?;
        let own = self.role_of(id, room);
        let other = self.named(name).ok();
        let account = self.rooms.get(room).and_then(|room| room.roles.get(&key(name)).copied());
        let here = other.map_or_else(|| self.company.role(room, &key(name)), |other| self.role_of(other, room));
        let role = here.max(account.unwrap_or(Role::Member));
        if role >= own || other == Some(id) {
            return Err(format!("{name} is no less than you in {room}").into());
        }
        Ok(other)
    }

    fn demand(&self, id: PersonId, room: &str, least: Role) -> Done {
        if self.role_of(id, room) >= least {
            return Ok(());
        }
        let whose = if least == Role::Owner { "its owner" } else { "its owner and moderators" };
        Err(format!("that is for {whose}: you are a member of {room}").into())
    }

    fn by(&self, id: PersonId, how: &str, why: &str) -> String {
        let name = self.people.get(&id).map_or("", |person| &person.name);
        let why = super::super::name::clean(why);
        if why.is_empty() { format!("{how} {name}") } else { format!("{how} {name}: {why}") }
    }

    /// Tells all in a room, the one who acts included.
    pub(super) fn tell_all(&mut self, room: &str, text: String) {
        self.tell_room(room, &Event::new(Told::Done { text }), None);
    }
}
