//! Exercise 13: a loop that serves all clients, and a pool of threads that work for it.
//!
//! The loop is one as in exercise 12. New is work that takes long: no client may wait because another has asked for some. So
//! it goes to the pool, and the result comes back to the loop, which knows for whom it is.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Duration;
use std::{env, io, process::ExitCode, thread};
// SOLUTION
use std::os::unix::net::UnixStream;
use std::panic::catch_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
// END

/// The number of threads that work.
#[allow(dead_code)] // Yours to use.
const WORKERS: usize = 4;
/// The longest time that a client may ask for, in milliseconds.
const LONGEST_WORK: u64 = 60_000;

/// A line with its end has at most so many bytes. A longer one is answered with `too long` and the end.
const LONGEST_LINE: usize = 4096;
/// While more bytes than this wait for a client, none of its lines is answered, and nothing is read from it.
const ENOUGH: usize = 64 * 1024;
/// More than that is not given.
const MOST: usize = 16 * 1024 * 1024;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e13 --listen HOST:PORT");
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

/// The answer to a line, which has its end. `None`: the goodbye, and no answer after it.
fn answer(line: &[u8]) -> Option<Vec<u8>> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let number = std::str::from_utf8(text).ok().and_then(|text| text.strip_prefix("give ")?.parse().ok());
    match number.filter(|count| *count <= MOST) {
        _ if text == b"quit" => None,
        // The pattern shows whether a byte was left out or sent twice.
        Some(count) => Some((0..count).map(|at| (at % 251) as u8).collect()),
        None => Some(line.to_vec()),
    }
}

/// Whether a line asks for work: `WORK MS TEXT`, or `CRASH`.
fn is_work(line: &[u8]) -> bool {
    line.starts_with(b"WORK ") || line == b"CRASH\n"
}

/// Does the work of a line, which takes as long as it says, and returns the answer. Never to be called by the thread of the loop.
#[allow(dead_code)] // Yours to call.
fn work(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.trim_end().splitn(3, ' ');
    match (words.next(), words.next().and_then(|time| time.parse().ok()), words.next()) {
        (Some("CRASH"), ..) => panic!("a client asked for it"),
        (_, Some(time), Some(text)) if time <= LONGEST_WORK => {
            thread::sleep(Duration::from_millis(time));
            format!("done {text}\n").into_bytes()
        }
        _ => b"what work?\n".to_vec(),
    }
}

/// The state of one connection.
struct Client {
    stream: TcpStream,
    /// Read, and not answered yet.
    input: Vec<u8>,
    /// Answered, and not taken by the socket yet.
    output: VecDeque<u8>,
    /// Nothing more is read: the client has sent its FIN, or has been told goodbye. Its output still goes out.
    ended: bool,
    /// Nothing can be said to it any more.
    broken: bool,
    // STARTER
    //| // TODO 1: whether work of its runs. Until the result is there, none of its further lines is answered, and nothing is read.
    // SOLUTION
    /// Work of its runs. Until the result is there, none of its further lines is answered, and nothing is read.
    works: bool,
    // END
}

