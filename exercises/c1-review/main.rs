//! Clinic 1: a review. This program keeps notes for its clients, works when its author tries it, and has five faults.
//!
//! Commands are lines: `ADD text` is answered with `OK n`, the number of the note; `GET n` with its text; `WHO` with `CLIENTS n`, the
//! clients that are connected now; `QUIT` with `BYE` and the end. Anything else is answered with a line that begins with `ERR`.

use socket2::{Domain, Socket, Type};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::{env, process::ExitCode};

/// The most bytes of a line, its end included. A longer one ends the conversation.
const LONGEST_LINE: u64 = 512;
/// The most notes that are kept.
const MOST_NOTES: usize = 1000;

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
    socket.bind(&address.into())?;
    socket.listen(128)?;
    let listener = TcpListener::from(socket);
    println!("READY {}", listener.local_addr()?);
    let shared = Shared::default();
    loop {
        let (stream, _) = listener.accept().unwrap();
        serve(stream, &shared);
    }
}

/// Answers the lines of one client.
fn serve(stream: TcpStream, shared: &Shared) {
    let peer = stream.peer_addr().unwrap();
    shared.clients.lock().unwrap().push(stream.try_clone().unwrap());
    let mut reader = BufReader::new(&stream);
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).unwrap();
        if !line.ends_with(b"\n") {
            return;
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        let answer = answer(line, shared);
        (&stream).write_all(answer.as_bytes()).unwrap();
        if line == "QUIT" {
            shared.clients.lock().unwrap().retain(|other| other.peer_addr().unwrap() != peer);
            return;
        }
    }
}

/// The answer to a line.
fn answer(line: &str, shared: &Shared) -> String {
    let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "ADD" => {
            let mut notes = shared.notes.lock().unwrap();
            if notes.len() >= MOST_NOTES {
                return "ERR full\n".to_owned();
            }
            notes.push(argument.to_owned());
            format!("OK {}\n", notes.len())
        }
        "GET" => {
            let notes = shared.notes.lock().unwrap();
            let note = argument.parse().ok().and_then(|number: usize| notes.get(number.checked_sub(1)?));
            note.map_or_else(|| "ERR no such note\n".to_owned(), |note| format!("{note}\n"))
        }
        "WHO" => format!("CLIENTS {}\n", shared.clients.lock().unwrap().len()),
        "QUIT" => "BYE\n".to_owned(),
        _ => "ERR bad command\n".to_owned(),
    }
}
