//! All that records add up to: what is read at the start, and what a snapshot is made of.

use super::{
    message::{Delivery, Key, LastWill, Message},
    outgoing::{Number, Sent, Stage},
    record::{Receiver, Record, SenderChange},
};
use crate::mqtt::{PacketId, Subscription, Text};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// A broker's state, as far as it is kept.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) sessions: BTreeMap<Key, Kept>,
    pub(crate) retained: BTreeMap<Text, Arc<Message>>,
}

/// A session.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) client: Text,
    pub(crate) expiry: u32,
    /// Its connection ended then. `None`: it had one.
    pub(crate) away: Option<u64>,
    pub(crate) subscriptions: BTreeMap<Text, (Subscription, Option<u32>)>,
    pub(crate) waiting: BTreeMap<Number, Delivery>,
    pub(crate) sent: BTreeMap<Number, Sent>,
    pub(crate) incoming: BTreeSet<PacketId>,
    pub(crate) will: Option<LastWill>,
}

impl Image {
    /// Takes in a record. One of a session that there is not changes nothing: a session that ends with its connection is not in the log.
    pub(crate) fn add(&mut self, record: Record) {
        match record {
            Record::Session { key, client, expiry } => {
                let session = self.sessions.entry(key).or_default();
                (session.client, session.expiry, session.away) = (client, expiry, None);
            }
            Record::Away { key, since, expiry } => {
                self.with(key, |session| (session.away, session.expiry) = (Some(since), expiry));
            }
            Record::Gone { key } => {
                self.sessions.remove(&key);
            }
            Record::Subscribed { key, subscription, id } => {
                let filter = subscription.filter.text().clone();
                self.with(key, |session| drop(session.subscriptions.insert(filter, (subscription, id))));
            }
            Record::Unsubscribed { key, filter } => {
                self.with(key, |session| drop(session.subscriptions.remove(&filter)));
            }
            Record::Published { message, retained, from, to } => self.published(&message, retained, from, &to),
            Record::Unretained { topic } => {
                self.retained.remove(&topic);
            }
            Record::Sent { key, number, id } => self.with(key, |session| {
                if let Some(delivery) = session.waiting.remove(&number) {
                    session.sent.insert(number, Sent { id, stage: Stage::Published(delivery) });
                }
            }),
            Record::Received { key, number, id } => self.with(key, |session| {
                session.sent.insert(number, Sent { id, stage: Stage::Released });
            }),
            Record::Done { key, number } => self.with(key, |session| {
                session.waiting.remove(&number);
                session.sent.remove(&number);
            }),
            Record::Incoming { key, id } => self.with(key, |session| {
                session.incoming.insert(id);
            }),
            Record::Released { key, id } => self.with(key, |session| {
                session.incoming.remove(&id);
            }),
            Record::Will { key, will } => self.with(key, |session| session.will = will),
        }
    }

    fn with(&mut self, key: Key, change: impl FnOnce(&mut Kept)) {
        if let Some(session) = self.sessions.get_mut(&key) {
            change(session);
        }
    }

    fn published(&mut self, message: &Arc<Message>, retained: bool, from: SenderChange, to: &[Receiver]) {
        if retained && message.payload.is_empty() {
            self.retained.remove(&message.topic);
        } else if retained {
            self.retained.insert(message.topic.clone(), Arc::clone(message));
        }
        match from {
            SenderChange::Nothing => {}
            SenderChange::Incoming(key, id) => self.with(key, |session| {
                session.incoming.insert(id);
            }),
            SenderChange::Will(key) => self.with(key, |session| session.will = None),
        }
        for receiver in to {
            let (number, delivery) = (receiver.number, receiver.delivery(message));
            self.with(receiver.key, |session| match receiver.sent {
                Some(id) => drop(session.sent.insert(number, Sent { id, stage: Stage::Published(delivery) })),
                None => drop(session.waiting.insert(number, delivery)),
            });
        }
    }

    /// The fewest records that add up to the same. A message stands once, whatever the number of sessions that have it.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut messages: Vec<(Arc<Message>, bool, Vec<Receiver>)> = Vec::new();
        let mut places: HashMap<*const Message, usize> = HashMap::new();
        for message in self.retained.values() {
            places.insert(Arc::as_ptr(message), messages.len());
            messages.push((Arc::clone(message), true, Vec::new()));
        }
        for (&key, session) in &self.sessions {
            session.records(key, &mut records);
            let waiting = session.waiting.iter().map(|(number, delivery)| (*number, delivery, None));
            let sent = session.sent.iter().filter_map(|(number, sent)| match &sent.stage {
                Stage::Published(delivery) => Some((*number, delivery, Some(sent.id))),
                Stage::Released => None,
            });
            for (number, delivery, sent) in waiting.chain(sent) {
                let Delivery { message, qos, retain, ids } = delivery;
                let receiver = Receiver { key, number, qos: *qos, retain: *retain, ids: ids.clone(), sent };
                let place = *places.entry(Arc::as_ptr(message)).or_insert(messages.len());
                if place == messages.len() {
                    messages.push((Arc::clone(message), false, Vec::new()));
                }
                messages[place].2.push(receiver);
            }
        }
        records.extend(messages.into_iter().map(|(message, retained, to)| Record::Published {
            message,
            retained,
            from: SenderChange::Nothing,
            to,
        }));
        records
    }
}

impl Kept {
    /// All but its messages.
    fn records(&self, key: Key, into: &mut Vec<Record>) {
        into.push(Record::Session { key, client: self.client.clone(), expiry: self.expiry });
        into.extend(self.away.map(|since| Record::Away { key, since, expiry: self.expiry }));
        let subscribed = self.subscriptions.values();
        into.extend(subscribed.map(|(subscription, id)| Record::Subscribed {
            key,
            subscription: subscription.clone(),
            id: *id,
        }));
        if self.will.is_some() {
            into.push(Record::Will { key, will: self.will.clone() });
        }
        into.extend(
            self.sent.iter().filter(|(_, sent)| sent.stage == Stage::Released).map(|(number, sent)| Record::Received {
                key,
                number: *number,
                id: sent.id,
            }),
        );
        into.extend(self.incoming.iter().map(|id| Record::Incoming { key, id: *id }));
    }
}
