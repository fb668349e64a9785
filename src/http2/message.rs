//! From the lines of a field block to a request, a response or trailers (RFC 9113 §8).
//!
//! ```text
//!   :method GET            ╮ control data: before all fields,      ─▶ GET /a HTTP/1.1
//!   :path /a               │ each once, and no others
//!   :authority a.example   ╯                                       ─▶ host: a.example
//!   cookie a=b             ╮ joined with "; "                      ─▶ cookie: a=b; c=d
//!   cookie c=d             ╯
//! ```
//!
//! The result is a head as HTTP/1.1 has it, under the same rules and limits: everything behind it is the same code. A head
//! counts as many bytes as it would have as text.

use super::{cause::Cause, priority::Priority};
use crate::http::{
    self, Authority, BodyLength, Error, Fields, Limits, Method, RequestHead, ResponseHead, Status, Target, Version,
    framing,
    name::is_same,
    target::{Form, Scheme},
};

/// The kind of message that a field block belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
    Trailers,
}

/// A request as it came on a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// As HTTP/1.1 would say it: `Host` is the authority, and it is the first field. For extended `CONNECT` (RFC 8441), the
    /// method is `GET`, as in an upgrade.
    pub head: RequestHead,
    /// As the fields and the end of the stream say. [`BodyLength::Chunked`]: some content, or none.
    pub body: BodyLength,
    /// The scheme that the client used; `None` for `CONNECT`.
    pub scheme: Option<Scheme>,
    /// The protocol that the client wants to speak on the stream (RFC 8441).
    pub protocol: Option<Box<str>>,
    /// How urgent the response is.
    pub priority: Priority,
}

const METHOD: u8 = 1;
const SCHEME: u8 = 2;
const AUTHORITY: u8 = 4;
const PATH: u8 = 8;
const PROTOCOL: u8 = 16;
const STATUS: u8 = 32;

/// A field section that is being put together. The first fault counts; the lines after it are passed over.
#[derive(Debug)]
pub(super) struct Section<'l> {
    kind: Kind,
    limits: &'l Limits,
    /// Pseudo-fields that were seen.
    seen: u8,
    /// A field was seen that is no pseudo-field.
    begun: bool,
    method: Method,
    scheme: Scheme,
    /// Of a request with a path.
    target: Option<Target>,
    protocol: Box<str>,
    status: Status,
    fields: Fields,
    cookie: Vec<u8>,
    /// Bytes that the section would have as text.
    size: usize,
    lines: usize,
    priority: Priority,
    fault: Option<Cause>,
}

impl<'l> Section<'l> {
    /// `block`: bytes on the wire.
    pub(super) fn new(kind: Kind, limits: &'l Limits, block: usize) -> Self {
        /// Names that come as numbers are longer as text.
        const ROOM: usize = 256;
        let fields = match kind {
            Kind::Request | Kind::Response => Fields::with_room(12, ROOM.max(2 * block).min(limits.head)),
            Kind::Trailers => Fields::new(),
        };
        Self {
            kind,
            limits,
            seen: 0,
            begun: false,
            method: Method::Get,
            scheme: Scheme::Https,
            target: None,
            protocol: Box::default(),
            status: Status::OK,
            fields,
            cookie: Vec::new(),
            // Of a start line, beside what is counted with its parts, and of the empty line.
            size: if kind == Kind::Trailers { "\r\n".len() } else { "HTTP/1.1\r\n\r\n".len() },
            lines: 0,
            priority: Priority::default(),
            fault: None,
        }
    }

    /// One more line.
    pub(super) fn line(&mut self, name: &[u8], value: &[u8]) {
        if self.fault.is_none() {
            let added = if name.first() == Some(&b':') { self.pseudo(name, value) } else { self.field(name, value) };
            self.fault = added.and_then(|()| self.check_size()).err();
        }
    }

