//! The head of a message as it goes on to the other side: RFC 9110 §7.6, RFC 9112 §3.2 and §9.3, RFC 7239.
//!
//! Fields that go on as they came keep their order and the case of their names. Behind them stands what is counted or extended on
//! the way (`Max-Forwards`, `Via`, `X-Forwarded-For`). Removed: what `Connection` lists and the hop-by-hop set.
//! Framing is not copied but written anew from what *we* read, so the next hop cannot read it differently.

mod subject;

use super::config::Forwarding;
use crate::{
    backend::Backend,
    cache::CacheStatus,
    http::{
        self, BodyLength, HopByHop, RequestHead, ResponseHead, Status, Version, framing, hop, name::is_same,
        target::Form,
    },
};
use bytes::BufMut as _;
use std::net::IpAddr;

/// A request on its way in, towards a backend.
pub(super) struct Inbound<'a> {
    pub(super) head: &'a RequestHead,
    pub(super) body: BodyLength,
    /// The client may switch protocols.
    pub(super) upgrade: bool,
    pub(super) peer: IpAddr,
    /// The version in which the client asked, as `Via` tells it, if that is not the head's.
    pub(super) received_by: Option<&'static str>,
    /// Whether the client's connection is protected.
    pub(super) secure: bool,
    /// The subject of its certificate.
    pub(super) subject: Option<&'a str>,
    pub(super) backend: &'a Backend,
    /// Whether we mean to use the connection again.
    pub(super) persist: bool,
}

/// A response on its way out, towards a client.
pub(super) struct Outbound<'a> {
    pub(super) head: &'a ResponseHead,
    pub(super) framing: BodyLength,
    /// The version that the client speaks.
    pub(super) client: Version,
    /// Whether its connection persists.
    pub(super) persist: bool,
    /// For responses without a `Date` (RFC 9110 §6.6.1).
    pub(super) date: &'a str,
    /// The cache's part in it, if that is told.
    pub(super) cache_status: Option<CacheStatus<'a>>,
    /// `Strict-Transport-Security`, if that is said to the client.
    pub(super) hsts: Option<&'a str>,
}

