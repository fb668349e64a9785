//! `cargo course`: what to do next, and whether it is done.
//!
//! A student edits one file and runs one command. The command builds that file, talks with it over real sockets, and shows the
//! conversation with the cause of the first failure.
//!
//! ```text
//! catalog ── which exercises, which checks          checks/   what each check does
//! runner ─── runs them: stage (program, clients, seed) ── client, student ── wire (the record)
//! cause ──── from what was seen (problem) to why: probe (what the process does), bytes (what the bytes give away)
//! report ─── what the student reads                 dev       what authors need: starters, mutants
//! ```

mod bytes;
mod catalog;
mod cause;
mod checks;
mod client;
mod dev;
mod life;
mod probe;
mod problem;
mod process;
mod progress;
mod project;
mod report;
mod runner;
mod stage;
mod student;
mod timing;
mod wire;

use catalog::{EXERCISES, Exercise};
use cause::Cause;
use clap::{Parser, Subcommand};
use progress::Verdict;
use runner::{Options, Outcome};
use std::{
    hash::{BuildHasher as _, RandomState},
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};
use timing::Timing;

/// The course: exercises on network servers, checked over real sockets.
#[derive(Debug, Parser)]
#[command(name = "cargo course", bin_name = "cargo course", after_help = AFTER_HELP)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "Exit code: 0 passed, 1 a check failed, 2 does not build or wrong usage, 3 the grader or the machine failed.\n\n\
     Example: cargo course check e06";

#[derive(Debug, Subcommand)]
enum Command {
    /// Build an exercise and run its checks, up to the first that fails
    Check {
        /// Which: e06, 6 or e06-echo [default: the next one]
        exercise: Option<String>,
        /// Only this check
        #[arg(long, value_name = "CHECK")]
        only: Option<String>,
        /// Go on after a failure
        #[arg(long)]
        all: bool,
        /// Where words and cuts come from, as a report prints it [default: drawn]
        #[arg(long, value_parser = seed)]
        seed: Option<u64>,
        /// Run everything so many times; the seed changes each time
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        repeat: u32,
    },
    /// Run one check and show the conversation, and what your program says, while it happens
    Poke {
        /// Which: e06.greets
        check: String,
        /// As a report prints it [default: drawn]
        #[arg(long, value_parser = seed)]
        seed: Option<u64>,
    },
    /// Explain a cause: what happened in the kernel, how to see it, what to do
    Explain {
        /// As a report names it; without it, all names
        cause: Option<String>,
    },
    /// List the exercises
    List,
    /// For authors: keep starters and graders right
    #[command(subcommand)]
    Dev(dev::Command),
}

fn seed(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| "a seed is a hexadecimal number, such as 41c9".into())
}

/// A complaint, and the exit code that says so.
struct Refused(String, u8);

impl Refused {
    fn usage(text: impl Into<String>) -> Self {
        Self(text.into(), 2)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self(error.to_string(), 3)
    }
}

#[allow(clippy::print_stdout)]
fn main() -> ExitCode {
    let done = match Args::parse().command {
        None => now(),
        Some(Command::Check { exercise, only, all, seed, repeat }) => {
            check(exercise.as_deref(), only.as_deref(), all, seed, repeat)
        }
        Some(Command::Poke { check, seed }) => poke(&check, seed),
        Some(Command::Explain { cause }) => explain(cause.as_deref()),
        Some(Command::List) => list(),
        Some(Command::Dev(command)) => dev::run(command),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(Refused(text, code)) => {
            let _ = writeln!(io::stderr(), "error: {text}");
            ExitCode::from(code)
        }
    }
}

fn exercise_named(name: &str) -> Result<&'static Exercise, Refused> {
    let names: Vec<&str> = EXERCISES.iter().map(|exercise| exercise.id).collect();
    catalog::find(name)
        .ok_or_else(|| Refused::usage(format!("there is no exercise {name:?}: there are {}", names.join(", "))))
}

/// The first exercise that was not passed.
fn next() -> Option<&'static Exercise> {
    let verdicts = progress::load();
    EXERCISES.iter().find(|exercise| verdicts.get(exercise.slug) != Some(&Verdict::Passed))
}

#[allow(clippy::print_stdout)]
fn now() -> Result<u8, Refused> {
    let Some(exercise) = next() else {
        println!("All exercises are passed. `cargo course list` shows them.");
        return Ok(0);
    };
    let file = project::edited(exercise);
    let (id, title, minutes, slug) = (exercise.id, exercise.title, exercise.minutes, exercise.slug);
    match progress::load().get(slug) {
        None => {
            println!("An exercise is one file to edit and one command to run: the command builds the file, talks with");
            println!("the program over real sockets, and shows the conversation with the cause of the first failure.");
            println!("Start with {id} {title}: {}, {minutes} minutes.", file.display());
        }
        Some(Verdict::Failing(how)) => println!("Go on with {id} {title}: {}; the last run: {how}.", file.display()),
        Some(Verdict::Passed) => {}
    }
    let chapter = format!("docs/course/{}.md", exercise.chapter);
    let also = if project::root().join(&chapter).exists() { format!("{chapter} and ") } else { String::new() };
    println!("Read {also}exercises/{slug}/README.md, edit, then: cargo course check {id}");
    Ok(0)
}

