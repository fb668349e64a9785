//! A fake connection: the driver's end, the peer's end, and a pipe in each direction.

use super::{
    peer::Peer,
    pipe::{End, Pipe},
    random::Random,
    weather::Weather,
};
use bytes::{Buf as _, Bytes};
use socket_patterns::app::{ConnId, Progress, Reads};
use std::{collections::VecDeque, io, net::SocketAddr};

/// The bytes that the kernel of a peer that does not read holds, where ours hoards: the rest stays with us.
const NARROW: usize = 32 * 1024;

/// One connection.
pub struct Link {
    /// The driver's name for it; none until it was accepted.
    pub conn: Option<ConnId>,
    /// The worker that it belongs to.
    pub worker: usize,
    /// The host that the application asked for.
    pub to: Option<SocketAddr>,
    pub ours: Ours,
    pub theirs: Theirs,
    /// From the peer to the application.
    pub inbound: Pipe,
    /// From the application to the peer.
    pub outbound: Pipe,
    pub peer: Option<Box<dyn Peer>>,
    /// The peer's own randomness.
    pub random: Random,
    /// Bytes that the driver keeps for the application because the pipe was full.
    pub unsent: VecDeque<Bytes>,
    pub unsent_len: usize,
    /// The number of unsent bytes that the application was last told.
    pub reported: usize,
    /// After `unsent`.
    pub then: Then,
    /// Our kernel takes nothing, once it was full, before a third of what it can hold is free: as Linux does.
    pub hoards: bool,
    /// It refused something, and has taken nothing since.
    pub refused: bool,
    pub reading: bool,
    /// `HangUp` was asked for: once everything is sent, it takes no client's place.
    pub heard_out: bool,
    /// The application heard bytes on it: it is not new.
    pub used: bool,
    pub reads: Reads,
    /// The connection that gets the peer's next bytes, and how many of them.
    pub splice: Option<(ConnId, u64)>,
    /// The error that the application will be told once earlier bytes are read.
    pub error: Option<io::ErrorKind>,
    /// The driver knows of it.
    pub noticed: bool,
    pub their_unsent: VecDeque<u8>,
    pub their_then: Then,
    pub their_reading: bool,
    /// It reads no more than this at once.
    pub their_most: usize,
    /// The peer sends bytes without a request: from which byte on, and how many bytes it had heard when it did.
    pub junk: Option<(usize, usize)>,
    /// The application heard that, and nothing of its own was on its way that could have been the reason.
    pub tainted: bool,
    /// Nothing arrives any more, in either direction.
    pub silent: bool,
    pub due: Due,
}

/// Which events are already on the agenda, so that none is there twice.
#[derive(Debug, Default)]
pub struct Due {
    pub deliver: bool,
    pub their_deliver: bool,
    pub flush: bool,
    pub refill: bool,
}

/// The driver's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// Asked for by the application, not answered; or not accepted yet.
    Opening,
    Open,
    /// `Close` was asked for: what is queued goes out, what comes in is discarded.
    Lingering,
    Gone,
}

/// The peer's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theirs {
    Open,
    /// Closed in both directions; what is queued goes out, what comes in is answered with a reset.
    Closed,
    Gone,
}

/// The step that follows the queued bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Nothing,
    Finish,
    Close,
}

impl Link {
    pub fn new(peer: Option<Box<dyn Peer>>, weather: &Weather, random: &mut Random) -> Self {
        let mut capacity = || random.magnitude(weather.capacity.clone());
        let mut link = Self {
            conn: None,
            worker: 0,
            to: None,
            ours: Ours::Opening,
            theirs: Theirs::Open,
            inbound: Pipe::new(capacity()),
            outbound: Pipe::new(capacity()),
            peer,
            random: random.fork(),
            unsent: VecDeque::new(),
            unsent_len: 0,
            reported: 0,
            heard_out: false,
            then: Then::Nothing,
            hoards: weather.hoarding,
            refused: false,
            reading: true,
            used: false,
            reads: Reads::Small,
            splice: None,
            error: None,
            noticed: false,
            their_unsent: VecDeque::new(),
            their_then: Then::Nothing,
            their_reading: true,
            their_most: usize::MAX,
            junk: None,
            tainted: false,
            silent: false,
            due: Due::default(),
        };
        if weather.hoarding {
            link.outbound.narrow(NARROW);
        }
        link
    }

    /// A side that does not read still learns of a reset when it writes; otherwise maybe, as epoll may report it. Then
    /// it also hears the bytes that had arrived before.
    pub fn notices_error(&mut self) -> bool {
        self.noticed |= self.error.is_some() && (self.unsent_len > 0 || self.random.chance(300));
        self.noticed
    }

    pub fn queue(&mut self, bytes: Bytes) {
        self.unsent_len += bytes.len();
        self.unsent.push_back(bytes);
    }

    pub fn drop_unsent(&mut self) {
        self.unsent.clear();
        self.unsent_len = 0;
    }

    /// How far the peer is with what was sent to it.
    pub fn progress(&self) -> Progress {
        let on_its_way = self.outbound.in_flight();
        let acknowledged = (self.outbound.written() - on_its_way) as u64;
        Progress { acknowledged, outstanding: (on_its_way + self.unsent_len) as u64 }
    }

    /// Moves what fits from the driver's memory into the pipe; says how much.
    pub fn flush(&mut self) -> usize {
        let mut moved = 0;
        if self.hoards && self.refused && self.outbound.room() < self.outbound.capacity() / 3 {
            return 0;
        }
        while let Some(front) = self.unsent.front_mut() {
            let n = self.outbound.write(front);
            front.advance(n);
            moved += n;
            if !front.is_empty() {
                break;
            }
            self.unsent.pop_front();
        }
        self.unsent_len -= moved;
        self.refused = self.unsent_len > 0;
        if self.unsent.is_empty() && self.then != Then::Nothing {
            self.outbound.finish();
        }
        moved
    }

    /// The same for the peer.
    pub fn refill(&mut self) {
        if self.inbound.end() == End::None {
            let n = self.inbound.write(self.their_unsent.make_contiguous());
            self.their_unsent.drain(..n);
        }
        if self.their_unsent.is_empty() && self.their_then != Then::Nothing {
            self.inbound.finish();
        }
    }

    /// The peer is gone without a goodbye: what it had not handed to the network is lost, its end included.
    pub fn forget_peer(&mut self) {
        self.theirs = Theirs::Gone;
        self.their_unsent.clear();
        self.their_then = Then::Nothing;
    }

    /// After a read: was it junk, and could the application tell?
    pub fn notice_junk(&mut self) {
        if let Some((from, heard)) = self.junk
            && self.inbound.taken() > from
        {
            self.tainted |= self.outbound.written() + self.unsent_len == heard;
            self.junk = None;
        }
    }

    /// Whether both ends are gone: nothing can happen to it any more.
    pub fn is_over(&self) -> bool {
        self.ours == Ours::Gone && self.theirs == Theirs::Gone
    }
}
