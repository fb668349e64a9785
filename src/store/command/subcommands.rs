//! Subcommands of commands that are containers: their names and arities are looked at before anything runs, or is queued.

use super::{Command, Fault, Outcome, Words, refuse};

/// The words of each, with both names included; below zero: at least so many.
const SUBCOMMANDS: &[(&str, &[(&str, i32)])] = &[
    (
        "client",
        &[
            ("getname", 2),
            ("getredir", 2),
            ("help", 2),
            ("id", 2),
            ("info", 2),
            ("kill", -3),
            ("list", -2),
            ("no-evict", 3),
            ("reply", 3),
            ("setname", 3),
            ("unblock", -3),
        ],
    ),
    ("command", &[("count", 2), ("docs", -2), ("getkeys", -4), ("help", 2), ("info", -2), ("list", -2)]),
    ("config", &[("get", -3), ("help", 2), ("resetstat", 2), ("rewrite", 2), ("set", -4)]),
    ("memory", &[("doctor", 2), ("help", 2), ("purge", 2), ("usage", -3)]),
    ("object", &[("encoding", 3), ("freq", 3), ("help", 2), ("idletime", 3), ("refcount", 3)]),
    (
        "pubsub",
        &[("channels", -2), ("help", 2), ("numpat", 2), ("numsub", -2), ("shardchannels", -2), ("shardnumsub", -2)],
    ),
];

/// Refuses a subcommand that there is not, or that has too few or too many words.
pub(crate) fn check(command: &Command, words: Words<'_>) -> Outcome {
    let Some((container, rows)) = SUBCOMMANDS.iter().find(|(name, _)| *name == command.name) else { return Ok(()) };
    if words.len() < 2 {
        return Ok(());
    }
    let Some((name, arity)) = rows.iter().find(|(name, _)| words.is(1, name)) else {
        return unknown(words);
    };
    let len = i32::try_from(words.len()).unwrap_or(i32::MAX);
    if (*arity > 0 && *arity != len) || len < -*arity {
        return Err(Fault::Arity(format!("{container}|{name}")));
    }
    Ok(())
}

/// The words behind the name say something that is not known.
pub(crate) fn unknown(words: Words<'_>) -> Outcome {
    let shown = |index| {
        let word = words.at(index);
        String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned()
    };
    refuse(format!("ERR unknown subcommand '{}'. Try {} HELP.", shown(1), shown(0).to_ascii_uppercase()))
}
