//! Exercise 17: a command server: a protocol on a pool of threads, with numbers that are right.
//!
//! The conversation is given, and short; exercise 16 has a whole protocol. The exercise is the server below it: workers that are
//! started once, a queue with an end, an answer for clients that find it full, and counters that many threads change at once.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, process::ExitCode, thread};
// SOLUTION
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
// END

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
    // STARTER
    //| // TODO 1: the queue, with what a worker waits on, and the counters.
    // SOLUTION
    waiting: Mutex<Waiting>,
    /// A client was put into the queue.
    more: Condvar,
    active: AtomicU64,
    served: AtomicU64,
    refused: AtomicU64,
    commands: AtomicU64,
    // END
}

impl Server {
    /// One line was answered. Called before the answer is sent: a client that has it may rely on the count.
    #[allow(dead_code)] // Yours to call.
    fn count_command(&self) {
        // STARTER
        //| // TODO 2: count. Several threads come here at once.
        // SOLUTION
        self.commands.fetch_add(1, Ordering::Relaxed);
        // END
    }

    /// The clients that a worker serves now, those whose conversation is over, those that were refused, and the lines that were
    /// answered.
    #[allow(dead_code)] // Yours to call.
    fn stats(&self) -> String {
        // STARTER
        //| let (active, served, refused, commands) = (0, 0, 0, 0);
        // SOLUTION
        let [active, served, refused, commands] =
            [&self.active, &self.served, &self.refused, &self.commands].map(|number| number.load(Ordering::Relaxed));
        // END
        format!("STATS active {active} served {served} refused {refused} commands {commands}")
    }
    // SOLUTION

    /// Each change of the queue is one step, so a thread that panicked with the lock left a good one.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a client in; gives it back if there is no place.
    fn put(&self, client: TcpStream) -> Result<(), TcpStream> {
        let mut waiting = self.lock();
        if waiting.clients.len() >= PLACES + waiting.idle {
            return Err(client);
        }
        waiting.clients.push_back(client);
        self.more.notify_one();
        Ok(())
    }

    /// Waits until there is a client, and takes it out.
    fn take(&self) -> TcpStream {
        let mut waiting = self.lock();
        waiting.idle += 1;
        loop {
            if let Some(client) = waiting.clients.pop_front() {
                waiting.idle -= 1;
                return client;
            }
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Serves clients from the queue, without end.
    fn work(&self) {
        loop {
            let client = self.take();
            // A handler that panics ends its client and not its worker.
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let _active = Active::new(self);
                converse(&client, self)
            }));
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("a client: {error}"),
                Err(_) => eprintln!("a client: its handler panicked"),
            }
        }
    }
    // END
}
// SOLUTION

/// Clients that wait for a worker, in the order in which they came.
#[derive(Default)]
struct Waiting {
    clients: VecDeque<TcpStream>,
    /// Workers with nothing to do. A client that one of them will take needs no place in the queue.
    idle: usize,
}

/// A client that is being served. However that ends, by a panic too, this is dropped.
struct Active<'a>(&'a Server);

impl<'a> Active<'a> {
    fn new(server: &'a Server) -> Self {
        server.active.fetch_add(1, Ordering::Relaxed);
        Self(server)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
        self.0.served.fetch_add(1, Ordering::Relaxed);
    }
}
// END

/// Accepts clients without end, and hands them to the workers.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    // STARTER
    //| // TODO 3: start the workers, once.
    //| // TODO 4: hand each client to them; `ERR busy` and the end, at once, if there is no place.
    //| // TODO 5: a handler that panics (`CRASH`) costs no worker, and its client is no longer active.
    //| println!("READY {}", listener.local_addr()?);
    //| for stream in listener.incoming() {
    //|     drop(stream?); // Nobody is served yet.
    //| }
    //| Ok(())
    // SOLUTION
    let server = Arc::new(Server::default());
    for _ in 0..WORKERS {
        let server = Arc::clone(&server);
        thread::Builder::new().spawn(move || server.work())?;
    }
    println!("READY {}", listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((client, peer)) => {
                if let Err(client) = server.put(client) {
                    server.refused.fetch_add(1, Ordering::Relaxed);
                    eprintln!("client {peer}: busy");
                    // It may have gone already.
                    let _ = (&client).write_all(b"ERR busy\n");
                }
            }
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
    // END
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
