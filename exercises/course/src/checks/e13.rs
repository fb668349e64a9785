//! Exercise 13, a loop for all clients and a pool that works for it.

use crate::{
    catalog::Check,
    checks::{e12, standing, working},
    client::Client,
    problem::{Problem, Resource, Seen, Topic},
    queues,
    shape::{Load, Shape},
    stage::Stage,
};
use std::time::{Duration, Instant};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "echoes", promise: "ten clients at once get their lines back", run: standing::echoes },
    Check { name: "work", promise: "a line that asks for work is answered as soon as the work is done", run: work },
    Check { name: "its-own-result", promise: "each client hears the result of its own work", run: own_result },
    Check {
        name: "work-delays-nobody",
        promise: "twelve clients ask for long work, and all others are answered meanwhile",
        run: delays_nobody,
    },
    Check { name: "four-at-once", promise: "four lines are worked on at once, and no more", run: four },
    Check { name: "threads-are-fixed", promise: "however many ask for work, there are no more threads", run: fixed },
    Check { name: "in-order", promise: "a client's lines are answered in their order, work or not", run: in_order },
    Check {
        name: "gone-clients",
        promise: "clients leave while their work is done, and nobody else hears its result",
        run: gone,
    },
    Check { name: "a-crash", promise: "work that panics is answered with `failed`, and costs no worker", run: crash },
    Check {
        name: "half-close",
        promise: "a client that sends nothing more still hears the results of its work",
        run: half_close,
    },
    Check {
        name: "a-slow-reader",
        promise: "8 MiB arrive whole, however slowly they are read, and others are served meanwhile",
        run: e12::slow_reader,
    },
    Check {
        name: "backpressure",
        promise: "a client that asks for much and reads nothing takes little memory, and loses nothing",
        run: e12::backpressure,
    },
    Check {
        name: "reads-no-more",
        promise: "while work of a client runs, nothing more is read from it",
        run: reads_no_more,
    },
    Check { name: "rests", promise: "while others work, the loop sleeps", run: rests },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: working::leaves_nothing },
];

const WORKERS: usize = 4;

fn about(topic: Topic) -> impl Fn(Problem) -> Problem {
    move |problem| problem.about(topic)
}

/// A client asks for work that takes so long, in milliseconds; returns the answer that it has to hear.
fn asks(stage: &mut Stage, client: &mut Client, time: u128) -> Result<Vec<u8>, Problem> {
    let text = stage.text();
    client.send(format!("WORK {time} {text}\n").as_bytes())?;
    Ok(format!("done {text}\n").into_bytes())
}

fn hears(client: &mut Client, result: &[u8], topic: Topic) -> Result<(), Problem> {
    client.expect(result, "the result of its work").map_err(about(topic))
}

/// New clients that have asked for work of `time`, and the answers that they have to hear.
fn at_work(stage: &mut Stage, count: usize, time: u128) -> Result<Vec<(Client, Vec<u8>)>, Problem> {
    let mut all = Vec::new();
    for _ in 0..count {
        let mut client = stage.connect()?;
        let result = asks(stage, &mut client, time)?;
        client.until_read();
        all.push((client, result));
    }
    Ok(all)
}

/// A client of a server that can work at all: it has heard the result of a short piece of work.
fn worked_for(stage: &mut Stage) -> Result<Client, Problem> {
    stage.serve()?;
    let mut client = stage.connect()?;
    let result = asks(stage, &mut client, 1)?;
    hears(&mut client, &result, Topic::Result)?;
    Ok(client)
}

/// Longer than anything is waited for.
fn for_ever(stage: &Stage) -> u128 {
    (stage.timing.patience() * 3).as_millis().min(60_000)
}

fn work(stage: &mut Stage) -> Result<(), Problem> {
    const TIMES: usize = 9;
    stage.serve()?;
    let mut client = stage.connect()?;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        let result = asks(stage, &mut client, 1)?;
        if let Err(problem) = hears(&mut client, &result, Topic::Result) {
            let late = matches!(problem.seen, Seen::Silence(_)) && came_by_chance(stage, &mut client);
            return Err(if late { problem.about(Topic::Unwoken) } else { problem });
        }
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let median = times[TIMES / 2];
    if median > stage.timing.quiet() / 2 {
        let seen = Seen::Late { median };
        return Err(Problem::new("the result as soon as it is there", seen).about(Topic::Result));
    }
    client.expect_echo(&stage.line())
}

