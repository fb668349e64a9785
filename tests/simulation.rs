//! Whole applications in a fake world: hundreds of seeds of clients, origins and weather.
//!
//! `make sim` runs 10,000 of each kind, `make other-worlds` 192 that nobody has seen; `SIM_SEED=17 … -- --nocapture` runs one and shows all of it.

mod support;

#[path = "simulation/broker/mod.rs"]
mod broker;
#[path = "simulation/chat/mod.rs"]
mod chat;
#[path = "simulation/disk.rs"]
mod disk;

use clap::{Parser, ValueEnum as _};
use socket_patterns::{
    backend::{Addresses, Backend, BackendId},
    cache::CacheArgs,
    lb::Algorithm,
    pool::{PoolArgs, Slots},
    proxy::{BalanceArgs, Census, Config, ExplainConfig, Http2Args, Plan, Proxy},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{
    origin::HEALTH,
    random::Random,
    relay::{Fault, Relay},
    saboteur::{Sabotage, Saboteur},
    simulation::{Built, MOST_CLIENTS, MOST_REQUESTS, Report, Site, Subject},
    weather::{Pieces, Weather},
    world::World,
};

const HOUR: Duration = Duration::from_secs(3600);

/// The longest line in front of a pool that was seen.
static WAITED: AtomicUsize = AtomicUsize::new(0);

/// The flags of the newest milestone, as a command line would have them.
#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    balance: BalanceArgs,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    http2: Http2Args,
}

/// The proxy, with flags that the seed chooses.
fn proxy() -> Subject<Proxy> {
    Subject {
        http: true,
        weather: Weather::of,
        build: |site| {
            let Flags { balance, pool, cache, http2 } = flags(site.weather, site.random);
            let plan = Plan::new(config(site.weather, site.random)).http2(&http2);
            // Mostly the newest milestone; the first knows one backend only.
            let plan = match site.random.below(8) {
                0 if site.origins.len() == 1 => plan,
                0 | 1 => plan.balance(balance),
                2 => plan.balance(balance).pool(&pool),
                _ => plan.balance(balance).pool(&pool).cache(&cache),
            };
            build(plan, site)
        },
        // The mark at which the proxy stops reading, or goes on giving out what others fetch; one large read, and a head.
        most_unsent: (64 + 256 + 32) * 1024,
        clients: 1..=MOST_CLIENTS,
        streams: 1..=MOST_REQUESTS,
        crowded: false,
    }
}

fn config(weather: &Weather, random: &mut Random) -> Config {
    let mut config = Config { keep_alive_requests: *random.pick(&[0, 0, 0, 1, 3]), ..Config::default() };
    config.unseen = *random.pick(&[1, 100, 5000, u64::MAX]);
    config.forwarding.forwarded = random.chance(500);
    config.access_log = random.chance(500);
    if weather.is_prompt() {
        // Where the driver is slow to notice what a client has sent at once, it is not the client that is slow.
        config.body_rate = 0;
    }
    if !weather.is_calm() && random.chance(200) {
        let limit = random.micros(1_000_000..=20_000_000);
        // Where the ledger wants every request to reach its origin whole, no deadline of ours may cut a long one off.
        config.deadlines.exchange = Some(limit).filter(|_| !weather.is_prompt());
    }
    config
}

