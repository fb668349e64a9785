//! Clinic 4, a bank that stops: locks in two orders, twice, under a panic, and over a write.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    problem::{Problem, Seen, Topic},
    stage::Stage,
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
        name: "the-last-money",
        promise: "several ask at once for all that an account has, and one gets it",
        run: last_money,
    },
    Check {
        name: "audits",
        promise: "moves of the same account wait for each other, from the audit of one to its end",
        run: audits,
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
    answered.map_err(|problem| explained(stage, problem, answer))
}

/// A thread that has panicked explains the end of its conversation without us; here it explains why others wait.
fn explained(stage: &Stage, problem: Problem, answer: &str) -> Problem {
    if matches!(problem.seen, Seen::EarlyEnd(_) | Seen::Reset) {
        return problem.about(Topic::Locks);
    }
    let panicked = stage.expect_no_panic(&format!("`{answer}`, and no panic"));
    panicked.err().unwrap_or_else(|| problem.about(Topic::Locks))
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
        expect_sum(stage, &mut client)?;
    }
    let mut other = stage.connect()?;
    asks(stage, &mut other, "SHOW 1", "1000")?;
    asks(stage, &mut other, "MOVE 1 2 1000", "OK")?;
    asks(stage, &mut client, "MOVE 1 2 1", "ERR not enough")?;
    asks(stage, &mut client, "HISTORY", "1000 from 1 to 2\nEND")?;
    expect_sum(stage, &mut client)
}

fn last_money(stage: &mut Stage) -> Result<(), Problem> {
    const CLIENTS: usize = 6;
    standing::running(stage)?;
    for from in [1, 9] {
        let mut clients = (0..CLIENTS).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
        for (to, client) in (2..).zip(&mut clients) {
            client.send(format!("MOVE {from} {to} 1000\n").as_bytes())?;
        }
        let mut moved = 0;
        for client in &mut clients {
            let wanted = if moved == 0 { "`OK` or `ERR not enough`" } else { "`ERR not enough`: another has it all" };
            let line = client.expect_line("", wanted).map_err(|problem| explained(stage, problem, "OK"))?;
            match &line[..] {
                b"OK" if moved == 0 => moved = 1,
                b"ERR not enough" => {}
                other => return Err(client.complaint(wanted, b"ERR not enough", other).about(Topic::CheckThenAct)),
            }
        }
        asks(stage, &mut clients[0], &format!("SHOW {from}"), "0")?;
        expect_sum(stage, &mut clients[0])?;
    }
    Ok(())
}

/// Moves of the same account take at least the time of their audits, one after the other: a shorter time shows that some were audited together,
/// or not at all. A machine that is busy only makes it longer.
fn audits(stage: &mut Stage) -> Result<(), Problem> {
    const CLIENTS: usize = 6;
    const COUNT: usize = 8;
    standing::running(stage)?;
    for line in ["MOVE 1 2 1\n", "MOVE 8 3 1\n"] {
        let begun = Instant::now();
        let clients = all_at_once(stage, &vec![line.repeat(COUNT); CLIENTS])?;
        hear_all(stage, clients, COUNT)?;
        let (took, least) = (begun.elapsed(), AUDIT * u32::try_from(CLIENTS * COUNT).unwrap_or(0));
        // Clocks that are read in different places may differ a little.
        if took < least.mul_f64(0.9) {
            let wanted = "that no other move may change an account while a move of it is looked at";
            return Err(Problem::new(wanted, Seen::TooSoon { took, least }));
        }
    }
    Ok(())
}

/// The time that an audit takes.
const AUDIT: Duration = Duration::from_millis(1);

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

/// More moves than are remembered have been made.
fn expect_history(stage: &Stage) -> Result<(), Problem> {
    let mut client = stage.connect()?;
    client.send(b"HISTORY\n")?;
    let wanted = format!("the last {HISTORY} moves, and `END`");
    let mut lines = 0;
    loop {
        let line = client.expect_line("", &wanted)?;
        if line == b"END" && lines == HISTORY {
            return Ok(());
        }
        lines += 1;
        if line == b"END" || lines > HISTORY {
            return Err(client.complaint(&wanted, b"END", &line).about(Topic::History));
        }
    }
}

/// The number of moves that are remembered.
const HISTORY: usize = 500;

fn slow_reader(stage: &mut Stage) -> Result<(), Problem> {
    const COUNT: usize = 300;
    standing::running(stage)?;
    let clients = all_at_once(stage, &["MOVE 1 2 1\n".repeat(COUNT), "MOVE 5 6 1\n".repeat(COUNT)])?;
    hear_all(stage, clients, COUNT)?;
    expect_history(stage)?;
    let mut slow = stage.connect_small_window()?;
    // Some megabytes of answers, of which it takes none.
    slow.send("HISTORY\n".repeat(4000).as_bytes())?;
    standing::until_it_writes(stage);
    let mut other = stage.connect()?;
    for _ in 0..3 {
        asks(stage, &mut other, "MOVE 3 4 1", "OK").map_err(|problem| problem.about(Topic::BesideSlowReader))?;
        expect_sum(stage, &mut other).map_err(|problem| problem.about(Topic::BesideSlowReader))?;
    }
    // Gone without a word: its thread is in the middle of an answer.
    slow.abort();
    asks(stage, &mut other, "MOVE 4 3 1", "OK")?;
    standing::writes_without_lock(stage, &mut other, b"MOVE 3 4 0\n", b"OK\n", |stage| {
        let mut slow = stage.connect_small_window()?;
        slow.send(&b"HISTORY\n".repeat(4000))?;
        Ok(slow)
    })
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
