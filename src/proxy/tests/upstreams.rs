//! What backends may do to a connection, and what that does to requests.

use super::{World, status};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A backend that gives up an idle connection may say so (408). That is not the answer to the next request.
#[test]
fn what_waits_on_an_idle_connection_is_nobodys_answer() {
    for request in [GET, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"] {
        let mut world = World::new(&["--retries", "0"]);
        let (client, first) = world.exchange(GET);
        world.say(first, OK);
        assert_eq!(status(&world.sent(client)), "200");
        world.sent(first);
        world.not_quiet.push(first);
        world.say(client, request);
        assert_eq!((world.sent(first).as_str(), world.ended(first)), ("", "abort"), "{request:?}");
        let second = world.opened();
        world.connect(second);
        world.say(second, OK);
        assert_eq!(status(&world.sent(client)), "200", "nothing was sent, so it is not a retry");
        assert_eq!(world.proxy.census().in_flight, 0);
    }
}

#[test]
fn a_quiet_pooled_connection_is_used() {
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(GET);
    world.say(backend, OK);
    world.say(client, GET);
    assert!(world.opened_none());
    world.say(backend, OK);
    assert_eq!(world.sent(client).matches("HTTP/1.1 200").count(), 2);
}

/// `--max-body` is about requests.
#[test]
fn a_response_may_be_longer_than_a_request() {
    let mut world = World::new(&["--max-body", "1k"]);
    let (client, backend) = world.exchange(GET);
    world.say(backend, &format!("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{}", "x".repeat(2000)));
    assert!(world.sent(client).ends_with(&"x".repeat(2000)));
}
