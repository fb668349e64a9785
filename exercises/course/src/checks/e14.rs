//! Exercise 14, a dispatcher before four workers.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    problem::{Problem, Topic},
    process::ANY,
    stage::Stage,
    student::Limits,
};
use std::time::Instant;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "echoes", promise: "ten clients at once get their lines back", run: standing::echoes },
    Check { name: "round-robin", promise: "clients go to the four workers in turn", run: in_turn },
    Check {
        name: "counts",
        promise: "each worker's clients are counted, and not any more when they go, however they go",
        run: counts,
    },
    Check { name: "spread", promise: "200 clients that come and go are spread evenly, by either policy", run: spread },
    Check { name: "least-clients", promise: "the worker with the fewest clients gets the next one", run: least },
    Check { name: "a-burst", promise: "clients that come at the same moment are spread evenly, too", run: burst },
    Check { name: "a-busy-worker", promise: "a worker that is busy delays its own clients and nobody else", run: busy },
    Check {
        name: "a-crash",
        promise: "a worker that panics takes its own clients with it and no others, and is replaced",
        run: crash,
    },
    Check { name: "rests", promise: "while the clients are silent, it uses no processor", run: rests },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

const WORKERS: usize = 4;

fn about(topic: Topic) -> impl Fn(Problem) -> Problem {
    move |problem| problem.about(topic)
}

fn serve(stage: &mut Stage, policy: &str) -> Result<(), Problem> {
    stage.serve_with(ANY, &["--policy", policy], Limits::default()).map(drop)
}

/// The number of the worker that serves this client, from 0.
fn worker_of(client: &mut Client) -> Result<usize, Problem> {
    client.send(b"WORKER\n")?;
    let line = client.expect_line("worker ", "`worker` and its number, 1 to 4")?;
    let number = std::str::from_utf8(&line[7..]).ok().and_then(|text| text.parse::<usize>().ok());
    match number {
        Some(number @ 1..=WORKERS) => Ok(number - 1),
        _ => Err(client.complaint("`worker` and its number, 1 to 4", b"worker ", &line)),
    }
}

/// A new client, and its worker.
fn served(stage: &mut Stage) -> Result<(Client, usize), Problem> {
    standing::running(stage)?;
    let mut client = stage.connect()?;
    let worker = worker_of(&mut client)?;
    Ok((client, worker))
}

fn quit(mut client: Client) -> Result<(), Problem> {
    client.send(b"quit\n")?;
    client.expect(b"Goodbye!\n", "the goodbye")?;
    client.expect_end("FIN after the goodbye")?;
    client.close();
    Ok(())
}

