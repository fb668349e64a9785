//! How much of anything a client may take.

/// Levels of a topic name or filter. Each costs a node of a tree, and a step of every look at it.
pub(crate) const MAX_LEVELS: usize = 128;

/// Topic aliases that a client may set, and that are set for one. Each keeps a topic in memory as long as its connection.
pub(crate) const MAX_ALIASES: u16 = 64;

/// Bytes on their way to a client beyond which messages for it wait in its queue. Answers to its own packets have room above.
pub(crate) const HIGH_WATER: usize = 64 * 1024;

/// Bytes on their way to a client beyond which nothing more is heard of it.
pub(crate) const HARD_WATER: usize = 256 * 1024;

/// Answers of one client that may wait for the disk. Beyond, nothing more is heard of it.
pub(crate) const MAX_GATED: usize = 1000;

/// Messages with QoS 0 that may wait for one client beside all retained ones, whatever their bytes.
pub(crate) const MAX_BACKLOG: usize = 10_000;

/// Memory that a message takes in a queue beside its bytes.
pub(crate) const WEIGHT: usize = 128;

/// Bounds of a broker. Each has a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a packet from a client.
    pub(crate) packet: usize,
    /// Messages of QoS 1 and 2 that a client may send before the first is answered; and most that are on their way to one.
    pub(crate) inflight: u16,
    /// Messages that wait for one session.
    pub(crate) queue: usize,
    /// Bytes of messages that wait for one session.
    pub(crate) queue_bytes: usize,
    /// Bytes of records that are not stored: a slow disk must not grow our memory, whatever the number of clients.
    pub(crate) unwritten: usize,
    /// The message that goes when a queue is full.
    pub(crate) when_full: WhenFull,
    /// Subscriptions of one session.
    pub(crate) subscriptions: usize,
    /// Sessions, connected or not.
    pub(crate) sessions: usize,
    /// Retained messages.
    pub(crate) retained: usize,
    /// Bytes of retained messages.
    pub(crate) retained_bytes: usize,
    /// Seconds that a session outlives its connection, at most.
    pub(crate) session_expiry: u32,
    /// Seconds of a client's keep-alive, at most; 0: as the client wants.
    pub(crate) keep_alive: u16,
}

/// The message that goes when a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WhenFull {
    /// The one that comes.
    DropNew,
    /// The one that has waited the longest.
    DropOld,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packet: 1024 * 1024,
            inflight: 100,
            queue: 10_000,
            queue_bytes: 16 * 1024 * 1024,
            unwritten: 16 * 1024 * 1024,
            when_full: WhenFull::DropNew,
            subscriptions: 1000,
            sessions: 100_000,
            retained: 100_000,
            retained_bytes: 256 * 1024 * 1024,
            session_expiry: u32::MAX,
            keep_alive: 0,
        }
    }
}
