//! The production proxy: black boxes, the real program with a configuration file, real sockets.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod announced;
mod backend_tls;
mod command_line;
mod edits;
mod explain;
mod many;
#[cfg(target_os = "linux")]
mod names;
mod orders;
mod proxy_protocol;
mod rates;
mod reload;
mod routing;
mod second_level;
mod secured_store;
mod shared_rates;
#[cfg(target_os = "linux")]
mod soak;
#[cfg(target_os = "linux")]
mod supervised;
mod tls;
#[cfg(target_os = "linux")]
mod upgrade;
mod upstreams;

mod live;
mod logs;
mod marks;
mod metrics;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use support::{
    process::{Process, start_listening, wait_until},
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
    folder: TempDir,
    /// Reloads that went well.
    reloads: usize,
}

impl Stage {
    /// With this file, and so many listeners.
    fn new(config: &str, listeners: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = file_in(folder.path());
        fs::write(&file, config).unwrap();
        let proxy = start_listening(PROXY, &["--config", file.to_str().unwrap()], listeners);
        Self { proxy, folder, reloads: 0 }
    }

    /// The same, with a program file of its own, which may be replaced.
    fn with_program_of_its_own(config: &str, listeners: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (file, program) = (file_in(folder.path()), folder.path().join("proxy"));
        fs::write(&file, config).unwrap();
        copy_program(&program);
        let proxy = start_listening(&program, &["--config", file.to_str().unwrap()], listeners);
        Self { proxy, folder, reloads: 0 }
    }

    /// Writes another file.
    fn write(&self, config: &str) {
        fs::write(file_in(self.folder.path()), config).unwrap();
    }

    /// Writes another file, and waits until it counts.
    fn reload(&mut self, config: &str) {
        self.write(config);
        self.reloads += 1;
        self.proxy.signal("HUP");
        self.wait_for(" reloaded version=", self.reloads);
    }

    /// Waits until the log has that text so often.
    fn wait_for(&self, text: &str, times: usize) {
        wait_until(&format!("{text:?} for the {times}th time"), || self.proxy.stderr().matches(text).count() >= times);
    }

    /// Asks for a page, on a connection of its own.
    fn get(&self, host: &str, target: &str) -> Message {
        Conn::open(self.proxy.address()).ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    fn body(&self, host: &str, target: &str) -> String {
        String::from_utf8(self.get(host, target).body).unwrap()
    }
}

/// By another process: a file that this one has open for writing could not be started by its other threads meanwhile.
fn copy_program(to: &Path) {
    let status = Command::new("cp").arg(PROXY).arg(to).status();
    assert!(status.is_ok_and(|status| status.success()), "cp {PROXY} {}", to.display());
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join("proxy.toml")
}

/// An upstream of one server, which is asked nothing but what clients ask.
fn upstream(name: &str, server: &str) -> String {
    format!("[upstream.{name}]\nservers = [\"{server}\"]\nhealth = {{ probes = false }}\n")
}
