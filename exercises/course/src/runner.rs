//! Runs the checks of an exercise against a built program, in order, and keeps what came out.

use crate::{
    catalog::{Check, EXERCISES, Exercise},
    cause::{Diagnosis, diagnose},
    problem::Problem,
    stage::Stage,
    timing::Timing,
};
use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

/// How one check ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Which.
    pub(crate) check: &'static Check,
    /// `None`: it passed.
    pub(crate) failure: Option<Failure>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// A failed check, with all that its report needs. The program is gone by now.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The facts, by kind.
    pub(crate) problem: Problem,
    /// Why.
    pub(crate) diagnosis: Diagnosis,
    /// The conversation.
    pub(crate) transcript: String,
    /// The last lines of the program's stderr.
    pub(crate) last_words: Vec<String>,
}

/// The choice of checks, and how they run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    /// Only this check.
    pub(crate) only: Option<&'a str>,
    /// Go on after a failure.
    pub(crate) all: bool,
    /// Where words and cuts come from.
    pub(crate) seed: u64,
    /// How long to wait.
    pub(crate) timing: Timing,
    /// A server that runs already, in place of one that is started.
    pub(crate) at: Option<SocketAddr>,
    /// Print the conversation while it happens.
    pub(crate) live: bool,
}

/// Runs the checks of `exercise`; `told` hears of each as it ends.
pub(crate) fn run(
    exercise: &Exercise,
    program: &Path,
    options: Options<'_>,
    mut told: impl FnMut(&Outcome),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for check in exercise.checks.iter().filter(|check| options.only.is_none_or(|only| only == check.name)) {
        let outcome = self::check(check, program, options);
        told(&outcome);
        let failed = outcome.failure.is_some();
        outcomes.push(outcome);
        if failed && !options.all {
            break;
        }
    }
    outcomes
}

/// Runs one check.
pub(crate) fn check(check: &'static Check, program: &Path, options: Options<'_>) -> Outcome {
    let begun = Instant::now();
    let failure = run_one(check, program, options);
    Outcome { check, failure, took: begun.elapsed() }
}

fn run_one(check: &Check, program: &Path, options: Options<'_>) -> Option<Failure> {
    let mut stage = Stage::new(program, options.seed, check.name, options.timing.for_one_check(), options.live);
    stage.at = options.at;
    // Once in each exercise is enough.
    stage.tells_port =
        EXERCISES.iter().any(|exercise| exercise.checks.first().is_some_and(|first| first.name == check.name));
    let problem = (check.run)(&mut stage).and_then(|()| stage.settle()).err()?;
    let diagnosis = diagnose(&problem, &mut stage);
    let transcript = stage.record.lock().text();
    let last_words = stage.student.as_ref().map(|student| student.last_words(3)).unwrap_or_default();
    Some(Failure { problem, diagnosis, transcript, last_words })
}
