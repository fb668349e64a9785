//! The limits, answers and counts of the store.

use super::Entry;
use std::{sync::Arc, time::Duration};

/// Bounds on what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of everything together, overhead included.
    pub bytes: usize,
    /// Bytes of one body. At most half of all.
    pub object: usize,
    /// Variants of one key.
    pub variants: usize,
    /// How long an uncacheable answer is remembered: for that time no request waits for the next one.
    pub uncacheable_for: Duration,
}

/// The entries stored for a key.
#[derive(Debug, Clone, Default)]
pub enum Candidates {
    /// Nothing.
    #[default]
    None,
    /// One response: the usual case, without a list.
    One(Arc<Entry>),
    /// Several variants, the one stored last first.
    Many(Vec<Arc<Entry>>),
}

impl Candidates {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Arc<Entry>] {
        match self {
            Self::None => &[],
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Many(entries) => entries,
        }
    }

    pub(super) fn push(&mut self, entry: Arc<Entry>) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(entry),
            Self::One(first) => Self::Many(vec![first, entry]),
            Self::Many(mut entries) => {
                entries.push(entry);
                Self::Many(entries)
            }
        };
    }
}

/// The result of a look-up.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The entries that are stored.
    pub entries: Candidates,
    /// The key's last answer could not be stored: waiting for the next one would be in vain.
    pub uncacheable: bool,
    /// When the look was: see [`Store::has_changed`](super::Store::has_changed).
    pub(super) stamp: u64,
}

/// Counts of events, which only grow, and of the entries and bytes that are there now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries now.
    pub entries: usize,
    /// Bytes now, with overhead, with responses that are still arriving, and with those that are read although they are
    /// not stored any more.
    pub bytes: usize,
    /// The last two of these.
    pub unstored: usize,
    /// Entries put in.
    pub stored: u64,
    /// Entries that had to go for want of room.
    pub evicted: u64,
    /// Entries that were of no use any more.
    pub expired: u64,
}
