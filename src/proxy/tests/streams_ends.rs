//! How HTTP/2 connections end: idle, late, drained, cut off, for floods.

use super::{
    SECOND, World,
    streams_peer::{OPEN, WHOLE, frame, headers, hello},
};
use crate::{
    app::ConnId,
    http2::{Cause, ErrorCode, PREFACE, Reset, limits},
    proxy::{Census, streams::MOST_EXCHANGES},
};

const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

/// The codes of the GOAWAYs in what was sent.
fn goodbyes(mut wire: &[u8]) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    while let Some(head) = wire.first_chunk::<9>() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let (frame, rest) = wire.split_at(9 + length);
        if head[3] == 7 {
            let word = |at: usize| u32::from_be_bytes(*frame[at..].first_chunk().unwrap());
            found.push((word(9), word(13)));
        }
        wire = rest;
    }
    found
}

/// Why clients were told goodbye, and how many.
fn said_goodbye(stats: &serde_json::Value) -> Vec<(String, u64)> {
    let all = stats["http2"]["goaway_to_client"].as_object().unwrap();
    let counts = all.iter().map(|(why, count)| (why.clone(), count.as_u64().unwrap()));
    counts.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn an_idle_connection_is_told_goodbye() {
    let mut world = World::speaking_http2(&["--idle-timeout", "20s"]);
    let mut peer = world.peer();
    let stream = peer.get(&mut world, "/");
    let backend = world.opened();
    world.connect(backend);
    // While a request runs, it is not idle.
    world.pass(SECOND * 30);
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(peer.heard(&mut world, stream).ended);
    // To speak without asking is no use of a connection.
    world.pass(SECOND * 15);
    world.bring(peer.conn, frame(6, 0, 0, b"are you?"));
    world.pass(SECOND * 4);
    assert_eq!(world.ended(peer.conn), "-");
    world.pass(SECOND * 2);
    assert_eq!(world.ended(peer.conn), "close");
    peer.pump(&mut world);
    assert_eq!(peer.goaway, Some(ErrorCode::NO_ERROR));
    let stats = world.stats();
    assert_eq!(stats["connections"]["idle_closed"]["idle timeout"], 1);
    assert_eq!(said_goodbye(&stats), [("idle timeout".to_owned(), 1)]);
    assert_eq!((&stats["connections"]["open"], &stats["connections"]["closed"]), (&0.into(), &1.into()));
}

/// The kernel of a client may hold much that it has not read, and its window updates must not be answered with a reset: a connection
/// is closed when the client says that it has read everything, or has had the time of one that idles.
#[test]
fn a_client_that_said_goodbye_has_time_to_read() {
    for reads in [true, false] {
        let mut world = World::speaking_http2(&["--idle-timeout", "20s"]);
        let mut peer = world.peer();
        let stream = peer.get(&mut world, "/");
        let backend = world.opened();
        world.connect(backend);
        world.bring(peer.conn, frame(7, 0, 0, &[0; 8]));
        world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        world.pass(SECOND * 15);
        world.bring(peer.conn, frame(8, 0, 0, &[0, 0, 0, 1]));
        assert_eq!(world.ended(peer.conn), "-");
        if reads {
            assert!(peer.heard(&mut world, stream).ended);
            assert_eq!(peer.goaway, Some(ErrorCode::NO_ERROR));
        } else {
            world.pass(SECOND * 6);
        }
        assert_eq!(world.ended(peer.conn), "close");
        assert_eq!(world.proxy.census().clients, 0);
    }
}

#[test]
fn the_first_request_and_every_field_block_have_a_deadline() {
    for (said, cause) in [
        (Vec::new(), None),
        (PREFACE[..20].to_vec(), None),
        (hello(), None),
        ([hello(), frame(1, 0, 1, b"\x82")].concat(), Some(Cause::LateBlock)),
        ([hello(), headers(1, WHOLE, &GET)[..20].to_vec()].concat(), Some(Cause::LateBlock)),
    ] {
        let mut world = World::speaking_http2(&["--head-timeout", "10s"]);
        let client = world.client("");
        world.bring(client, &said);
        world.pass(SECOND * 9);
        // Pings do not help.
        assert_eq!(world.ended(client), "-", "{}", said.escape_ascii());
        world.pass(SECOND * 2);
        assert_eq!(world.ended(client), "close", "{}", said.escape_ascii());
        let ended = &world.stats()["http2"]["connections_ended"];
        assert_eq!(ended[Cause::LateBlock.as_str()].as_u64(), cause.map(|_| 1), "{ended}");
        assert_eq!(world.proxy.census(), Census::default());
    }
}

#[test]
fn the_end_lets_requests_run_and_closes_what_idles() {
    let mut world = World::speaking_http2(&[]);
    let (idle, silent, mut busy) = (world.peer(), world.peer(), world.peer());
    let stream = busy.get(&mut world, "/");
    let backend = world.opened();
    world.connect(backend);
    drop(idle);
    world.sent_bytes(silent.conn);
    world.drain();
    assert_eq!(goodbyes(&world.sent_bytes(silent.conn)), [(0, 0)]);
    assert_eq!(world.ended(silent.conn), "close");
    assert_eq!(world.ended(busy.conn), "-");
    // The client begins one more before it knows.
    let late = busy.core.request("GET", "http", "a", "/late").map(|(stream, head)| {
        head.finish(true);
        stream
    });
    busy.pump(&mut world);
    assert_eq!(busy.goaway, Some(ErrorCode::NO_ERROR));
    let late = late.unwrap();
    let other = world.opened();
    world.connect(other);
    for backend in [backend, other] {
        assert_eq!(world.ended(busy.conn), "-");
        world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        busy.pump(&mut world);
    }
    for stream in [stream, late] {
        assert!(busy.heard(&mut world, stream).ended);
    }
    assert_eq!(world.ended(busy.conn), "close");
    assert_eq!(world.proxy.census().clients, 0);
    // Each heard it once, however many frames that took.
    assert_eq!(said_goodbye(&world.stats()), [("draining".to_owned(), 3)]);
}

/// A stream is over with its answer and the last byte of its request. Its exchange is not, while the backend has not taken the request.
#[test]
fn a_connection_stays_until_a_backend_has_taken_what_was_sent_on_it() {
    fn drained(world: &mut World, _: ConnId) {
        world.drain();
    }
    fn idle(world: &mut World, _: ConnId) {
        world.pass(SECOND * 15);
    }
    for goodbye in [drained, World::end, idle] {
        let mut world = World::speaking_http2(&["--idle-timeout", "10s"]);
        let mut peer = world.peer();
        let stream = peer.begin("POST", "/", &[], false);
        peer.send(&mut world, stream, b"a", false);
        let backend = world.opened();
        world.connect(backend);
        world.unsent(backend, 20_000);
        peer.send(&mut world, stream, &[b'x'; 30_000], true);
        world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert!(peer.heard(&mut world, stream).ended);
        goodbye(&mut world, peer.conn);
        peer.pump(&mut world);
        assert_eq!(world.ended(peer.conn), "-");
        world.unsent(backend, 0);
        assert!(world.sent(backend).ends_with("xx\r\n0\r\n\r\n"));
        world.pass(SECOND * 10);
        assert_eq!(world.ended(peer.conn), "close");
        let census = world.proxy.census();
        assert_eq!((census.exchanges, census.in_flight, census.clients), (0, 0, 0));
    }
}

#[test]
fn the_end_of_the_drain_timeout_resets_what_is_left() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let (begun, waiting) = (peer.get(&mut world, "/1"), peer.get(&mut world, "/2"));
    let (first, second) = (world.opened(), world.opened());
    world.connect(first);
    world.connect(second);
    world.say(first, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    peer.pump(&mut world);
    world.drain();
    peer.pump(&mut world);
    world.cut_off();
    let told = peer.heard(&mut world, begun);
    assert_eq!((told.text(), told.reset), ("half", Some(Reset::Peer(ErrorCode::INTERNAL_ERROR))));
    assert_eq!(peer.heard(&mut world, waiting).code(), 504);
    assert_eq!(world.ended(peer.conn), "close");
    assert_eq!((world.proxy.census().clients, world.proxy.cut_off_at_end()), (0, 2));
}

#[test]
fn a_client_that_says_goodbye_is_served_to_the_end() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let stream = peer.get(&mut world, "/");
    let backend = world.opened();
    world.connect(backend);
    world.bring(peer.conn, frame(7, 0, 0, &[0; 8]));
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(peer.heard(&mut world, stream).text(), "ok");
    assert_eq!(world.ended(peer.conn), "close");
    assert_eq!(world.stats()["http2"]["goaway_from_client"], 1);
}

