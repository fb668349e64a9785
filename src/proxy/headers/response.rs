//! The head of a response on its way out, towards a client: as text, or as the fields that HTTP/2 compresses.

use super::{Fate, FieldSink, fate, field, join, put, received_by, write_framing};
use crate::{
    cache::CacheStatus,
    http::{self, BodyLength, HopByHop, ResponseHead, Status, Version, framing, name::is_same},
    proxy::config::Forwarding,
};
use bytes::BufMut as _;

/// A response on its way out, towards a client.
pub(in crate::proxy) struct Outbound<'a> {
    pub(in crate::proxy) head: &'a ResponseHead,
    pub(in crate::proxy) framing: BodyLength,
    /// The version that the client speaks.
    pub(in crate::proxy) client: Version,
    /// Whether its connection persists.
    pub(in crate::proxy) persist: bool,
    /// For responses without a `Date` (RFC 9110 §6.6.1).
    pub(in crate::proxy) date: &'a str,
    /// The cache's part in it, if that is told.
    pub(in crate::proxy) cache_status: Option<CacheStatus<'a>>,
    /// `Strict-Transport-Security`, if that is said to the client.
    pub(in crate::proxy) hsts: Option<&'a str>,
}

/// The way of a response to us, as its fields say.
#[derive(Default)]
struct Way {
    dated: bool,
    via: Vec<u8>,
}

/// Writes a final response head for an HTTP/1 client.
pub(in crate::proxy) fn write_response(out: &mut Vec<u8>, outbound: &Outbound<'_>, forwarding: &Forwarding) {
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
pub(in crate::proxy) fn response_fields(
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
pub(in crate::proxy) const WEBSOCKET_ACCEPT: &str = "sec-websocket-accept";

/// The fields of a 101, for a client to which that is a success.
pub(in crate::proxy) fn tunnel_fields(
    out: &mut impl FieldSink,
    head: &ResponseHead,
    date: &str,
    forwarding: &Forwarding,
) {
    let way = copy_fields(out, head, |name| !is_same(name, WEBSOCKET_ACCEPT.as_bytes()));
    add_fields(out, head, &way, date, forwarding);
}

/// The fields of a 1xx for a client of another kind.
pub(in crate::proxy) fn interim_fields(out: &mut impl FieldSink, head: &ResponseHead) {
    let one_hop = HopByHop::of(&head.fields);
    out.lines(&head.fields, |name, _| fate(name) != Fate::Framing && !one_hop.contains(name));
}

/// As [`write_via`].
pub(in crate::proxy) fn via_field(out: &mut impl FieldSink, head: &ResponseHead, forwarding: &Forwarding) {
    out.field("Via", &[received_by(head.version).as_bytes(), forwarding.pseudonym.as_bytes()]);
}

/// As [`write_cache_status`].
pub(in crate::proxy) fn cache_status_field(
    out: &mut impl FieldSink,
    status: Option<CacheStatus<'_>>,
    forwarding: &Forwarding,
) {
    if let Some(status) = status {
        let mut value = Vec::with_capacity(64);
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
pub(in crate::proxy) fn write_stored(out: &mut Vec<u8>, head: &ResponseHead, forwarding: &Forwarding) {
    write_status_line(out, head);
    head.fields.write_to(out);
    write_via(out, head, forwarding);
}

/// Our own `Via`, after those of the hops before us.
pub(in crate::proxy) fn write_via(out: &mut Vec<u8>, head: &ResponseHead, forwarding: &Forwarding) {
    put(out, ["Via: ", received_by(head.version), forwarding.pseudonym, "\r\n"]);
}

/// The cache's part in it (RFC 9211), if that is told.
pub(in crate::proxy) fn write_cache_status(
    out: &mut Vec<u8>,
    status: Option<CacheStatus<'_>>,
    forwarding: &Forwarding,
) {
    if let Some(status) = status {
        out.put_slice(b"Cache-Status: ");
        status.write_to(forwarding.pseudonym, out);
        out.put_slice(b"\r\n");
    }
}

/// The field by which a browser hears to use nothing but TLS (RFC 6797).
pub(in crate::proxy) const HSTS: &str = "strict-transport-security";

/// Writes it, if it is said.
pub(in crate::proxy) fn write_hsts(out: &mut Vec<u8>, value: Option<&str>) {
    if let Some(value) = value {
        field(out, "Strict-Transport-Security", value.as_bytes());
    }
}

/// Writes a 1xx head. 101 says what it switches to: its `Upgrade` is the message.
pub(in crate::proxy) fn write_interim(out: &mut Vec<u8>, head: &ResponseHead) {
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
