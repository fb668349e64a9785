//! A link with a clock and a peer of its own making: step by step, and through random worlds.

use super::*;
use crate::{
    client::{HeartbeatConfig, Policy, Request, testing::base},
    resilience::{Backoff, BreakerConfig},
};
use std::{collections::BTreeMap, time::Duration};

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
    /// What left, on this connection.
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

const ENDED: &str = "then: the server closed the connection";

#[test]
fn what_is_sent_again_depends_on_every_byte_that_was_written() {
    const WIRE: &str = "#1 PAY 1\n#2 GET a\n#3 PAY 2\n";
    for cut in 0..=WIRE.len() {
        let mut world = World::up(config());
        world.ask("PAY 1", false);
        world.ask("GET a", true);
        world.ask("PAY 2", false);
        world.write(cut);
        assert_eq!(world.wire, WIRE[..cut]);
        world.lose();
        let lost = |from: usize, to: usize| match cut {
            _ if cut <= from => None,
            _ if cut < to => Some(format!("may have been executed: sent in part, {ENDED}")),
            _ => Some(format!("may have been executed: sent and not answered, {ENDED}")),
        };
        let payments = [("PAY 1", lost(0, 9)), ("PAY 2", lost(18, 27))];
        let failed: Vec<_> = payments.iter().filter_map(|(name, lost)| Some((*name, lost.clone()?))).collect();
        assert_eq!(world.take_done(), failed, "cut at {cut}");
        // The rest is sent in its order, with new ids; what may be repeated is.
        world.come_back();
        let texts: Vec<_> = world.sent().lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
        let again: Vec<_> = ["PAY 1", "GET a", "PAY 2"]
            .into_iter()
            .filter(|name| failed.iter().all(|(lost, _)| lost != name))
            .collect();
        assert_eq!(texts, again, "cut at {cut}");
    }
}

#[test]
fn answers_come_in_any_order_and_cut_anywhere() {
    const ANSWERS: &str = "#2 B\r\n#3 \n#1 A\n";
    for cut in 0..=ANSWERS.len() {
        let mut world = World::up(config());
        for text in ["a", "b", "c"] {
            world.ask(text, false);
        }
        assert_eq!(world.sent(), "#1 a\n#2 b\n#3 c\n");
        world.hear(&ANSWERS[..cut]);
        world.hear(&ANSWERS[cut..]);
        let said = [("b", "B (1)"), ("c", " (1)"), ("a", "A (1)")].map(|(name, said)| (name, said.to_owned()));
        assert_eq!(world.take_done(), said);
    }
}

#[test]
fn a_late_answer_is_not_given_to_anybody() {
    let mut world = World::up(config());
    world.ask("GET a", true);
    assert_eq!(world.sent(), "#1 GET a\n");
    // A third of the time, for three tries.
    world.pass(4 * SECOND);
    assert_eq!(world.sent(), "#2 GET a\n");
    world.ask("PAY 1", false);
    assert_eq!(world.sent(), "#3 PAY 1\n");
    world.hear("#1 old\n");
    assert_eq!((world.take_done(), world.take_events()), (vec![], vec!["connected".into(), "late #1".into()]));
    world.hear("#3 paid\n#2 new\n");
    assert_eq!(world.take_done(), [("PAY 1", "paid (1)".to_owned()), ("GET a", "new (2)".to_owned())]);
    assert_eq!(world.link.stats().late, 1);
}

#[test]
fn the_deadline_holds_over_all_tries() {
    for idempotent in [false, true] {
        let mut world = World::up(config());
        world.ask("x", idempotent);
        let mut tries = 0;
        for _ in 0..120 {
            assert_eq!(world.done, [], "at {:?}", world.now - world.start);
            tries += world.sent().lines().count();
            world.pass(100 * MS);
        }
        assert_eq!(tries, if idempotent { 3 } else { 1 });
        let said = "may have been executed: sent and not answered, then: no answer in time";
        assert_eq!(world.take_done(), [("x", said.to_owned())]);
    }
    // Without a connection nothing leaves, and the time is over all the same.
    let mut world = World::new(config());
    world.ask("x", false);
    world.link.connect_failed(Cause::Connect(io::ErrorKind::ConnectionRefused), world.now);
    world.pass(12 * SECOND - MS);
    assert_eq!(world.done, []);
    world.pass(MS);
    assert_eq!(world.take_done(), [("x", "not sent: no answer to the attempt to connect".to_owned())]);
}

