//! The chat over WebSockets, and the rules of RFC 6455 over a real connection.

use super::{chat, drivers, person::Person};
use crate::support::{process::wait_until, socket::Socket};
use socket_patterns::websocket::Opcode;

#[test]
fn lines_and_sockets_meet_in_one_room() {
    for driver in drivers() {
        let chat = chat(&driver);
        let mut ann = Socket::open(chat.address(), "/socket");
        assert_eq!(ann.event("welcome")["name"], "guest-1");
        ann.say("/nick ann");
        ann.say("/join lobby");
        assert_eq!(ann.event("entered")["people"][0]["name"], "ann");
        let mut bob = Person::in_room(chat.address(), "bob", "lobby");
        bob.say("<b>hi</b> \"ann\"");
        let said = ann.event("said");
        assert_eq!(
            (&said["from"], &said["seq"], &said["text"]),
            (&"bob".into(), &1.into(), &"<b>hi</b> \"ann\"".into())
        );
        ann.frame(false, Opcode::Text, b"a word in ");
        ann.frame(true, Opcode::Ping, b"there?");
        ann.frame(true, Opcode::Continuation, "two pieces 👋".as_bytes());
        assert_eq!(bob.message(), (2, "ann: a word in two pieces 👋".to_owned()));
        assert_eq!(ann.read(), Some((0x8a, b"there?".to_vec())));
        ann.say("/quit");
        assert_eq!(ann.event("end")["text"], "goodbye");
        assert_eq!(ann.closed(), 1000);
        assert_eq!(bob.wait_for("* ann"), "* ann has left lobby");
    }
}

/// A row for each kind of fault; the codec's own tests have the rest.
#[test]
fn faults_are_answered_with_their_codes() {
    let chat = chat(&["--max-line", "1000"]);
    type Fault = fn(&mut Socket);
    let cases: [(u16, Fault); 9] = [
        (1002, |socket| socket.send(b"\x81\x02hi")),
        (1002, |socket| socket.send(b"\xf1\x80\0\0\0\0")),
        (1002, |socket| socket.frame(false, Opcode::Ping, b"")),
        (1002, |socket| socket.frame(true, Opcode::Continuation, b"x")),
        (1003, |socket| socket.frame(true, Opcode::Binary, b"x")),
        (1007, |socket| socket.frame(true, Opcode::Text, b"\xff")),
        (1007, |socket| socket.frame(false, Opcode::Text, b"\xc0")),
        (1009, |socket| socket.frame(false, Opcode::Text, &[b'x'; 1001])),
        (4321, |socket| socket.frame(true, Opcode::Close, b"\x10\xe1bye")),
    ];
    for (code, fault) in cases {
        let mut socket = Socket::open(chat.address(), "/socket");
        fault(&mut socket);
        assert_eq!(socket.closed(), code);
    }
    let mut socket = Socket::open(chat.address(), "/socket");
    socket.say(&"x".repeat(1000));
    assert_eq!(socket.event("refused")["text"], "you are in no room: /join one first, as in /join lobby");
}

#[test]
fn pages_of_others_may_not_connect() {
    let chat = chat(&["--origin", "https://chat.example"]);
    let at = chat.address();
    for (lines, status) in [
        (String::new(), "101"),
        (format!("Origin: http://{at}\r\n"), "101"),
        ("Origin: https://chat.example\r\n".to_owned(), "101"),
        ("Origin: https://evil.example\r\n".to_owned(), "403"),
        ("Origin: null\r\n".to_owned(), "403"),
    ] {
        let (_, head) = Socket::ask(at, "/socket", &lines);
        assert_eq!(&head[9..12], status, "{lines}");
    }
}

#[test]
fn the_page_is_served_on_the_same_port() {
    let chat = chat(&[]);
    let mut client = crate::support::raw::Conn::open(chat.address());
    let request = |method: &str, path: &str, host: &str| format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let page = client.ask(&request("GET", "/", "localhost"));
    assert_eq!((page.status(), page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.field("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert_eq!(client.ask(&request("HEAD", "/", "127.0.0.1")).status(), 200);
    assert_eq!(client.ask(&request("GET", "/x", "[::1]:80")).status(), 404);
    assert_eq!(client.ask(&request("DELETE", "/", "localhost")).field("allow"), Some("GET, HEAD"));
    assert_eq!(client.ask(&request("GET", "/socket", "localhost")).field("sec-websocket-version"), Some("13"));
    assert_eq!(client.ask(&request("GET", "/", "evil.example")).status(), 403);
}

/// A person with `nc` who says nothing is greeted; a browser that says nothing yet is not hurt by that, for it drops the connection.
#[test]
fn silence_is_greeted() {
    let chat = chat(&[]);
    let mut person = Person::connect(chat.address(), None);
    assert!(person.wait_for("*").starts_with("* welcome, you are guest-1"));
}

/// It does not read: it is closed with a word, and the others go on.
#[test]
fn a_socket_that_stalls_is_dropped() {
    let chat = chat(&["--queue", "64k", "--rate", "100000", "--burst", "100000"]);
    let mut lazy = Socket::open(chat.address(), "/socket");
    lazy.say("/join lobby");
    lazy.event("entered");
    let mut ann = Person::in_room(chat.address(), "ann", "lobby");
    let mut bob = Person::in_room(chat.address(), "bob", "lobby");
    let text = "x".repeat(3000);
    while !chat.stderr().contains(" 1 client too slow") {
        for _ in 0..100 {
            ann.say(&text);
            bob.message();
        }
        chat.signal("USR1");
    }
    assert_eq!(lazy.closed(), 1008);
}

/// All is told, and the connections close.
#[test]
fn a_stop_closes_sockets() {
    let mut chat = chat(&[]);
    let mut ann = Socket::open(chat.address(), "/socket");
    ann.event("welcome");
    chat.signal("TERM");
    assert_eq!(ann.event("end")["text"], "the server is stopping");
    assert_eq!(ann.closed(), 1001);
    wait_until("the end", || chat.descriptors() == 0);
    assert_eq!(chat.wait().code(), Some(0));
}
