//! The wishes of a CONNECT, and what it gets (3.1, 3.2).

use super::Refusal;
use crate::{
    broker::{
        bridge::SESSIONS,
        limits::{Limits, MAX_ALIASES},
    },
    mqtt::{ConnAck, Connect, Properties, Reason, Text, Value, Version, id},
};

/// The longest CONNACK, with our limits, another keep-alive and another session expiry. A client that does not take it cannot be let in.
const LEAST_PACKET: u32 = 24;

/// The same with an identifier that was assigned.
const LEAST_PACKET_UNNAMED: u32 = 72;

/// The values that a client and the broker agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Seconds that the session outlives the connection.
    pub(super) expiry: u32,
    /// Messages that may be on their way to the client.
    pub(super) window: u16,
    /// Bytes of a packet to the client.
    pub(super) max_packet: usize,
    /// Topics that may get a number.
    pub(super) aliases: u16,
    /// Seconds; 0: none.
    pub(super) keep_alive: u16,
}

/// # Errors
///
/// The client asks for something that it cannot have.
pub(super) fn check(connect: &Connect) -> Result<(), Refusal> {
    if connect.properties.has(id::AUTHENTICATION_METHOD) {
        let why = "enhanced authentication is not spoken here: use a user name and a password";
        return Err(Refusal { reason: Reason::BAD_AUTHENTICATION_METHOD, why });
    }
    let least = if connect.client_id.is_empty() { LEAST_PACKET_UNNAMED } else { LEAST_PACKET };
    if connect.properties.number(id::MAXIMUM_PACKET_SIZE).is_some_and(|most| most < least) {
        let why = "the maximum packet size is too small for a CONNACK";
        return Err(Refusal { reason: Reason::PACKET_TOO_LARGE, why });
    }
    if connect.client_id.starts_with(SESSIONS) {
        let why = "a client identifier that begins like that of a bridge";
        return Err(Refusal { reason: Reason::CLIENT_ID_NOT_VALID, why });
    }
    if connect.client_id.is_empty() && !connect.clean && connect.version == Version::V3 {
        let why = "a session that is kept needs a client identifier";
        return Err(Refusal { reason: Reason::CLIENT_ID_NOT_VALID, why });
    }
    Ok(())
}

/// Whether a client wants its session to outlive its connection.
pub(super) fn is_kept(connect: &Connect) -> bool {
    expiry(connect) > 0
}

fn expiry(connect: &Connect) -> u32 {
    match connect.version {
        Version::V3 if connect.clean => 0,
        Version::V3 => u32::MAX,
        Version::V5 => connect.properties.number(id::SESSION_EXPIRY).unwrap_or(0),
    }
}

impl Agreed {
    pub(super) fn of(connect: &Connect, limits: &Limits) -> Self {
        let number = |id| connect.properties.number(id);
        let expiry = expiry(connect);
        let window = number(id::RECEIVE_MAXIMUM).and_then(|n| u16::try_from(n).ok()).unwrap_or(u16::MAX);
        let most = number(id::TOPIC_ALIAS_MAXIMUM).and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
        let keep_alive = match (connect.keep_alive, limits.keep_alive) {
            (asked, 0) => asked,
            (0, most) => most,
            (asked, most) => asked.min(most),
        };
        Self {
            expiry: expiry.min(limits.session_expiry),
            window: window.min(limits.inflight),
            max_packet: number(id::MAXIMUM_PACKET_SIZE).map_or(usize::MAX, |n| n as usize),
            aliases: most.min(MAX_ALIASES),
            keep_alive,
        }
    }

    /// The answer, with what is not as the client has asked.
    pub(super) fn connack(self, connect: &Connect, present: bool, assigned: Option<&Text>, limits: &Limits) -> ConnAck {
        let mut properties = Properties::default();
        if connect.version == Version::V5 {
            let packet = u32::try_from(limits.packet).unwrap_or(u32::MAX);
            properties = properties
                .with(id::RECEIVE_MAXIMUM, Value::Two(limits.inflight))
                .with(id::MAXIMUM_PACKET_SIZE, Value::Four(packet))
                .with(id::TOPIC_ALIAS_MAXIMUM, Value::Two(MAX_ALIASES));
            if let Some(assigned) = assigned {
                properties = properties.with(id::ASSIGNED_CLIENT_ID, Value::Text(assigned.clone()));
            }
            if self.keep_alive != connect.keep_alive {
                properties = properties.with(id::SERVER_KEEP_ALIVE, Value::Two(self.keep_alive));
            }
            if connect.properties.number(id::SESSION_EXPIRY).unwrap_or(0) != self.expiry {
                properties = properties.with(id::SESSION_EXPIRY, Value::Four(self.expiry));
            }
        }
        ConnAck { session_present: present, code: 0, properties }
    }
}

/// The answer to a client that is not let in, and that takes packets of at most so many bytes.
pub(crate) fn refuse(version: Version, most: usize, refusal: Refusal) -> ConnAck {
    let mut properties = Properties::default();
    // A reason that would make the packet too long for the client is left out [MQTT-3.2.2-19].
    if version == Version::V5 && most >= refusal.why.len() + 16 {
        properties = properties.with(id::REASON_STRING, Value::Text(refusal.why.into()));
    }
    ConnAck { session_present: false, code: refusal.reason.in_connack(version), properties }
}
