//! COMMAND: which commands there are, for clients that ask.

use super::{Call, Command, FLAGS, Outcome, keyspec, refuse, subcommands};

const HELP: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Return details about all Redis commands.",
    "COUNT",
    "    Return the total number of commands in this Redis server.",
    "LIST",
    "    Return a list of all commands in this Redis server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full Redis command.",
];

pub(crate) fn command(call: &mut Call<'_>) -> Outcome {
    if call.words.len() == 1 {
        let all = call.commands.all();
        call.out.array(all.len());
        all.iter().for_each(|command| describe(call, command));
        return Ok(());
    }
    match &*call.word(1).to_ascii_lowercase() {
        b"count" => {
            call.out.len(call.commands.all().len());
        }
        b"list" => {
            let all = call.commands.all();
            call.out.bulks(all.iter().map(|command| command.name));
        }
        b"info" => {
            let names: Vec<&[u8]> = match call.words.len() {
                2 => call.commands.all().iter().map(|command| command.name.as_bytes()).collect(),
                _ => call.words.from(2).collect(),
            };
            call.out.array(names.len());
            for name in names {
                match call.commands.find(name) {
                    Some(command) => describe(call, command),
                    None => call.out.null_array(),
                }
            }
        }
        b"docs" => docs(call),
        b"getkeys" => {
            return keys(call);
        }
        b"help" => call.out.help(HELP),
        _ => return subcommands::unknown(call.words),
    }
    Ok(())
}

fn describe(call: &mut Call<'_>, command: &Command) {
    call.out.array(10);
    call.out.bulk(command.name.as_bytes());
    call.out.int(i64::from(command.arity));
    let flags: Vec<&str> =
        FLAGS.iter().enumerate().filter(|(bit, _)| command.flags & (1 << bit) != 0).map(|(_, name)| *name).collect();
    call.out.set(flags.len());
    flags.iter().for_each(|flag| call.out.simple(flag));
    for number in [command.keys.0, command.keys.1, command.keys.2] {
        call.out.int(i64::from(number));
    }
    let categories =
        [command.flags & super::WRITE != 0, command.flags & super::READONLY != 0, command.flags & super::FAST != 0];
    let speed = if categories[2] { "@fast" } else { "@slow" };
    let kinds = [(categories[0], "@write"), (categories[1], "@read"), (true, speed)];
    let kinds: Vec<&str> = kinds.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
    call.out.set(kinds.len());
    kinds.iter().for_each(|kind| call.out.simple(kind));
    // Hints, places of keys in the newer form, subcommands.
    call.out.array(0);
    call.out.array(0);
    call.out.array(0);
}

fn docs(call: &mut Call<'_>) {
    let commands: Vec<&Command> = match call.words.len() {
        2 => call.commands.all().iter().collect(),
        _ => call.words.from(2).filter_map(|name| call.commands.find(name)).collect(),
    };
    call.out.map(commands.len());
    for command in commands {
        call.out.bulk(command.name.as_bytes());
        call.out.map(3);
        for (name, value) in [("summary", command.summary), ("since", command.since), ("group", command.group)] {
            call.out.bulk(name.as_bytes());
            call.out.bulk(value.as_bytes());
        }
    }
}

fn keys(call: &mut Call<'_>) -> Outcome {
    let Some(command) = call.commands.find(call.word(2)) else { return refuse("ERR Invalid command specified") };
    let words: Vec<&[u8]> = call.words.from(2).collect();
    let kept = super::Kept::new(words.iter().copied());
    match subcommands::check(command, kept.words()) {
        Ok(_) => {}
        Err(super::Fault::Arity(_)) => return refuse("ERR Invalid number of arguments specified for command"),
        Err(_) => return refuse("ERR Invalid command specified"),
    }
    let len = i32::try_from(words.len()).unwrap_or(i32::MAX);
    if (command.arity > 0 && command.arity != len) || len < -command.arity {
        return refuse("ERR Invalid number of arguments specified for command");
    }
    let places = keyspec::keys(command, kept.words());
    if places.is_empty() {
        let has_keys = command.keys.0 != 0 || command.flags & super::MOVABLE != 0;
        return refuse(if has_keys {
            "ERR Invalid arguments specified for command"
        } else {
            "ERR The command has no key arguments"
        });
    }
    call.out.bulks(places.into_iter().map(|place| words.get(place).copied().unwrap_or_default()));
    Ok(())
}
