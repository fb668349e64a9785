//! Exercise 6: an echo server that serves one client after the other.
//!
//! It greets each client with a line that begins with `Welcome`, sends every line back as it came, and answers the line
//! `quit` with `Goodbye!`. When a client has gone, one line on stderr says how much it was served:
//! `client 127.0.0.1:51622 handled 3 requests`.

use std::net::{TcpListener, TcpStream};
use std::{env, io, process::ExitCode};

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e06 --listen HOST:PORT");
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

/// Listens on `address` and serves the clients one after the other.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => serve(&stream),
            Err(error) => eprintln!("accept: {error}"),
        }
    }
    Ok(())
}

/// Talks with one client until it has gone, and says so. A fault of this client is no reason to end the server.
fn serve(stream: &TcpStream) {
    let Ok(peer) = stream.peer_addr() else { return };
    let mut requests = 0;
    if let Err(error) = converse(stream, &mut requests) {
        eprintln!("client {peer}: {error}");
    }
    eprintln!("client {peer} handled {requests} requests");
}

/// Greets the client and answers its lines. Counts them in `requests`.
fn converse(stream: &TcpStream, requests: &mut u64) -> io::Result<()> {
    // TODO 1: greet the client with one line that begins with `Welcome`.
    // TODO 2: send each line back as it came. One read is not one line: it may bring half of one, or three.
    // TODO 3: answer `quit` with `Goodbye!` and go. The client may have sent more by then: see `part`.
    let _ = (stream, requests);
    Ok(())
}

/// Ends the conversation so that the client gets everything that was sent to it.
///
/// If a socket is closed while bytes of the client wait in it unread, the kernel answers with a reset, and a reset may
/// destroy what was on its way to the client. So: say that nothing more comes, then read what is left, within bounds.
#[allow(dead_code)] // Yours to call.
fn part(stream: &TcpStream) -> io::Result<()> {
    // TODO 4: shut down the writing side, then read and forget what still comes: not for ever, and not without end.
    let _ = stream;
    Ok(())
}
