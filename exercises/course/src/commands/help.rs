//! `explain`, `hint` and `solution`: help, from a little to all of it.

use super::{Refused, count, exercise_named, named_or_next};
use crate::{
    catalog::Exercise,
    cause::Cause,
    progress::{self, State, Verdict},
    project, regions, report,
};
use std::fs;

#[allow(clippy::print_stdout)]
pub(crate) fn explain(name: Option<&str>) -> Result<u8, Refused> {
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

/// The hints of an exercise, from the least telling to the most.
fn hints(exercise: &Exercise) -> Result<Vec<String>, Refused> {
    let path = project::root().join("exercises").join(exercise.slug).join("HINTS.md");
    let text = fs::read_to_string(&path).map_err(|error| Refused(format!("{}: {error}", path.display()), 3))?;
    Ok(levels(&text))
}

/// The sections below `## 1`, `## 2` and so on, with lines as long as those of a report.
fn levels(text: &str) -> Vec<String> {
    let sections = text.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
    let paragraph = |text: &str| report::paragraph("", &text.replace('\n', " "));
    let folded = |text: &str| text.trim().split("\n\n").map(paragraph).collect::<Vec<_>>().join("\n");
    sections.map(|(_, text)| folded(text).trim_end().to_owned()).collect()
}

#[allow(clippy::print_stdout)]
pub(crate) fn hint(name: Option<&str>) -> Result<u8, Refused> {
    let exercise = named_or_next(name)?;
    let hints = hints(exercise)?;
    let seen = progress::of(exercise).hints;
    let Exercise { id, title, .. } = exercise;
    if seen >= hints.len() {
        println!("{id} {title}: that were all {}; here they are again.", count(hints.len(), "hint"));
        for (at, hint) in hints.iter().enumerate() {
            println!("\nHint {} of {}\n\n{hint}", at + 1, hints.len());
        }
        println!("\nStill stuck? cargo course solution {id} --anyway");
        return Ok(0);
    }
    println!("{id} {title}: hint {} of {}\n\n{}", seen + 1, hints.len(), hints[seen]);
    progress::update(exercise, |entry| entry.hints = entry.hints.max(seen + 1))?;
    Ok(0)
}

#[allow(clippy::print_stdout)]
pub(crate) fn solution(name: &str, anyway: bool) -> Result<u8, Refused> {
    let exercise = exercise_named(name)?;
    let id = exercise.id;
    let entry = progress::of(exercise);
    let passed = matches!(entry.state(exercise), State::Judged(Verdict::Passed) | State::Stale);
    let left = hints(exercise)?.len().saturating_sub(entry.hints);
    if !passed && left > 0 {
        let left = count(left, "hint");
        return Err(Refused::usage(format!(
            "{id} is not passed yet, and {left} were not shown: cargo course hint {id}"
        )));
    }
    if !passed && !anyway {
        return Err(Refused::usage(format!(
            "{id} is not passed yet: cargo course solution {id} --anyway shows it, and that is noted"
        )));
    }
    let path = project::solution(exercise);
    let Ok(text) = fs::read_to_string(&path) else {
        return Err(Refused::usage("this copy of the course has no solutions"));
    };
    let answer = regions::answer(&text).map_err(Refused::usage)?;
    if !passed {
        progress::update(exercise, |entry| entry.solution = true)?;
    }
    print!("{answer}");
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_the_sections_of_their_page() {
        assert_eq!(levels("# Hints\n\n## 1\n\none\n\nmore\n\n## 2\n\n### no level\n"), ["one\n\nmore", "### no level"]);
        assert!(levels("# Hints\n").is_empty());
        let long = levels(&format!("# Hints\n\n## 1\n\n{}\n", "word ".repeat(50)));
        assert!(long[0].lines().all(|line| line.len() <= 100) && long[0].lines().count() == 3, "{long:?}");
    }
}
