//! Under which URI the client asked, as a gateway in front of us tells the backend (RFC 9112 §3.3, RFC 7239).
//!
//! ```text
//!  client ── https://a.example/ ──▶ gateway ── GET /, X-Forwarded-Proto: https ──▶ us ──▶ backend
//! ```
//!
//! Many a backend answers `http` with a redirect to `https`, and `https` with the page. To the cache those have to be
//! two resources: else the redirect for one client answers all others, even those that came to `https` already.

use super::config::Forwarding;
use crate::http::{
    Authority, Fields, RequestHead,
    claims::{Claim, Says, claim, saying},
    members,
    target::Form,
    target::Scheme,
};
use std::net::IpAddr;

/// The scheme under which the client asked: what a trusted gateway says, else that of our own listener.
///
/// `None`: the gateway speaks of another resource than the request's URI (another host, port, path or method, two
/// schemes at once, a scheme that is none of these two), or of a user, or of something unknown here. The backend hears
/// that and may go by it, but it is in no key: such a request is not for the cache.
pub(super) fn scheme(head: &RequestHead, peer: IpAddr, ours: Scheme, forwarding: &Forwarding) -> Option<Scheme> {
    if !forwarding.trusts(peer) {
        return Some(ours);
    }
    let scheme = told_scheme(head)?.unwrap_or(ours);
    let authority = head.authority().unwrap_or_default();
    let named = |host: &[u8]| host == authority.as_bytes();
    for (name, value) in head.fields.lines() {
        let Claim::Gateway(says) = claim(name) else { continue };
        let agrees = match says {
            // Scheme, Secure and Way have been heard above.
            Says::Client | Says::Scheme | Says::Secure => true,
            Says::Way => first_hop(&head.fields, "host").all(named),
            Says::Host => named(value),
            Says::Port => is_port(value, authority, scheme),
            Says::Prefix => matches!(value, b"" | b"/"),
            Says::Target => value == head.target().as_bytes(),
            Says::Method => value == head.method.as_str().as_bytes(),
            Says::Other => false,
        };
        if !agrees {
            return None;
        }
    }
    Some(scheme)
}

/// The one scheme that the target and all fields name, if any does. `None`: they name two, or one that is neither.
fn told_scheme(head: &RequestHead) -> Option<Option<Scheme>> {
    let mut agreed = match head.parsed_target().form() {
        Form::Absolute(named) => Some(named),
        Form::Origin | Form::Authority | Form::Asterisk => None,
    };
    // Each proxy on the way may have added its own to a list: the first is the client's.
    let schemes = saying(Says::Scheme).filter_map(|name| head.fields.tokens(name).next()).map(parse);
    let secures = saying(Says::Secure).flat_map(|name| head.fields.get_all(name)).map(secure);
    let way = first_hop(&head.fields, "proto").map(parse);
    for told in schemes.chain(secures).chain(way) {
        let told = told?;
        if *agreed.get_or_insert(told) != told {
            return None;
        }
    }
    Some(agreed)
}

fn secure(value: &[u8]) -> Option<Scheme> {
    match value.to_ascii_lowercase().as_slice() {
        b"on" => Some(Scheme::Https),
        b"off" => Some(Scheme::Http),
        _ => None,
    }
}

/// Whether a port is the one that the URI names, or leaves to its scheme.
fn is_port(value: &[u8], authority: &str, scheme: Scheme) -> bool {
    let named = Authority::parse(authority.as_bytes()).ok().and_then(|authority| authority.port);
    let told = std::str::from_utf8(value).ok().and_then(|value| value.parse::<u16>().ok());
    told == Some(named.unwrap_or(scheme.default_port()))
}

fn parse(name: &[u8]) -> Option<Scheme> {
    [(&b"http"[..], Scheme::Http), (b"https", Scheme::Https)]
        .into_iter()
        .find_map(|(known, scheme)| name.eq_ignore_ascii_case(known).then_some(scheme))
}

