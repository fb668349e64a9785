//! A fake world that drives an [`App`]: no socket, no real time, everything from one seed.
//!
//! ```text
//!   clients ═══╗                                      ╔═══ hosts (origins)
//!   (Peer)     ╠══ Link ══▶ driver ──▶ App ──▶ driver ══ Link ══╣   (Host makes a Peer per connection)
//!              ║            (Cx)               (Cx)             ║
//!   agenda: what happens next, in order of time; the clock jumps from event to event
//! ```
//!
//! Three files, by question: here, *when* (the agenda, the clock, deadlines, what must hold after every step); in
//! `driver.rs`, *our end* (what `App` is told, what its actions do); in `network.rs`, *everything else* (pieces, delays,
//! resets, the peers).

use super::{
    link::{Link, Ours},
    peer::{Host, Peer},
    random::Random,
    trace::Trace,
    weather::Weather,
};
use socket_patterns::{
    app::{Action, App, ConnId, Cx, Progress},
    buf::Unreadable,
    time::{Instant, Now},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    io, mem,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

/// More steps than this without time passing: a peer or the application answers every event with another one. In a world without
/// delays, whose peers read byte by byte, answers to a thousand streams take some million.
const MOST_STEPS_AT_ONE_INSTANT: u32 = 20_000_000;

/// All connections are looked at after so many steps, or less often; see [`World::is_time_to_look`].
const OFTEN: u64 = 7;

/// The world around one application, which may have several workers.
pub struct World<A: App> {
    pub workers: Vec<Worker<A>>,
    pub trace: Trace,
    pub seen: Seen,
    /// More unsent bytes than this on one connection mean that backpressure does not work.
    pub most_unsent: usize,
    /// Clients that a worker has at most; more wait.
    pub most_clients: usize,
    /// It sends HTTP requests to hosts.
    pub speaks_http: bool,
    pub(super) now: Duration,
    pub(super) random: Random,
    pub(super) weather: Weather,
    pub(super) links: Vec<Link>,
    pub(super) hosts: BTreeMap<SocketAddr, Box<dyn Host>>,
    pub(super) actions: Vec<Action>,
    pub(super) ready: VecDeque<Ready>,
    pub(super) draining: bool,
    /// The application is hearing the last bytes of a connection that breaks, though it did not want input.
    pub(super) last_words: bool,
    /// Clients that knocked and were not accepted yet.
    pub(super) backlog: Vec<usize>,
    agenda: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    scheduled: u64,
    /// Wake-ups that are on their way.
    pub(super) waking: usize,
    epoch: Now,
    steps_at_this_instant: u32,
}

/// One thread of the application, with its own event loop.
pub struct Worker<A> {
    pub app: A,
    pub(super) cx: Cx,
    pub(super) by_conn: BTreeMap<ConnId, usize>,
    /// Every name there ever was: an action may name a connection that ended, but not one that never began.
    pub(super) named: BTreeSet<ConnId>,
    waker: Waker,
}

/// A waker by which other threads wake a worker. Several calls may lead to one wake-up.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<AtomicBool>);

impl Waker {
    pub fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Something that will happen, to link number so and so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A client's connect reaches us.
    Knock(usize),
    /// The driver accepts it.
    Accept(usize),
    /// Our connect reaches a host.
    Reach(usize, SocketAddr),
    Established(usize),
    Unreachable(usize, io::ErrorKind),
    /// Bytes in flight reach a kernel.
    Arrive(usize, Way),
    /// The receiver reads.
    Deliver(usize, Way),
    /// The sender writes more.
    Refill(usize, Way),
    /// A reset reaches the other side.
    Reset(usize, Way),
    /// The weather: both sides are reset.
    Break(usize),
    /// The weather: nothing arrives any more.
    Silence(usize),
    /// The driver's patience with a closed connection is over, if nothing moved since so much had not arrived.
    LingerOver(usize, u64),
    Wake(usize, u32),
    /// Worker number so and so was woken by another.
    Woken(usize),
}

/// Which way something travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// To the application.
    In,
    /// To the peer.
    Out,
}

/// An event that the driver owes the application after carrying out actions: never called from within another call.
#[derive(Debug, Clone, Copy)]
pub enum Ready {
    Sent(usize),
    /// And whether nothing waited.
    Peeked(usize, bool),
    /// And how far the peer's kernel is.
    Progressed(usize, Progress),
    /// And why a file that was being sent on it ends too early.
    Cut(usize, ConnId, Unreadable),
}

/// The counts of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Seen {
    pub steps: u64,
    pub accepted: usize,
    pub connects: usize,
    pub failed: usize,
    pub closed: usize,
    pub aborted: usize,
    pub peeks: usize,
    pub peeks_failed: usize,
    /// Clients that the application was asked to make room for, and made it.
    pub made_room: usize,
    /// Connections reset since a file was shorter than promised.
    pub cut: usize,
    pub peak_unsent: usize,
    /// Bytes that the application did not see.
    pub spliced: usize,
}

