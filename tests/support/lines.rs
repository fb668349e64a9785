//! A server of numbered lines that counts what it executes, and dies when a test wants it to: the witness against a client.

use super::{
    process::{PATIENCE, lock, spawn, wait_until},
    raw::shared_port,
};
use socket2::{SockRef, Socket};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
};

/// The server's reply to a line that it has executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Answers `done` and the line.
    Answer,
    /// Says nothing.
    Silence,
    /// Dies before it answers, and with it all its connections.
    Die,
}

/// The reply to the nth line that it ever executed, from 1.
type Script = Arc<dyn Fn(usize, &str) -> Reply + Send + Sync>;

/// A server that can be killed and started again at the same address.
pub struct LineServer {
    pub address: SocketAddr,
    /// Bound and never listening: a port that is released is soon taken by another program.
    port: Socket,
    script: Script,
    life: Arc<Life>,
    book: Arc<Mutex<Book>>,
    ended: mpsc::Receiver<()>,
}

struct Life {
    alive: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
    address: SocketAddr,
}

/// The lines that were executed in all lives.
#[derive(Default)]
struct Book {
    total: usize,
    lines: BTreeMap<String, usize>,
    connections: usize,
}

impl LineServer {
    pub fn start(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let port = shared_port(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("any port will do");
        Self::at(port, Arc::new(script), Arc::default())
    }

    fn at(port: Socket, script: Script, book: Arc<Mutex<Book>>) -> Self {
        let address = port.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
        let mut listener = None;
        wait_until("the last listener to be gone", || {
            let listening = shared_port(address).and_then(|socket| socket.listen(128).map(|()| socket));
            listener = listening.map(TcpListener::from).ok();
            listener.is_some()
        });
        let listener = listener.expect("waited for");
        let life = Arc::new(Life { alive: AtomicBool::new(true), streams: Mutex::default(), address });
        let (sender, ended) = mpsc::channel();
        let server = Self { address, port, script, life, book, ended };
        let (life, script, book) = (server.life.clone(), server.script.clone(), server.book.clone());
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Ok(twin) = stream.try_clone() else { break };
                lock(&life.streams).push(twin);
                if !life.alive.load(SeqCst) {
                    break;
                }
                lock(&book).connections += 1;
                let (life, script, book) = (life.clone(), script.clone(), book.clone());
                spawn(move || serve(&stream, &life, &script, &book));
            }
            // Now, even if a process that another test is starting holds a copy of it until it is executed.
            let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
            drop(listener);
            life.cut();
            // Fails when the test is over.
            let _ = sender.send(());
        });
        server
    }

    /// `HOST:PORT`, for a flag.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// How often a line was executed.
    pub fn executed(&self, line: &str) -> usize {
        lock(&self.book).lines.get(line).copied().unwrap_or(0)
    }

    /// How many lines were executed.
    pub fn total(&self) -> usize {
        lock(&self.book).total
    }

    /// Waits until it has executed all that was sent to it.
    pub fn wait_until_idle(&self) {
        let mut seen = (0, 0);
        wait_until("the server to be done", || {
            let total = self.total();
            seen = if total == seen.0 { (total, seen.1 + 1) } else { (total, 0) };
            seen.1 > 50
        });
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        lock(&self.book).connections
    }

    /// Ends all its connections; from here on its port refuses.
    pub fn kill(&self) {
        self.life.die();
        self.wait_for_death();
    }

    /// Waits until it has died of its script.
    pub fn wait_for_death(&self) {
        self.ended.recv_timeout(PATIENCE).expect("it was to die");
    }

    /// The same server again.
    pub fn revive(&mut self) {
        let port = self.port.try_clone().expect("descriptors are left");
        *self = Self::at(port, self.script.clone(), self.book.clone());
    }
}

impl Drop for LineServer {
    fn drop(&mut self) {
        self.life.die();
    }
}

impl Life {
    #[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
    fn die(&self) {
        // A dead one has no thread left to wake.
        if self.alive.swap(false, SeqCst) {
            self.cut();
            // Wakes it up.
            let _ = TcpStream::connect(self.address);
        }
    }

    fn cut(&self) {
        lock(&self.streams).iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

fn serve(stream: &TcpStream, life: &Life, script: &Script, book: &Mutex<Book>) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let Some((id, text)) = line.split_once(' ') else { panic!("not a numbered line: {line:?}") };
        // Its connections are gone, and nothing it did now would be seen.
        if !life.alive.load(SeqCst) {
            return;
        }
        let nth = {
            let mut book = lock(book);
            book.total += 1;
            *book.lines.entry(text.to_owned()).or_default() += 1;
            book.total
        };
        match script(nth, text) {
            Reply::Answer => {
                if (&mut &*stream).write_all(format!("{id} done {text}\n").as_bytes()).is_err() {
                    return;
                }
            }
            Reply::Silence => {}
            Reply::Die => return life.die(),
        }
    }
}
