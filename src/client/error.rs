//! Why there is no answer, whose fault that is, and whether it is safe to ask again.

use crate::{resilience::is_our_shortage, units::Counted};
use std::{fmt, io, time::Duration};

/// How much of a request this machine's kernel had taken when its connection was lost. Bytes that the kernel has taken
/// may have arrived, whatever happened afterwards; bytes that it has not taken cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Written {
    /// Not a byte: the peer does not know of the request.
    Nothing,
    /// Its beginning. A peer that takes the end of a stream for the end of a line, as many do, has executed that.
    Partly,
    /// All of it.
    Wholly,
}

/// Why a request was not answered.
#[derive(Debug, Clone)]
pub enum Error {
    /// It did not leave. Asking again is safe, whatever it asks for.
    NotSent(Cause),
    /// It left at least in part, and no answer came: it was executed or it was not, and this side cannot know.
    MaybeExecuted {
        /// How much of it had left, in the try of which most had.
        written: Written,
        /// The failure of the last try.
        cause: Cause,
    },
    /// It cannot be sent at all; the text names the rule.
    Invalid(&'static str),
}

/// A failure that came instead of an answer.
#[derive(Debug, Clone)]
pub enum Cause {
    /// No connection.
    Connect(io::ErrorKind),
    /// No address is known for its name.
    Unresolved,
    /// The peer closed the connection.
    Ended,
    /// The connection broke.
    Broken(io::ErrorKind),
    /// The peer is connected and says nothing, not even to a heartbeat.
    Silent,
    /// The time was over.
    TimedOut,
    /// The peer sent what is no answer.
    Protocol(PeerError),
    /// The peer has no room for us, and said so before it heard anything.
    Busy,
    /// It failed too often lately: it is not asked at all.
    BreakerOpen {
        /// When it will be asked again, at the latest.
        retry_in: Duration,
    },
    /// Too many requests wait on this side.
    QueueFull,
    /// All connections of the pool were in use until the time for waiting was over.
    NoneFree,
    /// No connection after so many tries.
    GaveUp {
        /// How many.
        tries: u32,
        /// Why the last one failed.
        last: Box<Cause>,
    },
    /// This client is closed.
    Closed,
}

/// Mistakes of a peer on a pipelined connection. After one of them no later answer can be trusted to belong to its
/// request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerError {
    /// A line that does not begin with a request's id.
    NoId,
    /// An id that was not used yet.
    UnknownId,
    /// An id whose answer has come already, or belongs to an earlier connection.
    AnsweredTwice,
    /// A line longer than an answer may be.
    TooLong,
    /// It left requests unanswered while it answered tens of thousands of later ones.
    LeftBehind,
}

/// The side whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The caller's: the same request will fail again.
    Caller,
    /// The peer's, or that of the way to it, which from here look the same.
    Peer,
    /// Not the peer's: this side decided not to send it now, or lacks the descriptors, memory or ports for a connection.
    Policy,
}

impl Error {
    /// Whether asking again can do no harm even if the request is not idempotent.
    #[must_use]
    pub fn is_safe_to_repeat(&self) -> bool {
        matches!(self, Self::NotSent(_))
    }

    /// The side whose fault it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Invalid(_) => Blame::Caller,
            Self::NotSent(cause) | Self::MaybeExecuted { cause, .. } => cause.blame(),
        }
    }

    /// The failure that came instead of an answer; `None`: nothing was tried.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Invalid(_) => None,
            Self::NotSent(cause) | Self::MaybeExecuted { cause, .. } => Some(cause),
        }
    }
}

impl Cause {
    /// The side whose fault it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::BreakerOpen { .. } | Self::QueueFull | Self::NoneFree | Self::Closed => Blame::Policy,
            Self::Connect(kind) if is_our_shortage(*kind) => Blame::Policy,
            Self::GaveUp { last, .. } => last.blame(),
            Self::Connect(_)
            | Self::Unresolved
            | Self::Ended
            | Self::Broken(_)
            | Self::Silent
            | Self::TimedOut
            | Self::Protocol(_)
            | Self::Busy => Blame::Peer,
        }
    }
}

