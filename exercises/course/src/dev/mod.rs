//! For authors: starters are made from solutions, and graders are tested with programs that are right and wrong.

mod mutants;
mod side_by_side;

use crate::{
    catalog::{EXERCISES, Exercise},
    commands::{Refused, check, exercise_named},
    newcomer::{self, New},
    project::{self, Ran, Words},
    regions, report,
    runner::{self, Options, Outcome},
    timing::Timing,
};
use clap::Subcommand;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The commands for authors.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the starters from the solutions, and the lists of binaries
    Sync {
        /// Change nothing; exit with 1 if something would change
        #[arg(long)]
        check: bool,
    },
    /// Run every solution (all checks pass, under three seeds) and every starter (exactly the listed ones pass, none by a timeout)
    Check {
        /// Only those of one exercise, such as e06
        exercise: Option<String>,
        /// Under how many seeds the solutions must pass
        #[arg(long, default_value_t = 3)]
        seeds: u64,
        /// They are built already, and starters are those of the solutions
        #[arg(long, hide = true)]
        built: bool,
    },
    /// Run one check of a program that is built already, and say only by the exit code whether it passes
    #[command(hide = true)]
    One {
        /// Such as e06
        exercise: String,
        /// Such as greets
        check: String,
        /// The program
        program: PathBuf,
        /// Where words and cuts come from
        #[arg(long, value_parser = check::seed)]
        seed: u64,
    },
    /// Run the checks of an exercise against a program that is built already, a wrong one perhaps, and show the report
    #[command(after_help = "Example: cargo course dev try e06 target/debug/e06-solution")]
    Try {
        /// Such as e06
        exercise: String,
        /// The program
        program: PathBuf,
        /// Go on after a failure
        #[arg(long)]
        all: bool,
        /// Where words and cuts come from
        #[arg(long, value_parser = check::seed, default_value = "1")]
        seed: u64,
    },
    /// Make the files of a new exercise
    New(New),
    /// Run the harness against the project's own proxies, which are known to be right
    Proxies {
        /// Their binaries [default: those of milestones 1 to 5 that are built]
        programs: Vec<PathBuf>,
        /// Only this check
        #[arg(long, value_name = "CHECK")]
        only: Option<String>,
        /// Show each conversation while it happens
        #[arg(long)]
        live: bool,
    },
    /// Run every mutant of mutants.txt: the named check must fail, for the named cause
    Mutants {
        /// Only those of one exercise, such as e06
        exercise: Option<String>,
        /// Write the reports there, one file a mutant
        #[arg(long, value_name = "DIR")]
        reports: Option<PathBuf>,
        /// Only that one, which is built already: its place in the list, from 0
        #[arg(long, hide = true)]
        one: Option<usize>,
    },
}

/// Runs it.
pub(crate) fn run(command: Command) -> Result<u8, Refused> {
    match command {
        Command::Sync { check } => sync(check),
        Command::Check { exercise: Some(id), seeds, built } => check(&id, seeds, built),
        Command::Check { exercise: None, seeds, .. } => check_all(seeds),
        Command::One { exercise, check, program, seed } => one(&exercise, &check, &program, seed),
        Command::Try { exercise, program, all, seed } => try_program(&exercise, &program, all, seed),
        Command::New(args) => newcomer::new(&args),
        Command::Mutants { exercise, reports, one } => mutants::run(exercise.as_deref(), reports.as_deref(), one),
        Command::Proxies { programs, only, live } => proxies(programs, only.as_deref(), live),
    }
}

