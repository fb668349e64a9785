//! The mistakes that the life of a program gives away: how it started, that it ended, what it does with its listener.

use crate::{
    cause::{Cause, Diagnosis},
    probe::{self, Call, Doing},
    problem::{Problem, Seen, Topic},
    stage::Stage,
    student::{Exit, Student},
    transcript::show,
    wire::Record,
};

fn of(cause: Cause, facts: impl IntoIterator<Item = String>) -> Option<Diagnosis> {
    Some(Diagnosis { cause, facts: facts.into_iter().collect() })
}

/// A diagnosis that needs no look at bytes. `None`: nothing.
pub(crate) fn diagnose(problem: &Problem, stage: &mut Stage) -> Option<Diagnosis> {
    let exit = match &problem.seen {
        Seen::OtherExit { .. } | Seen::Exited => stage.student.as_mut().and_then(ended),
        _ => None,
    };
    if let Seen::Ticks { .. } | Seen::NotLogged(_) | Seen::Miscounted(_) = &problem.seen
        && let Some(line) = stage.student.as_ref().and_then(Student::chatter)
    {
        // It was said, in the wrong place.
        return of(Cause::StdoutChatter, [format!("stdout has {}", show(line.as_bytes()))]);
    }
    if let (Seen::NotLogged(_), Some(panic)) = (&problem.seen, stage.student.as_ref().and_then(panic)) {
        return panicked(panic);
    }
    if says_poisoned(problem, stage) {
        return of(Cause::LockPoisoned, []);
    }
    // Of servers of HTTP and of load testers, more is known.
    if !matches!(problem.topic, Some(Topic::Web(_) | Topic::Load(_)))
        && let Some(diagnosis) = panicked_instead(problem, stage)
    {
        return Some(diagnosis);
    }
    match (&problem.seen, exit, problem.topic) {
        (_, Some(Exit::Code(101) | Exit::Signal(_)), _) => None,
        (Seen::OtherExit { code: wanted }, Some(Exit::Code(code)), _) => {
            of(Cause::ExitCode, [format!("the exit code is {code}, and {wanted} would say why")])
        }
        (Seen::Exited, Some(Exit::Code(code)), Some(Topic::Restart)) if code == 3 || says(stage, "in use") => {
            of(Cause::NoReuseAddress, [])
        }
        (Seen::Exited, Some(Exit::Code(code)), Some(Topic::Ipv6)) => {
            of(Cause::AddressFamily, [format!("the exit code is {code}")])
        }
        (Seen::Chatter(line), _, Some(Topic::Refusal)) => {
            of(Cause::StdoutChatter, [format!("stdout has {}", show(line.as_bytes()))])
        }
        (Seen::NotLogged(_), _, Some(Topic::Refusal)) => of(Cause::NotLogged, []),
        (Seen::EarlyEnd(got), ..)
            if got.is_empty() && problem.topic.is_none() && says_last(stage, WOULD_BLOCK) && goes_on(stage) =>
        {
            of(Cause::TimeoutTakenForEnd, [])
        }
        (Seen::EarlyEnd(_) | Seen::Reset, _, Some(Topic::OutOfDescriptors)) if goes_on(stage) => {
            let fact = "this client was closed in place of waiting in the kernel's queue until a descriptor is free";
            of(Cause::EarlyEnd, [fact.to_owned()])
        }
        (Seen::Silence(_), _, Some(Topic::OutOfDescriptors)) => accept_loop(stage),
        _ => None,
    }
}

/// How the program ended, when all of its last words are there: they may say why.
fn ended(student: &mut Student) -> Option<Exit> {
    let exit = student.exit(LAST_BREATH)?;
    student.hear_out(LAST_BREATH);
    Some(exit)
}

/// EAGAIN, in the words of std: a read gave up.
const WOULD_BLOCK: &str = "Resource temporarily unavailable";

/// A process that breaks ends a moment after its connections.
const LAST_BREATH: std::time::Duration = std::time::Duration::from_millis(150);

/// Whether the program's last words are about that. A line of what it did for the client may stand behind them.
fn says_last(stage: &Stage, text: &str) -> bool {
    stage.student.as_ref().is_some_and(|student| student.last_words(2).iter().any(|line| line.contains(text)))
}

fn says(stage: &Stage, text: &str) -> bool {
    stage.student.as_ref().is_some_and(|student| student.last_words(8).iter().any(|line| line.contains(text)))
}