#[test]
fn what_has_not_left_when_its_time_is_over_never_leaves() {
    let mut world = World::up(Config { in_flight: 100, ..config() });
    world.ask("first", false);
    world.ask("second", false);
    world.write(3);
    world.pass(12 * SECOND);
    let first = "may have been executed: sent in part, then: no answer in time";
    let second = "not sent: no answer in time";
    assert_eq!(world.take_done(), [("first", first.to_owned()), ("second", second.to_owned())]);
    world.ask("third", false);
    // Half a line would swallow the next one.
    assert_eq!(world.sent(), "#1 first\n#3 third\n");
    world.hear("#1 late\n#3 3\n");
    assert_eq!(world.take_done(), [("third", "3 (1)".to_owned())]);
}

#[test]
fn a_peer_that_breaks_the_rules_is_left() {
    let long = format!("#1 {}", "x".repeat(MAX_ANSWER));
    for (said, why) in [
        ("#7 x\n", "the server sent an answer to a request that was never sent"),
        ("#0 x\n", "the server sent a second answer to a request"),
        ("hello\n", "the server sent a line without a request id"),
        (&long, "the server sent an endless line"),
    ] {
        let mut world = World::up(config());
        world.ask("PAY 1", false);
        world.sent();
        world.hear(said);
        // What else it says is not heard.
        world.hear("#1 x\n");
        assert_eq!(world.closes, 1, "{said:?}");
        let expected = format!("may have been executed: sent and not answered, then: {why}");
        assert_eq!(world.take_done(), [("PAY 1", expected)]);
        world.come_back();
    }
}

#[test]
fn who_is_refused_by_a_full_server_loses_nothing() {
    let mut world = World::up(config());
    world.ask("PAY 1", false);
    assert_eq!(world.sent(), "#1 PAY 1\n");
    world.hear("ERROR busy: try again later\n");
    assert_eq!((world.take_done(), world.closes), (vec![], 1));
    world.come_back();
    assert_eq!(world.sent(), "#2 PAY 1\n");
    // After an answer, it would be a line like any other that has no id.
    world.hear("#2 paid\n");
    world.ask("PAY 2", false);
    world.sent();
    world.hear("ERROR busy: try again later\n");
    assert!(world.take_done()[1].1.starts_with("may have been executed"));
}

#[test]
fn a_silent_peer_is_found_within_interval_and_timeout() {
    let heartbeat = HeartbeatConfig { interval: 2 * SECOND, timeout: SECOND };
    let mut world = World::up(Config { heartbeat: Some(heartbeat), ..config() });
    world.pass(2 * SECOND);
    assert_eq!(world.sent(), "#1 HEARTBEAT\n");
    world.hear("#1 HEARTBEAT_ACK\n");
    assert_eq!(world.take_done(), []);
    world.ask("PAY 1", false);
    assert_eq!(world.sent(), "#2 PAY 1\n");
    world.pass(3 * SECOND - MS);
    assert_eq!((world.sent().as_str(), world.closes), ("#3 HEARTBEAT\n", 0));
    world.pass(MS);
    assert_eq!(world.closes, 1);
    let said = "may have been executed: sent and not answered, then: the server is silent, even to heartbeats";
    assert_eq!(world.take_done(), [("PAY 1", said.to_owned())]);
    world.come_back();
}

#[test]
fn it_gives_up_after_its_tries_and_begins_anew_when_asked() {
    let mut world = World::up(Config { reconnects: 3, ..config() });
    let refuse = |world: &mut World| {
        let (before, began) = (world.connects, world.now);
        while world.connects == before {
            world.pass(MS);
        }
        world.link.connect_failed(Cause::Connect(io::ErrorKind::ConnectionRefused), world.now);
        world.settle();
        world.now - began
    };
    world.lose();
    for wait in [100, 200, 400] {
        let waited = refuse(&mut world);
        assert!((wait * MS * 3 / 4..=wait * MS * 5 / 4 + MS).contains(&waited), "{waited:?} for {wait} ms");
        if wait == 100 {
            world.ask("PAY 1", false);
        }
    }
    assert_eq!(world.take_done(), [("PAY 1", "not sent: gave up after 3 tries (nothing listens there)".to_owned())]);
    assert_eq!(world.events.last().map(String::as_str), Some("gave up after 3"));
    world.pass(3600 * SECOND);
    assert_eq!(world.connects, 3);
    world.ask("PAY 2", false);
    assert_eq!(world.connects, 4);
    world.link.connected(world.now);
    assert_eq!(world.sent(), "#1 PAY 2\n");
}

#[test]
fn a_server_that_accepts_and_closes_is_not_asked_for_ever() {
    let mut world = World::up(Config { reconnects: 3, ..config() });
    for _ in 0..3 {
        world.lose();
        world.come_back();
    }
    world.lose();
    assert_eq!(world.take_events().last().map(String::as_str), Some("gave up after 3"));
}

