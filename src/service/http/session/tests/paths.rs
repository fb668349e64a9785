//! Tests of the answer of each path.

use super::*;
use crate::{
    http::{Limits, ResponseEvent, ResponseReader},
    service::testing::{now, talk},
};

#[test]
fn the_answer_of_each_path() {
    let cases = [
        ("GET /health", with_text("200 OK", "", "ok\n")),
        ("GET http://a/health?q", with_text("200 OK", "", "ok\n")),
        ("DELETE /status/503", with_text("503 Service Unavailable", "", "503 Service Unavailable\n")),
        ("GET /status/299", with_text("299 ", "", "299 \n")),
        ("GET /status/204", response("204 No Content", "\r\n")),
        ("GET /status/304", response("304 Not Modified", "\r\n")),
        ("GET /status/205", with_text("205 Reset Content", "", "")),
        ("GET /delay/0", with_text("200 OK", "", "waited 0 ms\n")),
        ("GET /bytes/12", with_text("200 OK", "", "0123456789ab")),
        ("GET /bytes/0", with_text("200 OK", "", "")),
        ("GET /chunked/12", chunked("c\r\n0123456789ab\r\n0\r\n\r\n")),
        ("GET /chunked/0", chunked("0\r\n\r\n")),
        ("GET /nothing", with_text("404 Not Found", "", "404 Not Found: / lists what there is\n")),
        ("GET /bytes/x", with_text("400 Bad Request", "", "400 Bad Request: bytes/N: N bytes\n")),
        ("GET /%68ealt%68", with_text("200 OK", "", "ok\n")),
        ("GET /bytes/%31%32", with_text("200 OK", "", "0123456789ab")),
        // Encoded, a slash is no slash (RFC 3986 §2.2).
        ("GET /bytes%2F12", with_text("404 Not Found", "", "404 Not Found: / lists what there is\n")),
        ("OPTIONS *", response("204 No Content", "Allow: GET, HEAD, POST, PUT, PATCH, DELETE\r\n\r\n")),
    ];
    for (line, expected) in cases {
        check(&request(line), &[&expected], FINISHED);
    }
}

#[test]
fn the_name_of_the_server_is_in_the_text() {
    let now = now();
    let (said, _) = talk(open(now), request("GET /").as_bytes(), &[], now);
    assert!(said.contains("\r\n\r\nHello from b1.\n"), "{said}");
}

#[test]
fn a_method_that_is_not_allowed_is_told_which_are() {
    for (line, allow) in [
        ("POST /bytes/5", "GET, HEAD"),
        ("GET /echo", "POST, PUT"),
        ("OPTIONS /health", "GET, HEAD, POST, PUT, PATCH, DELETE"),
    ] {
        let text = "405 Method Not Allowed: the Allow field lists what is allowed\n";
        let expected = with_text("405 Method Not Allowed", &format!("Allow: {allow}\r\n"), text);
        check(&request(line), &[&expected], FINISHED);
    }
}

#[test]
fn a_method_that_nothing_here_has_is_not_implemented() {
    let expected = with_text("501 Not Implemented", "", "501 Not Implemented: / lists what there is\n");
    for line in ["BREW /", "TRACE /health", "get /health"] {
        check(&request(line), &[&expected], FINISHED);
    }
    // Bytes behind it may be for the other end of a tunnel, so it is the last request of its connection.
    let refused = expected.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    check("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", &[&refused], CloseReason::PeerAsked);
}

#[test]
fn head_is_get_without_content() {
    for path in ["/", "/health", "/bytes/99", "/bytes/1000000", "/chunked/9", "/status/204", "/status/500", "/headers"]
    {
        let now = now();
        let only = |method: &str| {
            let (said, reason) = talk(open(now), request(&format!("{method} {path}")).as_bytes(), &[], now);
            assert_eq!(reason, FINISHED);
            let end = said.find("\r\n\r\n").unwrap() + 4;
            (said[..end].to_owned(), said[end..].to_owned())
        };
        let (mut head, content) = only("GET");
        if path == "/headers" {
            // The text has the method in it.
            head = head.replace(&format!("{}", content.len()), &format!("{}", content.len() + 1));
        }
        assert_eq!(only("HEAD"), (head, String::new()), "{path}");
    }
}

#[test]
fn headers_shows_the_request_as_it_came() {
    let head = "POST /headers?x=1 HTTP/1.1\r\nHost: a\r\nX-odd-CASE:  spaced \r\ncontent-length: 2\r\n";
    let shown = "POST /headers?x=1 HTTP/1.1\r\nHost: a\r\nX-odd-CASE: spaced\r\ncontent-length: 2\r\n";
    check(&format!("{head}\r\nhi"), &[&with_text("200 OK", "", shown)], FINISHED);
}

#[test]
fn uploads_are_counted_and_forgotten() {
    let now = now();
    let mut session = open(now);
    session.receive(b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", now);
    for _ in 0..100 {
        session.receive(b"3e8\r\n", now);
        session.receive(&[b'x'; 1000], now);
        session.receive(b"\r\n", now);
        assert!(session.output().is_empty() && session.held.capacity() == 0);
    }
    session.receive(b"0\r\n\r\n", now);
    assert_eq!(text(&mut session), with_text("200 OK", "", "100000 bytes received\n"));
}

#[test]
fn echo_sends_each_piece_as_it_comes_and_the_trailers_last() {
    let now = now();
    let mut session = open(now);
    session.receive(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", now);
    assert_eq!(text(&mut session), chunked(""));
    session.receive(b"5;ext=1\r\nhel", now);
    assert_eq!(text(&mut session), "3\r\nhel\r\n");
    session.receive(b"lo\r\n", now);
    assert_eq!(text(&mut session), "2\r\nlo\r\n");
    session.receive(b"0\r\nX-Sum: 7\r\n\r\n", now);
    assert_eq!((text(&mut session).as_str(), session.wants()), ("0\r\nX-Sum: 7\r\n\r\n", Wants::Input));
}

#[test]
fn echo_returns_the_same_content_however_it_is_cut() {
    let wire = b"PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nb\r\n, world\r\n!\n\r\n0\r\n\r\n";
    let every: Vec<usize> = (0..wire.len()).collect();
    let cuts = every.iter().map(|cut| vec![*cut]).chain([vec![], every.clone()]);
    for cuts in cuts {
        let now = now();
        let (said, reason) = talk(open(now), wire, &cuts, now);
        assert_eq!(reason, FINISHED);
        let mut reader = ResponseReader::new();
        reader.expect(&Method::Put);
        let mut input = said.as_bytes();
        let mut content = Vec::new();
        while let Some(event) = reader.next(&mut input, &Limits::default()).unwrap() {
            match event {
                ResponseEvent::Data(data) => content.extend_from_slice(data),
                ResponseEvent::End(_) => break,
                _ => {}
            }
        }
        assert_eq!((content.as_slice(), input), (&b"hello, world\r\n!\n"[..], &b""[..]), "cut at {cuts:?}");
    }
}
