//! A message finds its receivers (3.3.4), and each gets it at once or when it has room (4.9).

use super::Core;
use crate::{
    broker::{
        limits::{MAX_BACKLOG, WhenFull},
        message::{Delivery, Key, Message},
        outgoing::{Answer, Number},
        record::{Receiver, Record, SenderChange},
        session::Session,
        tree::{Entry, Match, Readiness},
    },
    mqtt::{PacketId, QoS},
};
use std::{mem, sync::Arc};

impl Core {
    /// Gives a message to all who want it, and records it. `from`: the session of its publisher, and the change that it makes there. Returns
    /// whether somebody wants it.
    pub(super) fn route(&mut self, message: &Arc<Message>, from: Option<Key>, change: SenderChange, at: u64) -> bool {
        let retained = message.retain && self.has_room_for(message);
        if retained {
            self.retain(message);
        }
        self.fan_out(message, from, change, retained, at)
    }

    /// As [`Core::route`], for a message that is retained already, or not at all.
    pub(super) fn fan_out(
        &mut self,
        message: &Arc<Message>,
        from: Option<Key>,
        change: SenderChange,
        retained: bool,
        at: u64,
    ) -> bool {
        let mut found = mem::take(&mut self.found);
        let sessions = &self.sessions;
        let ready = |entry: &Entry| readiness(sessions.get(entry.session), entry.qos.min(message.qos));
        self.tree.matches(&message.topic, &ready, &mut found);
        // Those of one session stand together: it gets one copy, whatever the number of its subscriptions that match.
        found.sort_unstable_by_key(|found| (found.is_shared, found.entry.session));
        let mut to = Vec::new();
        for matches in found.chunk_by(|a, b| !a.is_shared && !b.is_shared && a.entry.session == b.entry.session) {
            if let Some((key, delivery)) = delivery(message, from, matches) {
                to.extend(self.accept(key, delivery, at));
            }
        }
        let is_wanted = !found.is_empty();
        found.clear();
        self.found = found;
        let change = match change {
            // A session that ends with its connection remembers nothing.
            SenderChange::Incoming(key, _) if !self.sessions.get(key).is_some_and(Session::is_kept) => {
                SenderChange::Nothing
            }
            SenderChange::Nothing | SenderChange::Incoming(..) | SenderChange::Will(_) => change,
        };
        if self.record_published(message, retained, change, &to) {
            // The publisher's acknowledgement stands for it.
            from.into_iter().for_each(|key| self.depend(key));
        }
        to.into_iter().for_each(|taken| self.send(taken, at));
        is_wanted
    }

    /// Records a message, if there is something to be kept of it.
    fn record_published(&mut self, message: &Arc<Message>, retained: bool, from: SenderChange, to: &[Taken]) -> bool {
        let is_kept = |taken: &&Taken| self.sessions.get(taken.key).is_some_and(Session::is_kept);
        let kept: Vec<Receiver> = to.iter().filter(is_kept).map(Taken::receiver).collect();
        let is_worth = retained || from != SenderChange::Nothing || !kept.is_empty();
        if is_worth {
            self.record(Record::Published { message: Arc::clone(message), retained, from, to: kept });
            // Those whose session is not kept wait for it, too: its publisher may send it again after a crash.
            to.iter().for_each(|taken| self.depend(taken.key));
        }
        is_worth
    }

    /// Gives a message to one session alone.
    pub(super) fn give(&mut self, key: Key, delivery: Delivery, at: u64) {
        let message = Arc::clone(&delivery.message);
        let Some(taken) = self.accept(key, delivery, at) else { return };
        self.record_published(&message, false, SenderChange::Nothing, std::slice::from_ref(&taken));
        self.send(taken, at);
    }

    /// A session takes a message: it is sent at once, or waits. `Some`: it has to be recorded, and sent after that.
    fn accept(&mut self, key: Key, delivery: Delivery, at: u64) -> Option<Taken> {
        if delivery.qos == QoS::AtMostOnce {
            self.accept_unrecorded(key, delivery, at);
            return None;
        }
        let limits = self.limits;
        let session = self.sessions.get_mut(key)?;
        let weight = delivery.message.weight();
        let is_full = |session: &Session| {
            session.outgoing.waiting() >= limits.queue || session.outgoing.bytes() + weight > limits.queue_bytes
        };
        let mut dropped = Vec::new();
        while limits.when_full == WhenFull::DropOld
            && is_full(session)
            && let Some(number) = session.outgoing.drop_oldest()
        {
            dropped.push(number);
        }
        let has_place = !is_full(session);
        self.counts.dropped += dropped.len() as u64;
        dropped.into_iter().for_each(|number| self.record_of(key, Record::Done { key, number }));
        if !has_place {
            self.counts.dropped += 1;
            return None;
        }
        let session = self.sessions.get_mut(key)?;
        let number = session.outgoing.push(delivery.clone());
        let starves = session.link().is_some_and(|link| !link.has_room());
        let sent = if session.outgoing.waiting() == 1 && has_window(session) { session.outgoing.send() } else { None };
        if starves {
            self.starve(key);
        }
        Some(Taken { key, number, delivery, sent: sent.map(|(_, id, _)| id) })
    }

