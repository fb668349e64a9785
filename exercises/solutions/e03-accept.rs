//! Exercise 3: an accept loop that lasts.
//!
//! An echo server with a thread for each client. The threads are given; the loop that accepts is the exercise: it must go on
//! whatever accept answers, must not burn the processor while it cannot accept, and says of each client where it comes from
//! and where it arrived: `accepted 127.0.0.1:51622 at 127.0.0.1:8080`.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::{env, process::ExitCode, thread};
// SOLUTION
use std::io::ErrorKind;
use std::time::Duration;
// END

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

// SOLUTION
/// So long the loop rests when the system has no descriptor or no memory left. Something has to be closed first.
const REST: Duration = Duration::from_millis(100);

/// The meaning of an error of accept for the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// It is about one connection, or about nothing: the next accept may succeed.
    Next,
    /// Something is used up: the next accept fails as well, until somebody gives something back.
    Rest,
    /// The listener itself is of no use any more.
    End,
}

/// "Bad file descriptor": the listener is closed. Its kind has no name in std.
const EBADF: i32 = 9;

fn class(error: &io::Error) -> Class {
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted, _) => Class::Next,
        // This socket does not listen: EINVAL.
        (ErrorKind::InvalidInput, _) | (_, Some(EBADF)) => Class::End,
        // EMFILE, ENFILE, ENOBUFS, ENOMEM; and an error that we do not know: a rest does no harm.
        _ => Class::Rest,
    }
}
// END

/// Accepts clients without end, each into a thread of its own.
fn run(listener: &TcpListener) -> io::Result<()> {
    println!("READY {}", listener.local_addr()?);
    // STARTER
    //| // TODO 1: log each client, `accepted PEER at LOCAL`. It may have gone by the time you look: no unwrap.
    //| // TODO 2: an error of accept ends nothing, unless the listener itself is broken.
    //| // TODO 3: out of descriptors, accept fails at once, again and again: rest for 100 ms, and say so once.
    //| loop {
    //|     let (stream, _peer) = listener.accept()?;
    //|     start(stream)?;
    //| }
    // SOLUTION
    let mut resting = false;
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                if resting {
                    eprintln!("accept: goes on");
                    resting = false;
                }
                // The client may have gone already. Then the stream does not know its peer any more; accept told us.
                match stream.local_addr() {
                    Ok(local) => eprintln!("accepted {peer} at {local}"),
                    Err(error) => eprintln!("accepted {peer}: {error}"),
                }
                if let Err(error) = start(stream) {
                    eprintln!("client {peer}: no thread: {error}");
                }
            }
            Err(error) => match class(&error) {
                Class::Next => eprintln!("accept: {error}"),
                Class::Rest => {
                    if !resting {
                        eprintln!("accept: {error}: rests until something is closed");
                        resting = true;
                    }
                    thread::sleep(REST);
                }
                Class::End => return Err(error),
            },
        }
    }
    // END
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
