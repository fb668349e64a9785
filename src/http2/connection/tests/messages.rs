//! Requests and responses (RFC 9113 §8): which are let in, as what, and what becomes of the others.

use super::support::*;
use crate::http;
use crate::http2::Limits;

/// The event of a request with these fields.
fn heard(lines: &[(&str, &str)], flags: u8) -> String {
    let mut peer = Peer::server();
    peer.hear(&headers(flags, 1, &block(lines)));
    let mut heard = peer.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    heard.remove(0)
}

/// `GET` with more lines, as the text that HTTP/1.1 would have.
fn get_with(more: &[(&str, &str)]) -> String {
    heard(&[&GET[..], more].concat(), WHOLE)
}

#[test]
fn control_data() {
    const METHOD: (&str, &str) = (":method", "GET");
    const SCHEME: (&str, &str) = (":scheme", "https");
    const PATH: (&str, &str) = (":path", "/a?b");
    const AUTHORITY: (&str, &str) = (":authority", "a.example:8443");
    for (lines, expected) in [
        (&[METHOD, SCHEME, PATH, AUTHORITY][..], "REQUEST 1 GET /a?b | host: a.example:8443 END"),
        (&[PATH, AUTHORITY, SCHEME, METHOD], "REQUEST 1 GET /a?b | host: a.example:8443 END"),
        (&[METHOD, SCHEME, PATH, ("host", "b")], "REQUEST 1 GET /a?b | host: b END"),
        (&[METHOD, (":scheme", "HTTP"), PATH, AUTHORITY], "REQUEST 1 GET /a?b | host: a.example:8443 END"),
        (&[(":method", "PROPFIND"), SCHEME, PATH, AUTHORITY], "REQUEST 1 PROPFIND /a?b | host: a.example:8443 END"),
        (
            &[(":method", "OPTIONS"), SCHEME, (":path", "*"), AUTHORITY],
            "REQUEST 1 OPTIONS * | host: a.example:8443 END",
        ),
        (&[SCHEME, PATH, AUTHORITY], "REFUSED 1 pseudo-fields do not fit the method"),
        (&[METHOD, PATH, AUTHORITY], "REFUSED 1 pseudo-fields do not fit the method"),
        (&[METHOD, SCHEME, AUTHORITY], "REFUSED 1 pseudo-fields do not fit the method"),
        (&[], "REFUSED 1 pseudo-fields do not fit the method"),
        (&[METHOD, SCHEME, PATH], "REFUSED 1 no host"),
        (&[METHOD, SCHEME, PATH, AUTHORITY, METHOD], "REFUSED 1 pseudo-field twice"),
        (&[METHOD, SCHEME, PATH, PATH, AUTHORITY], "REFUSED 1 pseudo-field twice"),
        (&[METHOD, SCHEME, PATH, AUTHORITY, (":status", "200")], "REFUSED 1 unknown pseudo-field"),
        (&[METHOD, SCHEME, PATH, AUTHORITY, (":mine", "1")], "REFUSED 1 unknown pseudo-field"),
        (&[METHOD, SCHEME, PATH, AUTHORITY, (":", "1")], "REFUSED 1 unknown pseudo-field"),
        (&[METHOD, SCHEME, PATH, ("a", "b"), AUTHORITY], "REFUSED 1 pseudo-field behind a field"),
        (&[(":method", ""), SCHEME, PATH, AUTHORITY], "REFUSED 1 malformed method"),
        (&[(":method", "GE T"), SCHEME, PATH, AUTHORITY], "REFUSED 1 malformed method"),
        (&[METHOD, (":scheme", "ftp"), PATH, AUTHORITY], "REFUSED 1 scheme other than http and https"),
        (&[METHOD, (":scheme", "http "), PATH, AUTHORITY], "REFUSED 1 scheme other than http and https"),
        (&[METHOD, SCHEME, (":path", ""), AUTHORITY], "REFUSED 1 malformed request target"),
        (&[METHOD, SCHEME, (":path", "a"), AUTHORITY], "REFUSED 1 malformed request target"),
        (&[METHOD, SCHEME, (":path", "*"), AUTHORITY], "REFUSED 1 malformed request target"),
        (&[METHOD, SCHEME, (":path", "http://b/"), AUTHORITY], "REFUSED 1 malformed request target"),
        (&[METHOD, SCHEME, (":path", "/a b"), AUTHORITY], "REFUSED 1 malformed request target"),
        (&[METHOD, SCHEME, (":path", "/ HTTP/1.1\r\nX: y"), AUTHORITY], "REFUSED 1 malformed request target"),
        (&[METHOD, SCHEME, (":path", "/#a"), AUTHORITY], "REFUSED 1 malformed request target"),
        (&[METHOD, SCHEME, PATH, (":authority", "")], "REFUSED 1 malformed host"),
        (&[METHOD, SCHEME, PATH, (":authority", "u@a")], "REFUSED 1 malformed host"),
        (&[METHOD, SCHEME, PATH, (":authority", "a\r\nX: y")], "REFUSED 1 control character in a field value"),
    ] {
        assert_eq!(heard(lines, WHOLE), expected, "{lines:?}");
    }
}

