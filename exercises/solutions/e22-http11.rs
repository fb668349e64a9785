//! Exercise 22: HTTP/1.1. A connection stays, requests follow each other on it, and bodies come and go in chunks.
//!
//! Two sites live at one address. Their pages are given (`page`); the exercise is the protocol around them.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{env, process::ExitCode, thread};
// SOLUTION
use httparse::{EMPTY_HEADER, Request as Parser, Status as Parsed};
use std::io::{BufWriter, ErrorKind};
// END

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
// SOLUTION

/// A request that has come whole.
#[derive(Debug)]
struct Request {
    method: String,
    path: String,
    /// `None`: a host that is not here.
    site: Option<&'static str>,
    /// 1 of HTTP/1.1.
    minor: u8,
    /// The client wants the connection to stay.
    stays: bool,
    body: Vec<u8>,
}

#[derive(Debug)]
enum End {
    /// The client sends no more, or its connection broke. A part of a request does not count.
    Gone,
    Refused(Status),
}

/// A body, as the head announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Bytes(usize),
    Chunks,
}

/// A connection, with the bytes that have come and belong to no request yet.
struct Connection<'a> {
    stream: &'a TcpStream,
    came: Vec<u8>,
}

impl Connection<'_> {
    /// Reads once more.
    fn more(&mut self) -> Result<(), End> {
        let mut piece = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(End::Gone),
                Ok(count) => {
                    self.came.extend_from_slice(&piece[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    eprintln!("a client: {error}");
                    return Err(End::Gone);
                }
            }
        }
    }

    /// Takes so many bytes, once they are there.
    fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.came.len() < count {
            self.more()?;
        }
        Ok(self.came.drain(..count).collect())
    }

    /// Takes all up to `end`, which is included, and at most `most` bytes.
    fn take_to(&mut self, end: &[u8], most: usize, too_long: Status) -> Result<Vec<u8>, End> {
        loop {
            let found = self.came.windows(end.len()).position(|window| window == end).map(|at| at + end.len());
            if found.unwrap_or(self.came.len()) > most {
                return Err(End::Refused(too_long));
            }
            match found {
                Some(count) => return self.take(count),
                None => self.more()?,
            }
        }
    }

    /// The next request, once it is there as a whole.
    fn request(&mut self) -> Result<Request, End> {
        // An empty line before a request is no request. Half of one may have come.
        while b"\r\n".starts_with(&self.came[..self.came.len().min(2)]) {
            if self.came.len() >= 2 {
                self.came.drain(..2);
            } else {
                self.more()?;
            }
        }
        let bytes = self.take_to(b"\r\n\r\n", LONGEST_HEAD, HEAD_TOO_LARGE)?;
        let mut fields = [EMPTY_HEADER; 64];
        let mut head = Parser::new(&mut fields);
        match head.parse(&bytes) {
            Ok(Parsed::Complete(_)) => {}
            Ok(Parsed::Partial) | Err(_) => return Err(End::Refused(BAD_REQUEST)),
        }
        let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
            return Err(End::Refused(BAD_REQUEST));
        };
        let (host, path) = host_and_path(&head, target, minor).map_err(End::Refused)?;
        let site = SITES.into_iter().find(|site| site.eq_ignore_ascii_case(&host));
        let length = body_length(&head, minor).map_err(End::Refused)?;
        if minor == 1 && words(&head, "expect").any(|word| word.eq_ignore_ascii_case("100-continue")) {
            // The client waits for a word before it sends a body. If the body has begun to come, it does not.
            if self.came.is_empty() && length != Length::Bytes(0) {
                let _ = self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
        }
        let says = |wanted: &str| words(&head, "connection").any(|word| word.eq_ignore_ascii_case(wanted));
        let stays = if minor == 1 { !says("close") } else { says("keep-alive") && !says("close") };
        let body = match length {
            Length::Bytes(count) => self.take(count)?,
            Length::Chunks => self.chunks()?,
        };
        Ok(Request { method: method.to_owned(), path, site, minor, stays, body })
    }

    /// A body in chunks, put together.
    fn chunks(&mut self) -> Result<Vec<u8>, End> {
        let mut body = Vec::new();
        loop {
            let line = self.take_to(b"\r\n", 256, BAD_REQUEST)?;
            let size = chunk_size(&line).ok_or(End::Refused(BAD_REQUEST))?;
            if size > LONGEST_BODY - body.len() {
                return Err(End::Refused(CONTENT_TOO_LARGE));
            }
            if size == 0 {
                break;
            }
            body.extend(self.take(size)?);
            if self.take(2)? != b"\r\n" {
                return Err(End::Refused(BAD_REQUEST));
            }
        }
        // Trailers, and the empty line.
        let mut room = LONGEST_HEAD;
        loop {
            match self.take_to(b"\r\n", room, HEAD_TOO_LARGE)? {
                line if line == b"\r\n" => return Ok(body),
                line => room -= line.len(),
            }
        }
    }
}

/// All words of a field, which may be a list, and may come more than once.
fn words<'a>(head: &'a Parser<'_, '_>, name: &'a str) -> impl Iterator<Item = &'a str> {
    values(head, name).flat_map(|value| value.split(',').map(str::trim))
}

