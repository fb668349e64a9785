//! The properties of MQTT 5 (2.2.2), checked against the standard's table 2-4.

use super::{
    Error, Reader, Text,
    frame::Kind,
    write::{put_binary, put_text, put_u16, put_u32, put_varint, varint_len},
};
use bytes::Bytes;

/// The numbers of properties.
#[allow(missing_docs)] // Their names are those of the standard's table.
pub mod id {
    pub const PAYLOAD_FORMAT: u8 = 1;
    pub const MESSAGE_EXPIRY: u8 = 2;
    pub const CONTENT_TYPE: u8 = 3;
    pub const RESPONSE_TOPIC: u8 = 8;
    pub const CORRELATION_DATA: u8 = 9;
    pub const SUBSCRIPTION_ID: u8 = 11;
    pub const SESSION_EXPIRY: u8 = 17;
    pub const ASSIGNED_CLIENT_ID: u8 = 18;
    pub const SERVER_KEEP_ALIVE: u8 = 19;
    pub const AUTHENTICATION_METHOD: u8 = 21;
    pub const AUTHENTICATION_DATA: u8 = 22;
    pub const REQUEST_PROBLEM_INFO: u8 = 23;
    pub const WILL_DELAY: u8 = 24;
    pub const REQUEST_RESPONSE_INFO: u8 = 25;
    pub const RESPONSE_INFO: u8 = 26;
    pub const SERVER_REFERENCE: u8 = 28;
    pub const REASON_STRING: u8 = 31;
    pub const RECEIVE_MAXIMUM: u8 = 33;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 34;
    pub const TOPIC_ALIAS: u8 = 35;
    pub const MAXIMUM_QOS: u8 = 36;
    pub const RETAIN_AVAILABLE: u8 = 37;
    pub const USER_PROPERTY: u8 = 38;
    pub const MAXIMUM_PACKET_SIZE: u8 = 39;
    pub const WILDCARD_AVAILABLE: u8 = 40;
    pub const SUBSCRIPTION_IDS_AVAILABLE: u8 = 41;
    pub const SHARED_AVAILABLE: u8 = 42;
}

/// The will of a CONNECT has properties of its own; its number in the table's last column.
pub(super) const WILL: u32 = 1;

/// The place of a packet's kind in the table's last column.
pub(super) const fn of(kind: Kind) -> u32 {
    1 << kind as u32
}

/// A value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Value {
    Byte(u8),
    Two(u16),
    Four(u32),
    Varint(u32),
    Text(Text),
    Binary(Bytes),
    Pair(Text, Text),
}

/// How a value is written, and which values there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// 0 or 1.
    Flag,
    Two,
    /// 0 is a protocol error.
    TwoNotZero,
    Four,
    FourNotZero,
    VarintNotZero,
    Text,
    Binary,
    Pair,
}

const CONNECT: u32 = of(Kind::Connect);
const CONNACK: u32 = of(Kind::ConnAck);
const PUBLISH: u32 = of(Kind::Publish);
const DISCONNECT: u32 = of(Kind::Disconnect);
const AUTH: u32 = of(Kind::Auth);
const ACKS: u32 = of(Kind::PubAck) | of(Kind::PubRec) | of(Kind::PubRel) | of(Kind::PubComp);
const SUBACKS: u32 = of(Kind::SubAck) | of(Kind::UnsubAck);
const ALL: u32 = CONNECT
    | CONNACK
    | PUBLISH
    | WILL
    | ACKS
    | SUBACKS
    | of(Kind::Subscribe)
    | of(Kind::Unsubscribe)
    | DISCONNECT
    | AUTH;

/// Table 2-4: number, type, and the packets that may have it.
const TABLE: [(u8, Type, u32); 27] = [
    (id::PAYLOAD_FORMAT, Type::Flag, PUBLISH | WILL),
    (id::MESSAGE_EXPIRY, Type::Four, PUBLISH | WILL),
    (id::CONTENT_TYPE, Type::Text, PUBLISH | WILL),
    (id::RESPONSE_TOPIC, Type::Text, PUBLISH | WILL),
    (id::CORRELATION_DATA, Type::Binary, PUBLISH | WILL),
    (id::SUBSCRIPTION_ID, Type::VarintNotZero, PUBLISH | of(Kind::Subscribe)),
    (id::SESSION_EXPIRY, Type::Four, CONNECT | CONNACK | DISCONNECT),
    (id::ASSIGNED_CLIENT_ID, Type::Text, CONNACK),
    (id::SERVER_KEEP_ALIVE, Type::Two, CONNACK),
    (id::AUTHENTICATION_METHOD, Type::Text, CONNECT | CONNACK | AUTH),
    (id::AUTHENTICATION_DATA, Type::Binary, CONNECT | CONNACK | AUTH),
    (id::REQUEST_PROBLEM_INFO, Type::Flag, CONNECT),
    (id::WILL_DELAY, Type::Four, WILL),
    (id::REQUEST_RESPONSE_INFO, Type::Flag, CONNECT),
    (id::RESPONSE_INFO, Type::Text, CONNACK),
    (id::SERVER_REFERENCE, Type::Text, CONNACK | DISCONNECT),
    (id::REASON_STRING, Type::Text, CONNACK | ACKS | SUBACKS | DISCONNECT | AUTH),
    (id::RECEIVE_MAXIMUM, Type::TwoNotZero, CONNECT | CONNACK),
    (id::TOPIC_ALIAS_MAXIMUM, Type::Two, CONNECT | CONNACK),
    (id::TOPIC_ALIAS, Type::Two, PUBLISH),
    (id::MAXIMUM_QOS, Type::Flag, CONNACK),
    (id::RETAIN_AVAILABLE, Type::Flag, CONNACK),
    (id::USER_PROPERTY, Type::Pair, ALL),
    (id::MAXIMUM_PACKET_SIZE, Type::FourNotZero, CONNECT | CONNACK),
    (id::WILDCARD_AVAILABLE, Type::Flag, CONNACK),
    (id::SUBSCRIPTION_IDS_AVAILABLE, Type::Flag, CONNACK),
    (id::SHARED_AVAILABLE, Type::Flag, CONNACK),
];

