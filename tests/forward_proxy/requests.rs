//! Requests in the form for proxies: which server gets them, and what it gets to see.

use crate::{
    errors, get, guarded, open, port,
    support::{
        process::wait_until,
        raw::{Backend, Conn, refusing_address},
    },
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";

#[test]
fn a_request_goes_to_the_server_that_its_target_names() {
    let (one, other) = (Backend::saying("one"), Backend::saying("other"));
    let proxy = open(&[]);
    let mut client = Conn::open(proxy.address());
    for _ in 0..3 {
        assert_eq!(client.ask(&get(&one.name(), "/a?b")).body, b"one");
        assert_eq!(client.ask(&get(&other.name(), "/")).body, b"other");
    }
    assert_eq!((one.requests().len(), other.requests().len()), (3, 3));
    // Each server's connections are kept.
    assert_eq!((one.connections(), other.connections()), (1, 1));
    let head = one.requests().remove(0).head.unwrap();
    assert_eq!(head.target(), "/a?b");
}

#[test]
fn the_server_sees_what_the_client_said_to_it_and_nothing_of_the_proxy_but_via() {
    let backend = Backend::saying("x");
    let proxy = open(&[]);
    let name = backend.name();
    let request = format!(
        "GET http://{name}/ HTTP/1.1\r\nHost: another.example\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic \
         YTpi\r\nAuthorization: Basic Yzpk\r\nConnection: X-Hop\r\nX-Hop: 1\r\nCookie: a=b\r\nVia: 1.0 before\r\n\r\n"
    );
    let answer = Conn::open(proxy.address()).ask(&request);
    assert_eq!((answer.status(), answer.field("via")), (200, Some("1.1 socket-patterns")));
    let seen = backend.requests().remove(0);
    assert_eq!(seen.field("host"), Some(name.as_str()));
    assert_eq!(seen.field("via"), Some("1.0 before, 1.1 socket-patterns"));
    assert_eq!((seen.field("authorization"), seen.field("cookie")), (Some("Basic Yzpk"), Some("a=b")));
    for gone in [
        "proxy-connection",
        "proxy-authorization",
        "connection",
        "x-hop",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
    ] {
        assert_eq!(seen.field(gone), None, "{gone}");
    }
}

#[test]
fn a_name_is_resolved_and_spellings_of_it_are_one_server() {
    let backend = Backend::saying("x");
    let proxy = open(&[]);
    let mut client = Conn::open(proxy.address());
    for host in ["localhost", "LOCALHOST", "localhost."] {
        let name = format!("{host}:{}", port(&backend));
        assert_eq!(client.ask(&get(&name, "/")).body, b"x");
        assert_eq!(backend.requests().last().unwrap().field("host"), Some(name.as_str()));
    }
    assert_eq!(backend.connections(), 1);
    // Never in DNS (RFC 6761 §6.4).
    assert_eq!(client.ask(&get("nobody.invalid", "/")).status(), 502);
    assert_eq!(errors(&proxy, "name not resolved"), 1);
}

#[test]
fn content_passes_both_ways() {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
            served.conn.send([head.as_bytes(), &request.body].concat());
        }
    });
    let proxy = open(&[]);
    let mut client = Conn::open(proxy.address());
    for length in [0, 1, 70_000, 1_000_000] {
        let body = vec![b'a'; length];
        let head = format!("POST http://{} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n", backend.name());
        client.send([head.as_bytes(), &body].concat());
        assert_eq!(client.response("POST").body, body);
    }
}

#[test]
fn requests_wait_for_a_connection_to_their_server_and_for_no_other() {
    let (backend, incoming) = Backend::by_hand();
    let other = Backend::saying("other");
    let proxy = open(&["--pool-max", "2"]);
    let mut clients: Vec<Conn> = (0..3).map(|_| Conn::open(proxy.address())).collect();
    let mut served: Vec<Conn> = Vec::new();
    for client in &mut clients[..2] {
        client.send(get(&backend.name(), "/"));
        let mut conn = incoming.accept();
        conn.read_head();
        served.push(conn);
    }
    clients[2].send(get(&backend.name(), "/last"));
    wait_until("the third request to wait", || proxy.stats()["pool"]["waiting"] == 1);
    assert_eq!(Conn::open(proxy.address()).ask(&get(&other.name(), "/")).body, b"other");
    served[0].send(OK);
    assert_eq!(clients[0].response("GET").body, b"x");
    assert_eq!(served[0].read_head()[0], "GET /last HTTP/1.1");
    served[0].send(OK);
    assert_eq!(clients[2].response("GET").body, b"x");
    assert_eq!(backend.connections(), 2);
}

