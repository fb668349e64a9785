//! Times of a process that runs for months: no milestone has them as flags.

use super::tree::{Mistake, Table, Value};
use crate::units::{duration, nonzero_duration};
use std::time::Duration;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) name: &'static str,
    /// As it is written.
    pub(super) text: String,
    pub(super) is_default: bool,
    pub(super) value: Duration,
}

/// Their names and defaults.
///
/// A process that reads a thousand certificates is ready after seconds. Records of servers that move are given short lives, of 30 or 60
/// seconds.
pub(super) const TIMES: [(&str, &str); 2] = [("upgrade-timeout", "30s"), ("resolve-interval", "30s")];

/// Reads them.
pub(super) fn read(table: &Table) -> Result<Vec<Time>, Mistake> {
    let one = |(name, default): (&'static str, &str)| {
        let Some(entry) = table.entries.get(name) else {
            let value = duration(default).unwrap_or_default();
            return Ok(Time { name, text: default.to_owned(), is_default: true, value });
        };
        let wrong = |problem: String| entry.node.place.mistake(format!("`{name}` {problem}"));
        let Value::Text { text, .. } = &entry.node.value else {
            let kind = entry.node.value.kind();
            return Err(wrong(format!("is {kind}: write a time: \"250ms\", \"30s\", \"5m\"")));
        };
        let value = nonzero_duration(text).map_err(|problem| wrong(format!("cannot be {text:?}: {problem}")))?;
        Ok(Time { name, text: text.clone(), is_default: false, value })
    };
    TIMES.into_iter().map(one).collect()
}

/// The value of the one with this name.
pub(super) fn of(times: &[Time], name: &str) -> Duration {
    times.iter().find(|time| time.name == name).map(|time| time.value).unwrap_or_default()
}