impl<A: App> World<A> {
    /// `build` makes the workers, one per waker.
    pub fn new(
        workers: usize,
        build: impl FnOnce(Now, &[Waker]) -> Vec<A>,
        weather: Weather,
        mut random: Random,
        trace: Trace,
    ) -> Self {
        let epoch = epoch();
        let wakers: Vec<Waker> = (0..workers).map(|_| Waker::default()).collect();
        let apps = build(epoch, &wakers);
        assert_eq!(apps.len(), workers);
        let worker =
            |(app, waker)| Worker { app, cx: Cx::new(epoch), by_conn: BTreeMap::new(), named: BTreeSet::new(), waker };
        let mut world = Self {
            workers: apps.into_iter().zip(wakers).map(worker).collect(),
            trace,
            seen: Seen::default(),
            most_unsent: 1024 * 1024,
            most_clients: usize::MAX,
            speaks_http: false,
            now: Duration::ZERO,
            random: random.fork(),
            weather,
            links: Vec::new(),
            hosts: BTreeMap::new(),
            actions: Vec::new(),
            ready: VecDeque::new(),
            draining: false,
            last_words: false,
            backlog: Vec::new(),
            agenda: BinaryHeap::new(),
            scheduled: 0,
            waking: 0,
            epoch,
            steps_at_this_instant: 0,
        };
        (0..workers).for_each(|worker| world.call(worker, |app, cx| app.started(cx)));
        world
    }

    /// Something that listens at `address`.
    pub fn host(&mut self, address: SocketAddr, host: impl Host + 'static) {
        self.hosts.insert(address, Box::new(host));
    }

    /// A client that connects to us at `at`.
    pub fn client(&mut self, at: Duration, peer: impl Peer + 'static) {
        let mut link = Link::new(Some(Box::new(peer)), &self.weather, &mut self.random);
        // `SO_REUSEPORT`: the kernel chooses.
        link.worker = self.random.below(self.workers.len());
        self.links.push(link);
        self.schedule(at.saturating_sub(self.now), Event::Knock(self.links.len() - 1));
    }

    /// Since the world began.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Connections that the application has.
    pub fn open(&self) -> usize {
        self.workers.iter().map(|worker| worker.by_conn.len()).sum()
    }

    /// Whether some worker was woken and has not heard so.
    pub fn is_waking(&self) -> bool {
        self.waking > 0
    }

    /// Its workers.
    pub fn apps(&self) -> impl Iterator<Item = &A> {
        self.workers.iter().map(|worker| &worker.app)
    }

    /// Connections that were asked for to `address` and have not ended.
    pub fn open_to(&self, address: SocketAddr) -> usize {
        let open = self.workers.iter().flat_map(|worker| worker.by_conn.values());
        open.filter(|id| self.links[**id].to == Some(address)).count()
    }

    /// The next thing happens. False if nothing will ever happen again.
    pub fn step(&mut self) -> bool {
        let event = self.agenda.peek().map(|Reverse((at, ..))| *at);
        let deadlines = self.workers.iter().filter_map(|worker| worker.cx.next_deadline());
        let deadlines = deadlines.map(|at| at.saturating_duration_since(self.epoch.instant));
        let Some(next) = event.into_iter().chain(deadlines).min() else {
            // Woken from beside the world.
            self.pass_on_wakes();
            return !self.agenda.is_empty();
        };
        self.pass_time(next);
        let timers_first = self.random.chance(500);
        if timers_first {
            self.fire_deadlines();
        }
        if event.is_some_and(|at| at <= self.now)
            && let Some(Reverse((_, _, event))) = self.agenda.pop()
        {
            self.happen(event);
        }
        self.fire_deadlines();
        self.pass_on_wakes();
        self.check();
        true
    }

    fn pass_time(&mut self, next: Duration) {
        let mut now = self.now.max(next);
        if self.random.below(1_000_000) < self.weather.jumps {
            now += self.random.micros(100_000..=60_000_000);
            self.trace.note(now, [99, 0, 0], || "the clock jumps".into());
        }
        self.seen.steps += 1;
        self.steps_at_this_instant = if now > self.now { 0 } else { self.steps_at_this_instant + 1 };
        assert!(self.steps_at_this_instant < MOST_STEPS_AT_ONE_INSTANT, "time stands still: the application spins");
        self.now = now;
        let clock = self.epoch.after(now);
        self.workers.iter_mut().for_each(|worker| worker.cx.set_clock(clock));
    }

    fn fire_deadlines(&mut self) {
        for worker in 0..self.workers.len() {
            for n in 0.. {
                let Some(key) = self.workers[worker].cx.next_expired() else { break };
                assert!(
                    n < MOST_STEPS_AT_ONE_INSTANT,
                    "the application sets a deadline that has passed, again and again"
                );
                self.trace.note(self.now, [1, worker, 0], || format!("app  expired {key:?}"));
                self.call(worker, |app, cx| app.expired(cx, key));
            }
        }
    }

    /// A wake-up takes a moment. For what happens beside the world: workers that were woken by it hear so before time passes.
    pub fn pass_on_wakes(&mut self) {
        for worker in 0..self.workers.len() {
            let asked = self.workers[worker].cx.take_call();
            if self.workers[worker].waker.take() || asked {
                let soon = self.random.micros(self.weather.lag.clone());
                self.waking += 1;
                self.schedule(soon, Event::Woken(worker));
            }
        }
    }

