//! Transcripts of whole connections: what the tests of each question have in common.

use super::*;
use crate::service::testing::{assert_transcript, drain};

mod memory;
mod messages;
mod paths;
mod time;

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
