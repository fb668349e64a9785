//! Types the commands that the README and the book tell the reader to type, and checks that they do what the page says.
//!
//! Each page is followed from top to end (`play.rs`), on free ports, with the programs that were built for this test.
//! `compare.rs` says what may differ in the output. A comment before a block, of which a reader sees nothing, says what a
//! block needs, or why it is not run (`page.rs`). `BOOK_PAGE=milestone1 cargo test --test book_commands` tries one page, and
//! with `REQUIRE_PROGRAMS=1` a missing program is a failure.

#![cfg(target_os = "linux")]
// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]
// `pub` here means "for the other files".
#![allow(unreachable_pub)]

mod compare;
mod page;
mod play;
mod ports;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod words;
mod workplace;

use play::{Outcome, play};
use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
};
use support::process::programs_are_required;

/// How many blocks of commands and of logs say that they are not run. There may be fewer, and then this number falls.
const NOT_RUN: usize = 11;

/// Programs without which no page makes sense.
const NEEDED: &[&str] = &["bash", "curl", "python3"];

/// The one need of a block that is no program.
const IO_URING: &str = "io_uring";

/// Containers often forbid these, or hold none that fits the kernel. Where they do not work, their blocks are skipped, even if
/// all blocks are required.
const OFTEN_FORBIDDEN: &[&str] = &[IO_URING, "strace", "gdb", "perf", "tcpdump"];

/// Whether a block finds what it needs: a program that works here, or io_uring.
fn is_installed(program: &str) -> bool {
    let works = |program: &str, args: &[&str]| {
        let tried = Command::new(program).args(args).output();
        tried.is_ok_and(|ended| ended.status.success())
    };
    match program {
        "strace" => return works("strace", &["-o", "/dev/null", "true"]),
        "gdb" => return works("gdb", &["-nx", "-batch", "-ex", "run", "true"]),
        "perf" => return works("perf", &["stat", "-e", "task-clock", "true"]),
        "tcpdump" => return works("tcpdump", &["-L", "-i", "lo"]),
        _ => {}
    }
    if program == IO_URING {
        // No program can listen at an address for documentation (RFC 5737): it ends either way.
        let tried = Command::new(env!("CARGO_BIN_EXE_io-uring")).args(["--listen", "192.0.2.1:0"]).output();
        return tried.is_ok_and(|ended| ended.status.code() != Some(2));
    }
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    path.split(':').any(|directory| Path::new(directory).join(program).is_file())
}

/// The pages, by their names from the root.
fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    let mut directories = vec![root.join("docs")];
    while let Some(directory) = directories.pop() {
        let entries: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        directories.extend(entries.iter().filter(|path| path.is_dir()).cloned());
        pages.extend(entries.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    pages.sort();
    pages.iter().map(|page| page.strip_prefix(root).unwrap().display().to_string()).collect()
}

/// Follows all of them at the same time: most of it is waiting.
fn play_all<'a>(pages: &'a [String]) -> Vec<Outcome> {
    let read = |page: &String| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    thread::scope(|scope| {
        let begin = |page: &'a String| scope.spawn(move || play(page, &read(page), is_installed));
        let played: Vec<_> = pages.iter().map(begin).collect();
        played.into_iter().map(|page| page.join().unwrap()).collect()
    })
}

/// For the person who runs the tests; what `println` prints is shown only after a failure.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn commands_do_what_the_pages_say() {
    let required = programs_are_required();
    if let Some(missing) = NEEDED.iter().find(|program| !is_installed(program)) {
        assert!(!required, "{missing} is not installed");
        return tell(&format!("skipped: the pages, since {missing} is not installed"));
    }
    let wanted = env::var("BOOK_PAGE").unwrap_or_default();
    let pages: Vec<String> = pages().into_iter().filter(|page| page.contains(&wanted)).collect();
    let outcomes = play_all(&pages);
    let all = |of: fn(&Outcome) -> &Vec<String>| outcomes.iter().flat_map(of).cloned().collect::<Vec<_>>();
    let (failures, skipped, not_run) = (all(|o| &o.failures), all(|o| &o.skipped), all(|o| &o.not_run));
    skipped.iter().for_each(|line| tell(&format!("skipped: {line}")));
    not_run.iter().for_each(|line| tell(&format!("not run: {line}")));
    let commands: usize = outcomes.iter().map(|outcome| outcome.commands).sum();
    tell(&format!("{commands} commands of {} pages; {} blocks are not run", pages.len(), not_run.len()));
    assert!(failures.is_empty(), "{} failures\n\n{}\n", failures.len(), failures.join("\n\n"));
    let excused = |line: &str| OFTEN_FORBIDDEN.iter().any(|program| line.ends_with(&format!("there is no {program}")));
    let avoidable = skipped.iter().any(|line| !excused(line));
    assert!(!avoidable || !required, "REQUIRE_PROGRAMS is set, and blocks were skipped");
    assert!(not_run.len() <= NOT_RUN, "{} blocks are not run; {NOT_RUN} were", not_run.len());
    assert!(
        not_run.len() == NOT_RUN || !wanted.is_empty(),
        "fewer blocks are not run: NOT_RUN is {} now",
        not_run.len()
    );
}
