//! The results that `cargo course` has seen so far: a text file in the repository, a line an exercise, that people can read and
//! mend.
//!
//! ```text
//! e06-echo: failing 5 of 11 at half-close, 2 hints, grader 3f21c09a
//! e07-processes: passed, solution seen, grader 90be1177
//! q05: predicted b, saw c
//! ```

use crate::{catalog::Exercise, project};
use nix::fcntl::{Flock, FlockArg};
use std::{collections::BTreeMap, fmt, fs, io, path::PathBuf};

/// How an exercise went the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All checks passed.
    Passed,
    /// Not all did.
    Failing {
        /// The number of checks that passed.
        passed: usize,
        /// The number of checks that there are.
        of: usize,
        /// The first that failed.
        first: String,
    },
}

/// All that is known about one exercise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The last verdict, if there was one.
    pub(crate) verdict: Option<Verdict>,
    /// The number of hints that were shown.
    pub(crate) hints: usize,
    /// Whether the solution was shown before the exercise was passed.
    pub(crate) solution: bool,
    /// The grader that gave the verdict.
    pub(crate) grader: String,
    /// The prediction, if it is a question of the quiz whose experiment was shown.
    pub(crate) predicted: Option<char>,
    /// The letter of the option that was seen then, or a word.
    pub(crate) saw: Option<String>,
}

/// Where an exercise stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It was never checked.
    New,
    /// The last verdict holds.
    Judged(Verdict),
    /// It passed, and its checks have changed since.
    Stale,
}

impl Entry {
    /// Where `exercise` stands, if this is its entry.
    pub(crate) fn state(&self, exercise: &Exercise) -> State {
        match &self.verdict {
            None => State::New,
            Some(Verdict::Passed) if self.grader != grader(exercise) => State::Stale,
            Some(verdict) => State::Judged(verdict.clone()),
        }
    }

    fn read(text: &str) -> Self {
        let mut entry = Self::default();
        for item in text.split(", ").map(str::trim) {
            match item.split_whitespace().collect::<Vec<_>>()[..] {
                ["passed"] => entry.verdict = Some(Verdict::Passed),
                ["failing", passed, "of", of, "at", first] => {
                    if let (Ok(passed), Ok(of)) = (passed.parse(), of.parse()) {
                        entry.verdict = Some(Verdict::Failing { passed, of, first: first.to_owned() });
                    }
                }
                [count, "hint" | "hints"] => entry.hints = count.parse().unwrap_or(0),
                ["solution", "seen"] => entry.solution = true,
                ["grader", print] => print.clone_into(&mut entry.grader),
                ["predicted", letter] => entry.predicted = letter.chars().next(),
                ["saw", what] => entry.saw = Some(what.to_owned()),
                // Somebody's own words.
                _ => {}
            }
        }
        entry
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failing { passed, of, first } => write!(f, "failing {passed} of {of} at {first}"),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Judged(verdict) => verdict.fmt(f),
            Self::Stale => f.write_str("passed, by checks that have changed since"),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items: Vec<String> = self.verdict.iter().map(ToString::to_string).collect();
        match self.hints {
            0 => {}
            1 => items.push("1 hint".into()),
            many => items.push(format!("{many} hints")),
        }
        if self.solution {
            items.push("solution seen".into());
        }
        if !self.grader.is_empty() {
            items.push(format!("grader {}", self.grader));
        }
        items.extend(self.predicted.map(|letter| format!("predicted {letter}")));
        items.extend(self.saw.iter().map(|what| format!("saw {what}")));
        f.write_str(&items.join(", "))
    }
}

/// A print of the checks of `exercise`, as they are on disk: another one means that the checks have changed.
pub(crate) fn grader(exercise: &Exercise) -> String {
    let path = project::root().join("exercises/course/src/checks").join(format!("{}.rs", exercise.id));
    let text = fs::read(path).unwrap_or_default();
    // FNV-1a: short, and the same on every machine and with every compiler.
    let print = text.iter().fold(0x811c_9dc5_u32, |print, byte| (print ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{print:08x}")
}

fn path() -> PathBuf {
    project::root().join("exercises").join("progress.txt")
}

/// The entries that are known, by folder.
pub(crate) fn load() -> BTreeMap<String, Entry> {
    read(&fs::read_to_string(path()).unwrap_or_default())
}

/// The entry of `exercise`.
pub(crate) fn of(exercise: &Exercise) -> Entry {
    load().remove(exercise.slug).unwrap_or_default()
}

fn read(text: &str) -> BTreeMap<String, Entry> {
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": "));
    lines.map(|(slug, items)| (slug.to_owned(), Entry::read(items))).collect()
}

/// Changes what is known about `exercise`.
pub(crate) fn update(exercise: &Exercise, change: impl FnOnce(&mut Entry)) -> io::Result<()> {
    update_named(exercise.slug, change)
}

/// Changes what is known about an exercise or a question. Two runs at once wait for each other, and readers see the old file or the new one.
pub(crate) fn update_named(name: &str, change: impl FnOnce(&mut Entry)) -> io::Result<()> {
    let folder = fs::File::open(project::root().join("exercises"))?;
    let _turn = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    let mut all = load();
    change(all.entry(name.to_owned()).or_default());
    let mut text = String::from("# What `cargo course` has seen. One line an exercise; delete a line to forget it.\n");
    for (slug, entry) in all {
        text += &format!("{slug}: {entry}\n");
    }
    let beside = path().with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(beside, path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let failing = Verdict::Failing { passed: 5, of: 11, first: "half-close".into() };
        for entry in [
            Entry::default(),
            Entry {
                verdict: Some(Verdict::Passed),
                hints: 1,
                solution: true,
                grader: "00c0ffee".into(),
                ..Entry::default()
            },
            Entry { verdict: Some(failing), hints: 3, grader: "1".into(), ..Entry::default() },
            Entry { predicted: Some('b'), saw: Some("c".into()), ..Entry::default() },
        ] {
            let text = format!("# a comment\ne06-echo: {entry}\n");
            assert_eq!(read(&text).remove("e06-echo"), Some(entry), "{text}");
        }
    }

    #[test]
    fn words_that_nobody_knows_are_passed_over() {
        let entry = Entry::read("passed, with joy, 2 hints, failing a of b at c");
        assert_eq!(entry, Entry { verdict: Some(Verdict::Passed), hints: 2, ..Entry::default() });
    }
}
