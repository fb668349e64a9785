//! Whether it is worth asking a server at all: a circuit breaker (Nygard, *Release It!*).
//!
//! ```text
//!            failures in a row                open_for has passed
//!   Closed ───────────────────▶ Open ───────────────────────────▶ HalfOpen
//!     ▲                          ▲             a failure              │ │
//!     │                          └────────────────────────────────────┘ │
//!     └─────────────────────────────────────────────────────────────────┘
//!                             successes in a row
//! ```
//!
//! Closed lets everything through, open nothing, half-open a few requests at a time, the trials. It spares the server
//! that is down requests it cannot answer, and the callers the wait for an answer that does not come.

use super::later;
use crate::time::Instant;
use serde::Serialize;
use std::time::Duration;

/// When a breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// It opens after so many failures in a row. 0 counts as 1.
    pub failures: u32,
    /// How long it stays open before it lets a trial through.
    pub open_for: Duration,
    /// Half-open, it closes after so many successes in a row. 0 counts as 1.
    pub successes: u32,
    /// Half-open, it lets so many requests run at once. 0 counts as 1.
    pub trials: u32,
}

/// Open after 5 failures for 10 s; closed after 3 successes, one after the other.
impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(10), successes: 3, trials: 1 }
    }
}

/// The circuit breaker of one server.
///
/// Each request that was admitted reports once: [`Breaker::success`], [`Breaker::failure`], or
/// [`Breaker::cancel_trial`] if it learned nothing. A report does not say which request it is from. So the late report
/// of a request from before the breaker opened counts as that of a trial. At worst one trial too many runs.
#[derive(Debug, Clone)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        /// Requests under way that were let through all the same, and successes of such in a row.
        anyway: u32,
        successes: u32,
    },
    HalfOpen {
        successes: u32,
        in_trial: u32,
        /// A trial without a report by then counts as lost: else one forgotten report would shut the server out for good.
        lost_at: Instant,
    },
}

/// The states by the names that logs and statistics use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Everything passes.
    Closed,
    /// Nothing passes.
    Open,
    /// Trials pass.
    HalfOpen,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// As any.
    Yes,
    /// As a trial, on which the others wait: report how it ended, even if it told nothing.
    Trial,
    /// Not now.
    No {
        /// When to ask again, at the latest. Reports of running trials may change the answer before.
        retry_at: Instant,
    },
}

impl Breaker {
    /// Closed.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Closed { failures: 0 } }
    }

    /// Asks to send a request.
    pub fn admit(&mut self, now: Instant) -> Admit {
        match self.state {
            State::Closed { .. } => Admit::Yes,
            State::Open { until, .. } if now < until => Admit::No { retry_at: until },
            State::Open { .. } => self.start_trial(0, 0, now),
            State::HalfOpen { successes, in_trial, .. } if in_trial < self.config.trials.max(1) => {
                self.start_trial(successes, in_trial, now)
            }
            State::HalfOpen { lost_at, .. } if now < lost_at => Admit::No { retry_at: lost_at },
            State::HalfOpen { successes, .. } => self.start_trial(successes, 0, now),
        }
    }

    /// Lets a request through even if [`Breaker::admit`] refused it: no other server could take it. It counts as a
    /// trial, however many run.
    pub fn admit_anyway(&mut self, now: Instant) {
        match &mut self.state {
            State::Closed { .. } => {}
            State::Open { until, anyway, .. } if now < *until => *anyway += 1,
            State::Open { .. } => drop(self.start_trial(0, 0, now)),
            State::HalfOpen { in_trial, .. } => *in_trial += 1,
        }
    }

    /// Something better than requests says that the server works. Whether that closed the breaker.
    pub fn close(&mut self) -> bool {
        let closed = matches!(self.state, State::Closed { .. });
        self.state = State::Closed { failures: 0 };
        !closed
    }

    /// A request was answered. The new state if that closed the breaker.
    pub fn success(&mut self, _now: Instant) -> Option<BreakerState> {
        match &mut self.state {
            State::Closed { failures } => *failures = 0,
            // Sent before the breaker opened; what came after it says more.
            State::Open { anyway: 0, .. } => {}
            State::Open { anyway, successes, .. } => {
                (*anyway, *successes) = (*anyway - 1, *successes + 1);
                if *successes >= self.config.successes {
                    self.state = State::Closed { failures: 0 };
                    return Some(BreakerState::Closed);
                }
            }
            State::HalfOpen { successes, in_trial, .. } => {
                *successes += 1;
                *in_trial = in_trial.saturating_sub(1);
                if *successes >= self.config.successes {
                    self.state = State::Closed { failures: 0 };
                    return Some(BreakerState::Closed);
                }
            }
        }
        None
    }

    /// A request failed, by the server's fault. The new state if that opened the breaker.
    pub fn failure(&mut self, now: Instant) -> Option<BreakerState> {
        match &mut self.state {
            State::Closed { failures } => {
                *failures += 1;
                if *failures < self.config.failures {
                    return None;
                }
            }
            // Sent before the breaker opened. Were it to open for longer, requests that time out late would keep it open.
            State::Open { anyway, successes, .. } => {
                (*anyway, *successes) = (anyway.saturating_sub(1), 0);
                return None;
            }
            State::HalfOpen { .. } => {}
        }
        self.state = State::Open { until: later(now, self.config.open_for), anyway: 0, successes: 0 };
        Some(BreakerState::Open)
    }

    /// A trial ended and told nothing, for its client went away: another may run.
    pub fn cancel_trial(&mut self) {
        if let State::HalfOpen { in_trial: running, .. } | State::Open { anyway: running, .. } = &mut self.state {
            *running = running.saturating_sub(1);
        }
    }

    /// The state. An open breaker is half-open from the moment on in which it would let a trial through.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until, .. } if now < until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn start_trial(&mut self, successes: u32, running: u32, now: Instant) -> Admit {
        self.state = State::HalfOpen { successes, in_trial: running + 1, lost_at: later(now, self.config.open_for) };
        Admit::Trial
    }
}

