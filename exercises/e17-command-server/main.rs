//! Exercise 17: a command server: a protocol on a pool of threads, with numbers that are right.
//!
//! The conversation is given, and short; exercise 16 has a whole protocol. The exercise is the server below it: workers that are
//! started once, a queue with an end, an answer for clients that find it full, and counters that many threads change at once.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, process::ExitCode, thread};

/// The number of clients that are served at once.
#[allow(dead_code)] // Yours to use.
const WORKERS: usize = 50;
/// The number of clients that may wait for a worker. The next one is told `ERR busy` and let go.
#[allow(dead_code)] // Yours to use.
const PLACES: usize = 10;
/// The most bytes of a line, its end included. A longer one ends the conversation.
const LONGEST_LINE: u64 = 512;
/// The longest time that a client may keep a worker busy with one command, in milliseconds.
const LONGEST_WORK: u64 = 10_000;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e17 --listen HOST:PORT");
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

/// The state that the accepting thread and all workers share.
#[derive(Default)]
struct Server {
    // TODO 1: the queue, with what a worker waits on, and the counters.
}

impl Server {
    /// One line was answered. Called before the answer is sent: a client that has it may rely on the count.
    #[allow(dead_code)] // Yours to call.
    fn count_command(&self) {
        // TODO 2: count. Several threads come here at once.
    }

    /// The clients that a worker serves now, those whose conversation is over, those that were refused, and the lines that were
    /// answered.
    #[allow(dead_code)] // Yours to call.
    fn stats(&self) -> String {
        let (active, served, refused, commands) = (0, 0, 0, 0);
        format!("STATS active {active} served {served} refused {refused} commands {commands}")
    }
}

/// Accepts clients without end, and hands them to the workers.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    // TODO 3: start the workers, once.
    // TODO 4: hand each client to them; `ERR busy` and the end, at once, if there is no place.
    // TODO 5: a handler that panics (`CRASH`) costs no worker, and its client is no longer active.
    println!("READY {}", listener.local_addr()?);
    for stream in listener.incoming() {
        drop(stream?); // Nobody is served yet.
    }
    Ok(())
}

/// Answers the lines of one client. A line that is no command is answered, too, and the conversation goes on.
#[allow(dead_code)] // Yours to call.
fn converse(stream: &TcpStream, server: &Server) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["PING"] => "PONG".to_owned(),
            ["STATS"] => server.stats(),
            ["QUIT"] => "BYE".to_owned(),
            ["CRASH"] => panic!("a client asked for it"),
            ["WORK", time] => match time.parse() {
                Ok(time) if time <= LONGEST_WORK => {
                    thread::sleep(Duration::from_millis(time));
                    "OK".to_owned()
                }
                _ => "ERR out of range".to_owned(),
            },
            _ => "ERR bad command".to_owned(),
        };
        server.count_command();
        writer.write_all((answer + "\n").as_bytes())?;
        if words == ["QUIT"] {
            return Ok(());
        }
    }
}
