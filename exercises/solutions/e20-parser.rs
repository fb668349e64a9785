//! Exercise 20: an incremental parser of HTTP requests. Bytes go in as they come, however they were cut; heads, pieces of bodies and
//! ends of messages come out.
//!
//! The server around it is given: it answers with what the parser has found. So the parser can be tried with `curl` and `nc`.

// SOLUTION
use httparse::{EMPTY_HEADER, Error, Request, Status};
// END
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
    // STARTER
    //| // TODO 1: where in a message it is, and the bytes of a line or head that has no end yet.
    // SOLUTION
    state: State,
    /// The head, the chunk line or the trailers so far.
    kept: Vec<u8>,
    // END
}
// SOLUTION

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Head,
    /// The bytes of the body that are missing.
    Body(u64),
    ChunkLine,
    /// The bytes of the chunk that are missing.
    Chunk(u64),
    /// The CR LF behind a chunk.
    ChunkEnd,
    Trailers,
}
// END

impl Parser {
    /// Takes all of `bytes`, which may end and begin anywhere, and tells what they complete.
    fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Refusal> {
        // STARTER
        //| // TODO 2: the head, up to its empty line and within its limits; then httparse::Request::parse.
        //| // TODO 3: where the body ends (RFC 9112, section 6.3), and the refusal of all that can be read in two ways.
        //| // TODO 4: the body, by its length or in chunks. Then the next head.
        //| let _ = (bytes, events);
        //| Err(Refusal { status: 501, reason: "the parser is not written yet" })
        // SOLUTION
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                State::Head => self.head(rest, events)?,
                State::Body(left) => self.body(left, rest, events),
                State::ChunkLine => self.chunk_line(rest)?,
                State::Chunk(left) => self.chunk(left, rest, events),
                State::ChunkEnd => self.chunk_end(rest)?,
                State::Trailers => self.trailers(rest, events)?,
            };
        }
        Ok(())
        // END
    }
    // SOLUTION

    /// Keeps bytes up to the end of a line. `None`: the line goes on. Each byte is looked at once.
    fn line<'a>(&mut self, bytes: &'a [u8], most: usize, too_long: Refusal) -> Result<Option<&'a [u8]>, Refusal> {
        for (at, byte) in bytes.iter().enumerate() {
            let after_cr = self.kept.last() == Some(&b'\r');
            if after_cr != (*byte == b'\n') {
                return Err(bad("a CR without LF, or an LF without CR"));
            }
            if self.kept.len() == most {
                return Err(too_long);
            }
            self.kept.push(*byte);
            if after_cr {
                return Ok(Some(&bytes[at + 1..]));
            }
        }
        Ok(None)
    }

    fn head<'a>(&mut self, bytes: &'a [u8], events: &mut Vec<Event>) -> Result<&'a [u8], Refusal> {
        let too_long = Refusal { status: 431, reason: "the head is too long" };
        let Some(rest) = self.line(bytes, LONGEST_HEAD, too_long)? else { return Ok(&[]) };
        if self.kept == b"\r\n" {
            // RFC 9112, section 2.2: an empty line before a request is no request.
            self.kept.clear();
        } else if self.kept.ends_with(b"\r\n\r\n") {
            let head = parse_head(&self.kept)?;
            self.kept.clear();
            self.state = body_of(&head)?;
            events.push(Event::Head(head));
            if matches!(self.state, State::Head) {
                events.push(Event::End);
            }
        }
        Ok(rest)
    }

    fn body<'a>(&mut self, left: u64, bytes: &'a [u8], events: &mut Vec<Event>) -> &'a [u8] {
        let (piece, rest) = split(left, bytes);
        events.push(Event::Body(piece.to_vec()));
        self.state = State::Body(left - piece.len() as u64);
        if left == piece.len() as u64 {
            self.state = State::Head;
            events.push(Event::End);
        }
        rest
    }

    fn chunk_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let Some(rest) = self.line(bytes, LONGEST_CHUNK_LINE, bad("the line of a chunk is too long"))? else {
            return Ok(&[]);
        };
        let size = chunk_size(&self.kept)?;
        self.kept.clear();
        self.state = if size == 0 { State::Trailers } else { State::Chunk(size) };
        Ok(rest)
    }

    fn chunk<'a>(&mut self, left: u64, bytes: &'a [u8], events: &mut Vec<Event>) -> &'a [u8] {
        let (piece, rest) = split(left, bytes);
        events.push(Event::Body(piece.to_vec()));
        let left = left - piece.len() as u64;
        self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
        rest
    }

    fn chunk_end<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let Some(rest) = self.line(bytes, 2, bad("a chunk is longer than its size"))? else { return Ok(&[]) };
        self.kept.clear();
        self.state = State::ChunkLine;
        Ok(rest)
    }

    /// Fields behind the last chunk: read, and not passed on.
    fn trailers<'a>(&mut self, bytes: &'a [u8], events: &mut Vec<Event>) -> Result<&'a [u8], Refusal> {
        let too_long = Refusal { status: 431, reason: "the trailers are too long" };
        let Some(rest) = self.line(bytes, LONGEST_TRAILERS, too_long)? else { return Ok(&[]) };
        if self.kept == b"\r\n" || self.kept.ends_with(b"\r\n\r\n") {
            let mut fields = [EMPTY_HEADER; MOST_FIELDS];
            httparse::parse_headers(&self.kept, &mut fields).map_err(|_| bad("bad trailers"))?;
            self.kept.clear();
            self.state = State::Head;
            events.push(Event::End);
        }
        Ok(rest)
    }
    // END
}
// SOLUTION

