//! Flags, and directories that cannot be served.

use crate::{Site, get, support::raw::Conn};
use std::process::Command;

fn refusal(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_file-server")).args(args).output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_directory_that_cannot_be_served_is_named_and_the_way_out_told() {
    let site = Site::new(&[("file", "")]);
    let path = |name: &str| site.path(name).to_str().unwrap().to_owned();
    for (directory, hint) in [
        (path("missing"), "there is no such directory: give one that is there"),
        (path("file"), "is a file: give the directory that it is in"),
        (path("file/below"), "is a file: give the directory"),
    ] {
        let said = refusal(&[&directory]);
        assert!(said.starts_with("error: ") && said.contains(&directory) && said.contains(hint), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    for (args, hint) in [
        (&["--cache-control", "*.css"][..], "write PATTERN=VALUE"),
        (&["--cache-control", "css=max-age=1"], "write /admin/* or *.php"),
        (&["--access-log", "loud"], "write on or off"),
        (&["--max-head", "63"], "must be at least 64"),
        (&["a", "b"], "unexpected argument 'b'"),
    ] {
        let said = refusal(args);
        assert!(said.contains(hint), "{args:?}: {said}");
    }
}

#[test]
fn the_help_has_an_example() {
    let output = Command::new(env!("CARGO_BIN_EXE_file-server")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("file-server docs --cache-control '*.css=max-age=3600'"), "{help}");
}

#[test]
fn limits_and_deadlines_are_those_of_the_flags() {
    let site = Site::new(&[("file", "content")]);
    let flags = ["--max-head", "200", "--head-timeout", "200ms", "--idle-timeout", "400ms", "--access-log", "off"];
    let server = site.serve("auto", &flags);
    let long = format!("GET /file HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(200));
    assert_eq!(Conn::open(server.address()).ask(&long).status(), 431);
    let mut slow = Conn::open(server.address());
    slow.send("GET /file HTTP/1.1\r\n");
    assert_eq!(slow.response("GET").status(), 408);
    let mut idle = Conn::open(server.address());
    assert_eq!(idle.ask(&get("/file")).body, b"content");
    idle.expect_end();
    assert!(!server.stderr().contains("request="), "{}", server.stderr());
}

/// A site that is built anew is often another directory at the same place.
#[test]
fn a_directory_that_is_replaced_is_served_anew() {
    let site = Site::new(&[("file", "old")]);
    let server = site.serve("auto", &["--keep", "0s"]);
    let mut client = Conn::open(server.address());
    assert_eq!(client.ask(&get("/file")).body, b"old");
    std::fs::rename(site.root(), site.above.path().join("before")).unwrap();
    assert_eq!(client.ask(&get("/file")).status(), 404);
    site.write("file", "new");
    assert_eq!(client.ask(&get("/file")).body, b"new");
}

#[test]
fn two_workers_serve_the_same_files() {
    let site = Site::new(&[("file", "content")]);
    let root = site.root();
    let flags = ["--workers", "2", root.to_str().unwrap()];
    let server = crate::support::process::start(env!("CARGO_BIN_EXE_file-server"), &flags);
    for _ in 0..50 {
        assert_eq!(Conn::open(server.address()).ask(&get("/file")).body, b"content");
    }
}
