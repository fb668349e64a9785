//! A client of a WebSocket, and the rules of RFC 6455 over a real connection.

// `pub` here means "for the tests".
#![allow(unreachable_pub)]

use super::{chat, drivers, person::Person};
use crate::support::{
    process::{PATIENCE, wait_until},
    websocket::accept,
};
use serde_json::Value;
use socket_patterns::websocket::{Opcode, write_frame};
use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// One connection after its handshake.
pub struct Socket(BufReader<TcpStream>);

impl Socket {
    /// Connects without an origin, as a program does.
    pub fn open(to: SocketAddr, path: &str) -> Self {
        let (socket, head) = Self::ask(to, path, "");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(&format!("\r\nSec-WebSocket-Accept: {}\r\n", accept(KEY))), "{head}");
        socket
    }

    /// Asks for a WebSocket, with more lines in the head. The head of the answer.
    #[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
    pub fn ask(to: SocketAddr, path: &str, lines: &str) -> (Self, String) {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut socket = Self(BufReader::new(stream));
        socket.send(
            format!(
                "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{lines}\r\n"
            )
            .as_bytes(),
        );
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(socket.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        (socket, head)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub fn frame(&mut self, last: bool, opcode: Opcode, payload: &[u8]) {
        let mut out = Vec::new();
        write_frame(&mut out, last, opcode, Some([1, 2, 3, 4]), payload);
        self.send(&out);
    }

    pub fn say(&mut self, text: &str) {
        self.frame(true, Opcode::Text, text.as_bytes());
    }

    /// The next frame: the first byte of its head, and its payload. `None`: the connection has ended.
    pub fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        match self.0.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return None,
            Err(error) => panic!("{error}"),
        }
        let mut len = [0; 8];
        let more = match head[1] {
            127 => 8,
            126 => 2,
            short => {
                assert!(short < 126, "a server's frames are not masked");
                len[7] = short;
                0
            }
        };
        self.0.read_exact(&mut len[8 - more..]).unwrap();
        let mut payload = vec![0; u64::from_be_bytes(len) as usize];
        self.0.read_exact(&mut payload).unwrap();
        Some((head[0], payload))
    }

    /// The next text, whatever its fragments.
    pub fn text(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            let (first, payload) = self.read().expect("a message");
            match first & 0x0f {
                0 | 1 => text.extend(payload),
                other => panic!("opcode {other}"),
            }
            if first & 0x80 != 0 {
                return String::from_utf8(text).unwrap();
            }
        }
    }

    /// The next event of this type.
    pub fn event(&mut self, kind: &str) -> Value {
        loop {
            let event: Value = serde_json::from_str(&self.text()).unwrap();
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// The code of the close frame that has to come, and that nothing comes behind it.
    pub fn closed(&mut self) -> u16 {
        loop {
            let (first, payload) = self.read().expect("a close frame");
            if first == 0x88 {
                assert_eq!(self.read(), None);
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

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
