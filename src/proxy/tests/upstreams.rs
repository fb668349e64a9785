//! Tests of backends that end or break connections, and of the effect on requests.

use super::{SECOND, World, status};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A backend that gives up an idle connection may say so (408). That is not the answer to the next request.
#[test]
fn bytes_that_wait_on_an_idle_connection_are_the_answer_to_no_request() {
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

/// A hundred backends must not be a hundred connections at once; but a dead one must be found soon.
#[test]
fn first_probes_are_spread_over_a_second_or_the_interval() {
    for (interval, round) in [("10s", SECOND), ("300ms", Duration::from_millis(300))] {
        let mut world = World::with_backends(10, &["--health-interval", interval]);
        let mut probed = 0;
        let mut most = 0;
        let mut take = |world: &mut World| {
            let before = probed;
            while !world.opened_none() {
                world.opened();
                probed += 1;
            }
            most = most.max(probed - before);
            probed
        };
        assert_eq!(take(&mut world), 1, "the first at once");
        let step = round / 30;
        for _ in 0..32 {
            world.pass(step);
            take(&mut world);
        }
        assert_eq!((probed, most < 4), (10, true), "{interval}: {most} at once");
    }
}

#[test]
fn being_the_last_hop_is_no_error_and_a_closed_connection_has_its_reason() {
    let mut world = World::new(&[]);
    let client = world.client("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!(status(&world.sent(client)), "200");
    world.say(client, GET);
    let backend = world.opened();
    world.connect(backend);
    world.say(backend, OK);
    world.end(backend);
    let admin = world.admin("GET /stats HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = world.sent(admin);
    let stats: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(stats["errors"], serde_json::json!({}));
    assert_eq!((&stats["pool_closed"]["lost"], &stats["pool_closed"]["ended"]), (&1.into(), &0.into()));
}

/// The last chunk of an empty body went with the first try: a backend that got the head alone would wait for it.
#[test]
fn a_request_is_sent_again_whole_or_not_at_all() {
    let head = |fields: &str| format!("PUT / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    for (fields, body, again) in
        [("", "", true), ("Content-Length: 0\r\n", "", true), ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", false)]
    {
        let mut world = World::new(&[]);
        let (client, first) = world.exchange(&(head(fields) + body));
        assert!(world.sent(first).ends_with(&format!("\r\n\r\n{body}")), "{fields:?}");
        world.end(first);
        world.pass(SECOND);
        assert_eq!(!world.opened_none(), again, "{fields:?}");
        assert_eq!(status(&world.sent(client)), if again { "-" } else { "502" }, "{fields:?}");
    }
}
