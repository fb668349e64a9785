//! The facts that can be noted about a request.

use crate::{
    backend::BackendId,
    cache::{Did, Forward, NotStored, Validate},
    health::DownReason,
    http::{BodyLength, ResponseHead},
    proxy::{failure::Failure, phase::Phase},
};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// The subjects of an explanation, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::proxy) enum About {
    /// The verdict of the parser.
    Parser,
    /// The client, and whether its sender is believed.
    Client,
    /// Site and route.
    Route,
    /// The cache.
    Cache,
    /// Which servers there were, and which was chosen.
    Candidates,
    /// The connection.
    Pool,
    /// Whether it was sent again.
    Retry,
    /// Timers armed and fired.
    Timers,
    /// Lines of the heads that were changed.
    Heads,
    /// States, phases, bytes.
    Progress,
}

impl About {
    /// All of them.
    pub(in crate::proxy) const ALL: [Self; 10] = [
        Self::Parser,
        Self::Client,
        Self::Route,
        Self::Cache,
        Self::Candidates,
        Self::Pool,
        Self::Retry,
        Self::Timers,
        Self::Heads,
        Self::Progress,
    ];

    pub(in crate::proxy) fn as_str(self) -> &'static str {
        match self {
            Self::Parser => "parser",
            Self::Client => "client",
            Self::Route => "route",
            Self::Cache => "cache",
            Self::Candidates => "candidates",
            Self::Pool => "pool",
            Self::Retry => "retry",
            Self::Timers => "timers",
            Self::Heads => "heads",
            Self::Progress => "progress",
        }
    }
}

/// One thing that happened, or was decided.
#[derive(Debug, Clone)]
pub(in crate::proxy) enum Fact {
    /// The head was accepted: so many fields, in so many bytes as we would write them, and a body of that length.
    Parsed { bytes: usize, fields: usize, body: BodyLength },
    /// It was not, or what follows it. `after`: bytes of content that had come.
    Refused { failure: Failure, after: u64 },
    /// The sender, the client that it stands for, and whether its word counts.
    Client { peer: SocketAddr, client: IpAddr, trusted: bool },
    /// Where it goes; the names are those of [`super::Known`]. Why the site is its own, and why it does not go on, if it does not.
    Routed { matched: Option<&'static str>, failure: Option<Failure> },
    /// A step of the cache.
    Cache(CacheFact),
    /// The servers of the group when one was chosen, with the result for each.
    Candidates(Vec<Candidate>),
    /// The connection that was found, or not.
    Pool(Pooled),
    /// A connection to that address was begun.
    Dialed { backend: BackendId, address: SocketAddr },
    /// An idle connection was looked at.
    Peeked { quiet: bool },
    /// The server failed before its answer: sent again, or why not.
    Retry { failure: Failure, refused: Option<&'static str> },
    /// A timer was set to so much time.
    Armed { timer: Timer, within: Duration },
    /// It has passed.
    Fired { timer: Timer },
    /// The head that went to the server.
    Sent { head: Bytes },
    /// The head of its answer, as it came and as it went on if that is different.
    Answered { head: Box<ResponseHead>, edited: Option<Box<ResponseHead>>, body: BodyLength },
    /// The answer is the proxy's own.
    Own { failure: Failure, status: u16 },
    /// A state followed another one, because of that event.
    Moved { event: &'static str, from: &'static str, to: &'static str },
    /// A phase began.
    Phase(Phase),
}

/// A step of the cache.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) enum CacheFact {
    /// There is none.
    None,
    /// A stored response must be asked about, for that reason.
    Validate(Validate),
    /// A backend is asked.
    Forward(Forward),
    /// The client takes only what is stored.
    OnlyIfCached,
    /// A stored response was used.
    Used(Did),
    /// The second level was asked.
    Second(Second),
    /// The response is being stored, or why not.
    Stored(Result<(), Option<NotStored>>),
}

/// The result of a question to the second level of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Second {
    /// A response, which is in the first level now.
    Found,
    /// One that is no better than what is stored here, or that was purged meanwhile.
    NoNews,
    /// None.
    Nothing,
    /// Something else, or not all of it.
    Unreadable,
    /// No answer in time.
    Late,
    /// There is no connection.
    Unavailable,
}

/// One server of the group.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Candidate {
    pub(in crate::proxy) backend: BackendId,
    pub(in crate::proxy) weight: u32,
    pub(in crate::proxy) in_flight: u32,
    pub(in crate::proxy) standing: Standing,
}

/// Why a server was chosen or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Standing {
    /// It was.
    Chosen,
    /// It could have been; the balancer preferred another one.
    NotPicked,
    /// Health is against it.
    Down(DownReason),
    /// It has failed this request already.
    Tried,
    /// Its breaker lets no trial through.
    NotAdmitted,
    /// All of its connections are busy.
    Full,
}

/// The result of a look into the pool.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) enum Pooled {
    /// An idle connection.
    Reused(BackendId),
    /// A new one.
    Opened(BackendId),
    /// Every server is at its limit: it waits in the queue.
    Waits,
    /// And there is no place in the queue.
    QueueFull,
    /// There is no server.
    Nobody,
}

/// The timers of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Timer {
    /// The next step of the server: the connection, the head, more of the body.
    Server,
    /// A wait: in the queue, for another request, before another try.
    Wait,
    /// The next part of the client's content.
    Body,
    /// Whether the content comes too slowly.
    Pace,
    /// The whole exchange.
    Whole,
    /// The server must take bytes that wait for it.
    Write,
}

impl Timer {
    pub(in crate::proxy) fn as_str(self) -> &'static str {
        match self {
            Self::Server => "the server's next step",
            Self::Wait => "a wait",
            Self::Body => "the client's content",
            Self::Pace => "the pace of the client's content",
            Self::Whole => "the whole request",
            Self::Write => "the server takes what was sent",
        }
    }
}

impl Fact {
    /// Its subject.
    pub(in crate::proxy) fn about(&self) -> About {
        match self {
            Self::Parsed { .. } | Self::Refused { .. } => About::Parser,
            Self::Client { .. } => About::Client,
            Self::Routed { .. } => About::Route,
            Self::Cache(_) => About::Cache,
            Self::Candidates(_) => About::Candidates,
            Self::Pool(_) | Self::Dialed { .. } | Self::Peeked { .. } => About::Pool,
            Self::Retry { .. } => About::Retry,
            Self::Armed { .. } | Self::Fired { .. } => About::Timers,
            Self::Sent { .. } | Self::Answered { .. } | Self::Own { .. } => About::Heads,
            Self::Moved { .. } | Self::Phase(_) => About::Progress,
        }
    }
}
