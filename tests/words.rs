//! Comments have a noun as their subject. A sentence that begins with a relative pronoun ("What nobody asked for answers
//! nothing") has to be read twice, most of all by those whose language is another one.
//!
//! Names of functions, and so of tests, are short sentences as well.

use std::{fs, path::Path};

/// Words that begin no sentence, unless it is a question.
const OPENINGS: &[&str] =
    &["Who", "Whoever", "Whom", "Whose", "What", "Whatever", "Nobody", "Somebody", "So much", "So many", "Of what"];

const DIRECTORIES: &[&str] = &["src", "bin", "tests", "benches", "exercises", "fuzz"];

/// The comments of a file, a paragraph for each run of lines.
fn comments(source: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in source.lines().map(str::trim_start) {
        let comment = line.strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!']).trim());
        match (comment, paragraphs.last_mut()) {
            (Some(text), Some(paragraph)) if !text.is_empty() => {
                paragraph.push_str(text);
                paragraph.push(' ');
            }
            _ => paragraphs.push(String::new()),
        }
    }
    paragraphs
}

/// The sentences of a paragraph that begin with one of [`OPENINGS`] and ask nothing.
fn riddles(paragraph: &str) -> Vec<&str> {
    let sentences = paragraph.split_inclusive(['.', '!', '?', '|', ':']).map(str::trim);
    sentences.filter(|sentence| !sentence.ends_with('?') && opens_badly(sentence)).collect()
}

fn opens_badly(sentence: &str) -> bool {
    let rest = OPENINGS.iter().filter_map(|opening| sentence.strip_prefix(opening));
    rest.into_iter().any(|rest| rest.starts_with([' ', ',']))
}

/// Names of functions that begin like a sentence with one of [`OPENINGS`]: `who_waits_is_served`.
fn riddling_names(source: &str) -> Vec<&str> {
    let definitions =
        source.lines().filter_map(|line| line.split_once("fn ")).filter(|(before, _)| !before.contains('"'));
    let names = definitions.filter_map(|(_, rest)| rest.split(['(', '<']).next());
    names.filter(|name| OPENINGS.iter().any(|opening| begins_with_word(name, opening))).collect()
}

fn begins_with_word(name: &str, opening: &str) -> bool {
    let opening = opening.to_lowercase().replace(' ', "_");
    name.strip_prefix(&*opening).is_some_and(|rest| rest.starts_with('_'))
}

fn walk(directory: &Path, found: &mut Vec<(String, String)>, find: fn(&str) -> Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.expect("a directory can be read").path()) {
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(&path, found, find);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source file can be read");
            found.extend(find(&source).into_iter().map(|sentence| (path.display().to_string(), sentence)));
        }
    }
}

/// The findings of `find` in the project's files, each with its path.
fn all(find: fn(&str) -> Vec<String>) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    DIRECTORIES.iter().for_each(|directory| walk(&root.join(directory), &mut found, find));
    found
}

fn list(found: &[(String, String)]) -> String {
    found.iter().map(|(path, sentence)| format!("{path}: {sentence}\n")).collect()
}

#[test]
fn no_sentence_begins_with_a_relative_pronoun() {
    let paragraphs = |source: &str| comments(source).into_iter().filter(|paragraph| !paragraph.is_empty()).collect();
    assert!(all(paragraphs).len() > 10_000, "the comments are somewhere else now: see DIRECTORIES");
    let found = all(|source| comments(source).iter().flat_map(|it| riddles(it)).map(str::to_owned).collect());
    assert!(
        found.is_empty(),
        "{}{} sentences begin with a relative pronoun: say who does what",
        list(&found),
        found.len()
    );
}

#[test]
fn no_name_of_a_function_begins_with_a_relative_pronoun() {
    let names = |source: &str| riddling_names(source).into_iter().map(str::to_owned).collect();
    let found = all(names);
    assert!(found.is_empty(), "{}the name of a test says who does what, beginning with a noun", list(&found));
    for (source, count) in [
        ("    fn who_waits_is_served() {", 1),
        ("pub(crate) fn what_comes<T>(it: T)", 1),
        ("fn nobody() {}", 0),
        ("fn whole_requests() {}", 0),
        ("fn a_client_who_waits() {}", 0),
    ] {
        assert_eq!(riddling_names(source).len(), count, "{source}");
    }
}

#[test]
fn a_question_and_a_word_that_only_begins_alike_are_left_alone() {
    for (comment, count) in [
        ("// What waits for it.", 1),
        ("/// The client. Who asks?", 0),
        ("//! A head.\n//! Nobody reads it.", 1),
        ("// Whole bodies. Somewhat later.", 0),
        ("// | `x` | What is asked |", 1),
        ("// A part of\n// What follows.", 0),
        ("let text = \"What\";", 0),
    ] {
        let found: usize = comments(comment).iter().map(|paragraph| riddles(paragraph).len()).sum();
        assert_eq!(found, count, "{comment}");
    }
}