#[test]
fn a_client_that_ends_its_side_is_answered_as_far_as_it_has_asked() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let whole = peer.get(&mut world, "/whole");
    let half = peer.begin("POST", "/half", &[], false);
    peer.send(&mut world, half, b"x", false);
    let (first, second) = (world.opened(), world.opened());
    world.connect(first);
    world.connect(second);
    world.end(peer.conn);
    assert_eq!(world.ended(second), "abort", "the rest of its request will never come");
    world.say(first, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let heard = world.sent_bytes(peer.conn);
    assert!(heard.ends_with(b"ok"));
    let _ = whole;
    assert_eq!(world.ended(peer.conn), "close");
}

#[test]
fn a_lost_connection_takes_its_requests_with_it() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    peer.get(&mut world, "/1");
    peer.get(&mut world, "/2");
    let (first, second) = (world.opened(), world.opened());
    world.connect(first);
    world.fail(peer.conn);
    assert_eq!((world.ended(first), world.ended(second)), ("abort", "abort"));
    assert_eq!(world.proxy.census(), Census::default());
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let mut world = World::speaking_http2(&["--write-timeout", "10s"]);
    let mut peer = world.peer();
    let stream = peer.get(&mut world, "/");
    let backend = world.opened();
    world.connect(backend);
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n");
    world.bring(backend, vec![b'x'; 20_000]);
    world.unsent(peer.conn, 20_000);
    // It waits with the driver; more is not given to it.
    world.sent_bytes(peer.conn);
    world.bring(backend, vec![b'x'; 20_000]);
    assert_eq!(world.sent_bytes(peer.conn).len(), 0);
    assert!(world.paused.contains(&backend));
    world.pass(SECOND * 25);
    assert_eq!(world.ended(peer.conn), "abort");
    assert_eq!(world.proxy.census(), Census::default());
    let _ = stream;
}

