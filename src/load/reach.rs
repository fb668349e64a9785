//! One look at the server before anything is measured: is it there, and does it speak what it will be asked in?
//!
//! A server that answers every request with an error is a result; one that speaks another protocol, or whose certificate is not accepted,
//! is a mistake of the command line, and its user hears so at once.

use super::{Kind, Script, Security, Target, talk::Heard};
use crate::{
    backend::Addresses,
    buf::Output,
    cli::Failure,
    net::{clock, connect, resolve},
    resilience::{DeadlineBudget, Dial},
    time::Instant,
    tls::{Call, Refusal},
};
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// Where a target is: the first of its addresses that takes a connection.
///
/// # Errors
///
/// No address takes a connection within this time, the name has no address, or the server does not speak the protocol.
pub fn reach(
    target: &Target,
    script: &Script,
    security: Option<&Security>,
    within: Duration,
) -> Result<SocketAddr, Failure> {
    let addresses = Addresses::new(&resolve::resolve(&target.at)?);
    let mut dial = Dial::new(&addresses, DeadlineBudget::new(within, now()));
    let mut problem = None;
    while let Some((to, share)) = dial.next(now()) {
        match connect::connect(to, share) {
            Ok(stream) => {
                let spoken = Line::open(stream, security, within).and_then(|line| speak(line, script));
                return spoken.map(|()| to).map_err(|why| why.failure(target));
            }
            Err(error) if dial.failed(error.kind()) => problem = Some(error),
            Err(_) => {}
        }
    }
    Err(problem.map_or_else(|| Failure::Run(format!("no address for {target}")), Failure::from))
}

fn now() -> Instant {
    clock::now().instant
}

/// Why the server is none for this protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unspoken {
    /// The handshake fails.
    Tls(Refusal),
    /// It answers without TLS.
    Plain,
    /// It speaks TLS, and has not agreed to HTTP/2 (ALPN).
    NotAgreed,
    /// Its answer is in HTTP/1.1.
    Http1,
    Ended,
    Silent,
    /// The fault of its answer.
    Wrong(String),
}

impl Unspoken {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Silent,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Self::Ended,
            _ => Self::Wrong(error.to_string()),
        }
    }

    /// As it is told where TLS is meant, and not yet anything in it.
    fn in_handshake(self) -> Self {
        match self {
            Self::Ended => Self::Tls(Refusal::Protocol("it ends the connection in the handshake")),
            Self::Silent => Self::Tls(Refusal::Protocol("it says nothing")),
            Self::Wrong(_) => Self::Tls(Refusal::Protocol("the connection breaks")),
            other => other,
        }
    }

    fn failure(&self, target: &Target) -> Failure {
        const NO_HTTP2: &str = "does not speak HTTP/2";
        Failure::Run(match self {
            Self::Tls(Refusal::Alert("no_application_protocol")) | Self::NotAgreed => {
                format!("{target} {NO_HTTP2}: the handshake does not agree on h2 (ALPN). Leave --http2 out")
            }
            Self::Tls(refusal @ Refusal::Certificate("is for other names" | "has expired" | "is not valid yet")) => {
                format!("{target} is not trusted: {refusal}. To trust any server, give --insecure")
            }
            Self::Tls(refusal @ Refusal::Certificate(_)) => format!(
                "{target} is not trusted: {refusal}. Give the authority's with --ca FILE, or trust any server with --insecure"
            ),
            Self::Tls(refusal @ Refusal::Alert(_)) => format!("{target} refuses the handshake: {refusal}"),
            Self::Tls(Refusal::Protocol(why)) => format!("no handshake with {target}: {why}"),
            Self::Plain => format!("{target} does not speak TLS. If it speaks HTTP, write http:// instead of https://"),
            Self::Http1 => format!("{target} {NO_HTTP2}: it answers in HTTP/1.1. Leave --http2 out"),
            Self::Ended => format!("{target} {NO_HTTP2}: it ends the connection. Leave --http2 out"),
            Self::Silent => {
                format!("{target} {NO_HTTP2}: it says nothing. Leave --http2 out, or give it longer with --timeout")
            }
            Self::Wrong(why) => format!("{target} {NO_HTTP2}: {why}"),
        })
    }
}

