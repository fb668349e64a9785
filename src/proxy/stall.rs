//! Whether a peer reads: the deadline of what waits for it.

use std::time::{Duration, Instant};

/// What waits in our memory for one peer, and until when it must have taken some of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stall {
    unsent: usize,
    by: Option<Instant>,
}

impl Stall {
    /// `unsent` bytes wait now. Only a peer that took some gets more time: that we added some is not its merit.
    pub(super) fn update(&mut self, unsent: usize, now: Instant, limit: Duration) {
        if unsent == 0 {
            self.by = None;
        } else if unsent < self.unsent || self.by.is_none() {
            self.by = Some(now + limit);
        }
        self.unsent = unsent;
    }

    /// Bytes that wait.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// When the peer must have taken some of them.
    pub(super) fn by(&self) -> Option<Instant> {
        self.by
    }

    /// Whether that is over.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.by.is_some_and(|by| by <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_taken_gives_more_time() {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        let start = Instant::now();
        let (second, limit) = (Duration::from_secs(1), Duration::from_secs(10));
        let mut stall = Stall::default();
        let steps = [(100, Some(0)), (150, Some(0)), (150, Some(0)), (120, Some(3)), (0, None), (7, Some(5))];
        for (step, (unsent, since)) in (0u32..).zip(steps) {
            stall.update(unsent, start + second * step, limit);
            assert_eq!(stall.by(), since.map(|since| start + second * since + limit), "step {step}");
        }
        assert!(!stall.is_late(start + second * 14) && stall.is_late(start + second * 15));
    }
}
