//! Whole brokers in a fake world: clients of both versions on connections that break, a disk that fails and forgets, and crashes at any
//! moment, within a call to the disk as well.
//!
//! ```text
//!   Person ═ Line ═══ world ═══ Broker ── records ──▶ Writer ──▶ FakeDisk
//!     ╰────────▶ Books ◀ every message, its acknowledgement, its arrivals        ╰ what it has is where the next broker begins
//! ```

// `pub` here means "for the tests".
#![allow(unreachable_pub)]

mod books;
mod line;
mod person;
mod play;
mod setting;

use crate::support::simulation::{first_failure, run_all};
use play::{Play, Report};
use setting::Setting;
use std::time::Duration;

fn run(seed: u64, lines: Option<crate::support::trace::Lines>, setting: fn(&mut Setting)) -> Report {
    Play::new(seed, lines, setting).run()
}

#[test]
fn the_broker_keeps_its_promises_whatever_breaks() {
    let reports =
        run_all("the_broker_keeps_its_promises_whatever_breaks", 128, &|seed, lines| run(seed, lines, |_| {}));
    something_happened(&reports);
}

/// A machine that loses power under `--sync 1s` loses what was acknowledged in the last second, and nothing else.
#[test]
fn a_policy_of_a_second_loses_a_second() {
    run_all("a_policy_of_a_second_loses_a_second", 48, &|seed, lines| run(seed, lines, Setting::weaken));
    // And it does lose that.
    let strict = |setting: &mut Setting| {
        setting.weaken();
        setting.grace = Duration::ZERO;
    };
    assert!(first_failure(500, "never came", &|seed, lines| run(seed, lines, strict)).is_some());
}

#[test]
fn one_seed_is_one_run_of_the_broker() {
    for seed in 0..6 {
        assert_eq!(run(seed, None, |_| {}), run(seed, None, |_| {}), "seed {seed}");
    }
}

/// A harness that cannot fail proves nothing: a disk that says that it keeps what it does not keep is noticed.
#[test]
fn faults_of_the_disk_are_noticed() {
    let found = first_failure(200, "", &|seed, lines| run(seed, lines, |setting| setting.disk_lies = true));
    assert!(found.is_some(), "a disk that lies was not noticed");
}

/// Nothing is proved by worlds in which nothing happens.
#[allow(clippy::print_stderr)] // For those who run more seeds.
fn something_happened(reports: &[Report]) {
    if reports.len() < 128 {
        return;
    }
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    eprintln!(
        "{} worlds, {} steps, {} messages published, {} acknowledged, {} received, {} of them again, {} retained, {} wills, {} connections, {} resumed, {} taken over, \
         {} kills, {} times no power, {} torn files, {} calls to disks, {} of them failed, {} found no room, {} syncs failed, {} snapshots, \
         {} dropped, {} refused",
        reports.len(),
        sum(|r| r.steps),
        sum(|r| r.tally.published as u64),
        sum(|r| r.tally.acked as u64),
        sum(|r| r.tally.received as u64),
        sum(|r| r.tally.repeated as u64),
        sum(|r| r.tally.retained as u64),
        sum(|r| r.tally.wills as u64),
        sum(|r| r.tally.connects as u64),
        sum(|r| r.tally.resumed as u64),
        sum(|r| r.tally.takeovers as u64),
        sum(|r| r.kills),
        sum(|r| r.outages),
        sum(|r| r.disk.torn),
        sum(|r| r.disk.calls),
        sum(|r| r.disk.failed),
        sum(|r| r.disk.full),
        sum(|r| r.disk.syncs_failed),
        sum(|r| r.disk.snapshots),
        sum(|r| r.dropped),
        sum(|r| r.tally.refused as u64),
    );
    assert!(sum(|r| r.kills) > 100 && sum(|r| r.outages) > 50, "crashes");
    assert!(sum(|r| r.disk.full) > 20 && sum(|r| r.disk.syncs_failed) > 20, "troubles of disks");
    assert!(sum(|r| r.disk.torn) > 20 && sum(|r| r.disk.snapshots) > 50, "torn files and snapshots");
    assert!(sum(|r| r.tally.audited as u64) > 200, "acknowledgements that were looked up on the disk");
    assert!(sum(|r| r.tally.acked as u64) > 2000 && sum(|r| r.tally.resumed as u64) > 200, "messages and sessions");
    assert!(
        sum(|r| r.tally.retained as u64) > 100 && sum(|r| r.tally.wills as u64) > 100,
        "retained messages and wills"
    );
    assert!(sum(|r| r.dropped) > 10 && sum(|r| r.tally.takeovers as u64) > 20, "full queues and takeovers");
}
