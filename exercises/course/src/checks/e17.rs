//! Exercise 17, a command server.

use crate::{
    catalog::Check,
    checks::{
        e16::{asks, quit},
        standing,
    },
    client::Client,
    problem::{Problem, Resource, Topic},
    shape::{Load, Shape},
    stage::Stage,
};
use std::time::{Duration, Instant};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "commands", promise: "commands are answered, bad ones too, and the session goes on", run: commands },
    Check {
        name: "fifty-clients",
        promise: "fifty clients are served at once, and sixty that come at once have a place",
        run: fifty,
    },
    Check { name: "nobody-waits", promise: "25 clients that ask for work at the same moment do not wait", run: shape },
    Check { name: "a-limit", promise: "fifty are served, ten wait, the next is told ERR busy, at once", run: a_limit },
    Check { name: "threads-are-fixed", promise: "however many clients come, there are no more threads", run: fixed },
    Check { name: "counts-exactly", promise: "eight clients send commands at once, and all are counted", run: counts },
    Check { name: "a-crash", promise: "sixty handlers that panic cost no worker, and are counted right", run: a_crash },
    Check { name: "five-hundred", promise: "500 clients come and go as fast as they can", run: five_hundred },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

const WORKERS: usize = 50;
pub(crate) const PLACES: usize = 10;

/// A client that a worker serves.
fn served(stage: &mut Stage) -> Result<Client, Problem> {
    let mut client = standing::connected(stage)?;
    asks(&mut client, "PING", "PONG")?;
    Ok(client)
}

pub(crate) fn crowd(stage: &mut Stage) -> Result<Vec<Client>, Problem> {
    (0..WORKERS).map(|_| served(stage).map_err(|problem| problem.about(Topic::NotFull))).collect()
}

/// Asks for the numbers until they are these: a moment after a client has gone they may be older.
pub(crate) fn expect_stats(
    stage: &Stage,
    client: &mut Client,
    topic: Topic,
    wanted: &str,
    holds: &str,
) -> Result<(), Problem> {
    let until = Instant::now() + stage.timing.patience();
    loop {
        client.send(b"STATS\n")?;
        let line = client.expect_line("STATS ", &format!("`{wanted}`"))?;
        if String::from_utf8_lossy(&line).contains(holds) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(client.complaint(&format!("`{wanted}`"), wanted.as_bytes(), &line).about(topic));
        }
        std::thread::sleep(stage.timing.quiet() / 10);
    }
}

pub(crate) fn commands(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = served(stage)?;
    for bad in ["FLY", "PING now", "WORK", "WORK soon", "caf\u{e9}"] {
        client.send(format!("{bad}\n").as_bytes())?;
        let about = |problem: Problem| problem.about(Topic::BadCommand);
        client.expect_line("ERR ", "a line that begins with ERR").map_err(about)?;
        asks(&mut client, "PING", "PONG").map_err(about)?;
    }
    // PING, then a bad one and PING, five times.
    asks(&mut client, "STATS", "STATS active 1 served 0 refused 0 commands 11")?;
    asks(&mut client, "STATS", "STATS active 1 served 0 refused 0 commands 12")?;
    quit(client)
}

fn fifty(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients = crowd(stage)?;
    for client in clients.iter_mut().rev() {
        asks(client, "PING", "PONG")?;
    }
    clients.into_iter().try_for_each(quit)?;
    all_places_at_once(stage)
}

/// As many as there are workers and places, all at the same moment: nobody is refused.
fn all_places_at_once(stage: &mut Stage) -> Result<(), Problem> {
    stage.until_rests();
    // Stopped, it accepts none; then all of them are there, before a worker is awake.
    stage.pause()?;
    let mut clients = (0..WORKERS + PLACES).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
    stage.resume()?;
    for client in &mut clients {
        client.send(b"PING\n")?;
    }
    for mut client in clients {
        let wanted = "`PONG`: there is a worker or a place for it";
        client.expect(b"PONG\n", wanted).map_err(|problem| problem.about(Topic::NotFull))?;
        quit(client)?;
    }
    Ok(())
}

fn shape(stage: &mut Stage) -> Result<(), Problem> {
    let client = served(stage)?;
    quit(client)?;
    stage.expect_shape(
        Shape::Each,
        &Load {
            clients: WORKERS / 2,
            work: Duration::from_millis(20),
            ask: &|time| format!("WORK {time}\nQUIT\n").into_bytes(),
            hear: &|client, _| {
                client.expect(b"OK\nBYE\n", "`OK` when the work is done, then `BYE`")?;
                client.expect_end("FIN after BYE")
            },
        },
    )
}

