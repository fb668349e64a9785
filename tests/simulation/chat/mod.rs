//! Whole chats in a fake world: clients with lines and with WebSockets, on connections that break, some of which read slowly or not at all,
//! and a server that is killed at any moment, within a call to its disk as well.
//!
//! ```text
//!   Person ═ Line ═══ world ═══ Workers ─ House ── records ──▶ Writer ──▶ FakeDisk
//!     ╰────────▶ Books ◀ every message, its place, its answer, those who heard it   ╰ what it has is where the next server begins
//! ```

// `pub` here means "for the tests".
#![allow(unreachable_pub)]

mod books;
mod line;
mod person;
mod play;
mod setting;
mod wire;

use crate::support::simulation::{first_failure, run_all};
use play::{Play, Report};
use setting::Setting;
use std::time::Duration;

fn run(seed: u64, lines: Option<crate::support::trace::Lines>, setting: fn(&mut Setting)) -> Report {
    Play::new(seed, lines, setting).run()
}

#[test]
fn the_chat_keeps_its_promises_whatever_breaks() {
    let reports = run_all("the_chat_keeps_its_promises_whatever_breaks", 128, &|seed, lines| run(seed, lines, |_| {}));
    something_happened(&reports);
}

/// A machine that loses power loses what was answered in the last second, and nothing else.
#[test]
fn power_that_fails_takes_a_second_of_the_chat() {
    run_all("power_that_fails_takes_a_second_of_the_chat", 48, &|seed, lines| run(seed, lines, Setting::weaken));
    // And it does take that.
    let strict = |setting: &mut Setting| {
        setting.weaken();
        setting.grace = Duration::ZERO;
    };
    assert!(first_failure(500, "before the crash", &|seed, lines| run(seed, lines, strict)).is_some());
}

#[test]
fn one_seed_is_one_run_of_the_chat() {
    for seed in 0..6 {
        assert_eq!(run(seed, None, |_| {}), run(seed, None, |_| {}), "seed {seed}");
    }
}

/// A harness that cannot fail proves nothing: a disk that says that it keeps what it does not keep is noticed.
#[test]
fn faults_of_the_disk_are_noticed_by_the_chat() {
    let lying = |setting: &mut Setting| {
        setting.weaken();
        setting.disk_lies = true;
    };
    assert!(
        first_failure(200, "", &|seed, lines| run(seed, lines, lying)).is_some(),
        "a disk that lies was not noticed"
    );
}

/// Nothing is proved by worlds in which nothing happens.
#[allow(clippy::print_stderr)] // For those who run more seeds.
fn something_happened(reports: &[Report]) {
    if reports.len() < 128 {
        return;
    }
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    eprintln!(
        "{} worlds, {} steps, {} said, {} heard, {} answered, {} to one person, {} connections, {} resumed, {} taken over, {} strangers, \
         {} heard that they were slow, {} were, {} gaps, {} lost, {} survived, {} accounts, {} logins, {} kills, {} calls to disks, {} of them \
         failed, {} found no room, {} files written again",
        reports.len(),
        sum(|r| r.steps),
        sum(|r| r.tally.said as u64),
        sum(|r| r.tally.heard as u64),
        sum(|r| r.tally.answered as u64),
        sum(|r| r.tally.direct as u64),
        sum(|r| r.tally.connects as u64),
        sum(|r| r.tally.resumed as u64),
        sum(|r| r.tally.takeovers as u64),
        sum(|r| r.tally.strangers as u64),
        sum(|r| r.tally.slow as u64),
        sum(|r| r.too_slow),
        sum(|r| r.tally.unkept as u64),
        sum(|r| r.tally.lost as u64),
        sum(|r| r.tally.survived as u64),
        sum(|r| r.tally.accounts as u64),
        sum(|r| r.tally.logins as u64),
        sum(|r| r.kills),
        sum(|r| r.disk.calls),
        sum(|r| r.disk.failed),
        sum(|r| r.disk.full),
        sum(|r| r.disk.snapshots),
    );
    assert!(sum(|r| r.tally.answered as u64) > 2000 && sum(|r| r.tally.heard as u64) > 10_000, "messages");
    assert!(sum(|r| r.tally.resumed as u64) > 1000 && sum(|r| r.tally.takeovers as u64) > 300, "people who come back");
    assert!(sum(|r| r.kills) > 100 && sum(|r| r.tally.survived as u64) > 1000, "messages that outlive a server");
    assert!(sum(|r| r.too_slow) > 50 && sum(|r| r.tally.unkept as u64) > 20, "slow readers");
    assert!(sum(|r| r.tally.accounts as u64) > 30 && sum(|r| r.tally.logins as u64) > 50, "accounts");
    assert!(sum(|r| r.disk.full) > 10 && sum(|r| r.disk.snapshots) > 20, "disks");
}
