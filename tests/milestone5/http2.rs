//! HTTP/2 with real sockets, over TLS and without: what the protocol promises, and what becomes of a stream when something breaks.

use crate::{
    Stage,
    support::{
        http2::{Client, Told, frame, headers, offering},
        process::{wait_for, wait_until},
        raw::{Backend, Conn, End, in_parallel},
        tls::Tls,
        websocket,
    },
};
use socket_patterns::http2::{ErrorCode, PREFACE, Reset};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// A backend that answers each request with its method, its path and its body.
fn echoing() -> Backend {
    Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let head = request.head.as_ref().unwrap();
            let body = [format!("{} {} ", head.method(), head.target()).as_bytes(), &request.body].concat();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            served.conn.send([head.as_bytes(), &body].concat());
            served.note(request);
        }
    })
}

/// A client over TLS, and one without.
fn both(stage: &Stage) -> impl Iterator<Item = Client> {
    let over_tls = || Client::over_tls(stage.proxy.tls_address(), "test");
    // Each connects when it is its turn: a client that says nothing is let go.
    [true, false].into_iter().map(move |tls| if tls { over_tls() } else { Client::plain(stage.proxy.address()) })
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 + at % 251) as u8).collect()
}

#[test]
fn a_client_over_tls_chooses_the_version() {
    for (flags, offered, chosen) in [
        (&[][..], &["h2", "http/1.1"][..], Some("h2")),
        (&[], &["http/1.1", "h2"], Some("h2")),
        (&[], &["http/1.1"], Some("http/1.1")),
        (&[], &[], None),
        (&["--http2", "off"], &["h2", "http/1.1"], Some("http/1.1")),
    ] {
        let stage = Stage::new(flags);
        let mut client = Tls::open_with(stage.proxy.tls_address(), "test", offering(offered));
        assert_eq!(client.tls.alpn_protocol().map(<[u8]>::to_vec), chosen.map(|name| name.as_bytes().to_vec()));
        if chosen != Some("h2") {
            assert_eq!(client.get("/", "test").body, b"hello");
        }
    }
}

#[test]
fn requests_are_answered_over_tls_and_without() {
    let stage = Stage::before(echoing(), &[]);
    for mut client in both(&stage) {
        assert_eq!(client.get("/a?b").text(), "GET /a?b ");
        let stream = client.begin("POST", "/form", &[("content-length", "5")], false);
        client.send(stream, b"hello", true);
        let told = client.answer(stream);
        assert_eq!((told.status, told.text()), (200, "POST /form hello"));
        assert_eq!(told.field("content-length"), Some("16"));
        assert_eq!((told.field("connection"), told.field("via")), (None, Some("1.1 socket-patterns")));
        let stream = client.begin("HEAD", "/", &[], true);
        let told = client.answer(stream);
        assert_eq!((told.status, told.body.len(), told.ended), (200, 0, true));
    }
    let request = stage.backend.wait_for_request(1);
    assert_eq!(
        (request.field("Via"), request.field("X-Forwarded-Proto")),
        (Some("2.0 socket-patterns"), Some("https"))
    );
    stage.proxy.wait_for_stderr("request=\"POST /form HTTP/2.0\"");
    stage.proxy.wait_for_stderr("stream=3 tls=\"1.3 ");
}

#[test]
fn large_bodies_pass_unchanged_both_ways_at_once() {
    let stage = Stage::before(echoing(), &[]);
    for mut client in both(&stage) {
        let bodies: Vec<Vec<u8>> = (1..4).map(|n| pattern(n * 700_000)).collect();
        let streams: Vec<u32> = bodies.iter().map(|_| client.begin("POST", "/", &[], false)).collect();
        for (stream, body) in streams.iter().zip(&bodies) {
            client.send(*stream, body, true);
        }
        for (stream, body) in streams.iter().zip(&bodies) {
            let told = client.answer(*stream);
            assert!(told.body == [b"POST / ", &body[..]].concat(), "{} of {} bytes", told.body.len(), body.len());
        }
    }
}

