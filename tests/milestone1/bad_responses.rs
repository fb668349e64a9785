//! A backend's nonsense becomes a 502, or a broken connection once the response has begun. It is never passed on.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        raw::{Backend, Conn, End, refusing_address},
    },
};

from_milestone1! {
    over_http2 {
        malformed_response_heads_become_502,
        white_space_before_a_colon_is_removed_from_a_response,
        a_response_may_list_few_options,
        malformed_response_bodies_break_the_connection,
        a_backend_that_refuses_becomes_502,
        a_backend_that_closes_without_a_word_becomes_502,
        a_backend_that_cuts_its_head_off_becomes_502,
        bytes_behind_a_response_reach_nobody,
        too_many_interim_responses_become_502,
        the_largest_head_passes_and_a_larger_one_becomes_502,
    }
}

/// Answers `/N` with the Nth of these, and closes.
fn scripted(answers: Vec<Vec<u8>>) -> Backend {
    Backend::start(move |mut served| {
        let Some(request) = served.request() else { return };
        let head = request.head.expect("it is complete");
        if let Some(answer) = head.target()[1..].parse().ok().and_then(|n: usize| answers.get(n)) {
            // The proxy may have heard enough before the end.
            let _ = served.conn.try_send(answer);
        }
    })
}

fn malformed_response_heads_become_502(milestone: &Milestone) {
    const HEADS: &[&str] = &[
        "nonsense",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20 OK\r\nContent-Length: 0",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0",
        "HTTP/1.1 abc OK\r\nContent-Length: 0",
        "HTTP/1.1 099 OK\r\nContent-Length: 0",
        "HTTP/1.1  200 OK\r\nContent-Length: 0",
        "HTTP/1.1 200 O\0K\r\nContent-Length: 0",
        "HTTP/2.0 200 OK\r\nContent-Length: 0",
        "HTTQ/1.1 200 OK\r\nContent-Length: 0",
        "http/1.1 200 OK\r\nContent-Length: 0",
        "HTTP/1.1 200 OK\nContent-Length: 0",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\nX: 1",
        "HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 0",
        "HTTP/1.1 200 OK\r\n : 1\r\nContent-Length: 0",
        "HTTP/1.1 200 OK\r\nX Y : 1\r\nContent-Length: 0",
        "HTTP/1.1 200 OK\r\nContent-Length : 1\r\nTransfer-Encoding : chunked",
        "HTTP/1.1 200 OK\r\nX\r\nContent-Length: 0",
        "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0",
        "HTTP/1.1 200 OK\r\nX: 1\r2\r\nContent-Length: 0",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1",
        "HTTP/1.1 200 OK\r\nContent-Length: -1",
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 9223372036854775808",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
    ];
    let backend = scripted(HEADS.iter().map(|head| format!("{head}\r\n\r\nx").into_bytes()).collect());
    let proxy = milestone.start(&[&backend], milestone.forgiving());
    let mut client = Conn::open(proxy.address());
    for (n, head) in HEADS.iter().enumerate() {
        // The client did nothing wrong: its connection goes on.
        let response = client.ask(&get(&format!("/{n}")));
        assert_eq!(response.status(), 502, "{head:?}");
        let status = response.field("proxy-status").unwrap_or_default();
        assert_eq!(status, "socket-patterns; error=http_protocol_error", "{head:?}");
    }
}

/// RFC 9112 §5.1: a request with it is refused, from a response a proxy removes it. In one piece, and cut anywhere.
fn white_space_before_a_colon_is_removed_from_a_response(milestone: &Milestone) {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nName : value\r\nX\t \t:1 : 2\r\nTransfer-Encoding : chunked\r\n\r\n\
        3\r\nabc\r\n0\r\nX-Sum : 7\r\n\r\n";
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let cut = request.head.expect("it is complete").target()[1..].parse().expect("a number");
            let (first, rest) = ANSWER.split_at(cut);
            served.conn.send(first);
            served.conn.send(rest);
        }
    });
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    for cut in (0..ANSWER.len()).step_by(7) {
        client.send(get(&format!("/{cut}")));
        let head = client.read_head();
        assert!(head.contains(&"Name: value".to_owned()) && head.contains(&"X: 1 : 2".to_owned()), "{cut}: {head:?}");
        assert!(head.contains(&"Transfer-Encoding: chunked".to_owned()), "{cut}: {head:?}");
        let body = client.read_until("\r\n\r\n");
        assert!(body.contains("abc\r\n") && body.ends_with("0\r\nX-Sum: 7\r\n\r\n"), "{cut}: {body:?}");
    }
}

fn a_response_may_list_few_options(milestone: &Milestone) {
    let listing =
        |count| format!("HTTP/1.1 200 OK\r\nConnection: {}\r\nContent-Length: 0\r\n\r\n", vec!["x"; count].join(","));
    let backend = scripted([32, 33, 2000].map(|count| listing(count).into_bytes()).to_vec());
    let proxy = milestone.start(&[&backend], milestone.forgiving());
    for (n, status) in [200, 502, 502].into_iter().enumerate() {
        assert_eq!(Conn::open(proxy.address()).ask(&get(&format!("/{n}"))).status(), status, "{n}");
    }
}

