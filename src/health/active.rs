//! Decides by the results of probes whether a backend is up.
//!
//! ```text
//!           fail_after failures in a row
//!   Up ──────────────────────────────────────▶ Down    probed at growing intervals
//!      ◀──────────────────────────────────────
//!           recover_after successes in a row
//! ```

use super::{DownReason, HealthConfig, ProbeFailure, UpReason};
use crate::resilience::Backoff;
use std::time::Duration;

/// Nothing is probed more often than this, whatever the configuration says: the loop has other work.
const SHORTEST: Duration = Duration::from_millis(10);

/// The state of one backend by its probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probes {
    /// It answers. A new backend is trusted until it fails: a proxy that has just started must not refuse everything.
    Up {
        /// Failures in a row, less than `fail_after`, and the last of them.
        failures: u32,
        last: Option<ProbeFailure>,
    },
    /// It does not answer.
    Down {
        /// Failures since the last success that counted: since before it went down.
        failures: u32,
        last: ProbeFailure,
        /// Successes in a row, less than `recover_after`.
        successes: u32,
    },
}

impl Probes {
    pub(super) fn new() -> Self {
        Self::Up { failures: 0, last: None }
    }

    pub(super) fn failed(&mut self, failure: ProbeFailure, config: &HealthConfig) -> Option<DownReason> {
        match *self {
            Self::Up { failures, .. } if failures + 1 < config.fail_after => {
                *self = Self::Up { failures: failures + 1, last: Some(failure) };
                None
            }
            Self::Up { failures, .. } => {
                *self = Self::Down { failures: failures + 1, last: failure, successes: 0 };
                self.down()
            }
            Self::Down { failures, .. } => {
                *self = Self::Down { failures: failures.saturating_add(1), last: failure, successes: 0 };
                None
            }
        }
    }

    pub(super) fn succeeded(&mut self, config: &HealthConfig) -> Option<UpReason> {
        match *self {
            Self::Up { .. } => {
                *self = Self::new();
                None
            }
            Self::Down { failures, last, successes } if successes + 1 < config.recover_after => {
                *self = Self::Down { failures, last, successes: successes + 1 };
                None
            }
            Self::Down { successes, .. } => {
                *self = Self::new();
                Some(UpReason::Probes { successes: successes + 1 })
            }
        }
    }

    pub(super) fn down(&self) -> Option<DownReason> {
        match *self {
            Self::Up { .. } => None,
            Self::Down { failures, last, .. } => Some(DownReason::Probes { failures, last }),
        }
    }

    /// Whether the last probe succeeded, or too few have failed to count.
    pub(super) fn last_succeeded(&self) -> bool {
        matches!(self, Self::Up { .. } | Self::Down { successes: 1.., .. })
    }

    /// How long to wait before the next probe. `unit` is random, in `0..1`.
    pub(super) fn wait(&self, config: &HealthConfig, unit: f64) -> Duration {
        let attempt = match *self {
            // A backend that begins to answer is asked again soon: it may be back.
            Self::Up { .. } | Self::Down { successes: 1.., .. } => 0,
            Self::Down { failures, .. } => failures.saturating_sub(config.fail_after),
        };
        let backoff = Backoff {
            base: config.interval,
            factor: 2.0,
            cap: config.max_interval.max(config.interval),
            jitter: config.jitter,
        };
        backoff.delay(attempt, unit).max(SHORTEST)
    }

    /// How many successful probes it takes until it is up.
    pub(super) fn missing(&self, config: &HealthConfig) -> u32 {
        match *self {
            Self::Up { .. } => 0,
            Self::Down { successes, .. } => config.recover_after.saturating_sub(successes).max(1),
        }
    }

