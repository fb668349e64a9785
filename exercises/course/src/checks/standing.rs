//! The promises that every server has to keep.

use crate::{
    client::Client,
    problem::{Problem, Resource},
    stage::Stage,
};

/// Resources that are watched, causes before effects (a thread that does not end holds its descriptor), and how much more of it
/// is no cause for complaint: allocators and runtimes take their time.
const WATCHED: [(Resource, u64); 4] =
    [(Resource::Threads, 2), (Resource::Zombies, 0), (Resource::Descriptors, 3), (Resource::Memory, 4096)];

/// After some visits to warm up, `crowd` leaves nothing behind: no descriptor, no thread, no child, no memory.
pub(crate) fn leaves_nothing(
    stage: &mut Stage,
    visit: fn(&mut Stage) -> Result<(), Problem>,
    crowd: fn(&mut Stage) -> Result<(), Problem>,
) -> Result<(), Problem> {
    for _ in 0..20 {
        visit(stage)?;
    }
    // The resources of the visits may still be on their way back.
    std::thread::sleep(stage.timing.quiet() / 4);
    let before = WATCHED.map(|(what, _)| stage.amount(what));
    crowd(stage)?;
    WATCHED.into_iter().zip(before).try_for_each(|((what, some), before)| stage.expect_flat(what, before, some))?;
    idle(stage)
}

/// A program that has nothing to do uses no processor.
pub(crate) fn idle(stage: &Stage) -> Result<(), Problem> {
    /// In 400 ms. One that asks every ten milliseconds whether there is something to do waits 40 times.
    const MOST_WAITS: u64 = 20;
    stage.expect_idle(MOST_WAITS)
}

/// A server, started if there is none.
pub(crate) fn running(stage: &mut Stage) -> Result<(), Problem> {
    if stage.student.is_none() { stage.serve() } else { Ok(()) }
}

/// The client says `QUIT`, and the program ends the conversation.
pub(crate) fn told_to_quit(client: &mut Client) -> Result<(), Problem> {
    client.send(b"QUIT\n")?;
    client.expect_end("the end after QUIT")
}

/// A client of a server, which is started if there is none.
pub(crate) fn connected(stage: &mut Stage) -> Result<Client, Problem> {
    running(stage)?;
    stage.connect()
}

/// A few clients, the last one first.
pub(crate) fn echoes(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(stage.connect()?);
    }
    for client in clients.iter_mut().rev() {
        client.expect_echo(&stage.line())?;
    }
    Ok(())
}