#[test]
fn trailers_and_interim_responses_pass() {
    let backend = Backend::start(|mut served| {
        let Some(request) = served.request() else { return };
        served.conn.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        let sum = request.trailers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-sum")).unwrap().1.clone();
        served
            .conn
            .send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: {sum}\r\n\r\n"));
    });
    let stage = Stage::before(backend, &[]);
    for mut client in both(&stage) {
        let stream = client.begin("POST", "/", &[("te", "trailers"), ("trailer", "x-sum")], false);
        client.core.send_copy(stream, b"content");
        client.core.finish(stream, [("x-sum", "7")].into_iter().collect());
        let told = client.answer(stream);
        assert_eq!((&told.interims[..], told.status, told.text()), (&[103][..], 200, "ok"));
        assert_eq!(told.trailers.get("x-sum"), Some(&b"7"[..]));
    }
}

#[test]
fn a_client_that_expects_100_gets_it_from_the_backend() {
    let backend = Backend::start(|mut served| {
        let head = served.conn.read_until("\r\n\r\n");
        assert!(head.contains("100-continue"));
        served.conn.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(served.conn.read(5), b"hello");
        served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let stage = Stage::before(backend, &[]);
    let mut client = Client::plain(stage.proxy.address());
    let stream = client.begin("POST", "/", &[("expect", "100-continue"), ("content-length", "5")], false);
    client.until(|client| !client.told(stream).interims.is_empty());
    client.send(stream, b"hello", true);
    assert_eq!(client.answer(stream).text(), "ok");
}

#[test]
fn a_backend_that_dies_resets_its_own_stream() {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            if request.head.as_ref().unwrap().target() == "/dies" {
                served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
                return served.conn.reset();
            }
            served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    let stage = Stage::before(backend, &["--retries", "0"]);
    for mut client in both(&stage) {
        let (dies, lives) = (client.begin("GET", "/dies", &[], true), client.begin("GET", "/", &[], true));
        let told = client.answer(dies);
        assert_eq!((told.status, told.text()), (200, "only this"));
        assert_eq!(told.reset, Some(Reset::Peer(ErrorCode::INTERNAL_ERROR)));
        assert_eq!(client.answer(lives).text(), "hello");
        assert_eq!(client.get("/").text(), "hello", "the connection lives");
    }
    stage.proxy.wait_for_stderr("failure=\"response truncated\" close=\"aborted\" stream=");
}

#[test]
fn a_stream_that_is_given_up_takes_its_backend_connection_with_it() {
    let (backend, incoming) = Backend::by_hand();
    let stage = Stage::before(backend, &[]);
    for mut client in both(&stage) {
        let stream = client.begin("GET", "/", &[], true);
        client.flush();
        let mut served = incoming.accept();
        served.request().unwrap();
        served.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbeginning");
        client.until(|client| client.told(stream).text() == "beginning");
        client.reset(stream);
        served.expect_reset();
        let next = client.begin("GET", "/", &[], true);
        client.flush();
        let mut served = incoming.accept();
        served.request().unwrap();
        served.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.answer(next).text(), "ok");
    }
    stage.proxy.wait_for_stderr("failure=\"client gone\" close=\"aborted\" stream=1");
}

#[test]
fn a_stream_that_stands_still_stops_no_other() {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let size = if request.head.as_ref().unwrap().target() == "/large" { 8_000_000 } else { 10 };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            if served.conn.try_send([head.as_bytes(), &pattern(size)].concat()).is_err() {
                return;
            }
        }
    });
    let stage = Stage::before(backend, &[]);
    for mut client in both(&stage) {
        // It takes no window's worth of the first, and the other 8 MB wait with the backend.
        client.reads = false;
        let large = client.begin("GET", "/large", &[], true);
        client.until(|client| client.told(large).body.len() == 65_535);
        client.reads = true;
        for _ in 0..20 {
            assert_eq!(client.get("/").body, pattern(10));
        }
        assert_eq!(client.told(large).body.len(), 65_535);
        client.reset(large);
    }
}

