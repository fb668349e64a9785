//! Clinic 1: a review. This program keeps notes for its clients, works when its author tries it, and has five faults.
//!
//! Commands are lines: `ADD text` is answered with `OK n`, the number of the note; `GET n` with its text; `WHO` with `CLIENTS n`, the
//! clients that are connected now; `QUIT` with `BYE` and the end. Anything else is answered with a line that begins with `ERR`.

use socket2::{Domain, Socket, Type};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::{env, process::ExitCode};
// SOLUTION
use std::net::Shutdown;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
// END

/// The most bytes of a line, its end included. A longer one ends the conversation.
const LONGEST_LINE: u64 = 512;
/// The most notes that are kept.
const MOST_NOTES: usize = 1000;
// SOLUTION
/// After the goodbye the client's last bytes are waited for so long, and so many of them.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 1024 * 1024;
// END

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(Ok(address))) = (args.next().as_deref(), args.next().map(|text| text.parse())) else {
        eprintln!("usage: c1 --listen ADDRESS:PORT");
        return ExitCode::from(2);
    };
    match run(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The state that all clients share.
#[derive(Default)]
struct Shared {
    notes: Mutex<Vec<String>>,
    /// The clients that are connected now.
    clients: Mutex<Vec<TcpStream>>,
}

/// Listens at `address` and serves the clients.
fn run(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // SOLUTION
    // Issue 1. Connections that this server closed first stay in TIME_WAIT, and without this no restart could bind.
    socket.set_reuse_address(true)?;
    // END
    socket.bind(&address.into())?;
    socket.listen(128)?;
    let listener = TcpListener::from(socket);
    println!("READY {}", listener.local_addr()?);
    // STARTER
    //| let shared = Shared::default();
    //| loop {
    //|     let (stream, _) = listener.accept().unwrap();
    //|     serve(stream, &shared);
    //| }
    // SOLUTION
    let shared = Arc::new(Shared::default());
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                // Issue 2. One client after the other: a silent one kept all others waiting.
                let shared = Arc::clone(&shared);
                let started = thread::Builder::new().spawn(move || {
                    if let Err(error) = serve(stream, &shared) {
                        eprintln!("client {peer}: {error}");
                    }
                });
                if let Err(error) = started {
                    eprintln!("client {peer}: {error}");
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
// SOLUTION

/// A lock that a thread left by a panic guards a good value: each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client in the list. It leaves the list however its conversation ends (issue 5).
struct Member<'a> {
    shared: &'a Shared,
    peer: SocketAddr,
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        lock(&self.shared.clients).retain(|other| other.peer_addr().is_ok_and(|peer| peer != self.peer));
    }
}
// END

/// Answers the lines of one client.
// STARTER
//| fn serve(stream: TcpStream, shared: &Shared) {
//|     let peer = stream.peer_addr().unwrap();
//|     shared.clients.lock().unwrap().push(stream.try_clone().unwrap());
//|     let mut reader = BufReader::new(&stream);
//|     loop {
//|         let mut line = Vec::new();
//|         reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).unwrap();
//|         if !line.ends_with(b"\n") {
//|             return;
//|         }
//|         let line = String::from_utf8_lossy(&line);
//|         let line = line.trim_end();
//|         let answer = answer(line, shared);
//|         (&stream).write_all(answer.as_bytes()).unwrap();
//|         if line == "QUIT" {
//|             shared.clients.lock().unwrap().retain(|other| other.peer_addr().unwrap() != peer);
//|             return;
//|         }
//|     }
//| }
// SOLUTION
fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    // Issue 3. Each unwrap let one client end the server: errors of a connection end that connection.
    let peer = stream.peer_addr()?;
    lock(&shared.clients).push(stream.try_clone()?);
    let _member = Member { shared, peer };
    let mut reader = BufReader::new(&stream);
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return part(&stream);
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        let answer = answer(line, shared);
        (&stream).write_all(answer.as_bytes())?;
        if line == "QUIT" {
            return part(&stream);
        }
    }
}

/// Issue 4. A close with bytes unread is a reset, which may destroy the last answer: say FIN, read what is left, within bounds.
fn part(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let until = Instant::now() + DRAIN_TIME;
    let (mut drained, mut scratch) = (0, [0; 16 * 1024]);
    while drained < DRAIN_BYTES {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut scratch) {
            Ok(0) | Err(_) => break,
            Ok(count) => drained += count,
        }
    }
    Ok(())
}
// END

/// The answer to a line.
fn answer(line: &str, shared: &Shared) -> String {
    let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "ADD" => {
            // STARTER
            //| let mut notes = shared.notes.lock().unwrap();
            // SOLUTION
            let mut notes = lock(&shared.notes);
            // END
            if notes.len() >= MOST_NOTES {
                return "ERR full\n".to_owned();
            }
            notes.push(argument.to_owned());
            format!("OK {}\n", notes.len())
        }
        "GET" => {
            // STARTER
            //| let notes = shared.notes.lock().unwrap();
            // SOLUTION
            let notes = lock(&shared.notes);
            // END
            let note = argument.parse().ok().and_then(|number: usize| notes.get(number.checked_sub(1)?));
            note.map_or_else(|| "ERR no such note\n".to_owned(), |note| format!("{note}\n"))
        }
        // STARTER
        //| "WHO" => format!("CLIENTS {}\n", shared.clients.lock().unwrap().len()),
        // SOLUTION
        "WHO" => format!("CLIENTS {}\n", lock(&shared.clients).len()),
        // END
        "QUIT" => "BYE\n".to_owned(),
        _ => "ERR bad command\n".to_owned(),
    }
}
