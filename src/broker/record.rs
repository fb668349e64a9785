//! The changes of sessions and retained messages that outlive the process, as they stand in the log.
//!
//! ```text
//!   mark │ length, 4 bytes │ CRC-32 of mark, length and record, 4 bytes │ kind, fields
//! ```
//!
//! One PUBLISH is one record, with all sessions that get it: either all of them have it after a crash, or none, and then it was not
//! acknowledged. The message in it is a PUBLISH packet of MQTT 5.

use super::{
    message::{Delivery, Key, LastWill, Message},
    outgoing::Number,
};
use crate::mqtt::{
    Error, Filter, Frame, Kind, Packet, PacketId, Properties, Publish, QoS, Reader, RetainHandling, Subscription, Text,
    Version, decode, encode_publish, frame, put_binary, put_text, put_u16, put_u32,
};
use bytes::Bytes;
use std::{num::NonZeroU16, sync::Arc};

/// The first byte of each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It was written behind others of which the disk had not said that it keeps them.
    Behind,
    /// When it was written, the disk had confirmed all before it.
    Confirmed,
}

impl Mark {
    /// The mark that this byte is.
    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::Behind, Self::Confirmed].into_iter().find(|mark| mark.byte() == byte)
    }

    fn byte(self) -> u8 {
        match self {
            Self::Behind => 0xB7,
            Self::Confirmed => 0xB8,
        }
    }
}

/// Bytes before a record.
pub(crate) const HEAD: usize = 9;

/// The longest record that is believed: the longest packet, and all sessions that may get it.
pub(crate) const MAX_RECORD: usize = 512 * 1024 * 1024;

/// The change that a message makes in the session that it comes from. It is a part of the message's record: after a crash both are there, or
/// neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SenderChange {
    /// None.
    Nothing,
    /// A message of QoS 2, of which the packet identifier is remembered.
    Incoming(Key, PacketId),
    /// It was the session's will, which has none from now on.
    Will(Key),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A client has connected: its session is new, or goes on.
    Session {
        key: Key,
        client: Text,
        expiry: u32,
    },
    /// Its connection ended, in milliseconds since 1970.
    Away {
        key: Key,
        since: u64,
        expiry: u32,
    },
    /// It is over.
    Gone {
        key: Key,
    },
    Subscribed {
        key: Key,
        subscription: Subscription,
        id: Option<u32>,
    },
    Unsubscribed {
        key: Key,
        filter: Text,
    },
    /// A message, all sessions that get it, and what it changes besides.
    Published {
        message: Arc<Message>,
        retained: bool,
        from: SenderChange,
        to: Vec<Receiver>,
    },
    /// A topic has no retained message any more.
    Unretained {
        topic: Text,
    },
    /// A message that waited was sent.
    Sent {
        key: Key,
        number: Number,
        id: PacketId,
    },
    /// The client has a message of QoS 2. Only its number and its packet id are needed from now on.
    Received {
        key: Key,
        number: Number,
        id: PacketId,
    },
    /// A message is done, or dropped.
    Done {
        key: Key,
        number: Number,
    },
    /// A client's message of QoS 2 was published, and is not released: for snapshots, in which the message itself is gone.
    Incoming {
        key: Key,
        id: PacketId,
    },
    /// A client's message of QoS 2 is done.
    Released {
        key: Key,
        id: PacketId,
    },
    /// The will that a client has from now on.
    Will {
        key: Key,
        will: Option<LastWill>,
    },
}

/// A session that gets a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receiver {
    pub(crate) key: Key,
    pub(crate) number: Number,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) ids: Vec<u32>,
    /// It was sent at once.
    pub(crate) sent: Option<PacketId>,
}

impl Receiver {
    pub(crate) fn delivery(&self, message: &Arc<Message>) -> Delivery {
        Delivery { message: Arc::clone(message), qos: self.qos, retain: self.retain, ids: self.ids.clone() }
    }
}

impl Record {
    /// Appends it with its head.
    pub(crate) fn write(&self, mark: Mark, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([mark.byte(), 0, 0, 0, 0, 0, 0, 0, 0]);
        self.write_body(out);
        let len = (out.len() - start - HEAD) as u32;
        out[start + 1..start + 5].copy_from_slice(&len.to_be_bytes());
        let sum = checksum(mark, len, &out[start + HEAD..]);
        out[start + 5..start + HEAD].copy_from_slice(&sum.to_be_bytes());
    }

