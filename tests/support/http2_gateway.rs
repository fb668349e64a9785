//! HTTP/2 beneath tests that know nothing of it: what they say in HTTP/1.1 to this address goes to a proxy as streams.
//!
//! ```text
//!   test ── HTTP/1.1 ──▶ gateway ── HTTP/2 ──▶ (tls_tunnel) ──▶ proxy
//!        request           HEADERS, DATA …, END_STREAM
//!        RST, or FIN       RST_STREAM if the request or its answer is not complete; the connection ends
//!        response      ◀── HEADERS, DATA …, END_STREAM
//!        RST           ◀── RST_STREAM in an answer, or the loss of the connection
//!        FIN           ◀── GOAWAY, behind the answer to what was asked
//!        upgrade       ──▶ CONNECT with :protocol (RFC 8441)
//!        101           ◀── 200; from there on, bytes are DATA, FIN is END_STREAM, RST is RST_STREAM, in both directions
//! ```
//!
//! A connection of the test is a connection to the proxy, with one request at a time: the next one is read when the last one is over.
//! Content goes on as it comes. The proxy may send more of it when the test has taken what there was.

use super::{
    process::{now, spawn},
    tls_tunnel::{connect_from, reset},
    websocket,
    wire::{Head, Piece, Reader},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket_patterns::{
    buf::Output,
    http::{self, Fields, ResponseHead},
    http2::{Connection, ErrorCode, Event, Limits, Role},
};
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    mem,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    sync::Arc,
};

/// Bytes that are read at once, and content of a request that may wait for the proxy before more is read.
const ROOM: usize = 16 * 1024;

/// Opens an address from which all requests go to `to`, which speaks HTTP/2.
#[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
pub fn open(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let address = listener.local_addr().expect("it is bound");
    spawn(move || {
        for test in listener.incoming().map_while(Result::ok) {
            spawn(move || match connect_from(&test, to) {
                Ok(proxy) => Gateway::new(test, proxy).serve(),
                Err(_) => reset(&test),
            });
        }
    });
    address
}

/// One connection.
struct Gateway {
    test: TcpStream,
    proxy: TcpStream,
    core: Connection,
    requests: Reader,
    /// The request that runs.
    exchange: Option<Exchange>,
    /// Bytes for the proxy.
    out: Vec<u8>,
    /// Bytes for the test, and how much content of the exchange is in them.
    back: Vec<u8>,
    content: usize,
    /// The test sends nothing more.
    said: bool,
    /// The proxy sends nothing more.
    heard: bool,
    /// No request follows: the proxy, or the test, has said so.
    ends: bool,
}

/// A request and its answer.
struct Exchange {
    stream: u32,
    request: Asked,
    answer: Answer,
    /// The answer has no content, whatever its fields say.
    is_head: bool,
}

/// How far a request is.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Content,
    /// It asks for an upgrade, with this `Sec-WebSocket-Key`: what follows waits for the answer.
    Upgrade(String),
    /// The bytes that follow are no HTTP.
    Tunnel,
    Over,
}

/// How far an answer is, and what its content looks like in HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Awaited,
    /// As it is.
    Plain,
    Chunked,
    Over,
}

impl Gateway {
    fn new(test: TcpStream, proxy: TcpStream) -> Self {
        // Heads that are too large are the test's to judge.
        let http = http::Limits { head: 1 << 20, fields: 10_000, trailers: 1 << 20, ..http::Limits::default() };
        Self {
            test,
            proxy,
            core: Connection::new(Role::Client, Arc::new(Limits { http, ..Limits::default() }), now()),
            requests: Reader::of_requests(),
            exchange: None,
            out: Vec::new(),
            back: Vec::new(),
            content: 0,
            said: false,
            heard: false,
            ends: false,
        }
    }

    /// Until one side or the other ends it.
    fn serve(mut self) {
        if self.run().is_ok() {
            let Self { mut test, proxy, .. } = self;
            drop(proxy);
            let _ = test.shutdown(Shutdown::Write);
            // Bytes that come too late must not destroy the last answer.
            let _ = test.set_nonblocking(false).and_then(|()| io::copy(&mut test, &mut io::sink()));
            return;
        }
        // Each side hears that something broke: the test by a reset, the proxy by one of the stream.
        reset(&self.test);
        self.back.clear();
        if let Some(exchange) = self.exchange.take() {
            self.core.reset(exchange.stream, ErrorCode::CANCEL);
        }
        let _ = self.proxy.set_nonblocking(false).and_then(|()| self.flush());
    }

