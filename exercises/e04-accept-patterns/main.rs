//! Exercise 4: to wait for clients, and for time, in one thread.
//!
//! The server greets each client as soon as it comes, and closes. Ten times in a second it writes a line to stderr: `tick 1`,
//! `tick 2`, … A server that only accepts cannot do that: accept sleeps until somebody comes.

use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{env, process::ExitCode};

/// From one tick to the next.
const TICK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e04 --listen HOST:PORT");
        return ExitCode::from(2);
    };
    match TcpListener::bind(&address).and_then(|listener| run(&listener)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Greets clients and ticks, without end.
fn run(listener: &TcpListener) -> io::Result<()> {
    // TODO 2: accept must not sleep, now that `accept_until` does.
    println!("READY {}", listener.local_addr()?);
    let mut tick = 0;
    let mut next = Instant::now() + TICK;
    loop {
        // TODO 3: when `next` has come, it ticks, also while one client comes after the other.
        if let Some(stream) = accept_until(listener, next)? {
            // A client that has gone already is no reason to end the server.
            if let Err(error) = greet(&stream) {
                eprintln!("a client: {error}");
            }
            continue;
        }
        tick += 1;
        eprintln!("tick {tick}");
        next += TICK;
    }
}

/// The next client, or nothing if none comes before `deadline`.
fn accept_until(listener: &TcpListener, deadline: Instant) -> io::Result<Option<TcpStream>> {
    // TODO 1: try accept; if there is nobody, sleep in the kernel until the listener is readable or the deadline has come:
    // `nix::poll::poll`. Neither spin nor sleep by the clock.
    let _ = deadline;
    listener.accept().map(|(stream, _)| Some(stream))
}

fn greet(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"Hello!\n")
}
