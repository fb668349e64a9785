//! A fake client that speaks HTTP/2 by prior knowledge: many requests at once on one connection. The answer on each stream goes
//! into the same books as those of HTTP/1.1.
//!
//! The frames are those of the library, in the role of a client: `fuzz/src/http2.rs` holds them against another implementation. The books
//! judge what becomes of requests and answers.

mod hears;

use super::{
    client::{Afterwards, Habit, MOST_PAUSES, PATIENCE, STEADY, patience_left},
    http2::frame,
    ledger::{Outcome, Shared},
    peer::{Peer, PeerAction, PeerEvent, PeerIo},
    process::now,
    random::Random,
    stream_asks::{Leave, StreamAsk},
    weather::Weather,
    wire::Message,
};
use bytes::Bytes;
use socket_patterns::{
    buf::Output,
    http2::{Connection, ErrorCode, Limits, NoStream, Role, limits},
    time::Instant,
};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

/// A request that was not processed is sent again so many times.
const MOST_TRIES: u32 = 20;

/// Timers: what is to be done, and for a stream its number times [`TIMERS`].
const TIMERS: u32 = 8;
const OUT_OF_PATIENCE: u32 = 0;
const READ: u32 = 1;
const NEXT: u32 = 2;
const WINDOWS: u32 = 3;
const FLOOD: u32 = 4;
const GO_ON: u32 = 5;
const CANCEL: u32 = 6;

/// One client connection and its requests.
pub struct StreamClient {
    ledger: Shared,
    core: Connection,
    /// The instant at which the world began.
    epoch: Instant,
    asks: VecDeque<StreamAsk>,
    /// By the number of the stream.
    running: BTreeMap<u32, Running>,
    reading: Habit,
    pauses: u32,
    windows: Windows,
    /// Content of which the windows are given back later.
    kept: Vec<(u32, usize)>,
    /// Frames that nobody needs, as many as that.
    flood: Option<(Flood, usize)>,
    /// After so many requests it says that it makes no more.
    goodbye: Option<usize>,
    begun: usize,
    afterwards: Afterwards,
    /// The next request waits for a timer.
    resting: bool,
    /// No request is to be begun any more.
    closing: bool,
    /// It has done what it does when all is answered.
    done: bool,
    over: bool,
    heard: Duration,
}

/// A request under way.
struct Running {
    ask: StreamAsk,
    /// Bytes of the content that went out.
    at: usize,
    /// Waits for a timer, or for `100 Continue`.
    held: bool,
    /// Nothing more is sent.
    sent: bool,
    /// The tunnel is open.
    open: bool,
    response: Message,
}

/// When a client gives the windows of its streams back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Windows {
    AtOnce,
    /// After a while, those of all streams.
    Later(Duration),
    Never,
}

impl Windows {
    fn of(weather: &Weather, rude: bool, random: &mut Random) -> Self {
        match random.below(10) {
            _ if weather.steady.is_some() => Self::AtOnce,
            0 if rude => Self::Never,
            0..3 => Self::Later(random.micros(0..=500_000)),
            _ => Self::AtOnce,
        }
    }
}

/// The sizes of its windows.
fn bounds(random: &mut Random) -> Limits {
    Limits {
        stream_window: *random.pick(&[2000, 16_384, limits::STREAM_WINDOW, 1_000_000]),
        // With one, the window of the connection is that of a stream, or what it was at the beginning.
        max_streams: *random.pick(&[1, 3, 100]),
        // An origin that answers in tiny pieces is no flood.
        floods: false,
        ..Limits::default()
    }
}

/// A frame that may be sent at any time, and the number at which it is a flood.
type Flood = (&'static str, u8, u32, &'static [u8], u32);

const FLOODS: &[Flood] = &[
    ("pings", 6, 0, &[0; 8], limits::PINGS.burst),
    ("settings", 4, 0, &[], limits::SETTINGS.burst),
    ("priorities", 2, 1, &[0, 0, 0, 0, 16], limits::PRIORITIES.burst),
    ("priority updates", 16, 0, &[0, 0, 0, 1, b'u', b'=', b'7'], limits::PRIORITIES.burst),
    ("unknown frames", 42, 0, b"what?", limits::UNKNOWN_FRAMES.burst),
    ("window updates", WINDOW_UPDATE, 0, &[0, 0, 0, 1], limits::WINDOW_UPDATES.burst),
];

