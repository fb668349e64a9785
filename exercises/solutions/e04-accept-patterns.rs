//! Exercise 4: to wait for clients, and for time, in one thread.
//!
//! The server greets each client as soon as it comes, and closes. Ten times in a second it writes a line to stderr: `tick 1`,
//! `tick 2`, … A server that only accepts cannot do that: accept sleeps until somebody comes.

// SOLUTION
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
// END
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
    // STARTER
    //| // TODO 2: accept must not sleep, now that `accept_until` does.
    // SOLUTION
    listener.set_nonblocking(true)?;
    // END
    println!("READY {}", listener.local_addr()?);
    let mut tick = 0;
    let mut next = Instant::now() + TICK;
    loop {
        // STARTER
        //| // TODO 3: when `next` has come, it ticks, also while one client comes after the other.
        // SOLUTION
        // Looked at before each accept: as long as clients come, `accept_until` never has to wait.
        if Instant::now() >= next {
            tick += 1;
            eprintln!("tick {tick}");
            // Not `now + TICK`: a tick that was late must not put off all later ones.
            next += TICK;
            continue;
        }
        // END
        if let Some(stream) = accept_until(listener, next)? {
            // A client that has gone already is no reason to end the server.
            if let Err(error) = greet(&stream) {
                eprintln!("a client: {error}");
            }
            // STARTER
            //| continue;
            // SOLUTION
            // END
        }
        // STARTER
        //| tick += 1;
        //| eprintln!("tick {tick}");
        //| next += TICK;
        // SOLUTION
        // END
    }
}

/// The next client, or nothing if none comes before `deadline`.
fn accept_until(listener: &TcpListener, deadline: Instant) -> io::Result<Option<TcpStream>> {
    // STARTER
    //| // TODO 1: try accept; if there is nobody, sleep in the kernel until the listener is readable or the deadline has come:
    //| // `nix::poll::poll`. Neither spin nor sleep by the clock.
    //| let _ = deadline;
    //| listener.accept().map(|(stream, _)| Some(stream))
    // SOLUTION
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                // On some systems a stream takes this over from its listener.
                stream.set_nonblocking(false)?;
                return Ok(Some(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                eprintln!("accept: {error}");
                // For all other errors (no descriptor left, perhaps): the next try comes after the next tick.
                std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
                return Ok(None);
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        // Rounded up: a wait of 0 ms would be no wait, and the loop would spin for the rest of the millisecond.
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // END
}

fn greet(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"Hello!\n")
}
