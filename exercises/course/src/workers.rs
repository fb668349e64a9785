//! The mistakes of a loop and its workers, which nobody makes with one thread: a result that does not arrive, or elsewhere.

use crate::{
    cause::{Cause, Diagnosis, waiting},
    life,
    probe::{self, Call, Doing},
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
    student::Student,
    transcript::show,
    wire::{Event, Record},
};

/// The cause, if the step was about work that others do.
pub(crate) fn diagnose(problem: &Problem, stage: &Stage) -> Option<Diagnosis> {
    let (topic, seen) = (problem.topic?, &problem.seen);
    let of = |cause: Cause, fact: String| Some(Diagnosis { cause, facts: vec![fact] });
    match (topic, seen) {
        (Topic::Result | Topic::Stale | Topic::InOrder, Seen::Wrong(got) | Seen::Extra(got)) => {
            let record = stage.record.lock();
            if let Some((other, gone)) = problem.client.and_then(|client| asked_for(client, got, &record)) {
                let cause = if gone { Cause::StaleResult } else { Cause::WrongClientAnswered };
                let gone = if gone { ", and is gone" } else { "" };
                return of(cause, format!("client {other} had asked for {}{gone}", show(got)));
            }
            let known: Vec<&[u8]> = problem.expected.split_inclusive(|byte| *byte == b'\n').collect();
            let moved =
                topic == Topic::InOrder && got.split_inclusive(|byte| *byte == b'\n').all(|line| known.contains(&line));
            if moved { of(Cause::OrderBroken, format!("what came is {}", show(got))) } else { None }
        }
        (Topic::Unwoken, Seen::Silence(_)) => {
            of(Cause::LoopNotWoken, "as soon as another client was heard, the result came".to_owned())
        }
        (Topic::Result, Seen::Silence(got)) if got.is_empty() && loop_sleeps(stage) => {
            let question = "was the work handed to a worker, and does its result wake the loop?";
            of(Cause::LoopNotWoken, format!("the loop sleeps in poll: {question}"))
        }
        (Topic::Result, Seen::Late { median }) => {
            of(Cause::LoopNotWoken, format!("half of the results came later than {} ms", median.as_millis()))
        }
        (_, Seen::Wrong(got)) => {
            let facts = format!("wanted {}, and what came is {}", show(&problem.expected), show(got));
            of(by_spread(topic, got)?, facts)
        }
        (Topic::BusyWorker, Seen::Silence(_)) if stage.student.as_ref().is_some_and(life::waits_for_a_thread) => of(
            Cause::BlockedBehindClient,
            format!("a worker sleeps in {}: the busy one holds a lock that others need", Call::Lock.name()),
        ),
        (Topic::BusyWorker, Seen::Silence(_)) => Some(waiting(stage, Cause::BusyWorkerPicked)),
        (Topic::DispatcherWaits, Seen::Silence(_)) => Some(waiting(stage, Cause::DispatcherWaits)),
        (Topic::HandedOver | Topic::DispatcherWaits, Seen::EarlyEnd(_) | Seen::Reset)
        | (Topic::HandedOver, Seen::Silence(_)) => Some(waiting(stage, Cause::DroppedAtHandover)),
        (Topic::OthersWorker, Seen::EarlyEnd(_) | Seen::Reset | Seen::Silence(_)) => {
            Some(waiting(stage, Cause::CrashSpreads))
        }
        (Topic::Replaced, Seen::EarlyEnd(_) | Seen::Reset | Seen::Silence(_)) => {
            Some(waiting(stage, Cause::WorkerLost))
        }
        (Topic::ReadsOn, _) => of(Cause::ReadsOn, "the bytes that it sent meanwhile have left the kernel".to_owned()),
        (Topic::BesideWork, Seen::Silence(_) | Seen::NotRead) => Some(waiting(stage, Cause::WorkInTheLoop)),
        (Topic::InOrder, Seen::Silence(got)) if !got.is_empty() => Some(waiting(stage, Cause::LinesLeftBehind)),
        _ => None,
    }
}

/// Clients went to other workers than they should.
fn by_spread(topic: Topic, got: &[u8]) -> Option<Cause> {
    Some(match topic {
        Topic::InTurn => Cause::NotInTurn,
        Topic::Equals if is_for_one(got) => Cause::FirstOfEquals,
        Topic::Equals => Cause::EqualsByChance,
        Topic::Least => Cause::NotTheLeast,
        Topic::Burst => Cause::CountedTooLate,
        _ => return None,
    })
}

/// Whether one worker has more than half of all clients, by their numbers.
fn is_for_one(numbers: &[u8]) -> bool {
    let text = String::from_utf8_lossy(numbers);
    let numbers: Vec<usize> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
    numbers.iter().any(|number| 2 * number > numbers.iter().sum())
}

/// Whether there are several threads, and the first one sleeps in poll.
fn loop_sleeps(stage: &Stage) -> bool {
    let polls = |student: &Student| probe::doing(student.id()) == Doing::Sleeping(Call::Poll);
    stage.amount(Resource::Threads).is_some_and(|threads| threads > 1) && stage.student.as_ref().is_some_and(polls)
}

/// Another client that asked for the result that begins these bytes, and whether it is gone.
fn asked_for(client: usize, got: &[u8], record: &Record) -> Option<(usize, bool)> {
    let text = got.split(|byte| *byte == b'\n').next()?.strip_prefix(b"done ")?;
    let asked = |other: usize| {
        let sent = record.sent_by(other);
        sent.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"WORK ") && line.ends_with(text))
    };
    let gone = |other: usize| record.of(other).any(|event| matches!(event, Event::Closed | Event::Aborted));
    let other = record.clients().find(|other| *other != client && asked(*other))?;
    (!asked(client)).then(|| (other, gone(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_with_most_clients_is_told_from_chance() {
        assert!(is_for_one(b"201 0 0 0") && is_for_one(b"0 150 0 51"));
        assert!(!is_for_one(b"47 65 49 40") && !is_for_one(b"90 90 20 1"));
    }

    #[test]
    fn a_result_is_known_by_the_text_of_the_client_that_asked() {
        let mut record = Record::new(false);
        for sent in [&b"WORK 1 amber\n"[..], b"WORK 1 birch\n", b"WORK 1 cedar\n"] {
            let client = record.client();
            record.note(client, Event::Sent(sent.to_vec()));
        }
        record.note(3, Event::Closed);
        assert_eq!(asked_for(1, b"done birch\n", &record), Some((2, false)));
        assert_eq!(asked_for(1, b"done cedar\nmore\n", &record), Some((3, true)));
        assert_eq!(asked_for(1, b"done amber\n", &record), None);
        assert_eq!(asked_for(1, b"failed\n", &record), None);
    }
}
