//! Refused clients that still have to read why.
//!
//! Closing a socket with unread bytes in it sends a reset, and a reset may overtake the refusal (RFC 9112 §9.6). So the
//! socket stays open, its bytes are thrown away, and it is closed when the peer has closed, or soon.

use crate::time::Instant;
use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// How many may linger. Under a flood the oldest go first: descriptors are for clients that are served.
const MOST: usize = 64;

/// How long a peer may take to read a line and close.
pub(super) const LONGEST: Duration = Duration::from_secs(1);

/// How often to look whether they have closed.
pub(super) const SWEEP: Duration = Duration::from_millis(100);

/// The refused, oldest first.
#[derive(Debug)]
pub(super) struct Lingering {
    streams: Mutex<VecDeque<(Instant, Arc<TcpStream>)>>,
    most: AtomicUsize,
    /// Wakes the accepting thread, which sweeps.
    bell: UnixStream,
}

impl Lingering {
    pub(super) fn new(bell: UnixStream) -> Self {
        Self { streams: Mutex::default(), most: AtomicUsize::new(MOST), bell }
    }

    /// Takes a non-blocking stream whose sending half is shut down.
    pub(super) fn add(&self, stream: Arc<TcpStream>, now: Instant) {
        let mut streams = self.streams();
        streams.push_back((now, stream));
        if streams.len() > self.most.load(Relaxed) {
            streams.pop_front();
        }
        // A full pipe wakes just as well.
        let _ = (&self.bell).write(&[0]);
    }

    /// From now on no connection has to go for another one: it is the end, and descriptors are needed for nothing else.
    pub(super) fn keep_all(&self) {
        self.most.store(usize::MAX, Relaxed);
    }

    /// Closes whose time has come; `true` if others are left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut streams = self.streams();
        streams.retain(|(since, stream)| now < *since + LONGEST && is_open(stream));
        !streams.is_empty()
    }

    /// Closes them all.
    pub(super) fn clear(&self) {
        self.streams().clear();
    }

    fn streams(&self) -> MutexGuard<'_, VecDeque<(Instant, Arc<TcpStream>)>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Throws away what came, one buffer at a time: a peer that sends without end must not keep us here.
fn is_open(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 4096]) {
        Ok(len) => len > 0,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}
