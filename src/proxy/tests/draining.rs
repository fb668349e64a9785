//! Tests of making room for other clients, and of the end: which clients are let go, when, and what they are told.

use super::{SECOND, World, status};
use crate::app::ConnId;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";

/// A client that was answered and idles.
fn idle(world: &mut World) -> ConnId {
    let (client, backend) = world.exchange(GET);
    world.say(backend, OK);
    world.end(backend);
    assert_eq!((status(&world.sent(client)), world.ended(client)), ("200", "-"));
    client
}

/// The client's request reaches a backend, whose answer says that it is the last one.
fn has_a_last_answer(world: &mut World, client: ConnId, request: &str) {
    world.say(client, request);
    let backend = world.opened();
    world.connect(backend);
    world.say(backend, OK);
    let answer = world.sent(client);
    assert_eq!((status(&answer), world.ended(client)), ("200", "close"));
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
}

fn let_go(world: &mut World) -> serde_json::Value {
    let admin = world.admin("GET /stats HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = world.sent(admin);
    let stats: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    stats["connections"]["idle_closed"].clone()
}

#[test]
fn a_drain_answers_what_still_comes_and_lets_go_of_who_says_nothing() {
    let mut world = World::new(&["--drain-grace", "3s"]);
    let (quick, silent) = (idle(&mut world), idle(&mut world));
    let mute = world.client("");
    let (begun, begun_backend) = world.exchange(GET);
    let (promised, promised_backend) = world.exchange(GET);
    world.say(promised_backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    world.drain();
    for client in [quick, silent, mute, begun, promised] {
        assert_eq!(world.ended(client), "-");
    }
    world.pass(SECOND);
    has_a_last_answer(&mut world, quick, POST);
    has_a_last_answer(&mut world, mute, POST);
    world.say(begun_backend, OK);
    assert!(world.sent(begun).contains("Connection: close\r\n"));
    assert_eq!(world.ended(begun), "close");
    // Its head had left before, and said nothing about an end: the client may have sent another request.
    world.say(promised_backend, "ok");
    assert!(!world.sent(promised).contains("Connection: close\r\n"));
    assert_eq!((world.ended(promised), world.ended(silent)), ("-", "-"));
    world.pass(2 * SECOND);
    assert_eq!(world.ended(silent), "close", "it had its grace");
    has_a_last_answer(&mut world, promised, POST);
    assert_eq!(let_go(&mut world)["draining"], 1);
    assert_eq!(world.proxy.census().clients, 0);
}

#[test]
fn the_grace_leaves_half_of_the_drain_timeout_for_answers() {
    let mut world = World::new(&["--drain-grace", "1h", "--drain-timeout", "4s"]);
    let client = idle(&mut world);
    world.drain();
    world.pass(2 * SECOND - SECOND / 100);
    assert_eq!(world.ended(client), "-");
    world.pass(SECOND / 10);
    assert_eq!(world.ended(client), "close");
}

#[test]
fn a_client_that_has_just_said_something_is_heard_and_not_let_go() {
    type Reason = fn(&mut World);
    let reasons: [(&str, Reason); 3] = [
        ("draining", |world| {
            world.drain();
            world.pass(3 * SECOND);
        }),
        ("idle timeout", |world| world.pass(6 * SECOND)),
        ("room for others", World::crowded),
    ];
    for (reason, happens) in reasons {
        let mut world = World::new(&["--idle-timeout", "5s"]);
        let (speaks, silent) = (idle(&mut world), idle(&mut world));
        world.not_quiet.push(speaks);
        happens(&mut world);
        happens(&mut world);
        assert_eq!((world.ended(speaks), world.ended(silent)), ("-", "close"), "{reason}");
        assert_eq!(let_go(&mut world)[reason], 1);
        world.say(speaks, POST);
        let backend = world.opened();
        world.connect(backend);
        world.say(backend, OK);
        assert_eq!(status(&world.sent(speaks)), "200", "{reason}");
    }
}

#[test]
fn the_longest_idle_client_makes_room_and_nobody_who_is_at_work() {
    let mut world = World::new(&[]);
    let (first, second) = (idle(&mut world), idle(&mut world));
    let (busy, backend) = world.exchange(GET);
    let half_a_head = world.client("GET / HT");
    let reads = idle(&mut world);
    world.unsent(reads, 10);
    let fresh = world.client("");
    // The first has been idle for less time than the second from here on.
    world.pass(SECOND / 10);
    world.say(first, GET);
    let another = world.opened();
    world.connect(another);
    world.say(another, OK);
    world.end(another);
    for (goes, stays) in [(second, first), (first, fresh)] {
        world.crowded();
        assert_eq!((world.ended(goes), world.ended(stays)), ("close", "-"));
    }
    world.crowded();
    assert_eq!(world.ended(fresh), "-", "it has only just come");
    world.pass(SECOND);
    world.crowded();
    assert_eq!(world.ended(fresh), "close");
    world.crowded();
    for stays in [busy, half_a_head, reads] {
        assert_eq!(world.ended(stays), "-");
    }
    assert_eq!(let_go(&mut world)["room for others"], 3);
    world.unsent(reads, 0);
    world.say(backend, OK);
    world.crowded();
    assert_eq!((world.ended(reads), world.ended(busy)), ("close", "-"));
    world.crowded();
    assert_eq!(world.ended(busy), "close");
}

#[test]
fn a_request_that_is_cut_off_at_the_end_is_answered_if_it_can_be_and_counted() {
    let mut world = World::new(&[]);
    let (waits, _) = world.exchange(GET);
    let (reads, backend) = world.exchange(GET);
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let (tunnel, backend) = world.exchange(UPGRADE);
    world.say(backend, SWITCH);
    let half_a_head = world.client("GET / HT");
    let silent = world.client("");
    world.drain();
    world.cut_off();
    for (client, expected) in [(waits, "504"), (half_a_head, "504"), (silent, "-")] {
        assert_eq!((status(&world.sent(client)), world.ended(client)), (expected, "close"));
    }
    assert_eq!([world.ended(reads), world.ended(tunnel)], ["abort", "abort"]);
    assert_eq!(world.proxy.cut_off_at_end(), 4);
    assert_eq!(world.proxy.census(), crate::proxy::Census::default());
    let admin = world.admin("GET /stats HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = world.sent(admin);
    let stats: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&stats["errors"]["drain timeout"], &stats["draining"]), (&4.into(), &true.into()));
}
