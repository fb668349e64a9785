//! The broker begins with what was kept.

use super::{Core, Due};
use crate::{
    broker::{
        image::{Image, Kept},
        limits::Limits,
        message::{Key, millis},
        outgoing::Outgoing,
        record::Record,
        session::Session,
    },
    time::Now,
};

impl Core {
    /// As the records say. Connections that were open when the process ended are lost now.
    pub(crate) fn restore(limits: Limits, image: Image, now: Now) -> Self {
        let (mut core, at) = (Self::new(limits), millis(now));
        let mut connected: Vec<Key> = Vec::new();
        let sessions = image.sessions.into_iter().map(|(key, kept)| {
            if kept.away.is_none() {
                connected.push(key);
            }
            (key, session(kept, at))
        });
        core.sessions = sessions.collect();
        for message in image.retained.into_values() {
            core.retained.set(&message.topic, Some(message.clone()));
        }
        let keys: Vec<Key> = core.sessions.iter().map(|(key, _)| key).collect();
        for key in &keys {
            core.enter(*key, connected.contains(key));
        }
        // Only now: all who want to hear of a will are there.
        for key in keys {
            if core.sessions[key].expiry == 0 {
                core.end_session(key, now);
            }
        }
        core.tick(now);
        core
    }

    /// Enters a session into the tables.
    fn enter(&mut self, key: Key, was_connected: bool) {
        let session = &mut self.sessions[key];
        self.by_client.insert(session.client.clone(), key);
        for (subscription, id) in session.subscriptions.values() {
            self.tree.insert(&subscription.filter, super::subscribe::entry(key, subscription, *id));
        }
        let (since, expiry) = (session.link.as_ref().err().copied().unwrap_or_default(), session.expiry);
        let will = session.will.as_ref().map(|will| since + u64::from(will.delay.min(expiry)) * 1000);
        session.will_due = will;
        let ends = session.ends();
        will.into_iter().for_each(|at| self.put_due(at, Due::Will, key));
        ends.into_iter().for_each(|at| self.put_due(at, Due::Expiry, key));
        if was_connected {
            self.record_of(key, Record::Away { key, since, expiry });
        }
    }
}

fn session(kept: Kept, at: u64) -> Session {
    let Kept { client, expiry, away, subscriptions, waiting, sent, incoming, will } = kept;
    let next = waiting.keys().chain(sent.keys()).max().map_or(0, |last| last + 1);
    Session {
        client,
        expiry,
        is_recorded: true,
        link: Err(away.unwrap_or(at)),
        subscriptions,
        outgoing: Outgoing::restore(waiting.into_iter().collect(), sent, next),
        incoming: incoming.into_iter().collect(),
        will,
        will_due: None,
    }
}
