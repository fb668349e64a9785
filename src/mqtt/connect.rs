//! CONNECT (3.1): the first packet of a client, and the only one that says which version it speaks.

use super::{
    Error, Properties, QoS, Reader, Reason, Text, Version, check_name,
    frame::Kind,
    properties::{WILL, id, of},
    write::{put_binary, put_text, put_u16},
};
use bytes::Bytes;

/// The level of MQTT 3.1.1 in the CONNECT of a bridge: not in the standard, but all that bridges of mosquitto say.
const LEVEL_OF_BRIDGES: u8 = 0x84;

/// A client's first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// The version of all that follows.
    pub version: Version,
    /// MQTT 3.1.1: the client is a bridge of another broker, as mosquitto's say. It wants no message back that it has sent, and retain
    /// flags as they were published. In MQTT 5 that is said of each subscription.
    pub is_bridge: bool,
    /// MQTT 5: begin without the session that there may be. In MQTT 3.1.1 the session ends with the connection, too.
    pub clean: bool,
    /// Seconds; 0: none.
    pub keep_alive: u16,
    /// MQTT 5.
    pub properties: Properties,
    /// Empty: the server makes one.
    pub client_id: Text,
    /// The message for others if the client is lost.
    pub will: Option<Will>,
    /// Any.
    pub user_name: Option<Text>,
    /// Any bytes.
    pub password: Option<Bytes>,
}

/// A message that the server publishes for a client that is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// As it is published.
    pub qos: QoS,
    /// As it is published.
    pub retain: bool,
    /// Where.
    pub topic: Text,
    /// Those of the PUBLISH, and [`id::WILL_DELAY`].
    pub properties: Properties,
    /// The message.
    pub payload: Bytes,
}

/// Why a CONNECT is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectError {
    /// The rule.
    pub error: Error,
    /// The version in which a CONNACK can say so. `None`: it would not be understood, or must not be said.
    pub version: Option<Version>,
}

/// Reads the body of a CONNECT.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn decode_connect(body: Bytes) -> Result<Connect, ConnectError> {
    let mut from = Reader::new(body);
    let unknown = |error| ConnectError { error, version: None };
    let name = from.binary().map_err(unknown)?;
    let level = from.u8().map_err(unknown)?;
    let unsupported = |rule| Error { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, rule };
    let (version, is_bridge) = match (&name[..], level) {
        (b"MQTT", 4) => (Version::V3, false),
        (b"MQTT", LEVEL_OF_BRIDGES) => (Version::V3, true),
        (b"MQTT", 5) => (Version::V5, false),
        // Old clients understand the old refusal [MQTT-3.1.2-2].
        (b"MQTT", 0..=3) | (b"MQIsdp", _) => {
            let error = unsupported("a protocol version that is too old: MQTT 3.1.1 and 5 are spoken here");
            return Err(ConnectError { error, version: Some(Version::V3) });
        }
        (b"MQTT", _) => {
            let error = unsupported("a protocol version that is not known: MQTT 3.1.1 and 5 are spoken here");
            return Err(ConnectError { error, version: Some(Version::V5) });
        }
        _ => return Err(unknown(unsupported("the protocol's name is not MQTT"))),
    };
    // In version 3.1.1 a CONNECT that is malformed is not answered [MQTT-3.1.4-1].
    let connect = rest(version, from).map(|connect| Connect { is_bridge, ..connect });
    connect.map_err(|error| ConnectError { error, version: Some(version).filter(|v| *v == Version::V5) })
}

/// The fields behind the version.
fn rest(version: Version, mut from: Reader) -> Result<Connect, Error> {
    let flags = Flags::read(from.u8()?, version)?;
    let keep_alive = from.u16()?;
    let properties = match version {
        Version::V3 => Properties::default(),
        Version::V5 => Properties::read(&mut from, of(Kind::Connect))?,
    };
    if properties.has(id::AUTHENTICATION_DATA) && !properties.has(id::AUTHENTICATION_METHOD) {
        return Err(Error::protocol("authentication data without a method"));
    }
    let client_id = from.text()?;
    let will = flags.will.map(|(qos, retain)| Will::read(&mut from, version, qos, retain)).transpose()?;
    let user_name = flags.user_name.then(|| from.text()).transpose()?;
    let password = flags.password.then(|| from.binary()).transpose()?;
    from.finish()?;
    let (is_bridge, clean) = (false, flags.clean);
    Ok(Connect { version, is_bridge, clean, keep_alive, properties, client_id, will, user_name, password })
}

struct Flags {
    clean: bool,
    will: Option<(QoS, bool)>,
    user_name: bool,
    password: bool,
}

impl Flags {
    fn read(byte: u8, version: Version) -> Result<Self, Error> {
        let is_set = |bit: u8| byte & (1 << bit) != 0;
        if is_set(0) {
            return Err(Error::malformed("the reserved flag of a CONNECT is set"));
        }
        let qos = QoS::from_bits(byte >> 3).ok_or(Error::malformed("a will with QoS 3"))?;
        let will = if is_set(2) {
            Some((qos, is_set(5)))
        } else if qos != QoS::AtMostOnce || is_set(5) {
            return Err(Error::malformed("flags of a will, but no will"));
        } else {
            None
        };
        let (user_name, password) = (is_set(7), is_set(6));
        if password && !user_name && version == Version::V3 {
            return Err(Error::malformed("a password without a user name"));
        }
        Ok(Self { clean: is_set(1), will, user_name, password })
    }
}

impl Will {
    fn read(from: &mut Reader, version: Version, qos: QoS, retain: bool) -> Result<Self, Error> {
        let properties = match version {
            Version::V3 => Properties::default(),
            Version::V5 => Properties::read(from, WILL)?,
        };
        let topic = from.text()?;
        check_name(&topic)?;
        check_response_topic(&properties)?;
        Ok(Self { qos, retain, topic, properties, payload: from.binary()? })
    }
}

/// A response topic is a name, without wildcards [MQTT-3.3.2-14].
pub(super) fn check_response_topic(properties: &Properties) -> Result<(), Error> {
    properties.text(id::RESPONSE_TOPIC).map_or(Ok(()), |topic| check_name(topic))
}

/// Writes the body of a CONNECT.
pub(super) fn encode_connect(connect: &Connect, out: &mut Vec<u8>) {
    put_text(out, "MQTT");
    out.push(match connect.version {
        Version::V3 if connect.is_bridge => LEVEL_OF_BRIDGES,
        Version::V3 => 4,
        Version::V5 => 5,
    });
    let will = connect.will.as_ref().map_or(0, |will| 1 << 2 | (will.qos as u8) << 3 | u8::from(will.retain) << 5);
    let credentials = u8::from(connect.user_name.is_some()) << 7 | u8::from(connect.password.is_some()) << 6;
    out.push(u8::from(connect.clean) << 1 | will | credentials);
    put_u16(out, connect.keep_alive);
    let is_v5 = connect.version == Version::V5;
    if is_v5 {
        connect.properties.write(out);
    }
    put_text(out, &connect.client_id);
    if let Some(will) = &connect.will {
        if is_v5 {
            will.properties.write(out);
        }
        put_text(out, &will.topic);
        put_binary(out, &will.payload);
    }
    connect.user_name.iter().for_each(|name| put_text(out, name));
    connect.password.iter().for_each(|password| put_binary(out, password));
}
