//! Exercise 22: HTTP/1.1. A connection stays, requests follow each other on it, and bodies come and go in chunks.
//!
//! Two sites live at one address. Their pages are given (`page`); the exercise is the protocol around them.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{env, process::ExitCode, thread};

/// The sites, by the names that `Host` has. Every other name is answered with 421.
#[allow(dead_code)] // Yours to use.
const SITES: [&str; 2] = ["one.test", "two.test"];
/// The most bytes of a head, its empty line included. A longer one is refused with 431.
#[allow(dead_code)] // Yours to use.
const LONGEST_HEAD: usize = 8192;
/// The most bytes of a body, however it comes. A longer one is refused with 413.
#[allow(dead_code)] // Yours to use.
const LONGEST_BODY: usize = 1024 * 1024;
/// The most requests on one connection. The answer to the last one says that the connection ends.
#[allow(dead_code)] // Yours to use.
const MOST_REQUESTS: usize = 100;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: e22 --listen HOST:PORT");
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

/// A thread for each client.
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

/// A status, as it stands in the first line of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Status(u16, &'static str);

const NO_CONTENT: Status = Status(204, "No Content");
#[allow(dead_code)] // Yours to use.
const BAD_REQUEST: Status = Status(400, "Bad Request");
/// Its answer has a field `Allow`.
const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
#[allow(dead_code)] // Yours to use.
const CONTENT_TOO_LARGE: Status = Status(413, "Content Too Large");
#[allow(dead_code)] // Yours to use.
const MISDIRECTED: Status = Status(421, "Misdirected Request");
#[allow(dead_code)] // Yours to use.
const HEAD_TOO_LARGE: Status = Status(431, "Request Header Fields Too Large");

/// The content of an answer.
#[derive(Debug)]
#[allow(dead_code)] // Yours to send.
enum Content {
    /// All of it is there, so its length is known.
    Whole(Vec<u8>),
    /// Lines, by their number. They are made while they are sent, so their length is not known before.
    Lines(u32),
}

/// The answer of a site to a request.
#[allow(dead_code)] // Yours to call.
fn page(site: &str, method: &str, path: &str, body: &[u8]) -> (Status, Content) {
    let refused = |status: Status| (status, Content::Whole(format!("{} {}\n", status.0, status.1).into_bytes()));
    let lines = path.strip_prefix("/count/").and_then(|number| number.parse().ok()).filter(|count| *count <= 200_000);
    match (method, path, lines) {
        ("GET" | "HEAD", "/", _) => (Status(200, "OK"), Content::Whole(format!("this is {site}\n").into_bytes())),
        ("DELETE", "/", _) => (NO_CONTENT, Content::Whole(Vec::new())),
        ("GET" | "HEAD", _, Some(count)) => (Status(200, "OK"), Content::Lines(count)),
        ("POST", "/echo", _) => (Status(200, "OK"), Content::Whole(body.to_vec())),
        (_, "/" | "/echo", _) | (_, _, Some(_)) => refused(METHOD_NOT_ALLOWED),
        _ => refused(Status(404, "Not Found")),
    }
}

/// The bytes of a line of `/count/N`.
#[allow(dead_code)] // Yours to call.
fn line(number: u32) -> Vec<u8> {
    format!("line {number}\n").into_bytes()
}

/// Answers the requests of a connection, until one of many reasons ends it.
fn serve(stream: &TcpStream) -> io::Result<()> {
    // TODO 1: read a request: its head, then its body by length or in chunks. Bytes behind it belong to the next one.
    // TODO 2: choose the site by Host, and ask `page`.
    // TODO 3: answer: with Content-Length, or in chunks, or with nothing at all behind the head.
    // TODO 4: the next request on the same connection, or the end? The answer says which.
    refuse(stream, Status(501, "Not Implemented"))
}

/// The last answer: to a request that was not understood. Where the next one begins is not known.
fn refuse(mut stream: &TcpStream, Status(code, reason): Status) -> io::Result<()> {
    let text = format!("{code} {reason}\n");
    let length = text.len();
    write!(stream, "HTTP/1.1 {code} {reason}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}")?;
    part(stream)
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