fn flags(weather: &Weather, random: &mut Random) -> Flags {
    let mut flags = vec!["proxy".to_owned()];
    let mut flag = |name: &str, values: &[&str]| {
        flags.extend([format!("--{name}"), (*random.pick(values)).to_owned()]);
    };
    let algorithms: Vec<&str> = Algorithm::value_variants().iter().map(|algorithm| algorithm.as_str()).collect();
    flag("algorithm", &algorithms);
    flag("retries", &["0", "1", "2", "5"]);
    flag("health-interval", &["250ms", "2s", "1m"]);
    // A probe over a slow line takes its time, too.
    flag("health-timeout", if weather.is_calm() { &["10s"] } else { &["500ms", "1s", "10s"] });
    flag("breaker-failures", &["0", "1", "5"]);
    // A calm world has room for all clients at once, on however few origins.
    let roomy = (MOST_CLIENTS * MOST_REQUESTS).to_string();
    let tight = if weather.is_calm() { &roomy } else { "1" };
    flag("pool-max", &["0", tight, "10000"]);
    flag("pool-idle-timeout", &["1ms", "4s", "1h"]);
    flag("pool-queue", &[tight, "1000"]);
    // A response that is being stored goes to its client as it comes: with these sizes, it is no larger than one that
    // is spliced.
    flag("cache-size", &["20k", "1m", "64m"]);
    flag("cache-max-object", &["1k", "10k", "100k"]);
    flag("cache-wait", &["0s", "1s", "1m"]);
    flag("http2-streams", &["1", "3", "100"]);
    if random.chance(500) {
        flags.extend(["--health-path".to_owned(), HEALTH.to_owned()]);
    }
    Flags::parse_from(flags)
}

fn build(plan: Plan, site: Site<'_>) -> Built<Proxy> {
    let backend = |(number, address): (u16, &SocketAddr)| Backend {
        id: BackendId(number),
        name: address.to_string(),
        addresses: addresses(*address, site.random),
        weight: site.random.within(1..=5) as u32,
        max: None,
        secured: None,
    };
    let backends: Vec<Backend> = (0..).zip(site.origins).map(backend).collect();
    // It draws no number: the worlds are the same without it.
    let all = ExplainConfig { one_in: Some(1), ..ExplainConfig::default() };
    let plan = plan.explain(Some(all));
    let (workers, slots) = plan.build(backends.clone(), site.wakers.len(), site.now, 1);
    for (number, waker) in site.wakers.iter().cloned().enumerate() {
        slots.attach(number, Arc::new(move || waker.wake()));
    }
    let (holds_slots, holds_backends) = (slots.clone(), backends.clone());
    Built {
        workers,
        holds: Box::new(move |world| balance_of(world, &holds_slots, &holds_backends)),
        at_rest: Box::new(move |world| {
            world.apps().for_each(|proxy| assert_eq!(proxy.census(), Census::default(), "at rest"));
            world.apps().for_each(|proxy| assert_eq!(proxy.empty_cache(), 0, "memory that nobody has"));
            world.apps().for_each(|proxy| assert_eq!(proxy.unexplained(), Vec::<String>::new()));
            assert_eq!(slots.waiting(), 0, "requests wait, and nobody is there");
            for backend in &backends {
                assert_eq!(slots.open(backend.id).unwrap_or(0), 0, "slots of {} were lost", backend.name);
            }
        }),
    }
}

/// An origin's address; in some worlds a second one: the name has two, and the first of them refuses.
fn addresses(origin: SocketAddr, random: &mut Random) -> Addresses {
    let nobody = SocketAddr::new(origin.ip(), origin.port() ^ 1);
    if random.chance(250) { Addresses::new(&[nobody, origin]) } else { origin.into() }
}

/// The address that the origin listens on.
fn origin_of(backend: &Backend) -> SocketAddr {
    *backend.addresses.list().last().expect("an origin has an address")
}

/// The books: every connection has one role, every request in flight one exchange, and no backend more connections than
/// it may have.
fn balance_of(world: &World<Proxy>, slots: &Slots, backends: &[Backend]) {
    let (mut exchanges, mut probes, mut idle, mut connections, mut in_flight) = (0, 0, 0, 0, 0);
    for proxy in world.apps() {
        let census = proxy.census();
        assert!(census.exchanges <= census.clients + census.streams + census.unattended, "{census:?}");
        assert!(census.streams <= census.exchanges, "a stream without its exchange: {census:?}");
        // A request that gave up has left the line, and each request in line waits.
        assert_eq!(census.queued, census.waiting, "{census:?}");
        exchanges += census.exchanges;
        probes += census.probes;
        idle += census.idle;
        connections += census.clients + census.busy + census.idle + census.probes;
        // Counted by all workers together.
        in_flight = census.in_flight as usize;
    }
    assert_eq!(connections, world.open(), "connections with a role, and connections");
    // With several backends, it may wait for another one than the one that idles.
    let waits = slots.waiting() > 0 && !world.is_waking() && backends.len() == 1;
    assert!(!(waits && idle > 0), "a request waits for a connection, and {idle} are used by nobody");
    WAITED.fetch_max(slots.waiting(), Ordering::Relaxed);
    assert!(in_flight <= exchanges, "{in_flight} requests in flight, {exchanges} exchanges");
    for backend in backends {
        let open = world.open_to(origin_of(backend));
        if let Some(counted) = slots.open(backend.id) {
            assert!(open <= counted + probes, "{} has {open} connections, and {counted} are counted", backend.name);
            assert!(counted <= slots.config().max, "{counted} connections to {}", backend.name);
        }
    }
}

