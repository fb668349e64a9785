//! Exercise 21: a file server. One request a connection, sixteen clients at once, and no file but those below the root.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, process::ExitCode, thread};
// SOLUTION
use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
// END

/// The number of clients that are served at once. Others wait in the kernel's queue.
#[allow(dead_code)] // Yours to use.
const WORKERS: usize = 16;
/// The most bytes of a head, its empty line included. A longer one is refused with 431.
#[allow(dead_code)] // Yours to use.
const LONGEST_HEAD: usize = 8192;
/// The longest time that a worker waits for a client that neither sends nor takes anything.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (mut listen, mut root) = (None, None);
    while let Some(flag) = args.next() {
        match (flag.as_str(), args.next()) {
            ("--listen", Some(address)) => listen = Some(address),
            ("--root", Some(directory)) => root = Some(directory),
            _ => (listen, root) = (None, None),
        }
    }
    let (Some(address), Some(root)) = (listen, root) else {
        eprintln!("usage: e21 --listen HOST:PORT --root DIRECTORY");
        return ExitCode::from(2);
    };
    // The root without links and `..`: what is below it can be told by its beginning.
    let ran = Path::new(&root).canonicalize().and_then(|root| run(&TcpListener::bind(&address)?, &root));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {address}, {root}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A status, as it stands in the first line of an answer.
#[derive(Debug, Clone, Copy)]
struct Status(u16, &'static str);

#[allow(dead_code)] // Yours to use.
const BAD_REQUEST: Status = Status(400, "Bad Request");
#[allow(dead_code)] // Yours to use.
const NOT_FOUND: Status = Status(404, "Not Found");
/// Its answer has a field `Allow`.
#[allow(dead_code)] // Yours to use.
const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
#[allow(dead_code)] // Yours to use.
const HEAD_TOO_LARGE: Status = Status(431, "Request Header Fields Too Large");

/// Serves without end.
fn run(listener: &TcpListener, root: &Path) -> io::Result<()> {
    println!("READY {}", listener.local_addr()?);
    // STARTER
    //| // TODO 1: one client after the other is not enough: WORKERS threads, started once. accept may be called by several at once.
    //| work(listener, root)
    // SOLUTION
    // The queue of the pool is the kernel's: each worker accepts its next client itself.
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(listener, root));
        }
    });
    Ok(())
    // END
}

/// Serves one client after the other.
// STARTER
//| fn work(listener: &TcpListener, root: &Path) -> io::Result<()> {
// SOLUTION
fn work(listener: &TcpListener, root: &Path) {
    // END
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Err(error) = serve(&stream, root) {
                    eprintln!("client {peer}: {error}");
                }
            }
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// A connection has one request, one answer, and the end.
fn serve(stream: &TcpStream, root: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match read_head(stream)? {
        // It has sent no request, or a part of one: there is nothing to answer.
        None => return Ok(()),
        Some(Err(status)) => refuse(stream, status, Method::Get)?,
        Some(Ok(head)) => answer(stream, &head, root)?,
    }
    part(stream)
}

/// The methods that this server has. The answer to HEAD is that to GET without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)] // Yours to use.
enum Method {
    Get,
    Head,
}

/// Reads up to the empty line. `None`: the client said no more before that.
fn read_head(mut stream: &TcpStream) -> io::Result<Option<Result<Vec<u8>, Status>>> {
    // STARTER
    //| // TODO 2: one read is not a head. Read until the empty line has come, and no more than LONGEST_HEAD.
    //| let mut piece = [0; 1024];
    //| let count = stream.read(&mut piece)?;
    //| Ok((count > 0).then(|| Ok(piece[..count].to_vec())))
    // SOLUTION
    let (mut head, mut piece) = (Vec::new(), [0; 2048]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(None),
            Ok(count) => head.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        // The end may have come in two pieces, and behind it a body that nobody wants.
        let end = head.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if end.unwrap_or(head.len()) > LONGEST_HEAD {
            return Ok(Some(Err(HEAD_TOO_LARGE)));
        }
        if let Some(end) = end {
            head.truncate(end);
            return Ok(Some(Ok(head)));
        }
    }
    // END
}