/// Whether a result that did not come does come as soon as the loop has another reason to wake up.
fn came_by_chance(stage: &Stage, client: &mut Client) -> bool {
    let other = stage.connect().and_then(|mut other| other.send(b"wake up\n"));
    other.is_ok() && client.hears_within(stage.timing.quiet())
}

fn delays_nobody(stage: &mut Stage) -> Result<(), Problem> {
    let mut other = worked_for(stage)?;
    let time = for_ever(stage);
    let mut at_work = at_work(stage, 3 * WORKERS, time)?;
    other.expect_echo(&stage.line()).map_err(about(Topic::BesideWork))?;
    let mut next = stage.connect()?;
    next.expect_echo(&stage.line()).map_err(about(Topic::BesideWork))?;
    at_work[0].0.expect_quiet("nothing yet: its work takes longer").map_err(about(Topic::BesideWork))
}

fn four(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    stage.expect_shape(
        Shape::Pool(WORKERS),
        &Load {
            clients: 4 * WORKERS,
            work: Duration::from_millis(20),
            ask: &|time| format!("WORK {time} done\n").into_bytes(),
            hear: &|client, _| hears(client, b"done done\n", Topic::Result),
        },
    )
}

fn fixed(stage: &mut Stage) -> Result<(), Problem> {
    worked_for(stage)?;
    let before = stage.amount(Resource::Threads);
    let time = for_ever(stage);
    let _at_work = at_work(stage, 10 * WORKERS, time)?;
    std::thread::sleep(stage.timing.quiet());
    stage.expect_flat(Resource::Threads, before, 0)?;
    // However many wait: a queue that is full must not stop the loop.
    stage.connect()?.expect_echo(&stage.line()).map_err(about(Topic::BesideWork))
}

/// All hear their results. If one hears nothing, another may have heard what was meant for it.
fn all_hear(all: &mut [(Client, Vec<u8>)]) -> Result<(), Problem> {
    for at in 0..all.len() {
        let (client, result) = &mut all[at];
        let heard = hears(client, result, Topic::Result);
        if heard.as_ref().is_err_and(|problem| matches!(problem.seen, Seen::Silence(_))) {
            for (other, result) in &mut all[at + 1..] {
                if other.hears_within(Duration::from_millis(1)) {
                    hears(other, result, Topic::Result)?;
                }
            }
        }
        heard?;
    }
    Ok(())
}

fn own_result(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    for clients in [12, 12, 48] {
        let mut all = Vec::new();
        for _ in 0..clients {
            let (mut client, time) = (stage.connect()?, 1 + stage.below(20) as u128);
            let result = asks(stage, &mut client, time)?;
            all.push((client, result));
        }
        all_hear(&mut all)?;
        for (client, _) in &mut all {
            client.expect_echo(&stage.line()).map_err(about(Topic::Result))?;
        }
    }
    at_the_same_moment(stage)
}

/// Results come at the moment at which the loop takes others. One that falls between two steps of that is not lost: it has its own bell.
fn at_the_same_moment(stage: &Stage) -> Result<(), Problem> {
    const ROUNDS: usize = 2000;
    // Of many more clients, the next one's bell would bring the result that was lost.
    let mut clients = (0..=WORKERS).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..ROUNDS {
        for client in &mut clients {
            client.send(b"WORK 0 now\n")?;
        }
        for client in &mut clients {
            if let Err(problem) = hears(client, b"done now\n", Topic::Result) {
                let late = matches!(problem.seen, Seen::Silence(_)) && came_by_chance(stage, client);
                return Err(if late { problem.about(Topic::Unwoken) } else { problem });
            }
        }
    }
    Ok(())
}

fn in_order(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut client = stage.connect()?;
    for _ in 0..3 {
        let (mut sent, mut answers) = (String::new(), String::new());
        for time in [40, 1, 20] {
            let (work, line) = (stage.text(), stage.text());
            sent += &format!("WORK {time} {work}\n{line}\n");
            answers += &format!("done {work}\n{line}\n");
        }
        client.send(sent.as_bytes())?;
        client.expect(answers.as_bytes(), "six answers, in the order of the lines").map_err(about(Topic::InOrder))?;
    }
    Ok(())
}

