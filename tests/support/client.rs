//! A fake client: sends what it was given to ask, records every byte that comes back, and how the connection ended.

use super::{
    asks::{Ask, BreakOff},
    ledger::{Ledger, Outcome, Shared},
    peer::{Peer, PeerAction, PeerEvent, PeerIo},
    random::Random,
    simulation::MOST_CLIENTS,
    weather::Weather,
    wire::{Message, Reader},
};
use std::{collections::VecDeque, time::Duration};

/// Longer than every deadline of a proxy together: a client that hears nothing for longer was forgotten.
pub const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A client that hears something now and then is waited for so many times as long, and no longer.
pub(super) const STEADY: u32 = 24;

/// So that no reader is slow enough to be thrown out for it.
pub(super) const MOST_PAUSES: u32 = 20;

const WRITE: u32 = 1;
const OUT_OF_PATIENCE: u32 = 2;
const READ: u32 = 3;
const CONTINUE: u32 = 4;

/// One client connection and its requests.
pub struct Client {
    ledger: Shared,
    asks: VecDeque<Ask>,
    writing: Option<Writing>,
    /// Tags of requests sent, at least in part, whose responses are to come, oldest first.
    outstanding: VecDeque<usize>,
    reader: Reader,
    response: Message,
    reading: Habit,
    pauses: u32,
    /// For a tunnel asked for: how much of what is for it went out with the request.
    tunnel_from: Option<usize>,
    afterwards: Afterwards,
    /// The response, or the request, said that nothing follows.
    closing: bool,
    over: bool,
    /// When it heard something last, or connected.
    heard: Duration,
}

/// A request on its way out.
struct Writing {
    ask: Ask,
    wire: Vec<u8>,
    at: usize,
    /// Waits for a timer or for `100 Continue`.
    held: bool,
}

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    Eager,
    /// Stops for a while after about so many bytes, a few times.
    Pauses(usize, Duration),
    /// Reads so much, and after a pause as much again.
    Steady(usize, Duration),
    /// Looks only when it has lost its patience.
    Never,
}

impl Habit {
    /// `rude`: it may be one that never reads.
    pub(super) fn of(weather: &Weather, rude: bool, random: &mut Random) -> Self {
        match (weather.steady, random.below(10)) {
            (Some((most, pause)), _) => Self::Steady(most, pause),
            (None, 0) if rude => Self::Never,
            (None, 0..3) => Self::Pauses(random.magnitude(1..=50_000), random.micros(0..=500_000)),
            (None, _) => Self::Eager,
        }
    }
}

/// The step of a client that needs its connection no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    Close,
    Reset,
    /// Ends its side, and waits for the other end.
    Finish,
    /// Waits until the proxy closes.
    Idle,
}

impl Client {
    /// A client with up to `most` requests.
    pub fn new(ledger: &Shared, weather: &Weather, random: &mut Random, most: usize) -> Self {
        use Afterwards::{Close, Finish, Idle, Reset};
        let mut book = ledger.borrow_mut();
        book.busy += 1;
        let mut asks = VecDeque::new();
        for n in 0..random.within(1..=most) {
            asks.push_back(Ask::new(&mut book, weather, random, n > 0));
            if asks.back().is_some_and(|ask| ask.last) {
                break;
            }
        }
        let reading = Habit::of(weather, random.chance(weather.rude_clients), random);
        Self::with(ledger, asks, reading, *random.pick(&[Close, Reset, Finish, Idle]))
    }

