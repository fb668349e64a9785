//! All that is known about one backend, and the word that says that nothing needs to be known.

use super::{
    Availability, BackendHealth, DownReason, Event, HealthConfig, Order, State, UpReason,
    active::Probes,
    passive::Passive,
    slow_start::{FLOOR, SlowStart},
};
use crate::{resilience::BreakerState, time::Instant};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

/// One backend's record.
///
/// Almost every look at almost every record finds a healthy backend: the flags answer it without the lock. They are
/// written under the lock, and never promise more than the state at that time; what time alone changes, it changes for
/// the better, so old flags cost a lock at most.
#[derive(Debug)]
// A cache line of its own: a worker that reads one record must not wait for another that writes the next.
#[repr(align(64))]
pub(super) struct Record {
    flags: AtomicU8,
    facts: Mutex<Facts>,
    pub(super) name: Arc<str>,
}

/// It gets its full share, and will until something happens.
pub(super) const SETTLED: u8 = 1;
/// Requests may be sent without asking the breaker.
pub(super) const ADMITS: u8 = 2;
/// No failed request since the last successful one: another success changes nothing.
pub(super) const CLEAN: u8 = 4;

impl Record {
    pub(super) fn new(name: &str, config: &HealthConfig, now: Instant) -> Self {
        let facts = Facts::new(config, now);
        Self { flags: AtomicU8::new(facts.flags(now)), facts: Mutex::new(facts), name: name.into() }
    }

    pub(super) fn is(&self, flag: u8) -> bool {
        // Acquire: a worker that learned of a change by the generation sees at least the flags that came with it.
        self.flags.load(Ordering::Acquire) & flag != 0
    }

    /// A look at the facts that changes nothing.
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        // A panic in a holder, which none of the code below has, would leave facts that are old, not wrong.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the facts, and the flags with them. The second of the pair: whether that changes who may get requests.
    pub(super) fn update<R>(&self, now: Instant, change: impl FnOnce(&mut Facts) -> R) -> (R, bool) {
        let mut facts = self.facts();
        let of = |facts: &Facts| (facts.availability(now), facts.may_be_spared());
        let before = of(&facts);
        let result = change(&mut facts);
        self.flags.store(facts.flags(now), Ordering::Release);
        let changed = of(&facts) != before;
        (result, changed)
    }
}

/// The facts about one backend.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) probes: Probes,
    pub(super) passive: Passive,
    pub(super) order: Order,
    slow_start: Option<SlowStart>,
    /// The last event that brought it up or down.
    since: Instant,
    /// When the prober said it would come again.
    pub(super) next_probe: Option<Instant>,
}

impl Facts {
    fn new(config: &HealthConfig, now: Instant) -> Self {
        Self {
            probes: Probes::new(),
            passive: Passive::new(&config.breaker),
            order: Order::Up,
            // At the start all are equally cold: no other backend could take the traffic meanwhile.
            slow_start: None,
            since: now,
            next_probe: None,
        }
    }

    fn flags(&self, now: Instant) -> u8 {
        let settled = self.availability(now) == Availability::Up { weight_percent: 100 };
        let admits = self.down(now).is_none() && self.passive.stage(now) == BreakerState::Closed;
        let flag = |set, flag| if set { flag } else { 0 };
        flag(settled, SETTLED) | flag(admits, ADMITS) | flag(self.passive.is_clean(now), CLEAN)
    }

    pub(super) fn availability(&self, now: Instant) -> Availability {
        match self.down(now) {
            Some(reason) => Availability::Down(reason),
            None => Availability::Up { weight_percent: self.weight_percent(now) },
        }
    }

    fn weight_percent(&self, now: Instant) -> u32 {
        match self.passive.stage(now) {
            // A trial request may fail, so there should be few.
            BreakerState::HalfOpen => FLOOR,
            BreakerState::Closed | BreakerState::Open => {
                self.slow_start.map_or(100, |slow_start| slow_start.percent(now))
            }
        }
    }

    /// The first reason against it.
    fn down(&self, now: Instant) -> Option<DownReason> {
        self.held_back().or_else(|| self.passive.down(now))
    }

    /// The word of an operator against it.
    pub(super) fn ordered(&self) -> Option<DownReason> {
        match self.order {
            Order::Up => None,
            Order::Drain => Some(DownReason::Draining),
            Order::Down => Some(DownReason::SetDown),
        }
    }

