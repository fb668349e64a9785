//! A server, fed with frames that are written by hand, and its answers as text.

use crate::{
    http2::{
        Cause, Connection, Event, Limits, PREFACE, Reset, Role,
        frame::{self, HEAD, Head, Kind},
        hpack,
    },
    time::Instant,
};
use std::{sync::Arc, time::Duration};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) const END_STREAM: u8 = frame::END_STREAM;
pub(super) const END_HEADERS: u8 = frame::END_HEADERS;
pub(super) const WHOLE: u8 = END_STREAM | END_HEADERS;

/// Any frame, by the number of its type.
pub(super) fn raw(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(super) fn data(flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    raw(0, flags, stream, payload)
}

pub(super) fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    raw(1, flags, stream, block)
}

pub(super) fn reset(stream: u32) -> Vec<u8> {
    raw(3, 0, stream, &8u32.to_be_bytes())
}

pub(super) fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        settings.iter().flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    raw(4, 0, 0, &payload)
}

pub(super) fn window(stream: u32, increment: u32) -> Vec<u8> {
    raw(8, 0, stream, &increment.to_be_bytes())
}

pub(super) fn continuation(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    raw(9, flags, stream, block)
}

/// A field block of literals, which neither side remembers.
pub(super) fn block(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for text in lines.iter().flat_map(|(name, value)| [None, Some(name), Some(value)]) {
        match text {
            None => out.push(0),
            Some(text) => {
                // A length in seven bits, or in more.
                let length = text.len();
                if length < 127 {
                    out.push(length as u8);
                } else {
                    out.extend([
                        127,
                        (length - 127) as u8 | 0x80,
                        ((length - 127) >> 7) as u8 | 0x80,
                        ((length - 127) >> 14) as u8,
                    ]);
                }
                out.extend(text.as_bytes());
            }
        }
    }
    out
}

/// `GET / HTTP/1.1`, `Host: a`.
pub(super) const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
pub(super) const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

pub(super) fn get(stream: u32) -> Vec<u8> {
    headers(WHOLE, stream, &block(&GET))
}

pub(super) fn post(stream: u32) -> Vec<u8> {
    headers(END_HEADERS, stream, &block(&POST))
}

#[allow(clippy::disallowed_methods)]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// One end of a connection, whose output is read frame by frame.
pub(super) struct Peer {
    pub(super) connection: Connection,
    pub(super) now: Instant,
    pub(super) written: Vec<u8>,
    pub(super) decoder: hpack::Decoder,
    /// As text.
    pub(super) events: Vec<String>,
}

impl Peer {
    /// Nothing was said.
    pub(super) fn fresh(role: Role, limits: Limits) -> Self {
        let now = start();
        let connection = Connection::new(role, Arc::new(limits), now);
        Self { connection, now, written: Vec::new(), decoder: hpack::Decoder::new(), events: Vec::new() }
    }

    /// A server after the preface and the settings of both sides.
    pub(super) fn server() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let mut peer = Self::fresh(Role::Server, limits);
        peer.hear(&[PREFACE, &settings(&[]), &raw(4, 1, 0, &[])].concat());
        assert_eq!(peer.said().last().map(String::as_str), Some("SETTINGS ACK"));
        peer
    }

    /// As [`Peer::with`], whose first settings say this.
    pub(super) fn told(of: &[(u16, u32)]) -> Self {
        let mut peer = Self::server();
        peer.hear(&settings(of));
        assert_eq!(peer.said(), ["SETTINGS ACK"]);
        peer
    }

    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let mut input = bytes;
        while let Some(event) = self.connection.next(&mut input, self.now) {
            let text = describe(&event);
            // Content comes in pieces of any size: that is not to make a difference.
            match (self.events.last_mut(), text.strip_prefix("DATA ").and_then(|rest| rest.split_once(' '))) {
                (Some(last), Some((stream, content))) if last.starts_with(&format!("DATA {stream} ")) => {
                    last.push_str(content)
                }
                _ => self.events.push(text),
            }
        }
        assert!(input.is_empty(), "all of it is used");
    }

    pub(super) fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }

    /// The frames that were written since the last look.
    pub(super) fn said(&mut self) -> Vec<String> {
        self.said_with(usize::MAX)
    }

    pub(super) fn said_with(&mut self, room: usize) -> Vec<String> {
        let mut sink = crate::buf::Output::new();
        self.connection.write(&mut sink, room, self.now);
        while let Some(piece) = sink.pop() {
            self.written.extend_from_slice(&piece);
        }
        let mut said = Vec::new();
        let written = std::mem::take(&mut self.written);
        let mut rest = &written[..];
        while let Some(head) = rest.first_chunk::<HEAD>().map(Head::of) {
            let payload = &rest[HEAD..][..head.length as usize];
            said.push(self.frame(head, payload));
            rest = &rest[HEAD + payload.len()..];
        }
        assert!(rest.is_empty(), "half a frame: {rest:?}");
        said
    }

    pub(super) fn respond(&mut self, stream: u32, content: &[u8]) {
        let head = self.connection.respond(stream, crate::http::Status::OK).expect("the stream is open");
        head.finish(false);
        self.connection.send_copy(stream, content);
        self.connection.finish(stream, crate::http::Fields::new());
    }
}

