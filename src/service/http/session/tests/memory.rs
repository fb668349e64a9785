//! Tests of the memory that a connection keeps, whatever its peer does.

use super::*;
use crate::{
    service::testing::{now, take},
    session::MAX_HELD,
};

#[test]
fn a_long_answer_is_made_as_the_peer_takes_it() {
    const LENGTH: usize = 1_000_000;
    for (path, overhead) in [("bytes", 0), ("chunked", 1000)] {
        let now = now();
        let mut session = open(now);
        session.receive(request(&format!("GET /{path}/{LENGTH}")).as_bytes(), now);
        // Sent meanwhile, looked at later.
        session.receive(request("GET /health").as_bytes(), now);
        let mut said = Vec::new();
        while session.wants() == Wants::Flush {
            let output = session.output();
            assert!((1..=64 * 1024 + 100).contains(&output.len()), "{}", output.len());
            said.extend(take(output));
        }
        assert_eq!(session.wants(), Wants::Input);
        assert!((LENGTH..LENGTH + 1000 + overhead).contains(&said.len()));
        assert!(said.ends_with(with_text("200 OK", "", "ok\n").as_bytes()));
        assert_eq!(session.held.capacity(), 0);
    }
}

#[test]
fn a_peer_that_asks_and_never_reads_does_not_grow_our_memory() {
    let now = now();
    let mut session = open(now);
    session.receive(request("GET /").repeat(10_000).as_bytes(), now);
    assert!(session.output().len() < 65 * 1024);
    assert_eq!(session.wants(), Wants::Flush);
    assert_eq!(text(&mut session).matches("Hello from b1").count(), 10_000);
}

#[test]
fn requests_that_wait_for_an_answer_are_bounded() {
    let now = now();
    let mut session = open(now);
    session.receive(request("GET /delay/250").as_bytes(), now);
    session.receive(b"G", now);
    assert_eq!(session.wants(), Wants::Flush);
    session.receive(&vec![b'x'; MAX_HELD - 1], now);
    assert_eq!((session.held.len(), session.wants()), (MAX_HELD, Wants::Flush));
    session.receive(b"x", now);
    let too_many = CloseReason::Protocol("too many requests at once");
    assert_eq!((session.held.capacity(), session.wants()), (0, Wants::Close(too_many)));
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let now = now();
    let mut session = open(now);
    session.receive(request("GET /").as_bytes(), now);
    drain(&mut session);
    assert_eq!(session.held.capacity(), 0);
    assert!(size_of::<Http>() <= 320, "{} bytes", size_of::<Http>());
}