#[test]
fn the_proxy_keeps_its_promises_in_any_weather() {
    let reports = proxy().run_all("the_proxy_keeps_its_promises_in_any_weather", 128);
    let unseen = reports.iter().filter(|report| report.seen.spliced > 10_000).count();
    assert!(reports.len() < 128 || unseen > 10, "{unseen} worlds in which bodies pass unseen");
    something_happened(&reports);
}

/// A backend that says more than it was asked must not have the rest taken for the next answer.
#[test]
fn a_response_without_a_request_answers_nothing() {
    let subject = Subject { weather: Weather::prompt, ..proxy() };
    let reports = subject.run_all("a_response_without_a_request_answers_nothing", 32);
    let junk: usize = reports.iter().map(|report| report.tally.junk).sum();
    assert!(reports.len() < 32 || junk > 10, "{junk}");
}

/// Backends that close connections without a word, just when they are needed, under a driver that is slow to notice.
#[test]
fn nothing_unrepeatable_is_risked_on_a_connection_that_is_dead() {
    fn weather(random: &mut Random) -> Weather {
        let calm = Weather::prompt(random);
        Weather { lag: 0..=200_000, rude_origins: 500, garbage: 0, ..calm }
    }
    let reports = Subject { weather, ..proxy() }.run_all("nothing_unrepeatable_is_risked", 64);
    let failed: usize = reports.iter().map(|report| report.seen.peeks_failed).sum();
    assert!(reports.len() < 64 || failed > 2, "{failed}");
}

/// More requests than connections: they wait for each other, across workers, and some give up.
#[test]
fn a_request_that_waits_for_a_connection_gets_one_or_an_answer() {
    fn weather(random: &mut Random) -> Weather {
        Weather { rude_clients: 200, rude_origins: *random.pick(&[0, 50, 200]), ..Weather::calm(random) }
    }
    let crowded = Subject {
        weather,
        build: |site| {
            let max = *site.random.pick(&["1", "2", "3"]);
            let queue = *site.random.pick(&["2", "1000"]);
            let flags = ["proxy", "--pool-max", max, "--pool-queue", queue, "--health-timeout", "10s"];
            let Flags { balance, pool, http2, .. } = Flags::parse_from(flags);
            build(Plan::new(Config::default()).balance(balance).pool(&pool).http2(&http2), site)
        },
        ..proxy()
    };
    let reports = crowded.run_all("whoever_waits_for_a_connection", 24);
    assert!(reports.len() < 24 || WAITED.load(Ordering::Relaxed) > 3, "nobody had to wait");
}

/// Many ask for the same: one answer serves several, and never one that is for one alone, that is not complete, or that
/// belongs to something else.
#[test]
fn responses_that_many_clients_ask_for_may_be_shared() {
    fn weather(random: &mut Random) -> Weather {
        Weather { shared: 700, ..Weather::of(random) }
    }
    let popular = Subject {
        weather,
        build: |site| {
            let size = *site.random.pick(&["20k", "1m", "64m"]);
            let object = *site.random.pick(&["1k", "100k", "100k"]);
            let wait = *site.random.pick(&["1s", "1m"]);
            let cache = ["--cache-size", size, "--cache-max-object", object, "--cache-wait", wait];
            let flags = [&["proxy", "--health-timeout", "10s", "--pool-max", "10000"], &cache[..]].concat();
            let Flags { balance, pool, cache, http2 } = Flags::parse_from(flags);
            build(Plan::new(Config::default()).balance(balance).pool(&pool).cache(&cache).http2(&http2), site)
        },
        ..proxy()
    };
    let reports = popular.run_all("responses_that_many_clients_ask_for_may_be_shared", 32);
    let shared: usize = reports.iter().map(|report| report.tally.shared).sum();
    assert!(reports.len() < 32 || shared > 16, "{shared}");
}

