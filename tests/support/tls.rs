//! TLS for tests: certificates made on the spot, and a client that says what it likes.

use super::{
    process::PATIENCE,
    raw::End,
    wire::{Message, Reader},
};
use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _},
};
use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// The authority that every client of the tests trusts.
static AUTHORITY: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(make_authority);

/// One that calls itself the same, and that nobody trusts.
static STRANGER: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(make_authority);

fn make_authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "authority of the tests");
    parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().expect("there is randomness");
    CertifiedIssuer::self_signed(parameters, key).expect("the parameters are good")
}

/// A certificate and its key, in files.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The special things about a certificate.
#[derive(Debug, Default, Clone, Copy)]
pub struct Special {
    /// Valid from so long ago until so long ago.
    pub past: Option<(Duration, Duration)>,
    /// Valid for so long.
    pub lifetime: Option<Duration>,
    /// Valid from so long from now on.
    pub later: Option<Duration>,
    pub signer: Signer,
}

/// The holder of the key that signs a certificate.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The authority that everybody in the tests trusts.
    #[default]
    Authority,
    /// An authority of the same name that is not the same.
    Stranger,
    /// The certificate's own key.
    Itself,
    /// The same, and it calls itself an authority, as those do that `openssl req -x509` makes.
    ItselfAsAuthority,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Site {
    /// A certificate for `names`, which the clients of the tests trust.
    pub fn new(names: &[&str]) -> Self {
        Self::special(names, Special::default())
    }

    pub fn special(names: &[&str], special: Special) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a file");
        let site = Self { certificate: folder.path().join("site.pem"), key: folder.path().join("site.key"), folder };
        site.renew(names, special);
        site
    }

    /// Writes another certificate and another key into the same files.
    pub fn renew(&self, names: &[&str], special: Special) {
        let (certificate, key) = pem(names, special);
        self.write(&certificate, &key);
    }

    pub fn write(&self, certificate: &str, key: &str) {
        fs::write(&self.certificate, certificate).expect("the folder is ours");
        fs::write(&self.key, key).expect("the folder is ours");
        fs::set_permissions(&self.key, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    }

    /// A path beside the files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The flags that show it.
    pub fn flags(&self) -> [&str; 4] {
        ["--certificate", text(&self.certificate), "--key", text(&self.key)]
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// A certificate and its key as text.
pub fn pem(names: &[&str], special: Special) -> (String, String) {
    let key = KeyPair::generate().expect("there is randomness");
    let certificate = certificate(names, special, &key);
    (pem_of("CERTIFICATE", &certificate), pem_of("PRIVATE KEY", &key.serialize_der()))
}

#[allow(clippy::disallowed_methods)] // Certificates of black-box tests are valid now.
fn certificate(names: &[&str], special: Special, key: &KeyPair) -> CertificateDer<'static> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let now = SystemTime::now();
    let mut parameters = CertificateParams::new(names.clone()).expect("the names are good");
    parameters.distinguished_name.push(DnType::CommonName, names.first().cloned().unwrap_or_default());
    parameters.not_before = (now - DAY).into();
    parameters.not_after = (now + special.lifetime.unwrap_or(90 * DAY)).into();
    if let Some((from, until)) = special.past {
        parameters.not_before = (now - from).into();
        parameters.not_after = (now - until).into();
    }
    if let Some(later) = special.later {
        parameters.not_before = (now + later).into();
    }
    if special.signer == Signer::ItselfAsAuthority {
        parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    let signed = match special.signer {
        Signer::Authority => parameters.signed_by(key, &*AUTHORITY),
        Signer::Stranger => parameters.signed_by(key, &*STRANGER),
        Signer::Itself | Signer::ItselfAsAuthority => parameters.self_signed(key),
    };
    signed.expect("the key signs").der().clone()
}

/// A certificate and its key.
pub fn pair(names: &[&str], special: Special) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().expect("there is randomness");
    let certificate = certificate(names, special, &key);
    (certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

/// The authority of the tests, for a server that asks for certificates.
pub fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(AUTHORITY.der().clone()).expect("it is an authority");
    roots
}

/// The authority's certificate as text.
pub fn authority() -> String {
    pem_of("CERTIFICATE", AUTHORITY.der())
}

/// The certificate of an authority that calls itself the same and is another one.
pub fn stranger() -> String {
    pem_of("CERTIFICATE", STRANGER.der())
}

/// The hash of a certificate's public key, by which a browser can be told to trust it.
pub fn pin_of(certificate: &str) -> String {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("it is a certificate");
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).expect("it is a certificate");
    base64(digest(&SHA256, certificate.public_key().raw).as_ref())
}

/// Text around bytes (RFC 7468).
pub fn pem_of(label: &str, der: &[u8]) -> String {
    let encoded = base64(der);
    let lines: Vec<&str> = (0..encoded.len()).step_by(64).map(|at| &encoded[at..encoded.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Bytes as text (RFC 4648 §4).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[(group >> (18 - 6 * place)) as usize & 63]);
            encoded.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    encoded
}

/// A client's configuration that trusts the authority of the tests.
pub fn config() -> ClientConfig {
    config_with(rustls::ALL_VERSIONS)
}

pub fn config_with(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    builder(versions).with_no_client_auth()
}

/// A client's configuration with a certificate of its own, of that name.
pub fn config_as(name: &str) -> ClientConfig {
    let key = KeyPair::generate().expect("there is randomness");
    let certificate = certificate(&[name], Special::default(), &key);
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    builder(rustls::ALL_VERSIONS).with_client_auth_cert(vec![certificate], key.into()).expect("the key is good")
}

fn builder(
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(socket_patterns::tls::provider()))
        .with_protocol_versions(versions)
        .expect("the provider knows them")
        .with_root_certificates(roots())
}

/// A client's connection over TLS.
#[derive(Debug)]
pub struct Tls {
    pub tls: ClientConnection,
    pub stream: TcpStream,
    reader: Reader,
}

impl Tls {
    /// Connects, and completes the handshake.
    pub fn open(to: SocketAddr, name: &str) -> Self {
        Self::open_with(to, name, config())
    }

    pub fn open_with(to: SocketAddr, name: &str, config: ClientConfig) -> Self {
        Self::try_open(to, name, &Arc::new(config)).unwrap_or_else(|error| panic!("no handshake with {name}: {error}"))
    }

    /// Connects, and tries the handshake.
    pub fn try_open(to: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> Result<Self, rustls::Error> {
        let mut client = Self::begin(to, name, config);
        client.handshake()?;
        Ok(client)
    }

    /// Connects and says nothing.
    #[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
    pub fn begin(to: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> Self {
        let stream = TcpStream::connect(to).unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_nodelay(true).expect("it is a TCP socket");
        let name = ServerName::try_from(name.to_owned()).expect("it is a name");
        let tls = ClientConnection::new(config.clone(), name).expect("the configuration is good");
        Self { tls, stream, reader: Reader::of_responses() }
    }

    pub fn handshake(&mut self) -> Result<(), rustls::Error> {
        while self.tls.is_handshaking() {
            self.flush();
            self.hear()?;
        }
        self.flush();
        Ok(())
    }

    /// The next bytes that it would send.
    pub fn records(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).expect("a vector takes everything");
        }
        bytes
    }

    /// Sends what there is to send.
    pub fn flush(&mut self) {
        let records = self.records();
        // A peer that has closed is noticed by reading.
        let _ = self.stream.write_all(&records);
    }

    /// Sends content.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.tls.writer().write_all(bytes.as_ref()).expect("the buffer has no limit");
        self.flush();
    }

    /// Sends a whole request and reads the whole response to it.
    pub fn ask(&mut self, request: &str) -> Message {
        self.send(request);
        self.response(request.split(' ').next().unwrap_or_default())
    }

    pub fn get(&mut self, target: &str, host: &str) -> Message {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    pub fn response(&mut self, method: &str) -> Message {
        self.reader.asked(method);
        let mut message = Message::default();
        loop {
            while let Some(piece) = self.reader.next().unwrap_or_else(|why| panic!("not HTTP: {why:?}")) {
                if let Some(whole) = message.add(piece) {
                    return whole;
                }
            }
            let bytes = self.read().unwrap_or_else(|end| panic!("{end:?} before a response was complete"));
            self.reader.push(&bytes);
        }
    }

    /// Content, as soon as there is some; else how it ended: cleanly only after a `close_notify`.
    pub fn read(&mut self) -> Result<Vec<u8>, End> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match self.tls.reader().read(&mut buffer) {
                Ok(0) => return Err(End::Clean),
                Ok(n) => return Ok(buffer[..n].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(End::Reset),
            }
            if self.hear().is_err() {
                return Err(End::Reset);
            }
            self.flush();
        }
    }

    /// Everything up to the end, and how it ended.
    pub fn read_to_end(&mut self) -> (Vec<u8>, End) {
        let mut bytes = self.reader.rest().to_vec();
        loop {
            match self.read() {
                Ok(more) => bytes.extend(more),
                Err(end) => return (bytes, end),
            }
        }
    }

    /// Says that it sends nothing more.
    pub fn close_notify(&mut self) {
        self.tls.send_close_notify();
        self.flush();
    }

    fn hear(&mut self) -> Result<(), rustls::Error> {
        match self.tls.read_tls(&mut self.stream) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came for {PATIENCE:?}")
            }
            Err(_) => return Err(rustls::Error::General("the connection is broken".to_owned())),
        }
        // A failure has an alert, which the peer gets, too.
        let state = match self.tls.process_new_packets() {
            Ok(state) => state,
            Err(error) => {
                self.flush();
                return Err(error);
            }
        };
        if self.tls.is_handshaking() && state.peer_has_closed() {
            return Err(rustls::Error::General("closed in the handshake".to_owned()));
        }
        Ok(())
    }
}
