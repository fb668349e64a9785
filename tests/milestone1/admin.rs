//! The admin listener: off by default, for the operator only, and its numbers add up.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::{start_listening, wait_until},
        raw::{Backend, Conn, in_parallel},
    },
};
use serde_json::Value;
use std::net::SocketAddr;

from_milestone1! {
    over_http2 {
        the_operator_is_answered_when_all_places_are_taken,
    }
    over_tls "they are about the syntax of HTTP/1; that of frames has its tables in src/http2/connection/tests" {
        every_reason_is_counted,
    }
    in_plain "the admin listener is asked, which speaks HTTP/1.1 in plain" {
        there_is_none_unless_asked_for,
        healthz_and_stats_are_served,
        the_start_lines_name_what_there_is,
        an_admin_listener_that_others_can_reach_has_to_be_asked_for_twice,
        a_web_page_under_another_name_learns_nothing,
        visitors_beyond_the_limit_take_the_place_of_those_who_idle,
    }
    for_reverse_proxies "its numbers are those of its backends; a forward proxy's are in tests/forward_proxy" {
        over_http2 {
            running_requests_are_counted,
            the_operator_is_answered_during_a_drain,
        }
        over_tls "they are about the syntax of HTTP/1; that of frames has its tables in src/http2/connection/tests" {
            the_numbers_add_up,
        }
    }
}

/// Where it is known how many descriptors a process has.
#[cfg(target_os = "linux")]
mod without_descriptors {
    use super::the_operator_is_answered_when_no_descriptor_is_left;
    use crate::support::milestones::from_milestone1;

    from_milestone1! {
        for_reverse_proxies "its numbers are those of its backends; a forward proxy's are in tests/forward_proxy" {
            in_plain "the admin listener is asked, which speaks HTTP/1.1 in plain" {
                the_operator_is_answered_when_no_descriptor_is_left,
            }
        }
    }
}

const FLAGS: &[&str] = &["--admin", "127.0.0.1:0", "--workers", "2"];

fn stats(at: SocketAddr) -> Value {
    let response = Conn::open(at).ask(&get("/stats"));
    assert_eq!((response.status(), response.field("content-type")), (200, Some("application/json")));
    serde_json::from_slice(&response.body).expect("it is JSON")
}

fn number(stats: &Value, path: &str) -> u64 {
    stats.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number {path} in {stats:#}"))
}

fn there_is_none_unless_asked_for(milestone: &Milestone) {
    let backend = Backend::saying("the backend's");
    let proxy = milestone.start(&[&backend], &[]);
    for target in ["/healthz", "/stats"] {
        assert_eq!(Conn::open(proxy.address()).ask(&get(target)).body, b"the backend's", "{target}");
    }
    assert!(!proxy.stderr().contains("admin on"), "{}", proxy.stderr());
}

fn the_start_lines_name_what_there_is(milestone: &Milestone) {
    let backend = Backend::saying("x");
    for (flags, workers, paths) in [
        (&["--workers", "1"][..], "1 worker,", "/, /stats, /metrics and /healthz\n"),
        (&["--workers", "2"], "2 workers,", "/, /stats, /metrics and /healthz\n"),
        (milestone.since(4, &["--cache-size", "0", "--workers", "1"]), "", "/, /stats, /metrics and /healthz\n"),
    ] {
        let proxy = milestone.start(&[&backend], &[&FLAGS[..2], flags].concat());
        let at = proxy.admin();
        // The start line and the answer to an unknown path name the same paths.
        let caches = milestone.number >= 4 && !flags.contains(&"--cache-size");
        let paths = if caches { "/, /stats, /metrics, /healthz and /purge\n" } else { paths };
        proxy.wait_for_stderr(paths);
        assert!(proxy.stderr().contains(workers), "{}", proxy.stderr());
        let there = Conn::open(at).ask(&get("/other")).body;
        assert_eq!(String::from_utf8(there).unwrap(), format!("there are {paths}"));
    }
}

fn healthz_and_stats_are_served(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], FLAGS);
    let mut client = Conn::open(proxy.admin());
    for (target, status) in
        [("/healthz", 200), ("/stats", 200), ("/stats?x", 200), ("/", 200), ("/live.json", 200), ("/other", 404)]
    {
        assert_eq!(client.ask(&get(target)).status(), status, "{target}");
    }
    assert_eq!(client.ask("HEAD /healthz HTTP/1.1\r\nHost: test\r\n\r\n").status(), 200);
    let refused = client.ask("POST /stats HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((refused.status(), refused.field("allow")), (405, Some("GET, HEAD")));
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.response("GET").status(), 400);
    client.expect_end();
    assert!(backend.requests().is_empty());
    let stats = stats(proxy.admin());
    assert_eq!(number(&stats, "/workers"), 2);
    assert_eq!(number(&stats, "/requests/total"), 0, "the operator's own requests are not counted");
}

