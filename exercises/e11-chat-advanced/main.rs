//! Exercise 11: a chat with rooms, private lines, passwords and a history.
//!
//! The clients' queues and threads are those of exercise 10, and given. The exercise is the state that all threads share: it has
//! several parts by now, and a client must never see one of them changed and another not yet.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, io, process::ExitCode, thread};

/// At most this many lines wait for a client that does not read; one more, and the client is let go.
const WAITING: usize = 64;
/// The most bytes of a line, its end included; a longer one ends the conversation.
const LONGEST_LINE: u64 = 8 * 1024;
/// The most letters and digits of a name, of a client or a room.
const LONGEST_NAME: usize = 16;
/// The lines that a room remembers for those who come.
#[allow(dead_code)] // Yours to use.
const HISTORY: usize = 20;
/// The most names that have a password.
#[allow(dead_code)] // Yours to use.
const MOST_PASSWORDS: usize = 100;
/// A client that has given so many wrong passwords is let go.
#[allow(dead_code)] // Yours to use.
const TRIES: usize = 3;
/// The room that clients come into first.
#[allow(dead_code)] // Yours to use.
const LOBBY: &str = "lobby";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e11 --listen HOST:PORT");
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
    let chat = Arc::new(Chat::default());
    for stream in listener.incoming() {
        let chat = Arc::clone(&chat);
        let served = stream.and_then(|stream| {
            // A short line is sent at once, and does not wait until the client has acknowledged the one before it.
            stream.set_nodelay(true)?;
            thread::Builder::new().spawn(move || {
                if let Err(error) = converse(&stream, &chat) {
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

/// The state of the whole chat. All threads share it.
#[derive(Default)]
struct Chat(Mutex<State>);

/// All that a line may change, under one lock.
#[derive(Default)]
struct State {
    // TODO 1: the members by name, each with its room; the last lines of each room; the passwords.
}

/// How others reach a client: by its queue. A thread of its own writes the lines in there.
#[allow(dead_code)] // Yours to use.
struct Member {
    queue: SyncSender<Vec<u8>>,
    stream: TcpStream,
}

impl Member {
    /// Never waits: a full queue means that the client does not read, and it is let go. Its thread hears the end.
    #[allow(dead_code)] // Yours to call.
    fn hear(&self, line: &[u8]) {
        if self.queue.try_send(line.to_vec()).is_err() {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

impl Chat {
    /// A change is never left half done, so a thread that panicked with the lock left a good state.
    #[allow(dead_code)] // Yours to call.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the lines of a queue until no thread can put in another; then says that nothing more comes.
#[allow(dead_code)] // Yours to call, through `write_in_a_thread`.
fn write_lines(mut stream: &TcpStream, queue: &Receiver<Vec<u8>>) {
    for line in queue {
        if stream.write_all(&line).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

#[allow(dead_code)] // Yours to call.
fn write_in_a_thread(stream: &TcpStream, lines: Receiver<Vec<u8>>) -> io::Result<()> {
    let writer = stream.try_clone()?;
    // A client that takes nothing, and whose queue is not full, must not keep that thread for ever.
    writer.set_write_timeout(Some(Duration::from_secs(5)))?;
    thread::Builder::new().spawn(move || write_lines(&writer, &lines)).map(drop)
}

/// Asks for a name, then follows the client's lines, until it goes.
fn converse(stream: &TcpStream, chat: &Chat) -> io::Result<()> {
    // TODO 2: `Name?`, and `Password?` if the name has one; then the client is a member, in the lobby.
    // TODO 3: its lines go to its room, which remembers the last of them.
    // TODO 4: `/join`, `/tell`, `/password`, `/who`, `/rooms`, `/quit`.
    // TODO 5: however it goes, its room hears of it; a room without members ends.
    let _ = (WAITING, stream, chat);
    Ok(())
}

/// The name of a client or of a room, if it is one.
#[allow(dead_code)] // Yours to call.
fn good_name(line: &[u8]) -> Option<String> {
    let good = (1..=LONGEST_NAME).contains(&line.len()) && line.iter().all(u8::is_ascii_alphanumeric);
    good.then(|| String::from_utf8_lossy(line).into_owned())
}

/// The next line, without its end. `None`: there is no other, or it is too long.
#[allow(dead_code)] // Yours to call.
fn next_line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text).to_vec()))
}
