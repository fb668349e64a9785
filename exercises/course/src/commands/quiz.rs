//! `quiz`: a question, a prediction, and the experiment that shows what this machine does.
//!
//! The prediction comes from `exercises/quiz/answers.md`, from `--predict`, or from stdin: a terminal or a pipe with a letter a
//! line. It is written down before the experiment begins.

pub(crate) mod table;

use super::Refused;
use crate::{
    progress::{self, Entry},
    quiz::{GROUPS, Lab, Question, Seen, answers, find, letter, questions},
    report::paragraph,
};
use clap::Args;
use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
};

/// The arguments of `quiz`.
#[derive(Debug, Args)]
pub(crate) struct Quiz {
    /// Which: q05 or 5, several too [default: all that are left, in order]
    questions: Vec<String>,
    /// The letter of your prediction; without it you are asked, unless it is in exercises/quiz/answers.md
    #[arg(long, value_name = "LETTER", requires = "questions")]
    predict: Option<String>,
    /// Show all questions with your predictions, and what was seen
    #[arg(long, conflicts_with = "questions")]
    list: bool,
    /// Ask nothing: perform all experiments, and show them beside the predictions; a point for each prediction that was made
    #[arg(long, conflicts_with_all = ["questions", "list"])]
    all: bool,
    /// With --all: where the student's answers are, a copy of the course or its folder exercises [default: here]
    #[arg(long, value_name = "DIR", requires = "all")]
    student: Option<PathBuf>,
    /// With --all: print one JSON document
    #[arg(long, requires = "all")]
    json: bool,
}

/// Runs it.
pub(crate) fn quiz(args: &Quiz) -> Result<u8, Refused> {
    if args.all {
        return table::all(args.student.as_deref(), args.json);
    }
    if args.list {
        return table::list();
    }
    if args.questions.is_empty() {
        return the_rest();
    }
    let chosen: Vec<&Question> = args.questions.iter().map(|name| named(name)).collect::<Result<_, _>>()?;
    match (&args.predict, &chosen[..]) {
        (Some(text), [question]) => answers::write(question, valid(question, text)?)?,
        (Some(_), _) => return Err(Refused::usage("--predict is for one question")),
        (None, _) => {}
    }
    series(&chosen).map(|_| 0)
}

fn named(name: &str) -> Result<&'static Question, Refused> {
    find(name).ok_or_else(|| {
        let ids: Vec<&str> = questions().map(|question| question.id).collect();
        Refused::usage(format!("there is no question {name:?}: there are {}", ids.join(", ")))
    })
}

/// The questions whose experiment was not shown yet.
#[allow(clippy::print_stdout)]
fn the_rest() -> Result<u8, Refused> {
    let known = progress::load();
    let left: Vec<&Question> = questions().filter(|question| !is_done(&known, question)).collect();
    match series(&left)? {
        Series::Finished => {
            println!();
            table::list()
        }
        Series::Stopped => Ok(0),
    }
}

/// How a series of questions ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Series {
    /// All were asked.
    Finished,
    /// The student had enough for now, or stdin has ended.
    Stopped,
}

/// Some questions with their experiments, one after the other.
#[allow(clippy::print_stdout)]
fn series(asked: &[&Question]) -> Result<Series, Refused> {
    for (at, question) in asked.iter().enumerate() {
        if at > 0 {
            println!();
        }
        show(question);
        let said = predicted(question)?.map_or_else(|| ask(question), |letter| Ok(Said::Letter(letter)))?;
        let Said::Letter(prediction) = said else {
            if at == 0 && matches!(said, Said::Nothing) {
                return Err(no_prediction(question));
            }
            println!("Here it goes on next time: cargo course quiz");
            return Ok(Series::Stopped);
        };
        perform(question, prediction)?;
        if at + 1 < asked.len() && !goes_on()? {
            return Ok(Series::Stopped);
        }
    }
    Ok(Series::Finished)
}

/// Whether the experiment of a question was shown.
fn is_done(known: &BTreeMap<String, Entry>, question: &Question) -> bool {
    known.get(question.id).is_some_and(|entry| entry.saw.is_some())
}

fn valid(question: &Question, text: &str) -> Result<char, Refused> {
    question.prediction(text).ok_or_else(|| {
        Refused::usage(format!("{}: {text:?} is not {}, nor ? for \"I do not know\"", question.id, question.letters()))
    })
}

