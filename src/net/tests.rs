//! The same sessions under every driver, over real sockets.

mod files;

use super::{DriverConfig, Reactor, Sessions, Traffic, blocking};
use crate::{
    buf::Output,
    session::{CloseReason, Session, Wants},
    time::{Instant, Now},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// No step takes so long, on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes that the endless answer keeps ready.
const STOCK: usize = 100_000;

/// Greets, sends everything back, and obeys four words: `quit`; `wrong`, which breaks its rule; `idle`, after which it waits 30 ms for more; `endless`,
/// after which it talks for ever.
struct Parrot {
    output: Output,
    close: Option<CloseReason>,
    ended: bool,
    deadline: Option<Instant>,
    /// How many bytes it was asked for, if it talks for ever.
    endless: Option<Arc<AtomicUsize>>,
    produced: Arc<AtomicUsize>,
}

impl Parrot {
    fn new(produced: Arc<AtomicUsize>) -> Self {
        let mut output = Output::new();
        output.extend(b"hi ");
        Self { output, close: None, ended: false, deadline: None, endless: None, produced }
    }
}

impl Session for Parrot {
    fn receive(&mut self, input: &[u8], now: Now) {
        // Bytes that came with that word are not answered.
        let wrong = input.starts_with(b"wrong");
        self.output.extend(if wrong { b"wrong" } else { input });
        match input {
            b"quit" => self.close = Some(CloseReason::PeerAsked),
            _ if wrong => self.close = Some(CloseReason::Protocol("a rule")),
            b"idle" => self.deadline = Some(now.instant + Duration::from_millis(30)),
            b"endless" => {
                self.endless = Some(Arc::clone(&self.produced));
                self.deadline = Some(now.instant + Duration::from_millis(300));
            }
            _ => {}
        }
    }

    fn receive_end(&mut self, _: Now) {
        assert!(!self.ended, "there is one end");
        self.ended = true;
    }

    fn output(&mut self) -> &mut Output {
        if let Some(produced) = &self.endless
            && self.output.is_empty()
        {
            produced.fetch_add(STOCK, Ordering::Relaxed);
            self.output.extend(&vec![b'x'; STOCK]);
        }
        &mut self.output
    }

    fn wants(&self) -> Wants {
        match self.close {
            Some(reason) => Wants::Close(reason),
            None if self.endless.is_some() || !self.output.is_empty() => Wants::Flush,
            None if self.ended => Wants::Close(CloseReason::PeerFinished),
            None => Wants::Input,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn promised(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, now: Now) {
        if self.deadline.is_none_or(|at| now.instant < at) {
            return;
        }
        let unsent = self.endless.take().is_some();
        self.close = Some(if unsent { CloseReason::TooSlow } else { CloseReason::Idle });
        self.output.clear();
        self.deadline = None;
    }
}

/// Which driver.
#[derive(Debug, Clone, Copy)]
enum Driver {
    Blocking,
    Reactor,
    #[cfg(target_os = "linux")]
    Proactor,
}

const ALL: &[Driver] = &[
    Driver::Blocking,
    Driver::Reactor,
    #[cfg(target_os = "linux")]
    Driver::Proactor,
];

/// A server for one client, and what its sessions produced.
struct Server {
    address: SocketAddr,
    produced: Arc<AtomicUsize>,
    /// How the blocking driver ended.
    thread: Option<JoinHandle<Option<std::io::Result<CloseReason>>>>,
    stop: Box<dyn Fn()>,
}

/// Runs sessions under the event loop that is made by `$new`.
macro_rules! event_loop {
    ($new:expr, $listener:ident, $traffic:ident, $make:ident) => {{
        let sessions = Sessions::new(move |_, _| $make()).counting($traffic);
        let mut driver = $new(sessions, DriverConfig::default()).unwrap();
        driver.listen($listener).unwrap();
        let remote = driver.remote();
        let run = move || {
            driver.run().unwrap();
            None
        };
        (thread::spawn(run), Box::new(move || remote.drain(PATIENCE)))
    }};
}

fn serve(driver: Driver) -> Server {
    let produced = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&produced);
    Server { produced, ..serve_each(driver, Arc::default(), move || Parrot::new(Arc::clone(&count))) }
}

/// Runs the sessions that are made by `make`; the blocking driver takes one client.
fn serve_each<S: Session + Send + 'static>(
    driver: Driver,
    traffic: Arc<Traffic>,
    make: impl Fn() -> S + Send + 'static,
) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    #[allow(clippy::disallowed_methods)] // Servers run on their own threads.
    let (thread, stop): (_, Box<dyn Fn()>) = match driver {
        Driver::Blocking => {
            let drive = move || {
                let (stream, _) = listener.accept().unwrap();
                Some(blocking::drive(&stream, &mut make(), &traffic))
            };
            (thread::spawn(drive), Box::new(|| {}))
        }
        Driver::Reactor => event_loop!(Reactor::new, listener, traffic, make),
        #[cfg(target_os = "linux")]
        Driver::Proactor => event_loop!(super::Proactor::new, listener, traffic, make),
    };
    Server { address, produced: Arc::default(), thread: Some(thread), stop }
}

