//! The PROXY protocol: gateways that are trusted say whose connection it is, before HTTP and before TLS.

use crate::{
    Stage,
    support::{
        http2,
        raw::{Backend, Conn},
        tls::{self, Site, Tls},
    },
    upstream,
};
use std::{io::Write as _, net::Ipv4Addr, sync::Arc};

const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n";

/// The same in version 2, with a TLV behind the addresses.
fn binary() -> Vec<u8> {
    let rest = [203, 0, 113, 9, 192, 0, 2, 1, 0xdc, 0x04, 1, 0xbb, 4, 0, 1, 0];
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10", &rest[..]].concat()
}

fn stage(backend: &Backend, more: &str) -> Stage {
    let config = format!(
        "{more}[[listen]]\naddress = \"127.0.0.1:0\"\nproxy-protocol = true\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
         [[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\n\
         [forwarding]\ntrusted-proxies = [\"127.0.0.1\"]\n{}",
        upstream("web", &backend.name())
    );
    Stage::new(&config, 2)
}

/// The listener that hears no headers.
fn plain(stage: &Stage) -> std::net::SocketAddr {
    stage.proxy.ready[1]
}

#[test]
fn the_client_is_the_one_that_the_header_names() {
    let backend = Backend::saying("page");
    let stage = stage(&backend, "");
    for header in [LINE, &binary()] {
        let mut conn = Conn::open(stage.proxy.address());
        conn.send([header, REQUEST].concat());
        assert_eq!(conn.response("GET").body, b"page");
        // It goes on like any other.
        conn.send(REQUEST);
        assert_eq!(conn.response("GET").body, b"page");
    }
    // The client is no trusted proxy: its own words about others are not believed.
    for request in backend.requests() {
        assert_eq!(request.field("x-forwarded-for"), Some("203.0.113.9"));
    }
    stage.proxy.wait_for_stderr("client=203.0.113.9 peer=203.0.113.9:56324");
    // The gateway itself: a probe, and one that does not know.
    for header in [&b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"[..], b"PROXY UNKNOWN\r\n"] {
        let mut conn = Conn::open(stage.proxy.address());
        conn.send([header, REQUEST].concat());
        assert_eq!(conn.response("GET").status(), 200);
    }
    assert_eq!(backend.requests()[4].field("x-forwarded-for"), Some("198.51.100.1, 127.0.0.1"));
    // Where none is expected, it is no HTTP.
    let mut conn = Conn::open(plain(&stage));
    conn.send([LINE, REQUEST].concat());
    assert_eq!(conn.response("GET").status(), 400);
}

#[test]
fn a_header_may_come_in_any_two_parts() {
    let backend = Backend::saying("page");
    let stage = stage(&backend, "");
    for header in [LINE, &binary()] {
        for cut in 1..=header.len() {
            let mut conn = Conn::open(stage.proxy.address());
            conn.send(&header[..cut]);
            // A second connection through the same event loops: the first part has been read by then, most likely.
            assert_eq!(Conn::open(plain(&stage)).ask("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").status(), 421);
            conn.send([&header[cut..], REQUEST].concat());
            assert_eq!(conn.response("GET").body, b"page", "cut at {cut}");
        }
    }
    let mut client = http2::Client::plain(plain(&stage));
    let stream = client.begin_at("a.test", "GET", "/", &[], true);
    assert_eq!(client.answer(stream).status, 200);
}

#[test]
fn other_bytes_strangers_and_silence_are_closed() {
    let backend = Backend::saying("page");
    let stage = stage(&backend, "log-level = \"debug\"\n");
    for bytes in [REQUEST, b"PROXY TCP4 203.0.113.9\r\n", b"\x16\x03\x01\x00\x05hello", &[b'P'; 4096]] {
        let mut conn = Conn::open(stage.proxy.address());
        conn.send(bytes);
        assert!(conn.outcome("GET").is_err(), "{bytes:?}");
    }
    if crate::support::raw::LOOPBACK_IS_A_NETWORK {
        let mut conn = Conn::open_from(Ipv4Addr::new(127, 0, 0, 2), stage.proxy.address());
        let _ = conn.try_send([LINE, REQUEST].concat());
        assert!(conn.outcome("GET").is_err());
        stage.proxy.wait_for_stderr("closed: no trusted proxy");
    }
    let mut conn = Conn::open(stage.proxy.address());
    conn.send(&LINE[..10]);
    conn.finish();
    assert!(conn.outcome("GET").is_err());
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for() {
    let backend = Backend::saying("page");
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\nproxy-protocol = true\n[[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\n\
         [deadlines]\nhead = \"200ms\"\n[forwarding]\ntrusted-proxies = \"127.0.0.1\"\n{}",
        upstream("web", &backend.name())
    );
    let stage = Stage::new(&config, 1);
    for bytes in [&b""[..], &LINE[..20]] {
        let mut conn = Conn::open(stage.proxy.address());
        conn.send(bytes);
        assert!(conn.outcome("GET").is_err());
    }
}

#[test]
fn the_header_comes_before_tls() {
    let (backend, site) = (Backend::saying("page"), Site::new(&["a.test"]));
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\nproxy-protocol = true\n\
         [[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\ncertificate = \"{}\"\nkey = \"{}\"\n\
         [forwarding]\ntrusted-proxies = \"127.0.0.1\"\n{}",
        site.certificate.display(),
        site.key.display(),
        upstream("web", &backend.name())
    );
    let stage = Stage::new(&config, 2);
    for header in [LINE, &binary()] {
        let mut client = Tls::begin(stage.proxy.tls_address(), "a.test", &Arc::new(tls::config()));
        client.stream.write_all(header).unwrap();
        client.handshake().unwrap();
        assert_eq!(client.get("/", "a.test").body, b"page");
    }
    assert_eq!(backend.requests()[1].field("x-forwarded-for"), Some("203.0.113.9"));
    let mut client = Tls::begin(stage.proxy.tls_address(), "a.test", &Arc::new(tls::config()));
    assert!(client.handshake().is_err());
}
