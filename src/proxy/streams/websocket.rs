//! A WebSocket over HTTP/2 (RFC 8441), for a backend that knows the way of HTTP/1.1 (RFC 6455).
//!
//! ```text
//!   :method CONNECT, :protocol websocket ──▶  GET /chat, Upgrade: websocket, Sec-WebSocket-Key: (ours)
//!   :status 200                          ◀──  101, Sec-WebSocket-Accept: (of our key)
//!   DATA                                 ◀─▶  bytes
//! ```
//!
//! The key proves to a client that it talks to a WebSocket and not to something that repeats its words. Over HTTP/2 the client
//! needs no such proof, so the key is made here, and the proof is looked at here.

use crate::{
    http::{Fields, ResponseHead},
    proxy::headers::WEBSOCKET_ACCEPT,
};
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

/// The protocol that can be carried.
pub(super) const PROTOCOL: &str = "websocket";

/// The text behind each key before it is hashed (RFC 6455 §1.3).
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `Sec-WebSocket-Key`: 16 random bytes, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::proxy) struct Key(Box<str>);

impl Key {
    pub(super) fn of(random: [u8; 16]) -> Self {
        Self(base64(&random).into())
    }

    /// Makes an upgrade of a request that asks for the protocol as HTTP/2 does.
    pub(super) fn write(&self, fields: &mut Fields) {
        // A client has no use for one of its own (RFC 8441 §5).
        fields.remove("sec-websocket-key");
        fields.push("Connection", "upgrade");
        fields.push("Upgrade", PROTOCOL);
        fields.push("Sec-WebSocket-Key", &*self.0);
    }

    /// Whether a backend that switches protocols has understood (RFC 6455 §4.2.2).
    pub(in crate::proxy) fn is_accepted(&self, head: &ResponseHead) -> bool {
        head.fields.get(WEBSOCKET_ACCEPT).is_some_and(|accept| accept == self.accept().as_bytes())
    }

    fn accept(&self) -> String {
        let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(self.0.as_bytes());
        hash.update(MAGIC);
        base64(hash.finish().as_ref())
    }
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[(group >> (18 - 6 * place)) as usize & 63]);
            text.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Status;

    #[test]
    fn the_example_of_the_standard() {
        // RFC 6455 §1.3.
        let key = Key("dGhlIHNhbXBsZSBub25jZQ==".into());
        assert_eq!(Key::of(*b"the sample nonce"), key);
        let mut head = ResponseHead::new(Status::SWITCHING_PROTOCOLS);
        assert!(!key.is_accepted(&head));
        head.fields.push("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(key.is_accepted(&head));
        assert!(!Key::of([0; 16]).is_accepted(&head));
    }

    #[test]
    fn the_keys_of_clients_are_replaced() {
        let mut fields: Fields =
            [("Host", "a"), ("sec-websocket-key", "x"), ("sec-websocket-version", "13")].into_iter().collect();
        Key::of([0; 16]).write(&mut fields);
        let names: Vec<&str> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Host", "sec-websocket-version", "Connection", "Upgrade", "Sec-WebSocket-Key"]);
        assert_eq!(fields.get("sec-websocket-key"), Some(&b"AAAAAAAAAAAAAAAAAAAAAA=="[..]));
    }
}
