//! Exercise 12: an event loop. One thread serves all clients.
//!
//! No call on a socket may wait, but one: `poll`, which waits for all of them. A thread that waits remembers half a line, or the
//! rest of an answer. Here that has to stand in a struct, one for each connection.

use std::net::TcpListener;
use std::{env, io, process::ExitCode};

/// A line with its end has at most so many bytes. A longer one is answered with `too long` and the end.
#[allow(dead_code)] // Yours to use.
const LONGEST_LINE: usize = 4096;
/// While more bytes than this wait for a client, none of its lines is answered, and nothing is read from it.
#[allow(dead_code)] // Yours to use.
const ENOUGH: usize = 64 * 1024;
/// More than that is not given.
const MOST: usize = 16 * 1024 * 1024;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e12 --listen HOST:PORT");
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

/// The answer to a line, which has its end. `None`: the goodbye, and no answer after it.
#[allow(dead_code)] // Yours to call.
fn answer(line: &[u8]) -> Option<Vec<u8>> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let number = std::str::from_utf8(text).ok().and_then(|text| text.strip_prefix("give ")?.parse().ok());
    match number.filter(|count| *count <= MOST) {
        _ if text == b"quit" => None,
        // The pattern shows whether a byte was left out or sent twice.
        Some(count) => Some((0..count).map(|at| (at % 251) as u8).collect()),
        None => Some(line.to_vec()),
    }
}

/// The state of one connection.
#[allow(dead_code)] // Yours to use.
struct Client {
    // TODO 1: the stream, what was read and is not answered yet, what is to be sent and did not fit, and how far the end has come.
}

/// Serves all clients in this thread, without end.
fn run(listener: &TcpListener) -> io::Result<()> {
    // TODO 2: nothing may wait but `nix::poll::poll`: neither accept nor read nor write.
    // TODO 3: wait for the listener and for all clients; ask for POLLOUT only while there is something to send, and for POLLIN
    // only while you will read.
    // TODO 4: a client that is ready: read once, answer complete lines while there is room, send what fits, keep the rest.
    // TODO 5: a client goes when it is broken, or when it sends nothing more and has got all answers.
    println!("READY {}", listener.local_addr()?);
    for stream in listener.incoming() {
        drop(stream?); // Nobody is served yet.
    }
    Ok(())
}
