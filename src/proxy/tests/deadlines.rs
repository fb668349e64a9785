//! Tests of which deadline runs when, and against which peer.

use super::{SECOND, World, status};
use crate::app::{ConnId, Progress};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_body_that_keeps_coming_is_not_late_however_little_comes() {
    let mut world = World::new(&["--response-timeout", "2s"]);
    let (client, backend) = world.exchange(GET);
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..10 {
        world.pass(SECOND);
        world.say(backend, "3\r\nabc\r\n");
    }
    assert_eq!(world.ended(client), "-");
    world.pass(3 * SECOND);
    assert_eq!(world.ended(client), "abort", "and then it stood still");
}

#[test]
fn an_upload_after_100_takes_as_long_as_it_takes() {
    let mut world = World::new(&["--first-byte-timeout", "2s", "--body-timeout", "2s"]);
    let wire = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    let (client, backend) = world.exchange(wire);
    world.say(backend, "HTTP/1.1 100 Continue\r\n\r\n");
    for _ in 0..10 {
        world.pass(SECOND);
        world.say(client, "x");
    }
    world.pass(SECOND);
    assert_eq!(world.sent(client), "HTTP/1.1 100 Continue\r\n\r\n");
    world.say(backend, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&world.sent(client)), "204");
}

#[test]
fn a_client_that_waits_for_100_is_not_late_itself() {
    let mut world = World::new(&["--first-byte-timeout", "4s", "--body-timeout", "2s"]);
    let wire = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    let (client, backend) = world.exchange(wire);
    world.pass(3 * SECOND);
    assert_eq!(world.ended(client), "-");
    world.say(backend, "HTTP/1.1 100 Continue\r\n\r\n");
    world.pass(3 * SECOND);
    assert!(world.sent(client).contains("408"), "now it is");

    let (client, _) = world.exchange(wire);
    world.pass(5 * SECOND);
    assert_eq!(status(&world.sent(client)), "504");
}

#[test]
fn a_client_is_not_late_while_its_request_waits_for_a_backend() {
    let mut world = World::new(&["--body-timeout", "1s", "--connect-timeout", "3s"]);
    let client = world.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    let backend = world.opened();
    world.pass(2 * SECOND);
    assert_eq!(world.ended(client), "-");
    world.connect(backend);
    assert!(world.sent(backend).ends_with("\r\n\r\nabc"));
}

