//! How much of anything the people of a hall may take.

use std::time::Duration;

/// Bytes of a nickname, and of a room's name. Names are ASCII, so that two that look alike are alike.
pub(crate) const MAX_NAME: usize = 24;

/// Messages that one person gets again after a lost connection, of those that came in private.
pub(crate) const MAX_DIRECT: usize = 100;

/// Bytes of messages that a room keeps: with [`Limits::rooms`], the most that all histories take.
pub(crate) const HISTORY_BYTES: usize = 64 * 1024;

/// Bans and mutes of one room. A moderator who needs more needs another room.
pub(crate) const MAX_ENTRIES: usize = 256;

/// Records that may wait for the disk. A message whose record finds no place is refused, so a disk that hangs costs no memory.
pub(crate) const MAX_BACKLOG: u64 = 10_000;

/// Wrong passwords after which a connection ends.
pub(crate) const MAX_FAILURES: u32 = 3;

/// Bounds of a hall. Each has a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Rooms at once. One more takes the place of the room that has been empty and ownerless the longest; without such a room it is
    /// refused.
    pub(crate) rooms: usize,
    /// People in one room.
    pub(crate) members: usize,
    /// Rooms that one person is in.
    pub(crate) joined: usize,
    /// Messages that a room keeps.
    pub(crate) history: usize,
    /// People, those included whose connection is lost and who may come back.
    pub(crate) people: usize,
    /// Accounts: each is kept for ever.
    pub(crate) accounts: usize,
    /// How long the place of a lost connection is kept.
    pub(crate) resume: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 1000,
            members: 1000,
            joined: 20,
            history: 200,
            people: 20_000,
            accounts: 100_000,
            resume: Duration::from_secs(120),
        }
    }
}
