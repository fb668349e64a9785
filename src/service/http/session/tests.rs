//! Transcripts of whole connections, and the clock.

use super::*;
use crate::{
    http::{Limits, ResponseEvent, ResponseReader},
    service::testing::{assert_transcript, drain, now, take, talk},
};
use proptest::prelude::*;
use std::time::Duration;

const ASKED: CloseReason = CloseReason::PeerAsked;
const FINISHED: CloseReason = CloseReason::PeerFinished;

fn config() -> Arc<HttpConfig> {
    Arc::new(HttpConfig { name: "b1".parse().unwrap(), ..HttpConfig::default() })
}

fn open(now: Now) -> Http {
    Http::new(config(), now)
}

fn text(session: &mut Http) -> String {
    String::from_utf8(drain(session)).unwrap()
}

/// A response, with what all of them carry between the status and the rest.
fn response(status: &str, rest: &str) -> String {
    format!("HTTP/1.1 {status}\r\nDate: Wed, 29 Jul 2026 12:00:00 GMT\r\nX-Backend: b1\r\n{rest}")
}

/// A response with this text; `fields` come after the length.
fn with_text(status: &str, fields: &str, text: &str) -> String {
    let length = text.len();
    let framing = format!("Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n");
    response(status, &format!("{framing}{fields}\r\n{text}"))
}

/// A chunked response.
fn chunked(body: &str) -> String {
    response("200 OK", &format!("Content-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n{body}"))
}

fn check(input: &str, expected: &[&str], reason: CloseReason) {
    assert_transcript(open, input.as_bytes(), &expected.concat(), reason);
}

