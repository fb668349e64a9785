//! The runner as its users meet it: commands, exit codes, and reports on programs with known mistakes.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

use assert_cmd::{Command, assert::Assert};
use std::{collections::BTreeMap, fs, path::Path};

fn course(args: &[&str]) -> Assert {
    Command::new(env!("CARGO_BIN_EXE_course")).args(args).assert()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

/// A report without what differs from run to run: times, ports, the padding that follows from them, and what the program
/// says of clients that it meets in another state each time.
fn lasting(report: &str) -> String {
    let mut lasting = String::new();
    let words = |line: &&str| !line.starts_with("   your stderr ends:") && !line.starts_with("                     ");
    for line in report.lines().filter(words) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let timed = fields.first().is_some_and(|first| first.contains('.') && first.parse::<f64>().is_ok());
        let counted = ["(silence,", "lines left out", "before "].iter().any(|kind| line.contains(kind));
        let words = fields.iter().skip(usize::from(timed)).map(|word| match word.rsplit_once(':') {
            Some((host, port)) if host == "127.0.0.1" && port.parse::<u16>().is_ok() => format!("{host}:PORT"),
            _ if word.trim_end_matches(',').parse::<u32>().is_ok() && counted => "N".into(),
            _ => word.trim_end_matches('-').to_owned(),
        });
        let words: Vec<String> = words.collect();
        lasting += &format!("{}{}\n", if timed { "T " } else { "" }, words.join(" "));
    }
    lasting
}

/// Every mutant is caught, by the check that names it, for the cause that is given; and the reports that are kept in
/// `tests/reports` read as they did. `COURSE_BLESS=1` writes them anew.
#[test]
fn mistakes_are_caught_and_their_reports_say_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let ran = course(&["dev", "mutants", "--reports", path]);
    assert_eq!(ran.get_output().status.code(), Some(0), "{}{}", stdout(&ran), stderr(&ran));
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    let bless = std::env::var_os("COURSE_BLESS").is_some();
    let mut different = BTreeMap::new();
    for entry in fs::read_dir(&kept).unwrap() {
        let path = entry.unwrap().path();
        let now = fs::read_to_string(directory.path().join(path.file_name().unwrap())).unwrap();
        assert!(now.lines().all(|line| line.chars().count() <= 100), "wider than 100 columns:\n{now}");
        if bless {
            fs::write(&path, &now).unwrap();
        } else if lasting(&now) != lasting(&fs::read_to_string(&path).unwrap()) {
            different.insert(path, now);
        }
    }
    assert!(different.is_empty(), "other reports than those that are kept: {different:#?}");
}

/// The graders' own test: solutions pass under three seeds, starters fail where they should, and at once.
#[test]
fn solutions_pass_and_starters_fail() {
    let ran = course(&["dev", "check"]);
    assert_eq!(ran.get_output().status.code(), Some(0), "{}{}", stdout(&ran), stderr(&ran));
}

#[test]
fn wrong_names_are_told_with_the_right_ones() {
    for (args, wanted) in [
        (&["check", "e99"][..], "there is no exercise \"e99\""),
        (&["check", "e06", "--only", "gretes"], "it has greets, echoes-line"),
        (&["poke", "e06"], "is not EXERCISE.CHECK"),
        (&["explain", "gremlins"], "`cargo course explain` lists them"),
        (&["check", "e06", "--seed", "xyz"], "a seed is a hexadecimal number"),
        (&["check", "e06", "--repeat", "0"], "0 is not in 1.."),
    ] {
        let ran = course(args);
        assert_eq!(ran.get_output().status.code(), Some(2), "{args:?}");
        assert!(stderr(&ran).contains(wanted), "{args:?}: {}", stderr(&ran));
    }
}

#[test]
fn every_cause_can_be_explained() {
    let names = stdout(&course(&["explain"]));
    assert!(names.lines().count() > 30, "{names}");
    for name in names.lines().filter_map(|line| line.split_whitespace().next()) {
        let page = stdout(&course(&["explain", name]).success());
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
    }
}
