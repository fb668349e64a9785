//! What health says after what it was told.

use super::*;
use crate::resilience::{Admit, Breaker, BreakerConfig, BreakerState};
use proptest::prelude::*;
use std::{net::SocketAddr, sync::LazyLock};

/// The instant at which all tests start.
pub(super) fn start() -> Instant {
    // Any instant will do: nothing here reads the clock again.
    #[allow(clippy::disallowed_methods)]
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}

fn backends(n: u16) -> Vec<Backend> {
    let backend = |id| Backend {
        id: BackendId(id),
        name: format!("localhost:{}", 3000 + id),
        address: SocketAddr::from(([127, 0, 0, 1], 3000 + id)),
        weight: 1,
        max: None,
    };
    (0..n).map(backend).collect()
}

/// Round numbers, to be able to follow the tables.
fn config() -> HealthConfig {
    HealthConfig {
        interval: Duration::from_secs(2),
        max_interval: Duration::from_secs(10),
        fail_after: 3,
        recover_after: 2,
        slow_start: Duration::from_secs(9),
        breaker: BreakerConfig { failures: 2, open_for: Duration::from_secs(10), successes: 3, trials: 1 },
        ..HealthConfig::default()
    }
}

const REFUSED: FailureKind = FailureKind::Connect(std::io::ErrorKind::ConnectionRefused);
const ID: BackendId = BackendId(1);

/// Two backends, of which the second has adventures.
struct World {
    health: Health,
    now: Instant,
}

impl World {
    fn new(config: HealthConfig) -> Self {
        Self { health: Health::new(&backends(2), config, start()), now: start() }
    }

    /// Does what `step` says and returns the line for the log, or an empty one.
    fn step(&mut self, step: &str) -> String {
        let (health, now) = (&self.health, self.now);
        let change = match step {
            "probe ok" => health.probed(ID, Ok(()), now),
            "probe fails" => health.probed(ID, Err(ProbeFailure::Timeout), now),
            "admit" => {
                assert!(health.admit(ID, now));
                None
            }
            "refuse" => {
                assert!(!health.admit(ID, now));
                None
            }
            "ok" => health.report(ID, Outcome::Success, now),
            "fails" => health.report(ID, Outcome::Failure(REFUSED), now),
            "lost" => health.report(ID, Outcome::Neutral, now),
            "drain" => health.set_draining(ID, true, now),
            "undrain" => health.set_draining(ID, false, now),
            time => {
                self.now += humantime::parse_duration(time).expect("a step that is no event is a time");
                None
            }
        };
        change.map(|change| change.to_string()).unwrap_or_default()
    }

    fn state(&self) -> String {
        match self.health.available(ID, self.now) {
            Availability::Up { weight_percent } => format!("up {weight_percent}"),
            Availability::Down(DownReason::Draining) => "draining".into(),
            Availability::Down(DownReason::Probes { .. }) => "probes".into(),
            Availability::Down(DownReason::Breaker { .. }) => "breaker".into(),
            Availability::Down(DownReason::OnTrial) => "trial".into(),
        }
    }
}

