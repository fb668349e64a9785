//! A protected connection that a program opens by itself, as bytes in and bytes out: the client's side, for a load generator.
//!
//! ```text
//!   Callee   the server's name, who has to vouch for it, what is spoken, the sessions with it     one for many connections
//!   Call     how far one connection is
//! ```

use super::{
    Failure, Refusal, Trust,
    machine::{self, Machine as _},
    server::{Clock, showing},
    session::{self, RECORD},
};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, HandshakeKind, NamedGroup, ProtocolVersion, SignatureScheme,
    client::{
        ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue, UnbufferedClientConnection,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Bytes that a record adds to its content, at most.
const OVERHEAD: usize = session::OVERHEAD;

/// The parties that have to vouch for a server.
#[derive(Debug, Clone)]
pub enum Vouching {
    /// Those that are trusted.
    Trusted(Trust),
    /// No party: any server will do.
    Nobody,
}

/// A server that connections are opened to.
pub struct Callee {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    clock: Arc<Clock>,
}

/// Never the sessions.
impl fmt::Debug for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callee").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Callee {
    /// The server of this name, a host's or an address, with which these protocols are spoken (ALPN; with none, it is not used). Of the sessions that it offers
    /// to resume, so many are kept. `None`: nothing can have that name.
    #[must_use]
    pub fn new(name: &str, vouching: Vouching, protocols: &[&[u8]], sessions: usize) -> Option<Self> {
        let name = ServerName::try_from(name.to_owned()).ok()?;
        let (provider, clock) = (Arc::new(super::provider()), Arc::new(Clock::default()));
        let builder = ClientConfig::builder_with_details(provider.clone(), clock.clone());
        let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS).ok()?;
        // The library calls each verifier of one's own dangerous. That of `Nobody` is.
        let (verifier, own): (Arc<dyn ServerCertVerifier>, _) = match &vouching {
            Vouching::Trusted(trust) => (trust.verifier(), trust.own()),
            Vouching::Nobody => (Arc::new(Anybody(provider)), None),
        };
        let mut config = showing(builder.dangerous().with_custom_certificate_verifier(verifier), own);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::store(Arc::new(Sessions { most: sessions, kept: Mutex::default() }));
        Some(Self { name, config: Arc::new(config), clock })
    }
}

/// The sessions that may be resumed. A ticket of TLS 1.3 is used once, so that nobody on the way can see that two connections have
/// the same client (RFC 8446 §C.4); the last one that came is the first one that goes.
struct Sessions {
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    tickets: Vec<Tls13ClientSessionValue>,
    /// TLS 1.2 lets one session be resumed as often as one likes.
    old: Option<Tls12ClientSessionValue>,
    group: Option<NamedGroup>,
}

impl Sessions {
    fn with<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("most", &self.most).finish_non_exhaustive()
    }
}

/// Of one server: its name need not be looked at.
impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.with(|kept| kept.group = Some(group));
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.with(|kept| kept.group)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        if self.most > 0 {
            self.with(|kept| kept.old = Some(session));
        }
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.with(|kept| kept.old.clone())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.with(|kept| kept.old = None);
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.with(|kept| {
            if kept.tickets.len() < self.most {
                kept.tickets.push(ticket);
            }
        });
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.with(|kept| kept.tickets.pop())
    }
}

/// Takes any certificate. That the server has the key to it is proved all the same: without that there would be no handshake to measure.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The protocol's state of one connection.
pub struct Call {
    tls: UnbufferedClientConnection,
    callee: Arc<Callee>,
    /// Bytes of a record that is not complete.
    incoming: Vec<u8>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("callee", &self.callee).finish_non_exhaustive()
    }
}

/// The outcome of some bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// The server has said that it sends nothing more (`close_notify`).
    pub ended: bool,
    /// The connection is broken; what was decrypted before is good.
    pub refusal: Option<Refusal>,
}

/// The facts about a connection whose handshake is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The group of the key exchange; `-` if a session was resumed without one.
    pub key_exchange: &'static str,
    /// As the RFCs write it.
    pub suite: &'static str,
    /// An earlier session was resumed: no certificate was shown.
    pub resumed: bool,
}

impl Call {
    /// A connection to this server. Its first bytes, which have to be sent, are appended to `out`.
    ///
    /// # Errors
    ///
    /// A failure of our own.
    pub fn new(callee: &Arc<Callee>, wall: SystemTime, out: &mut Vec<u8>) -> Result<Self, Refusal> {
        callee.clock.set(wall);
        let tls = UnbufferedClientConnection::new(callee.config.clone(), callee.name.clone());
        let tls = tls.map_err(|error| Refusal::from(&error))?;
        let mut call = Self { tls, callee: callee.clone(), incoming: Vec::new() };
        let begun = machine::process(&mut call.tls, &mut [], &mut Vec::new(), out);
        begun.error.map_or(Ok(call), |error| Err(Refusal::from(&error)))
    }

