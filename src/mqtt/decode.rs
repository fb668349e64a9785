//! Reads the body of one packet.

use super::{
    Ack, Auth, ConnAck, Disconnect, Error, Filter, Frame, Kind, Packet, PacketId, Properties, Publish, QoS, Reader,
    Reason, RetainHandling, SubAck, Subscribe, Subscription, Unsubscribe, Version, check_name,
    connect::{check_response_topic, decode_connect},
    properties::{id, of},
};
use bytes::Bytes;

/// Reads a packet: what [`frame`](super::frame()) said of it, and its bytes behind the fixed header.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn decode(frame: Frame, body: Bytes, version: Version) -> Result<Packet, Error> {
    let from = Reader::new(body);
    match frame.kind {
        Kind::Connect => {
            decode_connect(from.rest()).map(|connect| Packet::Connect(Box::new(connect))).map_err(|failed| failed.error)
        }
        Kind::ConnAck => connack(from, version).map(Packet::ConnAck),
        Kind::Publish => publish(frame.flags, from, version).map(Packet::Publish),
        Kind::PubAck => ack(from, version, Kind::PubAck).map(Packet::PubAck),
        Kind::PubRec => ack(from, version, Kind::PubRec).map(Packet::PubRec),
        Kind::PubRel => ack(from, version, Kind::PubRel).map(Packet::PubRel),
        Kind::PubComp => ack(from, version, Kind::PubComp).map(Packet::PubComp),
        Kind::Subscribe => subscribe(from, version).map(Packet::Subscribe),
        Kind::SubAck => suback(from, version, Kind::SubAck).map(Packet::SubAck),
        Kind::Unsubscribe => unsubscribe(from, version).map(Packet::Unsubscribe),
        Kind::UnsubAck => suback(from, version, Kind::UnsubAck).map(Packet::UnsubAck),
        Kind::PingReq => from.finish().map(|()| Packet::PingReq),
        Kind::PingResp => from.finish().map(|()| Packet::PingResp),
        Kind::Disconnect => disconnect(from, version).map(Packet::Disconnect),
        Kind::Auth if version == Version::V5 => auth(from).map(Packet::Auth),
        Kind::Auth => Err(Error::malformed("no such packet type")),
    }
}

fn properties(from: &mut Reader, version: Version, kind: Kind) -> Result<Properties, Error> {
    match version {
        Version::V3 => Ok(Properties::default()),
        Version::V5 => Properties::read(from, of(kind)),
    }
}

fn packet_id(from: &mut Reader) -> Result<PacketId, Error> {
    PacketId::new(from.u16()?).ok_or(Error::protocol("packet identifier 0"))
}

fn connack(mut from: Reader, version: Version) -> Result<ConnAck, Error> {
    let flags = from.u8()?;
    if flags > 1 {
        return Err(Error::malformed("reserved flags of a CONNACK"));
    }
    let code = from.u8()?;
    let properties = properties(&mut from, version, Kind::ConnAck)?;
    from.finish()?;
    Ok(ConnAck { session_present: flags == 1, code, properties })
}

fn publish(flags: u8, mut from: Reader, version: Version) -> Result<Publish, Error> {
    let qos = QoS::from_bits(flags >> 1).ok_or(Error::malformed("a PUBLISH with QoS 3"))?;
    let dup = flags & 8 != 0;
    if dup && qos == QoS::AtMostOnce {
        return Err(Error::malformed("a PUBLISH with QoS 0 that says it is sent again"));
    }
    let topic = from.text()?;
    let id = if qos == QoS::AtMostOnce { None } else { Some(packet_id(&mut from)?) };
    let properties = properties(&mut from, version, Kind::Publish)?;
    if topic.is_empty() && version == Version::V5 {
        if !properties.has(id::TOPIC_ALIAS) {
            return Err(Error::protocol("an empty topic name without an alias"));
        }
    } else {
        check_name(&topic)?;
    }
    check_response_topic(&properties)?;
    Ok(Publish { dup, qos, retain: flags & 1 != 0, topic, id, properties, payload: from.rest() })
}

