//! The exercises that were passed so far: a text file, a line an exercise.

use crate::{catalog::Exercise, project};
use std::{collections::BTreeMap, fs, io, path::PathBuf};

/// How an exercise went the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All checks passed.
    Passed,
    /// The number of passed checks, and the first that failed.
    Failing(String),
}

fn path() -> PathBuf {
    project::root().join("exercises").join("progress.txt")
}

/// The last verdict of each exercise, by folder.
pub(crate) fn load() -> BTreeMap<String, Verdict> {
    let text = fs::read_to_string(path()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    lines
        .map(|(slug, verdict)| {
            let verdict = if verdict == "passed" { Verdict::Passed } else { Verdict::Failing(verdict.to_owned()) };
            (slug.to_owned(), verdict)
        })
        .collect()
}

/// Notes a verdict. The file is written anew beside the old one and then takes its place: two runs at once leave one of the two.
pub(crate) fn save(exercise: &Exercise, verdict: Verdict) -> io::Result<()> {
    let mut all = load();
    all.insert(exercise.slug.to_owned(), verdict);
    let mut text =
        String::from("# What `cargo course` has seen pass. One line an exercise; delete a line to forget it.\n");
    for (slug, verdict) in all {
        let verdict = match verdict {
            Verdict::Passed => "passed".to_owned(),
            Verdict::Failing(how) => how,
        };
        text += &format!("{slug} {verdict}\n");
    }
    let beside = path().with_extension(format!("{}.new", std::process::id()));
    fs::write(&beside, text)?;
    fs::rename(beside, path())
}
