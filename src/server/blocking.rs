//! Parts that the blocking servers share: one thread that accepts, signals that reach it, an orderly end.

use super::{
    Client, ServerArgs, Shared, bell::Bell, door::Door, door::Knock, flags::Flags, lingering::LONGEST,
    lingering::Lingering,
};
use crate::{
    cli::{self, Failure, LogGuard},
    net::{
        Traffic, clock, descriptors,
        signals::{self, Signal, Watch},
    },
    time::Instant,
};
use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
    time::Duration,
};

/// How often to look whether the refused have gone, at the end only.
const LOOK: Duration = Duration::from_millis(10);

/// Accepts clients until it is told to stop.
#[derive(Debug)]
pub struct Server {
    door: Door,
    shared: Arc<Shared>,
    lingering: Arc<Lingering>,
    within: Duration,
    /// When the end has to have come: known when it has begun.
    deadline: Option<Instant>,
    backlog: u32,
    signals: Signals,
    // The last field: what the others say when they go is still logged.
    _log: Option<LogGuard>,
}

/// The code that hears signals.
#[derive(Debug)]
enum Signals {
    /// A thread, which acts even while the accepting thread serves a client.
    Thread { _watch: Watch },
    /// Only the handlers; the accepting thread looks.
    Flags(Flags),
}

/// The result of [`Server::wait`].
#[derive(Debug)]
pub enum Next {
    /// A new client.
    Client(Client),
    /// The bell was rung. A child may have ended.
    Rung,
    /// No more clients.
    Stop,
}

impl Server {
    /// Listens, and says so.
    ///
    /// # Errors
    ///
    /// No listener at that address, or no signals: one line that says what to do.
    pub fn open(args: &ServerArgs) -> Result<Self, Failure> {
        let log = cli::start_logging(&args.listen.log_level);
        let within = args.listen.drain_timeout;
        Self::build(args, Shared::new(args), Some(log), |shared, rope| {
            let (shared, rope) = (Arc::clone(shared), rope.try_clone()?);
            let watch = signals::watch(move |signal| match signal {
                Signal::User1 => shared.report(),
                Signal::Stop => stop(&shared, within, &rope),
            })?;
            Ok(Signals::Thread { _watch: watch })
        })
    }

    /// Like [`Self::open`], in a process that has one thread and keeps it so: it is going to fork.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`].
    pub fn open_single_threaded(args: &ServerArgs) -> Result<Self, Failure> {
        cli::start_logging_unthreaded(&args.listen.log_level);
        // Bytes that a child moves are counted where its parent sees them, even if the child crashes.
        let shared = Shared::counting(args, Arc::new(Traffic::inherited()?));
        Self::build(args, shared, None, |_, rope| Flags::register(rope).map(Signals::Flags))
    }

    fn build(
        args: &ServerArgs,
        shared: Arc<Shared>,
        log: Option<LogGuard>,
        hear: impl FnOnce(&Arc<Shared>, &UnixStream) -> Result<Signals, Failure>,
    ) -> Result<Self, Failure> {
        descriptors::raise_limit()?;
        let listener = args.listen.open()?;
        let address = listener.local_addr()?;
        let (rope, bell) = Bell::new()?;
        let signals = hear(&shared, &rope)?;
        let door = Door::new(listener, bell)?;
        let lingering = Arc::new(Lingering::new(rope));
        cli::ready(address);
        Ok(Self {
            door,
            shared,
            lingering,
            within: args.listen.drain_timeout,
            deadline: None,
            backlog: args.listen.backlog,
            signals,
            _log: log,
        })
    }

    /// The state that all threads share that serve clients.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// For a child: closes its copies of the listener and of refused connections. They are not its business, and would
    /// stay open as long as it lives. `true`: a signal asked for the end before the child heard signals by itself.
    pub(super) fn leave_to_parent(self) -> bool {
        self.lingering.clear();
        match self.signals {
            Signals::Flags(flags) => flags.release(),
            Signals::Thread { .. } => self.shared.is_stopping(),
        }
    }

    /// How long running sessions may take to finish.
    pub(super) fn within(&self) -> Duration {
        self.within
    }

