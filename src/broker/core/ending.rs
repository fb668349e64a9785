//! Connections and sessions end; wills are published (3.1.2.5, 3.1.3.2, 3.14, 4.1).

use super::{Core, Due, End};
use crate::{
    broker::{
        message::{Key, Message, millis},
        record::{Record, SenderChange},
        session::Session,
    },
    buf::Output,
    mqtt::{Disconnect, Error, Packet, Properties, Reason, Value, Version, encode, id},
    time::Now,
};
use std::{mem, sync::Arc};

impl Core {
    /// A connection has ended without a DISCONNECT of its client.
    pub(crate) fn lost(&mut self, key: Key, now: Now) {
        let at = millis(now);
        let Some(session) = self.sessions.get_mut(key).filter(|session| session.link.is_ok()) else { return };
        session.link = Err(at);
        let expiry = session.expiry;
        if expiry == 0 {
            return self.end_session(key, now);
        }
        self.record(Record::Away { key, since: at, expiry });
        if expiry < u32::MAX {
            self.put_due(at + u64::from(expiry) * 1000, Due::Expiry, key);
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(will) = &session.will else { return };
        // The session's end is the latest time [MQTT-3.1.3-9].
        let due = at + u64::from(will.delay.min(expiry)) * 1000;
        session.will_due = Some(due);
        if due <= at {
            self.publish_will(key, at);
        } else {
            self.put_due(due, Due::Will, key);
        }
    }

    /// A client has said goodbye.
    ///
    /// # Errors
    ///
    /// A session that ends with its connection cannot be made to last [MQTT-3.14.2-2].
    pub(super) fn disconnect(&mut self, key: Key, disconnect: &Disconnect, now: Now) -> Result<(), Error> {
        let most = self.limits.session_expiry;
        let Some(session) = self.sessions.get_mut(key) else { return Ok(()) };
        if let Some(expiry) = disconnect.properties.number(id::SESSION_EXPIRY) {
            if session.expiry == 0 && expiry > 0 {
                return Err(Error::protocol("a session that ends with its connection cannot be made to last"));
            }
            session.expiry = expiry.min(most);
        }
        if disconnect.reason == Reason::SUCCESS && session.will.take().is_some() {
            // A client that says goodbye wants no will published [MQTT-3.14.4-3].
            self.record(Record::Will { key, will: None });
        }
        self.part(key, None, "its client has said goodbye", now);
        Ok(())
    }

    /// The bytes that may leave at once.
    pub(crate) fn take_last(&mut self, key: Key) -> Output {
        self.link(key).map_or_else(Output::new, |link| link.take())
    }

    /// A client sends nothing more, and was heard to the end. It may still read the answers.
    pub(crate) fn heard_out(&mut self, key: Key, now: Now) {
        self.part(key, None, "its client sends nothing more", now);
    }

    /// The broker ends a connection whose client broke a rule.
    pub(crate) fn refuse(&mut self, key: Key, error: Error, now: Now) {
        let Some(link) = self.link(key) else { return };
        let why = Properties::default().with(id::REASON_STRING, Value::Text(error.rule.into()));
        // A reason that would make the packet too long for the client is left out [MQTT-3.14.2-3].
        let properties = if link.max_packet < 8 + error.rule.len() { Properties::default() } else { why };
        self.part(key, Some(Disconnect { reason: error.reason, properties }), error.rule, now);
    }

    /// Takes a session its connection, which ends when the answers have left. `last`: the broker ends it, and says why.
    pub(super) fn part(&mut self, key: Key, last: Option<Disconnect>, why: &'static str, now: Now) {
        let stored = self.stored;
        let Some(link) = self.link(key) else { return };
        let is_heard_out = last.is_none();
        if let Some(last) = last.filter(|_| link.version == Version::V5) {
            // It promises nothing, but it is the last packet: it stands behind those that wait.
            link.out.write(0, stored, 0, |out| encode(&Packet::Disconnect(last), Version::V5, out.tail(64)));
        }
        let end = End { conn: link.conn, out: mem::take(&mut link.out), why, is_heard_out };
        self.ends.push(end);
        self.lost(key, now);
    }

    /// Sessions and wills whose time has come.
    pub(crate) fn tick(&mut self, now: Now) {
        let at = millis(now);
        while let Some((due, what, key)) = self.due.first().copied().filter(|(due, ..)| *due <= at) {
            self.due.pop_first();
            let Some(session) = self.sessions.get(key) else { continue };
            match what {
                Due::Will if session.will_due == Some(due) => {
                    self.publish_will(key, at);
                }
                Due::Expiry if session.ends() == Some(due) => {
                    self.end_session(key, now);
                }
                // It was called off.
                Due::Will | Due::Expiry => {}
            }
        }
    }

    /// A session is over: nothing of it is left, and its will is published.
    pub(super) fn end_session(&mut self, key: Key, now: Now) {
        let at = millis(now);
        self.publish_will(key, at);
        let Some(session) = self.sessions.try_remove(key) else { return };
        self.by_client.remove(&session.client);
        for (subscription, _) in session.subscriptions.values() {
            self.tree.remove(&subscription.filter, key);
        }
        if session.is_recorded {
            self.record(Record::Gone { key });
        }
    }

    fn publish_will(&mut self, key: Key, at: u64) {
        let Some(will) = self.sessions.get_mut(key).and_then(|session| session.will.take()) else { return };
        // The time that it is of use begins now.
        let expires = will.lives.map(|seconds| at + u64::from(seconds) * 1000);
        let message = Arc::new(Message { expires, ..Message::clone(&will.message) });
        self.route(&message, Some(key), SenderChange::Will(key), at);
    }
}

/// When a session ends whose connection did at `since`.
pub(super) fn ends(since: u64, expiry: u32) -> Option<u64> {
    (expiry < u32::MAX).then(|| since + u64::from(expiry) * 1000)
}

impl Session {
    /// When it ends if its client does not come back.
    pub(super) fn ends(&self) -> Option<u64> {
        self.link.as_ref().err().and_then(|since| ends(*since, self.expiry))
    }
}