    /// Whether it may get requests if too few others do. That is so if no operator is against it, and its last probe
    /// succeeded, or not enough have failed to count.
    pub(super) fn may_be_spared(&self) -> bool {
        self.ordered().is_none() && self.probes.last_succeeded()
    }

    /// The first reason against it other than its breaker.
    pub(super) fn held_back(&self) -> Option<DownReason> {
        self.ordered().or_else(|| self.probes.down())
    }

    /// A reason against it appeared.
    pub(super) fn fell(&mut self, reason: DownReason, now: Instant) -> Event {
        let reasons = [self.order != Order::Up, self.probes.down().is_some(), self.passive.down(now).is_some()];
        if reasons.into_iter().filter(|stands| *stands).count() == 1 {
            self.since = now;
        }
        Event::Down(reason)
    }

    /// A reason against it went.
    pub(super) fn recovered(&mut self, recovered: UpReason, config: &HealthConfig, now: Instant) -> Event {
        if let Some(because) = self.down(now) {
            return Event::StillDown { recovered, because };
        }
        self.since = now;
        self.slow_start = SlowStart::new(now, config.slow_start);
        Event::Up(recovered)
    }

    /// When its availability changes although nothing happens.
    pub(super) fn changes_at(&self, now: Instant) -> Option<Instant> {
        if self.held_back().is_some() {
            return None;
        }
        match self.passive.stage(now) {
            BreakerState::Closed => self.slow_start.and_then(|slow_start| slow_start.next_step(now)),
            BreakerState::Open | BreakerState::HalfOpen => self.passive.retry_at(now),
        }
    }

    /// When it may get requests again, at the earliest and as far as is known. `None`: it is not known.
    pub(super) fn back_at(&self, config: &HealthConfig, now: Instant) -> Option<Instant> {
        if self.order != Order::Up {
            return None;
        }
        // Where it would be spared, one successful probe is enough, and its breaker does not matter.
        let most = if config.keep > 0 { 1 } else { u32::MAX };
        let answers = match self.probes.missing(config).min(most) {
            0 => now,
            missing => {
                let next = self.next_probe.unwrap_or(now + config.interval).max(now);
                next + config.interval.saturating_mul(missing - 1)
            }
        };
        let trial = self.passive.retry_at(now).filter(|_| config.keep == 0);
        Some(trial.map_or(answers, |trial| trial.max(answers)))
    }

    /// For `/stats`. `too_few`: fewer backends than there should be get requests.
    pub(super) fn snapshot(&self, id: u16, name: &str, too_few: bool, now: Instant) -> BackendHealth {
        let spared = too_few && self.may_be_spared();
        let (weight_percent, reason) = match self.availability(now) {
            Availability::Up { weight_percent } => (weight_percent, None),
            Availability::Down(reason) => (if spared { 100 } else { 0 }, Some(reason)),
        };
        let stage = self.passive.stage(now);
        let state = match (reason, stage) {
            (Some(_), _) if spared => State::Spared,
            (Some(DownReason::Draining), _) => State::Draining,
            (Some(DownReason::OnTrial), _) | (None, BreakerState::HalfOpen) => State::OnTrial,
            (Some(_), _) => State::Down,
            (None, _) if weight_percent < 100 => State::WarmingUp,
            (None, _) => State::Up,
        };
        let (failed_probes, last_probe_failure) = self.probes.failures();
        let (failed_requests, failures_that_count, last_request_failure) = self.passive.failures();
        BackendHealth {
            id,
            name: name.to_owned(),
            state,
            reason: reason.map(|reason| reason.to_string()),
            weight_percent,
            since_seconds: now.saturating_duration_since(self.since).as_secs_f64(),
            probes_up: self.probes.down().is_none(),
            failed_probes,
            last_probe_failure: last_probe_failure.map(|failure| failure.to_string()),
            breaker: stage,
            failed_requests,
            failures_that_count,
            last_request_failure: last_request_failure.map(|failure| failure.to_string()),
        }
    }
}

/// Answers that mean "soon" say so: `Retry-After` counts in whole seconds, and 0 would invite a loop.
pub(super) const SOON: Duration = Duration::from_secs(1);
