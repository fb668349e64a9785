//! A proxy that serves its users and no others (`--users`).

use crate::{
    connect, errors, get, open, port,
    support::{
        process::Process,
        raw::{Backend, Conn},
    },
};
use std::io::Write as _;
use tempfile::NamedTempFile;

/// `printf %s 'alice:secret' | sha256sum`
const FILE: &str = "alice:3d11dc479c08e3b368773103d64766c2e420ce39727932fcf2d8f4d9d599be59\n";

/// `alice:secret`, and with a letter that is wrong.
const GOOD: &str = "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
const BAD: &str = "Proxy-Authorization: Basic YWxpY2U6c2VjcmVU\r\n";

pub(super) fn file() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(FILE.as_bytes()).unwrap();
    file
}

/// A proxy with a way to the backend for alice.
fn guarded(backend: &Backend) -> Process {
    let file = file();
    open(&["--connect-port", &port(backend), "--users", file.path().to_str().unwrap()])
}

fn with(fields: &str, request: &str) -> String {
    request.replacen("\r\n", &format!("\r\n{fields}"), 1)
}

#[test]
fn requests_of_others_are_answered_407_and_go_nowhere() {
    let backend = Backend::saying("hello");
    let (proxy, server) = (guarded(&backend), backend.name());
    let twice = GOOD.repeat(2);
    let mut refused = 0;
    for request in [get(&server, "/"), connect(&server), get("127.0.0.2:22", "/")] {
        for fields in
            ["", BAD, &twice, "Authorization: Basic YWxpY2U6c2VjcmV0\r\n", "Proxy-Authorization: Bearer x\r\n"]
        {
            let answer = Conn::open(proxy.address()).ask(&with(fields, &request));
            assert_eq!(answer.status(), 407, "{fields} {answer}");
            let asked = answer.field("Proxy-Authenticate");
            assert_eq!(asked, Some("Basic realm=\"socket-patterns\", charset=\"UTF-8\""), "{answer}");
            refused += 1;
        }
    }
    assert_eq!((backend.connections(), errors(&proxy, "no user of this proxy")), (0, refused));
}

/// As a browser does it: the answer says what is missing, and the connection goes on.
#[test]
fn a_user_is_served_and_the_server_does_not_see_the_password() {
    let backend = Backend::saying("hello");
    let (proxy, server) = (guarded(&backend), backend.name());
    let mut client = Conn::open(proxy.address());
    assert_eq!(client.ask(&get(&server, "/")).status(), 407);
    for _ in 0..2 {
        let answer = client.ask(&with(GOOD, &get(&server, "/")));
        assert_eq!((answer.status(), &answer.body[..]), (200, &b"hello"[..]));
    }
    // Each request is judged, not the connection.
    assert_eq!(client.ask(&get(&server, "/")).status(), 407);
    client.send(with(GOOD, &connect(&server)) + &get(&server, "/"));
    assert_eq!(client.read_head(), ["HTTP/1.1 200 OK"]);
    assert_eq!(client.response("GET").body, b"hello");
    let requests = backend.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.field("Proxy-Authorization").is_none()), "{requests:?}");
    proxy.wait_for_stderr("user=\"alice\"");
}

/// Another user, then a file that is wrong.
#[test]
fn the_file_is_read_again_on_sighup() {
    /// `printf %s 'bob:secret' | sha256sum`, and what a browser sends for it.
    const BOBS: &str = "bob:86e025b9a56edee111e0b22989e946bfd42a939c776150ebe88d91fe65dfdb01\n";
    const BOB: &str = "Proxy-Authorization: Basic Ym9iOnNlY3JldA==\r\n";
    let backend = Backend::saying("hello");
    let (users, server) = (file(), backend.name());
    let proxy = open(&["--connect-port", &port(&backend), "--users", users.path().to_str().unwrap()]);
    let mut client = Conn::open(proxy.address());
    let mut status = |fields: &str| client.ask(&with(fields, &get(&server, "/"))).status();
    assert_eq!((status(GOOD), status(BOB)), (200, 407));
    let mut tunnel = Conn::open(proxy.address());
    tunnel.send(with(GOOD, &connect(&server)));
    assert_eq!(tunnel.read_head(), ["HTTP/1.1 200 OK"]);
    std::fs::write(users.path(), BOBS).unwrap();
    proxy.signal("HUP");
    proxy.wait_for_stderr("users read again");
    assert_eq!((status(GOOD), status(BOB)), (407, 200));
    assert_eq!(tunnel.ask(&get(&server, "/")).body, b"hello");
    std::fs::write(users.path(), "nonsense\n").unwrap();
    proxy.signal("HUP");
    proxy.wait_for_stderr("the users stay as they were: ");
    proxy.wait_for_stderr("line 1: write NAME:DIGEST");
    assert_eq!((status(GOOD), status(BOB)), (407, 200));
}
