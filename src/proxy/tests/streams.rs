//! Clients that speak HTTP/2: many exchanges at once on one connection.

use super::{
    SECOND, World,
    streams_peer::{OPEN, Peer, Told, WHOLE, frame, headers, hello},
};
use crate::{
    app::{Action, App as _, ConnId},
    http::Status,
    http2::{Cause, ErrorCode, PREFACE, Reset},
    proxy::{Census, turns::BEGUN},
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use std::collections::BTreeMap;

pub(super) fn answer(content: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nKeep-Alive: 5\r\n\r\n{content}", content.len())
}

/// Asks for each path: the streams, and the backend connections on which the requests arrive.
pub(super) fn asking(world: &mut World, peer: &mut Peer, paths: &[&str]) -> Vec<(u32, ConnId)> {
    let ask = |path: &&str| {
        let stream = peer.get(world, path);
        let backend = world.opened();
        world.connect(backend);
        (stream, backend)
    };
    paths.iter().map(ask).collect()
}

#[test]
fn several_are_answered_at_once_and_in_any_order() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let asked = asking(&mut world, &mut peer, &["/0", "/1", "/2"]);
    for at in [2, 0, 1] {
        let (stream, backend) = asked[at];
        let request = world.sent(backend);
        assert!(request.starts_with(&format!("GET /{at} HTTP/1.1\r\nhost: a\r\n")), "{request}");
        assert!(request.contains("\r\nVia: 2.0 socket-patterns\r\n"), "{request}");
        world.bring(backend, answer(&format!("for {at}")));
        let told = peer.heard(&mut world, stream);
        assert_eq!((told.code(), told.text(), told.ended), (200, &*format!("for {at}"), true));
        assert_eq!(told.names, "date via cache-status content-length ", "nothing of it is about a connection");
    }
    assert_eq!(world.proxy.census(), Census { clients: 1, idle: 3, ..Census::default() });
}

/// With an answer from each of many backends in one turn, the first leaves at once, and the others leave in one write.
#[test]
fn answers_of_one_turn_leave_together() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let paths: Vec<String> = (0..20).map(|number| format!("/{number}")).collect();
    let asked = asking(&mut world, &mut peer, &paths.iter().map(String::as_str).collect::<Vec<_>>());
    let mut writes = 0;
    let mut look = |world: &mut World| {
        let mut actions = Vec::new();
        world.cx.take_actions(&mut actions);
        writes +=
            usize::from(actions.iter().any(|action| matches!(action, Action::Send(conn, _) if *conn == peer.conn)));
        actions
    };
    let mut actions = Vec::new();
    for (_, backend) in &asked {
        let text = answer("now");
        world.proxy.received(&mut world.cx, *backend, text.as_bytes());
        actions.extend(look(&mut world));
    }
    assert!(world.cx.take_call());
    world.proxy.woken(&mut world.cx);
    actions.extend(look(&mut world));
    assert!(writes <= 2, "{writes} writes");
    actions.into_iter().for_each(|action| world.perform(action, &[]));
    for (stream, _) in asked {
        assert_eq!(peer.heard(&mut world, stream).text(), "now");
    }
}

#[test]
fn the_end_of_one_is_not_the_end_of_another() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let asked = asking(&mut world, &mut peer, &["/1", "/2", "/3"]);
    let [(one, first), (two, second), (three, third)] = asked[..] else { panic!() };
    world.say(first, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    world.end(first);
    peer.reset(&mut world, three);
    assert_eq!(world.ended(third), "abort", "the backend of a stream that was given up");
    let told = peer.heard(&mut world, one);
    assert_eq!((told.text(), told.ended), ("half", false));
    assert_eq!(told.reset, Some(Reset::Peer(ErrorCode::INTERNAL_ERROR)));
    // An HTTP/1.0 backend that ends the content with its connection: a stream says by itself where it ends.
    world.say(second, "HTTP/1.0 200 OK\r\n\r\nall");
    world.end(second);
    let told = peer.heard(&mut world, two);
    assert_eq!((told.text(), told.ended, told.reset), ("all", true, None));
    let stats = world.stats();
    let http2 = &stats["http2"];
    assert_eq!((&http2["given_up_by_client"], &http2["broken_off"]), (&1.into(), &1.into()), "{http2}");
}

