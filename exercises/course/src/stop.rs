//! The mistakes that the end of a program gives away: it was told to stop, and ended too early, too late, or without a word.

use crate::{
    cause::{Cause, Diagnosis, waiting},
    problem::{Problem, Seen, Topic},
    stage::Stage,
    student::Exit,
    transcript::show,
};
use std::time::Duration;

/// A process that ends does so a moment after its connections.
const LAST_BREATH: Duration = Duration::from_millis(150);

/// The cause, if the step was about a stop. That the program has ended is no explanation here: it should.
pub(crate) fn diagnose(problem: &Problem, stage: &mut Stage) -> Option<Diagnosis> {
    let topic = problem.topic.filter(|topic| is_about_a_stop(*topic))?;
    if let Seen::CutOff { grace, after, ignored } = &problem.seen {
        return Some(other_grace(*grace, *after, *ignored));
    }
    let exit = stage.student.as_mut().and_then(|student| student.exit(LAST_BREATH));
    let of = |cause: Cause, fact: Option<String>| Some(Diagnosis { cause, facts: fact.into_iter().collect() });
    match (&problem.seen, &exit) {
        (_, Some(Exit::Code(101))) => return None,
        (_, Some(Exit::Signal(name))) if name == "SIGTERM" || name == "SIGINT" => {
            return of(Cause::SignalNotCaught, Some(format!("the signal is {name}")));
        }
        (_, Some(Exit::Signal(_))) => return None,
        (Seen::OtherExit { code: wanted }, Some(Exit::Code(code))) if code != wanted => {
            return of(Cause::ExitCode, Some(format!("the exit code is {code}, and it was asked to end: that is 0")));
        }
        (Seen::NotLogged(last), _) => {
            let last = format!("the last line there is {}", show(last.as_bytes()));
            return of(Cause::NotLogged, Some(last));
        }
        (Seen::Reset, _) if problem.expected.is_empty() || topic == Topic::CommandAtStop => {
            return of(Cause::ResetUnreadInput, None);
        }
        _ => {}
    }
    let cause = by_topic(topic, &problem.seen)?;
    Some(match (&problem.seen, exit) {
        (Seen::Wrong(got) | Seen::Extra(got), _) => {
            Diagnosis { cause, facts: vec![format!("what came is {}", show(got))] }
        }
        (Seen::OtherExit { .. }, Some(_)) => {
            Diagnosis { cause, facts: vec!["it has ended in the meantime, too late".to_owned()] }
        }
        (_, Some(Exit::Code(code))) => {
            Diagnosis { cause, facts: vec![format!("your program has ended already, with exit code {code}")] }
        }
        _ => waiting(stage, cause),
    })
}

fn other_grace(grace: Duration, after: Option<Duration>, ignored: bool) -> Diagnosis {
    let after =
        after.map_or("were not cut off".to_owned(), |after| format!("were cut off after {} ms", after.as_millis()));
    let fact = format!("with --grace {} they {after}", grace.as_millis());
    Diagnosis { cause: if ignored { Cause::FlagIgnored } else { Cause::GraceNotKept }, facts: vec![fact] }
}

fn is_about_a_stop(topic: Topic) -> bool {
    use Topic::{CommandAtStop, Grace, LastLine, NewAtStop, SilentAtStop, Stop, WaitsAtStop};
    matches!(topic, Stop | CommandAtStop | SilentAtStop | NewAtStop | WaitsAtStop | Grace | LastLine)
}

fn by_topic(topic: Topic, seen: &Seen) -> Option<Cause> {
    let runs_on = matches!(seen, Seen::OtherExit { .. });
    Some(match topic {
        Topic::SilentAtStop if matches!(seen, Seen::Wrong(_) | Seen::Extra(_)) => Cause::ExtraBytes,
        Topic::SilentAtStop => Cause::WaitsForSilentClients,
        Topic::CommandAtStop | Topic::LastLine if runs_on => Cause::RunsOnAfterStop,
        Topic::CommandAtStop if matches!(seen, Seen::StillOpen) => Cause::StillOpen,
        Topic::CommandAtStop => Cause::AnswerLostAtStop,
        Topic::NewAtStop => Cause::AcceptsWhileStopping,
        Topic::WaitsAtStop => Cause::QueueForgottenAtStop,
        Topic::Grace => Cause::GraceNotKept,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steps_about_a_stop_are_judged_here() {
        let silence = Seen::Silence(Vec::new());
        assert_eq!(by_topic(Topic::CommandAtStop, &silence), Some(Cause::AnswerLostAtStop));
        assert_eq!(by_topic(Topic::CommandAtStop, &Seen::OtherExit { code: 0 }), Some(Cause::RunsOnAfterStop));
        assert_eq!(by_topic(Topic::SilentAtStop, &Seen::StillOpen), Some(Cause::WaitsForSilentClients));
        let grace = Duration::from_millis(120);
        assert_eq!(other_grace(grace, None, false).cause, Cause::GraceNotKept);
        let ignored = other_grace(grace, Some(Duration::from_millis(5003)), true);
        assert_eq!(ignored.cause, Cause::FlagIgnored);
        assert_eq!(ignored.facts, ["with --grace 120 they were cut off after 5003 ms"]);
        assert!(!is_about_a_stop(Topic::Turn) && is_about_a_stop(Topic::Grace));
    }
}
