//! Many who ask for the same at once cause one request.

use crate::{
    get, ok,
    support::{
        milestones::{Milestone, from_milestone4},
        process::wait_until,
        raw::{Backend, Conn, Incoming},
    },
    waiting::{hear, wait_for_requests},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

from_milestone4! {
    over_http2 {
        a_thousand_clients_cause_one_request,
        followers_read_the_response_as_it_arrives,
        a_leader_that_dies_is_replaced,
        a_leaders_client_may_leave,
        followers_go_alone_after_a_while,
        a_request_that_may_be_in_a_loop_does_not_wait_for_itself,
        a_follower_that_has_the_new_version_is_told_so,
        a_304_from_before_a_change_is_not_stored,
        a_slow_client_does_not_hold_up_those_who_read_with_it,
    }
    in_plain "all requests have to be with the proxy before the first answer, and behind a tunnel some would be late" {
        a_304_for_one_releases_all,
        an_answer_for_one_releases_all,
    }
}

/// Clients at once.
const CROWD: usize = 1000;

fn a_thousand_clients_cause_one_request(milestone: &Milestone) {
    let all_have_asked = Arc::new(AtomicBool::new(false));
    let gate = all_have_asked.clone();
    let backend = Backend::start(move |mut served| {
        while let Some(request) = served.request() {
            served.conn.send(match request.field("if-none-match") {
                None => ok("Cache-Control: max-age=5\r\nAge: 5\r\nETag: \"v\"\r\n", "old"),
                Some(_) => {
                    wait_until("everybody", || gate.load(SeqCst));
                    "HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\nCache-Control: max-age=100\r\n\r\n".to_owned()
                }
            });
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "2", "--log-level", "warn", "--cache-wait", "1m"]);
    assert_eq!(Conn::open(proxy.address()).ask(&get("/a")).body, b"old");
    let mut clients: Vec<Conn> = (0..CROWD).map(|_| Conn::open(proxy.address())).collect();
    clients.iter_mut().for_each(|client| client.send(get("/a")));
    backend.wait_for_request(2);
    all_have_asked.store(true, SeqCst);
    for client in &mut clients {
        let response = client.response("GET");
        assert_eq!(response.body, b"old");
    }
    assert_eq!(backend.requests().len(), 2);
}

fn followers_read_the_response_as_it_arrives(milestone: &Milestone) {
    for (framing, one, two) in
        [("Content-Length: 6", "abc", "def"), ("Transfer-Encoding: chunked", "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n")]
    {
        let (backend, incoming) = Backend::by_hand();
        let proxy = milestone.start(&[&backend], &["--workers", "2"]);
        let mut clients: Vec<Conn> = (0..10).map(|_| Conn::open(proxy.address())).collect();
        clients.iter_mut().for_each(|client| client.send(get("/a")));
        let mut upstream = incoming.accept();
        upstream.read_head();
        upstream.send(format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\n{framing}\r\n\r\n{one}"));
        clients.iter_mut().for_each(|client| drop(client.read_until("abc")));
        // A client that comes in the middle gets the response from the start.
        let mut late = Conn::open(proxy.address());
        late.send(get("/a"));
        late.read_until("abc");
        upstream.send(two);
        clients.iter_mut().chain([&mut late]).for_each(|client| drop(client.read_until("def")));
        assert_eq!(Conn::open(proxy.address()).ask(&get("/a")).body, b"abcdef");
        assert_eq!(backend.connections(), 1);
    }
}

/// The connection with the next request: a new one, or one of those that have carried one before.
fn next_request(incoming: &Incoming, kept: &mut Vec<Conn>) -> Conn {
    let mut found = None;
    wait_until("a request", || {
        let again = kept.iter().position(|upstream| !upstream.is_quiet());
        found = incoming.try_accept().or_else(|| again.map(|at| kept.remove(at)));
        found.is_some()
    });
    found.expect("it was waited for")
}

fn an_answer_for_one_releases_all(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "2", "--cache-wait", "1m"]);
    let mut clients: Vec<Conn> = (0..5).map(|_| Conn::open(proxy.address())).collect();
    clients.iter_mut().for_each(|client| client.send(get("/a")));
    let mut upstreams = vec![incoming.accept()];
    upstreams[0].read_head();
    upstreams[0].send(ok("Cache-Control: private\r\n", "1"));
    // All others at once, each with its own answer.
    for n in 2..=5 {
        let mut upstream = next_request(&incoming, &mut upstreams);
        upstream.read_head();
        upstream.send(ok("Cache-Control: private\r\n", &n.to_string()));
        upstreams.push(upstream);
    }
    let mut bodies: Vec<Vec<u8>> = clients.iter_mut().map(|client| client.response("GET").body).collect();
    bodies.sort();
    assert_eq!(bodies, [b"1", b"2", b"3", b"4", b"5"]);
}

fn a_leader_that_dies_is_replaced(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let flags = [milestone.forgiving(), &["--workers", "2", "--cache-wait", "1m"]].concat();
    let proxy = milestone.start(&[&backend], &flags);
    let mut clients: Vec<Conn> = (0..10).map(|_| Conn::open(proxy.address())).collect();
    clients.iter_mut().for_each(|client| client.send(get("/a")));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.reset();
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(ok("Cache-Control: max-age=100\r\n", "x"));
    let statuses: Vec<u16> = clients.iter_mut().map(|client| client.response("GET").status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 9, "{statuses:?}");
    assert_eq!(backend.connections(), 2);
}

fn a_leaders_client_may_leave(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-wait", "1m"]);
    let mut leader = Conn::open(proxy.address());
    leader.send(get("/a"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    let mut follower = Conn::open(proxy.address());
    follower.send(get("/a"));
    // Answered behind it on the same worker: the follower has been heard.
    let mut other = Conn::open(proxy.address());
    other.send("GET /b HTTP/1.1\r\nHost: test\r\nCache-Control: only-if-cached\r\n\r\n");
    assert_eq!(other.response("GET").status(), 504);
    leader.reset();
    upstream.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: 6\r\n\r\nabc");
    follower.read_until("abc");
    upstream.send("def");
    follower.read_until("def");
    assert_eq!(other.ask(&get("/a")).body, b"abcdef");
    assert_eq!(backend.connections(), 1);

    // With the last follower gone, no client wants it.
    let mut leader = Conn::open(proxy.address());
    leader.send(get("/c"));
    upstream.read_head();
    let mut follower = Conn::open(proxy.address());
    follower.send(get("/c"));
    other.send("GET /b HTTP/1.1\r\nHost: test\r\nCache-Control: only-if-cached\r\n\r\n");
    assert_eq!(other.response("GET").status(), 504);
    leader.reset();
    follower.reset();
    upstream.read_to_end();
}

fn followers_go_alone_after_a_while(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-wait", "50ms"]);
    let mut clients: Vec<Conn> = (0..2).map(|_| Conn::open(proxy.address())).collect();
    clients.iter_mut().for_each(|client| client.send(get("/a")));
    let mut silent = incoming.accept();
    silent.read_head();
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(ok("Cache-Control: max-age=100\r\n", "x"));
    wait_until("an answer", || clients.iter().any(|client| !client.is_quiet()));
    assert_eq!(Conn::open(proxy.address()).ask(&get("/a")).body, b"x");
}

/// RFC 9110 §13.2.1: a client's conditions are compared with the response that it would get, even if another client
/// asked for that.
fn a_request_that_may_be_in_a_loop_does_not_wait_for_itself(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "2", "--cache-wait", "1m"]);
    let mut leader = Conn::open(proxy.address());
    leader.send(get("/a"));
    let mut first = incoming.accept();
    first.read_head();
    let mut again = Conn::open(proxy.address());
    again.send("GET /a HTTP/1.1\r\nHost: test\r\nVia: 1.1 socket-patterns, 1.1 socket-patterns\r\n\r\n");
    let mut second = incoming.accept();
    second.read_head();
    second.send(ok("", "2"));
    assert_eq!(again.response("GET").body, b"2");
    first.send(ok("Cache-Control: max-age=100\r\n", "1"));
    assert_eq!(leader.response("GET").body, b"1");
}

fn a_follower_that_has_the_new_version_is_told_so(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-wait", "1m"]);
    let mut leader = Conn::open(proxy.address());
    leader.send(get("/a"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(ok("Cache-Control: max-age=5\r\nAge: 5\r\nETag: \"1\"\r\n", "old"));
    assert_eq!(leader.response("GET").body, b"old");
    leader.send(get("/a"));
    upstream.read_head();
    let mut followers: Vec<Conn> = ["\"2\"", "\"1\""]
        .map(|tag| {
            let mut follower = Conn::open(proxy.address());
            follower.send(crate::get_with("/a", &format!("If-None-Match: {tag}\r\n")));
            follower
        })
        .into();
    // Answered behind them on the same worker: they have been heard.
    assert_eq!(
        Conn::open(proxy.address()).ask(&crate::get_with("/b", "Cache-Control: only-if-cached\r\n")).status(),
        504
    );
    upstream.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nETag: \"2\"\r\nContent-Length: 3\r\n\r\nn");
    // Before the rest of it is there.
    let known = followers[0].response("GET");
    assert_eq!((known.status(), known.field("etag"), known.body.len()), (304, Some("\"2\""), 0), "{known:?}");
    assert!(known.field("cache-status").is_some_and(|status| status.contains("; collapsed")), "{known:?}");
    upstream.send("ew");
    for client in [&mut leader, &mut followers[1]] {
        let got = client.response("GET");
        assert_eq!((got.status(), got.body.as_slice()), (200, &b"new"[..]));
    }
    assert_eq!(backend.connections(), 1);
}

/// A 304 may forbid storing the response: no request waits for the next one in turn.
fn a_304_for_one_releases_all(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-wait", "1m"]);
    let mut leader = Conn::open(proxy.address());
    leader.send(get("/a"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(ok("Cache-Control: max-age=5\r\nAge: 5\r\nETag: \"1\"\r\n", "old"));
    assert_eq!(leader.response("GET").body, b"old");
    leader.send(get("/a"));
    upstream.read_head();
    let mut followers: Vec<Conn> = (0..3).map(|_| Conn::open(proxy.address())).collect();
    followers.iter_mut().for_each(|follower| follower.send(get("/a")));
    // Answered behind them on the same worker: they have been heard.
    let only = crate::get_with("/b", "Cache-Control: only-if-cached\r\n");
    assert_eq!(Conn::open(proxy.address()).ask(&only).status(), 504);
    upstream.send("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nCache-Control: no-store, max-age=100\r\n\r\n");
    assert_eq!(leader.response("GET").body, b"old");
    // All of them, before any is answered.
    let mut upstreams = [upstream, incoming.accept(), incoming.accept()];
    upstreams.iter_mut().for_each(|upstream| drop(upstream.read_head()));
    upstreams.iter_mut().for_each(|upstream| upstream.send(ok("Cache-Control: no-store\r\n", "new")));
    for follower in &mut followers {
        let got = follower.response("GET");
        // RFC 9211 §2.6: they waited, and had to ask themselves.
        let in_vain = "socket-patterns; fwd=stale; fwd-status=200; collapsed=?0";
        assert_eq!((got.body.as_slice(), got.field("cache-status")), (&b"new"[..], Some(in_vain)));
    }
}

/// RFC 9111 §4.4: what an unsafe request has made untrue does not come back as another request's variant.
fn a_304_from_before_a_change_is_not_stored(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut one = Conn::open(proxy.address());
    one.send(crate::get_with("/a", "Foo: 1\r\n"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(ok("Cache-Control: max-age=100\r\nVary: Foo\r\nETag: \"1\"\r\n", "old"));
    assert_eq!(one.response("GET").body, b"old");
    let mut two = Conn::open(proxy.address());
    two.send(crate::get_with("/a", "Foo: 2\r\n"));
    assert!(upstream.read_head().contains(&"If-None-Match: \"1\"".to_owned()));
    one.send("POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    let mut other = incoming.accept();
    other.read_head();
    other.send(ok("", "done"));
    assert_eq!(one.response("POST").body, b"done");
    upstream.send("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nVary: Foo\r\nCache-Control: max-age=100\r\n\r\n");
    assert_eq!(two.response("GET").body, b"old");
    let only = crate::get_with("/a", "Foo: 2\r\nCache-Control: only-if-cached\r\n");
    assert_eq!(two.ask(&only).status(), 504);
}

/// A body that turns out too large to be stored, and one of its readers does not read: be it the client for which it is
/// fetched, or one that follows. The other gets all of it; that one sees that it did not.
fn a_slow_client_does_not_hold_up_those_who_read_with_it(milestone: &Milestone) {
    const PIECES: usize = 160;
    let piece = [format!("{:x}\r\n", 1 << 17).into_bytes(), vec![b'x'; 1 << 17], b"\r\n".to_vec()].concat();
    for (slow_one, workers) in [(0, "1"), (1, "1"), (0, "2"), (1, "2")] {
        let (backend, incoming) = Backend::by_hand();
        let mut flags = vec!["--workers", workers, "--cache-wait", "2s", "--cache-max-object", "1m"];
        flags.extend(["--admin", "127.0.0.1:0"]);
        let proxy = milestone.start(&[&backend], &flags);
        let mut clients: Vec<Conn> = (0..2)
            .map(|n| if n == slow_one { Conn::open_narrow(proxy.address()) } else { Conn::open(proxy.address()) })
            .collect();
        clients[0].send(get("/a"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        clients[1..].iter_mut().for_each(|client| client.send(get("/a")));
        wait_for_requests(&proxy, 2);
        hear(&proxy);
        upstream.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nTransfer-Encoding: chunked\r\n\r\n");
        // Both follow the response before so much of it is here that it cannot be followed from its beginning any more.
        clients.iter().for_each(Conn::wait_for_input);
        let slow = clients.remove(slow_one);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..PIECES).for_each(|_| upstream.send(&piece));
                upstream.send("0\r\n\r\n");
            });
            for client in &mut clients {
                scope.spawn(|| assert_eq!(client.response("GET").body.len(), PIECES << 17));
            }
        });
        assert!(incoming.is_empty(), "one request for all");
        let mut slow = slow;
        slow.expect_reset();
        proxy.wait_for_stderr("client too slow for those it shares a response with");
    }
}