fn an_admin_listener_that_others_can_reach_has_to_be_asked_for_twice(milestone: &Milestone) {
    // The refusal is among the wrong flags of `command_line.rs`.
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--admin", "0.0.0.0:0", "--admin-public"]);
    let port = proxy.admin().port();
    assert_eq!(Conn::open(SocketAddr::from(([127, 0, 0, 1], port))).ask(&get("/healthz")).status(), 200);
}

/// A page whose name is made to mean this address (DNS rebinding) still names its own host.
fn a_web_page_under_another_name_learns_nothing(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let flags = ["--admin", "127.0.0.1:0", "--admin-host", "proxy-1.internal"];
    let proxy = milestone.start(&[&backend], &flags);
    let at = proxy.admin();
    let ask = |target: &str, host: &str| {
        let mut client = Conn::open(at);
        let response = client.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        (response.status(), String::from_utf8_lossy(&response.body).into_owned())
    };
    for target in ["/stats", "/healthz", "/purge?all", "/"] {
        let (status, body) = ask(target, &format!("evil.example:{}", at.port()));
        assert_eq!(status, 421, "{target}");
        assert!(!body.contains(&backend.name()) && body.contains("--admin-host"), "{body}");
    }
    for host in [&at.to_string()[..], "127.0.0.1", "[::1]:9090", "localhost", "Proxy-1.internal:9090"] {
        assert_eq!(ask("/stats", host).0, 200, "{host}");
    }
    // HTTP/1.0 may leave it out: no browser does.
    assert_eq!(Conn::open(at).ask("GET /healthz HTTP/1.0\r\n\r\n").status(), 200);
}

/// Waits until nothing runs, then gives the numbers.
fn settled(at: SocketAddr) -> Value {
    let mut last = Value::Null;
    wait_until("clients to be gone", || {
        last = stats(at);
        number(&last, "/connections/open") == 0
    });
    last
}

fn the_numbers_add_up(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let answer = match request.head.unwrap().target() {
                "/missing" => "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
                "/dies" => {
                    served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
                    return;
                }
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            };
            if served.conn.try_send(answer).is_err() {
                return;
            }
        }
    });
    let proxy = milestone.start(&[&backend], FLAGS);
    let at = proxy.admin();
    in_parallel(5, |_| {
        let mut client = Conn::open(proxy.address());
        for _ in 0..10 {
            client.ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc");
            client.ask(&get("/missing"));
        }
        client.send(get("/dies"));
        assert!(client.outcome("GET").is_err());
        let mut client = Conn::open(proxy.address());
        client.send("nonsense\r\n\r\n");
        client.read_to_end();
    });
    let stats = settled(at);
    let [accepted, closed] = ["/connections/accepted", "/connections/closed"].map(|path| number(&stats, path));
    assert_eq!((accepted, closed), (10, 10));
    let requests = |path: &str| number(&stats, &format!("/requests/{path}"));
    assert_eq!((requests("total"), requests("responses"), requests("aborted")), (105, 100, 5));
    assert_eq!((requests("refused"), requests("retries"), requests("tunnels")), (5, 0, 0));
    // The responses that were broken off had begun with 200.
    assert_eq!((requests("status/2xx"), requests("status/4xx"), requests("status/5xx")), (55, 55, 0));
    assert_eq!((number(&stats, "/body_bytes/received"), number(&stats, "/body_bytes/sent")), (150, 365));
    assert_eq!((number(&stats, "/backends/0/requests"), number(&stats, "/backends/0/in_flight")), (105, 0));
    assert_eq!(stats.pointer("/backends/0/name").and_then(Value::as_str), Some(&backend.name()[..]));
    assert_eq!((number(&stats, "/pool/busy"), number(&stats, "/pool/waiting")), (0, 0));
    let opened = number(&stats, "/pool/opened");
    assert_eq!((opened, opened + number(&stats, "/pool/reused")), (backend.connections() as u64, 105));
    let closed = stats.pointer("/pool_closed").and_then(Value::as_object).expect("an object");
    let closed: u64 = closed.values().filter_map(Value::as_u64).sum();
    assert_eq!(closed + number(&stats, "/pool/idle"), opened, "{stats:#}");
    assert_eq!(stats.pointer("/errors/response truncated").and_then(Value::as_u64), Some(5), "{stats:#}");
}

