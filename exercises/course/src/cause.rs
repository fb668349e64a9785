//! From what was seen to why: the classifier that picks one of the causes in `causes.rs`.
//!
//! The order matters. A program that has ended explains every silence; one that spins explains a late answer; then the subject of
//! the step may say it (`subject.rs`); only then do the bytes speak (`bytes.rs`).

use crate::{
    bytes,
    excess::Excess,
    life, load_subject,
    probe::{self, Call, Doing},
    problem::{Problem, Resource, Seen, Topic},
    rooms,
    stage::Stage,
    stop,
    student::{Exit, Student},
    subject,
    transcript::{show, thousands},
    wire::{Event, Record, Side},
    workers,
};
use std::{net::SocketAddr, time::Duration};

pub(crate) use crate::causes::Cause;

/// A cause, and what of this run shows it.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    /// Why.
    pub(crate) cause: Cause,
    /// Facts, one a line.
    pub(crate) facts: Vec<String>,
}

impl Cause {
    fn because(self, facts: impl IntoIterator<Item = String>) -> Diagnosis {
        Diagnosis { cause: self, facts: facts.into_iter().collect() }
    }
}

/// A process that breaks ends a moment after its connections.
const LAST_BREATH: Duration = Duration::from_millis(150);

/// Finds out why `problem` was seen on `stage`, whose program may still run.
pub(crate) fn diagnose(problem: &Problem, stage: &mut Stage) -> Diagnosis {
    if let Seen::Grader(error) = &problem.seen {
        return Cause::Grader.because([error.to_string()]);
    }
    if let Some(diagnosis) = before_bytes(problem, stage) {
        return diagnosis;
    }
    if stage.timing.is_up() {
        let sleeps = stage.student.as_ref().is_some_and(life::sleeps_by_the_clock);
        return waiting(stage, if sleeps { Cause::SleepsByTheClock } else { Cause::TooSlow });
    }
    let special = rooms::diagnose(problem).or_else(|| workers::diagnose(problem, stage));
    if let Some(diagnosis) = special.or_else(|| subject::diagnose(problem, stage)) {
        return diagnosis;
    }
    let record = stage.record.lock();
    if let Some(diagnosis) = measured(problem, stage) {
        return diagnosis;
    }
    match &problem.seen {
        Seen::Grader(_) | Seen::Exited => Cause::Exited.because([]),
        Seen::OtherExit { .. } => waiting(stage, Cause::RunsOn),
        Seen::ListensToo => Cause::PortShared.because([]),
        Seen::SignalIgnored(signal) => {
            let facts = waiting(stage, Cause::SignalIgnored).facts;
            Cause::SignalIgnored.because([format!("the signal was {signal}")].into_iter().chain(facts))
        }
        Seen::NobodyConnected(address) => {
            let facts = waiting(stage, Cause::NeverConnected).facts;
            Cause::NeverConnected.because([format!("it was told of {address}")].into_iter().chain(facts))
        }
        Seen::NotReady => waiting(stage, Cause::NotReady),
        Seen::BadReady(line) => bad_ready(line, stage),
        Seen::OtherAddress { told, said } => Cause::PortIgnored.because([format!("told {told}, said READY {said}")]),
        Seen::Refused => Cause::NotListening.because([]),
        Seen::Chatter(line) => Cause::StdoutChatter.because([format!("stdout has {}", show(line.as_bytes()))]),
        Seen::ThreadPanicked => Cause::Panicked.because([]),
        Seen::NotLogged(last) => {
            Cause::NotLogged.because([format!("the last line there is {}", show(last.as_bytes()))])
        }
        Seen::NotRead if problem.topic == Some(Topic::Oversize) => Cause::LineWithoutLimit.because([]),
        Seen::NotRead => waiting(stage, Cause::InputNotRead),
        Seen::StillOpen if is_upstream(problem, &record) => waiting(stage, Cause::NeverHalfClosed),
        Seen::StillOpen => waiting(stage, life::still_open(problem, stage, &record)),
        Seen::Wrong(got) => bytes::wrong(problem, got, &record),
        Seen::Extra(got) => bytes::extra(problem, got, &record),
        Seen::EarlyEnd(got) => bytes::early_end(problem, got, &record),
        Seen::Reset => reset(problem, &record),
        Seen::Silence(got) => silence(problem, got, stage, &record),
        // The others are numbers: see `measured`.
        _ => waiting(stage, Cause::Silence),
    }
}

