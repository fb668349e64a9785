//! Clinic 4, a bank that stops: locks in two orders, twice, under a panic, and over a write.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    probe::{self, Call},
    problem::{Problem, Topic},
    stage::Stage,
    student::Student,
};
use std::time::{Duration, Instant};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "moves", promise: "one client can move, show and sum", run: moves },
    Check { name: "same-account", promise: "a move from an account to itself is refused", run: same_account },
    Check {
        name: "too-much",
        promise: "a move of more than there is is refused, and nothing else happens",
        run: too_much,
    },
    Check {
        name: "opposite-ways",
        promise: "moves in opposite directions do not wait for each other for ever",
        run: opposite,
    },
    Check { name: "the-sum-is-kept", promise: "SUM is 10000 at any moment, whatever moves", run: sum_is_kept },
    Check { name: "a-slow-reader", promise: "a client that does not read keeps nobody waiting", run: slow_reader },
    Check { name: "breaks-off", promise: "clients that break off leave a bank that works", run: breaks_off },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

/// Waits for an answer. A panic explains why none came, and so does a lock.
fn hears(stage: &Stage, client: &mut Client, answer: &str) -> Result<(), Problem> {
    let answered = stage.expect_soon(client, format!("{answer}\n").as_bytes(), &format!("`{answer}`"));
    answered.map_err(|problem| {
        let panicked = stage.expect_no_panic(&format!("`{answer}`, and no panic"));
        panicked.err().unwrap_or_else(|| problem.about(Topic::Locks))
    })
}

fn asks(stage: &Stage, client: &mut Client, line: &str, answer: &str) -> Result<(), Problem> {
    client.send(format!("{line}\n").as_bytes())?;
    hears(stage, client, answer)
}

fn expect_sum(stage: &Stage, client: &mut Client) -> Result<(), Problem> {
    asks(stage, client, "SUM", "SUM 10000").map_err(|problem| problem.about(Topic::Sum))
}

fn moves(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    asks(stage, &mut client, "MOVE 1 2 100", "OK")?;
    asks(stage, &mut client, "MOVE 2 3 1100", "OK")?;
    for (account, balance) in [(0, "1000"), (1, "900"), (2, "0"), (3, "2100")] {
        asks(stage, &mut client, &format!("SHOW {account}"), balance)?;
    }
    asks(stage, &mut client, "HISTORY", "100 from 1 to 2\n1100 from 2 to 3\nEND")?;
    asks(stage, &mut client, "SHOW 10", "ERR no such account")?;
    asks(stage, &mut client, "FLY", "ERR bad command")?;
    asks(stage, &mut client, "SUM", "SUM 10000")
}

fn same_account(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    asks(stage, &mut client, "MOVE 4 4 1", "ERR same account")?;
    asks(stage, &mut client, "MOVE 4 4 5000", "ERR same account")?;
    asks(stage, &mut client, "MOVE 4 5 1", "OK")?;
    expect_sum(stage, &mut client)
}

fn too_much(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    for line in ["MOVE 1 2 1001", "MOVE 2 1 1001", "MOVE 9 0 18446744073709551615"] {
        asks(stage, &mut client, line, "ERR not enough")?;
    }
    let mut other = stage.connect()?;
    asks(stage, &mut other, "SHOW 1", "1000")?;
    asks(stage, &mut other, "MOVE 1 2 1000", "OK")?;
    asks(stage, &mut client, "MOVE 1 2 1", "ERR not enough")?;
    asks(stage, &mut client, "HISTORY", "1000 from 1 to 2\nEND")?;
    expect_sum(stage, &mut client)
}

/// Each client sends its lines at once; all of them are answered with `OK`.
fn all_at_once(stage: &Stage, lines: &[String]) -> Result<Vec<Client>, Problem> {
    let mut clients = Vec::new();
    for _ in lines {
        clients.push(stage.connect()?);
    }
    for (client, lines) in clients.iter_mut().zip(lines) {
        client.send(lines.as_bytes())?;
    }
    Ok(clients)
}