#[test]
fn content_goes_to_the_backend_of_its_stream() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let one = peer.begin("POST", "/1", &[("content-length", "6")], false);
    let two = peer.begin("POST", "/2", &[("te", "trailers")], false);
    peer.send(&mut world, two, b"three", false);
    peer.send(&mut world, one, b"one", false);
    // The first byte of content without a length is enough; of six bytes, all six are waited for.
    let second = world.opened();
    assert!(world.opened_none());
    world.connect(second);
    peer.send(&mut world, one, b"one", true);
    let first = world.opened();
    world.connect(first);
    assert!(world.sent(first).ends_with("\r\n\r\noneone"));
    peer.core.finish(two, [("x-sum", "1")].into_iter().collect());
    peer.pump(&mut world);
    assert!(world.sent(second).ends_with("\r\n\r\n5\r\nthree\r\n0\r\nx-sum: 1\r\n\r\n"));
    // Trailers back.
    world.say(second, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n");
    let told = peer.heard(&mut world, two);
    assert_eq!((told.text(), told.trailers.get("x-sum"), told.ended), ("ok", Some(&b"2"[..]), true));
}

#[test]
fn every_kind_of_head_has_its_form() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    for (method, response, interims, code, length, content) in [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 0, 204, None, ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0, 304, Some("5"), ""),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 0, 200, Some("7"), ""),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 200, None, ""),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, 200, Some("0"), ""),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 0, 200, None, "x"),
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            1,
            200,
            Some("1"),
            "x",
        ),
    ] {
        let stream = peer.begin(method, "/", &[("cache-control", "no-store")], true);
        peer.pump(&mut world);
        let backend = if world.opened_none() { None } else { Some(world.opened()) };
        if let Some(backend) = backend {
            world.connect(backend);
            world.bring(backend, response);
            world.end(backend);
        }
        let told = peer.heard(&mut world, stream);
        let announced = told.fields.get("content-length").map(|length| std::str::from_utf8(length).unwrap());
        assert_eq!(
            (told.interims.len(), told.code(), announced, told.text(), told.ended, told.reset),
            (interims, code, length, content, true, None),
            "{method} {response}"
        );
    }
}

#[test]
fn an_answer_of_the_proxy_itself_has_its_form_too() {
    let mut world = World::speaking_http2(&["--connect-timeout", "1s"]);
    let mut peer = world.peer();
    let stream = peer.get(&mut world, "/");
    world.pass(SECOND * 10);
    let told = peer.heard(&mut world, stream);
    assert_eq!((told.status, told.ended), (Some(Status::GATEWAY_TIMEOUT), true));
    assert_eq!(told.names, "date content-type content-length proxy-status ");
}

#[test]
fn one_fetch_answers_several_streams_and_later_ones_hit() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let mut streams: Vec<u32> = (0..3).map(|_| peer.get(&mut world, "/same")).collect();
    let backend = world.opened();
    assert!(world.opened_none(), "one asks, the others follow");
    world.connect(backend);
    world.say(backend, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"x\"\r\nContent-Length: 4\r\n\r\nsame");
    world.wake();
    streams.push(peer.get(&mut world, "/same"));
    for stream in streams {
        let told = peer.heard(&mut world, stream);
        assert_eq!((told.text(), told.ended), ("same", true), "{stream}");
    }
    // A request for a part, and one that asks whether something has changed.
    for (field, code, content, announced) in
        [(("range", "bytes=1-2"), 206, "am", "2"), (("if-none-match", "\"x\""), 304, "", "-")]
    {
        let stream = peer.begin("GET", "/same", &[field], true);
        let told = peer.heard(&mut world, stream);
        let length = told.fields.get("content-length").map_or("-", |length| std::str::from_utf8(length).unwrap());
        assert_eq!((told.code(), told.text(), length, told.ended), (code, content, announced, true));
        assert_eq!(told.fields.get("etag"), Some(&b"\"x\""[..]));
        assert_eq!(told.fields.get("age"), Some(&b"0"[..]));
    }
}

