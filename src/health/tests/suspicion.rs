//! Tests of the effect of failed requests and its limits: the last backends are spared, one bad request is one piece of
//! evidence, and a probe that tests as much clears a backend at once.

use super::*;

const A: BackendId = BackendId(0);
const B: BackendId = BackendId(1);

/// Breakers open after two failures; a TCP connection is the probe.
fn keeping(keep: u32) -> HealthConfig {
    HealthConfig { keep, ..config() }
}

/// The same, with a path that probes ask for.
fn asking() -> HealthConfig {
    HealthConfig { path: Some("/health".into()), ..config() }
}

/// The backends that get requests, and the weight of each.
fn usable(health: &Health, now: Instant) -> Vec<(u16, u32)> {
    let mut all = Vec::new();
    health.usable(now, |id, percent| all.push((id.0, percent)));
    for (id, percent) in &all {
        assert_eq!(health.available(BackendId(*id), now), Availability::Up { weight_percent: *percent });
    }
    all
}

/// Reports failures that no request can cause, `times` of them.
fn refuse(health: &Health, id: BackendId, times: usize, now: Instant) -> Option<String> {
    let mut said = None;
    for _ in 0..times {
        said = said.or(health.report(id, REFUSED, now).map(|change| change.to_string()));
    }
    said
}

#[test]
fn the_same_request_counts_once_and_a_refused_connection_each_time() {
    check(
        config(),
        &[
            ("breaks", "up 100", ""),
            ("breaks again", "up 100", ""),
            ("breaks again", "up 100", ""),
            ("ok", "up 100", ""),
            ("breaks again", "up 100", ""), // a success ended the row, and what belonged to it
            ("breaks again", "up 100", ""),
            ("fails", "breaker", "down: breaker open after 2 failed requests in a row, last: connection refused"),
        ],
    );
    check(
        config(),
        &[
            ("breaks", "up 100", ""),
            ("breaks", "breaker", "down: breaker open after 2 failed requests in a row, last: response cut off"),
            ("10s", "up 10", ""),
            // The request that opened it is sent as a trial: that tells nothing, and another one may try.
            ("admit", "trial", ""),
            ("breaks again", "up 10", ""),
            ("admit", "trial", ""),
            ("ok", "up 10", ""),
            ("admit", "trial", ""),
            ("breaks again", "up 10", ""),
            ("admit", "trial", ""),
            ("breaks", "breaker", "down: breaker open after 1 failed request in a row, last: response cut off"),
        ],
    );
}

#[test]
fn requests_are_told_apart_by_client_method_and_path() {
    let asked = |client: &str, method, target| Asked::new(client.parse().unwrap(), method, target);
    let one = asked("192.0.2.1", "GET", "/a");
    assert_eq!(one, asked("::ffff:192.0.2.1", "GET", "/a?cache=no"));
    assert_eq!(asked("2001:db8::1", "GET", "/a"), asked("2001:db8::2:3", "GET", "/a"), "one network, one customer");
    let others = [
        asked("192.0.2.2", "GET", "/a"),
        asked("192.0.2.1", "HEAD", "/a"),
        asked("192.0.2.1", "GET", "/b"),
        asked("2001:db8:0:1::1", "GET", "/a"),
        asked("2001:db8:0:2::1", "GET", "/a"),
    ];
    for (n, other) in others.iter().enumerate() {
        assert!(*other != one && !others[..n].contains(other), "{n}");
    }
}

#[test]
fn a_limited_number_of_requests_is_remembered() {
    // 16 are told apart; the first of 17 is forgotten, and would count again.
    let breaker = BreakerConfig { failures: u32::MAX, ..config().breaker };
    let mut world = World::new(HealthConfig { breaker, ..config() });
    let counted = |world: &World| world.health.snapshot(world.now)[1].failures_that_count;
    for number in (1..=16).chain(1..=16) {
        world.health.report(ID, broke(number), world.now);
    }
    assert_eq!((counted(&world), world.health.snapshot(world.now)[1].failed_requests), (16, 32));
    world.health.report(ID, broke(17), world.now);
    world.health.report(ID, broke(17), world.now);
    world.health.report(ID, broke(2), world.now);
    assert_eq!(counted(&world), 17);
    world.health.report(ID, broke(1), world.now);
    assert_eq!(counted(&world), 18);
    world.step("ok");
    assert_eq!(counted(&world), 0);
}