/// All values of a field. One that is no text says nothing.
fn values<'a>(head: &'a Parser<'_, '_>, name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = head.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| std::str::from_utf8(field.value).unwrap_or_default())
}

/// The name of the site, without its port, and the path. An absolute target has both.
fn host_and_path(head: &Parser<'_, '_>, target: &str, minor: u8) -> Result<(String, String), Status> {
    let hosts: Vec<&str> = values(head, "host").collect();
    let host = match hosts[..] {
        [host] => host,
        [] if minor == 0 => SITES[0],
        _ => return Err(BAD_REQUEST),
    };
    // RFC 9112, section 3.2.2: then Host does not count.
    let absolute = target.strip_prefix("http://").map(|rest| rest.split_at(rest.find('/').unwrap_or(rest.len())));
    let (host, path) = absolute.unwrap_or((host, target));
    let path = path.split('?').next().unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    let name = host.split(':').next().unwrap_or_default();
    Ok((name.to_owned(), path.to_owned()))
}

/// RFC 9112, section 6.3. A head that can be read in two ways is refused.
fn body_length(head: &Parser<'_, '_>, minor: u8) -> Result<Length, Status> {
    let all = |name| values(head, name).collect::<Vec<_>>();
    match (&all("transfer-encoding")[..], &all("content-length")[..]) {
        ([], []) => Ok(Length::Bytes(0)),
        ([], [text]) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            // One that does not fit in a number is too long, too.
            match text.parse() {
                Ok(length) if length <= LONGEST_BODY => Ok(Length::Bytes(length)),
                _ => Err(CONTENT_TOO_LARGE),
            }
        }
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") && minor == 1 => Ok(Length::Chunks),
        _ => Err(BAD_REQUEST),
    }
}

/// The size in the line before a chunk.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\r\n")?;
    let digits = line.split(|byte| *byte == b';').next()?;
    let text = std::str::from_utf8(digits).ok()?;
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A size that fits in no number is larger than any limit.
    plain.then(|| usize::from_str_radix(text, 16).unwrap_or(usize::MAX))
}
// END

/// Answers the requests of a connection, until one of many reasons ends it.
fn serve(stream: &TcpStream) -> io::Result<()> {
    // STARTER
    //| // TODO 1: read a request: its head, then its body by length or in chunks. Bytes behind it belong to the next one.
    //| // TODO 2: choose the site by Host, and ask `page`.
    //| // TODO 3: answer: with Content-Length, or in chunks, or with nothing at all behind the head.
    //| // TODO 4: the next request on the same connection, or the end? The answer says which.
    //| refuse(stream, Status(501, "Not Implemented"))
    // SOLUTION
    let mut connection = Connection { stream, came: Vec::new() };
    for count in 1..=MOST_REQUESTS {
        let request = match connection.request() {
            Ok(request) => request,
            Err(End::Gone) => return Ok(()),
            Err(End::Refused(status)) => return refuse(stream, status),
        };
        let (status, content) = match request.site {
            Some(site) => page(site, &request.method, &request.path, &request.body),
            None => (MISDIRECTED, Content::Whole(b"421 no such site here\n".to_vec())),
        };
        // An old client knows no chunks: the end of the connection is the end of the content.
        let endless = matches!(content, Content::Lines(_)) && request.minor == 0;
        let stays = request.stays && count < MOST_REQUESTS && !endless;
        send(stream, &request, status, &content, stays)?;
        if !stays {
            break;
        }
    }
    part(stream)
    // END
}
// SOLUTION

/// Sends an answer.
fn send(stream: &TcpStream, request: &Request, status: Status, content: &Content, stays: bool) -> io::Result<()> {
    let mut out = BufWriter::new(stream);
    let Status(code, reason) = status;
    write!(out, "HTTP/1.1 {code} {reason}\r\n")?;
    if status == METHOD_NOT_ALLOWED {
        write!(out, "Allow: GET, HEAD, POST, DELETE\r\n")?;
    }
    match (stays, request.minor) {
        (false, _) => write!(out, "Connection: close\r\n")?,
        (true, 0) => write!(out, "Connection: keep-alive\r\n")?,
        (true, _) => {}
    }
    let has_content = request.method != "HEAD" && status != NO_CONTENT;
    match content {
        _ if status == NO_CONTENT => write!(out, "\r\n")?,
        Content::Whole(bytes) => {
            write!(out, "Content-Length: {}\r\n\r\n", bytes.len())?;
            if has_content {
                out.write_all(bytes)?;
            }
        }
        Content::Lines(count) => {
            let chunked = request.minor == 1;
            write!(out, "{}\r\n", if chunked { "Transfer-Encoding: chunked\r\n" } else { "" })?;
            if has_content {
                send_lines(&mut out, *count, chunked)?;
            }
        }
    }
    out.flush()
}

fn send_lines(out: &mut impl io::Write, count: u32, chunked: bool) -> io::Result<()> {
    for number in 1..=count {
        let line = line(number);
        if chunked {
            write!(out, "{:x}\r\n", line.len())?;
            out.write_all(&line)?;
            out.write_all(b"\r\n")?;
        } else {
            out.write_all(&line)?;
        }
    }
    if chunked { out.write_all(b"0\r\n\r\n") } else { Ok(()) }
}
// END

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
