//! A client that speaks RESP, over TCP or a Unix socket, and the values that it hears.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
};

use crate::support::process::PATIENCE;

/// A reply.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(crate) enum Value {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(String),
    Null,
    /// Only in RESP2: nothing in place of an array.
    NullArray,
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    Double(String),
    Bool(bool),
    Verbatim(String),
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A connection.
pub(crate) struct Client(BufReader<Box<dyn Stream>>);

impl Client {
    #[allow(clippy::disallowed_methods)] // A client of a test is a socket.
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(Box::new(stream)))
    }

    pub(crate) fn unix(path: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(Box::new(stream))))
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub(crate) fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        self.send_raw(&encode(words));
    }

    pub(crate) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Value {
        self.send(words);
        self.read()
    }

    /// Words separated by blanks.
    pub(crate) fn say(&mut self, line: &str) -> Value {
        self.ask(&line.split(' ').collect::<Vec<_>>())
    }

    /// The next reply.
    pub(crate) fn read(&mut self) -> Value {
        self.try_read().expect("a reply")
    }

    /// `None`: the server has closed the connection.
    pub(crate) fn try_read(&mut self) -> Option<Value> {
        let mut line = Vec::new();
        let len = self.0.read_until(b'\n', &mut line).ok()?;
        if len == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r\n").expect("a whole line")).into_owned();
        let (kind, rest) = line.split_at(1);
        let rest = rest.to_owned();
        let count = || rest.parse::<i64>().unwrap_or_else(|_| panic!("{line:?} has no count"));
        Some(match kind {
            "+" => Value::Simple(rest),
            "-" => Value::Error(rest),
            ":" => Value::Int(count()),
            "_" => Value::Null,
            "," => Value::Double(rest),
            "#" => Value::Bool(rest == "t"),
            "$" if count() < 0 => Value::Null,
            "*" if count() < 0 => Value::NullArray,
            "$" => Value::Bulk(self.bulk(count())),
            "=" => Value::Verbatim(self.bulk(count())),
            "*" => Value::Array(self.items(count())),
            "~" => Value::Set(self.items(count())),
            ">" => Value::Push(self.items(count())),
            "%" => Value::Map((0..count()).map(|_| (self.read(), self.read())).collect()),
            _ => panic!("{line:?} is no reply"),
        })
    }

    fn items(&mut self, count: i64) -> Vec<Value> {
        (0..count).map(|_| self.read()).collect()
    }

    fn bulk(&mut self, len: i64) -> String {
        let mut bytes = vec![0; usize::try_from(len).unwrap() + 2];
        self.0.read_exact(&mut bytes).unwrap();
        assert!(bytes.ends_with(b"\r\n"), "a bulk string ends its line");
        bytes.truncate(bytes.len() - 2);
        bytes.escape_ascii().to_string()
    }
}

pub(crate) fn encode<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.as_ref().len()).as_bytes());
        bytes.extend_from_slice(word.as_ref());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
