//! A client's TLS beneath tests that know nothing of it: what they say in plain to this address goes to a proxy over TLS.
//!
//! ```text
//!   test ── plain ──▶ tunnel ── TLS ──▶ proxy
//!        FIN          close_notify, FIN
//!        RST          RST
//!        FIN      ◀── close_notify
//!        RST      ◀── RST, or FIN without close_notify
//! ```

use super::{http2::offering, process::spawn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::{ClientConnection, pki_types::ServerName};
use socket2::{Domain, SockRef, Socket, Type};
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    sync::Arc,
    time::Duration,
};

/// As much waits here on its way back before the proxy has to wait.
const ROOM: usize = 16 * 1024;

/// Opens an address from which all connections go to `to`, where they ask for `name` and offer `protocols` (ALPN).
#[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
pub fn open(to: SocketAddr, name: &'static str, protocols: &[&str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let address = listener.local_addr().expect("it is bound");
    let config = Arc::new(offering(protocols));
    spawn(move || {
        for plain in listener.incoming().map_while(Result::ok) {
            let config = config.clone();
            spawn(move || {
                let Ok(stream) = connect_from(&plain, to) else { return reset(&plain) };
                let name = ServerName::try_from(name).expect("it is a name");
                let tls = ClientConnection::new(config, name).expect("the configuration is good");
                let mut carrier = Carrier { plain, stream, tls, back: Vec::new(), said: false, heard: false };
                if carrier.run().is_err() {
                    reset(&carrier.plain);
                    reset(&carrier.stream);
                }
            });
        }
    });
    address
}

/// Connects to `to` from the address that the client before us has chosen: the proxy shall see where its client is.
pub(super) fn connect_from(client: &TcpStream, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(client.peer_addr()?.ip(), 0).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// When it is closed, its peer hears that something broke.
pub(super) fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// One connection.
struct Carrier {
    plain: TcpStream,
    stream: TcpStream,
    tls: ClientConnection,
    /// Plaintext for the test.
    back: Vec<u8>,
    /// The test has said that it sends nothing more, and so have we.
    said: bool,
    /// The proxy has said so, and we have passed it on.
    heard: bool,
}

impl Carrier {
    /// Until both sides have come to their ends. `Err`: something broke.
    fn run(&mut self) -> io::Result<()> {
        for stream in [&self.plain, &self.stream] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
        }
        let mut peer_has_closed = false;
        while !(self.said && self.heard) {
            self.flush()?;
            if self.said && !self.tls.wants_write() {
                let _ = self.stream.shutdown(Shutdown::Write);
            }
            if peer_has_closed && self.back.is_empty() && !self.heard {
                self.heard = true;
                let _ = self.plain.shutdown(Shutdown::Write);
                continue;
            }
            let (from_test, from_proxy) = self.wait(peer_has_closed)?;
            if from_test {
                self.hear_test()?;
            }
            if from_proxy {
                peer_has_closed |= self.hear_proxy()?;
            }
        }
        // The last words may still wait for room.
        while self.tls.wants_write() {
            self.wait(true)?;
            self.flush()?;
        }
        let _ = self.stream.shutdown(Shutdown::Write);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        while !self.back.is_empty() {
            match self.plain.write(&self.back) {
                Ok(len) => drop(self.back.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the test, and whether the proxy, has said something.
    fn wait(&mut self, peer_has_closed: bool) -> io::Result<(bool, bool)> {
        let (mut test, mut proxy) = (PollFlags::empty(), PollFlags::empty());
        test.set(PollFlags::POLLIN, !self.said && !self.tls.is_handshaking() && !self.tls.wants_write());
        test.set(PollFlags::POLLOUT, !self.back.is_empty());
        proxy.set(PollFlags::POLLIN, !peer_has_closed && self.back.len() < ROOM);
        proxy.set(PollFlags::POLLOUT, self.tls.wants_write());
        let mut fds = [PollFd::new(self.plain.as_fd(), test), PollFd::new(self.stream.as_fd(), proxy)];
        poll(&mut fds, PollTimeout::NONE)?;
        let says = |fd: &PollFd<'_>, asked: PollFlags| {
            let broken = PollFlags::POLLERR | PollFlags::POLLHUP;
            let told = fd.revents().unwrap_or(PollFlags::empty());
            (told.intersects(PollFlags::POLLIN) && asked.contains(PollFlags::POLLIN), told.intersects(broken))
        };
        let ((test_says, test_broke), (proxy_says, proxy_broke)) = (says(&fds[0], test), says(&fds[1], proxy));
        // An error is found by reading, whoever is asked for.
        Ok((test_says || test_broke && !self.said, proxy_says || proxy_broke && !peer_has_closed))
    }

    fn hear_test(&mut self) -> io::Result<()> {
        let mut buffer = [0; ROOM];
        match self.plain.read(&mut buffer) {
            Ok(0) => {
                self.said = true;
                self.tls.send_close_notify();
            }
            Ok(len) => self.tls.writer().write_all(&buffer[..len])?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Tells whether the proxy has said `close_notify`.
    fn hear_proxy(&mut self) -> io::Result<bool> {
        match self.tls.read_tls(&mut self.stream) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        self.tls.reader().read_exact(&mut plain)?;
        self.back.extend(plain);
        Ok(state.peer_has_closed())
    }
}
