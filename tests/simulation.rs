//! Whole applications in a fake world: 256 seeds of clients, origins and weather.
//!
//! `SIM_SEEDS=10000 cargo test --test simulation` runs more; `SIM_SEED=17 … -- --nocapture` runs one and shows all of it.

mod support;

use support::{
    relay::{Fault, Relay},
    simulation::{Report, Subject},
    weather::Weather,
};

/// A relay without its own ideas of HTTP.
fn relay() -> Subject<Relay> {
    Subject {
        http: false,
        // What it does not understand, it cannot keep apart.
        weather: |random| Weather { broken: 0, garbage: 0, pipelined: 0, ..Weather::of(random) },
        build: |_, origins, _, _| Relay::new(origins.to_vec(), Fault::None),
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
}

/// A harness that cannot fail proves nothing: each of these mistakes must be noticed, for what it is.
#[test]
fn faults_are_noticed() {
    let faulty = |build| Subject { build, ..relay() };
    let cases: [(&str, Subject<Relay>, &str); 6] = [
        ("clean end", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::CleanEnd)), " bytes"),
        ("deaf", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::Deaf)), "no backpressure"),
        ("leak", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::Leak)), ""),
        ("corrupt", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::Corrupt)), ""),
        ("twice", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::Twice)), "reached origins twice"),
        ("spin", faulty(|_, to, _, _| Relay::new(to.to_vec(), Fault::Spin)), "deadline"),
    ];
    for (fault, subject, expected) in cases {
        assert!(subject.first_failure(400, expected).is_some(), "{fault} was not noticed");
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
        "{} worlds, {} steps, {} answered, {} refused, {} cut, {} given up, {} reused, {} retried",
        reports.len(),
        reports.iter().map(|r| r.seen.steps).sum::<u64>(),
        sum(|r| r.tally.answered),
        sum(|r| r.tally.refused),
        sum(|r| r.tally.cut),
        sum(|r| r.tally.given_up),
        sum(|r| r.tally.reused),
        sum(|r| r.tally.retried),
    );
}
