//! How long to wait before the next try: exponentially longer, never longer than a cap, never the same for all clients.

use std::time::Duration;

/// Exponential backoff with jitter.
///
/// The jitter is what makes it work: clients that failed together and wait equally long come back together, and the
/// server that was overloaded is overloaded again. It applies after the cap, or the clients that wait longest would
/// meet there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The wait before the first retry.
    pub base: Duration,
    /// Each wait is this much longer than the one before. Below 1 the waits would shrink: such values count as 1.
    pub factor: f64,
    /// The longest wait, before jitter.
    pub cap: Duration,
    /// The share that a wait may be shorter or longer: 0.25 is ±25 %. Held to 0 to 1.
    pub jitter: f64,
}

/// Values for a client of a service on the same continent: 100 ms, 200 ms, 400 ms … 10 s, ±25 %.
impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(100), factor: 2.0, cap: Duration::from_secs(10), jitter: 0.25 }
    }
}

impl Backoff {
    /// The wait before retry `attempt`, counted from 0. `unit` is random, from 0 (shortest) to 1 (longest).
    #[must_use]
    pub fn delay(&self, attempt: u32, unit: f64) -> Duration {
        // The growth may be infinite; of a base of 0 that would not be a number.
        if self.base.is_zero() {
            return Duration::ZERO;
        }
        let growth = self.factor.max(1.0).powi(i32::try_from(attempt).unwrap_or(i32::MAX));
        let wait = (self.base.as_secs_f64() * growth).min(self.cap.as_secs_f64());
        let spread = self.jitter.clamp(0.0, 1.0) * (2.0 * unit.clamp(0.0, 1.0) - 1.0);
        Duration::try_from_secs_f64(wait * (1.0 + spread)).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff { base: 100 * MS, factor: 2.0, cap: 1000 * MS, jitter: 0.25 };
        for (attempt, wait) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1000), (5, 1000), (u32::MAX, 1000)] {
            assert_eq!(backoff.delay(attempt, 0.5), wait * MS, "retry {attempt}");
            assert_eq!(backoff.delay(attempt, 0.0), wait * MS * 3 / 4, "retry {attempt}, shortest");
            assert_eq!(backoff.delay(attempt, 1.0), wait * MS * 5 / 4, "retry {attempt}, longest");
        }
    }

    #[test]
    fn senseless_settings_do_no_harm() {
        let backoff = Backoff { base: 100 * MS, factor: 2.0, cap: 1000 * MS, jitter: 0.0 };
        let cases = [
            (Backoff { base: Duration::ZERO, ..backoff }, Duration::ZERO),
            (Backoff { cap: Duration::ZERO, ..backoff }, Duration::ZERO),
            (Backoff { factor: 0.5, ..backoff }, 100 * MS),
            (Backoff { factor: -2.0, ..backoff }, 100 * MS),
            (Backoff { factor: f64::NAN, ..backoff }, 100 * MS),
            (Backoff { factor: f64::INFINITY, ..backoff }, 1000 * MS),
            (Backoff { jitter: 7.0, ..backoff }, 2000 * MS),
            (Backoff { base: Duration::MAX, cap: Duration::MAX, jitter: 1.0, ..backoff }, Duration::MAX),
        ];
        for (backoff, expected) in cases {
            assert_eq!(backoff.delay(9, 1.0), expected, "{backoff:?}");
        }
    }
}