/// The values under that name in the first element of `Forwarded`: it is about the hop next to the client (RFC 7239
/// §4).
fn first_hop<'f>(fields: &'f Fields, name: &'static str) -> impl Iterator<Item = &'f [u8]> {
    let element = fields.get_all("forwarded").flat_map(members).next().unwrap_or_default();
    element.split(|byte| *byte == b';').filter_map(move |pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let value = pair[equals + 1..].trim_ascii();
        let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        pair[..equals].trim_ascii().eq_ignore_ascii_case(name.as_bytes()).then_some(quoted.unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;
    use std::net::Ipv4Addr;

    const HTTP: Option<Scheme> = Some(Scheme::Http);
    const HTTPS: Option<Scheme> = Some(Scheme::Https);

    fn of(target: &str, lines: &[(&str, &str)], trusted: &str) -> Option<Scheme> {
        let mut head = RequestHead::new(Method::Get, target).unwrap();
        head.fields = [("Host", "a")].iter().chain(lines).copied().collect();
        let trusted = vec![trusted.parse().unwrap()];
        let forwarding = Forwarding { trusted, ..Forwarding::default() };
        scheme(&head, Ipv4Addr::new(10, 0, 0, 1).into(), Scheme::Http, &forwarding)
    }

    /// Target, what the gateway says, what is believed.
    type Row = (&'static str, &'static [(&'static str, &'static str)], Option<Scheme>);

    const ROWS: &[Row] = &[
        ("/", &[], HTTP),
        ("/", &[("X-Forwarded-Proto", "http")], HTTP),
        ("/", &[("X-Forwarded-Proto", "https")], HTTPS),
        ("/", &[("X-Forwarded-Proto", "HTTPS")], HTTPS),
        ("/", &[("X-Forwarded-Proto", "https, http")], HTTPS),
        ("/", &[("X-Forwarded-Proto", "http"), ("X-Forwarded-Proto", "https")], HTTP),
        ("/", &[("X-Forwarded-Proto", "")], HTTP),
        ("/", &[("X-Forwarded-Proto", "gopher")], None),
        ("/", &[("Forwarded", "for=1.2.3.4; Proto=https;host=a")], HTTPS),
        ("/", &[("Forwarded", "proto=\"https\", proto=http")], HTTPS),
        ("/", &[("Forwarded", "for=1.2.3.4"), ("Forwarded", "proto=https")], HTTP),
        ("/", &[("Forwarded", "proto=ftp")], None),
        ("/", &[("Forwarded", "proto=http;proto=https")], None),
        ("/", &[("Forwarded", "proto=https"), ("X-Forwarded-Proto", "https")], HTTPS),
        ("/", &[("Forwarded", "proto=http"), ("X-Forwarded-Proto", "https")], None),
        ("/", &[("Forwarded", "proto"), ("Forwarded", ";=;")], HTTP),
        // An absolute target is the client's own word.
        ("http://a/", &[], HTTP),
        ("https://a/", &[], HTTPS),
        ("https://a/", &[("X-Forwarded-Proto", "https")], HTTPS),
        ("http://a/", &[("X-Forwarded-Proto", "https")], None),
        // Two hosts: a page of one must not answer for the other.
        ("/", &[("X-Forwarded-Host", "a")], HTTP),
        ("/", &[("X-Forwarded-Host", "b")], None),
        ("/", &[("X-Forwarded-Host", "a"), ("X-Forwarded-Host", "b")], None),
        ("/", &[("X-Forwarded-Host", "b"), ("X-Forwarded-Proto", "https")], None),
        ("/", &[("Forwarded", "host=\"a\"")], HTTP),
        ("/", &[("Forwarded", "host=b;proto=https")], None),
        ("/", &[("X-Original-Host", "b")], None),
        // Other ways to name the scheme.
        ("/", &[("X-Forwarded-Ssl", "on")], HTTPS),
        ("/", &[("Front-End-Https", "Off")], HTTP),
        ("/", &[("X-Forwarded-Ssl", "on"), ("X-Forwarded-Proto", "http")], None),
        ("/", &[("X-Forwarded-Ssl", "maybe")], None),
        ("/", &[("X-Forwarded-Scheme", "https"), ("X-Forwarded-Proto", "https")], HTTPS),
        // The port that the URI means, and another.
        ("/", &[("X-Forwarded-Port", "443"), ("X-Forwarded-Proto", "https")], HTTPS),
        ("/", &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "80")], None),
        ("/", &[("X-Forwarded-Port", "80")], HTTP),
        ("/", &[("X-Forwarded-Port", "8080")], None),
        // Where the client is says nothing of the resource.
        ("/", &[("X-Forwarded-For", "1.2.3.4"), ("X-Real-IP", "1.2.3.4"), ("X-Forwarded-Server", "g")], HTTP),
        // Another resource.
        ("/", &[("X-Forwarded-Prefix", "/")], HTTP),
        ("/", &[("X-Forwarded-Prefix", "/app")], None),
        ("/x?y", &[("X-Original-URL", "/x?y")], HTTP),
        ("/x?y", &[("X-Original-URL", "/admin")], None),
        ("/", &[("X-Rewrite-URL", "/admin")], None),
        ("/", &[("X-Forwarded-Method", "GET")], HTTP),
        ("/", &[("X-Forwarded-Method", "POST")], None),
        // A user, and an unknown statement.
        ("/", &[("X-Forwarded-User", "root")], None),
        ("/", &[("Client-Cert", ":x:")], None),
    ];

    #[test]
    fn the_claims_of_a_gateway() {
        for (target, lines, expected) in ROWS {
            assert_eq!(of(target, lines, "10.0.0.0/8"), *expected, "{target} {lines:?}");
            // From other peers, the backend hears none of it.
            assert_eq!(of(target, lines, "192.0.2.0/24"), HTTP, "{target} {lines:?}");
        }
    }
}