    /// When the end has to have come, if it begins now or has begun. A little later than sessions are cut off: they have to see
    /// it.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline.unwrap_or_else(|| clock::now().instant + self.within + Duration::from_secs(1))
    }

    /// Waits for the next client; `None`: no more are taken.
    ///
    /// # Errors
    ///
    /// The kernel refuses to wait. Failures to accept are logged instead, and it tries again.
    pub fn accept(&mut self) -> Result<Option<Client>, Failure> {
        loop {
            match self.wait()? {
                Next::Client(client) => return Ok(Some(client)),
                Next::Rung => {}
                Next::Stop => return Ok(None),
            }
        }
    }

    /// Waits for the next client, or for the bell.
    ///
    /// # Errors
    ///
    /// As for [`Self::accept`].
    pub fn wait(&mut self) -> Result<Next, Failure> {
        loop {
            self.obey_flags();
            if self.shared.is_stopping() {
                self.deadline = Some(self.deadline());
                self.refuse_backlog();
                self.door.close();
                return Ok(Next::Stop);
            }
            let sweep = self.lingering.sweep(clock::now().instant);
            match self.door.wait(sweep)? {
                Knock::Client(stream, peer) => {
                    return Ok(Next::Client(Client::new(stream, peer, &self.shared, &self.lingering)));
                }
                Knock::Bell => return Ok(Next::Rung),
                Knock::Nobody => {}
            }
        }
    }

    /// Tells clients in the backlog that they wait in vain: they are connected, as far as they know, and closing the
    /// listener would reset them. No more than there is room for, or clients who keep coming could delay the end.
    fn refuse_backlog(&mut self) {
        self.lingering.keep_all();
        for _ in 0..=self.backlog {
            let Knock::Client(stream, peer) = self.door.accept() else { break };
            Client::new(stream, peer, &self.shared, &self.lingering).refuse();
        }
    }

    /// Until who was refused has read that, or has had time to.
    fn wait_for_refused(&self) {
        let start = clock::now().instant;
        let limit = self.within.min(LONGEST);
        while self.lingering.sweep(clock::now().instant) && clock::now().instant - start < limit {
            thread::park_timeout(LOOK);
        }
    }

    /// Does what signals asked for, if no thread hears them.
    pub(super) fn obey_flags(&self) {
        let Signals::Flags(flags) = &self.signals else { return };
        if flags.take_report() {
            self.shared.report();
        }
        if flags.stop() && !self.shared.is_stopping() {
            tracing::info!("draining: running sessions have {:?}; a second signal ends at once", self.within);
            self.shared.stop();
        }
    }

    /// Waits for running sessions as long as they may take, and prints the statistics.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn finish(self) -> Result<(), Failure> {
        let shared = &self.shared;
        // The signal's own thread cuts off clients that take too long. This thread only waits until they are gone, and
        // not for one that cannot be cut off.
        if !shared.drain(|| clock::now().instant, self.deadline()) {
            tracing::warn!(clients = shared.active(), "still not gone a second after the drain timeout");
        }
        self.wait_for_refused();
        shared.report();
        Ok(())
    }
}

/// Begins the end, from the thread that hears signals.
fn stop(shared: &Arc<Shared>, within: Duration, rope: &UnixStream) {
    if shared.is_stopping() {
        return;
    }
    tracing::info!("draining: running sessions have {within:?}; a second signal ends at once");
    shared.stop();
    // The accepting thread may sleep, and is woken. Or it serves a client, so that another thread has to watch the
    // clock.
    let _ = ring(rope);
    let theirs = Arc::clone(shared);
    let deadline = clock::now().instant + within;
    // To the end, even if no client is being served for a moment: one that waits in a queue may be the next.
    let watch = move || {
        while let left = deadline.saturating_duration_since(clock::now().instant)
            && !left.is_zero()
        {
            thread::park_timeout(left);
        }
        let clients = theirs.active();
        if clients > 0 {
            tracing::warn!(clients, "cut off after the drain timeout");
        }
        theirs.cut_off();
    };
    if let Err(error) = thread::Builder::new().name("drain".to_owned()).spawn(watch) {
        tracing::warn!(%error, "no thread watches the drain timeout; a second signal ends at once");
    }
}

fn ring(mut rope: &UnixStream) -> io::Result<usize> {
    rope.write(&[0])
}
