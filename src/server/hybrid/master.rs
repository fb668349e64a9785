//! The process that serves no client: it starts workers, counts for them, replaces those that die, and ends them.

use super::restarts::Restarts;
use crate::{
    app::App,
    cli::{self, Failure},
    net::{
        Reactor, Traffic, Volume, clock, descriptors,
        listen::listen_together,
        signals::{self, Signal, Watch},
    },
    server::{
        ServerArgs, Shared,
        bell::Bell,
        flags::Flags,
        process::{reap, split, tell},
        statistics::{Census, Report},
    },
    time::Instant,
    units::Counted,
};
use nix::{sys::signal::Signal as Kill, unistd::Pid};
use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

/// How long workers may take beyond their drain timeout before they are killed: they cut off their clients themselves. Also
/// the wait after the system refused a process.
const GRACE: Duration = Duration::from_secs(1);

/// Supervises workers.
#[derive(Debug)]
pub struct Master {
    args: Box<ServerArgs>,
    address: SocketAddr,
    /// One for each seat, kept from one worker to the next, and with it the connections that wait. None at the end.
    listeners: Vec<TcpListener>,
    seats: Vec<Seat>,
    census: Census,
    bell: Bell,
    rope: UnixStream,
    flags: Flags,
    announced: bool,
    /// Why it ends, if no signal asked for that.
    failure: Option<Failure>,
}

/// The master's record of one worker.
#[derive(Debug)]
struct Seat {
    traffic: Arc<Traffic>,
    census: Arc<Census>,
    restarts: Restarts,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// No worker; one is to start at that time.
    Vacant(Instant),
    /// This process, started at that time.
    Taken(Pid, Instant),
}

/// The role of this process, after a worker was started.
#[derive(Debug)]
#[must_use = "both processes go on from here"]
pub enum Role {
    /// The old one.
    Master(Master),
    /// The new one.
    Worker(Place),
}

/// The things that a worker gets from its master.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    listener: TcpListener,
    census: Arc<Census>,
    rope: UnixStream,
    flags: Flags,
    within: Duration,
}

impl Master {
    /// Opens a listener for each of `workers` workers, which are to be started. A worker that dies early is replaced at
    /// most `most` times in a row.
    ///
    /// # Errors
    ///
    /// The address cannot be listened at, or signals cannot be heard: one line that says what to do.
    pub fn open(args: &ServerArgs, workers: usize, most: u32) -> Result<Self, Failure> {
        cli::start_logging_unthreaded(&args.listen.log_level);
        descriptors::raise_limit()?;
        let listeners = listen_together(&args.listen.options(), workers)?;
        let address = listeners[0].local_addr()?;
        let census = Census::inherited()?;
        let now = clock::now().instant;
        let seat = |_| {
            let (traffic, census) = (Arc::new(Traffic::inherited()?), Arc::new(census.of_child()?));
            Ok(Seat { traffic, census, restarts: Restarts::new(most), state: State::Vacant(now) })
        };
        let seats = (0..workers).map(seat).collect::<io::Result<Vec<_>>>()?;
        let (rope, bell) = Bell::new()?;
        let flags = Flags::register(&rope)?;
        let args = Box::new(args.clone());
        Ok(Self { args, address, listeners, seats, census, bell, rope, flags, announced: false, failure: None })
    }

    /// Waits until a worker is missing, and tells which; `None`: the end has come.
    ///
    /// # Errors
    ///
    /// The kernel refuses to wait.
    pub fn wait(&mut self) -> Result<Option<usize>, Failure> {
        loop {
            if self.flags.take_report() {
                self.report();
            }
            self.reap(false);
            if self.flags.stop() || self.failure.is_some() {
                return Ok(None);
            }
            let now = clock::now().instant;
            let vacant = |(number, seat): (usize, &Seat)| match seat.state {
                State::Vacant(until) => Some((until, number)),
                State::Taken(..) => None,
            };
            let next = self.seats.iter().enumerate().filter_map(vacant).min();
            if let Some((at, number)) = next
                && at <= now
            {
                return Ok(Some(number));
            }
            self.announce();
            self.bell.wait(next.map(|(at, _)| at.saturating_duration_since(now)))?;
        }
    }

    /// Makes a process for worker `number`. If there is none to be had, that is logged, and [`Self::wait`] asks again.
    pub fn start(mut self, number: usize) -> Role {
        let now = clock::now().instant;
        match split() {
            Ok(None) => return Role::Worker(self.into_place(number)),
            Ok(Some(child)) => {
                self.seats[number].state = State::Taken(child, now);
                tracing::debug!(worker = number, pid = %child, "started");
            }
            Err(error) => {
                tracing::warn!(%error, worker = number, "no process for a worker");
                self.seats[number].state = State::Vacant(now + GRACE);
            }
        }
        Role::Master(self)
    }

