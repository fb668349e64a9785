//! Whole applications in a fake world: 256 seeds of clients, origins and weather.
//!
//! `SIM_SEEDS=10000 cargo test --test simulation` runs more; `SIM_SEED=17 … -- --nocapture` runs one and shows all of it.

mod support;

use support::{
    random::Random,
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
        assert!(subject.first_failure(200, expected).is_some(), "{fault} was not noticed");
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