    /// A message of QoS 0: for a session with a connection, and with room.
    fn accept_unrecorded(&mut self, key: Key, delivery: Delivery, at: u64) {
        let (stored, most_bytes) = (self.stored, self.limits.queue_bytes);
        let most = MAX_BACKLOG + self.retained.len();
        let Some(link) = self.link(key) else { return };
        if link.has_room() && !link.has_backlog() {
            if link.publish(&delivery, None, false, at, stored) {
                self.counts.sent += 1;
            }
            self.touch(key);
        } else {
            if !link.put_off(delivery, most, most_bytes) {
                self.counts.dropped += 1;
            }
            self.starve(key);
        }
    }

    fn send(&mut self, taken: Taken, at: u64) {
        let Taken { key, delivery, sent: Some(id), .. } = taken else { return };
        let stored = self.stored;
        let Some(link) = self.link(key) else { return };
        if link.publish(&delivery, Some(id), false, at, stored) {
            self.counts.sent += 1;
            self.touch(key);
        } else {
            self.give_up(key, id, delivery.qos);
        }
    }

    /// A message that is longer than its receiver takes is done as if it had been sent [MQTT-3.1.2-25].
    pub(super) fn give_up(&mut self, key: Key, id: PacketId, qos: QoS) {
        let by = if qos == QoS::ExactlyOnce { Answer::Refused } else { Answer::Acknowledged };
        let done = self.sessions.get_mut(key).and_then(|session| session.outgoing.done(id, by).ok());
        done.into_iter().for_each(|number| self.record_of(key, Record::Done { key, number }));
        self.counts.dropped += 1;
    }

    /// Sends a session's messages that wait, as far as there is room.
    pub(super) fn pump(&mut self, key: Key, at: u64) {
        loop {
            let stored = self.stored;
            let Some(session) = self.sessions.get_mut(key) else { return };
            let Ok(link) = &mut session.link else { return };
            if !link.has_room() {
                if link.has_backlog() || session.outgoing.waiting() > 0 {
                    self.starve(key);
                }
                break;
            }
            if let Some(delivery) = link.next_put_off() {
                if delivery.message.is_over(at) {
                    self.counts.expired += 1;
                } else if link.publish(&delivery, None, false, at, stored) {
                    self.counts.sent += 1;
                }
                continue;
            }
            if session.outgoing.peek().is_some_and(|delivery| delivery.message.is_over(at)) {
                let number = session.outgoing.drop_oldest();
                self.counts.expired += 1;
                number.into_iter().for_each(|number| self.record_of(key, Record::Done { key, number }));
                continue;
            }
            if !has_window(session) {
                break;
            }
            let Some((number, id, delivery)) = session.outgoing.send() else { break };
            self.record_of(key, Record::Sent { key, number, id });
            self.send(Taken { key, number, delivery, sent: Some(id) }, at);
        }
        self.touch(key);
    }
}

/// A message that a session has taken.
struct Taken {
    key: Key,
    number: Number,
    delivery: Delivery,
    sent: Option<PacketId>,
}

impl Taken {
    fn receiver(&self) -> Receiver {
        let Self { key, number, delivery: Delivery { qos, retain, ids, .. }, sent } = self;
        Receiver { key: *key, number: *number, qos: *qos, retain: *retain, ids: ids.clone(), sent: *sent }
    }
}

fn has_window(session: &Session) -> bool {
    let window = session.link().filter(|link| link.has_room()).map_or(0, |link| link.window);
    session.outgoing.inflight() < usize::from(window)
}

fn readiness(session: Option<&Session>, qos: QoS) -> Readiness {
    match session {
        Some(session) => match session.link() {
            Some(link) if link.has_room() && session.outgoing.waiting() == 0 => Readiness::Now,
            Some(_) => Readiness::Later,
            None if qos > QoS::AtMostOnce => Readiness::Later,
            None => Readiness::Never,
        },
        None => Readiness::Never,
    }
}

/// The message that one session gets by the subscriptions of it that match. `None`: it does not want its own message.
fn delivery(message: &Arc<Message>, from: Option<Key>, matches: &[Match]) -> Option<(Key, Delivery)> {
    let wanted =
        || matches.iter().map(|found| found.entry).filter(|entry| !(entry.no_local && from == Some(entry.session)));
    let key = wanted().next()?.session;
    let qos = wanted().map(|entry| entry.qos).max()?.min(message.qos);
    let retain = message.retain && wanted().any(|entry| entry.retain_as_published);
    let ids = wanted().filter_map(|entry| entry.id).collect();
    Some((key, Delivery { message: Arc::clone(message), qos, retain, ids }))
}