    /// Failures since the last success, and the last of them.
    pub(super) fn failures(&self) -> (u32, Option<ProbeFailure>) {
        match *self {
            Self::Up { failures, last } => (failures, last),
            Self::Down { failures, last, .. } => (failures, Some(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(fail_after: u32, recover_after: u32) -> HealthConfig {
        HealthConfig {
            fail_after,
            recover_after,
            interval: Duration::from_secs(2),
            max_interval: Duration::from_secs(10),
            jitter: 0.1,
            ..HealthConfig::default()
        }
    }

    /// `-` a failed probe, `+` a successful one. Returns the state after each: `u` up, `d` down; in capitals where the
    /// probe changed it.
    fn run(probes: &mut Probes, config: &HealthConfig, results: &str) -> String {
        let step = |result| {
            let changed = match result {
                '+' => probes.succeeded(config).is_some(),
                _ => probes.failed(ProbeFailure::Timeout, config).is_some(),
            };
            match (probes.down(), changed) {
                (None, false) => 'u',
                (None, true) => 'U',
                (Some(_), false) => 'd',
                (Some(_), true) => 'D',
            }
        };
        results.chars().map(step).collect()
    }

    #[test]
    fn only_results_in_a_row_count() {
        const CASES: &[(u32, u32, &str, &str)] = &[
            (3, 2, "", ""),
            (3, 2, "--+--+", "uuuuuu"),
            (3, 2, "---", "uuD"),
            (3, 2, "----++", "uuDddU"),
            (3, 2, "---+-++", "uuDdddU"),
            (3, 2, "---++--+---", "uuDdUuuuuuD"),
            (1, 1, "-+-+", "DUDU"),
            (1, 3, "-++-+++", "DdddddU"),
            (u32::MAX, 1, "-----", "uuuuu"),
        ];
        for (fail_after, recover_after, results, expected) in CASES {
            let states = run(&mut Probes::new(), &config(*fail_after, *recover_after), results);
            assert_eq!(states, *expected, "{fail_after}, {recover_after}: {results}");
        }
    }

    #[test]
    fn the_reason_counts_all_failures_and_names_the_last() {
        let (mut probes, config) = (Probes::new(), config(2, 2));
        assert_eq!(probes.failed(ProbeFailure::Timeout, &config), None);
        let last = ProbeFailure::Status(503);
        assert_eq!(probes.failed(last, &config), Some(DownReason::Probes { failures: 2, last }));
        assert_eq!(probes.failed(ProbeFailure::CutOff, &config), None, "down already");
        assert_eq!(probes.down(), Some(DownReason::Probes { failures: 3, last: ProbeFailure::CutOff }));
        assert_eq!(probes.succeeded(&config), None);
        assert_eq!(probes.succeeded(&config), Some(UpReason::Probes { successes: 2 }));
        assert_eq!(probes.failures(), (0, None));
    }

    #[test]
    fn a_dead_backend_is_probed_less_and_less_a_returning_one_at_once() {
        // (results so far, seconds to wait, without jitter)
        const CASES: &[(&str, u64)] = &[
            ("", 2),
            ("--", 2),
            ("---", 2),
            ("----", 4),
            ("-----", 8),
            ("------", 10),
            ("----------------------------------------------------------------------", 10),
            ("-----+", 2),
            ("-----+-", 10),
            ("-----++", 2),
        ];
        for (results, seconds) in CASES {
            let (mut probes, config) = (Probes::new(), config(3, 2));
            run(&mut probes, &config, results);
            assert_eq!(probes.wait(&config, 0.5), Duration::from_secs(*seconds), "after {results:?}");
        }
    }

    #[test]
    fn waits_differ_by_the_jitter_and_are_never_nothing() {
        let probes = Probes::new();
        let (low, high) = (probes.wait(&config(3, 2), 0.0), probes.wait(&config(3, 2), 1.0 - f64::EPSILON));
        assert_eq!(low, Duration::from_millis(1800));
        assert!(high > Duration::from_millis(2199) && high <= Duration::from_millis(2200), "{high:?}");
        let none = HealthConfig { interval: Duration::ZERO, max_interval: Duration::ZERO, ..config(3, 2) };
        assert_eq!(probes.wait(&none, 0.5), SHORTEST);
    }
}