#[test]
fn the_number_of_servers_is_limited_and_places_are_used_again() {
    let (one, incoming) = Backend::by_hand();
    let proxy = open(&["--origins", "1"]);
    let mut first = Conn::open(proxy.address());
    first.send(get(&one.name(), "/"));
    let mut served = incoming.accept();
    served.read_head();
    let mut client = Conn::open(proxy.address());
    let backends: Vec<Backend> = (0..5)
        .map(|n| Backend::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{n}")))
        .collect();
    let refused = client.ask(&get(&backends[0].name(), "/"));
    assert_eq!(refused.status(), 503);
    assert!(refused.field("retry-after").is_some(), "{refused}");
    assert_eq!(errors(&proxy, "too many origins at once"), 1);
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
    assert_eq!(first.response("GET").body, b"x");
    for _ in 0..3 {
        for (n, backend) in backends.iter().enumerate() {
            assert_eq!(client.ask(&get(&backend.name(), "/")).body, n.to_string().as_bytes());
        }
    }
    let stats = proxy.stats();
    assert_eq!(
        (&stats["origins"]["known"], &stats["origins"]["some"][0]["name"]),
        (&1.into(), &backends[4].name().into())
    );
}

#[test]
fn a_kept_connection_keeps_the_place_of_its_server() {
    let (one, other) = (Backend::saying("one"), Backend::saying("other"));
    let proxy = open(&["--origins", "1", "--pool-idle-timeout", "50ms"]);
    let mut client = Conn::open(proxy.address());
    assert_eq!(client.ask(&get(&one.name(), "/")).body, b"one");
    // Until its connection has idled too long, the next server has no place: it never gets the connection of the first.
    wait_until("the first server's connection to be closed", || {
        let answer = client.ask(&get(&other.name(), "/"));
        assert!(answer.status() == 503 || answer.body == b"other", "{answer}");
        answer.status() == 200
    });
    assert_eq!((one.requests().len(), other.requests().len()), (1, 1));
}

#[test]
fn requests_that_name_no_server_are_refused() {
    let proxy = open(&[]);
    for (request, status, rule) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "no whole URI for a forward proxy"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "no whole URI for a forward proxy"),
        ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 501, "https without CONNECT"),
        ("GET http://a:25/ HTTP/1.1\r\nHost: a\r\n\r\n", 403, "port out of bounds"),
        ("GET http://127.1/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "no host for a forward proxy"),
    ] {
        let before = errors(&proxy, rule);
        let answer = Conn::open(proxy.address()).ask(request);
        assert_eq!((answer.status(), errors(&proxy, rule) - before), (status, 1), "{request:?} {answer}");
    }
}

#[test]
fn a_server_that_refuses_is_a_502_each_time() {
    let proxy = open(&[]);
    let nobody = refusing_address().to_string();
    let mut client = Conn::open(proxy.address());
    // There is no other server that could be asked instead, so no breaker keeps requests from it.
    for _ in 0..10 {
        assert_eq!(client.ask(&get(&nobody, "/")).status(), 502);
    }
    assert_eq!(errors(&proxy, "connection refused"), 10);
}

#[test]
fn the_cache_keeps_servers_apart_and_what_is_for_one_client() {
    let cacheable =
        |body: &str| format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\n{body}");
    let (one, two) = (Backend::answering(cacheable("one")), Backend::answering(cacheable("two")));
    let proxy = open(&["--cache-size", "1m"]);
    let mut client = Conn::open(proxy.address());
    for _ in 0..3 {
        assert_eq!(client.ask(&get(&one.name(), "/")).body, b"one");
        assert_eq!(client.ask(&get(&two.name(), "/")).body, b"two");
    }
    assert_eq!((one.requests().len(), two.requests().len()), (1, 1));
    // A shared cache keeps no answer to credentials (RFC 9111 §3.5).
    for _ in 0..2 {
        let name = one.name();
        client.ask(&format!("GET http://{name}/mine HTTP/1.1\r\nHost: {name}\r\nAuthorization: Basic YTpi\r\n\r\n"));
    }
    assert_eq!(one.requests().len(), 3);
    // Without the flag, nothing is kept.
    let plain = open(&[]);
    let mut client = Conn::open(plain.address());
    (0..2).for_each(|_| assert_eq!(client.ask(&get(&two.name(), "/")).body, b"two"));
    assert_eq!(two.requests().len(), 3);
}

#[test]
fn a_cache_does_not_lead_past_the_guard() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx");
    let proxy = guarded(&["--cache-size", "1m"]);
    let mut client = Conn::open(proxy.address());
    (0..2).for_each(|_| assert_eq!(client.ask(&get(&backend.name(), "/")).status(), 403));
    assert_eq!(backend.connections(), 0);
}
