//! Comments have a noun as their subject. A sentence that begins with a relative pronoun ("What nobody asked for answers
//! nothing") has to be read twice, most of all by those whose language is another one.
//!
//! Many still do. This counts them, so that they become fewer: [`MOST`] may only fall.

use std::{fs, path::Path};

/// As many such sentences as there were when this was written last. Lower it when you have mended some.
const MOST: usize = 68;

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

fn walk(directory: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.expect("a directory can be read").path()) {
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source file can be read");
            let paragraphs = comments(&source);
            let sentences = paragraphs.iter().flat_map(|paragraph| riddles(paragraph));
            found.extend(sentences.map(|sentence| (path.display().to_string(), sentence.to_owned())));
        }
    }
}

#[test]
fn sentences_that_begin_with_a_relative_pronoun_become_fewer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    DIRECTORIES.iter().for_each(|directory| walk(&root.join(directory), &mut found));
    assert!(found.len() > 10, "the comments are somewhere else now: see DIRECTORIES");
    let list = || found.iter().map(|(path, sentence)| format!("{path}: {sentence}\n")).collect::<String>();
    let count = found.len();
    assert!(
        count <= MOST,
        "{}\n{count} sentences begin with a relative pronoun, {MOST} did: say who does what",
        list()
    );
    assert!(count == MOST, "{count} sentences begin with a relative pronoun, no longer {MOST}: lower MOST");
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
