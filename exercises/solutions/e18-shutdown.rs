//! Exercise 18: a command server that ends without harm, and is after two thousand clients what it was before them.
//!
//! The pool is that of exercise 17. New is the end: on a signal no client is taken any more, a command that runs is answered,
//! clients that wait for nothing are let go, and what takes too long is cut off and counted.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, process::ExitCode, thread};
// SOLUTION
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
// END

/// The number of clients that are served at once.
const WORKERS: usize = 50;
/// The number of clients that may wait for a worker. The next one is told `ERR busy` and let go.
const PLACES: usize = 10;
/// The most bytes of a line, its end included. A longer one ends the conversation.
const LONGEST_LINE: u64 = 512;
/// The longest time that a client may keep a worker busy with one command, in milliseconds.
const LONGEST_WORK: u64 = 60_000;
/// Unread bytes of a client are read before its close, up to here: the kernel answers a close with unread bytes with a reset.
const MOST_DRAINED: usize = 64 * 1024;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (address, grace) = match args[..] {
        ["--listen", address] => (address, Some(5000)),
        ["--listen", address, "--grace", grace] => (address, grace.parse().ok()),
        _ => ("", None),
    };
    let Some(grace) = grace else {
        eprintln!("usage: e18 --listen HOST:PORT [--grace MILLISECONDS]");
        return ExitCode::from(2);
    };
    match run(address, Duration::from_millis(grace)) {
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
    state: Mutex<State>,
    /// A client was put into the queue.
    more: Condvar,
    // SOLUTION
    /// A worker has let go of its client.
    fewer: Condvar,
    // END
    served: AtomicU64,
    refused: AtomicU64,
    commands: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Clients that wait for a worker, in the order in which they came.
    waiting: VecDeque<TcpStream>,
    /// Workers with nothing to do. A client that one of them will take needs no place in the queue.
    idle: usize,
    /// The clients that workers serve now, by a number.
    active: BTreeMap<u64, Arc<TcpStream>>,
    next: u64,
    // STARTER
    //| // TODO 1: whether the server stops. It stands here, under the same lock as the clients. Why?
    // SOLUTION
    /// No client is taken any more, and no command begins.
    stopping: bool,
    // END
}

impl Server {
    /// Each change is one step, so a thread that panicked with the lock left a good state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a client in; gives it back, with the words for it, if there is no place.
    fn put(&self, client: TcpStream) -> Result<(), (TcpStream, &'static str)> {
        let mut state = self.lock();
        // SOLUTION
        if state.stopping {
            return Err((client, "ERR stopping\n"));
        }
        // END
        if state.waiting.len() >= PLACES + state.idle {
            return Err((client, "ERR busy\n"));
        }
        state.waiting.push_back(client);
        self.more.notify_one();
        Ok(())
    }

    /// Waits until there is a client, and takes it: from the queue to those that are served, in one step.
    fn take(&self) -> (u64, Arc<TcpStream>) {
        let mut state = self.lock();
        state.idle += 1;
        loop {
            if let Some(client) = state.waiting.pop_front() {
                state.idle -= 1;
                state.next += 1;
                let (number, client) = (state.next, Arc::new(client));
                state.active.insert(number, Arc::clone(&client));
                return (number, client);
            }
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Serves clients from the queue, without end.
    fn work(&self) {
        loop {
            let (number, client) = self.take();
            let _active = Active(self, number);
            match catch_unwind(AssertUnwindSafe(|| converse(&client, self))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("a client: {error}"),
                Err(_) => eprintln!("a client: its handler panicked"),
            }
        }
    }

    fn stats(&self) -> String {
        let active = self.lock().active.len();
        let [served, refused, commands] =
            [&self.served, &self.refused, &self.commands].map(|number| number.load(Ordering::Relaxed));
        format!("active {active} served {served} refused {refused} commands {commands}")
    }

    /// Turns a client away.
    fn refuse(&self, client: &TcpStream, words: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        part(client, words);
    }

    /// Whether the next command may not begin any more.
    fn is_stopping(&self) -> bool {
        // STARTER
        //| false // TODO 2
        // SOLUTION
        self.lock().stopping
        // END
    }
    // SOLUTION

    /// Begins the end: from now on no client is taken, and no command begins.
    fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        for client in std::mem::take(&mut state.waiting) {
            self.refuse(&client, "ERR stopping\n");
        }
        for client in state.active.values() {
            // A worker that waits for a line hears the end. One that executes a command can still answer.
            let _ = client.shutdown(Shutdown::Read);
        }
    }

    /// Waits until all clients are gone, at most for `grace`; returns how many are not.
    fn wait_for_all(&self, grace: Duration) -> usize {
        let busy = |state: &mut State| !state.active.is_empty();
        let waited = self.fewer.wait_timeout_while(self.lock(), grace, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0.active.len()
    }
    // END
}

/// A client that is being served. However that ends, by a panic too, this is dropped.
struct Active<'a>(&'a Server, u64);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        // Under the lock: nobody may see that the client has gone, and not that it was served.
        let mut state = self.0.lock();
        self.0.served.fetch_add(1, Ordering::Relaxed);
        state.active.remove(&self.1);
        // SOLUTION
        self.0.fewer.notify_all();
        // END
    }
}

