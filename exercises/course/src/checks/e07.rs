//! Exercise 7, a process for each client.

use crate::{
    catalog::Check,
    checks::{standing, working},
    client::Client,
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check {
        name: "echoes",
        promise: "each client gets its lines back, also while others are there",
        run: standing::echoes,
    },
    Check { name: "a-process-each", promise: "each client is served by a process of its own", run: a_process_each },
    Check { name: "the-end-is-heard", promise: "after the goodbye the client hears the end", run: the_end_is_heard },
    Check { name: "a-crash-harms-nobody", promise: "a child that crashes ends one client and no other", run: a_crash },
    Check {
        name: "no-zombies",
        promise: "children that have ended are waited for, while nobody comes",
        run: no_zombies,
    },
    Check { name: "says-how-it-ended", promise: "a line on stderr for each child that has ended", run: says_how },
    Check { name: "a-limit", promise: "40 clients at once; the next is told Busy, until one has left", run: a_limit },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: working::leaves_nothing },
];

/// The number of the process that serves `client`.
fn pid(client: &mut Client) -> Result<Vec<u8>, Problem> {
    client.send(b"pid\n")?;
    client.expect_line("", "the number of the process that serves this client")
}

fn a_process_each(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let parent = stage.student.as_ref().map_or_else(String::new, |student| student.id().to_string());
    let (mut clients, mut pids) = (Vec::new(), vec![parent.into_bytes()]);
    for _ in 0..4 {
        let mut client = stage.connect()?;
        let pid = pid(&mut client)?;
        if pids.contains(&pid) {
            return Err(client.problem("a process that serves nobody else", Seen::SameProcess(pid)));
        }
        pids.push(pid);
        clients.push(client);
    }
    Ok(())
}

fn the_end_is_heard(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    for _ in 0..2 {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line())?;
        client.send(b"quit\n")?;
        client.expect(b"Goodbye!\n", "the goodbye")?;
        client.expect_end("FIN after the goodbye").map_err(|problem| problem.about(Topic::ChildEnded))?;
    }
    Ok(())
}

fn a_crash(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut others = vec![stage.connect()?, stage.connect()?];
    for other in &mut others {
        other.expect_echo(&stage.line())?;
    }
    let mut client = stage.connect()?;
    client.send(b"crash\n")?;
    client.expect_end("the end: its process has crashed").map_err(|problem| problem.about(Topic::ChildEnded))?;
    others.push(stage.connect()?);
    for other in &mut others {
        other.expect_echo(&stage.line()).map_err(|problem| problem.about(Topic::AfterBrokenClient))?;
    }
    Ok(())
}

fn no_zombies(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    // The oldest child lives on: the others must not be waited for in their order.
    let mut oldest = stage.connect()?;
    oldest.expect_echo(&stage.line())?;
    for _ in 0..12 {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line())?;
        client.close();
    }
    stage.expect_flat(Resource::Zombies, Some(0), 0)
}

fn says_how(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    for (command, status) in [(&b"quit\n"[..], "exit status: 0"), (b"crash\n", "signal: 6")] {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line())?;
        let peer = client.address().map_or_else(|_| String::new(), |address| address.to_string());
        client.send(command)?;
        let begins = format!("client {peer}: {status}");
        stage.expect_log(&format!("`{begins}` on stderr"), |line| line.starts_with(&begins))?;
    }
    Ok(())
}

fn a_limit(stage: &mut Stage) -> Result<(), Problem> {
    working::a_limit(stage, 40)
}
