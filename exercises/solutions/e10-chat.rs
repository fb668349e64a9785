//! Exercise 10: a chat. A line of one client goes to all others.
//!
//! A thread for each client reads its lines. The hard part is the other direction: a line must go to clients that other
//! threads read from. Some of them take nothing, and nobody may wait for them.

// SOLUTION
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
// END
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
    // STARTER
    //| // TODO 1: by name, the way to send a line to a member, and to let it go. All threads use it.
    // SOLUTION
    members: Mutex<BTreeMap<String, Member>>,
    // END
}
// SOLUTION

/// How others reach a client: by its queue. A thread of its own writes the lines in there.
struct Member {
    queue: SyncSender<Vec<u8>>,
    stream: TcpStream,
}

impl Room {
    /// Each change of the list is one step, so a thread that panicked with the lock left a good list.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a member in, and tells the others; `false`: another has that name. To look, to insert and to tell are one step, under one
    /// lock: a client that comes next hears nothing of one that was there before.
    fn join(&self, name: &str, member: Member) -> bool {
        let mut members = self.lock();
        if members.contains_key(name) {
            return false;
        }
        // Its first line is in its queue before another thread can put one there.
        let _ = member.queue.try_send(format!("You are {name}\n").into_bytes());
        members.insert(name.to_owned(), member);
        Self::tell(&members, name, format!("* {name} has come\n").as_bytes());
        true
    }

    /// Takes a member out; `None`: it is not there any more.
    fn leave(&self, name: &str) -> Option<Member> {
        self.lock().remove(name)
    }

    /// Sends a line to all but one.
    fn tell_others(&self, name: &str, line: &[u8]) {
        Self::tell(&self.lock(), name, line);
    }

    /// The lock is held, so nothing here may wait: a full queue means that its client does not read, and it is let go.
    fn tell(members: &BTreeMap<String, Member>, name: &str, line: &[u8]) {
        for (other, member) in members {
            if other != name && member.queue.try_send(line.to_vec()).is_err() {
                // Its thread hears the end, and takes it out.
                let _ = member.stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// The names, in order.
    fn names(&self) -> String {
        self.lock().keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// Writes the lines of a queue until no thread can put in another; then says that nothing more comes.
fn write_lines(mut stream: &TcpStream, queue: &Receiver<Vec<u8>>) {
    for line in queue {
        if stream.write_all(&line).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}
// END

/// Asks for a name, then passes the client's lines on, until it goes.
fn converse(stream: &TcpStream, room: &Room) -> io::Result<()> {
    // STARTER
    //| // TODO 2: ask `Name?` until the name is good (`No such name`) and free (`Taken`); then `You are NAME`, and the others
    //| // hear `* NAME has come`.
    //| // TODO 3: each line goes to all others, `NAME: text`; `/who`, `/kick NAME`, `/quit`.
    //| // TODO 4: however a client goes, it leaves the room, and the others hear `* NAME has left`.
    //| // TODO 5: a thread must never wait in a write to another thread's client: a queue with an end, and a thread that writes.
    //| let _ = (stream, room);
    //| Ok(())
    // SOLUTION
    let mut reader = BufReader::new(stream);
    let (queue, lines) = sync_channel(WAITING);
    let name = loop {
        { stream }.write_all(b"Name?\n")?;
        let Some(line) = next_line(&mut reader)? else { return Ok(()) };
        let Some(name) = good_name(&line) else {
            { stream }.write_all(b"No such name\n")?;
            continue;
        };
        if room.join(&name, Member { queue: queue.clone(), stream: stream.try_clone()? }) {
            break name;
        }
        { stream }.write_all(b"Taken\n")?;
    };
    let ended = write_in_a_thread(stream, lines).and_then(|()| talk(&mut reader, &name, &queue, room));
    // A command may have ended it, the end of the stream, or an error. One that was kicked is out already.
    if room.leave(&name).is_some() {
        room.tell_others(&name, format!("* {name} has left\n").as_bytes());
    }
    ended
    // END
}
// SOLUTION

fn good_name(line: &[u8]) -> Option<String> {
    let good = (1..=LONGEST_NAME).contains(&line.len()) && line.iter().all(u8::is_ascii_alphanumeric);
    good.then(|| String::from_utf8_lossy(line).into_owned())
}

fn write_in_a_thread(stream: &TcpStream, lines: Receiver<Vec<u8>>) -> io::Result<()> {
    let writer = stream.try_clone()?;
    // A client that takes nothing, and whose queue is not full, must not keep that thread for ever.
    writer.set_write_timeout(Some(Duration::from_secs(5)))?;
    thread::Builder::new().spawn(move || write_lines(&writer, &lines)).map(drop)
}

/// Follows the lines of a member until it goes.
fn talk(reader: &mut BufReader<&TcpStream>, name: &str, own: &SyncSender<Vec<u8>>, room: &Room) -> io::Result<()> {
    // If there is no room for an answer, the client does not read, and is about to be let go.
    let answer = |text: String| drop(own.try_send(text.into_bytes()));
    while let Some(line) = next_line(reader)? {
        let mut words = line.splitn(2, |byte| *byte == b' ');
        let (command, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match command {
            b"/quit" => {
                answer("Goodbye!\n".into());
                return Ok(());
            }
            b"/who" => answer(format!("here: {}\n", room.names())),
            b"/kick" if name != "admin" => answer("Only admin may do that\n".into()),
            b"/kick" => kick(&String::from_utf8_lossy(rest), room, answer),
            _ => room.tell_others(name, &[name.as_bytes(), b": ", &line, b"\n"].concat()),
        }
    }
    Ok(())
}

fn kick(name: &str, room: &Room, answer: impl Fn(String)) {
    let Some(kicked) = room.leave(name) else { return answer(format!("No {name} here\n")) };
    let _ = kicked.queue.try_send(b"You were kicked\n".to_vec());
    // Its thread reads the end and goes; the lines in its queue are still written.
    let _ = kicked.stream.shutdown(Shutdown::Read);
    room.tell_others(name, format!("* {name} was kicked\n").as_bytes());
}

/// The next line, without its end. `None`: there is no other, or it is too long.
fn next_line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text).to_vec()))
}
// END