    /// Whether the handshake is not over.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Hears `input`. Content is appended to `plain`, and what has to be sent to `out`. `scratch` is for the records meanwhile.
    pub fn receive(
        &mut self,
        input: &[u8],
        wall: SystemTime,
        scratch: &mut Vec<u8>,
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Answer {
        self.callee.clock.set(wall);
        // Records are decrypted where they lie, and the driver's buffer is not ours to write to.
        scratch.clear();
        scratch.append(&mut self.incoming);
        scratch.extend_from_slice(input);
        let processed = machine::process(&mut self.tls, scratch, plain, out);
        self.incoming.extend_from_slice(&scratch[processed.used..]);
        Answer { ended: processed.ended, refusal: processed.error.map(|error| Refusal::from(&error)) }
    }

    /// Seals `plain` as records behind what is in `out`.
    ///
    /// # Errors
    ///
    /// The handshake is not over, or the connection is broken.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let room = plain.len() + (plain.len() / RECORD + 1) * OVERHEAD;
        let mut incoming = mem::take(&mut self.incoming);
        let sealed =
            machine::write(&mut self.tls, &mut incoming, out, room, |traffic, buffer| traffic.encrypt(plain, buffer));
        self.incoming = incoming;
        sealed
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    ///
    /// As [`Call::seal`].
    pub fn close_notify(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut incoming = mem::take(&mut self.incoming);
        let said = machine::write(&mut self.tls, &mut incoming, out, OVERHEAD, |traffic, buffer| {
            traffic.queue_close_notify(buffer)
        });
        self.incoming = incoming;
        said
    }

    /// The protocol that the server has chosen of those that were offered, if it has.
    #[must_use]
    pub fn protocol(&self) -> Option<&[u8]> {
        self.tls.common().alpn_protocol()
    }

    /// The facts, when the handshake is over.
    #[must_use]
    pub fn facts(&self) -> Option<Facts> {
        let tls = self.tls.common();
        Some(Facts {
            version: match tls.protocol_version()? {
                ProtocolVersion::TLSv1_3 => "1.3",
                ProtocolVersion::TLSv1_2 => "1.2",
                _ => "-",
            },
            key_exchange: tls.negotiated_key_exchange_group().map_or("-", session::group_name),
            suite: session::suite_name(tls.negotiated_cipher_suite()?.suite()),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{MinVersion, provider};
    use rustls::{ServerConfig, ServerConnection, pki_types::PrivatePkcs8KeyDer};
    use std::{
        io::{Read as _, Write as _},
        time::Duration,
    };

    /// A server, and the authority that vouches for it: itself.
    fn server() -> (Arc<ServerConfig>, Vouching) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS).unwrap().with_no_client_auth();
        let trust = Trust::in_authorities(vec![made.cert.der().clone()], MinVersion::Tls12, &provider).unwrap();
        let mut config = builder.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        (Arc::new(config), Vouching::Trusted(trust))
    }

    fn wall() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000)
    }

    /// A call, the server that it goes to, and what was heard so far.
    struct Pair {
        call: Call,
        server: ServerConnection,
        plain: Vec<u8>,
        heard: Answer,
        /// The content that the server has heard, and whether that was all.
        arrived: Vec<u8>,
        ended: bool,
    }

    impl Pair {
        fn new(call: Call, config: &Arc<ServerConfig>) -> Self {
            let server = ServerConnection::new(config.clone()).unwrap();
            let (plain, arrived) = (Vec::new(), Vec::new());
            Self { call, server, plain, heard: Answer::default(), arrived, ended: false }
        }

        /// Both talk until there is nothing more to say; bytes come in pieces of at most this length.
        fn meet(callee: &Arc<Callee>, config: &Arc<ServerConfig>, piece: usize) -> Self {
            let mut out = Vec::new();
            let mut pair = Self::new(Call::new(callee, wall(), &mut out).unwrap(), config);
            pair.send(&out, piece);
            pair
        }

