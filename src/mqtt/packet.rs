//! The packets, as values. A field that only one version has is empty in the other.

use super::{Connect, Filter, Properties, QoS, Reason, Text};
use bytes::Bytes;
use std::num::NonZeroU16;

/// Names an operation that takes several packets. Never 0 [MQTT-2.2.1-3].
pub type PacketId = NonZeroU16;

/// Any packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // Their names are those of the standard's table.
pub enum Packet {
    Connect(Box<Connect>),
    ConnAck(ConnAck),
    Publish(Publish),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    Subscribe(Subscribe),
    SubAck(SubAck),
    Unsubscribe(Unsubscribe),
    UnsubAck(SubAck),
    PingReq,
    PingResp,
    Disconnect(Disconnect),
    Auth(Auth),
}

/// The answer to a CONNECT (3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    /// The server has the client's session.
    pub session_present: bool,
    /// In MQTT 3.1.1 a return code.
    pub code: u8,
    /// MQTT 5.
    pub properties: Properties,
}

/// An application message on its way (3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// It may have been sent before.
    pub dup: bool,
    /// How it is delivered.
    pub qos: QoS,
    /// To a server: keep it for those who subscribe later. To a client: it was kept, or it was marked so.
    pub retain: bool,
    /// Empty with a topic alias.
    pub topic: Text,
    /// With a QoS above 0.
    pub id: Option<PacketId>,
    /// MQTT 5.
    pub properties: Properties,
    /// The message itself, of any kind.
    pub payload: Bytes,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Whose.
    pub id: PacketId,
    /// MQTT 5; always success in 3.1.1.
    pub reason: Reason,
    /// MQTT 5.
    pub properties: Properties,
}

impl Disconnect {
    /// A normal goodbye.
    #[must_use]
    pub fn normal() -> Self {
        Self { reason: Reason::SUCCESS, properties: Properties::default() }
    }
}

impl Ack {
    /// Without properties.
    #[must_use]
    pub fn new(id: PacketId, reason: Reason) -> Self {
        Self { id, reason, properties: Properties::default() }
    }
}

/// Which retained messages a subscription brings (3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RetainHandling {
    /// All that match.
    #[default]
    Always,
    /// Those, if the subscription is new.
    IfNew,
    /// None.
    Never,
}

/// One filter of a SUBSCRIBE with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topics that it is for.
    pub filter: Filter,
    /// The highest QoS with which messages are sent.
    pub qos: QoS,
    /// MQTT 5: not one's own messages.
    pub no_local: bool,
    /// MQTT 5: the retain flag as it was published.
    pub retain_as_published: bool,
    /// MQTT 5.
    pub retain_handling: RetainHandling,
}

/// SUBSCRIBE (3.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Answered in the SUBACK.
    pub id: PacketId,
    /// MQTT 5.
    pub properties: Properties,
    /// At least one. A filter that is none stands with its reason: the others may be good.
    pub filters: Vec<Subscription>,
}

/// SUBACK or UNSUBACK (3.9, 3.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// That of the request.
    pub id: PacketId,
    /// MQTT 5.
    pub properties: Properties,
    /// One a filter, in order. An UNSUBACK of MQTT 3.1.1 has none.
    pub codes: Vec<u8>,
}

/// UNSUBSCRIBE (3.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Answered in the UNSUBACK.
    pub id: PacketId,
    /// MQTT 5.
    pub properties: Properties,
    /// At least one.
    pub filters: Vec<Filter>,
}

/// The last packet (3.14). In MQTT 5 a server sends it, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// MQTT 5; always success, which is normal, in 3.1.1.
    pub reason: Reason,
    /// MQTT 5.
    pub properties: Properties,
}

/// Enhanced authentication, MQTT 5 only (3.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Success, continue or start again.
    pub reason: Reason,
    /// With the method.
    pub properties: Properties,
}