fn bad_ready(line: &str, stage: &Stage) -> Diagnosis {
    // A whole line is told without its end.
    let whole = stage.student.as_ref().is_none_or(Student::has_said_a_line);
    let missing = (!whole).then(|| "the end of this line is missing".to_owned());
    let begins = format!("stdout begins with {}", show(line.as_bytes()));
    Cause::BadReady.because([begins].into_iter().chain(missing))
}

/// A number is not what it should be: of ticks, threads, places, lines.
fn measured(problem: &Problem, stage: &Stage) -> Option<Diagnosis> {
    Some(match &problem.seen {
        Seen::ServedBeyond { most } => {
            Cause::CountedTooLate.because([format!("this client is served, and {most} others are")])
        }
        Seen::TooSoon { took, least } => Cause::CheckThenAct.because([format!(
            "all of it took {} ms; one after the other, it takes {} ms",
            took.as_millis(),
            least.as_millis()
        )]),
        Seen::Ticks { got, due } => life::ticks(problem, *got, *due),
        Seen::Miscounted(line) => Cause::Miscounted.because([format!("in its place stands {}", show(line.as_bytes()))]),
        Seen::LateRefusal { quickest, call } => life::late_refusal(*quickest, *call),
        Seen::Late { median } => life::late(problem.topic, *median, stage),
        Seen::Stalled { usual, hurried } => life::stalled(*usual, *hurried),
        Seen::Wakeups { count } => {
            Cause::SleepsByTheClock.because([format!("it woke up {} times", thousands(*count as usize))])
        }
        Seen::Busy { spins, processor, waits, over } => {
            let sleeps = stage.student.as_ref().is_some_and(life::sleeps_by_the_clock);
            let found = busy(*spins, *processor, *waits, *over, sleeps);
            if problem.topic == Some(Topic::OutOfDescriptors) {
                return Some(Diagnosis { cause: Cause::AcceptSpins, ..found });
            }
            let polls = problem.topic == Some(Topic::EventLoop) && found.cause == Cause::Spinning;
            if polls { Diagnosis { cause: Cause::PollNeverWaits, ..found } } else { found }
        }
        Seen::Shape(ran) => ran.diagnosis(),
        Seen::SameProcess(id) => {
            Cause::SameProcess.because([format!("the process {} serves another client, or all", id.escape_ascii())])
        }
        Seen::LogFlood { lines } => Cause::LogFlood.because([format!("so far {} lines", thousands(*lines))]),
        Seen::Queue { wanted, got } => life::queue(*wanted, *got),
        Seen::Grew { what, from, to } => grew(problem.topic, life::keeps_stacks(problem, stage), *what, *from, *to),
        _ => return None,
    })
}

/// The causes that explain everything else: a program that took too much, has ended, or listens elsewhere.
fn before_bytes(problem: &Problem, stage: &mut Stage) -> Option<Diagnosis> {
    if let Some(excess) = stage.student.as_ref().and_then(Student::excess) {
        let cause = match excess {
            Excess::Processes(_) => Cause::ForksWithoutEnd,
            Excess::Memory(_) if problem.topic == Some(Topic::Outbox) => Cause::OutboxWithoutBound,
            Excess::Memory(_) if problem.topic == Some(Topic::BesideGreedy) => Cause::Starvation,
            Excess::Memory(_) => Cause::EatsMemory,
            Excess::Printed(_) => Cause::PrintsWithoutEnd,
        };
        return Some(cause.because([excess.fact()]));
    }
    // A program that asks ends when it has asked: that explains nothing.
    if let Some(diagnosis) = load_subject::diagnose(problem, stage) {
        return Some(diagnosis);
    }
    let known = stop::diagnose(problem, stage).or_else(|| life::diagnose(problem, stage));
    if let Some(diagnosis) = known.or_else(|| ended(stage)) {
        return Some(diagnosis);
    }
    if matches!(problem.seen, Seen::Refused | Seen::Reset)
        && let Some(addresses) = stage.listens_elsewhere()
    {
        // A connection that waited in the queue of a listener is reset when the listener is closed.
        return Some(Cause::NotListening.because([listening(&addresses)]));
    }
    None
}

