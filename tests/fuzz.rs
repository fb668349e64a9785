//! The checks of the fuzz targets, without a fuzzer: on their seeds, on inputs that they once found, and on damaged
//! copies of both.
//!
//! So the targets compile wherever the tests do, and a mistake that fuzzing found stays found.

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod judges;

#[path = "support/random.rs"]
#[allow(dead_code, unreachable_pub)]
mod random;

use random::Random;
use std::{fs, path::Path};

/// Damaged copies of each seed.
const COPIES: u64 = 300;

/// Panics if a rule is broken.
type Judge = fn(&[u8]);

/// A test for each target, so that they run side by side; and the list of all, by the name of the directory of seeds.
macro_rules! targets {
    ($($target:ident)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
        mod seeds_and_their_damaged_copies_are_judged {
            $(
                #[test]
                fn $target() {
                    super::judge_seeds_and_copies(stringify!($target), super::judges::$target::judge);
                }
            )*
        }
    };
}

targets! {
    requests responses chunked proxy directives dates freshness vary ranges tags frames hpack http2 tls gateway guard files
    websocket config mqtt store replies announcement saved
}

fn fuzz() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}

#[allow(clippy::print_stderr)] // Shown only when a test fails: the last input is the one that broke the rule.
fn judge_seeds_and_copies(target: &str, judge: Judge) {
    let mut seeds = 0;
    for entry in fs::read_dir(fuzz().join("seeds").join(target)).expect("each target has seeds") {
        let path = entry.expect("they can be listed").path();
        eprintln!("{}", path.display());
        let seed = fs::read(&path).expect("they can be read");
        judge(&seed);
        for copy in 0..COPIES {
            let damaged = damaged(&seed, &mut Random::new(copy));
            eprintln!("copy {copy}: {}", damaged.escape_ascii());
            judge(&damaged);
        }
        seeds += 1;
    }
    assert!(seeds > 2, "{target} has {seeds} seeds");
}

/// One to four bytes changed, lost, doubled or moved to another place.
fn damaged(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut wire = seed.to_vec();
    for _ in 0..random.within(1..=4) {
        if wire.is_empty() {
            break;
        }
        let place = random.within(0..=wire.len() - 1);
        match random.below(4) {
            0 => wire[place] = random.within(0..=255) as u8,
            1 => drop(wire.remove(place)),
            2 => wire.insert(place, wire[place]),
            _ => {
                let byte = wire.remove(place);
                wire.insert(random.within(0..=wire.len()), byte);
            }
        }
    }
    wire
}

#[test]
fn every_target_is_judged_here_and_listed_there() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let mut named: Vec<_> = fs::read_dir(fuzz().join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    named.sort();
    let mut judged: Vec<_> = TARGETS.iter().map(|target| (*target).to_owned()).collect();
    judged.sort();
    assert_eq!(named, judged);
    assert!(judged.iter().all(|target| manifest.contains(&format!("name = \"{target}\""))));
}
