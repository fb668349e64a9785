//! The packets of MQTT 3.1.1 and MQTT 5 (OASIS standards of 2014 and 2019): bytes to values and back, for clients and servers.
//!
//! ```text
//!   bytes ──▶ frame ──▶ decode ──▶ Packet ──▶ encode ──▶ bytes
//!             one packet's          │
//!             length and flags      ├ properties   MQTT 5: a list, checked against one table
//!                                   └ topic        names, filters, and which matches which
//! ```
//!
//! Both versions have the same packets; version 5 adds properties and reason codes. So a packet has one type, and the version is an
//! argument of [`decode`] and [`encode`]. A packet that breaks a rule of the standard is an [`Error`] that names the rule, and the reason code
//! that goes to the peer. Text is checked once, here: a [`Text`] is UTF-8 without U+0000.
//!
//! Reading order: `packet` (the values), `frame`, `read` and `write` (the primitive types of section 1.5), `properties`, `decode` and `encode`,
//! `topic`.

mod connect;
mod decode;
mod encode;
mod error;
mod frame;
mod packet;
mod properties;
mod qos;
mod read;
mod reason;
mod text;
mod topic;
mod version;
mod write;

#[cfg(test)]
mod tests;

pub use connect::{Connect, ConnectError, Will, decode_connect};
pub use decode::decode;
pub use encode::{encode, encode_publish};
pub use error::Error;
pub use frame::{Frame, Kind, frame};
pub use packet::{
    Ack, Auth, ConnAck, Disconnect, Packet, PacketId, Publish, RetainHandling, SubAck, Subscribe, Subscription,
    Unsubscribe,
};
pub use properties::{Properties, Property, Value, id};
pub use qos::QoS;
pub use read::Reader;
pub use reason::Reason;
pub use text::Text;
pub use topic::{Filter, Shared, check_name, filter_matches, is_reserved, levels};
pub use version::Version;
pub use write::{put_binary, put_text, put_u16, put_u32, put_varint};