/// At most `left` bytes, and what comes behind them.
fn split(left: u64, bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len())))
}

/// The size in the line before a chunk. Extensions are not of interest.
fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let line = line.strip_suffix(b"\r\n").unwrap_or(line);
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    // from_str_radix would take a sign.
    let hexadecimal = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| hexadecimal);
    text.and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or(bad("bad size of a chunk"))
}

fn parse_head(bytes: &[u8]) -> Result<Head, Refusal> {
    let mut fields = [EMPTY_HEADER; MOST_FIELDS];
    let mut request = Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(Status::Complete(_)) => {}
        Err(Error::TooManyHeaders) => return Err(Refusal { status: 431, reason: "too many fields" }),
        Err(Error::Version) => return Err(Refusal { status: 505, reason: "only HTTP/1.0 and HTTP/1.1" }),
        Ok(Status::Partial) | Err(_) => return Err(bad("bad head")),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(bad("bad request line"));
    };
    let field = |field: &httparse::Header<'_>| (field.name.to_ascii_lowercase(), field.value.to_vec());
    let fields = request.headers.iter().map(field).collect();
    Ok(Head { method: method.to_owned(), target: target.to_owned(), minor, fields })
}

/// The state after the head: what its fields say of the body (RFC 9112, section 6.3).
fn body_of(head: &Head) -> Result<State, Refusal> {
    let all = |wanted: &str| -> Vec<&[u8]> {
        head.fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| &value[..]).collect()
    };
    let hosts = all("host").len();
    if hosts > 1 || (hosts == 0 && head.minor == 1) {
        return Err(bad("one Host, please"));
    }
    match (&all("transfer-encoding")[..], &all("content-length")[..]) {
        ([], []) => Ok(State::Head),
        ([], [length]) => body_length(length),
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") && head.minor == 1 => Ok(State::ChunkLine),
        (_, []) => Err(bad("an unknown transfer coding")),
        _ => Err(bad("two lengths")),
    }
}

fn body_length(text: &[u8]) -> Result<State, Refusal> {
    // parse would take a sign.
    let digits = text.iter().all(u8::is_ascii_digit);
    let length = std::str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    match length.ok_or(bad("a length that is no number"))? {
        0 => Ok(State::Head),
        length => Ok(State::Body(length)),
    }
}
// END

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
