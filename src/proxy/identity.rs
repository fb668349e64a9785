//! Finds the client of a request, and which fields of the request are believed: once, when the head is complete.
//!
//! ```text
//!  client 203.0.113.9 ──▶ gateway 10.0.0.2 ──▶ gateway 10.0.0.1 ──▶ us
//!                         X-Forwarded-For:     X-Forwarded-For:
//!                         203.0.113.9          203.0.113.9, 10.0.0.2
//!
//!  read from its end:  10.0.0.1 is our peer, and trusted   (`--trusted-proxy 10.0.0.0/8`)
//!                      it names 10.0.0.2, trusted, too
//!                      which names 203.0.113.9: not trusted, so that is the client
//! ```
//!
//! Text before the client's address was written by the client, and is not read. The *client* stands for the user:
//! balancing by address, limits and the log go by it. The *peer* is the other end of the connection: it decides what is
//! believed, and its address is what we add to the chain for the next hop.

use super::config::{ClientField, Forwarding};
use crate::http::{
    Fields, RequestHead,
    claims::{Claim, claim},
    is_unterminated, members,
    target::Form,
};
use std::net::{IpAddr, SocketAddr};

/// Hops of the chain that are read, from its end. Real chains have two or three; the field is as long as a client likes.
const MAX_HOPS: usize = 16;

/// Facts about a request's sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// The client's address.
    pub(super) client: IpAddr,
    /// It asks for another method than the request's own ([`Claim::Method`]).
    pub(super) overrides_method: bool,
}

/// Finds the client, and takes out of the head what its sender may not say: names in disguise, claims of a peer that is
/// not trusted, a `Host` that an absolute target overrules (RFC 9112 §3.2.2). Code that reads the head after this may
/// believe it.
pub(super) fn admit(head: &mut RequestHead, peer: IpAddr, forwarding: &Forwarding) -> Identity {
    let trusted = forwarding.trusts(peer);
    let (mut believed, mut overrides_method) = (true, false);
    for (name, _) in head.fields.lines() {
        match claim(name) {
            Claim::None => {}
            Claim::Gateway(_) => believed &= trusted,
            Claim::Method => overrides_method = true,
            Claim::Disguise => believed = false,
        }
    }
    if !believed {
        head.fields.retain(|name, _| match claim(name.as_bytes()) {
            Claim::None | Claim::Method => true,
            Claim::Gateway(_) => trusted,
            Claim::Disguise => false,
        });
    }
    if let (Form::Absolute(_), Some(authority)) = (head.parsed_target().form(), head.parsed_target().authority())
        && head.fields.get("host").is_some_and(|host| host != authority.as_bytes())
    {
        let authority = authority.to_owned();
        head.fields.remove("host");
        head.fields.push("Host", authority);
    }
    let client = if trusted { named_by_the_chain(&head.fields, peer, forwarding) } else { peer };
    if trusted && forwarding.client_from == ClientField::Forwarded {
        tell(&mut head.fields, client, peer, forwarding);
    }
    Identity { client: client.to_canonical(), overrides_method }
}

/// Has `X-Forwarded-For` say what was read from `Forwarded`. A proxy that sets one of them passes on the other as it came, so the one
/// that is not read may be from anybody, and servers read it. The peer is added behind the client as the head is written.
fn tell(fields: &mut Fields, client: IpAddr, peer: IpAddr, forwarding: &Forwarding) {
    fields.remove("x-forwarded-for");
    if forwarding.announces && client.to_canonical() != peer.to_canonical() {
        fields.push("X-Forwarded-For", client.to_canonical().to_string());
    }
}

/// The last address of the chain that is not a trusted proxy's. A member that cannot be read ends the chain: the hop
/// that wrote it is the last one that is known. If all are trusted, the first of them asks on its own account.
fn named_by_the_chain(fields: &Fields, peer: IpAddr, forwarding: &Forwarding) -> IpAddr {
    match forwarding.client_from {
        ClientField::XForwardedFor => {
            let lines = fields.get_all("x-forwarded-for").rev();
            // Not a list that knows quotes: one in a client's part must not swallow what a proxy has added behind it.
            let hops =
                lines.flat_map(|line| line.rsplit(|byte| *byte == b',')).filter(|hop| !hop.trim_ascii().is_empty());
            last_known(hops.map(address), peer, forwarding)
        }
        ClientField::Forwarded => {
            let lines = fields.get_all("forwarded").rev();
            last_known(lines.flat_map(|line| last_elements(line).into_iter().rev()), peer, forwarding)
        }
    }
}

