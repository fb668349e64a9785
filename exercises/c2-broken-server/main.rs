//! Clinic 2: a server to repair. It should send every line back to the client that sent it.
//!
//! It was carried over from C line by line, with the ideas of its time: one client, one read for one message, and a length that is
//! found by looking for a zero.

use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::{env, process::ExitCode};

/// Messages are not longer than this.
const BUFFER: usize = 1024;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: c2 --listen HOST:PORT");
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

/// Listens at `address` and serves.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    let (mut stream, peer) = listener.accept()?;
    let mut buffer = [0; BUFFER];
    loop {
        let _ = stream.read(&mut buffer)?;
        let message = &buffer[..strlen(&buffer)];
        eprintln!("client {peer}: {} bytes", message.len());
        if message.starts_with(b"quit") {
            let _ = stream.write(b"Goodbye!\n")?;
            return Ok(());
        }
        let _ = stream.write(message)?;
    }
}

/// The length of the text in `buffer`: all up to the first zero.
fn strlen(buffer: &[u8]) -> usize {
    buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len())
}
