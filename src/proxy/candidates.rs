//! Which backends a request may go to, as the balancer is shown them.
//!
//! The list is the same for one request after another, as long as no backend goes or comes. So it is kept, and made anew when
//! health says that it has changed ([`Health::generation`], [`Health::fresh_until`]). A request that may not go to all of them
//! has a list of its own, from the moment on that it may not.

use super::load::Load;
use crate::{
    backend::{Backend, BackendId},
    health::Health,
    lb::Candidate,
    time::Instant,
};

/// One worker's list, and what the request that is under way has crossed out.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates {
    usable: Vec<Candidate>,
    /// The state of health that `usable` shows, and until when it does. `None`: none yet.
    shown: Option<(u64, Option<Instant>)>,
    left: Vec<Candidate>,
    /// Something was crossed out: `left` counts.
    narrowed: bool,
}

impl Candidates {
    /// Begins a choice among all backends that may get requests.
    pub(super) fn begin(&mut self, health: &Health, backends: &[Backend], now: Instant) {
        self.narrowed = false;
        // Before the list is made: what changes meanwhile changes it once more.
        let generation = health.generation();
        let is_fresh = |until: Option<Instant>| until.is_none_or(|until| now < until);
        if self.shown.is_some_and(|(shown, until)| shown == generation && is_fresh(until)) {
            return;
        }
        self.shown = Some((generation, health.fresh_until(now)));
        self.usable.clear();
        health.usable(now, |id, weight_percent| {
            let weight = backends[id.index()].weight.saturating_mul(weight_percent).max(1);
            self.usable.push(Candidate { id, weight, in_flight: 0 });
        });
    }

    /// Takes a look at how busy they are: for an algorithm that compares it.
    pub(super) fn look_at(&mut self, load: &Load) {
        for candidate in &mut self.usable {
            candidate.in_flight = load.of(candidate.id);
        }
    }

    /// Crosses out those that were `tried`, unless that leaves none: once more is better than giving up.
    pub(super) fn spare(&mut self, tried: &[BackendId]) {
        if !tried.is_empty() && self.usable.iter().any(|candidate| !tried.contains(&candidate.id)) {
            self.keep(|id| !tried.contains(&id));
        }
    }

    /// Crosses one out.
    pub(super) fn cross_out(&mut self, backend: BackendId) {
        self.keep(|id| id != backend);
    }

    fn keep(&mut self, stays: impl Fn(BackendId) -> bool) {
        if !self.narrowed {
            self.left.clone_from(&self.usable);
            self.narrowed = true;
        }
        self.left.retain(|candidate| stays(candidate.id));
    }

    /// Those that are left, in order of their ids.
    pub(super) fn as_slice(&self) -> &[Candidate] {
        if self.narrowed { &self.left } else { &self.usable }
    }

    /// Whether this one is left.
    pub(super) fn has(&self, backend: BackendId) -> bool {
        self.as_slice().iter().any(|candidate| candidate.id == backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        health::{HealthConfig, Outcome, ProbeFailure},
        resilience::BreakerConfig,
    };
    use std::{net::SocketAddr, time::Duration};

    fn ids(candidates: &Candidates) -> Vec<u16> {
        candidates.as_slice().iter().map(|candidate| candidate.id.0).collect()
    }

    fn world() -> (Health, Vec<Backend>, Instant) {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let backend = |id| Backend {
            id: BackendId(id),
            name: format!("localhost:{}", 3000 + id),
            addresses: SocketAddr::from(([127, 0, 0, 1], 3000 + id)).into(),
            weight: 3,
            max: None,
            secured: None,
        };
        let backends: Vec<Backend> = (0..3).map(backend).collect();
        let breaker = BreakerConfig { failures: 1, open_for: Duration::from_secs(10), successes: 1, trials: 1 };
        let slow_start = Duration::from_secs(9);
        let config =
            HealthConfig { fail_after: 1, recover_after: 1, slow_start, breaker, keep: 0, ..HealthConfig::default() };
        (Health::new(&backends, config, now), backends, now)
    }

    #[test]
    fn a_backend_that_a_request_crosses_out_is_there_for_the_next() {
        let (health, backends, now) = world();
        let mut candidates = Candidates::default();
        candidates.begin(&health, &backends, now);
        assert_eq!((ids(&candidates), candidates.as_slice()[0].weight), (vec![0, 1, 2], 300));
        candidates.spare(&[BackendId(1)]);
        assert!(!candidates.has(BackendId(1)) && candidates.has(BackendId(2)));
        candidates.cross_out(BackendId(0));
        assert_eq!(ids(&candidates), [2]);
        candidates.begin(&health, &backends, now);
        candidates.spare(&[]);
        assert_eq!(ids(&candidates), [0, 1, 2]);
        // All were tried: they are tried once more.
        candidates.spare(&[BackendId(0), BackendId(1), BackendId(2)]);
        assert_eq!(ids(&candidates), [0, 1, 2]);
    }

    /// Events and time change the list; nothing else does.
    #[test]
    fn the_list_follows_health() {
        let (health, backends, now) = world();
        let mut candidates = Candidates::default();
        let mut at = |after: u64, health: &Health| {
            candidates.begin(health, &backends, now + Duration::from_secs(after));
            let shown = candidates.as_slice().iter().map(|candidate| (candidate.id.0, candidate.weight));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(at(0, &health), [(0, 300), (1, 300), (2, 300)]);
        health.probed(BackendId(1), now, Err(ProbeFailure::Timeout), now);
        assert_eq!(at(1, &health), [(0, 300), (2, 300)]);
        health.probed(BackendId(1), now, Ok(()), now + Duration::from_secs(2));
        // Back, with a tenth of its share, which grows by time alone.
        assert_eq!(at(2, &health), [(0, 300), (1, 30), (2, 300)]);
        assert_eq!(at(5, &health), [(0, 300), (1, 120), (2, 300)]);
        assert_eq!(at(11, &health), [(0, 300), (1, 300), (2, 300)]);
        let asked = crate::health::Asked::new([127, 0, 0, 1].into(), "GET", "/");
        let refused = crate::health::FailureKind::ConnectTimeout;
        assert!(health.admit(BackendId(2), now));
        health.report(BackendId(2), Outcome::Failure(refused, asked), now + Duration::from_secs(12));
        assert_eq!(at(12, &health), [(0, 300), (1, 300)]);
        // Its breaker is half-open, again by time alone.
        assert_eq!(at(22, &health), [(0, 300), (1, 300), (2, 30)]);
    }

    #[test]
    fn load_is_looked_at_when_it_is_asked_for() {
        let (health, backends, now) = world();
        let load = Load::new(1, 3);
        load.begin(0, BackendId(2));
        let mut candidates = Candidates::default();
        candidates.begin(&health, &backends, now);
        candidates.look_at(&load);
        assert_eq!(candidates.as_slice().iter().map(|candidate| candidate.in_flight).collect::<Vec<_>>(), [0, 0, 1]);
    }
}
