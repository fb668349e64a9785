//! Exercise 5: reads and writes that do a part of the work.
//!
//! A server that is asked line by line. `give N` is answered with N bytes of a pattern, any other line with its length:
//! `got 5`. No call on a socket waits longer than [`TICK`], so that a thread could look up and do something else; a call that
//! gave up has perhaps done a part of its work, and that part counts.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, io, process::ExitCode, thread};

/// A read or write that waits longer gives up: `ErrorKind::WouldBlock`, which is no failure.
const TICK: Duration = Duration::from_millis(50);
/// A client that takes no byte for so long is given up.
#[allow(dead_code)] // Yours to use.
const PATIENCE: Duration = Duration::from_secs(1);
/// A longer line is refused. Its end, LF or CR LF, does not count.
#[allow(dead_code)] // Yours to use.
const LONGEST_LINE: usize = 4096;
/// More than that is not given.
const MOST: usize = 16 * 1024 * 1024;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e05 --listen HOST:PORT");
        return ExitCode::from(2);
    };
    match run(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves each client in a thread of its own.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let served = stream.and_then(|stream| {
            stream.set_read_timeout(Some(TICK))?;
            stream.set_write_timeout(Some(TICK))?;
            thread::Builder::new().spawn(move || {
                if let Err(error) = converse(&stream) {
                    eprintln!("a client: {error}");
                }
            })
        });
        if let Err(error) = served {
            eprintln!("accept: {error}");
        }
    }
    Ok(())
}

/// Answers the lines of one client until it ends.
fn converse(stream: &TcpStream) -> io::Result<()> {
    let mut lines = Lines::new(stream);
    loop {
        match lines.next()? {
            Next::Line(line) => match number(&line) {
                Some(count) => send_all(stream, &pattern(count))?,
                None => send_all(stream, format!("got {}\n", line.len()).as_bytes())?,
            },
            Next::TooLong => send_all(stream, b"too long\n")?,
            Next::End => return Ok(()),
        }
    }
}

/// The number in `give N`, if the line is one that we follow.
fn number(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line.strip_prefix(b"give ")?).ok()?;
    text.parse().ok().filter(|count| *count <= MOST)
}

/// A number of bytes, none of which may be left out or sent twice.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 251) as u8).collect()
}

/// Sends all of `bytes`, however many writes that takes.
fn send_all(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    // TODO 1: a write may take a part of the bytes. Write the rest, until there is none.
    // TODO 2: a write that gave up after TICK (`WouldBlock`) took nothing: try again. But a client that has taken nothing for
    // PATIENCE gets nothing more: that is an error.
    let _ = (stream, bytes);
    Ok(())
}

/// The next event of a client that sends lines.
#[allow(dead_code)] // Yours to make.
enum Next {
    /// A complete line, without its end.
    Line(Vec<u8>),
    /// A line that is longer than [`LONGEST_LINE`]. The rest of it is passed over; the next line is an ordinary one.
    TooLong,
    /// The client sends nothing more. A line that it began is none.
    End,
}

/// The lines of a client.
struct Lines<'a> {
    stream: &'a TcpStream,
}

impl<'a> Lines<'a> {
    fn new(stream: &'a TcpStream) -> Self {
        // TODO 3: it needs a buffer that outlives the calls of `next`.
        Self { stream }
    }

    /// Waits for the next line.
    fn next(&mut self) -> io::Result<Next> {
        // TODO 4: read until there is a whole line, take it out of the buffer, and keep what came behind it.
        // TODO 5: a read that gave up (`WouldBlock`) ends nothing and loses nothing. A read of 0 bytes is the end.
        // TODO 6: never keep more than LONGEST_LINE and a little of a line.
        let _ = self.stream;
        Ok(Next::End)
    }
}
