//! Whose resource a request is about: `Host` and the authority of the target (RFC 9110 §7.2, RFC 9112 §3.2, §3.3).
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
        let (host, port) = match bytes {
            [b'[', ..] => {
                let end = memchr::memchr(b']', bytes).ok_or(Error::BadHost)? + 1;
                (&bytes[..end], &bytes[end..])
            }
            _ => bytes.split_at(memchr::memchr(b':', bytes).unwrap_or(bytes.len())),
        };
        let host = std::str::from_utf8(host).map_err(|_| Error::BadHost)?;
        let valid = match host.strip_prefix('[') {
            Some(literal) => is_ip_literal(literal.trim_end_matches(']')),
            None => grammar::is_registered_name(host.as_bytes()),
        };
        if valid { Ok(Self { host, port: port_number(port)? }) } else { Err(Error::BadHost) }
    }

    /// Whether both name the same server, where a missing port means `default`.
    fn same(self, other: Self, default: Option<u16>) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.port.or(default) == other.port.or(default)
    }
}

/// Reads what follows a host: nothing, or a colon and digits.
fn port_number(port: &[u8]) -> Result<Option<u16>, Error> {
    match port {
        [] | [b':'] => Ok(None),
        [b':', digits @ ..] => {
            let number = digits.iter().try_fold(0u16, |number, digit| {
                let digit = char::from(*digit).to_digit(10)?;
                number.checked_mul(10)?.checked_add(u16::try_from(digit).ok()?)
            });
            number.map(Some).ok_or(Error::BadHost)
        }
        _ => Err(Error::BadHost),
    }
}

/// What stands between brackets (RFC 3986 §3.2.2): an IPv6 address, or `IPvFuture`.
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

/// Checks that a request names one authority, in one way or in two that agree.
pub(super) fn check(version: Version, target: &Target, fields: &Fields) -> Result<(), Error> {
    let mut hosts = fields.get_all("host");
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(Error::SeveralHosts),
        (None, None) if version == Version::Http10 => return Ok(()),
        (None, None) => return Err(Error::NoHost),
        (Some(host), None) => Authority::parse(host)?,
    };
    let Some(authority) = target.authority() else { return Ok(()) };
    let authority = Authority::parse(authority.as_bytes())?;
    let default = match target.form() {
        Form::Absolute(scheme) => Some(scheme.default_port()),
        // CONNECT has no scheme. Some clients leave the port out of Host.
        _ => authority.port,
    };
    if authority.same(host, default) { Ok(()) } else { Err(Error::HostMismatch) }
}