fn binaries(name: impl Fn(&Exercise) -> String, path: impl Fn(&Exercise) -> String) -> String {
    let one = |exercise: &Exercise| {
        let (name, path) = (name(exercise), path(exercise));
        format!("[[bin]]\nname = \"{name}\"\npath = \"{path}\"\ntest = false\nbench = false\ndoc = false\n")
    };
    EXERCISES.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The manifest with the list between its markers replaced.
fn with_list(manifest: &str, list: &str) -> Option<String> {
    let (before, rest) = manifest.split_once("# begin\n")?;
    let (_, after) = rest.split_once("# end\n")?;
    Some(format!("{before}# begin\n{list}# end\n{after}"))
}

#[allow(clippy::print_stdout)]
fn sync(check: bool) -> Result<u8, Refused> {
    let root = project::root();
    let mut wanted: Vec<(PathBuf, String)> = Vec::new();
    for exercise in EXERCISES {
        let from = project::solution(exercise);
        let text = regions::starter(&fs::read_to_string(&from)?)
            .map_err(|error| Refused::usage(format!("{}: {error}", from.display())))?;
        wanted.push((root.join(project::edited(exercise)), text));
    }
    let lists = [
        ("exercises/Cargo.toml", binaries(|e| e.id.into(), |e| format!("{}/main.rs", e.slug))),
        ("exercises/solutions/Cargo.toml", binaries(|e| format!("{}-solution", e.id), |e| format!("{}.rs", e.slug))),
    ];
    for (path, list) in lists {
        let path = root.join(path);
        let manifest = fs::read_to_string(&path)?;
        let text = with_list(&manifest, &list)
            .ok_or_else(|| Refused::usage(format!("{} has no # begin and # end", path.display())))?;
        wanted.push((path, text));
    }
    let mut stale = false;
    for (path, text) in wanted {
        let changes = fs::read_to_string(&path).map_or(true, |before| before != text);
        stale |= changes;
        if changes && check {
            println!("{} is stale: run cargo course dev sync", path.display());
        } else {
            project::write_if_changed(&path, &text)?;
        }
    }
    Ok(u8::from(stale && check))
}

/// The harness's own exercise: programs that are right.
const PROXIES: Exercise = Exercise {
    id: "proxies",
    slug: "proxies",
    title: "The project's own proxies",
    chapter: "",
    minutes: 0,
    checks: crate::checks::proxies::CHECKS,
    starter_passes: &[],
    next: "",
};

#[allow(clippy::print_stdout)]
fn proxies(programs: Vec<PathBuf>, only: Option<&str>, live: bool) -> Result<u8, Refused> {
    let ours = || (1..=5).map(|number| project::program(&format!("milestone{number}")));
    let programs = if programs.is_empty() { ours().filter(|path| path.exists()).collect() } else { programs };
    if programs.is_empty() {
        return Err(Refused::usage("no proxy is built: make course-proxies builds them"));
    }
    let mut failed = false;
    for program in programs {
        println!("{}", program.display());
        let options = Options { only, live, ..options(SEEDS[0], Timing::calibrated()) };
        let outcomes = runner::run(&PROXIES, &program, options, |outcome| print!("{}", report::line(outcome)));
        failed |= outcomes.iter().any(|outcome| outcome.failure.is_some());
        if failed {
            print!("{}", report::text(&PROXIES, &outcomes, SEEDS[0]));
        }
    }
    Ok(u8::from(failed))
}

/// Seeds that every solution must pass under.
const SEEDS: [u64; 3] = [1, 0xbeef, 0x41c9];

/// All solutions and starters are many, and known to build.
const BUILD_ALL: Duration = Duration::from_secs(3600);

/// Builds everything at once, and checks several exercises side by side.
#[allow(clippy::print_stdout)]
fn check_all(seeds: u64) -> Result<u8, Refused> {
    let stale = sync(true)? != 0;
    let args = ["build", "--quiet", "--package", "solutions", "--package", "exercises", "--bins"];
    if !matches!(project::cargo(&project::root(), &args, Words::Shown, BUILD_ALL)?, Ran::Well) {
        return Err(Refused::usage("a solution or a starter does not build"));
    }
    let seeds = seeds.to_string();
    let runs: Vec<_> = EXERCISES.iter().map(|e| ["dev", "check", e.id, "--built", "--seeds", &seeds].into()).collect();
    let wrong = side_by_side::run(&runs, |ended| print!("{}", ended.text))?;
    Ok(u8::from(stale || wrong > 0))
}

#[allow(clippy::print_stdout)]
fn check(id: &str, seeds: u64, built: bool) -> Result<u8, Refused> {
    let exercise = exercise_named(id)?;
    let mut wrong = u64::from(!built && sync(true)? != 0);
    let program = |package: &str, name: &str, what: &str| {
        let program = if built { Some(project::program(name)) } else { project::build(package, name)? };
        program.ok_or_else(|| Refused::usage(format!("the {what} of {id} does not build")))
    };
    let solution = program("solutions", &format!("{}-solution", exercise.id), "solution")?;
    for seed in SEEDS.into_iter().chain(100..).take(usize::try_from(seeds).unwrap_or(usize::MAX)) {
        let outcomes = runner::run(exercise, &solution, options(seed, Timing::calibrated()), |_| {});
        if outcomes.iter().any(|outcome| outcome.failure.is_some()) {
            wrong += 1;
            println!("the solution fails:\n{}", report::text(exercise, &outcomes, seed));
        }
    }
    let starter = program("exercises", exercise.id, "starter")?;
    let (timing, mut since) = (Timing::calibrated(), Instant::now());
    runner::run(exercise, &starter, options(SEEDS[0], timing), |outcome| {
        let took = since.elapsed();
        since = Instant::now();
        if let Some(complaint) = starter_complaint(exercise, outcome, took < timing.patience(), took) {
            wrong += 1;
            println!("starter of {}: {} {complaint}", exercise.id, outcome.check.name);
        }
    });
    println!("{}: tried the solution under {seeds} seeds, and the starter", exercise.id);
    Ok(u8::from(wrong > 0))
}

fn one(id: &str, check: &str, program: &Path, seed: u64) -> Result<u8, Refused> {
    let options = Options { only: Some(check), ..options(seed, Timing::calibrated()) };
    Ok(check::exit_code(&runner::run(exercise_named(id)?, program, options, |_| {})))
}

#[allow(clippy::print_stdout)]
fn try_program(id: &str, program: &Path, all: bool, seed: u64) -> Result<u8, Refused> {
    let exercise = exercise_named(id)?;
    let options = Options { all, ..options(seed, Timing::calibrated()) };
    let outcomes = runner::run(exercise, program, options, |_| {});
    print!("{}", report::text(exercise, &outcomes, seed));
    Ok(check::exit_code(&outcomes))
}

fn options(seed: u64, timing: Timing) -> Options<'static> {
    Options { only: None, all: true, seed, timing, live: false, at: None }
}

fn starter_complaint(exercise: &Exercise, outcome: &Outcome, at_once: bool, took: Duration) -> Option<String> {
    let should_pass = exercise.starter_passes.contains(&outcome.check.name);
    match &outcome.failure {
        None if !should_pass => Some("passes, and is not listed in `starter_passes`".into()),
        Some(failure) if should_pass => Some(format!("fails: {}", failure.diagnosis.cause.name())),
        // A starter lacks something that is seen without waiting in vain for all of the time that an answer has.
        Some(_) if !at_once => Some(format!("fails after {took:?}: it waits for something that does not come")),
        _ => None,
    }
}
