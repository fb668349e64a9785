//! Tests of what all workers and the outside get to see, and that workers that race do no harm.

use super::*;

#[test]
fn a_healthy_backend_needs_no_lock() {
    let health = Health::new(&backends(1), config(), start());
    let id = BackendId(0);
    // Facts changed without the flags: a worker that takes the lock sees that it is down.
    health.record(id).facts().order = Order::Drain;
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
        let mut world = World::new(config());
        // The other one is out for good, so that only the second decides.
        world.health.set_order(BackendId(0), Order::Drain, start());
        for step in *steps {
            world.step(step);
        }
        assert_eq!(world.health.retry_after(world.now), Duration::from_secs(*seconds), "{steps:?}");
    }
}

#[test]
fn retry_after_knows_when_the_next_probe_is_due() {
    let mut world = World::new(HealthConfig { jitter: 0.0, recover_after: 1, ..config() });
    world.health.set_order(BackendId(0), Order::Drain, start());
    for _ in 0..5 {
        world.step("probe fails");
    }
    assert_eq!(world.health.next_probe(ID, world.now, 0.5), start() + Duration::from_secs(8));
    world.step("3s");
    assert_eq!(world.health.retry_after(world.now), Duration::from_secs(5));
    world.health.set_order(BackendId(0), Order::Up, world.now);
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
            failures_that_count: 2,
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
        health.report(id, REFUSED, now);
        health.report(id, REFUSED, now);
        now += config().breaker.open_for;
        let admitted: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| usize::from(health.admit(id, now)))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1);
        assert!(health.report(id, REFUSED, now).is_some());
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
    let failure = REFUSED;
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

    /// The line for the log: a reason came (`false`) or went (`true`).
    fn step(&mut self, step: Step, now: Instant) -> Option<bool> {
        let before = (self.answers(), !self.draining);
        let mut change = None;
        match step {
            Step::Wait(_) => {}
            Step::Probe(ok) => {
                self.probes.push(if ok { '+' } else { '-' });
                if ok && self.answers() && self.breaker.close() {
                    change = Some(true);
                }
            }
            Step::Drain(draining) => self.draining = draining,
            Step::Admit if self.percent(now) == 0 => {}
            Step::Admit => drop(self.breaker.admit(now)),
            Step::Report(Outcome::Success) => change = self.breaker.success(now).map(|_| true),
            Step::Report(Outcome::Failure(..)) => change = self.breaker.failure(now).map(|_| false),
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
            let of = |at: Instant| {
                let facts = health.record(id).facts();
                (facts.availability(at), facts.may_be_spared())
            };
            let (generation, before) = (health.generation(), of(now));
            let up = model.percent(now) > 0;
            let expected = model.step(step, now);
            let change = match step {
                Step::Wait(_) => None,
                Step::Probe(ok) => health.probed(id, now, if ok { Ok(()) } else { Err(ProbeFailure::Timeout) }, now),
                Step::Drain(draining) => health.set_order(id, if draining { Order::Drain } else { Order::Up }, now),
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
                Some(Event::Down(_) | Event::Spared(_) | Event::StillDown { .. }) => prop_assert_eq!(percent, 0),
                None => {}
            }
            // Workers rely on this: an event that changes the availability, or whether it may be spared, changes the
            // generation, …
            let at = |at: Instant| health.record(id).facts().availability(at);
            prop_assert_eq!(health.generation() != generation, of(now) != before);
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
