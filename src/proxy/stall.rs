//! Whether a peer reads: the deadline of what waits for it.
//!
//! Two signs say that it does. Our kernel takes some of what waits in our memory: that is told unasked, but for a slow
//! peer it can take minutes. Or the peer's own kernel confirms more of what was sent: that is exact, and has to be
//! asked for. So the proxy does not ask while the first sign comes, and gives no peer up without the second:
//!
//! ```text
//!   our kernel took some ──limit/8──▶ look ──limit──▶ look ──limit──▶ look: nothing since the last one: late
//!                                                        └─ more: another limit
//! ```
//!
//! A peer that takes a byte within each limit is never late, and one that takes nothing is, before twice the limit is over.

use crate::{app::Progress, time::Instant};
use std::time::Duration;

/// The first look is after this part of the limit. A peer that stops for good is given up so much later than the limit says;
/// a peer of which our kernel takes something more often than that is never asked for.
const FIRST_LOOK: u32 = 8;

/// The bytes that wait in our memory for one peer, and when to look whether it has taken some of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stall {
    unsent: usize,
    /// The next look.
    look: Option<Instant>,
    /// Bytes that the peer had confirmed at the last look, if there was one since our kernel took some.
    confirmed: Option<u64>,
}

/// The result of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Something is on its way to it, and it has taken some since the last look; or there was none before this one.
    Reads,
    /// It has taken nothing since the last look.
    Late,
    /// It has everything, and had at the last look, if there was one.
    Done,
}

impl Stall {
    /// `unsent` bytes wait now. Only a peer that took some gets more time: new bytes from us do not extend the deadline.
    pub(super) fn update(&mut self, unsent: usize, now: Instant, limit: Duration) {
        if unsent == 0 {
            self.look = None;
        } else if unsent < self.unsent || self.look.is_none() {
            self.look = Some(now + limit / FIRST_LOOK);
            self.confirmed = None;
        }
        self.unsent = unsent;
    }

    /// The peer is that far. `Reads`: it has more time for what waits.
    pub(super) fn progressed(&mut self, progress: Progress, now: Instant, limit: Duration) -> Look {
        let before = self.confirmed.replace(progress.acknowledged);
        let moved = before.is_some_and(|before| progress.acknowledged > before);
        match before {
            _ if progress.outstanding == 0 && !moved => {
                self.look = None;
                return Look::Done;
            }
            Some(_) if !moved => return Look::Late,
            _ => self.look = self.look.map(|_| now + limit),
        }
        Look::Reads
    }

    /// Whether there was a look since something was sent.
    pub(super) fn was_looked_at(&self) -> bool {
        self.confirmed.is_some()
    }

    /// Something else is sent from here on: what was confirmed before says nothing about it.
    pub(super) fn forget(&mut self) {
        self.confirmed = None;
    }

    /// Bytes that wait.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// When to ask how far the peer is.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.look
    }

    /// Whether that is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.look.is_some_and(|look| look <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMIT: Duration = Duration::from_secs(8);

    fn confirmed(acknowledged: u64) -> Progress {
        Progress { acknowledged, outstanding: 100 }
    }

    fn start() -> Instant {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    #[test]
    fn only_what_is_taken_gives_more_time() {
        let start = start();
        let mut stall = Stall::default();
        let steps = [(100, Some(0)), (150, Some(0)), (150, Some(0)), (120, Some(3)), (0, None), (7, Some(5))];
        for (step, (unsent, since)) in (0u32..).zip(steps) {
            stall.update(unsent, start + SECOND * step, LIMIT);
            let look = since.map(|since| start + SECOND * since + LIMIT / FIRST_LOOK);
            assert_eq!((stall.look_at(), stall.unsent()), (look, unsent), "step {step}");
        }
        assert!(!stall.is_due(start + SECOND * 5) && stall.is_due(start + SECOND * 6));
    }

    #[test]
    fn a_peer_is_late_if_nothing_was_confirmed_between_two_looks() {
        let start = start();
        let mut stall = Stall::default();
        stall.update(100, start, LIMIT);
        // A confirmation before the first look is no news: it may have been before our kernel took some.
        let mut now = start + SECOND;
        for (bytes, look) in [(5000, Look::Reads), (5001, Look::Reads), (6000, Look::Reads), (6000, Look::Late)] {
            assert!(stall.is_due(now) && !stall.is_due(now - Duration::from_nanos(1)), "{bytes}");
            assert_eq!(stall.progressed(confirmed(bytes), now, LIMIT), look, "{bytes}");
            now += LIMIT;
        }
    }

    #[test]
    fn bytes_that_our_kernel_takes_begin_a_new_time() {
        let start = start();
        let mut stall = Stall::default();
        stall.update(100, start, LIMIT);
        assert_eq!(stall.progressed(confirmed(10), start + SECOND, LIMIT), Look::Reads);
        stall.update(99, start + LIMIT, LIMIT);
        let look = stall.progressed(confirmed(10), start + LIMIT + SECOND, LIMIT);
        assert_eq!(look, Look::Reads, "nothing was confirmed, but 1 was taken");
        assert_eq!(stall.progressed(confirmed(10), start + 2 * LIMIT + SECOND, LIMIT), Look::Late);
    }

    #[test]
    fn a_peer_that_has_everything_is_not_late() {
        let start = start();
        let mut stall = Stall::default();
        for _ in 0..2 {
            let everything = Progress { acknowledged: 10, outstanding: 0 };
            assert_eq!(stall.progressed(everything, start, LIMIT), Look::Done);
            assert_eq!(stall.look_at(), None, "nothing waits, so there is nothing to look for");
        }
        let more = Progress { acknowledged: 11, outstanding: 0 };
        assert_eq!(stall.progressed(more, start, LIMIT), Look::Reads, "it has just taken the rest");
        stall.forget();
        assert_eq!(stall.progressed(more, start, LIMIT), Look::Done);
    }
}
