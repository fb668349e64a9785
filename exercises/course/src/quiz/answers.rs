//! `exercises/quiz/answers.md`: the questions, and below each a line for the prediction. A student edits it, or has it filled in
//! by the quiz; a teacher reads it.

use super::{GROUPS, Question, letter};
use crate::{project, report};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The line with the prediction begins with it.
const PREDICTION: &str = "prediction:";

const HEAD: &str = "\
# Predictions

Sixteen questions about what kernels and programs do. Write the letter of your prediction behind
`prediction:`, before you know; what you think, behind `why:`, is for you. A `?` says that you do
not know. Then `cargo course quiz q01` performs the experiment on this machine and shows what
happens. `cargo course quiz` asks the questions one by one, and writes your letters into this file.

A wrong prediction costs nothing: it is the one from which you learn.
";

/// From the root.
pub(crate) fn path() -> PathBuf {
    Path::new("exercises").join("quiz").join("answers.md")
}

/// The file without any prediction.
pub(crate) fn blank() -> String {
    let mut text = HEAD.to_owned();
    for group in &GROUPS {
        text += &format!("\n# {}\n", group.title);
        group.questions.iter().for_each(|question| text += &section(question));
    }
    text
}

fn section(question: &Question) -> String {
    let mut text = format!("\n## {} {}\n\n{}\n", question.id, question.title, report::paragraph("", question.text));
    for (at, option) in question.options.iter().enumerate() {
        text += &report::paragraph(&format!("- {}) ", letter(at)), option);
    }
    format!("{text}\n{PREDICTION}\n\nwhy:\n")
}

/// The file as it is, or as it is before anybody has written into it.
pub(crate) fn load() -> String {
    fs::read_to_string(project::root().join(path())).unwrap_or_else(|_| blank())
}

/// The text behind `prediction:` of a question; empty if there is none.
pub(crate) fn written<'a>(answers: &'a str, question: &Question) -> &'a str {
    let lines = answers.lines().skip_while(|line| !begins(line, question)).skip(1);
    let mut section = lines.take_while(|line| !line.starts_with("## "));
    section.find_map(|line| line.strip_prefix(PREDICTION)).unwrap_or("").trim()
}

fn begins(line: &str, question: &Question) -> bool {
    line.strip_prefix("## ").is_some_and(|rest| rest.split_whitespace().next() == Some(question.id))
}

/// The file with this prediction in its place. A section that somebody has deleted is put at the end.
fn with(answers: &str, question: &Question, prediction: char) -> String {
    let whole = answers.lines().any(|line| begins(line, question));
    let answers = if whole { answers.to_owned() } else { answers.to_owned() + &section(question) };
    let (mut text, mut inside) = (String::new(), false);
    for line in answers.lines() {
        if line.starts_with("## ") {
            inside = begins(line, question);
        }
        if inside && line.starts_with(PREDICTION) {
            text += &format!("{PREDICTION} {prediction}\n");
            inside = false;
        } else {
            text += line;
            text.push('\n');
        }
    }
    text
}

/// Writes a prediction down. Readers see the old file or the new one.
pub(crate) fn write(question: &Question, prediction: char) -> io::Result<()> {
    let path = project::root().join(path());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    fs::write(&beside, with(&load(), question, prediction))?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quiz::{find, questions};

    #[test]
    fn a_prediction_is_found_where_it_was_written_and_nowhere_else() {
        let mut text = blank();
        for (at, question) in questions().enumerate() {
            assert_eq!(written(&text, question), "");
            text = with(&text, question, letter(at % 3));
        }
        for (at, question) in questions().enumerate() {
            assert_eq!(written(&text, question), letter(at % 3).to_string(), "{}", question.id);
        }
        let again = questions().fold(text, |text, question| with(&text, question, 'z'));
        assert_eq!(again.replace("prediction: z\n", "prediction:\n"), blank());
    }

    #[test]
    fn words_of_a_student_are_kept_and_a_section_that_is_gone_comes_back() {
        let question = find("q02").unwrap();
        let text = "# mine\n\n## q02 Stacks\n\nprediction: a\n\nwhy: 64 * 2\n\n## q03\n\nprediction: b\n";
        let changed = text.replace("prediction: a", "prediction: c");
        assert_eq!(with(text, question, 'c'), changed);
        assert_eq!(written("## q03\n\nprediction: b\n", question), "");
        let added = with("## q03\n\nprediction: b\n", question, 'c');
        assert_eq!((written(&added, question), written(&added, find("q03").unwrap())), ("c", "b"));
    }

    /// The file in the repository has the questions of this program, and predictions are the student's.
    #[test]
    fn the_file_that_students_get_has_these_questions() {
        let kept = fs::read_to_string(project::root().join(path())).unwrap();
        let mut lines = kept.lines();
        for line in blank().lines() {
            let own = [PREDICTION, "why:"].into_iter().find(|own| line.starts_with(own));
            let found = lines.any(|kept| kept == line || own.is_some_and(|own| kept.starts_with(own)));
            assert!(found, "{} does not have, in its place: {line}", path().display());
        }
        assert!(blank().lines().all(|line| line.chars().count() <= 100));
    }
}
