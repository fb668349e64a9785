//! Where requests and answers begin and end, and what follows on the same connection.

use super::*;
use crate::service::testing::{now, talk};
use proptest::prelude::*;

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
fn a_malformed_request_is_named_and_ends_the_connection() {
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
fn a_head_request_is_refused_without_content_too() {
    let input = "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno";
    let refused = with_text("400 Bad Request", "Connection: close\r\n", "400 Bad Request: malformed chunk size\n");
    let head = &refused[..refused.find("\r\n\r\n").unwrap() + 4];
    check(input, &[head], CloseReason::Protocol("malformed chunk size"));
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
