//! One protected connection as bytes in and bytes out: rustls without its buffers.
//!
//! ```text
//!   records ──▶ receive ──▶ plaintext          plaintext ──▶ seal ──▶ records
//!                   └─────▶ records to send (handshake, alerts, tickets)
//! ```

use super::{Failure, Server, Store, machine, machine::Machine as _, pair, resolver::Choice, tickets::Tickets};
use crate::app::Secure;
use rustls::{
    CipherSuite, CommonState, Error, HandshakeKind, NamedGroup, ProtocolVersion, client::UnbufferedClientConnection,
    crypto::SupportedKxGroup, server::UnbufferedServerConnection,
};
use std::{fmt, mem, sync::Arc, time::SystemTime};

/// Content of a full record (RFC 8446 §5.1).
pub(super) const RECORD: usize = 16 * 1024;

/// Bytes that a record adds to its content: at most 29 with the suites that are allowed (TLS 1.2: a head of 5, a nonce of 8, a tag of
/// 16).
pub(super) const OVERHEAD: usize = 32;

/// `unrecognized_name` as an alert that ends the connection (RFC 6066 §3): before there are keys, in plain.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// `decode_error` (RFC 8446 §6.2), in plain, too.
const DECODE_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

/// The protocol's state of one connection.
pub(super) struct Session {
    side: Side,
    /// Bytes of a record that is not complete.
    incoming: Vec<u8>,
}

/// Which end of the connection we are.
enum Side {
    /// A client has come to us, and `choice` is what it gets to see.
    Server { tls: UnbufferedServerConnection, choice: Arc<Choice> },
    /// We have come to a server.
    Client { tls: UnbufferedClientConnection, server: Arc<Server>, has_heard: bool, error: Option<Error> },
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut session = f.debug_struct("Session");
        match &self.side {
            Side::Server { choice, .. } => session.field("asked", &choice.asked()),
            Side::Client { server, .. } => session.field("server", server),
        };
        session.finish_non_exhaustive()
    }
}

/// The outcome of some bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The peer has said that it sends nothing more (`close_notify`).
    pub(super) ended: bool,
    /// The connection is broken; what was decrypted before is good.
    pub(super) failure: Option<Failure>,
}

impl Session {
    /// A connection of a client, which is shown certificates of `store`.
    pub(super) fn new(store: Arc<Store>, tickets: Arc<Tickets>) -> Result<Self, Failure> {
        let choice = Choice::new(store, tickets);
        let tls = UnbufferedServerConnection::new(choice.config()).map_err(|error| Failure::from(&error))?;
        Ok(Self { side: Side::Server { tls, choice }, incoming: Vec::new() })
    }

