//! Exercise 20: an incremental parser of HTTP requests. Bytes go in as they come, however they were cut; heads, pieces of bodies and
//! ends of messages come out.
//!
//! The server around it is given: it answers with what the parser has found. So the parser can be tried with `curl` and `nc`.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{env, process::ExitCode, thread};

/// The most bytes of a head, from its first line to its empty line, both included. A longer one is refused with 431.
#[allow(dead_code)] // Yours to use.
const LONGEST_HEAD: usize = 8192;
/// The most fields of a head. More are refused with 431.
#[allow(dead_code)] // Yours to use.
const MOST_FIELDS: usize = 64;
/// The most bytes of the line before a chunk: its size, extensions, CR and LF. A longer one is refused with 400.
#[allow(dead_code)] // Yours to use.
const LONGEST_CHUNK_LINE: usize = 256;
/// The most bytes of all trailers, with their empty line. More are refused with 431.
#[allow(dead_code)] // Yours to use.
const LONGEST_TRAILERS: usize = 4096;

/// A head that was understood.
#[derive(Debug, Default)]
struct Head {
    method: String,
    target: String,
    /// 1 of HTTP/1.1.
    minor: u8,
    /// Names in small letters, values without the blanks around them.
    fields: Vec<(String, Vec<u8>)>,
}

/// A part of a message that the parser has found, in this order: one head, pieces of the body, one end.
#[derive(Debug)]
#[allow(dead_code)] // Yours to make.
enum Event {
    Head(Head),
    /// A piece of the body as it came: a body is never collected.
    Body(Vec<u8>),
    End,
}

/// A reason why a message is not understood. Nothing that comes after it on the connection can be trusted.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    status: u16,
    reason: &'static str,
}

#[allow(dead_code)] // Yours to call.
fn bad(reason: &'static str) -> Refusal {
    Refusal { status: 400, reason }
}

/// The state that a connection keeps from one read to the next.
#[derive(Debug, Default)]
struct Parser {
    // TODO 1: where in a message it is, and the bytes of a line or head that has no end yet.
}

impl Parser {
    /// Takes all of `bytes`, which may end and begin anywhere, and tells what they complete.
    fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Refusal> {
        // TODO 2: the head, up to its empty line and within its limits; then httparse::Request::parse.
        // TODO 3: where the body ends (RFC 9112, section 6.3), and the refusal of all that can be read in two ways.
        // TODO 4: the body, by its length or in chunks. Then the next head.
        let _ = (bytes, events);
        Err(Refusal { status: 501, reason: "the parser is not written yet" })
    }
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e20 --listen HOST:PORT");
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

fn run(listener: &TcpListener) -> io::Result<()> {
    println!("READY {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::Builder::new().spawn(move || {
            if let Err(error) = serve(&stream) {
                eprintln!("a client: {error}");
            }
        })?;
    }
    Ok(())
}

/// Feeds the parser with what each read brings, and answers each message with what was found in it.
fn serve(mut stream: &TcpStream) -> io::Result<()> {
    let (mut parser, mut found) = (Parser::default(), Found::default());
    let mut piece = [0; 16 * 1024];
    loop {
        let count = match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut events = Vec::new();
        let fed = parser.feed(&piece[..count], &mut events);
        let mut answers = Vec::new();
        events.into_iter().for_each(|event| found.add(event, &mut answers));
        if let Err(Refusal { status, reason }) = fed {
            answers.extend(answer(
                &format!("{status} Refused"),
                "Connection: close\r\n",
                format!("{reason}\n").as_bytes(),
            ));
            stream.write_all(&answers)?;
            return part(stream);
        }
        stream.write_all(&answers)?;
    }
}

/// The findings of one message so far.
#[derive(Default)]
struct Found {
    text: Vec<u8>,
    count: u64,
    hash: u32,
}

impl Found {
    fn add(&mut self, event: Event, answers: &mut Vec<u8>) {
        match event {
            Event::Head(head) => {
                self.text = format!("{} {} HTTP/1.{}\n", head.method, head.target, head.minor).into_bytes();
                for (name, value) in head.fields {
                    self.text.extend([name.as_bytes(), b": ", &value, b"\n"].concat());
                }
                // FNV-1a, which sees a byte that is missing, and two that changed places.
                (self.count, self.hash) = (0, 0x811c_9dc5);
            }
            Event::Body(piece) => {
                self.count += piece.len() as u64;
                self.hash =
                    piece.iter().fold(self.hash, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
            }
            Event::End => {
                self.text.extend(format!("body {} {:08x}\n", self.count, self.hash).bytes());
                answers.extend(answer("200 OK", "", &self.text));
            }
        }
    }
}

fn answer(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// Says that nothing more comes, and reads what the client still sends, within bounds: a close that leaves bytes unread would destroy
/// the answer.
fn part(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let until = Instant::now() + Duration::from_secs(2);
    let mut scratch = [0; 16 * 1024];
    while Instant::now() < until && !matches!(stream.read(&mut scratch), Ok(0) | Err(_)) {}
    Ok(())
}
