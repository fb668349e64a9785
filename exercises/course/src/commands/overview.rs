//! `cargo course` alone, `list` and `status`: where a student stands, and what comes next.

use super::{Refused, count, next, quiz::table};
use crate::{
    catalog::{EXERCISES, Exercise},
    json,
    progress::{self, Entry, State, Verdict},
    project, quiz,
};
use clap::Args;
use std::collections::BTreeMap;

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[allow(clippy::print_stdout)]
pub(crate) fn now() -> Result<u8, Refused> {
    let known = progress::load();
    let Some(exercise) = next() else {
        println!("All exercises are passed. `cargo course list` shows them.");
        return Ok(0);
    };
    let Exercise { id, title, minutes, slug, .. } = exercise;
    let file = project::edited(exercise);
    if known.values().all(|entry| entry.verdict.is_none()) {
        println!("An exercise is one file to edit and one command to run: the command builds the file, talks with");
        println!("the program over real sockets, and shows the conversation with the cause of the first failure.");
    }
    match known.get(*slug).cloned().unwrap_or_default().state(exercise) {
        State::New => println!("Start with {id} {title}: {}, {minutes} minutes.", file.display()),
        state => println!("Go on with {id} {title}: {}; the last run: {state}.", file.display()),
    }
    let chapter = format!("docs/course/{}.md", exercise.chapter);
    let also = if project::root().join(&chapter).exists() { format!("{chapter} and ") } else { String::new() };
    println!("Read {also}exercises/{slug}/README.md, edit, then: cargo course check {id}");
    let left = |question: &&quiz::Question| known.get(question.id).is_none_or(|entry| entry.saw.is_none());
    let same = quiz::questions().filter(|question| question.chapter == exercise.chapter).filter(left);
    let ids: Vec<&str> = same.map(|question| question.id).collect();
    if !ids.is_empty() {
        println!("What does the kernel do there? Predict it, and see: cargo course quiz {}", ids.join(" "));
    }
    Ok(0)
}

/// The exercises by chapter, in order.
fn chapters() -> Vec<(&'static str, Vec<&'static Exercise>)> {
    let mut chapters: Vec<(&str, Vec<&Exercise>)> = Vec::new();
    for exercise in EXERCISES {
        match chapters.iter_mut().find(|(name, _)| *name == exercise.chapter) {
            Some((_, exercises)) => exercises.push(exercise),
            None => chapters.push((exercise.chapter, vec![exercise])),
        }
    }
    chapters
}

/// A chapter's name for people: `03-robust-io` is "Chapter 3: robust io".
fn heading(chapter: &str) -> String {
    let (number, name) = chapter.split_once('-').unwrap_or(("", chapter));
    format!("Chapter {}: {}", number.trim_start_matches('0'), name.replace('-', " "))
}

#[allow(clippy::print_stdout)]
pub(crate) fn list() -> Result<u8, Refused> {
    let known = progress::load();
    for (chapter, exercises) in chapters() {
        let minutes: u32 = exercises.iter().map(|exercise| exercise.minutes).sum();
        println!("{}, {minutes} minutes", heading(chapter));
        for exercise in exercises {
            println!("{}", row(exercise, &known));
        }
    }
    let (questions, minutes) = (quiz::questions().count(), quiz::MINUTES);
    println!("Quiz, {} minutes: {questions} questions to predict (cargo course quiz --list)", questions * minutes);
    Ok(0)
}

fn row(exercise: &Exercise, known: &BTreeMap<String, Entry>) -> String {
    let entry = known.get(exercise.slug).cloned().unwrap_or_default();
    let Exercise { id, title, minutes, .. } = exercise;
    let mut text = format!("  {id:<4} {title:<42} {minutes:>3} min   {}", entry.state(exercise));
    if entry.hints > 0 {
        text += &format!(", {}", count(entry.hints, "hint"));
    }
    if entry.solution {
        text += ", solution seen";
    }
    text
}

/// Something that a student can do who has passed the exercises of some chapters: the assessment in docs/choosing.md.
struct Level {
    can: &'static str,
    /// Their numbers, as their names begin.
    chapters: &'static [&'static str],
}

const LEVELS: &[Level] = &[
    Level { can: "write a server that survives short reads and writes, and restarts", chapters: &["01", "02", "03"] },
    Level { can: "write one for many clients, with a bound for all that they take", chapters: &["04", "05", "06"] },
    Level { can: "serve a protocol and HTTP, stop without harm, log what happened", chapters: &["07", "08", "14"] },
    Level { can: "find the fault in a server that somebody else wrote", chapters: &["17", "18"] },
];

impl Level {
    fn has(&self, exercise: &Exercise) -> bool {
        self.chapters.iter().any(|number| exercise.chapter.starts_with(number))
    }

