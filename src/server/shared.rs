//! State that all threads of a server share: the clients that are being served, the bytes that have passed, whether the
//! end has begun.

use super::{
    Conversation, ServerArgs,
    conversation::Factory,
    statistics::{Census, Report},
};
use crate::{
    buf::{FilePart, Output},
    net::{
        self, Remote, Traffic, clock,
        signals::{self, Signal, Watch},
    },
    service::Service,
    session::{Session, Wants, Worked},
    time::{Instant, Now},
};
use slab::Slab;
use std::{
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};

/// The common ground of a server's threads.
#[derive(Debug)]
pub struct Shared {
    factory: Factory,
    traffic: Arc<Traffic>,
    census: Arc<Census>,
    running: Mutex<Running>,
    /// As in [`Running`], to be read without the lock: once for each client that is accepted.
    stopping: AtomicBool,
    /// Told whenever a client leaves.
    left: Condvar,
}

/// Streams that threads read from and write to at this moment.
#[derive(Debug, Default)]
struct Running {
    streams: Slab<Arc<TcpStream>>,
    /// The end has begun: input of clients is not heard any more.
    stopping: bool,
    /// The end has come: no client is served any more.
    over: bool,
}

impl Shared {
    /// No client yet.
    #[must_use]
    pub fn new(args: &ServerArgs) -> Arc<Self> {
        Self::counting(args, Arc::default())
    }

    /// No client of this process yet; its parent sees its counts.
    pub(super) fn of_child(args: &ServerArgs, traffic: Arc<Traffic>, census: Arc<Census>) -> Arc<Self> {
        Arc::new(Self::with(args, traffic, census))
    }

    /// No client yet; the bytes that pass are counted in `traffic`.
    pub(super) fn counting(args: &ServerArgs, traffic: Arc<Traffic>) -> Arc<Self> {
        Arc::new(Self::with(args, traffic, Arc::default()))
    }

    fn with(args: &ServerArgs, traffic: Arc<Traffic>, census: Arc<Census>) -> Self {
        let factory = Factory::new(args.service, args.idle_timeout);
        Self {
            factory,
            traffic,
            census,
            running: Mutex::default(),
            stopping: AtomicBool::new(false),
            left: Condvar::new(),
        }
    }

    /// Where the drivers count.
    #[must_use]
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// The service that the clients get.
    #[must_use]
    pub fn service(&self) -> Service {
        self.factory.service()
    }

    pub(super) fn open(&self, now: Now) -> Conversation {
        self.factory.open(now)
    }

    /// Has a conversation without a client before the first one comes: so the work that libraries put off until their
    /// first use is done.
    pub(super) fn rehearse(&self) {
        self.factory.rehearse(clock::now());
    }

    /// A session that counts as a client for as long as it lives: what an event loop runs.
    #[must_use]
    pub fn seated(self: &Arc<Self>, now: Now) -> Seated {
        Seated { conversation: self.open(now), _seat: self.seat() }
    }

    /// Counts a client, until the seat is dropped.
    #[must_use]
    pub fn seat(self: &Arc<Self>) -> Seat {
        self.census.arrive();
        Seat(Arc::clone(self))
    }

    /// How many clients have a seat.
    #[must_use]
    pub fn active(&self) -> usize {
        usize::try_from(self.census.active()).unwrap_or(usize::MAX)
    }

    pub(super) fn refuse(&self) {
        self.census.refuse();
    }

    /// Notes a client that is being served, so that a stop reaches it; returns its number for [`Self::leave`]. `None`:
    /// it came too late, when no thread is left that would cut it off.
    pub(super) fn enter(&self, stream: &Arc<TcpStream>) -> Option<usize> {
        let mut running = self.running();
        if running.over {
            return None;
        }
        if running.stopping {
            // The client came while the end began. The error would mean that it has gone.
            let _ = stream.shutdown(Shutdown::Read);
        }
        Some(running.streams.insert(Arc::clone(stream)))
    }

    pub(super) fn leave(&self, number: usize) {
        self.running().streams.remove(number);
    }

    /// Begins the end: every session hears that nothing more comes.
    pub fn stop(&self) {
        let mut running = self.running();
        running.stopping = true;
        self.stopping.store(true, Release);
        running.shut(Shutdown::Read);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Acquire)
    }

    /// After [`Self::stop`]: waits until every seat is free, at most until `deadline`; then cuts off the clients that
    /// are left. `false`: some were left.
    pub(super) fn drain(&self, now: impl Fn() -> Instant, deadline: Instant) -> bool {
        let mut running = self.running();
        while self.active() > 0 {
            let left = deadline.saturating_duration_since(now());
            if left == Duration::ZERO {
                running.cut_off();
                return false;
            }
            running = self.left.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Cuts off all clients that are being served, and admits no more.
    pub(super) fn cut_off(&self) {
        self.running().cut_off();
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // Nothing in here can panic halfway through a change.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For servers that are an event loop: SIGUSR1 prints the statistics, and the first SIGINT or SIGTERM has the loop finish
    /// what runs `within` this time. Until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// Signals cannot be heard.
    pub fn obey_signals(self: &Arc<Self>, reactor: Remote, within: Duration) -> Result<Watch, net::Error> {
        let shared = Arc::clone(self);
        signals::watch(move |signal| match signal {
            Signal::User1 => shared.report(),
            Signal::Stop => {
                tracing::info!("draining: running sessions have {within:?}; a second signal ends at once");
                reactor.drain(within);
            }
        })
    }

    /// Prints the statistics on stderr at every log level, because the user asked for them.
    pub fn report(&self) {
        Report { census: &self.census, volume: self.traffic.volume() }.print();
    }
}

impl Running {
    fn shut(&self, how: Shutdown) {
        for (_, stream) in &self.streams {
            // The error would mean that the peer has gone.
            let _ = stream.shutdown(how);
        }
    }

    fn cut_off(&mut self) {
        self.over = true;
        self.shut(Shutdown::Both);
    }
}

/// A client's place: it is counted as active until this is dropped, however its session ends.
#[derive(Debug)]
pub struct Seat(Arc<Shared>);

impl Drop for Seat {
    fn drop(&mut self) {
        // Under the lock, else the thread that waits could look just before and sleep just after.
        let running = self.0.running();
        self.0.census.leave(1);
        // No thread waits before the end, and a notification without a waiter is a system call, too.
        if running.stopping {
            self.0.left.notify_all();
        }
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

    fn file(&mut self) -> Option<FilePart> {
        self.conversation.file()
    }

    fn wants(&self) -> Wants {
        self.conversation.wants()
    }

    fn deadline(&self) -> Option<Instant> {
        self.conversation.deadline()
    }

    fn promised(&self) -> Option<Instant> {
        self.conversation.promised()
    }

    fn expire(&mut self, now: Now) {
        self.conversation.expire(now);
    }

    fn worked(&mut self, worked: Worked, now: Now) {
        self.conversation.worked(worked, now);
    }

    fn taken(&mut self) {
        self.conversation.taken();
    }

    fn answered(&mut self) -> u32 {
        self.conversation.answered()
    }
}
