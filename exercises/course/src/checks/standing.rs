//! The promises that every server has to keep.

use crate::{
    client::Client,
    life,
    probe::{self, Call},
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
    student::Student,
};
use std::time::{Duration, Instant};

/// Resources that are watched, causes before effects (a thread that does not end holds its descriptor), and how much more of it
/// is no cause for complaint: allocators and runtimes take their time.
const WATCHED: [(Resource, u64); 4] =
    [(Resource::Threads, 2), (Resource::Zombies, 0), (Resource::Descriptors, 3), (Resource::Memory, 4096)];

/// After some visits to warm up, `crowd` leaves nothing behind: no descriptor, no thread, no child, no memory.
pub(crate) fn leaves_nothing(
    stage: &mut Stage,
    visit: fn(&mut Stage) -> Result<(), Problem>,
    crowd: fn(&mut Stage) -> Result<(), Problem>,
) -> Result<(), Problem> {
    for _ in 0..20 {
        visit(stage)?;
    }
    // The resources of the visits may still be on their way back.
    std::thread::sleep(stage.timing.quiet() / 4);
    let before = WATCHED.map(|(what, _)| stage.amount(what));
    crowd(stage)?;
    WATCHED.into_iter().zip(before).try_for_each(|((what, some), before)| stage.expect_flat(what, before, some))?;
    idle(stage)
}

/// A program that has nothing to do uses no processor.
pub(crate) fn idle(stage: &Stage) -> Result<(), Problem> {
    /// In 400 ms. One that asks every ten milliseconds whether there is something to do waits 40 times.
    const MOST_WAITS: u64 = 20;
    stage.expect_idle(MOST_WAITS)
}

/// The number of clients that [`refuses_at_once`] has refused in one try.
const REFUSED: usize = 9;
/// How often it tries if each of them is late: on a busy machine a thread that is woken may be late, too, but not every time.
const TRIES: usize = 3;
/// A refusal after a rest of 100 ms is late; one that nothing holds up takes less than one millisecond. A machine that is busy does not
/// move this limit: it is the quickest refusal that is compared.
const LATE: Duration = Duration::from_millis(30);

/// One client after the other is refused with these words, as soon as it comes. None of them closes its side, and the thread that accepts has
/// no reason to wait: neither for them nor for a time. Returns how many were refused.
pub(crate) fn refuses_at_once(stage: &Stage, words: &str) -> Result<usize, Problem> {
    let mut refused = Vec::new();
    let mut quickest = Duration::MAX;
    while refused.len() < REFUSED * TRIES {
        let first = refused.is_empty();
        let topic = if first { Topic::QueueFull } else { Topic::AfterRefusal };
        let since = Instant::now();
        let mut client = stage.connect()?;
        let told = client.expect(format!("{words}\n").as_bytes(), &format!("`{words}`, at once"));
        told.and_then(|()| client.expect_end("then the end")).map_err(|problem| problem.about(topic))?;
        refused.push(client);
        // The thread that accepts had no client to wait for before the first one.
        if !first {
            quickest = quickest.min(since.elapsed());
        }
        if refused.len() >= REFUSED && quickest < LATE {
            return Ok(refused.len());
        }
    }
    // One more comes, and waits now.
    let next = stage.connect()?;
    std::thread::sleep(LATE / 5);
    let call = stage.student.as_ref().and_then(life::first_sleeps_in);
    let wanted = format!("that each of these clients is told `{words}` as soon as it comes");
    Err(next.problem(&wanted, Seen::LateRefusal { quickest, call }))
}

/// A client that waits has no answer although its turn has come: the complaint about another that has one, if there is such a client.
pub(crate) fn out_of_turn<'a>(others: impl IntoIterator<Item = (&'a mut Client, &'a [u8])>) -> Option<Problem> {
    others.into_iter().find_map(|(client, line)| {
        let answered = client.answers_until(Instant::now(), line);
        answered
            .then(|| client.problem("that it waits for its turn", Seen::Extra(line.to_vec())).about(Topic::OutOfTurn))
    })
}

