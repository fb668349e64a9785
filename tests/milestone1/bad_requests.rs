//! A doubtful request is refused, not repaired: it gets the status and an end of the connection, and the backend gets
//! nothing.
//!
//! Each row is followed by a second request, `/smuggled`. A proxy that reads the first one in another way than the
//! backend would ask for it.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::Process,
        raw::{Backend, Conn, End},
    },
};

from_milestone1! {
    over_tls "they are about the syntax of HTTP/1; that of frames has its tables in src/http2/connection/tests" {
        malformed_request_lines_are_refused,
        malformed_fields_are_refused,
        doubtful_hosts_are_refused,
        doubtful_framing_is_refused,
        more_connection_options_than_anybody_has_are_refused,
        malformed_chunks_are_refused,
        errors_do_not_name_what_is_behind,
        a_refused_request_does_not_disturb_those_before_it,
    }
    in_plain "they are about connections without TLS" {
        bytes_of_other_protocols_are_refused,
    }
}

/// Status, head up to and without the empty line.
type Row = (u16, &'static str);

/// Sends `wire` in one piece or byte by byte, and reads what comes until the connection ends.
fn exchange(proxy: &Process, wire: &[u8], piece: usize) -> (String, End) {
    let mut client = Conn::open(proxy.address());
    for part in wire.chunks(piece) {
        // It may be refused before its end.
        if client.try_send(part).is_err() {
            break;
        }
    }
    let (answer, end) = client.read_to_end();
    (String::from_utf8_lossy(&answer).into_owned(), end)
}

fn assert_refused(answer: &str, end: End, status: u16, case: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{case}: expected {status}, got {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{case}: answered more than once: {answer:?}");
    assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{case}: {answer:?}");
    assert_eq!(end, End::Clean, "{case}: the answer was cut off");
}

/// Every row is refused with its status, and no byte reaches a backend.
fn refuse_all(milestone: &Milestone, rows: &[Row]) {
    let backend = Backend::saying("reached");
    let proxy = milestone.start(&[&backend], &["--log-level", "warn"]);
    for (status, head) in rows {
        let wire = format!("{head}\r\n\r\n{}", get("/smuggled"));
        for piece in [wire.len(), 1] {
            let (answer, end) = exchange(&proxy, wire.as_bytes(), piece);
            assert_refused(&answer, end, *status, &format!("{head:?} in pieces of {piece}"));
        }
    }
    assert_eq!(backend.connections(), 0, "a refused request reached the backend: {:?}", backend.requests());
    // All that was about those requests: others are served.
    assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"reached");
}

pub(super) fn malformed_request_lines_are_refused(milestone: &Milestone) {
    refuse_all(
        milestone,
        &[
            (400, "GET  / HTTP/1.1\r\nHost: a"),
            (400, "GET /  HTTP/1.1\r\nHost: a"),
            (400, "GET / HTTP/1.1 \r\nHost: a"),
            (400, " GET / HTTP/1.1\r\nHost: a"),
            (400, "GET\t/\tHTTP/1.1\r\nHost: a"),
            (400, "GET /\r\nHost: a"),
            (400, "GET HTTP/1.1\r\nHost: a"),
            (400, "G@T / HTTP/1.1\r\nHost: a"),
            (400, "GET: / HTTP/1.1\r\nHost: a"),
            (400, "G\u{e9}T / HTTP/1.1\r\nHost: a"),
            (400, "GET /a b HTTP/1.1\r\nHost: a"),
            (400, "GET /a\u{1}b HTTP/1.1\r\nHost: a"),
            (400, "GET /a\u{7f}b HTTP/1.1\r\nHost: a"),
            (400, "GET /\u{e9} HTTP/1.1\r\nHost: a"),
            (400, "GET /a#b HTTP/1.1\r\nHost: a"),
            (400, "GET a HTTP/1.1\r\nHost: a"),
            (400, "GET * HTTP/1.1\r\nHost: a"),
            (400, "GET /%00 HTTP/1.1\r\nHost: a"),
            (400, "GET /%zz HTTP/1.1\r\nHost: a"),
            (400, "GET ftp://a/ HTTP/1.1\r\nHost: a"),
            (400, "GET http://root@a/ HTTP/1.1\r\nHost: a"),
            (400, "CONNECT /a HTTP/1.1\r\nHost: a"),
            (400, "GET / http/1.1\r\nHost: a"),
            (400, "GET / HTTP/1.11\r\nHost: a"),
            (400, "GET / HTTP/01.1\r\nHost: a"),
            (400, "GET / HTTP/1\r\nHost: a"),
            (400, "GET / HTTQ/1.1\r\nHost: a"),
            (505, "GET / HTTP/2.0\r\nHost: a"),
            (505, "GET / HTTP/0.9\r\nHost: a"),
            (505, "GET / HTTP/9.9\r\nHost: a"),
        ],
    );
}

pub(super) fn malformed_fields_are_refused(milestone: &Milestone) {
    refuse_all(
        milestone,
        &[
            (400, "GET / HTTP/1.1\nHost: a"),
            (400, "GET / HTTP/1.1\r\nHost: a\nX: 1"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\n"),
            (400, "GET / HTTP/1.1\rHost: a\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\r"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2"),
            (400, "GET / HTTP/1.1\r\n Host: a"),
            (400, "GET / HTTP/1.1\r\n \r\nHost: a"),
            (400, "GET / HTTP/1.1\r\nHost : a"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX\t: 1"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\n: 1"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX Y: 1"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX(Y): 1"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX\u{e9}: 1"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\0"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX\0: 1"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: \u{1}"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{7f}"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: \u{1b}[2J"),
        ],
    );
}

fn doubtful_hosts_are_refused(milestone: &Milestone) {
    refuse_all(
        milestone,
        &[
            (400, "GET / HTTP/1.1\r\nX: 1"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nhost: b"),
            (400, "GET / HTTP/1.0\r\nHost: a\r\nHost: a"),
            (400, "GET / HTTP/1.1\r\nHost:"),
            (400, "GET / HTTP/1.1\r\nHost: a b"),
            (400, "GET / HTTP/1.1\r\nHost: a, b"),
            (400, "GET / HTTP/1.1\r\nHost: a/b"),
            (400, "GET / HTTP/1.1\r\nHost: root@a"),
            (400, "GET / HTTP/1.1\r\nHost: a:b"),
            (400, "GET / HTTP/1.1\r\nHost: a:80:80"),
            (400, "GET / HTTP/1.1\r\nHost: a:65536"),
            (400, "GET / HTTP/1.1\r\nHost: [::1"),
            (400, "GET / HTTP/1.1\r\nHost: [a]"),
            (400, "GET / HTTP/1.1\r\nHost: http://a"),
            // The target of the next ones would win over Host, but there has to be one, and a valid one.
            (400, "GET http://a/ HTTP/1.1\r\nHost: b\r\nHost: a"),
            (400, "GET http://a/ HTTP/1.1\r\nHost: b/"),
            (400, "GET http://a/ HTTP/1.1\r\nHost:"),
            (400, "GET http:///p HTTP/1.1\r\nHost: a"),
            (400, "GET http://a/ HTTP/1.1\r\nX: 1"),
        ],
    );
}

pub(super) fn doubtful_framing_is_refused(milestone: &Milestone) {
    refuse_all(
        milestone,
        &[
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,6"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5a"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\""),
            // Numbers that 64 bits with a sign cannot hold.
            (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808"),
            (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615"),
            (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616"),
            (413, "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\""),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\u{b}"),
            (400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0"),
            (400, "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5"),
            (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked"),
            (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked"),
            (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
        ],
    );
}

fn more_connection_options_than_anybody_has_are_refused(milestone: &Milestone) {
    let head = |lines: &str| -> &'static str { format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}").leak() };
    let many = |count| vec!["x"; count].join(",");
    let two_lines = format!("Connection: {}\r\nConnection: y", many(32));
    refuse_all(
        milestone,
        &[
            (400, head(&format!("Connection: {}", many(33)))),
            (400, head(&format!("Connection: {}", many(2000)))),
            (400, head(&two_lines)),
        ],
    );
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let at_the_limit = format!("{}\r\n\r\n", head(&format!("Connection: {}", many(32))));
    assert_eq!(Conn::open(proxy.address()).ask(&at_the_limit).status(), 200);
}

pub(super) fn malformed_chunks_are_refused(milestone: &Milestone) {
    const CHUNKS: &[&str] = &[
        "x\r\n",
        "-1\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "\r\n",
        "1\na\r\n",
        "1\ra\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na\r\r",
        "3\r\na\r\n0\r\n\r\n",
        "1;\r\na\r\n",
        "1;=b\r\na\r\n",
        "1;a=\"b\r\na\r\n",
        "1;a=\"b\"c\r\na\r\n",
        "1;a\nb\r\na\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\nX : 1\r\n\r\n",
        "0\r\n X: 1\r\n\r\n",
        "0\r\nX: 1\n\r\n",
        "0\r\n\n",
    ];
    let backend = Backend::saying("reached");
    let proxy = milestone.start(&[&backend], &["--log-level", "warn"]);
    let too_long = ["8000000000000000\r\na", "ffffffffffffffff\r\na", "10000000000000000\r\na"];
    for (status, chunk) in CHUNKS.iter().map(|chunk| (400, chunk)).chain(too_long.iter().map(|chunk| (413, chunk))) {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n";
        let wire = format!("{head}{chunk}{}", get("/smuggled"));
        for piece in [wire.len(), 1] {
            let (answer, end) = exchange(&proxy, wire.as_bytes(), piece);
            assert_refused(&answer, end, status, &format!("{chunk:?} in pieces of {piece}"));
        }
    }
    assert!(backend.requests().is_empty(), "a malformed body was completed: {:?}", backend.requests());
}

fn bytes_of_other_protocols_are_refused(milestone: &Milestone) {
    const GREETINGS: &[(&str, &[u8])] = &[
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("TLS with a line feed", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\n\x03"),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
        ("SOCKS5", b"\x05\x01\x00"),
        ("PROXY", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
        ("zeros", &[0; 100]),
    ];
    let backend = Backend::saying("reached");
    let proxy = milestone.start(&[&backend], &[]);
    for (name, greeting) in GREETINGS {
        for piece in [greeting.len(), 1] {
            // Without waiting for a line's end that need not come, nor for a deadline.
            let (answer, end) = exchange(&proxy, greeting, piece);
            assert_refused(&answer, end, 400, name);
        }
    }
    let (answer, end) = exchange(&proxy, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 100);
    if milestone.number < 5 {
        assert_refused(&answer, end, 505, "HTTP/2");
    } else {
        assert!(!answer.starts_with("HTTP/"), "it is spoken: {answer:?}");
    }
    assert_eq!(backend.connections(), 0);
}

fn errors_do_not_name_what_is_behind(milestone: &Milestone) {
    let proxy = milestone.start_before(&[&crate::support::raw::refusing_address().to_string()], &[]);
    let port = |text: &str| text.contains("127.0.0.1") || text.contains("localhost");
    for request in [get("/"), "GET / HTTP/1.1\r\n\r\n".to_owned(), "nonsense\r\n\r\n".to_owned()] {
        let mut client = Conn::open(proxy.address());
        client.send(&request);
        client.finish();
        let answer = String::from_utf8_lossy(&client.read_to_end().0).into_owned();
        assert!(answer.starts_with("HTTP/1.1 ") && !port(&answer), "{request:?}: {answer}");
    }
}

fn a_refused_request_does_not_disturb_those_before_it(milestone: &Milestone) {
    let backend = Backend::saying("good");
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send([&get("/1")[..], &get("/2"), "GET / HTTP/1.1\r\n\r\n", &get("/smuggled")].concat());
    for _ in 0..2 {
        assert_eq!(client.response("GET").body, b"good");
    }
    assert_eq!(client.response("GET").status(), 400);
    client.expect_end();
    assert_eq!(backend.requests().len(), 2);
}