/// One property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// One of [`id`].
    pub id: u8,
    /// Of the type that goes with it.
    pub value: Value,
}

/// The properties of a packet in their order, which user properties keep [MQTT-3.3.2-18]. None take no memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties(pub Vec<Property>);

impl Properties {
    /// Reads the length and so many bytes.
    ///
    /// # Errors
    ///
    /// A property that this packet cannot have, that stands twice, or whose value is none.
    pub(super) fn read(from: &mut Reader, packet: u32) -> Result<Self, Error> {
        let len = from.varint()? as usize;
        let mut from = Reader::new(from.take(len)?);
        let (mut list, mut seen) = (Vec::new(), 0_u64);
        while !from.is_empty() {
            let number = from.varint()?;
            let row = TABLE.iter().find(|(id, ..)| u32::from(*id) == number);
            let &(id, kind, packets) = row.ok_or(Error::malformed("no such property"))?;
            if packets & packet == 0 {
                return Err(Error::protocol("a property that this packet cannot have"));
            }
            let repeats = id == id::USER_PROPERTY || id == id::SUBSCRIPTION_ID && packet == PUBLISH;
            if seen & (1 << id) != 0 && !repeats {
                return Err(Error::protocol("a property stands twice"));
            }
            seen |= 1 << id;
            list.push(Property { id, value: kind.read(&mut from)? });
        }
        Ok(Self(list))
    }

    fn body_len(&self) -> usize {
        self.0.iter().map(Property::len).sum()
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.body_len() as u32);
        self.0.iter().for_each(|property| property.write(out));
    }

    /// Adds one.
    #[must_use]
    pub fn with(mut self, id: u8, value: Value) -> Self {
        self.0.push(Property { id, value });
        self
    }

    fn find(&self, id: u8) -> Option<&Value> {
        self.0.iter().find(|property| property.id == id).map(|property| &property.value)
    }

    /// An integer of any length.
    #[must_use]
    pub fn number(&self, id: u8) -> Option<u32> {
        match self.find(id)? {
            Value::Byte(value) => Some((*value).into()),
            Value::Two(value) => Some((*value).into()),
            Value::Four(value) | Value::Varint(value) => Some(*value),
            Value::Text(_) | Value::Binary(_) | Value::Pair(..) => None,
        }
    }

    /// A string.
    #[must_use]
    pub fn text(&self, id: u8) -> Option<&Text> {
        match self.find(id)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether there is such a property.
    #[must_use]
    pub fn has(&self, id: u8) -> bool {
        self.find(id).is_some()
    }

    /// Only those for which `keep` holds.
    pub fn retain(&mut self, keep: impl Fn(u8) -> bool) {
        self.0.retain(|property| keep(property.id));
    }
}

impl Property {
    pub(super) fn len(&self) -> usize {
        1 + match &self.value {
            Value::Byte(_) => 1,
            Value::Two(_) => 2,
            Value::Four(_) => 4,
            Value::Varint(value) => varint_len(*value),
            Value::Text(text) => 2 + text.len(),
            Value::Binary(bytes) => 2 + bytes.len(),
            Value::Pair(name, value) => 4 + name.len() + value.len(),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.id);
        match &self.value {
            Value::Byte(value) => out.push(*value),
            Value::Two(value) => put_u16(out, *value),
            Value::Four(value) => put_u32(out, *value),
            Value::Varint(value) => put_varint(out, *value),
            Value::Text(text) => put_text(out, text),
            Value::Binary(bytes) => put_binary(out, bytes),
            Value::Pair(name, value) => {
                put_text(out, name);
                put_text(out, value);
            }
        }
    }
}

impl Type {
    fn read(self, from: &mut Reader) -> Result<Value, Error> {
        const ZERO: Error = Error::protocol("a property is 0 that cannot be");
        Ok(match self {
            Self::Flag => match from.u8()? {
                value @ 0..=1 => Value::Byte(value),
                _ => return Err(Error::protocol("a property that is 0 or 1 is neither")),
            },
            Self::Two => Value::Two(from.u16()?),
            Self::TwoNotZero => match from.u16()? {
                0 => return Err(ZERO),
                value => Value::Two(value),
            },
            Self::Four => Value::Four(from.u32()?),
            Self::FourNotZero => match from.u32()? {
                0 => return Err(ZERO),
                value => Value::Four(value),
            },
            Self::VarintNotZero => match from.varint()? {
                0 => return Err(ZERO),
                value => Value::Varint(value),
            },
            Self::Text => Value::Text(from.text()?),
            Self::Binary => Value::Binary(from.binary()?),
            Self::Pair => Value::Pair(from.text()?, from.text()?),
        })
    }
}