#[test]
fn fields() {
    let as_one = |cookies| format!("REQUEST 1 GET / | host: a | x: y | cookie: {cookies} END");
    for (lines, expected) in [
        (
            &[("x", "y"), ("x", ""), ("~!", "\u{e9}\t!")][..],
            "REQUEST 1 GET / | host: a | x: y | x:  | ~!: \u{e9}\t! END",
        ),
        (&[("cookie", "a=b"), ("x", "y"), ("cookie", "c=d"), ("cookie", "e=f; g")], &as_one("a=b; c=d; e=f; g")),
        (&[("te", "trailers")], "REQUEST 1 GET / | host: a | te: trailers END"),
        (&[("te", "Trailers")], "REQUEST 1 GET / | host: a | te: Trailers END"),
        (&[("te", "gzip")], "REFUSED 1 te other than trailers"),
        (&[("te", "trailers, gzip")], "REFUSED 1 te other than trailers"),
        (&[("connection", "close")], "REFUSED 1 field of a connection"),
        (&[("keep-alive", "1")], "REFUSED 1 field of a connection"),
        (&[("proxy-connection", "close")], "REFUSED 1 field of a connection"),
        (&[("transfer-encoding", "chunked")], "REFUSED 1 field of a connection"),
        (&[("upgrade", "websocket")], "REFUSED 1 field of a connection"),
        (&[("X", "y")], "REFUSED 1 capital letter in a field name"),
        (&[("x y", "z")], "REFUSED 1 malformed field name"),
        (&[("", "z")], "REFUSED 1 malformed field name"),
        (&[("x:", "z")], "REFUSED 1 malformed field name"),
        (&[("x\u{e9}", "z")], "REFUSED 1 malformed field name"),
        (&[("x", " y")], "REFUSED 1 white space around a field value"),
        (&[("x", "y\t")], "REFUSED 1 white space around a field value"),
        (&[("x", " ")], "REFUSED 1 white space around a field value"),
        (&[("x", "y\r\nz: 1")], "REFUSED 1 control character in a field value"),
        (&[("x", "y\nz")], "REFUSED 1 control character in a field value"),
        (&[("x", "y\0")], "REFUSED 1 NUL in a field"),
        (&[("cookie", "a\r\nb")], "REFUSED 1 control character in a field value"),
        (&[("host", "A")], "REQUEST 1 GET / | host: a END"),
        (&[("host", "a:80")], "REQUEST 1 GET / | host: a END"),
        (&[("host", "a"), ("host", "a")], "REQUEST 1 GET / | host: a END"),
        (&[("host", "b")], "REFUSED 1 host and :authority disagree"),
        (&[("host", "a:81")], "REFUSED 1 host and :authority disagree"),
        (&[("host", "")], "REFUSED 1 malformed host"),
        (&[("content-length", "0")], "REQUEST 1 GET / | host: a | content-length: 0 END"),
        (&[("content-length", "1")], "REFUSED 1 content does not fit content-length"),
        (&[("content-length", "0"), ("content-length", "0")], "REFUSED 1 several content-lengths"),
        (&[("content-length", "+1")], "REFUSED 1 malformed content-length"),
        (&[("content-length", "9223372036854775808")], "REFUSED 1 content-length too large"),
    ] {
        assert_eq!(get_with(lines), expected, "{lines:?}");
    }
    let two_hosts = [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a"), ("host", "a")];
    assert_eq!(heard(&two_hosts, WHOLE), "REFUSED 1 several hosts");
}

/// RFC 9113 §8.5, RFC 8441.
#[test]
fn connect() {
    const CONNECT: (&str, &str) = (":method", "CONNECT");
    const AUTHORITY: (&str, &str) = (":authority", "a:443");
    const PROTOCOL: (&str, &str) = (":protocol", "websocket");
    const REST: [(&str, &str); 2] = [(":scheme", "https"), (":path", "/chat")];
    let misfit = "REFUSED 1 pseudo-fields do not fit the method";
    for (lines, expected) in [
        (&[&[CONNECT, AUTHORITY][..]][..], "REQUEST 1 CONNECT a:443 | host: a:443"),
        (&[&[CONNECT, (":authority", "a")]], "REFUSED 1 malformed request target"),
        (&[&[CONNECT, AUTHORITY], &REST[..1]], misfit),
        (&[&[CONNECT, AUTHORITY], &REST], misfit),
        (&[&[CONNECT], &REST], misfit),
        (&[&[CONNECT, AUTHORITY, PROTOCOL], &REST], "REQUEST 1 GET /chat | host: a:443 (websocket)"),
        (&[&[CONNECT, AUTHORITY, PROTOCOL]], misfit),
        (&[&[CONNECT, AUTHORITY, PROTOCOL], &REST[..1]], misfit),
        (&[&[CONNECT, PROTOCOL], &REST, &[("host", "a")]], misfit),
        (&[&[(":method", "GET"), AUTHORITY, PROTOCOL], &REST], misfit),
        (&[&[CONNECT, AUTHORITY, (":protocol", "a b")], &REST], misfit),
    ] {
        assert_eq!(heard(&lines.concat(), END_HEADERS), expected, "{lines:?}");
    }
    // A tunnel has content, and nothing else.
    let mut peer = Peer::server();
    peer.hear(&headers(END_HEADERS, 1, &block(&[CONNECT, AUTHORITY])));
    peer.hear(&data(0, 1, b"to"));
    peer.connection.respond(1, http::Status::OK).unwrap().finish(false);
    peer.connection.send_copy(1, b"fro");
    assert_eq!(peer.said()[1..], ["DATA 1 fro"]);
    peer.hear(&headers(WHOLE, 1, &block(&[("a", "b")])));
    assert_eq!(peer.heard()[1..], ["DATA 1 to", "RESET 1 field section with or without an end"]);
}

/// §8.1.1: a malformed request is answered, and its stream is reset.
#[test]
fn refusals_are_answered() {
    for (flags, lines, status, said) in [
        (WHOLE, &[("X", "y")][..], 400, &["HEADERS 1 :status=400", "RST_STREAM 1 PROTOCOL_ERROR"][..]),
        (END_HEADERS, &[("X", "y")], 400, &["HEADERS 1 :status=400", "RST_STREAM 1 PROTOCOL_ERROR"]),
        // Too large is not malformed.
        (WHOLE, &[("x", "~")], 431, &["HEADERS 1 :status=431 END"]),
        (END_HEADERS, &[("x", "~")], 431, &["HEADERS 1 :status=431 END", "RST_STREAM 1 NO_ERROR"]),
    ] {
        let head = if status == 431 { 30 } else { 1000 };
        let mut peer =
            Peer::with(Limits { http: http::Limits { head, ..http::Limits::default() }, ..Limits::default() });
        peer.hear(&headers(flags, 1, &block(&[&GET[..], lines].concat())));
        assert!(peer.heard()[0].starts_with("REFUSED 1"));
        if flags == END_HEADERS {
            peer.hear(&data(0, 1, b"more of it"));
            assert!(peer.heard().is_empty());
        }
        peer.connection.respond(1, http::Status::new(status).unwrap()).unwrap().finish(true);
        assert_eq!((peer.said(), peer.connection.open()), (said.iter().map(|text| (*text).to_owned()).collect(), 0));
    }
}

/// Runs frames on stream 1, whole and byte by byte. `expected`: the events after the first.
fn content_is(name: &str, frames: &[Vec<u8>], expected: &[&str]) {
    for pieces in [1, usize::MAX] {
        let mut peer = Peer::server();
        let wire = frames.concat();
        wire.chunks(pieces.min(wire.len())).for_each(|piece| peer.hear(piece));
        assert_eq!(peer.heard()[1..], *expected, "{name}");
        let is_reset = expected.last().is_some_and(|event| event.starts_with("RESET"));
        assert_eq!(peer.said().contains(&"RST_STREAM 1 PROTOCOL_ERROR".to_owned()), is_reset, "{name}");
    }
}

/// A `POST` that says how long its content is.
fn with_length(length: &str) -> Vec<u8> {
    headers(END_HEADERS, 1, &block(&[&POST[..], &[("content-length", length)]].concat()))
}

const MISFIT: &str = "RESET 1 content does not fit content-length";

#[test]
fn content_and_its_length() {
    for (name, frames, expected) in [
        ("no length", vec![post(1), data(0, 1, b"ab"), data(END_STREAM, 1, b"c")], &["DATA 1 abc", "END 1"][..]),
        ("nothing", vec![post(1), data(END_STREAM, 1, b"")], &["END 1"]),
        ("as much", vec![with_length("3"), data(0, 1, b"ab"), data(END_STREAM, 1, b"c")], &["DATA 1 abc", "END 1"]),
        (
            "as much, with padding",
            vec![with_length("3"), data(END_STREAM | 8, 1, b"\x02abc\0\0")],
            &["DATA 1 abc", "END 1"],
        ),
        (
            "as much, and an empty end",
            vec![with_length("1"), data(0, 1, b"a"), data(END_STREAM, 1, b"")],
            &["DATA 1 a", "END 1"],
        ),
        ("of no length", vec![with_length("0"), data(END_STREAM, 1, b"")], &["END 1"]),
        ("less", vec![with_length("3"), data(END_STREAM, 1, b"ab")], &[MISFIT]),
        ("more", vec![with_length("3"), data(0, 1, b"abcd")], &[MISFIT]),
        ("more than nothing", vec![with_length("0"), data(0, 1, b"a")], &[MISFIT]),
    ] {
        content_is(name, &frames, expected);
    }
    let trace = [(":method", "TRACE"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    assert_eq!(heard(&trace, END_HEADERS), "REFUSED 1 content in a TRACE request");
    assert_eq!(heard(&trace, WHOLE), "REQUEST 1 TRACE / | host: a END");
}

#[test]
fn trailers() {
    for (name, frames, expected) in [
        (
            "less, and trailers",
            vec![with_length("3"), data(0, 1, b"ab"), headers(WHOLE, 1, b"")],
            &["DATA 1 ab", MISFIT][..],
        ),
        (
            "trailers",
            vec![with_length("2"), data(0, 1, b"ab"), headers(WHOLE, 1, &block(&[("x", "y")]))],
            &["DATA 1 ab", "END 1 {\"x\": \"y\"}"],
        ),
        (
            "trailers without an end",
            vec![post(1), headers(END_HEADERS, 1, &block(&[("x", "y")]))],
            &["RESET 1 field section with or without an end"],
        ),
        (
            "control data in trailers",
            vec![post(1), headers(WHOLE, 1, &block(&[(":path", "/")]))],
            &["RESET 1 pseudo-field in trailers"],
        ),
        (
            "a field of a connection in trailers",
            vec![post(1), headers(WHOLE, 1, &block(&[("upgrade", "x")]))],
            &["RESET 1 field of a connection"],
        ),
        (
            "te in trailers",
            vec![post(1), headers(WHOLE, 1, &block(&[("te", "trailers")]))],
            &["RESET 1 te other than trailers"],
        ),
        (
            "a capital letter in trailers",
            vec![post(1), headers(WHOLE, 1, &block(&[("X", "y")]))],
            &["RESET 1 capital letter in a field name"],
        ),
        (
            "as many fields in trailers as may be",
            vec![post(1), headers(WHOLE, 1, &block(&[("x", "y"); http::Limits::FIELDS]))],
            &[&format!("END 1 {{{}}}", ["\"x\": \"y\""; http::Limits::FIELDS].join(", "))],
        ),
        (
            "too many fields in trailers",
            vec![post(1), headers(WHOLE, 1, &block(&[("x", "y"); http::Limits::FIELDS + 1]))],
            &["REFUSED 1 too many fields"],
        ),
    ] {
        content_is(name, &frames, expected);
    }
}

/// One budget with HTTP/1.1: a head is as large as its text.
#[test]
fn a_head_counts_as_its_text_would() {
    let lines = [&GET[..], &[("user-agent", "me"), ("cookie", "a=b"), ("cookie", "c=d"), ("x", "")]].concat();
    let text = "GET / HTTP/1.1\r\nhost: a\r\nuser-agent: me\r\nx: \r\ncookie: a=b; c=d\r\n\r\n";
    let trailers = [("x-sum", "12"), ("y", "")];
    let trailers_text = "x-sum: 12\r\ny: \r\n\r\n";
    let with = |http| {
        let mut peer = Peer::with(Limits { http, ..Limits::default() });
        peer.hear(&[headers(END_HEADERS, 1, &block(&lines)), headers(WHOLE, 1, &block(&trailers))].concat());
        peer.heard().join(", ")
    };
    let limits = http::Limits::default();
    for (limits, fault) in [
        (http::Limits { head: text.len(), ..limits }, None),
        (http::Limits { head: text.len() - 1, ..limits }, Some("head too large")),
        (http::Limits { fields: 4, ..limits }, None),
        (http::Limits { fields: 3, ..limits }, Some("too many fields")),
        (http::Limits { request_line: "GET / HTTP/1.1".len(), ..limits }, None),
        (http::Limits { request_line: "GET / HTTP/1.1".len() - 1, ..limits }, Some("request line too long")),
        (http::Limits { trailers: trailers_text.len(), ..limits }, None),
        (http::Limits { trailers: trailers_text.len() - 1, ..limits }, Some("trailers too large")),
    ] {
        let heard = with(limits);
        match fault {
            None => assert!(heard.starts_with("REQUEST") && heard.contains("END 1"), "{heard}"),
            Some(fault) => assert!(heard.contains(fault), "{fault}: {heard}"),
        }
        // As text it is the same.
        let mut reader = http::RequestReader::new();
        let read = reader.next(&mut text.as_bytes(), &limits);
        assert_eq!(read.is_err(), fault.is_some_and(|fault| fault != "trailers too large"), "{read:?}");
    }
}

#[test]
fn a_body_that_is_too_long() {
    let limits = Limits { http: http::Limits { body: 5, ..http::Limits::default() }, ..Limits::default() };
    let length = |length| headers(END_HEADERS, 1, &block(&[&POST[..], &[("content-length", length)]].concat()));
    for (frames, expected) in [
        (vec![length("5")], "REQUEST"),
        (vec![length("6")], "REFUSED 1 body too large"),
        (vec![post(1), data(0, 1, b"abc"), data(END_STREAM, 1, b"de")], "END 1"),
        (vec![post(1), data(0, 1, b"abc"), data(0, 1, b"def"), data(0, 1, b"more")], "REFUSED 1 body too large"),
        (vec![post(1), data(0, 1, b"abc"), data(END_STREAM, 1, b"def")], "REFUSED 1 body too large"),
    ] {
        let mut peer = Peer::with(limits);
        peer.hear(&frames.concat());
        assert!(peer.heard().last().unwrap().starts_with(expected), "{expected}");
        // The answer is heard in any case, and it ends the stream.
        if expected.starts_with("REFUSED") {
            let ended = frames.last().unwrap()[4] == END_STREAM;
            peer.connection.respond(1, http::Status::CONTENT_TOO_LARGE).unwrap().finish(true);
            let said = peer.said();
            assert_eq!(said[0], "HEADERS 1 :status=413 END");
            assert_eq!(
                (said.get(1).map(String::as_str), peer.connection.open()),
                (Some("RST_STREAM 1 NO_ERROR").filter(|_| !ended), 0)
            );
        }
    }
}
