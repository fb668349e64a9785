//! Exercise 18, a command server that ends without harm.

use crate::{
    catalog::Check,
    checks::{
        e16::{asks, quit},
        e17, standing,
    },
    client::Client,
    problem::{Problem, Seen, Topic},
    stage::Stage,
    student::Limits,
};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check {
        name: "commands",
        promise: "commands are answered, bad ones too, and the session goes on",
        run: e17::commands,
    },
    Check {
        name: "a-limit",
        promise: "fifty are served, ten wait, the next is told ERR busy, at once",
        run: e17::a_limit,
    },
    Check { name: "stops", promise: "SIGTERM or SIGINT ends it, with exit code 0", run: stops },
    Check { name: "in-a-command", promise: "commands that run are answered, then the end comes", run: in_a_command },
    Check {
        name: "silent-clients",
        promise: "clients that wait for no answer are let go at once, and keep nothing waiting",
        run: silent,
    },
    Check { name: "no-new-clients", promise: "while it ends, connections are refused", run: no_new_clients },
    Check { name: "clients-that-wait", promise: "those that wait for a worker are told ERR stopping", run: waiting },
    Check {
        name: "the-grace",
        promise: "a command that takes longer than the grace is cut off, and counted",
        run: grace,
    },
    Check { name: "a-second-signal", promise: "a second signal ends it at once, with exit code 1", run: second },
    Check {
        name: "the-last-line",
        promise: "at the end it logs how many clients and commands there were",
        run: last_line,
    },
    Check {
        name: "two-thousand",
        promise: "after two thousand clients it counts right, and has no more of anything than before",
        run: two_thousand,
    },
];

/// A client that a worker serves.
fn served(stage: &mut Stage) -> Result<Client, Problem> {
    let mut client = standing::connected(stage)?;
    asks(&mut client, "PING", "PONG")?;
    Ok(client)
}

/// Clients whose commands run, for so long.
fn working(stage: &mut Stage, count: usize, time: u128) -> Result<Vec<Client>, Problem> {
    let mut clients = (0..count).map(|_| served(stage)).collect::<Result<Vec<_>, _>>()?;
    for client in &mut clients {
        client.send(format!("WORK {time}\n").as_bytes())?;
        client.until_read();
    }
    Ok(clients)
}

/// A time that is long beside all that is done meanwhile.
fn a_while(stage: &Stage) -> u128 {
    (stage.timing.quiet() * 8).as_millis()
}

/// Longer than anything is waited for.
fn for_ever(stage: &Stage) -> u128 {
    (stage.timing.patience() * 4).as_millis().min(60_000)
}

/// A server with a grace that is longer than anything is waited for.
fn patient(stage: &mut Stage) -> Result<(), Problem> {
    let grace = for_ever(stage).to_string();
    stage.serve_with(crate::process::ANY, &["--grace", &grace], Limits::default()).map(drop)
}

fn about(topic: Topic) -> impl Fn(Problem) -> Problem {
    move |problem| problem.about(topic)
}

/// The program ends by itself.
fn expect_over(stage: &mut Stage, topic: Topic) -> Result<(), Problem> {
    stage.expect_exit(0, "that it ends by itself, with exit code 0").map_err(about(topic))
}

fn stops(stage: &mut Stage) -> Result<(), Problem> {
    for (signal, served_before) in [(Signal::SIGTERM, false), (Signal::SIGTERM, true), (Signal::SIGINT, true)] {
        stage.serve()?;
        if served_before {
            quit(served(stage)?)?;
        }
        let wanted = format!("that {signal} ends it, with exit code 0");
        stage.expect_end_by(signal, 0, &wanted).map_err(about(Topic::Stop))?;
    }
    Ok(())
}

fn in_a_command(stage: &mut Stage) -> Result<(), Problem> {
    patient(stage)?;
    let time = a_while(stage);
    let mut clients = working(stage, 8, time)?;
    // One has sent more than the command that runs.
    clients[0].send(b"PING\nPING\n")?;
    stage.signal(Signal::SIGTERM)?;
    for client in clients.iter_mut().rev() {
        client.expect(b"OK\n", "`OK`: the command ran when the signal came").map_err(about(Topic::CommandAtStop))?;
    }
    for client in &mut clients[1..] {
        client.expect_end("then the end").map_err(about(Topic::CommandAtStop))?;
    }
    // The commands behind it may be answered, or not; but nothing else.
    while clients[0].answers(b"PONG\n") {}
    let wanted = "`PONG`, or nothing more, then the end, and no reset behind it";
    standing::ends_without_reset(stage, &mut clients[0], wanted).map_err(about(Topic::CommandAtStop))?;
    expect_over(stage, Topic::CommandAtStop)
}