/// It should have slept: did it go round in a loop, or look at a clock again and again?
fn busy(spins: bool, processor: Duration, waits: u64, over: Duration, sleeps: bool) -> Diagnosis {
    // One that never waits takes all that it gets, which may be little.
    let cause = match () {
        () if spins || processor > over / 2 || waits < 5 => Cause::Spinning,
        () if sleeps => Cause::SleepsByTheClock,
        () => Cause::BusyWhileIdle,
    };
    let (used, over) = (processor.as_millis(), over.as_millis());
    cause.because([format!("within {over} ms it used the processor for {used} ms, and was woken {waits} times")])
}

/// The program has ended: by what?
fn ended(stage: &mut Stage) -> Option<Diagnosis> {
    let student = stage.student.as_mut()?;
    let exit = student.exit(LAST_BREATH)?;
    student.hear_out(LAST_BREATH);
    let words = student.last_words(8);
    // Since Rust 1.73 the place and the message stand on two lines.
    let panic = words.iter().position(|line| line.contains("panicked at"));
    Some(match (exit, panic) {
        (Exit::Code(101), Some(at)) if words[at..].iter().any(|line| line.contains("failed to spawn thread")) => {
            Cause::ThreadsGrew.because(["the system gives it no more of them".to_owned()])
        }
        (Exit::Code(101), Some(at)) => Cause::Panicked.because(words[at..].iter().take(2).cloned()),
        (Exit::Signal(name), _) if name == "SIGPIPE" => Cause::KilledBySigpipe.because([]),
        (Exit::Signal(name), _) => Cause::Killed.because([format!("the signal is {name}")]),
        (Exit::Code(code), _) => Cause::Exited.because([format!("the exit code is {code}")]),
    })
}

/// `cause`, unless the program spins or was stopped; with what it does.
pub(crate) fn waiting(stage: &Stage, cause: Cause) -> Diagnosis {
    match stage.student.as_ref().map_or(Doing::Unknown, |student| probe::doing(student.id())) {
        Doing::Spinning => Cause::Spinning.because([]),
        Doing::Stopped => Cause::Stopped.because([]),
        Doing::Sleeping(call) => cause.because([format!("meanwhile your program sleeps in {}", call.name())]),
        Doing::Zombie | Doing::Unknown => cause.because([]),
    }
}

fn listening(addresses: &[SocketAddr]) -> String {
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    if list.is_empty() { "it listens nowhere".into() } else { format!("it listens at {}", list.join(", ")) }
}

fn grew(topic: Option<Topic>, keeps_stacks: bool, what: Resource, from: u64, to: u64) -> Diagnosis {
    let cause = match what {
        Resource::Memory if keeps_stacks => Cause::StacksKept,
        _ if topic == Some(Topic::Oversize) => Cause::LineWithoutLimit,
        _ if topic == Some(Topic::NeverReads) => Cause::NeverGivesUp,
        Resource::Descriptors => Cause::DescriptorsGrew,
        Resource::Threads => Cause::ThreadsGrew,
        Resource::Memory => Cause::MemoryGrew,
        Resource::Zombies => Cause::ZombieChildren,
    };
    let unit = if what == Resource::Memory { " KiB" } else { "" };
    let number = |count: u64| thousands(usize::try_from(count).unwrap_or(usize::MAX));
    cause.because([format!("before {}{unit}, now {}{unit}", number(from), number(to))])
}

/// A reset: because input was left unread, or on purpose?
fn reset(problem: &Problem, record: &Record) -> Diagnosis {
    let sent = problem.client.map_or(0, |client| {
        let sizes = record.of(client).map(|event| if let Event::Sent(bytes) = event { bytes.len() } else { 0 });
        sizes.sum::<usize>()
    });
    if sent == 0 {
        return Cause::Reset.because([]);
    }
    Cause::ResetUnreadInput.because([format!("the client had sent {} bytes by then", thousands(sent))])
}

