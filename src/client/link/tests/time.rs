//! Tests of requests that end when their time is over.

use super::*;

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
fn a_request_that_has_not_left_when_its_time_is_over_never_leaves() {
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
fn never_is_a_time_like_any_other() {
    let never = Duration::MAX;
    let heartbeat = HeartbeatConfig { interval: never, timeout: never };
    let mut world = World::new(Config {
        backoff: Backoff { base: never, factor: 1.0, cap: never, jitter: 0.0 },
        connect_timeout: never,
        policy: Policy { deadline: never, tries: 1 },
        heartbeat: Some(heartbeat),
        ..config()
    });
    world.ask("PAY 1", false);
    world.pass(3600 * SECOND);
    world.link.connected(world.now);
    assert_eq!(world.sent(), "#1 PAY 1\n");
    world.pass(3600 * SECOND);
    world.hear("#1 paid\n");
    assert_eq!(world.take_done(), [("PAY 1", "paid (1)".to_owned())]);
    world.lose();
    world.pass(3600 * SECOND);
    assert_eq!((world.connects, world.closes), (1, 0));
}
