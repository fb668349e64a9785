//! Exercise 16: a command protocol. A line is taken apart, checked, executed and answered.
//!
//! Reading lines and serving clients is given. The exercise is what stands between bytes and actions: `parse`, which trusts
//! nothing and decides everything, and `execute`, which is given commands that cannot be wrong any more.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fmt, process::ExitCode, thread};
// SOLUTION
use std::num::IntErrorKind;
use std::sync::PoisonError;
// END

/// The most bytes of a line, without its end.
const LONGEST_LINE: usize = 512;
/// The most bytes of a key.
#[allow(dead_code)] // Yours to use.
const LONGEST_KEY: usize = 32;
/// The longest time that a client may keep a thread busy with one command, in milliseconds.
#[allow(dead_code)] // Yours to use.
const LONGEST_WORK: u64 = 10_000;
/// The store takes no more keys than this; a key that is there already can still be changed.
#[allow(dead_code)] // Yours to use.
const MOST_KEYS: usize = 1000;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e16 --listen HOST:PORT");
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

/// A command that can be executed as it is: all that can be wrong about a line was found by [`parse`].
#[allow(dead_code)] // Yours to make.
#[derive(Debug)]
enum Command {
    Ping,
    Echo(String),
    Set {
        key: String,
        value: String,
    },
    Get(String),
    Del(String),
    Add(i64, i64),
    /// Sleep for so many milliseconds.
    Work(u64),
    Quit,
}

/// The reason why a line is no command, or cannot be obeyed.
#[allow(dead_code)] // Yours to make.
#[derive(Debug)]
enum Refusal {
    Unknown,
    /// How the command is used: `SET KEY VALUE`.
    Usage(&'static str),
    BadKey,
    NotANumber,
    OutOfRange,
    NotText,
    TooLong,
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "ERR unknown command"),
            Self::Usage(usage) => write!(f, "ERR usage: {usage}"),
            Self::BadKey => write!(f, "ERR bad key"),
            Self::NotANumber => write!(f, "ERR not a number"),
            Self::OutOfRange => write!(f, "ERR out of range"),
            Self::NotText => write!(f, "ERR not text"),
            Self::TooLong => write!(f, "ERR too long"),
            Self::Full => write!(f, "ERR full"),
        }
    }
}

/// The command of a line, which comes without its end. `None`: a line of blanks, which is not answered.
fn parse(line: &[u8]) -> Result<Option<Command>, Refusal> {
    // STARTER
    //| // TODO 1: is it text? UTF-8, and no control characters but the tab.
    //| // TODO 2: the first word says which command, in any case. Blanks (spaces and tabs) separate words, one or more of them.
    //| // TODO 3: so many arguments as it needs, no more and no fewer; keys and numbers as they must be.
    //| let _ = line;
    //| Err(Refusal::Unknown)
    // SOLUTION
    let text = std::str::from_utf8(line).map_err(|_| Refusal::NotText)?;
    if text.chars().any(|letter| letter.is_control() && letter != '\t') {
        return Err(Refusal::NotText);
    }
    let (name, rest) = first_word(text);
    Ok(Some(match name.to_ascii_uppercase().as_str() {
        "" => return Ok(None),
        "PING" => none(rest, "PING").map(|()| Command::Ping)?,
        "ECHO" if rest.is_empty() => return Err(Refusal::Usage("ECHO TEXT")),
        "ECHO" => Command::Echo(rest.to_owned()),
        "SET" => {
            // The value is the rest of the line: it may have blanks in it.
            let (key, value) = two(rest, "SET KEY VALUE")?;
            Command::Set { key: good_key(key)?, value: value.to_owned() }
        }
        "GET" => Command::Get(good_key(one(rest, "GET KEY")?)?),
        "DEL" => Command::Del(good_key(one(rest, "DEL KEY")?)?),
        "ADD" => {
            let (a, b) = two(rest, "ADD A B")?;
            none(first_word(b).1, "ADD A B")?;
            Command::Add(number(a)?, number(b)?)
        }
        "WORK" => {
            let time = number(one(rest, "WORK MS")?)?;
            let time = u64::try_from(time).ok().filter(|time| *time <= LONGEST_WORK);
            Command::Work(time.ok_or(Refusal::OutOfRange)?)
        }
        "QUIT" => none(rest, "QUIT").map(|()| Command::Quit)?,
        _ => return Err(Refusal::Unknown),
    }))
    // END
}
// SOLUTION

/// The first word, and the rest without the blanks around it.
fn first_word(text: &str) -> (&str, &str) {
    let blank = |letter| letter == ' ' || letter == '\t';
    let text = text.trim_matches(blank);
    text.split_once(blank).map_or((text, ""), |(word, rest)| (word, rest.trim_start_matches(blank)))
}

