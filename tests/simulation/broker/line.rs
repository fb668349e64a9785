//! One connection of a client: it breaks, and may be read slowly.

use super::person::Person;
use crate::support::peer::{Peer, PeerEvent, PeerIo};
use bytes::Bytes;
use socket_patterns::mqtt::{decode, frame};
use std::{cell::RefCell, rc::Rc, time::Duration};

/// Wake-ups of a line.
const NEXT: u32 = 0;
const READ: u32 = 1;

/// One connection of a client.
pub struct Line {
    person: Rc<RefCell<Person>>,
    number: usize,
    inbox: Vec<u8>,
    is_over: bool,
}

impl Line {
    /// The person uses this connection from now on, whether it has another one or not.
    pub fn new(person: &Rc<RefCell<Person>>, now: Duration) -> Self {
        let number = person.borrow_mut().turn(now);
        Self { person: Rc::clone(person), number, inbox: Vec::new(), is_over: false }
    }

    fn packets(&mut self, io: &mut PeerIo<'_>) {
        let mut person = self.person.borrow_mut();
        while let Some(frame) = frame(&self.inbox).expect("a packet") {
            if self.inbox.len() < frame.len() {
                break;
            }
            let rest = self.inbox.split_off(frame.len());
            let whole = std::mem::replace(&mut self.inbox, rest);
            let body = Bytes::copy_from_slice(&whole[frame.head..]);
            let packet = decode(frame, body, person.ways.version).expect("a packet of its version");
            if !person.hear(packet, io) {
                drop(person);
                return self.end(io);
            }
        }
    }

    /// Gone, in whichever way.
    fn end(&mut self, io: &mut PeerIo<'_>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let mut person = self.person.borrow_mut();
        if person.is_on(self.number) {
            person.lose(io.now);
        }
        if io.random.chance(500) { io.reset() } else { io.close() }
    }

    fn next(&mut self, io: &mut PeerIo<'_>) {
        let mut person = self.person.borrow_mut();
        let left = person.plan.len();
        if person.is_open {
            for _ in 0..io.random.within(1..=3) {
                person.publish_next(io);
            }
        }
        if !person.is_calm && io.random.chance(person.ways.rude) {
            if person.is_open && io.random.chance(300) {
                person.say_goodbye(io);
            }
            drop(person);
            return self.end(io);
        }
        if !person.is_calm || !person.plan.is_empty() {
            // A client that has nothing to say looks again later.
            let pace = if left == person.plan.len() { 100_000 } else { person.ways.pace };
            let pause = io.random.micros(1..=pace);
            io.wake(pause, NEXT);
        }
    }
}

impl Peer for Line {
    fn on(&mut self, event: PeerEvent<'_>, io: &mut PeerIo<'_>) {
        if self.is_over {
            return;
        }
        // Its person has another connection: this one is left alone for a while, then it goes.
        let is_old = !self.person.borrow().is_on(self.number);
        match event {
            PeerEvent::Connected if is_old => self.end(io),
            PeerEvent::Connected => {
                let mut person = self.person.borrow_mut();
                person.begin(io);
                let (pace, slow) = (person.ways.pace, person.ways.slow);
                slow.into_iter().for_each(|(most, _)| io.read_at_most(most));
                let pause = io.random.micros(1..=pace);
                io.wake(pause, NEXT);
            }
            PeerEvent::Wake(READ) => io.set_reading(true),
            PeerEvent::Failed(_) | PeerEvent::Ended => self.end(io),
            PeerEvent::Wake(_) if is_old => self.end(io),
            PeerEvent::Received(_) if is_old => {}
            PeerEvent::Received(bytes) => {
                self.inbox.extend_from_slice(bytes);
                let slow = self.person.borrow().ways.slow;
                if let Some((_, pause)) = slow {
                    io.set_reading(false);
                    io.wake(Duration::from_micros(pause), READ);
                }
                self.packets(io);
            }
            PeerEvent::Wake(_) => self.next(io),
        }
    }
}