/// Clients and backends that read all the time, and slowly, behind kernels that take nothing for minutes at a time: no
/// peer is given up, whichever side is slow, and wherever bytes wait.
#[test]
fn a_peer_that_reads_is_never_given_up() {
    fn weather(random: &mut Random) -> Weather {
        let steady = (random.within(2000..=8000), random.micros(300_000..=1_000_000));
        let capacity = random.within(400_000..=1_000_000);
        let roomy = Weather {
            capacity: capacity..=capacity,
            largest: 2_000_000,
            pieces: Pieces::Whole,
            ..Weather::calm(random)
        };
        Weather { hoarding: true, steady: Some(steady), pipelined: 0, delay: 0..=500, lag: 0..=20, ..roomy }
    }
    let slow = Subject {
        weather,
        build: |site| {
            let flags = ["proxy", "--pool-max", "1000", "--health-interval", "1m", "--cache-max-object", "1k"];
            let Flags { balance, pool, cache, http2 } = Flags::parse_from(flags);
            let mut config = config(site.weather, site.random);
            // The proxy cannot see bytes in the kernel of a peer: an answer, or the next request, may take long; and so may the
            // content of a request over HTTP/2, of which the window is given back behind an answer that is read slowly.
            (config.deadlines.idle, config.deadlines.first_byte, config.deadlines.body) = (HOUR, HOUR, HOUR);
            let plan = Plan::new(config).balance(balance).pool(&pool).http2(&http2);
            build(if site.random.chance(500) { plan.cache(&cache) } else { plan }, site)
        },
        ..proxy()
    };
    let reports = slow.run_all("a_peer_that_reads_is_never_given_up", 24);
    let unsent = reports.iter().map(|report| report.seen.peak_unsent).max();
    assert!(reports.len() < 24 || unsent > Some(8 * 1024), "nobody was slow: {unsent:?}");
}

/// Few places for clients, which keep their connections: idle ones go for those that wait, and an end that comes too
/// soon leaves nothing behind.
#[test]
fn clients_that_idle_make_room_for_those_that_wait() {
    // A request and the end may cross, which is no mistake of either side and happens in no calm world.
    fn weather(random: &mut Random) -> Weather {
        Some(Weather::of(random)).filter(|weather| !weather.is_calm()).unwrap_or_else(|| Weather::storm(random))
    }
    let reports = Subject { crowded: true, weather, ..proxy() }.run_all("clients_that_idle_make_room", 32);
    let made: usize = reports.iter().map(|report| report.seen.made_room).sum();
    assert!(reports.len() < 32 || made > 12, "{made}");
}

/// Clients send what no origin can bear: each breaks off. Only those requests may fail, however many there are: no
/// breaker may take the origins away from all other clients.
#[test]
fn poison_harms_nobody_else() {
    fn weather(random: &mut Random) -> Weather {
        Weather { poison: *random.pick(&[100, 500, 900]), ..Weather::calm(random) }
    }
    let poisoned = Subject {
        weather,
        build: |site| {
            let failures = *site.random.pick(&["1", "2", "5"]);
            let retries = *site.random.pick(&["0", "2"]);
            let open = *site.random.pick(&["100ms", "10s", "1h"]);
            let breaker = ["--breaker-failures", failures, "--breaker-open", open, "--retries", retries];
            let probes: &[&str] = match site.random.below(3) {
                0 => &["--no-health"],
                1 => &["--health-timeout", "10s"],
                _ => &["--health-timeout", "10s", "--health-path", HEALTH],
            };
            let pool = ["--pool-max", *site.random.pick(&["0", "10000"])];
            let flags = [&["proxy"], &breaker[..], probes, &pool].concat();
            let Flags { balance, pool, http2, .. } = Flags::parse_from(flags);
            build(Plan::new(Config::default()).balance(balance).pool(&pool).http2(&http2), site)
        },
        ..proxy()
    };
    let reports = poisoned.run_all("poison_harms_nobody_else", 24);
    let (poison, answered) = reports
        .iter()
        .fold((0, 0), |(poison, answered), report| (poison + report.tally.poison, answered + report.tally.answered));
    assert!(reports.len() < 24 || poison > 50 && answered > 50, "{poison} poisoned, {answered} answered");
}