const WINDOW_UPDATE: u8 = 8;

/// When a client looks again whether one of its streams is over.
const LATER: Duration = Duration::from_millis(100);

/// Frames to be sent at some time: mostly fewer than a flood, and now and then one.
fn flood(rude: bool, random: &mut Random) -> Option<(Flood, usize)> {
    let flood = *random.pick(FLOODS);
    let limit = flood.4 as usize;
    let many = if rude && random.chance(300) { limit * 5 } else { limit * 3 / 5 };
    random.chance(150).then_some((flood, many))
}

impl StreamClient {
    /// A client with so many requests.
    pub fn new(ledger: &Shared, weather: &Weather, random: &mut Random, requests: RangeInclusive<usize>) -> Self {
        use Afterwards::{Close, Finish, Idle, Reset};
        let mut book = ledger.borrow_mut();
        book.busy += 1;
        let asks: VecDeque<StreamAsk> =
            (0..random.within(requests)).map(|_| StreamAsk::new(&mut book, weather, random)).collect();
        let rude = random.chance(weather.rude_clients);
        let epoch = now();
        Self {
            ledger: ledger.clone(),
            core: Connection::new(Role::Client, Arc::new(bounds(random)), epoch),
            epoch,
            goodbye: random.chance(100).then(|| random.within(1..=asks.len())),
            asks,
            running: BTreeMap::new(),
            reading: Habit::of(weather, rude, random),
            pauses: 0,
            windows: Windows::of(weather, rude, random),
            kept: Vec::new(),
            flood: flood(rude, random),
            begun: 0,
            afterwards: *random.pick(&[Close, Reset, Finish, Idle]),
            resting: false,
            closing: false,
            done: false,
            over: false,
            heard: Duration::ZERO,
        }
    }

    fn connected(&mut self, io: &mut PeerIo<'_>) {
        self.heard = io.now;
        let slow = if matches!(self.reading, Habit::Steady(..)) { STEADY } else { 1 };
        io.wake(PATIENCE * slow, OUT_OF_PATIENCE);
        match self.reading {
            Habit::Never => io.set_reading(false),
            Habit::Steady(most, _) => io.read_at_most(most),
            Habit::Eager | Habit::Pauses(..) => {}
        }
        if self.flood.is_some() {
            let soon = Duration::from_micros(io.random.magnitude(0..=3_000_000) as u64);
            io.wake(soon, FLOOD);
        }
        self.go_on(io);
    }

    /// Begins what may begin, and writes as much as its manner allows.
    fn go_on(&mut self, io: &mut PeerIo<'_>) {
        while !self.over && self.begin(io) {}
        let streams: Vec<u32> = self.running.keys().copied().collect();
        for stream in streams {
            self.write(stream, io);
        }
        if !self.over {
            self.flush(io);
            self.rest(io);
        }
    }

    /// Takes up the next request, if it is its turn.
    fn begin(&mut self, io: &mut PeerIo<'_>) -> bool {
        if self.closing || self.resting {
            return false;
        }
        let Some(ask) = self.asks.front_mut() else { return false };
        if ask.alone && !self.running.is_empty() {
            return false;
        }
        if !ask.pause.is_zero() {
            self.resting = true;
            io.wake(std::mem::take(&mut ask.pause), NEXT);
            return false;
        }
        let (stream, mut head) = match self.core.request(ask.method, ask.scheme, ask.authority, &ask.path) {
            Ok(begun) => begun,
            Err(NoStream::TooMany) => return false,
            Err(NoStream::GoingAway | NoStream::Exhausted) => {
                self.closing = true;
                return false;
            }
        };
        ask.fields.iter().for_each(|(name, value)| head.field(name.as_bytes(), value.as_bytes()));
        head.finish(ask.content.is_none());
        let Some(ask) = self.asks.pop_front() else { return false };
        io.note(format!("stream {stream} asks {} {}", ask.method, ask.tag));
        self.enter(stream, ask, io);
        true
    }

