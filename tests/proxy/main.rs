//! The production proxy: black boxes, the real program with a configuration file, real sockets.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod backend_tls;
mod command_line;
mod edits;
mod many;
mod proxy_protocol;
mod rates;
mod routing;
mod tls;
mod upstreams;

use std::fs;
use support::{
    process::{Process, start_listening},
    raw::Conn,
    wire::Message,
};
use tempfile::TempDir;

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// One listener without TLS.
const PLAIN: &str = "[[listen]]\naddress = \"127.0.0.1:0\"\n";

/// A proxy that runs, and the folder of its file.
struct Stage {
    proxy: Process,
    _folder: TempDir,
}

impl Stage {
    /// With this file, and so many listeners.
    fn new(config: &str, listeners: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.toml");
        fs::write(&file, config).unwrap();
        let proxy = start_listening(PROXY, &["--config", file.to_str().unwrap()], listeners);
        Self { proxy, _folder: folder }
    }

    /// Asks for a page, on a connection of its own.
    fn get(&self, host: &str, target: &str) -> Message {
        Conn::open(self.proxy.address()).ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    fn body(&self, host: &str, target: &str) -> String {
        String::from_utf8(self.get(host, target).body).unwrap()
    }
}

/// An upstream of one server, which is asked nothing but what clients ask.
fn upstream(name: &str, server: &str) -> String {
    format!("[upstream.{name}]\nservers = [\"{server}\"]\nhealth = {{ probes = false }}\n")
}
