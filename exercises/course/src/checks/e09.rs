//! Exercise 9, a fixed number of threads, and a queue with an end.

use crate::{
    catalog::Check,
    checks::{standing, working},
    client::Client,
    problem::{Problem, Resource, Topic},
    shape::Shape,
    stage::Stage,
};
use std::time::Instant;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "echoes-four", promise: "four clients at once get their lines back", run: echoes_four },
    Check {
        name: "four-at-once",
        promise: "of eight clients four are served at once, the others after them",
        run: |stage| working::shape(stage, Shape::Pool(WORKERS), PLACES),
    },
    Check { name: "threads-are-fixed", promise: "however many clients come, there are no more threads", run: fixed },
    Check {
        name: "in-their-order",
        promise: "clients that wait are served in the order in which they came, as soon as a worker is free",
        run: in_order,
    },
    Check { name: "a-full-queue", promise: "with eight waiting, the next is told Busy at once", run: a_full_queue },
    Check {
        name: "a-burst",
        promise: "twelve clients that come at once find four workers and eight places",
        run: a_burst,
    },
    Check {
        name: "after-the-rush",
        promise: "when the queue has room again, clients are taken again",
        run: after_rush,
    },
    Check { name: "a-panic-costs-no-worker", promise: "a handler that panics does not shrink the pool", run: panics },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: working::leaves_nothing },
];

const WORKERS: usize = 4;
const PLACES: usize = 8;
/// How often all come at once. A worker that is quick makes room for one more, so one burst may pass where another would not.
const BURSTS: usize = 10;

/// A pool whose workers have all served somebody.
fn pool(stage: &mut Stage) -> Result<(), Problem> {
    standing::running(stage)?;
    let mut clients = busy(stage)?;
    clients.drain(..).try_for_each(|client| working::quit(stage, client))
}

/// As many clients as there are workers, each being served.
fn busy(stage: &mut Stage) -> Result<Vec<Client>, Problem> {
    let mut clients = Vec::new();
    for _ in 0..WORKERS {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line()).map_err(|problem| problem.about(Topic::NotFull))?;
        clients.push(client);
    }
    Ok(clients)
}

fn echoes_four(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients = busy(stage)?;
    for client in clients.iter_mut().rev() {
        client.expect_echo(&stage.line())?;
    }
    Ok(())
}

fn fixed(stage: &mut Stage) -> Result<(), Problem> {
    pool(stage)?;
    let before = stage.amount(Resource::Threads);
    let _served = busy(stage)?;
    let mut waiting = Vec::new();
    for _ in 0..PLACES + 4 {
        waiting.push(stage.connect()?);
    }
    std::thread::sleep(stage.timing.quiet());
    stage.expect_flat(Resource::Threads, before, 0)
}

fn in_order(stage: &mut Stage) -> Result<(), Problem> {
    pool(stage)?;
    let mut served = busy(stage)?;
    let mut waiting = Vec::new();
    for _ in 0..PLACES {
        let mut client = stage.connect()?;
        let line = stage.line();
        client.send(&line)?;
        waiting.push((client, line));
    }
    let about = |problem: Problem| problem.about(Topic::Waiting);
    for _ in 0..PLACES {
        // One leaves, whichever, and the first of those who wait has its place.
        let leaver = served.remove(stage.below(served.len()));
        leaver.close();
        let (mut first, line) = waiting.remove(0);
        if !first.answers(&line) {
            let others = waiting.iter_mut().map(|(client, line)| (client, &line[..]));
            standing::out_of_turn(others).map_or(Ok(()), Err)?;
            first.expect(&line, "its line back, now that another has left").map_err(about)?;
        }
        served.push(first);
    }
    Ok(())
}

/// A pool in which nobody finds a place: those that are served, and those that wait.
fn full(stage: &mut Stage) -> Result<Vec<Client>, Problem> {
    pool(stage)?;
    let mut clients = busy(stage)?;
    for _ in 0..PLACES {
        let mut client = stage.connect()?;
        client.send(b"waits\n")?;
        clients.push(client);
    }
    let about = |problem: Problem| problem.about(Topic::Waiting);
    let until = Instant::now() + stage.timing.quiet() * 2;
    for client in &mut clients[WORKERS..] {
        client.expect_quiet_until(until, "nothing yet: it waits in the queue").map_err(about)?;
    }
    Ok(clients)
}

fn told_busy(stage: &mut Stage) -> Result<(), Problem> {
    let about = |problem: Problem| problem.about(Topic::QueueFull);
    let mut client = stage.connect()?;
    client.expect(b"Busy\n", "`Busy`, at once").map_err(about)?;
    client.expect_end("then the end").map_err(about)
}

fn a_full_queue(stage: &mut Stage) -> Result<(), Problem> {
    let mut clients = full(stage)?;
    standing::refuses_at_once(stage, "Busy")?;
    // Those that are served do not notice.
    clients[0].expect_echo(&stage.line())
}

/// The queue may take clients for all workers that have nothing to do: these take them out a moment later.
fn a_burst(stage: &mut Stage) -> Result<(), Problem> {
    pool(stage)?;
    for _ in 0..BURSTS {
        stage.until_rests();
        // Stopped, it accepts none; then all of them are there, before a worker is awake.
        stage.pause()?;
        let mut clients = Vec::new();
        for _ in 0..WORKERS + PLACES {
            let mut client = stage.connect()?;
            let line = stage.line();
            client.send(&line)?;
            clients.push((client, line));
        }
        stage.resume()?;
        let about = |problem: Problem| problem.about(Topic::NotFull);
        for (client, line) in clients.iter_mut().take(WORKERS) {
            client.expect(line, "its line back: there is a worker for it").map_err(about)?;
        }
        for (at, (mut client, line)) in clients.into_iter().enumerate() {
            if at >= WORKERS {
                client.expect(&line, "its line back: there was a place for it").map_err(about)?;
            }
            client.send(b"quit\n")?;
            client.expect(b"Goodbye!\n", "the goodbye")?;
            client.expect_end("FIN after the goodbye")?;
            client.close();
        }
    }
    Ok(())
}

fn after_rush(stage: &mut Stage) -> Result<(), Problem> {
    let clients = full(stage)?;
    told_busy(stage)?;
    for (at, mut client) in clients.into_iter().enumerate() {
        if at >= WORKERS {
            client.expect(b"waits\n", "its line back: it has waited for its turn")?;
        }
        working::quit(stage, client)?;
    }
    let clients = busy(stage)?;
    clients.into_iter().try_for_each(|client| working::quit(stage, client))
}

fn panics(stage: &mut Stage) -> Result<(), Problem> {
    pool(stage)?;
    for _ in 0..2 * WORKERS {
        let mut client = stage.connect()?;
        client.send(b"crash\n")?;
        client.expect_end("the end: its handler has panicked").map_err(|problem| problem.about(Topic::WorkerLost))?;
        client.close();
    }
    let mut clients = Vec::new();
    for _ in 0..WORKERS {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line()).map_err(|problem| problem.about(Topic::WorkerLost))?;
        clients.push(client);
    }
    Ok(())
}
