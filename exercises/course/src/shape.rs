//! How many clients a server serves at once, told by its shape and not by its speed.
//!
//! Clients ask for work that is sleep, all at the same moment. 32 requests of 20 ms take an iterative server 640 ms, a pool
//! of 8 workers 80 ms, and a server with a thread for each client 20 ms. A busy machine only makes that longer: so a time that
//! is too short is believed at once, and one that is too long only if the shortest of several tries is.

use crate::{
    cause::{Cause, Diagnosis},
    client::Client,
    problem::{Problem, Seen},
    stage::Stage,
};
use std::time::{Duration, Instant};

/// The shapes of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One client after the other.
    Iterative,
    /// A fixed number at once, however many come.
    Pool(usize),
    /// All at once.
    Each,
}

/// The load that shows the shape.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    /// The number of clients that ask at once.
    pub(crate) clients: usize,
    /// How long each request keeps a handler busy, on a machine at rest.
    pub(crate) work: Duration,
    /// The bytes with which a client asks for so many milliseconds of work: everything, up to what ends the conversation.
    pub(crate) ask: &'a dyn Fn(u128) -> Vec<u8>,
    /// The answer that it must hear then, to the last byte that matters.
    pub(crate) hear: &'a dyn Fn(&mut Client, u128) -> Result<(), Problem>,
}

/// A run of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The number of clients.
    pub(crate) clients: usize,
    /// How long each request kept a handler busy.
    pub(crate) work: Duration,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// The shape that was wanted.
    pub(crate) wanted: Shape,
}

/// How often a run that took too long is tried again, each time with twice the work: what the machine adds weighs less then.
const TRIES: u32 = 4;
/// So far off there is no doubt, and one more try is enough.
const FAR: f64 = 6.0;
/// A run may take so much longer than sleep alone; the next shape takes at least twice as long.
const SLACK: f64 = 1.6;
/// A sleep is never shorter than it says; clocks that are read in different places may differ a little.
const EARLY: f64 = 0.9;

impl Ran {
    /// The time that sleep alone takes, with `at_once` handlers.
    fn ideal(&self, at_once: usize) -> Duration {
        self.work * u32::try_from(self.clients.div_ceil(at_once)).unwrap_or(u32::MAX)
    }

    fn wanted_at_once(&self) -> usize {
        match self.wanted {
            Shape::Iterative => 1,
            Shape::Pool(workers) => workers,
            Shape::Each => self.clients,
        }
    }

    /// Too fast for so few handlers: nothing but more handlers explains it.
    fn too_many(&self) -> bool {
        self.took < self.ideal(self.wanted_at_once()).mul_f64(EARLY)
    }

    /// Too slow for so many handlers, unless the machine was busy.
    fn too_few(&self) -> bool {
        self.wanted != Shape::Iterative && self.slowdown() > SLACK
    }

    /// How many times longer than with the wanted shape.
    fn slowdown(&self) -> f64 {
        self.took.as_secs_f64() / self.ideal(self.wanted_at_once()).as_secs_f64().max(1e-9)
    }

    /// How many were served at once, on average.
    fn at_once(&self) -> f64 {
        self.work.as_secs_f64() * self.clients as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// Why the shape is another one.
    pub(crate) fn diagnosis(&self) -> Diagnosis {
        let about = self.at_once();
        let cause = match () {
            () if self.too_many() => Cause::TooManyAtOnce,
            () if about < 1.5 => Cause::OneAtATime,
            () => Cause::TooFewAtOnce,
        };
        let (clients, work, took) = (self.clients, self.work.as_millis(), self.took.as_millis());
        let ideal = self.ideal(self.wanted_at_once()).as_millis();
        let facts = vec![
            format!(
                "{clients} clients asked for {work} ms each at the same moment; all had their answer after {took} ms:"
            ),
            format!("that is about {about:.0} at a time; with {} at a time it takes {ideal} ms", self.wanted_at_once()),
        ];
        Diagnosis { cause, facts }
    }
}

impl Stage {
    /// Complains if the server serves more or fewer clients at once than `wanted`.
    pub(crate) fn expect_shape(&mut self, wanted: Shape, load: &Load<'_>) -> Result<(), Problem> {
        // A full pool shows that one worker is missing, and one client more that there is one too many: each is a difference of twice.
        let edges = if let Shape::Pool(workers) = wanted { vec![workers, workers + 1] } else { Vec::new() };
        let counts = edges.into_iter().chain([load.clients]);
        counts.into_iter().try_for_each(|clients| self.expect_shape_of(wanted, &Load { clients, ..*load }))
    }

