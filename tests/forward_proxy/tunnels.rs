//! `CONNECT`: a tunnel for bytes that the proxy does not read.

use crate::{
    connect, errors, get, open, port,
    support::{
        process::{Process, drivers, wait_until},
        raw::{Backend, Conn, End, in_parallel, refusing_address},
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

/// Tunnels that say nothing, as browsers keep them by the hundred. The first ones pay for code and buffers that all share; the tables
/// double three times among the others.
#[cfg(target_os = "linux")]
#[test]
fn an_idle_tunnel_costs_less_than_a_kilobyte() {
    for driver in drivers() {
        let (backend, incoming) = Backend::by_hand();
        let proxy = open(&["--connect-port", &port(&backend), "--driver", driver, "--log-level", "error"]);
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
        let before = more(250);
        let each = (more(1500) - before) * 1024 / 1500;
        assert!(each < 1024, "{driver}: {each} bytes for each");
        // They are tunnels still.
        for (client, server) in held.iter_mut().step_by(100) {
            client.send("ping");
            assert_eq!(server.read(4), b"ping");
            server.send("pong");
            assert_eq!(client.read(4), b"pong");
        }
    }
}

/// Descriptors and memory are as they were after ten thousand requests and tunnels, of which most end badly: `make sessions`.
#[test]
#[ignore = "10,000 connections"]
fn ten_thousand_sessions_of_a_proxy_come_and_go() {
    for driver in drivers() {
        let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let server = backend.name();
        let proxy = open(&["--connect-port", &port(&backend), "--driver", driver, "--log-level", "off"]);
        let visit = |times: usize| {
            in_parallel(8, |_| {
                for number in 0..times / 8 {
                    let mut client = Conn::open(proxy.address());
                    match number % 5 {
                        0 => assert_eq!(client.ask(&get(&server, "/")).status(), 200),
                        1 => {
                            client.send(connect(&server));
                            assert_eq!(client.read_head(), ["HTTP/1.1 200 OK"]);
                            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                            assert_eq!(client.response("GET").status(), 200);
                        }
                        // They leave before they are answered, or when the tunnel has just been opened, or name no server.
                        2 => client.send(connect(&server)),
                        3 => {
                            client.send(connect(&server));
                            client.read_head();
                            client.reset();
                        }
                        _ => assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 400),
                    }
                }
            });
        };
        visit(2_000);
        let (descriptors, memory) = (proxy.settled_descriptors(), proxy.peak_memory());
        visit(8_000);
        wait_until("descriptors as before", || proxy.settled_descriptors() <= descriptors);
        let more = proxy.peak_memory() - memory;
        assert!(more < 2048, "{driver}: {more} KiB more at the end");
    }
}
