//! One look at the server before anything is measured: is it there, and does it speak what it will be asked in?
//!
//! A server that answers every request with an error is a result; one that speaks another protocol is a mistake of the command line, and
//! its user hears so at once.

use super::{Kind, Script, Target, talk::Heard};
use crate::{
    backend::Addresses,
    buf::Output,
    cli::Failure,
    net::{clock, connect, resolve},
    resilience::{DeadlineBudget, Dial},
};
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Where a target is: the first of its addresses that takes a connection.
///
/// # Errors
///
/// No address takes a connection within this time, the name has no address, or the server does not speak the protocol.
pub fn reach(target: &Target, script: &Script, within: Duration) -> Result<SocketAddr, Failure> {
    let addresses = Addresses::new(&resolve::resolve(&target.at)?);
    let mut dial = Dial::new(&addresses, DeadlineBudget::new(within, now()));
    let mut problem = None;
    while let Some((to, share)) = dial.next(now()) {
        match connect::connect(to, share) {
            Ok(stream) => {
                let spoken = stream.set_read_timeout(Some(within)).map_err(Unspoken::of);
                return spoken.and_then(|()| speak(stream, script)).map(|()| to).map_err(|why| why.failure(target));
            }
            Err(error) if dial.failed(error.kind()) => problem = Some(error),
            Err(_) => {}
        }
    }
    Err(problem.map_or_else(|| Failure::Run(format!("no address for {target}")), Failure::from))
}

fn now() -> Instant {
    clock::now().instant
}

/// Why the server is none for this protocol.
#[derive(Debug, PartialEq, Eq)]
enum Unspoken {
    /// Its answer is in HTTP/1.1.
    Http1,
    Ended,
    Silent,
    /// The fault of its answer.
    Wrong(String),
}

impl Unspoken {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Silent,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Self::Ended,
            _ => Self::Wrong(error.to_string()),
        }
    }

    fn failure(&self, target: &Target) -> Failure {
        let why = match self {
            Self::Http1 => "it answers in HTTP/1.1. Leave --http2 out",
            Self::Ended => "it ends the connection. Leave --http2 out",
            Self::Silent => "it says nothing. Leave --http2 out, or give it longer with --timeout",
            Self::Wrong(why) => why,
        };
        Failure::Run(format!("{target} does not speak HTTP/2: {why}"))
    }
}

/// HTTP/2: waits for the server's settings, which are the first that it says. Other servers are heard when they are asked.
fn speak(mut stream: TcpStream, script: &Script) -> Result<(), Unspoken> {
    let mut talk = script.talk(now());
    let Some(streams) = talk.streams() else { return Ok(()) };
    let mut output = Output::new();
    streams.write(&mut output, usize::MAX, now());
    while let Some(piece) = output.pop() {
        stream.write_all(&piece).map_err(Unspoken::of)?;
    }
    let (mut buffer, mut first) = ([0; 4096], true);
    loop {
        let length = match stream.read(&mut buffer).map_err(Unspoken::of)? {
            0 => return Err(Unspoken::Ended),
            length => length,
        };
        if std::mem::take(&mut first) && buffer.starts_with(b"HTTP/1.") {
            return Err(Unspoken::Http1);
        }
        let mut input = &buffer[..length];
        match talk.hear(script, &mut input, now()) {
            Heard::Broken(Kind::Http2(cause)) => return Err(Unspoken::Wrong(cause.as_str().to_owned())),
            Heard::Broken(kind) => return Err(Unspoken::Wrong(kind.to_string())),
            _ => {}
        }
        if talk.streams().is_none_or(|streams| streams.allowed().is_some()) {
            return Ok(());
        }
    }
}
