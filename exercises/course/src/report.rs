//! The report that the student reads. At most 100 columns, and nothing that needs colour to be understood.

use crate::{
    catalog::Exercise,
    runner::{Failure, Outcome},
};
use std::fmt::Write as _;

/// No line is longer.
const WIDTH: usize = 100;

/// The report of one run.
pub(crate) fn text(exercise: &Exercise, outcomes: &[Outcome], seed: u64) -> String {
    let passed = outcomes.iter().filter(|outcome| outcome.failure.is_none()).count();
    let of = exercise.checks.len();
    let title = format!("{} {}", exercise.id.to_uppercase(), exercise.title);
    let mut text = format!("{title:<50}{passed} of {of} checks      seed {seed:x}\n");
    let names = outcomes.iter().filter(|outcome| outcome.failure.is_none()).map(|outcome| outcome.check.name);
    let names: Vec<String> = names.map(|name| format!("ok {name}")).collect();
    text += &folded(" ", "   ", &names);
    for outcome in outcomes {
        text += &one(exercise, outcome, seed);
    }
    let ran = |name: &str| outcomes.iter().any(|outcome| outcome.check.name == name);
    let rest: Vec<String> =
        exercise.checks.iter().filter(|check| !ran(check.name)).map(|check| check.name.to_owned()).collect();
    if !rest.is_empty() && passed < outcomes.len() {
        text += &folded(" not run: ", ", ", &rest);
    }
    text
}

/// The outcome of one check, on a line.
pub(crate) fn line(outcome: &Outcome) -> String {
    let (name, promise, took) = (outcome.check.name, outcome.check.promise, outcome.took.as_millis());
    let verdict = if outcome.failure.is_some() { "FAILED" } else { "ok" };
    folded(&format!(" {verdict} {name} ({took} ms): "), " ", &words(promise))
}

/// The report of one check that failed; nothing, if it passed.
pub(crate) fn one(exercise: &Exercise, outcome: &Outcome, seed: u64) -> String {
    outcome.failure.as_ref().map(|failure| failed(exercise, outcome, failure, seed)).unwrap_or_default()
}

fn failed(exercise: &Exercise, outcome: &Outcome, failure: &Failure, seed: u64) -> String {
    let mut text = folded(&format!(" FAILED {}: ", outcome.check.name), " ", &words(outcome.check.promise));
    text += &failure.transcript;
    text += &folded("   expected next: ", " ", &words(&failure.problem.wanted));
    let cause = failure.diagnosis.cause;
    text += &folded(&format!("   cause: {}. ", cause.name()), " ", &words(cause.sentence()));
    for fact in &failure.diagnosis.facts {
        text += &folded("          ", " ", &words(fact));
    }
    for (at, line) in failure.last_words.iter().enumerate() {
        let name = if at == 0 { "   your stderr ends: " } else { "                     " };
        let room = WIDTH - name.len();
        let cut: String = line.chars().take(room).collect();
        let _ = writeln!(text, "{name}{cut}");
    }
    let (id, check) = (exercise.id, outcome.check.name);
    let _ = writeln!(text, "   again: cargo course poke {id}.{check} --seed {seed:x}");
    let _ = writeln!(text, "   more:  cargo course explain {}", cause.name());
    text
}

/// The same with colours: green for what is well, red for what failed, bold for the cause.
pub(crate) fn painted(text: &str) -> String {
    let begins = [(" FAILED", "31;1"), ("   cause:", "1"), (" ok ", "32")];
    let paint = |line: &str| match begins.iter().find(|(begin, _)| line.starts_with(begin)) {
        // A line may have several that are well.
        Some((" ok ", colour)) => line.replace("ok ", &format!("\x1b[{colour}mok\x1b[0m ")),
        Some((begin, colour)) => format!("\x1b[{colour}m{begin}\x1b[0m{}", &line[begin.len()..]),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(paint).collect()
}

/// A text after `first`, over as many lines as it needs.
pub(crate) fn paragraph(first: &str, text: &str) -> String {
    folded(first, " ", &words(text))
}

fn words(text: &str) -> Vec<String> {
    // Two spaces in what a program said are two spaces here.
    text.split(' ').map(str::to_owned).collect()
}

/// `parts` after `first`, over as many lines as they need; later lines begin below the first part.
fn folded(first: &str, between: &str, parts: &[String]) -> String {
    if parts.is_empty() {
        return String::new();
    }
    let indent = if first.chars().count() < 20 { first.chars().count() } else { 10 };
    let mut text = first.to_owned();
    let mut column = first.chars().count();
    for (at, part) in parts.iter().enumerate() {
        let length = part.chars().count();
        // The comma between two parts stays at the end of a line.
        let behind = if at + 1 < parts.len() { between.trim_end().chars().count() } else { 0 };
        if at > 0 {
            if column + between.chars().count() + length + behind > WIDTH {
                text = format!("{}\n{}", format!("{text}{between}").trim_end(), " ".repeat(indent));
                column = indent;
            } else {
                text += between;
                column += between.chars().count();
            }
        }
        text += part;
        column += length;
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_add_nothing_else() {
        let text = "E06 Echo server\n ok greets   ok echoes\n FAILED split: a promise\n   cause: silence.\n";
        let painted = painted(text);
        assert_eq!(painted.matches("\x1b[32mok").count(), 2);
        let bare =
            ["\x1b[31;1m", "\x1b[32m", "\x1b[1m", "\x1b[0m"].iter().fold(painted, |text, code| text.replace(code, ""));
        assert_eq!(bare, text);
    }

    #[test]
    fn long_texts_are_folded_below_their_first_word() {
        let folded = folded("   cause: ", " ", &words("word ".repeat(40).trim_end()));
        assert!(folded.lines().all(|line| line.len() <= WIDTH), "{folded}");
        assert!(folded.lines().skip(1).all(|line| line.starts_with("          word")), "{folded}");
        assert_eq!(folded.split_whitespace().count(), 41);
    }

    #[test]
    fn a_comma_at_the_end_of_a_line_is_within_the_width() {
        for length in 1..40 {
            let parts = vec!["x".repeat(length); 200 / length + 2];
            let folded = folded(" not run: ", ", ", &parts);
            assert!(folded.lines().all(|line| line.len() <= WIDTH), "{folded}");
        }
    }
}