#[allow(clippy::print_stdout)]
fn list() -> Result<u8, Refused> {
    let verdicts = progress::load();
    for exercise in EXERCISES {
        let verdict = match verdicts.get(exercise.slug) {
            None => "new".into(),
            Some(Verdict::Passed) => "passed".to_owned(),
            Some(Verdict::Failing(how)) => how.clone(),
        };
        let Exercise { id, title, minutes, .. } = exercise;
        println!("{id}  {title:<30} {minutes:>3} minutes   {verdict}");
    }
    Ok(0)
}

#[allow(clippy::print_stdout)]
fn check(name: Option<&str>, only: Option<&str>, all: bool, seed: Option<u64>, repeat: u32) -> Result<u8, Refused> {
    let exercise = match name {
        Some(name) => exercise_named(name)?,
        None => next().unwrap_or(&EXERCISES[0]),
    };
    if let Some(only) = only {
        check_named(exercise, only)?;
    }
    let program = built(exercise)?;
    let mut code = 0;
    for _ in 0..repeat {
        let seed = seed.unwrap_or_else(drawn);
        let options = Options { only, all, seed, timing: Timing::calibrated(), live: false };
        let outcomes = runner::run(exercise, &program, options, |_| {});
        print!("{}", report::text(exercise, &outcomes, seed));
        code = code.max(verdict(&outcomes));
        if only.is_none() && code != 3 {
            progress::save(exercise, judged(exercise, &outcomes))?;
        }
        if code != 0 {
            break;
        }
    }
    if code == 0 && only.is_none() {
        println!(" passed. Now read {}", exercise.next);
    }
    Ok(code)
}

/// The student's program, built from what is in the file now.
fn built(exercise: &Exercise) -> Result<PathBuf, Refused> {
    let does_not = || Refused::usage(format!("{} does not build yet", project::edited(exercise).display()));
    project::build("exercises", exercise.id)?.ok_or_else(does_not)
}

fn check_named(exercise: &Exercise, name: &str) -> Result<(), Refused> {
    if exercise.checks.iter().any(|check| check.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = exercise.checks.iter().map(|check| check.name).collect();
    Err(Refused::usage(format!("{} has no check {name:?}: it has {}", exercise.id, names.join(", "))))
}

/// The exit code of a run.
fn verdict(outcomes: &[Outcome]) -> u8 {
    let code = |outcome: &Outcome| match &outcome.failure {
        None => 0,
        Some(failure) if failure.diagnosis.cause == Cause::Grader => 3,
        Some(_) => 1,
    };
    outcomes.iter().map(code).max().unwrap_or(0)
}

fn judged(exercise: &Exercise, outcomes: &[Outcome]) -> Verdict {
    let passed = outcomes.iter().filter(|outcome| outcome.failure.is_none()).count();
    match outcomes.iter().find(|outcome| outcome.failure.is_some()) {
        None => Verdict::Passed,
        Some(first) => Verdict::Failing(format!("{passed} of {}, {} failed", exercise.checks.len(), first.check.name)),
    }
}

#[allow(clippy::print_stdout)]
fn poke(name: &str, seed: Option<u64>) -> Result<u8, Refused> {
    let Some((exercise, check)) = name.split_once('.') else {
        return Err(Refused::usage(format!("{name:?} is not EXERCISE.CHECK, such as e06.greets")));
    };
    let exercise = exercise_named(exercise)?;
    check_named(exercise, check)?;
    let program = built(exercise)?;
    let seed = seed.unwrap_or_else(drawn);
    let options = Options { only: Some(check), all: false, seed, timing: Timing::calibrated(), live: true };
    let outcomes = runner::run(exercise, &program, options, |_| {});
    println!();
    print!("{}", report::text(exercise, &outcomes, seed));
    Ok(verdict(&outcomes))
}

#[allow(clippy::print_stdout)]
fn explain(name: Option<&str>) -> Result<u8, Refused> {
    match name {
        None => {
            Cause::ALL.iter().for_each(|cause| println!("{:<24} {}", cause.name(), first_sentence(cause.sentence())))
        }
        Some(name) => match Cause::ALL.iter().find(|cause| cause.name() == name) {
            Some(cause) => print!("{}", cause.page()),
            None => {
                return Err(Refused::usage(format!("there is no cause {name:?}: `cargo course explain` lists them")));
            }
        },
    }
    Ok(0)
}

fn first_sentence(text: &str) -> &str {
    text.split_inclusive(['.', ';', ':']).next().unwrap_or(text).trim_end_matches([';', ':'])
}

/// A seed that is short enough to type.
fn drawn() -> u64 {
    // The standard library draws the keys of its maps from the system.
    RandomState::new().hash_one(std::process::id()) & 0xffff
}