    /// Its line in `status`, with a mark if all its exercises are passed.
    fn line(&self, known: &BTreeMap<String, Entry>) -> String {
        let mut exercises = EXERCISES.iter().filter(|exercise| self.has(exercise));
        let mark = if exercises.all(|exercise| passed(exercise, known)) { "[x]" } else { "[ ]" };
        let numbers: Vec<&str> = self.chapters.iter().map(|number| number.trim_start_matches('0')).collect();
        format!("{mark} I can: {} (chapters {})", self.can, numbers.join(", "))
    }
}

/// Whether the last verdict is a pass, and still holds.
fn passed(exercise: &Exercise, known: &BTreeMap<String, Entry>) -> bool {
    let state = known.get(exercise.slug).map(|entry| entry.state(exercise));
    matches!(state, Some(State::Judged(Verdict::Passed)))
}

#[allow(clippy::print_stdout)]
pub(crate) fn status(args: &Status) -> Result<u8, Refused> {
    let known = progress::load();
    if args.json {
        let all: Vec<String> = EXERCISES.iter().map(|exercise| as_json(exercise, &known)).collect();
        println!("{}", json::object(&[("exercises", json::array(&all)), ("quiz", table::summary_json(&known))]));
        return Ok(0);
    }
    let sum = |exercises: &[&Exercise]| exercises.iter().map(|exercise| exercise.minutes).sum::<u32>();
    for (chapter, exercises) in chapters() {
        let done: Vec<&Exercise> = exercises.iter().filter(|exercise| passed(exercise, &known)).copied().collect();
        let mark = if done.len() == exercises.len() { "[x]" } else { "[ ]" };
        let (these, minutes) = (format!("{} of {}", done.len(), exercises.len()), sum(&exercises));
        println!("{mark} {:<40} {these:>8} passed   {:>4} of {minutes} minutes", heading(chapter), sum(&done));
        exercises.iter().filter(|exercise| known.contains_key(exercise.slug)).for_each(|exercise| {
            println!("  {}", row(exercise, &known));
        });
    }
    println!("{}", table::summary(&known));
    LEVELS.iter().for_each(|level| println!("{}", level.line(&known)));
    if let Some(exercise) = next() {
        println!("next: {} {} (cargo course check {})", exercise.id, exercise.title, exercise.id);
    }
    Ok(0)
}

fn as_json(exercise: &Exercise, known: &BTreeMap<String, Entry>) -> String {
    let entry = known.get(exercise.slug).cloned().unwrap_or_default();
    let (state, passed, first) = match entry.state(exercise) {
        State::New => ("new", 0, None),
        State::Stale => ("stale", exercise.checks.len(), None),
        State::Judged(Verdict::Passed) => ("passed", exercise.checks.len(), None),
        State::Judged(Verdict::Failing { passed, first, .. }) => ("failing", passed, Some(first)),
    };
    json::object(&[
        ("id", json::string(exercise.id)),
        ("slug", json::string(exercise.slug)),
        ("title", json::string(exercise.title)),
        ("chapter", json::string(exercise.chapter)),
        ("minutes", exercise.minutes.to_string()),
        ("state", json::string(state)),
        ("checks", exercise.checks.len().to_string()),
        ("passed", passed.to_string()),
        ("first_failure", first.map_or_else(|| "null".into(), |name| json::string(&name))),
        ("hints", entry.hints.to_string()),
        ("solution_seen", entry.solution.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exercise_belongs_to_one_level() {
        for exercise in EXERCISES {
            assert_eq!(LEVELS.iter().filter(|level| level.has(exercise)).count(), 1, "{}", exercise.id);
        }
    }

    #[test]
    fn a_level_is_reached_with_the_last_of_its_exercises() {
        let of_level = |exercise: &&Exercise| LEVELS[0].has(exercise);
        let entry = |exercise: &Exercise| {
            let entry =
                Entry { verdict: Some(Verdict::Passed), grader: progress::grader(exercise), ..Entry::default() };
            (exercise.slug.to_owned(), entry)
        };
        let mut known: BTreeMap<String, Entry> = EXERCISES.iter().filter(of_level).map(entry).collect();
        assert!(LEVELS[0].line(&known).starts_with("[x] "), "{}", LEVELS[0].line(&known));
        assert!(LEVELS[1].line(&known).starts_with("[ ] "), "{}", LEVELS[1].line(&known));
        // The checks of one have changed since: it counts no more.
        known.get_mut("e05-partial-io").unwrap().grader.clear();
        assert!(LEVELS[0].line(&known).starts_with("[ ] "), "{}", LEVELS[0].line(&known));
    }
}
