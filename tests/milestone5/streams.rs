//! Bodies both ways, large and slow: over TLS they are what they are without.

use crate::{
    Stage,
    support::{process::wait_until, raw::Backend},
};
use std::io::{Read as _, Write as _};

/// A backend that answers each request with its body.
fn echoing() -> Backend {
    Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
            served.conn.send([head.as_bytes(), &request.body].concat());
        }
    })
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 + at % 251) as u8).collect()
}

#[test]
fn large_bodies_pass_unchanged_both_ways() {
    let body = pattern(3_000_000);
    let stage = Stage::before(echoing(), &[]);
    let mut client = stage.client();
    for _ in 0..2 {
        client.tls.set_buffer_limit(None);
        client
            .tls
            .writer()
            .write_all(
                format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
            )
            .unwrap();
        client.tls.writer().write_all(&body).unwrap();
        let records = client.records();
        let mut stream = client.stream.try_clone().unwrap();
        let sending = std::thread::Builder::new().spawn(move || stream.write_all(&records)).unwrap();
        assert!(client.response("POST").body == body);
        sending.join().unwrap().unwrap();
    }
}

#[test]
fn a_stored_body_larger_than_what_is_sealed_at_once_passes_unchanged() {
    let body = pattern(5_000_000);
    let head = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n", body.len());
    let whole = [head.as_bytes(), &body].concat();
    let backend = Backend::start(move |mut served| {
        while served.request().is_some() {
            served.conn.send(&whole);
        }
    });
    let stage = Stage::before(backend, &["--cache-max-object", "16m"]);
    for round in 0..3 {
        let mut client = stage.client();
        assert!(client.get("/", "test").body == body, "round {round}");
    }
    assert_eq!(stage.backend.requests().len(), 1, "the others came from memory");
}

#[test]
fn a_client_that_does_not_read_costs_little_and_is_let_go() {
    let stage = Stage::before(
        Backend::start(|mut served| {
            served.request();
            let _ = served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
            while served.conn.try_send([7; 64 * 1024]).is_ok() {}
        }),
        &["--write-timeout", "400ms"],
    );
    let before = stage.proxy.peak_memory();
    let mut client = stage.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    stage.proxy.wait_for_stderr("client does not read");
    let grown = stage.proxy.peak_memory().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB for one client");
    let mut rest = Vec::new();
    wait_until("the connection to end", || client.stream.read_to_end(&mut rest).is_err() || !rest.is_empty());
}

#[test]
fn many_pipelined_requests_are_answered_in_order() {
    let stage = Stage::before(echoing(), &[]);
    let mut client = stage.client();
    let request = |number: usize| format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n{number:04}");
    client.send((0..100).map(request).collect::<String>());
    for number in 0..100 {
        assert_eq!(client.response("POST").body, format!("{number:04}").as_bytes());
    }
}
