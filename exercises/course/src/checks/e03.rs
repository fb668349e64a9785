//! Exercise 3, an accept loop that lasts.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    life,
    problem::{Problem, Resource, Seen, Topic},
    process::ANY,
    stage::Stage,
    student::Limits,
};
use std::time::{Duration, Instant};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "echoes", promise: "each client gets its bytes back, also while others are there", run: echoes },
    Check {
        name: "logs-both-ends",
        promise: "a line on stderr for each client: where it comes from, and where it arrived",
        run: logs_both_ends,
    },
    Check {
        name: "gone-before-accept",
        promise: "a client that breaks off before it is accepted ends itself and not the server",
        run: gone_before_accept,
    },
    Check {
        name: "out-of-descriptors",
        promise: "with no descriptor left the server goes on, serves those it has, and rests",
        run: out_of_descriptors,
    },
    Check { name: "says-so-once", promise: "the trouble is logged, and not over and over", run: says_so_once },
    Check {
        name: "recovers",
        promise: "as soon as descriptors are given back, those who wait are served",
        run: recovers,
    },
    Check {
        name: "a-burst-leaves-nothing",
        promise: "a burst of clients that connect and close leaves nothing behind",
        run: a_burst_leaves_nothing,
    },
];

/// One more than is waited for: a client that connects and speaks.
fn spoken_to(stage: &mut Stage) -> Result<Client, Problem> {
    let mut client = stage.connect()?;
    client.expect_echo(&stage.line())?;
    Ok(client)
}

fn echoes(stage: &mut Stage) -> Result<(), Problem> {
    standing::echoes(stage)?;
    // Bytes, and neither lines nor text.
    let mut client = stage.connect()?;
    let bytes = b"no line end, and no text: \xff\0";
    client.send(bytes)?;
    client.expect(bytes, "the same bytes back, although there is no line end")?;
    client.expect_quiet("nothing more: as many bytes as were sent")
}

fn logs_both_ends(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    for _ in 0..2 {
        let client = spoken_to(stage)?;
        let text = |address: Option<std::net::SocketAddr>| address.map_or_else(String::new, |a| a.to_string());
        let (peer, local) = (text(client.address().ok()), text(stage.server));
        let wanted = format!("accepted {peer} at {local}");
        stage.expect_log_soon(&format!("`{wanted}` on stderr"), |line| line.contains(&wanted))?;
    }
    Ok(())
}

fn gone_before_accept(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    spoken_to(stage)?.close();
    for _ in 0..3 {
        stage.pause()?;
        for _ in 0..20 {
            stage.connect()?.abort();
        }
        stage.connect()?.close();
        stage.resume()?;
        spoken_to(stage).map_err(|problem| problem.about(Topic::BrokeOffInQueue))?.close();
    }
    Ok(())
}

/// Descriptors that the program may have: some for itself, the rest for clients.
const DESCRIPTORS: u32 = 24;
/// More clients than that.
const CLIENTS: usize = 30;

/// A server without descriptors, and clients of whom some are served and some wait.
fn exhausted(stage: &mut Stage) -> Result<(Vec<Client>, Vec<Client>), Problem> {
    stage.serve_with(ANY, &[], Limits { descriptors: Some(DESCRIPTORS), ..Limits::default() })?;
    exhaust(stage)
}

/// More clients than there are descriptors.
fn exhaust(stage: &mut Stage) -> Result<(Vec<Client>, Vec<Client>), Problem> {
    let about = |problem: Problem| problem.about(Topic::OutOfDescriptors);
    let mut served = vec![spoken_to(stage)?];
    let mut waiting = Vec::new();
    for _ in 1..CLIENTS {
        waiting.push(stage.connect().map_err(about)?);
    }
    // All send at once; those that were accepted hear it back.
    for client in &mut waiting {
        client.send(b"here\n").map_err(about)?;
    }
    let mut left = Vec::new();
    // For all together: no client has to wait for another.
    let until = Instant::now() + stage.timing.quiet() * 2;
    for mut client in waiting {
        if client.answers_until(until, b"here\n") { served.push(client) } else { left.push(client) }
    }
    Ok((served, left))
}

fn out_of_descriptors(stage: &mut Stage) -> Result<(), Problem> {
    let about = |problem: Problem| problem.about(Topic::OutOfDescriptors);
    let (mut served, _left) = exhausted(stage)?;
    for client in served.iter_mut().take(3) {
        client.expect_echo(&stage.line()).map_err(about)?;
    }
    if stage.student.as_ref().is_some_and(life::spins) {
        return Err(Problem::new("that it waits until a descriptor is free", Seen::Silence(Vec::new()))
            .about(Topic::OutOfDescriptors));
    }
    stage.expect_idle(MOST_TRIES).map_err(about)
}