#[test]
fn more_than_one_write_goes_in_turns() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    // A window for all of it.
    world.bring(peer.conn, frame(4, 0, 0, b"\x00\x04\x00\x10\x00\x00"));
    world.bring(peer.conn, frame(8, 0, 0, &(1_u32 << 24).to_be_bytes()));
    let stream = peer.get(&mut world, "/big");
    let backend = world.opened();
    world.connect(backend);
    let size = 900_000;
    world.bring(backend, format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: {size}\r\n\r\n"));
    world.bring(backend, vec![b'x'; size]);
    peer.pump(&mut world);
    world.wake();
    assert_eq!(peer.heard(&mut world, stream).content.len(), size);
    // From memory it is there at once, and 64 KiB leave in each turn.
    let turns = world.turns;
    let stream = peer.get(&mut world, "/big");
    assert_eq!(peer.heard(&mut world, stream).content.len(), size);
    assert!(world.turns - turns >= size / (64 * 1024), "{} turns", world.turns - turns);
}

#[test]
fn a_connection_can_be_limited_to_some_requests() {
    let mut world = World::speaking_http2(&["--keep-alive-requests", "2"]);
    let mut peer = world.peer();
    for last in [false, true] {
        let stream = peer.begin("OPTIONS", "/", &[("max-forwards", "0")], true);
        assert_eq!(peer.heard(&mut world, stream).code(), 200);
        assert_eq!(world.ended(peer.conn), if last { "close" } else { "-" });
    }
    assert_eq!(peer.goaway, Some(ErrorCode::NO_ERROR));
    assert_eq!(said_goodbye(&world.stats()), [("enough requests".to_owned(), 1)]);
}