/// The place and the message of a thread that has panicked, though no client asked for it.
pub(crate) fn panic(student: &Student) -> Option<[String; 2]> {
    let lines = student.log(|_| true);
    let at = lines.windows(2).find(|pair| pair[0].contains("panicked at") && pair[1] != "a client asked for it")?;
    Some([at[0].clone(), at[1].clone()])
}

/// A thread that has panicked, and the program went on.
fn panicked(words: [String; 2]) -> Option<Diagnosis> {
    of(Cause::Panicked, ["a thread has, and the program went on:".to_owned()].into_iter().chain(words))
}

/// The end of a connection, or a silence, in which a thread of the program has panicked. Its words may come a moment after the end.
fn panicked_instead(problem: &Problem, stage: &mut Stage) -> Option<Diagnosis> {
    let within = match &problem.seen {
        Seen::EarlyEnd(_) | Seen::Reset | Seen::ThreadPanicked => LAST_BREATH,
        Seen::Silence(_) | Seen::StillOpen | Seen::NotRead | Seen::Grew { .. } => std::time::Duration::ZERO,
        _ => return None,
    };
    let student = stage.student.as_ref()?;
    student.logs(|line| line.contains("panicked at"), within);
    // If it was the first thread, the program has ended.
    let words = panic(student).filter(|_| goes_on(stage))?;
    match &problem.seen {
        Seen::EarlyEnd(_) | Seen::Reset => of(Cause::HandlerPanicked, words),
        _ => panicked(words),
    }
}

/// Whether the program has not ended, not even a moment after its connections.
fn goes_on(stage: &mut Stage) -> bool {
    stage.student.as_mut().is_some_and(|student| student.exit(LAST_BREATH).is_none())
}

/// Whether a lock was found poisoned. The words of a thread that panics may come a moment after the end of its connection.
fn says_poisoned(problem: &Problem, stage: &Stage) -> bool {
    let ended = matches!(problem.seen, Seen::EarlyEnd(_) | Seen::Reset | Seen::ThreadPanicked);
    let within = if ended { LAST_BREATH } else { std::time::Duration::ZERO };
    stage.student.as_ref().is_some_and(|student| student.logs(|line| line.contains("PoisonError"), within))
}

/// No client is accepted although something was closed: does the loop still run?
fn accept_loop(stage: &mut Stage) -> Option<Diagnosis> {
    let student = stage.student.as_mut()?;
    if student.exit(LAST_BREATH).is_some() {
        return None;
    }
    match probe::doing(student.id()) {
        // In this exercise the first thread accepts, and all others serve a client each.
        Doing::Spinning if probe::first_runs(student.id()) => of(Cause::AcceptSpins, []),
        Doing::Spinning => {
            of(Cause::Spinning, ["the thread of a client does, and not the one that accepts".to_owned()])
        }
        Doing::Sleeping(_) if has_no_descriptor_left(student.id()) => {
            of(Cause::DescriptorsGrew, ["clients have closed, and all descriptors are still in use".to_owned()])
        }
        Doing::Sleeping(Call::Sleep) => of(Cause::RestsTooLong, []),
        Doing::Sleeping(Call::Accept) => of(Cause::RestsTooLong, ["it accepts again by now, too late".to_owned()]),
        Doing::Sleeping(call) => of(Cause::AcceptEnded, [format!("your main thread sleeps in {}", call.name())]),
        _ => None,
    }
}

fn has_no_descriptor_left(id: u32) -> bool {
    probe::descriptor_limit(id).zip(probe::descriptors(id)).is_some_and(|(most, now)| now >= most)
}

/// The connection is open although it should have ended: who has it?
pub(crate) fn still_open(problem: &Problem, stage: &Stage, record: &Record) -> Cause {
    let told = |client| !record.received_by(client).is_empty();
    let childless = stage.student.as_ref().is_some_and(|student| probe::living_children(student.id()) == Some(0));
    match problem.topic {
        Some(Topic::ChildEnded) if childless => Cause::ParentKeepsSocket,
        Some(Topic::Full) if !problem.client.is_some_and(told) => not_told(stage),
        Some(Topic::WorkerLost) => Cause::WorkerLost,
        _ => Cause::StillOpen,
    }
}

