//! Exercise 8, a thread for each client, and what they share.

use crate::{
    catalog::Check,
    checks::{standing, working},
    client::Client,
    probe,
    problem::{Problem, Resource, Seen, Topic},
    shape::Shape,
    stage::Stage,
};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check {
        name: "echoes",
        promise: "each client gets its lines back, also while others are there",
        run: standing::echoes,
    },
    Check {
        name: "nobody-waits",
        promise: "32 clients that ask for work at the same moment are served at the same time",
        run: |stage| working::shape(stage, Shape::Each, 32),
    },
    Check { name: "counts-exactly", promise: "eight clients add at once, and nothing is lost", run: counts_exactly },
    Check { name: "counts-clients", promise: "it knows how many clients are there", run: counts_clients },
    Check { name: "a-crash-harms-nobody", promise: "a thread that panics ends one client and no other", run: a_crash },
    Check { name: "threads-go-back", promise: "when clients have gone, their threads have gone", run: threads_go_back },
    Check { name: "a-limit", promise: "100 clients at once; the next is told Busy, until one has left", run: a_limit },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: working::leaves_nothing },
];

fn expect_number(client: &mut Client, what: &str, number: u64) -> Result<(), Problem> {
    client.send(format!("{what}\n").as_bytes())?;
    client.expect(format!("{what} {number}\n").as_bytes(), &format!("`{what} {number}`"))
}

/// The number becomes right a moment after a client has gone.
fn expect_clients(stage: &Stage, client: &mut Client, number: u64) -> Result<(), Problem> {
    let until = std::time::Instant::now() + stage.timing.patience();
    let wanted = format!("clients {number}");
    loop {
        client.send(b"clients\n")?;
        let line = client.expect_line("clients ", &format!("`{wanted}`"))?;
        if line == wanted.as_bytes() {
            return Ok(());
        }
        if std::time::Instant::now() >= until {
            let problem = client.complaint(&format!("`{wanted}`"), wanted.as_bytes(), &line);
            return Err(problem.about(Topic::Count));
        }
        std::thread::sleep(stage.timing.quiet() / 10);
    }
}

fn counts_exactly(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(stage.connect()?);
    }
    // One after the other: if this fails, nobody raced. The client that asks has added nothing.
    let mut asks = stage.connect()?;
    clients[0].send(b"add 1\n")?;
    clients[0].expect(b"done\n", "`done`: all is added")?;
    expect_number(&mut asks, "total", 1).map_err(|problem| problem.about(Topic::Store))?;
    for _ in 0..2 {
        for client in &mut clients {
            client.send(b"add 20\n")?;
        }
        for client in &mut clients {
            client.expect(b"done\n", "`done`: all is added")?;
        }
    }
    expect_number(&mut asks, "total", 1 + 8 * 2 * 20).map_err(|problem| problem.about(Topic::Total))
}

fn counts_clients(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut first = stage.connect()?;
    expect_clients(stage, &mut first, 1)?;
    let mut second = stage.connect()?;
    second.expect_echo(&stage.line())?;
    let mut third = stage.connect()?;
    third.expect_echo(&stage.line())?;
    expect_clients(stage, &mut first, 3)?;
    second.close();
    third.abort();
    expect_clients(stage, &mut first, 1)
}

fn a_crash(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::AfterBrokenClient);
    let mut first = stage.connect()?;
    expect_clients(stage, &mut first, 1)?;
    for _ in 0..3 {
        let mut client = stage.connect()?;
        client.send(b"crash\n")?;
        client.expect_end("the end: its thread has panicked")?;
    }
    first.expect_echo(&stage.line()).map_err(about)?;
    expect_clients(stage, &mut first, 1)?;
    let mut next = stage.connect()?;
    next.expect_echo(&stage.line()).map_err(about)?;
    next.send(b"add 5\n")?;
    next.expect(b"done\n", "`done`, after others have panicked").map_err(about)
}

/// Stacks that are kept, each with the page that guards it, are more pieces of the address space than those that the system has ready.
const STACKS: u64 = 150;

fn threads_go_back(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut first = stage.connect()?;
    first.expect_echo(&stage.line())?;
    let before = stage.amount(Resource::Threads);
    let mut crowd = Vec::new();
    for _ in 0..30 {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line())?;
        crowd.push(client);
    }
    for (at, client) in crowd.into_iter().enumerate() {
        if at % 2 == 0 { client.close() } else { client.abort() }
    }
    stage.expect_flat(Resource::Threads, before, 0)?;
    // And so have their stacks.
    let pieces = |stage: &Stage| stage.student.as_ref().and_then(|student| probe::mappings(student.id()));
    let (memory, mappings) = (stage.amount(Resource::Memory), pieces(stage));
    for _ in 0..STACKS {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line())?;
        client.close();
    }
    stage.expect_flat(Resource::Threads, before, 0)?;
    if pieces(stage) > mappings.map(|before| before + STACKS) {
        let (from, to) = (memory.unwrap_or(0), stage.amount(Resource::Memory).unwrap_or(0));
        let grew = Seen::Grew { what: Resource::Memory, from, to };
        return Err(Problem::new("that what a client took is given back", grew).about(Topic::Stacks));
    }
    Ok(())
}

fn a_limit(stage: &mut Stage) -> Result<(), Problem> {
    working::a_limit(stage, 100)
}