/// In 400 ms. A rest of 100 ms is over four times.
const MOST_TRIES: u64 = 20;

/// Once is enough, and one more each second is no flood. A loop that complains before each rest of 100 ms says so ten times a second.
const COMPLAINTS: usize = 2;

fn says_so_once(stage: &mut Stage) -> Result<(), Problem> {
    let since = Instant::now();
    let (served, left) = exhausted(stage)?;
    let about = |line: &str| {
        let line = line.to_ascii_lowercase();
        ["too many open files", "os error 24", "emfile", "descriptor"].iter().any(|word| line.contains(word))
    };
    stage.expect_log("a line on stderr that says that descriptors are used up (`Too many open files`)", about)?;
    std::thread::sleep(stage.timing.quiet() * 4);
    let lines = stage.student.as_ref().map_or(0, |student| student.count_log(about));
    if lines > COMPLAINTS + since.elapsed().as_secs() as usize {
        return Err(Problem::new("a line when it begins, and perhaps one a second", Seen::LogFlood { lines }));
    }
    // It is over, and begins anew.
    served.into_iter().for_each(Client::close);
    for mut client in left {
        let wanted = "its line back, now that others have gone";
        client.expect(b"here\n", wanted).map_err(|problem| problem.about(Topic::OutOfDescriptors))?;
        client.close();
    }
    let _again = exhaust(stage)?;
    let wanted = "such a line on stderr once more: descriptors are used up for the second time";
    let until = Instant::now() + stage.timing.quiet() * 4;
    while stage.student.as_ref().is_some_and(|student| student.count_log(about) <= lines) {
        if Instant::now() >= until {
            let last = stage.student.as_ref().and_then(|student| student.last_words(1).pop());
            return Err(Problem::new(wanted, Seen::NotLogged(last.unwrap_or_default())));
        }
        std::thread::sleep(stage.timing.quiet() / 10);
    }
    Ok(())
}

fn recovers(stage: &mut Stage) -> Result<(), Problem> {
    let about = |problem: Problem| problem.about(Topic::OutOfDescriptors);
    let (served, left) = exhausted(stage)?;
    // As many go as wait.
    let mut staying = Vec::new();
    for (at, client) in served.into_iter().enumerate() {
        if at < left.len() { client.close() } else { staying.push(client) }
    }
    for mut client in left {
        client.expect(b"here\n", "its line back, now that others have gone").map_err(about)?;
    }
    for mut client in staying {
        client.expect_echo(&stage.line()).map_err(about)?;
    }
    rests_briefly(stage)
}

/// A rest of 100 ms that has just begun is over in this time, however busy the machine is; a rest of a second is not.
const REST: Duration = Duration::from_millis(500);
const TRIES: usize = 3;

/// Those who wait are accepted soon after descriptors are free again.
fn rests_briefly(stage: &mut Stage) -> Result<(), Problem> {
    let mut quickest = Duration::MAX;
    let about = |problem: Problem| problem.about(Topic::OutOfDescriptors);
    for _ in 0..TRIES {
        stage.serve_with(ANY, &[], Limits { descriptors: Some(DESCRIPTORS), ..Limits::default() })?;
        let mut clients = (0..CLIENTS).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
        let Some(mut last) = clients.pop() else { break };
        last.send(b"here\n")?;
        let until = Instant::now() + stage.timing.patience();
        while stage.amount(Resource::Descriptors).is_some_and(|now| now < DESCRIPTORS.into()) && Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        // The next accept fails, and the rest begins.
        stage.until_rests();
        let since = Instant::now();
        clients.into_iter().for_each(Client::close);
        last.expect(b"here\n", "its line back, now that others have gone").map_err(about)?;
        quickest = quickest.min(since.elapsed());
        if quickest < REST {
            return Ok(());
        }
    }
    let wanted = "that clients who wait are accepted within 100 ms or so";
    Err(about(Problem::new(wanted, Seen::Late { median: quickest })))
}

fn a_burst_leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| {
        standing::running(stage)?;
        spoken_to(stage)?.close();
        Ok(())
    };
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..200 {
            stage.connect()?.close();
        }
        spoken_to(stage)?.close();
        Ok(())
    })
}
