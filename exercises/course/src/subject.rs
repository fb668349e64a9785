//! The mistakes that the subject of a step gives away, more than its bytes do: clients that hear of each other, or wait for each other.

use crate::{
    cause::{Cause, Diagnosis, waiting},
    probe::{self, Call},
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
    transcript::show,
    web_subject,
};

/// The cause, if the subject of the step is enough to tell it.
pub(crate) fn diagnose(problem: &Problem, stage: &Stage) -> Option<Diagnosis> {
    if let Some(Topic::Web(web)) = problem.topic {
        return web_subject::diagnose(web, problem, stage);
    }
    let cause = by_topic(problem).or_else(|| by_bytes(problem, stage))?;
    match &problem.seen {
        Seen::Wrong(got) | Seen::Extra(got) => {
            let wanted = if problem.expected.is_empty() { String::new() } else { wanted(problem) };
            Some(Diagnosis { cause, facts: vec![format!("{wanted}what came is {}", show(got))] })
        }
        Seen::Grew { what: Resource::Threads, to, .. } => {
            Some(Diagnosis { cause, facts: vec![format!("it has {to}, children counted")] })
        }
        Seen::Grew { what: Resource::Memory, from, to } => {
            let facts = vec![format!("its memory grew from {from} KiB to {to} KiB")];
            Some(Diagnosis { cause, facts })
        }
        // The search for the end of a line, or for the end of what one client sends, may well look like a loop without end.
        _ if matches!(cause, Cause::LineWithoutLimit | Cause::Starvation) => {
            Some(Diagnosis { cause, facts: Vec::new() })
        }
        _ => {
            let mut diagnosis = waiting(stage, cause);
            let writes = |student: &crate::student::Student| probe::calls(student.id()).contains(&Call::Write);
            if diagnosis.cause == Cause::SlowReaderStalls && stage.student.as_ref().is_some_and(writes) {
                diagnosis.facts = vec!["meanwhile a thread of your program sleeps in write".to_owned()];
            }
            Some(diagnosis)
        }
    }
}

fn wanted(problem: &Problem) -> String {
    format!("wanted {}, and ", show(&problem.expected))
}

/// The refusal of a line, in all exercises that have one.
const TOO_LONG: &[u8] = b"too long\n";

fn by_topic(problem: &Problem) -> Option<Cause> {
    let silent = matches!(&problem.seen, Seen::Silence(got) if got.is_empty());
    let wrong = matches!(problem.seen, Seen::Wrong(_) | Seen::Extra(_));
    let extra = matches!(problem.seen, Seen::Extra(_));
    let ended = matches!(problem.seen, Seen::EarlyEnd(_) | Seen::Reset);
    let says = |line: &[u8], words: &[u8]| line.windows(words.len()).any(|window| window == words);
    let got: &[u8] = if let Seen::Wrong(got) | Seen::Extra(got) = &problem.seen { got } else { b"" };
    Some(match problem.topic? {
        Topic::OneMore => Cause::LimitOffByOne,
        Topic::CheckThenAct if wrong => Cause::CheckThenAct,
        Topic::Sender if wrong => Cause::OwnLineBack,
        Topic::BothTalk if wrong && is_whole(got) => Cause::OrderBroken,
        Topic::BothTalk if wrong => Cause::LinesMixed,
        Topic::Nameless if wrong => Cause::NotAMemberYet,
        Topic::NameTaken if got.starts_with(b"You are") => Cause::NameTakenTwice,
        Topic::Unfinished if wrong => Cause::EndTakenForLine,
        Topic::Left | Topic::Unfinished if silent || wrong => Cause::LeftUnnoticed,
        Topic::Kicked if says(got, b"has left") && (extra || says(got, b"was kicked")) => Cause::EndToldTwice,
        Topic::Kicked if ended => Cause::EarlyEnd,
        Topic::NotAdmin if silent || wrong => Cause::PermissionNotChecked,
        Topic::NotACommand if silent || wrong => Cause::CommandByPrefix,
        Topic::BesideGreedy if silent || matches!(problem.seen, Seen::NotRead) => Cause::Starvation,
        Topic::BesideSlowReader if silent || matches!(problem.seen, Seen::NotRead) => Cause::SlowReaderStalls,
        Topic::Outbox if matches!(problem.seen, Seen::Grew { .. }) => Cause::OutboxWithoutBound,
        Topic::OneThread if matches!(problem.seen, Seen::Grew { .. }) => Cause::MoreThanOneThread,
        Topic::LeftInBuffer if matches!(problem.seen, Seen::Silence(_)) => Cause::LinesLeftBehind,
        // It gave up with input unread, so that the end is a reset.
        Topic::SlowReader | Topic::LeftInBuffer if matches!(problem.seen, Seen::Reset) => Cause::SlowReaderGivenUp,
        Topic::Limit if says(got, TOO_LONG) != says(&problem.expected, TOO_LONG) => Cause::LimitOffByOne,
        Topic::Limit if wrong && got.starts_with(b"ERR ") != problem.expected.starts_with(b"ERR ") => {
            Cause::LimitOffByOne
        }
        Topic::Case | Topic::Blanks | Topic::Arguments | Topic::Number | Topic::BadCommand if ended => {
            Cause::BadCommandEndsSession
        }
        Topic::Case if wrong => Cause::CaseMatters,
        Topic::Blanks if wrong => Cause::BlanksMatter,
        Topic::Arguments if wrong => Cause::ArgumentsNotChecked,
        Topic::Number if wrong => Cause::NumberNotChecked,
        Topic::BadCommand if wrong => Cause::TextNotChecked,
        Topic::Store if wrong => Cause::StoreNotShared,
        Topic::StoreFull if wrong => Cause::StoreLimit,
        Topic::Oversize if wrong && problem.expected.ends_with(TOO_LONG) => Cause::LineWithoutLimit,
        Topic::AfterOversize if got.starts_with(b"ERR") => Cause::RestOfLineAnswered,
        Topic::NeverReads if wrong => Cause::NeverGivesUp,
        Topic::Oversize if matches!(problem.seen, Seen::StillOpen) => Cause::LineWithoutLimit,
        _ => return None,
    })
}

