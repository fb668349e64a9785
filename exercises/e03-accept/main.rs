//! Exercise 3: an accept loop that lasts.
//!
//! An echo server with a thread for each client. The threads are given; the loop that accepts is the exercise: it must go on
//! whatever accept answers, must not burn the processor while it cannot accept, and says of each client where it comes from
//! and where it arrived: `accepted 127.0.0.1:51622 at 127.0.0.1:8080`.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::{env, process::ExitCode, thread};

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e03 --listen HOST:PORT");
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

/// Accepts clients without end, each into a thread of its own.
fn run(listener: &TcpListener) -> io::Result<()> {
    println!("READY {}", listener.local_addr()?);
    // TODO 1: log each client, `accepted PEER at LOCAL`. It may have gone by the time you look: no unwrap.
    // TODO 2: an error of accept ends nothing, unless the listener itself is broken.
    // TODO 3: out of descriptors, accept fails at once, again and again: rest for 100 ms, and say so once.
    loop {
        let (stream, _peer) = listener.accept()?;
        start(stream)?;
    }
}

/// Serves a client in a thread of its own.
fn start(stream: TcpStream) -> io::Result<()> {
    thread::Builder::new().spawn(move || echo(&stream)).map(drop)
}

/// Sends back what comes, until the client ends or breaks off.
fn echo(mut stream: &TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}
