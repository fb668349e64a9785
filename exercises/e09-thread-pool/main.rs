//! Exercise 9: a fixed number of threads, and a queue with an end.
//!
//! The conversation is given. The exercise is the pool: workers that are started once, a queue between the thread that accepts
//! and them, an answer for clients that find the queue full, and a worker that survives a handler that panics.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, process::ExitCode, thread};

/// The number of clients that are served at once.
const WORKERS: usize = 4;
/// The number of those that may wait. The next one is told `Busy` and let go.
const PLACES: usize = 8;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e09 --listen HOST:PORT");
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

/// Accepts clients without end, and hands them to the workers.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    // TODO 1: start WORKERS threads, once. They share a queue: a `Mutex` and a `Condvar`.
    // TODO 2: hand each client to them. If all are busy and PLACES clients wait, answer `Busy` and close, at once.
    // TODO 3: a handler that panics (`crash`) must not cost a worker: `std::panic::catch_unwind`.
    let _ = (WORKERS, PLACES);
    println!("READY {}", listener.local_addr()?);
    for stream in listener.incoming() {
        drop(stream?); // Nobody is served yet.
    }
    Ok(())
}

/// Talks with one client: `WORK ms` (sleeps), `crash`, `quit`; every other line comes back.
#[allow(dead_code)] // Yours to call.
fn converse(stream: &TcpStream) -> io::Result<()> {
    let mut writer = stream;
    for line in BufReader::new(stream).split(b'\n') {
        let mut line = line?;
        let work = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix("WORK ")?.parse().ok());
        match (&line[..], work) {
            (_, Some(time)) => {
                thread::sleep(Duration::from_millis(time));
                writer.write_all(b"done\n")?;
            }
            (b"quit", _) => return writer.write_all(b"Goodbye!\n"),
            (b"crash", _) => panic!("a client asked for it"),
            _ => {
                line.push(b'\n');
                writer.write_all(&line)?;
            }
        }
    }
    Ok(())
}