/// The client has got everything that it asked for. Only the rest of its own request is missing.
#[test]
fn a_reset_behind_a_whole_answer_breaks_nothing_off() {
    for (length, is_whole) in [(4, true), (100_000, false)] {
        let mut world = World::speaking_http2(&[]);
        let mut peer = world.peer();
        let stream = peer.begin("POST", "/", &[], false);
        peer.send(&mut world, stream, b"part", false);
        let backend = world.opened();
        world.connect(backend);
        peer.reads = false;
        world.bring(backend, answer(&"x".repeat(length)));
        assert_eq!(peer.heard(&mut world, stream).ended, is_whole);
        assert_eq!(world.proxy.census().exchanges, 1, "the request goes on");
        peer.reset(&mut world, stream);
        let end = if is_whole { "close" } else { "abort" };
        assert_eq!((world.ended(backend), world.proxy.census().exchanges), (end, 0));
        let stats = world.stats();
        let (whole, broken) = (u64::from(is_whole), u64::from(!is_whole));
        assert_eq!((&stats["requests"]["responses"], &stats["requests"]["aborted"]), (&whole.into(), &broken.into()));
        assert_eq!(stats["http2"]["given_up_by_client"], broken);
    }
}

#[test]
fn much_at_once_is_begun_a_part_in_each_turn() {
    let mut world = World::speaking_http2(&["--http2-streams", "60"]);
    let mut peer = world.peer();
    let streams: Vec<u32> = (0..60).map(|_| peer.begin("OPTIONS", "/", &[("max-forwards", "0")], true)).collect();
    let turns = world.turns;
    peer.pump(&mut world);
    assert!(world.turns - turns >= 60 / BEGUN, "{} turns", world.turns - turns);
    for stream in streams {
        assert_eq!(peer.heard(&mut world, stream).code(), 200, "{stream}");
    }
}

#[test]
fn requests_that_do_not_belong_here_are_answered() {
    let host = ("host", "a");
    for (lines, code) in [
        (&[(":method", "GET"), (":scheme", "http"), (":path", "/"), host][..], 0),
        (&[(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a")], 421),
        (&[(":method", "CONNECT"), (":authority", "a:1")], 405),
        (
            &[(":method", "CONNECT"), (":protocol", "chat"), (":scheme", "http"), (":path", "/"), (":authority", "a")],
            501,
        ),
        (&[(":method", "GET"), (":scheme", "http"), (":path", "/")], 400),
        (&[(":method", "GET"), (":scheme", "ftp"), (":path", "/"), host], 400),
        (&[(":method", "GET"), (":scheme", "http"), (":path", "x"), host], 400),
        (&[(":method", "GET"), (":scheme", "http"), (":path", "/"), host, ("connection", "close")], 400),
        (&[(":method", "GET"), (":scheme", "http"), (":path", "/"), host, ("Upper", "x")], 400),
        (&[(":method", "GET"), (":scheme", "http"), (":path", "/"), host, ("te", "gzip")], 400),
        (&[(":method", "GET"), (":path", "/"), host], 400),
    ] {
        let mut world = World::speaking_http2(&[]);
        let mut peer = world.peer();
        // The core of the peer has to know the stream.
        let (stream, head) = peer.core.request("GET", "http", "a", "/").unwrap();
        head.finish(true);
        let mut lost = crate::buf::Output::new();
        peer.core.write(&mut lost, usize::MAX, world.cx.now());
        world.bring(peer.conn, headers(stream, WHOLE, lines));
        let told = peer.heard(&mut world, stream);
        assert_eq!(told.code(), code, "{lines:?}: {told:?}");
        assert_eq!(world.opened_none(), code != 0, "{lines:?}");
        let malformed = code == 400;
        assert_eq!(told.reset.is_some(), malformed && !told.ended, "{lines:?}: {told:?}");
        if malformed {
            let stats = world.stats();
            assert_eq!((&stats["requests"]["refused"], &stats["requests"]["total"]), (&1.into(), &0.into()));
        }
    }
}

#[test]
fn crumbs_of_cookies_are_joined_for_a_backend() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    peer.begin("GET", "/", &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")], true);
    peer.pump(&mut world);
    let backend = world.opened();
    world.connect(backend);
    assert!(world.sent(backend).contains("\r\ncookie: a=1; b=2\r\n"));
}

#[test]
fn a_gateway_that_is_trusted_says_the_scheme_of_its_own_client() {
    let mut world = World::speaking_http2(&["--trusted-proxy", "192.0.2.7"]);
    let peer = world.peer();
    let lines = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a")];
    world.bring(peer.conn, headers(1, WHOLE, &lines));
    let backend = world.opened();
    world.connect(backend);
    assert!(world.sent(backend).contains("\r\nX-Forwarded-Proto: https\r\n"));
}

const WEBSOCKET: [(&str, &str); 6] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":path", "/chat"),
    (":authority", "a"),
    ("sec-websocket-version", "13"),
];

/// A WebSocket that is asked for on stream 1, and the backend's connection with the request that arrived there.
fn websocket(world: &mut World) -> (ConnId, ConnId, String) {
    let client = world.client("");
    world.bring(client, [hello(), headers(1, OPEN, &WEBSOCKET)].concat());
    let backend = world.opened();
    world.connect(backend);
    let request = world.sent(backend);
    world.sent_bytes(client);
    (client, backend, request)
}

fn accept_of(request: &str) -> String {
    use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
    let key = request.split("Sec-WebSocket-Key: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    let digits: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let bits: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:08b}")).collect();
    let groups = bits.as_bytes().chunks(6).map(|group| format!("{:0<6}", std::str::from_utf8(group).unwrap()));
    groups.map(|group| digits[usize::from_str_radix(&group, 2).unwrap()]).collect::<String>() + "="
}

