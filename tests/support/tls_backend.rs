//! Backends that speak TLS: each connection is a script of the test, and each handshake is noted.

use super::{
    process::{PATIENCE, allow_descriptors, lock, spawn, wait_until},
    tls,
    wire::{Message, Reader},
};
use rustls::{
    HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    server::WebPkiClientVerifier,
};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};
use tempfile::NamedTempFile;

/// A backend on a free port.
#[derive(Debug, Clone)]
pub struct TlsBackend {
    pub address: SocketAddr,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
    requests: Arc<Mutex<Vec<Message>>>,
    broken: Arc<Mutex<Vec<String>>>,
}

/// A handshake as the backend saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    pub name: Option<String>,
    pub alpn: Option<Vec<u8>>,
    pub version: Option<ProtocolVersion>,
    pub resumed: bool,
    /// Whether the proxy showed a certificate.
    pub certified: bool,
}

/// One connection whose handshake is over.
#[derive(Debug)]
pub struct Served {
    pub tls: rustls::StreamOwned<ServerConnection, TcpStream>,
    reader: Reader,
    requests: Arc<Mutex<Vec<Message>>>,
    /// Which handshake of this backend it was, from 0.
    pub number: usize,
}

impl Served {
    /// The next request, entered in the book; `None` when the proxy is done.
    pub fn request(&mut self) -> Option<Message> {
        let mut message = Message::default();
        loop {
            while let Some(piece) = self.reader.next().expect("the proxy speaks HTTP") {
                if let Some(whole) = message.add(piece) {
                    lock(&self.requests).push(whole.clone());
                    return Some(whole);
                }
            }
            let bytes = self.read()?;
            self.reader.push(&bytes);
        }
    }

    /// Content as it comes; `None`: an end.
    pub fn read(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 16 * 1024];
        match self.tls.read(&mut buffer) {
            Ok(0) | Err(_) => None,
            Ok(len) => Some(buffer[..len].to_vec()),
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the proxy takes what is sent");
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.tls.write_all(bytes.as_ref())?;
        self.tls.flush()
    }

    /// An end that nobody on the way can have made.
    pub fn close(mut self) {
        self.tls.conn.send_close_notify();
        let _ = self.tls.flush();
    }

    /// An end that anybody on the way can have made.
    pub fn end_in_plain(self) {
        let _ = self.tls.sock.shutdown(std::net::Shutdown::Both);
    }
}

/// A configuration that shows a certificate for these names.
pub fn config(names: &[&str], special: tls::Special) -> ServerConfig {
    config_with(rustls::ALL_VERSIONS, names, special)
}

pub fn config_with(
    versions: &[&'static SupportedProtocolVersion],
    names: &[&str],
    special: tls::Special,
) -> ServerConfig {
    showing(versions, None, tls::pair(names, special))
}

/// The same, and it asks for a certificate that the authority of the tests has signed.
pub fn config_asking(versions: &[&'static SupportedProtocolVersion], names: &[&str]) -> ServerConfig {
    showing(versions, Some(tls::roots()), tls::pair(names, tls::Special::default()))
}

/// The same with a certificate that is there already, and asking for one if there are authorities for that.
pub fn showing(
    versions: &[&'static SupportedProtocolVersion],
    authorities: Option<RootCertStore>,
    (certificate, key): (rustls::pki_types::CertificateDer<'static>, rustls::pki_types::PrivateKeyDer<'static>),
) -> ServerConfig {
    let provider = Arc::new(socket_patterns::tls::provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("the provider knows them");
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("there is an authority"))
        }
    };
    let mut config = builder.with_single_cert(vec![certificate], key).expect("the key is the certificate's");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().expect("there is randomness");
    config
}

impl TlsBackend {
    /// Runs `script` for every connection whose handshake comes to its end.
    pub fn start(config: ServerConfig, script: impl Fn(Served) + Send + Sync + 'static) -> Self {
        allow_descriptors();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("it is bound");
        let backend = Self { address, handshakes: Arc::default(), requests: Arc::default(), broken: Arc::default() };
        let (config, script, shared) = (Arc::new(config), Arc::new(script), backend.clone());
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, script, shared) = (config.clone(), script.clone(), shared.clone());
                spawn(move || {
                    if let Some(served) = shared.shake_hands(stream, config) {
                        script(served);
                    }
                });
            }
        });
        backend
    }

    /// Answers every request with `200` and this text.
    pub fn saying(config: ServerConfig, text: &'static str) -> Self {
        Self::start(config, move |mut served| {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            while served.request().is_some() && served.try_send(&answer).is_ok() {}
        })
    }

    fn shake_hands(&self, mut stream: TcpStream, config: Arc<ServerConfig>) -> Option<Served> {
        stream.set_nodelay(true).expect("it is a TCP socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        let mut conn = ServerConnection::new(config).expect("the configuration is good");
        conn.set_buffer_limit(None);
        while conn.is_handshaking() {
            if let Err(error) = conn.complete_io(&mut stream) {
                lock(&self.broken).push(error.to_string());
                return None;
            }
        }
        let number = {
            let mut handshakes = lock(&self.handshakes);
            handshakes.push(Handshake {
                name: conn.server_name().map(str::to_owned),
                alpn: conn.alpn_protocol().map(<[u8]>::to_vec),
                version: conn.protocol_version(),
                resumed: conn.handshake_kind() == Some(HandshakeKind::Resumed),
                certified: conn.peer_certificates().is_some(),
            });
            handshakes.len() - 1
        };
        let tls = rustls::StreamOwned::new(conn, stream);
        Some(Served { tls, reader: Reader::of_requests(), requests: self.requests.clone(), number })
    }

    /// For a flag: an address, and the name that is asked for.
    pub fn spec(&self, name: &str) -> String {
        format!("https://{},name={name}", self.address)
    }

    /// The handshakes that came to their end.
    pub fn handshakes(&self) -> Vec<Handshake> {
        lock(&self.handshakes).clone()
    }

    /// Waits until so many handshakes have failed, and tells why they did.
    pub fn wait_for_broken(&self, n: usize) -> Vec<String> {
        wait_until("a handshake to fail", || lock(&self.broken).len() >= n);
        lock(&self.broken).clone()
    }

    pub fn requests(&self) -> Vec<Message> {
        lock(&self.requests).clone()
    }
}

/// A file with this text, for a flag.
pub fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("there is room for a file");
    file.write_all(text.as_bytes()).expect("the file is ours");
    file
}
