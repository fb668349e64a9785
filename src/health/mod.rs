//! Which backends may be used, and why not.
//!
//! Three things can stand against a backend, and each comes and goes by itself:
//!
//! ```text
//!   probes            active.rs     it does not answer as it should ─┐
//!   breaker           passive.rs    requests to it failed           ─┼─▶ none: it gets requests, a few at first
//!   order             a word        an operator wants it so         ─┘        (slow_start.rs)
//! ```
//!
//! All workers share one [`Health`]. On the way of a request through a healthy proxy it costs three atomic loads:
//! [`generation`](Health::generation) (is my list of candidates still right?), [`admit`](Health::admit) (may this one
//! go?) and [`report`](Health::report) (it went well). Everything else takes the lock of one record, and happens when
//! something is wrong or has just been.
//!
//! A failed request is only a suspicion: one client with one bad request can raise it. So it never takes out the last
//! backends. If fewer than [`HealthConfig::keep`] would get requests, some more are *spared*: backends that nothing but
//! their breaker holds back, or a recovery that is not proven by enough probes yet.
//!
//! A failed probe is a fact: a backend that fails its probes gets no requests, even if it is the last one. The client
//! is told when to try again: [`retry_after`](Health::retry_after).

mod active;
mod args;
mod config;
mod passive;
mod record;
mod slow_start;
mod status;

pub use args::HealthArgs;
pub use config::{BadStatusRange, HealthConfig, StatusRange};
pub use status::{
    Asked, Availability, BackendHealth, Change, DownReason, Event, FailureKind, Order, Outcome, ProbeFailure, State,
    UpReason,
};

use crate::{
    backend::{Backend, BackendId},
    time::Instant,
};
use passive::Passive;
use record::{ADMITS, CLEAN, Facts, Record, SETTLED, SOON};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The health of the backends of one group. Shared by all workers, which may be a little apart in what they take for `now`.
///
/// Methods that take a [`BackendId`] panic if it is not of one of the backends given to [`new`](Self::new).
#[derive(Debug)]
pub struct Health {
    config: HealthConfig,
    /// Shared by the groups of a proxy, so that one look tells whether anything has changed.
    generation: Arc<AtomicU64>,
    /// Its backends.
    members: Box<[BackendId]>,
    /// The lowest of their ids: the record of that one is the first.
    first: u16,
    /// By their ids. `None`: a backend of another group. A group that takes the place of this one may share them.
    records: Box<[Option<Arc<Record>>]>,
}

impl Health {
    /// All backends are up and get all of their share: there is no time to wait for proof.
    #[must_use]
    pub fn new(backends: &[Backend], config: HealthConfig, now: Instant) -> Self {
        Self::counting(Arc::default(), backends, config, now)
    }

    /// The same, for one of several groups: `generation` counts the changes of all of them.
    #[must_use]
    pub fn counting(generation: Arc<AtomicU64>, backends: &[Backend], config: HealthConfig, now: Instant) -> Self {
        let record = |backend: &Backend| Arc::new(Record::new(&backend.name, &config, now));
        let records = backends.iter().map(|backend| (backend.id, record(backend))).collect();
        Self::with(generation, config, records)
    }

    /// The health of the same group after a change: `backends` that were in it go on with what is known about them, by their names.
    #[must_use]
    pub fn changed(&self, backends: &[Backend], config: HealthConfig, now: Instant) -> Self {
        let record = |backend: &Backend| match self.records().find(|record| *record.name == *backend.name) {
            None => Arc::new(Record::new(&backend.name, &config, now)),
            Some(record) => {
                if config.breaker != self.config.breaker {
                    record.update(now, |facts| facts.passive = Passive::new(&config.breaker));
                }
                record.clone()
            }
        };
        let records = backends.iter().map(|backend| (backend.id, record(backend))).collect();
        Self::with(self.generation.clone(), config, records)
    }

    fn with(generation: Arc<AtomicU64>, config: HealthConfig, mut list: Vec<(BackendId, Arc<Record>)>) -> Self {
        // Balancers are shown candidates in this order.
        list.sort_by_key(|(id, _)| *id);
        let members: Box<[BackendId]> = list.iter().map(|(id, _)| *id).collect();
        let first = members.iter().min().map_or(0, |id| id.0);
        let places = members.iter().max().map_or(0, |id| id.index() + 1 - usize::from(first));
        let mut records = vec![None; places];
        for (id, record) in list {
            records[id.index() - usize::from(first)] = Some(record);
        }
        Self { config, generation, members, first, records: records.into() }
    }

