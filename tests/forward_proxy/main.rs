//! The forward proxy, over real sockets: where requests go, and where they do not.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod chromium;
mod command_line;
mod curl;
mod guard;
mod requests;
mod tunnels;
mod users;

use support::{
    process::{Process, start},
    raw::Backend,
};

/// A proxy with one worker, statistics, and these flags.
fn guarded(flags: &[&str]) -> Process {
    let common = ["--workers", "1", "--admin", "127.0.0.1:0", "--admin-host", "test"];
    start(env!("CARGO_BIN_EXE_forward-proxy"), &[&common, flags].concat())
}

/// The same, with a way to 127.0.0.1.
fn open(flags: &[&str]) -> Process {
    guarded(&[&["--allow", "127.0.0.1"], flags].concat())
}

/// A request for `path` of that server, in the form for proxies.
fn get(server: &str, path: &str) -> String {
    format!("GET http://{server}{path} HTTP/1.1\r\nHost: {server}\r\n\r\n")
}

/// A request for a tunnel to that server.
fn connect(server: &str) -> String {
    format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n")
}

/// The port of a backend.
fn port(backend: &Backend) -> String {
    backend.name().rsplit(':').next().unwrap().to_owned()
}

/// How often each of these rules has ended a request.
fn errors(proxy: &Process, rule: &str) -> u64 {
    proxy.stats()["errors"][rule].as_u64().unwrap_or(0)
}
