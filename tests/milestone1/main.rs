//! Milestone 1's suite, against every binary: requests and responses arrive as they were sent, within limits and
//! deadlines, whatever the peers do. Black boxes: real processes, real sockets, bytes.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod bad_requests;
mod bad_responses;
mod beneath;
mod bodies;
mod broken;
mod command_line;
mod connections;
mod deadlines;
mod drivers;
mod heads;
mod limits;
mod overload;
#[cfg(target_os = "linux")]
mod paused;
mod shutdown;
mod slow;
#[cfg(target_os = "linux")]
mod streams;
mod tunnels;

/// A request for `target` without a body.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}
