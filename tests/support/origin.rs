//! Fake origins: they read requests with the tests' own parser, enter what they heard into the ledger, and play the
//! answer that was drawn for it.

use super::{
    answers::{Answer, Step, UPGRADE},
    ledger::Shared,
    peer::{self, Host, Peer, PeerAction, PeerEvent, PeerIo},
    random::Random,
    weather::Weather,
    wire::{Head, Piece, Reader},
};
use std::{mem, time::Duration};

/// Where origins say how they are.
pub const HEALTH: &str = "/health";

const STEP: u32 = 1;
const READ: u32 = 2;

/// One origin: a listener and what it does.
pub struct Origin {
    number: u8,
    ledger: Shared,
    weather: Weather,
    /// While it is down, connects are refused.
    down: Option<(Duration, Duration)>,
}

impl Origin {
    pub fn new(number: u8, ledger: &Shared, weather: &Weather, random: &mut Random) -> Self {
        let outage = weather.rude_origins > 0 && random.chance(300);
        let start = random.micros(0..=10_000_000);
        let down = outage.then(|| (start, start + random.micros(100_000..=60_000_000)));
        Self { number, ledger: ledger.clone(), weather: weather.clone(), down }
    }
}

impl Host for Origin {
    fn accept(&mut self, now: Duration, _: &mut Random) -> peer::Answer {
        if self.down.is_some_and(|(from, to)| from <= now && now < to) {
            return peer::Answer::Refuse;
        }
        peer::Answer::Accept(Box::new(Conn {
            number: self.number,
            ledger: self.ledger.clone(),
            weather: self.weather.clone(),
            reader: Reader::of_requests(),
            current: None,
            waiting: false,
            ended: false,
            tunnel: false,
            requests: 0,
        }))
    }
}

/// One connection to an origin.
struct Conn {
    number: u8,
    ledger: Shared,
    weather: Weather,
    reader: Reader,
    current: Option<Exchange>,
    /// For a timer, in the middle of an answer.
    waiting: bool,
    ended: bool,
    /// The protocol was switched: everything is sent back.
    tunnel: bool,
    requests: usize,
}

/// The request being answered.
struct Exchange {
    /// None for a health probe: that is no client's request.
    attempt: Option<usize>,
    heard: Vec<u8>,
    request_over: bool,
    answer: Answer,
}

impl Conn {
    /// Reads and answers as far as both go.
    fn pump(&mut self, io: &mut PeerIo<'_>) {
        loop {
            if self.current.as_ref().is_none_or(|exchange| !exchange.request_over) {
                match self.reader.next() {
                    Ok(Some(piece)) => {
                        self.hear(piece, io);
                        continue;
                    }
                    Ok(None) => {}
                    Err(why) => panic!("origin {} got something that is not HTTP: {why}", self.number),
                }
            }
            if !self.answer(io) {
                return;
            }
        }
    }

    fn hear(&mut self, piece: Piece, io: &mut PeerIo<'_>) {
        match (piece, &mut self.current) {
            (Piece::Head(head), None) => {
                self.requests += 1;
                self.current = Some(self.begin(&head, io));
            }
            (Piece::Data(data), Some(exchange)) => exchange.heard.extend(data),
            (Piece::End(trailers), Some(exchange)) => {
                exchange.request_over = true;
                if let Some(attempt) = exchange.attempt {
                    self.ledger.borrow_mut().heard(attempt, &exchange.heard, &trailers, true);
                }
            }
            (piece, _) => unreachable!("the reader gave {piece:?} out of order"),
        }
    }