/// Reason and properties may be left out at the end (3.4.2.1).
fn ack(mut from: Reader, version: Version, kind: Kind) -> Result<Ack, Error> {
    let id = packet_id(&mut from)?;
    let mut ack = Ack::new(id, Reason::SUCCESS);
    if version == Version::V5 && !from.is_empty() {
        ack.reason = Reason(from.u8()?);
        check_ack_reason(ack.reason, kind)?;
        if !from.is_empty() {
            ack.properties = Properties::read(&mut from, of(kind))?;
        }
    }
    from.finish()?;
    Ok(ack)
}

/// The reasons that the four answers have (tables 3-4 to 3-7).
fn check_ack_reason(reason: Reason, kind: Kind) -> Result<(), Error> {
    let known = match kind {
        Kind::PubAck | Kind::PubRec => {
            matches!(reason.0, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
        }
        _ => matches!(reason.0, 0x00 | 0x92),
    };
    if known { Ok(()) } else { Err(Error::malformed("a reason code that this packet cannot have")) }
}

fn subscribe(mut from: Reader, version: Version) -> Result<Subscribe, Error> {
    let id = packet_id(&mut from)?;
    let properties = properties(&mut from, version, Kind::Subscribe)?;
    let mut filters = Vec::new();
    while !from.is_empty() {
        let filter = Filter::received(from.text()?)?;
        filters.push(subscription(filter, from.u8()?, version)?);
    }
    if filters.is_empty() {
        return Err(Error::protocol("a SUBSCRIBE without a filter"));
    }
    Ok(Subscribe { id, properties, filters })
}

fn subscription(filter: Filter, options: u8, version: Version) -> Result<Subscription, Error> {
    let reserved = if version == Version::V3 { 0b1111_1100 } else { 0b1100_0000 };
    if options & reserved != 0 {
        return Err(Error::malformed("reserved bits of a subscription are set"));
    }
    let qos = QoS::from_bits(options).ok_or(Error::malformed("a subscription with QoS 3"))?;
    let no_local = options & 1 << 2 != 0;
    if no_local && filter.shared().is_some() {
        return Err(Error::protocol("a shared subscription without local messages"));
    }
    let retain_handling = match options >> 4 {
        0 => RetainHandling::Always,
        1 => RetainHandling::IfNew,
        2 => RetainHandling::Never,
        _ => return Err(Error::protocol("retain handling 3")),
    };
    Ok(Subscription { filter, qos, no_local, retain_as_published: options & 1 << 3 != 0, retain_handling })
}

fn suback(mut from: Reader, version: Version, kind: Kind) -> Result<SubAck, Error> {
    let id = packet_id(&mut from)?;
    let properties = properties(&mut from, version, kind)?;
    Ok(SubAck { id, properties, codes: from.rest().to_vec() })
}

fn unsubscribe(mut from: Reader, version: Version) -> Result<Unsubscribe, Error> {
    let id = packet_id(&mut from)?;
    let properties = properties(&mut from, version, Kind::Unsubscribe)?;
    let mut filters = Vec::new();
    while !from.is_empty() {
        filters.push(Filter::received(from.text()?)?);
    }
    if filters.is_empty() {
        return Err(Error::protocol("an UNSUBSCRIBE without a filter"));
    }
    Ok(Unsubscribe { id, properties, filters })
}

/// As with the answers, what is left out is normal (3.14.2.1).
fn disconnect(mut from: Reader, version: Version) -> Result<Disconnect, Error> {
    let mut disconnect = Disconnect { reason: Reason::SUCCESS, properties: Properties::default() };
    if version == Version::V5 && !from.is_empty() {
        disconnect.reason = Reason(from.u8()?);
        let known = matches!(disconnect.reason.0, 0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8B | 0x8D..=0xA2);
        if !known {
            return Err(Error::malformed("a reason code that this packet cannot have"));
        }
        if !from.is_empty() {
            disconnect.properties = Properties::read(&mut from, of(Kind::Disconnect))?;
        }
    }
    from.finish()?;
    Ok(disconnect)
}

fn auth(mut from: Reader) -> Result<Auth, Error> {
    let mut auth = Auth { reason: Reason::SUCCESS, properties: Properties::default() };
    if !from.is_empty() {
        auth.reason = Reason(from.u8()?);
        if !matches!(auth.reason.0, 0x00 | 0x18 | 0x19) {
            return Err(Error::malformed("a reason code that this packet cannot have"));
        }
        if !from.is_empty() {
            auth.properties = Properties::read(&mut from, of(Kind::Auth))?;
        }
    }
    from.finish()?;
    Ok(auth)
}