/// What happens, what the backend's availability is then, and what the log says.
type Row = (&'static str, &'static str, &'static str);

fn check(config: HealthConfig, rows: &[Row]) {
    let mut world = World::new(config);
    for (n, (step, state, line)) in rows.iter().enumerate() {
        let said = world.step(step);
        let line = if line.is_empty() { String::new() } else { format!("backend 1 (localhost:3001) {line}") };
        assert_eq!((world.state().as_str(), said.as_str()), (*state, line.as_str()), "row {n}: {step}");
        let other = world.health.available(BackendId(0), world.now);
        assert_eq!(other, Availability::Up { weight_percent: 100 }, "row {n}: the other backend");
    }
}

#[test]
fn probes_take_it_out_and_bring_it_back_slowly() {
    check(
        config(),
        &[
            ("probe fails", "up 100", ""),
            ("probe fails", "up 100", ""),
            ("probe ok", "up 100", ""),
            ("probe fails", "up 100", ""),
            ("probe fails", "up 100", ""),
            ("admit", "up 100", ""),
            ("probe fails", "probes", "down: 3 failed probes, last: no answer in time"),
            ("refuse", "probes", ""),
            ("ok", "probes", ""), // the request that was under way
            ("probe ok", "probes", ""),
            ("probe fails", "probes", ""),
            ("1h", "probes", ""),
            ("probe ok", "probes", ""),
            ("probe ok", "up 10", "up: 2 successful probes"),
            ("admit", "up 10", ""),
            ("ok", "up 10", ""),
            ("99ms", "up 10", ""),
            ("1ms", "up 11", ""),
            ("4400ms", "up 55", ""),
            ("4499ms", "up 99", ""),
            ("1ms", "up 100", ""),
        ],
    );
}

#[test]
fn failed_requests_open_the_breaker_and_trials_close_it() {
    check(
        config(),
        &[
            ("admit", "up 100", ""),
            ("fails", "up 100", ""),
            ("admit", "up 100", ""),
            ("ok", "up 100", ""), // in a row, or they do not count
            ("admit", "up 100", ""),
            ("fails", "up 100", ""),
            ("admit", "up 100", ""),
            ("lost", "up 100", ""), // tells nothing, so that the row goes on
            ("admit", "up 100", ""),
            ("fails", "breaker", "down: breaker open after 2 failed requests in a row, last: connection refused"),
            ("ok", "breaker", ""), // from before: too late
            ("fails", "breaker", ""),
            ("probe ok", "breaker", ""), // a probe does not outweigh requests
            ("9999ms", "breaker", ""),
            ("refuse", "breaker", ""),
            ("1ms", "up 10", ""),
            ("admit", "trial", ""),
            ("refuse", "trial", ""),
            ("lost", "up 10", ""),
            ("admit", "trial", ""),
            ("fails", "breaker", "down: breaker open after 3 failed requests in a row, last: connection refused"),
            ("10s", "up 10", ""),
            ("admit", "trial", ""),
            ("10s", "up 10", ""), // a trial that nobody reported
            ("admit", "trial", ""),
            ("ok", "up 10", ""),
            ("admit", "trial", ""),
            ("ok", "up 10", ""),
            ("admit", "trial", ""),
            ("ok", "up 10", "up: breaker closed after 3 successful trial requests"),
            ("admit", "up 10", ""),
            ("admit", "up 10", ""),
            ("9s", "up 100", ""),
            ("fails", "up 100", ""),
        ],
    );
}

#[test]
fn draining_stops_new_requests_only() {
    check(
        config(),
        &[
            ("undrain", "up 100", ""),
            ("admit", "up 100", ""),
            ("drain", "draining", "down: draining"),
            ("drain", "draining", ""),
            ("refuse", "draining", ""),
            ("ok", "draining", ""),
            ("undrain", "up 10", "up: no longer draining"),
        ],
    );
}

#[test]
fn reasons_come_and_go_by_themselves() {
    check(
        config(),
        &[
            ("fails", "up 100", ""),
            ("fails", "breaker", "down: breaker open after 2 failed requests in a row, last: connection refused"),
            ("probe fails", "breaker", ""),
            ("probe fails", "breaker", ""),
            ("probe fails", "probes", "down: 3 failed probes, last: no answer in time"),
            ("drain", "draining", "down: draining"),
            ("undrain", "probes", "still down: no longer draining, but 3 failed probes, last: no answer in time"),
            ("probe ok", "probes", ""),
            (
                "probe ok",
                "breaker",
                "still down: 2 successful probes, but breaker open after 2 failed requests in a row, \
                 last: connection refused",
            ),
            ("10s", "up 10", ""),
            ("probe fails", "up 10", ""),
            ("probe fails", "up 10", ""),
            ("probe fails", "probes", "down: 3 failed probes, last: no answer in time"),
            ("refuse", "probes", ""), // and takes no trial
            ("probe ok", "probes", ""),
            ("probe ok", "up 10", "up: 2 successful probes"),
            ("9s", "up 10", ""), // still on trial
            ("admit", "trial", ""),
            ("drain", "draining", "down: draining"),
            ("ok", "draining", ""),
            ("undrain", "up 10", "up: no longer draining"),
        ],
    );
}

#[test]
fn slow_start_and_breaker_can_be_switched_off() {
    let breaker = BreakerConfig { failures: 0, ..config().breaker };
    check(
        HealthConfig { slow_start: Duration::ZERO, breaker, ..config() },
        &[
            ("fails", "up 100", ""),
            ("fails", "up 100", ""),
            ("fails", "up 100", ""),
            ("admit", "up 100", ""),
            ("drain", "draining", "down: draining"),
            ("refuse", "draining", ""),
            ("undrain", "up 100", "up: no longer draining"),
        ],
    );
}

#[test]
fn the_flags_answer_as_soon_as_nothing_is_wrong() {
    // What each step leaves: S settled, A admits, C clean.
    const ROWS: &[(&str, &str)] = &[
        ("probe ok", "SAC"),
        ("probe fails", "SAC"),
        ("fails", "SA"),
        ("lost", "SA"),
        ("ok", "SAC"),
        ("drain", "C"),
        ("undrain", "AC"),
        ("9s", "SAC"), // seen by the next look, which the test takes
        ("fails", "SA"),
        ("fails", ""),
        ("10s", ""),
        ("admit", ""),
        ("ok", ""),
        ("ok", ""),
        ("ok", "AC"),
        ("9s", "SAC"),
    ];
    let mut world = World::new(config());
    for (n, (step, expected)) in ROWS.iter().enumerate() {
        world.step(step);
        world.state();
        let record = world.health.record(ID);
        let flags: String = [(SETTLED, 'S'), (ADMITS, 'A'), (CLEAN, 'C')]
            .iter()
            .filter(|(flag, _)| record.is(*flag))
            .map(|f| f.1)
            .collect();
        assert_eq!(flags, *expected, "row {n}: {step}");
    }
}

#[test]
fn a_healthy_backend_needs_no_lock() {
    let health = Health::new(&backends(1), config(), start());
    let id = BackendId(0);
    // Facts changed behind the back of the flags: whoever takes the lock sees that it is down.
    health.record(id).facts().draining = true;
    assert_eq!(health.available(id, start()), Availability::Up { weight_percent: 100 });
    assert!(health.admit(id, start()));
    assert_eq!(health.report(id, Outcome::Success, start()), None);
    assert_eq!(health.report(id, Outcome::Neutral, start()), None);
    assert_eq!((health.generation(), health.fresh_until(start())), (0, None));
    assert_eq!(health.snapshot(start())[0].state, State::Draining, "the snapshot takes the lock");
}

#[test]
fn retry_after_is_when_somebody_may_be_back() {
    // (steps for both backends, seconds). Probes are due 2 s from now at first.
    const CASES: &[(&[&str], u64)] = &[
        (&[], 1),
        (&["fails", "fails"], 10),
        (&["fails", "fails", "4s"], 6),
        (&["fails", "fails", "9500ms"], 1),
        (&["fails", "fails", "10s"], 1),
        (&["fails", "fails", "10s", "admit"], 10), // at the latest, if the trial never ends
        (&["probe fails", "probe fails", "probe fails"], 4), // two more probes
        (&["probe fails", "probe fails", "probe fails", "probe ok"], 2),
        (&["fails", "fails", "probe fails", "probe fails", "probe fails"], 10), // the later of both
        (&["drain"], 10),
        (&["drain", "fails", "fails"], 10),
    ];
    for (steps, seconds) in CASES {
        let mut world = World { health: Health::new(&backends(2)[..], config(), start()), now: start() };
        // The other one is out for good, so that only the second decides.
        world.health.set_draining(BackendId(0), true, start());
        for step in *steps {
            world.step(step);
        }
        assert_eq!(world.health.retry_after(world.now), Duration::from_secs(*seconds), "{steps:?}");
    }
}

#[test]
fn retry_after_knows_when_the_next_probe_is_due() {
    let mut world = World::new(HealthConfig { jitter: 0.0, recover_after: 1, ..config() });
    world.health.set_draining(BackendId(0), true, start());
    for _ in 0..5 {
        world.step("probe fails");
    }
    assert_eq!(world.health.next_probe(ID, world.now, 0.5), start() + Duration::from_secs(8));
    world.step("3s");
    assert_eq!(world.health.retry_after(world.now), Duration::from_secs(5));
    world.health.set_draining(BackendId(0), false, world.now);
    assert_eq!(world.health.retry_after(world.now), Duration::from_secs(1), "the other one is back");
}

#[test]
fn the_snapshot_tells_everything() {
    let mut world = World::new(config());
    for step in ["probe fails", "fails", "fails", "4s"] {
        world.step(step);
    }
    let of_second = |world: &World| world.health.snapshot(world.now).pop().unwrap();
    assert_eq!(
        of_second(&world),
        BackendHealth {
            id: 1,
            name: "localhost:3001".into(),
            state: State::Down,
            reason: Some("breaker open after 2 failed requests in a row, last: connection refused".into()),
            weight_percent: 0,
            since_seconds: 4.0,
            probes_up: true,
            failed_probes: 1,
            last_probe_failure: Some("no answer in time".into()),
            breaker: BreakerState::Open,
            failed_requests: 2,
            last_request_failure: Some("connection refused".into()),
        }
    );
    let json = serde_json::to_value(of_second(&world)).unwrap();
    assert_eq!((&json["state"], &json["breaker"]), (&"down".into(), &"open".into()));

    let mut states = Vec::new();
    for step in ["6s", "admit", "drain", "undrain", "ok", "ok", "ok", "9s"] {
        world.step(step);
        let now = of_second(&world);
        states.push((now.state, now.breaker, now.weight_percent));
    }
    use {BreakerState as B, State as S};
    assert_eq!(
        states,
        [
            (S::OnTrial, B::HalfOpen, 10),
            (S::OnTrial, B::HalfOpen, 0),
            (S::Draining, B::HalfOpen, 0),
            (S::OnTrial, B::HalfOpen, 0),
            (S::OnTrial, B::HalfOpen, 10),
            (S::OnTrial, B::HalfOpen, 10),
            (S::WarmingUp, B::Closed, 10),
            (S::Up, B::Closed, 100),
        ]
    );
    assert_eq!(of_second(&world).since_seconds, 9.0);
}

#[test]
fn a_second_reason_does_not_reset_the_time_since_it_is_down() {
    let mut world = World::new(config());
    for step in ["drain", "5s", "fails", "fails", "undrain"] {
        world.step(step);
    }
    assert_eq!(world.health.snapshot(world.now)[1].since_seconds, 5.0);
}

#[test]
fn workers_that_race_for_a_trial_get_one() {
    fn shared<T: Send + Sync>(value: T) -> T {
        value
    }
    let health = shared(Health::new(&backends(1), config(), start()));
    let id = BackendId(0);
    let mut now = start();
    for _ in 0..100 {
        health.report(id, Outcome::Failure(REFUSED), now);
        health.report(id, Outcome::Failure(REFUSED), now);
        now += config().breaker.open_for;
        let admitted: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| usize::from(health.admit(id, now)))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1);
        assert!(health.report(id, Outcome::Failure(REFUSED), now).is_some());
    }
}

