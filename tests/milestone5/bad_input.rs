//! Bytes that are no handshake, or no part of one.

use crate::{
    Stage,
    support::{
        raw::{Conn, End},
        tls::config,
    },
};
use std::{io::Write as _, sync::Arc};

#[test]
fn plain_http_gets_an_answer_that_says_so() {
    let stage = Stage::new(&[]);
    for request in ["GET / HTTP/1.1\r\nHost: test\r\n\r\n", "G", "POST /x HTTP/1.0\r\n"] {
        let mut client = Conn::open(stage.proxy.tls_address());
        client.send(request);
        client.finish();
        let (answer, end) = client.read_to_end();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("https://"), "{answer}");
        assert_eq!(end, End::Clean, "{request:?}");
    }
    stage.proxy.wait_for_stderr("failure=\"plain HTTP on the TLS port\"");
    assert_eq!(stage.client().get("/", "test").status(), 200);
}

#[test]
fn garbage_ends_the_connection_with_an_alert_and_nothing_else() {
    let stage = Stage::new(&[]);
    for garbage in
        [&[0; 64][..], &[0xff; 64], &[22, 3, 1, 0, 5, 1, 2, 3, 4, 5], &[21, 3, 1, 0, 2, 2, 40], &[23, 3, 3, 0, 1, 0]]
    {
        let mut client = Conn::open(stage.proxy.tls_address());
        client.send(garbage);
        client.finish();
        let (answer, _) = client.read_to_end();
        assert!(answer.is_empty() || answer[0] == 21, "{garbage:?}: {answer:?}");
    }
    assert_eq!(stage.client().get("/", "test").status(), 200);
}

#[test]
fn a_handshake_that_is_cut_anywhere_harms_no_other_client() {
    let stage = Stage::new(&[]);
    let config = Arc::new(config());
    let hello = crate::support::tls::Tls::begin(stage.proxy.tls_address(), "test", &config).records();
    for cut in (0..hello.len()).step_by(97) {
        let mut client = Conn::open(stage.proxy.tls_address());
        client.send(&hello[..cut]);
        client.finish();
        assert_eq!(client.read_to_end().0, b"", "cut at {cut}");
    }
    stage.proxy.wait_for_stderr("failure=\"client gone in the handshake\"");
    assert_eq!(stage.client().get("/", "test").status(), 200);
}

/// A hello of 64 KiB in records that never end it.
#[test]
fn a_handshake_without_end_is_ended() {
    let stage = Stage::new(&[]);
    let mut client = Conn::open(stage.proxy.tls_address());
    // One message of 2^24 - 1 bytes, which begins as a ClientHello does.
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    for _ in 0..8 {
        if client.try_send(&record).is_err() {
            break;
        }
    }
    let (answer, _) = client.read_to_end();
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
    assert_eq!(stage.client().get("/", "test").status(), 200);
}

#[test]
fn a_damaged_record_breaks_the_connection_and_what_came_before_is_answered() {
    let stage = Stage::new(&[]);
    let mut client = stage.client();
    assert_eq!(client.get("/", "test").body, b"hello");
    client.tls.writer().write_all(b"GET /damaged HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut record = client.records();
    *record.last_mut().unwrap() ^= 1;
    client.stream.write_all(&record).unwrap();
    assert_eq!(client.read_to_end(), (Vec::new(), End::Reset), "an alert, and no answer");
    assert_eq!(stage.backend.requests().len(), 1, "the damaged request went nowhere");
}

#[test]
fn a_client_of_an_old_version_is_refused_for_its_version() {
    let stage = Stage::new(&[]);
    // ClientHello of TLS 1.1: a random number, no session, TLS_RSA_WITH_AES_256_CBC_SHA, no compression, no extensions.
    let hello = [&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2][..], &[7; 32], &[0, 0, 2, 0, 0x35, 1, 0]].concat();
    let mut client = Conn::open(stage.proxy.tls_address());
    client.send(hello);
    // handshake_failure: rustls has no protocol_version for a client that is so old.
    assert_eq!(client.read_to_end().0, [21, 3, 3, 0, 2, 2, 40]);
    stage.proxy.wait_for_stderr("failure=\"no version in common\"");
}
