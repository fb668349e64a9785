//! The bench of an experiment: both ends of connections on the loopback, and a list of what was called and what it answered.

use crate::timing::Timing;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    fmt::{Display, Write as _},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

/// The widths of the columns: the one that acts, and what it does. The answer has the rest of the line.
const SIDE: usize = 11;
const CALL: usize = 46;

/// One experiment while it runs.
#[derive(Debug)]
pub(crate) struct Lab {
    /// How long to wait for what must come, and for what must not.
    pub(super) timing: Timing,
    steps: Vec<[String; 3]>,
    facts: Vec<String>,
}

/// A connection with both its ends.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) client: TcpStream,
    pub(super) server: TcpStream,
}

impl Lab {
    /// An empty bench.
    pub(super) fn new(timing: Timing) -> Self {
        Self { timing, steps: Vec::new(), facts: Vec::new() }
    }

    /// Notes a call and its answer.
    pub(super) fn note(&mut self, side: &str, call: &str, answer: impl Display) {
        self.steps.push([side.to_owned(), call.to_owned(), answer.to_string()]);
    }

    /// Notes a number or a consequence of this run.
    pub(super) fn fact(&mut self, text: impl Into<String>) {
        self.facts.push(text.into());
    }

    /// The consequences that were noted.
    pub(crate) fn facts(&self) -> &[String] {
        &self.facts
    }

    /// The list, a line a call.
    pub(crate) fn transcript(&self) -> String {
        let mut text = String::new();
        for [side, call, answer] in &self.steps {
            let _ = writeln!(text, "  {side:<SIDE$}{call:<CALL$} {answer}");
        }
        text
    }

    /// A listener at a free port of the loopback.
    pub(super) fn listener(&mut self) -> io::Result<TcpListener> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        self.note("server", "bind, listen", listener.local_addr()?);
        Ok(listener)
    }

    /// A client of `address`. Its calls end after a while in any case.
    pub(super) fn connect(&mut self, side: &str, address: SocketAddr) -> io::Result<TcpStream> {
        let client = TcpStream::connect_timeout(&address, self.timing.patience())?;
        self.bounded(&client)?;
        self.note(side, "connect", "connected");
        Ok(client)
    }

    /// No call on this socket sleeps longer than our patience.
    pub(super) fn bounded(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(self.timing.patience()))?;
        stream.set_write_timeout(Some(self.timing.patience()))
    }

    /// A client and a server that are connected.
    pub(super) fn pair(&mut self) -> io::Result<Pair> {
        let listener = self.listener()?;
        let client = self.connect("client", listener.local_addr()?)?;
        let (server, peer) = listener.accept()?;
        self.bounded(&server)?;
        self.note("server", "accept", format!("a socket for {peer}"));
        Ok(Pair { client, server })
    }

    /// Writes, and notes the answer.
    pub(super) fn write(&mut self, side: &str, mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let written = stream.write(bytes);
        self.note(side, &format!("write({} bytes)", bytes.len()), said(&written));
        written
    }

    /// Reads, and notes the answer.
    pub(super) fn read(&mut self, side: &str, mut stream: &TcpStream) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 * 1024];
        let read = stream.read(&mut bytes);
        bytes.truncate(*read.as_ref().unwrap_or(&0));
        match &read {
            Ok(0) => self.note(side, "read", "0: the end of the stream"),
            Ok(1..=20) => self.note(side, "read", format!("\"{}\"", bytes.escape_ascii())),
            Ok(count) => self.note(side, "read", format!("{count} bytes")),
            Err(error) => self.note(side, "read", late(error)),
        }
        read.map(|_| bytes)
    }

    /// Waits until `holds`, at most as long as we are patient.
    pub(super) fn until(&self, mut holds: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + self.timing.patience();
        while !holds() {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Waits until the kernel knows that the peer has broken off, without a call that could be told.
    pub(super) fn until_broken(&self, stream: &TcpStream) -> io::Result<()> {
        self.until_event(stream, PollFlags::empty())
    }

    /// Waits for one of these events, or an error, on a socket.
    pub(super) fn until_event(&self, socket: impl AsFd, events: PollFlags) -> io::Result<()> {
        let time = PollTimeout::try_from(self.timing.patience()).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket.as_fd(), events)], time) {
            Ok(1..) => Ok(()),
            Ok(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the event that was waited for does not come")),
            Err(error) => Err(error.into()),
        }
    }
}

/// The answer of a write, in words.
pub(super) fn said(written: &io::Result<usize>) -> String {
    match written {
        Ok(count) => format!("{count} bytes were taken"),
        Err(error) => name(error),
    }
}

/// An error as manuals name it: `ECONNRESET: Connection reset by peer`.
pub(super) fn name(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).to_string())
}

/// The same of a call that had a time.
pub(super) fn late(error: &io::Error) -> String {
    if is_timeout(error) { format!("nothing more in time ({})", name(error)) } else { name(error) }
}

/// Whether an error says that the time is over. Systems differ in which of the two they say.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