#[cfg(test)]
mod tests {
    use super::{super::base, *};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CONFIG: BreakerConfig = BreakerConfig { failures: 3, open_for: SECOND, successes: 3, trials: 2 };

    fn opened(config: BreakerConfig, now: Instant) -> Breaker {
        let mut breaker = Breaker::new(config);
        for _ in 1..config.failures {
            assert_eq!(breaker.failure(now), None);
        }
        assert_eq!(breaker.failure(now), Some(BreakerState::Open));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let now = base();
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..2 {
            assert_eq!((breaker.failure(now), breaker.failure(now)), (None, None));
            assert_eq!((breaker.success(now), breaker.admit(now)), (None, Admit::Yes));
        }
        opened(CONFIG, now);
    }

    #[test]
    fn it_stays_open_until_its_time_has_passed() {
        let now = base();
        let mut breaker = opened(CONFIG, now);
        let last = now + SECOND - Duration::from_nanos(1);
        for at in [now, last] {
            assert_eq!(breaker.admit(at), Admit::No { retry_at: now + SECOND });
            // Reports of requests from before change nothing.
            assert_eq!((breaker.success(at), breaker.failure(at), breaker.state(at)), (None, None, BreakerState::Open));
        }
        assert_eq!(breaker.state(now + SECOND), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(now + SECOND), Admit::Trial);
    }

    #[test]
    fn half_open_it_runs_few_at_once_and_closes_after_successes() {
        let now = base() + SECOND;
        let mut breaker = opened(CONFIG, now - SECOND);
        assert_eq!((breaker.admit(now), breaker.admit(now)), (Admit::Trial, Admit::Trial));
        assert_eq!(breaker.admit(now), Admit::No { retry_at: now + SECOND });
        assert_eq!((breaker.success(now), breaker.admit(now)), (None, Admit::Trial));
        breaker.cancel_trial();
        assert_eq!((breaker.success(now), breaker.admit(now)), (None, Admit::Trial));
        assert_eq!(breaker.success(now), Some(BreakerState::Closed));
        assert_eq!((breaker.admit(now), breaker.failure(now)), (Admit::Yes, None));
    }

    #[test]
    fn a_failed_trial_opens_it_again_and_forgets_successes() {
        let mut now = base();
        let mut breaker = opened(CONFIG, now);
        for _ in 0..3 {
            now += SECOND;
            assert_eq!((breaker.admit(now), breaker.success(now)), (Admit::Trial, None));
            assert_eq!((breaker.admit(now), breaker.success(now)), (Admit::Trial, None));
            assert_eq!((breaker.admit(now), breaker.failure(now)), (Admit::Trial, Some(BreakerState::Open)));
            assert_eq!(breaker.admit(now), Admit::No { retry_at: now + SECOND });
        }
    }