#[test]
fn a_websocket_reaches_a_backend_of_http11() {
    let mut world = World::speaking_http2(&[]);
    let (client, backend, request) = websocket(&mut world);
    assert!(
        request.starts_with("GET /chat HTTP/1.1\r\n") && request.contains("\r\nConnection: upgrade\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nUpgrade: websocket\r\n") && !request.contains("rotocol"), "{request}");
    // Bytes before the switch wait.
    world.bring(client, frame(0, 0, 1, b"early"));
    assert_eq!(world.sent(backend), "");
    let accept = accept_of(&request);
    world.bring(backend, format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\nhello"));
    assert_eq!(world.sent(backend), "early");
    let heard = world.sent_bytes(client);
    let (head, rest) = heard.split_at(9 + usize::from(heard[2]));
    assert_eq!((head[3], head[4] & 1), (1, 0), "HEADERS that end nothing");
    // `:status 200` of the static table, behind the size of the dynamic one.
    assert!(head[9..14].contains(&0x88), "{}", head.escape_ascii());
    assert_eq!(rest, frame(0, 0, 1, b"hello"));
    assert!(!head.windows(8).any(|window| window == b"upgrade:"));
    // Each side ends on its own.
    world.bring(client, frame(0, 1, 1, b"bye"));
    assert_eq!((world.sent(backend).as_str(), world.ended(backend)), ("bye", "finish"));
    world.say(backend, "bye");
    world.end(backend);
    assert_eq!(world.sent_bytes(client), [frame(0, 0, 1, b"bye"), frame(0, 1, 1, b"")].concat());
    assert_eq!(world.proxy.census(), Census { clients: 1, ..Census::default() });
    let requests = &world.stats()["requests"];
    assert_eq!((&requests["tunnels"], &requests["status"]["2xx"]), (&1.into(), &1.into()), "as the client was told");
}

/// The client's connection ends while bytes of the tunnel wait for a backend that is slow to take them.
#[test]
fn bytes_of_a_tunnel_go_before_its_end() {
    let mut world = World::speaking_http2(&[]);
    let (client, backend, request) = websocket(&mut world);
    let accept = accept_of(&request);
    world.bring(backend, format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"));
    world.unsent(backend, 1 << 20);
    world.bring(client, frame(0, 0, 1, b"late"));
    world.end(client);
    assert_eq!((world.sent(backend).as_str(), world.ended(backend)), ("", "-"));
    world.unsent(backend, 0);
    assert_eq!((world.sent(backend).as_str(), world.ended(backend)), ("late", "finish"));
    world.say(backend, "bye");
    world.end(backend);
    // Nothing is left of the client, which has not ended its stream and never will.
    assert_eq!((world.ended(client), world.proxy.census()), ("close", Census::default()));
}

#[test]
fn a_websocket_that_breaks_is_reset() {
    for (said, code) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", None),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
            None,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
            Some(ErrorCode::CONNECT_ERROR),
        ),
    ] {
        let mut world = World::speaking_http2(&[]);
        let (client, backend, request) = websocket(&mut world);
        world.bring(backend, said.replace("ACCEPT", &accept_of(&request)));
        let heard = world.sent_bytes(client);
        match code {
            // 502: an ordinary success would mean to the client that the protocol is spoken.
            None => assert!(String::from_utf8_lossy(&heard).contains("502 Bad Gateway\n"), "{said}"),
            Some(code) => {
                world.fail(backend);
                assert_eq!(world.sent_bytes(client), frame(3, 0, 1, &code.0.to_be_bytes()), "{said}");
            }
        }
    }
    // The client breaks it off.
    let mut world = World::speaking_http2(&[]);
    let (client, backend, request) = websocket(&mut world);
    let accept = accept_of(&request);
    world.bring(backend, format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"));
    world.bring(client, frame(3, 0, 1, &ErrorCode::CANCEL.0.to_be_bytes()));
    assert_eq!(world.ended(backend), "abort");
}

#[test]
fn content_of_another_length_than_announced_resets_its_stream() {
    let mut world = World::speaking_http2(&[]);
    let client = world.client("");
    let lines =
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("content-length", "3")];
    world.bring(client, [hello(), headers(1, OPEN, &lines), frame(0, 0, 1, b"ab"), frame(0, 1, 1, b"")].concat());
    let heard = world.sent_bytes(client);
    assert!(heard.ends_with(&frame(3, 0, 1, &ErrorCode::PROTOCOL_ERROR.0.to_be_bytes())));
    assert_eq!(world.stats()["http2"]["streams_ended"][Cause::LengthMismatch.as_str()], 1);
    assert_eq!(world.proxy.census(), Census { clients: 1, ..Census::default() });
}

