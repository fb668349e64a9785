//! When a server that fails is left alone.

use super::*;

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
fn a_request_that_waits_when_the_breaker_opens_is_told_at_once() {
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
fn a_server_that_dies_over_requests_opens_the_breaker_though_none_is_sent_again() {
    let breaker = BreakerConfig { failures: 2, open_for: 60 * SECOND, successes: 3, trials: 1 };
    let mut world = World::up(Config { breaker: Some(breaker), ..config() });
    // A server that ends a connection without an open request has not failed.
    for _ in 0..3 {
        world.lose();
        world.come_back();
    }
    for text in ["PAY 1", "PAY 2"] {
        world.ask(text, false);
        assert!(world.sent().ends_with(&format!(" {text}\n")));
        world.take_events();
        world.lose();
        assert!(world.take_done()[0].1.starts_with("may have been executed"));
        world.come_back();
    }
    assert!(world.take_events().contains(&"Open".to_owned()));
    world.ask("PAY 3", false);
    let said = world.take_done().remove(0).1;
    assert!(said.starts_with("not sent: the breaker is open"), "{said}");
    // So does the trial that it dies over, at once.
    world.pass(60 * SECOND);
    world.ask("PAY 4", false);
    world.sent();
    world.lose();
    assert_eq!(world.take_events()[..2], ["HalfOpen", "Open"]);
}

#[test]
fn a_try_that_could_not_leave_in_time_asks_the_breaker_again() {
    let breaker = BreakerConfig { failures: 1, open_for: 60 * SECOND, successes: 3, trials: 1 };
    let mut world = World::up(Config { breaker: Some(breaker), ..config() });
    // Its kernel takes nothing.
    world.ask("GET a", true);
    world.pass(4 * SECOND);
    assert_eq!(world.take_events(), ["connected", "Open"]);
    assert_eq!(world.take_done(), [("GET a", "not sent: the breaker is open for another 60s".to_owned())]);
}
