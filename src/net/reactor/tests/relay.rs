//! Two sockets that talk to each other: the smallest proxy.

use super::support::*;
use crate::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    net::DriverConfig,
};
use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Above this many unsent bytes a relay stops reading the other side.
const HIGH: usize = 256 * 1024;

/// Every client gets its own connection to the backend.
struct Relay {
    to: SocketAddr,
    other: HashMap<ConnId, ConnId>,
    unsent: HashMap<ConnId, usize>,
    /// The most that waited in our memory.
    peak: Arc<AtomicUsize>,
    bulk: bool,
    /// Sides that ended: both, and the pair is over.
    ended: HashMap<ConnId, ()>,
}

impl Relay {
    fn new(to: SocketAddr, bulk: bool) -> Self {
        let peak = Arc::new(AtomicUsize::new(0));
        Self { to, other: HashMap::new(), unsent: HashMap::new(), peak, bulk, ended: HashMap::new() }
    }

    fn forget(&mut self, conn: ConnId) -> Option<ConnId> {
        self.unsent.remove(&conn);
        self.ended.remove(&conn);
        self.other.remove(&conn)
    }
}

impl App for Relay {
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, _: Origin) {
        let backend = cx.connect(self.to);
        self.other.insert(conn, backend);
        self.other.insert(backend, conn);
        for conn in [conn, backend] {
            cx.set_bulk(conn, self.bulk);
        }
    }

    fn connected(&mut self, _: &mut Cx, _: ConnId) {}

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        cx.forward(self.other[&conn], input);
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        self.unsent.insert(conn, unsent);
        self.peak.fetch_max(self.unsent.values().sum(), Ordering::Relaxed);
        cx.set_reading(self.other[&conn], unsent < HIGH);
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        let other = self.other[&conn];
        self.ended.insert(conn, ());
        if self.ended.contains_key(&other) {
            self.forget(conn);
            self.forget(other);
            cx.close(conn);
            cx.close(other);
        } else {
            cx.finish(other);
        }
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, _: ErrorKind) {
        if let Some(other) = self.forget(conn) {
            self.forget(other);
            cx.abort(other);
        }
    }

    fn expired(&mut self, _: &mut Cx, _: TimerKey) {}

    fn drain(&mut self, _: &mut Cx) {}
}

#[test]
fn bytes_go_both_ways_and_each_side_ends_by_itself() {
    let (listener, to) = backend();
    let proxy = run(Relay::new(to, false), DriverConfig::default());
    let mut client = proxy.connect();
    let mut server = accept(&listener);

    client.write_all(b"question").unwrap();
    assert_eq!(read_exactly(&server, 8), b"question");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&server), b"");
    server.write_all(b"answer after the end").unwrap();
    assert_eq!(read_exactly(&client, 20), b"answer after the end");
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), b"");
    let relay = proxy.stop();
    assert!(relay.other.is_empty());
}

#[test]
fn a_slow_reader_gets_everything_and_costs_bounded_memory() {
    const LEN: usize = 24 * 1024 * 1024;
    for bulk in [false, true] {
        let (listener, to) = backend();
        let relay = Relay::new(to, bulk);
        let peak = Arc::clone(&relay.peak);
        let proxy = run(relay, DriverConfig::default());
        let client = proxy.connect();
        let mut server = accept(&listener);
        #[allow(clippy::disallowed_methods)] // The peer blocks: that is the point.
        let sender = std::thread::spawn(move || {
            server.write_all(&pattern(LEN)).unwrap();
        });
        // The kernel's buffers and ours fill before the first byte is read: only then does the sender stop.
        while peak.load(Ordering::Relaxed) < HIGH {
            std::thread::yield_now();
        }
        let got = read_to_end_slowly(&client);
        assert!(got == pattern(LEN), "bulk {bulk}: {} bytes, not those that were sent", got.len());
        sender.join().unwrap();
        let peak = peak.load(Ordering::Relaxed);
        let most = HIGH + DriverConfig::default().bulk_read_size;
        assert!(peak <= most, "bulk {bulk}: {peak} bytes waited");
    }
}

/// In pieces of one segment, so that the other end fills all buffers again and again.
fn read_to_end_slowly(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut some = [0; 1500];
    loop {
        match stream.read(&mut some).unwrap() {
            0 => return all,
            n => all.extend_from_slice(&some[..n]),
        }
    }
}

#[test]
fn a_refused_backend_fails_and_the_client_sees_a_reset() {
    let proxy = run(Relay::new(nobody(), false), DriverConfig::default());
    let mut client = proxy.connect();
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(proxy.stop().other.is_empty());
}

#[test]
fn a_reset_reaches_the_other_side() {
    let (listener, to) = backend();
    let proxy = run(Relay::new(to, false), DriverConfig::default());
    let client = proxy.connect();
    let mut server = accept(&listener);
    reset_on_drop(&client);
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}
