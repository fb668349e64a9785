//! Exercise 23: the features that production asks of a server that answers well already: a stop, a timeout, a limit, a log, a health page.
//!
//! The server is given, and works: HTTP/1.1 with connections that stay, a thread for each client. Each feature is checked alone.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{env, process::ExitCode, sync::Arc, thread};

/// The longest head, in bytes.
const LONGEST_HEAD: usize = 8192;
/// The longest time of `/work/N`, in milliseconds.
const LONGEST_WORK: u64 = 60_000;
/// The most clients that are told 503 at the same moment; one more is let go without a word.
#[allow(dead_code)] // Yours to use.
const MOST_REFUSALS: usize = 32;

/// The flags, with the values that they have if they are not given.
#[derive(Debug)]
struct Config {
    listen: String,
    // TODO 1: `--max-clients N`, 100, and `--idle-timeout MILLISECONDS`, 30,000.
}

fn config() -> Option<Config> {
    let mut args = env::args().skip(1);
    let mut config = Config { listen: String::new() };
    while let Some(flag) = args.next() {
        let value = args.next()?;
        match flag.as_str() {
            "--listen" => config.listen = value,
            _ => return None,
        }
    }
    (!config.listen.is_empty()).then_some(config)
}

fn main() -> ExitCode {
    let Some(config) = config() else {
        eprintln!("usage: e23 --listen HOST:PORT [--max-clients N] [--idle-timeout MILLISECONDS]");
        return ExitCode::from(2);
    };
    let listen = config.listen.clone();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {listen}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The state that all threads share.
struct Server {
    #[allow(dead_code)] // Yours to use.
    config: Config,
    // TODO 2: the clients that are there, the numbers for /health, and whether the server stops.
}

/// Accepts clients, until a signal ends that.
fn run(config: Config) -> io::Result<()> {
    let listener = TcpListener::bind(&config.listen)?;
    // TODO 3: SIGINT and SIGTERM: refuse new clients, let go those that wait for nothing, finish what runs, exit 0. The crate
    // signal-hook is there.
    // TODO 4: one client more than there may be is told 503, at once, whether it has sent anything or not.
    let server = Arc::new(Server { config });
    println!("READY {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = Arc::new(stream?);
        let (server, peer) = (Arc::clone(&server), stream.peer_addr()?);
        thread::Builder::new().spawn(move || {
            if let Err(error) = serve(&stream, peer, &server) {
                eprintln!("client {peer}: {error}");
            }
        })?;
    }
    Ok(())
}

/// Answers the requests of one client.
fn serve(stream: &TcpStream, peer: SocketAddr, server: &Server) -> io::Result<()> {
    let mut came = Vec::new();
    loop {
        // TODO 5: a client that has sent no whole head within the idle timeout is let go: with 408, if it has sent a part of one. The
        // time runs from the beginning of the connection, or from the end of the last answer; a byte does not begin it anew.
        let Some(head) = read_head(stream, &mut came)? else { return Ok(()) };
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let (status, content) = page(line, server);
        let stays = status != "400 Bad Request" && !head.ends_with(b"Connection: close\r\n\r\n");
        answer(stream, status, if stays { "" } else { "Connection: close\r\n" }, &content)?;
        // TODO 6: the access log. Look at what a client could write into it.
        let _ = peer;
        if !stays {
            return part(stream);
        }
    }
}

/// The next head: all up to the empty line. `None`: none came before the end.
fn read_head(mut stream: &TcpStream, came: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(came.drain(..end + 4).collect()));
        }
        if came.len() > LONGEST_HEAD {
            return Err(io::Error::other("the head is too long"));
        }
        match stream.read(&mut piece) {
            // A part of a head at the end is none.
            Ok(0) => {
                came.clear();
                return Ok(None);
            }
            Ok(count) => came.extend_from_slice(&piece[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The status and the content for a request line.
fn page(line: &[u8], server: &Server) -> (&'static str, String) {
    let text = String::from_utf8_lossy(line);
    let ["GET", path, "HTTP/1.1"] = text.split(' ').collect::<Vec<_>>()[..] else {
        return ("400 Bad Request", "bad request\n".to_owned());
    };
    if let Some(time) = path.strip_prefix("/work/").and_then(|time| time.parse().ok()) {
        thread::sleep(Duration::from_millis(u64::min(time, LONGEST_WORK)));
        return ("200 OK", "done\n".to_owned());
    }
    // TODO 7: /health, with numbers that are right: `ok`, then `active`, `refused`, `requests`, a line each.
    let _ = server;
    match path {
        "/" => ("200 OK", "hello\n".to_owned()),
        _ => ("404 Not Found", "not found\n".to_owned()),
    }
}

fn answer(mut stream: &TcpStream, status: &str, fields: &str, content: &str) -> io::Result<()> {
    let length = content.len();
    let text = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{content}");
    stream.write_all(text.as_bytes())
}

/// Says that nothing more comes, and reads what the client still sends, within bounds: a close that leaves bytes unread would destroy
/// the answer.
fn part(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    let until = Instant::now() + Duration::from_secs(1);
    let mut scratch = [0; 16 * 1024];
    while Instant::now() < until && !matches!(stream.read(&mut scratch), Ok(0) | Err(_)) {}
    Ok(())
}
