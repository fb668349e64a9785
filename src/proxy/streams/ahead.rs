//! How much may be read and given to the driver ahead of one client?
//!
//! With the driver, bytes are in their order: an acknowledgement, or a window for an upload, is behind them, and a stream that is more
//! urgent cannot go first. Bytes of a backend take memory until they leave. So a client that takes little gets little ahead. A
//! client that takes much gets more, since large reads and writes cost less per byte.
//!
//! ```text
//!   LEAST ── as much left at once, or soon ──▶ MOST: and backends are read in larger pieces
//!     ▲                                          │
//!     ╰───── half of it for each slow one ───────╯
//! ```

use crate::{app::Reads, time::Instant};
use std::time::Duration;

/// One frame of the usual size.
pub(super) const LEAST: usize = 16 * 1024;

/// More does not make writes noticeably cheaper.
pub(super) const MOST: usize = 64 * 1024;

/// One byte more may wait for as many that left. The 200 KiB that our kernel takes for a client that reads nothing earn
/// less than half a frame.
const SHARE: usize = 32;

/// A client that takes what waits within this time is not slow: our kernel had no room because we are faster.
const SOON: Duration = Duration::from_millis(20);

/// The trust in one client.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Bytes that left, less what was lost by being slow.
    taken: usize,
    /// Some of what was given last waits since then.
    waits: Option<Instant>,
}

impl Ahead {
    /// As many bytes may wait.
    pub(super) fn most(&self) -> usize {
        LEAST + self.taken / SHARE
    }

    /// How backends are read.
    pub(super) fn reads(&self) -> Reads {
        if self.most() < MOST { Reads::Small } else { Reads::Medium }
    }

    /// A number of bytes left at once.
    pub(super) fn took(&mut self, bytes: usize) {
        self.taken = (self.taken + bytes).min((MOST - LEAST) * SHARE);
    }

    /// Of the `given` bytes, `unsent` wait; and others that came before them.
    pub(super) fn told(&mut self, given: usize, unsent: usize, now: Instant) {
        if unsent > 0 {
            self.waits = self.waits.or(Some(now));
        } else if let Some(since) = self.waits.take()
            && now.saturating_duration_since(since) > SOON
        {
            self.taken /= 2;
            return;
        }
        self.took(given.saturating_sub(unsent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To be trusted fully.
    const WHOLE: usize = (MOST - LEAST) * SHARE;

    fn start() -> Instant {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    #[test]
    fn a_client_that_takes_what_the_kernel_takes_for_it_gets_little_ahead() {
        let mut ahead = Ahead::default();
        assert_eq!((ahead.most(), ahead.reads()), (LEAST, Reads::Small));
        ahead.took(200 * 1024);
        assert!(ahead.most() < LEAST * 3 / 2);
        ahead.told(LEAST, LEAST, start());
        assert!(ahead.most() < LEAST * 3 / 2);
    }

    #[test]
    fn a_client_that_takes_much_gets_more_and_no_more_than_the_most() {
        let mut ahead = Ahead::default();
        ahead.took(WHOLE - 1);
        assert_eq!((ahead.most(), ahead.reads()), (MOST - 1, Reads::Small));
        ahead.took(1);
        assert_eq!((ahead.most(), ahead.reads()), (MOST, Reads::Medium));
        ahead.took(usize::MAX / 2);
        assert_eq!(ahead.most(), MOST);
    }

    #[test]
    fn a_client_is_slow_when_what_waits_does_not_leave_soon() {
        let start = start();
        for (leaves, most) in [(SOON, MOST), (SOON + Duration::from_nanos(1), LEAST + WHOLE / 2 / SHARE)] {
            let mut ahead = Ahead::default();
            ahead.took(WHOLE);
            ahead.told(MOST, MOST / 2, start);
            ahead.told(0, 1, start + leaves / 2);
            ahead.told(0, 0, start + leaves);
            assert_eq!(ahead.most(), most, "{leaves:?}");
        }
    }
}