/// Writes a request head for a backend. Its words about the way of the request were believed when it came in
/// ([`super::identity`]): it is passed on and extended.
pub(super) fn write_request(out: &mut Vec<u8>, inbound: &Inbound<'_>, forwarding: &Forwarding) {
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
    subject::write(out, inbound, forwarding);
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

fn join(list: &mut Vec<u8>, value: &[u8]) {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(value);
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
    put(out, [received_by, forwarding.pseudonym, "\r\nX-Forwarded-For: "]);
    list_start(out, &chain.hops);
    write_address(out, inbound.peer);
    out.put_slice(b"\r\n");
    if !chain.proto {
        field(out, "X-Forwarded-Proto", scheme.as_bytes());
    }
    if let (false, Some(authority)) = (chain.host, authority) {
        field(out, "X-Forwarded-Host", authority.as_bytes());
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
fn write_address(out: &mut Vec<u8>, address: IpAddr) {
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

/// Where the fields of a head go: text for HTTP/1, fields for a client that takes them so.
pub(super) trait FieldSink {
    /// One field, its value in pieces.
    fn field(&mut self, name: impl AsRef<[u8]>, value: &[&[u8]]);
    /// Those lines that `goes` likes.
    fn lines(&mut self, fields: &http::Fields, goes: impl FnMut(&[u8], &[u8]) -> bool);
}

impl FieldSink for Vec<u8> {
    fn field(&mut self, name: impl AsRef<[u8]>, value: &[&[u8]]) {
        self.put_slice(name.as_ref());
        self.put_slice(b": ");
        value.iter().for_each(|piece| self.put_slice(piece));
        self.put_slice(b"\r\n");
    }

    fn lines(&mut self, fields: &http::Fields, goes: impl FnMut(&[u8], &[u8]) -> bool) {
        fields.write_some(self, goes);
    }
}

/// The way of a response to us, as its fields say.
#[derive(Default)]
struct Way {
    dated: bool,
    via: Vec<u8>,
}

/// Writes a final response head for an HTTP/1 client.
pub(super) fn write_response(out: &mut Vec<u8>, outbound: &Outbound<'_>, forwarding: &Forwarding) {
    let Outbound { head, framing, .. } = outbound;
    write_status_line(out, head);
    let way = copy_fields(out, head, |_| true);
    // HEAD and 304 announce the length of a body that they do not have (RFC 9110 §8.6).
    write_framing(out, *framing, || framing::announced(&head.fields).filter(|_| head.status.may_declare_length()));
    add_fields(out, head, &way, outbound.date, forwarding);
    write_cache_status(out, outbound.cache_status, forwarding);
    // A backend that has its own rule knows better.
    if outbound.hsts.is_some() && !head.fields.contains(HSTS) {
        write_hsts(out, outbound.hsts);
    }
    let offers = head.status == Status::UPGRADE_REQUIRED && head.fields.contains("upgrade");
    match (outbound.persist, outbound.client, offers) {
        (false, _, false) => field(out, "Connection", b"close"),
        (false, _, true) => field(out, "Connection", b"close, upgrade"),
        (true, Version::Http10, _) => field(out, "Connection", b"keep-alive"),
        (true, Version::Http11, true) => field(out, "Connection", b"upgrade"),
        (true, Version::Http11, false) => {}
    }
    out.put_slice(b"\r\n");
}

/// The fields of a final response for a client of another kind, without those that are about a connection.
pub(super) fn response_fields(
    out: &mut impl FieldSink,
    head: &ResponseHead,
    date: &str,
    cache_status: Option<CacheStatus<'_>>,
    forwarding: &Forwarding,
) {
    let way = copy_fields(out, head, |_| true);
    add_fields(out, head, &way, date, forwarding);
    cache_status_field(out, cache_status, forwarding);
}

/// The proof that a backend speaks WebSocket (RFC 6455 §4.2.2). A client of HTTP/2 has asked for none.
pub(super) const WEBSOCKET_ACCEPT: &str = "sec-websocket-accept";

/// The fields of a 101, for a client to which that is a success.
pub(super) fn tunnel_fields(out: &mut impl FieldSink, head: &ResponseHead, date: &str, forwarding: &Forwarding) {
    let way = copy_fields(out, head, |name| !is_same(name, WEBSOCKET_ACCEPT.as_bytes()));
    add_fields(out, head, &way, date, forwarding);
}

/// The fields of a 1xx for a client of another kind.
pub(super) fn interim_fields(out: &mut impl FieldSink, head: &ResponseHead) {
    let one_hop = HopByHop::of(&head.fields);
    out.lines(&head.fields, |name, _| fate(name) != Fate::Framing && !one_hop.contains(name));
}

/// As [`write_via`].
pub(super) fn via_field(out: &mut impl FieldSink, head: &ResponseHead, forwarding: &Forwarding) {
    out.field("Via", &[received_by(head.version).as_bytes(), forwarding.pseudonym.as_bytes()]);
}

/// As [`write_cache_status`].
pub(super) fn cache_status_field(out: &mut impl FieldSink, status: Option<CacheStatus<'_>>, forwarding: &Forwarding) {
    if let Some(status) = status {
        let mut value = Vec::new();
        status.write_to(forwarding.pseudonym, &mut value);
        out.field("Cache-Status", &[&value]);
    }
}

/// The fields that go from end to end, and that the client is to see.
fn copy_fields(out: &mut impl FieldSink, head: &ResponseHead, shows: impl Fn(&[u8]) -> bool) -> Way {
    let one_hop = HopByHop::of(&head.fields);
    let mut way = Way::default();
    out.lines(&head.fields, |name, value| match fate(name) {
        Fate::Framing => false,
        Fate::Via => {
            join(&mut way.via, value);
            false
        }
        // The one response whose message it is (RFC 9110 §15.5.22).
        Fate::Upgrade if head.status == Status::UPGRADE_REQUIRED => true,
        fate => {
            let goes = !one_hop.contains(name) && shows(name);
            way.dated |= goes && fate == Fate::Date;
            goes
        }
    });
    way
}

/// The fields that each hop adds.
fn add_fields(out: &mut impl FieldSink, head: &ResponseHead, way: &Way, date: &str, forwarding: &Forwarding) {
    if !way.dated {
        out.field("Date", &[date.as_bytes()]);
    }
    let separator: &[u8] = if way.via.is_empty() { b"" } else { b", " };
    let us = [&way.via[..], separator, received_by(head.version).as_bytes(), forwarding.pseudonym.as_bytes()];
    out.field("Via", &us);
}

/// Writes what all answers with this stored head have in common: everything but its framing, its age, what the cache did,
/// and whether the connection persists. `head` has end-to-end fields only.
pub(super) fn write_stored(out: &mut Vec<u8>, head: &ResponseHead, forwarding: &Forwarding) {
    write_status_line(out, head);
    head.fields.write_to(out);
    write_via(out, head, forwarding);
}

/// Our own `Via`, after those of the hops before us.
pub(super) fn write_via(out: &mut Vec<u8>, head: &ResponseHead, forwarding: &Forwarding) {
    put(out, ["Via: ", received_by(head.version), forwarding.pseudonym, "\r\n"]);
}

/// The cache's part in it (RFC 9211), if that is told.
pub(super) fn write_cache_status(out: &mut Vec<u8>, status: Option<CacheStatus<'_>>, forwarding: &Forwarding) {
    if let Some(status) = status {
        out.put_slice(b"Cache-Status: ");
        status.write_to(forwarding.pseudonym, out);
        out.put_slice(b"\r\n");
    }
}

/// The field by which a browser hears to use nothing but TLS (RFC 6797).
pub(super) const HSTS: &str = "strict-transport-security";

/// Writes it, if it is said.
pub(super) fn write_hsts(out: &mut Vec<u8>, value: Option<&str>) {
    if let Some(value) = value {
        field(out, "Strict-Transport-Security", value.as_bytes());
    }
}

/// Writes a 1xx head. 101 says what it switches to: its `Upgrade` is the message.
pub(super) fn write_interim(out: &mut Vec<u8>, head: &ResponseHead) {
    write_status_line(out, head);
    let one_hop = HopByHop::of(&head.fields);
    let switches = head.status == Status::SWITCHING_PROTOCOLS;
    head.fields.write_some(out, |name, _| match fate(name) {
        Fate::Framing => false,
        Fate::Upgrade if switches => true,
        _ => !one_hop.contains(name),
    });
    if switches {
        field(out, "Connection", b"upgrade");
    }
    out.put_slice(b"\r\n");
}

/// A response goes out in our version (RFC 9110 §2.5), with the phrase that came.
fn write_status_line(out: &mut Vec<u8>, head: &ResponseHead) {
    http::write_status_line(Version::Http11, head.status, head.reason(), out);
}

fn received_by(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0 ",
        Version::Http11 => "1.1 ",
    }
}

/// Says where the body ends, in our own words. `announced`: the length of a body that is not there.
fn write_framing(out: &mut Vec<u8>, body: BodyLength, announced: impl FnOnce() -> Option<u64>) {
    match body {
        BodyLength::Empty => match announced() {
            Some(length @ 1..) => framing::write_field(BodyLength::Exact(length), out),
            Some(0) => framing::write_field(BodyLength::Empty, out),
            None => {}
        },
        body => framing::write_field(body, out),
    }
}

/// Protocols that one message may offer or accept. Real ones name one; each of one side is compared with each of the other.
const MAX_PROTOCOLS: usize = 8;

/// The client asked to switch protocols, and to one that we can carry. Not h2c: what follows its 101 is HTTP again, and
/// would pass unread (RFC 9113 §3.1 has withdrawn it).
pub(super) fn may_upgrade(head: &RequestHead) -> bool {
    let mut offers = http::upgrade_offers(head).enumerate().peekable();
    offers.peek().is_some() && offers.all(|(at, protocol)| at < MAX_PROTOCOLS && !protocol.eq_ignore_ascii_case(b"h2c"))
}

/// The backend says to what it switches, and only what was offered can be accepted (RFC 9110 §7.8).
pub(super) fn accepts_an_offer(answer: &ResponseHead, asked: &RequestHead) -> bool {
    let offered = |protocol: &[u8]| http::upgrade_offers(asked).any(|offer| offer.eq_ignore_ascii_case(protocol));
    let mut accepted = answer.fields.tokens("upgrade").enumerate().peekable();
    accepted.peek().is_some() && accepted.all(|(at, protocol)| at < MAX_PROTOCOLS && offered(protocol))
}

/// The fate of a field that is not simply forwarded or hop-by-hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Plain,
    Framing,
    Upgrade,
    Host,
    Via,
    Date,
    Expect,
    MaxForwards,
    ForwardedFor,
    ForwardedHost,
    ForwardedProto,
}

/// Decided by length first: most fields are compared with one name or none.
fn fate(name: &[u8]) -> Fate {
    let is = |other: &str| is_same(name, other.as_bytes());
    match name.len() {
        3 if is("via") => Fate::Via,
        4 if is("host") => Fate::Host,
        4 if is("date") => Fate::Date,
        6 if is("expect") => Fate::Expect,
        7 if is("upgrade") => Fate::Upgrade,
        12 if is("max-forwards") => Fate::MaxForwards,
        14 if is("content-length") => Fate::Framing,
        15 if is("x-forwarded-for") => Fate::ForwardedFor,
        16 if is("x-forwarded-host") => Fate::ForwardedHost,
        17 if is("transfer-encoding") => Fate::Framing,
        17 if is("x-forwarded-proto") => Fate::ForwardedProto,
        _ => Fate::Plain,
    }
}

pub(super) fn field(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: &[u8]) {
    http::write_line(out, name.as_ref(), value);
}

fn put<const N: usize>(out: &mut Vec<u8>, parts: [&str; N]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

#[cfg(test)]
mod tests;