    fn enter(&mut self, stream: u32, ask: StreamAsk, io: &mut PeerIo<'_>) {
        {
            let mut ledger = self.ledger.borrow_mut();
            ledger.tally.streams += 1;
            ledger.requests[ask.tag].outcome = Outcome::Waiting;
            // With a length of 0, a request is complete at an origin before its stream ends.
            if ask.tunnel || ask.content.as_ref().is_none_or(Vec::is_empty) {
                written(&mut ledger.requests, ask.tag);
            }
        }
        if ask.expects {
            // RFC 9110 §10.1.1: a client does not wait for ever.
            io.wake(Duration::from_secs(1), stream * TIMERS + GO_ON);
        }
        if let Some(after) = ask.cancels {
            io.wake(after, stream * TIMERS + CANCEL);
        }
        let (held, sent) = (ask.expects, ask.content.is_none());
        let running = Running { ask, at: 0, held, sent, open: false, response: Message::default() };
        self.running.insert(stream, running);
        self.begun += 1;
        if self.goodbye == Some(self.begun) {
            io.note("says goodbye");
            self.core.drain(self.epoch + io.now);
            self.closing = true;
        }
    }

    /// Sends a piece of content, if it may.
    fn write(&mut self, stream: u32, io: &mut PeerIo<'_>) {
        let Some(running) = self.running.get_mut(&stream) else { return };
        let Some(content) = &running.ask.content else { return };
        if self.over || running.held || running.sent || running.ask.tunnel && !running.open {
            return;
        }
        let mut until = content.len();
        if let Some((most, _)) = running.ask.drip {
            until = until.min(running.at + most);
        }
        if let Some((at, _)) = running.ask.leaves {
            until = until.min(at.max(running.at));
        }
        self.core.send(stream, Bytes::copy_from_slice(&content[running.at..until]));
        running.at = until;
        if let Some((at, how)) = running.ask.leaves
            && at <= until
        {
            return self.leave(stream, how, io);
        }
        if until < content.len() {
            running.held = true;
            let pause = running.ask.drip.map_or(Duration::ZERO, |(_, pause)| pause);
            return io.wake(pause, stream * TIMERS + GO_ON);
        }
        running.sent = true;
        // Before the last byte can arrive anywhere.
        written(&mut self.ledger.borrow_mut().requests, running.ask.tag);
        if !running.ask.tunnel {
            let sum = [("x-sum", "1")].into_iter().filter(|_| running.ask.trailers);
            self.core.finish(stream, sum.collect());
        }
    }

    fn leave(&mut self, stream: u32, how: Leave, io: &mut PeerIo<'_>) {
        io.note(format!("stream {stream} leaves: {how:?}"));
        match how {
            Leave::Cancel => self.cancel(stream),
            Leave::Stall => self.running.get_mut(&stream).into_iter().for_each(|running| running.sent = true),
            Leave::Close => self.end(io, PeerAction::Close),
            Leave::Reset => self.end(io, PeerAction::Reset),
            Leave::Finish => {
                self.running.get_mut(&stream).into_iter().for_each(|running| running.sent = true);
                self.closing = true;
                self.flush(io);
                io.finish();
            }
        }
    }

    fn cancel(&mut self, stream: u32) {
        if let Some(running) = self.running.remove(&stream) {
            self.ledger.borrow_mut().give_up(running.ask.tag);
            self.core.reset(stream, ErrorCode::CANCEL);
        }
    }

    fn flush(&mut self, io: &mut PeerIo<'_>) {
        let mut out = Output::new();
        self.core.write(&mut out, usize::MAX, self.epoch + io.now);
        let bytes: Vec<u8> = std::iter::from_fn(|| out.pop()).flatten().collect();
        if !bytes.is_empty() {
            io.write(bytes);
        }
    }

    /// Whether all is answered, and what then.
    fn rest(&mut self, io: &mut PeerIo<'_>) {
        if !self.running.is_empty() {
            return;
        }
        if self.closing {
            return self.end(io, PeerAction::Close);
        }
        if self.asks.is_empty() && !std::mem::replace(&mut self.done, true) {
            match self.afterwards {
                Afterwards::Close => self.end(io, PeerAction::Close),
                Afterwards::Reset => self.end(io, PeerAction::Reset),
                Afterwards::Finish => io.finish(),
                Afterwards::Idle => {}
            }
        }
    }

