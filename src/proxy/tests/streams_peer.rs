//! A client that speaks HTTP/2 in the worlds of the tests: the other role of the same core.

use super::World;
use crate::{
    app::ConnId,
    buf::Output,
    http::{Fields, Status},
    http2::{Connection, ErrorCode, Event, Limits, PREFACE, Reset, Role},
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// A client's connection.
pub(super) struct Peer {
    pub(super) conn: ConnId,
    pub(super) core: Connection,
    pub(super) told: BTreeMap<u32, Told>,
    /// It gives the windows of its streams back.
    pub(super) reads: bool,
    /// The code of a GOAWAY.
    pub(super) goaway: Option<ErrorCode>,
}

/// The answer as one stream got it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) interims: Vec<Status>,
    pub(super) status: Option<Status>,
    /// The names of its fields, each with a space behind it.
    pub(super) names: String,
    pub(super) fields: Fields,
    pub(super) content: Vec<u8>,
    pub(super) ended: bool,
    pub(super) trailers: Fields,
    pub(super) reset: Option<Reset>,
}

impl Told {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }

    /// Whether nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.reset.is_some()
    }

    pub(super) fn code(&self) -> u16 {
        self.status.map_or(0, Status::code)
    }

    fn head(&mut self, status: Status, fields: Fields) {
        assert_eq!(self.status, None, "a head behind the final one");
        if status.is_interim() {
            return self.interims.push(status);
        }
        self.status = Some(status);
        self.names = fields.iter().map(|(name, _)| name.to_owned() + " ").collect();
        self.fields = fields;
    }
}

impl World {
    /// A client connects, and begins to speak HTTP/2.
    pub(super) fn peer(&mut self) -> Peer {
        let conn = self.accept(false, [192, 0, 2, 7]);
        let core = Connection::new(Role::Client, Arc::new(Limits::default()), self.cx.now());
        let mut peer = Peer { conn, core, told: BTreeMap::new(), reads: true, goaway: None };
        peer.pump(self);
        peer
    }
}

impl Peer {
    /// The frames that it has for the proxy.
    pub(super) fn frames(&mut self, world: &World) -> Vec<u8> {
        let mut out = Output::new();
        self.core.write(&mut out, usize::MAX, world.cx.now());
        std::iter::from_fn(|| out.pop()).flatten().collect()
    }

    /// Says what it has to say, and hears what it is told, until both are silent.
    pub(super) fn pump(&mut self, world: &mut World) {
        loop {
            let now = world.cx.now();
            let said = self.frames(world);
            world.bring(self.conn, &said);
            let heard = world.sent_bytes(self.conn);
            if said.is_empty() && heard.is_empty() {
                return;
            }
            let mut input = &heard[..];
            while let Some(event) = self.core.next(&mut input, now) {
                let back = self.note(event);
                if let Some((stream, length)) = back.filter(|_| self.reads) {
                    self.core.took(stream, length);
                }
            }
        }
    }

    fn note(&mut self, event: Event<'_>) -> Option<(u32, usize)> {
        match event {
            Event::Response { stream, head, ends } => {
                let told = self.told.entry(stream).or_default();
                told.head(head.status, head.fields);
                told.ended |= ends;
            }
            Event::Data { stream, data } => {
                let told = self.told.entry(stream).or_default();
                assert!(told.status.is_some() && !told.is_over(), "content out of place: {told:?}");
                told.content.extend_from_slice(data);
                return Some((stream, data.len()));
            }
            Event::End { stream, trailers } => {
                let told = self.told.entry(stream).or_default();
                assert!(!told.is_over(), "two ends");
                (told.ended, told.trailers) = (true, trailers);
            }
            Event::Reset { stream, why } => {
                let told = self.told.entry(stream).or_default();
                if !told.ended {
                    told.reset = Some(why);
                }
            }
            Event::GoAway(code) => self.goaway = Some(code),
            Event::Failed(cause) => panic!("the proxy breaks a rule: {cause}"),
            Event::Request { .. } | Event::Refused { .. } => panic!("a server makes no requests"),
        }
        None
    }

    /// Begins a request. `ends`: without content.
    pub(super) fn begin(&mut self, method: &str, path: &str, fields: &[(&str, &str)], ends: bool) -> u32 {
        let (stream, mut head) = self.core.request(method, "http", "a", path).unwrap();
        fields.iter().for_each(|(name, value)| head.field(name.as_bytes(), value.as_bytes()));
        head.finish(ends);
        stream
    }

    pub(super) fn get(&mut self, world: &mut World, path: &str) -> u32 {
        let stream = self.begin("GET", path, &[], true);
        self.pump(world);
        stream
    }

    /// Content on a stream; `ends`: the last of it.
    pub(super) fn send(&mut self, world: &mut World, stream: u32, content: &[u8], ends: bool) {
        self.core.send(stream, Bytes::copy_from_slice(content));
        if ends {
            self.core.finish(stream, Fields::new());
        }
        self.pump(world);
    }

    pub(super) fn reset(&mut self, world: &mut World, stream: u32) {
        self.core.reset(stream, ErrorCode::CANCEL);
        self.pump(world);
    }

    /// The answer so far.
    pub(super) fn heard(&mut self, world: &mut World, stream: u32) -> &Told {
        self.pump(world);
        self.told.entry(stream).or_default()
    }
}

/// A frame as it goes over the wire.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS with these lines, none of them compressed.
pub(super) fn headers(stream: u32, flags: u8, lines: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    let line = |(name, value): &(&str, &str)| [&[0][..], &text(name), &text(value)].concat();
    frame(1, flags, stream, &lines.iter().flat_map(line).collect::<Vec<u8>>())
}

/// The first bytes of a client.
pub(super) fn hello() -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[])].concat()
}

/// `END_STREAM` and `END_HEADERS`.
pub(super) const WHOLE: u8 = 5;
/// `END_HEADERS`.
pub(super) const OPEN: u8 = 4;
