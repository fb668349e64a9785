//! How a request can fail. Each failure is counted under one kind; none is left out.

use crate::{
    http2::{Cause, ErrorCode},
    tls::Refusal,
};
use std::{fmt, io::ErrorKind};

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
    /// HTTP/2: the server gave up this request, and said why.
    StreamReset(ErrorCode),
    /// HTTP/2: the server gave up the connection, and said why.
    GoAway(ErrorCode),
    /// HTTP/2: the server broke this rule.
    Http2(Cause),
    /// TLS: the handshake has not agreed on HTTP/2.
    NoHttp2,
    /// TLS: no handshake, or a connection that broke by its rules.
    Tls(Refusal),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectRefused => f.write_str("connect refused"),
            Self::ConnectFailed => f.write_str("connect failed"),
            Self::Reset => f.write_str("reset"),
            Self::ClosedEarly => f.write_str("closed early"),
            Self::BadResponse => f.write_str("bad response"),
            Self::Timeout => f.write_str("timeout"),
            Self::Busy => f.write_str("busy"),
            Self::Status4xx => f.write_str("status 4xx"),
            Self::Status5xx => f.write_str("status 5xx"),
            Self::StreamReset(code) => write!(f, "RST_STREAM {}", Named(*code)),
            Self::GoAway(code) => write!(f, "GOAWAY {}", Named(*code)),
            Self::Http2(cause) => write!(f, "HTTP/2: {}", cause.as_str()),
            Self::NoHttp2 => f.write_str("TLS: no HTTP/2 agreed (ALPN)"),
            Self::Tls(refusal) => write!(f, "{refusal}"),
        }
    }
}

/// An error code by its name, or by its number if the standard has none for it.
struct Named(ErrorCode);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "unknown" => write!(f, "{:#x}", self.0.0),
            name => f.write_str(name),
        }
    }
}

impl Kind {
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

/// Numbers of failures, by kind. Few kinds happen in one run, so they are a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures(Vec<(Kind, u64)>);

impl Failures {
    /// Counts some.
    pub fn add(&mut self, kind: Kind, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known += count,
            None => self.0.push((kind, count)),
        }
    }

    /// Counts those of another thread.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(kind, count)| self.add(kind, count));
    }

    /// How many of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| count)
    }

    /// How many of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// The kinds that happened, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_for_itself_and_has_a_name_of_its_own() {
        let kinds = [
            (Kind::Timeout, "timeout"),
            (Kind::Status5xx, "status 5xx"),
            (Kind::StreamReset(ErrorCode::CANCEL), "RST_STREAM CANCEL"),
            (Kind::StreamReset(ErrorCode::REFUSED_STREAM), "RST_STREAM REFUSED_STREAM"),
            (Kind::StreamReset(ErrorCode(0x99)), "RST_STREAM 0x99"),
            (Kind::GoAway(ErrorCode::ENHANCE_YOUR_CALM), "GOAWAY ENHANCE_YOUR_CALM"),
            (Kind::Http2(Cause::NoSettings), "HTTP/2: no SETTINGS first"),
        ];
        let mut failures = Failures::default();
        for (at, (kind, _)) in kinds.into_iter().enumerate() {
            failures.add(kind, at as u64 + 1);
        }
        failures.merge(&failures.clone());
        for (at, (kind, name)) in kinds.into_iter().enumerate() {
            assert_eq!((failures.of(kind), kind.to_string().as_str()), (2 * (at as u64 + 1), name));
        }
        assert_eq!((failures.total(), failures.iter().count(), failures.of(Kind::Busy)), (56, 7, 0));
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
