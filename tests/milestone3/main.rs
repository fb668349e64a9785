//! Milestone 3's suite, against every binary from there on: connections to backends are kept, shared and counted, and
//! clients do not notice.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod idle;
mod limits;
mod reuse;
mod waiting;

/// A request for `target` without a body.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// Each client asks for something else: for the same, from milestone 4 on, all would wait for the first one's answer.
fn ask_each_for_another(clients: &mut [support::raw::Conn]) {
    clients.iter_mut().enumerate().for_each(|(n, client)| client.send(get(&format!("/{n}"))));
}

/// A request that must not be sent twice.
const POST: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";
