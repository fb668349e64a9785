//! Exercise 7: a process for each client.
//!
//! The parent accepts, and starts itself again for each client, with the client's socket as the child's standard input. A child
//! that breaks takes nobody with it. The conversation is given; the exercise is the life of the children: how they get their
//! socket, who closes what, and who waits for them when they have ended.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Duration;
use std::{env, process, process::ExitCode, thread};
// SOLUTION
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
// END

/// More clients at once are told `Busy` and let go: a process for each of them costs more than this machine has.
#[allow(dead_code)] // Yours to use.
const MOST: usize = 40;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let done = match (args.next().as_deref(), args.next()) {
        (Some("--listen"), Some(address)) => run(&address),
        // The parent starts us like this: the client is our standard input.
        (Some("--serve-stdin"), None) => client().and_then(|stream| converse(&stream)),
        _ => {
            eprintln!("usage: e07 --listen HOST:PORT");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Accepts clients without end, each into a process of its own. When a client's process has ended, one line on stderr says how:
/// `client 127.0.0.1:51622: exit status: 0`.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    // STARTER
    //| // TODO 1: start a child for each client. The parent must not keep the client's socket.
    //| // TODO 2: wait for each child when it has ended, without keeping the next client waiting.
    //| // TODO 3: not more than MOST at once; the others hear `Busy`.
    //| for stream in listener.incoming() {
    //|     drop(stream?); // Nobody is served yet.
    //| }
    //| Ok(())
    // SOLUTION
    let running = Arc::new(AtomicUsize::new(0));
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if running.load(Ordering::Relaxed) >= MOST {
            // It may have gone already.
            let _ = (&stream).write_all(b"Busy\n");
            continue;
        }
        let mut child = match start(stream) {
            Ok(child) => child,
            Err(error) => {
                eprintln!("client {peer}: no process: {error}");
                continue;
            }
        };
        // A thread that only waits costs little, and there is no child that nobody waits for.
        running.fetch_add(1, Ordering::Relaxed);
        let done = Arc::clone(&running);
        thread::spawn(move || {
            let ended = child.wait();
            done.fetch_sub(1, Ordering::Relaxed);
            match ended {
                Ok(status) => eprintln!("client {peer}: {status}"),
                Err(error) => eprintln!("client {peer}: {error}"),
            }
        });
    }
    // END
}
// SOLUTION

/// Starts a process that serves `stream`. Ours is closed when the command has been used: only the child has the client then.
fn start(stream: TcpStream) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .arg("--serve-stdin")
        .stdin(Stdio::from(OwnedFd::from(stream)))
        .stdout(Stdio::null())
        .spawn()
}
// END

/// The client of this process.
fn client() -> io::Result<TcpStream> {
    Ok(TcpStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Talks with one client: `pid`, `WORK ms` (sleeps), `crash`, `quit`; every other line comes back.
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
            (b"pid", _) => writer.write_all(format!("{}\n", process::id()).as_bytes())?,
            (b"crash", _) => process::abort(),
            (b"quit", _) => return writer.write_all(b"Goodbye!\n"),
            _ => {
                line.push(b'\n');
                writer.write_all(&line)?;
            }
        }
    }
    Ok(())
}
