//! HTTP/2 for tests: a client over a real socket, with TLS or without, on the same core as the proxy's, in its other role.

use super::{
    process::{PATIENCE, now},
    raw::End,
    tls::{self, Tls},
};
use bytes::Bytes;
use socket_patterns::{
    buf::Output,
    http::{Fields, Status},
    http2::{Cause, Connection, ErrorCode, Event, Limits, Reset, Role},
};
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

/// A connection.
#[derive(Debug)]
pub struct Client {
    line: Line,
    pub core: Connection,
    told: BTreeMap<u32, Told>,
    /// It gives the windows of its streams back.
    pub reads: bool,
    /// The code of a GOAWAY.
    pub goaway: Option<ErrorCode>,
    /// How the connection ended.
    pub ended: Option<End>,
    scheme: &'static str,
}

#[derive(Debug)]
enum Line {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// The answer as one stream got it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Told {
    pub interims: Vec<u16>,
    pub status: u16,
    pub fields: Fields,
    pub body: Vec<u8>,
    pub ended: bool,
    pub trailers: Fields,
    pub reset: Option<Reset>,
}

impl Told {
    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.ended || self.reset.is_some()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

impl Client {
    /// Connects without TLS, with prior knowledge.
    #[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
    pub fn plain(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_nodelay(true).expect("it is a TCP socket");
        Self::new(Line::Plain(stream), "http")
    }

    /// Connects over TLS, where it offers both versions.
    pub fn over_tls(to: SocketAddr, name: &str) -> Self {
        let tls = Tls::open_with(to, name, offering(&["h2", "http/1.1"]));
        assert_eq!(tls.tls.alpn_protocol(), Some(&b"h2"[..]));
        Self::new(Line::Tls(Box::new(tls)), "https")
    }

    fn new(line: Line, scheme: &'static str) -> Self {
        let core = Connection::new(Role::Client, Arc::new(Limits::default()), now());
        let (told, reads, goaway, ended) = (BTreeMap::new(), true, None, None);
        Self { line, core, told, reads, goaway, ended, scheme }
    }

    /// Begins a request for a host named `test`. `ends`: without content.
    pub fn begin(&mut self, method: &str, path: &str, fields: &[(&str, &str)], ends: bool) -> u32 {
        self.begin_at("test", method, path, fields, ends)
    }

    pub fn begin_at(&mut self, authority: &str, method: &str, path: &str, fields: &[(&str, &str)], ends: bool) -> u32 {
        let (stream, mut head) = self.core.request(method, self.scheme, authority, path).expect("it may ask");
        fields.iter().for_each(|(name, value)| head.field(name.as_bytes(), value.as_bytes()));
        head.finish(ends);
        stream
    }

    /// Content on a stream; `ends`: the last of it.
    pub fn send(&mut self, stream: u32, content: &[u8], ends: bool) {
        self.core.send(stream, Bytes::copy_from_slice(content));
        if ends {
            self.core.finish(stream, Fields::new());
        }
        self.flush();
    }

    pub fn get(&mut self, path: &str) -> Told {
        let stream = self.begin("GET", path, &[], true);
        self.answer(stream)
    }

    pub fn reset(&mut self, stream: u32) {
        self.core.reset(stream, ErrorCode::CANCEL);
        self.flush();
    }

    /// The answer so far.
    pub fn told(&self, stream: u32) -> Told {
        self.told.get(&stream).cloned().unwrap_or_default()
    }

    /// The whole answer, or what there is of it when its stream is reset or the connection ends.
    pub fn answer(&mut self, stream: u32) -> Told {
        self.until(|client| client.told.get(&stream).is_some_and(Told::is_over));
        self.told(stream)
    }

    /// Hears until `condition` holds, or the connection ends.
    pub fn until(&mut self, condition: impl Fn(&Self) -> bool) {
        self.flush();
        while !condition(self) && self.ended.is_none() {
            self.hear();
        }
    }

