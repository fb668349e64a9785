//! Clinic 1, a review: five faults in a server that keeps notes.

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
    Check { name: "answers", promise: "commands are answered, one client alone", run: answers },
    Check {
        name: "starts-again",
        promise: "it can be started again at once at the same address, and not twice",
        run: starts_again,
    },
    Check { name: "two-at-once", promise: "a client does not wait for another to leave", run: two_at_once },
    Check {
        name: "one-breaks-off",
        promise: "a client that breaks off ends its own conversation and nothing else",
        run: one_breaks_off,
    },
    Check {
        name: "last-words",
        promise: "BYE and all answers arrive, whatever the client has sent behind QUIT",
        run: last_words,
    },
    Check {
        name: "who-is-there",
        promise: "CLIENTS counts those that are connected, however the others have left",
        run: counts_clients,
    },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

/// A line of 512 bytes with `ADD ` before it and its end behind it.
const LONGEST_NOTE: usize = 512 - 5;

/// Asks for something, and hears the answer.
fn asks(stage: &Stage, client: &mut Client, line: &str, answer: &str) -> Result<(), Problem> {
    client.send(format!("{line}\n").as_bytes())?;
    stage.expect_soon(client, format!("{answer}\n").as_bytes(), &format!("`{answer}`"))
}

fn quit(stage: &Stage, mut client: Client) -> Result<(), Problem> {
    asks(stage, &mut client, "QUIT", "BYE")?;
    client.expect_end("FIN after BYE")?;
    client.close();
    Ok(())
}

fn answers(stage: &mut Stage) -> Result<(), Problem> {
    let text = stage.text();
    let mut client = standing::connected(stage)?;
    asks(stage, &mut client, &format!("ADD {text}"), "OK 1")?;
    asks(stage, &mut client, "ADD  two blanks", "OK 2")?;
    asks(stage, &mut client, "GET 1", &text)?;
    asks(stage, &mut client, "GET 2", " two blanks")?;
    asks(stage, &mut client, "GET 3", "ERR no such note")?;
    asks(stage, &mut client, "GET 0", "ERR no such note")?;
    asks(stage, &mut client, "FLY", "ERR bad command")?;
    asks(stage, &mut client, "WHO", "CLIENTS 1")?;
    quit(stage, client)
}

fn starts_again(stage: &mut Stage) -> Result<(), Problem> {
    let address = stage.serve_with(ANY, &[], Limits::default())?;
    for _ in 0..3 {
        // The server closes first: its end of the connection goes into TIME_WAIT.
        let client = stage.connect()?;
        quit(stage, client)?;
    }
    stage.kill();
    stage.serve_with(address, &[], Limits::default()).map_err(|problem| problem.about(Topic::Restart))?;
    let client = stage.connect()?;
    quit(stage, client)?;
    // The option with nearly the same name would let two copies take clients from each other.
    stage.expect_no_second_copy(1)
}

fn two_at_once(stage: &mut Stage) -> Result<(), Problem> {
    let text = stage.text();
    let mut first = standing::connected(stage)?;
    asks(stage, &mut first, &format!("ADD {text}"), "OK 1")?;
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = stage.connect()?;
        asks(stage, &mut client, "GET 1", &text).map_err(|problem| problem.about(Topic::Store))?;
        clients.push(client);
    }
    asks(stage, &mut first, "WHO", "CLIENTS 11")?;
    clients.into_iter().try_for_each(|client| quit(stage, client))?;
    // This one asks for much, and takes nothing of it.
    let note = "n".repeat(LONGEST_NOTE);
    asks(stage, &mut first, &format!("ADD {note}"), "OK 2")?;
    let mut slow = stage.connect_small_window()?;
    slow.send("GET 2\n".repeat(9000).as_bytes())?;
    slow.expect(note.as_bytes(), "the note")?;
    standing::until_it_writes(stage);
    asks(stage, &mut first, "GET 1", &text).map_err(|problem| problem.about(Topic::BesideSlowReader))
}