fn numbers(counts: &[usize]) -> String {
    counts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Complains unless each worker got its share, give or take `some`.
fn expect_spread(client: &Client, got: &[usize; WORKERS], some: usize, topic: Topic) -> Result<(), Problem> {
    let total: usize = got.iter().sum();
    let share = total / WORKERS;
    if got.iter().all(|count| count.abs_diff(share) <= some) {
        return Ok(());
    }
    let wanted = format!("that {total} clients are spread evenly over the workers");
    let problem = client.complaint(&wanted, numbers(&[share; WORKERS]).as_bytes(), numbers(got).as_bytes());
    Err(problem.about(topic))
}

/// The next client has to come to the worker behind `last`.
fn expect_next(stage: &mut Stage, last: &mut usize) -> Result<Client, Problem> {
    let (client, worker) = served(stage)?;
    let next = (*last + 1) % WORKERS;
    if worker != next {
        let [wanted, got] = [next, worker].map(|number| format!("worker {}", number + 1));
        let problem = client.complaint(&format!("`{wanted}`: its turn has come"), wanted.as_bytes(), got.as_bytes());
        return Err(problem.about(Topic::InTurn));
    }
    *last = worker;
    Ok(client)
}

fn in_turn(stage: &mut Stage) -> Result<(), Problem> {
    // Without a policy it is this one, too.
    for flags in [&["--policy", "round-robin"][..], &[]] {
        stage.serve_with(ANY, flags, Limits::default())?;
        let (client, mut last) = served(stage)?;
        let mut clients = vec![client];
        for _ in 0..3 * WORKERS {
            clients.push(expect_next(stage, &mut last)?);
        }
        // All clients of two workers leave: the turn goes on as if they had stayed.
        for (at, client) in std::mem::take(&mut clients).into_iter().enumerate() {
            if at % WORKERS < 2 { quit(client)? } else { clients.push(client) }
        }
        for _ in 0..2 * WORKERS {
            clients.push(expect_next(stage, &mut last)?);
        }
        clients.into_iter().try_for_each(quit)?;
    }
    Ok(())
}

fn spread(stage: &mut Stage) -> Result<(), Problem> {
    for (policy, topic) in [("round-robin", Topic::InTurn), ("least-clients", Topic::Equals)] {
        serve(stage, policy)?;
        if topic == Topic::Equals {
            // Else it could not be told whether equals do not take turns, or counts are compared the wrong way round.
            an_equal_number(stage, 2)?.into_iter().flatten().try_for_each(quit)?;
        }
        let mut got = [0; WORKERS];
        for _ in 0..200 {
            let (client, worker) = served(stage)?;
            got[worker] += 1;
            quit(client)?;
        }
        let (client, worker) = served(stage)?;
        got[worker] += 1;
        // 5 % of 50.
        expect_spread(&client, &got, 3, topic)?;
    }
    Ok(())
}

/// Asks for the counts until they are these: that a client has gone may be noticed a moment later.
fn expect_counts(stage: &Stage, client: &mut Client, wanted: [usize; WORKERS]) -> Result<(), Problem> {
    let until = Instant::now() + stage.timing.patience();
    let wanted = format!("clients {}", numbers(&wanted));
    loop {
        client.send(b"COUNTS\n")?;
        let line = client.expect_line("clients ", &format!("`{wanted}`"))?;
        if line == wanted.as_bytes() {
            return Ok(());
        }
        if Instant::now() >= until {
            let problem = client.complaint(&format!("`{wanted}`"), wanted.as_bytes(), &line);
            return Err(problem.about(Topic::Count));
        }
        std::thread::sleep(stage.timing.quiet() / 10);
    }
}

/// Clients, as many for each worker: a list for each. By either policy, none of them goes to a worker that has more than another.
fn an_equal_number(stage: &mut Stage, each: usize) -> Result<Vec<Vec<Client>>, Problem> {
    let mut all: Vec<Vec<Client>> = (0..WORKERS).map(|_| Vec::new()).collect();
    for _ in 0..each * WORKERS {
        let (client, worker) = served(stage)?;
        let counts = [0, 1, 2, 3].map(|worker: usize| all[worker].len());
        let few: Vec<usize> = (0..WORKERS).filter(|worker| Some(&counts[*worker]) == counts.iter().min()).collect();
        if !few.contains(&worker) {
            return Err(not_the_least(&client, &few, worker));
        }
        all[worker].push(client);
    }
    Ok(all)
}

/// A client should have gone to one of the workers that have fewest.
fn not_the_least(client: &Client, wanted: &[usize], got: usize) -> Problem {
    let wanted = wanted.iter().map(|worker| format!("worker {}", worker + 1)).collect::<Vec<_>>().join(" or ");
    let got = format!("worker {}", got + 1);
    let why = format!("`{wanted}`: fewer clients than `{got}`");
    client.complaint(&why, wanted.as_bytes(), got.as_bytes()).about(Topic::Least)
}

fn counts(stage: &mut Stage) -> Result<(), Problem> {
    serve(stage, "round-robin")?;
    let mut all = an_equal_number(stage, 5)?;
    let mut asks = all[3].remove(0);
    expect_counts(stage, &mut asks, [5; WORKERS])?;
    // These have seen their end: they are not counted any more.
    for (worker, clients) in all[..3].iter_mut().enumerate() {
        quit(clients.remove(0))?;
        let wanted = numbers(&[0, 1, 2, 3].map(|other| if other <= worker { 4 } else { 5 }));
        asks.send(b"COUNTS\n")?;
        let line = asks.expect_line("clients ", &format!("`clients {wanted}`"))?;
        let wanted = format!("clients {wanted}");
        if line != wanted.as_bytes() {
            let text = format!("`{wanted}`, at once: this client has seen its end");
            return Err(asks.complaint(&text, wanted.as_bytes(), &line).about(Topic::Count));
        }
    }
    for clients in &mut all[..3] {
        clients.remove(0).close();
        clients.remove(0).abort();
        let mut client = clients.remove(0);
        client.finish();
        client.expect_end("FIN: the client sends nothing more")?;
    }
    expect_counts(stage, &mut asks, [1, 1, 1, 5])
}

fn least(stage: &mut Stage) -> Result<(), Problem> {
    serve(stage, "least-clients")?;
    let mut all = an_equal_number(stage, 3)?;
    for _ in 0..6 {
        let worker = stage.below(WORKERS);
        let mut counts = [3; WORKERS];
        for _ in 0..2 {
            quit(all[worker].remove(0))?;
        }
        counts[worker] = 1;
        expect_counts(stage, &mut all[worker][0], counts)?;
        for _ in 0..2 {
            let (client, got) = served(stage)?;
            if got != worker {
                return Err(not_the_least(&client, &[worker], got));
            }
            all[worker].push(client);
        }
    }
    Ok(())
}

fn burst(stage: &mut Stage) -> Result<(), Problem> {
    serve(stage, "least-clients")?;
    let mut all = an_equal_number(stage, 5)?;
    for client in all.iter_mut().skip(1).flat_map(std::mem::take) {
        quit(client)?;
    }
    let mut got = [5, 0, 0, 0];
    expect_counts(stage, &mut all[0][0], got)?;
    // Stopped, it accepts none; then all of them are there. With those that stay, it is ten for each.
    stage.pause()?;
    let mut clients = (0..35).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
    stage.resume()?;
    for client in &mut clients {
        got[worker_of(client)?] += 1;
    }
    expect_spread(&clients[0], &got, 1, Topic::Burst)
}

/// Longer than anything is waited for.
fn for_ever(stage: &Stage) -> u128 {
    (stage.timing.patience() * 3).as_millis().min(60_000)
}

/// As many clients come to a worker that is busy.
const WAIT: usize = 40;

fn busy(stage: &mut Stage) -> Result<(), Problem> {
    serve(stage, "least-clients")?;
    let mut all = an_equal_number(stage, 1)?;
    let mut works = all[0].remove(0);
    for client in all.into_iter().flatten() {
        quit(client)?;
    }
    expect_counts(stage, &mut works, [1, 0, 0, 0])?;
    works.send(format!("WORK {}\n", for_ever(stage)).as_bytes())?;
    works.until_read();
    // Three workers have no client: these are for them.
    let mut others = Vec::new();
    for _ in 1..WORKERS {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line()).map_err(about(Topic::BusyWorker))?;
        others.push(client);
    }
    // In turn, so that some clients have to wait; the dispatcher must not.
    serve(stage, "round-robin")?;
    an_equal_number(stage, 1)?;
    let (mut works, _) = served(stage)?;
    works.send(format!("WORK {}\n", for_ever(stage)).as_bytes())?;
    works.until_read();
    // More than the place between two threads may have room for.
    for at in 1..=WAIT * WORKERS {
        let mut client = stage.connect()?;
        if at % WORKERS != 0 && !(3 * WORKERS..=(WAIT - 1) * WORKERS).contains(&at) {
            client.expect_echo(&stage.line()).map_err(about(Topic::DispatcherWaits))?;
        }
        others.push(client);
    }
    works.expect_quiet("nothing yet: its work takes longer")?;
    handed_over(stage)
}

