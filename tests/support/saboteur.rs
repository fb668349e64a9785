//! A proxy whose frames of HTTP/2 are spoilt on their way out, as a mistake in it would spoil them: to show that worlds notice.

use bytes::Bytes;
use socket_patterns::{
    app::{Action, App, ConnId, Cx, Origin, Progress, TimerKey},
    http2::{ErrorCode, PREFACE},
};
use std::{collections::BTreeMap, io};

/// The mistake that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Content of one stream has bytes of another.
    OthersBytes,
    /// A stream that is reset ends cleanly.
    CleanEnd,
    /// A stream that is reset was not processed.
    NotProcessed,
    /// Goodbye says that no stream was processed.
    LowGoodbye,
    /// The windows of streams are not given back.
    ShutWindows,
}

/// The proxy, and its frames.
#[derive(Debug)]
pub struct Saboteur<A> {
    app: A,
    sabotage: Sabotage,
    /// Of connections that speak HTTP/2.
    said: BTreeMap<ConnId, Said>,
}

/// The frames of one connection.
#[derive(Debug, Default)]
struct Said {
    /// The beginning of a frame.
    part: Vec<u8>,
    /// The stream that had content last, and the content.
    last: (u32, Vec<u8>),
}

const HEAD: usize = 9;
const DATA: u8 = 0;
const RESET: u8 = 3;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;

impl Said {
    fn spoil(&mut self, bytes: &[u8], sabotage: Sabotage) -> Vec<u8> {
        self.part.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some([a, b, c, kind, ..]) = self.part.get(..HEAD) {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let kind = *kind;
            if self.part.len() < HEAD + length {
                break;
            }
            let mut frame: Vec<u8> = self.part.drain(..HEAD + length).collect();
            let stream = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
            match (sabotage, kind) {
                (Sabotage::OthersBytes, DATA) if length > 0 => {
                    let content = frame[HEAD..].to_vec();
                    let (other, bytes) = std::mem::replace(&mut self.last, (stream, content));
                    if other != stream {
                        frame[HEAD..].iter_mut().zip(bytes).for_each(|(byte, other)| *byte = other);
                    }
                }
                (Sabotage::CleanEnd, RESET) => frame = [&[0, 0, 0, DATA, END_STREAM][..], &frame[5..HEAD]].concat(),
                (Sabotage::NotProcessed, RESET) => {
                    frame[HEAD..].copy_from_slice(&ErrorCode::REFUSED_STREAM.0.to_be_bytes());
                }
                (Sabotage::LowGoodbye, GO_AWAY) => frame[HEAD..HEAD + 4].fill(0),
                (Sabotage::ShutWindows, WINDOW_UPDATE) if stream > 0 => continue,
                _ => {}
            }
            out.extend(frame);
        }
        out
    }
}

impl<A: App> Saboteur<A> {
    pub fn new(app: A, sabotage: Sabotage) -> Self {
        Self { app, sabotage, said: BTreeMap::new() }
    }

    fn tell(&mut self, cx: &mut Cx, call: impl FnOnce(&mut A, &mut Cx)) {
        call(&mut self.app, cx);
        let mut actions = Vec::new();
        cx.take_actions(&mut actions);
        for action in actions {
            cx.pass_on(match action {
                Action::Send(conn, bytes) => Action::Send(conn, self.spoil(conn, bytes)),
                other => other,
            });
        }
    }

    fn spoil(&mut self, conn: ConnId, bytes: Bytes) -> Bytes {
        match self.said.get_mut(&conn) {
            Some(said) => said.spoil(&bytes, self.sabotage).into(),
            None => bytes,
        }
    }
}

impl<A: App> App for Saboteur<A> {
    fn started(&mut self, cx: &mut Cx) {
        self.tell(cx, App::started);
    }

    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        self.tell(cx, |app, cx| app.accepted(cx, conn, origin));
    }

    fn connected(&mut self, cx: &mut Cx, conn: ConnId) {
        self.tell(cx, |app, cx| app.connected(cx, conn));
    }

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        if input.starts_with(&PREFACE[..1]) && PREFACE.starts_with(&input[..input.len().min(4)]) {
            self.said.entry(conn).or_default();
        }
        self.tell(cx, |app, cx| app.received(cx, conn, input));
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        self.tell(cx, |app, cx| app.sent(cx, conn, unsent));
    }

    fn progressed(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        self.tell(cx, |app, cx| app.progressed(cx, conn, progress));
    }

    fn spliced(&mut self, cx: &mut Cx, from: ConnId, moved: u64) {
        self.tell(cx, |app, cx| app.spliced(cx, from, moved));
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        self.tell(cx, |app, cx| app.ended(cx, conn));
    }

    fn peeked(&mut self, cx: &mut Cx, conn: ConnId, quiet: bool) {
        self.tell(cx, |app, cx| app.peeked(cx, conn, quiet));
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        self.tell(cx, |app, cx| app.failed(cx, conn, error));
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        self.tell(cx, |app, cx| app.expired(cx, key));
    }

    fn woken(&mut self, cx: &mut Cx) {
        self.tell(cx, App::woken);
    }

    fn crowded(&mut self, cx: &mut Cx) {
        self.tell(cx, App::crowded);
    }

    fn drain(&mut self, cx: &mut Cx) {
        self.tell(cx, App::drain);
    }

    fn cut_off(&mut self, cx: &mut Cx) {
        self.tell(cx, App::cut_off);
    }
}
