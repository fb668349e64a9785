//! Runs one application through many worlds: seeds in, failures with their traces out.

use super::{
    client::Client,
    ledger::{Ledger, Rules, Shared, Tally},
    origin::Origin,
    peer::address,
    random::Random,
    stream_client::StreamClient,
    trace::{Lines, Trace},
    weather::Weather,
    world::{Seen, Waker, World},
};
use socket_patterns::{app::App, time::Now};
use std::{
    any::Any,
    cell::Cell,
    fmt::Debug,
    net::SocketAddr,
    ops::{Range, RangeInclusive},
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// No world is busy for longer than this.
const END_OF_TIME: Duration = Duration::from_secs(24 * 3600);

/// Clients of one world, and requests of one client.
pub const MOST_CLIENTS: usize = 16;
pub const MOST_REQUESTS: usize = 8;

/// After the last client left: idle connections time out, probes go on.
const SETTLE: Duration = Duration::from_secs(30);

/// The report of one run.
#[derive(Debug, Clone)]
pub struct Report {
    pub digest: u64,
    pub calm: bool,
    pub tally: Tally,
    pub seen: Seen,
}

/// How to make an application, and what must hold for it beyond what holds for every application.
pub struct Subject<A: App> {
    /// Whether it speaks HTTP; see [`Rules::http`].
    pub http: bool,
    pub weather: fn(&mut Random) -> Weather,
    pub build: fn(Site<'_>) -> Built<A>,
    /// Unsent bytes on one connection that it may cause.
    pub most_unsent: usize,
    pub clients: RangeInclusive<usize>,
    /// Requests of one client that speaks HTTP/2, most of them at once.
    pub streams: RangeInclusive<usize>,
    /// Each worker may have few clients at once, and the end may come before all are answered.
    pub crowded: bool,
}

/// Where an application is built.
pub struct Site<'a> {
    pub now: Now,
    pub origins: &'a [SocketAddr],
    pub weather: &'a Weather,
    pub random: &'a mut Random,
    /// One per worker to be built.
    pub wakers: &'a [Waker],
}

/// An application, ready to run.
pub struct Built<A: App> {
    pub workers: Vec<A>,
    pub holds: Invariant<A>,
    /// The check that must hold when the last connection has ended.
    pub at_rest: Invariant<A>,
}

/// Looks at a world and panics if something is wrong with it.
pub type Invariant<A> = Box<dyn Fn(&World<A>)>;

impl<A: App> Subject<A> {
    /// One world, from its first client to the last connection's end.
    pub fn run(&self, seed: u64, lines: Option<Lines>) -> Report {
        let mut random = Random::new(seed);
        let weather = (self.weather)(&mut random);
        let early_drain = !weather.is_calm() && random.chance(100);
        let ledger = Ledger::shared(Rules {
            http: self.http,
            calm: weather.is_calm(),
            prompt: weather.is_prompt(),
            polite: weather.rude_clients == 0,
            crowded: self.crowded,
        });
        let (mut world, holds, at_rest) = self.world(&ledger, &weather, &mut random, Trace::new(lines));
        let clients = ledger.clone();
        if early_drain {
            let at = random.micros(0..=10_000_000);
            run_while(&mut world, &holds, |world| world.now() < at && clients.borrow().busy > 0);
            world.drain();
            if self.crowded {
                let at = world.now() + random.micros(0..=10_000_000);
                run_while(&mut world, &holds, |world| world.now() < at && clients.borrow().busy > 0);
                world.cut_off();
            }
        }
        run_while(&mut world, &holds, |_| clients.borrow().busy > 0);
        assert_eq!(clients.borrow().busy, 0, "nothing will ever happen, and clients wait: {:?}", world.open_links());
        let settled = world.now() + SETTLE;
        run_while(&mut world, &holds, |world| world.now() < settled);
        world.drain();
        run_while(&mut world, &holds, |world| world.open() > 0);
        assert!(world.open() == 0, "connections are left after the end: {:#?}", world.open_links());
        at_rest(&world);
        let mut ledger = ledger.borrow_mut();
        ledger.close();
        Report { digest: world.trace.digest(), calm: ledger.rules.calm, tally: ledger.tally, seen: world.seen.clone() }
    }

    fn world(
        &self,
        ledger: &Shared,
        weather: &Weather,
        random: &mut Random,
        trace: Trace,
    ) -> (World<A>, Invariant<A>, Invariant<A>) {
        let origins: Vec<SocketAddr> = (1..=random.within(1..=4) as u8).map(address).collect();
        let (mut of_app, of_world) = (random.fork(), random.fork());
        let workers = random.within(1..=3);
        let mut invariants = None;
        let build = |now, wakers: &[Waker]| {
            let site = Site { now, origins: &origins, weather, random: &mut of_app, wakers };
            let Built { workers, holds, at_rest } = (self.build)(site);
            invariants = Some((holds, at_rest));
            workers
        };
        let mut world = World::new(workers, build, weather.clone(), of_world, trace);
        (world.most_unsent, world.speaks_http) = (self.most_unsent, self.http);
        if self.crowded {
            world.most_clients = random.within(1..=3);
        }
        for (number, origin) in (1..).zip(&origins) {
            world.host(*origin, Origin::new(number, ledger, weather, random));
        }
        for _ in 0..random.within(self.clients.clone()) {
            // Clients that ask for the same responses come at about the same time.
            let at = random.micros(0..=if weather.shared > 0 { 300_000 } else { 5_000_000 });
            if random.chance(weather.multiplexed) {
                world.client(at, StreamClient::new(ledger, weather, random, self.streams.clone()));
            } else {
                world.client(at, Client::new(ledger, weather, random, MOST_REQUESTS));
            }
        }
        let (holds, at_rest) = invariants.expect("a world builds its application");
        (world, holds, at_rest)
    }

    /// See [`run_all`].
    pub fn run_all(&self, name: &str, seeds: u64) -> Vec<Report>
    where
        A: 'static,
    {
        run_all(name, seeds, &|seed, lines| self.run(seed, lines))
    }

    /// The first seed that fails with such a message: for applications that are known to be faulty.
    pub fn first_failure(&self, seeds: u64, expected: &str) -> Option<u64> {
        first_failure(seeds, expected, &|seed, lines| self.run(seed, lines))
    }
}

/// Runs one world, and panics if something is wrong with it.
type Run<'a, R> = &'a (dyn Fn(u64, Option<Lines>) -> R + Sync);

/// As many seeds as the test asks for, from 0; or `SIM_SEEDS` of them, from `SIM_FROM`; or the one that `SIM_SEED`
/// names, with its trace. Panics with the first failure.
#[allow(clippy::print_stderr)] // Somebody asked to see the trace.
pub fn run_all<R: Debug + Send>(name: &str, seeds: u64, run: Run<'_, R>) -> Vec<R> {
    if let Some(seed) = number_from("SIM_SEED") {
        let lines = Lines::default();
        let outcome = attempt(seed, Some(lines.clone()), run);
        eprintln!("{}\n{name}, seed {seed}: {outcome:?}", lines.last(usize::MAX));
        return vec![outcome.expect("this seed passes")];
    }
    let from = number_from("SIM_FROM").unwrap_or(0);
    let (reports, mut failures) = run_seeds(from..from + number_from("SIM_SEEDS").unwrap_or(seeds), run);
    failures.sort();
    let Some((seed, why)) = failures.first() else { return reports };
    let lines = Lines::default();
    let again = attempt(*seed, Some(lines.clone()), run).err();
    let stable = if again.as_ref() == Some(why) { "" } else { "\nThe second run differed: not deterministic!" };
    let first_line = |why: &str| why.lines().next().unwrap_or_default().chars().take(200).collect::<String>();
    let some = failures.iter().take(12);
    let others: Vec<String> = some.map(|(seed, why)| format!("  {seed}: {}", first_line(why))).collect();
    panic!(
        "{}\n\n{name}: seed {seed} fails: {why}{stable}\n{} seeds fail, the first of them:\n{}\n\
         To see all of it: SIM_SEED={seed} cargo test --test simulation {name} -- --nocapture",
        lines.last(400),
        failures.len(),
        others.join("\n"),
    );
}

/// The first seed that fails with such a message: for what is known to be faulty.
pub fn first_failure<R>(seeds: u64, expected: &str, run: Run<'_, R>) -> Option<u64> {
    (0..seeds).find(|seed| attempt(*seed, None, run).is_err_and(|why| why.contains(expected)))
}

/// Seeds that pass and seeds that fail.
fn run_seeds<R: Send>(seeds: Range<u64>, run: Run<'_, R>) -> (Vec<R>, Vec<(u64, String)>) {
    let next = AtomicU64::new(seeds.start);
    let outcomes = Mutex::new((Vec::new(), Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = attempt(seed, None, run);
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(report) => outcomes.0.push(report),
                        Err(why) => outcomes.1.push((seed, why)),
                    }
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn attempt<R>(seed: u64, lines: Option<Lines>, run: Run<'_, R>) -> Result<R, String> {
    quietly(|| catch_unwind(AssertUnwindSafe(|| run(seed, lines)))).map_err(|panic| message(panic.as_ref()))
}

thread_local! {
    /// Whether a panic of this thread is caught and reported with its seed, and needs no further word.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, whose panics are caught, without a backtrace for each.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                loud(info);
            }
        }));
    });
    CAUGHT.set(true);
    let result = work();
    CAUGHT.set(false);
    result
}

fn run_while<A: App>(world: &mut World<A>, holds: &Invariant<A>, busy: impl Fn(&World<A>) -> bool) {
    while busy(world) && world.step() {
        if world.is_time_to_look() {
            holds(world);
        }
        assert!(world.now() < END_OF_TIME, "a day has passed: {:#?}", world.open_links());
    }
    holds(world);
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn number_from(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {value:?}")))
}
