//! Exercise 2: how many connections may wait in the kernel until the program accepts them.
//!
//! The program is told how many clients come in a second (`--rate`) and for how long it may at worst accept nobody
//! (`--stall`, in milliseconds). From both follows the length of the queue that it asks the kernel for. Each client gets one
//! line, and the connection is closed.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::{env, process::ExitCode};

/// A shorter queue makes no sense: browsers open six connections at once.
const LEAST: u64 = 8;
/// A longer queue only makes clients wait for an answer that comes too late. Linux shortens it to `net.core.somaxconn` anyway.
const MOST: u64 = 128;

fn main() -> ExitCode {
    let Some((address, rate, stall)) = arguments() else {
        eprintln!("usage: e02 --listen ADDRESS:PORT [--rate CLIENTS_PER_SECOND] [--stall MILLISECONDS]");
        return ExitCode::from(2);
    };
    let backlog = backlog(rate, stall);
    eprintln!("{rate} clients in a second, {stall} ms without accept: a queue of {backlog}");
    match listen(address, backlog).and_then(|listener| serve(&listener)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The address, the rate and the stall; `None` if they make no sense.
fn arguments() -> Option<(SocketAddr, u32, u32)> {
    let (mut address, mut rate, mut stall) = (None, 100, 500);
    let mut args = env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next()?;
        match &flag[..] {
            "--listen" => address = Some(value.parse().ok()?),
            "--rate" => rate = value.parse().ok()?,
            "--stall" => stall = value.parse().ok()?,
            _ => return None,
        }
    }
    Some((address?, rate, stall))
}

/// The length of the queue: as many clients as come during the longest stall, and not fewer; between [`LEAST`] and [`MOST`].
fn backlog(rate: u32, stall: u32) -> i32 {
    // TODO 1: `rate` clients in a second, `stall` milliseconds. A part of a client needs a whole place.
    // Both numbers may be as large as a u32 can be.
    let _ = (rate, stall, LEAST, MOST);
    0
}

/// A socket that listens at `address`, with a queue of `backlog` connections.
fn listen(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    // TODO 2: as in exercise 1. `TcpListener::bind` does not ask how long the queue should be; socket2 does.
    let _ = backlog;
    TcpListener::bind(address)
}

/// Says that it listens, then greets one client after the other, without end.
fn serve(listener: &TcpListener) -> io::Result<()> {
    println!("READY {}", listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Err(error) = greet(&stream) {
                    eprintln!("client {peer}: {error}");
                }
            }
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

fn greet(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"Hello!\n")
}
