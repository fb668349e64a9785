//! Upgrades: after a 101 bytes pass both ways, before it none does.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::Process,
        raw::{Backend, Conn, End, Incoming},
        websocket,
    },
};

from_milestone1! {
    over_both {
        a_tunnel_carries_bytes_both_ways,
        nothing_passes_before_the_101,
        bytes_behind_the_101_are_not_lost,
        each_side_of_a_tunnel_ends_on_its_own,
        a_reset_of_the_backend_resets_the_client,
        a_reset_of_the_client_reaches_the_backend,
        a_megabyte_passes_each_way_at_once,
    }
    over_http2 {
        an_upgrade_nobody_asked_for_is_refused,
        an_upgrade_to_something_else_is_refused,
    }
    over_tls "a success would mean to a client of HTTP/2 that the protocol is spoken: it gets 502 (RFC 8441 §5)" {
        a_refused_upgrade_is_an_ordinary_response,
    }
    over_tls "there is no such upgrade from HTTP/2" {
        upgrades_to_h2c_are_not_offered,
    }
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Both ends of a tunnel.
fn tunnel(milestone: &Milestone, flags: &[&str]) -> (Conn, Conn, Process) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], flags);
    let mut client = Conn::open(proxy.address());
    client.send(UPGRADE);
    let (mut upstream, switching) = accept(&incoming);
    upstream.send(switching);
    let head = client.read_head();
    assert_eq!(head[0], "HTTP/1.1 101 Switching Protocols");
    // The answer to the client's own key: so the backend got it, or the gateway that spoke for the client has another proof.
    for line in ["Upgrade: websocket", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] {
        assert!(head.contains(&line.to_owned()), "{head:?}");
    }
    assert!(head.iter().any(|line| line.eq_ignore_ascii_case("Connection: upgrade")), "{head:?}");
    (client, upstream, proxy)
}

/// A backend's connection with the request for an upgrade, and the answer to that.
fn accept(incoming: &Incoming) -> (Conn, String) {
    let mut upstream = incoming.accept();
    let head = upstream.read_head();
    assert!(head.contains(&"Upgrade: websocket".to_owned()), "{head:?}");
    assert!(head.iter().any(|line| line.eq_ignore_ascii_case("Connection: upgrade")), "{head:?}");
    (upstream, websocket::switching(&head))
}

pub(super) fn a_tunnel_carries_bytes_both_ways(milestone: &Milestone) {
    let (mut client, mut upstream, _proxy) = tunnel(milestone, &[]);
    // Bytes that are HTTP, or nearly, or not at all: the proxy does not read them.
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "\0\u{1}\n\n", "HTTP/1.1 200 OK\r\n\r\n", "x"] {
        client.send(bytes);
        assert_eq!(upstream.read(bytes.len()), bytes.as_bytes());
        upstream.send(bytes);
        assert_eq!(client.read(bytes.len()), bytes.as_bytes());
    }
}

pub(super) fn nothing_passes_before_the_101(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    client.send([UPGRADE, "early"].concat());
    let (mut upstream, switching) = accept(&incoming);
    client.send(" bird");
    // A whole exchange of another client on the same worker: by then it would have passed.
    let mut other = Conn::open(proxy.address());
    other.send(get("/"));
    let mut elsewhere = incoming.accept();
    elsewhere.read_head();
    elsewhere.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    other.response("GET");
    assert!(upstream.is_quiet(), "bytes passed before the backend agreed to switch");
    upstream.send(switching);
    assert_eq!(upstream.read(10), b"early bird");
    client.read_head();
    upstream.send("pong");
    assert_eq!(client.read(4), b"pong");
}

pub(super) fn bytes_behind_the_101_are_not_lost(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send(UPGRADE);
    let (mut upstream, switching) = accept(&incoming);
    upstream.send(switching + "hello at once");
    client.read_head();
    assert_eq!(client.read(13), b"hello at once");
}

pub(super) fn each_side_of_a_tunnel_ends_on_its_own(milestone: &Milestone) {
    let (mut client, mut upstream, _proxy) = tunnel(milestone, &[]);
    client.send("bye");
    client.finish();
    assert_eq!(upstream.read_to_end(), (b"bye".to_vec(), End::Clean));
    upstream.send("still here");
    assert_eq!(client.read(10), b"still here");
    upstream.finish();
    client.expect_end();

    let (mut client, mut upstream, _proxy) = tunnel(milestone, &[]);
    upstream.send("bye");
    upstream.finish();
    assert_eq!(client.read_to_end(), (b"bye".to_vec(), End::Clean));
    client.send("still here");
    assert_eq!(upstream.read(10), b"still here");
    client.finish();
    upstream.expect_end();
}

pub(super) fn a_reset_of_the_backend_resets_the_client(milestone: &Milestone) {
    let (mut client, mut upstream, _proxy) = tunnel(milestone, &[]);
    upstream.send("abc");
    assert_eq!(client.read(3), b"abc");
    upstream.reset();
    client.expect_reset();
}

pub(super) fn a_reset_of_the_client_reaches_the_backend(milestone: &Milestone) {
    let (mut client, mut upstream, _proxy) = tunnel(milestone, &[]);
    client.send("abc");
    assert_eq!(upstream.read(3), b"abc");
    client.reset();
    upstream.expect_reset();
}

fn a_refused_upgrade_is_an_ordinary_response(milestone: &Milestone) {
    let backend = Backend::saying("no");
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    for _ in 0..2 {
        assert_eq!(client.ask(UPGRADE).body, b"no");
        assert_eq!(client.ask(&get("/")).body, b"no");
    }
}

fn an_upgrade_nobody_asked_for_is_refused(milestone: &Milestone) {
    let backend = Backend::answering(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
    );
    let proxy = milestone.start(&[&backend], &[]);
    let response = Conn::open(proxy.address()).ask(&get("/"));
    assert_eq!(response.status(), 502);
    assert!(response.field("proxy-status").is_some_and(|status| status.contains("http_upgrade_failed")));
}

fn an_upgrade_to_something_else_is_refused(milestone: &Milestone) {
    for fields in ["", "Upgrade: chat\r\n", "Upgrade: websocket, chat\r\n", "Upgrade:\r\n"] {
        let answer = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n{fields}\r\n");
        let backend = Backend::answering(answer);
        let proxy = milestone.start(&[&backend], &[]);
        assert_eq!(Conn::open(proxy.address()).ask(UPGRADE).status(), 502, "{fields:?}");
    }
}

fn upgrades_to_h2c_are_not_offered(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    assert_eq!(Conn::open(proxy.address()).ask(request).status(), 200);
    let head = backend.wait_for_request(1).head.unwrap();
    assert_eq!((head.field("upgrade"), head.field("http2-settings")), (None, None));
    assert!(!head.has_token("connection", "upgrade"));
}

pub(super) fn a_megabyte_passes_each_way_at_once(milestone: &Milestone) {
    const PIECE: usize = 64 * 1024;
    let (mut client, mut upstream, _proxy) = tunnel(milestone, &[]);
    std::thread::scope(|scope| {
        for (conn, own, others) in [(&mut client, b'c', b'b'), (&mut upstream, b'b', b'c')] {
            // Each writes before it reads: a proxy that serves one side before the other gets stuck.
            scope.spawn(move || {
                for _ in 0..16 {
                    conn.send(vec![own; PIECE]);
                    assert!(conn.read(PIECE).iter().all(|byte| *byte == others));
                }
            });
        }
    });
}