    #[test]
    fn a_request_let_through_anyway_closes_it_and_never_opens_it_for_longer() {
        let now = base();
        let mut breaker = opened(CONFIG, now);
        for _ in 0..5 {
            breaker.admit_anyway(now);
        }
        assert_eq!((breaker.failure(now), breaker.success(now), breaker.success(now)), (None, None, None));
        assert_eq!((breaker.failure(now), breaker.success(now)), (None, None), "three in a row, not three in all");
        breaker.cancel_trial();
        assert_eq!(breaker.success(now), None, "sent before it opened");
        assert_eq!(breaker.admit(now), Admit::No { retry_at: now + SECOND }, "the others still wait");
        // One of the three was there before.
        for expected in [None, Some(BreakerState::Closed)] {
            breaker.admit_anyway(now);
            assert_eq!(breaker.success(now), expected);
        }
        // When it lets trials through by itself, this is one more of them.
        let mut breaker = opened(CONFIG, now);
        breaker.admit_anyway(now + SECOND);
        assert_eq!(breaker.state(now + SECOND), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(now + SECOND), Admit::Trial);
        breaker.admit_anyway(now + SECOND);
        assert_eq!((breaker.success(now + SECOND), breaker.success(now + SECOND)), (None, None));
        assert_eq!(breaker.success(now + SECOND), Some(BreakerState::Closed));
        assert!(opened(CONFIG, now).close() && !Breaker::new(CONFIG).close());
    }

    #[test]
    fn lost_trials_do_not_shut_it_for_good() {
        let now = base() + SECOND;
        let mut breaker = opened(CONFIG, now - SECOND);
        assert_eq!((breaker.admit(now), breaker.admit(now)), (Admit::Trial, Admit::Trial));
        assert!(matches!(breaker.admit(now + SECOND - Duration::from_nanos(1)), Admit::No { .. }));
        assert_eq!(breaker.admit(now + SECOND), Admit::Trial);
    }

    #[test]
    fn limits_of_nothing_count_as_one_and_forever_is_no_overflow() {
        let now = base();
        let none = BreakerConfig { failures: 0, open_for: SECOND, successes: 0, trials: 0 };
        let mut breaker = Breaker::new(none);
        assert_eq!(breaker.failure(now), Some(BreakerState::Open));
        assert_eq!(breaker.admit(now + SECOND), Admit::Trial);
        assert_eq!(breaker.success(now + SECOND), Some(BreakerState::Closed));
        let mut breaker = opened(BreakerConfig { open_for: Duration::MAX, ..CONFIG }, now);
        assert!(matches!(breaker.admit(now + 1_000_000 * SECOND), Admit::No { .. }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Every change is reported, a refusal says the truth about when to ask, and few trials run at once.
        #[test]
        fn laws(steps in prop::collection::vec((0..5u8, 0..700u64), 0..200)) {
            let mut now = base();
            let mut breaker = Breaker::new(CONFIG);
            let mut running = 0;
            for (step, wait) in steps {
                let before = breaker.state(now);
                let change = match step {
                    0 if running > 0 => breaker.success(now),
                    1 if running > 0 => breaker.failure(now),
                    2 if running > 0 => { breaker.cancel_trial(); None }
                    3 => { now += Duration::from_millis(wait); continue }
                    _ => {
                        match breaker.admit(now) {
                            Admit::Yes => prop_assert_eq!(before, BreakerState::Closed),
                            Admit::Trial => prop_assert_eq!(before, BreakerState::HalfOpen),
                            Admit::No { retry_at } => {
                                prop_assert!(retry_at > now && before != BreakerState::Closed);
                                let then = breaker.clone().admit(retry_at);
                                prop_assert_eq!(then, Admit::Trial);
                                continue;
                            }
                        }
                        running += 1;
                        prop_assert_eq!(breaker.state(now), before);
                        continue;
                    }
                };
                running -= 1;
                let after = breaker.state(now);
                prop_assert_eq!(change, (after != before).then_some(after));
                if let State::HalfOpen { in_trial, successes, .. } = breaker.state {
                    prop_assert!(in_trial <= CONFIG.trials && successes < CONFIG.successes);
                }
            }
        }
    }
}
