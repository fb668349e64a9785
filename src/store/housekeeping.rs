//! Work that no command asks for: keys that have expired, clients that are silent, a copy of everything for a new file.

use super::{
    dump::dump,
    engine::{ENOUGH, Engine},
    keyspace::{Keyspace, Snapshot},
    log,
    world::Effect,
};
use std::rc::Rc;

/// Keys that are looked at in one sample, as in the original.
const SAMPLE: usize = 20;

/// Samples of one database and one turn: what is left is looked at in the next, a tenth of a second later.
const SAMPLES: usize = 100;

/// Bytes of a snapshot that one turn writes, about, and keys that it visits.
const PART: usize = 256 * 1024;
const VISITS: usize = 5_000;

impl Keyspace {
    /// Removes keys whose time has come, by samples: another one for as long as a tenth of the last one had expired. So at most about a
    /// tenth of the keys that expire are kept beyond their time, unless they are looked at.
    pub(crate) fn expire_some(&mut self) {
        for db in 0..self.dbs.len() {
            for _ in 0..SAMPLES {
                if self.expire_sample(db) * 10 <= SAMPLE {
                    break;
                }
            }
        }
    }

    /// How many of the sample had expired.
    fn expire_sample(&mut self, db: usize) -> usize {
        let mut gone = 0;
        let count = self.dbs[db].volatile.len().min(SAMPLE);
        let all = count < SAMPLE;
        for index in (0..count).rev() {
            let len = self.dbs[db].volatile.len();
            let place = if all { index } else { self.random.below(len) };
            let Some(key) = self.dbs[db].volatile.get_index(place).map(Rc::clone) else { continue };
            if self.dbs[db].keys.get(&key).is_some_and(|entry| entry.expires <= self.now) {
                self.expire(db, &key);
                gone += 1;
            }
        }
        gone
    }

    /// Begins a copy of all keys as they are now.
    pub(crate) fn begin_snapshot(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        for (home, db) in self.dbs.iter_mut().enumerate() {
            db.home = home;
        }
        let place = self.dbs[0].keys.len();
        self.snapshot = Some(Snapshot { bytes: Vec::new(), db_written: None, db: 0, place });
        self.log.begin_file();
    }

    /// Copies some keys that are still as they were at the beginning. `true`: all of them are in the copy.
    ///
    /// It goes from the last place down, as a scan does (`command/scan.rs`), and meets each key that was there. One that changed meanwhile
    /// was copied before ([`Keyspace::about_to_change`]), and one that is new has the number of this copy.
    pub(crate) fn continue_snapshot(&mut self) -> bool {
        let Some(snapshot) = &mut self.snapshot else { return true };
        for _ in 0..VISITS {
            if snapshot.bytes.len() >= PART {
                return false;
            }
            let db = &mut self.dbs[snapshot.db];
            let Some(place) = snapshot.place.min(db.keys.len()).checked_sub(1) else {
                snapshot.db += 1;
                match self.dbs.get(snapshot.db) {
                    Some(db) => snapshot.place = db.keys.len(),
                    None => return true,
                }
                continue;
            };
            snapshot.place = place;
            if let Some((key, entry)) = db.keys.get_index_mut(place)
                && std::mem::replace(&mut entry.epoch, self.epoch) != self.epoch
            {
                log::select(&mut snapshot.bytes, &mut snapshot.db_written, db.home);
                dump(&mut snapshot.bytes, key, &entry.value, entry.expires);
            }
        }
        false
    }
}

impl Engine {
    /// Called ten times a second.
    pub fn tick(&mut self) {
        if self.world.expires_actively && self.keys.expires {
            self.keys.expire_some();
        }
        self.world.peak = self.world.peak.max(self.keys.used);
        let timeout = i64::try_from(self.world.config.timeout).unwrap_or(i64::MAX).saturating_mul(1000);
        if timeout > 0 {
            let now = self.keys.now;
            let is_idle = |client: &&super::client::Client| {
                client.wait.is_none() && client.subscribed.count() == 0 && now - client.used > timeout
            };
            let idle: Vec<usize> = self.world.clients.iter().filter(is_idle).map(|client| client.slot).collect();
            self.world.effects.extend(idle.into_iter().map(Effect::Close));
        }
    }

    /// The driver tells how many bytes wait for a client. One that does not read at all is let go.
    pub fn sent(&mut self, slot: usize, unsent: usize) {
        let Some(client) = self.world.clients.at(slot) else { return };
        client.unsent = unsent;
        let config = &self.world.config;
        let limit = if client.subscribed.count() > 0 { config.pubsub_limit } else { config.output_limit };
        if unsent > limit {
            client.is_closing = true;
            self.world.effects.push(Effect::Abort(slot));
        } else if client.is_full && unsent < ENOUGH {
            self.resume(slot);
            self.go_on_with_served();
        }
    }

    /// A client reads again, or waits no longer: the commands that waited for that have their turn.
    pub(super) fn resume(&mut self, slot: usize) {
        let Some(mut client) = self.world.clients.take(slot) else { return };
        if client.wait.is_none() && !client.held.bytes.is_empty() {
            self.work_held(&mut client);
        }
        self.finish(client);
    }
}