/// Answers a request whose head is complete.
fn answer(stream: &TcpStream, head: &[u8], root: &Path) -> io::Result<()> {
    // STARTER
    //| // TODO 3: the request line: which method, which target? 400 and 405 if it is none of ours.
    //| // TODO 4: the file: with its type, and exactly as many bytes as Content-Length says. It may be longer than your memory.
    //| let _ = (head, find("/", root), media_type(root));
    //| refuse(stream, Status(501, "Not Implemented"), Method::Get)
    // SOLUTION
    let (method, target) = match request_line(head) {
        Ok(line) => line,
        Err(status) => return refuse(stream, status, Method::Get),
    };
    match find(target, root).and_then(open) {
        Ok((file, length, kind)) => send(stream, file, length, kind, method),
        Err(status) => refuse(stream, status, method),
    }
    // END
}
// SOLUTION

/// The method and the target: three parts, and one blank between two of them.
fn request_line(head: &[u8]) -> Result<(Method, &str), Status> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let text = std::str::from_utf8(line).map_err(|_| BAD_REQUEST)?;
    let [method, target, "HTTP/1.0" | "HTTP/1.1"] = text.split(' ').collect::<Vec<_>>()[..] else {
        return Err(BAD_REQUEST);
    };
    match method {
        "" => Err(BAD_REQUEST),
        "GET" => Ok((Method::Get, target)),
        "HEAD" => Ok((Method::Head, target)),
        _ => Err(METHOD_NOT_ALLOWED),
    }
}

/// The file, its length, and its type. Only plain files: to open a pipe, for example, would wait for its other end.
fn open(path: PathBuf) -> Result<(File, u64, &'static str), Status> {
    let plain = |path: &Path| path.metadata().is_ok_and(|metadata| metadata.is_file());
    if !plain(&path) {
        return Err(NOT_FOUND);
    }
    let file = File::open(&path).map_err(|_| NOT_FOUND)?;
    // The length of the file that was opened: another may stand there by now.
    let length = file.metadata().map_err(|_| NOT_FOUND)?.len();
    Ok((file, length, media_type(&path)))
}

/// Sends a file in pieces.
fn send(mut stream: &TcpStream, file: File, length: u64, kind: &str, method: Method) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    if method == Method::Get {
        // It may have grown since.
        io::copy(&mut file.take(length), &mut stream)?;
    }
    Ok(())
}
// END

/// The file that a target names, which may or may not be there: never one that is not below the root.
fn find(target: &str, root: &Path) -> Result<PathBuf, Status> {
    // STARTER
    //| // TODO 5: the path before `?`; each %XX decoded, once; then a look at its parts; then a look at where links lead.
    //| let _ = target;
    //| Ok(root.join("index.html"))
    // SOLUTION
    let path = target.split('?').next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(BAD_REQUEST);
    }
    let path = decode(path.as_bytes())?;
    let mut found = root.to_owned();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(BAD_REQUEST),
            part => found.push(OsStr::from_bytes(part)),
        }
    }
    if found.is_dir() {
        found.push("index.html");
    }
    // A link may lead out of the root.
    let found = found.canonicalize().map_err(|_| NOT_FOUND)?;
    if found.starts_with(root) { Ok(found) } else { Err(NOT_FOUND) }
    // END
}
// SOLUTION

/// Each `%XX` becomes its byte. A byte 0 is in no name.
fn decode(path: &[u8]) -> Result<Vec<u8>, Status> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut decoded, mut rest) = (Vec::new(), path.iter());
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).map_err(|_| BAD_REQUEST)?,
                _ => return Err(BAD_REQUEST),
            },
            byte => *byte,
        };
        if byte == 0 {
            return Err(BAD_REQUEST);
        }
        decoded.push(byte);
    }
    Ok(decoded)
}
// END

/// The media type of a file, by the end of its name in any case of letters.
#[allow(dead_code)] // Yours to call.
fn media_type(path: &Path) -> &'static str {
    // STARTER
    //| // TODO 6: the table of the README.
    //| let _ = path;
    //| "application/octet-stream"
    // SOLUTION
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("html") => "text/html; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
    // END
}

/// An answer that says why there is no file.
fn refuse(mut stream: &TcpStream, Status(code, reason): Status, method: Method) -> io::Result<()> {
    let text = format!("{code} {reason}\n");
    let allow = if code == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let content = if method == Method::Head { "" } else { &text };
    let length = text.len();
    write!(
        stream,
        "HTTP/1.1 {code} {reason}\r\n{allow}Content-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{content}"
    )
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
