//! A stored response answers the next request; an incomplete one is not stored.

use crate::{
    get, get_with, ok,
    support::{
        milestones::{Milestone, from_milestone4},
        raw::{Backend, Conn},
    },
};

from_milestone4! {
    over_http2 {
        a_fresh_response_answers_without_a_backend,
        a_stale_response_is_validated_and_freshened,
        a_response_that_is_cut_short_is_not_stored,
        a_body_over_the_limit_streams_through_and_is_not_stored,
        a_response_that_is_too_large_supersedes_the_stored_one,
        a_stale_response_stands_in_for_a_dead_backend,
        stale_while_revalidate_answers_first_and_asks_afterwards,
        stale_while_revalidate_asks_whatever_the_client_wanted,
        nothing_is_cached_without_a_cache,
        excluded_paths_are_not_cached,
        an_unsafe_request_invalidates,
        ten_thousand_variants_are_bounded,
        memory_for_slow_clients_counts,
    }
    for_reverse_proxies "they are about --backend and its demonstration; a forward proxy's flags are in tests/forward_proxy" {
        over_http2 {
            the_demo_shows_a_hit,
        }
    }
}

fn field(message: &crate::support::wire::Message, name: &str) -> String {
    message.field(name).unwrap_or("-").to_owned()
}

fn a_fresh_response_answers_without_a_backend(milestone: &Milestone) {
    let backend = Backend::answering(ok("Cache-Control: max-age=100\r\nAge: 7\r\nETag: \"v\"\r\n", "content"));
    let proxy = milestone.start(&[&backend], &["--workers", "2"]);
    let first = Conn::open(proxy.address()).ask(&get("/a"));
    assert_eq!((first.body.as_slice(), field(&first, "age").as_str()), (&b"content"[..], "7"));
    assert!(field(&first, "cache-status").ends_with("; fwd=uri-miss; fwd-status=200; stored"), "{first:?}");
    for _ in 0..10 {
        let hit = Conn::open(proxy.address()).ask(&get("/a"));
        let age: u32 = field(&hit, "age").parse().unwrap();
        assert_eq!(hit.body, b"content");
        assert!((7..60).contains(&age), "{hit:?}");
        assert!(field(&hit, "cache-status").contains("; hit; ttl="), "{hit:?}");
    }
    let head = Conn::open(proxy.address()).ask("HEAD /a HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((field(&head, "content-length").as_str(), head.body.len()), ("7", 0));
    let part = Conn::open(proxy.address()).ask(&get_with("/a", "Range: bytes=1-2\r\n"));
    assert_eq!((part.status(), part.body.as_slice()), (206, &b"on"[..]));
    let known = Conn::open(proxy.address()).ask(&get_with("/a", "If-None-Match: \"v\"\r\n"));
    assert_eq!((known.status(), known.body.len()), (304, 0));
    assert_eq!(backend.requests().len(), 1);
}

const UNCHANGED: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\nCache-Control: max-age=100\r\nX-New: 1\r\n\r\n";

fn a_stale_response_is_validated_and_freshened(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            served.conn.send(match request.field("if-none-match") {
                Some("\"v\"") => UNCHANGED.to_owned(),
                _ => ok("Cache-Control: max-age=5\r\nAge: 5\r\nETag: \"v\"\r\nX-Old: 1\r\n", "content"),
            });
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    client.ask(&get("/a"));
    let validated = client.ask(&get("/a"));
    assert_eq!((validated.status(), validated.body.as_slice()), (200, &b"content"[..]));
    assert_eq!((field(&validated, "x-new"), field(&validated, "x-old")), ("1".to_owned(), "1".to_owned()));
    assert!(field(&validated, "cache-status").contains("; fwd=stale; fwd-status=304"), "{validated:?}");
    assert!(field(&client.ask(&get("/a")), "cache-status").contains("; hit"));
    assert_eq!(backend.requests().len(), 2);
}

fn a_response_that_is_cut_short_is_not_stored(milestone: &Milestone) {
    for (framing, body) in [
        ("Content-Length: 10", "abcde"),
        ("Transfer-Encoding: chunked", "5\r\nabcde\r\n"),
        ("Transfer-Encoding: chunked", "5\r\nab"),
        ("Transfer-Encoding: chunked", "5\r\nabcde\r\n0\r\n"),
    ] {
        let backend = Backend::start(move |mut served| {
            let _ = served.request();
            let _ = served
                .conn
                .try_send(format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\n{framing}\r\n\r\n{body}"));
        });
        let proxy = milestone.start(&[&backend], milestone.forgiving());
        for n in 1..=2 {
            let mut client = Conn::open(proxy.address());
            client.send(get("/a"));
            assert!(client.outcome("GET").is_err(), "{framing} {body:?}: cut short, and looks whole");
            assert_eq!(backend.requests().len(), n, "{framing} {body:?}");
        }
    }
}

fn a_body_over_the_limit_streams_through_and_is_not_stored(milestone: &Milestone) {
    let body = "x".repeat(70_000);
    for chunked in [false, true] {
        let sent = body.clone();
        let backend = Backend::start(move |mut served| {
            while served.request().is_some() {
                if chunked {
                    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nTransfer-Encoding: chunked\r\n\r\n";
                    served.conn.send(head);
                    served.conn.send(crate::support::wire::chunked(sent.as_bytes(), 10_000, ""));
                } else {
                    served.conn.send(ok("Cache-Control: max-age=100\r\n", &sent));
                }
            }
        });
        let proxy = milestone.start(&[&backend], &["--cache-max-object", "64k"]);
        for _ in 0..2 {
            assert!(Conn::open(proxy.address()).ask(&get("/a")).body == body.as_bytes());
        }
        assert_eq!(backend.requests().len(), 2, "chunked: {chunked}");
    }
}

/// That the new one is not stored makes the old one no truer.
fn a_response_that_is_too_large_supersedes_the_stored_one(milestone: &Milestone) {
    for chunked in [false, true] {
        let backend = Backend::start(move |mut served| {
            let large = "x".repeat(70_000);
            while let Some(request) = served.request() {
                let validated = request.field("cache-control").is_some();
                let fields = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nTransfer-Encoding: chunked\r\n\r\n";
                let _ = match (validated, chunked) {
                    (false, _) => served.conn.try_send(ok("Cache-Control: max-age=100\r\n", "small")),
                    (true, false) => served.conn.try_send(ok("Cache-Control: max-age=100\r\n", &large)),
                    (true, true) => {
                        let body = crate::support::wire::chunked(large.as_bytes(), 10_000, "");
                        served.conn.try_send([fields.as_bytes(), body.as_ref()].concat())
                    }
                };
            }
        });
        let proxy = milestone.start(&[&backend], &["--cache-max-object", "64k", "--workers", "1"]);
        let mut client = Conn::open(proxy.address());
        assert_eq!(client.ask(&get("/a")).body, b"small");
        assert_eq!(client.ask(&get_with("/a", "Cache-Control: no-cache\r\n")).body.len(), 70_000);
        client.ask(&get("/a"));
        assert_eq!(backend.requests().len(), 3, "chunked: {chunked}");
    }
}

fn a_stale_response_stands_in_for_a_dead_backend(milestone: &Milestone) {
    // RFC 9211 §2.1: where nothing came back, the stale response was used without going forward.
    for (failing, status) in [
        ("", "socket-patterns; hit; ttl="),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            "socket-patterns; fwd=stale; fwd-status=503; ttl=",
        ),
    ] {
        let backend = Backend::start(move |mut served| {
            let _ = served.request();
            if served.number == 0 {
                served.conn.send(ok("Cache-Control: max-age=5, stale-if-error=100\r\nAge: 5\r\n", "content"));
            } else {
                let _ = served.conn.try_send(failing);
            }
        });
        let proxy = milestone.start(&[&backend], &[milestone.forgiving(), &["--workers", "1"]].concat());
        assert_eq!(Conn::open(proxy.address()).ask(&get("/a")).status(), 200);
        let stale = Conn::open(proxy.address()).ask(&get("/a"));
        assert_eq!((stale.status(), stale.body.as_slice()), (200, &b"content"[..]), "{failing:?}");
        assert!(field(&stale, "cache-status").starts_with(status), "{stale:?}");
        assert_eq!(backend.requests().len(), 2);
    }
}

fn stale_while_revalidate_answers_first_and_asks_afterwards(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    client.send(get("/a"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(ok("Cache-Control: max-age=5, stale-while-revalidate=100\r\nAge: 5\r\n", "old"));
    assert_eq!(client.response("GET").body, b"old");
    // The answer comes although the backend has not said a word.
    assert_eq!(client.ask(&get("/a")).body, b"old");
    upstream.read_head();
    assert_eq!(client.ask(&get("/a")).body, b"old");
    upstream.send(ok("Cache-Control: max-age=100\r\n", "new"));
    crate::support::process::wait_until("the new one", || Conn::open(proxy.address()).ask(&get("/a")).body == b"new");
}

/// RFC 5861 §3: "SHOULD attempt to revalidate it", also for a client that wants a part, the head alone, or nothing kept.
fn stale_while_revalidate_asks_whatever_the_client_wanted(milestone: &Milestone) {
    for (method, lines, status) in [
        ("HEAD", "", 200),
        ("GET", "If-None-Match: \"v\"\r\n", 304),
        ("GET", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200),
        ("GET", "Range: bytes=0-0\r\n", 206),
        ("GET", "If-Match: \"w\"\r\n", 200),
        ("GET", "Cache-Control: no-store\r\n", 200),
    ] {
        let (backend, incoming) = Backend::by_hand();
        let proxy = milestone.start(&[&backend], &["--workers", "1"]);
        let mut client = Conn::open(proxy.address());
        client.send(get("/a"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        upstream.send(ok("Cache-Control: max-age=5, stale-while-revalidate=100\r\nAge: 5\r\nETag: \"v\"\r\n", "old"));
        assert_eq!(client.response("GET").body, b"old");
        let stale = client.ask(&format!("{method} /a HTTP/1.1\r\nHost: test\r\n{lines}\r\n"));
        assert_eq!(stale.status(), status, "{method} {lines}");
        // It asks for all, if that is another one by now, and in its own name.
        let asked = upstream.read_head();
        assert_eq!(asked[0], "GET /a HTTP/1.1", "{method} {lines}");
        assert!(asked.iter().any(|line| line == "If-None-Match: \"v\""), "{asked:?}");
        let mut others = asked.iter().filter(|line| !line.starts_with("If-None-Match"));
        assert!(!others.any(|line| lines.contains(line.as_str())), "{asked:?}");
        upstream.send(ok("Cache-Control: max-age=100\r\n", "new"));
        let new = || Conn::open(proxy.address()).ask(&get("/a")).body == b"new";
        crate::support::process::wait_until("the new one", new);
    }
}

fn nothing_is_cached_without_a_cache(milestone: &Milestone) {
    let backend = Backend::answering(ok("Cache-Control: max-age=100\r\n", "x"));
    let proxy = milestone.start(&[&backend], &["--cache-size", "0"]);
    for _ in 0..2 {
        assert_eq!(Conn::open(proxy.address()).ask(&get("/")).head.unwrap().field("cache-status"), None);
    }
    assert_eq!(backend.requests().len(), 2);
}

fn excluded_paths_are_not_cached(milestone: &Milestone) {
    let backend = Backend::answering(ok("Cache-Control: max-age=100\r\n", "x"));
    let proxy = milestone.start(&[&backend], &["--cache-exclude", "/admin/*", "--workers", "1"]);
    for target in ["/admin/", "/admin/", "/a", "/a"] {
        Conn::open(proxy.address()).ask(&get(target));
    }
    assert_eq!(backend.requests().len(), 3);
    // Nor are those that a backend may take for one of them.
    let odd = ["/%61dmin/", "/a/../admin/", "//admin/", "/a%2fb/../admin/", "/admin;v=1/"];
    for target in odd {
        let before = backend.requests().len();
        (0..2).for_each(|_| drop(Conn::open(proxy.address()).ask(&get(target))));
        assert_eq!(backend.requests().len(), before + 2, "{target}");
    }
}

fn an_unsafe_request_invalidates(milestone: &Milestone) {
    let backend = Backend::answering(ok("Cache-Control: max-age=100\r\n", "x"));
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    client.ask(&get("/a"));
    client.ask("POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx");
    client.ask(&get("/a"));
    client.ask(&get("/a"));
    assert_eq!(backend.requests().len(), 3);
}

fn ten_thousand_variants_are_bounded(milestone: &Milestone) {
    let backend = Backend::answering(ok("Cache-Control: max-age=100\r\nVary: X-Any\r\n", "x"));
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--admin", "127.0.0.1:0"]);
    let mut client = Conn::open(proxy.address());
    // Pipelined, as there are many.
    for from in (0..10_000).step_by(50) {
        let requests = (from..from + 50).map(|n| get_with("/a", &format!("X-Any: {n}\r\n")));
        client.send(requests.collect::<String>());
        (0..50).for_each(|_| assert_eq!(client.response("GET").body, b"x"));
    }
    assert_eq!(proxy.stats()["cache"]["entries"], 64);
    let hit = client.ask(&get_with("/a", "X-Any: 9999\r\n"));
    assert!(hit.field("cache-status").unwrap().contains("; hit"));
    let gone = client.ask(&get_with("/a", "X-Any: 0\r\n"));
    assert!(gone.field("cache-status").unwrap().contains("; fwd=vary-miss"), "{gone:?}");
    assert_eq!(backend.requests().len(), 10_001);
}

/// A user who starts it without a backend sees how a cache works.
fn the_demo_shows_a_hit(milestone: &Milestone) {
    let proxy = milestone.start_before(&[], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    let first = client.ask(&get("/max-age/3600"));
    assert!(field(&first, "cache-status").ends_with("; stored"), "{first:?}");
    let second = client.ask(&get("/max-age/3600"));
    assert!(field(&second, "cache-status").contains("; hit; ttl="), "{second:?}");
    assert_eq!(second.field("x-backend"), first.field("x-backend"));
    assert_eq!(second.body, first.body);
}

/// Each client takes the beginning of another large response and no more. The rest is in memory, stored or not, and for
/// any number of clients it is not more than the limit. When they leave, the memory is free again.
fn memory_for_slow_clients_counts(milestone: &Milestone) {
    const LARGE: usize = 8 << 20;
    // Of which the system takes little off our hands. One that arrives needs twice its size, until its pieces are put together.
    const CLIENTS: usize = 8;
    let backend = Backend::answering(ok("Cache-Control: max-age=100\r\n", &"x".repeat(LARGE)));
    let flags = ["--workers", "1", "--cache-size", "40m", "--cache-max-object", "9m", "--admin", "127.0.0.1:0"];
    let proxy = milestone.start(&[&backend], &[milestone.forgiving(), &flags].concat());
    let is_stored = |target: &str| {
        let ask = || Conn::open(proxy.address()).ask(&get(target));
        assert_eq!(ask().body.len(), LARGE);
        ask().field("cache-status").is_some_and(|status| status.contains("; hit"))
    };
    let mut slow = Vec::new();
    while slow.len() < CLIENTS && is_stored(&format!("/{}", slow.len())) {
        let mut client = Conn::open_narrow(proxy.address());
        client.send(get(&format!("/{}", slow.len())));
        client.read_head();
        slow.push(client);
        let stats = &proxy.stats()["cache"];
        assert!(stats["bytes"].as_u64() <= stats["limit_bytes"].as_u64(), "{stats}");
    }
    assert!((2..CLIENTS).contains(&slow.len()), "{} clients: {}", slow.len(), proxy.stats()["cache"]);
    slow.into_iter().for_each(Conn::reset);
    crate::support::process::wait_until("the memory is free again", || is_stored("/new"));
}