/// Whether a line of two that talk at the same moment is whole: `ada: line 7 of ada`.
fn is_whole(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split(' ').collect();
    matches!(words[..], [name, "line", number, "of", end] if number.parse::<u32>().is_ok() && name.strip_suffix(':') == Some(end))
}

/// In a server that passes lines on, a line that does not come may have been one that it could not take.
fn by_bytes(problem: &Problem, stage: &Stage) -> Option<Cause> {
    let record = stage.record.lock();
    if !record.is_passed_on() {
        return None;
    }
    if let Seen::Wrong(got) | Seen::Extra(got) = &problem.seen
        && problem.client.is_some_and(|client| is_own(got, &record.received_by(client)))
    {
        return Some(Cause::OwnLineBack);
    }
    let wrong = matches!(problem.seen, Seen::Wrong(_));
    let missing = wrong || matches!(&problem.seen, Seen::Silence(got) if got.is_empty());
    match problem.topic {
        Some(Topic::Limit) if missing => Some(Cause::LimitOffByOne),
        _ if missing && std::str::from_utf8(&problem.expected).is_err() => Some(Cause::Utf8Required),
        _ => None,
    }
}

/// Whether a line tells a client what it did itself: its name is the one that it was told last.
fn is_own(line: &[u8], received: &[u8]) -> bool {
    let mut names = received.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"You are "));
    let begins = |name: &[u8]| {
        line.starts_with(&[name, b": "].concat()) || line.starts_with(&[b"* ", name, b" has come"].concat())
    };
    names.next_back().is_some_and(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_the_name_that_it_was_told() {
        let received = b"Name?\nTaken\nName?\nYou are bob\n* eve has come\n";
        assert!(is_own(b"bob: hello\n", received) && is_own(b"* bob has come\n", received));
        assert!(!is_own(b"eve: hello\n", received) && !is_own(b"bobby: hello\n", received));
        assert!(!is_own(b"bob: hello\n", b"Name?\n"));
    }

    #[test]
    fn a_line_that_came_instead_says_why() {
        let cause = |topic, seen| by_topic(&Problem::new("", seen).about(topic));
        let came = |bytes: &[u8]| Seen::Wrong(bytes.to_vec());
        assert_eq!(cause(Topic::Sender, Seen::Extra(b"ada: hello\n".to_vec())), Some(Cause::OwnLineBack));
        assert_eq!(cause(Topic::NameTaken, came(b"You are ada\n")), Some(Cause::NameTakenTwice));
        assert_eq!(cause(Topic::NameTaken, came(b"No such name\n")), None);
        assert_eq!(cause(Topic::Unfinished, came(b"bob: half a line\n")), Some(Cause::EndTakenForLine));
        assert_eq!(cause(Topic::Unfinished, Seen::Silence(Vec::new())), Some(Cause::LeftUnnoticed));
        assert_eq!(cause(Topic::Left, Seen::Silence(b"* bo".to_vec())), None);
        assert_eq!(cause(Topic::BesideSlowReader, Seen::NotRead), Some(Cause::SlowReaderStalls));
        let refused = Seen::Extra(b"ERR out of range\n".to_vec());
        assert_eq!(cause(Topic::Limit, refused), Some(Cause::LimitOffByOne), "the largest that is allowed");
    }
}
