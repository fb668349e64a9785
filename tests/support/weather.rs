//! How unkind a world is: chosen once per seed, so that one seed shows one mixture of troubles and many seeds show many.

use super::random::Random;
use std::{ops::RangeInclusive, time::Duration};

/// The troubles of one world. Counts are in a thousand.
#[derive(Debug, Clone)]
pub struct Weather {
    /// Bytes that a connection holds in one direction before its sender has to wait.
    pub capacity: RangeInclusive<usize>,
    /// Microseconds that a piece is under way.
    pub delay: RangeInclusive<u64>,
    pub pieces: Pieces,
    /// Microseconds that the driver, or a peer, takes to get to what has arrived.
    pub lag: RangeInclusive<u64>,
    /// Bytes of the longest body.
    pub largest: usize,
    /// Connections that the network resets in the middle of whatever they do.
    pub resets: u32,
    /// Connections that fall silent: nothing arrives any more, and neither side is told.
    pub silences: u32,
    /// Connects that are refused.
    pub refusals: u32,
    /// Connects that are never answered.
    pub blackholes: u32,
    /// Connects that take seconds.
    pub slow_connects: u32,
    /// Resets that destroy what had already arrived.
    pub lossy_resets: u32,
    /// Steps, in a million, before which the clock jumps: a suspended laptop, a stopped process.
    pub jumps: usize,
    /// Requests for what others ask for, too: answers to these may be cached.
    pub shared: u32,
    /// Kernels that take nothing, once they were full, before a third of what they can hold is free.
    pub hoarding: bool,
    /// Peers that read all the time, and slowly: so many bytes, and after a pause as many again.
    pub steady: Option<(usize, Duration)>,
    /// Requests that make any origin break off. No trouble for the others: a world with these may be calm.
    pub poison: u32,
    /// Requests sent without waiting for the response before.
    pub pipelined: u32,
    /// Clients that speak HTTP/2.
    pub multiplexed: u32,
    /// Their requests that wait for a while, or until no other runs.
    pub hesitant: u32,
    /// Requests that are not HTTP, or not beyond doubt.
    pub broken: u32,
    /// Requests whose client misbehaves otherwise: gives up, stalls, does not read.
    pub rude_clients: u32,
    /// Responses whose origin misbehaves: dies, stalls, closes without a word.
    pub rude_origins: u32,
    /// Responses that are not HTTP, or not what was asked for.
    pub garbage: u32,
}

/// How the network cuts a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pieces {
    /// As the sender wrote it, as far as it fits.
    Whole,
    /// Anything from one byte up.
    Random,
    /// One byte at a time where a head may be, a handful in bodies.
    Tiny,
}

impl Weather {
    /// The same, from now on without connections that break and clocks that jump.
    pub fn settled(self) -> Self {
        Self { resets: 0, silences: 0, lossy_resets: 0, jumps: 0, ..self }
    }

    /// Nothing fails and all peers are polite: every request must be answered by an origin.
    pub fn calm(random: &mut Random) -> Self {
        // Bodies fit the way: a long one in small pieces over a slow line would take an hour, and the test a minute.
        let (delay, lag, window, largest) = random
            .pick(&[
                (0..=0, 0..=0, 16, 20_000),
                (0..=50, 0..=20, 64, 50_000),
                (10..=500, 0..=20, 512, 200_000),
                (10..=500, 0..=30_000, 4096, 200_000),
                (100..=40_000, 0..=20, 4096, 2_000_000),
            ])
            .clone();
        let pieces = *random.pick(&[Pieces::Whole, Pieces::Random, Pieces::Random, Pieces::Tiny]);
        let slow = *lag.end() > 1000 || *delay.end() > 1000;
        let (pieces, largest) = match pieces {
            Pieces::Tiny if slow => (Pieces::Random, largest),
            Pieces::Tiny => (Pieces::Tiny, 10_000),
            other => (other, largest),
        };
        Self {
            capacity: window..=*random.pick(&[16 * 1024, 64 * 1024, 1024 * 1024]),
            delay,
            pieces,
            lag,
            largest,
            resets: 0,
            silences: 0,
            refusals: 0,
            blackholes: 0,
            slow_connects: 0,
            lossy_resets: 0,
            jumps: 0,
            shared: 0,
            hoarding: false,
            steady: None,
            poison: 0,
            pipelined: 200,
            hesitant: 200,
            multiplexed: *random.pick(&[0, 0, 500, 1000]),
            broken: 0,
            rude_clients: 0,
            rude_origins: 0,
            garbage: 0,
        }
    }

    /// Each trouble is there or not, by itself, so that some seeds show one of them alone.
    pub fn mixed(random: &mut Random) -> Self {
        let mut some = |often: u32| if random.chance(350) { often } else { 0 };
        let (resets, silences, refusals, blackholes) = (some(150), some(60), some(200), some(80));
        let (slow_connects, lossy_resets, jumps) = (some(200), some(500), some(500) as usize);
        let (broken, rude_clients, rude_origins, garbage) = (some(150), some(250), some(250), some(150));
        Self {
            resets,
            silences,
            refusals,
            blackholes,
            slow_connects,
            lossy_resets,
            jumps,
            broken,
            rude_clients,
            rude_origins,
            garbage,
            ..Self::calm(random)
        }
    }

    /// Everything at once.
    pub fn storm(random: &mut Random) -> Self {
        let calm = Self::calm(random);
        Self {
            // A driver so busy that what arrived may wait for long.
            lag: if random.chance(300) { 0..=300_000 } else { calm.lag.clone() },
            resets: 250,
            silences: 80,
            refusals: 200,
            blackholes: 100,
            slow_connects: 200,
            lossy_resets: 500,
            jumps: 1000,
            broken: 100,
            rude_clients: 400,
            rude_origins: 300,
            garbage: 100,
            ..calm
        }
    }

    /// A quarter of the seeds are calm, a quarter stormy.
    pub fn of(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::calm(random),
            1 => Self::storm(random),
            _ => Self::mixed(random),
        }
    }

    /// Nothing is under way for any time: what an origin sends at once is there at once.
    pub fn prompt(random: &mut Random) -> Self {
        let roomy = 4 * 1024 * 1024;
        Self { capacity: roomy..=roomy, delay: 0..=0, pieces: Pieces::Whole, garbage: 300, ..Self::calm(random) }
    }

    pub fn is_prompt(&self) -> bool {
        *self.capacity.start() > self.largest && *self.delay.end() == 0 && self.pieces == Pieces::Whole
    }

    /// Whether every well-formed request has to succeed. Broken ones are refused, which does no harm to others.
    pub fn is_calm(&self) -> bool {
        [
            self.resets,
            self.silences,
            self.refusals,
            self.blackholes,
            self.slow_connects,
            self.rude_clients,
            self.rude_origins,
            self.garbage,
        ]
        .iter()
        .all(|trouble| *trouble == 0)
            && self.jumps == 0
    }
}

impl Pieces {
    /// How many of `len` waiting bytes move at once.
    pub fn of(self, len: usize, random: &mut Random) -> usize {
        match self {
            Self::Whole => len,
            Self::Random if random.chance(300) => len,
            Self::Random => random.magnitude(1..=len.max(1)),
            // A long body in single bytes would take the time of a hundred seeds and show nothing that its head did not.
            Self::Tiny => random.within(1..=1 + len / 64),
        }
    }
}
