//! The tests' own tools, tried on each other: the parser that judges ours, the scripted client and backend.

#[path = "support_itself/files.rs"]
mod files;
mod support;

use std::net::TcpStream;
use support::{
    process::{PATIENCE, wait_until},
    raw::{Backend, Conn, End, in_parallel, refusing_address},
    wire::{Malformed, Message, Piece, Reader},
};

#[test]
fn a_client_and_a_backend_understand_each_other() {
    let backend = Backend::saying("hello");
    let mut conn = Conn::open(backend.address);
    for n in 1..=3 {
        let response =
            conn.ask("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        assert_eq!((response.status(), &response.body[..]), (200, &b"hello"[..]));
        assert_eq!(backend.wait_for_request(n).body, b"abc");
    }
    assert_eq!((backend.requests().len(), backend.connections()), (3, 1));
}

#[test]
fn ends_and_resets_are_told_apart() {
    let backend = Backend::start(|mut served| {
        let Some(request) = served.request() else { return };
        served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        if request.head.is_some_and(|head| head.target() == "/reset") {
            served.conn.reset();
        }
    });
    for (target, end) in [("/end", End::Clean), ("/reset", End::Reset)] {
        let mut conn = Conn::open(backend.address);
        conn.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(conn.outcome("GET"), Err(end), "{target}");
    }
    let mut conn = Conn::open(backend.address);
    conn.send("GET /reset HTTP/1.1\r\nHost: a\r\n\r\n");
    conn.expect_reset();
}

#[test]
fn bytes_before_and_after_a_message_are_not_lost() {
    let backend = Backend::start(|mut served| {
        served.conn.send("hello HTTP/1.1 200 OK\r\n\r\nuntil the end");
        served.conn.finish();
    });
    let mut conn = Conn::open(backend.address);
    assert_eq!(conn.read(6), b"hello ");
    let response = conn.response("GET");
    assert_eq!(response.body, b"until the end");
    conn.expect_end();
}

#[test]
#[allow(clippy::disallowed_methods)] // The point is that connecting fails.
fn a_refusing_address_refuses() {
    assert!(TcpStream::connect(refusing_address()).is_err());
}

#[test]
fn many_clients_at_once() {
    let backend = Backend::saying("x");
    in_parallel(8, |_| assert_eq!(Conn::open(backend.address).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body, b"x"));
    wait_until("all requests", || backend.requests().len() == 8);
    assert!(PATIENCE.as_secs() > 1);
}

/// All pieces of `wire`, cut in two at `cut`, as messages; or why not.
fn read(mut reader: Reader, wire: &[u8], cut: usize) -> Result<(Vec<Message>, Vec<u8>), Malformed> {
    let (mut messages, mut message) = (Vec::new(), Message::default());
    for part in [&wire[..cut], &wire[cut..]] {
        reader.push(part);
        while let Some(piece) = reader.next()? {
            messages.extend(message.add(piece));
        }
    }
    Ok((messages, reader.rest().to_vec()))
}

#[test]
fn messages_are_found_however_the_stream_is_cut() {
    const WIRE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\nX-Sum: 1\r\n\r\n\
        HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nghi";
    for cut in 0..=WIRE.len() {
        let mut reader = Reader::of_responses();
        ["GET", "GET", "GET", "HEAD", "GET"].iter().for_each(|method| reader.asked(method));
        let (messages, rest) = read(reader, WIRE, cut).unwrap();
        let bodies: Vec<&[u8]> = messages.iter().map(|message| &message.body[..]).collect();
        assert_eq!(bodies, [&b"abc"[..], b"def", b"", b""], "cut at {cut}");
        assert_eq!(messages[0].interim.len(), 1);
        assert_eq!(messages[1].trailers, [("X-Sum".to_owned(), "1".to_owned())]);
        // The last one ends with the connection; its data was taken, its end is not there.
        assert_eq!(rest, b"");
    }
}

#[test]
fn a_doubtful_message_is_malformed() {
    const REQUESTS: &[&str] = &[
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    ];
    for wire in REQUESTS {
        let read = read(Reader::of_requests(), wire.as_bytes(), 0);
        assert!(read.is_err(), "{wire:?} was read as {read:?}");
    }
    let unasked = read(Reader::of_responses(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0);
    assert!(unasked.is_err(), "{unasked:?}");
}

#[test]
fn only_a_clean_end_completes_a_body_without_a_length() {
    let mut reader = Reader::of_responses();
    reader.asked("GET");
    reader.push(b"HTTP/1.1 200 OK\r\n\r\nabc");
    while reader.next().unwrap().is_some() {}
    assert_eq!(reader.end(), Ok(Some(Piece::End(Vec::new()))));
    reader.asked("GET");
    reader.push(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc");
    while reader.next().unwrap().is_some() {}
    assert!(reader.end().is_err());
}
