//! The mistakes of a state with several parts: rooms, passwords, a history.

use crate::{
    cause::{Cause, Diagnosis},
    problem::{Problem, Resource, Seen, Topic},
    transcript::show,
};

/// The cause, if the step was about such a part, and something else came than should, or nothing.
pub(crate) fn diagnose(problem: &Problem) -> Option<Diagnosis> {
    let cause = names_moved(problem).or_else(|| by_topic(problem.topic?, problem))?;
    let wanted =
        if problem.expected.is_empty() { String::new() } else { format!("wanted {}, and ", show(&problem.expected)) };
    let fact = match &problem.seen {
        Seen::Wrong(got) | Seen::Extra(got) => format!("{wanted}what came is {}", show(got)),
        Seen::Silence(got) if !got.is_empty() => format!("{wanted}no more came than {}", show(got)),
        Seen::Grew { from, to, .. } => format!("its memory grew from {from} KiB to {to} KiB"),
        _ => return Some(Diagnosis { cause, facts: Vec::new() }),
    };
    Some(Diagnosis { cause, facts: vec![fact] })
}

/// A list of the right names, in another order.
fn names_moved(problem: &Problem) -> Option<Cause> {
    let names = |line: &[u8]| -> Option<Vec<Vec<u8>>> {
        let list = line.strip_prefix(b"here: ").or_else(|| line.strip_prefix(b"rooms: "))?.strip_suffix(b"\n")?;
        let mut names: Vec<Vec<u8>> = list.split(|byte| *byte == b',').map(|name| name.trim_ascii().to_vec()).collect();
        names.sort_unstable();
        Some(names)
    };
    let Seen::Wrong(got) = &problem.seen else { return None };
    (names(got)? == names(&problem.expected)?).then_some(Cause::NamesNotInOrder)
}

fn by_topic(topic: Topic, problem: &Problem) -> Option<Cause> {
    let seen = &problem.seen;
    let other = matches!(seen, Seen::Wrong(_) | Seen::Extra(_));
    let missing = matches!(seen, Seen::Silence(_));
    let begins = |words: &[u8]| matches!(seen, Seen::Wrong(got) | Seen::Extra(got) if got.starts_with(words));
    Some(match topic {
        Topic::Rooms if other => Cause::RoomLeaks,
        Topic::Moving if begins(b"* ") => Cause::RoomLeaks,
        Topic::Moving if other && !begins(b"No such") => Cause::HistoryWrong,
        Topic::Left if matches!(seen, Seen::Extra(got) if got.ends_with(b" has left\n")) => Cause::EndToldTwice,
        Topic::EmptyRoom if other => Cause::RoomNeverEnds,
        Topic::Secret if other => Cause::SecretTold,
        Topic::Password if begins(b"You are") || begins(b"Taken") => Cause::PasswordNotChecked,
        Topic::Tries if other || matches!(seen, Seen::StillOpen | Seen::EarlyEnd(_)) => Cause::TriesNotCounted,
        Topic::History if matches!(seen, Seen::Grew { what: Resource::Memory, .. }) => Cause::HistoryWithoutBound,
        Topic::History if other || missing => Cause::HistoryWrong,
        Topic::NoGap if other || missing => Cause::HistoryGap,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_another_order_is_told_from_another_list() {
        let cause = |got: &[u8]| {
            let problem = Problem::new("", Seen::Wrong(got.to_vec()));
            names_moved(&Problem { expected: b"here: ada, bob\n".to_vec(), ..problem })
        };
        assert_eq!(cause(b"here: bob, ada\n"), Some(Cause::NamesNotInOrder));
        assert_eq!(cause(b"here: bob, eve\n"), None);
        assert_eq!(cause(b"Taken\n"), None);
    }

    #[test]
    fn a_password_that_was_not_asked_for_is_told_from_a_server_that_is_silent() {
        let cause = |seen| by_topic(Topic::Password, &Problem::new("", seen));
        assert_eq!(cause(Seen::Wrong(b"You are ada\n".to_vec())), Some(Cause::PasswordNotChecked));
        assert_eq!(cause(Seen::Silence(Vec::new())), None);
    }
}