    fn expect_shape_of(&mut self, wanted: Shape, load: &Load<'_>) -> Result<(), Problem> {
        // A sleep that is long beside what the machine adds to it.
        let mut work = load.work.mul_f64(self.timing.scale());
        let mut best: Option<Ran> = None;
        for tried in 0..TRIES {
            let took = self.run_load(load, work)?;
            let ran = Ran { clients: load.clients, work, took, wanted };
            if ran.too_many() || !ran.too_few() {
                best = Some(ran);
                break;
            }
            best = Some(best.map_or(ran, |before| if before.slowdown() < ran.slowdown() { before } else { ran }));
            if tried > 0 && best.is_some_and(|best| best.slowdown() > FAR) {
                break;
            }
            work *= 2;
        }
        match best {
            Some(ran) if ran.too_many() || ran.too_few() => {
                let promise = match wanted {
                    Shape::Iterative => "that one client is served after the other".into(),
                    Shape::Pool(workers) => format!("that {workers} clients are served at once, and no more"),
                    Shape::Each => "that no client waits for another".into(),
                };
                Err(Problem::new(promise, Seen::Shape(ran)))
            }
            _ => Ok(()),
        }
    }

    /// The time from the first request to the last answer.
    fn run_load(&mut self, load: &Load<'_>, work: Duration) -> Result<Duration, Problem> {
        // Workers that have just been started, or have just let a client go, may not wait for the next one yet.
        self.until_rests();
        let mut clients = Vec::new();
        for _ in 0..load.clients {
            clients.push(self.connect()?);
        }
        let request = (load.ask)(work.as_millis());
        let begun = Instant::now();
        for client in &mut clients {
            client.send(&request)?;
        }
        for client in &mut clients {
            (load.hear)(client, work.as_millis())?;
        }
        let took = begun.elapsed();
        clients.into_iter().for_each(Client::close);
        Ok(took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(wanted: Shape, took: u64) -> Ran {
        Ran { clients: 32, work: Duration::from_millis(20), took: Duration::from_millis(took), wanted }
    }

    #[test]
    fn each_shape_is_told_from_its_neighbours() {
        let right = |wanted, took| !ran(wanted, took).too_many() && !ran(wanted, took).too_few();
        for (wanted, fits) in [(Shape::Iterative, 645), (Shape::Pool(8), 84), (Shape::Each, 25)] {
            for took in [25, 84, 645] {
                assert_eq!(right(wanted, took), took == fits, "{wanted:?} {took}");
            }
        }
        assert!(!right(Shape::Pool(8), 161), "four workers");
        assert!(!right(Shape::Pool(8), 41), "sixteen workers");
    }

    #[test]
    fn the_cause_says_in_which_direction() {
        assert_eq!(ran(Shape::Each, 650).diagnosis().cause, Cause::OneAtATime);
        assert_eq!(ran(Shape::Each, 90).diagnosis().cause, Cause::TooFewAtOnce);
        assert_eq!(ran(Shape::Pool(8), 22).diagnosis().cause, Cause::TooManyAtOnce);
        let facts = ran(Shape::Pool(8), 650).diagnosis().facts.join(" ");
        assert!(facts.contains("about 1 at a time; with 8 at a time it takes 80 ms"), "{facts}");
    }
}
