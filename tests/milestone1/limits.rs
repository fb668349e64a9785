//! Every limit at its value and one past it.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::Process,
        raw::{Backend, Conn},
        wire::chunked,
    },
};

from_milestone1! {
    over_both {
        request_lines_up_to_the_limit_pass,
        heads_up_to_the_limit_pass,
        bodies_up_to_the_limit_pass,
        trailers_up_to_the_limit_pass,
    }
    over_http2 {
        fields_up_to_the_limit_pass,
        limits_can_be_set,
    }
    over_tls "they are about the syntax of HTTP/1; that of frames has its tables in src/http2/connection/tests" {
        chunk_extensions_up_to_the_limit_pass,
        a_line_without_end_is_refused,
    }
}

/// Sends `wire` whole and byte by byte; both times the status has to be this one.
fn assert_status(milestone: &Milestone, proxy: &Process, wire: &[u8], status: u16, case: &str) {
    for piece in [wire.len(), 1009] {
        let mut client = Conn::open(proxy.address());
        for part in wire.chunks(piece) {
            if client.try_send(part).is_err() {
                break;
            }
        }
        let response = client.response("GET");
        assert_eq!(response.status(), status, "{case}, in pieces of {piece}");
        if status != 200 {
            milestone.expect_its_end(&mut client, &response);
        }
    }
}

/// A request line of so many bytes without its line break.
fn line(len: usize) -> String {
    format!("GET /{} HTTP/1.1", "x".repeat(len - "GET / HTTP/1.1".len()))
}

/// A head of so many bytes with its empty line.
fn head(len: usize) -> String {
    let without = "GET / HTTP/1.1\r\nHost: test\r\nX: \r\n\r\n".len();
    format!("GET / HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n", "x".repeat(len - without))
}

fn fields(n: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: test\r\n{}\r\n", "X: 1\r\n".repeat(n - 1))
}

pub(super) fn request_lines_up_to_the_limit_pass(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    for (len, status) in [(8 * 1024, 200), (8 * 1024 + 1, 414), (12 * 1024, 414)] {
        let wire = format!("{}\r\nHost: test\r\n\r\n", line(len - proxy.added()));
        assert_status(milestone, &proxy, wire.as_bytes(), status, &format!("a line of {len} bytes"));
    }
    assert_eq!(backend.requests().len(), 2);
}

pub(super) fn heads_up_to_the_limit_pass(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    for (len, status) in [(16 * 1024, 200), (16 * 1024 + 1, 431), (50_000, 431)] {
        let wire = head(len - proxy.added());
        assert_status(milestone, &proxy, wire.as_bytes(), status, &format!("a head of {len} bytes"));
    }
    assert_eq!(backend.requests().len(), 2);
}

fn fields_up_to_the_limit_pass(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    for (n, status) in [(100, 200), (101, 431), (1000, 431)] {
        assert_status(milestone, &proxy, fields(n).as_bytes(), status, &format!("{n} fields"));
    }
    assert_eq!(backend.requests().len(), 2);
}

pub(super) fn bodies_up_to_the_limit_pass(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--max-body", "10k"]);
    for (len, status) in [(10_240, 200), (10_241, 413), (100_000, 413)] {
        let body = vec![b'x'; len];
        let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {len}\r\n\r\n");
        assert_status(milestone, &proxy, &[head.as_bytes(), &body].concat(), status, &format!("a body of {len} bytes"));
        let head = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let wire = [head.as_bytes(), &chunked(&body, 1000, "")].concat();
        assert_status(milestone, &proxy, &wire, status, &format!("{len} bytes in chunks"));
    }
    assert_eq!(backend.requests().len(), 4, "nothing longer was completed");
    // A length that is announced is refused before anything of it is sent, and the backend is left alone.
    // A new one: the last of the connections above may not have been accepted yet.
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--max-body", "10k"]);
    let mut client = Conn::open(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10241\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.response("POST").status(), 413);
    assert_eq!(backend.connections(), 0);
}

pub(super) fn trailers_up_to_the_limit_pass(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let head = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (len, status) in [(8 * 1024, 200), (8 * 1024 + 1, 431)] {
        let trailers = format!("X: {}\r\n", "x".repeat(len - "X: \r\n\r\n".len()));
        let wire = [head.as_bytes(), &chunked(b"abc", 3, &trailers)].concat();
        assert_status(milestone, &proxy, &wire, status, &format!("trailers of {len} bytes"));
    }
    for (n, status) in [(100, 200), (101, 431)] {
        let wire = [head.as_bytes(), &chunked(b"abc", 3, &"X: 1\r\n".repeat(n))].concat();
        assert_status(milestone, &proxy, &wire, status, &format!("{n} trailer fields"));
    }
}

fn chunk_extensions_up_to_the_limit_pass(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let head = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (len, status) in [(1024, 200), (1025, 400)] {
        let line = format!("3;x={}", "y".repeat(len - "3;x=".len()));
        let wire = format!("{head}{line}\r\nabc\r\n0\r\n\r\n");
        assert_status(milestone, &proxy, wire.as_bytes(), status, &format!("a size line of {len} bytes"));
    }
    // A byte of content with a line of extensions each, without end.
    let wire = format!("{head}{}0\r\n\r\n", format!("1;x={}\r\na\r\n", "y".repeat(1000)).repeat(20));
    assert_status(milestone, &proxy, wire.as_bytes(), 400, "20 kB of extensions");
    assert!(backend.requests().iter().all(|request| request.body == b"abc"), "extensions are not passed on");
}

fn a_line_without_end_is_refused(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let endless = "x".repeat(1_000_000);
    for (start, status) in [
        (String::new(), 400),
        ("GET /".to_owned(), 414),
        ("GET / HTTP/1.1\r\nHost: test\r\nX: ".to_owned(), 431),
        ("GET / HTTP/1.1\r\nHost: test\r\n".to_owned(), 431),
        ("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3;x=".to_owned(), 400),
    ] {
        assert_status(
            milestone,
            &proxy,
            [&start[..], &endless].concat().as_bytes(),
            status,
            &format!("{start:?} without end"),
        );
    }
    assert!(backend.requests().is_empty());
}

fn limits_can_be_set(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let flags = ["--max-head", "200", "--max-request-line", "100", "--max-fields", "3"];
    let proxy = milestone.start(&[&backend], &flags);
    let added = proxy.added();
    for (wire, status) in [
        (format!("{}\r\nHost: test\r\n\r\n", line(100 - added)), 200),
        (format!("{}\r\nHost: test\r\n\r\n", line(101 - added)), 414),
        (head(200 - added), 200),
        (head(201 - added), 431),
        (fields(3), 200),
        (fields(4), 431),
        (get("/"), 200),
    ] {
        assert_status(milestone, &proxy, wire.as_bytes(), status, &format!("{wire:?}"));
    }
    // Limits on what clients may send do not hold for responses of backends.
    let long = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X-Long: 0123456789\r\n".repeat(50));
    let backend = Backend::answering(long);
    let proxy = milestone.start(&[&backend], &flags);
    assert_status(milestone, &proxy, get("/").as_bytes(), 200, "a response over the limits of requests");
}
