//! Requests that are well-formed, and that no backend is asked all the same.

use super::{config::Forwarding, failure::Failure};
use crate::http::{
    Method, RequestHead, hop,
    target::{Form, Scheme},
};
use std::net::IpAddr;

/// So often a request may have been here. More than anybody chains of us on purpose; a backend that leads back to us would
/// take two connections for every round, until the head is full of the traces of them.
const ROUNDS: usize = 8;

/// Why a request is answered here, if it is.
pub(super) fn refusal(head: &RequestHead, peer: IpAddr, forwarding: &Forwarding) -> Option<Failure> {
    if head.method == Method::Connect {
        return Some(Failure::ConnectMethod);
    }
    if hop::max_forwards(head) == Some(0) {
        return Some(Failure::NoForwardsLeft);
    }
    // What is to be had over a secured connection only must not be had over this one, unless it was secured up to somebody
    // whom we believe (RFC 9110 §7.4).
    if head.parsed_target().form() == Form::Absolute(Scheme::Https) && !forwarding.trusts(peer) {
        return Some(Failure::Misdirected);
    }
    (rounds(head, forwarding.pseudonym) >= ROUNDS).then_some(Failure::Loop)
}

/// How often it has been here (RFC 9110 §7.6): `Via` says so of each hop, behind the version it received.
pub(super) fn rounds(head: &RequestHead, pseudonym: &str) -> usize {
    let received_by = |hop: &[u8]| hop.split(|byte| *byte == b' ').nth(1).is_some_and(|by| by == pseudonym.as_bytes());
    head.fields.tokens("via").filter(|hop| received_by(hop)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: Method, target: &str, fields: &[(&str, &str)], trusted: &[&str]) -> Option<Failure> {
        let mut head = RequestHead::new(method, target).unwrap();
        head.fields = fields.iter().copied().collect();
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        refusal(&head, [192, 0, 2, 7].into(), &Forwarding { trusted, ..Forwarding::default() })
    }

    #[test]
    fn what_needs_a_secured_connection_is_only_for_those_who_have_one() {
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
    fn who_comes_around_again_and_again_is_stopped() {
        let ours = ["1.1 socket-patterns"; ROUNDS];
        let (most, more) = (ours[1..].join(", "), ours.join(", "));
        for (fields, refused) in [
            (&[][..], None),
            (&[("Via", &*most)], None),
            (&[("Via", &*most), ("Via", "1.1 another, 1.0 socket-patterns.example (socket-patterns)")], None),
            (&[("Via", &*most), ("via", "1.0 fred, 1.0 socket-patterns (again)")], Some(Failure::Loop)),
            (&[("Via", &*more)], Some(Failure::Loop)),
        ] {
            assert_eq!(judged(Method::Get, "/", fields, &[]), refused, "{fields:?}");
        }
    }
}
