//! Milestone 2's suite, against every binary from there on: the traffic is shared as asked for, and a backend that dies
//! is a matter between the proxy and its backends.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod balance;
mod health;
mod retries;

/// A request for `target` without a body.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}
