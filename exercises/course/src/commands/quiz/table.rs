//! All questions at once: what is known of them, and all experiments beside the predictions, for teachers.

use super::{Refused, is_done};
use crate::{
    json,
    progress::{self, Entry},
    quiz::{self, GROUPS, Question, Seen, answers, questions},
};
use std::{collections::BTreeMap, fs, path::Path};

/// The questions with an experiment that was shown, and those of them in which it was as predicted.
pub(crate) fn counts(known: &BTreeMap<String, Entry>) -> (usize, usize) {
    let right = |question: &&Question| known.get(question.id).is_some_and(as_predicted);
    let done: Vec<&Question> = questions().filter(|question| is_done(known, question)).collect();
    (done.len(), done.iter().copied().filter(right).count())
}

fn as_predicted(entry: &Entry) -> bool {
    entry.predicted.map(String::from) == entry.saw
}

/// The questions by group, with what was predicted and seen.
#[allow(clippy::print_stdout)]
pub(super) fn list() -> Result<u8, Refused> {
    let (known, written) = (progress::load(), answers::load());
    for group in &GROUPS {
        println!("{}", group.title);
        for question in group.questions {
            let Question { id, title, chapter, .. } = question;
            println!("  {id} {title:<36} {:<32} {chapter}", state(&known, &written, question));
        }
    }
    let (done, right) = counts(&known);
    let all = questions().count();
    println!("{done} of {all} experiments seen, {right} as predicted.");
    if done == all {
        println!("cargo course quiz q05 repeats one; without exercises/quiz/answers.md all begins anew.");
    }
    Ok(0)
}

fn state(known: &BTreeMap<String, Entry>, written: &str, question: &Question) -> String {
    match known.get(question.id).filter(|_| is_done(known, question)) {
        Some(entry) if as_predicted(entry) => "as predicted".to_owned(),
        Some(entry) => entry.to_string(),
        None => match answers::written(written, question) {
            "" => "new".to_owned(),
            letter => format!("predicted {letter}, not tried yet"),
        },
    }
}

/// One question of somebody's answers, with what its experiment showed here.
struct Row {
    question: &'static Question,
    /// As it stands in the file.
    written: String,
    prediction: Option<char>,
    seen: Seen,
}

impl Row {
    /// A point is for a prediction, right or wrong: "I do not know" is none.
    fn point(&self) -> usize {
        usize::from(self.prediction.is_some_and(|letter| letter != '?'))
    }

    fn is_as_predicted(&self) -> bool {
        self.prediction.map(String::from) == Some(self.seen.name())
    }

    fn json(&self) -> String {
        json::object(&[
            ("id", json::string(self.question.id)),
            ("title", json::string(self.question.title)),
            ("predicted", json::string(&self.written)),
            ("seen", json::string(&self.seen.name())),
            ("as_predicted", self.is_as_predicted().to_string()),
            ("points", self.point().to_string()),
        ])
    }

    fn line(&self) -> String {
        let written = if self.written.is_empty() { "-" } else { &self.written };
        let cut: String = written.chars().take(12).collect();
        let Question { id, title, .. } = self.question;
        format!("{id} {title:<36} predicted {cut:<12} seen {:<8} {} point", self.seen.name(), self.point())
    }
}

/// All experiments, beside the predictions in `student`'s copy or here.
#[allow(clippy::print_stdout)]
pub(super) fn all(student: Option<&Path>, as_json: bool) -> Result<u8, Refused> {
    let answers = match student {
        None => answers::load(),
        Some(directory) => read(directory)?,
    };
    let mut rows = Vec::new();
    for question in questions() {
        let failed = |error| Refused(format!("{}: the experiment failed on this machine: {error}", question.id), 3);
        let (seen, _) = question.experiment().map_err(failed)?;
        let written = answers::written(&answers, question).to_owned();
        rows.push(Row { question, prediction: question.prediction(&written), written, seen });
    }
    let (points, of) = (rows.iter().map(Row::point).sum::<usize>(), rows.len());
    let right = rows.iter().filter(|row| row.is_as_predicted()).count();
    if as_json {
        let fields = [
            ("points", points.to_string()),
            ("of", of.to_string()),
            ("as_predicted", right.to_string()),
            ("questions", json::array(&rows.iter().map(Row::json).collect::<Vec<_>>())),
        ];
        println!("{}", json::object(&fields));
    } else {
        rows.iter().for_each(|row| println!("{}", row.line()));
        println!("{points} of {of} points: one for each prediction, right or wrong; {right} are as predicted.");
    }
    Ok(u8::from(points < of))
}

/// The answers in a copy of the course, or in its folder exercises.
fn read(directory: &Path) -> Result<String, Refused> {
    let in_copy = directory.join(answers::path());
    let path = if in_copy.exists() { in_copy } else { directory.join("quiz/answers.md") };
    fs::read_to_string(&path).map_err(|error| Refused::usage(format!("{}: {error}", path.display())))
}

/// The line of the quiz in `list` and `status`.
pub(crate) fn summary(known: &BTreeMap<String, Entry>) -> String {
    let (done, right) = counts(known);
    let all = questions().count();
    let mark = if done == all { "[x]" } else { "[ ]" };
    let minutes = quiz::MINUTES;
    let these = format!("{done} of {all}");
    format!(
        "{mark} {:<40} {these:>8} seen     {:>4} of {} minutes, {right} as predicted",
        "Quiz: cargo course quiz",
        done * minutes,
        all * minutes
    )
}

/// The same for programs.
pub(crate) fn summary_json(known: &BTreeMap<String, Entry>) -> String {
    let (done, right) = counts(known);
    json::object(&[
        ("questions", questions().count().to_string()),
        ("seen", done.to_string()),
        ("as_predicted", right.to_string()),
        ("minutes", (questions().count() * quiz::MINUTES).to_string()),
        ("file", json::string(&answers::path().display().to_string())),
    ])
}