impl PeerError {
    /// The rule that was broken.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoId => "a line without a request id",
            Self::UnknownId => "an answer to a request that was never sent",
            Self::AnsweredTwice => "a second answer to a request",
            Self::TooLong => "an endless line",
            Self::LeftBehind => "requests left unanswered",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(io::ErrorKind::ConnectionRefused) => f.write_str("nothing listens there"),
            Self::Connect(io::ErrorKind::TimedOut) => f.write_str("no answer to the attempt to connect"),
            Self::Connect(io::ErrorKind::QuotaExceeded) => {
                f.write_str("this machine has no descriptor left for a connection: raise the limit with `ulimit -n`")
            }
            Self::Connect(kind) => write!(f, "no connection: {kind}"),
            Self::Unresolved => f.write_str("no address is known for that name"),
            Self::Ended => f.write_str("the server closed the connection"),
            Self::Broken(kind) => write!(f, "the connection broke: {kind}"),
            Self::Silent => f.write_str("the server is silent, even to heartbeats"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Protocol(error) => write!(f, "the server sent {}", error.as_str()),
            Self::Busy => f.write_str("the server has no room"),
            Self::BreakerOpen { retry_in } => {
                write!(f, "the breaker is open for another {:?}", Duration::from_millis(millis(*retry_in)))
            }
            Self::QueueFull => f.write_str("too many requests wait already"),
            Self::NoneFree => f.write_str("no connection was free in time"),
            Self::GaveUp { tries, last } => write!(f, "gave up after {} ({last})", tries_of(*tries)),
            Self::Closed => f.write_str("the client is closed"),
        }
    }
}

/// Milliseconds for people: further digits would only distract.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(cause) => write!(f, "not sent: {cause}"),
            Self::MaybeExecuted { written, cause } => {
                let part = if *written == Written::Partly { "in part" } else { "and not answered" };
                write!(f, "may have been executed: sent {part}, then: {cause}")
            }
            Self::Invalid(rule) => f.write_str(rule),
        }
    }
}

impl std::error::Error for Error {}

/// A number of tries, in words.
pub(super) fn tries_of(number: u32) -> String {
    Counted(number.into(), "try").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_happened_whose_fault_it_is_and_whether_to_repeat() {
        let refused = Cause::Connect(io::ErrorKind::ConnectionRefused);
        let cases = [
            (Error::Invalid("no"), Blame::Caller, false, "no"),
            (Error::NotSent(refused), Blame::Peer, true, "not sent: nothing listens there"),
            (Error::NotSent(Cause::Closed), Blame::Policy, true, "not sent: the client is closed"),
            (
                Error::NotSent(Cause::GaveUp {
                    tries: 2,
                    last: Box::new(Cause::Connect(io::ErrorKind::QuotaExceeded)),
                }),
                Blame::Policy,
                true,
                "not sent: gave up after 2 tries (this machine has no descriptor left for a connection: raise the limit \
                 with `ulimit -n`)",
            ),
            (
                Error::NotSent(Cause::BreakerOpen { retry_in: Duration::from_micros(1_500_900) }),
                Blame::Policy,
                true,
                "not sent: the breaker is open for another 1.5s",
            ),
            (
                Error::MaybeExecuted { written: Written::Wholly, cause: Cause::Ended },
                Blame::Peer,
                false,
                "may have been executed: sent and not answered, then: the server closed the connection",
            ),
            (
                Error::MaybeExecuted { written: Written::Partly, cause: Cause::Protocol(PeerError::UnknownId) },
                Blame::Peer,
                false,
                "may have been executed: sent in part, then: the server sent an answer to a request that was never sent",
            ),
        ];
        for (error, blame, safe, text) in cases {
            assert_eq!((error.blame(), error.is_safe_to_repeat()), (blame, safe), "{error:?}");
            assert_eq!(error.to_string(), text);
        }
    }
}
