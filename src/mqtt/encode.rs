//! Writes packets.

use super::{
    Ack, Packet, PacketId, Properties, Property, Publish, QoS, Reason, RetainHandling, SubAck, Subscribe, Subscription,
    Text, Unsubscribe, Version,
    connect::encode_connect,
    frame::Kind,
    write::{put_text, put_u16, put_varint, varint_len},
};

/// Appends a packet.
pub fn encode(packet: &Packet, version: Version, out: &mut Vec<u8>) {
    if let Packet::Publish(publish) = packet {
        let Publish { dup, qos, retain, topic, id, properties, payload } = publish;
        encode_publish((*dup, *qos, *retain), topic, *id, (&properties.0, &[]), payload.len(), version, out);
        return out.extend_from_slice(payload);
    }
    let (kind, mut body) = (kind(packet), Vec::new());
    write_body(packet, version, &mut body);
    out.push((kind as u8) << 4 | kind.flags().unwrap_or_default());
    put_varint(out, body.len() as u32);
    out.extend_from_slice(&body);
}

/// Appends a PUBLISH up to its payload, which has so many bytes. Its properties are those of the message, and some of its receiver's.
pub fn encode_publish(
    (dup, qos, retain): (bool, QoS, bool),
    topic: &Text,
    id: Option<PacketId>,
    (message, own): (&[Property], &[Property]),
    payload: usize,
    version: Version,
    out: &mut Vec<u8>,
) {
    let properties: usize = message.iter().chain(own).map(Property::len).sum();
    let head = 2 + topic.len() + if id.is_some() { 2 } else { 0 };
    let properties_len = if version == Version::V5 { varint_len(properties as u32) + properties } else { 0 };
    out.push((Kind::Publish as u8) << 4 | u8::from(dup) << 3 | (qos as u8) << 1 | u8::from(retain));
    put_varint(out, (head + properties_len + payload) as u32);
    put_text(out, topic);
    id.iter().for_each(|id| put_u16(out, id.get()));
    if version == Version::V5 {
        put_varint(out, properties as u32);
        message.iter().chain(own).for_each(|property| property.write(out));
    }
}

fn kind(packet: &Packet) -> Kind {
    match packet {
        Packet::Connect(_) => Kind::Connect,
        Packet::ConnAck(_) => Kind::ConnAck,
        Packet::Publish(_) => Kind::Publish,
        Packet::PubAck(_) => Kind::PubAck,
        Packet::PubRec(_) => Kind::PubRec,
        Packet::PubRel(_) => Kind::PubRel,
        Packet::PubComp(_) => Kind::PubComp,
        Packet::Subscribe(_) => Kind::Subscribe,
        Packet::SubAck(_) => Kind::SubAck,
        Packet::Unsubscribe(_) => Kind::Unsubscribe,
        Packet::UnsubAck(_) => Kind::UnsubAck,
        Packet::PingReq => Kind::PingReq,
        Packet::PingResp => Kind::PingResp,
        Packet::Disconnect(_) => Kind::Disconnect,
        Packet::Auth(_) => Kind::Auth,
    }
}

fn write_body(packet: &Packet, version: Version, out: &mut Vec<u8>) {
    let is_v5 = version == Version::V5;
    match packet {
        Packet::Connect(connect) => encode_connect(connect, out),
        Packet::ConnAck(connack) => {
            out.extend([u8::from(connack.session_present), connack.code]);
            if is_v5 {
                connack.properties.write(out);
            }
        }
        // Written above: it is the one packet that is large and frequent.
        Packet::Publish(_) | Packet::PingReq | Packet::PingResp => {}
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            write_ack(ack, is_v5, out);
        }
        Packet::Subscribe(subscribe) => write_subscribe(subscribe, is_v5, out),
        Packet::SubAck(suback) | Packet::UnsubAck(suback) => write_suback(suback, is_v5, out),
        Packet::Unsubscribe(Unsubscribe { id, properties, filters }) => {
            put_u16(out, id.get());
            if is_v5 {
                properties.write(out);
            }
            filters.iter().for_each(|filter| put_text(out, filter.text()));
        }
        Packet::Disconnect(disconnect) if is_v5 => write_reason(disconnect.reason, &disconnect.properties, out),
        Packet::Disconnect(_) => {}
        Packet::Auth(auth) => write_reason(auth.reason, &auth.properties, out),
    }
}

fn write_ack(ack: &Ack, is_v5: bool, out: &mut Vec<u8>) {
    put_u16(out, ack.id.get());
    if is_v5 {
        write_reason(ack.reason, &ack.properties, out);
    }
}

/// As little of it as says the same.
fn write_reason(reason: Reason, properties: &Properties, out: &mut Vec<u8>) {
    if reason != Reason::SUCCESS || !properties.0.is_empty() {
        out.push(reason.0);
    }
    if !properties.0.is_empty() {
        properties.write(out);
    }
}

fn write_subscribe(subscribe: &Subscribe, is_v5: bool, out: &mut Vec<u8>) {
    put_u16(out, subscribe.id.get());
    if is_v5 {
        subscribe.properties.write(out);
    }
    for Subscription { filter, qos, no_local, retain_as_published, retain_handling } in &subscribe.filters {
        put_text(out, filter.text());
        let handling = match retain_handling {
            RetainHandling::Always => 0,
            RetainHandling::IfNew => 1,
            RetainHandling::Never => 2,
        };
        let options = u8::from(*no_local) << 2 | u8::from(*retain_as_published) << 3 | handling << 4;
        out.push(*qos as u8 | if is_v5 { options } else { 0 });
    }
}

fn write_suback(suback: &SubAck, is_v5: bool, out: &mut Vec<u8>) {
    put_u16(out, suback.id.get());
    if is_v5 {
        suback.properties.write(out);
    }
    out.extend_from_slice(&suback.codes);
}