/// Ten connections with a hundred requests each, with cancels, stalls and backends that die.
#[test]
fn a_thousand_streams_at_once_get_their_own_answers() {
    fn weather(random: &mut Random) -> Weather {
        let troubles = Weather { rude_clients: 100, rude_origins: 150, resets: 20, ..Weather::calm(random) };
        Weather { multiplexed: 1000, hesitant: 0, largest: 30_000, ..troubles }
    }
    let crowd = Subject {
        weather,
        build: |site| {
            let max = *site.random.pick(&["20", "200", "0"]);
            let flags = ["proxy", "--pool-max", max, "--pool-queue", "1000", "--breaker-failures", "0"];
            let Flags { balance, pool, http2, .. } = Flags::parse_from(flags);
            build(Plan::new(Config::default()).balance(balance).pool(&pool).http2(&http2), site)
        },
        clients: 10..=10,
        streams: 100..=100,
        ..proxy()
    };
    let reports = crowd.run_all("a_thousand_streams_at_once_get_their_own_answers", 8);
    let answered: usize = reports.iter().map(|report| report.tally.answered).sum();
    assert!(reports.len() < 8 || answered > 1000, "{answered}");
}

/// A relay without its own ideas of HTTP.
fn relay() -> Subject<Relay> {
    Subject {
        http: false,
        // A relay does not understand these, so it cannot keep them apart.
        weather: |random| Weather { broken: 0, garbage: 0, pipelined: 0, multiplexed: 0, ..Weather::of(random) },
        build: |site| relays(site, Fault::None),
        // The mark at which it stops reading, and what was read before that took effect.
        most_unsent: 64 * 1024 + 16 * 1024,
        clients: 1..=MOST_CLIENTS,
        streams: 1..=MOST_REQUESTS,
        crowded: false,
    }
}

fn relays(site: Site<'_>, fault: Fault) -> Built<Relay> {
    Built {
        workers: site.wakers.iter().map(|_| Relay::new(site.origins.to_vec(), fault)).collect(),
        holds: Box::new(|_| {}),
        at_rest: Box::new(|world| world.apps().for_each(|relay| assert_eq!(relay.sides(), 0))),
    }
}

#[test]
fn a_relay_passes_on_what_it_hears() {
    let reports = relay().run_all("a_relay_passes_on_what_it_hears", 128);
    something_happened(&reports);
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..8 {
        assert_eq!(relay().run(seed, None).digest, relay().run(seed, None).digest, "seed {seed}");
        assert_eq!(proxy().run(seed, None).digest, proxy().run(seed, None).digest, "seed {seed}");
    }
    let moody = Subject { build: |site| relays(site, Fault::Moody), ..relay() };
    let differs = |seed: &u64| moody.run(*seed, None).digest != moody.run(*seed, None).digest;
    assert!((0..8).any(|seed| differs(&seed)), "a run that depends on addresses was not noticed");
}

