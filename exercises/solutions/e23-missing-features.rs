//! Exercise 23: the features that production asks of a server that answers well already: a stop, a timeout, a limit, a log, a health page.
//!
//! The server is given, and works: HTTP/1.1 with connections that stay, a thread for each client. Each feature is checked alone.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{env, process::ExitCode, sync::Arc, thread};
// SOLUTION
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
// END

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
    // STARTER
    //| // TODO 1: `--max-clients N`, 100, and `--idle-timeout MILLISECONDS`, 30,000.
    // SOLUTION
    max_clients: usize,
    idle_timeout: Duration,
    // END
}

fn config() -> Option<Config> {
    let mut args = env::args().skip(1);
    // STARTER
    //| let mut config = Config { listen: String::new() };
    // SOLUTION
    let mut config = Config { listen: String::new(), max_clients: 100, idle_timeout: Duration::from_secs(30) };
    // END
    while let Some(flag) = args.next() {
        let value = args.next()?;
        match flag.as_str() {
            "--listen" => config.listen = value,
            // SOLUTION
            "--max-clients" => config.max_clients = value.parse().ok()?,
            "--idle-timeout" => config.idle_timeout = Duration::from_millis(value.parse().ok()?),
            // END
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
    // STARTER
    //| // TODO 2: the clients that are there, the numbers for /health, and whether the server stops.
    // SOLUTION
    state: Mutex<State>,
    /// A client has gone.
    fewer: Condvar,
    /// Clients that are being told 503.
    refusals: AtomicUsize,
    // END
}
// SOLUTION

#[derive(Default)]
struct State {
    /// The clients that are there, by a number.
    clients: BTreeMap<u64, Arc<TcpStream>>,
    next: u64,
    refused: u64,
    requests: u64,
    stopping: bool,
}

/// A client that is there. However its thread ends, by a panic too, this is dropped.
struct Present<'a>(&'a Server, u64);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.lock().clients.remove(&self.1);
        self.0.fewer.notify_all();
    }
}

impl Server {
    /// Each change is one step, so a thread that panicked with the lock left a good state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a client in. `None`: there is no room.
    fn enter(&self, stream: &Arc<TcpStream>) -> Option<u64> {
        let mut state = self.lock();
        if state.stopping || state.clients.len() >= self.config.max_clients {
            state.refused += 1;
            return None;
        }
        state.next += 1;
        let number = state.next;
        state.clients.insert(number, Arc::clone(stream));
        Some(number)
    }

