//! MONITOR: a client is shown every command that runs.

use super::{
    super::{client::Client, words::Words, world::Effect, world::World},
    ADMIN, Call, Command, Outcome, Why, refuse,
};
use bytes::Bytes;
use std::{fmt::Write as _, time::UNIX_EPOCH};

pub(crate) fn monitor(call: &mut Call<'_>) -> Outcome {
    if matches!(call.why, Why::Queued) {
        return refuse("ERR MONITOR isn't allowed for DENY BLOCKING client");
    }
    call.client.is_monitor = true;
    call.world.monitors.insert(call.client.id);
    call.out.ok();
    Ok(())
}

/// Whether a command is nobody's business: it is about the server and not about keys.
fn is_hidden(command: &Command, words: Words<'_>) -> bool {
    match command.name {
        "config" => true,
        "client" => ["kill", "list", "no-evict"].iter().any(|name| words.is(1, name)),
        _ => command.flags & ADMIN != 0,
    }
}

/// Whether a word is a user's name or password.
fn is_secret(command: &Command, words: Words<'_>, place: usize) -> bool {
    let is_auth = |back: usize| place > back && words.is(place - back, "auth");
    match command.name {
        "auth" => place > 0,
        "hello" => is_auth(1) || is_auth(2),
        _ => false,
    }
}

/// Shows a command that has run.
pub(crate) fn show(world: &mut World, client: &Client, command: &Command, words: Words<'_>) {
    if is_hidden(command, words) {
        return;
    }
    let line = Bytes::from(line(world, client, command, words));
    let World { monitors, clients, effects, .. } = world;
    effects.extend(monitors.iter().filter_map(|id| clients.slot(*id)).map(|slot| Effect::Send(slot, line.clone())));
}

/// The time, the database, the client and the words, as the original writes them.
fn line(world: &World, client: &Client, command: &Command, words: Words<'_>) -> String {
    let now = world.now.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut line = format!("+{}.{:06} [{} {}]", now.as_secs(), now.subsec_micros(), client.db, client.address);
    for (place, word) in words.from(0).enumerate() {
        line.push_str(" \"");
        let word = if is_secret(command, words, place) { b"(redacted)" } else { word };
        for byte in word {
            match byte {
                b'\\' | b'"' => line.extend(['\\', char::from(*byte)]),
                b'\n' => line.push_str("\\n"),
                b'\r' => line.push_str("\\r"),
                b'\t' => line.push_str("\\t"),
                0x07 => line.push_str("\\a"),
                0x08 => line.push_str("\\b"),
                b' '..=b'~' => line.push(char::from(*byte)),
                // A string takes all that is written to it.
                _ => drop(write!(line, "\\x{byte:02x}")),
            }
        }
        line.push('"');
    }
    line.push_str("\r\n");
    line
}