    /// Its number in the log, and its session if it has one.
    /// About the bytes that it takes, in memory and in the log.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Published { message, to, .. } => message.weight() + to.len() * size_of::<Receiver>(),
            Self::Will { will: Some(will), .. } => will.message.weight(),
            Self::Session { client: text, .. }
            | Self::Unsubscribed { filter: text, .. }
            | Self::Unretained { topic: text } => size_of::<Self>() + text.len(),
            Self::Subscribed { subscription, .. } => size_of::<Self>() + subscription.filter.text().len(),
            Self::Will { will: None, .. }
            | Self::Away { .. }
            | Self::Gone { .. }
            | Self::Sent { .. }
            | Self::Received { .. }
            | Self::Done { .. }
            | Self::Incoming { .. }
            | Self::Released { .. } => size_of::<Self>(),
        }
    }

    fn kind(&self) -> (u8, Key) {
        match self {
            Self::Session { key, .. } => (1, *key),
            Self::Away { key, .. } => (2, *key),
            Self::Gone { key } => (3, *key),
            Self::Subscribed { key, .. } => (4, *key),
            Self::Unsubscribed { key, .. } => (5, *key),
            Self::Published { from: SenderChange::Nothing, .. } => (6, 0),
            Self::Published { from: SenderChange::Incoming(key, _), .. } => (6, *key),
            Self::Published { from: SenderChange::Will(key), .. } => (14, *key),
            Self::Unretained { .. } => (7, 0),
            Self::Sent { key, .. } => (8, *key),
            Self::Received { key, .. } => (9, *key),
            Self::Done { key, .. } => (10, *key),
            Self::Released { key, .. } => (11, *key),
            Self::Will { key, .. } => (12, *key),
            Self::Incoming { key, .. } => (13, *key),
        }
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        let (kind, key) = self.kind();
        out.push(kind);
        put_u32(out, key as u32);
        match self {
            Self::Session { client, expiry, .. } => {
                put_u32(out, *expiry);
                put_text(out, client);
            }
            Self::Away { since, expiry, .. } => {
                put_u64(out, *since);
                put_u32(out, *expiry);
            }
            Self::Gone { .. } | Self::Will { will: None, .. } => {}
            Self::Subscribed { subscription, id, .. } => {
                out.push(options(subscription));
                put_u32(out, id.unwrap_or(0));
                put_text(out, subscription.filter.text());
            }
            Self::Unsubscribed { filter: text, .. } | Self::Unretained { topic: text } => put_text(out, text),
            Self::Published { message, retained, from, to } => {
                put_u16(out, if let SenderChange::Incoming(_, id) = from { id.get() } else { 0 });
                out.push((*retained).into());
                put_message(out, message);
                put_u32(out, to.len() as u32);
                to.iter().for_each(|receiver| put_receiver(out, receiver));
            }
            Self::Sent { number, id, .. } | Self::Received { number, id, .. } => {
                put_u64(out, *number);
                put_u16(out, id.get());
            }
            Self::Done { number, .. } => put_u64(out, *number),
            Self::Released { id, .. } | Self::Incoming { id, .. } => put_u16(out, id.get()),
            Self::Will { will: Some(LastWill { message, lives, delay }), .. } => {
                put_u32(out, *delay);
                out.push(lives.is_some().into());
                put_u32(out, lives.unwrap_or(0));
                put_message(out, message);
            }
        }
    }

    /// Reads the fields of a record whose checksum was right.
    pub(crate) fn read(bytes: Bytes) -> Result<Self, Error> {
        let mut from = Reader::new(bytes);
        let (kind, key) = (from.u8()?, from.u32()? as Key);
        let record = match kind {
            1 => {
                let expiry = from.u32()?;
                Self::Session { key, client: from.text()?, expiry }
            }
            2 => Self::Away { key, since: from.u64()?, expiry: from.u32()? },
            3 => Self::Gone { key },
            4 => {
                let (options, id) = (from.u8()?, from.u32()?);
                let subscription = subscription(Filter::new(from.text()?)?, options);
                Self::Subscribed { key, subscription, id: (id > 0).then_some(id) }
            }
            5 => Self::Unsubscribed { key, filter: from.text()? },
            6 | 14 => {
                let (id, retained) = (NonZeroU16::new(from.u16()?), from.u8()? == 1);
                let message = Arc::new(message(&mut from)?);
                let count = from.u32()?;
                let to = (0..count).map(|_| receiver(&mut from)).collect::<Result<_, _>>()?;
                let from = match id {
                    _ if kind == 14 => SenderChange::Will(key),
                    Some(id) => SenderChange::Incoming(key, id),
                    None => SenderChange::Nothing,
                };
                Self::Published { message, retained, from, to }
            }
            7 => Self::Unretained { topic: from.text()? },
            8 => Self::Sent { key, number: from.u64()?, id: packet_id(&mut from)? },
            9 => Self::Received { key, number: from.u64()?, id: packet_id(&mut from)? },
            10 => Self::Done { key, number: from.u64()? },
            11 => Self::Released { key, id: packet_id(&mut from)? },
            12 if !from.is_empty() => {
                let delay = from.u32()?;
                let (has_lives, lives) = (from.u8()? == 1, from.u32()?);
                let message = Arc::new(message(&mut from)?);
                Self::Will { key, will: Some(LastWill { message, lives: has_lives.then_some(lives), delay }) }
            }
            12 => Self::Will { key, will: None },
            13 => Self::Incoming { key, id: packet_id(&mut from)? },
            _ => return Err(Error::malformed("a record of a kind that is not known")),
        };
        from.finish()?;
        Ok(record)
    }
}