impl Peer {
    fn frame(&mut self, head: Head, payload: &[u8]) -> String {
        let word = |at: usize| u32::from_be_bytes(*payload[at..].first_chunk().unwrap());
        let ends = if head.has(END_STREAM) { " END" } else { "" };
        let stream = head.stream;
        match head.kind {
            Kind::Data => format!("DATA {stream} {}{ends}", shown(payload)),
            Kind::Headers => {
                let mut lines = String::new();
                let add = |name: &[u8], value: &[u8]| {
                    lines.push_str(&format!(" {}={}", shown(name), shown(value)));
                };
                let whole = if head.has(END_HEADERS) { self.decoder.decode(payload, usize::MAX, add) } else { Ok(()) };
                assert_eq!(whole, Ok(()));
                format!("HEADERS {stream}{lines}{ends}")
            }
            Kind::Reset => format!("RST_STREAM {stream} {}", crate::http2::ErrorCode(word(0)).as_str()),
            Kind::Settings if head.has(frame::ACK) => "SETTINGS ACK".to_owned(),
            Kind::Settings => "SETTINGS".to_owned(),
            Kind::Ping if head.has(frame::ACK) => format!("PING ACK {}", shown(payload)),
            Kind::Ping => "PING".to_owned(),
            Kind::GoAway => format!("GOAWAY {} {}", word(0), crate::http2::ErrorCode(word(4)).as_str()),
            Kind::WindowUpdate => format!("WINDOW_UPDATE {stream} {}", word(0)),
            Kind::Continuation => format!("CONTINUATION {stream}"),
            other => panic!("no such frame is ever written: {other:?}"),
        }
    }
}

pub(super) fn shown(bytes: &[u8]) -> String {
    if bytes.len() > 40 { format!("({})", bytes.len()) } else { bytes.escape_ascii().to_string() }
}

pub(super) fn describe(event: &Event<'_>) -> String {
    match event {
        Event::Request { stream, request, ends } => {
            let mut text = Vec::new();
            request.head.write_to(&mut text);
            let text = String::from_utf8_lossy(&text).trim_end().replace(" HTTP/1.1", "").replace("\r\n", " | ");
            let protocol = request.protocol.as_ref().map(|protocol| format!(" ({protocol})")).unwrap_or_default();
            format!("REQUEST {stream} {text}{protocol}{}", if *ends { " END" } else { "" })
        }
        Event::Refused { stream, cause } => format!("REFUSED {stream} {cause}"),
        Event::Response { stream, head, ends } => {
            format!("RESPONSE {stream} {} {:?}{}", head.status, head.fields, if *ends { " END" } else { "" })
        }
        Event::Data { stream, data } => format!("DATA {stream} {}", data.escape_ascii()),
        Event::End { stream, trailers } if trailers.is_empty() => format!("END {stream}"),
        Event::End { stream, trailers } => format!("END {stream} {trailers:?}"),
        Event::Reset { stream, why: Reset::Fault(cause) } => format!("RESET {stream} {cause}"),
        Event::Reset { stream, why: Reset::Peer(code) } => format!("RESET {stream} by the peer: {}", code.as_str()),
        Event::Reset { stream, why: Reset::Answered(code) } => {
            format!("RESET {stream} by the peer, after its answer: {}", code.as_str())
        }
        Event::Reset { stream, why: Reset::Unprocessed } => format!("RESET {stream} unprocessed"),
        Event::GoAway(code) => format!("GOAWAY {}", code.as_str()),
        Event::Failed(cause) => format!("FAILED {cause}"),
    }
}

/// The end that a table of rules expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Nothing ends.
    Nothing,
    /// A stream is reset for this cause.
    Stream(Cause),
    /// The connection is.
    Connection(Cause),
}