/// The prediction that is written down already.
fn predicted(question: &Question) -> Result<Option<char>, Refused> {
    match answers::written(&answers::load(), question) {
        "" => Ok(None),
        text => valid(question, text)
            .map(Some)
            .map_err(|Refused(text, code)| Refused(format!("{}: {text}", answers::path().display()), code)),
    }
}

fn no_prediction(question: &Question) -> Refused {
    let (id, letters, path) = (question.id, question.letters(), answers::path());
    Refused::usage(format!(
        "{id} waits for a prediction: {letters}, in {} or with cargo course quiz {id} --predict LETTER",
        path.display()
    ))
}

/// The answer of somebody who was asked.
enum Said {
    Letter(char),
    /// q: enough for now.
    Stop,
    /// The end of stdin.
    Nothing,
}

/// Asks for a prediction until there is one, and writes it down.
#[allow(clippy::print_stdout)]
fn ask(question: &Question) -> Result<Said, Refused> {
    let letters = question.letters();
    loop {
        print!("Your prediction ({letters}; ? I do not know; q stops): ");
        io::stdout().flush()?;
        let Some(line) = line()? else {
            println!();
            return Ok(Said::Nothing);
        };
        if line.trim() == "q" {
            return Ok(Said::Stop);
        }
        if let Some(prediction) = question.prediction(&line) {
            answers::write(question, prediction)?;
            return Ok(Said::Letter(prediction));
        }
        println!("That is not {letters}.");
    }
}

/// A line of stdin, echoed if no terminal did that; `None`: there is no more.
#[allow(clippy::print_stdout)]
fn line() -> io::Result<Option<String>> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Ok(None);
    }
    if !io::stdin().is_terminal() {
        println!("{}", line.trim_end());
    }
    Ok(Some(line))
}

/// At a terminal: time to read. From a pipe the next line is the next answer.
#[allow(clippy::print_stdout)]
fn goes_on() -> Result<bool, Refused> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    print!("\nEnter for the next question, q stops: ");
    io::stdout().flush()?;
    Ok(line()?.is_some_and(|line| line.trim() != "q"))
}

#[allow(clippy::print_stdout)]
fn show(question: &Question) {
    let Question { id, title, text, options, .. } = question;
    let group = GROUPS.iter().find(|group| group.questions.iter().any(|other| other.id == *id));
    let head = format!("{} {title}", id.to_uppercase());
    println!("{head:<60}{}\n", group.map_or("", |group| group.title));
    println!("{}", paragraph("", text));
    for (at, option) in options.iter().enumerate() {
        print!("{}", paragraph(&format!("  {}) ", letter(at)), option));
    }
    println!();
}

/// Performs the experiment, shows it, and keeps what came out.
#[allow(clippy::print_stdout)]
fn perform(question: &Question, prediction: char) -> Result<(), Refused> {
    let (seen, lab) = question
        .experiment()
        .map_err(|error| Refused(format!("{}: the experiment failed on this machine: {error}", question.id), 3))?;
    print!("{}", outcome(question, prediction, &seen, &lab));
    progress::update_named(question.id, |entry| {
        entry.predicted = Some(prediction);
        entry.saw = Some(seen.name());
    })?;
    Ok(())
}

/// The transcript, what it says about the prediction, and why.
fn outcome(question: &Question, prediction: char, seen: &Seen, lab: &Lab) -> String {
    let mut text = format!("What happened on this machine:\n\n{}\n", lab.transcript());
    text += &paragraph("", &verdict(question, prediction, seen));
    for fact in lab.facts() {
        text += &paragraph("", fact);
    }
    text += &format!("\n{}\n", paragraph("Why: ", question.why));
    text + &format!("More: docs/course/{}.md\n", question.chapter)
}

/// The answer beside the prediction.
fn verdict(question: &Question, prediction: char, seen: &Seen) -> String {
    let said = match prediction {
        '?' => "You did not know.".to_owned(),
        other => format!("You predicted {other}."),
    };
    match seen {
        Seen::Option(option) if letter(*option) == prediction => {
            format!("As you predicted: {prediction}) {}.", question.options[*option])
        }
        Seen::Option(option) => format!("{said} It is {}) {}.", letter(*option), question.options[*option]),
        Seen::Other(what) => format!("{said} This machine did none of these: {what}."),
        Seen::NotHere(reason) => format!("{said} It cannot be seen here: {reason}."),
    }
}