    /// Sends what there is to send.
    pub fn flush(&mut self) {
        let mut out = Output::new();
        self.core.write(&mut out, usize::MAX, now());
        let bytes: Vec<u8> = std::iter::from_fn(|| out.pop()).flatten().collect();
        self.say(&bytes);
    }

    /// Sends these bytes as they are. A peer that has closed is noticed by reading.
    pub fn say(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match &mut self.line {
            Line::Plain(stream) => drop(stream.write_all(bytes)),
            Line::Tls(tls) => {
                tls.tls.set_buffer_limit(None);
                tls.send(bytes);
            }
        }
    }

    fn hear(&mut self) {
        self.hear_at_most(64 * 1024);
    }

    /// Hears once, and takes no more than `most` bytes from the socket. Over TLS it is as much as there is.
    pub fn hear_at_most(&mut self, most: usize) {
        let bytes = match self.read(most) {
            Ok(bytes) => bytes,
            Err(end) => return self.ended = Some(end),
        };
        let mut input = &bytes[..];
        while let Some(event) = self.core.next(&mut input, now()) {
            let back = note(&mut self.told, &mut self.goaway, event);
            if let Some((stream, length)) = back.filter(|_| self.reads) {
                self.core.took(stream, length);
            }
        }
        self.flush();
    }

    fn read(&mut self, most: usize) -> Result<Vec<u8>, End> {
        let stream = match &mut self.line {
            Line::Plain(stream) => stream,
            Line::Tls(tls) => return tls.read(),
        };
        let mut buffer = vec![0; most];
        match stream.read(&mut buffer) {
            Ok(0) => Err(End::Clean),
            Ok(n) => Ok(buffer[..n].to_vec()),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => panic!("nothing came for {PATIENCE:?}"),
                _ => Err(End::Reset),
            },
        }
    }
}

/// Content of that length on that stream was heard.
fn note(told: &mut BTreeMap<u32, Told>, goaway: &mut Option<ErrorCode>, event: Event<'_>) -> Option<(u32, usize)> {
    match event {
        Event::Response { stream, head, ends } => {
            let told = told.entry(stream).or_default();
            assert_eq!(told.status, 0, "a head behind the final one");
            match head.status {
                status if status.is_interim() => told.interims.push(status.code()),
                status => (told.status, told.fields) = (Status::code(status), head.fields),
            }
            told.ended |= ends;
        }
        Event::Data { stream, data } => {
            let told = told.entry(stream).or_default();
            assert!(told.status > 0 && !told.is_over(), "content out of place");
            told.body.extend_from_slice(data);
            return Some((stream, data.len()));
        }
        Event::End { stream, trailers } => {
            let told = told.entry(stream).or_default();
            assert!(!told.is_over(), "two ends");
            (told.ended, told.trailers) = (true, trailers);
        }
        Event::Reset { stream, why } => {
            let told = told.entry(stream).or_default();
            if !told.ended {
                told.reset = Some(why);
            }
        }
        Event::GoAway(code) => *goaway = Some(code),
        Event::Failed(cause) => return fail(cause),
        Event::Request { .. } | Event::Refused { .. } => panic!("a server makes no requests"),
    }
    None
}

fn fail(cause: Cause) -> Option<(u32, usize)> {
    panic!("the proxy breaks a rule: {cause}")
}

/// A client's configuration that offers these protocols.
pub fn offering(protocols: &[&str]) -> rustls::ClientConfig {
    let mut config = tls::config();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// A frame as it goes over the wire.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS with these lines, none of them compressed.
pub fn headers(stream: u32, flags: u8, lines: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("it is short")][..], text.as_bytes()].concat();
    let line = |(name, value): &(&str, &str)| [&[0][..], &text(name), &text(value)].concat();
    frame(1, flags, stream, &lines.iter().flat_map(line).collect::<Vec<u8>>())
}
