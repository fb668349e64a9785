//! Which server a client asks a forward proxy for: the host and the port that its target names (RFC 9112 §3.2.2, §3.2.3).
//!
//! Programs disagree on what a host made of numbers is. `127.1`, `0177.0.0.1`, `0x7f.1` and `2130706433` are 127.0.0.1 to
//! `inet_aton`, names to DNS, and nothing to others. Here they are nothing: a number has one spelling, and whatever else ends
//! like a number is refused, as browsers do (<https://url.spec.whatwg.org/#ends-in-a-number-checker>).

use super::{Denied, Ports};
use crate::http::{
    Authority, BodyLength, Method, RequestHead,
    target::{Form, Scheme},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name that DNS can hold (RFC 1035 §2.3.4), without its last dot.
const MAX_NAME: usize = 253;

/// The longest part of a name.
const MAX_LABEL: usize = 63;

/// A host, as one that can be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    /// Needs no resolver.
    Ip(IpAddr),
    /// As spelled, without the dot that may end it.
    Name(&'a str),
}

/// The server that a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Wanted<'a> {
    pub(super) host: Host<'a>,
    pub(super) port: u16,
    /// A connection of its own, for whatever the client says on it.
    pub(in crate::proxy) tunnel: bool,
}

impl<'a> Wanted<'a> {
    /// Reads it from the target. The rules of [`refusal`] are not asked.
    ///
    /// # Errors
    ///
    /// [`Denied::NoServer`], [`Denied::HttpsInClear`], [`Denied::BadHost`].
    pub(in crate::proxy) fn of(head: &'a RequestHead) -> Result<Self, Denied> {
        let target = head.parsed_target();
        let (tunnel, default) = match target.form() {
            Form::Authority => (true, None),
            Form::Absolute(Scheme::Http) => (false, Some(Scheme::Http.default_port())),
            Form::Absolute(Scheme::Https) => return Err(Denied::HttpsInClear),
            Form::Origin | Form::Asterisk => return Err(Denied::NoServer),
        };
        let authority = target.authority().and_then(|text| Authority::parse(text.as_bytes()).ok());
        let Authority { host: text, port } = authority.ok_or(Denied::BadHost)?;
        let port = port.or(default).ok_or(Denied::BadHost)?;
        Ok(Self { host: host(text)?, port, tunnel })
    }
}

/// Why a request with that head and content is not for this proxy to carry, as far as the head alone tells.
pub(in crate::proxy) fn refusal(head: &RequestHead, body: BodyLength, ports: &Ports) -> Option<Denied> {
    let wanted = match Wanted::of(head) {
        Ok(wanted) => wanted,
        Err(denied) => return Some(denied),
    };
    if head.method == Method::Connect && body != BodyLength::Empty {
        return Some(Denied::ContentInConnect);
    }
    let open = if wanted.tunnel { ports.is_for_connect(wanted.port) } else { ports.is_for_http(wanted.port) };
    (!open).then_some(Denied::Port)
}

/// Reads the host of an authority: a name, four decimal numbers, or an IPv6 address in brackets.
///
/// # Errors
///
/// [`Denied::BadHost`]: percent-encoding, labels that DNS cannot hold, text that ends in a number and is no such address.
pub fn host(text: &str) -> Result<Host<'_>, Denied> {
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address.map(|address| Host::Ip(IpAddr::V6(address).to_canonical())).ok_or(Denied::BadHost);
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(address.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    if name.len() > MAX_NAME || !name.split('.').all(is_label) || is_numeric(last) {
        return Err(Denied::BadHost);
    }
    Ok(Host::Name(name))
}

/// Letters, digits and hyphens, and the underscore that some names have.
fn is_label(label: &str) -> bool {
    let fits = (1..=MAX_LABEL).contains(&label.len());
    fits && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether a program might take it for a number: decimal, octal or hexadecimal.
fn is_numeric(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hexadecimal.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        || label.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Host<'static> {
        Host::Ip(text.parse().unwrap())
    }

    #[test]
    fn hosts() {
        let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        for (text, host) in [
            ("example.com", Host::Name("example.com")),
            ("example.com.", Host::Name("example.com")),
            ("LocalHost", Host::Name("LocalHost")),
            ("a_b-c.1a", Host::Name("a_b-c.1a")),
            ("0x7f.example", Host::Name("0x7f.example")),
            ("1.2.3.4.example", Host::Name("1.2.3.4.example")),
            ("0xg", Host::Name("0xg")),
            (&longest, Host::Name(&longest)),
            ("127.0.0.1", ip("127.0.0.1")),
            ("[::1]", ip("::1")),
            ("[::ffff:7f00:1]", ip("127.0.0.1")),
        ] {
            assert_eq!(super::host(text), Ok(host), "{text}");
        }
    }

    #[test]
    fn spellings_that_are_no_host() {
        let (label, name) = ("a".repeat(64), ["a".repeat(63).as_str(); 4].join("."));
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "127.1",
            "127.0.1",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "0X7F",
            "0x",
            "2130706433",
            "127.0.0.1.",
            "127.0.0.01",
            "256.1.1.1",
            "1.2.3.4.5",
            "a.1",
            "a.0x1",
            "%31",
            "a%2eb",
            "a,b",
            "a b",
            "127.0.0.1%2f",
            "[::1",
            "[::1%25eth0]",
            "[fe80::1%eth0]",
            "[127.0.0.1]",
            "[v1.a]",
            "[]",
            "::1",
            &label,
            &name,
        ] {
            assert_eq!(super::host(text), Err(Denied::BadHost), "{text}");
        }
    }

    #[test]
    fn requests_that_are_not_for_a_forward_proxy() {
        let ports = Ports { connect: vec![443, 8443], http: vec![81] };
        let (none, some) = (BodyLength::Empty, BodyLength::Exact(1));
        for (method, target, body, refused) in [
            (Method::Get, "http://a/", none, None),
            (Method::Get, "HTTP://a:/", some, None),
            (Method::Get, "http://a:81/", none, None),
            (Method::Get, "http://a:1023/", none, Some(Denied::Port)),
            (Method::Get, "http://a:1024/", none, None),
            (Method::Get, "http://a:65535/", none, None),
            (Method::Get, "http://a:25/", none, Some(Denied::Port)),
            (Method::Get, "http://a:443/", none, Some(Denied::Port)),
            (Method::Get, "http://a:0/", none, Some(Denied::Port)),
            (Method::Get, "http://127.1/", none, Some(Denied::BadHost)),
            (Method::Get, "https://a/", none, Some(Denied::HttpsInClear)),
            (Method::Get, "/", none, Some(Denied::NoServer)),
            (Method::Options, "*", none, Some(Denied::NoServer)),
            (Method::Options, "http://a", none, None),
            (Method::Connect, "a:443", none, None),
            (Method::Connect, "[2606:4700::1]:8443", none, None),
            (Method::Connect, "a:443", some, Some(Denied::ContentInConnect)),
            (Method::Connect, "a:80", none, Some(Denied::Port)),
            (Method::Connect, "a:22", none, Some(Denied::Port)),
            (Method::Connect, "0x7f000001:443", none, Some(Denied::BadHost)),
        ] {
            let head = RequestHead::new(method, target).unwrap();
            assert_eq!(refusal(&head, body, &ports), refused, "{target}");
        }
    }
}