    /// Keeps the parts of worker `number` and closes the rest. The listener of another worker would go on collecting
    /// connections for as long as it is open in any process, and no process would accept them.
    fn into_place(mut self, number: usize) -> Place {
        let listener = self.listeners.swap_remove(number);
        let Seat { traffic, census, .. } = self.seats.swap_remove(number);
        let shared = Shared::of_child(&self.args, traffic, Arc::clone(&census));
        Place { shared, listener, census, rope: self.rope, flags: self.flags, within: self.args.listen.drain_timeout }
    }

    /// Says once that all workers listen.
    fn announce(&mut self) {
        if !self.announced && self.seats.iter().all(|seat| seat.census.is_ready()) {
            self.announced = true;
            cli::ready(self.address);
        }
    }

    /// Asks how workers ended, of all that have. At the end, that is what they should do.
    fn reap(&mut self, end: bool) {
        while let Some((child, crash)) = reap() {
            let now = clock::now().instant;
            let found = self.seats.iter_mut().enumerate().find_map(|(number, seat)| match seat.state {
                State::Taken(pid, since) if pid == child => Some((number, seat, since)),
                State::Taken(..) | State::Vacant(_) => None,
            });
            let Some((number, seat, since)) = found else { continue };
            seat.state = State::Vacant(now);
            if end && crash.is_none() {
                continue;
            }
            let clients = seat.census.bury();
            seat.traffic.lost(clients);
            let cause = crash.as_deref().unwrap_or("exit code 0");
            tracing::warn!(worker = number, pid = %child, cause, clients, "a worker died");
            match seat.restarts.died(now - since) {
                Some(wait) => seat.state = State::Vacant(now + wait),
                None => {
                    let times = seat.restarts.early();
                    let times = Counted(times.into(), "time");
                    let text = format!("worker {number} died {times} soon after its start, the last time of {cause}");
                    self.failure = Some(Failure::Run(text));
                }
            }
        }
    }

    fn report(&self) {
        let volume = self.seats.iter().map(|seat| seat.traffic.volume()).fold(Volume::default(), |sum, one| sum + one);
        Report { census: &self.census, volume }.print();
    }

    /// Lets workers finish, kills those that take too long, and prints the statistics.
    ///
    /// # Errors
    ///
    /// It came to the end because a worker died too often.
    pub fn finish(mut self) -> Result<(), Failure> {
        let within = self.args.listen.drain_timeout;
        if let Some(failure) = &self.failure {
            tracing::error!("{failure}");
        }
        tracing::info!("draining: running sessions have {within:?}; a second signal ends at once");
        // Before the workers close theirs, or the kernel would go on putting connections where no process accepts them.
        self.listeners.clear();
        self.tell(Kill::SIGTERM);
        if !self.wait_for_workers(within.saturating_add(GRACE))? {
            tracing::warn!("killed after the drain timeout");
            self.tell(Kill::SIGKILL);
            self.wait_for_workers(GRACE)?;
        }
        self.report();
        self.failure.map_or(Ok(()), Err)
    }

    /// Whether all workers have ended within so much time.
    fn wait_for_workers(&mut self, time: Duration) -> Result<bool, Failure> {
        let start = clock::now().instant;
        loop {
            self.reap(true);
            let left = time.saturating_sub(clock::now().instant - start);
            if self.running().next().is_none() || left.is_zero() {
                return Ok(self.running().next().is_none());
            }
            if self.flags.take_report() {
                self.report();
            }
            self.bell.wait(Some(left))?;
        }
    }

    fn running(&self) -> impl Iterator<Item = Pid> {
        self.seats.iter().filter_map(|seat| match seat.state {
            State::Taken(child, _) => Some(child),
            State::Vacant(_) => None,
        })
    }

    fn tell(&self, signal: Kill) {
        self.running().for_each(|child| tell(child, signal));
    }
}

impl Place {
    /// The state that the worker's sessions share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Has `reactor` accept from the worker's listener and finish when the master says so, and tells the master that it is
    /// ready. Lasts until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// The kernel refuses to watch the listener, or signals cannot be heard.
    pub fn open<A: App>(self, reactor: &mut Reactor<A>) -> Result<Watch, Failure> {
        reactor.listen(self.listener)?;
        let (remote, within) = (reactor.remote(), self.within);
        let drain = remote.clone();
        let watch = signals::watch_as_child(move |signal| {
            if signal == Signal::Stop {
                drain.drain(within);
            }
        })?;
        // A signal before the line above was heard by the master's handlers, which were ours as well.
        if self.flags.release() {
            remote.drain(within);
        }
        self.census.ready();
        (&self.rope).write_all(&[0]).or_else(|error| match error.kind() {
            // A full pipe rings as well.
            io::ErrorKind::WouldBlock => Ok(()),
            _ => Err(error),
        })?;
        Ok(watch)
    }
}