/// Clients that are handed to a busy worker are served when it has the time, however many they are.
fn handed_over(stage: &mut Stage) -> Result<(), Problem> {
    serve(stage, "round-robin")?;
    let (mut works, _) = served(stage)?;
    works.send(format!("WORK {}\n", (stage.timing.quiet() * 4).as_millis()).as_bytes())?;
    works.until_read();
    let mut others = (0..WAIT * WORKERS - 1).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
    works.expect(b"done\n", "`done`, when its work is done")?;
    for client in &mut others {
        client.expect_echo(&stage.line()).map_err(about(Topic::HandedOver))?;
    }
    Ok(())
}

fn crash(stage: &mut Stage) -> Result<(), Problem> {
    serve(stage, "least-clients")?;
    let mut all = an_equal_number(stage, 3)?;
    for worker in 0..WORKERS {
        all[worker][0].send(b"CRASH\n")?;
        for mut client in std::mem::take(&mut all[worker]) {
            client.expect_gone("the end: its worker has panicked")?;
        }
        for client in all.iter_mut().flatten() {
            client.expect_echo(&stage.line()).map_err(about(Topic::OthersWorker))?;
        }
        let mut left = [3; WORKERS];
        left[worker] = 0;
        expect_counts(stage, &mut all[(worker + 1) % WORKERS][0], left)?;
        // It has the fewest: so these are for the worker that takes its place.
        for _ in 0..3 {
            let mut client = stage.connect()?;
            client.expect_echo(&stage.line()).map_err(about(Topic::Replaced))?;
            all[worker].push(client);
        }
        expect_counts(stage, &mut all[worker][0], [3; WORKERS])?;
    }
    Ok(())
}

fn rests(stage: &mut Stage) -> Result<(), Problem> {
    standing::running(stage)?;
    let mut clients = (0..20).map(|_| served(stage).map(|(client, _)| client)).collect::<Result<Vec<_>, _>>()?;
    clients[0].send(b"half a line")?;
    standing::idle(stage).map_err(about(Topic::EventLoop))
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| quit(served(stage)?.0);
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..40 {
            served(stage)?.0.abort();
            served(stage)?.0.close();
            quit(served(stage)?.0)?;
        }
        // Each worker is heard once more, so that it has seen them go.
        for _ in 0..WORKERS {
            quit(served(stage)?.0)?;
        }
        Ok(())
    })
}
