//! A client connects: its session begins, goes on, or passes from one connection to another (3.1.2.4, 3.1.4).

use super::{
    Core, Due, Refusal,
    handshake::{self, Agreed},
};
use crate::{
    app::ConnId,
    broker::{
        bridge::Rules,
        limits::MAX_LEVELS,
        link::Link,
        message::{Key, LastWill, millis},
        outgoing::{Outgoing, Stage},
        record::Record,
        rights::Rights,
        session::Session,
    },
    mqtt::{Ack, Connect, Disconnect, Packet, Properties, Reason, Text, Will, levels},
    time::Now,
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

pub(crate) use handshake::refuse;

/// A client that is known to be who it says.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) conn: ConnId,
    pub(crate) connect: Connect,
    pub(crate) rights: Arc<Rights>,
    /// The identifier that it gets if it has none.
    pub(crate) assigned: Text,
}

/// A client's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) key: Key,
    /// Seconds; 0: none.
    pub(crate) keep_alive: u16,
}

impl Core {
    /// # Errors
    ///
    /// The client cannot be let in, whoever it is.
    pub(crate) fn check(connect: &Connect) -> Result<(), Refusal> {
        handshake::check(connect)
    }

    /// Whether a client cannot be let in without a record: its session is kept, or it has a will.
    pub(crate) fn needs_disk(connect: &Connect) -> bool {
        handshake::is_kept(connect) || connect.will.is_some()
    }

    /// Lets a client in.
    ///
    /// # Errors
    ///
    /// There are too many sessions.
    pub(crate) fn connect(&mut self, arrival: Arrival, now: Now) -> Result<Accepted, Refusal> {
        let Arrival { conn, mut connect, rights, assigned } = arrival;
        let agreed = Agreed::of(&connect, &self.limits);
        let assigned = connect.client_id.is_empty().then_some(assigned);
        let client = assigned.clone().unwrap_or_else(|| connect.client_id.detached());
        let known = self.by_client.get(&client).copied();
        if known.is_none() && self.sessions.len() >= self.limits.sessions {
            self.counts.refused += 1;
            return Err(Refusal { reason: Reason::QUOTA_EXCEEDED, why: "there are too many sessions" });
        }
        if let Some(will) = &connect.will
            && !(rights.may_publish(&will.topic) && levels(&will.topic).count() <= MAX_LEVELS)
        {
            self.counts.refused += 1;
            return Err(Refusal { reason: Reason::NOT_AUTHORIZED, why: "the topic of the will is not yours" });
        }
        let (at, made) = (millis(now), self.made);
        known.into_iter().for_each(|key| self.take_over(key, connect.clean, now));
        // It may be over by now.
        let known = self.by_client.get(&client).copied();
        let mut link = Link::new(conn, connect.version, rights, agreed.aliases);
        (link.window, link.max_packet) = (agreed.window, agreed.max_packet);
        link.is_bridge = connect.is_bridge;
        // A bridge that can tell where a message was is told that it was here.
        link.hop = self.bridge.as_ref().filter(|_| Rules::is_introduced(&connect)).map(|(_, rules)| rules.id().clone());
        let key = match known {
            Some(key) => {
                let session = &mut self.sessions[key];
                (session.link, session.expiry) = (Ok(Box::new(link)), agreed.expiry);
                key
            }
            None => self.begin(client.clone(), Ok(Box::new(link)), agreed.expiry),
        };
        let will = connect.will.take();
        if agreed.expiry > 0 || will.is_some() || known.is_some() {
            self.record(Record::Session { key, client, expiry: agreed.expiry });
            self.sessions[key].is_recorded = true;
        }
        self.set_will(key, will);
        if self.made > made {
            self.depend(key);
        }
        self.counts.connected += 1;
        let connack = agreed.connack(&connect, known.is_some(), assigned.as_ref(), &self.limits);
        self.answer(key, &Packet::ConnAck(connack), 0);
        self.send_again(key, at);
        self.pump(key, at);
        Ok(Accepted { key, keep_alive: agreed.keep_alive })
    }

    pub(super) fn begin(&mut self, client: Text, link: Result<Box<Link>, u64>, expiry: u32) -> Key {
        let session = Session {
            client: client.clone(),
            expiry,
            is_recorded: false,
            link,
            subscriptions: BTreeMap::new(),
            outgoing: Outgoing::default(),
            incoming: HashSet::new(),
            will: None,
            will_due: None,
        };
        let key = self.sessions.insert(session);
        self.by_client.insert(client, key);
        key
    }

    /// The session of a client that connects again: its old connection ends, and if the client wants a clean start, the session does.
    fn take_over(&mut self, key: Key, clean: bool, now: Now) {
        let last = Disconnect { reason: Reason::SESSION_TAKEN_OVER, properties: Properties::default() };
        // A will without delay is published: the connection is closed without a DISCONNECT of the client [MQTT-3.1.2-8].
        self.part(key, Some(last), "its client has connected again", now);
        if clean {
            self.end_session(key, now);
        }
        // A new connection in time calls off a will that waits [MQTT-3.1.3-9].
        if let Some(session) = self.sessions.get_mut(key)
            && session.will.take().is_some()
        {
            self.record(Record::Will { key, will: None });
        }
    }

    fn set_will(&mut self, key: Key, will: Option<Will>) {
        let Some(will) = will.map(LastWill::of) else { return };
        self.record(Record::Will { key, will: Some(will.clone()) });
        let session = &mut self.sessions[key];
        (session.will, session.will_due) = (Some(will), None);
    }

    /// Sends what a former connection was sent and has not answered, in the old order [MQTT-4.4.0-1].
    pub(super) fn send_again(&mut self, key: Key, at: u64) {
        let stored = self.stored;
        let Some(Session { link: Ok(link), outgoing, .. }) = self.sessions.get_mut(key) else { return };
        let mut too_long = Vec::new();
        for sent in outgoing.sent() {
            match &sent.stage {
                Stage::Published(delivery) => {
                    if !link.publish(delivery, Some(sent.id), true, at, stored) {
                        too_long.push((sent.id, delivery.qos));
                    }
                }
                Stage::Released => {
                    link.answer(&Packet::PubRel(Ack::new(sent.id, Reason::SUCCESS)), stored, 0);
                }
            }
        }
        self.touch(key);
        too_long.into_iter().for_each(|(id, qos)| self.give_up(key, id, qos));
    }

    /// The next time that something is due, in milliseconds since 1970.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(at, ..)| *at)
    }

    pub(super) fn put_due(&mut self, at: u64, what: Due, key: Key) {
        self.due.insert((at, what, key));
    }
}