#[test]
fn an_idle_connection_makes_room_for_another() {
    let mut world = World::speaking_http2(&[]);
    let mut idle = world.peer();
    let stream = idle.begin("OPTIONS", "/", &[("max-forwards", "0")], true);
    assert_eq!(idle.heard(&mut world, stream).code(), 200);
    let mut busy = world.peer();
    busy.get(&mut world, "/");
    world.pass(SECOND);
    world.crowded();
    assert_eq!((world.ended(idle.conn), world.ended(busy.conn)), ("close", "-"));
    let stats = world.stats();
    assert_eq!(stats["connections"]["idle_closed"]["room for others"], 1);
    assert_eq!(said_goodbye(&stats), [("room for others".to_owned(), 1)]);
}

#[test]
fn floods_end_their_connection_by_name() {
    let reset =
        |stream: u32| [headers(stream, WHOLE, &GET), frame(3, 0, stream, &ErrorCode::CANCEL.0.to_be_bytes())].concat();
    let streams = || (0..).map(|number| number * 2 + 1);
    /// The words of so many.
    type Words<'w> = &'w dyn Fn(usize) -> Vec<u8>;
    let floods: [(Cause, u32, Words<'_>); 5] = [
        (Cause::RapidReset, limits::RESETS.burst, &|n| streams().take(n).flat_map(reset).collect()),
        (Cause::PingFlood, limits::PINGS.burst, &|n| frame(6, 0, 0, &[0; 8]).repeat(n)),
        (Cause::SettingsFlood, limits::SETTINGS.burst - 1, &|n| frame(4, 0, 0, &[]).repeat(n)),
        (Cause::EmptyData, limits::EMPTY_DATA.burst, &|n| {
            let post = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
            [headers(1, OPEN, &post), frame(0, 0, 1, &[]).repeat(n)].concat()
        }),
        (Cause::UnknownFlood, limits::UNKNOWN_FRAMES.burst, &|n| frame(99, 0, 0, &[]).repeat(n)),
    ];
    for (cause, most, flood) in floods {
        for more in [0, 1] {
            let mut world = World::speaking_http2(&[]);
            let client = world.client("");
            world.bring(client, hello());
            world.sent_bytes(client);
            world.bring(client, flood(most as usize + more));
            let heard = world.sent_bytes(client);
            let ended = more == 1;
            assert_eq!(goodbyes(&heard).last().map(|(_, code)| *code), ended.then_some(cause.code().0), "{cause}");
            assert_eq!(world.ended(client), if ended { "close" } else { "-" }, "{cause}");
            let counted = world.stats()["http2"]["connections_ended"][cause.as_str()].as_u64();
            assert_eq!(counted, ended.then_some(1), "{cause}");
            if ended {
                let census = world.proxy.census();
                assert_eq!((census.clients, census.exchanges), (0, 0), "{cause}");
            }
        }
    }
}

#[test]
fn a_worker_has_only_so_many_exchanges() {
    const STREAMS: usize = 10_000;
    let post = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    let mut world = World::speaking_http2(&["--http2-streams", "10000"]);
    // Requests whose content has not come have an exchange each, and no backend.
    let asking = |world: &mut World, count: usize| {
        let client = world.client("");
        world.bring(client, hello());
        let streams = (0..count as u32).map(|number| headers(number * 2 + 1, OPEN, &post));
        world.bring(client, streams.flatten().collect::<Vec<u8>>());
        (client, world.sent_bytes(client))
    };
    let clients: Vec<_> = (0..MOST_EXCHANGES / STREAMS).map(|_| asking(&mut world, STREAMS).0).collect();
    assert_eq!(world.proxy.census().exchanges, MOST_EXCHANGES);
    assert_eq!(world.stats()["http2"]["refused"], 0);
    let (_, heard) = asking(&mut world, 1);
    assert!(heard.ends_with(&frame(3, 0, 1, &ErrorCode::REFUSED_STREAM.0.to_be_bytes())));
    assert_eq!(world.stats()["http2"]["refused"], 1);
    world.bring(clients[0], frame(3, 0, 1, &ErrorCode::CANCEL.0.to_be_bytes()));
    asking(&mut world, 1);
    assert_eq!((world.proxy.census().exchanges, &world.stats()["http2"]["refused"]), (MOST_EXCHANGES, &1.into()));
}
