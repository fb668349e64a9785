//! A person with a terminal: says lines, reads lines.

// `pub` here means "for the tests".
#![allow(unreachable_pub)]

use crate::support::process::PATIENCE;
use socket2::{Domain, Socket, Type};
use std::{
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// One connection with lines.
pub struct Person {
    stream: BufReader<TcpStream>,
    /// With which it can come back.
    pub token: String,
    /// Of its own messages, the last that had arrived when it came back.
    pub last_id: u64,
}

impl Person {
    /// Connects and reads the welcome. The name and the token are in it.
    pub fn arrive(to: SocketAddr) -> Self {
        let mut person = Self::connect(to, None);
        person.say("");
        let token = person.wait_for("* after a lost connection: /resume ");
        token.rsplit(' ').next().unwrap().clone_into(&mut person.token);
        person
    }

    /// As [`Person::arrive`], with a name and in a room.
    pub fn in_room(to: SocketAddr, name: &str, room: &str) -> Self {
        let mut person = Self::arrive(to);
        person.say(&format!("/nick {name}\n/join {room}"));
        person.wait_for(&format!("* you are in {room}"));
        person
    }

    /// A connection on which nothing was said. `narrow`: its kernel takes so many bytes that the program does not read.
    pub fn connect(to: SocketAddr, narrow: Option<usize>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(bytes) = narrow {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.connect(&to.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), token: String::new(), last_id: 0 }
    }

    /// Says a line, or several.
    pub fn say(&mut self, line: &str) {
        self.try_say(line).unwrap();
    }

    pub fn try_say(&mut self, line: &str) -> std::io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes())
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// The next line; `None` behind the last.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("nothing came: {error}; so far {line:?}"),
        }
    }

    /// Reads up to the line that begins so.
    pub fn wait_for(&mut self, beginning: &str) -> String {
        let mut seen = Vec::new();
        while let Some(line) = self.line() {
            if line.starts_with(beginning) {
                return line;
            }
            seen.push(line);
        }
        panic!("the connection ended before {beginning:?}: {seen:?}");
    }

    /// The next message of a room: its number, and `name: text`.
    pub fn message(&mut self) -> (u64, String) {
        parse(&self.wait_for("[")).expect("it begins like a message")
    }

    /// Everything up to the end, of a connection that ends.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.line()).collect()
    }

    /// Ends without a word, with a reset.
    pub fn reset(self) {
        let socket = Socket::from(self.stream.into_inner());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// The number and the text of `[ROOM NUMBER] NAME: TEXT`.
pub fn parse(line: &str) -> Option<(u64, String)> {
    let (head, text) = line.strip_prefix('[')?.split_once("] ")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, text.to_owned()))
}
