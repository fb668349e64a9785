//! Raw bytes over real sockets: a client and a backend that do exactly what a test says, and nothing of their own accord.

#[cfg(target_os = "linux")]
use super::kernel_queues::kernel_queues;
use super::{
    absolute_form::AbsoluteForm,
    process::{PATIENCE, allow_descriptors, lock, spawn, wait_until},
    wire::{Message, Reader, find},
};
use socket2::{Domain, Socket, Type};
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// A client's connection, or a backend's.
#[derive(Debug)]
pub struct Conn {
    stream: TcpStream,
    reader: Reader,
    /// Of a client of a forward proxy.
    form: Option<AbsoluteForm>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `FIN`: the peer said that it was done.
    Clean,
    /// `RST`: the peer said that something broke.
    Reset,
}

/// Whether a client may have any address `127.0.0.x`. On other systems than Linux there is one, until the user adds
/// others.
pub const LOOPBACK_IS_A_NETWORK: bool = cfg!(target_os = "linux");

impl Conn {
    /// Connects as a client.
    #[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
    pub fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
        Self::of_client(stream, to)
    }

    /// Connects as a client with another address of the loopback, `127.0.0.x`; see [`LOOPBACK_IS_A_NETWORK`].
    pub fn open_from(from: Ipv4Addr, to: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets are to be had");
        socket.bind(&SocketAddr::from((from, 0)).into()).expect("it is an address of the loopback");
        socket.connect(&to.into()).unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
        Self::of_client(socket.into(), to)
    }

    /// Connects as a client for which little is under way at once: what it does not read is soon noticed.
    pub fn open_narrow(to: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets are to be had");
        socket.set_recv_buffer_size(4096).expect("it is a socket");
        socket.set_tcp_mss(1000).expect("it is a TCP socket");
        socket.connect(&to.into()).unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
        Self::of_client(socket.into(), to)
    }

    pub(super) fn new(stream: TcpStream, reader: Reader) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_nodelay(true).expect("it is a TCP socket");
        Self { stream, reader, form: None }
    }

    fn of_client(stream: TcpStream, to: SocketAddr) -> Self {
        Self { form: AbsoluteForm::of(to), ..Self::new(stream, Reader::of_responses()) }
    }

    /// Our end's address.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the peer takes what is sent");
    }

    /// For peers that may have closed.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        match &mut self.form {
            Some(form) => self.stream.write_all(&form.say(bytes.as_ref())),
            None => self.stream.write_all(bytes.as_ref()),
        }
    }

    /// Sends nothing more; still reads.
    pub fn finish(&mut self) {
        // Fails if the peer has gone, and then there is nothing to end.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes with a reset instead of an end. Returns when it has left: a program that another test starts at this moment has the
    /// socket, too, for the time between its fork and its exec.
    pub fn reset(self) {
        let ends = self.stream.local_addr().ok().zip(self.stream.peer_addr().ok());
        let socket = Socket::from(self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("it is a TCP socket");
        drop(socket);
        #[cfg(target_os = "linux")]
        if let Some((local, peer)) = ends {
            wait_until("the reset to leave", || kernel_queues(local, peer).is_none());
        }
        #[cfg(not(target_os = "linux"))]
        let _ = ends;
    }

    /// Sends a whole request and reads the whole response to it.
    pub fn ask(&mut self, request: &str) -> Message {
        self.send(request);
        self.response(request.split(' ').next().unwrap_or_default())
    }

    /// One whole response, 1xx included, to a request with this method. A body without a length is read to the end.
    pub fn response(&mut self, method: &str) -> Message {
        let outcome = self.outcome(method);
        outcome.unwrap_or_else(|end| panic!("the connection ended ({end:?}) before a response was complete"))
    }

    /// The outcome of a request: the complete response, or how the connection ended before it was complete.
    pub fn outcome(&mut self, method: &str) -> Result<Message, End> {
        self.reader.asked(method);
        let outcome = self.message();
        if outcome.as_ref().is_ok_and(|response| response.status() == 101) {
            self.switched();
        }
        outcome
    }

    /// The bytes that follow are no request, and pass as they are.
    fn switched(&mut self) {
        self.form = None;
    }

    /// For a backend: the next request, body included. `Err` if the peer closed instead.
    pub fn request(&mut self) -> Result<Message, End> {
        self.message()
    }

    fn message(&mut self) -> Result<Message, End> {
        let mut message = Message::default();
        loop {
            while let Some(piece) = self.reader.next().unwrap_or_else(|why| panic!("not HTTP: {why}")) {
                if let Some(whole) = message.add(piece) {
                    return Ok(whole);
                }
            }
            match self.read_some() {
                Ok(bytes) => self.reader.push(&bytes),
                Err(End::Clean) => match self.reader.end() {
                    Ok(Some(piece)) => return message.add(piece).ok_or(End::Clean),
                    _ => return Err(End::Clean),
                },
                Err(End::Reset) => return Err(End::Reset),
            }
        }
    }

    /// Exactly `n` bytes, not taken for HTTP.
    pub fn read(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = self.reader.rest().to_vec();
        while bytes.len() < n {
            bytes.extend(self.read_some().unwrap_or_else(|end| panic!("{end:?} after {} of {n} bytes", bytes.len())));
        }
        self.reader = Reader::of_responses();
        self.reader.push(&bytes.split_off(n));
        bytes
    }

    /// Everything up to and with `marker`, not taken for HTTP.
    pub fn read_until(&mut self, marker: &str) -> String {
        let mut bytes = self.reader.rest().to_vec();
        loop {
            if let Some(at) = find(&bytes, marker.as_bytes()) {
                self.reader = Reader::of_responses();
                self.reader.push(&bytes.split_off(at + marker.len()));
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            let more = self.read_some();
            bytes.extend(more.unwrap_or_else(|end| panic!("{end:?} after {:?}", String::from_utf8_lossy(&bytes))));
        }
    }

    /// A head as it came, line by line, without the empty one.
    pub fn read_head(&mut self) -> Vec<String> {
        let head = self.read_until("\r\n\r\n");
        if head.starts_with("HTTP/1.1 101 ") {
            self.switched();
        }
        head.trim_end_matches("\r\n").split("\r\n").map(str::to_owned).collect()
    }

    /// Whether nothing has arrived right now, neither bytes nor an end.
    pub fn is_quiet(&self) -> bool {
        self.stream.set_nonblocking(true).expect("it is a socket");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("it is a socket");
        self.reader.rest().is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Waits until something has arrived, bytes or an end, without taking it.
    pub fn wait_for_input(&self) {
        wait_until("input", || !self.is_quiet());
    }

    /// How many bytes of ours the other end's kernel has that its program has not read.
    #[cfg(target_os = "linux")]
    pub fn unread_there(&self) -> usize {
        self.peer().and_then(|peer| kernel_queues(peer, self.address())).map_or(0, |queues| queues.unread)
    }

    /// How many bytes of ours our kernel has that the other end's has not.
    #[cfg(target_os = "linux")]
    pub fn unsent_here(&self) -> usize {
        self.peer().and_then(|peer| kernel_queues(self.address(), peer)).map_or(0, |queues| queues.unsent)
    }

    /// Whether a reset has arrived; without reading what came before it.
    #[cfg(target_os = "linux")]
    pub fn is_broken(&self) -> bool {
        self.peer().and_then(|peer| kernel_queues(self.address(), peer)).is_none()
    }

    /// The other end's address; none after a reset.
    #[cfg(target_os = "linux")]
    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    /// Everything up to the end of the connection, and what kind of end it was.
    pub fn read_to_end(&mut self) -> (Vec<u8>, End) {
        let mut bytes = self.reader.rest().to_vec();
        loop {
            match self.read_some() {
                Ok(more) => bytes.extend(more),
                Err(end) => return (bytes, end),
            }
        }
    }

    /// The connection has to end with a reset; what came before it is returned.
    pub fn expect_reset(&mut self) -> Vec<u8> {
        let (bytes, end) = self.read_to_end();
        assert_eq!(end, End::Reset, "after {:?}", String::from_utf8_lossy(&bytes));
        bytes
    }

    /// The connection has to end cleanly, with nothing more on it.
    pub fn expect_end(&mut self) {
        let (bytes, end) = self.read_to_end();
        assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), end), ("", End::Clean));
    }

    fn read_some(&mut self) -> Result<Vec<u8>, End> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            return match self.stream.read(&mut buffer) {
                Ok(0) => Err(End::Clean),
                Ok(n) => Ok(buffer[..n].to_vec()),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Err(End::Reset),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => panic!("nothing came for {PATIENCE:?}"),
                    other => panic!("cannot read: {other}"),
                },
            };
        }
    }
}

