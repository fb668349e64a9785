//! The packets of a client that is connected, each to its rule.

use super::Core;
use crate::{
    broker::{
        message::{Key, millis},
        outgoing::{Answer, Unfit},
        record::Record,
    },
    mqtt::{Ack, Error, Packet, Reason, Version},
    time::Now,
};

/// Why a connection does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The client has said goodbye.
    Goodbye,
    /// It has broken a rule.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Core {
    /// A packet of a client.
    ///
    /// # Errors
    ///
    /// The connection has to be ended.
    pub(crate) fn packet(&mut self, key: Key, packet: Packet, now: Now) -> Result<(), Stop> {
        let at = millis(now);
        match packet {
            Packet::Publish(publish) => self.published(key, publish, at)?,
            Packet::PubAck(ack) => self.acknowledged(key, &ack, Answer::Acknowledged, at)?,
            Packet::PubRec(ack) => self.has_received(key, &ack, at)?,
            Packet::PubRel(ack) => self.released(key, &ack),
            Packet::PubComp(ack) => self.acknowledged(key, &ack, Answer::Completed, at)?,
            Packet::Subscribe(subscribe) => self.subscribe(key, subscribe, at)?,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(key, &unsubscribe),
            Packet::PingReq => self.answer(key, &Packet::PingResp, 0),
            Packet::Disconnect(disconnect) => {
                self.disconnect(key, &disconnect, now)?;
                return Err(Stop::Goodbye);
            }
            Packet::Connect(_) => return Err(Error::protocol("a second CONNECT").into()),
            Packet::Auth(_) => return Err(Error::protocol("an AUTH without an authentication method").into()),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                return Err(Error::protocol("a packet that only a server sends").into());
            }
        }
        Ok(())
    }

    /// PUBACK or PUBCOMP: a message is done.
    fn acknowledged(&mut self, key: Key, ack: &Ack, by: Answer, at: u64) -> Result<(), Error> {
        let Some(session) = self.sessions.get_mut(key) else { return Ok(()) };
        match session.outgoing.done(ack.id, by) {
            Ok(number) => {
                self.record_of(key, Record::Done { key, number });
                self.pump(key, at);
                Ok(())
            }
            // An answer that comes twice, or to a message that was given up.
            Err(Unfit::Unknown) => Ok(()),
            Err(Unfit::Wrong) => Err(Error::protocol("an acknowledgement of another kind than its message needs")),
        }
    }

    /// PUBREC: the client has a message of QoS 2, or does not want it.
    fn has_received(&mut self, key: Key, ack: &Ack, at: u64) -> Result<(), Error> {
        if ack.reason.is_failure() {
            return self.acknowledged(key, ack, Answer::Refused, at);
        }
        let Some(session) = self.sessions.get_mut(key) else { return Ok(()) };
        let is_v5 = session.link().is_some_and(|link| link.version == Version::V5);
        let reason = match session.outgoing.received(ack.id) {
            Ok(number) => {
                number.into_iter().for_each(|number| self.record_of(key, Record::Received { key, number, id: ack.id }));
                Reason::SUCCESS
            }
            Err(Unfit::Unknown) if is_v5 => Reason::PACKET_ID_NOT_FOUND,
            Err(Unfit::Unknown) => Reason::SUCCESS,
            Err(Unfit::Wrong) => return Err(Error::protocol("a PUBREC for a message that is not of QoS 2")),
        };
        self.answer(key, &Packet::PubRel(Ack::new(ack.id, reason)), 0);
        Ok(())
    }

    /// PUBREL: the client knows that its message arrived. Its packet id is free [MQTT-4.3.3-12].
    fn released(&mut self, key: Key, ack: &Ack) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let is_v5 = session.link().is_some_and(|link| link.version == Version::V5);
        let known = session.incoming.remove(&ack.id);
        if known {
            self.record_of(key, Record::Released { key, id: ack.id });
        }
        let reason = if known || !is_v5 { Reason::SUCCESS } else { Reason::PACKET_ID_NOT_FOUND };
        self.answer(key, &Packet::PubComp(Ack::new(ack.id, reason)), u16::from(known));
    }
}
