//! An event loop on its own thread, and plain blocking peers for it.

use super::Driver;
use crate::{
    app::{App, ConnId, Cx, Origin, Progress, TimerKey},
    buf::Unreadable,
    net::{DriverConfig, Remote},
};
use socket2::SockRef;
use std::{
    io::{ErrorKind, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

/// No step takes so long, on any machine: a test that waits for it has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// An event loop that runs on another thread. Dropped, it is stopped.
pub(super) struct Running<A> {
    pub(super) address: SocketAddr,
    pub(super) remote: Remote,
    thread: Option<JoinHandle<A>>,
}

/// Runs `app` behind a listener on a free port.
pub(super) fn run<A: App + Send + 'static>(app: A, config: DriverConfig) -> Running<A> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut driver = Driver::new(app, config).unwrap();
    driver.listen(listener).unwrap();
    let remote = driver.remote();
    #[allow(clippy::disallowed_methods)] // Tests of a thread's event loop need that thread.
    let thread = std::thread::spawn(move || driver.run().unwrap());
    Running { address, remote, thread: Some(thread) }
}

impl<A> Running<A> {
    /// A client.
    pub(super) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Ends the event loop and gives its application back.
    pub(super) fn stop(mut self) -> A {
        self.remote.stop();
        self.join()
    }

    /// Waits for the event loop to end, and tells whether its application panicked.
    #[allow(dead_code)] // Only one of the two event loops has memory to lose.
    pub(super) fn panicked(&mut self) -> bool {
        self.thread.take().unwrap().join().is_err()
    }

    /// Waits for the event loop to end by itself.
    pub(super) fn join(&mut self) -> A {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl<A> Drop for Running<A> {
    fn drop(&mut self) {
        self.remote.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the event loop panicked");
        }
    }
}

/// A client whose reads and writes give up.
pub(super) fn connect(to: SocketAddr) -> TcpStream {
    #[allow(clippy::disallowed_methods)] // A plain client.
    patient(TcpStream::connect(to).unwrap())
}

pub(super) fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A listener that plays the backend.
pub(super) fn backend() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(super) fn accept(listener: &TcpListener) -> TcpStream {
    patient(listener.accept().unwrap().0)
}

/// An address without a listener.
pub(super) fn nobody() -> SocketAddr {
    backend().1
}

/// Dropping the stream from now on sends a reset.
pub(super) fn reset_on_drop(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Lets time pass, for a peer that is slow.
pub(super) fn pause(time: Duration) {
    #[allow(clippy::disallowed_methods)] // A real peer, in real time.
    let until = crate::time::Instant::now() + time;
    #[allow(clippy::disallowed_methods)]
    while crate::time::Instant::now() < until {
        std::thread::park_timeout(time);
    }
}

/// `len` bytes, different everywhere so that swapped or repeated parts show. Eight at a time: a test has many millions of them.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len.next_multiple_of(8)];
    let mut word = 0_u64;
    for eight in bytes.chunks_exact_mut(8) {
        // Odd, so no word comes twice.
        word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
        eight.copy_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(super) fn read_exactly(mut stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

pub(super) fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// An event that an application heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Accepted(ConnId),
    Connected(ConnId),
    Received(ConnId, Vec<u8>),
    Sent(ConnId, usize),
    Spliced(ConnId, u64),
    Ended(ConnId),
    Peeked(ConnId, bool),
    Progressed(ConnId, Progress),
    Failed(ConnId, ErrorKind),
    HeldUp(ConnId),
    Cut(ConnId, Unreadable),
    Expired(TimerKey),
    Woken,
    /// How often depends on how often the event loop turns: the closure is told, the channel is not.
    Crowded,
    Drain,
    CutOff,
}

/// An application that tells a test what it hears, and does what the test's closure says about it.
pub(super) struct Scripted<F> {
    react: F,
    heard: Sender<Heard>,
}

/// Runs a closure as an application; what it hears comes out of the channel.
pub(super) fn script<F>(config: DriverConfig, react: F) -> (Running<Scripted<F>>, Receiver<Heard>)
where
    F: FnMut(&mut Cx, &Heard, &[u8]) + Send + 'static,
{
    let (sender, receiver) = channel();
    (run(Scripted { react, heard: sender }, config), receiver)
}

pub(super) fn next(heard: &Receiver<Heard>) -> Heard {
    heard.recv_timeout(PATIENCE).expect("the application hears something in time")
}

impl<F: FnMut(&mut Cx, &Heard, &[u8])> Scripted<F> {
    fn on(&mut self, cx: &mut Cx, heard: Heard, input: &[u8]) {
        (self.react)(cx, &heard, input);
        // A test that is over does not listen any more.
        let _ = self.heard.send(heard);
    }
}

impl<F: FnMut(&mut Cx, &Heard, &[u8])> App for Scripted<F> {
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, _: Origin) {
        self.on(cx, Heard::Accepted(conn), &[]);
    }

    fn connected(&mut self, cx: &mut Cx, conn: ConnId) {
        self.on(cx, Heard::Connected(conn), &[]);
    }

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        self.on(cx, Heard::Received(conn, input.to_vec()), input);
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        self.on(cx, Heard::Sent(conn, unsent), &[]);
    }

    fn spliced(&mut self, cx: &mut Cx, from: ConnId, moved: u64) {
        self.on(cx, Heard::Spliced(from, moved), &[]);
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        self.on(cx, Heard::Ended(conn), &[]);
    }

    fn peeked(&mut self, cx: &mut Cx, conn: ConnId, quiet: bool) {
        self.on(cx, Heard::Peeked(conn, quiet), &[]);
    }

    fn progressed(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        self.on(cx, Heard::Progressed(conn, progress), &[]);
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: ErrorKind) {
        self.on(cx, Heard::Failed(conn, error), &[]);
    }

    fn held_up(&mut self, cx: &mut Cx, conn: ConnId) {
        self.on(cx, Heard::HeldUp(conn), &[]);
    }

    fn cut_short(&mut self, cx: &mut Cx, conn: ConnId, why: Unreadable) {
        self.on(cx, Heard::Cut(conn, why), &[]);
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        self.on(cx, Heard::Expired(key), &[]);
    }

    fn woken(&mut self, cx: &mut Cx) {
        self.on(cx, Heard::Woken, &[]);
    }

    fn crowded(&mut self, cx: &mut Cx) {
        (self.react)(cx, &Heard::Crowded, &[]);
    }

    fn drain(&mut self, cx: &mut Cx) {
        self.on(cx, Heard::Drain, &[]);
    }

    fn cut_off(&mut self, cx: &mut Cx) {
        self.on(cx, Heard::CutOff, &[]);
    }
}
