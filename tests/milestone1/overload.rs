//! Much at once, much that goes wrong, and much in one piece: afterwards everything is as before.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        raw::{Backend, Conn, in_parallel},
        wire::chunked,
    },
};

from_milestone1! {
    over_http2 {
        a_long_download_takes_little_memory,
        a_long_upload_takes_little_memory,
        a_thousand_connections_that_are_reset_leave_nothing,
        many_clients_get_their_own_answers,
        connections_beyond_the_limit_wait_for_busy_ones,
    }
    in_plain "the order of connections would be that of their handshakes; and a client that is told goodbye before it has asked would ask elsewhere" {
        the_longest_idle_connection_goes_for_the_next,
    }
    in_plain "a tunnel would not notice before its next words that a client has gone" {
        a_thousand_broken_exchanges_leave_nothing,
    }
}

/// The memory that a body of any length may add to the peak.
const COST_KIB: u64 = 8 * 1024;
const LEN: usize = 24 << 20;

/// 24 MiB in which each place can be told from any other nearby.
fn content() -> Vec<u8> {
    (0..LEN / 8).flat_map(|n| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

fn a_long_download_takes_little_memory(milestone: &Milestone) {
    let content = content();
    for framing in ["length", "chunked"] {
        let body = content.clone();
        let backend = Backend::start(move |mut served| {
            served.request();
            if framing == "length" {
                let _ = served.conn.try_send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"));
                let _ = served.conn.try_send(&body);
            } else {
                let _ = served.conn.try_send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                let _ = served.conn.try_send(chunked(&body, 100_000, ""));
            }
        });
        let proxy = milestone.start(&[&backend], &["--workers", "1"]);
        let before = proxy.peak_memory();
        let response = Conn::open(proxy.address()).ask(&get("/"));
        let cost = proxy.peak_memory() - before;
        assert!(response.body == content, "{framing}: 24 MiB changed on their way");
        assert!(cost < COST_KIB, "{framing}: 24 MiB took {cost} KiB");
    }
}

fn a_long_upload_takes_little_memory(milestone: &Milestone) {
    let content = content();
    for framing in ["length", "chunked"] {
        let backend = Backend::saying("ok");
        let proxy = milestone.start(&[&backend], &["--workers", "1"]);
        let before = proxy.peak_memory();
        let mut client = Conn::open(proxy.address());
        if framing == "length" {
            client.send(format!("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: {LEN}\r\n\r\n"));
            client.send(&content);
        } else {
            client.send("PUT / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.send(chunked(&content, 100_000, ""));
        }
        assert_eq!(client.response("PUT").body, b"ok");
        let cost = proxy.peak_memory() - before;
        assert!(backend.wait_for_request(1).body == content, "{framing}: 24 MiB changed on their way");
        assert!(cost < COST_KIB, "{framing}: 24 MiB took {cost} KiB");
    }
}

/// Flags with which nothing is kept that the test would have to tell from a leak.
fn without_rests(milestone: &Milestone) -> Vec<&'static str> {
    let pool = milestone.since(3, &["--pool-idle-timeout", "50ms"]);
    [&["--log-level", "warn"], milestone.forgiving(), pool].concat()
}

fn a_thousand_connections_that_are_reset_leave_nothing(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &without_rests(milestone));
    assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"x");
    let before = proxy.settled_descriptors();
    in_parallel(8, |_| (0..125).for_each(|_| Conn::open(proxy.address()).reset()));
    proxy.wait_for_descriptors(before);
    assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"x");
}

/// Dies in the way that the target names, or answers half and waits for the client to go away.
fn dying() -> Backend {
    Backend::start(|mut served| {
        let Some(request) = served.request() else { return };
        let (begun, dies) = match request.head.unwrap().target() {
            "/dies" => ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true),
            "/dies-in-a-chunk" => ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", true),
            "/dies-at-once" => ("", true),
            "/nonsense" => ("nonsense\r\n\r\n", true),
            _ => ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false),
        };
        if served.conn.try_send(begun).is_err() {
            return;
        }
        if dies {
            return served.conn.reset();
        }
        served.conn.read_to_end();
    })
}