/// A connection, with TLS or without.
struct Line {
    stream: TcpStream,
    call: Option<Call>,
    buffer: Vec<u8>,
    records: Vec<u8>,
    /// Content that came and was not heard.
    plain: Vec<u8>,
}

impl Line {
    /// With TLS, the handshake is over.
    fn open(stream: TcpStream, security: Option<&Security>, within: Duration) -> Result<Self, Unspoken> {
        stream.set_read_timeout(Some(within)).map_err(|error| Unspoken::of(&error))?;
        let buffer = vec![0; 16 * 1024];
        let mut line = Self { stream, call: None, buffer, records: Vec::new(), plain: Vec::new() };
        if let Some(callee) = security.and_then(|security| security.callee(0)) {
            line.shake(&Arc::new(callee)).map_err(Unspoken::in_handshake)?;
        }
        Ok(line)
    }

    fn shake(&mut self, callee: &Arc<crate::tls::Callee>) -> Result<(), Unspoken> {
        let mut out = Vec::new();
        self.call = Some(Call::new(callee, clock::now().wall, &mut out).map_err(Unspoken::Tls)?);
        self.write(&out)?;
        let mut first = true;
        while self.call.as_ref().is_some_and(Call::is_handshaking) {
            self.read(std::mem::take(&mut first))?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Unspoken> {
        self.stream.write_all(bytes).map_err(|error| Unspoken::of(&error))
    }

    fn say(&mut self, plain: &[u8]) -> Result<(), Unspoken> {
        let Some(call) = &mut self.call else { return self.write(plain) };
        let mut out = Vec::new();
        call.seal(plain, &mut out).map_err(|failure| Unspoken::Tls(Refusal::Protocol(failure.as_str())))?;
        self.write(&out)
    }

    /// Reads once. `is_first`: these are the first bytes that the server says.
    fn read(&mut self, is_first: bool) -> Result<(), Unspoken> {
        let length = match self.stream.read(&mut self.buffer).map_err(|error| Unspoken::of(&error))? {
            0 => return Err(Unspoken::Ended),
            length => length,
        };
        let input = &self.buffer[..length];
        let mut out = Vec::new();
        match &mut self.call {
            // Records begin with their kind, of which there are four (RFC 8446 §5.1).
            Some(_) if is_first && !matches!(input, [20..=23, ..]) => return Err(Unspoken::Plain),
            None if is_first && input.starts_with(b"HTTP/1.") => return Err(Unspoken::Http1),
            None => self.plain.extend_from_slice(input),
            Some(call) => {
                let wall = clock::now().wall;
                let heard = call.receive(input, wall, &mut self.records, &mut self.plain, &mut out);
                // An alert that does not arrive changes nothing here.
                let _ = self.stream.write_all(&out);
                if let Some(refusal) = heard.refusal {
                    return Err(Unspoken::Tls(refusal));
                }
                if heard.ended && self.plain.is_empty() {
                    return Err(Unspoken::Ended);
                }
            }
        }
        Ok(())
    }
}

/// HTTP/2: waits for the server's settings, which are the first that it says. Other servers are heard when they are asked.
fn speak(mut line: Line, script: &Script) -> Result<(), Unspoken> {
    let mut talk = script.talk(now());
    let Some(streams) = talk.streams() else { return Ok(()) };
    if line.call.as_ref().is_some_and(|call| call.protocol() != Some(b"h2")) {
        return Err(Unspoken::NotAgreed);
    }
    let mut output = Output::new();
    streams.write(&mut output, usize::MAX, now());
    while let Some(piece) = output.pop() {
        line.say(&piece)?;
    }
    let mut first = true;
    while talk.streams().is_some_and(|streams| streams.allowed().is_none()) {
        if line.plain.is_empty() {
            let is_first = std::mem::take(&mut first) && line.call.is_none();
            line.read(is_first)?;
        }
        let plain = std::mem::take(&mut line.plain);
        match talk.hear(script, &mut &plain[..], now()) {
            Heard::Broken(Kind::Http2(cause)) => return Err(Unspoken::Wrong(cause.as_str().to_owned())),
            Heard::Broken(kind) => return Err(Unspoken::Wrong(kind.to_string())),
            _ => {}
        }
    }
    Ok(())
}
