//! The answers and the input of health checks, each with its reason.

use crate::{backend::BackendId, resilience::BreakerState};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    net::IpAddr,
    sync::Arc,
};

/// Whether a backend may get new requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It may.
    Up {
        /// The part of its weight that counts, from 1 to 100: less than 100 while it warms up or is on trial.
        weight_percent: u32,
    },
    /// It may not. Requests that it already has go on.
    Down(DownReason),
}

/// The word of an operator about a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// It gets requests, if nothing else stands against it.
    #[default]
    Up,
    /// It gets no new ones, and is probed on: it is about to be stopped.
    Drain,
    /// It gets none, and is not probed: it is not there.
    Down,
}

impl Order {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Drain => "drain",
            Self::Down => "down",
        }
    }
}

/// Why a backend gets no new requests. If several reasons apply, the first of these is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownReason {
    /// An operator said so: it is about to be stopped.
    Draining,
    /// An operator said so: it is not there.
    SetDown,
    /// It does not answer probes as it should.
    Probes {
        /// Failed probes in a row.
        failures: u32,
        /// The failure of the last one.
        last: ProbeFailure,
    },
    /// Its breaker is open: requests to it failed.
    Breaker {
        /// Failed requests in a row.
        failures: u32,
        /// The failure of the last one.
        last: FailureKind,
    },
    /// Its breaker is half-open, and as many trial requests as allowed are under way.
    OnTrial,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draining => f.write_str("draining"),
            Self::SetDown => f.write_str("set down by an operator"),
            Self::Probes { failures, last } => write!(f, "{}, last: {last}", Count(*failures, "failed probe")),
            Self::Breaker { failures, last } => {
                write!(f, "breaker open after {} in a row, last: {last}", Count(*failures, "failed request"))
            }
            Self::OnTrial => f.write_str("breaker half-open, trial requests under way"),
        }
    }
}

/// A reason that no longer keeps a backend from getting requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpReason {
    /// It answers probes again.
    Probes {
        /// Successful probes in a row.
        successes: u32,
    },
    /// Its breaker has closed: trial requests succeeded.
    Trials {
        /// How many.
        successes: u32,
    },
    /// Its breaker has closed: a probe tested as much as the requests that failed before, and succeeded.
    Refuted,
    /// It is no longer draining, or set down.
    SetUp,
}

impl fmt::Display for UpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probes { successes } => Count(*successes, "successful probe").fmt(f),
            Self::Trials { successes } => {
                write!(f, "breaker closed after {}", Count(*successes, "successful trial request"))
            }
            Self::Refuted => f.write_str("breaker closed by a successful probe"),
            Self::SetUp => f.write_str("set up by an operator"),
        }
    }
}

/// `1 probe`, `2 probes`.
struct Count(u32, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// Something worth a line in the log. Its `Display` is that line:
/// `backend 2 (localhost:3002) down: 3 failed probes, last: connection refused`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which backend.
    pub backend: BackendId,
    /// Its name, as the user gave it.
    pub name: Arc<str>,
    /// The change.
    pub event: Event,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backend {} ({}) {}", self.backend.0, self.name, self.event)
    }
}

/// A change. There may be several reasons against a backend at once, and each comes and goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A reason against it appeared.
    Down(DownReason),
    /// A reason against it appeared, and it gets requests all the same: too few others do.
    Spared(DownReason),
    /// The last reason against it went: it gets requests again, a few at first.
    Up(UpReason),
    /// A reason went, another stays.
    StillDown {
        /// The reason that no longer stands against it.
        recovered: UpReason,
        /// The reason that still does.
        because: DownReason,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(reason) => write!(f, "down: {reason}"),
            Self::Spared(reason) => {
                write!(f, "suspected: {reason}; it gets requests all the same, as too few others do")
            }
            Self::Up(reason) => write!(f, "up: {reason}"),
            Self::StillDown { recovered, because } => write!(f, "still down: {recovered}, but {because}"),
        }
    }
}

/// Which request failed: its client, its method and its path as one number, to tell a request that fails once more from
/// another one. A client's address counts in IPv6 by its network of 64 bits, a path without its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked(u64);

impl Asked {
    /// A request of this client for this target.
    #[must_use]
    pub fn new(client: IpAddr, method: &str, target: &str) -> Self {
        let client = match client.to_canonical() {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6) >> 64 << 64,
        };
        let path = target.split('?').next().unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        (client, method, path).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// No request.
    #[cfg(test)]
    pub(super) const fn of_nothing() -> Self {
        Self(0)
    }
}

/// How a request ended that [`admit`](super::Health::admit) let through. Exactly one for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The backend answered as a working server does. The client's mistakes (4xx) are successes of the backend.
    Success,
    /// It did not, when it was asked this.
    Failure(FailureKind, Asked),
    /// It is not known: the client left first, or the request was never sent.
    Neutral,
}

/// The failure of a request, as far as the backend is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The connection could not be opened.
    Connect(io::ErrorKind),
    /// The connection was not open in time.
    ConnectTimeout,
    /// The connection was to be protected (TLS) and is not, for this reason.
    Handshake(&'static str),
    /// The response did not begin, or did not go on, in time.
    ResponseTimeout,
    /// The connection broke before the response was complete.
    CutOff,
    /// The response is not HTTP.
    Malformed,
    /// The response says that the backend cannot serve: 502, 503, 504, or what the proxy was told to count.
    Status(u16),
}

