//! Exercise 10: a chat. A line of one client goes to all others.
//!
//! A thread for each client reads its lines. The hard part is the other direction: a line must go to clients that other
//! threads read from. Some of them take nothing, and nobody may wait for them.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::{env, io, process::ExitCode, thread};

/// At most this many lines wait for a client that does not read; one more, and the client is let go.
#[allow(dead_code)] // Yours to use.
const WAITING: usize = 64;
/// The most bytes of a line, its end included; a longer one ends the conversation.
#[allow(dead_code)] // Yours to use.
const LONGEST_LINE: u64 = 8 * 1024;
/// The most letters and digits of a name.
#[allow(dead_code)] // Yours to use.
const LONGEST_NAME: usize = 16;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e10 --listen HOST:PORT");
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

/// Serves each client in a thread of its own.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    let room = Arc::new(Room::default());
    for stream in listener.incoming() {
        let room = Arc::clone(&room);
        let served = stream.and_then(|stream| {
            thread::Builder::new().spawn(move || {
                if let Err(error) = converse(&stream, &room) {
                    eprintln!("a client: {error}");
                }
            })
        });
        if let Err(error) = served {
            eprintln!("accept: {error}");
        }
    }
    Ok(())
}

/// The clients that have a name.
#[derive(Default)]
struct Room {
    // TODO 1: by name, the way to send a line to a member, and to let it go. All threads use it.
}

/// Asks for a name, then passes the client's lines on, until it goes.
fn converse(stream: &TcpStream, room: &Room) -> io::Result<()> {
    // TODO 2: ask `Name?` until the name is good (`No such name`) and free (`Taken`); then `You are NAME`, and the others
    // hear `* NAME has come`.
    // TODO 3: each line goes to all others, `NAME: text`; `/who`, `/kick NAME`, `/quit`.
    // TODO 4: however a client goes, it leaves the room, and the others hear `* NAME has left`.
    // TODO 5: a thread must never wait in a write to another thread's client: a queue with an end, and a thread that writes.
    let _ = (stream, room);
    Ok(())
}
