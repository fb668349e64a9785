//! Milestone 4's suite, against every binary from there on: what is stored answers, and nothing wrong ever does.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod cache_status;
mod collapse;
mod conditions;
mod guesses;
mod head;
mod invalidation;
mod odd;
mod origin;
mod purge;
mod ranges;
mod rules;
mod stage;
mod store;
mod validation;
mod vary;
mod waiting;
mod words;

/// A request for `target` without a body.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// The same with further field lines, each with its line break.
fn get_with(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
}

/// A response with these field lines and this body.
fn ok(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}
