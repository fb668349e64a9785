//! Requests that are well-formed, and that no backend is asked all the same.

use super::{
    config::Config,
    failure::Failure,
    forward::{self, Denied},
    scheme::scheme,
};
use crate::{
    app::Secure,
    http::{
        Authority, BodyLength, Method, RequestHead, hop,
        target::{Form, Scheme},
    },
};
use std::net::IpAddr;

/// The number of times that a request may have been here. It is more than any sensible chain of our own proxies; a
/// backend that leads back to us would take two connections for every round, until the head is full of their traces.
const ROUNDS: usize = 8;

/// Why a request with content of that length is answered here, if it is.
pub(super) fn refusal(
    head: &RequestHead,
    body: BodyLength,
    peer: IpAddr,
    secure: Option<&Secure>,
    config: &Config,
) -> Option<Failure> {
    let forwarding = &config.forwarding;
    match &config.forward {
        Some(rules) => {
            // Others learn nothing of the rules.
            if rules.users.as_ref().is_some_and(|users| !users.admit(&head.fields)) {
                return Some(Failure::Denied(Denied::Unauthenticated));
            }
            if let Some(denied) = forward::refusal(head, body, &rules.ports) {
                return Some(Failure::Denied(denied));
            }
        }
        None if head.method == Method::Connect => return Some(Failure::ConnectMethod),
        None => {}
    }
    if hop::max_forwards(head) == Some(0) {
        return Some(Failure::NoForwardsLeft);
    }
    // A resource that is for secured connections only must not be served over this one, unless a proxy that we trust
    // sent the request and had a secured connection itself (RFC 9110 §7.4). The other way round, `http://` over TLS is served: a
    // server has to take the absolute form (RFC 9112 §3.2.2), and the connection gives more than the scheme asks for. It is
    // the same to us as `https://`: to backends, in the cache's key.
    let is_https = head.parsed_target().form() == Form::Absolute(Scheme::Https);
    if is_https && secure.is_none() && !forwarding.trusts(peer) {
        return Some(Failure::Misdirected);
    }
    if let Some(redirect) = &config.redirect
        && secure.is_none()
        && redirect.applies(head)
        // A client of a gateway that we trust may have come to that over TLS.
        && scheme(head, peer, Scheme::Http, forwarding) != Some(Scheme::Https)
    {
        return Some(if head.authority().is_some() { Failure::NeedsTls } else { Failure::Misdirected });
    }
    // The client has seen the certificate of another host: it must not get this one's pages as if they came from there
    // (RFC 9110 §7.4, §15.5.20).
    if secure.is_some_and(|secure| !is_covered(head, secure)) {
        return Some(Failure::NotCovered);
    }
    (rounds(head, forwarding.pseudonym) >= ROUNDS).then_some(Failure::Loop)
}

/// Whether the certificate of the connection is for the host that is asked for. HTTP/1.0 may leave it out.
fn is_covered(head: &RequestHead, secure: &Secure) -> bool {
    let Some(authority) = head.authority() else { return true };
    Authority::parse(authority.as_bytes()).is_ok_and(|authority| secure.names.cover(authority.host))
}

/// How often this request has been here (RFC 9110 §7.6.3): each hop of `Via` names its recipient behind the version. The search
/// is for our name, because a head can have thousands of hops and taking each apart would be dear.
pub(super) fn rounds(head: &RequestHead, pseudonym: &str) -> usize {
    let of_line = |line: &[u8]| {
        let named = memchr::memmem::find_iter(line, pseudonym);
        named.filter(|at| is_received_by(&line[..*at], &line[at + pseudonym.len()..])).count()
    };
    head.fields.get_all("via").map(of_line).sum()
}

/// Whether the name between these two is the whole second word of its hop: `[protocol/]version name [comment]`.
fn is_received_by(before: &[u8], after: &[u8]) -> bool {
    let hop = before.trim_ascii_end();
    let version = hop.iter().rev().take_while(|byte| !matches!(byte, b' ' | b'\t' | b',')).count();
    let is_second = hop.len() < before.len() && version > 0;
    let previous = hop[..hop.len() - version].trim_ascii_end();
    is_second && matches!(previous, [] | [.., b',']) && matches!(after, [] | [b' ' | b'\t' | b',', ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::config::Forwarding;

    fn judged(method: Method, target: &str, fields: &[(&str, &str)], trusted: &[&str]) -> Option<Failure> {
        let mut head = RequestHead::new(method, target).unwrap();
        head.fields = fields.iter().copied().collect();
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let forwarding = Forwarding { trusted, ..Forwarding::default() };
        refusal(&head, BodyLength::Empty, [192, 0, 2, 7].into(), None, &Config { forwarding, ..Config::default() })
    }

    #[test]
    fn a_secured_resource_is_only_for_clients_with_a_secured_connection() {
        for (target, trusted, refused) in [
            ("/", &[][..], None),
            ("http://a/", &[], None),
            ("https://a/", &[], Some(Failure::Misdirected)),
            ("HTTPS://a/", &["10.0.0.0/8"], Some(Failure::Misdirected)),
            ("https://a/", &["10.0.0.0/8", "192.0.2.0/24"], None),
        ] {
            assert_eq!(judged(Method::Get, target, &[], trusted), refused, "{target} {trusted:?}");
        }
    }

    #[test]
    fn a_request_that_comes_around_again_and_again_is_stopped() {
        let ours = ["1.1 socket-patterns"; ROUNDS];
        let (most, more) = (ours[1..].join(", "), ours.join(", "));
        for (fields, refused) in [
            (&[][..], None),
            (&[("Via", &*most)], None),
            (&[("Via", &*most), ("Via", "1.1 another, 1.0 socket-patterns.example (socket-patterns)")], None),
            (&[("Via", &*most), ("via", "1.0 fred, 1.0 socket-patterns (again)")], Some(Failure::Loop)),
            (&[("Via", &*more)], Some(Failure::Loop)),
            (&[("Via", &*format!("{most}, 1.1 a socket-patterns, 1.1 x-socket-patterns, socket-patterns"))], None),
            (&[("Via", &*format!("{most}, 1.1 socket-patternsocket-patterns, , socket-patterns, 1 a, \t"))], None),
            (&[("Via", &*format!("{most},HTTP/1.1 socket-patterns"))], Some(Failure::Loop)),
            (&[("Via", &*format!("{most} (new),1.1 \t socket-patterns\t(again)"))], Some(Failure::Loop)),
            // A comment may have a quote in it; what follows is seen all the same.
            (&[("Via", "1.1 a (5\" disk)"), ("Via", &*format!("1.1 b (\"), {more}"))], Some(Failure::Loop)),
        ] {
            assert_eq!(judged(Method::Get, "/", fields, &[]), refused, "{fields:?}");
        }
    }
}