    /// Begins the end: clients that wait for no answer hear it as the end of their stream.
    fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        for client in state.clients.values() {
            let _ = client.shutdown(Shutdown::Read);
        }
    }

    /// Tells a client that there is no room, in a thread of its own: it may take its time, and others come meanwhile.
    fn refuse(self: &Arc<Self>, stream: Arc<TcpStream>, peer: SocketAddr) {
        if self.refusals.fetch_add(1, Ordering::Relaxed) >= MOST_REFUSALS {
            self.refusals.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let server = Arc::clone(self);
        let spawned = thread::Builder::new().spawn(move || {
            log(peer, b"-", 503, BUSY.len(), Duration::ZERO);
            let _ = answer(&stream, "503 Service Unavailable", "Retry-After: 1\r\nConnection: close\r\n", BUSY);
            let _ = part(&stream);
            server.refusals.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            self.refusals.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

const BUSY: &str = "too many clients\n";

/// One line for each answer. Bytes of a client are escaped, or it could write lines of its own.
fn log(peer: SocketAddr, line: &[u8], status: u16, bytes: usize, took: Duration) {
    eprintln!("access {peer} \"{}\" {status} {bytes} {}", line.escape_ascii(), took.as_millis());
}
// END

/// Accepts clients, until a signal ends that.
fn run(config: Config) -> io::Result<()> {
    let listener = TcpListener::bind(&config.listen)?;
    // STARTER
    //| // TODO 3: SIGINT and SIGTERM: refuse new clients, let go those that wait for nothing, finish what runs, exit 0. The crate
    //| // signal-hook is there.
    //| // TODO 4: one client more than there may be is told 503, at once, whether it has sent anything or not.
    //| let server = Arc::new(Server { config });
    //| println!("READY {}", listener.local_addr()?);
    //| for stream in listener.incoming() {
    //|     let stream = Arc::new(stream?);
    //|     let (server, peer) = (Arc::clone(&server), stream.peer_addr()?);
    //|     thread::Builder::new().spawn(move || {
    //|         if let Err(error) = serve(&stream, peer, &server) {
    //|             eprintln!("client {peer}: {error}");
    //|         }
    //|     })?;
    //| }
    //| Ok(())
    // SOLUTION
    let server = Server { config, state: Mutex::default(), fewer: Condvar::new(), refusals: AtomicUsize::new(0) };
    let server = Arc::new(server);
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let address = listener.local_addr()?;
    let accepting = Arc::clone(&server);
    thread::Builder::new().spawn(move || accept(&listener, &accepting))?;
    println!("READY {address}");
    // One signal is enough.
    let _ = signals.forever().next();
    server.stop();
    // The thread that accepts sleeps. A client wakes it; it sees that the server stops, and closes the listener.
    let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    let there = |state: &mut State| !state.clients.is_empty();
    drop(server.fewer.wait_while(server.lock(), there).unwrap_or_else(PoisonError::into_inner));
    Ok(())
    // END
}
// SOLUTION

fn accept(listener: &TcpListener, server: &Arc<Server>) {
    loop {
        let accepted = listener.accept();
        if server.lock().stopping {
            return;
        }
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (Arc::new(stream), peer),
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let Some(number) = server.enter(&stream) else {
            server.refuse(stream, peer);
            continue;
        };
        let shared = Arc::clone(server);
        let spawned = thread::Builder::new().spawn(move || {
            let _present = Present(&shared, number);
            if let Err(error) = serve(&stream, peer, &shared) {
                eprintln!("client {peer}: {error}");
            }
        });
        if let Err(error) = spawned {
            eprintln!("client {peer}: {error}");
            drop(Present(server, number));
        }
    }
}
// END

/// Answers the requests of one client.
fn serve(stream: &TcpStream, peer: SocketAddr, server: &Server) -> io::Result<()> {
    let mut came = Vec::new();
    loop {
        // STARTER
        //| // TODO 5: a client that has sent no whole head within the idle timeout is let go: with 408, if it has sent a part of one. The
        //| // time runs from the beginning of the connection, or from the end of the last answer; a byte does not begin it anew.
        //| let Some(head) = read_head(stream, &mut came)? else { return Ok(()) };
        // SOLUTION
        let head = match read_head(stream, &mut came, Instant::now() + server.config.idle_timeout)? {
            Some(head) => head,
            None if came.is_empty() || server.lock().stopping => return Ok(()),
            None => {
                let text = "408: the request did not come in time\n";
                log(peer, b"-", 408, text.len(), server.config.idle_timeout);
                answer(stream, "408 Request Timeout", "Connection: close\r\n", text)?;
                return part(stream);
            }
        };
        let begun = Instant::now();
        // END
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let (status, content) = page(line, server);
        // STARTER
        //| let stays = status != "400 Bad Request" && !head.ends_with(b"Connection: close\r\n\r\n");
        // SOLUTION
        let asked = status != "400 Bad Request" && !head.ends_with(b"Connection: close\r\n\r\n");
        let stays = asked && !server.lock().stopping;
        // Counted and logged before the client can know of it.
        server.lock().requests += 1;
        log(peer, line, status[..3].parse().unwrap_or(0), content.len(), begun.elapsed());
        // END
        answer(stream, status, if stays { "" } else { "Connection: close\r\n" }, &content)?;
        // STARTER
        //| // TODO 6: the access log. Look at what a client could write into it.
        //| let _ = peer;
        // SOLUTION
        // END
        if !stays {
            return part(stream);
        }
    }
}

/// The next head: all up to the empty line. `None`: none came before the end.
// STARTER
//| fn read_head(mut stream: &TcpStream, came: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
// SOLUTION
fn read_head(mut stream: &TcpStream, came: &mut Vec<u8>, until: Instant) -> io::Result<Option<Vec<u8>>> {
    // END
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(came.drain(..end + 4).collect()));
        }
        if came.len() > LONGEST_HEAD {
            return Err(io::Error::other("the head is too long"));
        }
        // SOLUTION
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left))?;
        // END
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
    // STARTER
    //| // TODO 7: /health, with numbers that are right: `ok`, then `active`, `refused`, `requests`, a line each.
    //| let _ = server;
    //| match path {
    // SOLUTION
    match path {
        "/health" => {
            let state = server.lock();
            let active = state.clients.len();
            let text = format!("ok\nactive {active}\nrefused {}\nrequests {}\n", state.refused, state.requests);
            ("200 OK", text)
        }
        // END
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
