//! A toy application: passes bytes on between a client and an origin, and does not know what they say.
//!
//! It shows that the world works before a proxy runs in it, and with a [`Fault`] switched on, that the world notices.

use socket_patterns::app::{App, ConnId, Cx, Origin, TimerKey};
use std::{io, net::SocketAddr, time::Duration};

/// Above it, the other side is not read.
const HIGH: usize = 64 * 1024;

/// After one side ended, or at a drain.
const PATIENCE: Duration = Duration::from_secs(300);

/// The fault of a faulty relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Turns an origin's reset into a clean end.
    CleanEnd,
    /// Does not listen to backpressure.
    Deaf,
    /// Forgets the other side when one fails.
    Leak,
    /// Changes a byte now and then.
    Corrupt,
    /// Sends every request to two origins.
    Twice,
    /// Decides by an address in memory: two runs of one seed differ.
    Moody,
}

/// The application.
#[derive(Debug)]
pub struct Relay {
    origins: Vec<SocketAddr>,
    next: usize,
    sides: Vec<Option<Side>>,
    fault: Fault,
    heard: usize,
}

/// One end of a relayed pair.
#[derive(Debug, Clone, Copy)]
struct Side {
    other: ConnId,
    ended: bool,
}

impl Relay {
    pub fn new(origins: Vec<SocketAddr>, fault: Fault) -> Self {
        Self { origins, next: 0, sides: Vec::new(), fault, heard: 0 }
    }

    /// Pairs that are up.
    pub fn sides(&self) -> usize {
        self.sides.iter().flatten().count()
    }

    fn set(&mut self, conn: ConnId, side: Option<Side>) {
        if self.sides.len() <= conn.index() {
            self.sides.resize(conn.index() + 1, None);
        }
        self.sides[conn.index()] = side;
    }

    fn side(&mut self, conn: ConnId) -> Option<&mut Side> {
        self.sides.get_mut(conn.index())?.as_mut()
    }

    fn pick(&mut self) -> SocketAddr {
        self.next += 1;
        self.origins[self.next % self.origins.len()]
    }
}

impl App for Relay {
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, _: Origin) {
        let upstream = cx.connect(self.pick());
        self.set(conn, Some(Side { other: upstream, ended: false }));
        self.set(upstream, Some(Side { other: conn, ended: false }));
        cx.set_reading(conn, false);
        if self.fault == Fault::Moody {
            let address = std::ptr::from_ref(Box::leak(Box::new(0_u8))).addr() as u64;
            // Neighbours are far apart.
            let mood = address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 36;
            cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + Duration::from_micros(mood)));
        }
    }

    fn connected(&mut self, cx: &mut Cx, conn: ConnId) {
        if let Some(side) = self.side(conn) {
            cx.set_reading(side.other, true);
        }
    }

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        self.heard += input.len();
        let (fault, heard) = (self.fault, self.heard);
        let Some(side) = self.side(conn) else { return };
        if fault == Fault::Corrupt && heard % 7 == 0 {
            let mut changed = input.to_vec();
            changed.last_mut().into_iter().for_each(|byte| *byte ^= 1);
            return cx.send(side.other, changed);
        }
        cx.forward(side.other, input);
        if fault == Fault::Twice && input.starts_with(b"POST") {
            let again = self.pick();
            let mirror = cx.connect(again);
            self.set(mirror, Some(Side { other: mirror, ended: true }));
            cx.send(mirror, input.to_vec());
            cx.finish(mirror);
        }
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        let deaf = self.fault == Fault::Deaf;
        if let Some(side) = self.side(conn)
            && !deaf
        {
            cx.set_reading(side.other, unsent < HIGH);
        }
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(side) = self.side(conn) else { return };
        side.ended = true;
        let other = side.other;
        if self.side(other).is_some_and(|side| !side.ended) {
            cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + PATIENCE));
            return cx.finish(other);
        }
        for conn in [conn, other] {
            self.set(conn, None);
            cx.close(conn);
        }
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, _: io::ErrorKind) {
        let Some(Side { other, .. }) = self.sides.get_mut(conn.index()).and_then(Option::take) else { return };
        match self.fault {
            Fault::Leak => return,
            Fault::CleanEnd => cx.close(other),
            _ => cx.abort(other),
        }
        self.set(other, None);
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        if let TimerKey::Conn(conn) = key {
            self.failed(cx, conn, io::ErrorKind::TimedOut);
            cx.abort(conn);
        }
    }

    fn drain(&mut self, cx: &mut Cx) {
        for side in self.sides.iter().flatten() {
            cx.set_deadline(TimerKey::Conn(side.other), Some(cx.now() + PATIENCE));
        }
    }
}
