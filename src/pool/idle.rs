//! Which connection may be used once more, and the stack that idle ones lie on.
//!
//! ```text
//!             back: pushed and popped here, the one used last
//!             │  idle for   0.1 s
//!             │             0.3 s
//!             ▼             2.8 s
//!             front:        3.9 s   given up first, ends first
//! ```
//!
//! Last in, first out: of ten connections of which three suffice, the same three stay in use and warm, and seven reach
//! their idle timeout. First in, first out would keep all ten alive for ever.

use super::{Lease, NotKept, PoolConfig};
use crate::time::Instant;
use std::collections::VecDeque;

/// The idle connections of one worker to one backend.
#[derive(Debug)]
pub(super) struct IdleStack<C> {
    /// In the order in which they became idle.
    entries: VecDeque<Idle<C>>,
}

/// A connection that no request uses: about 48 bytes, and nothing else in this process while it idles but its socket.
#[derive(Debug)]
pub(super) struct Idle<C> {
    pub(super) conn: C,
    pub(super) lease: Lease,
    pub(super) since: Instant,
}

impl<C: Copy + Eq> IdleStack<C> {
    pub(super) fn new() -> Self {
        Self { entries: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push(&mut self, idle: Idle<C>) {
        self.entries.push_back(idle);
    }

    /// The one used last: its backend has not lost interest, its congestion window has not shrunk.
    pub(super) fn pop(&mut self) -> Option<Idle<C>> {
        self.entries.pop_back()
    }

    /// The one that would end first anyway.
    pub(super) fn pop_oldest(&mut self) -> Option<C> {
        self.entries.pop_front().map(|idle| idle.conn)
    }

    /// Takes `conn` out; `false` if it is not here.
    ///
    /// Searched from the front, where timeouts strike, and the deque moves its shorter side: in practice one step.
    pub(super) fn remove(&mut self, conn: C) -> bool {
        let Some(at) = self.entries.iter().position(|idle| idle.conn == conn) else { return false };
        self.entries.remove(at).is_some()
    }
}

impl PoolConfig {
    /// The connections that a backend without a limit of its own may have.
    #[must_use]
    pub fn limit(&self) -> Option<usize> {
        Some(self.max).filter(|max| *max > 0)
    }

    /// The idle connections to one backend that one of so many workers keeps.
    pub(super) fn idle_share(&self, workers: usize) -> usize {
        self.idle.map_or(usize::MAX, |idle| idle.div_ceil(workers))
    }

    /// Whether a connection may serve another request, judged when the last one is through.
    pub(super) fn admit(&self, lease: &Lease, now: Instant) -> Result<(), NotKept> {
        if self.max == 0 {
            return Err(NotKept::PoolingOff);
        }
        if self.requests.is_some_and(|most| lease.served >= most) {
            return Err(NotKept::TooManyRequests);
        }
        self.young(lease, now)
    }

    /// Whether a connection that has idled since `idle.since` may still be used.
    pub(super) fn fresh<C>(&self, idle: &Idle<C>, now: Instant) -> Result<(), NotKept> {
        if now.saturating_duration_since(idle.since) >= self.idle_timeout {
            return Err(NotKept::IdleTooLong);
        }
        self.young(&idle.lease, now)
    }

    fn young(&self, lease: &Lease, now: Instant) -> Result<(), NotKept> {
        match self.lifetime {
            Some(lifetime) if now.saturating_duration_since(lease.opened) >= lifetime => Err(NotKept::TooOld),
            _ => Ok(()),
        }
    }

    /// When a connection that becomes idle now stops being [`PoolConfig::fresh`]. `None`: beyond what a clock can say.
    pub(super) fn idle_until(&self, lease: &Lease, now: Instant) -> Option<Instant> {
        let idle = now.checked_add(self.idle_timeout);
        let old = self.lifetime.and_then(|lifetime| lease.opened.checked_add(lifetime));
        idle.into_iter().chain(old).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::BackendId, pool::testing};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const NANO: Duration = Duration::from_nanos(1);

    fn lease(opened: Instant, served: u32) -> Lease {
        Lease { backend: BackendId(0), served, opened }
    }

    #[test]
    fn the_rules_at_their_limits_and_one_past() {
        let start = testing::start();
        let base = PoolConfig { idle_timeout: 4 * SECOND, lifetime: Some(10 * SECOND), ..PoolConfig::default() };
        let few = PoolConfig { requests: Some(3), ..base };
        let off = PoolConfig { max: 0, ..base };
        let ageless = PoolConfig { lifetime: None, ..base };
        let old = 10 * SECOND;
        for (config, served, age, expected) in [
            (base, 1, old - NANO, Ok(())),
            (base, 1, old, Err(NotKept::TooOld)),
            (base, u32::MAX, SECOND, Ok(())),
            (ageless, 1, 1000 * old, Ok(())),
            (few, 2, SECOND, Ok(())),
            (few, 3, SECOND, Err(NotKept::TooManyRequests)),
            (off, 1, NANO, Err(NotKept::PoolingOff)),
        ] {
            assert_eq!(config.admit(&lease(start, served), start + age), expected, "{served} {age:?} {config:?}");
        }
        for (config, opened_before, idle_for, expected) in [
            (base, SECOND, 4 * SECOND - NANO, Ok(())),
            (base, SECOND, 4 * SECOND, Err(NotKept::IdleTooLong)),
            (base, 7 * SECOND, 3 * SECOND - NANO, Ok(())),
            (base, 7 * SECOND, 3 * SECOND, Err(NotKept::TooOld)),
            (ageless, 1000 * SECOND, 3 * SECOND, Ok(())),
        ] {
            let (conn, since) = (0u32, start + 2000 * SECOND);
            let idle = Idle { conn, since, lease: lease(since - opened_before, 1) };
            assert_eq!(config.fresh(&idle, since + idle_for), expected, "{opened_before:?} {idle_for:?}");
            let until = config.idle_until(&idle.lease, since).unwrap();
            assert_eq!(since + idle_for < until, expected.is_ok(), "the deadline agrees with the rule");
        }
    }

    #[test]
    fn a_deadline_beyond_the_clock_is_none() {
        let start = testing::start();
        let config = PoolConfig { idle_timeout: Duration::MAX, lifetime: None, ..PoolConfig::default() };
        assert_eq!(config.idle_until(&lease(start, 1), start), None);
        let config = PoolConfig { lifetime: Some(SECOND), ..config };
        assert_eq!(config.idle_until(&lease(start, 1), start), Some(start + SECOND));
    }

    #[test]
    fn last_in_first_out_and_removable_anywhere() {
        let now = testing::start();
        for (gone, left) in [(0, [4, 3, 2, 1]), (2, [4, 3, 1, 0]), (4, [3, 2, 1, 0])] {
            let mut stack = IdleStack::new();
            (0..5).for_each(|conn| stack.push(Idle { conn, since: now, lease: lease(now, 1) }));
            assert!(stack.remove(gone) && !stack.remove(gone));
            let popped: Vec<u32> = std::iter::from_fn(|| stack.pop()).map(|idle| idle.conn).collect();
            assert_eq!(popped, left);
        }
        let mut stack = IdleStack::new();
        (0..2).for_each(|conn| stack.push(Idle { conn, since: now, lease: lease(now, 1) }));
        assert_eq!((stack.pop_oldest(), stack.len(), stack.is_empty()), (Some(0), 1, false));
    }

    #[test]
    fn an_idle_connection_costs_little() {
        assert!(size_of::<Idle<crate::app::ConnId>>() <= 48);
    }
}
