//! Reason codes (MQTT 5, 2.4), and the few return codes that MQTT 3.1.1 has in their place.

use super::Version;

/// The outcome of an operation, in one byte. 0x80 and above is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reason(pub u8);

#[allow(missing_docs)] // Their names are those of the standard's table.
impl Reason {
    pub const SUCCESS: Self = Self(0x00);
    pub const DISCONNECT_WITH_WILL: Self = Self(0x04);
    pub const NO_MATCHING_SUBSCRIBERS: Self = Self(0x10);
    pub const NO_SUBSCRIPTION_EXISTED: Self = Self(0x11);
    pub const UNSPECIFIED_ERROR: Self = Self(0x80);
    pub const MALFORMED_PACKET: Self = Self(0x81);
    pub const PROTOCOL_ERROR: Self = Self(0x82);
    pub const IMPLEMENTATION_SPECIFIC: Self = Self(0x83);
    pub const UNSUPPORTED_PROTOCOL_VERSION: Self = Self(0x84);
    pub const CLIENT_ID_NOT_VALID: Self = Self(0x85);
    pub const BAD_USER_NAME_OR_PASSWORD: Self = Self(0x86);
    pub const NOT_AUTHORIZED: Self = Self(0x87);
    pub const SERVER_UNAVAILABLE: Self = Self(0x88);
    pub const SERVER_BUSY: Self = Self(0x89);
    pub const SERVER_SHUTTING_DOWN: Self = Self(0x8B);
    pub const BAD_AUTHENTICATION_METHOD: Self = Self(0x8C);
    pub const KEEP_ALIVE_TIMEOUT: Self = Self(0x8D);
    pub const SESSION_TAKEN_OVER: Self = Self(0x8E);
    pub const TOPIC_FILTER_INVALID: Self = Self(0x8F);
    pub const TOPIC_NAME_INVALID: Self = Self(0x90);
    pub const PACKET_ID_IN_USE: Self = Self(0x91);
    pub const PACKET_ID_NOT_FOUND: Self = Self(0x92);
    pub const RECEIVE_MAXIMUM_EXCEEDED: Self = Self(0x93);
    pub const TOPIC_ALIAS_INVALID: Self = Self(0x94);
    pub const PACKET_TOO_LARGE: Self = Self(0x95);
    pub const QUOTA_EXCEEDED: Self = Self(0x97);
    pub const PAYLOAD_FORMAT_INVALID: Self = Self(0x99);

    /// Whether it is a failure.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.0 >= 0x80
    }

    /// As the byte of a CONNACK. MQTT 3.1.1 has five refusals (3.2.2.3).
    #[must_use]
    pub fn in_connack(self, version: Version) -> u8 {
        match (version, self) {
            (Version::V5, _) | (_, Self::SUCCESS) => self.0,
            (_, Self::UNSUPPORTED_PROTOCOL_VERSION) => 1,
            (_, Self::CLIENT_ID_NOT_VALID) => 2,
            (_, Self::BAD_USER_NAME_OR_PASSWORD) => 4,
            (_, Self::NOT_AUTHORIZED) => 5,
            _ => 3,
        }
    }

    /// As a byte of a SUBACK. MQTT 3.1.1 has one refusal, 0x80.
    #[must_use]
    pub fn in_suback(self, version: Version) -> u8 {
        if version == Version::V3 && self.is_failure() { 0x80 } else { self.0 }
    }
}