/// One client too many was not told: was it taken?
pub(crate) fn not_told(stage: &Stage) -> Cause {
    let served = |student: &Student| {
        let threads = probe::threads(student.id()).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        // The first thread serves nobody: it accepts.
        threads.saturating_sub(1).max(probe::living_children(student.id()).unwrap_or(0))
    };
    // Every client has a connection and is served; the last one makes it more than there may be.
    if stage.student.as_ref().is_some_and(|student| served(student) >= stage.connections()) {
        Cause::NoLimit
    } else {
        Cause::BusyNotTold
    }
}

/// The number of threads that wait for bytes, if there is one for each client: then no client waits behind another.
pub(crate) fn threads_that_read(stage: &Stage) -> Option<usize> {
    let student = stage.student.as_ref()?;
    let count = probe::calls(student.id()).iter().filter(|call| **call == Call::Read).count();
    (count >= stage.connections()).then_some(count)
}

/// Whether a thread sleeps for a time, and none waits for clients.
pub(crate) fn sleeps_by_the_clock(student: &Student) -> bool {
    let calls = probe::calls(student.id());
    calls.contains(&Call::Sleep) && !calls.iter().any(|call| matches!(call, Call::Accept | Call::Poll))
}

/// Whether a thread works for a client: in the exercises work is sleep.
pub(crate) fn works(stage: &Stage) -> bool {
    stage.student.as_ref().is_some_and(|student| probe::calls(student.id()).contains(&Call::Sleep))
}

/// Whether a thread beside the first one waits for another: for a client in a queue, or for a lock.
pub(crate) fn waits_for_a_thread(student: &Student) -> bool {
    probe::calls(student.id()).iter().skip(1).any(|call| *call == Call::Lock)
}

/// How often it woke up so far.
pub(crate) fn wakeups(student: &Student) -> Option<u64> {
    probe::sleeps(student.id())
}

/// It ticked too seldom, or too often.
pub(crate) fn ticks(problem: &Problem, got: usize, due: usize) -> Diagnosis {
    let cause = match problem.topic {
        _ if got > due => Cause::TicksTooOften,
        Some(Topic::Crowd) => Cause::TickPutOff,
        _ if got > 0 => Cause::TicksTooSeldom,
        _ => Cause::NoTick,
    };
    Diagnosis { cause, facts: vec![format!("{got} came, and {due} were due")] }
}

/// Answers come late: because it sleeps, or because it does one thing at a time?
pub(crate) fn late(topic: Option<Topic>, median: std::time::Duration, stage: &Stage) -> Diagnosis {
    if topic == Some(Topic::OutOfDescriptors) {
        let fact = format!("a client waited for {} ms after descriptors were free again", median.as_millis());
        return Diagnosis { cause: Cause::RestsTooLong, facts: vec![fact] };
    }
    if topic == Some(Topic::Crowd) {
        let fact = format!(
            "half of the ticks came more than {} ms too late or too early: a client comes between each two",
            median.as_millis()
        );
        return Diagnosis { cause: Cause::TickPutOff, facts: vec![fact] };
    }
    let sleeps = stage.student.as_ref().is_some_and(sleeps_by_the_clock);
    let cause = if sleeps { Cause::SleepsByTheClock } else { Cause::AcceptedLate };
    Diagnosis { cause, facts: vec![format!("half of the clients waited longer than {} ms", median.as_millis())] }
}

/// Clients were refused, and each of them later than it came; this is the call that the thread that accepts slept in meanwhile.
pub(crate) fn late_refusal(quickest: std::time::Duration, call: Option<Call>) -> Diagnosis {
    let mut diagnosis = after_refusal(call);
    diagnosis.facts.insert(0, format!("each of them waited for {} ms, or longer", quickest.as_millis()));
    diagnosis
}

/// Clients were refused, and the next one waits: for what, by the call that the thread that accepts sleeps in?
pub(crate) fn after_refusal(call: Option<Call>) -> Diagnosis {
    let because = |cause: Cause, fact: &str| Diagnosis { cause, facts: vec![fact.to_owned()] };
    match call {
        Some(Call::Sleep) => because(Cause::SleepsByTheClock, "the thread that accepts sleeps"),
        Some(Call::Read) => {
            because(Cause::DrainWithoutEnd, "the thread that accepts waits for bytes of a client that it has refused")
        }
        _ => Diagnosis { cause: Cause::AcceptedLate, facts: Vec::new() },
    }
}

