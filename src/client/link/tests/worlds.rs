//! Random worlds: every request has one outcome, and it is true.

use super::*;
use std::collections::BTreeMap;

/// A server that executes what it hears and answers when it likes, over a network that may lose everything at any byte.
struct Chaos {
    world: World,
    dice: SmallRng,
    up: bool,
    /// Bytes that left and have not arrived.
    travelling: String,
    /// Answers that have not arrived.
    answers: Vec<String>,
    executed: BTreeMap<&'static str, u32>,
    asked: BTreeMap<&'static str, (bool, Instant)>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let breaker = BreakerConfig { failures: 4, open_for: SECOND, successes: 3, trials: 1 };
        let config = Config {
            heartbeat: seed.is_multiple_of(2).then_some(HeartbeatConfig { interval: SECOND, timeout: SECOND }),
            breaker: seed.is_multiple_of(3).then_some(breaker),
            in_flight: 1 + (seed % 7) as usize,
            queue: 20,
            ..config()
        };
        let world = World::up(config);
        let (travelling, executed, asked) = (String::new(), BTreeMap::new(), BTreeMap::new());
        let dice = SmallRng::seed_from_u64(seed);
        Self { world, dice, up: true, travelling, answers: Vec::new(), executed, asked }
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.dice.random::<u64>() % limit as u64) as usize
    }

    fn step(&mut self, names: &mut impl Iterator<Item = &'static str>) {
        let (connects, closes) = (self.world.connects, self.world.closes);
        match self.below(10) {
            0 | 1 => {
                let (Some(name), idempotent) = (names.next(), self.below(2) == 0) else { return };
                self.asked.insert(name, (idempotent, self.world.now));
                self.world.ask(name, idempotent);
            }
            2 if self.up => {
                let most = self.below(40);
                self.world.write(most);
                self.travelling += &std::mem::take(&mut self.world.wire);
            }
            3 | 4 if self.up => self.arrive(),
            5 | 6 if self.up && !self.answers.is_empty() => {
                let at = self.below(self.answers.len());
                let line = self.answers.remove(at);
                self.world.hear(&line);
            }
            7 if self.up && self.below(4) == 0 => {
                self.cut();
                self.world.lose();
            }
            _ => {
                let time = MS * self.below(800) as u32;
                self.world.pass(time);
            }
        }
        if self.world.closes > closes {
            self.cut();
        }
        if self.world.connects > connects && !self.up {
            if self.below(3) > 0 {
                self.up = true;
                self.world.link.connected(self.world.now);
            } else {
                self.world.link.connect_failed(Cause::Connect(io::ErrorKind::ConnectionRefused), self.world.now);
            }
            self.world.settle();
        }
    }

    /// The server hears what has travelled, and executes whole lines.
    fn arrive(&mut self) {
        while let Some((line, rest)) = self.travelling.split_once('\n') {
            let (id, text) = line.split_once(' ').unwrap();
            if let Some((name, _)) = self.asked.get_key_value(text) {
                *self.executed.entry(name).or_default() += 1;
            } else {
                assert_eq!(text, "HEARTBEAT");
            }
            self.answers.push(format!("{id} re {text}\n"));
            self.travelling = rest.to_owned();
        }
    }

    /// The connection is no more. Some of what was on its way still arrives at the server.
    fn cut(&mut self) {
        if self.below(2) == 0 {
            self.arrive();
        }
        self.travelling.clear();
        self.answers.clear();
        self.world.wire.clear();
        self.up = false;
    }

    /// Every request has one outcome, and the outcome is true.
    fn judge(&self, seed: u64) {
        assert_eq!(self.world.done.len(), self.asked.len(), "seed {seed}");
        for (name, said) in &self.world.done {
            let executed = self.executed.get(name).copied().unwrap_or(0);
            let (idempotent, _) = self.asked[name];
            let context = format!("seed {seed}: {name}, idempotent: {idempotent}, executed {executed} times: {said}");
            assert!(idempotent || executed <= 1, "{context}");
            assert!(executed <= 3, "{context}");
            match said {
                _ if said.starts_with(&format!("re {name} (")) => assert!(executed > 0, "{context}"),
                _ if said.starts_with("not sent: ") => assert_eq!(executed, 0, "{context}"),
                _ => assert!(said.starts_with("may have been executed: "), "{context}"),
            }
        }
    }
}

#[test]
fn in_random_worlds_outcomes_are_true_and_in_time() {
    let names: Vec<&'static str> = (0..40).map(|n| &*Box::leak(format!("PAY {n}").into_boxed_str())).collect();
    let (mut answered, mut unknown, mut unsent) = (0, 0, 0);
    for seed in 0..400 {
        let mut chaos = Chaos::new(seed);
        let mut unused = names.iter().copied();
        for _ in 0..400 {
            chaos.step(&mut unused);
            let overdue = chaos.asked.iter().filter(|(name, (_, at))| {
                *at + config().policy.deadline < chaos.world.now
                    && chaos.world.done.iter().all(|(done, _)| done != *name)
            });
            assert_eq!(overdue.count(), 0, "seed {seed}: a request outlived its deadline");
        }
        chaos.world.pass(13 * SECOND);
        chaos.judge(seed);
        for (_, said) in &chaos.world.done {
            answered += usize::from(said.starts_with("re "));
            unknown += usize::from(said.starts_with("may"));
            unsent += usize::from(said.starts_with("not"));
        }
    }
    assert!(
        answered > 1000 && unknown > 100 && unsent > 100,
        "{answered} answered, {unknown} unknown, {unsent} unsent"
    );
}
