//! The mistakes of load testers, which the numbers in their report give away.
//!
//! The grader is the server, so it knows between which bounds each time must lie; a time beyond them cannot have been measured.

use crate::{
    cause::{Cause, Diagnosis, waiting},
    problem::{Problem, Seen, Topic},
    stage::Stage,
    student::Exit,
    transcript::show,
};

/// The subject of a step of a check of a load tester.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// The form of its report.
    Form,
    /// Requests that are answered at once.
    Plain,
    /// The ranks of times that are far apart.
    Ranks,
    /// Answers that are wrong, and answers in pieces.
    WrongAnswers,
    /// Connections that end before the answer.
    Broken,
    /// Answers that do not come in time.
    Timeouts,
    /// There is no server.
    NoServer,
    /// Requests that are due at fixed times.
    Pace,
    /// The same, and the server is late.
    Late,
}

/// The requests of a run, by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All of them.
    pub(crate) requests: u64,
    /// With the right answer.
    pub(crate) answered: u64,
    /// Without a connection.
    pub(crate) refused: u64,
    /// With the end of their connection.
    pub(crate) ended: u64,
    /// Without an answer in time.
    pub(crate) timeout: u64,
    /// With another answer.
    pub(crate) wrong: u64,
}

impl Tally {
    /// The names in the report, with their numbers.
    pub(crate) fn lines(self) -> [(&'static str, u64); 6] {
        let Self { requests, answered, refused, ended, timeout, wrong } = self;
        [
            ("requests", requests),
            ("answered", answered),
            ("refused", refused),
            ("ended", ended),
            ("timeout", timeout),
            ("wrong", wrong),
        ]
    }

    /// Those that are not zero, as a report has them.
    fn text(self) -> String {
        let lines = self.lines().into_iter().filter(|(name, number)| *number > 0 || *name == "requests");
        lines.map(|(name, number)| format!("{name} {number}")).collect::<Vec<_>>().join(", ")
    }
}

/// A number of a report, and the bounds between which it must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    /// The line, such as `latency`.
    pub(crate) line: &'static str,
    /// Which number in it, such as `p90`.
    pub(crate) name: &'static str,
    /// At least, and at most.
    pub(crate) bounds: [f64; 2],
    /// The number in the report.
    pub(crate) got: f64,
    /// The bounds of all times of that run.
    pub(crate) all: [f64; 2],
}

/// The cause, if the step was about a load tester and its numbers are enough to tell it.
pub(crate) fn diagnose(problem: &Problem, stage: &mut Stage) -> Option<Diagnosis> {
    let Some(Topic::Load(load)) = problem.topic else { return None };
    if let Seen::OtherExit { code: wanted } = &problem.seen {
        return other_exit(load, *wanted, stage);
    }
    let (cause, fact) = match &problem.seen {
        Seen::Wrong(got) if load == Load::Form => {
            (Cause::NotTheReport, format!("wanted {}, got {}", show(&problem.expected), show(got)))
        }
        Seen::Wrong(got) => (Cause::WrongRequests, format!("what came is {}", show(got))),
        Seen::Counted { wanted, got } => (by_counts(load, wanted, got), compared(wanted, got)),
        Seen::Figure(figure) => (by_figure(load, figure), told(figure)),
        Seen::ThreadPanicked => (Cause::Panicked, "one of its threads has, and the report is without it".to_owned()),
        Seen::Asked { number, times: 0 } => (Cause::WrongRequests, format!("request {number} never came")),
        Seen::Asked { number, times } => (Cause::WrongRequests, format!("request {number} came {times} times")),
        Seen::Together(most) => {
            (Cause::ClientsTakeTurns, format!("at most {most} requests were under way at the same time"))
        }
        Seen::Connections(count) => (Cause::ConnectionForEachRequest, format!("it made {count} connections")),
        Seen::Early { number, after } => {
            let after = after.as_millis();
            (Cause::SentTooEarly, format!("request {number} came {after} ms after your program was started"))
        }
        Seen::Reused { number } => {
            let fact = format!("request {number} came on the connection of one that had failed");
            (Cause::KeptAfterFailure, fact)
        }
        _ => return None,
    };
    Some(Diagnosis { cause, facts: vec![fact] })
}