    fn received(&mut self, bytes: &[u8], io: &mut PeerIo<'_>) {
        match self.reading {
            Habit::Pauses(after, pause) if io.random.below(after + bytes.len()) < bytes.len() => {
                self.pauses += 1;
                if self.pauses == MOST_PAUSES {
                    self.reading = Habit::Eager;
                }
                io.set_reading(false);
                io.wake(pause, READ);
            }
            Habit::Steady(_, pause) => {
                io.set_reading(false);
                io.wake(pause, READ);
            }
            Habit::Pauses(..) | Habit::Eager | Habit::Never => {}
        }
        let mut input = bytes;
        while let Some(event) = self.core.next(&mut input, self.epoch + io.now) {
            self.hear(event, io);
        }
        self.go_on(io);
    }

    /// The other side is gone.
    fn ended(&mut self, io: &mut PeerIo<'_>) {
        for running in std::mem::take(&mut self.running).into_values() {
            io.note(format!("request {} is cut off", running.ask.tag));
            self.cut(&running);
        }
        self.end(io, PeerAction::Close);
    }

    fn woken(&mut self, number: u32, io: &mut PeerIo<'_>) {
        let stream = number / TIMERS;
        match number % TIMERS {
            OUT_OF_PATIENCE => return self.out_of_patience(io),
            READ => io.set_reading(true),
            NEXT => self.resting = false,
            WINDOWS => {
                for (stream, length) in std::mem::take(&mut self.kept) {
                    self.core.took(stream, length);
                }
            }
            FLOOD => self.send_flood(io),
            CANCEL if self.running.contains_key(&stream) => {
                io.note(format!("stream {stream} is given up"));
                self.cancel(stream);
            }
            _ => self.running.get_mut(&stream).into_iter().for_each(|running| running.held = false),
        }
        self.go_on(io);
    }

    fn send_flood(&mut self, io: &mut PeerIo<'_>) {
        let Some((flood, many)) = self.flood.take() else { return };
        let (what, kind, mut stream, payload, _) = flood;
        self.flush(io);
        if kind == WINDOW_UPDATE {
            // Of a stream that is over: other windows would then let more come than this client counts with.
            let over = (1..).step_by(2).take(self.begun).find(|stream| !self.running.contains_key(stream));
            let Some(over) = over else {
                if self.over {
                    return;
                }
                self.flood = Some((flood, many));
                return io.wake(LATER, FLOOD);
            };
            stream = over;
        }
        io.note(format!("sends {many} {what}"));
        io.write(frame(kind, 0, stream, payload).repeat(many));
    }

    fn out_of_patience(&mut self, io: &mut PeerIo<'_>) {
        if self.reading == Habit::Never {
            // Now it looks: whatever became of the connection is there to be read.
            self.reading = Habit::Eager;
            io.set_reading(true);
            return io.wake(PATIENCE, OUT_OF_PATIENCE);
        }
        if let Some(left) = patience_left(self.heard, &self.ledger, io) {
            return io.wake(left, OUT_OF_PATIENCE);
        }
        let waiting: Vec<usize> = self.running.values().map(|running| running.ask.tag).collect();
        assert!(io.silent, "a client was forgotten: requests {waiting:?} for half an hour");
        self.end(io, PeerAction::Close);
    }

    fn end(&mut self, io: &mut PeerIo<'_>, how: PeerAction) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let mut ledger = self.ledger.borrow_mut();
        ledger.busy -= 1;
        for running in std::mem::take(&mut self.running).into_values() {
            ledger.give_up(running.ask.tag);
        }
        drop(ledger);
        if how == PeerAction::Close {
            self.flush(io);
        }
        io.act(how);
    }
}

impl Peer for StreamClient {
    fn on(&mut self, event: PeerEvent<'_>, io: &mut PeerIo<'_>) {
        if self.over {
            return;
        }
        match event {
            PeerEvent::Connected => self.connected(io),
            PeerEvent::Received(bytes) => {
                self.heard = io.now;
                self.received(bytes, io);
            }
            PeerEvent::Ended | PeerEvent::Failed(_) => self.ended(io),
            PeerEvent::Wake(number) => self.woken(number, io),
        }
    }
}

/// The client wrote the last byte of a request, for its first sender, too.
fn written(requests: &mut [super::ledger::Request], tag: usize) {
    let first = requests[tag].same_as;
    requests[first].written = true;
    requests[tag].written = true;
}