#[test]
fn without_tls_the_first_bytes_decide() {
    for cut in 1..PREFACE.len() {
        let mut world = World::speaking_http2(&[]);
        let client = world.client("");
        world.bring(client, &PREFACE[..cut]);
        world.bring(client, &PREFACE[cut..]);
        let heard = world.sent_bytes(client);
        assert_eq!(heard[3..9], [4, 0, 0, 0, 0, 0], "cut at {cut}: SETTINGS come first");
    }
}

#[test]
fn a_request_that_begins_like_the_preface_is_one_of_http11() {
    let mut world = World::speaking_http2(&[]);
    let client = world.client("P");
    world.say(client, "RI");
    world.say(client, "NT / HTTP/1.1\r\nHost: a\r\n\r\n");
    let backend = world.opened();
    world.connect(backend);
    assert!(world.sent(backend).starts_with("PRINT / HTTP/1.1\r\n"));
    // One that ends before it is known what it is.
    let client = world.client("PRI * HTT");
    world.end(client);
    assert_eq!(world.ended(client), "close");
}

#[test]
fn without_the_flag_the_preface_is_a_request_of_another_version() {
    let mut world = World::new(&[]);
    let client = world.client("");
    world.bring(client, PREFACE);
    assert!(world.sent(client).starts_with("HTTP/1.1 505 "));
    assert_eq!(world.stats()["http2"], serde_json::Value::Null);
}

/// Streams ask, speak, leave and are answered in any order, by backends that answer whole, in pieces, half or not at all.
/// Each stream gets its own answer, whole or broken off; and in the end nothing is left.
#[test]
fn each_gets_its_own_answer_whatever_the_order() {
    for seed in 0..60 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut run = Run::new(World::speaking_http2(&["--retries", "1"]));
        for _ in 0..120 {
            run.step(&mut random);
        }
        run.end();
        run.judge(seed);
    }
}

