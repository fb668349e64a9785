//! What all threads of a server know: who is being served, what has passed, whether the end has begun.

use super::{Conversation, ServerArgs, Service, conversation::Factory};
use crate::{
    buf::Output,
    net::{Traffic, descriptors},
    session::{Session, Wants},
    time::Now,
};
use slab::Slab;
use std::{
    fmt, fs,
    io::{self, Write as _},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The common ground of a server's threads.
#[derive(Debug)]
pub struct Shared {
    factory: Factory,
    traffic: Arc<Traffic>,
    clients: AtomicU64,
    refused: AtomicU64,
    active: AtomicUsize,
    peak: AtomicUsize,
    running: Mutex<Running>,
    /// Told whenever somebody leaves.
    left: Condvar,
}

/// Streams that somebody reads from and writes to at this moment.
#[derive(Debug, Default)]
struct Running {
    streams: Slab<Arc<TcpStream>>,
    /// The end has begun: nobody is listened to any more.
    stopping: bool,
}

impl Shared {
    /// Nobody served yet.
    #[must_use]
    pub fn new(args: &ServerArgs) -> Arc<Self> {
        Arc::new(Self {
            factory: Factory::new(args.service, args.idle_timeout),
            traffic: Arc::default(),
            clients: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            active: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            running: Mutex::default(),
            left: Condvar::new(),
        })
    }

    /// Where the drivers count.
    #[must_use]
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// What is spoken.
    #[must_use]
    pub fn service(&self) -> Service {
        self.factory.service()
    }

    pub(super) fn open(&self, now: Now) -> Conversation {
        self.factory.open(now)
    }

    /// A session that counts as a client for as long as it lives: what an event loop runs.
    #[must_use]
    pub fn seated(self: &Arc<Self>, now: Now) -> Seated {
        Seated { conversation: self.open(now), _seat: self.seat() }
    }

    /// Counts a client, until the seat is dropped.
    #[must_use]
    pub fn seat(self: &Arc<Self>) -> Seat {
        self.clients.fetch_add(1, Relaxed);
        let active = self.active.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(active, Relaxed);
        Seat(Arc::clone(self))
    }

    /// How many clients have a seat.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active.load(Relaxed)
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Notes who is being served, so that a stop reaches him; returns his number for [`Self::leave`].
    pub(super) fn enter(&self, stream: &Arc<TcpStream>) -> usize {
        let mut running = self.running();
        if running.stopping {
            // He came while the end began. The error would mean that he has gone.
            let _ = stream.shutdown(Shutdown::Read);
        }
        running.streams.insert(Arc::clone(stream))
    }

    pub(super) fn leave(&self, number: usize) {
        self.running().streams.remove(number);
    }

    /// Begins the end: every session hears that nothing more comes.
    pub fn stop(&self) {
        let mut running = self.running();
        running.stopping = true;
        shut(&running, Shutdown::Read);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.running().stopping
    }

    /// Waits until every seat is free, at most until `deadline`; then cuts off who is left. `false`: somebody was.
    pub(super) fn drain(&self, now: impl Fn() -> Instant, deadline: Instant) -> bool {
        let mut running = self.running();
        while self.active() > 0 {
            let left = deadline.saturating_duration_since(now());
            if left == Duration::ZERO {
                shut(&running, Shutdown::Both);
                return false;
            }
            running = self.left.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // Nothing in here can panic halfway through a change.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints the statistics on stderr, whatever the log level: somebody asked.
    pub fn report(&self) {
        // In one piece: others write there, too. Nobody reads stderr: there is nobody to tell.
        let _ = io::stderr().write_all(format!("{self}\n").as_bytes());
    }
}

fn shut(running: &Running, how: Shutdown) {
    for (_, stream) in &running.streams {
        // The error would mean that the peer has gone.
        let _ = stream.shutdown(how);
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let volume = self.traffic.volume();
        let (clients, active, peak) = (self.clients.load(Relaxed), self.active(), self.peak.load(Relaxed));
        let (refused, errors) = (self.refused.load(Relaxed), volume.failed);
        write!(f, "STATS clients={clients} active={active} peak={peak} refused={refused} errors={errors} ")?;
        write!(f, "received={} sent={}", volume.received, volume.sent)?;
        // Only Linux and its like tell; what is not known is not said.
        if let Some(memory) = resident_kib() {
            write!(f, " memory={memory}KiB")?;
        }
        descriptors::count_open().map_or(Ok(()), |open| write!(f, " descriptors={open}"))
    }
}

/// Memory that is really there (resident set), in KiB.
fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// A client's place: it is counted as active until this is dropped, however its session ends.
#[derive(Debug)]
pub struct Seat(Arc<Shared>);

impl Drop for Seat {
    fn drop(&mut self) {
        // Under the lock, else the one who waits could look just before and sleep just after.
        let _running = self.0.running();
        self.0.active.fetch_sub(1, Relaxed);
        self.0.left.notify_all();
    }
}

/// A conversation with its seat.
#[derive(Debug)]
pub struct Seated {
    conversation: Conversation,
    _seat: Seat,
}

impl Session for Seated {
    fn receive(&mut self, input: &[u8], now: Now) {
        self.conversation.receive(input, now);
    }

    fn receive_end(&mut self, now: Now) {
        self.conversation.receive_end(now);
    }

    fn output(&mut self) -> &mut Output {
        self.conversation.output()
    }

    fn wants(&self) -> Wants {
        self.conversation.wants()
    }

    fn deadline(&self) -> Option<Instant> {
        self.conversation.deadline()
    }

    fn expire(&mut self, now: Now) {
        self.conversation.expire(now);
    }
}