impl Server {
    fn connect(&self) -> TcpStream {
        #[allow(clippy::disallowed_methods)] // A plain client.
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Waits for the server; the blocking driver tells how it ended.
    fn end(mut self) -> Option<std::io::Result<CloseReason>> {
        (self.stop)();
        self.thread.take().unwrap().join().unwrap()
    }
}

fn says(mut client: &TcpStream, expected: &str) {
    let mut said = vec![0; expected.len()];
    client.read_exact(&mut said).unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), expected);
}

fn says_no_more(mut client: &TcpStream) {
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

/// How the blocking driver must have ended; the others do not tell.
fn assert_ended(server: Server, expected: CloseReason) {
    if let Some(ended) = server.end() {
        assert_eq!(ended.unwrap(), expected);
    }
}

#[test]
fn a_session_greets_answers_and_ends_when_asked() {
    for &driver in ALL {
        let server = serve(driver);
        let mut client = server.connect();
        says(&client, "hi ");
        client.write_all(b"polly").unwrap();
        says(&client, "polly");
        client.write_all(b"quit").unwrap();
        says(&client, "quit");
        says_no_more(&client);
        drop(client);
        assert_ended(server, CloseReason::PeerAsked);
    }
}

#[test]
fn a_client_that_ends_first_gets_its_answers() {
    for &driver in ALL {
        let server = serve(driver);
        let mut client = server.connect();
        client.write_all(b"last words").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        says(&client, "hi last words");
        says_no_more(&client);
        assert_ended(server, CloseReason::PeerFinished);
    }
}

#[test]
fn a_deadline_ends_a_silent_session() {
    for &driver in ALL {
        let server = serve(driver);
        let mut client = server.connect();
        says(&client, "hi ");
        client.write_all(b"idle").unwrap();
        says(&client, "idle");
        says_no_more(&client);
        drop(client);
        assert_ended(server, CloseReason::Idle);
    }
}

#[test]
fn endless_answers_flow_and_stop_when_nobody_reads() {
    // More than one call may move without a word from the kernel, several times over.
    const READ: usize = 40 * 1024 * 1024;
    // Bytes that the kernel, the queue and the session hold once the client reads no more. Most of them are in the
    // kernel, which may keep 4 MiB of what we send.
    const HELD: usize = 8 * 1024 * 1024;
    for &driver in ALL {
        let server = serve(driver);
        let mut client = server.connect();
        // Else the client's kernel keeps tens of megabytes, too.
        socket2::SockRef::from(&client).set_recv_buffer_size(256 * 1024).unwrap();
        says(&client, "hi ");
        client.write_all(b"endless").unwrap();
        says(&client, "endless");
        let mut read = 0;
        let mut buffer = vec![0; 1 << 20];
        while read < READ {
            match client.read(&mut buffer) {
                Ok(n) => read += n,
                // Its deadline passed first, on a slow machine.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error}"),
            }
        }
        // From here on nothing is read: at its deadline the session ends, with the bytes that the client did not take
        // still unsent.
        let produced = Arc::clone(&server.produced);
        assert_ended(server, CloseReason::TooSlow);
        let produced = produced.load(Ordering::Relaxed);
        assert!(produced <= read + HELD, "{driver:?}: {read} bytes read, {produced} produced");
        // An answer that was cut off must not look whole.
        if read >= READ {
            let end = client.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
            assert_eq!(end, Err(ErrorKind::ConnectionReset), "{driver:?}");
        }
    }
}

#[test]
fn draining_ends_idle_sessions() {
    for &driver in &ALL[1..] {
        let server = serve(driver);
        let clients: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
        clients.iter().for_each(|client| says(client, "hi "));
        (server.stop)();
        clients.iter().for_each(says_no_more);
        drop(clients);
        server.end();
    }
}

#[test]
fn a_reset_ends_a_blocking_session_with_an_error() {
    let server = serve(Driver::Blocking);
    let client = server.connect();
    says(&client, "hi ");
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(server.end().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_peer_that_broke_a_rule_and_goes_on_gets_the_answer() {
    for &driver in ALL {
        let server = serve(driver);
        let mut client = server.connect();
        says(&client, "hi ");
        client.write_all(b"wrong").unwrap();
        // More than all buffers on the way hold. Were it answered with a reset, the answer would be lost.
        client.write_all(&vec![b'x'; 8 * 1024 * 1024]).unwrap();
        says(&client, "wrong");
        says_no_more(&client);
        drop(client);
        assert_ended(server, CloseReason::Protocol("a rule"));
    }
}

#[test]
fn a_peer_that_was_heard_out_is_not_waited_for() {
    for &driver in ALL {
        let server = serve(driver);
        let mut client = server.connect();
        says(&client, "hi ");
        client.write_all(b"quit").unwrap();
        says(&client, "quit");
        // The client keeps its end open; the server is done all the same.
        assert_ended(server, CloseReason::PeerAsked);
        says_no_more(&client);
    }
}