    /// `Err`: something broke.
    fn run(&mut self) -> io::Result<()> {
        for stream in [&self.test, &self.proxy] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
        }
        loop {
            self.ask()?;
            self.flush()?;
            if self.exchange.is_none() && (self.ends || self.said) && self.back.is_empty() && self.out.is_empty() {
                return Ok(());
            }
            let (from_test, from_proxy) = self.wait()?;
            if from_test {
                self.hear_test()?;
            }
            if from_proxy {
                self.hear_proxy()?;
            }
        }
    }

    /// Whether the test, and whether the proxy, has said something.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let (mut test, mut proxy) = (PollFlags::empty(), PollFlags::POLLIN);
        test.set(PollFlags::POLLIN, self.wants_more());
        test.set(PollFlags::POLLOUT, !self.back.is_empty());
        proxy.set(PollFlags::POLLOUT, !self.out.is_empty());
        let mut fds = [PollFd::new(self.test.as_fd(), test), PollFd::new(self.proxy.as_fd(), proxy)];
        let count = if self.heard { 1 } else { 2 };
        poll(&mut fds[..count], PollTimeout::NONE)?;
        // An error is found by reading.
        let says = PollFlags::POLLIN | PollFlags::POLLERR | PollFlags::POLLHUP;
        Ok(fds.map(|fd| fd.revents().is_some_and(|told| told.intersects(says))).into())
    }

    /// Whether something of the test is of use now.
    fn wants_more(&self) -> bool {
        let is_waited_for = self.exchange.as_ref().map_or(!self.ends, |exchange| {
            matches!(exchange.request, Asked::Content | Asked::Tunnel) && self.core.unsent(exchange.stream) < ROOM
        });
        is_waited_for && !self.said && self.out.is_empty()
    }

    /// Sends what there is for both sides, as far as they take it.
    fn flush(&mut self) -> io::Result<()> {
        write(&mut self.test, &mut self.back)?;
        if self.back.is_empty()
            && let Some(exchange) = &self.exchange
        {
            self.core.took(exchange.stream, mem::take(&mut self.content));
            if exchange.request == Asked::Tunnel && exchange.answer == Answer::Over {
                // Fails if the test has gone, and then there is nothing to end.
                let _ = self.test.shutdown(Shutdown::Write);
            }
        }
        let mut frames = Output::new();
        self.core.write(&mut frames, usize::MAX, now());
        self.out.extend(std::iter::from_fn(|| frames.pop()).flatten());
        write(&mut self.proxy, &mut self.out)
    }

    fn hear_test(&mut self) -> io::Result<()> {
        match read(&mut self.test)? {
            Some(bytes) if bytes.is_empty() => self.said = true,
            bytes => self.requests.push(&bytes.unwrap_or_default()),
        }
        Ok(())
    }

    /// Passes on what the test has said.
    fn ask(&mut self) -> io::Result<()> {
        loop {
            let Some(exchange) = &mut self.exchange else {
                match self.next_piece().filter(|_| !self.ends) {
                    Some(Piece::Head(head)) => self.begin(&head),
                    _ => return Ok(()),
                }
                continue;
            };
            let stream = exchange.stream;
            match exchange.request {
                Asked::Over if exchange.answer == Answer::Over => {
                    self.exchange = None;
                    continue;
                }
                Asked::Over | Asked::Upgrade(_) => return Ok(()),
                Asked::Tunnel => {
                    self.core.send(stream, self.requests.take_rest().into());
                    if self.said {
                        exchange.request = Asked::Over;
                        self.core.finish(stream, Fields::new());
                    }
                    return Ok(());
                }
                Asked::Content => {}
            }
            match self.next_piece() {
                Some(Piece::Data(data)) => self.core.send(stream, data.into()),
                Some(Piece::End(trailers)) => {
                    self.core.finish(stream, trailers.iter().map(|(name, value)| (&name[..], &value[..])).collect());
                    self.exchange.iter_mut().for_each(|exchange| exchange.request = Asked::Over);
                }
                // Half a request is none.
                None if self.said => return Err(ErrorKind::UnexpectedEof.into()),
                _ => return Ok(()),
            }
        }
    }

    fn next_piece(&mut self) -> Option<Piece> {
        self.requests.next().unwrap_or_else(|why| panic!("HTTP/2 has no way to say this: {why}"))
    }

    fn begin(&mut self, head: &Head) {
        assert_eq!(head.start[2], "HTTP/1.1", "HTTP/2 has no way to say this");
        let upgrade = head.has_token("connection", "upgrade").then(|| head.field("upgrade")).flatten();
        let method = if upgrade.is_some() { "CONNECT" } else { head.method() };
        let authority = head.field("host").unwrap_or_default();
        // That of a tunnel to a host has no path, and its target is the host.
        let (authority, path) = if method == head.method() && method == "CONNECT" {
            (head.target(), "")
        } else {
            (authority, head.target())
        };
        let asked = self.core.request(method, "https", authority, path);
        let (stream, mut writer) = asked.expect("one stream is always allowed");
        upgrade.iter().for_each(|protocol| writer.protocol(protocol));
        for (name, value) in &head.fields {
            let is_for_one_hop = head.has_token("connection", name) && value != "trailers";
            if !is_for_one_hop && !["host", "sec-websocket-key"].contains(&&name.to_ascii_lowercase()[..]) {
                writer.field(name.as_bytes(), value.as_bytes());
            }
        }
        writer.finish(false);
        let request = match upgrade {
            Some(_) => Asked::Upgrade(head.field("sec-websocket-key").unwrap_or_default().to_owned()),
            None => Asked::Content,
        };
        self.ends |= head.has_token("connection", "close");
        let is_head = method == "HEAD";
        if upgrade.is_some() {
            assert_eq!(self.next_piece(), Some(Piece::End(Vec::new())), "content before an upgrade");
        }
        self.content = 0;
        self.exchange = Some(Exchange { stream, request, answer: Answer::Awaited, is_head });
    }

    fn hear_proxy(&mut self) -> io::Result<()> {
        let Some(bytes) = read(&mut self.proxy)? else { return Ok(()) };
        if bytes.is_empty() {
            (self.heard, self.ends) = (true, true);
            let is_answered = self.exchange.take().is_none_or(|exchange| exchange.answer == Answer::Over);
            return if is_answered { Ok(()) } else { self.lose() };
        }
        let mut input = &bytes[..];
        while let Some(event) = self.core.next(&mut input, now()) {
            self.hear(event)?;
        }
        Ok(())
    }

    fn hear(&mut self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::GoAway(_) => self.ends = true,
            Event::Failed(cause) => panic!("the proxy breaks a rule of HTTP/2: {cause}"),
            Event::Request { .. } | Event::Refused { .. } => panic!("a server makes no requests"),
            Event::Response { head, ends, .. } => {
                self.answer(&head);
                if ends {
                    self.answer_end(&Fields::new());
                }
            }
            Event::Data { data, .. } => self.answer_data(data),
            Event::End { trailers, .. } => self.answer_end(&trailers),
            Event::Reset { .. } => match self.exchange.take() {
                // The rest of the request is not wanted. HTTP/1.1 can say so only by an end.
                Some(exchange) if exchange.answer == Answer::Over => self.ends = true,
                Some(_) => return self.lose(),
                None => {}
            },
        }
        Ok(())
    }

    /// An answer breaks off: the test gets what came before that, as far as it takes it now.
    fn lose(&mut self) -> io::Result<()> {
        write(&mut self.test, &mut self.back)?;
        Err(ErrorKind::ConnectionReset.into())
    }

    fn answer(&mut self, head: &ResponseHead) {
        let Some(exchange) = &mut self.exchange else { return };
        let code = head.status.code();
        let key = match &exchange.request {
            Asked::Upgrade(key) if (200..300).contains(&code) => Some(key.clone()),
            _ => None,
        };
        let mut say = |line: &[u8]| self.back.extend([line, b"\r\n"].concat());
        match key {
            Some(_) => say(b"HTTP/1.1 101 Switching Protocols"),
            None => say(format!("HTTP/1.1 {code} {}", head.status.reason()).as_bytes()),
        }
        head.fields.lines().for_each(|(name, value)| say(&[&as_usual(name), &b": "[..], value].concat()));
        if head.status.is_interim() {
            return say(b"");
        }
        exchange.answer = Answer::Plain;
        if let Some(key) = key {
            exchange.request = Asked::Tunnel;
            self.ends = true;
            say(b"Connection: upgrade\r\nUpgrade: websocket");
            return say(format!("Sec-WebSocket-Accept: {}\r\n", websocket::accept(&key)).as_bytes());
        }
        if matches!(exchange.request, Asked::Upgrade(_)) {
            // It stays with HTTP, and the request is complete.
            exchange.request = Asked::Over;
            self.core.finish(exchange.stream, Fields::new());
        }
        if !head.fields.contains("content-length") && !exchange.is_head && !matches!(code, 204 | 304) {
            exchange.answer = Answer::Chunked;
            say(b"Transfer-Encoding: chunked");
        }
        say(if self.ends { b"Connection: close\r\n" } else { b"" });
    }

    fn answer_data(&mut self, data: &[u8]) {
        self.content += data.len();
        match self.exchange.as_ref().map(|exchange| exchange.answer) {
            Some(Answer::Plain) => self.back.extend(data),
            Some(Answer::Chunked) => {
                self.back.extend([format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat());
            }
            None | Some(Answer::Awaited | Answer::Over) => panic!("content out of place"),
        }
    }

    fn answer_end(&mut self, trailers: &Fields) {
        let Some(exchange) = &mut self.exchange else { return };
        if mem::replace(&mut exchange.answer, Answer::Over) == Answer::Chunked {
            let lines =
                trailers.lines().flat_map(|(name, value)| [&as_usual(name), &b": "[..], value, b"\r\n"].concat());
            self.back.extend(b"0\r\n".iter().copied().chain(lines).chain(*b"\r\n"));
        }
    }
}

/// The name of a field as it is written in HTTP/1.1: `Content-Length`.
fn as_usual(name: &[u8]) -> Vec<u8> {
    let begins = |at: usize| at == 0 || name[at - 1] == b'-';
    (0..name.len()).map(|at| if begins(at) { name[at].to_ascii_uppercase() } else { name[at] }).collect()
}

/// Bytes that have come, none at the end of the connection; `None`: nothing has.
fn read(from: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = [0; ROOM];
    match from.read(&mut buffer) {
        Ok(length) => Ok(Some(buffer[..length].to_vec())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes as many of the bytes as `to` takes.
fn write(to: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(length) => drop(bytes.drain(..length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
