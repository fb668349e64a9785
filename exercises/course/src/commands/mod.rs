//! The commands, a file a group; and what they share: names, builds, complaints.

pub(crate) mod check;
pub(crate) mod grade;
pub(crate) mod help;
pub(crate) mod keep;
pub(crate) mod overview;
pub(crate) mod pack;
pub(crate) mod quiz;
pub(crate) mod serve;
pub(crate) mod watch;

use crate::{
    catalog::{self, EXERCISES, Exercise},
    progress::{self, State, Verdict},
    project::{self, Built, Words},
};
use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    path::PathBuf,
};

/// A complaint, and the exit code that says so.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String, pub(crate) u8);

impl Refused {
    /// The command cannot be meant like this.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self(text.into(), 2)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self(error.to_string(), 3)
    }
}

/// The exercise of that name.
pub(crate) fn exercise_named(name: &str) -> Result<&'static Exercise, Refused> {
    let names: Vec<&str> = EXERCISES.iter().map(|exercise| exercise.id).collect();
    catalog::find(name)
        .ok_or_else(|| Refused::usage(format!("there is no exercise {name:?}: there are {}", names.join(", "))))
}

/// The first exercise that was not passed.
fn next() -> Option<&'static Exercise> {
    let known = progress::load();
    let passed = |exercise: &Exercise| {
        let state = known.get(exercise.slug).map(|entry| entry.state(exercise));
        matches!(state, Some(State::Judged(Verdict::Passed)))
    };
    EXERCISES.iter().find(|exercise| !passed(exercise))
}

/// The exercise of that name, or the one that is to be done now.
pub(crate) fn named_or_next(name: Option<&str>) -> Result<&'static Exercise, Refused> {
    match name {
        Some(name) => exercise_named(name),
        None => Ok(next().unwrap_or(&EXERCISES[0])),
    }
}

/// The student's program, built from what is in the file now. The words of the compiler go to the terminal.
fn built(exercise: &Exercise) -> Result<PathBuf, Refused> {
    match project::try_build(&project::root(), "exercises", exercise.id, Words::Shown)? {
        Built::Program(path) => Ok(path),
        Built::Fails(_) => Err(Refused::usage(format!("{} does not build yet", project::edited(exercise).display()))),
        Built::TakesTooLong => Err(Refused::usage(format!(
            "{} does not build within {} seconds: the compiler was ended",
            project::edited(exercise).display(),
            project::build_time().as_secs()
        ))),
    }
}

fn check_named(exercise: &Exercise, name: &str) -> Result<(), Refused> {
    if exercise.checks.iter().any(|check| check.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = exercise.checks.iter().map(|check| check.name).collect();
    Err(Refused::usage(format!("{} has no check {name:?}: it has {}", exercise.id, names.join(", "))))
}

/// A seed that is short enough to type.
fn drawn() -> u64 {
    // The standard library draws the keys of its maps from the system.
    RandomState::new().hash_one(std::process::id()) & 0xffff
}

/// A printed number with its noun.
fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
