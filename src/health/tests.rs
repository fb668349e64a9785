//! Tests of the state of health after given events.

mod shared;
mod suspicion;

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
        addresses: SocketAddr::from(([127, 0, 0, 1], 3000 + id)).into(),
        weight: 1,
        max: None,
        secured: None,
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
        keep: 0,
        ..HealthConfig::default()
    }
}

/// A failure that no request can cause: whose it was does not matter.
const REFUSED: Outcome =
    Outcome::Failure(FailureKind::Connect(std::io::ErrorKind::ConnectionRefused), Asked::of_nothing());

/// The end of a connection in place of the answer to a request with this number.
fn broke(number: u16) -> Outcome {
    let asked = Asked::new([127, 0, 0, 1].into(), "GET", &format!("/{number}"));
    Outcome::Failure(FailureKind::CutOff, asked)
}

const ID: BackendId = BackendId(1);

/// Two backends, of which the second has adventures.
struct World {
    health: Health,
    now: Instant,
    /// Requests that broke off, each unlike the others.
    broken: u16,
}

impl World {
    fn new(config: HealthConfig) -> Self {
        Self { health: Health::new(&backends(2), config, start()), now: start(), broken: 0 }
    }

    /// Does what `step` says and returns the line for the log, or an empty one.
    fn step(&mut self, step: &str) -> String {
        let (health, now) = (&self.health, self.now);
        let change = match step {
            "probe ok" => health.probed(ID, now, Ok(()), now),
            "probe fails" => health.probed(ID, now, Err(ProbeFailure::Timeout), now),
            "an older probe ok" => health.probed(ID, now - Duration::from_nanos(1), Ok(()), now),
            "admit" => {
                assert!(health.admit(ID, now));
                None
            }
            "refuse" => {
                assert!(!health.admit(ID, now));
                None
            }
            "ok" => health.report(ID, Outcome::Success, now),
            "fails" => health.report(ID, REFUSED, now),
            "breaks" => {
                self.broken += 1;
                health.report(ID, broke(self.broken), now)
            }
            "breaks again" => health.report(ID, broke(self.broken), now),
            "lost" => health.report(ID, Outcome::Neutral, now),
            "drain" => health.set_order(ID, Order::Drain, now),
            "set down" => health.set_order(ID, Order::Down, now),
            "undrain" => health.set_order(ID, Order::Up, now),
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
            Availability::Down(DownReason::SetDown) => "set down".into(),
            Availability::Down(DownReason::Probes { .. }) => "probes".into(),
            Availability::Down(DownReason::Breaker { .. }) => "breaker".into(),
            Availability::Down(DownReason::OnTrial) => "trial".into(),
        }
    }
}

/// An event, the backend's availability after it, and the line in the log.
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
            ("set down", "set down", "down: set down by an operator"),
            ("refuse", "set down", ""),
            ("drain", "draining", "down: draining"),
            ("undrain", "up 10", "up: set up by an operator"),
        ],
    );
}

#[test]
fn reasons_come_and_go_by_themselves() {
    check(
        config(),
        &[
            ("breaks", "up 100", ""),
            ("breaks", "breaker", "down: breaker open after 2 failed requests in a row, last: response cut off"),
            ("probe fails", "breaker", ""),
            ("probe fails", "breaker", ""),
            ("probe fails", "probes", "down: 3 failed probes, last: no answer in time"),
            ("drain", "draining", "down: draining"),
            ("undrain", "probes", "still down: set up by an operator, but 3 failed probes, last: no answer in time"),
            ("probe ok", "probes", ""),
            (
                "probe ok",
                "breaker",
                "still down: 2 successful probes, but breaker open after 2 failed requests in a row, \
                 last: response cut off",
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
            ("undrain", "up 10", "up: set up by an operator"),
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
            ("undrain", "up 100", "up: set up by an operator"),
        ],
    );
}

#[test]
fn the_flags_answer_as_soon_as_nothing_is_wrong() {
    // The state after each step: S settled, A admits, C clean.
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
