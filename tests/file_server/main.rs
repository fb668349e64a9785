//! The file server as a black box: the real program, real files and real sockets, on both drivers.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod command_line;
mod content;
mod listing;
mod paths;
mod peers;
mod ranges;
mod slow;
mod stopping;

use std::{
    fs,
    path::{Path, PathBuf},
};
use support::{
    process::{Process, drivers, start},
    raw::Conn,
};

/// A directory that is served, and a secret beside it.
struct Site {
    above: tempfile::TempDir,
}

impl Site {
    fn new(files: &[(&str, &str)]) -> Self {
        let site = Self { above: tempfile::tempdir().unwrap() };
        fs::create_dir(site.root()).unwrap();
        fs::write(site.above.path().join("secret"), SECRET).unwrap();
        files.iter().for_each(|(name, content)| site.write(name, content));
        site
    }

    fn root(&self) -> PathBuf {
        self.above.path().join("site")
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A server of it.
    fn serve(&self, driver: &str, flags: &[&str]) -> Process {
        let root = self.root();
        let own = ["--driver", driver, "--workers", "1", root.to_str().unwrap()];
        start(env!("CARGO_BIN_EXE_file-server"), &[flags, &own[..]].concat())
    }
}

/// The content that no client may see.
const SECRET: &str = "a secret beside the directory";

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn get_with(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

/// Content in which every place differs from its neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(167) / 13 + (at >> 8)) as u8).collect()
}

#[test]
fn the_files_of_this_directory_are_served_without_arguments() {
    let server = start(env!("CARGO_BIN_EXE_file-server"), &[]);
    let mut client = Conn::open(server.address());
    let answer = client.ask(&get("/README.md"));
    assert_eq!(answer.body, fs::read("README.md").unwrap());
    assert_eq!(answer.field("content-type"), Some("text/markdown; charset=utf-8"));
    assert_eq!(client.ask(&get("/docs")).field("location"), Some("/docs/"));
    assert_eq!(client.ask(&get("/.gitignore")).status(), 404);
    server.wait_for_stderr("try: curl http://");
}
