//! Tests with peers that do not read, or where all are busy: which side waits for which, and which deadlines pass
//! meanwhile.

use super::{SECOND, World, status};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MUCH: usize = 1 << 20;

/// A client is not late with a body that the backend does not read; when the backend reads again, it is.
#[test]
fn a_client_is_late_only_while_the_backend_reads() {
    let mut world = World::new(&["--body-timeout", "2s", "--write-timeout", "60s"]);
    let (client, backend) =
        world.exchange("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    world.unsent(backend, MUCH);
    world.pass(3 * SECOND);
    assert_eq!(world.ended(client), "-", "the backend is the one who is slow");
    world.unsent(backend, 0);
    world.pass(SECOND);
    assert_eq!(world.ended(client), "-", "it has the whole time again");
    world.pass(2 * SECOND);
    assert_eq!(status(&world.sent(client)), "408");
}

#[test]
fn a_client_that_pipelines_and_does_not_read_waits_for_itself() {
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(GET);
    world.unsent(client, MUCH);
    world.say(backend, OK);
    world.sent(backend);
    world.say(client, GET);
    assert_eq!(world.sent(backend), "", "no answer is asked for that nobody takes");
    world.unsent(client, 0);
    assert!(world.sent(backend).starts_with("GET / "), "now it is");
}

/// Our kernel may have room for nothing, or for all of it: what counts is what the peer has taken.
#[test]
fn a_client_that_reads_slowly_is_not_late() {
    let mut world = World::new(&["--write-timeout", "2s"]);
    let (client, backend) = world.exchange(GET);
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\nx");
    world.unsent(client, MUCH);
    for _ in 0..10 {
        world.progress.get_mut(&client).unwrap().acknowledged += 1;
        world.pass(SECOND);
    }
    assert_eq!((world.ended(client), world.ended(backend)), ("-", "-"));
    world.pass(4 * SECOND);
    assert_eq!((world.ended(client), world.ended(backend)), ("abort", "abort"), "and then it stands still");
}

#[test]
fn a_backend_that_reads_slowly_is_not_late() {
    let mut world = World::new(&["--write-timeout", "2s", "--first-byte-timeout", "2s"]);
    let (client, backend) =
        world.exchange("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n");
    world.unsent(backend, MUCH);
    for step in 0..20 {
        if step == 10 {
            // From here on it is our kernel that has all of it, and the answer is not due before the backend has.
            world.unsent(backend, 0);
            world.say(client, "1\r\nf\r\n0\r\n\r\n");
            world.progress.get_mut(&backend).unwrap().outstanding = MUCH as u64;
        }
        world.progress.get_mut(&backend).unwrap().acknowledged += 1;
        world.pass(SECOND);
    }
    assert_eq!((world.ended(backend), world.sent(client).as_str()), ("-", ""));
    world.progress.get_mut(&backend).unwrap().outstanding = 0;
    world.pass(3 * SECOND);
    assert_eq!(status(&world.sent(client)), "504", "it has all of it, and does not answer");
}

#[test]
fn a_backend_that_takes_nothing_of_an_upload_is_late() {
    // No more than a head is no reason to wait: it is with the backend, or lost.
    for (outstanding, patience) in [(16 * 1024 + 1, 4), (16 * 1024, 2)] {
        let mut world = World::new(&["--first-byte-timeout", "2s"]);
        let (client, backend) = world.exchange("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhalf");
        world.progress.entry(backend).or_default().outstanding = outstanding;
        world.pass(patience * SECOND - SECOND / 2);
        assert_eq!(world.sent(client), "", "{outstanding}");
        world.pass(SECOND);
        assert_eq!(status(&world.sent(client)), "504", "{outstanding}");
    }
}

/// The response was heard to its end: what is left is the client's to do.
#[test]
fn a_backend_that_has_answered_is_not_late() {
    let mut world = World::new(&["--response-timeout", "1s", "--body-timeout", "10s"]);
    let (client, backend) = world.exchange("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    world.say(backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    world.say(backend, "0\r\n\r\n");
    world.pass(5 * SECOND);
    assert_eq!((world.ended(client), world.ended(backend)), ("-", "-"));
    world.say(client, "2\r\nbc\r\n0\r\n\r\n");
    assert_eq!(world.proxy.census().idle, 1, "both connections persist");
}

#[test]
fn a_busy_tunnel_is_not_idle() {
    let mut world = World::new(&["--tunnel-timeout", "2s"]);
    let (client, backend) = world.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    world.say(backend, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    for speaker in [client, backend, client, backend] {
        world.pass(SECOND);
        world.say(speaker, "x");
    }
    world.pass(SECOND);
    assert_eq!(world.ended(client), "-");
    world.pass(2 * SECOND);
    assert_eq!(world.ended(client), "abort");
}

#[test]
fn a_request_waits_for_a_connection_for_a_while() {
    let mut world = World::new(&["--pool-max", "1", "--pool-queue-timeout", "2s"]);
    world.exchange(GET);
    let waiting = world.client(GET);
    assert_eq!(world.proxy.census().queued, 1);
    world.pass(SECOND);
    assert_eq!(world.sent(waiting), "");
    world.pass(2 * SECOND);
    assert_eq!(status(&world.sent(waiting)), "503");
    assert_eq!(world.proxy.census().queued, 0);
}

/// Its wait began when it came, not when it last looked in vain.
#[test]
fn a_request_that_looks_in_vain_does_not_wait_anew() {
    let flags = ["--no-health", "--pool-max", "1", "--pool-queue-timeout", "2s", "--breaker-failures", "1"];
    let mut world = World::with_backends(2, &[&flags[..], &["--retries", "0"]].concat());
    let (_, one) = world.exchange(GET);
    world.exchange(GET);
    let waiting = world.client(GET);
    world.pass(3 * SECOND / 2);
    // A connection comes free, and its backend is down with it: the other one is still busy.
    world.fail(one);
    assert_eq!((world.sent(waiting).as_str(), world.opened_none(), world.proxy.census().queued), ("", true, 1));
    world.pass(SECOND);
    assert_eq!(status(&world.sent(waiting)), "503");
    assert_eq!(world.proxy.census().queued, 0);
}

/// One response may be passed on unseen, and the next one on the same connection, too.
#[test]
fn every_long_body_of_a_connection_passes_unseen() {
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(GET);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n");
    for turn in 0..2 {
        world.say(backend, &head);
        assert!(world.splices.contains_key(&backend), "response {turn}");
        world.say(backend, &"x".repeat(MUCH));
        assert!(world.sent(client).ends_with('x') && world.splices.is_empty());
        world.say(client, GET);
    }
}

/// Where one pooled connection was dead, others are likely to be: the next try is on a new one.
#[test]
fn after_a_dead_pooled_connection_comes_a_new_one() {
    let mut world = World::new(&[]);
    let (first, one) = world.exchange(GET);
    let (second, two) = world.exchange(GET);
    world.say(one, OK);
    world.say(two, OK);
    world.not_quiet.extend([one, two]);
    world.say(first, GET);
    let dropped = [one, two].iter().filter(|conn| world.ended(**conn) == "abort").count();
    assert_eq!((dropped, world.opened_none(), world.ended(second)), (1, false, "-"));
}

/// A client that does not read, while it sends the rest of its request: the next one on that connection is another's.
#[test]
fn a_backend_connection_is_read_again_after_an_exchange_in_which_it_was_not() {
    let mut world = World::new(&[]);
    let (slow, backend) = world.exchange("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n");
    world.say(backend, OK);
    world.unsent(slow, MUCH);
    assert!(world.paused.contains(&backend));
    world.say(slow, "2\r\ndy\r\n0\r\n\r\n");
    assert_eq!((world.proxy.census().idle, world.paused.contains(&backend)), (1, false));
    let other = world.client(GET);
    world.say(backend, OK);
    assert_eq!((status(&world.sent(other)), world.opened_none()), ("200", true));
}

/// A backend that answers before it has read the request: the next request is heard all the same.
#[test]
fn a_client_is_read_again_after_an_exchange_in_which_it_was_not() {
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    world.unsent(backend, MUCH);
    assert!(world.paused.contains(&client));
    world.say(backend, OK);
    assert_eq!((status(&world.sent(client)), world.paused.contains(&client)), ("200", false));
}

/// Over TLS, what was given and has not left is sealed at once when the connection is closed.
#[test]
fn a_long_stored_body_is_given_to_the_driver_in_parts() {
    const BODY: usize = 3 << 20;
    const PIECE: usize = 64 << 10;
    const PART: usize = 512 << 10;
    let mut world = World::caching(&["--cache-max-object", "16m"]);
    let (client, backend) = world.exchange(GET);
    world.say(backend, &format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {BODY}\r\n\r\n"));
    for _ in 0..BODY / PIECE {
        world.bring(backend, vec![b'x'; PIECE]);
    }
    assert!(world.sent_bytes(client).len() > BODY);
    let second = world.client("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut left = BODY;
    while world.ended(second) == "-" {
        let given = world.sent_bytes(second).len();
        assert!((1..PART + PIECE + 1024).contains(&given), "{given} bytes in one part");
        left = left.saturating_sub(given);
        world.unsent(second, 0);
    }
    assert!(left < PART + PIECE, "{left} bytes are missing before the last part");
}
