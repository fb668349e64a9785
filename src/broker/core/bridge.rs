//! A bridge is a session like others: it has subscriptions, messages wait in it, and it is in the log. But its connection leads to another
//! broker, and the broker is the client there.

use super::Core;
use crate::{
    app::ConnId,
    broker::{
        bridge::{Rules, SESSIONS},
        link::Link,
        message::{Key, millis},
        record::Record,
        rights::Rights,
    },
    mqtt::{Packet, PacketId, Properties, Subscribe, Subscription, Text, Version},
    time::Now,
};
use std::{mem, sync::Arc};

impl Core {
    /// Has a bridge from now on, or none. A session of another one, from an earlier start, ends.
    pub(crate) fn set_bridge(&mut self, rules: Option<&Arc<Rules>>, now: Now) {
        let client = rules.map(|rules| Text::from(&*format!("{SESSIONS}{}", rules.id())));
        let is_old = |name: &Text| name.starts_with(SESSIONS) && Some(name) != client.as_ref();
        let old: Vec<Key> = self.by_client.iter().filter(|(name, _)| is_old(name)).map(|(_, key)| *key).collect();
        old.into_iter().for_each(|key| self.end_session(key, now));
        let Some((rules, client)) = rules.zip(client) else { return };
        let key = match self.by_client.get(&client) {
            Some(key) => *key,
            None => {
                let key = self.begin(client.clone(), Err(millis(now)), u32::MAX);
                self.record(Record::Session { key, client, expiry: u32::MAX });
                self.sessions[key].is_recorded = true;
                key
            }
        };
        self.subscribe_bridge(key, &rules.here());
        self.bridge = Some((key, Arc::clone(rules)));
    }

    /// Its subscriptions here are these, and no others.
    fn subscribe_bridge(&mut self, key: Key, wanted: &[Subscription]) {
        let known: Vec<Subscription> =
            self.sessions[key].subscriptions.values().map(|(subscription, _)| subscription.clone()).collect();
        for old in known.iter().filter(|old| wanted.iter().all(|new| new.filter != old.filter)) {
            self.sessions[key].subscriptions.remove(old.filter.text());
            self.tree.remove(&old.filter, key);
            self.record_of(key, Record::Unsubscribed { key, filter: old.filter.text().clone() });
        }
        for new in wanted.iter().filter(|new| !known.contains(new)) {
            self.add(key, new, None);
        }
    }

    /// The other broker has let us in. `known`: it has our session. It takes so many messages at once, and packets of so many bytes.
    pub(crate) fn cross(&mut self, conn: ConnId, known: bool, (window, most): (u16, usize), now: Now) -> Option<Key> {
        let (key, rules) = self.bridge.clone()?;
        let at = millis(now);
        let mut link = Link::new(conn, Version::V5, Arc::new(Rights::All), 0);
        (link.window, link.max_packet) = (window.min(self.limits.inflight), most);
        (link.hop, link.bridge) = (Some(rules.id().clone()), Some(Arc::clone(&rules)));
        let session = self.sessions.get_mut(key)?;
        session.link = Ok(Box::new(link));
        let client = session.client.clone();
        self.record(Record::Session { key, client, expiry: u32::MAX });
        self.depend(key);
        if !known {
            self.forget_other_side(key);
        }
        self.ask_other_side(key, rules.there());
        if !known {
            rules.here().iter().for_each(|subscription| self.send_retained(key, subscription, None, at));
        }
        self.send_again(key, at);
        self.pump(key, at);
        Some(key)
    }

    /// The other broker has forgotten our session. Messages that it has not taken over are sent as if for the first time; of those that it has,
    /// nothing is to be done any more, and its own numbers begin anew.
    fn forget_other_side(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let done = session.outgoing.forget_released();
        let incoming = mem::take(&mut session.incoming);
        done.into_iter().for_each(|number| self.record_of(key, Record::Done { key, number }));
        let mut incoming: Vec<PacketId> = incoming.into_iter().collect();
        incoming.sort_unstable();
        incoming.into_iter().for_each(|id| self.record_of(key, Record::Released { key, id }));
    }

    fn ask_other_side(&mut self, key: Key, filters: Vec<Subscription>) {
        let Some(session) = self.sessions.get_mut(key).filter(|_| !filters.is_empty()) else { return };
        let Some(id) = session.outgoing.free_id() else { return };
        let subscribe = Subscribe { id, properties: Properties::default(), filters };
        self.answer(key, &Packet::Subscribe(subscribe), 0);
    }
}