#[test]
fn the_end_of_the_proxy_waits_for_its_streams() {
    let (backend, incoming) = Backend::by_hand();
    let stage = Stage::before(backend, &[]);
    let mut idle = Client::plain(stage.proxy.address());
    idle.flush();
    let mut client = Client::over_tls(stage.proxy.tls_address(), "test");
    let stream = client.begin("GET", "/", &[], true);
    client.flush();
    let mut served = incoming.accept();
    served.request().unwrap();
    let Stage { mut proxy, .. } = stage;
    proxy.signal("TERM");
    idle.until(|idle| idle.goaway.is_some());
    idle.until(|_| false);
    assert_eq!((idle.goaway, idle.ended), (Some(ErrorCode::NO_ERROR), Some(End::Clean)));
    client.until(|client| client.goaway.is_some());
    assert_eq!((client.goaway, client.told(stream)), (Some(ErrorCode::NO_ERROR), Told::default()));
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer(stream).text(), "ok");
    client.until(|_| false);
    assert_eq!(client.ended, Some(End::Clean));
    assert!(proxy.wait().success());
}

/// In HTTP/1.1 a request and the end of its connection may cross. Here the client hears which of its requests were looked at.
#[test]
fn clients_at_work_lose_nothing_when_the_proxy_ends() {
    const CLIENTS: usize = 8;
    let stage =
        Stage::before(Backend::saying("x"), &["--workers", "2", "--drain-timeout", "1h", "--access-log", "off"]);
    let answered = AtomicUsize::new(0);
    in_parallel(CLIENTS + 1, |number| {
        if number == CLIENTS {
            wait_until("everybody to be at work", || answered.load(Relaxed) > 300);
            return stage.proxy.signal("TERM");
        }
        let mut client = Client::over_tls(stage.proxy.tls_address(), "test");
        while client.goaway.is_none() {
            let stream = client.begin("POST", "/", &[("content-length", "4")], false);
            client.send(stream, b"body", true);
            let told = client.answer(stream);
            if told.reset != Some(Reset::Unprocessed) {
                assert_eq!((told.reset, told.text()), (None, "x"));
                answered.fetch_add(1, Relaxed);
            }
        }
    });
    let Stage { mut proxy, backend, .. } = stage;
    assert!(proxy.wait().success());
    assert_eq!(backend.requests().len(), answered.load(Relaxed), "a request that was executed was answered");
}

#[test]
fn a_host_of_another_certificate_is_misdirected() {
    let stage = Stage::new(&[]);
    let mut client = Client::over_tls(stage.proxy.tls_address(), "test");
    for (host, status) in [("other.test", 421), ("a.test", 200), ("b.test:8443", 200)] {
        let stream = client.begin_at(host, "GET", "/", &[], true);
        assert_eq!(client.answer(stream).status, status, "{host}");
    }
}

#[test]
fn a_flood_is_ended_by_name() {
    let stage = Stage::new(&["--admin", "127.0.0.1:0"]);
    let lines = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "test")];
    let mut client = Client::plain(stage.proxy.address());
    client.flush();
    for stream in (1..2000).step_by(2) {
        client.say(&[headers(stream, 5, &lines), frame(3, 0, stream, &[0, 0, 0, 8])].concat());
    }
    client.until(|_| false);
    assert_eq!(client.goaway, Some(ErrorCode::ENHANCE_YOUR_CALM));
    stage.proxy.wait_for_stderr("cause=\"rapid reset\" code=\"ENHANCE_YOUR_CALM\"");
    let stats = stage.proxy.stats();
    assert_eq!(stats["http2"]["connections_ended"]["rapid reset"], 1, "{stats:#}");
}

