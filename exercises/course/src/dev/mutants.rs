//! Mistakes that people make, put into the solutions one at a time: each must be caught by the check that names it.

use super::{SEEDS, options, side_by_side};
use crate::{
    commands::{Refused, exercise_named},
    project::{self, Ran, Words},
    report,
    runner::{self, Options},
    scratch::{self, Program},
    timing::Timing,
};
use std::{fs, path::Path, time::Duration};

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
    /// The name of its binary, by its place in the list.
    fn program(&self, at: usize) -> String {
        format!("mutant-{}-{}", self.exercise, at + 1)
    }

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

/// Runs all of them, or those of one exercise, several side by side. `one`: only that, in this process; it is built already.
#[allow(clippy::print_stdout)]
pub(super) fn run(only: Option<&str>, reports: Option<&Path>, one: Option<usize>) -> Result<u8, Refused> {
    let text = fs::read_to_string(project::root().join("exercises/mutants.txt"))?;
    let mut mutants = read_mutants(&text).map_err(Refused::usage)?;
    mutants.retain(|mutant| only.is_none_or(|only| mutant.exercise == only));
    if let Some(at) = one {
        return judge(&mutants, at, reports);
    }
    build(&mutants)?;
    let args = |at: usize| {
        let mut args = vec!["dev".to_owned(), "mutants".to_owned()];
        args.extend(only.map(str::to_owned));
        args.extend(["--one".to_owned(), at.to_string()]);
        args.extend(reports.into_iter().flat_map(|path| ["--reports".to_owned(), path.display().to_string()]));
        args
    };
    let runs: Vec<Vec<String>> = (0..mutants.len()).map(args).collect();
    let survivors = side_by_side::run(&runs, |ended| print!("{}", ended.text))?;
    println!("{} of {} mutants are caught by the check that names them", mutants.len() - survivors, mutants.len());
    Ok(u8::from(survivors > 0))
}

/// Runs one, and says so if it survives.
#[allow(clippy::print_stdout)]
fn judge(mutants: &[Mutant], at: usize, reports: Option<&Path>) -> Result<u8, Refused> {
    let mutant = mutants.get(at).ok_or_else(|| Refused::usage("there are not so many mutants"))?;
    let exercise = exercise_named(&mutant.exercise)?;
    let only = Options { only: Some(&mutant.check), ..options(SEEDS[0], Timing::calibrated()) };
    let outcomes = runner::run(exercise, &project::program(&mutant.program(at)), only, |_| {});
    let found = outcomes.iter().find_map(|outcome| outcome.failure.as_ref());
    let found = found.map_or("no failure", |failure| failure.diagnosis.cause.name());
    let report = report::text(exercise, &outcomes, SEEDS[0]);
    if found == mutant.cause {
        println!("{} {}: {found}", mutant.exercise, mutant.check);
    } else {
        println!("{} {}: wanted {}, found {found}\n{report}", mutant.exercise, mutant.check, mutant.cause);
    }
    if let Some(directory) = reports {
        let twins = mutants[..at].iter().filter(|other| other.label() == mutant.label()).count();
        let name = if twins == 0 { mutant.label() } else { format!("{}-{}", mutant.label(), twins + 1) } + ".txt";
        fs::write(directory.join(name), report)?;
    }
    Ok(u8::from(found != mutant.cause))
}

/// There are many, and they are known to build.
const MUTANTS_BUILD: Duration = Duration::from_secs(3600);

/// Builds all mutants at once, as binaries of a package that lives in the target directory.
fn build(mutants: &[Mutant]) -> Result<(), Refused> {
    let programs: Vec<Program> =
        mutants.iter().enumerate().map(|(at, mutant)| mutated(at, mutant)).collect::<Result<_, _>>()?;
    let directory = scratch::package("mutants", &programs)?;
    let args = ["build", "--quiet", "--offline", "--bins"];
    if !matches!(project::cargo(&directory, &args, Words::Shown, MUTANTS_BUILD)?, Ran::Well) {
        return Err(Refused::usage("a mutant does not build: it would prove nothing"));
    }
    Ok(())
}

fn mutated(at: usize, mutant: &Mutant) -> Result<Program, Refused> {
    let Mutant { check, find, replace, .. } = mutant;
    let original = fs::read_to_string(project::solution(exercise_named(&mutant.exercise)?))?;
    if original.matches(find).count() != 1 {
        let complaint = format!("mutant of {check}: this is not in the solution exactly once:\n{find}");
        return Err(Refused::usage(complaint));
    }
    let text = format!("#![allow(warnings)]\n{}", original.replacen(find, replace, 1));
    Ok(Program { name: mutant.program(at), text })
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
