//! Responses, seen from both ends.

use super::support::*;
use crate::{
    http,
    http2::{ErrorCode, Limits, Role, limits},
};

fn status(code: &str) -> Vec<u8> {
    headers(END_HEADERS, 1, &block(&[(":status", code)]))
}

fn ending(lines: &[(&str, &str)]) -> Vec<u8> {
    headers(WHOLE, 1, &block(lines))
}

/// A client has asked with this method, and hears the frames.
fn is_heard(method: &str, frames: &[Vec<u8>], expected: &[&str]) {
    let mut peer = Peer::fresh(Role::Client, Limits::default());
    peer.hear(&settings(&[]));
    peer.connection.request(method, "http", "a", "/").unwrap().1.finish(true);
    peer.hear(&frames.concat());
    assert_eq!(peer.heard(), *expected, "{frames:?}");
}

#[test]
fn responses() {
    let with_length = headers(END_HEADERS, 1, &block(&[(":status", "200"), ("content-length", "2")]));
    for (method, frames, expected) in [
        ("GET", vec![ending(&[(":status", "204")])], &["RESPONSE 1 204 {} END"][..]),
        (
            "GET",
            vec![status("103"), status("200"), data(END_STREAM, 1, b"a")],
            &["RESPONSE 1 103 {}", "RESPONSE 1 200 {}", "DATA 1 a", "END 1"],
        ),
        ("GET", vec![status("200"), ending(&[("x", "y")])], &["RESPONSE 1 200 {}", "END 1 {\"x\": \"y\"}"]),
        (
            "GET",
            vec![with_length.clone(), data(END_STREAM, 1, b"ab")],
            &["RESPONSE 1 200 {\"content-length\": \"2\"}", "DATA 1 ab", "END 1"],
        ),
        (
            "GET",
            vec![with_length.clone(), data(END_STREAM, 1, b"a")],
            &["RESPONSE 1 200 {\"content-length\": \"2\"}", "RESET 1 content does not fit content-length"],
        ),
        (
            "HEAD",
            vec![ending(&[(":status", "200"), ("content-length", "2")])],
            &["RESPONSE 1 200 {\"content-length\": \"2\"} END"],
        ),
        (
            "HEAD",
            vec![with_length, data(END_STREAM, 1, b"ab")],
            &["RESPONSE 1 200 {\"content-length\": \"2\"}", "RESET 1 content does not fit content-length"],
        ),
        (
            "GET",
            vec![ending(&[(":status", "304"), ("content-length", "2")])],
            &["RESPONSE 1 304 {\"content-length\": \"2\"} END"],
        ),
        (
            "GET",
            vec![status("304"), data(0, 1, b"a")],
            &["RESPONSE 1 304 {}", "RESET 1 content does not fit content-length"],
        ),
    ] {
        is_heard(method, &frames, expected);
    }
}

#[test]
fn responses_that_are_malformed() {
    for (frames, expected) in [
        (vec![ending(&[(":status", "100")])], &["RESET 1 field section with or without an end"][..]),
        (vec![data(0, 1, b"a")], &["RESET 1 field section with or without an end"]),
        (vec![status("101")], &["RESET 1 bad :status"]),
        (vec![status("20")], &["RESET 1 bad :status"]),
        (vec![status("0200")], &["RESET 1 bad :status"]),
        (vec![status("2x0")], &["RESET 1 bad :status"]),
        (vec![ending(&[("x", "y")])], &["RESET 1 pseudo-fields do not fit the method"]),
        (vec![ending(&[(":status", "200"), (":path", "/")])], &["RESET 1 unknown pseudo-field"]),
        (vec![ending(&[("x", "y"), (":status", "200")])], &["RESET 1 pseudo-field behind a field"]),
        (vec![ending(&[(":status", "200"), ("connection", "close")])], &["RESET 1 field of a connection"]),
        (vec![status("200"), status("200")], &["RESPONSE 1 200 {}", "RESET 1 field section with or without an end"]),
    ] {
        is_heard("GET", &frames, expected);
    }
}