    fn begin(&mut self, head: &Head, io: &mut PeerIo<'_>) -> Exchange {
        let mut exchange =
            Exchange { attempt: None, heard: Vec::new(), request_over: false, answer: Answer::default() };
        if head.target() == HEALTH {
            let sick = io.random.chance(self.weather.rude_origins / 3);
            let status = if sick { "503 Sick" } else { "200 OK" };
            let wire = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            exchange.answer.steps.push_back(Step::Write(wire.into_bytes()));
            return exchange;
        }
        let mut ledger = self.ledger.borrow_mut();
        let attempt = ledger.attempt(self.number, head);
        ledger.tally.reused += usize::from(self.requests > 1);
        io.note(format!("origin {} takes attempt {attempt}", self.number));
        if ledger.requests[ledger.attempts[attempt].tag].poison {
            exchange.attempt = Some(attempt);
            exchange.answer.steps.push_back(Step::Close);
            return exchange;
        }
        let record = &mut ledger.attempts[attempt];
        let method = if head.has_token("connection", "upgrade") { UPGRADE } else { head.method() };
        let known = head.field("if-none-match").and_then(known);
        exchange.answer = match known.filter(|_| io.random.chance(700)) {
            Some(known) => Answer::unchanged(known, &self.weather, io.random),
            None => Answer::new(attempt, method, record, &self.weather, io.random),
        };
        if head.has_token("expect", "100-continue") && !exchange.answer.early {
            record.interim += 1;
            io.write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        exchange.attempt = Some(attempt);
        exchange
    }

    /// Plays steps until one has to wait; true if there may be another request to read.
    fn answer(&mut self, io: &mut PeerIo<'_>) -> bool {
        let Some(exchange) = &mut self.current else {
            if self.ended {
                io.close();
            }
            return false;
        };
        if self.waiting || !(exchange.request_over || exchange.answer.early) {
            return false;
        }
        while let Some(step) = self.current.as_mut().and_then(|exchange| exchange.answer.steps.pop_front()) {
            if !self.play(step, io) {
                return false;
            }
        }
        if self.current.as_ref().is_some_and(|exchange| !exchange.request_over) {
            return false;
        }
        self.current = None;
        true
    }

    /// One step; false if the next one has to wait, or will not come.
    fn play(&mut self, step: Step, io: &mut PeerIo<'_>) -> bool {
        match step {
            Step::Write(bytes) => io.write(bytes),
            Step::Junk(junk) => {
                self.ledger.borrow_mut().tally.junk += 1;
                if self.reader.rest().is_empty() {
                    io.act(PeerAction::Junk);
                }
                io.write(junk);
            }
            Step::Whole => {
                if let Some(attempt) = self.current.as_ref().and_then(|exchange| exchange.attempt) {
                    self.ledger.borrow_mut().attempts[attempt].whole = true;
                }
            }
            Step::Pause(pause) => {
                self.waiting = true;
                io.wake(pause, STEP);
                return false;
            }
            Step::Tunnel => {
                self.tunnel = true;
                self.reader.set_raw();
                io.write(self.reader.rest());
                if self.ended {
                    io.close();
                }
                return false;
            }
            Step::Close => {
                io.close();
                return false;
            }
            Step::Reset => {
                io.reset();
                return false;
            }
            Step::Stall => {
                self.waiting = true;
                return false;
            }
        }
        true
    }

    /// Ends, and in the middle of an answer so that this is seen: an end may be all that says where a body is over.
    fn break_off(&self, io: &mut PeerIo<'_>) {
        let attempt =
            self.current.as_ref().filter(|exchange| exchange.answer.early).and_then(|exchange| exchange.attempt);
        if attempt.is_some_and(|attempt| !self.ledger.borrow().attempts[attempt].whole) {
            io.reset();
        } else {
            io.close();
        }
    }

    /// Enters the part of a request whose rest will not come.
    fn give_up(&mut self) {
        if let Some(exchange) = &mut self.current
            && !exchange.request_over
            && let Some(attempt) = exchange.attempt
        {
            let mut ledger = self.ledger.borrow_mut();
            ledger.heard(attempt, &mem::take(&mut exchange.heard), &[], false);
            if !exchange.answer.early {
                ledger.left_off(attempt);
            }
        }
    }
}

/// The attempt that the first tag of a list names.
fn known(tags: &str) -> Option<usize> {
    tags.split('"').nth(1)?.parse().ok()
}

impl Peer for Conn {
    fn on(&mut self, event: PeerEvent<'_>, io: &mut PeerIo<'_>) {
        match event {
            PeerEvent::Connected => {
                if let Some((most, _)) = self.weather.steady {
                    io.read_at_most(most);
                }
            }
            PeerEvent::Received(bytes) if self.tunnel => io.write(bytes),
            PeerEvent::Received(bytes) => {
                if let Some((_, pause)) = self.weather.steady {
                    io.set_reading(false);
                    io.wake(pause, READ);
                }
                self.reader.push(bytes);
                self.pump(io);
            }
            PeerEvent::Ended => {
                self.ended = true;
                if self.tunnel {
                    return io.close();
                }
                if self.current.as_ref().is_some_and(|exchange| !exchange.request_over) {
                    self.give_up();
                    self.break_off(io);
                }
                self.pump(io);
            }
            PeerEvent::Failed(_) => self.give_up(),
            PeerEvent::Wake(READ) => io.set_reading(true),
            PeerEvent::Wake(_) => {
                self.waiting = false;
                self.pump(io);
            }
        }
    }
}