/// The last words to a client, and the end. Never waits: it may have gone, or not read.
fn part(mut client: &TcpStream, words: &str) {
    let _ = client.set_nonblocking(true).and_then(|()| client.write_all(words.as_bytes()));
    let _ = client.shutdown(std::net::Shutdown::Write);
    let (mut scratch, mut drained) = ([0; 4096], 0);
    while let Ok(count @ 1..) = client.read(&mut scratch) {
        drained += count;
        if drained > MOST_DRAINED {
            break;
        }
    }
}
// SOLUTION

/// Starts a thread that waits for signals. The first one begins the end, and closes `bell`; the second one ends everything.
fn hear_signals(server: Arc<Server>, bell: UnixStream) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().spawn(move || {
        let mut signals = signals.forever();
        signals.next();
        server.stop();
        drop(bell);
        signals.next();
        eprintln!("a second signal: ends at once");
        std::process::exit(1);
    })?;
    Ok(())
}

/// Waits until a client has come, or until the bell is closed. `false`: it was.
fn client_comes(listener: &TcpListener, bell: &UnixStream) -> io::Result<bool> {
    let mut waiting = [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
    match poll(&mut waiting, PollTimeout::NONE) {
        Ok(_) => Ok(!waiting[1].any().unwrap_or(false)),
        Err(nix::errno::Errno::EINTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
// END

/// Serves clients until a signal comes, and then ends within `grace`.
fn run(address: &str, grace: Duration) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let server = Arc::new(Server::default());
    for _ in 0..WORKERS {
        let server = Arc::clone(&server);
        thread::Builder::new().spawn(move || server.work())?;
    }
    // STARTER
    //| // TODO 3: before READY, hear SIGTERM and SIGINT (the crate `signal-hook`), in a thread or through a descriptor.
    //| // TODO 4: accept until a signal comes. A signal alone does not wake a thread that sleeps in accept.
    //| // TODO 5: then take no client, turn away those that wait, let go those that are silent, answer commands that run,
    //| // for at most `grace`; log how many were cut off, and `stopped: ` with the numbers; exit code 0.
    //| let _ = grace;
    //| println!("READY {}", listener.local_addr()?);
    //| loop {
    //|     accept(&listener, &server);
    //| }
    // SOLUTION
    let (bell, rung) = UnixStream::pair()?;
    hear_signals(Arc::clone(&server), bell)?;
    // A client that is there when poll looks may be gone when accept asks.
    listener.set_nonblocking(true)?;
    println!("READY {}", listener.local_addr()?);
    while client_comes(&listener, &rung)? {
        accept(&listener, &server);
    }
    // Some are connected already, and wait in the kernel's queue: they are told, too.
    while accept(&listener, &server) {}
    // Now connections are refused, and not only left waiting.
    drop(listener);
    let cut_off = server.wait_for_all(grace);
    if cut_off > 0 {
        eprintln!("cut off: {cut_off}");
    }
    eprintln!("stopped: {}", server.stats());
    Ok(())
    // END
}

/// Accepts one client, and hands it to the workers. `false`: it could not.
fn accept(listener: &TcpListener, server: &Server) -> bool {
    let accepted = listener.accept().and_then(|(client, _)| client.set_nonblocking(false).map(|()| client));
    match accepted.map(|client| server.put(client)) {
        Ok(Ok(())) => return true,
        Ok(Err((client, words))) => {
            server.refuse(&client, words);
            return true;
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => {
            eprintln!("accept: {error}");
            thread::sleep(Duration::from_millis(100));
        }
    }
    false
}

/// Answers the lines of one client. A line that is no command is answered, too, and the conversation goes on.
fn converse(stream: &TcpStream, server: &Server) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while !server.is_stopping() {
        let mut line = Vec::new();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            break;
        }
        let line = String::from_utf8_lossy(&line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["PING"] => "PONG".to_owned(),
            ["STATS"] => format!("STATS {}", server.stats()),
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
        server.commands.fetch_add(1, Ordering::Relaxed);
        writer.write_all((answer + "\n").as_bytes())?;
        if words == ["QUIT"] {
            break;
        }
    }
    part(stream, "");
    Ok(())
}
