//! Requests that wait: for their body, for a connection, for their client to say whether it is there, for their turn.

use super::{SECOND, World, status};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// As much as is kept of a body that no backend takes.
const KEPT: usize = 16 * 1024;

fn put(fields: &str) -> String {
    format!("PUT / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

#[test]
fn a_connection_is_for_a_body_that_is_here() {
    let chunk = format!("{:x}\r\n", KEPT);
    for (fields, missing, last) in [
        ("Content-Length: 1", "", "x"),
        ("Content-Length: 10", "123456789", "0"),
        ("Content-Length: 16384", &"x".repeat(KEPT - 1), "x"),
        ("Content-Length: 20000", &"x".repeat(KEPT - 1), "x"),
        ("Content-Length: 18446744073709551", &"x".repeat(KEPT - 1), "x"),
        ("Transfer-Encoding: chunked", "", &chunk[..1]),
    ] {
        // In one piece, and byte by byte at the end.
        for cut in [0, missing.len() / 2, missing.len()] {
            let mut world = World::new(&[]);
            let client = world.client(&format!("{}{}", put(fields), &missing[..cut]));
            assert!(world.opened_none(), "{fields}, {cut} bytes");
            world.say(client, &missing[cut..]);
            assert!(world.opened_none(), "{fields}, all but one");
            world.say(client, last);
            let backend = world.opened();
            world.connect(backend);
            assert!(world.sent(backend).starts_with("PUT / "), "{fields}");
        }
    }
    for at_once in [put("Content-Length: 2") + "ab", put("Content-Length: 10\r\nExpect: 100-continue"), GET.into()] {
        let mut world = World::new(&[]);
        world.client(&at_once);
        assert!(!world.opened_none(), "{at_once}");
    }
}

/// A part is due as soon as any part of a body, and all of it a few times later: a byte now and then does not hold a place for
/// ever.
#[test]
fn the_beginning_of_a_body_is_due_in_parts_and_as_a_whole() {
    for (every, last) in [(3, 0), (1, 7)] {
        let mut world = World::new(&["--body-timeout", "2s"]);
        let client = world.client(&put("Content-Length: 100"));
        let mut at = 0;
        while world.ended(client) == "-" {
            assert!(at < 20, "a byte every {every} s");
            world.pass(SECOND / 20);
            world.say(client, "x");
            world.pass(SECOND * every - SECOND / 20);
            at += every;
        }
        assert_eq!(status(&world.sent(client)), "408");
        assert!(at > last && at <= last + 3, "a byte every {every} s: until {at}");
        assert_eq!((world.opened_none(), world.proxy.census().exchanges), (true, 0));
    }
}

#[test]
fn a_client_that_ends_before_its_body_is_gone() {
    for said in ["", "half"] {
        let mut world = World::new(&[]);
        let client = world.client(&format!("{}{said}", put("Content-Length: 10")));
        world.end(client);
        assert_eq!((world.ended(client), world.opened_none()), ("abort", true), "{said}");
        assert_eq!(world.proxy.census().exchanges, 0);
    }
}

/// A request that is refused for its head does not wait for its body.
#[test]
fn a_refusal_does_not_wait_for_the_body() {
    let mut world = World::new(&[]);
    let client = world.client("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nContent-Length: 10\r\n\r\n");
    assert_eq!(status(&world.sent(client)), "200");
}

/// One connection, and a body that comes slowly on it. `rest`: how much of it comes in two seconds.
fn slow(flags: &[&str], rest: usize, somebody_waits: bool) -> (World, &'static str) {
    let mut world = World::new(&[&["--pool-max", "1", "--pool-queue-timeout", "60s"], flags].concat());
    let (client, _) = world.exchange(&(put("Content-Length: 1000000") + &"x".repeat(KEPT)));
    if somebody_waits {
        world.client(GET);
        assert_eq!(world.proxy.census().queued, 1);
    }
    for _ in 0..4 {
        world.pass(2 * SECOND - SECOND / 25);
        world.say(client, &"x".repeat(rest));
        world.pass(SECOND / 25);
    }
    let end = match status(&world.sent(client)) {
        "408" => "408",
        _ => world.ended(client),
    };
    (world, end)
}

#[test]
fn a_body_that_stands_still_gives_its_connection_to_who_waits() {
    for (flags, rest, somebody_waits, expected) in [
        (&[][..], 0, true, "408"),
        (&[], 0, false, "-"),
        (&[], 1023, true, "408"),
        (&[], 1024, true, "-"),
        (&["--body-rate", "100"], 199, true, "408"),
        (&["--body-rate", "100"], 200, true, "-"),
        (&["--body-rate", "0"], 0, true, "-"),
    ] {
        let (mut world, end) = slow(flags, rest, somebody_waits);
        assert_eq!(end, expected, "{flags:?} {rest} {somebody_waits}");
        if expected == "408" {
            let backend = world.opened();
            world.connect(backend);
            assert!(world.sent(backend).starts_with("GET / "), "its connection is another's now");
        }
    }
}

/// While the backend takes nothing, it is not the client that is slow.
#[test]
fn a_body_that_is_not_taken_is_not_slow() {
    let mut world = World::new(&["--pool-max", "1", "--pool-queue-timeout", "60s", "--write-timeout", "60s"]);
    let (client, backend) = world.exchange(&(put("Content-Length: 1000000") + &"x".repeat(KEPT)));
    world.client(GET);
    world.unsent(backend, 1 << 20);
    world.pass(5 * SECOND);
    assert_eq!(world.ended(client), "-");
    world.unsent(backend, 0);
    world.pass(3 * SECOND);
    assert_eq!(status(&world.sent(client)), "408");
}

/// Nor is it late, whatever else happens meanwhile: here the backend answers before it has read the request.
#[test]
fn a_body_that_is_not_taken_is_not_late_after_the_answer() {
    let mut world = World::new(&["--body-timeout", "5s", "--write-timeout", "60s"]);
    let (client, backend) = world.exchange(&(put("Content-Length: 1000000") + &"x".repeat(KEPT)));
    world.unsent(backend, 1 << 20);
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(status(&world.sent(client)), "200");
    world.pass(20 * SECOND);
    assert_eq!(world.ended(client), "-");
    world.unsent(backend, 0);
    world.pass(4 * SECOND);
    assert_eq!(world.ended(client), "-", "its time begins when it is read again");
    world.pass(2 * SECOND);
    assert_eq!(world.ended(client), "close");
}

/// A world in which the one connection is busy, and `request` waits. The waiting client, and the busy backend.
fn waiting(flags: &[&str], request: &str) -> (World, crate::app::ConnId, crate::app::ConnId) {
    let mut world = World::new(&[&["--pool-max", "1", "--pool-queue-timeout", "1h"], flags].concat());
    let (_, backend) = world.exchange(GET);
    world.sent(backend);
    let client = world.client(request);
    assert_eq!(world.proxy.census().queued, 1);
    (world, client, backend)
}

#[test]
fn a_client_that_ends_its_side_is_asked_whether_it_listens() {
    let (mut world, client, backend) = waiting(&[], GET);
    assert_eq!(world.sent(client), "");
    world.end(client);
    assert_eq!(world.sent(client), CONTINUE);
    // It does.
    world.say(backend, OK);
    assert!(world.sent(backend).starts_with("GET / "));
    world.say(backend, OK);
    assert_eq!(status(&world.sent(client)), "200");

    let (mut world, client, backend) = waiting(&[], &(put("Content-Length: 2") + "ab"));
    world.end(client);
    assert_eq!(world.sent(client), CONTINUE);
    // It does not.
    world.fail(client);
    assert_eq!(world.proxy.census().queued, 0);
    world.say(backend, OK);
    assert_eq!(world.sent(backend), "", "nobody waits for that answer");

    // A client that cannot understand the question is not asked.
    let (mut world, client, backend) = waiting(&[], "GET / HTTP/1.0\r\n\r\n");
    world.end(client);
    assert_eq!(world.sent(client), "");
    world.say(backend, OK);
    assert!(world.sent(backend).starts_with("GET / "));
}

/// The end is heard while another request of the same client runs: the next one is asked about when it begins to wait.
#[test]
fn a_pipelined_request_is_asked_about_when_its_turn_comes() {
    let mut world = World::new(&["--pool-max", "1", "--pool-queue-timeout", "1h"]);
    let (client, backend) = world.exchange(&GET.repeat(2));
    world.end(client);
    assert_eq!(world.sent(client), "", "its request runs");
    let other = world.client(GET);
    world.say(backend, OK);
    // The other one has the connection now.
    assert!(world.sent(client).ends_with(&format!("ok{CONTINUE}")));
    world.fail(client);
    world.say(backend, OK);
    assert_eq!(status(&world.sent(other)), "200");
    assert_eq!(world.sent(backend).matches("GET / ").count(), 2);
}

#[test]
fn where_an_end_means_that_a_client_has_gone_its_request_is_given_up() {
    const CANCEL: &[&str] = &["--on-client-close", "cancel"];
    let (mut world, client, backend) = waiting(CANCEL, &(put("Content-Length: 2") + "ab"));
    world.end(client);
    assert_eq!((world.ended(client), world.proxy.census().queued), ("abort", 0));
    world.say(backend, OK);
    assert_eq!(world.sent(backend), "");

    // Also with more requests behind it, which would keep the end from being noticed.
    let (mut world, client, _) = waiting(CANCEL, &GET.repeat(3));
    world.end(client);
    assert_eq!((world.ended(client), world.proxy.census().queued), ("abort", 0));

    // One that runs, if it cannot have changed anything.
    for (request, end) in [(GET.to_owned(), "abort"), (put("Content-Length: 2") + "ab", "-")] {
        let mut world = World::new(CANCEL);
        let (client, backend) = world.exchange(&request);
        world.end(client);
        assert_eq!((world.ended(client), world.ended(backend)), (end, end), "{request}");
        if end == "-" {
            world.say(backend, OK);
            assert_eq!(status(&world.sent(client)), "200");
        }
    }

    // By default it goes on.
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(GET);
    world.end(client);
    world.say(backend, OK);
    assert_eq!(status(&world.sent(client)), "200");
}

/// Six hundred requests in one piece, which could all be answered at once: a part of them in each turn of the driver.
#[test]
fn many_requests_at_once_take_many_turns() {
    let mut world = World::new(&["--pool-max", "1", "--pool-queue", "0"]);
    world.exchange(GET);
    for (requests, turns) in [(16, 0), (17, 1), (600, 37)] {
        world.turns = 0;
        let client = world.client(&GET.repeat(requests));
        assert_eq!(world.sent(client).matches("HTTP/1.1 503 ").count(), requests);
        assert_eq!(world.turns, turns, "{requests} requests");
    }
    // Half a request at the end is read on as usual.
    let client = world.client(&(GET.repeat(40) + &GET[..10]));
    world.say(client, &GET[10..]);
    assert_eq!(world.sent(client).matches("HTTP/1.1 503 ").count(), 41);
}

/// When the backends change, all requests in the queue look again: a part of them in each turn.
#[test]
fn a_long_queue_looks_again_in_many_turns() {
    let mut world = World::new(&["--pool-max", "1", "--pool-queue-timeout", "1h"]);
    world.exchange(GET);
    for (waiting, turns) in [(63, 0), (200, 3)] {
        while world.proxy.census().queued < waiting {
            world.client(GET);
        }
        world.turns = 0;
        world.proxy.worker.pool.reconsider();
        world.proxy.settle(&mut world.cx);
        world.settle();
        assert_eq!((world.turns, world.proxy.census().queued), (turns, waiting));
    }
}

/// A full queue is shared out: see `pool/queue.rs`. All clients here have one address, so all of them are one client.
#[test]
fn a_request_that_loses_its_place_is_told() {
    let mut world = World::new(&["--pool-max", "1", "--pool-queue", "2", "--pool-queue-timeout", "1h"]);
    world.exchange(GET);
    let first = world.client(GET);
    let second = world.client(GET);
    let third = world.client(GET);
    assert_eq!(status(&world.sent(third)), "503");
    let other = world.client_from([198, 51, 100, 1], GET);
    assert_eq!(status(&world.sent(second)), "503", "the newest of the client with the most");
    assert_eq!((world.sent(first).as_str(), world.sent(other).as_str()), ("", ""));
    assert_eq!(world.proxy.census().queued, 2);
}