/// The call that the first thread of the program sleeps in: in most programs, it is the one that accepts.
pub(crate) fn first_sleeps_in(student: &Student) -> Option<Call> {
    probe::calls(student.id()).first().copied()
}

/// An answer that needs locks does not come, and threads sleep for a lock.
pub(crate) fn deadlock(problem: &Problem, stage: &Stage) -> Option<Diagnosis> {
    let calls = probe::calls(stage.student.as_ref()?.id());
    // With a thread for each client, and the first one that accepts, none of them has anything else to wait for than its client.
    let for_each = calls.first() == Some(&Call::Accept) && calls.len() == stage.connections() + 1;
    let suspected = match problem.topic {
        Some(topic) => matches!(topic, Topic::Locks | Topic::Sum),
        None => for_each,
    };
    if !suspected {
        return None;
    }
    let waiting = calls.iter().filter(|call| **call == Call::Lock).count();
    let fact = format!("threads that sleep in {}: {waiting} of {}", Call::Lock.name(), calls.len());
    (waiting > 0).then(|| Diagnosis { cause: Cause::Deadlock, facts: vec![fact] })
}

/// Whether there are far more stacks than threads, after many threads have ended.
pub(crate) fn keeps_stacks(problem: &Problem, stage: &Stage) -> bool {
    let id = stage.student.as_ref().map(Student::id);
    let (mappings, threads) = (id.and_then(probe::mappings), id.and_then(probe::threads));
    // Each stack is a mapping, and the page that guards it another; a program has some dozens besides.
    let many = |(mappings, threads)| mappings > 2 * threads + 200;
    problem.topic == Some(Topic::Stacks) && mappings.zip(threads).is_some_and(many)
}

/// Small pieces of an answer wait for the acknowledgment of the piece before.
pub(crate) fn stalled(usual: std::time::Duration, hurried: Option<std::time::Duration>) -> Diagnosis {
    let facts = [format!("an exchange takes {} ms", usual.as_millis())].into_iter().chain(hurried.map(|hurried| {
        format!("with a client that acknowledges at once, it takes {:.1} ms", hurried.as_secs_f64() * 1e3)
    }));
    let sleeps = hurried.is_some_and(|hurried| hurried >= usual / 3);
    let cause = if sleeps { Cause::SleepsByTheClock } else { Cause::NagleStall };
    Diagnosis { cause, facts: facts.collect() }
}

/// Another number of connections than the queue should take.
pub(crate) fn queue(wanted: usize, got: usize) -> Diagnosis {
    let (places, one) = (wanted.saturating_sub(1), "the kernel lets in one more than the backlog says");
    let hint = match got {
        _ if got > wanted + 1 => "perhaps the number never reached listen: TcpListener::bind always asks for 128",
        _ if got + 1 == wanted => {
            "one too few: a part of a client needs a whole place, and nothing else is added or taken off"
        }
        _ if got == wanted + 1 => {
            "one too many; do not allow for the kernel's extra one yourself, and reckon in whole numbers"
        }
        _ => "the number that reached listen is too small",
    };
    let more = if got > wanted + 1 { "at least " } else { "" };
    let facts = vec![
        format!("a backlog of {places} lets {wanted} connections complete ({one}); {more}{got} did"),
        hint.to_owned(),
    ];
    Diagnosis { cause: Cause::WrongBacklog, facts }
}

/// Whether all its threads sleep, and go on doing so.
pub(crate) fn sleeps(student: &Student) -> bool {
    matches!(probe::doing(student.id()), Doing::Sleeping(_))
}

/// Whether the program spins now.
pub(crate) fn spins(student: &Student) -> bool {
    probe::doing(student.id()) == Doing::Spinning
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_accepts_and_waits_is_told_by_its_call() {
        assert_eq!(after_refusal(Some(Call::Sleep)).cause, Cause::SleepsByTheClock);
        assert_eq!(after_refusal(Some(Call::Read)).cause, Cause::DrainWithoutEnd);
        assert_eq!(after_refusal(Some(Call::Accept)).cause, Cause::AcceptedLate);
        assert_eq!(after_refusal(None).cause, Cause::AcceptedLate);
        assert_eq!(late_refusal(std::time::Duration::from_millis(100), None).facts.len(), 1);
    }
}
