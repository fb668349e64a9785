//! Subcommands of commands that are containers: their names and arities are looked at before anything runs, or is queued.

use super::{Command, Fault, Outcome, Words, refuse};

/// The words of each, with both names included; below zero: at least so many.
const SUBCOMMANDS: &[(&str, &[(&str, i32)])] = &[
    (
        "client",
        &[
            ("client|getname", 2),
            ("client|getredir", 2),
            ("client|help", 2),
            ("client|id", 2),
            ("client|info", 2),
            ("client|kill", -3),
            ("client|list", -2),
            ("client|no-evict", 3),
            ("client|reply", 3),
            ("client|setname", 3),
            ("client|unblock", -3),
        ],
    ),
    (
        "command",
        &[
            ("command|count", 2),
            ("command|docs", -2),
            ("command|getkeys", -4),
            ("command|help", 2),
            ("command|info", -2),
            ("command|list", -2),
        ],
    ),
    (
        "config",
        &[("config|get", -3), ("config|help", 2), ("config|resetstat", 2), ("config|rewrite", 2), ("config|set", -4)],
    ),
    ("function", &[("function|flush", -2), ("function|list", -2)]),
    ("memory", &[("memory|doctor", 2), ("memory|help", 2), ("memory|purge", 2), ("memory|usage", -3)]),
    (
        "object",
        &[
            ("object|encoding", 3),
            ("object|freq", 3),
            ("object|help", 2),
            ("object|idletime", 3),
            ("object|refcount", 3),
        ],
    ),
    (
        "pubsub",
        &[
            ("pubsub|channels", -2),
            ("pubsub|help", 2),
            ("pubsub|numpat", 2),
            ("pubsub|numsub", -2),
            ("pubsub|shardchannels", -2),
            ("pubsub|shardnumsub", -2),
        ],
    ),
    ("script", &[("script|exists", -3), ("script|flush", -2)]),
];

/// The names of the subcommands of a command.
pub(crate) fn of(command: &Command) -> impl Iterator<Item = &'static str> + use<> {
    let rows = SUBCOMMANDS.iter().find(|(name, _)| *name == command.name);
    rows.into_iter().flat_map(|(_, rows)| rows.iter().map(|(name, _)| *name))
}

/// Refuses a subcommand that there is not, or that has too few or too many words. Tells the name of what is asked for.
pub(crate) fn check(command: &Command, words: Words<'_>) -> Outcome<&'static str> {
    let Some((container, rows)) = SUBCOMMANDS.iter().find(|(name, _)| *name == command.name) else {
        return Ok(command.name);
    };
    if words.len() < 2 {
        return Ok(command.name);
    }
    let Some((name, arity)) = rows.iter().find(|(name, _)| words.is(1, &name[container.len() + 1..])) else {
        return unknown(words).map(|()| command.name);
    };
    let len = i32::try_from(words.len()).unwrap_or(i32::MAX);
    if (*arity > 0 && *arity != len) || len < -*arity {
        return Err(Fault::Arity((*name).to_owned()));
    }
    Ok(name)
}

/// The words behind the name say something that is not known.
pub(crate) fn unknown(words: Words<'_>) -> Outcome {
    let shown = |index| {
        let word = words.at(index);
        String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned()
    };
    refuse(format!("ERR unknown subcommand '{}'. Try {} HELP.", shown(1), shown(0).to_ascii_uppercase()))
}