#[test]
fn a_worker_whose_clock_is_behind_does_no_harm() {
    let mut world = World::new(config());
    world.step("1h");
    for step in ["fails", "fails", "10s", "admit", "ok", "ok", "ok", "drain", "undrain"] {
        world.step(step);
        let before = world.now - Duration::from_secs(30);
        let _ =
            (world.health.available(ID, before), world.health.fresh_until(before), world.health.retry_after(before));
        let _ = (world.health.snapshot(before), world.health.next_probe(ID, before, 0.5));
    }
    assert_eq!(world.state(), "up 10");
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u64),
    Probe(bool),
    Drain(bool),
    Admit,
    Report(Outcome),
}

fn step() -> impl Strategy<Value = Step> {
    let failure = Outcome::Failure(REFUSED);
    let outcome = prop_oneof![3 => Just(Outcome::Success), 3 => Just(failure), 1 => Just(Outcome::Neutral)];
    prop_oneof![
        2 => prop_oneof![0..300u64, 8_900..10_100u64].prop_map(Step::Wait),
        3 => any::<bool>().prop_map(Step::Probe),
        1 => any::<bool>().prop_map(Step::Drain),
        3 => Just(Step::Admit),
        3 => outcome.prop_map(Step::Report),
    ]
}

/// The rules for one backend, said in another way: without flags or locks, and from all results that there ever were.
struct Model {
    probes: String,
    breaker: Breaker,
    draining: bool,
    warm_from: Option<Instant>,
}