/// A backend on a free port: a thread per connection runs the test's script.
#[derive(Debug, Clone)]
pub struct Backend {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Message>>>,
    connections: Arc<AtomicUsize>,
}

/// The argument of a [`Backend`] script: one connection, and the book of requests.
#[derive(Debug)]
pub struct Served {
    pub conn: Conn,
    /// Which connection of this backend it is, from 0.
    pub number: usize,
    requests: Arc<Mutex<Vec<Message>>>,
}

impl Served {
    /// The next request, entered in the book; `None` when the peer is done.
    pub fn request(&mut self) -> Option<Message> {
        let request = self.conn.request().ok()?;
        self.note(request.clone());
        Some(request)
    }

    /// Enters a request in the book that was read otherwise.
    pub fn note(&self, request: Message) {
        lock(&self.requests).push(request);
    }
}

impl Backend {
    /// Runs `script` for every connection. A panic in it fails the test only if the test notices what is missing; it is
    /// printed in any case.
    pub fn start(script: impl Fn(Served) + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").expect("a loopback port is free"), script)
    }

    /// The same on a listener of the test's own.
    pub fn start_on(listener: TcpListener, script: impl Fn(Served) + Send + Sync + 'static) -> Self {
        allow_descriptors();
        let address = listener.local_addr().expect("it is bound");
        let backend = Self { address, requests: Arc::default(), connections: Arc::default() };
        let (script, requests, connections) = (Arc::new(script), backend.requests.clone(), backend.connections.clone());
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let conn = Conn::new(stream, Reader::of_requests());
                let served = Served { conn, number, requests: requests.clone() };
                let script = script.clone();
                spawn(move || script(served));
            }
        });
        backend
    }

    /// Answers every request with the same bytes.
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |mut served| {
            while served.request().is_some() {
                if served.conn.try_send(&bytes).is_err() {
                    return;
                }
            }
        })
    }

    /// Answers every request with `200` and this text.
    pub fn saying(text: &str) -> Self {
        Self::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
    }

    /// Gives its connections to the test, which plays the backend itself: both ends in one thread, step by step.
    pub fn by_hand() -> (Self, Incoming) {
        let (sender, receiver) = mpsc::channel();
        let backend = Self::start(move |served| {
            // Fails when the test is over.
            let _ = sender.send(served.conn);
        });
        (backend, Incoming(receiver))
    }

    /// `HOST:PORT`, for a flag.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// The requests seen so far.
    pub fn requests(&self) -> Vec<Message> {
        lock(&self.requests).clone()
    }

    /// Waits for the `n`th request, from 1, and gives it.
    pub fn wait_for_request(&self, n: usize) -> Message {
        wait_until(&format!("request {n}"), || lock(&self.requests).len() >= n);
        lock(&self.requests)[n - 1].clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A socket bound to an address that other sockets of ours may be bound to, too.
pub(super) fn shared_port(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // Elsewhere, two sockets share a port only with this; on Linux it would spread the clients over both.
    #[cfg(not(target_os = "linux"))]
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Connections to a [`Backend::by_hand`].
#[derive(Debug)]
pub struct Incoming(mpsc::Receiver<Conn>);

impl Incoming {
    /// The next one.
    pub fn accept(&self) -> Conn {
        self.0.recv_timeout(PATIENCE).expect("the proxy connects to its backend")
    }

    /// One that has come already.
    pub fn try_accept(&self) -> Option<Conn> {
        self.0.try_recv().ok()
    }

    /// Whether no connection has come.
    pub fn is_empty(&self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// An address that refuses: bound to until the process ends, so that no other program comes to listen there.
pub fn refusing_address() -> SocketAddr {
    let port = shared_port(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a loopback port is free");
    let address = port.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
    std::mem::forget(port);
    address
}

/// An address that does not answer when a client connects: a listener whose backlog is full.
#[derive(Debug)]
pub struct SilentAddress {
    pub address: SocketAddr,
    /// The listener, and those who wait for it.
    _sockets: Vec<Socket>,
}

impl SilentAddress {
    pub fn new() -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("descriptors are left");
        let listener = socket();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a loopback port is free");
        listener.listen(0).expect("it is bound");
        let address = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
        let knock = || {
            let waiting = socket();
            waiting.set_nonblocking(true).expect("it is a socket");
            // In progress, or waiting for ever.
            let _ = waiting.connect(&address.into());
            waiting
        };
        let mut sockets: Vec<Socket> = (0..4).map(|_| knock()).collect();
        sockets.push(listener);
        Self { address, _sockets: sockets }
    }
}

/// Runs `work` in `n` threads at once and waits for all of them.
pub fn in_parallel(n: usize, work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for i in 0..n {
            let work = &work;
            scope.spawn(move || work(i));
        }
    });
}