/// Follows the chain from its end for as long as its hops are trusted.
fn last_known(hops: impl Iterator<Item = Option<IpAddr>>, peer: IpAddr, forwarding: &Forwarding) -> IpAddr {
    let mut known = peer;
    for hop in hops.take(MAX_HOPS) {
        let Some(hop) = hop else { break };
        known = hop;
        if !forwarding.trusts(hop) {
            break;
        }
    }
    known
}

/// The values of `for` in the last elements of one `Forwarded` line, in order. A line in which a quoted string does not
/// end is one element that cannot be read: it is not known where the client's part ends.
fn last_elements(line: &[u8]) -> Vec<Option<IpAddr>> {
    if is_unterminated(line) {
        return vec![None];
    }
    let elements: Vec<&[u8]> = members(line).collect();
    elements[elements.len().saturating_sub(MAX_HOPS)..].iter().map(|element| forwarded_for(element)).collect()
}

/// The `for` of one element (RFC 7239 §4, §5.2).
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut values = element.split(|byte| *byte == b';').filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        name.eq_ignore_ascii_case(b"for").then_some(value)
    });
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    address(quoted.unwrap_or(value))
}

/// An address, perhaps with a port: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().map(|address: SocketAddr| address.ip());
    bare.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    fn forwarding(client_from: ClientField) -> Forwarding {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        Forwarding { trusted, client_from, ..Forwarding::default() }
    }

    fn head(target: &str, lines: &[(&str, &str)]) -> RequestHead {
        let mut head = RequestHead::new(Method::Get, target).unwrap();
        head.fields = lines.iter().copied().collect();
        head
    }

    fn client(from: ClientField, peer: &str, lines: &[(&str, &str)]) -> String {
        admit(&mut head("/", lines), peer.parse().unwrap(), &forwarding(from)).client.to_string()
    }

    #[test]
    fn the_client_is_the_last_one_that_is_not_trusted() {
        for (peer, lines, expected) in [
            ("10.0.0.1", &["203.0.113.9"][..], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9", "10.0.0.2,10.0.0.3"], "203.0.113.9"),
            // The text before it was written by the client itself.
            ("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["10.9.9.9, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["\", 203.0.113.9"], "203.0.113.9"),
            // With a port, in brackets, empty members.
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("fd00::1", &[" 2001:db8::7 ,, "], "2001:db8::7"),
            ("fd00::1", &["[2001:db8::7]:80"], "2001:db8::7"),
            ("fd00::1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            // All trusted: the first asks for itself.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            // A member that cannot be read ends the chain.
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["203.0.113.9 10.0.0.2"], "10.0.0.1"),
            ("10.0.0.1", &["[203.0.113.9"], "10.0.0.1"),
            // A stranger's fields name no client.
            ("192.0.2.7", &["203.0.113.9"], "192.0.2.7"),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
            assert_eq!(client(ClientField::XForwardedFor, peer, &fields), expected, "{peer} {lines:?}");
            assert_eq!(client(ClientField::Forwarded, peer, &fields), peer.trim_start_matches("::ffff:"), "{lines:?}");
        }
        let long = ["10.0.0.2"; MAX_HOPS].join(",");
        for (chain, expected) in [(&long[9..], "203.0.113.9"), (&long, "10.0.0.2")] {
            let chain = format!("203.0.113.9,{chain}");
            let lines = [("X-Forwarded-For", &*chain)];
            assert_eq!(client(ClientField::XForwardedFor, "10.0.0.1", &lines), expected, "{chain}");
        }
    }

    #[test]
    fn forwarded_names_the_client_where_that_is_asked_for() {
        for (lines, expected) in [
            (&["for=203.0.113.9"][..], "203.0.113.9"),
            (&["for=6.6.6.6, For=\"203.0.113.9:80\";proto=https, for=10.0.0.2"], "203.0.113.9"),
            (&["for=203.0.113.9;host=\"a,b\"", "proto=http;for=10.0.0.2"], "203.0.113.9"),
            (&["for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
            (&["for=_hidden, for=10.0.0.2"], "10.0.0.2"),
            (&["for=unknown"], "10.0.0.1"),
            (&["proto=https"], "10.0.0.1"),
            (&["for=203.0.113.9;for=6.6.6.6"], "10.0.0.1"),
            // A host is what the client likes, and may look like an element.
            (&["for=203.0.113.9;host=\"a,for=6.6.6.6;x=\""], "203.0.113.9"),
            // A quote of the client's that swallows what the proxy has added.
            (&["for=\", for=203.0.113.9"], "10.0.0.1"),
            (&["x=\", for=203.0.113.9;host=\"a,for=6.6.6.6;y=\""], "10.0.0.1"),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("Forwarded", *line)).collect();
            assert_eq!(client(ClientField::Forwarded, "10.0.0.1", &fields), expected, "{lines:?}");
            assert_eq!(client(ClientField::XForwardedFor, "10.0.0.1", &fields), "10.0.0.1", "{lines:?}");
        }
    }

    #[test]
    fn the_field_that_is_not_read_says_what_was_read() {
        let lines =
            [("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "127.0.0.1"), ("Forwarded", "for=203.0.113.9")];
        let told = |peer: &str, lines: &[(&str, &str)], forwarding: &Forwarding| {
            let mut head = head("/", lines);
            admit(&mut head, peer.parse().unwrap(), forwarding);
            head.fields
                .get_all("x-forwarded-for")
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect::<Vec<_>>()
        };
        let by_forwarded = forwarding(ClientField::Forwarded);
        assert_eq!(told("10.0.0.1", &lines, &by_forwarded), ["203.0.113.9"]);
        assert_eq!(told("10.0.0.1", &lines[..2], &by_forwarded), [""; 0], "the peer asks for itself");
        assert_eq!(told("192.0.2.7", &lines, &by_forwarded), [""; 0]);
        let silent = Forwarding { announces: false, ..by_forwarded };
        assert_eq!(told("10.0.0.1", &lines, &silent), [""; 0]);
        assert_eq!(told("10.0.0.1", &lines, &forwarding(ClientField::XForwardedFor)), ["6.6.6.6", "127.0.0.1"]);
    }

    #[test]
    fn a_strangers_claims_are_taken_out() {
        let lines = [
            ("Host", "a"),
            ("X-Forwarded-Prefix", "/evil"),
            ("X-Real-IP", "6.6.6.6"),
            ("X_Real_IP", "6.6.6.6"),
            ("X-Mine", "1"),
            ("X-HTTP-Method-Override", "DELETE"),
        ];
        for (peer, left) in [
            ("192.0.2.7", &["Host", "X-Mine", "X-HTTP-Method-Override"][..]),
            ("10.0.0.1", &["Host", "X-Forwarded-Prefix", "X-Real-IP", "X-Mine", "X-HTTP-Method-Override"]),
        ] {
            let mut head = head("/", &lines);
            let identity = admit(&mut head, peer.parse().unwrap(), &forwarding(ClientField::XForwardedFor));
            assert!(identity.overrides_method);
            assert_eq!(head.fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), left, "{peer}");
        }
        let mut plain = head("/", &[("Host", "a")]);
        let identity = admit(&mut plain, "192.0.2.7".parse().unwrap(), &Forwarding::default());
        assert!(!identity.overrides_method && plain.fields.len() == 1);
    }

    #[test]
    fn an_absolute_target_is_the_host() {
        for (target, host, expected) in [("http://a:80/", "b", "a:80"), ("http://a/", "A", "a"), ("/", "b", "b")] {
            let mut head = head(target, &[("host", host), ("X", "1")]);
            admit(&mut head, "192.0.2.7".parse().unwrap(), &Forwarding::default());
            assert_eq!(head.fields.get_all("host").collect::<Vec<_>>(), [expected.as_bytes()], "{target} {host}");
        }
    }
}