impl FailureKind {
    /// Whether the request may be the reason: another one would have been answered. A connection that cannot be opened is
    /// nothing that a request can cause.
    #[must_use]
    pub fn may_be_the_requests(self) -> bool {
        match self {
            Self::Connect(_) | Self::ConnectTimeout | Self::Handshake(_) => false,
            Self::ResponseTimeout | Self::CutOff | Self::Malformed | Self::Status(_) => true,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::Handshake(why) => f.write_str(why),
            Self::ResponseTimeout => f.write_str("no response in time"),
            Self::CutOff => f.write_str("response cut off"),
            Self::Malformed => f.write_str("malformed response"),
            Self::Status(status) => write!(f, "status {status}"),
        }
    }
}

/// The failure of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeFailure {
    /// The connection could not be opened, or broke.
    Connection(io::ErrorKind),
    /// The connection was to be protected (TLS) and is not, for this reason.
    Handshake(&'static str),
    /// No complete answer within the timeout of probes.
    Timeout,
    /// The backend closed the connection without a complete answer.
    CutOff,
    /// The answer is not HTTP.
    Malformed,
    /// The answer's status is not an expected one.
    Status(u16),
}

impl fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(f),
            Self::Handshake(why) => f.write_str(why),
            Self::Timeout => f.write_str("no answer in time"),
            Self::CutOff => f.write_str("answer cut off"),
            Self::Malformed => f.write_str("malformed answer"),
            Self::Status(status) => write!(f, "unexpected status {status}"),
        }
    }
}

/// A backend's state in one word, for `/stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Gets its share of requests.
    Up,
    /// Gets a growing part of its share.
    WarmingUp,
    /// Gets single requests, to see whether they succeed.
    OnTrial,
    /// Would get none or single ones, but too few others are left: gets its full share.
    Spared,
    /// Gets none.
    Down,
    /// Gets no new ones, because someone said so.
    Draining,
}

/// Everything known about a backend, for `/stats`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackendHealth {
    /// Its number.
    pub id: u16,
    /// Its name, as the user gave it.
    pub name: String,
    /// The state, in one word.
    pub state: State,
    /// Why it gets no requests, if so.
    pub reason: Option<String>,
    /// The part of its weight that counts; 0 if it gets no requests.
    pub weight_percent: u32,
    /// Seconds since it last came up or went down, by an event in the log; since the start if never.
    pub since_seconds: f64,
    /// Whether probes speak for it. `true` if none are sent.
    pub probes_up: bool,
    /// Failed probes since the last successful one.
    pub failed_probes: u32,
    /// The failure of the last of them.
    pub last_probe_failure: Option<String>,
    /// Its state by its requests.
    pub breaker: BreakerState,
    /// Failed requests since the last successful one.
    pub failed_requests: u32,
    /// Of these, as many as count against it: a request that fails again counts once.
    pub failures_that_count: u32,
    /// The failure of the last of them.
    pub last_request_failure: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_says_why() {
        let refused = io::ErrorKind::ConnectionRefused;
        let probes = DownReason::Probes { failures: 3, last: ProbeFailure::Connection(refused) };
        let breaker = DownReason::Breaker { failures: 5, last: FailureKind::ResponseTimeout };
        let cases = [
            (Event::Down(probes), "down: 3 failed probes, last: connection refused"),
            (
                Event::Down(DownReason::Probes { failures: 1, last: ProbeFailure::Status(500) }),
                "down: 1 failed probe, last: unexpected status 500",
            ),
            (Event::Down(breaker), "down: breaker open after 5 failed requests in a row, last: no response in time"),
            (Event::Down(DownReason::Draining), "down: draining"),
            (Event::Up(UpReason::Probes { successes: 2 }), "up: 2 successful probes"),
            (Event::Up(UpReason::Trials { successes: 3 }), "up: breaker closed after 3 successful trial requests"),
            (Event::Up(UpReason::SetUp), "up: set up by an operator"),
            (Event::Down(DownReason::SetDown), "down: set down by an operator"),
            (Event::Up(UpReason::Refuted), "up: breaker closed by a successful probe"),
            (
                Event::Spared(breaker),
                "suspected: breaker open after 5 failed requests in a row, last: no response in time; it gets requests all \
                 the same, as too few others do",
            ),
            (
                Event::StillDown {
                    recovered: UpReason::Probes { successes: 2 },
                    because: DownReason::Breaker { failures: 1, last: FailureKind::Connect(refused) },
                },
                "still down: 2 successful probes, but breaker open after 1 failed request in a row, \
                 last: connection refused",
            ),
            (
                Event::StillDown { recovered: UpReason::SetUp, because: DownReason::OnTrial },
                "still down: set up by an operator, but breaker half-open, trial requests under way",
            ),
        ];
        for (event, expected) in cases {
            let change = Change { backend: BackendId(2), name: "localhost:3002".into(), event };
            assert_eq!(change.to_string(), format!("backend 2 (localhost:3002) {expected}"));
        }
    }
}
