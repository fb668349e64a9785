//! The settings of health checks, with the defaults and their reasons.

use crate::resilience::BreakerConfig;
use std::{fmt, str::FromStr, time::Duration};

/// How backends are watched.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthConfig {
    /// Whether probes are sent at all. Off: only real traffic tells, through the breaker.
    pub active: bool,
    /// The path that a probe asks for with `GET`. `None`: a TCP connection that opens is enough.
    pub path: Option<String>,
    /// The `Host` of a probe. `None`: the backend as it was given.
    pub host: Option<String>,
    /// Further fields of a probe, names and values.
    pub fields: Vec<(String, String)>,
    /// From the end of a probe to the start of the next one, while the backend lives.
    pub interval: Duration,
    /// The longest such wait while it does not: each failed probe doubles the wait up to here.
    pub max_interval: Duration,
    /// How much a wait may differ from the above, as a share of it: several proxies, or one with many backends, must
    /// not probe in step.
    pub jitter: f64,
    /// How long a probe may take, connecting included.
    pub timeout: Duration,
    /// The statuses that a living backend may answer a probe with.
    pub expected: StatusRange,
    /// The number of failed probes in a row that takes a backend out. At least 1.
    pub fail_after: u32,
    /// The number of successful probes in a row that brings it back. At least 1.
    pub recover_after: u32,
    /// How long the share of a backend that is back grows from 10 % to all of its weight. Zero: it gets all at once.
    pub slow_start: Duration,
    /// When failed requests stop the traffic to a backend, and how it resumes. `failures: 0` switches that off.
    pub breaker: BreakerConfig,
    /// If fewer backends than this get requests, breakers stop none, and one successful probe brings a backend back. 0: even
    /// the last one may be stopped.
    pub keep: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            active: true,
            path: None,
            host: None,
            fields: Vec::new(),
            // A dead backend is out after 6 s, and at once if requests reach it; a probe costs a backend nothing.
            interval: Duration::from_secs(2),
            // A backend that is restarted by hand should be seen before its owner gets impatient.
            max_interval: Duration::from_secs(10),
            jitter: 0.1,
            timeout: Duration::from_secs(1),
            expected: StatusRange { first: 200, last: 399 },
            // One lost packet is no outage, and one lucky answer is no recovery.
            fail_after: 3,
            recover_after: 2,
            // Enough for caches and just-in-time compilers to warm up, without a full share of requests waiting on
            // them.
            slow_start: Duration::from_secs(10),
            breaker: BreakerConfig::default(),
            // An answer from a backend that is suspected is better than a refusal for certain.
            keep: 1,
        }
    }
}

/// Statuses from `first` to `last`, both included. Written `200-399`, or `204` for a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// `None` unless `100 <= first <= last <= 599`.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (100 <= first && first <= last && last <= 599).then_some(Self { first, last })
    }

    /// Whether the status code is one of them.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl FromStr for StatusRange {
    type Err = BadStatusRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let code = |digits: &str| {
            // `parse` would also take a sign.
            let plain = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { digits.parse().map_err(|_| BadStatusRange) } else { Err(BadStatusRange) }
        };
        Self::new(code(first)?, code(last)?).ok_or(BadStatusRange)
    }
}

/// The text is not a range of status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadStatusRange;

impl fmt::Display for BadStatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write one status or a range, from 100 to 599: 204, 200-399")
    }
}

impl std::error::Error for BadStatusRange {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_statuses_is_read_as_written() {
        const CASES: &[(&str, Option<(u16, u16)>)] = &[
            ("200-399", Some((200, 399))),
            ("204", Some((204, 204))),
            ("100-599", Some((100, 599))),
            ("200-200", Some((200, 200))),
            ("099-200", None),
            ("200-600", None),
            ("399-200", None),
            ("", None),
            ("-", None),
            ("200-", None),
            ("-200", None),
            ("+20", None),
            ("200 - 399", None),
            ("200-299-399", None),
            ("65736", None),
        ];
        for (text, expected) in CASES {
            let range = text.parse::<StatusRange>().ok();
            assert_eq!(range.map(|range| (range.first, range.last)), *expected, "{text:?}");
        }
    }

    #[test]
    fn both_ends_belong_to_the_range() {
        let range = StatusRange::new(200, 399).unwrap();
        assert_eq!([199, 200, 399, 400].map(|status| range.contains(status)), [false, true, true, false]);
        assert_eq!(range.to_string(), "200-399");
        assert_eq!(StatusRange::new(204, 204).unwrap().to_string(), "204");
    }
}
