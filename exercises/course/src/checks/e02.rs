//! Exercise 2, the queue of a listening socket.

use crate::{
    catalog::Check,
    checks::greeting::{greets, hears_hello},
    client::Client,
    problem::{Problem, Seen},
    process::ANY,
    stage::Stage,
    student::Limits,
};
use std::time::Instant;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "greets", promise: "it listens, says READY, greets a client and closes", run: greets },
    Check {
        name: "a-queue-of-fifty",
        promise: "100 clients in a second and a stall of half a second: 50 wait, and the kernel's one more",
        run: |stage| queue(stage, &[], 50),
    },
    Check {
        name: "rounds-up",
        promise: "30 clients in a second, 333 ms: 9.99 clients need 10 places, and with 301 ms so do 9.03",
        run: |stage| {
            queue(stage, &["--rate", "30", "--stall", "333"], 10)?;
            // 9.03 clients: rounded to the nearest number, they have a place too few.
            queue(stage, &["--rate", "30", "--stall", "301"], 10)
        },
    },
    Check {
        name: "the-least",
        promise: "however few come, the queue has 8 places",
        run: |stage| {
            queue(stage, &["--rate", "0", "--stall", "0"], 8)?;
            queue(stage, &["--rate", "7", "--stall", "1000"], 8)?;
            queue(stage, &["--rate", "9", "--stall", "1000"], 9)
        },
    },
    Check {
        name: "the-most",
        promise: "however many come, the queue has 128 places",
        run: |stage| {
            queue(stage, &["--rate", "127", "--stall", "1000"], 127)?;
            queue(stage, &["--rate", "1000", "--stall", "1000"], 128)?;
            queue(stage, &["--rate", "4294967295", "--stall", "1000"], 128)?;
            queue(stage, &["--rate", "4294967295", "--stall", "4294967295"], 128)
        },
    },
    Check {
        name: "survives-overflow",
        promise: "clients beyond the queue come in later; nobody is lost, and the server goes on",
        run: survives_overflow,
    },
];

/// Clients beyond those that should fit.
const MORE: usize = 8;

/// Clients that connect while the program stands still: those that got in, and those that wait for an answer.
fn crowd(stage: &mut Stage, clients: usize) -> Result<(Vec<Client>, Vec<Client>), Problem> {
    hears_hello(&mut stage.connect()?)?;
    stage.pause()?;
    let mut begun = Vec::new();
    for _ in 0..clients {
        begun.push(stage.begin()?);
    }
    // On the loopback a connection comes about at once or, if the queue is full, after the SYN is sent again in a second.
    let until = Instant::now() + stage.timing.quiet().min(std::time::Duration::from_millis(500));
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for mut client in begun {
        if client.connects(until) { inside.push(client) } else { outside.push(client) }
    }
    Ok((inside, outside))
}

fn queue(stage: &mut Stage, flags: &[&str], places: usize) -> Result<(), Problem> {
    stage.serve_with(ANY, flags, Limits::default())?;
    // The kernel compares with "longer than": a queue of n lets n + 1 in.
    let wanted = places + 1;
    let (inside, _) = crowd(stage, wanted + MORE)?;
    all_in(&inside, wanted, wanted + MORE)?;
    stage.resume()?;
    inside.into_iter().try_for_each(|mut client| hears_hello(&mut client))
}

fn all_in(inside: &[Client], wanted: usize, of: usize) -> Result<(), Problem> {
    if inside.len() == wanted {
        return Ok(());
    }
    let told = format!("that {wanted} of {of} connections complete while it stands still");
    Err(Problem::new(told, Seen::Queue { wanted, got: inside.len() }))
}

fn survives_overflow(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let (inside, outside) = crowd(stage, 50 + 1 + 12)?;
    all_in(&inside, 50 + 1, 50 + 1 + 12)?;
    stage.resume()?;
    for mut client in inside {
        hears_hello(&mut client)?;
    }
    // The others ask again by themselves, a second after the first time.
    let until = Instant::now() + stage.timing.patience();
    for mut client in outside {
        if client.connects(until) {
            hears_hello(&mut client)?;
        }
    }
    // And of those that break off while they wait, none ends the server.
    stage.pause()?;
    for _ in 0..5 {
        stage.connect()?.abort();
    }
    stage.resume()?;
    hears_hello(&mut stage.connect()?)
}
