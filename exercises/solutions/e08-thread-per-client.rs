//! Exercise 8: a thread for each client, and what they share.
//!
//! The conversation is given. The exercise is what lies around it: a thread for each client, a counter that all of them use at
//! once, the number of clients, which is right even after a thread has panicked, and a limit.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, process::ExitCode, thread};
// SOLUTION
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
// END

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
    // STARTER
    //| // TODO 1: a total that grows, and the number of clients that are there. Several threads change both at once.
    // SOLUTION
    total: Mutex<u64>,
    clients: AtomicUsize,
    // END
}

#[allow(dead_code)] // Yours to use.
impl Shared {
    /// Changes the total: `change` is given the old one and answers with the new one. That takes a moment.
    fn update(&self, change: impl Fn(u64) -> u64) {
        // STARTER
        //| // TODO 2: no change may be lost, however many threads come at once: nobody may come between the read and the write.
        //| let _ = change;
        // SOLUTION
        let mut total = self.lock();
        *total = change(*total);
        // END
    }

    fn total(&self) -> u64 {
        // STARTER
        //| 0
        // SOLUTION
        *self.lock()
        // END
    }
    // SOLUTION

    /// A thread that panicked with the lock has not half changed a number: it is the old one or the new one.
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }
    // END

    fn clients(&self) -> usize {
        // STARTER
        //| 0
        // SOLUTION
        self.clients.load(Ordering::Relaxed)
        // END
    }
}
// SOLUTION

/// A client that is counted. However its thread ends, by a panic too, this is dropped.
struct Counted(Arc<Shared>);

impl Counted {
    /// `None`: there are as many as there may be. Only the thread that accepts calls this, so nobody can come between.
    fn new(shared: &Arc<Shared>) -> Option<Self> {
        if shared.clients() >= MOST {
            return None;
        }
        shared.clients.fetch_add(1, Ordering::Relaxed);
        Some(Self(Arc::clone(shared)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}
// END

/// Accepts clients without end, each into a thread of its own.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    // STARTER
    //| // TODO 3: a thread for each client, at most MOST at once; the others hear `Busy`.
    //| // TODO 4: count the clients. A client whose thread panicked is no longer there either: see `Drop`.
    //| for stream in listener.incoming() {
    //|     drop(stream?); // Nobody is served yet.
    //| }
    //| Ok(())
    // SOLUTION
    let shared = Arc::new(Shared::default());
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let Some(counted) = Counted::new(&shared) else {
            // It may have gone already.
            let _ = (&stream).write_all(b"Busy\n");
            continue;
        };
        let served = thread::Builder::new().spawn(move || {
            if let Err(error) = converse(&stream, &counted.0) {
                eprintln!("a client: {error}");
            }
        });
        if let Err(error) = served {
            eprintln!("no thread: {error}");
        }
    }
    Ok(())
    // END
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