/// Clients that take all workers and all places.
fn full(stage: &mut Stage) -> Result<(Vec<Client>, Vec<Client>), Problem> {
    let clients = crowd(stage)?;
    let mut waiting = Vec::new();
    for _ in 0..PLACES {
        let mut client = stage.connect()?;
        client.send(b"PING\n")?;
        waiting.push(client);
    }
    let about = |problem: Problem| problem.about(Topic::Waiting);
    let until = Instant::now() + stage.timing.quiet() * 2;
    for client in &mut waiting {
        client.expect_quiet_until(until, "nothing yet: it waits for a worker").map_err(about)?;
    }
    Ok((clients, waiting))
}

pub(crate) fn a_limit(stage: &mut Stage) -> Result<(), Problem> {
    let (mut clients, mut waiting) = full(stage)?;
    let refused = standing::refuses_at_once(stage, "ERR busy")?;
    let all = |served: usize| format!("active 50 served {served} refused {refused} ");
    expect_stats(stage, &mut clients[0], Topic::Count, &format!("STATS {}…", all(0)), &all(0))?;
    for at in 0..waiting.len() {
        // One leaves, and the first of those that wait has its worker.
        quit(clients.remove(1))?;
        let [client, others @ ..] = &mut waiting[at..] else { break };
        if !client.hears_within(stage.timing.quiet()) {
            standing::out_of_turn(others.iter_mut().map(|client| (client, &b"PONG\n"[..]))).map_or(Ok(()), Err)?;
        }
        client.expect(b"PONG\n", "`PONG`: another has left").map_err(|problem| problem.about(Topic::Room))?;
    }
    expect_stats(stage, &mut clients[0], Topic::Count, &format!("STATS {}…", all(10)), &all(10))
}

fn fixed(stage: &mut Stage) -> Result<(), Problem> {
    let client = served(stage)?;
    let before = stage.amount(Resource::Threads);
    quit(client)?;
    let _all = full(stage)?;
    let mut more = Vec::new();
    for _ in 0..4 {
        more.push(stage.connect()?);
    }
    std::thread::sleep(stage.timing.quiet());
    stage.expect_flat(Resource::Threads, before, 0)
}

fn counts(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients: Vec<Client> = (0..8).map(|_| served(stage)).collect::<Result<_, _>>()?;
    const TIMES: usize = 1000;
    for client in &mut clients {
        client.send("PING\n".repeat(TIMES).as_bytes())?;
    }
    for client in &mut clients {
        client.expect("PONG\n".repeat(TIMES).as_bytes(), "`PONG`, a thousand times")?;
    }
    // Else it could not be told whether additions are lost, or only made after the answer.
    stage.until_rests();
    let wanted = format!("STATS active 8 served 0 refused 0 commands {}", 8 * (TIMES + 1));
    asks(&mut clients[0], "STATS", &wanted).map_err(|problem| problem.about(Topic::Total))?;
    // Counted before it is answered: another client that asks at once sees it. The lines STATS before this one count, too.
    for round in 0..20 {
        asks(&mut clients[1 + round % 7], "PING", "PONG")?;
        let stats = format!("STATS active 8 served 0 refused 0 commands {}\n", 8 * (TIMES + 1) + 2 * round + 2);
        clients[0].send(b"STATS\n")?;
        clients[0].expect(stats.as_bytes(), "the number of all lines that were answered, the last one too")?;
    }
    Ok(())
}

fn a_crash(stage: &mut Stage) -> Result<(), Problem> {
    let mut first = served(stage)?;
    let about = |problem: Problem| problem.about(Topic::WorkerLost);
    for _ in 0..WORKERS + 10 {
        let mut client = stage.connect()?;
        client.send(b"CRASH\n")?;
        client.expect_end("the end: its handler has panicked").map_err(about)?;
        client.close();
    }
    expect_stats(stage, &mut first, Topic::Count, "STATS active 1 served 60", "active 1 served 60 ")?;
    for _ in 1..WORKERS {
        let mut client = stage.connect()?;
        asks(&mut client, "PING", "PONG").map_err(about)?;
    }
    Ok(())
}

const RAPID: usize = 500;

fn five_hundred(stage: &mut Stage) -> Result<(), Problem> {
    let mut first = served(stage)?;
    for at in 0..RAPID {
        let mut client = stage.connect()?;
        match at % 5 {
            0 => client.close(),
            1 => client.abort(),
            _ => {
                asks(&mut client, "PING", "PONG")?;
                client.close();
            }
        }
    }
    expect_stats(stage, &mut first, Topic::Count, "STATS active 1 …", "STATS active 1 ")?;
    quit(first)?;
    fifty_more(stage)
}

fn fifty_more(stage: &mut Stage) -> Result<(), Problem> {
    for _ in 0..WORKERS {
        let mut client = stage.connect()?;
        asks(&mut client, "PING", "PONG").map_err(|problem| problem.about(Topic::Room))?;
    }
    Ok(())
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| quit(served(stage)?);
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..50 {
            served(stage)?.abort();
            quit(served(stage)?)?;
        }
        Ok(())
    })
}