#[test]
fn an_attempt_to_connect_that_hangs_is_a_failed_one() {
    let mut world = World::new(config());
    world.ask("PAY 1", false);
    assert_eq!(world.connects, 1);
    world.pass(config().connect_timeout - MS);
    assert_eq!(world.closes, 0);
    world.pass(MS);
    assert_eq!((world.closes, world.connects), (1, 1));
    world.come_back();
    assert_eq!(world.sent(), "#1 PAY 1\n");
}

#[test]
fn the_breaker_opens_refuses_and_closes_after_three_successes() {
    let breaker = BreakerConfig { failures: 2, open_for: SECOND, successes: 3, trials: 1 };
    let mut world =
        World::up(Config { breaker: Some(breaker), policy: Policy { deadline: SECOND, tries: 1 }, ..config() });
    for text in ["a", "b"] {
        world.ask(text, false);
    }
    world.sent();
    world.pass(SECOND);
    assert_eq!(world.take_events(), ["connected", "Open"]);
    world.take_done();
    world.ask("c", false);
    assert_eq!(world.take_done(), [("c", "not sent: the breaker is open for another 1s".to_owned())]);
    assert_eq!(world.sent(), "");
    world.pass(SECOND);
    for n in 0..3 {
        // One at a time.
        world.ask("d", false);
        world.ask("e", false);
        let (name, said) = world.take_done().remove(0);
        assert!(name == "e" && said.starts_with("not sent: the breaker is open"), "{said}");
        let sent = world.sent();
        assert_eq!(sent, format!("#{} d\n", n + 3));
        world.hear(&sent);
        world.take_done();
    }
    assert_eq!(world.take_events(), ["HalfOpen", "Closed"]);
    world.ask("f", false);
    world.ask("g", false);
    assert_eq!((world.sent().lines().count(), world.take_done()), (2, vec![]));
}

#[test]
fn whoever_waits_when_the_breaker_opens_is_told_at_once() {
    let breaker = BreakerConfig { failures: 3, open_for: 60 * SECOND, successes: 3, trials: 1 };
    let mut world = World::new(Config { breaker: Some(breaker), ..config() });
    world.ask("PAY 1", false);
    for n in 1..=3 {
        assert_eq!((world.take_done(), world.connects), (vec![], n));
        world.link.connect_failed(Cause::Connect(io::ErrorKind::ConnectionRefused), world.now);
        world.settle();
        if n < 3 {
            world.pass(SECOND);
        }
    }
    assert_eq!(world.take_done(), [("PAY 1", "not sent: the breaker is open for another 60s".to_owned())]);
}

#[test]
fn too_many_requests_are_refused_and_a_closed_client_takes_none() {
    let mut world = World::up(Config { in_flight: 1, queue: 1, ..config() });
    for text in ["a", "b", "c"] {
        world.ask(text, false);
    }
    assert_eq!(world.take_done(), [("c", "not sent: too many requests wait already".to_owned())]);
    assert_eq!(world.sent(), "#1 a\n");
    world.link.close();
    world.settle();
    let a = "may have been executed: sent and not answered, then: the client is closed";
    let closed = "not sent: the client is closed";
    world.ask("d", true);
    assert_eq!(world.take_done(), [("a", a.to_owned()), ("b", closed.to_owned()), ("d", closed.to_owned())]);
    assert!(world.link.is_done() && world.link.deadline().is_none());
}

#[test]
fn in_an_outage_repeated_requests_are_a_share_of_all() {
    let config = Config { in_flight: 1000, queue: 1000, policy: Policy { deadline: SECOND, tries: 3 }, ..config() };
    let mut world = World::up(config);
    for _ in 0..500 {
        world.ask("GET a", true);
    }
    let mut sent = 0;
    for _ in 0..100 {
        sent += world.sent().lines().count();
        world.pass(10 * MS);
    }
    assert_eq!(world.take_done().len(), 500);
    // One in five, ten a second, and as many at once.
    assert!((600..=500 + 100 + 20).contains(&sent), "{sent}");
}

#[test]
fn it_ends_when_everything_is_answered() {
    let mut world = World::up(config());
    world.ask("a", false);
    world.sent();
    world.link.finish();
    assert!(!world.link.is_done());
    world.hear("#1 A\n");
    assert!(world.link.is_done());
    // A server that closes now is not connected to again.
    world.lose();
    assert_eq!((world.link.deadline(), world.link.is_done()), (None, true));
}

/// A server that executes what it hears and answers when it likes, over a network that may lose everything at any byte.
struct Chaos {
    world: World,
    dice: SmallRng,
    up: bool,
    /// What left and has not arrived.
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
