//! Which of a command's words are keys.

use super::{Command, MOVABLE, Words, number};

/// The places of the keys. Empty: it has none, or its words make no sense.
pub(crate) fn keys(command: &Command, words: Words<'_>) -> Vec<usize> {
    if command.flags & MOVABLE != 0 {
        return movable(command.name, words);
    }
    let (first, last, step) = command.keys;
    let len = i32::try_from(words.len()).unwrap_or(i32::MAX);
    let last = if last < 0 { len + last } else { last };
    if first == 0 || last >= len || step < 1 {
        return Vec::new();
    }
    let step = usize::try_from(step).unwrap_or(1);
    (first..=last).step_by(step).filter_map(|place| usize::try_from(place).ok()).collect()
}

fn movable(name: &str, words: Words<'_>) -> Vec<usize> {
    match name {
        // A target, a number, keys.
        "zunionstore" | "zinterstore" | "zdiffstore" => {
            let keys = counted(words, 2);
            if keys.is_empty() { keys } else { std::iter::once(1).chain(keys).collect() }
        }
        // A time, a number, keys.
        "blmpop" | "bzmpop" => counted(words, 2),
        "sort" => {
            let store = (2..words.len().saturating_sub(1)).rev().find(|place| words.is(*place, "store"));
            std::iter::once(1).chain(store.map(|place| place + 1)).collect()
        }
        "sort_ro" => vec![1],
        // A number, keys.
        _ => counted(words, 1),
    }
}

fn counted(words: Words<'_>, place: usize) -> Vec<usize> {
    let count = number::integer(words.at(place)).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    if count == 0 || count > words.len().saturating_sub(place + 1) {
        return Vec::new();
    }
    (place + 1..=place + count).collect()
}
