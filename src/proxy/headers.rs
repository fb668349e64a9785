//! The head of a message as it goes on to the other side: RFC 9110 §7.6, RFC 9112 §3.2 and §9.3, RFC 7239.
//!
//! Fields that go on as they came keep their order and the case of their names. Behind them stands what is counted or extended on
//! the way (`Max-Forwards`, `Via`, `X-Forwarded-For`). Removed: what `Connection` lists and the hop-by-hop set.
//! Framing is not copied but written anew from what *we* read, so the next hop cannot read it differently.

mod request;
mod response;
mod subject;
#[cfg(test)]
mod tests;

pub(super) use request::{Inbound, write_request};
pub(super) use response::{
    HSTS, Outbound, WEBSOCKET_ACCEPT, cache_status_field, interim_fields, response_fields, tunnel_fields, via_field,
    write_cache_status, write_hsts, write_interim, write_response, write_stored, write_via,
};

use crate::http::{self, BodyLength, RequestHead, ResponseHead, Version, framing, name::is_same};
use bytes::BufMut as _;

fn join(list: &mut Vec<u8>, value: &[u8]) {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(value);
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