/// The end of the stream, for a client that has sent more than the program wanted to read. A FIN alone is not enough: a close with bytes
/// unread sends a reset behind it, and on a longer way that one destroys what is still on its way to the client.
pub(crate) fn ends_without_reset(stage: &Stage, client: &mut Client, wanted: &str) -> Result<(), Problem> {
    client.expect_end(wanted)?;
    // It closes a moment after it has said FIN, or waits for the rest.
    stage.until_rests();
    client.expect_no_reset(wanted)
}

/// Waits a moment until a thread of the program sleeps in a write, and goes on doing so: while a buffer grows, it does for a moment only.
pub(crate) fn until_it_writes(stage: &Stage) {
    const LOOKS: usize = 10;
    let until = Instant::now() + stage.timing.quiet() * 8;
    let mut seen = 0;
    while seen < LOOKS && Instant::now() < until {
        let writes = |student: &Student| probe::calls(student.id()).contains(&Call::Write);
        seen = if stage.student.as_ref().is_some_and(writes) { seen + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// While one client reads nothing and a thread sleeps in the write to it, another asks, which is answered with `answer`: no thread may wait
/// for a lock meanwhile. A write that gives up after a short time sets the lock free, so the time that the answer takes shows nothing.
pub(crate) fn writes_without_lock(
    stage: &Stage,
    other: &mut Client,
    line: &[u8],
    answer: &[u8],
    slow: impl Fn(&Stage) -> Result<Client, Problem>,
) -> Result<(), Problem> {
    /// A thread that goes to sleep for a moment is seen in fewer looks than that, one after the other.
    const LOOKS: usize = 4;
    const TRIES: usize = 5;
    let Some(id) = stage.student.as_ref().map(Student::id) else { return Ok(()) };
    let look = || {
        std::thread::sleep(Duration::from_millis(1));
        let calls = probe::calls(id);
        (calls.contains(&Call::Write), calls.iter().filter(|call| **call == Call::Lock).count())
    };
    let mut found = 0;
    for _ in 0..TRIES {
        let reads_nothing = slow(stage)?;
        // Until all buffers are full, it writes without waiting.
        let (until, mut writes, mut before) = (Instant::now() + stage.timing.quiet() * 8, 0, 0);
        while writes < LOOKS && Instant::now() < until {
            let (in_write, locks) = look();
            (writes, before) = (if in_write { writes + 1 } else { 0 }, locks);
        }
        other.send(line)?;
        let mut waits = 0;
        while waits < LOOKS && !other.answers_until(Instant::now(), answer) {
            let (in_write, locks) = look();
            waits = if in_write && locks > before { waits + 1 } else { 0 };
            if other.has_ended() || Instant::now() > until {
                break;
            }
        }
        if waits == LOOKS {
            found += 1;
            // More than once: a thread may have been put aside just then.
            if found > 1 {
                let wanted = "that no lock is held while your program writes to a client that does not read";
                return Err(other.problem(wanted, Seen::Silence(Vec::new())).about(Topic::BesideSlowReader));
            }
            other.expect(answer, "the answer")?;
        }
        reads_nothing.abort();
    }
    Ok(())
}

/// A server, started if there is none.
pub(crate) fn running(stage: &mut Stage) -> Result<(), Problem> {
    if stage.student.is_none() { stage.serve() } else { Ok(()) }
}

/// The client says `QUIT`, and the program ends the conversation.
pub(crate) fn told_to_quit(client: &mut Client) -> Result<(), Problem> {
    client.send(b"QUIT\n")?;
    client.expect_end("the end after QUIT")
}

/// A client of a server, which is started if there is none.
pub(crate) fn connected(stage: &mut Stage) -> Result<Client, Problem> {
    running(stage)?;
    stage.connect()
}

/// A few clients, the last one first.
pub(crate) fn echoes(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(stage.connect()?);
    }
    for client in clients.iter_mut().rev() {
        client.expect_echo(&stage.line())?;
    }
    Ok(())
}
