//! How connections end: properly if everything was said, visibly broken if not.

use super::{SECOND, World, status};

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";

/// A response before the request was through, and then something goes wrong with the rest of the request: the client
/// has its whole response, and a reset could take it away again.
#[test]
fn a_complete_response_is_not_broken_off() {
    type Accident = fn(&mut World, client: crate::app::ConnId, backend: crate::app::ConnId);
    let accidents: [(&str, Accident); 6] = [
        ("body late", |world, _, _| world.pass(31 * SECOND)),
        ("client ends", |world, client, _| world.end(client)),
        ("bad chunk", |world, client, _| world.say(client, "x\r\n")),
        ("backend speaks", |world, _, backend| world.say(backend, "HTTP/1.1 200 OK\r\n\r\n")),
        ("backend ends", |world, _, backend| world.end(backend)),
        ("backend fails", |world, _, backend| world.fail(backend)),
    ];
    for (what, accident) in accidents {
        let mut world = World::new(&[]);
        let (client, backend) =
            world.exchange("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx");
        world.say(backend, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
        assert_eq!((status(&world.sent(client)), world.ended(client)), ("403", "-"), "{what}");
        accident(&mut world, client, backend);
        assert_eq!((world.sent(client).as_str(), world.ended(client)), ("", "close"), "{what}");
        let census = world.proxy.census();
        assert_eq!((census.exchanges, census.busy, census.idle, census.in_flight), (0, 0, 0, 0), "{what}");
    }
}

#[test]
fn a_tunnel_whose_backend_has_ended_is_not_broken_by_its_reset() {
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(UPGRADE);
    world.say(backend, SWITCH);
    world.say(backend, "bye");
    world.end(backend);
    assert_eq!(world.ended(client), "finish");
    world.say(client, "good bye");
    world.fail(backend);
    assert_eq!(world.ended(client), "close");

    let (client, backend) = world.exchange(UPGRADE);
    world.say(backend, SWITCH);
    world.fail(backend);
    assert_eq!(world.ended(client), "abort");
}

#[test]
fn the_operator_is_answered_during_a_drain_and_does_not_hold_up_the_end() {
    let mut world = World::new(&[]);
    let admin = world.admin("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((status(&world.sent(admin)), world.ended(admin)), ("200", "-"));
    // While clients are answered, so is the operator: with another answer, and the last one on its connection.
    world.drain();
    assert_eq!(world.ended(admin), "-");
    world.say(admin, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = world.sent(admin);
    assert_eq!((status(&answer), world.ended(admin)), ("503", "close"));
    assert!(answer.contains("Connection: close\r\n") && answer.ends_with("draining: 1 of 1\n"), "{answer}");
    let admin = world.admin("");
    world.end_desk();
    assert_eq!((world.ended(admin), world.desk.visitors()), ("close", 0));
}

#[test]
fn at_the_admin_listener_who_said_nothing_for_longest_goes_for_the_next() {
    let mut world = World::new(&[]);
    let ask = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let first = world.admin(ask);
    world.pass(SECOND);
    let second = world.admin(ask);
    world.pass(SECOND);
    world.say(first, ask);
    world.crowded_desk();
    assert_eq!((world.ended(first), world.ended(second)), ("-", "close"));
    world.crowded_desk();
    assert_eq!((world.ended(first), world.desk.visitors()), ("close", 0));
    world.crowded_desk();
}

#[test]
fn an_admin_that_does_not_read_is_closed() {
    let mut world = World::new(&[]);
    let admin = world.admin("GET /stats HTTP/1.1\r\nHost: a\r\n\r\n");
    world.unsent(admin, 64 * 1024);
    assert_eq!(world.ended(admin), "-");
    world.unsent(admin, 1 << 20);
    assert_eq!(world.ended(admin), "abort");
}

#[test]
fn nothing_after_connect_is_read_as_a_request() {
    let mut world = World::new(&[]);
    let client = world.client("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((status(&world.sent(client)), world.ended(client)), ("405", "close"));
    assert!(world.opened_none());
}

/// The rest of the request will not come, and nothing else: waiting for the body's deadline would only hold the backend.
#[test]
fn a_client_that_ends_inside_its_request_is_let_go_at_once() {
    for answered in [false, true] {
        let mut world = World::new(&[]);
        let (client, backend) =
            world.exchange("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        if answered {
            world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        }
        world.end(client);
        assert_eq!((world.ended(client), world.ended(backend)), ("abort", "abort"), "answered {answered}");
        assert_eq!(world.proxy.census().in_flight, 0);
    }
}

/// The proxy cannot know whether its content follows or its next request, unless it asked for the content, or the
/// content has begun.
#[test]
fn a_client_that_waits_for_100_and_is_answered_otherwise_has_no_other_turn() {
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    for (before, promised) in
        [("", false), ("HTTP/1.1 103 Early Hints\r\n\r\n", false), ("HTTP/1.1 100 Go\r\n\r\n", true)]
    {
        let mut world = World::new(&[]);
        let (client, backend) = world.exchange(head);
        world.say(backend, &format!("{before}HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"));
        assert_eq!(!world.sent(client).contains("Connection: close\r\n"), promised, "{before:?}");
        assert_eq!(world.ended(client), if promised { "-" } else { "close" }, "{before:?}");
        world.sent(backend);
        world.say(client, "bodyGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(world.sent(backend).starts_with("bodyGET / "), promised, "{before:?}");
    }
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(&(head.to_owned() + "bo"));
    world.say(backend, "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno");
    world.say(client, "dy");
    assert_eq!((status(&world.sent(client)), world.ended(client), world.proxy.census().idle), ("417", "-", 1));
}

/// The rest of the request goes nowhere then, so no other may follow it: the client has to know.
#[test]
fn a_client_that_is_answered_early_by_a_backend_that_closes_is_not_promised_another_turn() {
    for (fields, promised) in [("Connection: close\r\n", false), ("", true)] {
        let mut world = World::new(&[]);
        let (client, backend) =
            world.exchange("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        world.say(backend, &format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"));
        let answer = world.sent(client);
        assert_eq!(!answer.contains("Connection: close\r\n"), promised, "{answer:?}");
        assert_eq!(world.ended(client), if promised { "-" } else { "close" });
    }
}
