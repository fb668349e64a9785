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
// SOLUTION
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::sync_channel;
// END

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
    // STARTER
    //| // TODO 1: the members by name, each with its room; the last lines of each room; the passwords.
    // SOLUTION
    members: BTreeMap<String, Member>,
    /// The last lines of each room. A room is here as long as somebody is in it.
    rooms: BTreeMap<String, VecDeque<Vec<u8>>>,
    passwords: BTreeMap<String, Vec<u8>>,
    // END
}

/// How others reach a client: by its queue. A thread of its own writes the lines in there.
#[allow(dead_code)] // Yours to use.
struct Member {
    // SOLUTION
    room: String,
    // END
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
// SOLUTION

impl State {
    /// Takes a member in, and into the lobby; `false`: another has that name.
    fn join(&mut self, name: &str, member: Member) -> bool {
        if self.members.contains_key(name) {
            return false;
        }
        member.hear(format!("You are {name}\n").as_bytes());
        self.members.insert(name.to_owned(), member);
        self.enter(name, LOBBY);
        true
    }

    /// Takes a member out, however it goes.
    fn leave(&mut self, name: &str) {
        self.leave_room(name);
        self.members.remove(name);
    }

    /// From now on the member hears that room: first its history, then what is said. No line comes between the two.
    fn enter(&mut self, name: &str, room: &str) {
        let history = self.rooms.entry(room.to_owned()).or_default();
        if let Some(member) = self.members.get_mut(name) {
            member.room = room.to_owned();
            for line in history.iter() {
                member.hear(line);
            }
        }
        self.tell_room(name, format!("* {name} has come\n").as_bytes());
    }

    /// A room in which nobody is left ends, with its history: else each name of a room would cost memory for ever.
    fn leave_room(&mut self, name: &str) {
        self.tell_room(name, format!("* {name} has left\n").as_bytes());
        let Some(room) = self.members.get(name).map(|member| member.room.clone()) else { return };
        if self.members.values().filter(|member| member.room == room).count() <= 1 {
            self.rooms.remove(&room);
        }
    }

    /// Sends a line to all others in the room of `name`.
    fn tell_room(&self, name: &str, line: &[u8]) {
        let Some(speaker) = self.members.get(name) else { return };
        for (other, member) in &self.members {
            if other != name && member.room == speaker.room {
                member.hear(line);
            }
        }
    }

    /// A line that was said: the room hears it, and remembers it.
    fn say(&mut self, name: &str, line: Vec<u8>) {
        self.tell_room(name, &line);
        let room = self.members.get(name).and_then(|member| self.rooms.get_mut(&member.room));
        if let Some(history) = room {
            history.push_back(line);
            if history.len() > HISTORY {
                history.pop_front();
            }
        }
    }

    fn change_room(&mut self, name: &str, room: &str) {
        let Some(member) = self.members.get(name) else { return };
        if member.room == room {
            return member.hear(b"You are there already\n");
        }
        self.leave_room(name);
        if let Some(member) = self.members.get(name) {
            member.hear(format!("You are in {room}\n").as_bytes());
        }
        self.enter(name, room);
    }

    /// The names of those in the same room, in order.
    fn names(&self, name: &str) -> String {
        let room = self.members.get(name).map(|member| &member.room);
        let here = self.members.iter().filter(|(_, member)| Some(&member.room) == room);
        here.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn set_password(&mut self, name: &str, password: &[u8]) -> &'static str {
        if self.passwords.len() >= MOST_PASSWORDS && !self.passwords.contains_key(name) {
            return "Too many passwords\n";
        }
        self.passwords.insert(name.to_owned(), password.to_vec());
        "Password set\n"
    }
}
// END

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
    // STARTER
    //| // TODO 2: `Name?`, and `Password?` if the name has one; then the client is a member, in the lobby.
    //| // TODO 3: its lines go to its room, which remembers the last of them.
    //| // TODO 4: `/join`, `/tell`, `/password`, `/who`, `/rooms`, `/quit`.
    //| // TODO 5: however it goes, its room hears of it; a room without members ends.
    //| let _ = (WAITING, stream, chat);
    //| Ok(())
    // SOLUTION
    let mut reader = BufReader::new(stream);
    let (queue, lines) = sync_channel(WAITING);
    let Some(name) = login(&mut reader, stream, &queue, chat)? else { return Ok(()) };
    let ended = write_in_a_thread(stream, lines).and_then(|()| talk(&mut reader, &name, chat));
    // A command may have ended it, the end of the stream, or an error.
    chat.lock().leave(&name);
    ended
    // END
}
// SOLUTION

/// Asks for a name until the client is a member. `None`: it goes before that.
fn login(
    reader: &mut BufReader<&TcpStream>,
    mut stream: &TcpStream,
    queue: &SyncSender<Vec<u8>>,
    chat: &Chat,
) -> io::Result<Option<String>> {
    let mut wrong = 0;
    while wrong < TRIES {
        stream.write_all(b"Name?\n")?;
        let Some(line) = next_line(reader)? else { return Ok(None) };
        let Some(name) = good_name(&line) else {
            stream.write_all(b"No such name\n")?;
            continue;
        };
        let password = chat.lock().passwords.get(&name).cloned();
        if let Some(password) = password {
            stream.write_all(b"Password?\n")?;
            if next_line(reader)?.is_none_or(|line| line != password) {
                stream.write_all(b"Wrong password\n")?;
                wrong += 1;
                continue;
            }
        }
        let member = Member { room: LOBBY.to_owned(), queue: queue.clone(), stream: stream.try_clone()? };
        if chat.lock().join(&name, member) {
            return Ok(Some(name));
        }
        stream.write_all(b"Taken\n")?;
    }
    Ok(None)
}

/// Follows the lines of a member until it goes.
fn talk(reader: &mut BufReader<&TcpStream>, name: &str, chat: &Chat) -> io::Result<()> {
    while let Some(line) = next_line(reader)? {
        let (command, rest) = first_word(&line);
        let mut state = chat.lock();
        let answer = match command {
            b"/who" => format!("here: {}\n", state.names(name)),
            b"/rooms" => format!("rooms: {}\n", state.rooms.keys().cloned().collect::<Vec<_>>().join(", ")),
            b"/password" => state.set_password(name, rest).to_owned(),
            b"/tell" => tell(&state, name, rest),
            b"/quit" => "Goodbye!\n".to_owned(),
            b"/join" => match good_name(rest) {
                Some(room) => {
                    state.change_room(name, &room);
                    continue;
                }
                None => "No such room\n".to_owned(),
            },
            _ => {
                state.say(name, [name.as_bytes(), b": ", &line, b"\n"].concat());
                continue;
            }
        };
        if let Some(member) = state.members.get(name) {
            member.hear(answer.as_bytes());
        }
        if command == b"/quit" {
            break;
        }
    }
    Ok(())
}

/// Tells one member something, in whatever room it is. Returns the answer for the one that told it.
fn tell(state: &State, name: &str, rest: &[u8]) -> String {
    let (to, text) = first_word(rest);
    let to = String::from_utf8_lossy(to);
    let Some(member) = state.members.get(&*to) else { return format!("No {to} here\n") };
    member.hear(&[name.as_bytes(), b" tells you: ", text, b"\n"].concat());
    format!("Told {to}\n")
}

/// The first word, and what follows the blank behind it.
fn first_word(line: &[u8]) -> (&[u8], &[u8]) {
    let mut words = line.splitn(2, |byte| *byte == b' ');
    (words.next().unwrap_or_default(), words.next().unwrap_or_default())
}
// END

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
