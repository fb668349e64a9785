//! `check` and `poke`: build a program, run its checks, show what came out.

use super::{Refused, built, check_named, drawn, exercise_named, named_or_next};
use crate::{
    ahead,
    catalog::Exercise,
    cause::Cause,
    progress::{self, Verdict},
    report,
    runner::{self, Options, Outcome},
    terminal,
    timing::Timing,
};
use clap::Args;
use std::net::SocketAddr;

/// The arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Which: e06, 6 or e06-echo [default: the next one]
    exercise: Option<String>,
    /// Only this check
    #[arg(long, value_name = "CHECK")]
    only: Option<String>,
    /// Go on after a failure
    #[arg(long)]
    all: bool,
    /// Tell each check as it runs, with its promise and its time
    #[arg(long, short)]
    verbose: bool,
    /// Where words and cuts come from, as a report prints it [default: drawn]
    #[arg(long, value_parser = seed)]
    seed: Option<u64>,
    /// Run everything so many times; the seed changes each time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
}

/// The arguments of `poke`.
#[derive(Debug, Args)]
pub(crate) struct Poke {
    /// Which: e06.greets
    check: String,
    /// As a report prints it [default: drawn]
    #[arg(long, value_parser = seed)]
    seed: Option<u64>,
    /// A server of yours that runs already: under strace or gdb, or started with `cargo course serve`
    #[arg(long, value_name = "HOST:PORT")]
    at: Option<SocketAddr>,
}

pub(crate) fn seed(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| "a seed is a hexadecimal number, such as 41c9".into())
}

#[allow(clippy::print_stdout)]
pub(crate) fn check(args: &Check) -> Result<u8, Refused> {
    let exercise = named_or_next(args.exercise.as_deref())?;
    let only = args.only.as_deref();
    if let Some(only) = only {
        check_named(exercise, only)?;
    }
    let program = built(exercise)?;
    let mut code = 0;
    for _ in 0..args.repeat {
        let seed = args.seed.unwrap_or_else(drawn);
        let options = Options { only, all: args.all, seed, timing: Timing::calibrated(), live: false, at: None };
        let outcomes = ahead::run(exercise, &program, options, |outcome| {
            if args.verbose {
                show(&report::line(outcome));
            }
        });
        show(&report::text(exercise, &outcomes, seed));
        code = code.max(exit_code(&outcomes));
        if only.is_none() && code != 3 {
            note(exercise, &outcomes)?;
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

#[allow(clippy::print_stdout)]
fn show(report: &str) {
    print!("{}", if terminal::colour() { report::painted(report) } else { report.to_owned() });
}

/// The exit code of a run.
pub(crate) fn exit_code(outcomes: &[Outcome]) -> u8 {
    let code = |outcome: &Outcome| match &outcome.failure {
        None => 0,
        Some(failure) if failure.diagnosis.cause == Cause::Grader => 3,
        Some(_) => 1,
    };
    outcomes.iter().map(code).max().unwrap_or(0)
}

fn note(exercise: &Exercise, outcomes: &[Outcome]) -> Result<(), Refused> {
    let passed = outcomes.iter().filter(|outcome| outcome.failure.is_none()).count();
    let verdict = match outcomes.iter().find(|outcome| outcome.failure.is_some()) {
        None => Verdict::Passed,
        Some(failed) => Verdict::Failing { passed, of: exercise.checks.len(), first: failed.check.name.to_owned() },
    };
    progress::update(exercise, |entry| {
        entry.verdict = Some(verdict);
        entry.grader = progress::grader(exercise);
    })?;
    Ok(())
}

#[allow(clippy::print_stdout)]
pub(crate) fn poke(args: &Poke) -> Result<u8, Refused> {
    let name = &args.check;
    let Some((exercise, check)) = name.split_once('.') else {
        return Err(Refused::usage(format!("{name:?} is not EXERCISE.CHECK, such as e06.greets")));
    };
    let exercise = exercise_named(exercise)?;
    check_named(exercise, check)?;
    let program = built(exercise)?;
    let seed = args.seed.unwrap_or_else(drawn);
    let options =
        Options { only: Some(check), all: false, seed, timing: Timing::calibrated(), live: true, at: args.at };
    let outcomes = runner::run(exercise, &program, options, |_| {});
    println!();
    show(&report::text(exercise, &outcomes, seed));
    Ok(exit_code(&outcomes))
}