impl Model {
    /// The later of "three failures in a row" and "two successes in a row" decides.
    fn answers(&self) -> bool {
        let end_of = |pattern: &str| self.probes.rfind(pattern).map(|at| at + pattern.len());
        end_of("---").is_none_or(|down| end_of("++").is_some_and(|up| up > down))
    }

    fn percent(&self, now: Instant) -> u32 {
        let refused = matches!(self.breaker.clone().admit(now), Admit::No { .. });
        match self.breaker.state(now) {
            _ if self.draining || refused || !self.answers() => 0,
            BreakerState::Closed => {
                self.warm_from.map_or(100, |from| (10 + (now - from).as_millis() / 100).min(100) as u32)
            }
            BreakerState::Open | BreakerState::HalfOpen => 10,
        }
    }

    /// What the log hears of it: a reason came (`false`) or went (`true`).
    fn step(&mut self, step: Step, now: Instant) -> Option<bool> {
        let before = (self.answers(), !self.draining);
        let mut change = None;
        match step {
            Step::Wait(_) => {}
            Step::Probe(ok) => self.probes.push(if ok { '+' } else { '-' }),
            Step::Drain(draining) => self.draining = draining,
            Step::Admit if self.percent(now) == 0 => {}
            Step::Admit => drop(self.breaker.admit(now)),
            Step::Report(Outcome::Success) => change = self.breaker.success(now).map(|_| true),
            Step::Report(Outcome::Failure(_)) => change = self.breaker.failure(now).map(|_| false),
            Step::Report(Outcome::Neutral) => self.breaker.cancel_trial(),
        }
        let after = (self.answers(), !self.draining);
        if after != before {
            change = Some(after > before);
        }
        if change == Some(true) && self.percent(now) > 0 {
            self.warm_from = Some(now);
        }
        change
    }
}

