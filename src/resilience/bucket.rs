//! Whether a client asks too often: a token bucket, kept as a single point in time.
//!
//! A bucket fills at a steady rate and holds a burst; a client that takes too much waits. Instead of a level that has
//! to be refilled, it keeps *when it will be full*: taking moves that moment into the future, time passing does the
//! rest.
//!
//! ```text
//!   now            full_at       limit = now + time to fill an empty bucket
//!    ├── taken ───────┤────── left ───┤
//! ```
//!
//! It is the virtual scheduling algorithm that ATM networks policed cells with (ITU-T I.371).

use crate::time::Instant;
use std::{num::NonZeroU32, time::Duration};

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Lets so many a second pass, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    rate: NonZeroU32,
    burst: NonZeroU32,
    full_at: Instant,
}

impl TokenBucket {
    /// A full bucket: `burst` tokens, and `rate` new ones a second.
    #[must_use]
    pub fn new(rate: NonZeroU32, burst: NonZeroU32, now: Instant) -> Self {
        Self { rate, burst, full_at: now }
    }

    /// A bucket that is full at that time if nothing is taken: `burst` tokens, and `rate` new ones a second.
    #[must_use]
    pub fn full_at(rate: NonZeroU32, burst: NonZeroU32, full_at: Instant) -> Self {
        Self { rate, burst, full_at }
    }

    /// When it is full if nothing is taken.
    #[must_use]
    pub fn is_full_at(&self) -> Instant {
        self.full_at
    }

    /// Takes `n` tokens, or none.
    ///
    /// # Errors
    ///
    /// The time until there are `n`, if no other request takes any. `Retry-After` is this time, rounded up.
    /// [`Duration::MAX`] if `n` is more than the bucket holds.
    pub fn try_take(&mut self, n: u32, now: Instant) -> Result<(), Duration> {
        if n > self.burst.get() {
            return Err(Duration::MAX);
        }
        let missing = self.full_at.saturating_duration_since(now) + self.time_for(n);
        match missing.checked_sub(self.time_for(self.burst.get())) {
            Some(over) if !over.is_zero() => Err(over),
            _ => {
                self.full_at = now + missing;
                Ok(())
            }
        }
    }

    /// Gives back `n` tokens that were taken: what they were taken for does not happen.
    pub fn give_back(&mut self, n: u32, now: Instant) {
        let missing = self.full_at.saturating_duration_since(now).saturating_sub(self.time_for(n));
        self.full_at = now + missing;
    }

    /// How many tokens there are.
    #[must_use]
    pub fn available(&self, now: Instant) -> u32 {
        let full = self.time_for(self.burst.get());
        let filled = full.saturating_sub(self.full_at.saturating_duration_since(now));
        let tokens = filled.as_nanos() * u128::from(self.rate.get()) / NANOS_PER_SECOND;
        u32::try_from(tokens).unwrap_or(u32::MAX).min(self.burst.get())
    }

    /// How long `n` tokens take to arrive: less than a nanosecond too little, so that what was taken one by one fits too.
    fn time_for(&self, n: u32) -> Duration {
        Duration::from_nanos((u128::from(n) * NANOS_PER_SECOND / u128::from(self.rate.get())) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::base, *};
    use proptest::prelude::*;

    const NANO: Duration = Duration::from_nanos(1);

    fn bucket(rate: u32, burst: u32, now: Instant) -> TokenBucket {
        TokenBucket::new(rate.try_into().unwrap(), burst.try_into().unwrap(), now)
    }

    #[test]
    fn tokens_that_are_given_back_can_be_taken_again() {
        let now = base();
        let mut bucket = bucket(10, 3, now);
        for _ in 0..100 {
            assert_eq!(bucket.try_take(2, now), Ok(()));
            bucket.give_back(2, now);
        }
        assert!(bucket.available(now) == 3 && bucket.try_take(3, now).is_ok());
        // No more than it holds.
        bucket.give_back(100, now);
        assert!(bucket.try_take(3, now).is_ok() && bucket.try_take(1, now).is_err());
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        for (rate, burst) in [(1, 1), (3, 3), (7, 3), (10, 100), (999_999, 2)] {
            let mut now = base();
            let mut bucket = bucket(rate, burst, now);
            for left in (0..burst).rev() {
                assert_eq!(bucket.try_take(1, now), Ok(()), "{rate} a second, {burst} at once");
                assert!(bucket.available(now).abs_diff(left) <= 1);
            }
            for _ in 0..5 {
                let wait = bucket.try_take(1, now).unwrap_err();
                assert!(wait <= Duration::from_secs(1) / rate);
                assert!(bucket.try_take(1, now + wait - NANO).is_err());
                now += wait;
                assert_eq!(bucket.try_take(1, now), Ok(()));
            }
        }
    }

    #[test]
    fn it_never_holds_more_than_the_burst() {
        let now = base();
        let mut bucket = bucket(10, 5, now);
        assert_eq!(bucket.try_take(6, now), Err(Duration::MAX));
        let later = now + Duration::from_secs(3600);
        assert_eq!(bucket.available(later), 5);
        assert_eq!(bucket.try_take(5, later), Ok(()));
        assert_eq!(bucket.try_take(0, later), Ok(()));
        assert_eq!(bucket.try_take(5, later), Err(Duration::from_millis(500)));
        assert_eq!(bucket.try_take(5, later + Duration::from_millis(500)), Ok(()));
    }

    #[test]
    fn the_slowest_rate_and_the_largest_burst_do_not_overflow() {
        let now = base();
        let mut bucket = bucket(1, u32::MAX, now);
        assert_eq!(bucket.try_take(u32::MAX, now), Ok(()));
        assert_eq!(bucket.available(now), 0);
        assert_eq!(bucket.try_take(u32::MAX, now), Err(Duration::from_secs(u64::from(u32::MAX))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Over any stretch from the start, no more passes than the burst and what the rate adds; and the wait is exact.
        #[test]
        fn laws(rate in 1..5000u32, burst in 1..200u32, takes in prop::collection::vec((0..50u32, 0..20_000_000u64), 1..100)) {
            let start = base();
            let mut now = start;
            let mut bucket = bucket(rate, burst, start);
            let mut taken = 0;
            for (n, wait) in takes {
                now += Duration::from_nanos(wait);
                match bucket.try_take(n, now) {
                    Ok(()) => taken += n,
                    Err(wait) if n > burst => prop_assert_eq!(wait, Duration::MAX),
                    Err(wait) => {
                        prop_assert!(bucket.try_take(n, now + wait - NANO).is_err());
                        prop_assert!(bucket.clone().try_take(n, now + wait).is_ok());
                    }
                }
                // Each take is rounded by less than a nanosecond.
                let allowed = f64::from(burst) + (now - start).as_secs_f64() * f64::from(rate);
                prop_assert!(f64::from(taken) <= allowed + 0.001, "{taken} taken, {allowed} allowed");
                prop_assert!(bucket.available(now) <= burst);
            }
        }
    }
}