fn hear_all(stage: &Stage, clients: Vec<Client>, count: usize) -> Result<(), Problem> {
    for mut client in clients {
        for _ in 0..count {
            hears(stage, &mut client, "OK")?;
        }
        client.close();
    }
    Ok(())
}

fn opposite(stage: &mut Stage) -> Result<(), Problem> {
    const COUNT: usize = 40;
    standing::running(stage)?;
    let lines: Vec<String> = ["MOVE 1 2 1\n", "MOVE 2 1 1\n"].iter().map(|line| line.repeat(COUNT)).collect();
    let clients = all_at_once(stage, &lines)?;
    hear_all(stage, clients, COUNT)?;
    // Three in a ring, each of whom waits for the next.
    let lines: Vec<String> =
        ["MOVE 5 7 1\n", "MOVE 7 3 1\n", "MOVE 3 5 1\n"].iter().map(|line| line.repeat(COUNT)).collect();
    let clients = all_at_once(stage, &lines)?;
    hear_all(stage, clients, COUNT)?;
    let mut client = stage.connect()?;
    expect_sum(stage, &mut client)
}

fn sum_is_kept(stage: &mut Stage) -> Result<(), Problem> {
    const CLIENTS: usize = 5;
    const COUNT: usize = 30;
    standing::running(stage)?;
    let mut lines = vec![String::new(); CLIENTS];
    for line in &mut lines {
        for _ in 0..COUNT {
            let (from, step, amount) = (stage.below(10), 1 + stage.below(9), 1 + stage.below(5));
            *line += &format!("MOVE {from} {} {amount}\n", (from + step) % 10);
        }
    }
    let mut watcher = stage.connect()?;
    let clients = all_at_once(stage, &lines)?;
    for _ in 0..COUNT {
        expect_sum(stage, &mut watcher)?;
    }
    hear_all(stage, clients, COUNT)?;
    expect_sum(stage, &mut watcher)
}

/// Waits a moment until a thread of the program sleeps in a write.
fn until_it_writes(stage: &Stage) {
    let until = Instant::now() + stage.timing.quiet() * 4;
    let writes = |student: &Student| probe::calls(student.id()).contains(&Call::Write);
    while !stage.student.as_ref().is_some_and(writes) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn slow_reader(stage: &mut Stage) -> Result<(), Problem> {
    const COUNT: usize = 300;
    standing::running(stage)?;
    let clients = all_at_once(stage, &["MOVE 1 2 1\n".repeat(COUNT)])?;
    hear_all(stage, clients, COUNT)?;
    let mut slow = stage.connect_narrow()?;
    // Some megabytes of answers, of which it takes none.
    slow.send("HISTORY\n".repeat(4000).as_bytes())?;
    until_it_writes(stage);
    let mut other = stage.connect()?;
    for _ in 0..3 {
        asks(stage, &mut other, "MOVE 3 4 1", "OK").map_err(|problem| problem.about(Topic::BesideSlowReader))?;
        expect_sum(stage, &mut other).map_err(|problem| problem.about(Topic::BesideSlowReader))?;
    }
    // Gone without a word: its thread is in the middle of an answer.
    slow.abort();
    asks(stage, &mut other, "MOVE 4 3 1", "OK")
}

fn breaks_off(stage: &mut Stage) -> Result<(), Problem> {
    standing::running(stage)?;
    for _ in 0..10 {
        let mut client = stage.connect()?;
        client.send("MOVE 1 2 1\n".repeat(10).as_bytes())?;
        client.send(b"MOVE 1 2")?;
        client.abort();
    }
    let mut client = stage.connect()?;
    asks(stage, &mut client, "MOVE 3 4 1", "OK")?;
    expect_sum(stage, &mut client)
}

fn visit(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    asks(stage, &mut client, "MOVE 1 2 0", "OK")?;
    standing::told_to_quit(&mut client)?;
    client.close();
    Ok(())
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..40 {
            visit(stage)?;
            let mut client = stage.connect()?;
            asks(stage, &mut client, "SHOW 1", "1000")?;
            client.abort();
            stage.connect()?.close();
        }
        visit(stage)
    })
}