    fn check_size(&self) -> Result<(), Cause> {
        let (size, error) = match self.kind {
            Kind::Request | Kind::Response => (self.limits.head, Error::HeadTooLarge),
            Kind::Trailers => (self.limits.trailers, Error::TrailersTooLarge),
        };
        if self.lines > self.limits.fields {
            Err(Error::TooManyFields.into())
        } else if self.size > size {
            Err(error.into())
        } else {
            Ok(())
        }
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Cause> {
        let which = match (self.kind, name) {
            (Kind::Trailers, _) => return Err(Cause::PseudoInTrailers),
            (Kind::Request, b":method") => METHOD,
            (Kind::Request, b":scheme") => SCHEME,
            (Kind::Request, b":authority") => AUTHORITY,
            (Kind::Request, b":path") => PATH,
            (Kind::Request, b":protocol") => PROTOCOL,
            (Kind::Response, b":status") => STATUS,
            (Kind::Request | Kind::Response, _) => return Err(Cause::UnknownPseudo),
        };
        if self.begun {
            return Err(Cause::PseudoLate);
        }
        if self.seen & which != 0 {
            return Err(Cause::PseudoTwice);
        }
        self.seen |= which;
        match which {
            METHOD => self.method = Method::from_bytes(value)?,
            SCHEME => self.scheme = scheme(value)?,
            // As any `Host`, it is checked with the head.
            AUTHORITY => self.append(b"host", value)?,
            PATH => self.target = Some(target(value, self.limits)?),
            PROTOCOL => self.protocol = token(value)?,
            _ => self.status = status(value)?,
        }
        if matches!(which, METHOD | PATH | STATUS) {
            self.size += value.len() + " ".len();
        }
        Ok(())
    }

    fn append(&mut self, name: &[u8], value: &[u8]) -> Result<(), Cause> {
        self.count_line(name, value);
        Ok(self.fields.append(name, value)?)
    }

    fn count_line(&mut self, name: &[u8], value: &[u8]) {
        self.lines += 1;
        self.size += name.len() + value.len() + ": \r\n".len();
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Cause> {
        self.begun = true;
        if name.iter().any(u8::is_ascii_uppercase) {
            return Err(Cause::UppercaseName);
        }
        if let [b' ' | b'\t', ..] | [.., b' ' | b'\t'] = value {
            return Err(Cause::SpaceAroundValue);
        }
        match name {
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
                return Err(Cause::ConnectionField);
            }
            b"te" if self.kind == Kind::Request && is_same(value, b"trailers") => {}
            b"te" => return Err(Cause::BadTe),
            // The authority stands there already (§8.3.1).
            b"host" if self.seen & AUTHORITY != 0 => {
                self.count_line(name, value);
                return self.same_host(value);
            }
            b"cookie" if self.kind == Kind::Request => {
                self.crumb(value);
                return Ok(());
            }
            b"priority" if self.kind == Kind::Request => self.priority = Priority::of(value),
            _ => {}
        }
        self.append(name, value)
    }

    /// One of the pieces into which a client may cut its `Cookie` (§8.2.3).
    fn crumb(&mut self, value: &[u8]) {
        let before = self.cookie.len();
        if before == 0 {
            self.count_line(b"cookie", b"");
        } else {
            self.cookie.extend_from_slice(b"; ");
        }
        self.cookie.extend_from_slice(value);
        self.size += self.cookie.len() - before;
    }

    /// A `Host` beside an authority has to name the same server. A port that the scheme means anyway may be there or not.
    fn same_host(&self, value: &[u8]) -> Result<(), Cause> {
        let port = self.scheme.default_port();
        let (one, other) = (Authority::parse(value)?, Authority::parse(self.fields.get("host").unwrap_or_default())?);
        let same = one.host.eq_ignore_ascii_case(other.host) && one.port.unwrap_or(port) == other.port.unwrap_or(port);
        if same { Ok(()) } else { Err(Cause::HostMismatch) }
    }

    /// The section is complete. `ends`: so is the message.
    pub(super) fn request(mut self, ends: bool) -> Result<Request, Cause> {
        if !self.cookie.is_empty() && self.fault.is_none() {
            self.fault = self.fields.append(b"cookie", &self.cookie).err().map(Cause::from);
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let is_connect = self.method == Method::Connect;
        let is_extended = self.seen & PROTOCOL != 0;
        let complete = match (is_connect, is_extended) {
            (true, false) => self.seen == METHOD | AUTHORITY,
            (true, true) => self.seen == METHOD | SCHEME | AUTHORITY | PATH | PROTOCOL,
            (false, true) => false,
            (false, false) => self.seen | AUTHORITY == METHOD | SCHEME | AUTHORITY | PATH,
        };
        if !complete {
            return Err(Cause::PseudoMissing);
        }
        let method = if is_extended { Method::Get } else { self.method };
        let target = match self.target {
            None => Target::parse(&method, self.fields.get("host").unwrap_or_default())?,
            Some(target) if target.form() == Form::Asterisk && method != Method::Options => {
                return Err(Error::BadTarget.into());
            }
            Some(target) => target,
        };
        let head = RequestHead::received(method, Version::Http11, target, self.fields)?;
        let body = if is_connect { BodyLength::Chunked } else { request_body(&head, ends, self.limits)? };
        Ok(Request {
            head,
            body,
            scheme: (!is_connect || is_extended).then_some(self.scheme),
            protocol: is_extended.then_some(self.protocol),
            priority: self.priority,
        })
    }

    /// As [`Section::request`].
    pub(super) fn response(self) -> Result<ResponseHead, Cause> {
        match self.fault {
            Some(fault) => Err(fault),
            None if self.seen & STATUS == 0 => Err(Cause::PseudoMissing),
            None => {
                let reason = self.status.reason().as_bytes();
                Ok(ResponseHead::received(Version::Http11, self.status, reason, self.fields)?)
            }
        }
    }

    /// As [`Section::request`].
    pub(super) fn trailers(self) -> Result<Fields, Cause> {
        self.fault.map_or(Ok(self.fields), Err)
    }
}

/// The length of a request's content, as its fields and the end of its stream say together.
fn request_body(head: &RequestHead, ends: bool, limits: &Limits) -> Result<BodyLength, Cause> {
    let declared = framing::of_request(head)?;
    let body = match (declared, ends) {
        (BodyLength::Exact(_), true) => return Err(Cause::LengthMismatch),
        (_, true) => BodyLength::Empty,
        (BodyLength::Exact(length), false) if length > limits.body => return Err(Error::BodyTooLarge.into()),
        (BodyLength::Empty, false) if !head.fields.contains("content-length") => BodyLength::Chunked,
        (declared, false) => declared,
    };
    if head.method == Method::Trace && body != BodyLength::Empty {
        return Err(Error::ContentInTrace.into());
    }
    Ok(body)
}

fn scheme(value: &[u8]) -> Result<Scheme, Error> {
    if is_same(value, b"https") {
        Ok(Scheme::Https)
    } else if is_same(value, b"http") {
        Ok(Scheme::Http)
    } else {
        Err(Error::BadScheme)
    }
}

/// The limit is that of a request line, which has a method and a version besides.
fn target(path: &[u8], limits: &Limits) -> Result<Target, Error> {
    if path.len() + "GET  HTTP/1.1".len() > limits.request_line {
        return Err(Error::RequestLineTooLong);
    }
    match path {
        [b'/', ..] => Target::parse(&Method::Get, path),
        b"*" => Target::parse(&Method::Options, path),
        // In HTTP/1.1 there could be a whole URI.
        _ => Err(Error::BadTarget),
    }
}

fn token(value: &[u8]) -> Result<Box<str>, Cause> {
    match std::str::from_utf8(value) {
        Ok(text) if http::is_token(value) => Ok(text.into()),
        _ => Err(Cause::PseudoMissing),
    }
}

/// 101 has no meaning in HTTP/2 (§8.6).
fn status(value: &[u8]) -> Result<Status, Cause> {
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = value else { return Err(Cause::BadStatus) };
    let code = [a, b, c].iter().fold(0, |code, digit| code * 10 + u16::from(**digit - b'0'));
    Status::new(code).filter(|status| *status != Status::SWITCHING_PROTOCOLS).ok_or(Cause::BadStatus)
}
