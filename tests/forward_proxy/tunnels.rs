//! `CONNECT`: a tunnel for bytes that the proxy does not read.

use crate::{
    connect, errors, open, port,
    support::{
        process::{Process, wait_until},
        raw::{Backend, Conn, End, refusing_address},
    },
};

/// Both ends of a tunnel to a server that the test plays.
fn tunnel(flags: &[&str]) -> (Conn, Conn, Process) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = open(&[&["--connect-port", &port(&backend)], flags].concat());
    let mut client = Conn::open(proxy.address());
    client.send(connect(&backend.name()));
    let server = incoming.accept();
    assert_eq!(client.read_head(), ["HTTP/1.1 200 OK"]);
    (client, server, proxy)
}

#[test]
fn a_tunnel_carries_bytes_both_ways_unread() {
    let (mut client, mut server, proxy) = tunnel(&[]);
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "\0\u{1}\n\n", "HTTP/1.1 200 OK\r\n\r\n", "\u{16}\u{3}\u{1}"] {
        client.send(bytes);
        assert_eq!(server.read(bytes.len()), bytes.as_bytes());
        server.send(bytes);
        assert_eq!(client.read(bytes.len()), bytes.as_bytes());
    }
    client.finish();
    server.expect_end();
    server.finish();
    client.expect_end();
    proxy.wait_for_stderr("close=\"tunnel ended\"");
    let stats = proxy.stats();
    assert_eq!((&stats["requests"]["tunnels"], &stats["origins"]["tunnels_in_flight"]), (&1.into(), &0.into()));
}

#[test]
fn bytes_that_came_with_the_request_are_for_the_server() {
    let (backend, incoming) = Backend::by_hand();
    let proxy = open(&["--connect-port", &port(&backend)]);
    let mut client = Conn::open(proxy.address());
    client.send(connect(&backend.name()) + "early bird");
    let mut server = incoming.accept();
    assert_eq!(server.read(10), b"early bird");
    server.send("worm");
    client.read_head();
    assert_eq!(client.read(4), b"worm");
}

#[test]
fn each_side_ends_on_its_own() {
    let (mut client, mut server, _proxy) = tunnel(&[]);
    client.send("bye");
    client.finish();
    assert_eq!(server.read_to_end(), (b"bye".to_vec(), End::Clean));
    server.send("still here");
    assert_eq!(client.read(10), b"still here");
    server.finish();
    client.expect_end();

    let (mut client, mut server, _proxy) = tunnel(&[]);
    server.send("bye");
    server.finish();
    assert_eq!(client.read_to_end(), (b"bye".to_vec(), End::Clean));
    client.send("still here");
    assert_eq!(server.read(10), b"still here");
    client.finish();
    server.expect_end();
}

#[test]
fn a_reset_passes_through() {
    let (mut client, server, _proxy) = tunnel(&[]);
    server.reset();
    client.expect_reset();
    let (client, mut server, _proxy) = tunnel(&[]);
    client.reset();
    server.expect_reset();
}

#[test]
fn megabytes_pass_each_way() {
    let (mut client, mut server, _proxy) = tunnel(&[]);
    let bytes = vec![b'm'; 3_000_000];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            server.send(&bytes);
            assert_eq!(server.read(bytes.len()), bytes);
        });
        assert_eq!(client.read(bytes.len()), bytes);
        client.send(&bytes);
    });
}

#[test]
fn a_silent_tunnel_ends() {
    let (mut client, mut server, proxy) = tunnel(&["--tunnel-timeout", "200ms"]);
    client.send("x");
    assert_eq!(server.read(1), b"x");
    client.read_to_end();
    server.read_to_end();
    assert_eq!(errors(&proxy, "tunnel idle"), 1);
}

#[test]
fn tunnels_do_not_wait_for_each_other() {
    let (backend, incoming) = Backend::by_hand();
    let proxy = open(&["--connect-port", &port(&backend), "--pool-max", "1", "--origins", "1"]);
    let mut tunnels = Vec::new();
    for _ in 0..30 {
        let mut client = Conn::open(proxy.address());
        client.send(connect(&backend.name()));
        let server = incoming.accept();
        assert_eq!(client.read_head()[0], "HTTP/1.1 200 OK");
        tunnels.push((client, server));
    }
    assert_eq!(proxy.stats()["origins"]["tunnels_in_flight"], 30);
    drop(tunnels);
    wait_until("the tunnels to end", || proxy.stats()["origins"]["tunnels_in_flight"] == 0);
    assert_eq!(proxy.stats()["pool"]["busy"], 0);
}

#[test]
fn a_tunnel_that_cannot_be_is_an_answer_and_an_end() {
    let nobody = refusing_address();
    let (port, server) = (nobody.port().to_string(), nobody.to_string());
    let proxy = open(&["--connect-port", &port]);
    let with_content = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\nContent-Length: 1\r\n\r\nx");
    let elsewhere = format!("CONNECT {server} HTTP/1.1\r\nHost: other.example\r\n\r\n");
    for (request, status) in [(connect(&server), 502), (with_content, 400), (elsewhere, 400)] {
        let mut client = Conn::open(proxy.address());
        // The bytes behind it are not the next request.
        client.send(request.clone() + "GET / HTTP/1.1\r\n\r\n");
        let answer = client.response("GET");
        assert_eq!((answer.status(), answer.field("connection")), (status, Some("close")), "{request:?} {answer}");
        client.expect_end();
    }
}

/// Tunnels that say nothing, as browsers keep them by the hundred. On epoll: what the kernel holds for the ring counts for the process.
#[cfg(target_os = "linux")]
#[test]
fn idle_tunnels_cost_little_memory() {
    let (backend, incoming) = Backend::by_hand();
    let proxy = open(&["--connect-port", &port(&backend), "--driver", "epoll", "--log-level", "error"]);
    let mut held = Vec::new();
    let mut more = |count: usize| {
        for _ in 0..count {
            let mut client = Conn::open(proxy.address());
            client.send(connect(&backend.name()));
            let server = incoming.accept();
            assert_eq!(client.read_head(), ["HTTP/1.1 200 OK"]);
            held.push((client, server));
        }
        proxy.peak_memory()
    };
    let before = more(100);
    let each = (more(1000) - before) * 1024 / 1000;
    assert!(each < 2560, "{each} bytes for each");
}