fn running_requests_are_counted(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], FLAGS);
    let at = proxy.admin();
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    let running = stats(at);
    assert_eq!((number(&running, "/connections/open"), number(&running, "/requests/total")), (1, 1));
    assert_eq!((number(&running, "/requests/responses"), number(&running, "/requests/aborted")), (0, 0));
    assert_eq!((number(&running, "/backends/0/in_flight"), number(&running, "/pool/busy")), (1, 1));
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    client.response("GET");
    drop(client);
    let after = settled(at);
    assert_eq!((number(&after, "/requests/responses"), number(&after, "/backends/0/in_flight")), (1, 0));
    assert_eq!(number(&after, "/connections/accepted"), number(&after, "/connections/closed"));
}

fn every_reason_is_counted(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], FLAGS);
    let at = proxy.admin();
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", "no host"),
        ("GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", "bare line feed"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "content-length and transfer-encoding",
        ),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "unsupported version"),
    ];
    for (request, _) in cases {
        let mut client = Conn::open(proxy.address());
        client.send(request);
        client.read_to_end();
    }
    let stats = settled(at);
    for (_, reason) in cases {
        assert_eq!(number(&stats, &format!("/errors/{reason}")), 1, "{reason}");
    }
    assert_eq!(number(&stats, "/requests/refused"), 4);
}

fn the_operator_is_answered_when_all_places_are_taken(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let flags = ["--workers", "1", "--max-connections", "1", "--admin", "127.0.0.1:0"];
    let proxy = milestone.start(&[&backend], &flags);
    let mut busy = Conn::open(proxy.address());
    busy.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    let waiting: Vec<Conn> = (0..10).map(|_| Conn::open(proxy.address())).collect();
    proxy.wait_for_stderr("all that are here are busy");
    for _ in 0..10 {
        assert_eq!(Conn::open(proxy.admin()).ask(&get("/healthz")).status(), 200);
    }
    drop(waiting);
}

fn visitors_beyond_the_limit_take_the_place_of_those_who_idle(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], FLAGS);
    let mut visitors: Vec<Conn> = (0..50).map(|_| Conn::open(proxy.admin())).collect();
    let mut last = visitors.pop().unwrap();
    assert_eq!(last.ask(&get("/healthz")).status(), 200);
    visitors[0].expect_end();
}

/// With few descriptors, and demo backends that take theirs from the same process, there is none left for a connection.
#[cfg(target_os = "linux")]
fn the_operator_is_answered_when_no_descriptor_is_left(milestone: &Milestone) {
    let script = "ulimit -n 160; exec \"$0\" \"$@\"";
    let flags = ["--listen", "127.0.0.1:0", "--workers", "1", "--admin", "127.0.0.1:0", "--admin-host", "test"];
    let command =
        [&["-c", script, milestone.program], &flags[..], milestone.since(2, &["--no-health"]), milestone.any_port()]
            .concat();
    let proxy = start_listening("sh", &command, 1);
    let at = proxy.admin();
    let mut clients: Vec<Conn> = (0..100).map(|_| Conn::open(proxy.address())).collect();
    clients.iter_mut().for_each(|client| client.send(get("/delay/60000")));
    proxy.wait_for_stderr("cannot accept: raise the limit");
    let mut visitors: Vec<Conn> = (0..10).map(|_| Conn::open(at)).collect();
    for visitor in &mut visitors {
        assert_eq!(visitor.ask(&get("/healthz")).status(), 200);
    }
}

fn the_operator_is_answered_during_a_drain(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let mut proxy = milestone.start(&[&backend], &[FLAGS, &["--drain-timeout", "1h"]].concat());
    let at = proxy.admin();
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    assert_eq!(Conn::open(at).ask(&get("/healthz")).status(), 200);
    proxy.signal("TERM");
    wait_until("the operator to hear of it", || Conn::open(at).ask(&get("/healthz")).status() == 503);
    let mut visitor = Conn::open(at);
    let answer = visitor.ask(&get("/healthz"));
    assert_eq!((answer.status(), answer.field("connection")), (503, Some("close")));
    assert!(answer.body.starts_with(b"draining: 1 of 1"), "{answer:?}");
    assert_eq!(stats(at).pointer("/draining"), Some(&Value::Bool(true)));
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.response("GET").body, b"ok");
    drop((client, upstream, visitor));
    assert_eq!(proxy.wait().code(), Some(0));
}
