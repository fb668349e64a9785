//! Exercise 14: a dispatcher. One thread accepts clients and decides which of four workers serves each.
//!
//! A worker is a thread with a loop of its own, and serves many clients. It is given. The exercise is the thread before the
//! workers: to choose, to hand over without waiting, and to know how many clients each worker has, however they go.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, process::ExitCode, thread};
// SOLUTION
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
// END

/// The number of workers.
const WORKERS: usize = 4;
/// The most bytes of a line, its end included; a longer one ends the conversation.
const LONGEST_LINE: usize = 4096;
/// While more bytes than this wait for a client, none of its lines is answered.
const ENOUGH: usize = 64 * 1024;
/// The longest time that a client may keep its worker busy with one line, in milliseconds.
const LONGEST_WORK: u64 = 60_000;

/// How a worker is chosen.
#[derive(Clone, Copy)]
enum Policy {
    /// Each in its turn.
    RoundRobin,
    /// The one with the fewest clients; of several, the one whose turn it is.
    LeastClients,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (address, policy) = match args[..] {
        ["--listen", address] | ["--listen", address, "--policy", "round-robin"] => (address, Policy::RoundRobin),
        ["--listen", address, "--policy", "least-clients"] => (address, Policy::LeastClients),
        _ => {
            eprintln!("usage: e14 --listen HOST:PORT [--policy round-robin|least-clients]");
            return ExitCode::from(2);
        }
    };
    match run(address, policy) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A worker, as all threads see it.
struct Worker {
    /// Clients that were handed over, and that its loop has not taken yet.
    inbox: Mutex<Vec<Client>>,
    /// The two ends of what wakes its loop.
    ring: UnixStream,
    bell: UnixStream,
    // STARTER
    //| // TODO 1: the number of its clients. The dispatcher reads it, and each client that goes changes it.
    // SOLUTION
    /// The number of its clients, those in the inbox included.
    clients: AtomicUsize,
    // END
}

impl Worker {
    fn new() -> io::Result<Self> {
        let (ring, bell) = UnixStream::pair()?;
        ring.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        // STARTER
        //| Ok(Self { inbox: Mutex::default(), ring, bell })
        // SOLUTION
        Ok(Self { inbox: Mutex::default(), ring, bell, clients: AtomicUsize::new(0) })
        // END
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Client>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a client over, and does not wait for anything.
    fn give(&self, client: Client) {
        self.lock().push(client);
        let _ = (&self.ring).write(&[0]);
    }

    /// The number of its clients.
    fn count(&self) -> usize {
        // STARTER
        //| 0
        // SOLUTION
        self.clients.load(Ordering::SeqCst)
        // END
    }
}
// SOLUTION

/// A client's place with its worker. However the client goes, by a panic too, this is dropped.
struct Place(Arc<Worker>);

impl Place {
    /// Counts at once: when the next client comes, the loop of that worker may not have run yet.
    fn new(worker: &Arc<Worker>) -> Self {
        worker.clients.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(worker))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::SeqCst);
    }
}
// END

/// The thread that accepts: what it needs to choose.
struct Dispatcher {
    workers: Vec<Arc<Worker>>,
    #[allow(dead_code)] // Yours to use.
    policy: Policy,
    /// The worker whose turn it is.
    #[allow(dead_code)] // Yours to use.
    next: usize,
}

impl Dispatcher {
    /// The worker for the next client.
    fn pick(&mut self) -> usize {
        // STARTER
        //| // TODO 2: by the policy.
        //| 0
        // SOLUTION
        let picked = match self.policy {
            Policy::RoundRobin => self.next,
            Policy::LeastClients => {
                // Equal workers take turns: else the first one would serve all clients that come one after the other.
                let turn = |number: usize| (number + WORKERS - self.next) % WORKERS;
                let all = 0..self.workers.len();
                all.min_by_key(|number| (self.workers[*number].count(), turn(*number))).unwrap_or(self.next)
            }
        };
        self.next = (picked + 1) % WORKERS;
        picked
        // END
    }

    fn dispatch(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let picked = self.pick();
        let worker = &self.workers[picked];
        // STARTER
        //| // TODO 3: from here on it counts as one of the worker's clients, until it goes: by `quit`, its end, an error, a panic.
        //| let client = Client { stream, input: Vec::new(), output: Vec::new(), ended: false };
        // SOLUTION
        let place = Place::new(worker);
        let client = Client { _place: place, stream, input: Vec::new(), output: Vec::new(), ended: false };
        // END
        worker.give(client);
        Ok(())
    }
}

