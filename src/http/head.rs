//! Heads as values: what a reader gives and a writer takes.

use super::{Error, Fields, Method, Status, Target, Version, hop, host};
use bytes::BufMut;

/// The head of a request: request line and fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// As received, or HTTP/1.1.
    pub version: Version,
    /// As received.
    pub fields: Fields,
    target: Target,
}

impl RequestHead {
    /// A head without fields, in HTTP/1.1: for clients and tests. Fails as [`Target::parse`] does.
    pub fn new(method: Method, target: &str) -> Result<Self, Error> {
        let target = Target::parse(&method, target.as_bytes())?;
        Ok(Self { method, version: Version::Http11, fields: Fields::new(), target })
    }

    /// A head whose parts a peer sent: checks what several of them say together.
    pub(crate) fn received(method: Method, version: Version, target: Target, fields: Fields) -> Result<Self, Error> {
        host::check(version, &target, &fields)?;
        hop::check_options(&fields)?;
        Ok(Self { method, version, fields, target })
    }

    /// The line alone.
    pub(crate) fn into_line(self) -> RequestLine {
        let Self { method, version, fields: _, target } = self;
        RequestLine { method, version, target }
    }

    /// The target as received.
    #[must_use]
    pub fn target(&self) -> &str {
        self.target.as_str()
    }

    /// The target taken apart.
    #[must_use]
    pub fn parsed_target(&self) -> &Target {
        &self.target
    }

    /// The authority that the request is for: the target's if it has one, else `Host` (RFC 9110 §7.1, RFC 9112 §3.2.2).
    /// `None` in HTTP/1.0 without either.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        let host = || std::str::from_utf8(self.fields.get("host")?).ok();
        self.target.authority().or_else(host)
    }

    /// Appends the head as it goes over the wire, with the empty line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for part in [self.method.as_str(), " ", self.target(), " ", self.version.as_str(), "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        self.fields.write_to(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// The first line of a request (RFC 9112 §3).
#[derive(Debug)]
pub(crate) struct RequestLine {
    method: Method,
    version: Version,
    target: Target,
}

impl RequestLine {
    /// A head with this line and no fields.
    pub(crate) fn into_head(self) -> RequestHead {
        let Self { method, version, target } = self;
        RequestHead { method, version, fields: Fields::new(), target }
    }
}

/// The head of a response: status line and fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// As received, or HTTP/1.1.
    pub version: Version,
    /// How the request ended.
    pub status: Status,
    /// As received.
    pub fields: Fields,
    /// `None`: the registry's phrase for the status. Most responses carry just that, and cost no allocation.
    reason: Option<Box<[u8]>>,
}

impl ResponseHead {
    /// A head without fields, in HTTP/1.1, with the usual phrase.
    #[must_use]
    pub fn new(status: Status) -> Self {
        Self { version: Version::Http11, status, fields: Fields::new(), reason: None }
    }

    /// The same status line, with other fields.
    #[must_use]
    pub(crate) fn with_fields(&self, fields: Fields) -> Self {
        Self { version: self.version, status: self.status, fields, reason: self.reason.clone() }
    }

    /// As [`RequestHead::received`].
    pub(crate) fn received(version: Version, status: Status, reason: &[u8], fields: Fields) -> Result<Self, Error> {
        hop::check_options(&fields)?;
        let usual = reason == status.reason().as_bytes();
        Ok(Self { version, status, fields, reason: (!usual).then(|| reason.into()) })
    }

    /// The reason phrase as received, perhaps empty. It says nothing that the status does not (RFC 9112 §4).
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        self.reason.as_deref().unwrap_or(self.status.reason().as_bytes())
    }

    /// Appends the status line: for a proxy that writes the fields itself.
    pub fn write_status_line(&self, out: &mut Vec<u8>) {
        write_status_line(self.version, self.status, self.reason(), out);
    }

    /// Appends the head as it goes over the wire, with the empty line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.write_status_line(out);
        self.fields.write_to(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a status line. The space before the reason is required even if there is none (RFC 9112 §4).
pub fn write_status_line(version: Version, status: Status, reason: &[u8], out: &mut impl BufMut) {
    out.put_slice(version.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(&status.digits());
    out.put_u8(b' ');
    out.put_slice(reason);
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_as_they_go_over_the_wire() {
        let mut request = RequestHead::new(Method::Options, "*").unwrap();
        request.fields.push("Host", "a");
        let mut out = Vec::new();
        request.write_to(&mut out);
        assert_eq!(out, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
        out.clear();
        ResponseHead::new(Status::NOT_FOUND).write_to(&mut out);
        assert_eq!(out, b"HTTP/1.1 404 Not Found\r\n\r\n");
        out.clear();
        let unknown = Status::new(299).unwrap();
        ResponseHead::received(Version::Http10, unknown, b"x", Fields::new()).unwrap().write_to(&mut out);
        ResponseHead::received(Version::Http11, Status::OK, b"", Fields::new()).unwrap().write_to(&mut out);
        assert_eq!(out, b"HTTP/1.0 299 x\r\n\r\nHTTP/1.1 200 \r\n\r\n");
    }

    #[test]
    fn the_authority_is_the_targets_before_hosts() {
        let mut request = RequestHead::new(Method::Get, "http://a:1/").unwrap();
        request.fields.push("Host", "b");
        assert_eq!(request.authority(), Some("a:1"));
        let mut request = RequestHead::new(Method::Get, "/").unwrap();
        assert_eq!(request.authority(), None);
        request.fields.push("Host", "b");
        assert_eq!(request.authority(), Some("b"));
    }
}