/// A harness that cannot fail proves nothing: each of these mistakes must be noticed, for what it is.
#[test]
fn faults_are_noticed() {
    fn bad_weather(random: &mut Random) -> Weather {
        Weather {
            broken: 0,
            garbage: 0,
            pipelined: 0,
            multiplexed: 0,
            jumps: 0,
            rude_origins: 500,
            ..Weather::storm(random)
        }
    }
    let faulty = |build| Subject { build, weather: bad_weather, ..relay() };
    let cases: [(&str, Subject<Relay>, &str); 5] = [
        ("clean end", faulty(|site| relays(site, Fault::CleanEnd)), " bytes"),
        ("deaf", faulty(|site| relays(site, Fault::Deaf)), "no backpressure"),
        ("leak", faulty(|site| relays(site, Fault::Leak)), ""),
        ("corrupt", faulty(|site| relays(site, Fault::Corrupt)), ""),
        ("twice", faulty(|site| relays(site, Fault::Twice)), "reached origins twice"),
    ];
    for (fault, subject, expected) in cases {
        assert!(subject.first_failure(1000, expected).is_some(), "{fault} was not noticed");
    }
}

/// The same for streams: a proxy that is right, and a mistake between it and the driver.
#[test]
fn faults_of_streams_are_noticed() {
    fn sabotaged(sabotage: Sabotage, site: Site<'_>) -> Built<Saboteur<Proxy>> {
        let Built { workers, .. } = (proxy().build)(site);
        let workers = workers.into_iter().map(|worker| Saboteur::new(worker, sabotage)).collect();
        Built { workers, holds: Box::new(|_| {}), at_rest: Box::new(|_| {}) }
    }
    fn calm(random: &mut Random) -> Weather {
        Weather { multiplexed: 1000, ..Weather::calm(random) }
    }
    fn stormy(random: &mut Random) -> Weather {
        Weather { multiplexed: 1000, jumps: 0, ..Weather::storm(random) }
    }
    type Build = fn(Site<'_>) -> Built<Saboteur<Proxy>>;
    type Climate = fn(&mut Random) -> Weather;
    let cases: [(Climate, Build, &str); 5] = [
        (calm, |site| sabotaged(Sabotage::OthersBytes, site), " bytes"),
        (stormy, |site| sabotaged(Sabotage::CleanEnd, site), "broke off became a complete one"),
        (stormy, |site| sabotaged(Sabotage::NotProcessed, site), "was not processed, and is at an origin"),
        (calm, |site| sabotaged(Sabotage::LowGoodbye, site), "was not processed, and is at an origin"),
        (calm, |site| sabotaged(Sabotage::ShutWindows, site), "nothing was wrong"),
    ];
    for (weather, build, expected) in cases {
        let Subject { http, most_unsent, clients, streams, crowded, .. } = proxy();
        let subject = Subject { http, weather, build, most_unsent, clients, streams, crowded };
        assert!(subject.first_failure(1000, expected).is_some(), "not noticed: {expected}");
    }
}

/// Nothing is proved by worlds in which nothing happens.
#[allow(clippy::print_stderr)] // For whoever runs more seeds.
fn something_happened(reports: &[Report]) {
    if reports.len() < 64 {
        return;
    }
    let sum = |count: fn(&Report) -> usize| reports.iter().map(count).sum::<usize>();
    assert!(sum(|r| usize::from(r.calm)) > 10, "calm worlds");
    assert!(sum(|r| r.tally.answered) > 500, "answers");
    assert!(sum(|r| r.tally.cut) > 50, "broken connections");
    assert!(sum(|r| r.seen.failed) > 50, "failures");
    assert!(sum(|r| usize::from(r.seen.peak_unsent > 16 * 1024)) > 5, "backpressure");
    eprintln!(
        "{} worlds, {} steps, {} answered, {} refused, {} cut, {} given up, {} on streams, {} of them unprocessed, {} tunnels, \
         {} reused, {} retried, {} of {} peeks failed",
        reports.len(),
        reports.iter().map(|r| r.seen.steps).sum::<u64>(),
        sum(|r| r.tally.answered),
        sum(|r| r.tally.refused),
        sum(|r| r.tally.cut),
        sum(|r| r.tally.given_up),
        sum(|r| r.tally.streams),
        sum(|r| r.tally.unprocessed),
        sum(|r| r.tally.tunnels),
        sum(|r| r.tally.reused),
        sum(|r| r.tally.retried),
        sum(|r| r.seen.peeks_failed),
        sum(|r| r.seen.peeks),
    );
}
