//! `grade`: every check of every exercise, with a point for each, for people and for the systems that teachers use.
//!
//! With `--student DIR` only the files that a student edits are taken from there. Checks, manifests and the runner are those of
//! this repository, so nothing in DIR changes how it is graded. The programs run as the user that grades: use a container.

mod formats;

use super::{Refused, drawn, exercise_named};
use crate::{
    catalog::{Check, EXERCISES, Exercise},
    cause::Cause,
    project::{self, Built, Words},
    runner::{self, Options, Outcome},
    scratch::{self, Program},
    timing::Timing,
};
use clap::{Args, ValueEnum};
use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// The arguments of `grade`.
#[derive(Debug, Args)]
pub(crate) struct Grade {
    /// Which exercises [default: all]
    exercises: Vec<String>,
    /// Only these checks
    #[arg(long, value_name = "CHECK")]
    only: Option<String>,
    /// For whom the result is
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where the student's files are: a copy of the course, or its folder exercises [default: here]
    #[arg(long, value_name = "DIR")]
    student: Option<PathBuf>,
    /// Where words and cuts come from [default: drawn]
    #[arg(long, value_parser = |text: &str| u64::from_str_radix(text, 16))]
    seed: Option<u64>,
}

/// The formats of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// JUnit's XML, which most CI systems read
    Junit,
    /// Annotations for GitHub Actions
    Github,
    /// results.json of Gradescope
    Gradescope,
}

/// One exercise, graded.
#[derive(Debug)]
struct Graded {
    exercise: &'static Exercise,
    /// Those that count.
    checks: Vec<&'static Check>,
    /// In words, if it could not be built.
    unbuilt: Option<String>,
    outcomes: Vec<Outcome>,
    seed: u64,
}

/// The end of one check, as all formats see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Passed,
    Failed,
    /// The grader or the machine failed: no point is lost, and none is given.
    NotScored,
}

fn mark(outcome: &Outcome) -> Mark {
    match &outcome.failure {
        None => Mark::Passed,
        Some(failure) if failure.diagnosis.cause == Cause::Grader => Mark::NotScored,
        Some(_) => Mark::Failed,
    }
}

impl Graded {
    /// The points that were reached: one a check.
    fn points(&self) -> usize {
        self.outcomes.iter().filter(|outcome| mark(outcome) == Mark::Passed).count()
    }

    /// The points that could be reached.
    fn of(&self) -> usize {
        self.checks.len()
    }

    /// In the order of the checks; `None`: the program does not build.
    fn outcome(&self, check: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.check.name == check)
    }
}

/// Runs it.
#[allow(clippy::print_stdout)]
pub(crate) fn grade(args: &Grade) -> Result<u8, Refused> {
    let exercises: Vec<&'static Exercise> = match &args.exercises[..] {
        [] => EXERCISES.iter().collect(),
        names => names.iter().map(|name| exercise_named(name)).collect::<Result<_, _>>()?,
    };
    let folder = args.student.as_ref().map_or_else(|| Ok(project::root().join("exercises")), |named| files(named))?;
    let name = format!("graded-{}", std::process::id());
    let programs: Vec<Program> = exercises.iter().map(|exercise| program(&name, &folder, exercise)).collect();
    let directory = scratch::package(&name, &programs)?;
    let mut all = Vec::new();
    for (exercise, program) in exercises.into_iter().zip(&programs) {
        let graded = one(exercise, &name, program, &directory, args);
        // The result comes at the end: until then this shows how far it is.
        let _ = writeln!(io::stderr(), "{}: {} of {} checks", exercise.id, graded.points(), graded.of());
        all.push(graded);
    }
    scratch::remove(&name, &programs);
    print!(
        "{}",
        match args.format {
            Format::Text => formats::text(&all),
            Format::Json => formats::json(&all),
            Format::Junit => formats::junit(&all),
            Format::Github => formats::github(&all),
            Format::Gradescope => formats::gradescope(&all),
        }
    );
    let marks = || all.iter().flat_map(|graded| graded.outcomes.iter().map(mark));
    if marks().any(|mark| mark == Mark::NotScored) {
        return Ok(3);
    }
    Ok(u8::from(all.iter().any(|graded| graded.points() < graded.of())))
}

/// The folder with the exercises' folders in what was named.
fn files(named: &Path) -> Result<PathBuf, Refused> {
    let holds = |folder: &Path| EXERCISES.iter().any(|exercise| folder.join(exercise.slug).is_dir());
    [named.join("exercises"), named.to_owned()]
        .into_iter()
        .find(|folder| holds(folder))
        .ok_or_else(|| Refused::usage(format!("{} has no folder of an exercise", named.display())))
}

/// A file that is not there is an empty program, which does not build.
fn program(package: &str, folder: &Path, exercise: &Exercise) -> Program {
    let text = fs::read_to_string(folder.join(exercise.slug).join("main.rs")).unwrap_or_default();
    Program { name: format!("{package}-{}", exercise.id), text }
}

fn one(exercise: &'static Exercise, package: &str, program: &Program, directory: &Path, args: &Grade) -> Graded {
    let (only, seed) = (args.only.as_deref(), args.seed.unwrap_or_else(drawn));
    let checks = exercise.checks.iter().filter(|check| only.is_none_or(|only| only == check.name)).collect();
    let mut graded = Graded { exercise, checks, unbuilt: None, outcomes: Vec::new(), seed };
    match project::try_build(directory, package, &program.name, Words::Kept) {
        Ok(Built::Program(path)) => {
            let options = Options { only, all: true, seed, timing: Timing::calibrated(), live: false, at: None };
            graded.outcomes = runner::run(exercise, &path, options, |_| {});
        }
        Ok(Built::Fails(words)) => graded.unbuilt = Some(words),
        Ok(Built::TakesTooLong) => {
            // Of a lock that another cargo holds, cargo says nothing that could be told from a compiler that computes.
            let seconds = project::build_time().as_secs();
            graded.unbuilt = Some(format!(
                "the compiler did not come to an end within {seconds} seconds. Perhaps another cargo kept it waiting"
            ));
        }
        Err(error) => graded.unbuilt = Some(format!("cargo: {error}")),
    }
    graded
}
