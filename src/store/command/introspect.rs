//! COMMAND: which commands there are, for clients that ask.

use super::{super::glob, Call, Command, FLAGS, Fault, Outcome, keyspec, refuse, subcommands};

const HELP: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Return details about all Redis commands.",
    "COUNT",
    "    Return the total number of commands in this Redis server.",
    "LIST [FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]",
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
        b"list" => return list(call),
        b"info" => {
            let names: Vec<&[u8]> = match call.words.len() {
                2 => call.commands.all().iter().map(|command| command.name.as_bytes()).collect(),
                _ => call.words.from(2).collect(),
            };
            call.out.array(names.len());
            for name in names {
                match call.commands.find(name) {
                    Some(command) => describe(call, command),
                    None => call.out.null(),
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
    let kinds: Vec<&str> = categories(command).collect();
    call.out.set(kinds.len());
    kinds.iter().for_each(|kind| call.out.simple(&format!("@{kind}")));
    // Hints, places of keys in the newer form, subcommands.
    (0..3).for_each(|_| call.out.set(0));
}

fn categories(command: &Command) -> impl Iterator<Item = &'static str> + use<> {
    let has = |flag| command.flags & flag != 0;
    let speed = if has(super::FAST) { "fast" } else { "slow" };
    [(has(super::WRITE), "write"), (has(super::READONLY), "read"), (true, speed)]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
}

/// The names of all commands and subcommands, or of some.
fn list(call: &mut Call<'_>) -> Outcome {
    let mut names: Vec<&str> = Vec::new();
    let word = if call.words.len() == 5 { call.word(4) } else { b"" };
    let filter = call.words.len() > 2;
    if filter && (call.words.len() != 5 || !call.words.is(2, "filterby")) {
        return Err(Fault::Syntax);
    }
    let by = if filter { call.word(3).to_ascii_lowercase() } else { Vec::new() };
    for command in call.commands.all() {
        for name in [command.name].into_iter().chain(subcommands::of(command)) {
            let is_one = match &*by {
                b"" => true,
                // There are no modules.
                b"module" => false,
                b"aclcat" => categories(command).any(|kind| kind.as_bytes().eq_ignore_ascii_case(word)),
                b"pattern" => glob::matches(&word.to_ascii_lowercase(), name.as_bytes()),
                _ => return Err(Fault::Syntax),
            };
            if is_one {
                names.push(name);
            }
        }
    }
    call.out.bulks(names.iter());
    Ok(())
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
