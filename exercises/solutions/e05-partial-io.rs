//! Exercise 5: reads and writes that do a part of the work.
//!
//! A server that is asked line by line. `give N` is answered with N bytes of a pattern, any other line with its length:
//! `got 5`. No call on a socket waits longer than [`TICK`], so that a thread could look up and do something else; a call that
//! gave up has perhaps done a part of its work, and that part counts.

// SOLUTION
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Instant;
// END
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
    // STARTER
    //| // TODO 1: a write may take a part of the bytes. Write the rest, until there is none.
    //| // TODO 2: a write that gave up after TICK (`WouldBlock`) took nothing: try again. But a client that has taken nothing for
    //| // PATIENCE gets nothing more: that is an error.
    //| let _ = (stream, bytes);
    //| Ok(())
    // SOLUTION
    let (mut writer, mut rest, mut progress) = (stream, bytes, Instant::now());
    while !rest.is_empty() {
        match writer.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                rest = &rest[count..];
                progress = Instant::now();
            }
            Err(error) if is_pause(&error) && progress.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
    // END
}
// SOLUTION

/// Whether a call gave up although nothing is wrong.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
// END

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
    // SOLUTION
    /// Read, and not yet part of a line that was returned.
    buffer: Vec<u8>,
    /// The rest of a line that is too long is passed over.
    skipping: bool,
    // END
}

impl<'a> Lines<'a> {
    fn new(stream: &'a TcpStream) -> Self {
        // STARTER
        //| // TODO 3: it needs a buffer that outlives the calls of `next`.
        //| Self { stream }
        // SOLUTION
        Self { stream, buffer: Vec::new(), skipping: false }
        // END
    }

    /// Waits for the next line.
    fn next(&mut self) -> io::Result<Next> {
        // STARTER
        //| // TODO 4: read until there is a whole line, take it out of the buffer, and keep what came behind it.
        //| // TODO 5: a read that gave up (`WouldBlock`) ends nothing and loses nothing. A read of 0 bytes is the end.
        //| // TODO 6: never keep more than LONGEST_LINE and a little of a line.
        //| let _ = self.stream;
        //| Ok(Next::End)
        // SOLUTION
        let mut piece = [0; 4096];
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                line.pop();
                line.pop_if(|last| *last == b'\r');
                return Ok(if line.len() > LONGEST_LINE { Next::TooLong } else { Next::Line(line) });
            }
            // One more byte may be the CR of the line's end.
            if self.buffer.len() > LONGEST_LINE + 1 || self.skipping {
                self.buffer.clear();
                if !std::mem::replace(&mut self.skipping, true) {
                    return Ok(Next::TooLong);
                }
            }
            let mut reader = self.stream;
            match reader.read(&mut piece) {
                Ok(0) => return Ok(Next::End),
                Ok(count) => self.buffer.extend_from_slice(&piece[..count]),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error),
            }
        }
        // END
    }
}
