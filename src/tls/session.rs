//! One protected connection as bytes in and bytes out: rustls without its buffers.
//!
//! ```text
//!   records ──▶ receive ──▶ plaintext          plaintext ──▶ seal ──▶ records
//!                   └─────▶ records to send (handshake, alerts, tickets)
//! ```

use super::{Failure, Store, pair, resolver::Choice, tickets::Tickets};
use crate::app::Secure;
use rustls::{
    CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion,
    crypto::SupportedKxGroup,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus},
};
use std::{fmt, mem, sync::Arc, time::SystemTime};

/// Content of a full record (RFC 8446 §5.1).
pub(super) const RECORD: usize = 16 * 1024;

/// Bytes that a record adds to its content: at most 29 with the suites that are allowed (TLS 1.2: a head of 5, a nonce of 8, a tag of
/// 16).
const OVERHEAD: usize = 32;

/// `unrecognized_name` as an alert that ends the connection (RFC 6066 §3): before there are keys, in plain.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// `decode_error` (RFC 8446 §6.2), in plain, too.
const DECODE_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

/// The protocol's state of one connection, on the server's side.
pub(super) struct Session {
    tls: UnbufferedServerConnection,
    choice: Arc<Choice>,
    /// Bytes of a record that is not complete.
    incoming: Vec<u8>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("asked", &self.choice.asked()).finish_non_exhaustive()
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
    /// A connection that shows certificates of `store`.
    pub(super) fn new(store: Arc<Store>, tickets: Arc<Tickets>) -> Result<Self, Failure> {
        let choice = Choice::new(store, tickets);
        let tls = UnbufferedServerConnection::new(choice.config()).map_err(|error| Failure::from(&error))?;
        Ok(Self { tls, choice, incoming: Vec::new() })
    }

    /// Whether the handshake is not over.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
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
        self.choice.set_clock(wall);
        // Records are decrypted where they lie, and the driver's buffer is not ours to write to.
        scratch.clear();
        scratch.append(&mut self.incoming);
        scratch.extend_from_slice(input);
        let mut heard = Heard::default();
        let used = self.process(scratch, &mut heard, plain, out);
        // An idle connection holds no memory here.
        self.incoming = if used < scratch.len() { scratch[used..].to_vec() } else { Vec::new() };
        heard
    }

    /// Takes complete records from the front, and tells how many bytes they were.
    fn process(&mut self, records: &mut [u8], heard: &mut Heard, plain: &mut Vec<u8>, out: &mut Vec<u8>) -> usize {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(&mut records[used..]);
            let mut blocked = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let Ok(record) = record else { break };
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(out, |buffer| data.encode(buffer)),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => heard.ended = true,
                Ok(_) => blocked = true,
                Err(error) => {
                    heard.failure = Some(Failure::from(&error));
                    blocked = true;
                }
            }
            used += discard;
            if blocked {
                break;
            }
        }
        if let Some(failure) = &mut heard.failure {
            self.take_alert(out);
            match self.choice.asked() {
                Some(asked) if asked.site.is_none() => {
                    // The library has another alert for it.
                    *failure = Failure::UnrecognizedName;
                    out.clear();
                    out.extend_from_slice(&UNRECOGNIZED_NAME);
                }
                // Some damage has none.
                None if out.is_empty() => out.extend_from_slice(&DECODE_ERROR),
                _ => {}
            }
        }
        used
    }

    /// After a failure: the alert that tells the peer, which is all that the library may be asked for from then on.
    fn take_alert(&mut self, out: &mut Vec<u8>) {
        while self.tls.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(mut data)) = self.tls.process_tls_records(&mut []).state
        {
            encode(out, |buffer| data.encode(buffer));
        }
    }

    /// Seals `plain` as records behind what is in `out`.
    pub(super) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let room = plain.len() + (plain.len() / RECORD + 1) * OVERHEAD;
        self.write(out, room, |traffic, buffer| traffic.encrypt(plain, buffer))
    }

    /// Says that nothing more comes.
    pub(super) fn close_notify(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.write(out, OVERHEAD, |traffic, buffer| traffic.queue_close_notify(buffer))
    }

    fn write(
        &mut self,
        out: &mut Vec<u8>,
        room: usize,
        mut put: impl FnMut(
            &mut rustls::unbuffered::WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> Result<(), Failure> {
        // The part of a record that is here stays as it is: there is nothing in it to process yet.
        let mut incoming = mem::take(&mut self.incoming);
        let result = loop {
            match self.tls.process_tls_records(&mut incoming).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    break append(out, room, |buffer| put(&mut traffic, buffer));
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(out, |buffer| data.encode(buffer)),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => {}
                Ok(_) => break Err(Failure::Internal),
                Err(error) => break Err(Failure::from(&error)),
            }
        };
        self.incoming = incoming;
        result
    }

    /// Whether the ClientHello was read: what follows in the handshake costs little.
    pub(super) fn has_read_hello(&self) -> bool {
        self.choice.asked().is_some()
    }

    /// The name that the client asked for.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.choice.asked()?.name.as_deref()
    }

    /// The facts that the application gets to know when the handshake is over.
    pub(super) fn secure(&self) -> Option<Secure> {
        let asked = self.choice.asked()?;
        let suite = self.tls.negotiated_cipher_suite()?.suite();
        let client = self.tls.peer_certificates().and_then(<[_]>::first).and_then(|der| pair::subject(der));
        Some(Secure {
            version: match self.tls.protocol_version()? {
                ProtocolVersion::TLSv1_3 => "1.3",
                ProtocolVersion::TLSv1_2 => "1.2",
                _ => "-",
            },
            key_exchange: self.tls.negotiated_key_exchange_group().map_or("-", group_name),
            suite: suite_name(suite),
            server_name: asked.name.clone(),
            alpn: self.tls.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into()),
            resumed: self.tls.handshake_kind() == Some(HandshakeKind::Resumed),
            names: asked.site.as_ref()?.names.clone(),
            client: client.map(String::into_boxed_str),
        })
    }
}

/// Has `put` write behind what is in `out`, with `room` for it, or with as much as it asks for.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    mut put: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Failure> {
    let (start, mut room) = (out.len(), room);
    loop {
        out.resize(start + room, 0);
        match put(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(more)) if more.required_size > room => room = more.required_size,
            Err(_) => {
                out.truncate(start);
                return Err(Failure::Internal);
            }
        }
    }
}

fn encode(out: &mut Vec<u8>, mut put: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let start = out.len();
    let Err(EncodeError::InsufficientSize(more)) = put(&mut []) else { return };
    out.resize(start + more.required_size, 0);
    let written = put(&mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

fn group_name(group: &dyn SupportedKxGroup) -> &'static str {
    match group.name() {
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        NamedGroup::X25519 => "X25519",
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        _ => "-",
    }
}

/// As the RFCs write it.
fn suite_name(suite: CipherSuite) -> &'static str {
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
