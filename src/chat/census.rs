//! A chat in numbers.

/// A chat in numbers that tell what it holds: for those who look whether it is too much.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// People with a connection.
    pub people: usize,
    /// People whose connection is lost, and whose place is kept.
    pub away: usize,
    /// Places in the rooms, those of people who are away included.
    pub members: usize,
    /// Names that are taken.
    pub names: usize,
    /// Tokens with which somebody may come back.
    pub tokens: usize,
    /// Connections that are told something.
    pub mailboxes: usize,
    /// Bytes of what the one with the most still has to be told, histories not counted.
    pub heaviest: usize,
    /// Answers and goodbyes that wait for the disk.
    pub waiting: usize,
    /// Records that are not written.
    pub unwritten: u64,
    /// Connections that were ended because they did not read.
    pub slow: u64,
}