        fn send(&mut self, records: &[u8], piece: usize) {
            let mut out = records.to_vec();
            while !out.is_empty() {
                let mut records = &mem::take(&mut out)[..];
                while !records.is_empty() {
                    self.server.read_tls(&mut records).unwrap();
                    // It fails at the alert of a client that does not accept the server.
                    let _ = self.server.process_new_packets();
                    // It is at its end, or would have to wait for more.
                    self.ended |= self.server.reader().read_to_end(&mut self.arrived).is_ok();
                }
                let mut said = Vec::new();
                while self.server.wants_write() {
                    self.server.write_tls(&mut said).unwrap();
                }
                for piece in said.chunks(piece.min(said.len().max(1))) {
                    let heard = self.call.receive(piece, wall(), &mut Vec::new(), &mut self.plain, &mut out);
                    self.heard.ended |= heard.ended;
                    self.heard.refusal = self.heard.refusal.or(heard.refusal);
                }
            }
        }
    }

    #[test]
    fn content_goes_both_ways_however_it_is_cut() {
        let (config, vouching) = server();
        for piece in [1, 7, 1000, usize::MAX] {
            let callee = Arc::new(Callee::new("localhost", vouching.clone(), &[b"h2"], 0).unwrap());
            let mut pair = Pair::meet(&callee, &config, piece);
            assert!(!pair.call.is_handshaking(), "{piece}: {:?}", pair.heard);
            assert_eq!((pair.call.protocol(), pair.heard), (Some(&b"h2"[..]), Answer::default()));
            let facts = pair.call.facts().unwrap();
            assert_eq!((facts.version, facts.key_exchange, facts.resumed), ("1.3", "X25519MLKEM768", false));
            // Two records and a part of a third.
            let content = vec![b'x'; 2 * RECORD + 100];
            let mut out = Vec::new();
            pair.call.seal(&content, &mut out).unwrap();
            pair.server.writer().write_all(&content).unwrap();
            pair.server.send_close_notify();
            pair.send(&out, piece);
            assert!(pair.arrived == content && pair.plain == content && !pair.ended, "{piece}");
            assert_eq!(pair.heard, Answer { ended: true, refusal: None }, "{piece}");
            let mut out = Vec::new();
            pair.call.close_notify(&mut out).unwrap();
            pair.send(&out, piece);
            assert!(pair.ended, "the end is the client's own word");
        }
    }

    #[test]
    fn as_many_sessions_are_resumed_as_are_kept() {
        let (config, vouching) = server();
        for (sessions, expected) in [(0, [false, false, false]), (1, [false, true, true]), (8, [false, true, true])] {
            let callee = Arc::new(Callee::new("localhost", vouching.clone(), &[], sessions).unwrap());
            let resumed = [(); 3].map(|()| Pair::meet(&callee, &config, usize::MAX).call.facts().unwrap().resumed);
            assert_eq!(resumed, expected, "{sessions}");
        }
        // The server gives two tickets. With one kept, the second of two connections at once has none.
        for (sessions, expected) in [(1, [true, false]), (2, [true, true])] {
            let callee = Arc::new(Callee::new("localhost", vouching.clone(), &[], sessions).unwrap());
            Pair::meet(&callee, &config, usize::MAX);
            let begun = [(); 2].map(|()| {
                let mut out = Vec::new();
                (Call::new(&callee, wall(), &mut out).unwrap(), out)
            });
            let resumed = begun.map(|(call, out)| {
                let mut pair = Pair::new(call, &config);
                pair.send(&out, usize::MAX);
                pair.call.facts().unwrap().resumed
            });
            assert_eq!(resumed, expected, "{sessions}");
        }
    }

    #[test]
    fn a_server_that_no_party_vouches_for_is_refused_and_hears_why() {
        let (config, vouching) = server();
        let (_, others) = server();
        for (name, vouching, refused) in [
            ("localhost", vouching.clone(), None),
            ("other.example", vouching, Some(Refusal::Certificate("is for other names"))),
            ("other.example", Vouching::Nobody, None),
        ] {
            let callee = Arc::new(Callee::new(name, vouching, &[], 0).unwrap());
            let pair = Pair::meet(&callee, &config, usize::MAX);
            assert_eq!((pair.heard.refusal, pair.call.facts().is_some()), (refused, true), "{name}");
            assert_eq!(pair.server.is_handshaking(), refused.is_some(), "{name}");
        }
        let callee = Arc::new(Callee::new("localhost", others, &[], 0).unwrap());
        let refusal = Pair::meet(&callee, &config, usize::MAX).heard.refusal;
        assert!(matches!(refusal, Some(Refusal::Certificate(_))), "{refusal:?}");
        assert!(Callee::new("no name", Vouching::Nobody, &[], 0).is_none());
    }
}