/// A request without fields but `Host`.
fn request(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn what_a_path_answers() {
    let cases = [
        ("GET /health", with_text("200 OK", "", "ok\n")),
        ("GET http://a/health?q", with_text("200 OK", "", "ok\n")),
        ("DELETE /status/503", with_text("503 Service Unavailable", "", "503 Service Unavailable\n")),
        ("GET /status/299", with_text("299 ", "", "299 \n")),
        ("GET /status/204", response("204 No Content", "\r\n")),
        ("GET /status/304", response("304 Not Modified", "\r\n")),
        ("GET /status/205", with_text("205 Reset Content", "", "")),
        ("GET /delay/0", with_text("200 OK", "", "waited 0 ms\n")),
        ("GET /bytes/12", with_text("200 OK", "", "0123456789ab")),
        ("GET /bytes/0", with_text("200 OK", "", "")),
        ("GET /chunked/12", chunked("c\r\n0123456789ab\r\n0\r\n\r\n")),
        ("GET /chunked/0", chunked("0\r\n\r\n")),
        ("GET /nothing", with_text("404 Not Found", "", "404 Not Found: / lists what there is\n")),
        ("GET /bytes/x", with_text("400 Bad Request", "", "400 Bad Request: bytes/N: N bytes\n")),
        ("OPTIONS *", response("204 No Content", "Allow: GET, HEAD, POST, PUT, PATCH, DELETE\r\n\r\n")),
    ];
    for (line, expected) in cases {
        check(&request(line), &[&expected], FINISHED);
    }
}

#[test]
fn who_answers_is_in_the_text() {
    let now = now();
    let (said, _) = talk(open(now), request("GET /").as_bytes(), &[], now);
    assert!(said.contains("\r\n\r\nHello from b1.\n"), "{said}");
}

#[test]
fn a_method_that_is_not_allowed_is_told_which_are() {
    for (line, allow) in [
        ("POST /bytes/5", "GET, HEAD"),
        ("GET /echo", "POST, PUT"),
        ("BREW /", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("OPTIONS /health", "GET, HEAD, POST, PUT, PATCH, DELETE"),
    ] {
        let text = "405 Method Not Allowed: the Allow field lists what is allowed\n";
        let expected = with_text("405 Method Not Allowed", &format!("Allow: {allow}\r\n"), text);
        check(&request(line), &[&expected], FINISHED);
    }
}

#[test]
fn head_is_get_without_content() {
    for path in ["/", "/health", "/bytes/99", "/bytes/1000000", "/chunked/9", "/status/204", "/status/500", "/headers"]
    {
        let now = now();
        let only = |method: &str| {
            let (said, reason) = talk(open(now), request(&format!("{method} {path}")).as_bytes(), &[], now);
            assert_eq!(reason, FINISHED);
            let end = said.find("\r\n\r\n").unwrap() + 4;
            (said[..end].to_owned(), said[end..].to_owned())
        };
        let (mut head, content) = only("GET");
        if path == "/headers" {
            // The text has the method in it.
            head = head.replace(&format!("{}", content.len()), &format!("{}", content.len() + 1));
        }
        assert_eq!(only("HEAD"), (head, String::new()), "{path}");
    }
}

#[test]
fn requests_are_answered_in_order() {
    let input = [
        request("GET /health"),
        "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "\r\n".to_owned(),
        request("GET /chunked/3"),
        "PUT /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
        request("GET /not-answered"),
    ];
    let now = now();
    let session = open(now);
    let (said, reason) = talk(session, input.concat().as_bytes(), &[], now);
    let expected = [
        with_text("200 OK", "", "ok\n"),
        with_text("200 OK", "", "5 bytes received\n"),
        chunked("3\r\n012\r\n0\r\n\r\n"),
        chunked("3\r\nabc\r\n0\r\n\r\n").replace("chunked\r\n", "chunked\r\nConnection: close\r\n"),
    ];
    assert_eq!((said, reason), (expected.concat(), ASKED));
    // However it is cut: content comes back in other chunks then, so all but the echo.
    check(&input[..4].concat(), &[&expected[0], &expected[1], &expected[2]], FINISHED);
}

#[test]
fn headers_shows_the_request_as_it_came() {
    let head = "POST /headers?x=1 HTTP/1.1\r\nHost: a\r\nX-odd-CASE:  spaced \r\ncontent-length: 2\r\n";
    let shown = "POST /headers?x=1 HTTP/1.1\r\nHost: a\r\nX-odd-CASE: spaced\r\ncontent-length: 2\r\n";
    check(&format!("{head}\r\nhi"), &[&with_text("200 OK", "", shown)], FINISHED);
}

#[test]
fn uploads_are_counted_and_forgotten() {
    let now = now();
    let mut session = open(now);
    session.receive(b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", now);
    for _ in 0..100 {
        session.receive(b"3e8\r\n", now);
        session.receive(&[b'x'; 1000], now);
        session.receive(b"\r\n", now);
        assert!(session.output().is_empty() && session.held.capacity() == 0);
    }
    session.receive(b"0\r\n\r\n", now);
    assert_eq!(text(&mut session), with_text("200 OK", "", "100000 bytes received\n"));
}

#[test]
fn echo_sends_each_piece_as_it_comes_and_the_trailers_last() {
    let now = now();
    let mut session = open(now);
    session.receive(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", now);
    assert_eq!(text(&mut session), chunked(""));
    session.receive(b"5;ext=1\r\nhel", now);
    assert_eq!(text(&mut session), "3\r\nhel\r\n");
    session.receive(b"lo\r\n", now);
    assert_eq!(text(&mut session), "2\r\nlo\r\n");
    session.receive(b"0\r\nX-Sum: 7\r\n\r\n", now);
    assert_eq!((text(&mut session).as_str(), session.wants()), ("0\r\nX-Sum: 7\r\n\r\n", Wants::Input));
}

#[test]
fn echo_returns_the_same_content_however_it_is_cut() {
    let wire = b"PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nb\r\n, world\r\n!\n\r\n0\r\n\r\n";
    let every: Vec<usize> = (0..wire.len()).collect();
    let cuts = every.iter().map(|cut| vec![*cut]).chain([vec![], every.clone()]);
    for cuts in cuts {
        let now = now();
        let (said, reason) = talk(open(now), wire, &cuts, now);
        assert_eq!(reason, FINISHED);
        let mut reader = ResponseReader::new();
        reader.expect(&Method::Put);
        let mut input = said.as_bytes();
        let mut content = Vec::new();
        while let Some(event) = reader.next(&mut input, &Limits::default()).unwrap() {
            match event {
                ResponseEvent::Data(data) => content.extend_from_slice(data),
                ResponseEvent::End(_) => break,
                _ => {}
            }
        }
        assert_eq!((content.as_slice(), input), (&b"hello, world\r\n!\n"[..], &b""[..]), "cut at {cuts:?}");
    }
}

#[test]
fn a_client_that_waits_is_told_to_continue_only_if_its_content_is_of_use() {
    let expect =
        |path: &str, fields: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{fields}\r\n");
    let upload = expect("/upload", "Content-Length: 2\r\n");
    let received = with_text("200 OK", "", "2 bytes received\n");
    check(&format!("{upload}hi"), &["HTTP/1.1 100 Continue\r\n\r\n", &received], FINISHED);

    let unwanted = CloseReason::Protocol("content was not asked for");
    let close = "Connection: close\r\n";
    let refused = with_text("404 Not Found", close, "404 Not Found: / lists what there is\n");
    check(&expect("/nothing", "Content-Length: 2\r\n"), &[&refused], unwanted);
    let health = with_text("200 OK", close, "ok\n");
    check(&expect("/health", "Transfer-Encoding: chunked\r\n"), &[&health], unwanted);

    // Without content there is nothing to wait for, and HTTP/1.0 has no interim responses.
    let health = with_text("200 OK", "", "ok\n");
    check(&expect("/health", ""), &[&health], FINISHED);
    let old = "POST /upload HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi";
    check(old, &[&with_text("200 OK", close, "2 bytes received\n")], ASKED);
}

#[test]
fn old_clients_learn_the_end_from_the_connection() {
    let plain = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n";
    let keep = "Connection: keep-alive\r\n";
    let health = |fields| with_text("200 OK", fields, "ok\n");
    check("GET /health HTTP/1.0\r\n\r\n", &[&health("Connection: close\r\n")], ASKED);
    check("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &[&health(keep)], FINISHED);
    check("GET /health HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", &[&health("Connection: close\r\n")], ASKED);
    let body = response("200 OK", &format!("{plain}012"));
    check("GET /chunked/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &[&body], ASKED);
    let body = response("200 OK", &format!("{plain}hi"));
    check("PUT /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", &[&body], ASKED);
}

#[test]
fn what_is_malformed_is_named_and_ends_the_connection() {
    let close = "Connection: close\r\n";
    let bad = |status: &str, rule: &str| with_text(status, close, &format!("{status}: {rule}\n"));
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "no host"),
        ("GET / HTTP/1.1\nHost: a\n\n", "400 Bad Request", "bare line feed"),
        ("GET / HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported", "unsupported version"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "501 Not Implemented",
            "unknown transfer-coding",
        ),
        ("GET / HTTP/1.1\r\nHo", "400 Bad Request", "unexpected end"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nhi", "400 Bad Request", "unexpected end"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno",
            "400 Bad Request",
            "malformed chunk size",
        ),
    ];
    for (input, status, rule) in cases {
        check(input, &[&bad(status, rule)], CloseReason::Protocol(rule));
    }
    // After a good one, too; and what was answered before stays answered.
    let input = format!("{}GET /\r\n\r\n", request("GET /health"));
    let rule = "malformed request line";
    check(&input, &[&with_text("200 OK", "", "ok\n"), &bad("400 Bad Request", rule)], CloseReason::Protocol(rule));
}

#[test]
fn an_echo_that_breaks_has_no_end() {
    let now = now();
    let mut session = open(now);
    session.receive(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel", now);
    session.receive_end(now);
    assert_eq!(text(&mut session), chunked("3\r\nhel\r\n"));
    assert_eq!(session.wants(), Wants::Close(CloseReason::Protocol("unexpected end")));
}

#[test]
fn a_long_answer_is_made_as_the_peer_takes_it() {
    const LENGTH: usize = 1_000_000;
    for (path, overhead) in [("bytes", 0), ("chunked", 1000)] {
        let now = now();
        let mut session = open(now);
        session.receive(request(&format!("GET /{path}/{LENGTH}")).as_bytes(), now);
        // Sent meanwhile, looked at later.
        session.receive(request("GET /health").as_bytes(), now);
        let mut said = Vec::new();
        while session.wants() == Wants::Flush {
            let output = session.output();
            assert!((1..=64 * 1024 + 100).contains(&output.len()), "{}", output.len());
            said.extend(take(output));
        }
        assert_eq!(session.wants(), Wants::Input);
        assert!((LENGTH..LENGTH + 1000 + overhead).contains(&said.len()));
        assert!(said.ends_with(with_text("200 OK", "", "ok\n").as_bytes()));
        assert_eq!(session.held.capacity(), 0);
    }
}

#[test]
fn a_peer_that_asks_and_never_reads_does_not_grow_our_memory() {
    let now = now();
    let mut session = open(now);
    session.receive(request("GET /").repeat(10_000).as_bytes(), now);
    assert!(session.output().len() < 65 * 1024);
    assert_eq!(session.wants(), Wants::Flush);
    assert_eq!(text(&mut session).matches("Hello from b1").count(), 10_000);
}

#[test]
fn requests_that_wait_for_an_answer_are_bounded() {
    let now = now();
    let mut session = open(now);
    session.receive(request("GET /delay/250").as_bytes(), now);
    session.receive(b"G", now);
    assert_eq!(session.wants(), Wants::Flush);
    session.receive(&vec![b'x'; MAX_HELD - 1], now);
    assert_eq!((session.held.len(), session.wants()), (MAX_HELD, Wants::Flush));
    session.receive(b"x", now);
    let too_many = CloseReason::Protocol("too many requests at once");
    assert_eq!((session.held.capacity(), session.wants()), (0, Wants::Close(too_many)));
}

#[test]
fn a_delay_is_waited_for() {
    let start = now();
    let mut session = open(start);
    session.receive(request("GET /delay/250").as_bytes(), start);
    session.receive(request("GET /health").as_bytes(), start);
    let due = start.after(Duration::from_millis(250));
    assert_eq!(session.deadline(), Some(due.instant));
    session.expire(start.after(Duration::from_millis(249)));
    assert_eq!((text(&mut session).as_str(), session.wants()), ("", Wants::Flush));
    session.expire(due);
    let both = with_text("200 OK", "", "waited 250 ms\n") + &with_text("200 OK", "", "ok\n");
    assert_eq!((text(&mut session), session.wants()), (both, Wants::Input));
}

#[test]
fn a_peer_that_has_finished_still_gets_its_delayed_answer() {
    let start = now();
    let mut session = open(start);
    session.receive(request("GET /delay/250").as_bytes(), start);
    assert_eq!(session.wants(), Wants::Input);
    session.receive_end(start);
    assert_eq!((session.wants(), text(&mut session).as_str()), (Wants::Flush, ""));
    session.expire(start.after(Duration::from_millis(250)));
    assert_eq!(text(&mut session), with_text("200 OK", "", "waited 250 ms\n"));
    assert_eq!(session.wants(), Wants::Close(FINISHED));
}

#[test]
fn what_has_to_be_computed_is_asked_for_once_and_answered_in_order() {
    let start = now();
    let work = Work { time: Duration::from_millis(20) };
    for (worked, answer) in [
        (Worked::Done, with_text("200 OK", "", "computed for 20 ms\n")),
        (
            Worked::Refused,
            with_text(
                "503 Service Unavailable",
                "Retry-After: 1\r\n",
                "503 Service Unavailable: too much to compute, try again later\n",
            ),
        ),
    ] {
        let mut session = open(start);
        session.receive([request("GET /cpu/20"), request("GET /health")].concat().as_bytes(), start);
        session.receive_end(start);
        // Whatever happens meanwhile: however long it takes, it is the driver's to know.
        session.expire(start.after(Duration::from_secs(3600)));
        assert_eq!((session.wants(), session.deadline(), text(&mut session)), (Wants::Work(work), None, String::new()));
        session.worked(worked, start);
        assert_eq!(text(&mut session), answer + &with_text("200 OK", "", "ok\n"));
        assert_eq!((session.wants(), session.answered(), session.answered()), (Wants::Close(FINISHED), 2, 0));
    }
}

#[test]
fn silence_has_its_limits() {
    let HttpConfig { idle, head, stall, .. } = HttpConfig::default();
    let slow =
        with_text("408 Request Timeout", "Connection: close\r\n", "408 Request Timeout: the request took too long\n");
    let upload = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhi";
    let cases = [
        ("", idle, "", CloseReason::Idle),
        ("\r\n", idle, "", CloseReason::Idle),
        ("GET", head, &slow, CloseReason::TooSlow),
        (upload, stall, &slow, CloseReason::TooSlow),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", stall, "", CloseReason::TooSlow),
    ];
    for (input, patience, answer, reason) in cases {
        let start = now();
        let mut session = open(start);
        session.receive(input.as_bytes(), start);
        drain(&mut session);
        session.expire(start.after(patience - Duration::from_millis(1)));
        assert_eq!(session.wants(), Wants::Input, "{input:?} just before");
        // The `Date` that the answers above carry.
        session.expire(Now { wall: start.wall, ..start.after(patience) });
        assert_eq!((text(&mut session).as_str(), session.wants()), (answer, Wants::Close(reason)), "{input:?}");
        assert_eq!(session.deadline(), None);
    }
}

#[test]
fn a_head_has_its_time_from_its_first_byte_and_content_from_its_last() {
    let HttpConfig { head, stall, .. } = HttpConfig::default();
    let start = now();
    let mut session = open(start);
    session.receive(b"G", start);
    let later = start.after(head / 2);
    session.receive(b"ET", later);
    assert_eq!(session.deadline(), Some(start.instant + head));

    let mut session = open(start);
    session.receive(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", start);
    session.receive(b"x", later);
    assert_eq!(session.deadline(), Some(later.instant + stall));
}

#[test]
fn a_download_may_take_long_as_long_as_it_goes_on() {
    let stall = HttpConfig::default().stall;
    let start = now();
    let mut session = open(start);
    session.receive(request("GET /bytes/300000").as_bytes(), start);
    let mut at = start;
    for _ in 0..3 {
        take(session.output());
        at = at.after(stall);
        assert!(!session.output().is_empty());
        session.expire(at);
        assert_eq!((session.wants(), session.deadline()), (Wants::Flush, Some(at.instant + stall)));
    }
    // Nothing taken since: what waits would never arrive whole.
    session.expire(at.after(stall));
    assert_eq!(session.wants(), Wants::Close(CloseReason::TooSlow));
    assert!(session.output().is_empty());
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let now = now();
    let mut session = open(now);
    session.receive(request("GET /").as_bytes(), now);
    drain(&mut session);
    assert_eq!(session.held.capacity(), 0);
    assert!(size_of::<Http>() <= 320, "{} bytes", size_of::<Http>());
}

/// Pieces of requests, right and wrong ones.
const PIECES: &[&str] = &[
    "GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /bytes/9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /chunked/40000 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /status/404 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    "PUT /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "abc",
    "\r\n",
    "\n",
    "GET ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn how_requests_are_cut_does_not_matter(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..8), mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let wire = pieces.concat();
        let mut cuts: Vec<usize> = cuts.drain(..).map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.sort_unstable();
        let now = now();
        let (parts, whole) = (talk(open(now), wire.as_bytes(), &cuts, now), talk(open(now), wire.as_bytes(), &[], now));
        if let (CloseReason::Protocol(_), CloseReason::Protocol(_)) = (parts.1, whole.1) {
            // Which of several broken rules is named first is the reader's affair.
            prop_assert_eq!(parts.0.matches("X-Backend").count(), whole.0.matches("X-Backend").count());
        } else {
            prop_assert!(parts == whole, "{:?} and {:?} after {} and {} bytes", parts.1, whole.1, parts.0.len(), whole.0.len());
        }
    }
}