fn silent(stage: &mut Stage) -> Result<(), Problem> {
    patient(stage)?;
    let mut clients = (0..6).map(|_| served(stage)).collect::<Result<Vec<_>, _>>()?;
    clients[0].send(b"PIN")?;
    clients[0].until_read();
    stage.signal(Signal::SIGTERM)?;
    for client in &mut clients {
        client.expect_end("the end: it waits for no answer").map_err(about(Topic::SilentAtStop))?;
    }
    // None of them closes its side.
    expect_over(stage, Topic::SilentAtStop)
}

/// The signal has come, and the program shows it: a silent client is let go.
fn stopping(stage: &mut Stage, silent: &mut Client) -> Result<(), Problem> {
    stage.signal(Signal::SIGTERM)?;
    silent.expect_end("the end: it waits for no answer").map_err(about(Topic::SilentAtStop))
}

fn no_new_clients(stage: &mut Stage) -> Result<(), Problem> {
    patient(stage)?;
    let time = for_ever(stage);
    let _working = working(stage, 1, time)?;
    let mut silent = served(stage)?;
    stopping(stage, &mut silent)?;
    // The listener is closed a moment after that. Few tries: a queue that is full would not answer, either.
    for _ in 0..20 {
        match stage.connect() {
            Err(_) => return Ok(()),
            Ok(client) => client.close(),
        }
        std::thread::sleep(stage.timing.patience() / 20);
    }
    let mut client = stage.connect()?;
    client.send(b"PING\n")?;
    client.hears_within(stage.timing.quiet());
    Err(client.problem("that the connection is refused", Seen::StillOpen).about(Topic::NewAtStop))
}

fn waiting(stage: &mut Stage) -> Result<(), Problem> {
    patient(stage)?;
    let _crowd = e17::crowd(stage)?;
    let mut waiting = Vec::new();
    for at in 0..e17::PLACES {
        let mut client = stage.connect()?;
        // No worker reads these bytes.
        if at % 2 == 0 {
            client.send(b"PING\n")?;
        }
        waiting.push(client);
    }
    // One more is refused: so these have been accepted, and are in the queue of the program.
    let mut next = stage.connect()?;
    next.expect(b"ERR busy\n", "`ERR busy`, at once").map_err(about(Topic::QueueFull))?;
    stage.signal(Signal::SIGTERM)?;
    for client in &mut waiting {
        client
            .expect(b"ERR stopping\n", "`ERR stopping`: no worker will serve it")
            .map_err(about(Topic::WaitsAtStop))?;
        client.expect_end("then the end").map_err(about(Topic::WaitsAtStop))?;
    }
    for client in &mut waiting {
        standing::ends_without_reset(stage, client, "no reset behind the end").map_err(about(Topic::WaitsAtStop))?;
    }
    expect_over(stage, Topic::SilentAtStop)
}

fn grace(stage: &mut Stage) -> Result<(), Problem> {
    // Two that are far apart: so it does not depend on a clock alone whether the flag is used.
    let [short, long] = [stage.timing.quiet(), stage.timing.quiet() * 7];
    let mut clients = with_grace(stage, short)?;
    let begun = Instant::now();
    stage.signal(Signal::SIGTERM)?;
    let early = cut_off(&mut clients, begun, long);
    if early.is_none() {
        // Is it the grace that was not said?
        let after = cut_off(&mut clients, begun, USUAL_GRACE.mul_f64(1.1));
        let ignored = after.is_some_and(|after| after >= USUAL_GRACE.mul_f64(0.9));
        return Err(other_grace(short, after, ignored));
    }
    cut_off_is_told(stage)?;
    let mut clients = with_grace(stage, long)?;
    // This one is answered within the grace.
    let mut answered = working(stage, 1, stage.timing.quiet().as_millis())?;
    let begun = Instant::now();
    stage.signal(Signal::SIGTERM)?;
    let answer = answered[0].expect(b"OK\n", "`OK`: there was time enough").map_err(about(Topic::CommandAtStop));
    match cut_off(&mut clients, begun, long + stage.timing.patience()) {
        // Some clocks count in milliseconds.
        Some(after) if after + Duration::from_millis(2) < long => {
            let as_before = early.is_some_and(|early| after < early + (long - short) / 3);
            Err(other_grace(long, Some(after), as_before))
        }
        Some(_) => answer.and_then(|()| cut_off_is_told(stage)),
        None => Err(other_grace(long, None, false)),
    }
}