/// Whether it is about a connection to a server of ours.
fn is_upstream(problem: &Problem, record: &Record) -> bool {
    problem.client.is_some_and(|connection| record.side(connection) == Side::Upstream)
}

fn silence(problem: &Problem, got: &[u8], stage: &Stage, record: &Record) -> Diagnosis {
    if !got.is_empty() {
        return bytes::cut_short(problem, got);
    }
    let suspected = waiting(stage, Cause::Silence);
    if suspected.cause != Cause::Silence {
        return suspected;
    }
    if is_upstream(problem, record) {
        return Diagnosis { cause: Cause::NotPassedOn, ..suspected };
    }
    if let Some(deadlock) = life::deadlock(problem, stage) {
        return deadlock;
    }
    let greeted =
        problem.client.is_some_and(|client| record.of(client).any(|event| matches!(event, Event::Received(_))));
    let accepting = suspected.facts.iter().any(|fact| fact.ends_with(Call::Accept.name()));
    let behind = !greeted && problem.client.is_some_and(|client| client > 1);
    let reading = if behind { life::threads_that_read(stage) } else { None };
    let cause = match problem.topic {
        Some(Topic::AfterGoodbye) => Cause::DrainWithoutEnd,
        Some(Topic::SeveralLines | Topic::AfterOversize | Topic::Pause) => Cause::BytesDropped,
        Some(Topic::Oversize) => Cause::LineWithoutLimit,
        // The work that should have been refused is done.
        Some(Topic::Number) if life::works(stage) => Cause::NumberNotChecked,
        Some(Topic::Limit) if life::works(stage) => Cause::LimitOffByOne,
        Some(Topic::HalfClosed) => Cause::AnswersLostAtHalfClose,
        Some(Topic::Full) => life::not_told(stage),
        Some(Topic::AfterRefusal) => {
            return life::after_refusal(stage.student.as_ref().and_then(life::first_sleeps_in));
        }
        Some(Topic::QueueFull) if accepting => Cause::QueueWithoutBound,
        Some(Topic::QueueFull) => Cause::BusyNotTold,
        Some(Topic::WorkerLost) => Cause::WorkerLost,
        Some(Topic::NotFull) if stage.student.as_ref().is_some_and(life::waits_for_a_thread) => Cause::WorkerNotWoken,
        _ if problem.expected == b"\n" || problem.expected == b"\r\n" => Cause::EmptyLine,
        _ if accepting && stage.amount(Resource::Threads) == Some(1) => Cause::ForgottenConnection,
        _ if stage.student.as_ref().is_some_and(life::sleeps_by_the_clock) => Cause::SleepsByTheClock,
        _ if behind && reading.is_none() => Cause::BlockedBehindClient,
        _ => Cause::Silence,
    };
    let mut facts = suspected.facts;
    facts.extend(forgotten_at(cause, stage));
    if cause == Cause::BlockedBehindClient
        && let Some(first) = problem.client.and_then(|client| before(client, record))
    {
        facts.insert(0, format!("client {first} came before it, and is still there"));
    }
    if let Some(count) = reading {
        facts.push(format!("{count} threads sleep in read, one for each client: they wait for more"));
    }
    Diagnosis { cause, facts }
}

/// Where else the program listens that has forgotten a connection.
fn forgotten_at(cause: Cause, stage: &Stage) -> Option<String> {
    let elsewhere = stage.student.as_ref().and_then(|student| probe::listening(student.id())).unwrap_or_default();
    let is_it = cause == Cause::ForgottenConnection && elsewhere.len() > 1;
    is_it.then(|| format!("{}: does it accept where it said READY?", listening(&elsewhere)))
}

/// The first client before this one that is still connected.
fn before(client: usize, record: &Record) -> Option<usize> {
    let gone = |event: &Event| matches!(event, Event::Closed | Event::Aborted | Event::Ended | Event::Reset);
    record.clients().take_while(|other| *other < client).find(|other| !record.of(*other).any(gone))
}