/// §8.2, §8.2.2: our own messages.
#[test]
fn heads_that_we_write() {
    let mut peer = Peer::server();
    peer.hear(&get(1));
    let mut head = peer.connection.respond(1, http::Status::new(103).unwrap()).unwrap();
    head.field(b"Link", b"</a>");
    head.finish(false);
    let mut head = peer.connection.respond(1, http::Status::OK).unwrap();
    for (name, value) in [
        ("Content-Type", "text/plain"),
        ("Connection", "close"),
        ("Keep-Alive", "5"),
        ("Upgrade", "x"),
        ("Transfer-Encoding", "chunked"),
        ("Proxy-Connection", "close"),
    ] {
        head.field(name.as_bytes(), value.as_bytes());
    }
    head.field_of(b"Via", &[b"1.1 ", b"us"]);
    head.finish(false);
    peer.connection.send_copy(1, b"hello");
    peer.connection.finish(1, [("X-Sum", "5"), ("X-More", "")].into_iter().collect());
    assert_eq!(
        peer.said(),
        [
            "HEADERS 1 :status=103 link=</a>",
            "HEADERS 1 :status=200 content-type=text/plain via=1.1 us",
            "DATA 1 hello",
            "HEADERS 1 x-sum=5 x-more= END"
        ]
    );
    // Words on a stream that is over are lost.
    assert!(peer.connection.respond(1, http::Status::OK).is_none());
    peer.connection.send_copy(1, b"late");
    peer.connection.finish(1, http::Fields::new());
    assert!(peer.said().is_empty());
}

/// A head that is longer than a frame.
#[test]
fn a_long_head_is_continued() {
    for (length, frames) in [(16_300, 1), (16_384, 2), (40_000, 3)] {
        let mut peer = Peer::server();
        peer.hear(&get(1));
        let mut head = peer.connection.respond(1, http::Status::OK).unwrap();
        // Three times eight bits, whose code is no shorter.
        head.field(b"x", &vec![b'&'; length]);
        head.finish(true);
        let mut sink = crate::buf::Output::new();
        peer.connection.write(&mut sink, 1, peer.now);
        let wire: Vec<u8> = std::iter::from_fn(|| sink.pop()).flatten().collect();
        // The other role reads it.
        let mut client = Peer::fresh(
            Role::Client,
            Limits { http: http::Limits { head: 50_000, ..http::Limits::default() }, ..Limits::default() },
        );
        client.connection.request("GET", "http", "a", "/").unwrap().1.finish(true);
        client.hear(&[settings(&[]), wire.clone()].concat());
        let heard = client.heard();
        assert!(heard[0].starts_with("RESPONSE 1 200") && heard[0].ends_with("END"), "{heard:?}");
        let mut rest = &wire[..];
        let mut count = 0;
        while let Some(head) = rest.first_chunk::<3>() {
            rest = &rest[9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize..];
            count += 1;
        }
        assert_eq!(count, frames, "{length}");
    }
}

/// §5.1: a client may have given up many requests, and the server may answer all of them after that.
#[test]
fn late_answers_to_any_number_of_given_up_requests_are_borne() {
    let mut peer = Peer::fresh(Role::Client, Limits::default());
    assert_eq!(peer.connection.allowed(), None, "its settings have not come");
    peer.hear(&settings(&[]));
    assert_eq!(peer.connection.allowed(), Some(u32::MAX));
    let ask = |peer: &mut Peer| {
        let (stream, head) = peer.connection.request("GET", "http", "a", "/").unwrap();
        head.finish(true);
        stream
    };
    let given_up: Vec<u32> = (0..=limits::REMEMBERED_RESETS).map(|_| ask(&mut peer)).collect();
    given_up.iter().for_each(|stream| peer.connection.reset(*stream, ErrorCode::CANCEL));
    let last = ask(&mut peer);
    for stream in given_up.into_iter().chain([last]) {
        peer.hear(&headers(END_HEADERS, stream, &block(&[(":status", "200")])));
        peer.hear(&data(END_STREAM, stream, b"a"));
    }
    let answered = [format!("RESPONSE {last} 200 {{}}"), format!("DATA {last} a"), format!("END {last}")];
    assert_eq!(peer.heard(), answered);
    // A number that was never given is still wrong.
    peer.hear(&data(END_STREAM, last + 2, b"a"));
    assert_eq!(peer.heard(), ["FAILED frame on an idle stream"]);
}
