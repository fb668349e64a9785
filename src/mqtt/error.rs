//! The rules that a peer can break.

use super::Reason;
use std::fmt;

/// A broken rule: which one, and the reason code by which MQTT 5 tells the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// The code that a DISCONNECT or CONNACK says.
    pub reason: Reason,
    /// The rule in words, for logs and reason strings.
    pub rule: &'static str,
}

impl Error {
    /// The packet cannot be parsed (MQTT 5, 4.13.1).
    #[must_use]
    pub const fn malformed(rule: &'static str) -> Self {
        Self { reason: Reason::MALFORMED_PACKET, rule }
    }

    /// The packet can be parsed and is not allowed (MQTT 5, 4.13.1).
    #[must_use]
    pub const fn protocol(rule: &'static str) -> Self {
        Self { reason: Reason::PROTOCOL_ERROR, rule }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule)
    }
}

impl std::error::Error for Error {}