    fn with(ledger: &Shared, asks: VecDeque<Ask>, reading: Habit, afterwards: Afterwards) -> Self {
        Self {
            ledger: ledger.clone(),
            asks,
            writing: None,
            outstanding: VecDeque::new(),
            reader: Reader::of_responses(),
            response: Message::default(),
            reading,
            pauses: 0,
            tunnel_from: None,
            afterwards,
            closing: false,
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
        self.write(io);
    }

    /// Writes as much as its manner allows.
    fn write(&mut self, io: &mut PeerIo<'_>) {
        while !self.over && !self.closing {
            let Some(writing) = &mut self.writing else {
                if !self.start(io) {
                    return;
                }
                continue;
            };
            if writing.held || !writing.step(io, &self.ledger) {
                return;
            }
            if writing.at == writing.wire.len() {
                self.writing = None;
            } else if writing.broken_off() {
                return self.broken_off(io);
            }
        }
    }

    /// Takes up the next request, if it is its turn.
    fn start(&mut self, io: &mut PeerIo<'_>) -> bool {
        let turn = |ask: &Ask| ask.pipelined || self.outstanding.is_empty();
        if !self.asks.front().is_some_and(turn) {
            return false;
        }
        let Some(mut ask) = self.asks.pop_front() else { return false };
        io.note(format!("asks {} {}", ask.method, ask.tag));
        let held = !ask.pause.is_zero();
        if held {
            io.wake(ask.pause, WRITE);
        }
        let request = &mut self.ledger.borrow_mut().requests[ask.tag];
        request.outcome = Outcome::Waiting;
        self.tunnel_from = request.tunnel.is_some().then_some(ask.body.len());
        self.outstanding.push_back(ask.tag);
        self.reader.asked(ask.method);
        let wire = [std::mem::take(&mut ask.head), std::mem::take(&mut ask.body)].concat();
        self.writing = Some(Writing { ask, wire, at: 0, held });
        true
    }

    fn broken_off(&mut self, io: &mut PeerIo<'_>) {
        let Some((_, how)) = self.writing.as_ref().and_then(|writing| writing.ask.breaks_off) else { return };
        io.note(format!("breaks off: {how:?}"));
        self.closing = true;
        match how {
            BreakOff::Close => self.end(io, PeerAction::Close),
            BreakOff::Reset => self.end(io, PeerAction::Reset),
            BreakOff::Finish => io.finish(),
            BreakOff::Stall => {}
        }
    }

    fn received(&mut self, bytes: &[u8], io: &mut PeerIo<'_>) {
        if let Habit::Pauses(after, pause) = self.reading
            && io.random.below(after + bytes.len()) < bytes.len()
        {
            self.pauses += 1;
            if self.pauses == MOST_PAUSES {
                self.reading = Habit::Eager;
            }
            io.set_reading(false);
            io.wake(pause, READ);
        }
        if let Habit::Steady(_, pause) = self.reading {
            io.set_reading(false);
            io.wake(pause, READ);
        }
        self.reader.push(bytes);
        loop {
            match self.reader.next() {
                Ok(None) => break,
                Ok(Some(piece)) => {
                    if let Some(response) = self.response.add(piece) {
                        self.answered(&response, io);
                    }
                }
                Err(why) => panic!("a client got something that is not HTTP: {why}"),
            }
        }
        if self.response.status() == 101 {
            return self.in_tunnel(io);
        }
        self.go_on(io);
        self.write(io);
    }

    /// The protocol was switched: says the rest of what it has to say, and hears all of it again.
    fn in_tunnel(&mut self, io: &mut PeerIo<'_>) {
        let tag = *self.outstanding.front().expect("the reader was asked for each response");
        let mut ledger = self.ledger.borrow_mut();
        if let Some(writing) = &mut self.writing {
            if writing.at < writing.wire.len() {
                return;
            }
            self.writing = None;
        }
        if let Some(from) = self.tunnel_from.take() {
            let payload = ledger.requests[tag].tunnel.as_ref().expect("only an upgrade is answered with 101");
            io.write(&payload[from..]);
        }
        if ledger.tunnelled(tag, &self.response, self.reader.rest()) {
            drop(ledger);
            self.outstanding.pop_front();
            self.response = Message::default();
            self.closing = true;
            io.note(format!("request {tag}: the tunnel is done"));
            match self.afterwards {
                Afterwards::Reset => self.end(io, PeerAction::Reset),
                Afterwards::Close => self.end(io, PeerAction::Close),
                Afterwards::Finish | Afterwards::Idle => io.finish(),
            }
        }
    }

    /// `100 Continue`, or an answer: no reason to hold the body back.
    fn go_on(&mut self, io: &mut PeerIo<'_>) {
        if let Some(writing) = &mut self.writing
            && writing.ask.expects
            && writing.held
            && self.outstanding.back() == self.outstanding.front()
            && self.response.has_begun()
        {
            writing.held = false;
            io.note("goes on with the body");
        }
    }

    fn answered(&mut self, response: &Message, io: &mut PeerIo<'_>) {
        let tag = self.outstanding.pop_front().expect("the reader was asked for each response");
        io.note(format!("request {tag} is answered with {}", response.status()));
        self.ledger.borrow_mut().answered(tag, response);
        let head = response.head.as_ref().expect("a complete response has a head");
        let old = head.start[0] == "HTTP/1.0";
        if head.has_token("connection", "close") || old && !head.has_token("connection", "keep-alive") {
            self.closing = true;
        }
        if self.closing && self.outstanding.is_empty() {
            return self.end(io, PeerAction::Close);
        }
        if self.asks.is_empty() && self.outstanding.is_empty() && !self.over {
            match self.afterwards {
                Afterwards::Close => self.end(io, PeerAction::Close),
                Afterwards::Reset => self.end(io, PeerAction::Reset),
                Afterwards::Finish => io.finish(),
                Afterwards::Idle => {}
            }
        }
    }

    /// The other side is gone; `clean` if it said goodbye.
    fn ended(&mut self, clean: bool, io: &mut PeerIo<'_>) {
        if self.over {
            return;
        }
        match self.reader.end() {
            // A body until close is complete by a clean end, and only by that.
            Ok(Some(piece)) if clean => {
                if let Some(response) = self.response.add(piece) {
                    self.closing = true;
                    self.answered(&response, io);
                }
            }
            _ => {}
        }
        let said = self.closing && !self.response.has_begun();
        if !said && let Some(tag) = self.outstanding.pop_front() {
            io.note(format!("request {tag} is cut off"));
            self.ledger.borrow_mut().cut(tag, &self.response);
        }
        self.end(io, PeerAction::Close);
    }

    fn out_of_patience(&mut self, io: &mut PeerIo<'_>) {
        if self.over {
            return;
        }
        if self.reading == Habit::Never {
            // Now it looks: whatever became of the connection is there to be read.
            self.reading = Habit::Eager;
            io.set_reading(true);
            return io.wake(PATIENCE, OUT_OF_PATIENCE);
        }
        if let Some(left) = patience_left(self.heard, &self.ledger, io) {
            return io.wake(left, OUT_OF_PATIENCE);
        }
        let strict = self.ledger.borrow().rules.http;
        assert!(io.silent || !strict, "a client was forgotten: requests {:?} for half an hour", self.outstanding);
        self.end(io, PeerAction::Close);
    }

    fn end(&mut self, io: &mut PeerIo<'_>, how: PeerAction) {
        if !self.over {
            self.over = true;
            let mut ledger = self.ledger.borrow_mut();
            ledger.busy -= 1;
            for tag in self.outstanding.drain(..) {
                ledger.requests[tag].outcome = Outcome::GivenUp;
            }
            io.act(how);
        }
    }
}

impl Peer for Client {
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
            PeerEvent::Ended => self.ended(true, io),
            PeerEvent::Failed(_) => self.ended(false, io),
            PeerEvent::Wake(OUT_OF_PATIENCE) => self.out_of_patience(io),
            PeerEvent::Wake(READ) => io.set_reading(true),
            PeerEvent::Wake(_) => {
                if let Some(writing) = &mut self.writing {
                    writing.held = false;
                }
                self.write(io);
            }
        }
    }
}