fn one_breaks_off(stage: &mut Stage) -> Result<(), Problem> {
    for number in 1..=3 {
        let mut client = standing::connected(stage)?;
        asks(stage, &mut client, "ADD something", &format!("OK {number}"))?;
        client.send(b"ADD half a li")?;
        client.abort();
    }
    // These have gone before they were accepted, perhaps.
    stage.storm(10)?;
    let mut client = stage.connect()?;
    asks(stage, &mut client, "GET 1", "something").map_err(|problem| problem.about(Topic::AfterBrokenClient))?;
    quit(stage, client)?;
    stage.expect_no_panic("that an error of a connection ends that connection, and is logged as one")?;
    // More clients than there are descriptors: accept fails, and later it does not.
    let limits = Limits { descriptors: Some(40), ..Limits::default() };
    stage.serve_with(ANY, &[], limits)?;
    let crowd = (0..60).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
    stage.until_rests();
    crowd.into_iter().for_each(Client::close);
    let mut client = stage.connect()?;
    let answered = asks(stage, &mut client, "ADD something", "OK 1");
    answered.map_err(|problem| problem.about(Topic::OutOfDescriptors))?;
    stage.expect_no_panic("that a server without descriptors waits until there are some, and goes on")
}

fn last_words(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    asks(stage, &mut client, "ADD something", "OK 1")?;
    client.send(&[b"GET 1\nQUIT\n", &[b'x'; 65_536][..]].concat())?;
    stage.expect_soon(&mut client, b"something\nBYE\n", "the answer and `BYE`")?;
    standing::ends_without_reset(stage, &mut client, "FIN after BYE, and no reset behind it")?;
    // This client has not closed its side and will not: others are served.
    let next = stage.connect()?;
    quit(stage, next).map_err(|problem| problem.about(Topic::AfterGoodbye))
}

fn counts_clients(stage: &mut Stage) -> Result<(), Problem> {
    standing::running(stage)?;
    for _ in 0..3 {
        let mut client = stage.connect()?;
        asks(stage, &mut client, "FLY", "ERR bad command")?;
        client.close();
    }
    let mut last = stage.connect()?;
    expect_alone(stage, &mut last)?;
    for _ in 0..3 {
        let mut client = stage.connect()?;
        asks(stage, &mut client, "FLY", "ERR bad command")?;
        client.abort();
    }
    expect_alone(stage, &mut last)?;
    for _ in 0..3 {
        let client = stage.connect()?;
        quit(stage, client)?;
    }
    expect_alone(stage, &mut last)?;
    quit(stage, last)
}

/// A client that has gone may be counted for a moment more.
fn expect_alone(stage: &Stage, client: &mut Client) -> Result<(), Problem> {
    const ALONE: &[u8] = b"CLIENTS 1";
    let until = Instant::now() + stage.timing.quiet() * 4;
    loop {
        client.send(b"WHO\n")?;
        let line = client.expect_line("CLIENTS ", "`CLIENTS 1`: the others have left")?;
        if line == ALONE {
            return Ok(());
        }
        if Instant::now() >= until {
            let problem = client.complaint("`CLIENTS 1`: the others have left", ALONE, &line);
            return Err(problem.about(Topic::Count));
        }
        std::thread::sleep(stage.timing.quiet() / 10);
    }
}

fn visit(stage: &mut Stage) -> Result<(), Problem> {
    let client = standing::connected(stage)?;
    quit(stage, client)
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..25 {
            let mut client = stage.connect()?;
            asks(stage, &mut client, "FLY", "ERR bad command")?;
            client.abort();
            let mut client = stage.connect()?;
            asks(stage, &mut client, "FLY", "ERR bad command")?;
            client.close();
            visit(stage)?;
            visit(stage)?;
        }
        Ok(())
    })
}