#[test]
fn the_last_backend_is_spared() {
    let health = Health::new(&backends(1), keeping(1), start());
    let now = start();
    let said = refuse(&health, A, 50, now).unwrap();
    assert!(said.starts_with("backend 0 (localhost:3000) suspected: breaker open after 2 failed"), "{said}");
    for _ in 0..50 {
        assert!(health.admit(A, now));
    }
    assert_eq!(usable(&health, now), [(0, 100)]);
    let shown = health.snapshot(now).remove(0);
    assert_eq!((shown.state, shown.weight_percent, shown.breaker), (State::Spared, 100, BreakerState::Open));
    assert!(shown.reason.unwrap().contains("breaker open"));
    // Successes end the suspicion at once, without a wait for `open_for`.
    for _ in 0..3 {
        assert!(health.admit(A, now));
    }
    let changes: Vec<_> = (0..3).filter_map(|_| health.report(A, Outcome::Success, now)).collect();
    assert_eq!(changes.len(), 1);
    assert_eq!(health.snapshot(now)[0].breaker, BreakerState::Closed);
}

#[test]
fn without_the_floor_even_the_last_one_is_held_back() {
    let health = Health::new(&backends(1), keeping(0), start());
    assert!(refuse(&health, A, 2, start()).unwrap().contains(" down: "));
    assert!(!health.admit(A, start()) && usable(&health, start()).is_empty());
}

#[test]
fn as_many_are_kept_as_were_asked_for() {
    // (keep, breakers that opened, backends that get requests)
    const CASES: &[(u32, &[u16], &[u16])] = &[
        (1, &[0], &[1, 2]),
        (1, &[0, 1], &[2]),
        (1, &[0, 1, 2], &[0, 1, 2]), // all are suspected: no one is better than another
        (2, &[0], &[1, 2]),
        (2, &[0, 1], &[0, 1, 2]),
        (3, &[1], &[0, 1, 2]),
        (9, &[1], &[0, 1, 2]), // more than there are: none is ever held back
        (0, &[0, 1, 2], &[]),
    ];
    for (keep, opened, expected) in CASES {
        let health = Health::new(&backends(3), keeping(*keep), start());
        opened.iter().for_each(|id| drop(refuse(&health, BackendId(*id), 2, start())));
        let ids: Vec<u16> = usable(&health, start()).iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, *expected, "keep {keep}, opened {opened:?}");
        let admitted: Vec<u16> = (0..3).filter(|id| health.admit(BackendId(*id), start())).collect();
        assert_eq!(admitted, *expected, "keep {keep}, opened {opened:?}");
    }
}

#[test]
fn probes_and_draining_are_no_suspicion() {
    let health = Health::new(&backends(2), keeping(2), start());
    let now = start();
    let probe = |id, result| drop(health.probed(id, now, result, now));
    (0..3).for_each(|_| probe(A, Err(ProbeFailure::Timeout)));
    health.set_order(B, Order::Drain, now);
    assert!(usable(&health, now).is_empty() && !health.admit(A, now) && !health.admit(B, now));
    assert_eq!(health.retry_after(now), Duration::from_secs(2), "the next probe may bring the first one back");
    // One successful probe is enough where no other backend is up; with others around it takes two.
    probe(A, Ok(()));
    assert_eq!((usable(&health, now), health.snapshot(now)[0].state), (vec![(0, 100)], State::Spared));
    assert!(health.admit(A, now));
    probe(A, Err(ProbeFailure::Timeout));
    assert!(usable(&health, now).is_empty());
    health.set_order(B, Order::Up, now);
    probe(A, Ok(()));
    assert_eq!(usable(&health, now), [(0, 100), (1, 10)], "two are to be kept");
}

#[test]
fn a_probe_clears_what_it_tests() {
    // A connection that opens refutes those that did not.
    check(
        config(),
        &[
            ("fails", "up 100", ""),
            ("fails", "breaker", "down: breaker open after 2 failed requests in a row, last: connection refused"),
            ("an older probe ok", "breaker", ""),
            ("probe fails", "breaker", ""),
            ("probe ok", "up 10", "up: breaker closed by a successful probe"),
        ],
    );
    // It says nothing about answers.
    check(
        config(),
        &[
            ("breaks", "up 100", ""),
            ("fails", "breaker", "down: breaker open after 2 failed requests in a row, last: connection refused"),
            ("probe ok", "breaker", ""),
        ],
    );
    // An answer does, also in the middle of a trial; and then even the request that failed counts anew.
    check(
        asking(),
        &[
            ("breaks", "up 100", ""),
            ("fails", "breaker", "down: breaker open after 2 failed requests in a row, last: connection refused"),
            ("an older probe ok", "breaker", ""),
            ("10s", "up 10", ""),
            ("admit", "trial", ""),
            ("probe ok", "up 10", "up: breaker closed by a successful probe"),
            ("breaks again", "up 10", ""),
            ("breaks", "breaker", "down: breaker open after 2 failed requests in a row, last: response cut off"),
        ],
    );
}