    /// Its backends.
    #[must_use]
    pub fn members(&self) -> &[BackendId] {
        &self.members
    }

    /// The counter of changes that it shares with the other groups.
    #[must_use]
    pub fn counter(&self) -> &Arc<AtomicU64> {
        &self.generation
    }

    /// As given to [`new`](Self::new): what a probe asks, how long it may take, whether to probe at all.
    #[must_use]
    pub fn config(&self) -> &HealthConfig {
        &self.config
    }

    /// Changes whenever an event changes which backends are [`usable`](Self::usable). One atomic load.
    ///
    /// A worker that keeps a list of candidates reads this *before* it builds the list, and builds it anew when this
    /// has changed, or [`fresh_until`](Self::fresh_until) has passed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// When some availability changes by time alone: an open breaker becomes half-open, a share grows. `None`: not at
    /// all.
    #[must_use]
    pub fn fresh_until(&self, now: Instant) -> Option<Instant> {
        let unsettled = self.records().filter(|record| !record.is(SETTLED));
        unsettled.filter_map(|record| record.facts().changes_at(now)).min()
    }

    /// Whether it may get new requests, and how many. One atomic load if it gets its full share. For all backends at once,
    /// [`usable`](Self::usable) is cheaper.
    #[must_use]
    pub fn available(&self, id: BackendId, now: Instant) -> Availability {
        match self.by_itself(id, now) {
            Availability::Down(_) if self.too_few(now) && self.record(id).facts().may_be_spared() => {
                Availability::Up { weight_percent: 100 }
            }
            availability => availability,
        }
    }

    /// Whether it does not answer, as far as is known: its probes or its breaker stand against it, even if it is spared.
    #[must_use]
    pub fn fails(&self, id: BackendId, now: Instant) -> bool {
        matches!(self.by_itself(id, now), Availability::Down(reason) if !matches!(reason, DownReason::Draining | DownReason::SetDown))
    }

    /// Calls `each` for every backend that may get new requests, in order, with the part of its weight that counts, in
    /// percent.
    pub fn usable(&self, now: Instant, mut each: impl FnMut(BackendId, u32)) {
        // If all is well, the first look is enough.
        let too_few = self.too_few(now);
        for id in self.ids() {
            match self.by_itself(id, now) {
                Availability::Up { weight_percent } => each(id, weight_percent),
                Availability::Down(_) if too_few && self.record(id).facts().may_be_spared() => each(id, 100),
                Availability::Down(_) => {}
            }
        }
    }

    /// Whether it may get new requests, without regard to the others.
    fn by_itself(&self, id: BackendId, now: Instant) -> Availability {
        if self.record(id).is(SETTLED) {
            return Availability::Up { weight_percent: 100 };
        }
        self.update(id, now, |facts| facts.availability(now))
    }

    /// Whether fewer backends than there should be get requests, without those that are spared.
    fn too_few(&self, now: Instant) -> bool {
        let up = self.ids().filter(|id| matches!(self.by_itself(*id, now), Availability::Up { .. }));
        up.take(self.config.keep as usize).count() < self.config.keep as usize
    }

    fn ids(&self) -> impl Iterator<Item = BackendId> {
        self.members.iter().copied()
    }

    fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter().flatten()
    }

    /// Whether a request may be sent to it now. One atomic load unless something is wrong with it.
    ///
    /// If `true`, exactly one [`report`](Self::report) must follow: a half-open breaker has counted the request as one
    /// of its few trials.
    #[must_use = "if true, the outcome must be reported"]
    pub fn admit(&self, id: BackendId, now: Instant) -> bool {
        if self.record(id).is(ADMITS) {
            return true;
        }
        if self.update(id, now, |facts| facts.held_back().is_none() && facts.passive.admit(now)) {
            return true;
        }
        self.too_few(now)
            && self.update(id, now, |facts| {
                let spared = facts.may_be_spared();
                if spared {
                    facts.passive.admit_anyway(now);
                }
                spared
            })
    }

    /// How a request ended that [`admit`](Self::admit) let through. A success after a success is one atomic load.
    pub fn report(&self, id: BackendId, outcome: Outcome, now: Instant) -> Option<Change> {
        if !matches!(outcome, Outcome::Failure(..)) && self.record(id).is(CLEAN) {
            return None;
        }
        let event = self.update(id, now, |facts| match outcome {
            Outcome::Success => {
                let recovered = facts.passive.succeeded(now)?;
                Some(facts.recovered(recovered, &self.config, now))
            }
            Outcome::Failure(kind, asked) => {
                let reason = facts.passive.failed(kind, asked, now)?;
                Some(facts.fell(reason, now))
            }
            Outcome::Neutral => {
                facts.passive.give_back();
                None
            }
        });
        let event = match event? {
            Event::Down(reason) if matches!(self.available(id, now), Availability::Up { .. }) => Event::Spared(reason),
            event => event,
        };
        self.change(id, event)
    }

    /// How a probe ended that began at `began`. One that succeeds also closes the breaker, if it tested as much as the
    /// requests that failed before it: what a backend is held out for is over.
    pub fn probed(
        &self,
        id: BackendId,
        began: Instant,
        result: Result<(), ProbeFailure>,
        now: Instant,
    ) -> Option<Change> {
        let answered = self.config.path.is_some();
        let event = self.update(id, now, |facts| match result {
            Ok(()) => {
                let answers = facts.probes.succeeded(&self.config);
                let refuted = if facts.probes.down().is_none() { facts.passive.refuted(answered, began) } else { None };
                Some(facts.recovered(answers.or(refuted)?, &self.config, now))
            }
            Err(failure) => {
                let reason = facts.probes.failed(failure, &self.config)?;
                Some(facts.fell(reason, now))
            }
        });
        self.change(id, event?)
    }

    /// The failure of its last probe; `None`: it succeeded.
    #[must_use]
    pub fn last_probe_failure(&self, id: BackendId) -> Option<ProbeFailure> {
        self.record(id).facts().probes.failures().1
    }

    /// When to probe it next, asked when a probe has ended: after the interval, plus or minus the jitter; later and
    /// later while it is down. `unit_random` is in `0..1`.
    ///
    /// For the first probe, spread the backends over the interval instead: `now + interval * unit_random`.
    pub fn next_probe(&self, id: BackendId, now: Instant, unit_random: f64) -> Instant {
        let mut facts = self.record(id).facts();
        let next = now + facts.probes.wait(&self.config, unit_random);
        facts.next_probe = Some(next);
        next
    }

    /// The word of an operator about it. Requests that it has go on in any case.
    pub fn set_order(&self, id: BackendId, order: Order, now: Instant) -> Option<Change> {
        let event = self.update(id, now, |facts| {
            let before = std::mem::replace(&mut facts.order, order);
            match (before == order, facts.ordered()) {
                (true, _) => None,
                (false, Some(reason)) => Some(facts.fell(reason, now)),
                (false, None) => Some(facts.recovered(UpReason::SetUp, &self.config, now)),
            }
        });
        self.change(id, event?)
    }

    /// The last word of an operator about it.
    #[must_use]
    pub fn order(&self, id: BackendId) -> Order {
        self.record(id).facts().order
    }

    /// Everything known, for `/stats`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Vec<BackendHealth> {
        let too_few = self.too_few(now);
        let of = |id: &BackendId| {
            let record = self.record(*id);
            record.facts().snapshot(id.0, &record.name, too_few, now)
        };
        self.members.iter().map(of).collect()
    }

    /// When some backend may be available again, by what is known: for `Retry-After`. At least one second.
    #[must_use]
    pub fn retry_after(&self, now: Instant) -> Duration {
        // Nothing is known of servers that clients name: there, only our own queues pass.
        if self.members.is_empty() {
            return SOON;
        }
        let first = self.records().filter_map(|record| record.facts().back_at(&self.config, now)).min();
        // The next word of an operator is not known; the longest time that we would leave a backend unobserved is as good a
        // guess as any.
        let wait = first.map_or(self.config.max_interval, |at| at.saturating_duration_since(now));
        wait.max(SOON)
    }

    fn record(&self, id: BackendId) -> &Record {
        self.records[id.index() - usize::from(self.first)].as_deref().expect("callers ask about members alone")
    }

    fn update<R>(&self, id: BackendId, now: Instant, change: impl FnOnce(&mut Facts) -> R) -> R {
        let (result, changed) = self.record(id).update(now, change);
        if changed {
            // After the flags are written: a thread that sees the new number sees the new flags.
            self.generation.fetch_add(1, Ordering::Release);
        }
        result
    }

    fn change(&self, backend: BackendId, event: Event) -> Option<Change> {
        Some(Change { backend, name: self.record(backend).name.clone(), event })
    }
}

#[cfg(test)]
mod tests;
