//! The head of a request on its way in, towards a backend.

use super::{Fate, fate, field, join, put, received_by, subject, write_framing};
use crate::{
    backend::Backend,
    http::{BodyLength, HopByHop, RequestHead, Version, framing, hop, target::Form},
    proxy::config::Forwarding,
};
use bytes::BufMut as _;
use std::net::IpAddr;

/// A request on its way in, towards a backend.
pub(in crate::proxy) struct Inbound<'a> {
    pub(in crate::proxy) head: &'a RequestHead,
    pub(in crate::proxy) body: BodyLength,
    /// The client may switch protocols.
    pub(in crate::proxy) upgrade: bool,
    pub(in crate::proxy) peer: IpAddr,
    /// The file sets `X-Forwarded-For`: it goes on as it is.
    pub(in crate::proxy) chain_is_set: bool,
    /// The version in which the client asked, as `Via` tells it, if that is not the head's.
    pub(in crate::proxy) received_by: Option<&'static str>,
    /// Whether the client's connection is protected.
    pub(in crate::proxy) secure: bool,
    /// The subject of its certificate.
    pub(in crate::proxy) subject: Option<&'a str>,
    pub(in crate::proxy) backend: &'a Backend,
    /// Whether we mean to use the connection again.
    pub(in crate::proxy) persist: bool,
}

/// Writes a request head for a backend. Its words about the way of the request were believed when it came in
/// ([`super::identity`]): it is passed on and extended.
pub(in crate::proxy) fn write_request(out: &mut Vec<u8>, inbound: &Inbound<'_>, forwarding: &Forwarding) {
    let Inbound { head, .. } = inbound;
    let absolute = matches!(head.parsed_target().form(), Form::Absolute(_));
    put(out, [head.method.as_str(), " "]);
    head.parsed_target().write_origin_form(&head.method, out);
    put(out, [" HTTP/1.1\r\n"]);
    let authority = head.authority();
    if absolute || !head.fields.contains("host") {
        // An absolute target overrules Host (RFC 9112 §3.2.2), and HTTP/1.0 may lack it.
        field(out, "Host", authority.unwrap_or(inbound.backend.authority()).as_bytes());
    }
    let one_hop = HopByHop::of(&head.fields);
    // Once: it looks at all lines of that name, of which there may be as many as fields.
    let forwards = hop::max_forwards(head);
    let mut chain = Chain::default();
    head.fields.write_some(out, |name, value| {
        match fate(name) {
            Fate::Host => return !absolute,
            Fate::Upgrade if inbound.upgrade => return true,
            Fate::Framing => return false,
            // HTTP/1.0 knows no 100 and does not wait for one: nor should the backend (RFC 9110 §10.1.1).
            Fate::Expect if head.version == Version::Http10 => return false,
            // One less is written below.
            Fate::MaxForwards if forwards.is_some() => return false,
            Fate::Via => return chain.via(value),
            Fate::ForwardedFor => return chain.hop(value),
            Fate::ForwardedHost => chain.host = true,
            Fate::ForwardedProto => chain.proto = true,
            Fate::Upgrade | Fate::Date | Fate::Expect | Fate::MaxForwards | Fate::Plain => {}
        }
        !one_hop.contains(name)
    });
    if let Some(left) = forwards {
        field(out, "Max-Forwards", left.saturating_sub(1).to_string().as_bytes());
    }
    write_framing(out, inbound.body, || framing::announced(&head.fields));
    write_connection(out, inbound);
    write_forwarded(out, inbound, forwarding, &chain, authority);
    subject::write(out, inbound.subject, &head.fields, forwarding);
    out.put_slice(b"\r\n");
}

/// `Connection`, and the fields that are ours to send because they are for the next hop only.
fn write_connection(out: &mut Vec<u8>, inbound: &Inbound<'_>) {
    // A client that understands trailers gets them; the backend has to hear so from us (RFC 9110 §10.1.4).
    let trailers = hop::accepts_trailers(inbound.head);
    if trailers {
        field(out, "TE", b"trailers");
    }
    match (inbound.upgrade, inbound.persist, trailers) {
        (true, _, true) => field(out, "Connection", b"upgrade, TE"),
        (true, _, false) => field(out, "Connection", b"upgrade"),
        (false, true, true) => field(out, "Connection", b"TE"),
        (false, false, true) => field(out, "Connection", b"close, TE"),
        (false, false, false) => field(out, "Connection", b"close"),
        (false, true, false) => {}
    }
}

/// The hops before us, as the fields say.
#[derive(Default)]
struct Chain {
    hops: Vec<u8>,
    via: Vec<u8>,
    host: bool,
    proto: bool,
}

impl Chain {
    /// Takes the hops of a line, which is not written as it is.
    fn hop(&mut self, value: &[u8]) -> bool {
        if !value.is_empty() {
            join(&mut self.hops, value);
        }
        false
    }

    /// As [`Self::hop`].
    fn via(&mut self, value: &[u8]) -> bool {
        join(&mut self.via, value);
        false
    }
}

fn write_forwarded(
    out: &mut Vec<u8>,
    inbound: &Inbound<'_>,
    forwarding: &Forwarding,
    chain: &Chain,
    authority: Option<&str>,
) {
    let scheme = if inbound.secure { "https" } else { "http" };
    out.put_slice(b"Via: ");
    list_start(out, &chain.via);
    let received_by = inbound.received_by.unwrap_or_else(|| received_by(inbound.head.version));
    put(out, [received_by, forwarding.pseudonym, "\r\n"]);
    if forwarding.announces && !inbound.chain_is_set {
        put(out, ["X-Forwarded-For: "]);
        list_start(out, &chain.hops);
        write_address(out, inbound.peer);
        out.put_slice(b"\r\n");
    } else if !chain.hops.is_empty() {
        field(out, "X-Forwarded-For", &chain.hops);
    }
    if forwarding.announces {
        if !chain.proto {
            field(out, "X-Forwarded-Proto", scheme.as_bytes());
        }
        if let (false, Some(authority)) = (chain.host, authority) {
            field(out, "X-Forwarded-Host", authority.as_bytes());
        }
    }
    if forwarding.forwarded {
        let (before, after) = if inbound.peer.to_canonical().is_ipv6() { ("\"[", "]\"") } else { ("", "") };
        put(out, ["Forwarded: for=", before]);
        write_address(out, inbound.peer);
        put(out, [after, ";proto=", scheme]);
        if let Some(authority) = authority {
            put(out, [";host=\"", authority, "\""]);
        }
        out.put_slice(b"\r\n");
    }
}

fn list_start(out: &mut Vec<u8>, before: &[u8]) {
    if !before.is_empty() {
        out.put_slice(before);
        out.put_slice(b", ");
    }
}

/// Writes an address as text.
pub(super) fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    use std::io::Write as _;
    // A dual-stack listener reports IPv4 clients as ::ffff:a.b.c.d; they are IPv4 clients.
    match address.to_canonical() {
        // Most clients, and each request says the address: formatting costs ten times as much.
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                if octet >= 100 {
                    out.push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    out.push(b'0' + octet / 10 % 10);
                }
                out.push(b'0' + octet % 10);
            }
        }
        // Writing to a vector does not fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}