#[test]
fn the_time_a_slow_client_takes_is_not_its_tunnels() {
    let mut world = World::new(&["--response-timeout", "1s", "--tunnel-timeout", "10s"]);
    let (client, backend) = world.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    world.say(backend, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    world.unsent(client, 1 << 20);
    world.pass(8 * SECOND);
    world.unsent(client, 0);
    world.pass(9 * SECOND);
    assert_eq!(world.ended(client), "-");
    world.pass(2 * SECOND);
    assert_eq!(world.ended(client), "abort");
}

#[test]
fn the_deadline_of_an_exchange_ends_with_a_101() {
    let flags =
        ["--request-timeout", "2s", "--response-timeout", "1s", "--first-byte-timeout", "1s", "--idle-timeout", "1s"];
    let mut world = World::new(&flags);
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let (client, backend) = world.exchange(upgrade);
    world.say(backend, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    world.sent(client);
    for _ in 0..5 {
        world.pass(SECOND);
        world.say(client, "ping");
        world.say(backend, "pong");
    }
    assert_eq!((world.ended(client), world.sent(client).as_str()), ("-", "pongpongpongpongpong"));
    assert!(world.rung.is_empty(), "a timer is left: {:?}", world.rung);
    // Until then it runs, also for a request that wants to be a tunnel.
    let (client, backend) = world.exchange(upgrade);
    world.say(backend, "HTTP/1.1 103 Early Hints\r\n\r\n");
    world.pass(3 * SECOND);
    assert!(world.sent(client).contains("HTTP/1.1 504 "));
}

#[test]
fn a_client_that_still_reads_its_answer_does_not_idle() {
    let mut world = World::new(&["--idle-timeout", "2s", "--write-timeout", "5s"]);
    let (client, backend) = world.exchange(GET);
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    for unsent in [9000, 6000, 3000] {
        world.unsent(client, unsent);
        world.pass(3 * SECOND);
        assert_eq!(world.ended(client), "-", "{unsent} bytes wait");
    }
    // Our kernel has all of it, the client has not.
    world.unsent(client, 0);
    for acknowledged in 1..5 {
        *world.progress.get_mut(&client).unwrap() = Progress { acknowledged, outstanding: 1 };
        world.pass(2 * SECOND);
        assert_eq!(world.ended(client), "-", "{acknowledged} bytes are confirmed");
    }
    world.pass(5 * SECOND);
    assert_eq!(world.ended(client), "close", "and now it reads no more");
}

/// A timer left behind would wake the loop for nothing, or ring for the next exchange of that number.
#[test]
fn an_exchange_takes_its_deadline_along() {
    type Ending = fn(&mut World, client: ConnId, backend: ConnId, waiting: ConnId);
    let endings: [(&str, Ending); 3] = [
        ("answered", |world, _, backend, waiting| {
            world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(status(&world.sent(waiting)), "200");
        }),
        ("the clients leave", |world, client, _, waiting| {
            world.fail(waiting);
            world.fail(client);
        }),
        ("the backend fails", |world, client, backend, waiting| {
            world.fail(backend);
            assert_eq!(status(&world.sent(client)), "502");
            let next = world.opened();
            world.fail(next);
            assert_eq!(status(&world.sent(waiting)), "502");
        }),
    ];
    for (how, end) in endings {
        let mut world = World::new(&["--request-timeout", "5s", "--pool-max", "1", "--retries", "0"]);
        let (client, backend) = world.exchange(GET);
        let waiting = world.client(GET);
        end(&mut world, client, backend, waiting);
        assert_eq!(world.proxy.census().exchanges, 0, "{how}");
        world.pass(20 * SECOND);
        assert!(world.rung.is_empty(), "{how}: {:?}", world.rung);
    }
}

#[test]
fn a_client_is_read_again_when_another_backend_takes_its_body() {
    let mut world = World::new(&["--body-timeout", "2s"]);
    let wire = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    let (client, backend) = world.exchange(wire);
    world.unsent(backend, 12_000);
    assert!(world.paused.contains(&client), "the backend does not even take the head");
    world.fail(backend);
    world.pass(SECOND);
    let backend = world.opened();
    world.connect(backend);
    world.say(backend, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(!world.paused.contains(&client));
    world.pass(3 * SECOND);
    assert!(world.sent(client).contains("408"), "it is the client's turn");
}

#[test]
fn a_client_that_waits_for_100_is_not_late_because_its_head_went_in_two_parts() {
    let mut world = World::new(&["--body-timeout", "2s", "--first-byte-timeout", "9s"]);
    let wire = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    let (client, backend) = world.exchange(wire);
    world.unsent(backend, 12_000);
    world.unsent(backend, 0);
    world.pass(4 * SECOND);
    assert_eq!(world.sent(client), "", "it is the backend's turn");
    world.pass(6 * SECOND);
    assert_eq!(status(&world.sent(client)), "504");
}

#[test]
fn a_tunnel_hears_its_client_when_another_backend_took_the_request() {
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    world.unsent(backend, 12_000);
    assert!(world.paused.contains(&client));
    world.fail(backend);
    assert!(!world.paused.contains(&client), "it may end its side while its request waits for another try");
    world.pass(SECOND);
    let backend = world.opened();
    world.connect(backend);
    world.say(backend, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert!(!world.paused.contains(&client));
}

#[test]
fn a_client_that_takes_too_long_for_its_body_is_told_that_it_was_late() {
    let mut world = World::new(&["--request-timeout", "3s", "--body-timeout", "2s"]);
    let client = world.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for _ in 0..3 {
        world.pass(SECOND);
        world.say(client, "x");
    }
    world.pass(SECOND);
    assert_eq!(status(&world.sent(client)), "408", "not 504: no backend was asked");
    assert!(world.opened_none());
}

#[test]
fn a_long_answer_from_the_cache_has_to_end_in_time() {
    let mut world = World::caching(&["--request-timeout", "5s", "--cache-max-object", "8m"]);
    let (first, backend) = world.exchange(GET);
    let length = 4 << 20;
    world.say(backend, &format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {length}\r\n\r\n"));
    for _ in 0..length >> 14 {
        world.say(backend, &"x".repeat(1 << 14));
    }
    assert!(world.sent(first).ends_with("xxx"));
    let slow = world.client(GET);
    world.unsent(slow, 1 << 20);
    for _ in 0..6 {
        world.pass(SECOND);
        world.unsent(slow, (1 << 20) - 1);
    }
    assert_eq!(world.ended(slow), "abort", "as any other answer");
}