/// It has not ended, or not with the code that it should have.
fn other_exit(load: Load, wanted: i32, stage: &mut Stage) -> Option<Diagnosis> {
    match stage.student.as_mut().and_then(|student| student.exit(std::time::Duration::ZERO)) {
        Some(Exit::Code(code)) if code != 101 && code != wanted => {
            let facts = vec![format!("the exit code is {code}, and it should be {wanted}")];
            Some(Diagnosis { cause: Cause::ExitCode, facts })
        }
        Some(Exit::Code(code)) if code == wanted => {
            let facts = vec!["it has ended in the meantime, too late".to_owned()];
            Some(Diagnosis { cause: Cause::RunNeverEnds, facts })
        }
        Some(_) => None,
        None if load == Load::Timeouts => Some(waiting(stage, Cause::NoTimeout)),
        None => Some(waiting(stage, Cause::RunNeverEnds)),
    }
}

fn compared(wanted: &Tally, got: &Tally) -> String {
    format!("the server saw: {}. The report: {}", wanted.text(), got.text())
}

fn told(figure: &Figure) -> String {
    let Figure { line, name, bounds: [least, most], got, .. } = figure;
    let (name, unit) = if *line == "throughput" { ("", "") } else { (*name, " ms") };
    let name = format!("{line} {name}");
    let name = name.trim_end();
    format!("{name} is {got:.1}{unit} in the report; as the server saw it, it is {least:.1} to {most:.1}{unit}")
}

/// Requests ended under other names than they should.
fn by_counts(load: Load, wanted: &Tally, got: &Tally) -> Cause {
    let sum = got.answered + got.refused + got.ended + got.timeout + got.wrong;
    match load {
        _ if got.requests != wanted.requests || sum != got.requests => Cause::RequestsNotCounted,
        Load::WrongAnswers if got.answered > wanted.answered => Cause::AnswerNotCompared,
        _ if got.answered > wanted.answered => Cause::FailureTakenForAnswer,
        Load::WrongAnswers if got.answered < wanted.answered => Cause::ReadTakenForAnswer,
        // One of them was an answer that never ended, until the server ended it.
        Load::Timeouts if (1..wanted.timeout).contains(&got.timeout) && got.ended > wanted.ended => {
            Cause::AnswerWithoutDeadline
        }
        _ if got.answered < wanted.answered => Cause::AnswersNotCounted,
        _ => Cause::FailureMisnamed,
    }
}

/// A number cannot be what the report says.
fn by_figure(load: Load, figure: &Figure) -> Cause {
    let Figure { line, bounds: [least, most], got, all, .. } = *figure;
    match load {
        _ if line == "throughput" => Cause::WrongThroughput,
        Load::Ranks if all[0] <= got && got <= all[1] => Cause::WrongPercentile,
        Load::WrongAnswers | Load::Broken | Load::Timeouts if got > most => Cause::FailuresInTimes,
        Load::Pace | Load::Late if line == "latency" && got < least => Cause::CoordinatedOmission,
        Load::Late if line == "service" && got > most => Cause::ServiceFromDue,
        _ => Cause::WrongTimes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(line: &'static str, bounds: [f64; 2], got: f64) -> Figure {
        Figure { line, name: "p90", bounds, got, all: [0.0, 60.0] }
    }

    #[test]
    fn a_time_that_cannot_be_is_told_by_what_the_run_was_about() {
        let low = figure("latency", [300.0, 350.0], 2.0);
        assert_eq!(by_figure(Load::Late, &low), Cause::CoordinatedOmission);
        assert_eq!(by_figure(Load::Plain, &low), Cause::WrongTimes);
        assert_eq!(by_figure(Load::Ranks, &low), Cause::WrongPercentile);
        assert_eq!(by_figure(Load::Ranks, &figure("latency", [5.0, 7.0], 6000.0)), Cause::WrongTimes);
        assert_eq!(by_figure(Load::Late, &figure("service", [0.0, 20.0], 300.0)), Cause::ServiceFromDue);
        assert_eq!(by_figure(Load::Broken, &figure("latency", [0.0, 20.0], 40.0)), Cause::FailuresInTimes);
        assert_eq!(by_figure(Load::Broken, &figure("throughput", [0.0, 20.0], 40.0)), Cause::WrongThroughput);
    }

    #[test]
    fn counts_are_compared_before_they_are_named() {
        let wanted = Tally { requests: 10, answered: 8, ended: 2, ..Tally::default() };
        let cause = |got: Tally| by_counts(Load::Broken, &wanted, &got);
        assert_eq!(cause(Tally { requests: 10, answered: 8, ..Tally::default() }), Cause::RequestsNotCounted);
        assert_eq!(cause(Tally { requests: 10, answered: 10, ..Tally::default() }), Cause::FailureTakenForAnswer);
        assert_eq!(cause(Tally { requests: 10, answered: 8, wrong: 2, ..Tally::default() }), Cause::FailureMisnamed);
        assert_eq!(cause(Tally { requests: 8, answered: 8, ..Tally::default() }), Cause::RequestsNotCounted);
    }
}