fn none(rest: &str, usage: &'static str) -> Result<(), Refusal> {
    if rest.is_empty() { Ok(()) } else { Err(Refusal::Usage(usage)) }
}

/// One word, and nothing behind it.
fn one<'a>(rest: &'a str, usage: &'static str) -> Result<&'a str, Refusal> {
    match first_word(rest) {
        (word, "") if !word.is_empty() => Ok(word),
        _ => Err(Refusal::Usage(usage)),
    }
}

/// A word, and what is behind it, which is something.
fn two<'a>(rest: &'a str, usage: &'static str) -> Result<(&'a str, &'a str), Refusal> {
    match first_word(rest) {
        (_, "") => Err(Refusal::Usage(usage)),
        both => Ok(both),
    }
}

fn good_key(key: &str) -> Result<String, Refusal> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if key.len() <= LONGEST_KEY && key.bytes().all(good) { Ok(key.to_owned()) } else { Err(Refusal::BadKey) }
}

fn number(word: &str) -> Result<i64, Refusal> {
    word.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => Refusal::OutOfRange,
        _ => Refusal::NotANumber,
    })
}
// END

/// The keys and values, which all clients share.
#[derive(Debug, Default)]
struct Store {
    #[allow(dead_code)] // Yours to use.
    values: Mutex<BTreeMap<String, String>>,
}

/// The answer to a command.
enum Reply {
    Line(String),
    /// The last one: then the conversation ends.
    Last(String),
}

/// Does what a command says.
fn execute(command: Command, store: &Store) -> Result<Reply, Refusal> {
    // STARTER
    //| // TODO 4: the answers are in the README. Compute with care: ADD may overflow, and the store has a limit.
    //| let _ = store;
    //| match command {
    //|     Command::Quit => Ok(Reply::Last("BYE".into())),
    //|     Command::Work(time) => {
    //|         thread::sleep(Duration::from_millis(time));
    //|         Ok(Reply::Line("OK".into()))
    //|     }
    //|     _ => Err(Refusal::Unknown),
    //| }
    // SOLUTION
    let lock = || store.values.lock().unwrap_or_else(PoisonError::into_inner);
    let found = |value: Option<String>| value.map_or("NONE".to_owned(), |value| format!("VALUE {value}"));
    Ok(Reply::Line(match command {
        Command::Ping => "PONG".into(),
        Command::Echo(text) => text,
        Command::Get(key) => found(lock().get(&key).cloned()),
        Command::Del(key) => found(lock().remove(&key)),
        Command::Set { key, value } => {
            // Looked at and changed under one lock.
            let mut values = lock();
            if values.len() >= MOST_KEYS && !values.contains_key(&key) {
                return Err(Refusal::Full);
            }
            values.insert(key, value);
            "OK".into()
        }
        Command::Add(a, b) => format!("SUM {}", a.checked_add(b).ok_or(Refusal::OutOfRange)?),
        Command::Work(time) => {
            thread::sleep(Duration::from_millis(time));
            "OK".into()
        }
        Command::Quit => return Ok(Reply::Last("BYE".into())),
    }))
    // END
}

/// Serves each client in a thread of its own.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    let store = Arc::new(Store::default());
    for stream in listener.incoming() {
        let store = Arc::clone(&store);
        let served = stream.and_then(|stream| {
            thread::Builder::new().spawn(move || {
                if let Err(error) = converse(&stream, &store) {
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

/// Answers the lines of one client. A line that is refused is answered, too, and the conversation goes on.
fn converse(stream: &TcpStream, store: &Store) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some(line) = next_line(&mut reader)? {
        let parsed = line.ok_or(Refusal::TooLong).and_then(|line| parse(&line));
        let (text, last) = match parsed.and_then(|command| command.map(|command| execute(command, store)).transpose()) {
            Ok(None) => continue,
            Ok(Some(Reply::Line(text))) => (text, false),
            Ok(Some(Reply::Last(text))) => (text, true),
            Err(refusal) => (refusal.to_string(), false),
        };
        writer.write_all((text + "\n").as_bytes())?;
        if last {
            break;
        }
    }
    Ok(())
}

/// The next line without its end, LF or CR LF. `Some(None)`: it was too long, and nothing of it was kept. `None`: the client sends
/// nothing more; a line that it began is none.
fn next_line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Option<Vec<u8>>>> {
    let (mut line, mut too_long) = (Vec::new(), false);
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(None);
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let count = end.unwrap_or(piece.len());
        line.extend_from_slice(&piece[..count]);
        reader.consume(count + usize::from(end.is_some()));
        if end.is_some() {
            line.pop_if(|last| *last == b'\r');
            return Ok(Some((!too_long && line.len() <= LONGEST_LINE).then_some(line)));
        }
        // One more byte may be the CR of the line's end.
        if line.len() > LONGEST_LINE + 1 {
            too_long = true;
            line.clear();
        }
    }
}
