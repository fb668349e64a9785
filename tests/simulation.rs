//! Whole applications in a fake world: 256 seeds of clients, origins and weather.
//!
//! `SIM_SEEDS=10000 cargo test --test simulation` runs more; `SIM_SEED=17 … -- --nocapture` runs one and shows all of it.

mod support;

use clap::Parser;
use socket_patterns::{
    backend::{Backend, BackendId},
    pool::PoolArgs,
    proxy::{BalanceArgs, Census, Config, Plan, Proxy},
    time::Now,
};
use std::net::SocketAddr;
use support::{
    origin::HEALTH,
    random::Random,
    relay::{Fault, Relay},
    simulation::{Report, Subject},
    weather::Weather,
    world::World,
};

/// The flags of the newest milestone, as a command line would have them.
#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    balance: BalanceArgs,
    #[command(flatten)]
    pool: PoolArgs,
}

/// The proxy, with flags that the seed chooses.
fn proxy() -> Subject<Proxy> {
    Subject {
        http: true,
        weather: Weather::of,
        build: |now, origins, weather, random| {
            let mut flags = vec!["proxy".to_owned()];
            let mut flag = |name: &str, values: &[&str]| {
                flags.extend([format!("--{name}"), (*random.pick(values)).to_owned()]);
            };
            flag("algorithm", &["round-robin", "weighted-round-robin", "least-connections", "ip-hash", "power-of-two"]);
            flag("retries", &["0", "1", "2", "5"]);
            flag("health-interval", &["250ms", "2s", "1m"]);
            flag("breaker-failures", &["0", "1", "5"]);
            // A probe over a slow line takes its time, too.
            flag("health-timeout", if weather.is_calm() { &["10s"] } else { &["500ms", "1s", "10s"] });
            // A calm world has room for everybody at once: ten clients, on however few origins.
            let tight = if weather.is_calm() { "10" } else { "1" };
            flag("pool-max", &["0", tight, "10", "1024"]);
            flag("pool-idle-timeout", &["1ms", "4s", "1h"]);
            flag("pool-queue", &[tight, "1024"]);
            if random.chance(500) {
                flags.extend(["--health-path".to_owned(), HEALTH.to_owned()]);
            }
            let Flags { balance, pool } = Flags::parse_from(flags);
            build(Plan::new(Config::default()).balance(balance).pool(&pool), now, origins, random)
        },
        // The mark at which the proxy stops reading, one large read, and a head.
        most_unsent: (128 + 256 + 16) * 1024,
        holds: |proxy, world| balance_of(proxy.census(), world),
        at_rest: |proxy| assert_eq!(proxy.census(), Census::default(), "at rest"),
    }
}

fn build(plan: Plan, now: Now, origins: &[SocketAddr], random: &mut Random) -> Proxy {
    let backend = |(number, address): (u16, &SocketAddr)| Backend {
        id: BackendId(number),
        name: address.to_string(),
        address: *address,
        weight: random.within(1..=5) as u32,
        max: None,
    };
    let backends = (0..).zip(origins).map(backend).collect();
    let (mut workers, _) = plan.build(backends, 1, now, 1);
    workers.pop().expect("one worker was asked for")
}

/// A backend that says more than it was asked must not have the rest taken for the next answer.
#[test]
fn what_nobody_asked_for_answers_nothing() {
    let subject = Subject { weather: Weather::prompt, ..proxy() };
    let reports = subject.run_all("what_nobody_asked_for_answers_nothing", 64);
    let junk: usize = reports.iter().map(|report| report.tally.junk).sum();
    assert!(reports.len() < 64 || junk > 20, "{junk}");
}

/// The books: every connection has one role, and every request in flight one exchange.
fn balance_of(census: Census, world: &World<Proxy>) {
    let Census { exchanges, clients, busy, idle, probes, admins, in_flight } = census;
    assert_eq!(clients + busy + idle + probes + admins, world.open(), "{census:?}");
    assert!(exchanges <= clients, "{census:?}");
    assert!(in_flight as usize <= exchanges, "{census:?}");
}

#[test]
fn the_proxy_keeps_its_promises_in_any_weather() {
    let reports = proxy().run_all("the_proxy_keeps_its_promises_in_any_weather", 256);
    something_happened(&reports);
}

/// A relay without its own ideas of HTTP.
fn relay() -> Subject<Relay> {
    Subject {
        http: false,
        // What it does not understand, it cannot keep apart.
        weather: |random| Weather { broken: 0, garbage: 0, pipelined: 0, ..Weather::of(random) },
        build: |_, origins, _, _| Relay::new(origins.to_vec(), Fault::None),
        // The mark at which it stops reading, and what was read before that took effect.
        most_unsent: 64 * 1024 + 16 * 1024,
        holds: |_, _| {},
        at_rest: |relay| assert_eq!(relay.sides(), 0),
    }
}

#[test]
fn a_relay_passes_on_what_it_hears() {
    let reports = relay().run_all("a_relay_passes_on_what_it_hears", 256);
    something_happened(&reports);
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..8 {
        let (first, second) = (relay().run(seed, None), relay().run(seed, None));
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
    let moody = Subject { build: |_, origins, _, _| Relay::new(origins.to_vec(), Fault::Moody), ..relay() };
    let differs = |seed: &u64| moody.run(*seed, None).digest != moody.run(*seed, None).digest;
    assert!((0..8).any(|seed| differs(&seed)), "a run that depends on addresses was not noticed");
}

/// A harness that cannot fail proves nothing: each of these mistakes must be noticed, for what it is.
#[test]
fn faults_are_noticed() {
    fn bad_weather(random: &mut Random) -> Weather {
        Weather { broken: 0, garbage: 0, pipelined: 0, jumps: 0, rude_origins: 500, ..Weather::storm(random) }
    }
    let faulty = |build| Subject { build, weather: bad_weather, ..relay() };
    let cases: [(&str, Subject<Relay>, &str); 5] = [
        ("clean end", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::CleanEnd)), " bytes"),
        ("deaf", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::Deaf)), "no backpressure"),
        ("leak", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::Leak)), ""),
        ("corrupt", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::Corrupt)), ""),
        ("twice", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::Twice)), "reached origins twice"),
    ];
    for (fault, subject, expected) in cases {
        assert!(subject.first_failure(1000, expected).is_some(), "{fault} was not noticed");
    }
}

/// Nothing is proved by worlds in which nothing happens.
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
        "{} worlds, {} steps, {} answered, {} refused, {} cut, {} given up, {} reused, {} retried, {} of {} probes failed",
        reports.len(),
        reports.iter().map(|r| r.seen.steps).sum::<u64>(),
        sum(|r| r.tally.answered),
        sum(|r| r.tally.refused),
        sum(|r| r.tally.cut),
        sum(|r| r.tally.given_up),
        sum(|r| r.tally.reused),
        sum(|r| r.tally.retried),
        sum(|r| r.seen.probes_failed),
        sum(|r| r.seen.probes),
    );
}