    /// A connection to a server, which has to prove that it is this one. It begins when it first receives something, be it nothing.
    pub(super) fn to(server: Arc<Server>) -> Result<Self, Failure> {
        let tls = server.connection().map_err(|error| Failure::of_server(&error))?;
        Ok(Self { side: Side::Client { tls, server, has_heard: false, error: None }, incoming: Vec::new() })
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Server { tls, .. } => tls.common(),
            Side::Client { tls, .. } => tls.common(),
        }
    }

    /// Whether the handshake is not over.
    pub(super) fn is_handshaking(&self) -> bool {
        self.common().is_handshaking()
    }

    /// Whether an earlier connection was resumed.
    pub(super) fn is_resumed(&self) -> bool {
        self.common().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether a part of a record waits for the rest.
    pub(super) fn has_part(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// Hears `input`. Content is appended to `plain`, and what has to be sent to `out`. `scratch` is for the records meanwhile.
    pub(super) fn receive(
        &mut self,
        input: &[u8],
        wall: SystemTime,
        scratch: &mut Vec<u8>,
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Heard {
        // Records are decrypted where they lie, and the driver's buffer is not ours to write to.
        scratch.clear();
        scratch.append(&mut self.incoming);
        scratch.extend_from_slice(input);
        let (used, heard) = match &mut self.side {
            Side::Server { tls, choice } => {
                choice.set_clock(wall);
                let processed = machine::process(tls, scratch, plain, out);
                let failure = processed.error.map(|error| refusal(&error, choice, out));
                (processed.used, Heard { ended: processed.ended, failure })
            }
            Side::Client { tls, server, has_heard, error } => {
                server.set_clock(wall);
                *has_heard |= !scratch.is_empty();
                let processed = machine::process(tls, scratch, plain, out);
                let failure = processed.error.as_ref().map(Failure::of_server);
                *error = processed.error;
                (processed.used, Heard { ended: processed.ended, failure })
            }
        };
        // An idle connection holds no memory here.
        self.incoming = if used < scratch.len() { scratch[used..].to_vec() } else { Vec::new() };
        heard
    }

    /// Seals `plain` as records behind what is in `out`.
    pub(super) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let room = plain.len() + (plain.len() / RECORD + 1) * OVERHEAD;
        let mut incoming = mem::take(&mut self.incoming);
        let sealed = match &mut self.side {
            Side::Server { tls, .. } => {
                machine::write(tls, &mut incoming, out, room, |traffic, buffer| traffic.encrypt(plain, buffer))
            }
            Side::Client { tls, .. } => {
                machine::write(tls, &mut incoming, out, room, |traffic, buffer| traffic.encrypt(plain, buffer))
            }
        };
        self.incoming = incoming;
        sealed
    }

    /// Says that nothing more comes.
    pub(super) fn close_notify(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut incoming = mem::take(&mut self.incoming);
        let said = match &mut self.side {
            Side::Server { tls, .. } => {
                machine::write(tls, &mut incoming, out, OVERHEAD, |traffic, buffer| traffic.queue_close_notify(buffer))
            }
            Side::Client { tls, .. } => {
                machine::write(tls, &mut incoming, out, OVERHEAD, |traffic, buffer| traffic.queue_close_notify(buffer))
            }
        };
        self.incoming = incoming;
        said
    }

    /// Whether the peer's hello was read: what follows in the handshake costs little.
    pub(super) fn has_read_hello(&self) -> bool {
        match &self.side {
            Side::Server { choice, .. } => choice.asked().is_some(),
            Side::Client { has_heard, .. } => *has_heard,
        }
    }

    /// The name that the client asked for.
    pub(super) fn server_name(&self) -> Option<&str> {
        match &self.side {
            Side::Server { choice, .. } => choice.asked()?.name.as_deref(),
            Side::Client { .. } => None,
        }
    }

    /// The library's words for why a server is not accepted: more than the reason, for the log.
    pub(super) fn error(&self) -> Option<&Error> {
        match &self.side {
            Side::Server { .. } => None,
            Side::Client { error, .. } => error.as_ref(),
        }
    }

    /// The facts about a client's connection that the application gets to know when the handshake is over.
    pub(super) fn secure(&self) -> Option<Secure> {
        let Side::Server { tls, choice } = &self.side else { return None };
        let asked = choice.asked()?;
        let suite = tls.negotiated_cipher_suite()?.suite();
        let client = tls.peer_certificates().and_then(<[_]>::first).and_then(|der| pair::subject(der));
        Some(Secure {
            version: match tls.protocol_version()? {
                ProtocolVersion::TLSv1_3 => "1.3",
                ProtocolVersion::TLSv1_2 => "1.2",
                _ => "-",
            },
            key_exchange: tls.negotiated_key_exchange_group().map_or("-", group_name),
            suite: suite_name(suite),
            server_name: asked.name.clone(),
            alpn: tls.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into()),
            resumed: self.is_resumed(),
            names: asked.site.as_ref()?.names.clone(),
            client: client.map(String::into_boxed_str),
        })
    }
}

/// Why a client's handshake failed. The alert that it gets is in `out`, and is replaced where the library has none or another one.
fn refusal(error: &Error, choice: &Choice, out: &mut Vec<u8>) -> Failure {
    match choice.asked() {
        Some(asked) if asked.site.is_none() => {
            out.clear();
            out.extend_from_slice(&UNRECOGNIZED_NAME);
            return Failure::UnrecognizedName;
        }
        None if out.is_empty() => out.extend_from_slice(&DECODE_ERROR),
        _ => {}
    }
    Failure::from(error)
}

pub(super) fn group_name(group: &dyn SupportedKxGroup) -> &'static str {
    match group.name() {
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        NamedGroup::X25519 => "X25519",
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        _ => "-",
    }
}

/// As the RFCs write it.
pub(super) fn suite_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        _ => "-",
    }
}
