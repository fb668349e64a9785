//! Exercise 12: an event loop. One thread serves all clients.
//!
//! No call on a socket may wait, but one: `poll`, which waits for all of them. A thread that waits remembers half a line, or the
//! rest of an answer. Here that has to stand in a struct, one for each connection.

// SOLUTION
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
// END
use std::net::TcpListener;
use std::{env, io, process::ExitCode};

/// A line with its end has at most so many bytes. A longer one is answered with `too long` and the end.
#[allow(dead_code)] // Yours to use.
const LONGEST_LINE: usize = 4096;
/// While more bytes than this wait for a client, none of its lines is answered, and nothing is read from it.
#[allow(dead_code)] // Yours to use.
const ENOUGH: usize = 64 * 1024;
/// More than that is not given.
const MOST: usize = 16 * 1024 * 1024;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e12 --listen HOST:PORT");
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
#[allow(dead_code)] // Yours to call.
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

/// The state of one connection.
#[allow(dead_code)] // Yours to use.
struct Client {
    // STARTER
    //| // TODO 1: the stream, what was read and is not answered yet, what is to be sent and did not fit, and how far the end has come.
    // SOLUTION
    stream: TcpStream,
    /// Read, and not answered yet.
    input: Vec<u8>,
    /// Answered, and not taken by the socket yet.
    output: VecDeque<u8>,
    /// Nothing more is read: the client has sent its FIN, or has been told goodbye. Its output still goes out.
    ended: bool,
    /// Nothing can be said to it any more.
    broken: bool,
    // END
}
// SOLUTION

impl Client {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, input: Vec::new(), output: VecDeque::new(), ended: false, broken: false })
    }

    /// Whether its next line may be answered now.
    fn has_room(&self) -> bool {
        self.output.len() <= ENOUGH
    }

    fn has_line(&self) -> bool {
        self.input.contains(&b'\n')
    }

    fn is_over(&self) -> bool {
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
        flags.set(PollFlags::POLLOUT, !self.output.is_empty() || self.has_line());
        flags
    }

    /// Does all that can be done without waiting, and a bounded part of it: others want their turn.
    fn go_on(&mut self) {
        let went = if self.reads() { self.read() } else { Ok(()) };
        self.answer_lines();
        if let Err(error) = went.and_then(|()| self.write()) {
            eprintln!("a client: {error}");
            self.broken = true;
        }
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

    /// Answers complete lines while there is room.
    fn answer_lines(&mut self) {
        while self.has_room() {
            let end = self.input.iter().position(|byte| *byte == b'\n');
            if end.unwrap_or(self.input.len()) >= LONGEST_LINE {
                return self.part(b"too long\n");
            }
            let Some(end) = end else { return };
            let line: Vec<u8> = self.input.drain(..=end).collect();
            match answer(&line) {
                Some(bytes) => self.output.extend(bytes),
                None => return self.part(b"Goodbye!\n"),
            }
        }
    }

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

/// Waits for events: of the listener first, then of the clients, in their order.
fn wait(listener: &TcpListener, accepts: bool, clients: &[Client]) -> io::Result<Vec<bool>> {
    // Without a descriptor for it, a client that waits in the listener's queue would wake us again and again: look away for a moment.
    let (flags, timeout) =
        if accepts { (PollFlags::POLLIN, PollTimeout::NONE) } else { (PollFlags::empty(), PollTimeout::from(100u8)) };
    let mut waiting = vec![PollFd::new(listener.as_fd(), flags)];
    waiting.extend(clients.iter().map(|client| PollFd::new(client.stream.as_fd(), client.interest())));
    match poll(&mut waiting, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    // An error or a hang-up is an event, too: the next read or write tells which.
    Ok(waiting.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect())
}

/// Accepts all clients that are there. `false`: it cannot, for now.
fn accept_all(listener: &TcpListener, clients: &mut Vec<Client>) -> bool {
    loop {
        match listener.accept() {
            Ok((stream, peer)) => match Client::new(stream) {
                Ok(client) => clients.push(client),
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
// END

/// Serves all clients in this thread, without end.
fn run(listener: &TcpListener) -> io::Result<()> {
    // STARTER
    //| // TODO 2: nothing may wait but `nix::poll::poll`: neither accept nor read nor write.
    //| // TODO 3: wait for the listener and for all clients; ask for POLLOUT only while there is something to send, and for POLLIN
    //| // only while you will read.
    //| // TODO 4: a client that is ready: read once, answer complete lines while there is room, send what fits, keep the rest.
    //| // TODO 5: a client goes when it is broken, or when it sends nothing more and has got all answers.
    //| println!("READY {}", listener.local_addr()?);
    //| for stream in listener.incoming() {
    //|     drop(stream?); // Nobody is served yet.
    //| }
    //| Ok(())
    // SOLUTION
    listener.set_nonblocking(true)?;
    println!("READY {}", listener.local_addr()?);
    let mut clients: Vec<Client> = Vec::new();
    let mut accepts = true;
    loop {
        let ready = wait(listener, accepts, &clients)?;
        for (client, ready) in clients.iter_mut().zip(&ready[1..]) {
            if *ready {
                client.go_on();
            }
        }
        // After the round: within it, the places in the list must stay those of `ready`.
        clients.retain(|client| !client.is_over());
        accepts = if ready[0] { accept_all(listener, &mut clients) } else { true };
    }
    // END
}
