//! A server that speaks HTTP/2 on real sockets, with TLS or without: a thread for each connection, and what a request's path says.

use super::{
    process::{allow_descriptors, lock, spawn},
    tls::Site,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket_patterns::{
    buf::Output,
    http::{Fields, Method, Status},
    http2::{Connection, ErrorCode, Event, Limits, Request, Role},
    time::Instant,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A server on a free port. It answers
///
/// | path | with |
/// |---|---|
/// | `/bytes/N` | so many bytes |
/// | `/echo` | the content of the request |
/// | `/status/N` | this status |
/// | `/silent` | nothing |
/// | `/reset/N` | a reset of the stream with this code |
/// | `/goaway/N` | the end of the connection with this code, and with it of the request |
///
/// and `HEAD` with a head.
#[derive(Debug, Clone)]
pub struct Http2Origin {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Http2Origin {
    pub fn start(limits: Limits) -> Self {
        Self::start_over(limits, |stream| stream)
    }

    /// With TLS, and these application protocols.
    pub fn start_secured(limits: Limits, site: &Site, protocols: &[&str]) -> Self {
        let config = Arc::new(server_config(site, protocols));
        Self::start_over(limits, move |stream| {
            let tls = ServerConnection::new(config.clone()).expect("the configuration is good");
            StreamOwned::new(tls, stream)
        })
    }

    fn start_over<S: Read + Write>(limits: Limits, wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static) -> Self {
        allow_descriptors();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("it is bound");
        let origin = Self { address, connections: Arc::default(), requests: Arc::default() };
        let (accepting, wrap, limits) = (origin.clone(), Arc::new(wrap), Arc::new(limits));
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (origin, wrap, limits) = (accepting.clone(), wrap.clone(), limits.clone());
                origin.connections.fetch_add(1, Ordering::SeqCst);
                spawn(move || {
                    stream.set_nodelay(true).expect("it is a TCP socket");
                    origin.serve(wrap(stream), limits);
                });
            }
        });
        origin
    }

    /// `HOST:PORT`.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        lock(&self.requests).len()
    }

    /// The first request.
    pub fn with_first<T>(&self, look: impl FnOnce(&Request) -> T) -> T {
        look(lock(&self.requests).first().expect("a request came"))
    }

    #[allow(clippy::disallowed_methods)] // Black-box tests run in real time.
    fn serve(&self, mut stream: impl Read + Write, limits: Arc<Limits>) {
        let mut connection = Connection::new(Role::Server, limits, Instant::now());
        let mut bodies: BTreeMap<u32, (String, Vec<u8>)> = BTreeMap::new();
        let (mut buffer, mut output) = (vec![0; 64 * 1024], Output::new());
        loop {
            connection.write(&mut output, usize::MAX, Instant::now());
            while let Some(piece) = output.pop() {
                if stream.write_all(&piece).is_err() {
                    return;
                }
            }
            if stream.flush().is_err() || connection.is_over() {
                return;
            }
            let Ok(length @ 1..) = stream.read(&mut buffer) else { return };
            let mut input = &buffer[..length];
            while let Some(event) = connection.next(&mut input, Instant::now()) {
                match event {
                    Event::Request { stream: number, request, ends } => {
                        let is_head = request.head.method == Method::Head;
                        let path = if is_head { "/head" } else { request.head.target() }.to_owned();
                        lock(&self.requests).push(request);
                        if ends {
                            if !answer(&mut stream, &mut connection, number, &path, &[]) {
                                return read_to_end(&mut stream);
                            }
                        } else {
                            bodies.insert(number, (path, Vec::new()));
                        }
                    }
                    Event::Data { stream: number, data } => {
                        let length = data.len();
                        bodies.entry(number).and_modify(|(_, body)| body.extend_from_slice(data));
                        connection.took(number, length);
                    }
                    Event::End { stream: number, .. } => {
                        let (path, body) = bodies.remove(&number).unwrap_or_default();
                        if !answer(&mut stream, &mut connection, number, &path, &body) {
                            return read_to_end(&mut stream);
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Waits for the peer's end: closed with bytes unread, a connection is reset, and the last words may be lost.
fn read_to_end(stream: &mut impl Read) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

/// Does what the path says. `false`: and this was the last of the connection.
fn answer(stream: &mut impl Write, connection: &mut Connection, number: u32, path: &str, body: &[u8]) -> bool {
    let (word, value) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let value: u32 = value.parse().unwrap_or_default();
    let (status, content) = match word {
        "silent" => return true,
        "reset" => {
            connection.reset(number, ErrorCode(value));
            return true;
        }
        "goaway" => {
            let frame = [&[0, 0, 8, 7, 0, 0, 0, 0, 0][..], &0u32.to_be_bytes(), &value.to_be_bytes()].concat();
            // A peer that has gone has heard enough.
            let _ = stream.write_all(&frame).and_then(|()| stream.flush());
            return false;
        }
        "bytes" => (200, vec![b'x'; value as usize]),
        "status" => (value as u16, Vec::new()),
        _ => (200, body.to_vec()),
    };
    if let Some(head) = connection.respond(number, Status::new(status).expect("it is a status")) {
        head.finish(content.is_empty());
        if !content.is_empty() {
            connection.send(number, content.into());
            connection.finish(number, Fields::new());
        }
    }
    true
}

/// A server's configuration with the certificate of a site.
pub fn server_config(site: &Site, protocols: &[&str]) -> ServerConfig {
    let certificate = fs::read(&site.certificate).expect("the site wrote it");
    let key = fs::read(&site.key).expect("the site wrote it");
    let chain = rustls_pemfile::certs(&mut &certificate[..]).collect::<Result<_, _>>().expect("it is a certificate");
    let key = rustls_pemfile::private_key(&mut &key[..]).expect("it is PEM").expect("it is a key");
    let builder = ServerConfig::builder_with_provider(Arc::new(socket_patterns::tls::provider()));
    let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS).expect("the provider knows them");
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).expect("they belong together");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// As many streams as a test wants at once.
pub fn allowing(streams: u32) -> Limits {
    Limits { max_streams: streams, ..Limits::default() }
}
