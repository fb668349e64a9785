//! The process: its parameters, its file, its end.

use super::{
    super::{config::Config, world::Ask},
    Call, Fault, Outcome, refuse, subcommands,
};
use std::time::UNIX_EPOCH;

pub(crate) fn time(call: &mut Call<'_>) -> Outcome {
    let now = call.world.now.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    call.out.array(2);
    call.out.bulk(now.as_secs().to_string().as_bytes());
    call.out.bulk(now.subsec_micros().to_string().as_bytes());
    Ok(())
}

pub(crate) fn lastsave(call: &mut Call<'_>) -> Outcome {
    let started = call.world.started.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    call.out.int(i64::try_from(started.as_secs()).unwrap_or(i64::MAX));
    Ok(())
}

/// A server without others that copy it: clients that know several ask each for its part.
pub(crate) fn role(call: &mut Call<'_>) -> Outcome {
    call.out.array(3);
    call.out.bulk(b"master");
    call.out.int(0);
    call.out.array(0);
    Ok(())
}

pub(crate) fn bgrewriteaof(call: &mut Call<'_>) -> Outcome {
    if !call.world.config.append_only {
        return refuse("ERR nothing is kept on the disk, as --in-memory says");
    }
    if call.world.file.is_rewriting {
        return refuse("ERR Background append only file rewriting already in progress");
    }
    call.world.asks.push(Ask::Rewrite);
    call.out.simple("Background append only file rewriting started");
    Ok(())
}

pub(crate) fn shutdown(call: &mut Call<'_>) -> Outcome {
    let known = ["nosave", "save", "now", "force"];
    if call.words.from(1).any(|word| !known.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))) {
        return Err(Fault::Syntax);
    }
    call.world.asks.push(Ask::Shutdown);
    call.client.is_closing = true;
    Ok(())
}

pub(crate) fn debug(call: &mut Call<'_>) -> Outcome {
    match &*call.word(1).to_ascii_lowercase() {
        b"set-active-expire" if call.words.len() == 3 => {
            call.world.expires_actively = call.word(2) != b"0";
            call.out.ok();
        }
        b"jmap" | b"change-repl-id" | b"quicklist-packed-threshold" => call.out.ok(),
        b"object" if call.words.len() == 3 => {
            let Some(entry) = call.keys.peek(call.client.db, call.word(2)) else { return Err(Fault::NoSuchKey) };
            let text = format!(
                "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:0",
                entry.value.encoding(),
                entry.value.weight(),
                entry.access
            );
            call.out.simple(&text);
        }
        _ => return subcommands::unknown(call.words),
    }
    Ok(())
}

pub(crate) fn config(call: &mut Call<'_>) -> Outcome {
    match &*call.word(1).to_ascii_lowercase() {
        b"get" => {
            let found = call.world.config.find(call.words.from(2));
            call.out.map(found.len());
            for (name, value) in found {
                call.out.bulk(name.as_bytes());
                call.out.bulk(value.as_bytes());
            }
        }
        b"set" => {
            return set(call);
        }
        b"resetstat" => {
            call.keys.counts = Default::default();
            (call.world.commands, call.world.connections, call.world.errors) = (0, 0, 0);
            call.out.ok();
        }
        b"rewrite" => {
            return refuse("ERR The server is running without a config file");
        }
        b"help" => call.out.help(&[
            "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ]),
        _ => return subcommands::unknown(call.words),
    }
    Ok(())
}

/// Sets all parameters, or none. All names are looked at before the first value.
fn set(call: &mut Call<'_>) -> Outcome {
    if call.words.len() % 2 == 1 {
        return Err(Fault::Syntax);
    }
    let text = |at: usize| String::from_utf8_lossy(call.word(at)).into_owned();
    let failed = |name: &str, why: &str| {
        Err(Fault::Text(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}").into()))
    };
    let mut named: Vec<(String, String)> = Vec::new();
    for at in (2..call.words.len()).step_by(2) {
        let name = text(at).to_ascii_lowercase();
        match Config::known(&name) {
            None => {
                return refuse(format!("ERR Unknown option or number of arguments for CONFIG SET - '{}'", text(at)));
            }
            Some(false) => return failed(&name, "can't set immutable config"),
            Some(true) if named.iter().any(|(other, _)| *other == name) => return failed(&name, "duplicate parameter"),
            Some(true) => named.push((name, text(at + 1))),
        }
    }
    let mut config = call.world.config.clone();
    for (name, value) in &named {
        if let Err(why) = config.set(name, value) {
            return failed(name, &why);
        }
    }
    call.keys.policy = config.policy;
    call.keys.encodings = config.encodings;
    call.world.config = config;
    call.out.ok();
    Ok(())
}
