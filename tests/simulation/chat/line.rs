//! One connection of a client: its language, and how well it reads.

use super::{person::Person, wire::Wire};
use crate::support::peer::{Peer, PeerEvent, PeerIo};
use std::{cell::RefCell, rc::Rc, time::Duration};

/// Wake-ups of a line.
const NEXT: u32 = 0;
const READ: u32 = 1;

/// One connection of a person.
pub struct Line {
    person: Rc<RefCell<Person>>,
    number: usize,
    wire: Wire,
    /// Messages that were not answered were repeated on it.
    has_repeated: bool,
    is_over: bool,
}

impl Line {
    /// The person uses this connection from now on, whether it has another one or not.
    pub fn new(person: &Rc<RefCell<Person>>, now: Duration) -> Self {
        let mut known = person.borrow_mut();
        known.lines += 1;
        let (number, wire) = (known.lines, Wire::new(known.ways.is_socket));
        if known.line.is_some() {
            known.lose(now);
        }
        known.line = Some(number);
        Self { person: Rc::clone(person), number, wire, has_repeated: false, is_over: false }
    }

    fn say(&self, lines: &[String], io: &mut PeerIo<'_>) {
        for line in lines {
            let bytes = self.wire.line(line, io.random);
            io.write(bytes);
        }
    }

    fn hear(&mut self, bytes: &[u8], io: &mut PeerIo<'_>) {
        let (heard, answer) = self.wire.hear(bytes);
        if !answer.is_empty() {
            io.write(answer);
        }
        for heard in heard {
            let lines = self.person.borrow_mut().hear(heard, io.now);
            self.say(&lines, io);
        }
        // Only a person that is in its rooms may say something there.
        let person = self.person.borrow();
        if person.is_open() && !self.has_repeated {
            self.has_repeated = true;
            let lines = person.repeat();
            drop(person);
            self.say(&lines, io);
        }
    }

    /// Gone, in whichever way.
    fn end(&mut self, io: &mut PeerIo<'_>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let mut person = self.person.borrow_mut();
        if person.line == Some(self.number) {
            person.lose(io.now);
        }
        if io.random.chance(500) { io.reset() } else { io.close() }
    }

    fn next(&mut self, io: &mut PeerIo<'_>) {
        let mut person = self.person.borrow_mut();
        let left = person.plan.len();
        let lines = if person.is_open() && self.has_repeated { person.act() } else { Vec::new() };
        if !person.is_calm && io.random.chance(person.ways.rude) {
            let quit = person.quit(io.random).map(str::to_owned);
            drop(person);
            self.say(&lines, io);
            self.say(quit.as_slice(), io);
            return self.end(io);
        }
        if !person.is_calm || !person.plan.is_empty() {
            // A client that has nothing to say looks again later.
            let pace = if left == person.plan.len() { 100_000 } else { person.ways.pace };
            let pause = io.random.micros(1..=pace);
            io.wake(pause, NEXT);
        }
        drop(person);
        self.say(&lines, io);
    }
}

impl Peer for Line {
    fn on(&mut self, event: PeerEvent<'_>, io: &mut PeerIo<'_>) {
        if self.is_over {
            return;
        }
        // Its person has another connection: this one is left alone for a while, then it goes.
        let is_old = self.person.borrow().line != Some(self.number);
        match event {
            PeerEvent::Connected if is_old => self.end(io),
            PeerEvent::Connected => {
                let mut person = self.person.borrow_mut();
                let (first, ways) = (person.begin(), person.ways.clone());
                drop(person);
                io.write(self.wire.hello());
                self.say(&[first], io);
                ways.slow.into_iter().for_each(|(most, _)| io.read_at_most(most));
                let pause = io.random.micros(1..=ways.pace);
                io.wake(pause, NEXT);
            }
            PeerEvent::Wake(READ) => io.set_reading(true),
            PeerEvent::Failed(_) | PeerEvent::Ended => self.end(io),
            PeerEvent::Wake(_) if is_old => self.end(io),
            PeerEvent::Received(_) if is_old => {}
            PeerEvent::Received(bytes) => {
                let slow = self.person.borrow().ways.slow;
                if let Some((_, pause)) = slow {
                    io.set_reading(false);
                    io.wake(Duration::from_micros(pause), READ);
                }
                self.hear(bytes, io);
            }
            PeerEvent::Wake(_) => self.next(io),
        }
    }
}

/// A connection that asks for much and never reads.
pub struct Deaf {
    wire: Wire,
    number: usize,
    room: String,
    left: usize,
}

impl Deaf {
    pub fn new(number: usize, is_socket: bool, room: &str) -> Self {
        Self { wire: Wire::new(is_socket), number, room: room.to_owned(), left: 60 }
    }
}

impl Peer for Deaf {
    fn on(&mut self, event: PeerEvent<'_>, io: &mut PeerIo<'_>) {
        let lines = match event {
            PeerEvent::Connected => {
                io.set_reading(false);
                io.write(self.wire.hello());
                vec![format!("/nick deaf-{}", self.number), format!("/join {}", self.room)]
            }
            PeerEvent::Wake(_) if self.left > 0 => vec!["/rooms".to_owned(), "/help".to_owned()],
            PeerEvent::Received(_) | PeerEvent::Ended | PeerEvent::Failed(_) | PeerEvent::Wake(_) => return,
        };
        for line in lines {
            let bytes = self.wire.line(&line, io.random);
            io.write(bytes);
        }
        self.left -= 1;
        io.wake(Duration::from_millis(300), NEXT);
    }
}