struct Run {
    world: World,
    peer: Peer,
    asked: Vec<u32>,
    /// Backend connections, with what each has still to say.
    backends: BTreeMap<ConnId, String>,
    reset: Vec<u32>,
}

impl Run {
    fn new(mut world: World) -> Self {
        let peer = world.peer();
        Self { world, peer, asked: Vec::new(), backends: BTreeMap::new(), reset: Vec::new() }
    }

    fn step(&mut self, random: &mut SmallRng) {
        match random.random_range(0..10) {
            0..3 => self.ask(random),
            3 if !self.asked.is_empty() => {
                let stream = self.asked[random.random_range(0..self.asked.len())];
                if !self.reset.contains(&stream) && !self.peer.heard(&mut self.world, stream).is_over() {
                    self.peer.reset(&mut self.world, stream);
                    self.reset.push(stream);
                }
            }
            4 => self.world.pass(SECOND),
            _ => self.answer(random),
        }
        self.peer.pump(&mut self.world);
        self.world.wake();
    }

    fn ask(&mut self, random: &mut SmallRng) {
        let number = self.asked.len() as u32 * 2 + 1;
        // A few ask for the same, so that they may share an answer.
        let path = format!("/{}", if random.random() { number } else { 0 });
        let posts = random.random_range(0..3) == 0;
        let stream = self.peer.begin(if posts { "POST" } else { "GET" }, &path, &[], !posts);
        assert_eq!(stream, number);
        self.asked.push(stream);
        if posts {
            let content = vec![b'x'; random.random_range(0..40)];
            self.peer.send(&mut self.world, stream, &content, true);
        }
    }

    /// One of the backends connects, or says a piece more, or ends.
    fn answer(&mut self, random: &mut SmallRng) {
        while !self.world.opened_none() {
            let conn = self.world.opened();
            self.world.connect(conn);
            self.backends.insert(conn, String::new());
        }
        self.backends.retain(|conn, _| self.world.cx.is_open(*conn));
        let Some(at) = (!self.backends.is_empty()).then(|| random.random_range(0..self.backends.len())) else { return };
        let (&conn, rest) = self.backends.iter_mut().nth(at).unwrap();
        let heard = self.world.sent(conn);
        if let Some(path) = heard.split(' ').nth(1) {
            *rest = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=1\r\nContent-Length: 50\r\n\r\n{path:.<50}");
        }
        if random.random_range(0..12) == 0 {
            return self.world.end(conn);
        }
        let piece: String = rest.drain(..random.random_range(0..=rest.len())).collect();
        self.world.say(conn, &piece);
    }

    /// Every deadline of a request passes, also of those that wait for others.
    fn end(&mut self) {
        for _ in 0..3 {
            self.world.pass(SECOND * 100);
            self.peer.pump(&mut self.world);
            self.world.wake();
        }
        self.peer.pump(&mut self.world);
    }

    fn judge(&mut self, seed: u64) {
        for stream in self.asked.iter().filter(|stream| !self.reset.contains(stream)) {
            let nothing = || panic!("seed {seed}: stream {stream} was told nothing");
            let told: &Told = self.peer.told.get(stream).unwrap_or_else(nothing);
            assert!(told.is_over(), "seed {seed}: stream {stream} waits: {told:?}");
            if told.status == Some(Status::OK) {
                let path = told.text().trim_end_matches('.');
                let own = format!("/{stream}");
                assert!(own.starts_with(path) || path == "/0", "seed {seed}: {stream} got another's answer: {told:?}");
                assert!(!told.ended || told.content.len() == 50, "seed {seed}: cut short, and not said so: {told:?}");
            }
        }
        let census = self.world.proxy.census();
        let left = Census { clients: census.clients, idle: census.idle, ..Census::default() };
        assert_eq!(census, left, "seed {seed}");
        assert!(census.clients <= 1);
    }
}