impl Writing {
    /// Writes one piece; false if there is nothing to write now.
    fn step(&mut self, io: &mut PeerIo<'_>, ledger: &Shared) -> bool {
        let mut until = self.wire.len();
        let head = super::wire::find(&self.wire, b"\r\n\r\n").map_or(until, |at| at + 4);
        if self.ask.expects && self.at < head {
            until = head;
        }
        if let Some((most, _)) = self.ask.drip {
            until = until.min(self.at + most);
        }
        if let Some((at, _)) = self.ask.breaks_off {
            until = until.min(at.max(self.at));
        }
        if until == self.wire.len() {
            finish_writing(&mut ledger.borrow_mut(), &self.ask);
        }
        io.write(&self.wire[self.at..until]);
        self.at = until;
        if self.ask.expects && self.at == head && self.at < self.wire.len() {
            self.held = true;
            // RFC 9110 §10.1.1: a client does not wait for ever.
            io.wake(Duration::from_secs(1), CONTINUE);
        } else if let Some((_, pause)) = self.ask.drip
            && self.at < self.wire.len()
        {
            self.held = true;
            io.wake(pause, WRITE);
        }
        true
    }

    fn broken_off(&self) -> bool {
        self.ask.breaks_off.is_some_and(|(at, _)| self.at >= at)
    }
}

/// How long a client that heard something last at `heard` goes on waiting: the network is slow, or the clock jumps, and its answer is on
/// the way. `None`: it was forgotten.
pub(super) fn patience_left(heard: Duration, ledger: &Shared, io: &PeerIo<'_>) -> Option<Duration> {
    let crowded = ledger.borrow().rules.crowded;
    // Each of the others may be heard for that long before its turn comes; on a way that fell silent none will come.
    let patience = if crowded && !io.silent { PATIENCE * MOST_CLIENTS as u32 } else { PATIENCE };
    let left = patience.saturating_sub(io.now - heard);
    Some(left).filter(|left| !left.is_zero() && io.now < PATIENCE * STEADY)
}

/// Before the last byte can arrive anywhere.
fn finish_writing(ledger: &mut Ledger, ask: &Ask) {
    let first = ledger.requests[ask.tag].same_as;
    ledger.requests[first].written = true;
    ledger.requests[ask.tag].written = true;
}
