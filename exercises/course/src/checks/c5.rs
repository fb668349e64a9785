//! Clinic 5, what is left behind: descriptors, texts, lines without an end, threads.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    probe,
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
    student::Student,
};
use std::time::Instant;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "answers", promise: "texts are taken, and the last ten are shown", run: answers },
    Check {
        name: "descriptors",
        promise: "a client that has gone leaves no descriptor, however it went",
        run: descriptors,
    },
    Check {
        name: "texts",
        promise: "what is said does not fill the memory, and the last ten are still right",
        run: texts,
    },
    Check {
        name: "line-without-end",
        promise: "a line of more than 1024 bytes is refused and ends its conversation",
        run: endless,
    },
    Check { name: "threads", promise: "a client that has gone leaves no stack", run: threads },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

fn asks(stage: &Stage, client: &mut Client, line: &str, answer: &str) -> Result<(), Problem> {
    client.send(format!("{line}\n").as_bytes())?;
    stage.expect_soon(client, format!("{answer}\n").as_bytes(), &format!("`{}`", answer.lines().last().unwrap_or("")))
}

fn quit(stage: &Stage, mut client: Client) -> Result<(), Problem> {
    asks(stage, &mut client, "QUIT", "BYE")?;
    client.expect_end("FIN after BYE")?;
    client.close();
    Ok(())
}

fn visit(stage: &mut Stage) -> Result<(), Problem> {
    let client = standing::connected(stage)?;
    quit(stage, client)
}

fn answers(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    asks(stage, &mut client, "LAST", "END")?;
    for number in 1..=12 {
        asks(stage, &mut client, &format!("SAY text {number}"), "OK")?;
    }
    asks(stage, &mut client, "SAY   with  blanks ", "OK")?;
    let last: String = (4..=12).map(|number| format!("text {number}\n")).chain(["  with  blanks \n".into()]).collect();
    asks(stage, &mut client, "LAST", &(last.clone() + "END"))?;
    asks(stage, &mut client, "FLY", "ERR")?;
    let mut other = stage.connect()?;
    asks(stage, &mut other, "LAST", &(last + "END"))?;
    quit(stage, client)?;
    quit(stage, other)
}

/// Complains if there is more of `what` than `before` and some, and it does not come down within a moment.
fn expect_back(stage: &Stage, what: Resource, before: Option<u64>, some: u64) -> Result<(), Problem> {
    let until = Instant::now() + stage.timing.quiet() * 4;
    loop {
        let (Some(from), Some(to)) = (before, stage.amount(what)) else { return Ok(()) };
        if to <= from + some {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Problem::new("that what a client took is given back", Seen::Grew { what, from, to }));
        }
        std::thread::sleep(stage.timing.quiet() / 10);
    }
}

fn descriptors(stage: &mut Stage) -> Result<(), Problem> {
    visit(stage)?;
    expect_back(stage, Resource::Threads, Some(1), 0)?;
    let before = stage.amount(Resource::Descriptors);
    for _ in 0..10 {
        visit(stage)?;
        let mut client = stage.connect()?;
        asks(stage, &mut client, "FLY", "ERR")?;
        client.close();
        let mut client = stage.connect()?;
        client.send(b"SAY half a li")?;
        client.abort();
        stage.connect()?.abort();
    }
    visit(stage)?;
    expect_back(stage, Resource::Descriptors, before, 3)
}

/// The room for an allocator and some buffers, in KiB.
const SOME: u64 = 4096;

fn texts(stage: &mut Stage) -> Result<(), Problem> {
    const ROUNDS: usize = 60;
    const LINES: usize = 1000;
    let text = String::from_utf8_lossy(&stage.payload(400)).replace(' ', "_");
    let mut client = standing::connected(stage)?;
    let lines = format!("SAY {text}\n").repeat(LINES);
    let mut round = |stage: &Stage| {
        client.send(lines.as_bytes())?;
        stage.expect_soon(&mut client, "OK\n".repeat(LINES).as_bytes(), "`OK`, a thousand times")
    };
    round(stage)?;
    let before = stage.amount(Resource::Memory);
    for _ in 0..ROUNDS {
        round(stage)?;
    }
    expect_back(stage, Resource::Memory, before, SOME)?;
    let last = format!("{text}\n").repeat(10) + "END";
    asks(stage, &mut client, "LAST", &last)?;
    quit(stage, client)
}

fn endless(stage: &mut Stage) -> Result<(), Problem> {
    let about = |problem: Problem| problem.about(Topic::Oversize);
    let limit = |problem: Problem| problem.about(Topic::Limit);
    let mut client = standing::connected(stage)?;
    // 1024 bytes with the line end are allowed.
    asks(stage, &mut client, &format!("SAY {}", "a".repeat(1019)), "OK").map_err(limit)?;
    client.send(&[b"SAY ", &[b'b'; 64 * 1024][..]].concat())?;
    stage.expect_soon(&mut client, b"ERR too long\n", "`ERR too long`").map_err(about)?;
    standing::ends_without_reset(stage, &mut client, "then the end, and no reset behind it").map_err(about)?;
    client.close();
    let mut client = stage.connect()?;
    asks(stage, &mut client, &format!("SAY {}", "a".repeat(1020)), "ERR too long").map_err(limit)?;
    standing::ends_without_reset(stage, &mut client, "then the end, and no reset behind it").map_err(about)?;
    client.close();
    let before = stage.amount(Resource::Memory);
    for _ in 0..3 {
        let mut client = stage.connect()?;
        client.send(&vec![b'c'; 8 << 20])?;
        client.expect_gone("that it is let go").map_err(about)?;
        client.close();
    }
    expect_back(stage, Resource::Memory, before, SOME).map_err(about)?;
    let client = stage.connect()?;
    quit(stage, client)
}

/// With so many pieces of address space more than before, stacks are kept. Those that the system has ready for the next thread are some dozens.
const STACKS: u64 = 200;

fn threads(stage: &mut Stage) -> Result<(), Problem> {
    const CLIENTS: usize = 1000;
    for _ in 0..50 {
        visit(stage)?;
    }
    let id = stage.student.as_ref().map(Student::id);
    let (before, pieces) = (stage.amount(Resource::Memory), id.and_then(probe::mappings));
    for at in 1..=CLIENTS {
        visit(stage)?;
        // Nothing that is kept so long comes back, so there is no need for more clients.
        if at % 50 == 0 && id.and_then(probe::mappings) > pieces.map(|pieces| pieces + STACKS) {
            break;
        }
    }
    expect_back(stage, Resource::Threads, Some(1), 2)?;
    let about = |problem: Problem| problem.about(Topic::Stacks);
    match (stage.amount(Resource::Memory), before) {
        (Some(to), Some(from)) if id.and_then(probe::mappings) > pieces.map(|pieces| pieces + STACKS) => {
            let seen = Seen::Grew { what: Resource::Memory, from, to };
            Err(about(Problem::new("that what a client took is given back", seen)))
        }
        _ => expect_back(stage, Resource::Memory, before, SOME).map_err(about),
    }
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    standing::leaves_nothing(stage, visit, |stage| {
        // The starter fails at once: nobody waits for what does not come back.
        let before = stage.amount(Resource::Descriptors);
        for _ in 0..25 {
            visit(stage)?;
            let mut client = stage.connect()?;
            asks(stage, &mut client, "LAST", "END")?;
            client.abort();
            stage.connect()?.close();
            visit(stage)?;
        }
        expect_back(stage, Resource::Descriptors, before, 3)
    })
}
