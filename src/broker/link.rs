//! The connection that a session has, and how messages are written to it.

use super::{
    bridge::{Rules, crossed},
    limits::{HARD_WATER, HIGH_WATER, MAX_GATED},
    message::Delivery,
    outbox::Outbox,
    rights::Rights,
};
use crate::{
    app::ConnId,
    buf::Output,
    mqtt::{Packet, PacketId, Property, QoS, Text, Value, Version, encode, encode_publish, id},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Payloads from this size on are sent by reference: many receivers share one.
const BY_REFERENCE: usize = 4096;

/// A connection whose CONNECT was accepted.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) conn: ConnId,
    pub(crate) version: Version,
    pub(crate) rights: Arc<Rights>,
    /// Messages of QoS 1 and 2 that may be on their way to it.
    pub(crate) window: u16,
    /// Bytes of a packet that it takes.
    pub(crate) max_packet: usize,
    /// It is a bridge of MQTT 3.1.1.
    pub(crate) is_bridge: bool,
    /// It leads to another broker, where topics have other names.
    pub(crate) bridge: Option<Arc<Rules>>,
    /// Messages are told that they were at the broker of this name.
    pub(crate) hop: Option<Text>,
    /// Messages of QoS 1 and 2 from it that are not answered to the end.
    pub(crate) unanswered: u16,
    /// The topics that it gave numbers to.
    pub(crate) aliases: HashMap<u16, Text>,
    /// The topics that were given numbers for it.
    own_aliases: HashMap<Text, u16>,
    own_alias_maximum: u16,
    /// Bytes that its peer has not taken, as the driver has told.
    unsent: usize,
    pub(crate) out: Outbox,
    /// A packet for it waits until so many records are stored: the last of them is of its session.
    pub(crate) after: u64,
    /// Messages of QoS 0 that wait for room.
    backlog: VecDeque<Delivery>,
    backlog_bytes: usize,
    /// Bytes that the driver was given since then, of which it has told nothing.
    flushed: usize,
    /// A message found no room.
    is_starved: bool,
    /// It is among those whose output is to be sent.
    pub(crate) is_dirty: bool,
    /// It is among those whose output waits for the disk.
    pub(crate) is_gated: bool,
}

impl Link {
    pub(crate) fn new(conn: ConnId, version: Version, rights: Arc<Rights>, own_alias_maximum: u16) -> Self {
        Self {
            conn,
            version,
            rights,
            window: u16::MAX,
            max_packet: usize::MAX,
            is_bridge: false,
            bridge: None,
            hop: None,
            unanswered: 0,
            aliases: HashMap::new(),
            own_aliases: HashMap::new(),
            own_alias_maximum,
            unsent: 0,
            out: Outbox::default(),
            after: 0,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            flushed: 0,
            is_starved: false,
            is_dirty: false,
            is_gated: false,
        }
    }

    /// Whether a message may be written to it.
    pub(crate) fn has_room(&self) -> bool {
        self.unsent + self.flushed + self.out.len() < HIGH_WATER
    }

    /// The driver has told what its peer has not taken, of all that was given to it. `None`: it had the time to tell, and has not: so
    /// nothing has changed.
    pub(crate) fn told(&mut self, unsent: Option<usize>) {
        self.unsent = unsent.unwrap_or(self.unsent);
        self.flushed = 0;
    }

    /// A message found no room. Returns whether the driver's next turn may have some.
    pub(crate) fn starve(&mut self) -> bool {
        self.is_starved = true;
        self.flushed > 0
    }

    /// Whether a message found no room.
    pub(crate) fn is_starved(&self) -> bool {
        self.is_starved
    }

    /// Whether there is room for a message that found none. It will be looked for.
    pub(crate) fn is_fed(&mut self) -> bool {
        let is_fed = self.is_starved && self.has_room();
        self.is_starved &= !is_fed;
        is_fed
    }

    /// Whether nothing more is to be heard of it before it has read, or the disk has written.
    pub(crate) fn has_to_wait(&self) -> bool {
        self.unsent + self.flushed + self.out.len() > HARD_WATER || self.out.waiting() > MAX_GATED
    }

    /// Writes a packet that stands for what was recorded before it, of which `stored` records are on the disk. `frees`: how many of the client's messages
    /// it ends.
    pub(crate) fn answer(&mut self, packet: &Packet, stored: u64, frees: u16) {
        // It promises nothing.
        let after = if matches!(packet, Packet::PingResp) { 0 } else { self.after };
        let (version, most) = (self.version, self.max_packet);
        let freed = self.out.write(after, stored, frees, |out| {
            let tail = out.tail(64);
            let before = tail.len();
            encode(packet, version, tail);
            // Nothing longer than the client takes is sent [MQTT-3.1.2-24]: of answers, only those to hundreds of filters.
            if tail.len() - before > most {
                tail.truncate(before);
            }
        });
        self.unanswered = self.unanswered.saturating_sub(freed);
    }

