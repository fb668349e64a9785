//! A client of a WebSocket over a real connection: its handshake, its frames, and JSON in its texts.

// In tests a failed unwrap is the report.
#![allow(clippy::unwrap_used)]

use super::{process::PATIENCE, websocket::accept};
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
