//! Checks that are the same for all servers that echo lines and understand `WORK ms` and `quit`: with processes, threads or a pool.

use crate::{
    checks::standing,
    client::Client,
    problem::{Problem, Seen, Topic},
    shape::{Load, Shape},
    stage::Stage,
};
use std::time::{Duration, Instant};

/// The shape says how many clients are served at once. It may be tried again at once, while the server still counts those that
/// have just gone: so `clients` are at most half of what it takes.
pub(crate) fn shape(stage: &mut Stage, wanted: Shape, clients: usize) -> Result<(), Problem> {
    stage.serve()?;
    visit(stage)?;
    stage.expect_shape(
        wanted,
        &Load {
            clients,
            work: Duration::from_millis(20),
            ask: &|time| format!("WORK {time}\nquit\n").into_bytes(),
            hear: &|client, _| {
                let wanted = "`done` when the work is done, then the goodbye";
                client.expect(b"done\nGoodbye!\n", wanted).map_err(|problem| problem.about(Topic::NotFull))?;
                client.expect_end("FIN after the goodbye")
            },
        },
    )
}

/// `most` clients are served at once, the next is told so, and is taken when one has left.
pub(crate) fn a_limit(stage: &mut Stage, most: usize) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::Full);
    let mut clients = Vec::new();
    for _ in 0..most {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line()).map_err(|problem| problem.about(Topic::NotFull))?;
        clients.push(client);
    }
    for _ in 0..2 {
        let mut client = stage.connect()?;
        let told = client.expect(b"Busy\n", &format!("`Busy`: {most} others are there"));
        told.map_err(about).map_err(|problem| or_one_more(stage, problem))?;
        client.expect_end("then the end").map_err(about)?;
    }
    standing::refuses_at_once(stage, "Busy")?;
    clients[0].expect_echo(&stage.line())?;
    clients.remove(0).close();
    clients.push(taken_again(stage)?);
    // One that is served badly leaves its place, too.
    clients[0].send(b"crash\n")?;
    clients[0].expect_gone("the end: its handler has crashed")?;
    clients.remove(0).close();
    clients.push(taken_again(stage)?);
    drop(clients);
    not_more_at_once(stage, most)
}

/// A client that is served, since another has left: a moment later there is room.
fn taken_again(stage: &mut Stage) -> Result<Client, Problem> {
    let until = Instant::now() + stage.timing.patience();
    loop {
        let mut client = stage.connect()?;
        let line = stage.line();
        client.send(&line)?;
        if client.answers(&line) {
            return Ok(client);
        }
        if Instant::now() >= until {
            let told = client.expect(&line, "its line back: another has left");
            return told.map(|()| client).map_err(|problem| problem.about(Topic::Room));
        }
        client.close();
        std::thread::sleep(stage.timing.quiet() / 10);
    }
}

/// Clients beyond those that there may be, that come at the same moment.
const MORE: usize = 10;

/// Of more clients than there may be, which come at the same moment, as many are served as there may be.
fn not_more_at_once(stage: &mut Stage, most: usize) -> Result<(), Problem> {
    stage.serve()?;
    visit(stage)?;
    stage.until_rests();
    // Stopped, it accepts none; then all of them are there, before anything was started for one.
    stage.pause()?;
    let mut clients = (0..most + MORE).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
    stage.resume()?;
    // A client that is refused says nothing: a close with unread input would be a reset, and `Busy` might be lost.
    let mut refused = 0;
    let until = Instant::now() + stage.timing.quiet() * 8;
    while refused < MORE && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
        clients.retain_mut(|client| !client.answers_until(Instant::now(), b"Busy\n"));
        refused = most + MORE - clients.len();
    }
    for (served, client) in clients.iter_mut().enumerate() {
        client.expect_echo(&stage.line()).map_err(|problem| problem.about(Topic::NotFull))?;
        if served >= most {
            let wanted = format!("`Busy`: of {} clients that came at once {most} are served already", most + MORE);
            return Err(client.problem(&wanted, Seen::ServedBeyond { most }));
        }
    }
    Ok(())
}

/// A client too many was not told: is the next one?
fn or_one_more(stage: &Stage, problem: Problem) -> Problem {
    let silent = matches!(problem.seen, Seen::Silence(_));
    let told = silent && stage.connect().is_ok_and(|mut next| next.answers(b"Busy\n"));
    if told { problem.about(Topic::OneMore) } else { problem }
}

/// The answer to `give N`: so that a byte that is left out or sent twice is seen.
pub(crate) fn pattern(count: usize) -> Vec<u8> {
    let mut bytes = (0..=250).collect::<Vec<u8>>().repeat(count / 251 + 1);
    bytes.truncate(count);
    bytes
}

fn visit(stage: &mut Stage) -> Result<(), Problem> {
    standing::running(stage)?;
    let client = stage.connect()?;
    quit(stage, client)
}

/// A client is answered once more, and says goodbye.
pub(crate) fn quit(stage: &mut Stage, mut client: Client) -> Result<(), Problem> {
    client.expect_echo(&stage.line())?;
    client.send(b"quit\n")?;
    client.expect(b"Goodbye!\n", "the goodbye")?;
    client.expect_end("FIN after the goodbye")?;
    client.close();
    Ok(())
}

/// A hundred visits, of whom some break off.
pub(crate) fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..60 {
            visit(stage)?;
        }
        for _ in 0..20 {
            let mut client = stage.connect()?;
            client.expect_echo(&stage.line())?;
            client.abort();
            let mut client = stage.connect()?;
            client.expect_echo(&stage.line())?;
            client.close();
        }
        visit(stage)
    })
}
