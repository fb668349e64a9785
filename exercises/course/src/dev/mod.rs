//! For authors: starters are made from solutions, and graders are tested with programs that are right and wrong.

use crate::{
    catalog::{EXERCISES, Exercise},
    commands::Refused,
    newcomer::{self, New},
    project::{self, Ran, Words},
    regions, report,
    runner::{self, Options, Outcome},
    scratch::{self, Program},
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
    },
    /// Make the files of a new exercise
    New(New),
    /// Run the harness against the project's own proxies, which are known to be right
    Proxies {
        /// Their binaries [default: those of milestones 1 to 4 that are built]
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
    },
}

/// Runs it.
pub(crate) fn run(command: Command) -> Result<u8, Refused> {
    match command {
        Command::Sync { check } => sync(check),
        Command::Check { exercise, seeds } => check(exercise.as_deref(), seeds),
        Command::New(args) => newcomer::new(&args),
        Command::Mutants { exercise, reports } => mutants(exercise.as_deref(), reports.as_deref()),
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
    let ours = || (1..=4).map(|number| project::program(&format!("milestone{number}")));
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
#[allow(clippy::print_stdout)]
fn check(only: Option<&str>, seeds: u64) -> Result<u8, Refused> {
    let timing = Timing::calibrated();
    let mut wrong = 0;
    if sync(true)? != 0 {
        wrong += 1;
    }
    for exercise in EXERCISES.iter().filter(|exercise| only.is_none_or(|only| exercise.id == only)) {
        let built = project::build("solutions", &format!("{}-solution", exercise.id))?;
        let program = built.ok_or_else(|| Refused::usage(format!("the solution of {} does not build", exercise.id)))?;
        for seed in SEEDS.into_iter().chain(100..).take(usize::try_from(seeds).unwrap_or(usize::MAX)) {
            let timing = Timing::calibrated();
            let outcomes = runner::run(exercise, &program, options(seed, timing), |_| {});
            if outcomes.iter().any(|outcome| outcome.failure.is_some()) {
                wrong += 1;
                println!("the solution fails:\n{}", report::text(exercise, &outcomes, seed));
            }
        }
        let built = project::build("exercises", exercise.id)?;
        let program = built.ok_or_else(|| Refused::usage(format!("the starter of {} does not build", exercise.id)))?;
        let mut since = Instant::now();
        runner::run(exercise, &program, options(SEEDS[0], timing), |outcome| {
            let took = since.elapsed();
            since = Instant::now();
            if let Some(complaint) = starter_complaint(exercise, outcome, took < timing.patience(), took) {
                wrong += 1;
                println!("starter of {}: {} {complaint}", exercise.id, outcome.check.name);
            }
        });
        println!("{}: tried the solution under {seeds} seeds, and the starter", exercise.id);
    }
    Ok(u8::from(wrong > 0))
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

/// A solution with a mistake in it.
#[derive(Debug, PartialEq, Eq)]
struct Mutant {
    exercise: String,
    check: String,
    cause: String,
    find: String,
    replace: String,
}

impl Mutant {
    /// The name of its report.
    fn label(&self) -> String {
        format!("{}.{}.{}", self.exercise, self.check, self.cause)
    }
}

/// Reads `mutants.txt`: a line `exercise check cause`, then lines `- ` to find and lines `+ ` to put in their place.
fn read_mutants(text: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let complaint = |what: &str| format!("mutants.txt, line {}: {what}", at + 1);
        match line.get(..2).unwrap_or(line) {
            "" | "#" | "# " => {}
            "- " | "-" | "+ " | "+" => {
                let mutant = mutants.last_mut().ok_or_else(|| complaint("a change of nothing"))?;
                let text = if line.starts_with('-') { &mut mutant.find } else { &mut mutant.replace };
                *text += line.get(2..).unwrap_or("");
                *text += "\n";
            }
            _ => {
                let [exercise, check, cause] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                    return Err(complaint("not `exercise check cause`"));
                };
                let [exercise, check, cause] = [exercise, check, cause].map(str::to_owned);
                mutants.push(Mutant { exercise, check, cause, find: String::new(), replace: String::new() });
            }
        }
    }
    Ok(mutants)
}

#[allow(clippy::print_stdout)]
fn mutants(only: Option<&str>, reports: Option<&Path>) -> Result<u8, Refused> {
    let text = fs::read_to_string(project::root().join("exercises/mutants.txt"))?;
    let mut mutants = read_mutants(&text).map_err(Refused::usage)?;
    mutants.retain(|mutant| only.is_none_or(|only| mutant.exercise == only));
    let programs = build_mutants(&mutants)?;
    let mut survivors = 0;
    for (at, (mutant, program)) in mutants.iter().zip(programs).enumerate() {
        let Some(exercise) = crate::catalog::find(&mutant.exercise) else {
            return Err(Refused::usage(format!("mutants.txt: there is no exercise {}", mutant.exercise)));
        };
        let only = Options { only: Some(&mutant.check), ..options(SEEDS[0], Timing::calibrated()) };
        let outcomes = runner::run(exercise, &program, only, |_| {});
        let found = outcomes.iter().find_map(|outcome| outcome.failure.as_ref());
        let found = found.map_or("no failure", |failure| failure.diagnosis.cause.name());
        let report = report::text(exercise, &outcomes, SEEDS[0]);
        if found != mutant.cause {
            survivors += 1;
            println!("{} {}: wanted {}, found {found}\n{report}", mutant.exercise, mutant.check, mutant.cause);
        }
        if let Some(directory) = reports {
            let twins = mutants[..at].iter().filter(|other| other.label() == mutant.label()).count();
            let name = if twins == 0 { mutant.label() } else { format!("{}-{}", mutant.label(), twins + 1) } + ".txt";
            fs::write(directory.join(name), report)?;
        }
    }
    println!("{} of {} mutants are caught by the check that names them", mutants.len() - survivors, mutants.len());
    Ok(u8::from(survivors > 0))
}

/// There are many, and they are known to build.
const MUTANTS_BUILD: Duration = Duration::from_secs(3600);

/// Builds all mutants at once, as binaries of a package that lives in the target directory.
fn build_mutants(mutants: &[Mutant]) -> Result<Vec<PathBuf>, Refused> {
    let programs: Vec<Program> =
        mutants.iter().enumerate().map(|(at, mutant)| mutated(at + 1, mutant)).collect::<Result<_, _>>()?;
    let directory = scratch::package("mutants", &programs)?;
    let args = ["build", "--quiet", "--offline", "--bins"];
    if !matches!(project::cargo(&directory, &args, Words::Shown, MUTANTS_BUILD)?, Ran::Well) {
        return Err(Refused::usage("a mutant does not build: it would prove nothing"));
    }
    Ok(programs.iter().map(|program| project::program(&program.name)).collect())
}

fn mutated(number: usize, mutant: &Mutant) -> Result<Program, Refused> {
    let Mutant { exercise: id, check, find, replace, .. } = mutant;
    let exercise =
        crate::catalog::find(id).ok_or_else(|| Refused::usage(format!("mutants.txt: there is no exercise {id}")))?;
    let original = fs::read_to_string(project::solution(exercise))?;
    if original.matches(find).count() != 1 {
        let complaint = format!("mutant of {check}: this is not in the solution exactly once:\n{find}");
        return Err(Refused::usage(complaint));
    }
    let text = format!("#![allow(warnings)]\n{}", original.replacen(find, replace, 1));
    Ok(Program { name: format!("mutant-{id}-{number}"), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutants_are_read_with_their_lines() {
        let text = "# a comment\n\ne06 greets silence\n-     a\n- b\n+ c\n";
        let mutant = &read_mutants(text).unwrap()[0];
        assert_eq!((&mutant.exercise[..], &mutant.check[..], &mutant.cause[..]), ("e06", "greets", "silence"));
        assert_eq!((&mutant.find[..], &mutant.replace[..]), ("    a\nb\n", "c\n"));
        assert!(read_mutants("+ c\n").is_err());
        assert!(read_mutants("e06 greets\n").is_err());
    }
}