fn gone(stage: &mut Stage) -> Result<(), Problem> {
    let mut stays = worked_for(stage)?;
    let time = stage.timing.quiet().as_millis();
    for _ in 0..3 {
        let mut leave = (0..2 * WORKERS).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
        for client in &mut leave {
            asks(stage, client, time)?;
        }
        leave.iter().for_each(Client::until_read);
        for (at, client) in leave.into_iter().enumerate() {
            if at % 2 == 0 { client.close() } else { client.abort() }
        }
        let mut new = Vec::new();
        for _ in 0..2 * WORKERS {
            let mut client = stage.connect()?;
            client.expect_echo(&stage.line()).map_err(about(Topic::Stale))?;
            new.push(client);
        }
        // These wait behind all that was asked for before.
        let mut results = Vec::new();
        for client in &mut new {
            results.push(asks(stage, client, time)?);
        }
        for (client, result) in new.iter_mut().zip(&results) {
            hears(client, result, Topic::Stale)?;
            client.expect_echo(&stage.line()).map_err(about(Topic::Stale))?;
        }
        stays.expect_echo(&stage.line()).map_err(about(Topic::Stale))?;
    }
    Ok(())
}

fn crash(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut stays = stage.connect()?;
    stays.expect_echo(&stage.line())?;
    for _ in 0..2 * WORKERS {
        let mut client = stage.connect()?;
        client.send(b"CRASH\n")?;
        client.expect(b"failed\n", "`failed`: its work has panicked").map_err(about(Topic::WorkerLost))?;
        client.expect_echo(&stage.line()).map_err(about(Topic::WorkerLost))?;
    }
    stays.expect_echo(&stage.line())?;
    for (mut client, result) in at_work(stage, 3 * WORKERS, 1)? {
        hears(&mut client, &result, Topic::WorkerLost)?;
    }
    Ok(())
}

fn half_close(stage: &mut Stage) -> Result<(), Problem> {
    worked_for(stage)?;
    let time = stage.timing.quiet().as_millis();
    let mut all = at_work(stage, WORKERS + 1, time)?;
    // Some end with a line, and some with nothing.
    let lines = [stage.line(), Vec::new()];
    for ((client, _), line) in all.iter_mut().zip(lines.iter().cycle()) {
        client.send(line)?;
        client.finish();
    }
    for ((client, result), line) in all.iter_mut().zip(lines.iter().cycle()) {
        let wanted =
            if line.is_empty() { "the result of its work" } else { "the result of its work, and its line back" };
        client.expect(&[result, &line[..]].concat(), wanted).map_err(|problem| match problem.seen {
            Seen::Wrong(_) => problem.about(Topic::InOrder),
            _ => problem.about(Topic::HalfClosed),
        })?;
        client.expect_end("then the end").map_err(about(Topic::HalfClosed))?;
    }
    Ok(())
}

/// Many lines, and few enough for the kernels' buffers.
const MORE: usize = 64 * 1024;

fn reads_no_more(stage: &mut Stage) -> Result<(), Problem> {
    worked_for(stage)?;
    let time = (stage.timing.quiet() * 6).as_millis();
    let mut works = at_work(stage, 1, time)?;
    let (client, result) = &mut works[0];
    let line = stage.line();
    let more = line.repeat(MORE / line.len());
    client.send(&more)?;
    std::thread::sleep(stage.timing.quiet());
    if let (Ok(ours), Ok(theirs)) = (client.address(), client.peer())
        && queues::unread(theirs, ours) == Some(0)
    {
        let problem = client.problem("that its further lines wait in the kernel", Seen::Silence(Vec::new()));
        return Err(problem.about(Topic::ReadsOn));
    }
    hears(client, result, Topic::InOrder)?;
    client.expect(&more, "all its lines back, now that the work is done").map_err(about(Topic::LeftInBuffer))
}

/// In 400 ms. A loop that looks for results from time to time is woken more often.
const MOST_WAITS: u64 = 2;

fn rests(stage: &mut Stage) -> Result<(), Problem> {
    let mut silent = vec![worked_for(stage)?];
    for _ in 0..20 {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line())?;
        silent.push(client);
    }
    let time = for_ever(stage);
    let mut at_work = at_work(stage, WORKERS + 2, time)?;
    // One has sent more, together with that and behind it, one has said that it sends nothing more, and two have broken off.
    let (mut more, line) = (stage.connect()?, stage.text());
    more.send(format!("WORK {time} {line}\n{line}\n").as_bytes())?;
    more.until_read();
    more.send(&stage.line())?;
    at_work[0].0.finish();
    at_work.remove(1).0.abort();
    let (mut broken, _) = at_work.remove(1);
    broken.send(&stage.line())?;
    broken.abort();
    stage.expect_idle(MOST_WAITS).map_err(about(Topic::EventLoop))?;
    more.expect_quiet("nothing yet: its work takes longer").map_err(about(Topic::Result))
}
