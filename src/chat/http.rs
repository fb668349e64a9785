//! Browsers before they speak WebSocket: the page, and the handshake (RFC 6455 §4.2).

use super::{
    origin,
    page::{self, PAGE},
    talk::Config,
};
use crate::{
    buf::Output,
    http::{
        BodyLength, Limits, Method, ReadPhase, RequestEvent, RequestHead, RequestReader, Status, Version, framing,
        http_date, persistent_without_tunnels, upgrade_offers, write_connection, write_status_line,
    },
    session::{self, CloseReason, Session, Wants},
    time::{Instant, Now},
    websocket,
};
use bytes::Bytes;
use std::{
    mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Where the page connects to.
const SOCKET: &str = "/socket";

/// How long a head may take.
const HEAD: Duration = Duration::from_secs(10);

/// Silence between two requests after which the connection is closed.
const IDLE: Duration = Duration::from_secs(75);

/// Output beyond which no request is answered.
const HIGH_WATER: usize = 64 * 1024;

/// One browser's connection.
pub(crate) struct Visitor {
    config: Arc<Config>,
    reader: RequestReader,
    output: Output,
    held: Vec<u8>,
    now: Now,
    since: Instant,
    ended: bool,
    closed: Option<CloseReason>,
    /// Its key's answer: from now on it is a WebSocket.
    upgrade: Option<String>,
    answered: u32,
}

/// A WebSocket that was asked for and may be had.
pub(crate) struct Asked {
    /// The response.
    pub(crate) answer: Bytes,
    /// Bytes that came behind the request.
    pub(crate) rest: Vec<u8>,
}

/// A response.
struct Answer {
    status: Status,
    kind: &'static str,
    /// More field lines, each with its end.
    fields: String,
    content: Bytes,
}

impl Answer {
    fn text(status: Status, text: &str) -> Self {
        let content = Bytes::from(format!("{text}\n"));
        Self { status, kind: "text/plain; charset=utf-8", fields: String::new(), content }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields = format!("{}{name}: {value}\r\n", self.fields);
        self
    }

    fn page() -> Self {
        let content = Bytes::from_static(PAGE.as_bytes());
        let page = Self { status: Status::OK, kind: "text/html; charset=utf-8", fields: String::new(), content };
        page.with("Content-Security-Policy", page::policy())
            .with("Referrer-Policy", "no-referrer")
            .with("Cross-Origin-Opener-Policy", "same-origin")
            .with("Cache-Control", "no-cache")
    }
}

/// Of a request, as far as its response depends on it.
#[derive(Clone, Copy)]
struct Request {
    head_only: bool,
    reuse: bool,
    version: Version,
}

impl Visitor {
    pub(crate) fn new(config: Arc<Config>, now: Now) -> Self {
        Self {
            config,
            reader: RequestReader::new(),
            output: Output::new(),
            held: Vec::new(),
            now,
            since: now.instant,
            ended: false,
            closed: None,
            upgrade: None,
            answered: 0,
        }
    }

    /// The WebSocket that was asked for, if one was, as soon as what came before it is out of the way.
    pub(crate) fn take_upgrade(&mut self, wall: SystemTime) -> Option<Asked> {
        let accept = self.upgrade.take()?;
        let mut answer = Vec::new();
        while let Some(piece) = self.output.pop() {
            answer.extend_from_slice(&piece);
        }
        write_status_line(Version::Http11, Status::SWITCHING_PROTOCOLS, b"Switching Protocols", &mut answer);
        answer.extend_from_slice(b"Date: ");
        answer.extend_from_slice(&http_date(wall)[..]);
        answer.extend_from_slice(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ");
        answer.extend_from_slice(accept.as_bytes());
        answer.extend_from_slice(b"\r\n\r\n");
        Some(Asked { answer: answer.into(), rest: mem::take(&mut self.held) })
    }

    /// Answers requests; returns what was not looked at.
    fn hear<'i>(&mut self, mut input: &'i [u8]) -> &'i [u8] {
        while self.closed.is_none() && self.upgrade.is_none() && self.output.len() < HIGH_WATER {
            match self.reader.next(&mut input, &Limits::default()) {
                Ok(None) => break,
                Ok(Some(RequestEvent::Head(head, length))) => self.answer(&head, length),
                // There is none: a request with content ends the connection.
                Ok(Some(RequestEvent::Data(_) | RequestEvent::End(_))) => {}
                Err(error) => {
                    let request = Request { head_only: false, reuse: false, version: Version::Http11 };
                    self.write(request, &Answer::text(error.status(), error.as_str()));
                    self.closed = Some(CloseReason::Protocol(error.as_str()));
                }
            }
        }
        if self.closed.is_some() { &[] } else { input }
    }

    fn answer(&mut self, head: &RequestHead, length: BodyLength) {
        self.since = self.now.instant;
        let reuse = !self.ended && length == BodyLength::Empty && persistent_without_tunnels(head).is_ok();
        let request = Request { head_only: head.method == Method::Head, reuse, version: head.version };
        match respond(head, &self.config.origins) {
            Ok(accept) if length == BodyLength::Empty => {
                self.upgrade = Some(accept);
                return;
            }
            Ok(_) => self.write(request, &Answer::text(Status::BAD_REQUEST, "a handshake has no content")),
            Err(answer) => self.write(request, &answer),
        }
        if length != BodyLength::Empty {
            self.closed = Some(CloseReason::Protocol("content was not asked for"));
        } else if !reuse {
            self.closed = Some(CloseReason::PeerAsked);
        }
    }

    fn write(&mut self, request: Request, answer: &Answer) {
        self.answered += 1;
        let out = self.output.tail(512);
        write_status_line(Version::Http11, answer.status, answer.status.reason().as_bytes(), out);
        for part in [b"Date: ", &http_date(self.now.wall)[..], b"\r\nContent-Type: ", answer.kind.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
        framing::write_field(BodyLength::Exact(answer.content.len() as u64), out);
        out.extend_from_slice(answer.fields.as_bytes());
        out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
        write_connection(request.version, request.reuse, out);
        out.extend_from_slice(b"\r\n");
        if !request.head_only {
            self.output.push(answer.content.clone());
        }
    }
}

/// The answer to a request; `Ok`: the proof of a handshake.
fn respond(head: &RequestHead, origins: &[origin::Origin]) -> Result<String, Answer> {
    origin::check(&head.fields, origins).map_err(|why| Answer::text(Status::FORBIDDEN, why.as_str()))?;
    let is_read = matches!(head.method, Method::Get | Method::Head);
    match head.parsed_target().path() {
        "/" | SOCKET if !is_read => {
            Err(Answer::text(Status::METHOD_NOT_ALLOWED, "only GET and HEAD").with("Allow", "GET, HEAD"))
        }
        "/" => Err(Answer::page()),
        SOCKET => shake_hands(head),
        _ => Err(Answer::text(Status::NOT_FOUND, "there is / and /socket")),
    }
}

/// The server's part of the handshake (RFC 6455 §4.2.1).
fn shake_hands(head: &RequestHead) -> Result<String, Answer> {
    let upgrade = Answer::text(Status::UPGRADE_REQUIRED, "a WebSocket of version 13 is served here")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Version", "13");
    let mut offers = upgrade_offers(head);
    if head.method != Method::Get || !offers.any(|offer| offer.eq_ignore_ascii_case(b"websocket")) {
        return Err(upgrade);
    }
    if head.fields.get("sec-websocket-version") != Some(b"13") {
        return Err(upgrade);
    }
    let mut keys = head.fields.get_all("sec-websocket-key");
    let accept = keys.next().and_then(websocket::accept).filter(|_| keys.next().is_none());
    accept.ok_or_else(|| Answer::text(Status::BAD_REQUEST, "Sec-WebSocket-Key is sixteen bytes in Base64"))
}

impl Session for Visitor {
    fn receive(&mut self, input: &[u8], now: Now) {
        self.now = now;
        if self.held.is_empty() {
            self.held = self.hear(input).to_vec();
        } else if !session::hold(&mut self.held, input) {
            self.closed = Some(CloseReason::Protocol("too many requests at once"));
        }
    }

    fn receive_end(&mut self, now: Now) {
        self.now = now;
        self.ended = true;
    }

    fn output(&mut self) -> &mut Output {
        if self.output.is_empty() && !self.held.is_empty() {
            let held = mem::take(&mut self.held);
            self.held = self.hear(&held).to_vec();
        }
        &mut self.output
    }

    fn wants(&self) -> Wants {
        match self.closed {
            Some(reason) => Wants::Close(reason),
            None if !self.held.is_empty() || !self.output.is_empty() => Wants::Flush,
            None if self.ended => Wants::Close(CloseReason::PeerFinished),
            None => Wants::Input,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let patience = if self.reader.phase() == ReadPhase::Idle { IDLE } else { HEAD };
        Some(self.since + patience).filter(|_| self.closed.is_none())
    }

    fn promised(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, now: Now) {
        self.now = now;
        if self.deadline().is_some_and(|at| at <= now.instant) {
            let idle = self.reader.phase() == ReadPhase::Idle && self.output.is_empty();
            self.closed = Some(if idle { CloseReason::Idle } else { CloseReason::TooSlow });
            self.output.clear();
        }
    }

    fn answered(&mut self) -> u32 {
        mem::take(&mut self.answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> RequestHead {
        let text = format!("GET {lines}\r\n\r\n");
        match RequestReader::new().next(&mut text.as_bytes(), &Limits::default()) {
            Ok(Some(RequestEvent::Head(head, _))) => head,
            other => panic!("{lines}: {other:?}"),
        }
    }

    /// RFC 6455 §4.2.1, a row for each demand.
    #[test]
    fn a_handshake_has_all_its_parts() {
        const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        const REST: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13";
        let start = "/socket HTTP/1.1\r\nHost: localhost";
        let status = |text: String| respond(&head(&text), &[]).map_err(|answer| answer.status.code());
        assert_eq!(status(format!("{start}\r\n{REST}\r\n{KEY}")), Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned()));
        for (text, code) in [
            (format!("{start}\r\n{REST}"), 400),
            (format!("{start}\r\n{REST}\r\n{KEY}\r\n{KEY}"), 400),
            (format!("{start}\r\n{REST}\r\nSec-WebSocket-Key: dGhl"), 400),
            (format!("{start}\r\n{KEY}"), 426),
            (format!("{start}\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{KEY}"), 426),
            (format!("{start}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Version: 13\r\n{KEY}"), 426),
            (format!("{start}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n{KEY}"), 426),
            (format!("/socket HTTP/1.0\r\nHost: localhost\r\n{REST}\r\n{KEY}"), 426),
            (format!("{start}\r\nOrigin: http://evil.example\r\n{REST}\r\n{KEY}"), 403),
            (format!("/socket HTTP/1.1\r\nHost: evil.example\r\n{REST}\r\n{KEY}"), 403),
            ("/nothing HTTP/1.1\r\nHost: localhost".to_owned(), 404),
            ("/ HTTP/1.1\r\nHost: localhost".to_owned(), 200),
        ] {
            assert_eq!(status(text.clone()), Err(code), "{text}");
        }
    }
}