/// The grace if none is said.
const USUAL_GRACE: Duration = Duration::from_millis(5000);

/// A server with this grace, and two clients whose commands take longer.
fn with_grace(stage: &mut Stage, grace: Duration) -> Result<Vec<Client>, Problem> {
    stage.serve_with(crate::process::ANY, &["--grace", &grace.as_millis().to_string()], Limits::default())?;
    let time = for_ever(stage).max(2 * USUAL_GRACE.as_millis());
    working(stage, 2, time)
}

/// How long after `begun` all of them have heard the end; `None`: that takes longer than `most`.
fn cut_off(clients: &mut [Client], begun: Instant, most: Duration) -> Option<Duration> {
    let left = || most.saturating_sub(begun.elapsed());
    clients.iter_mut().all(|client| client.ends_within(left())).then(|| begun.elapsed())
}

fn cut_off_is_told(stage: &mut Stage) -> Result<(), Problem> {
    let wanted = "a line `cut off: 2` on stderr";
    stage.expect_log_soon(wanted, |line| line == "cut off: 2").map_err(about(Topic::Grace))?;
    expect_over(stage, Topic::Grace)
}

fn other_grace(grace: Duration, after: Option<Duration>, ignored: bool) -> Problem {
    let wanted = format!("that with --grace {} commands are cut off after {0} ms", grace.as_millis());
    Problem::new(wanted, Seen::CutOff { grace, after, ignored }).about(Topic::Grace)
}

fn second(stage: &mut Stage) -> Result<(), Problem> {
    patient(stage)?;
    let time = for_ever(stage);
    let _working = working(stage, 1, time)?;
    let mut silent = served(stage)?;
    // Two signals that come together may be one.
    stopping(stage, &mut silent)?;
    stage.expect_end_by(Signal::SIGTERM, 1, "that a second signal ends it at once, with exit code 1")
}

fn last_line(stage: &mut Stage) -> Result<(), Problem> {
    // With the grace that has not to be said.
    stage.serve()?;
    for _ in 0..7 {
        quit(served(stage)?)?;
    }
    let time = a_while(stage).min(USUAL_GRACE.as_millis() / 2);
    let mut running = working(stage, 5, time)?;
    let _silent = [served(stage)?, served(stage)?];
    stage.signal(Signal::SIGTERM)?;
    for client in &mut running {
        client.expect(b"OK\n", "`OK`: the command ran when the signal came").map_err(about(Topic::CommandAtStop))?;
    }
    // 7 × (PING, QUIT), 5 × (PING, WORK), 2 × PING.
    let wanted = "stopped: active 0 served 14 refused 0 commands 26";
    let said = format!("the line `{wanted}` on stderr");
    let all = stage.expect_log(&said, |line| line.starts_with("stopped: "));
    all.and_then(|()| stage.expect_log_soon(&said, |line| line == wanted)).map_err(about(Topic::LastLine))?;
    expect_over(stage, Topic::LastLine)
}

const MANY: usize = 2000;

fn two_thousand(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| quit(served(stage)?);
    standing::leaves_nothing(stage, visit, |stage| {
        // A server that keeps each line has 5 MiB of them in the end.
        let junk = "x".repeat(500);
        for at in 0..MANY {
            let mut client = served(stage)?;
            for _ in 0..5 {
                asks(&mut client, &junk, "ERR bad command")?;
            }
            match at % 10 {
                0 => client.abort(),
                1 => client.close(),
                2 => {
                    client.send(b"CRASH\n")?;
                    client.expect_end("the end: its handler has panicked")?;
                }
                _ => quit(client)?,
            }
        }
        // 20 before these.
        let mut last = served(stage)?;
        e17::expect_stats(stage, &mut last, Topic::Count, "STATS active 1 served 2020 …", "active 1 served 2020 ")?;
        quit(last)
    })
}
