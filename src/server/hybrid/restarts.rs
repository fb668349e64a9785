//! Whether a dead worker gets a successor, and when.
//!
//! A worker that dies now and then is replaced at once. A worker that dies as soon as it has started would make the
//! master fork as fast as it can, so each further time there is a longer wait. After so many times another try is of no
//! use: the supervisor of the whole server has to hear of it.

use crate::resilience::Backoff;
use std::time::Duration;

/// A worker that lived for this long did not die of a failed start.
const SOUND: Duration = Duration::from_secs(10);

/// One place's history.
#[derive(Debug)]
pub(super) struct Restarts {
    /// Deaths in a row of workers that were not sound.
    early: u32,
    most: u32,
}

impl Restarts {
    /// At most `most` successors in a row for workers that die early.
    pub(super) fn new(most: u32) -> Self {
        Self { early: 0, most }
    }

    /// A worker died after it had `lived` so long: how long its successor has to wait; `None`: there is none.
    pub(super) fn died(&mut self, lived: Duration) -> Option<Duration> {
        if lived >= SOUND {
            self.early = 0;
        }
        let before = self.early;
        self.early += 1;
        (before < self.most).then(|| match before {
            0 => Duration::ZERO,
            // Only one master waits here, so no two waits have to be kept apart.
            again => Backoff { jitter: 0.0, ..Backoff::default() }.delay(again - 1, 0.5),
        })
    }

    /// Workers that died early, one after the other.
    pub(super) fn early(&self) -> u32 {
        self.early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_dies_early_again_and_again_is_replaced_ever_later_and_then_no_more() {
        let mut restarts = Restarts::new(4);
        let ms = |ms| Some(Duration::from_millis(ms));
        let just_too_short = SOUND - Duration::from_nanos(1);
        for (lived, expected) in [
            (just_too_short, ms(0)),
            (Duration::ZERO, ms(100)),
            (SOUND, ms(0)),
            (just_too_short, ms(100)),
            (Duration::ZERO, ms(200)),
            (Duration::ZERO, ms(400)),
            (Duration::ZERO, None),
        ] {
            assert_eq!(restarts.died(lived), expected);
        }
        assert_eq!(restarts.early(), 5);
        assert_eq!(Restarts::new(0).died(SOUND), None);
    }
}
