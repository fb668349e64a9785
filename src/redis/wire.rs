//! The socket of a client, in plain or with TLS on it: the link above it has words in plain either way.
//!
//! ```text
//!   Link ── output ──▶ seal ──▶ records ──▶ socket         nothing is sealed before the handshake is over
//!        ◀── plain ─── open ◀── records ◀──
//! ```

use super::{secured::Files, target::Target};
use crate::{
    net::{address::HostPort, connect, resolve},
    tls::{Call, Refusal},
};
use mio::net::TcpStream;
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    time::{Duration, SystemTime},
};

/// How long one address has to take a connection.
const CONNECT: Duration = Duration::from_secs(1);

/// How long the last commands of a client that ends have to leave.
const LAST: Duration = Duration::from_millis(200);

/// Bytes that are sealed at once: what is sealed is there twice for a moment.
const SEALED: usize = 256 * 1024;

/// A server that has ended the connection, in TLS or in plain.
const CLOSED: &str = "it has closed the connection";

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    seal: Option<Seal>,
}

/// TLS on it.
#[derive(Debug)]
struct Seal {
    call: Call,
    /// To be sent.
    records: Vec<u8>,
    plain: Vec<u8>,
    scratch: Vec<u8>,
    /// It ends when what was heard before was read.
    over: Option<String>,
}

impl Wire {
    /// Connects. With TLS, the handshake begins with the first write.
    pub(super) fn open(target: &Target, wall: SystemTime) -> Result<Self, String> {
        let seal = target.secure.as_ref().map(|files| Seal::begin(files, &target.to, wall)).transpose()?;
        let stream = dial(&target.to)?;
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Self { stream: TcpStream::from_std(stream), seal })
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Bytes that are on their way to the kernel.
    pub(super) fn unsent(&self) -> usize {
        self.seal.as_ref().map_or(0, |seal| seal.records.len())
    }

    /// Reads once: what the server says, perhaps nothing yet. `None`: the kernel has nothing more.
    ///
    /// # Errors
    ///
    /// The connection is over, and why.
    pub(super) fn read<'b>(&'b mut self, buffer: &'b mut [u8], wall: SystemTime) -> Result<Option<&'b [u8]>, String> {
        if let Some(why) = self.seal.as_mut().and_then(|seal| seal.over.take()) {
            return Err(why);
        }
        let len = loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(CLOSED.to_owned()),
                Ok(len) => break len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        };
        match &mut self.seal {
            None => Ok(Some(&buffer[..len])),
            Some(seal) => {
                seal.open(&buffer[..len], wall);
                if let Some(why) = seal.over.take_if(|_| seal.plain.is_empty()) {
                    // An alert says why: it goes if the kernel has room.
                    let _ = self.stream.write(&seal.records);
                    return Err(why);
                }
                Ok(Some(&seal.plain))
            }
        }
    }

    /// Writes as much of `output` as the kernel takes, and takes that out.
    ///
    /// # Errors
    ///
    /// The connection is broken, and why.
    pub(super) fn write(&mut self, output: &mut Vec<u8>) -> Result<(), String> {
        let Some(seal) = &mut self.seal else {
            return send(&mut self.stream, output).map_err(|error| error.to_string());
        };
        loop {
            send(&mut self.stream, &mut seal.records).map_err(|error| error.to_string())?;
            if !seal.records.is_empty() || output.is_empty() || seal.call.is_handshaking() {
                return Ok(());
            }
            let some = output.len().min(SEALED);
            seal.call.seal(&output[..some], &mut seal.records).map_err(|why| format!("TLS: {}", why.as_str()))?;
            output.drain(..some);
        }
    }

    /// The process ends. The kernel takes the last commands, as far as it has room.
    pub(super) fn send_last(self, output: &[u8]) -> io::Result<()> {
        let mut last = Vec::new();
        match self.seal {
            None => last.extend_from_slice(output),
            Some(mut seal) => {
                last.append(&mut seal.records);
                // It fails before the handshake is over: then there is nothing to say to the server.
                let sealed = seal.call.seal(output, &mut last).and_then(|()| seal.call.close_notify(&mut last));
                sealed.map_err(|why| io::Error::other(why.as_str()))?;
            }
        }
        let mut stream = std::net::TcpStream::from(self.stream);
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(LAST))?;
        stream.write_all(&last)
    }
}

impl Seal {
    fn begin(files: &Files, to: &HostPort, wall: SystemTime) -> Result<Self, String> {
        let callee = files.callee(to)?;
        let mut records = Vec::new();
        let call = Call::new(&callee, wall, &mut records).map_err(|why| why.to_string())?;
        Ok(Self { call, records, plain: Vec::new(), scratch: Vec::new(), over: None })
    }

    fn open(&mut self, input: &[u8], wall: SystemTime) {
        self.plain.clear();
        let answer = self.call.receive(input, wall, &mut self.scratch, &mut self.plain, &mut self.records);
        let refused = answer.refusal.map(|why: Refusal| why.to_string());
        self.over = refused.or_else(|| answer.ended.then(|| CLOSED.to_owned()));
    }
}

/// Takes out of `output` what the kernel takes.
fn send(stream: &mut TcpStream, output: &mut Vec<u8>) -> io::Result<()> {
    let mut sent = 0;
    let outcome = loop {
        if sent == output.len() {
            break Ok(());
        }
        match stream.write(&output[sent..]) {
            Ok(0) => break Ok(()),
            Ok(len) => sent += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    output.drain(..sent);
    outcome
}

/// The first address of a name that takes a connection.
fn dial(to: &HostPort) -> Result<std::net::TcpStream, String> {
    let mut why = String::new();
    for address in resolve::resolve(to).map_err(|error| error.to_string())? {
        match connect::connect(address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}