proptest! {
    #[test]
    fn it_is_as_the_rules_say(steps in prop::collection::vec(step(), 0..120)) {
        let health = Health::new(&backends(1), config(), start());
        let id = BackendId(0);
        let mut model =
            Model { probes: String::new(), breaker: Breaker::new(config().breaker), draining: false, warm_from: None };
        let mut now = start();
        for step in steps {
            if let Step::Wait(millis) = step {
                now += Duration::from_millis(millis);
            }
            let (generation, availability) = (health.generation(), health.record(id).facts().availability(now));
            let up = model.percent(now) > 0;
            let expected = model.step(step, now);
            let change = match step {
                Step::Wait(_) => None,
                Step::Probe(ok) => health.probed(id, if ok { Ok(()) } else { Err(ProbeFailure::Timeout) }, now),
                Step::Drain(draining) => health.set_draining(id, draining, now),
                Step::Admit => {
                    prop_assert_eq!(health.admit(id, now), up);
                    None
                }
                Step::Report(outcome) => health.report(id, outcome, now),
            };
            let percent = match health.available(id, now) {
                Availability::Up { weight_percent } => weight_percent,
                Availability::Down(_) => 0,
            };
            prop_assert_eq!(percent, model.percent(now));
            prop_assert_eq!(change.as_ref().map(|change| !matches!(change.event, Event::Down(_))), expected);
            match change.map(|change| change.event) {
                Some(Event::Up(_)) => prop_assert!(percent > 0),
                Some(Event::Down(_) | Event::StillDown { .. }) => prop_assert_eq!(percent, 0),
                None => {}
            }
            // What workers rely on: an event that changes the availability changes the generation, …
            let at = |at: Instant| health.record(id).facts().availability(at);
            prop_assert_eq!(health.generation() != generation, at(now) != availability);
            // … and what time changes, it changes when it was said to.
            match health.fresh_until(now) {
                Some(then) => {
                    prop_assert!(then > now && at(then - Duration::from_nanos(1)) == at(now) && at(then) != at(now));
                }
                None => prop_assert_eq!(at(now + Duration::from_secs(3600)), at(now)),
            }
            prop_assert!(health.retry_after(now) >= SOON);
        }
    }
}
