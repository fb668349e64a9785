//! How a request can fail. Each failure is counted under one kind; none is left out.

use std::io::ErrorKind;

/// Why a request has no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no listener.
    ConnectRefused,
    /// No connection for another reason: unreachable, no descriptor, no local port left.
    ConnectFailed,
    /// The connection was reset.
    Reset,
    /// The connection ended before the answer was complete.
    ClosedEarly,
    /// The bytes that came are no answer: another protocol, not what was asked for, or without a request.
    BadResponse,
    /// No complete answer within `--timeout`.
    Timeout,
    /// The server said that it has no room (line protocols; HTTP says 503).
    Busy,
    /// A whole answer with status 400 to 499.
    Status4xx,
    /// A whole answer with status 500 to 599.
    Status5xx,
}

impl Kind {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::ConnectRefused,
        Self::ConnectFailed,
        Self::Reset,
        Self::ClosedEarly,
        Self::BadResponse,
        Self::Timeout,
        Self::Busy,
        Self::Status4xx,
        Self::Status5xx,
    ];

    /// As reports name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect refused",
            Self::ConnectFailed => "connect failed",
            Self::Reset => "reset",
            Self::ClosedEarly => "closed early",
            Self::BadResponse => "bad response",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Status4xx => "status 4xx",
            Self::Status5xx => "status 5xx",
        }
    }

    /// The kind of failure that the system's error of a connection means.
    pub(super) fn of(error: ErrorKind, connected: bool) -> Self {
        match error {
            ErrorKind::ConnectionRefused => Self::ConnectRefused,
            ErrorKind::TimedOut => Self::Timeout,
            _ if !connected => Self::ConnectFailed,
            _ => Self::Reset,
        }
    }
}

/// Numbers of failures, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures([u64; Kind::ALL.len()]);

impl Failures {
    /// Counts some.
    pub fn add(&mut self, kind: Kind, count: u64) {
        self.0[kind as usize] += count;
    }

    /// Counts those of another thread.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// How many of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// How many of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The kinds that happened, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.of(kind))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_place_of_its_own() {
        let mut failures = Failures::default();
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            failures.add(kind, at as u64);
        }
        failures.merge(&failures.clone());
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(failures.of(kind), 2 * at as u64, "{}", kind.as_str());
        }
        assert_eq!((failures.total(), failures.iter().count()), (72, 8));
    }

    #[test]
    fn a_failed_connection_is_told_from_a_broken_one() {
        for (error, connected, kind) in [
            (ErrorKind::ConnectionRefused, false, Kind::ConnectRefused),
            (ErrorKind::AddrNotAvailable, false, Kind::ConnectFailed),
            (ErrorKind::ConnectionReset, false, Kind::ConnectFailed),
            (ErrorKind::TimedOut, false, Kind::Timeout),
            (ErrorKind::ConnectionReset, true, Kind::Reset),
            (ErrorKind::BrokenPipe, true, Kind::Reset),
        ] {
            assert_eq!(Kind::of(error, connected), kind, "{error:?}");
        }
    }
}