#[test]
fn a_websocket_is_carried_to_a_backend_of_http11() {
    const LINES: [(&str, &str); 6] = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/chat"),
        (":authority", "test"),
        ("sec-websocket-version", "13"),
    ];
    let (backend, incoming) = Backend::by_hand();
    let stage = Stage::before(backend, &[]);
    let mut client = Tls::open_with(stage.proxy.tls_address(), "test", offering(&["h2"]));
    client.send([PREFACE, &frame(4, 0, 0, &[]), &headers(1, 4, &LINES)].concat());
    let mut served = incoming.accept();
    let request = served.read_until("\r\n\r\n");
    let key = request.split("Sec-WebSocket-Key: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
    served.send(websocket::switching_for(key));
    // 200,000 bytes and back, through windows of 65,535.
    served.send([b'd'; 1000]);
    let mut heard = Vec::new();
    while !heard.ends_with(&[b'd'; 1000]) {
        heard.extend(client.read().unwrap());
    }
    client.send(frame(0, 0, 1, b"up"));
    assert_eq!(served.read(2), b"up");
    client.send(frame(0, 1, 1, b"bye"));
    assert_eq!(served.read(3), b"bye");
    served.expect_end();
    served.finish();
    let end = frame(0, 1, 1, b"");
    while !heard.ends_with(&end) {
        heard.extend(client.read().unwrap());
    }
}

#[test]
fn one_port_is_for_both_versions_without_tls() {
    let stage = Stage::new(&[]);
    assert_eq!(Conn::open(stage.proxy.address()).ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n").body, b"hello");
    assert_eq!(Client::plain(stage.proxy.address()).get("/").text(), "hello");
    let stage = Stage::new(&["--http2", "off"]);
    let mut client = Conn::open(stage.proxy.address());
    client.send(PREFACE);
    assert!(client.read_until("\r\n").starts_with("HTTP/1.1 505 "));
}

#[test]
fn a_client_that_never_reads_is_let_go() {
    let backend = Backend::start(|mut served| {
        while served.request().is_some() {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n";
            if served.conn.try_send([head.as_bytes(), &pattern(30_000_000)].concat()).is_err() {
                return;
            }
        }
    });
    let stage = Stage::before(backend, &["--write-timeout", "1s", "--admin", "127.0.0.1:0"]);
    let mut client = Client::plain(stage.proxy.address());
    client.reads = false;
    let stream = client.begin("GET", "/", &[], true);
    let told = client.answer(stream);
    assert_eq!(told.reset, Some(Reset::Peer(ErrorCode::ENHANCE_YOUR_CALM)));
    wait_until("the books to balance", || {
        let stats = stage.proxy.stats();
        stats["http2"]["streams_ended"]["zero window held"] == 1 && stats["pool"]["busy"] == 0
    });
}

/// The window for its upload is behind answers that it reads slowly, in our memory and in our kernel's.
#[test]
fn an_upload_of_a_client_that_reads_its_answers_slowly_is_not_cut_off() {
    const ANSWERS: usize = 16;
    const WINDOW: usize = 65_535;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let backend = Backend::start(move |mut served| {
        while let Some(request) = served.request() {
            if request.head.unwrap().method() == "POST" {
                served
                    .conn
                    .send(format!("HTTP/1.1 200 OK\r\nX-Length: {}\r\nContent-Length: 0\r\n\r\n", request.body.len()));
                continue;
            }
            let _ = served.conn.try_send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 30));
            while served.conn.try_send([b'x'; 1 << 14]).is_ok() {
                count.fetch_add(1, Relaxed);
            }
            return;
        }
    });
    let stage = Stage::before(backend, &["--body-timeout", "1500ms"]);
    let mut client = Client::plain(stage.proxy.address());
    client.reads = false;
    for n in 0..ANSWERS {
        client.begin("GET", &format!("/{n}"), &[], true);
    }
    client.flush();
    let mut last = (0, 0);
    wait_until("every buffer on the way to fill", || {
        let now = sent.load(Relaxed);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        last.1 > 50 && stage.backend.connections() >= ANSWERS
    });
    let body = pattern(3 * WINDOW);
    let stream = client.begin("POST", "/", &[("content-length", &body.len().to_string())], false);
    client.send(stream, &body, true);
    let mut pauses = 0;
    while client.core.unsent(stream) > 0 && !client.told(stream).is_over() {
        client.hear_at_most(12 * 1024);
        pauses += 1;
        wait_for(PAUSE);
    }
    assert!(PAUSE * pauses > Duration::from_millis(1500), "its window came in {pauses} pauses");
    let told = client.answer(stream);
    assert_eq!((told.status, told.field("x-length")), (200, Some(&*body.len().to_string())));
}

/// Between two reads of a slow client.
const PAUSE: Duration = Duration::from_millis(100);