    /// Records are stored.
    pub(crate) fn stored(&mut self, stored: u64) {
        let freed = self.out.stored(stored);
        self.unanswered = self.unanswered.saturating_sub(freed);
    }

    /// Writes a message. `false`: it is longer than the client takes [MQTT-3.1.2-24], or has no name at the other end of a bridge.
    pub(crate) fn publish(
        &mut self,
        delivery: &Delivery,
        id: Option<PacketId>,
        dup: bool,
        at: u64,
        stored: u64,
    ) -> bool {
        let message = &*delivery.message;
        let is_v5 = self.version == Version::V5;
        let named = self.bridge.as_ref().map_or(Some(message.topic.clone()), |rules| rules.outward(&message.topic));
        let Some(topic) = named else { return false };
        let (own, topic) = if is_v5 { self.own(delivery, topic, at) } else { (Vec::new(), topic) };
        if self.max_packet < usize::MAX && self.is_too_long(delivery, &topic, id, &own) {
            return false;
        }
        let after = if delivery.qos == QoS::AtMostOnce { 0 } else { self.after };
        let (flags, version) = ((dup, delivery.qos, delivery.retain), self.version);
        let payload = &message.payload;
        self.out.write(after, stored, 0, |out| {
            let by_reference = payload.len() >= BY_REFERENCE;
            let tail = out.tail(64 + topic.len() + if by_reference { 0 } else { payload.len() });
            encode_publish(flags, &topic, id, (&message.properties, &own), payload.len(), version, tail);
            if by_reference {
                out.push(payload.clone());
            } else {
                tail.extend_from_slice(payload);
            }
        });
        true
    }

    /// The properties that are this receiver's, and the topic or, if it has an alias already, none.
    fn own(&mut self, delivery: &Delivery, mut topic: Text, at: u64) -> (Vec<Property>, Text) {
        let mut own = Vec::new();
        if let Some(expires) = delivery.message.expires {
            // The time that it has waited is subtracted [MQTT-3.3.2-6].
            let left = u32::try_from(expires.saturating_sub(at).div_ceil(1000)).unwrap_or(u32::MAX);
            own.push(Property { id: id::MESSAGE_EXPIRY, value: Value::Four(left) });
        }
        own.extend(delivery.ids.iter().map(|id| Property { id: id::SUBSCRIPTION_ID, value: Value::Varint(*id) }));
        own.extend(self.hop.as_ref().map(crossed));
        if self.own_alias_maximum > 0 {
            let alias = |alias| Property { id: id::TOPIC_ALIAS, value: Value::Two(alias) };
            if let Some(known) = self.own_aliases.get(&topic) {
                own.push(alias(*known));
                topic = Text::default();
            } else if self.own_aliases.len() < usize::from(self.own_alias_maximum) && self.max_packet == usize::MAX {
                // Only where a packet cannot turn out too long: then its alias would never have been told.
                let next = self.own_aliases.len() as u16 + 1;
                self.own_aliases.insert(topic.detached(), next);
                own.push(alias(next));
            }
        }
        (own, topic)
    }

    fn is_too_long(&self, delivery: &Delivery, topic: &Text, id: Option<PacketId>, own: &[Property]) -> bool {
        let (message, mut head) = (&*delivery.message, Vec::new());
        let flags = (false, delivery.qos, delivery.retain);
        encode_publish(flags, topic, id, (&message.properties, own), message.payload.len(), self.version, &mut head);
        head.len() + message.payload.len() > self.max_packet
    }

    /// A message of QoS 0 waits for room, if so many bytes more may. `false`: they may not.
    pub(crate) fn put_off(&mut self, delivery: Delivery, most: usize, most_bytes: usize) -> bool {
        let weight = delivery.message.weight();
        let fits = self.backlog.len() < most && self.backlog_bytes + weight <= most_bytes;
        if fits {
            self.backlog_bytes += weight;
            self.backlog.push_back(delivery);
        }
        fits
    }

    /// Whether messages of QoS 0 wait, so that another one has to wait behind them.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// The next of them.
    pub(crate) fn next_put_off(&mut self) -> Option<Delivery> {
        let delivery = self.backlog.pop_front()?;
        self.backlog_bytes -= delivery.message.weight();
        Some(delivery)
    }

    /// Takes what is to be sent.
    pub(crate) fn take(&mut self) -> Output {
        self.is_dirty = false;
        let output = self.out.take();
        self.flushed += output.len();
        output
    }
}
