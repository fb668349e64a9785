//! The exercises: what there is, in the order in which they are done.

use crate::{checks, problem::Problem, stage::Stage};

/// An exercise.
#[derive(Debug)]
pub(crate) struct Exercise {
    /// As in `cargo course check e06`.
    pub(crate) id: &'static str,
    /// The name of its folder.
    pub(crate) slug: &'static str,
    /// In the report's first line.
    pub(crate) title: &'static str,
    /// The page in `docs/course` that comes before it, without its ending.
    pub(crate) chapter: &'static str,
    /// How long it takes somebody who has read what it stands on.
    pub(crate) minutes: u32,
    /// The promises of a passing program.
    pub(crate) checks: &'static [Check],
    /// The checks that the starter passes; it must fail all others, each at once.
    pub(crate) starter_passes: &'static [&'static str],
    /// Where the project's own code solves the same problem, and a question about it.
    pub(crate) next: &'static str,
}

/// One promise, and how it is tried.
#[derive(Debug)]
pub(crate) struct Check {
    /// As in `cargo course poke e06.greets`.
    pub(crate) name: &'static str,
    /// The promise, in words.
    pub(crate) promise: &'static str,
    /// Tries it.
    pub(crate) run: fn(&mut Stage) -> Result<(), Problem>,
}

/// All of them.
pub(crate) const EXERCISES: &[Exercise] = &[Exercise {
    id: "e06",
    slug: "e06-echo",
    title: "Echo server",
    chapter: "03-robust-io",
    minutes: 40,
    checks: checks::e06::CHECKS,
    starter_passes: &[],
    next: "src/server/lingering.rs: there a goodbye is bounded, too. By what, and what happens to bytes beyond the bound?",
}];

/// The exercise of that id (`e06`), number (`6`) or folder (`e06-echo`).
pub(crate) fn find(name: &str) -> Option<&'static Exercise> {
    let numbered = name.parse::<u32>().map(|number| format!("e{number:02}"));
    EXERCISES
        .iter()
        .find(|exercise| exercise.id == name || exercise.slug == name || Ok(exercise.id) == numbered.as_deref())
}
