//! Exercise 8: a thread for each client, and what they share.
//!
//! The conversation is given. The exercise is what lies around it: a thread for each client, a counter that all of them use at
//! once, the number of clients, which is right even after a thread has panicked, and a limit.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, process::ExitCode, thread};

/// More clients at once are told `Busy` and let go.
#[allow(dead_code)] // Yours to use.
const MOST: usize = 100;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e08 --listen HOST:PORT");
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

/// The counters that all threads share.
#[allow(dead_code)] // Yours to use.
#[derive(Default)]
struct Shared {
    // TODO 1: a total that grows, and the number of clients that are there. Several threads change both at once.
}

#[allow(dead_code)] // Yours to use.
impl Shared {
    /// Changes the total: `change` is given the old one and answers with the new one. That takes a moment.
    fn update(&self, change: impl Fn(u64) -> u64) {
        // TODO 2: no change may be lost, however many threads come at once: nobody may come between the read and the write.
        let _ = change;
    }

    fn total(&self) -> u64 {
        0
    }

    fn clients(&self) -> usize {
        0
    }
}

/// Accepts clients without end, each into a thread of its own.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    // TODO 3: a thread for each client, at most MOST at once; the others hear `Busy`.
    // TODO 4: count the clients. A client whose thread panicked is no longer there either: see `Drop`.
    for stream in listener.incoming() {
        drop(stream?); // Nobody is served yet.
    }
    Ok(())
}

/// Talks with one client: `add N`, `total`, `clients`, `WORK ms` (sleeps), `crash`, `quit`; every other line comes back.
#[allow(dead_code)] // Yours to call.
fn converse(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut writer = stream;
    for line in BufReader::new(stream).split(b'\n') {
        let mut line = line?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let mut words = text.split(' ');
        let (command, number) = (words.next(), words.next().and_then(|word| word.parse::<u64>().ok()));
        match (command, number) {
            (Some("add"), Some(count)) => {
                // As slow as a look into a database.
                let slowly = |total| {
                    thread::sleep(Duration::from_micros(50));
                    total + 1
                };
                (0..count).for_each(|_| shared.update(slowly));
                writer.write_all(b"done\n")?;
            }
            (Some("WORK"), Some(time)) => {
                thread::sleep(Duration::from_millis(time));
                writer.write_all(b"done\n")?;
            }
            (Some("total"), None) => writer.write_all(format!("total {}\n", shared.total()).as_bytes())?,
            (Some("clients"), None) => writer.write_all(format!("clients {}\n", shared.clients()).as_bytes())?,
            (Some("quit"), None) => return writer.write_all(b"Goodbye!\n"),
            (Some("crash"), None) => panic!("a client asked for it"),
            _ => {
                line.push(b'\n');
                writer.write_all(&line)?;
            }
        }
    }
    Ok(())
}
