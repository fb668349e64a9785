//! The quiz: predictions about what a kernel does, and experiments that show it, on the machine of the student.
//!
//! An experiment opens sockets on the loopback, does what the question tells, and finds out which of the options this machine
//! did. Nothing is looked up: where systems differ, the answer is the one of the system that runs it. A prediction is written
//! down first, in `exercises/quiz/answers.md`; a wrong one is worth as much as a right one.

pub(crate) mod answers;
mod architectures;
mod calls;
mod errors;
mod lab;
mod limits;

use crate::timing::Timing;
pub(crate) use lab::Lab;
use std::io;

/// A question, and the experiment that answers it.
#[derive(Debug)]
pub(crate) struct Question {
    /// As in `cargo course quiz q05`.
    pub(crate) id: &'static str,
    /// A few words.
    pub(crate) title: &'static str,
    /// The page in `docs/course` that treats it, without its ending.
    pub(crate) chapter: &'static str,
    /// The situation, and what is asked about it.
    pub(crate) text: &'static str,
    /// The possible answers: a, b, c and so on.
    pub(crate) options: &'static [&'static str],
    /// Why it happens, and what follows for a program.
    pub(crate) why: &'static str,
    /// Performs it.
    run: fn(&mut Lab) -> io::Result<Seen>,
}

/// The answer of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The option of that number, from 0.
    Option(usize),
    /// None of the options, but this.
    Other(String),
    /// This system does not show it, for this reason.
    NotHere(&'static str),
}

/// Four questions about one thing.
#[derive(Debug)]
pub(crate) struct Group {
    /// The thing.
    pub(crate) title: &'static str,
    /// The questions.
    pub(crate) questions: &'static [Question],
}

/// All of them.
pub(crate) const GROUPS: [Group; 4] = [
    Group { title: "Architectures", questions: architectures::QUESTIONS },
    Group { title: "Calls", questions: calls::QUESTIONS },
    Group { title: "Errors and ends", questions: errors::QUESTIONS },
    Group { title: "Speed and limits", questions: limits::QUESTIONS },
];

/// A question takes so long, with its explanation, in minutes.
pub(crate) const MINUTES: usize = 3;

/// All questions, in order.
pub(crate) fn questions() -> impl Iterator<Item = &'static Question> {
    GROUPS.iter().flat_map(|group| group.questions)
}

/// The question of that id (`q05`) or number (`5`).
pub(crate) fn find(name: &str) -> Option<&'static Question> {
    let numbered = name.parse::<u32>().map(|number| format!("q{number:02}"));
    questions().find(|question| question.id == name || Ok(question.id) == numbered.as_deref())
}

/// The letter of an option.
pub(crate) fn letter(option: usize) -> char {
    char::from(b'a' + u8::try_from(option).unwrap_or(25).min(25))
}

impl Question {
    /// The options as a sentence names them: "a, b or c".
    pub(crate) fn letters(&self) -> String {
        let all: Vec<String> = (0..self.options.len()).map(|option| letter(option).to_string()).collect();
        let (last, first) = all.split_last().map_or(("", &[][..]), |(last, first)| (last.as_str(), first));
        format!("{} or {last}", first.join(", "))
    }

    /// A prediction as people write it (`b`, `B`, `b)`, or `?`: I do not know). `None`: it is none.
    pub(crate) fn prediction(&self, text: &str) -> Option<char> {
        let text = text.trim().trim_end_matches([')', '.']).to_ascii_lowercase();
        let known = (0..self.options.len()).map(letter).chain(['?']);
        let mut letters = text.chars();
        let only = letters.next().filter(|_| letters.next().is_none())?;
        known.into_iter().find(|letter| *letter == only)
    }

    /// Performs the experiment.
    pub(crate) fn experiment(&self) -> io::Result<(Seen, Lab)> {
        let mut lab = Lab::new(Timing::calibrated());
        let seen = (self.run)(&mut lab)?;
        Ok((seen, lab))
    }
}

impl Seen {
    /// As it is kept: the letter of the option, or a word.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Option(option) => letter(*option).to_string(),
            Self::Other(_) => "other".into(),
            Self::NotHere(_) => "nothing".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project;

    #[test]
    fn there_are_four_groups_of_four_and_their_numbers_follow_each_other() {
        let ids: Vec<&str> = questions().map(|question| question.id).collect();
        let wanted: Vec<String> = (1..=16).map(|number| format!("q{number:02}")).collect();
        assert_eq!(ids, wanted);
        assert!(GROUPS.iter().all(|group| group.questions.len() == 4));
        assert_eq!(find("5").map(|question| question.id), Some("q05"));
        assert!(find("q17").is_none() && find("17").is_none());
    }

    #[test]
    fn each_question_can_be_read_and_names_a_chapter_that_is_there() {
        for question in questions() {
            let page = project::root().join("docs/course").join(format!("{}.md", question.chapter));
            assert!(page.exists(), "{}: {}", question.id, page.display());
            assert!((3..=4).contains(&question.options.len()), "{}", question.id);
            assert!(question.text.ends_with('?'), "{} asks nothing", question.id);
            let texts = [question.text, question.why].into_iter().chain(question.options.iter().copied());
            assert!(texts.into_iter().all(|text| !text.contains("  ") && !text.contains('\n')), "{}", question.id);
        }
    }

    #[test]
    fn predictions_are_taken_as_people_write_them() {
        let question = find("q05").unwrap();
        assert_eq!([" b\n", "B", "b)", "?"].map(|text| question.prediction(text).unwrap()), ['b', 'b', 'b', '?']);
        for none in ["", "z", "ab", "yes", "1"] {
            assert_eq!(question.prediction(none), None, "{none:?}");
        }
        assert_eq!(find("q05").unwrap().letters(), "a, b, c or d");
    }
}
