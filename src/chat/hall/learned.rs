//! Things that last and were decided on another server: accounts, parts in rooms, bans and mutes.

use super::{
    super::{
        name::{is_name, key},
        record::{Limit, Record, Role},
    },
    Account, Hall,
    room::Entry,
    seconds,
};
use crate::time::Now;
use std::time::Duration;

impl Hall {
    /// Another server has decided this. It is kept here, too, if it is news.
    pub(crate) fn learn(&mut self, record: Record, now: Now) {
        match &record {
            Record::Account { name, hash } => {
                let known = self.accounts.get(&key(name)).is_some_and(|account| account.hash == *hash);
                if known || !is_name(name) || self.accounts.len() >= self.limits.accounts {
                    return;
                }
                self.accounts.insert(key(name), Account { name: name.as_str().into(), hash: hash.clone() });
            }
            Record::Role { room, name, role } => {
                if !self.learn_role(room, &key(name), *role, now) {
                    return;
                }
            }
            Record::Limit { room, name, limit, until } => {
                if !self.learn_limit(room, name, *limit, *until, now) {
                    return;
                }
            }
            Record::Said { .. } | Record::Forgotten { .. } | Record::Kept {} => return,
        }
        self.keep(record);
    }

    fn learn_role(&mut self, room: &str, name: &str, role: Role, now: Now) -> bool {
        self.follow(room, now);
        let Some(at) = self.rooms.get_mut(&key(room)) else { return false };
        let is_news = match role {
            Role::Member => at.roles.remove(name).is_some(),
            role => at.roles.insert(name.to_owned(), role) != Some(role),
        };
        if let Ok(id) = self.named(name) {
            self.share_card(id, None, "");
        }
        is_news
    }

    fn learn_limit(&mut self, room: &str, name: &str, limit: Limit, until: u64, now: Now) -> bool {
        let person = self.named(name).ok();
        self.follow(room, now);
        let Some(at) = self.rooms.get_mut(&key(room)) else { return false };
        let place = (limit, key(name));
        if until == 0 {
            return at.limits.remove(&place).is_some();
        }
        let left = until.saturating_sub(seconds(now));
        if left == 0 || at.limits.get(&place).is_some_and(|entry| entry.until == until) {
            return false;
        }
        at.limits.insert(place, Entry { until, person });
        self.impose(&key(room), limit, (name, person), Duration::from_secs(left), "banned", now);
        true
    }

    /// All that lasts and that other servers have to know.
    pub(crate) fn lasting(&self) -> Vec<Record> {
        let accounts = self
            .accounts
            .values()
            .map(|account| Record::Account { name: account.name.to_string(), hash: account.hash.clone() });
        let mut all: Vec<Record> = accounts.collect();
        for (room, at) in &self.rooms {
            let role =
                |(name, role): (&String, &Role)| Record::Role { room: room.clone(), name: name.clone(), role: *role };
            all.extend(at.roles.iter().map(role));
            let limit = |((limit, name), entry): (&(Limit, String), &Entry)| Record::Limit {
                room: room.clone(),
                name: name.clone(),
                limit: *limit,
                until: entry.until,
            };
            all.extend(at.limits.iter().map(limit));
        }
        all
    }
}