/// Accepts clients without end.
fn run(address: &str, policy: Policy) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let workers: Vec<Arc<Worker>> = (0..WORKERS).map(|_| Worker::new().map(Arc::new)).collect::<Result<_, _>>()?;
    for number in 0..WORKERS {
        let workers = workers.clone();
        // STARTER
        //| // TODO 4: a worker that panics takes its clients with it. Those that come later must be served.
        //| thread::Builder::new().spawn(move || serve(number, &workers))?;
        // SOLUTION
        thread::Builder::new().spawn(move || {
            loop {
                // A panic drops all its clients. Those in its inbox are still there, and it begins anew.
                match catch_unwind(AssertUnwindSafe(|| serve(number, &workers))) {
                    Ok(Err(error)) => eprintln!("worker {}: {error}", number + 1),
                    _ => eprintln!("worker {}: panicked, begins anew", number + 1),
                }
            }
        })?;
        // END
    }
    println!("READY {}", listener.local_addr()?);
    let mut dispatcher = Dispatcher { workers, policy, next: 0 };
    loop {
        let dispatched = listener.accept().and_then(|(stream, _)| dispatcher.dispatch(stream));
        if let Err(error) = dispatched {
            eprintln!("accept: {error}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The loop of a worker.
fn serve(number: usize, workers: &[Arc<Worker>]) -> io::Result<()> {
    let worker = &workers[number];
    let mut clients: Vec<Client> = Vec::new();
    loop {
        clients.append(&mut worker.lock());
        let mut waiting = vec![PollFd::new(worker.bell.as_fd(), PollFlags::POLLIN)];
        waiting.extend(clients.iter().map(|client| PollFd::new(client.stream.as_fd(), client.interest())));
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = waiting.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        let _ = (&worker.bell).read(&mut [0; 1024]);
        for (client, ready) in clients.iter_mut().zip(&ready[1..]) {
            if *ready && client.go_on(number, workers).is_err() {
                client.output.clear();
                client.ended = true;
            }
        }
        clients.retain(|client| !client.is_over());
    }
}

/// A client of a worker.
struct Client {
    // SOLUTION
    /// Fields are dropped in their order: a client that sees the end of its connection is not counted any more.
    _place: Place,
    // END
    stream: TcpStream,
    /// Read, and not answered yet.
    input: Vec<u8>,
    /// Answered, and not taken by the socket yet.
    output: Vec<u8>,
    /// Nothing more is read; what waits still goes out.
    ended: bool,
}

impl Client {
    fn is_over(&self) -> bool {
        self.ended && self.output.is_empty()
    }

    /// While output waits, nothing is read.
    fn interest(&self) -> PollFlags {
        if self.output.is_empty() { PollFlags::POLLIN } else { PollFlags::POLLOUT }
    }

    /// Sends what waits, or reads once; then answers lines while there is room. It waits for nothing.
    fn go_on(&mut self, number: usize, workers: &[Arc<Worker>]) -> io::Result<()> {
        if self.output.is_empty() {
            let mut piece = [0; LONGEST_LINE];
            match self.stream.read(&mut piece) {
                Ok(0) => self.ended = true,
                Ok(count) => self.input.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        loop {
            self.answer_lines(number, workers);
            if self.output.is_empty() {
                return Ok(());
            }
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn answer_lines(&mut self, number: usize, workers: &[Arc<Worker>]) {
        while self.output.len() < ENOUGH {
            let end = self.input.iter().position(|byte| *byte == b'\n');
            if end.unwrap_or(self.input.len()) >= LONGEST_LINE {
                return self.part(b"too long\n");
            }
            let Some(end) = end else { return };
            let line: Vec<u8> = self.input.drain(..=end).collect();
            match answer(&line, number, workers) {
                Some(bytes) => self.output.extend(bytes),
                None => return self.part(b"Goodbye!\n"),
            }
        }
    }

    fn part(&mut self, words: &[u8]) {
        self.output.extend(words);
        self.input.clear();
        self.ended = true;
    }
}

/// The answer to a line. `None`: the goodbye.
fn answer(line: &[u8], number: usize, workers: &[Arc<Worker>]) -> Option<Vec<u8>> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let time = std::str::from_utf8(text).ok().and_then(|text| text.strip_prefix("WORK ")?.parse().ok());
    match (text, time) {
        (b"WORKER", _) => Some(format!("worker {}\n", number + 1).into_bytes()),
        (b"COUNTS", _) => {
            let counts: Vec<String> = workers.iter().map(|worker| worker.count().to_string()).collect();
            Some(format!("clients {}\n", counts.join(" ")).into_bytes())
        }
        (b"CRASH", _) => panic!("a client asked for it"),
        (b"quit", _) => None,
        (_, Some(time)) if time <= LONGEST_WORK => {
            // All clients of this worker wait meanwhile.
            thread::sleep(Duration::from_millis(time));
            Some(b"done\n".to_vec())
        }
        _ => Some(line.to_vec()),
    }
}