fn a_thousand_broken_exchanges_leave_nothing(milestone: &Milestone) {
    let backend = dying();
    let proxy = milestone.start(&[&backend], &without_rests(milestone));
    let before = proxy.settled_descriptors();
    const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    in_parallel(8, |worker| {
        for n in 0..125 {
            let mut client = Conn::open(proxy.address());
            match (worker + n) % 10 {
                0 => client.send("GET / HT"),
                1 => client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc"),
                2 => client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"),
                3 => {
                    client.send(get("/stalls"));
                    client.read_until("abc");
                    // With a reset: an end after a whole request says only that no other will follow.
                    client.reset();
                    continue;
                }
                4 => client.send(get("/stalls")),
                5 => client.send([UPGRADE, "early"].concat()),
                6 => {
                    client.send(get("/dies"));
                    assert!(client.outcome("GET").is_err());
                    continue;
                }
                7 => {
                    client.send(get("/dies-in-a-chunk"));
                    assert!(client.outcome("GET").is_err());
                    continue;
                }
                8 => assert_eq!(client.ask(&get("/dies-at-once")).status(), 502),
                _ => assert_eq!(client.ask(&get("/nonsense")).status(), 502),
            }
            if n % 2 == 0 { client.reset() } else { drop(client) }
        }
    });
    proxy.wait_for_descriptors(before);
}

fn many_clients_get_their_own_answers(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let target = request.head.unwrap().target().to_owned();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len());
            if served.conn.try_send(answer).is_err() {
                return;
            }
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "2", "--log-level", "warn"]);
    in_parallel(16, |client| {
        let mut conn = Conn::open(proxy.address());
        for n in 0..50 {
            let target = format!("/{client}/{n}");
            assert_eq!(conn.ask(&get(&target)).body, target.as_bytes());
        }
    });
    assert_eq!(backend.requests().len(), 800);
}

const TWO_PLACES: &[&str] = &["--workers", "1", "--max-connections", "2"];

fn connections_beyond_the_limit_wait_for_busy_ones(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], TWO_PLACES);
    let busy = || {
        let mut client = Conn::open(proxy.address());
        client.send(get("/"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        (client, upstream)
    };
    let (mut first, mut upstream) = busy();
    let (second, _second_upstream) = busy();
    let mut third = Conn::open(proxy.address());
    third.send(get("/"));
    proxy.wait_for_stderr("all that are here are busy: see max-connections");
    assert!(third.is_quiet() && incoming.is_empty(), "more connections than allowed");
    // Answered, the first is the one that idles.
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(first.response("GET").body, b"x");
    first.expect_end();
    // From milestone 3 on, on the connection that the first has left.
    if milestone.number < 3 {
        upstream = incoming.accept();
    }
    upstream.read_head();
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny");
    assert_eq!(third.response("GET").body, b"y");
    drop(second);
}

fn the_longest_idle_connection_goes_for_the_next(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[TWO_PLACES, &["--admin", "127.0.0.1:0"]].concat());
    let ask = |client: &mut Conn| assert_eq!(client.ask(&get("/")).body, b"x");
    let mut first = Conn::open(proxy.address());
    let mut second = Conn::open(proxy.address());
    ask(&mut first);
    ask(&mut second);
    ask(&mut first);
    let mut third = Conn::open(proxy.address());
    ask(&mut third);
    second.expect_end();
    ask(&mut first);
    proxy.wait_for_stderr("the longest idle ones are closed, see max-connections");
    // However many come, and stay: each has its turn.
    let mut others: Vec<Conn> = (0..10).map(|_| Conn::open(proxy.address())).collect();
    others.iter_mut().for_each(ask);
    let stats = proxy.stats();
    let closed = stats.pointer("/connections/idle_closed/room for others").and_then(serde_json::Value::as_u64);
    assert!(closed.is_some_and(|closed| closed >= 10), "{stats:#}");
}