impl Client {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // STARTER
        //| Ok(Self { stream, input: Vec::new(), output: VecDeque::new(), ended: false, broken: false })
        // SOLUTION
        Ok(Self { stream, input: Vec::new(), output: VecDeque::new(), ended: false, broken: false, works: false })
        // END
    }

    /// Whether its next line may be answered now.
    fn has_room(&self) -> bool {
        // STARTER
        //| self.output.len() <= ENOUGH
        // SOLUTION
        self.output.len() <= ENOUGH && !self.works
        // END
    }

    fn has_line(&self) -> bool {
        self.input.contains(&b'\n')
    }

    fn is_over(&self) -> bool {
        // SOLUTION
        // Nothing is read while work of its runs: so a client that has ended does not work.
        // END
        self.broken || (self.ended && self.output.is_empty() && !self.has_line())
    }

    /// Lines that were read already come first. So the input is never much longer than a line and one read.
    fn reads(&self) -> bool {
        !self.ended && self.has_room() && !self.has_line()
    }

    /// The events that it waits for. To ask for one that is not used would wake us again and again.
    fn interest(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, self.reads());
        // A line that was left for later is answered when there is room: no event tells of bytes that were read already.
        // STARTER
        //| flags.set(PollFlags::POLLOUT, !self.output.is_empty() || self.has_line());
        // SOLUTION
        flags.set(PollFlags::POLLOUT, !self.output.is_empty() || (self.has_line() && !self.works));
        // END
        flags
    }

    /// Does all that can be done without waiting, and a bounded part of it: others want their turn. Returns a line that asks for
    /// work, if its turn has come.
    fn go_on(&mut self, events: PollFlags) -> Option<Vec<u8>> {
        let hung_up = PollFlags::POLLHUP | PollFlags::POLLERR;
        let went = match () {
            () if self.reads() => self.read(),
            // poll tells of a reset even if nothing is asked for, and would do so again and again.
            () if events.intersects(hung_up) => Err(ErrorKind::ConnectionReset.into()),
            () => Ok(()),
        };
        let work = self.answer_lines();
        if let Err(error) = went.and_then(|()| self.write()) {
            eprintln!("a client: {error}");
            self.broken = true;
        }
        work
    }

    /// One read. Bytes beyond it wake us again.
    fn read(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => self.ended = true,
            Ok(count) => self.input.extend_from_slice(&piece[..count]),
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Answers complete lines while there is room, up to one that asks for work.
    fn answer_lines(&mut self) -> Option<Vec<u8>> {
        while self.has_room() {
            let end = self.input.iter().position(|byte| *byte == b'\n');
            if end.unwrap_or(self.input.len()) >= LONGEST_LINE {
                self.part(b"too long\n");
                break;
            }
            let line: Vec<u8> = self.input.drain(..=end?).collect();
            if is_work(&line) {
                // STARTER
                //| self.output.extend(b"not yet\n"); // TODO 2
                //| continue;
                // SOLUTION
                self.works = true;
                return Some(line);
                // END
            }
            match answer(&line) {
                Some(bytes) => self.output.extend(bytes),
                None => self.part(b"Goodbye!\n"),
            }
        }
        None
    }
    // SOLUTION

    /// Takes the result of its work.
    fn finish(&mut self, result: Vec<u8>) {
        self.output.extend(result);
        self.works = false;
    }
    // END

    /// The last words. Nothing that the client sends is of interest any more.
    fn part(&mut self, words: &[u8]) {
        self.output.extend(words);
        self.input.clear();
        self.ended = true;
    }

    /// Sends until there is nothing left or no room; the rest stays where it is.
    fn write(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(self.output.as_slices().0) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if is_pause(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether a call could do nothing although nothing is wrong.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

// SOLUTION

/// A line that asks for work, and the number of the client that sent it.
struct Job {
    client: u64,
    line: Vec<u8>,
}

/// The threads that work. A job goes in here, its result comes out there, and the bell tells the loop that one is there.
struct Pool {
    jobs: Sender<Job>,
    results: Receiver<(u64, Vec<u8>)>,
    bell: UnixStream,
}

impl Pool {
    fn new() -> io::Result<Self> {
        let (jobs, waiting) = channel();
        let (done, results) = channel();
        let (ring, bell) = UnixStream::pair()?;
        // A worker must not wait because the bell has rung often: once is enough. The loop must not wait for it at all.
        ring.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..WORKERS {
            let (waiting, done, ring) = (Arc::clone(&waiting), done.clone(), ring.try_clone()?);
            thread::Builder::new().spawn(move || work_without_end(&waiting, &done, &ring))?;
        }
        Ok(Self { jobs, results, bell })
    }

    /// The results that are there. The bell is silenced first: one that comes between the two rings it again.
    fn results(&self) -> Vec<(u64, Vec<u8>)> {
        let _ = (&self.bell).read(&mut [0; 1024]);
        self.results.try_iter().collect()
    }

    fn start(&self, client: u64, line: Option<Vec<u8>>) {
        if let Some(line) = line {
            let _ = self.jobs.send(Job { client, line });
        }
    }
}

/// The life of a worker. If its work panics, it goes on with the next.
fn work_without_end(jobs: &Mutex<Receiver<Job>>, done: &Sender<(u64, Vec<u8>)>, mut ring: &UnixStream) {
    loop {
        // The lock is let go at the end of this line.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { client, line }) = job else { return };
        let result = catch_unwind(|| work(&line)).unwrap_or_else(|_| b"failed\n".to_vec());
        if done.send((client, result)).is_err() {
            return;
        }
        let _ = ring.write(&[0]);
    }
}
// END

/// Waits for events, of all that are given, in their order.
fn wait(waiting: &mut [PollFd<'_>], timeout: PollTimeout) -> io::Result<Vec<PollFlags>> {
    match poll(waiting, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    // An error or a hang-up is an event, too.
    Ok(waiting.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect())
}

/// Accepts all clients that are there. `false`: it cannot, for now.
fn accept_all(listener: &TcpListener, clients: &mut BTreeMap<u64, Client>, next: &mut u64) -> bool {
    loop {
        match listener.accept() {
            Ok((stream, peer)) => match Client::new(stream) {
                Ok(client) => {
                    // A number is never given twice, as a place in a list or a descriptor is.
                    clients.insert(*next, client);
                    *next += 1;
                }
                Err(error) => eprintln!("client {peer}: {error}"),
            },
            Err(error) if is_pause(&error) => return true,
            Err(error) => {
                eprintln!("accept: {error}");
                return false;
            }
        }
    }
}

/// Serves all clients in this thread, without end.
fn run(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    // STARTER
    //| // TODO 3: WORKERS threads, started once; a queue of jobs; a way back for results. A worker survives work that panics: its
    //| // client hears `failed`.
    // SOLUTION
    let pool = Pool::new()?;
    // END
    println!("READY {}", listener.local_addr()?);
    let mut clients: BTreeMap<u64, Client> = BTreeMap::new();
    let (mut accepts, mut next) = (true, 0);
    loop {
        // Without a descriptor for it, a client that waits in the listener's queue would wake us again and again: look away.
        let (flags, timeout) = match accepts {
            true => (PollFlags::POLLIN, PollTimeout::NONE),
            false => (PollFlags::empty(), PollTimeout::from(100u8)),
        };
        let mut waiting = vec![PollFd::new(listener.as_fd(), flags)];
        // STARTER
        //| // TODO 4: a worker that has a result must wake the loop: a descriptor in this list, before or behind the others.
        //| waiting.extend(clients.values().map(|client| PollFd::new(client.stream.as_fd(), client.interest())));
        //| let events = wait(&mut waiting, timeout)?;
        //| let [of_listener, of_clients @ ..] = &events[..] else { continue };
        //| // TODO 5: give each result to the client that asked, if it is still there, and go on with its next lines.
        //| for (client, events) in clients.values_mut().zip(of_clients) {
        //|     if !events.is_empty() {
        //|         client.go_on(*events); // TODO 2: this returns a line that asks for work.
        //|     }
        //| }
        // SOLUTION
        waiting.push(PollFd::new(pool.bell.as_fd(), PollFlags::POLLIN));
        waiting.extend(clients.values().map(|client| PollFd::new(client.stream.as_fd(), client.interest())));
        let events = wait(&mut waiting, timeout)?;
        let [of_listener, of_bell, of_clients @ ..] = &events[..] else { continue };
        for ((number, client), events) in clients.iter_mut().zip(of_clients) {
            if !events.is_empty() {
                pool.start(*number, client.go_on(*events));
            }
        }
        let results = if of_bell.is_empty() { Vec::new() } else { pool.results() };
        for (number, result) in results {
            // The client may have gone meanwhile.
            if let Some(client) = clients.get_mut(&number) {
                client.finish(result);
                pool.start(number, client.go_on(PollFlags::empty()));
            }
        }
        // END
        // After the round: within it, the order of the clients must stay that of the events.
        clients.retain(|_, client| !client.is_over());
        accepts = of_listener.is_empty() || accept_all(listener, &mut clients, &mut next);
    }
}