/// The checksum of a record.
pub(crate) fn checksum(mark: Mark, len: u32, body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[mark.byte()]);
    sum.update(&len.to_be_bytes());
    sum.update(body);
    sum.finalize()
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn packet_id(from: &mut Reader) -> Result<PacketId, Error> {
    PacketId::new(from.u16()?).ok_or(Error::malformed("packet identifier 0"))
}

fn options(subscription: &Subscription) -> u8 {
    let handling = match subscription.retain_handling {
        RetainHandling::Always => 0,
        RetainHandling::IfNew => 1,
        RetainHandling::Never => 2,
    };
    let flags = u8::from(subscription.no_local) << 2 | u8::from(subscription.retain_as_published) << 3;
    subscription.qos as u8 | flags | handling << 4
}

fn subscription(filter: Filter, options: u8) -> Subscription {
    Subscription {
        filter,
        qos: QoS::from_bits(options).unwrap_or_default(),
        no_local: options & 1 << 2 != 0,
        retain_as_published: options & 1 << 3 != 0,
        retain_handling: match options >> 4 {
            0 => RetainHandling::Always,
            1 => RetainHandling::IfNew,
            _ => RetainHandling::Never,
        },
    }
}

fn put_message(out: &mut Vec<u8>, message: &Message) {
    put_u64(out, message.expires.unwrap_or(0));
    out.push(message.qos as u8);
    // As QoS 0: the packet has no identifier.
    let flags = (false, QoS::AtMostOnce, message.retain);
    let properties = (&message.properties[..], &[][..]);
    encode_publish(flags, &message.topic, None, properties, message.payload.len(), Version::V5, out);
    out.extend_from_slice(&message.payload);
}

fn message(from: &mut Reader) -> Result<Message, Error> {
    const DAMAGED: Error = Error::malformed("a record without its message");
    let (expires, qos) = (from.u64()?, from.u8()?);
    let Frame { kind, flags, head, body } = frame(&from.clone().rest())?.ok_or(DAMAGED)?;
    from.take(head)?;
    let packet = decode(Frame { kind, flags, head, body }, from.take(body)?, Version::V5)?;
    let (Kind::Publish, Packet::Publish(Publish { retain, topic, properties: Properties(properties), payload, .. })) =
        (kind, packet)
    else {
        return Err(DAMAGED);
    };
    let (qos, expires) = (QoS::from_bits(qos).unwrap_or_default(), (expires > 0).then_some(expires));
    Ok(Message { topic, qos, retain, properties, payload, expires })
}

fn put_receiver(out: &mut Vec<u8>, receiver: &Receiver) {
    put_u32(out, receiver.key as u32);
    put_u64(out, receiver.number);
    out.push(receiver.qos as u8 | u8::from(receiver.retain) << 2);
    put_u16(out, receiver.sent.map_or(0, NonZeroU16::get));
    let ids: Vec<u8> = receiver.ids.iter().flat_map(|id| id.to_be_bytes()).collect();
    put_binary(out, &ids);
}

fn receiver(from: &mut Reader) -> Result<Receiver, Error> {
    let (key, number, flags) = (from.u32()? as Key, from.u64()?, from.u8()?);
    let sent = NonZeroU16::new(from.u16()?);
    let mut ids = Reader::new(from.binary()?);
    let mut list = Vec::new();
    while !ids.is_empty() {
        list.push(ids.u32()?);
    }
    let qos = QoS::from_bits(flags).unwrap_or_default();
    Ok(Receiver { key, number, qos, retain: flags & 4 != 0, ids: list, sent })
}