fn malformed_response_bodies_break_the_connection(milestone: &Milestone) {
    const BODIES: &[&str] = &[
        "x\r\n",
        "2\r\nabc\r\n",
        "3\nabc\r\n",
        "3\r\nabc\n",
        "-3\r\nabc\r\n",
        "8000000000000000\r\n",
        "10000000000000000\r\n",
        "0\r\nX Y: 1\r\n\r\n",
        "0\r\nX: 1\r\n 2\r\n\r\n",
    ];
    let wire = |body: &&str| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n{body}0\r\n\r\n").into_bytes()
    };
    let backend = scripted(BODIES.iter().map(wire).collect());
    let proxy = milestone.start(&[&backend], milestone.forgiving());
    for (n, body) in BODIES.iter().enumerate() {
        let mut client = Conn::open(proxy.address());
        client.send(get(&format!("/{n}")));
        let (bytes, end) = client.read_to_end();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(end, End::Reset, "{body:?}: {text:?}");
        assert!(!text.ends_with("0\r\n\r\n"), "{body:?} was completed: {text:?}");
    }
}

fn a_backend_that_refuses_becomes_502(milestone: &Milestone) {
    let flags = [milestone.since(2, &["--no-health"]), milestone.forgiving()].concat();
    let proxy = milestone.start_before(&[&refusing_address().to_string()], &flags);
    let mut client = Conn::open(proxy.address());
    for request in [get("/"), "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n".to_owned()] {
        let response = client.ask(&request);
        assert_eq!(response.status(), 502, "{request:?}");
        assert_eq!(response.field("proxy-status"), Some("socket-patterns; error=connection_refused"), "{request:?}");
        assert!(response.body.starts_with(b"502 "), "{request:?}");
    }
    assert_eq!(client.ask("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n").status(), 502);
    // With a body that was not read, the connection cannot go on.
    let mut client = Conn::open(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    let response = client.response("POST");
    assert_eq!(response.status(), 502);
    if response.head.is_some_and(|head| head.has_token("connection", "close")) {
        client.expect_end();
    } else {
        assert_eq!(client.ask(&get("/")).status(), 502);
    }
}

fn a_backend_that_closes_without_a_word_becomes_502(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        served.request();
    });
    let proxy = milestone.start(&[&backend], milestone.forgiving());
    let response = Conn::open(proxy.address()).ask(&get("/"));
    assert_eq!(response.status(), 502);
    assert_eq!(response.field("proxy-status"), Some("socket-patterns; error=connection_terminated"));
    assert_eq!(backend.requests().len(), 1);
}

fn a_backend_that_cuts_its_head_off_becomes_502(milestone: &Milestone) {
    const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let backend = scripted((0..WHOLE.len()).map(|cut| WHOLE.as_bytes()[..cut].to_vec()).collect());
    let proxy = milestone.start(&[&backend], milestone.forgiving());
    let mut client = Conn::open(proxy.address());
    for cut in 0..WHOLE.len() {
        assert_eq!(client.ask(&get(&format!("/{cut}"))).status(), 502, "cut at {cut}");
    }
}

fn bytes_behind_a_response_reach_nobody(milestone: &Milestone) {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for form in ["Content-Length: 4\r\n\r\ngood", "Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{form}{poison}");
        let backend = Backend::answering(answer);
        let proxy = milestone.start(&[&backend], milestone.forgiving());
        let mut client = Conn::open(proxy.address());
        for n in 0..20 {
            assert_eq!(client.ask(&get("/")).body, b"good", "request {n} with {form:?}");
        }
    }
    // The same for a response that may not have a body.
    let backend = Backend::answering(format!("HTTP/1.1 204 No Content\r\n\r\n{poison}"));
    let proxy = milestone.start(&[&backend], milestone.forgiving());
    let mut client = Conn::open(proxy.address());
    for _ in 0..20 {
        assert_eq!(client.ask(&get("/")).status(), 204);
    }
}

fn too_many_interim_responses_become_502(milestone: &Milestone) {
    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\n\r\n";
    const LAST: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let answers = [16, 17, 10_000].map(|n| format!("{}{LAST}", INTERIM.repeat(n)).into_bytes());
    let backend = scripted(answers.to_vec());
    let proxy = milestone.start(&[&backend], milestone.forgiving());
    let mut client = Conn::open(proxy.address());
    for (target, status) in [("/0", 200), ("/1", 502), ("/2", 502)] {
        let response = client.ask(&get(target));
        assert_eq!((response.status(), response.interim.len()), (status, 16), "{target}");
    }
}

fn the_largest_head_passes_and_a_larger_one_becomes_502(milestone: &Milestone) {
    const LIMIT: usize = 16 * 1024;
    let head = |len: usize| {
        let without = "HTTP/1.1 200 OK\r\nConnection: close\r\nX: \r\n\r\n".len();
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nX: {}\r\n\r\n", "x".repeat(len - without)).into_bytes()
    };
    let fields =
        |n: usize| format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{}\r\n", "X: 1\r\n".repeat(n - 1)).into_bytes();
    let backend = scripted(vec![head(LIMIT), head(LIMIT + 1), fields(100), fields(101)]);
    let proxy = milestone.start(&[&backend], milestone.forgiving());
    let mut client = Conn::open(proxy.address());
    for (target, status) in [("/0", 200), ("/1", 502), ("/2", 200), ("/3", 502)] {
        assert_eq!(client.ask(&get(target)).status(), status, "{target}");
    }
}
