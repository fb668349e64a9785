//! Exercise 1: the life of a listening socket, one system call at a time.
//!
//! The program listens where it is told to, says `READY ADDR`, greets each client with one line and closes the connection.
//! If it cannot listen, the exit code says why: 2 the address is no address, 3 another program has it, 4 this user may not
//! have it, 5 this machine does not have it, 1 anything else.

// SOLUTION
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::ErrorKind;
// END
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(text)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e01 --listen ADDRESS:PORT");
        return ExitCode::from(2);
    };
    let Ok(address) = text.parse() else {
        eprintln!("error: {text:?} is not an address with a port, such as 127.0.0.1:8080 or [::1]:8080");
        return ExitCode::from(2);
    };
    match listen(address).and_then(|listener| serve(&listener)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (code, reason) = reason(&error);
            eprintln!("error: {address}: {reason} ({error})");
            ExitCode::from(code)
        }
    }
}

// SOLUTION
/// So many connections may wait until we accept them. Exercise 2 is about this number.
const BACKLOG: i32 = 128;
// END

/// A socket that listens at `address`.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    // STARTER
    //| // TODO 1: make a socket (`socket2::Socket::new`) of the family that `address` has: IPv4 or IPv6.
    //| // TODO 2: allow it to take an address whose old connections are still in TIME_WAIT.
    //| // TODO 3: bind it to `address`, let it listen, and return it as a `TcpListener` (`.into()`).
    //| let _ = address;
    //| Err(io::ErrorKind::Unsupported.into())
    // SOLUTION
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without this, a restart fails for a minute: our last connections hold the port in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
    // END
}

/// The exit code for an error of [`listen`], and its meaning in words.
fn reason(error: &io::Error) -> (u8, &'static str) {
    // STARTER
    //| // TODO 4: tell the errors apart; the codes stand at the top of this file. See `error.kind()`.
    //| let _ = error;
    //| (1, "cannot listen")
    // SOLUTION
    match error.kind() {
        ErrorKind::AddrInUse => (3, "another program listens there"),
        ErrorKind::PermissionDenied => (4, "this user may not take that port"),
        ErrorKind::AddrNotAvailable => (5, "this machine has no such address"),
        _ => (1, "cannot listen"),
    }
    // END
}

/// Says that it listens, then greets one client after the other, without end.
fn serve(listener: &TcpListener) -> io::Result<()> {
    println!("READY {}", listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                // A client that has gone already is no reason to end the server.
                if let Err(error) = greet(&stream) {
                    eprintln!("client {peer}: {error}");
                }
            }
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

/// One line. As `stream` is closed by its owner, our side is the first to close: its end of the connection is in TIME_WAIT then.
fn greet(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"Hello!\n")
}
