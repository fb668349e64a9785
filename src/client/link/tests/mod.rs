//! A link with a clock and a peer of its own making: what the tests of each question have in common.

use super::*;
use crate::{
    client::{HeartbeatConfig, MAX_WINDOW, Policy, Request, testing::base},
    resilience::{Backoff, BreakerConfig},
};
use std::time::Duration;

mod answers;
mod breaking;
mod ending;
mod reconnecting;
mod repeating;
mod time;
mod worlds;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    Config {
        backoff: Backoff { base: 100 * MS, factor: 2.0, cap: SECOND, jitter: 0.25 },
        policy: Policy { deadline: 12 * SECOND, tries: 3 },
        heartbeat: None,
        ..Config::default()
    }
}

/// A link, and everything it said.
struct World {
    link: Link<&'static str>,
    start: Instant,
    now: Instant,
    /// Bytes that left on this connection.
    wire: String,
    done: Vec<(&'static str, String)>,
    events: Vec<String>,
    connects: usize,
    closes: usize,
}

impl World {
    fn new(config: Config) -> Self {
        let start = base();
        let link = Link::new(config, 7, start);
        let (done, events, wire) = (Vec::new(), Vec::new(), String::new());
        Self { link, start, now: start, wire, done, events, connects: 0, closes: 0 }
    }

    fn up(config: Config) -> Self {
        let mut world = Self::new(config);
        world.link.connected(world.now);
        world.settle();
        world
    }

    fn settle(&mut self) {
        while let Some(action) = self.link.next_action() {
            match action {
                Action::Connect => self.connects += 1,
                Action::Close => self.closes += 1,
                Action::Done(token, result) => {
                    let said = match result {
                        Ok(answer) => format!("{} ({})", answer.text, answer.tries),
                        Err(error) => error.to_string(),
                    };
                    self.done.push((token, said));
                }
                Action::Event(event) => self.events.push(match event {
                    Event::Connected => "connected".to_owned(),
                    Event::Lost { cause, again } => format!("{cause}: {} of {}", again.attempt, again.of),
                    Event::GaveUp { tries, .. } => format!("gave up after {tries}"),
                    Event::Breaker(state) => format!("{state:?}"),
                    Event::Late { id } => format!("late #{id}"),
                }),
            }
        }
    }

    fn ask(&mut self, text: &'static str, idempotent: bool) {
        let request = Request::new(text).unwrap();
        let request = if idempotent { request.idempotent() } else { request };
        self.link.submit(text, request, self.now);
        self.settle();
    }

    /// The kernel takes at most so many bytes.
    fn write(&mut self, most: usize) {
        let mut left = most;
        while left > 0 && self.link.unsent() > 0 {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = self.link.io_slices(&mut slices);
            let all: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            let taken = all.len().min(left);
            self.wire.push_str(str::from_utf8(&all[..taken]).unwrap());
            self.link.wrote(taken, self.now);
            left -= taken;
        }
    }

    /// Everything that wants to leave leaves; what left since the last call.
    fn sent(&mut self) -> String {
        self.write(usize::MAX);
        std::mem::take(&mut self.wire)
    }

    fn hear(&mut self, bytes: &str) {
        self.link.received(bytes.as_bytes(), self.now);
        self.settle();
    }

    fn lose(&mut self) {
        self.link.lost(Cause::Ended, self.now);
        self.wire.clear();
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        // The clock stops at every deadline, as a driver's does.
        while let Some(at) = self.link.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.link.expire(self.now);
            self.settle();
            assert!(self.link.deadline().is_none_or(|next| next > self.now), "a deadline left in the past");
        }
        self.now = until;
    }

    /// Lets time pass until the link wants a connection, and gives it one.
    fn come_back(&mut self) {
        let before = self.connects;
        for _ in 0..100_000 {
            if self.connects > before {
                self.link.connected(self.now);
                return self.settle();
            }
            self.pass(MS);
        }
        panic!("it does not try to connect");
    }

    fn take_done(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.done)
    }

    fn take_events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }
}
