//! Bodies that the proxy does not look at: everything else about their exchanges is as ever.

use super::{SECOND, World, status};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const KIB: usize = 1024;

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn only_the_rest_of_a_long_body_with_a_length_passes_unseen() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n";
    for (request, answer, unseen) in [
        (GET, head(512 * KIB), Some(512 * KIB)),
        (GET, head(512 * KIB - 1), None),
        (GET, head(512 * KIB) + "x", None),
        (GET, head(600 * KIB) + "0123456789", Some(600 * KIB - 10)),
        (GET, chunked.to_owned(), None),
        (GET, "HTTP/1.1 200 OK\r\n\r\n".to_owned(), None),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", head(600 * KIB), None),
    ] {
        let mut world = World::new(&[]);
        let (client, backend) = world.exchange(request);
        world.say(backend, &answer);
        let asked = world.splices.get(&backend).copied();
        assert_eq!(asked, unseen.map(|left| (client, left as u64)), "{answer:?}");
    }
}

#[test]
fn both_connections_persist_after_it() {
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(GET);
    for _ in 0..2 {
        world.say(backend, &head(600 * KIB));
        assert_eq!(status(&world.sent(client)), "200");
        for _ in 0..6 {
            assert_eq!(world.proxy.census().busy, 1);
            world.say(backend, &"x".repeat(100 * KIB));
        }
        assert_eq!((world.sent(client).len(), world.ended(client)), (600 * KIB, "-"));
        assert_eq!((world.proxy.census().busy, world.proxy.census().idle, world.splices.len()), (0, 1, 0));
        world.say(client, GET);
    }
    assert!(world.opened_none(), "the pooled connection is used again");
}

/// They are not the client's, and a backend that sends them is not to be trusted with another request.
#[test]
fn bytes_after_it_are_nobodys() {
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(GET);
    world.say(backend, &head(600 * KIB));
    world.say(backend, &("x".repeat(600 * KIB) + "HTTP/1.1 200 OK\r\n\r\n"));
    assert!(world.sent(client).ends_with(&"x".repeat(600 * KIB)));
    assert_eq!((world.ended(client), world.ended(backend), world.proxy.census().idle), ("-", "close", 0));
}

#[test]
fn a_body_cut_off_is_visibly_broken() {
    type Accident = fn(&mut World, crate::app::ConnId);
    let accidents: [(&str, Accident); 3] = [
        ("end", |world, backend| world.end(backend)),
        ("reset", |world, backend| world.fail(backend)),
        ("stall", |world, _| world.pass(61 * SECOND)),
    ];
    for (what, accident) in accidents {
        let mut world = World::new(&[]);
        let (client, backend) = world.exchange(GET);
        world.say(backend, &head(600 * KIB));
        world.say(backend, "some");
        accident(&mut world, backend);
        assert_eq!(world.ended(client), "abort", "{what}");
        assert_eq!(world.proxy.census().in_flight, 0, "{what}");
    }
}

#[test]
fn a_body_that_moves_is_not_late_and_a_peer_that_does_not_read_is() {
    let mut world = World::new(&["--response-timeout", "2s", "--write-timeout", "3s"]);
    let (client, backend) = world.exchange(GET);
    world.say(backend, &head(600 * KIB));
    for _ in 0..10 {
        world.pass(SECOND);
        world.say(backend, "x");
    }
    assert_eq!(world.ended(client), "-");
    // The client takes nothing: from now on it is late, and the backend is not.
    world.unsent(client, 200 * KIB);
    world.pass(5 * SECOND / 2);
    assert_eq!(world.ended(client), "-");
    world.pass(SECOND);
    assert_eq!((world.ended(client), world.ended(backend)), ("abort", "abort"));
}

#[test]
fn a_client_that_leaves_takes_its_backend_connection_along() {
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(GET);
    world.say(backend, &head(600 * KIB));
    world.say(backend, "some");
    world.fail(client);
    assert_eq!(world.ended(backend), "abort");
    assert_eq!(world.proxy.census().in_flight, 0);
}

/// A body that a peer cuts into chunks of one byte costs the other side one chunk for each input, in both directions.
#[test]
fn tiny_chunks_of_one_input_leave_as_one() {
    const COUNT: usize = 1000;
    let tiny = "1\r\nx\r\n".repeat(COUNT);
    let one = format!("{COUNT:x}\r\n{}\r\n", "x".repeat(COUNT));
    let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut world = World::new(&[]);
    let (client, backend) = world.exchange(&format!("{post}{tiny}"));
    assert!(world.sent(backend).ends_with(&format!("\r\n\r\n{one}")));
    world.say(client, &format!("{tiny}0\r\n\r\n"));
    assert_eq!(world.sent(backend), format!("{one}0\r\n\r\n"));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    world.say(backend, &format!("{head}{tiny}"));
    let sent = world.sent(client);
    assert!(sent.ends_with(&format!("\r\n\r\n{one}")), "{} bytes for {COUNT}", sent.len());
    world.say(backend, &format!("{tiny}0\r\n\r\n"));
    assert_eq!(world.sent(client), format!("{one}0\r\n\r\n"));
}
