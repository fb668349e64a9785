//! Under which URI the client asked, as a gateway in front of us tells the backend (RFC 9112 §3.3, RFC 7239).
//!
//! ```text
//!  client ── https://a.example/ ──▶ gateway ── GET /, X-Forwarded-Proto: https ──▶ us ──▶ backend
//! ```
//!
//! Many a backend answers `http` with a redirect to `https`, and `https` with the page. To the cache those have to be two
//! resources: else the redirect of one client answers all others, who are where it sends them already.

use super::config::Forwarding;
use crate::http::{Fields, RequestHead, members, target::Form, target::Scheme};
use std::net::IpAddr;

/// The scheme under which the client asked: what a trusted gateway says, else that of our own listener.
///
/// `None`: the gateway names another host than the request is for, a scheme that is none of these two, or two at once. The
/// backend hears that and may go by it, but no URI says it: such a request is not for the cache.
pub(super) fn scheme(head: &RequestHead, peer: IpAddr, forwarding: &Forwarding) -> Option<Scheme> {
    if !forwarding.trusts(peer) {
        return Some(Scheme::Http);
    }
    let authority = head.authority().unwrap_or_default().as_bytes();
    let mut hosts = head.fields.get_all("x-forwarded-host").chain(first_hop(&head.fields, "host"));
    if hosts.any(|host| host != authority) {
        return None;
    }
    let named = match head.parsed_target().form() {
        Form::Absolute(named) => Some(named),
        Form::Origin | Form::Authority | Form::Asterisk => None,
    };
    let mut agreed = named;
    // Each proxy on the way may have added its own: the first is the client's.
    for told in head.fields.tokens("x-forwarded-proto").take(1).chain(first_hop(&head.fields, "proto")) {
        let told = parse(told)?;
        if *agreed.get_or_insert(told) != told {
            return None;
        }
    }
    Some(agreed.unwrap_or(Scheme::Http))
}

fn parse(name: &[u8]) -> Option<Scheme> {
    [(&b"http"[..], Scheme::Http), (b"https", Scheme::Https)]
        .into_iter()
        .find_map(|(known, scheme)| name.eq_ignore_ascii_case(known).then_some(scheme))
}

/// What the first element of `Forwarded` says under that name: it is about the hop next to the client (RFC 7239 §4).
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
        scheme(&head, Ipv4Addr::new(10, 0, 0, 1).into(), &forwarding)
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
    ];

    #[test]
    fn what_a_gateway_says() {
        for (target, lines, expected) in ROWS {
            assert_eq!(of(target, lines, "10.0.0.0/8"), *expected, "{target} {lines:?}");
            // Of anybody else, the backend hears none of it.
            assert_eq!(of(target, lines, "192.0.2.0/24"), HTTP, "{target} {lines:?}");
        }
    }
}
