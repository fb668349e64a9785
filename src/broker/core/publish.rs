//! A client publishes (3.3, 4.3).

use super::{Core, Refusal};
use crate::{
    broker::{
        bridge::is_lost,
        limits::{MAX_ALIASES, MAX_LEVELS},
        link::Link,
        message::{Key, Message},
        record::{Record, SenderChange},
    },
    mqtt::{Ack, Error, Packet, PacketId, Publish, QoS, Reason, Text, Version, id, levels},
};
use std::sync::Arc;

impl Core {
    /// A message of a client.
    pub(super) fn published(&mut self, key: Key, publish: Publish, at: u64) -> Result<(), Error> {
        let (inflight, id, qos) = (self.limits.inflight, publish.id, publish.qos);
        let Some(session) = self.sessions.get_mut(key) else { return Ok(()) };
        let Ok(link) = &mut session.link else { return Ok(()) };
        if publish.properties.has(id::SUBSCRIPTION_ID) {
            return Err(Error::protocol("a client's PUBLISH with a subscription identifier"));
        }
        let named = topic(link, &publish)?;
        // A bridge gives topics of the other broker names of this one.
        let topic = link.bridge.as_ref().map_or(Some(named.clone()), |rules| rules.inward(&named));
        if let Some(id) = id.filter(|id| qos == QoS::ExactlyOnce && session.incoming.contains(id)) {
            // It has come before [MQTT-4.3.3-10].
            self.answer(key, &Packet::PubRec(Ack::new(id, Reason::SUCCESS)), 0);
            return Ok(());
        }
        if id.is_some() {
            // Of another broker it is read later, as of MQTT 3.1.1: mosquitto, for one, sends again all at once.
            if link.unanswered >= inflight && link.version == Version::V5 && link.bridge.is_none() {
                let rule = "more messages than the server's receive maximum";
                return Err(Error { reason: Reason::RECEIVE_MAXIMUM_EXCEEDED, rule });
            }
            link.unanswered = link.unanswered.saturating_add(1);
        }
        self.counts.received += 1;
        let lost = self.bridge.as_ref().is_some_and(|(_, rules)| is_lost(&publish.properties.0, rules.id()));
        let Some(topic) = topic.filter(|_| !lost) else {
            self.pass_over(key, id, qos);
            return Ok(());
        };
        let Some(link) = self.link(key) else { return Ok(()) };
        let (version, may) = (link.version, link.rights.may_publish(&topic));
        let message = Arc::new(Message::of(publish, topic, at));
        let refused = self.refused(&message, may);
        if let Some(Refusal { reason, why }) = refused {
            // MQTT 3.1.1 cannot say so: a message that is not allowed is acknowledged and dropped, one without a place is not
            // acknowledged [MQTT-3.3.5-2].
            if version == Version::V3 && reason != Reason::NOT_AUTHORIZED {
                return Err(Error { reason, rule: why });
            }
            let reason = if version == Version::V3 { Reason::SUCCESS } else { reason };
            id.into_iter().for_each(|id| self.acknowledge(key, id, qos, reason));
            return Ok(());
        }
        // Remembered before the message is recorded, of which it is a part.
        if let Some(id) = id.filter(|_| qos == QoS::ExactlyOnce)
            && let Some(session) = self.sessions.get_mut(key)
        {
            session.incoming.insert(id);
        }
        let remembered = id.filter(|_| qos == QoS::ExactlyOnce);
        let change = remembered.map_or(SenderChange::Nothing, |id| SenderChange::Incoming(key, id));
        let is_wanted = self.route(&message, Some(key), change, at);
        let unwanted = version == Version::V5 && !is_wanted;
        let reason = if unwanted { Reason::NO_MATCHING_SUBSCRIBERS } else { Reason::SUCCESS };
        id.into_iter().for_each(|id| self.acknowledge(key, id, qos, reason));
        Ok(())
    }

    /// Acknowledges a message that is not for this broker: it has gone in a circle, or has no name here.
    fn pass_over(&mut self, key: Key, id: Option<PacketId>, qos: QoS) {
        self.counts.dropped += 1;
        if let Some(id) = id.filter(|_| qos == QoS::ExactlyOnce)
            && let Some(session) = self.sessions.get_mut(key)
        {
            session.incoming.insert(id);
            self.record_of(key, Record::Incoming { key, id });
        }
        id.into_iter().for_each(|id| self.acknowledge(key, id, qos, Reason::SUCCESS));
    }

    fn acknowledge(&mut self, key: Key, id: PacketId, qos: QoS, reason: Reason) {
        let ack = Ack::new(id, reason);
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.answer(key, &Packet::PubAck(ack), 1),
            // A PUBREC that refuses is the end of the message; else PUBCOMP is.
            QoS::ExactlyOnce => self.answer(key, &Packet::PubRec(ack), reason.is_failure().into()),
        }
    }

    /// Why a message is not taken.
    fn refused(&self, message: &Message, may: bool) -> Option<Refusal> {
        if levels(&message.topic).count() > MAX_LEVELS {
            return Some(Refusal { reason: Reason::TOPIC_NAME_INVALID, why: "a topic with too many levels" });
        }
        if !may {
            return Some(Refusal { reason: Reason::NOT_AUTHORIZED, why: "the topic is not yours" });
        }
        if message.retain && !message.payload.is_empty() && !self.has_room_for(message) {
            return Some(Refusal { reason: Reason::QUOTA_EXCEEDED, why: "too many messages are retained" });
        }
        None
    }
}

/// The topic of a message, which may be said by a number (3.3.2.3.4).
fn topic(link: &mut Link, publish: &Publish) -> Result<Text, Error> {
    const INVALID: Error =
        Error { reason: Reason::TOPIC_ALIAS_INVALID, rule: "a topic alias that is 0 or above the server's maximum" };
    let Some(alias) = publish.properties.number(id::TOPIC_ALIAS) else { return Ok(publish.topic.clone()) };
    let alias = u16::try_from(alias).ok().filter(|alias| (1..=MAX_ALIASES).contains(alias)).ok_or(INVALID)?;
    if publish.topic.is_empty() {
        return link.aliases.get(&alias).cloned().ok_or(Error::protocol("a topic alias that stands for no topic"));
    }
    link.aliases.insert(alias, publish.topic.detached());
    Ok(publish.topic.clone())
}