    /// Whether it is time to look at all connections and at the application's books. Counting them takes longer than most
    /// steps, so the more connections there are, the rarer it is. An entry that is wrong stays wrong.
    pub fn is_time_to_look(&self) -> bool {
        let rarely = (self.open() as u64 / 4).max(OFTEN);
        self.seen.steps.is_multiple_of(rarely)
    }

    /// Checks the rules that hold after every step, for every application.
    fn check(&mut self) {
        let look = self.is_time_to_look();
        for Worker { cx, by_conn, .. } in &self.workers {
            assert_eq!(cx.open(), by_conn.len(), "the context and the driver count different connections");
            assert!(!look || by_conn.keys().all(|conn| cx.is_open(*conn)), "a connection is open under a stale name");
            if let Some(at) = cx.next_deadline() {
                assert!(at > cx.now(), "a deadline in the past was not fired");
            }
        }
        let Seen { accepted, connects, failed, closed, aborted, peak_unsent, .. } = self.seen;
        let (begun, ended) = (accepted + connects, failed + closed + aborted);
        assert_eq!(begun, ended + self.open(), "begun = ended + open: {:?}", self.seen);
        assert!(peak_unsent <= self.most_unsent, "{peak_unsent} bytes queued on one connection: no backpressure");
    }

    /// Both clocks of the world.
    pub fn clock(&self) -> Now {
        self.epoch.after(self.now)
    }

    /// The application hears of it after a while, if only to look into its mailbox. For what happens beside the world.
    pub fn wake_in(&mut self, after: Duration) {
        self.waking += 1;
        self.schedule(after, Event::Woken(0));
    }

    /// Connections and wake-ups that begin from now on have this weather.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// The process ends, and another one is there, with as many workers: its kernel resets all connections.
    pub fn replace(&mut self, apps: Vec<A>) {
        assert_eq!(apps.len(), self.workers.len());
        self.trace.note(self.now, [15, 0, 0], || "app  is killed, and another one begins".into());
        for id in mem::take(&mut self.backlog) {
            self.forsake(id);
        }
        for (number, app) in apps.into_iter().enumerate() {
            for (_, id) in mem::take(&mut self.workers[number].by_conn) {
                self.seen.failed += 1;
                self.forsake(id);
            }
            self.workers[number].waker.take();
            let worker = Worker {
                app,
                cx: Cx::new(self.clock()),
                by_conn: BTreeMap::new(),
                named: BTreeSet::new(),
                waker: self.workers[number].waker.clone(),
            };
            self.workers[number] = worker;
            self.call(number, |app, cx| app.started(cx));
        }
        self.pass_on_wakes();
    }

    /// Shutdown: the listener closes and the application is told.
    pub fn drain(&mut self) {
        // Clients that the kernel has accepted already are taken, too.
        for id in mem::take(&mut self.backlog) {
            self.accept(id);
        }
        self.draining = true;
        self.trace.note(self.now, [2, 0, 0], || "app  drain".into());
        for worker in 0..self.workers.len() {
            self.call(worker, |app, cx| app.drain(cx));
        }
        self.pass_on_wakes();
        self.check();
    }

    /// The drain deadline has passed: the application is told, and what it has left is reset.
    pub fn cut_off(&mut self) {
        self.trace.note(self.now, [12, 0, 0], || "app  cut off".into());
        for worker in 0..self.workers.len() {
            if !self.workers[worker].by_conn.is_empty() {
                self.call(worker, |app, cx| app.cut_off(cx));
            }
        }
        self.pass_on_wakes();
        self.check();
    }

    pub(super) fn woken(&mut self, worker: usize) {
        self.waking -= 1;
        self.trace.note(self.now, [10, worker, 0], || format!("app  woken {worker}"));
        self.call(worker, |app, cx| app.woken(cx));
    }

    /// Connections that the application still has, for the report when there should be none.
    pub fn open_links(&self) -> Vec<String> {
        let named = |(conn, id): (&ConnId, &usize)| {
            let link = &self.links[*id];
            format!(
                "{conn:?} ours {:?} theirs {:?} reading {} unsent {} in {:?} out {:?}",
                link.ours, link.theirs, link.reading, link.unsent_len, link.inbound, link.outbound
            )
        };
        self.workers.iter().flat_map(|worker| &worker.by_conn).map(named).collect()
    }

    pub(super) fn schedule(&mut self, after: Duration, event: Event) {
        self.scheduled += 1;
        self.agenda.push(Reverse((self.now + after, self.scheduled, event)));
    }

    pub(super) fn is_open(&self, id: usize) -> bool {
        self.links[id].ours == Ours::Open
    }
}

/// Where the fake clocks start.
fn epoch() -> Now {
    // Any instant will do: nothing in the world reads the clock again.
    #[allow(clippy::disallowed_methods)]
    let instant = Instant::now();
    Now { instant, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) }
}
