//! Exercise 9: a fixed number of threads, and a queue with an end.
//!
//! The conversation is given. The exercise is the pool: workers that are started once, a queue between the thread that accepts
//! and them, an answer for clients that find the queue full, and a worker that survives a handler that panics.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, process::ExitCode, thread};
// SOLUTION
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
// END

/// The number of clients that are served at once.
const WORKERS: usize = 4;
/// The number of those that may wait. The next one is told `Busy` and let go.
const PLACES: usize = 8;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e09 --listen HOST:PORT");
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
// SOLUTION

/// Clients that wait for a worker, in the order in which they came.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Something was put in.
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    clients: VecDeque<TcpStream>,
    /// Workers with nothing to do. A client that one of them will take needs no place in the queue.
    idle: usize,
}

impl Queue {
    /// A thread that panicked with the lock left the queue as it was: each change of it is one step.
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
            // A wait may end for nothing, or another worker may have been faster: so it is a loop.
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Serves clients from the queue, without end.
fn work(queue: &Queue) {
    loop {
        let client = queue.take();
        // A handler that panics ends its client and not its worker. It shares nothing that could be half changed.
        match catch_unwind(AssertUnwindSafe(|| converse(&client))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("a client: {error}"),
            Err(_) => eprintln!("a client: its handler panicked"),
        }
    }
}
// END

/// Accepts clients without end, and hands them to the workers.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    // STARTER
    //| // TODO 1: start WORKERS threads, once. They share a queue: a `Mutex` and a `Condvar`.
    //| // TODO 2: hand each client to them. If all are busy and PLACES clients wait, answer `Busy` and close, at once.
    //| // TODO 3: a handler that panics (`crash`) must not cost a worker: `std::panic::catch_unwind`.
    //| let _ = (WORKERS, PLACES);
    //| println!("READY {}", listener.local_addr()?);
    //| for stream in listener.incoming() {
    //|     drop(stream?); // Nobody is served yet.
    //| }
    //| Ok(())
    // SOLUTION
    let queue = Arc::new(Queue::default());
    for _ in 0..WORKERS {
        let queue = Arc::clone(&queue);
        thread::Builder::new().spawn(move || work(&queue))?;
    }
    println!("READY {}", listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((client, peer)) => {
                if let Err(client) = queue.put(client) {
                    eprintln!("client {peer}: busy");
                    // It may have gone already.
                    let _ = (&client).write_all(b"Busy\n");
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

/// Talks with one client: `WORK ms` (sleeps), `crash`, `quit`; every other line comes back.
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
            (b"quit", _) => return writer.write_all(b"Goodbye!\n"),
            (b"crash", _) => panic!("a client asked for it"),
            _ => {
                line.push(b'\n');
                writer.write_all(&line)?;
            }
        }
    }
    Ok(())
}
