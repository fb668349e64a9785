//! The host whose resource a request asks for: `Host` and the authority of the target (RFC 9110 §7.2, RFC 9112 §3.2,
//! §3.3).
//!
//! If we route by one name and the server behind us answers for another, a client reaches what it must not.

use super::{Error, Fields, Target, Version, grammar, target::Form};
use std::net::Ipv6Addr;

/// `uri-host [":" port]`, checked and taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    /// A registered name, an IPv4 address, or an IP literal with its brackets. Never empty.
    pub host: &'a str,
    /// `None` for no port and for an empty one (`a.example:`).
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads an authority without user information; [`Error::BadHost`] if it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (host, port) = split(bytes)?;
        Ok(Self { host: std::str::from_utf8(host).map_err(|_| Error::BadHost)?, port })
    }

    /// Whether both name the same server, where a missing port means `default`.
    fn same(self, other: Self, default: Option<u16>) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.port.or(default) == other.port.or(default)
    }
}

/// Host and port of an authority, both checked.
fn split(bytes: &[u8]) -> Result<(&[u8], Option<u16>), Error> {
    if bytes.first() == Some(&b'[') {
        let end = bytes.iter().position(|byte| *byte == b']').ok_or(Error::BadHost)?;
        let literal = std::str::from_utf8(&bytes[1..end]).map_err(|_| Error::BadHost)?;
        return if is_ip_literal(literal) {
            Ok((&bytes[..=end], port(&bytes[end + 1..])?))
        } else {
            Err(Error::BadHost)
        };
    }
    let (host, rest) = bytes.split_at(bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len()));
    if grammar::is_registered_name(host) { Ok((host, port(rest)?)) } else { Err(Error::BadHost) }
}

/// Reads what follows a host: nothing, or a colon and digits.
fn port(rest: &[u8]) -> Result<Option<u16>, Error> {
    let digits = match rest {
        [] | [b':'] => return Ok(None),
        [b':', digits @ ..] => digits,
        _ => return Err(Error::BadHost),
    };
    let number = digits.iter().try_fold(0u16, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.map(Some).ok_or(Error::BadHost)
}

/// The text between brackets (RFC 3986 §3.2.2): an IPv6 address, or `IPvFuture`.
fn is_ip_literal(literal: &str) -> bool {
    match literal.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.')) {
        Some((version, address)) => {
            !version.is_empty()
                && version.bytes().all(|digit| digit.is_ascii_hexdigit())
                && !address.contains('%')
                && grammar::is_registered_name(address.replace(':', "").as_bytes())
        }
        None => literal.parse::<Ipv6Addr>().is_ok(),
    }
}

/// Checks `Host`: there has to be one, and a valid one, whatever the target says (RFC 9112 §3.2); in HTTP/1.0 there may be
/// none.
///
/// An absolute target is not compared with it: the target wins, and a proxy writes `Host` anew from it (§3.2.2). Of
/// `CONNECT` the RFC says no such thing, so there the two have to agree.
pub(super) fn check(version: Version, target: &Target, fields: &Fields) -> Result<(), Error> {
    let mut hosts = fields.get_all("host");
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(Error::SeveralHosts),
        (None, None) if version == Version::Http10 => return Ok(()),
        (None, None) => return Err(Error::NoHost),
        (Some(host), None) => host,
    };
    let (Form::Authority, Some(authority)) = (target.form(), target.authority()) else { return split(host).map(drop) };
    let (tunnel, host) = (Authority::parse(authority.as_bytes())?, Authority::parse(host)?);
    // Some clients leave the port out of Host.
    if tunnel.same(host, tunnel.port) { Ok(()) } else { Err(Error::HostMismatch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for (text, host, port) in [
            ("a", "a", None),
            ("a:80", "a", Some(80)),
            ("a:", "a", None),
            ("a:0080", "a", Some(80)),
            ("a:65535", "a", Some(65535)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("A-b_c.~!$&'()*+,;=%2d.example.", "A-b_c.~!$&'()*+,;=%2d.example.", None),
            ("[::1]", "[::1]", None),
            ("[2001:db8::1]:443", "[2001:db8::1]", Some(443)),
            ("[::ffff:1.2.3.4]:", "[::ffff:1.2.3.4]", None),
            ("[v1.a:b]", "[v1.a:b]", None),
        ] {
            assert_eq!(Authority::parse(text.as_bytes()), Ok(Authority { host, port }), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_authority() {
        for text in [
            "",
            ":",
            ":80",
            "a:65536",
            "a:99999999999",
            "a:+1",
            "a:-1",
            "a: 1",
            "a:1 ",
            "a:x",
            "a:80:80",
            "::1",
            "a b",
            "a\t",
            "u@a",
            "@a",
            "a/",
            "a?",
            "a#",
            "a\\",
            "a%",
            "a%2",
            "a%zz",
            "\"a\"",
            "<a>",
            "a|b",
            "a^b",
            "{a}",
            "caf\u{e9}",
            "[::1",
            "::1]",
            "[]",
            "[::1]a",
            "[::1]]",
            "[[::1]]",
            "[::1%25eth0]",
            "[1.2.3.4]",
            "[a]",
            "[v.a]",
            "[vx.a]",
            "[v1.]",
            "[v1]",
            "[v1.a%2d]",
            "[:::]",
            "[1:2:3:4:5:6:7:8:9]",
        ] {
            assert_eq!(Authority::parse(text.as_bytes()), Err(Error::BadHost), "{text}");
        }
    }
}
