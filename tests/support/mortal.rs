//! A backend that dies and comes back, as servers do.

use super::{
    process::{PATIENCE, lock, spawn, wait_until},
    raw::{Conn, shared_port},
    wire::Reader,
};
use socket2::{SockRef, Socket};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

/// A backend that can be killed, and started again at the same address.
#[derive(Debug)]
pub struct Mortal {
    pub address: SocketAddr,
    /// Bound and never listening, all its lives long: a port that is released is soon taken by another program.
    port: Socket,
    answer: String,
    alive: Arc<AtomicBool>,
    /// Open ones, by number.
    streams: Arc<Mutex<BTreeMap<usize, TcpStream>>>,
    /// Answered.
    requests: Arc<AtomicUsize>,
    /// The listener is closed when this says so.
    ended: mpsc::Receiver<()>,
}

impl Mortal {
    /// Answers everything with `200` and this text.
    pub fn saying(text: &str) -> Self {
        Self::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
    }

    /// Answers everything with the same bytes.
    pub fn answering(bytes: impl Into<String>) -> Self {
        let port = shared_port(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("any port will do");
        Self::at(port, bytes.into(), Arc::default())
    }

    fn at(port: Socket, answer: String, requests: Arc<AtomicUsize>) -> Self {
        let address = port.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
        let mut listener = None;
        wait_until("the last listener to be gone", || {
            listener =
                shared_port(address).and_then(|socket| socket.listen(128).map(|()| TcpListener::from(socket))).ok();
            listener.is_some()
        });
        let listener = listener.expect("waited for");
        let (sender, ended) = mpsc::channel();
        let mortal = Self {
            address,
            port,
            answer: answer.clone(),
            alive: Arc::new(AtomicBool::new(true)),
            streams: Arc::default(),
            requests,
            ended,
        };
        let (alive, streams, requests) = (mortal.alive.clone(), mortal.streams.clone(), mortal.requests.clone());
        spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let stream = stream.expect("descriptors are left");
                lock(&streams).insert(number, stream.try_clone().expect("descriptors are left"));
                if !alive.load(Ordering::SeqCst) {
                    break;
                }
                let (answer, requests, streams) = (answer.clone(), requests.clone(), streams.clone());
                spawn(move || {
                    let mut conn = Conn::new(stream, Reader::of_requests());
                    while conn.request().is_ok() {
                        requests.fetch_add(1, Ordering::SeqCst);
                        if conn.try_send(&answer).is_err() {
                            break;
                        }
                    }
                    lock(&streams).remove(&number);
                });
            }
            // Now, even if a process that another test is starting holds a copy of it until it is executed.
            let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
            drop(listener);
            for stream in std::mem::take(&mut *lock(&streams)).into_values() {
                // Fails if the peer has gone, and then there is nothing to end.
                let _ = stream.shutdown(Shutdown::Both);
            }
            // Fails when the test is over.
            let _ = sender.send(());
        });
        mortal
    }

    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// How many requests it has had in all its lives.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Ends all its connections; from here on its port refuses.
    #[allow(clippy::disallowed_methods)] // As in `Conn::open`.
    pub fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
        // Wakes it up.
        let _ = TcpStream::connect(self.address);
        self.ended.recv_timeout(PATIENCE).expect("it was alive");
    }

    /// The same backend again.
    pub fn revive(&mut self) {
        let port = self.port.try_clone().expect("descriptors are left");
        *self = Self::at(port, self.answer.clone(), self.requests.clone());
    }
}

impl Drop for Mortal {
    #[allow(clippy::disallowed_methods)] // As in `Conn::open`.
    fn drop(&mut self) {
        // A dead one has no thread left to wake.
        if self.alive.swap(false, Ordering::SeqCst) {
            let _ = TcpStream::connect(self.address);
        }
    }
}
