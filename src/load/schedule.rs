//! When requests are meant to start: at a fixed rate, whatever the server does.
//!
//! Request `k` of a run is due at `begin + k / rate`, computed anew from `k` each time: nothing adds up, so nothing drifts.
//! With several threads, thread `i` of `n` takes every `n`-th request, beginning with `i`.

use crate::time::Instant;
use std::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// The requests of one thread.
#[derive(Debug, Clone)]
pub struct Schedule {
    begin: Instant,
    end: Instant,
    /// Requests a second, of all threads together.
    rate: u64,
    /// The next one that is ours.
    next: u64,
    /// How many threads share the rate.
    step: u64,
}

impl Schedule {
    /// Requests from `begin` until before `end`, for thread number `thread` of `threads`, at `rate` a second in total.
    /// `rate` and `threads` are at least 1.
    #[must_use]
    pub fn new(begin: Instant, end: Instant, rate: u64, thread: u64, threads: u64) -> Self {
        Self { begin, end, rate, next: thread, step: threads }
    }

    fn at(&self, k: u64) -> Instant {
        let nanos = u128::from(k) * NANOS / u128::from(self.rate);
        self.begin + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When the next request is meant to start. `None`: there are no more.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        Some(self.at(self.next)).filter(|at| *at < self.end)
    }

    /// Takes the next request if it is due; tells when it was meant to start.
    pub fn take_due(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next_due().filter(|at| *at <= now)?;
        self.next += self.step;
        Some(due)
    }

    /// There is nothing more to do at `now` or later.
    pub fn cut(&mut self, now: Instant) {
        self.end = self.end.min(now);
    }

    /// How many are due at or after `from` and before the end, and were not taken.
    #[must_use]
    pub fn left(&self, from: Instant) -> u64 {
        let step = u128::from(self.step);
        let next = u128::from(self.next);
        // The first of ours that is not before `from`.
        let first = next + self.first_from(from).saturating_sub(next).div_ceil(step) * step;
        let left = self.first_from(self.end).saturating_sub(first).div_ceil(step);
        u64::try_from(left).unwrap_or(u64::MAX)
    }

    /// The first request of all threads that is due at a time or later: [`Self::at`] the other way round.
    fn first_from(&self, at: Instant) -> u128 {
        let nanos = at.saturating_duration_since(self.begin).as_nanos();
        (nanos * u128::from(self.rate)).div_ceil(NANOS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods)] // Any time will do.
    fn begin() -> Instant {
        Instant::now()
    }

    fn after(begin: Instant, micros: u64) -> Instant {
        begin + Duration::from_micros(micros)
    }

    #[test]
    fn starts_are_evenly_spaced_and_do_not_drift() {
        let begin = begin();
        let schedule = Schedule::new(begin, begin + Duration::from_secs(3600), 3, 0, 1);
        for (k, nanos) in [(0, 0), (1, 333_333_333), (2, 666_666_666), (3, NANOS as u64), (9000, 3000 * NANOS as u64)] {
            assert_eq!(schedule.at(k) - begin, Duration::from_nanos(nanos), "request {k}");
        }
    }

    #[test]
    fn a_due_request_keeps_its_time_however_late_it_is_taken() {
        let begin = begin();
        let mut schedule = Schedule::new(begin, after(begin, 5000), 1000, 0, 1);
        assert_eq!(schedule.take_due(begin), Some(begin));
        assert_eq!(schedule.take_due(after(begin, 999)), None);
        // A stall: three have become due meanwhile.
        let late = after(begin, 3500);
        let taken: Vec<_> = std::iter::from_fn(|| schedule.take_due(late)).collect();
        assert_eq!(taken, [1000, 2000, 3000].map(|micros| after(begin, micros)));
        assert_eq!(schedule.next_due(), Some(after(begin, 4000)));
        assert_eq!(schedule.left(begin), 1);
        assert_eq!(schedule.take_due(after(begin, 9000)), Some(after(begin, 4000)));
        // The end is not part of it.
        assert_eq!((schedule.take_due(after(begin, 9000)), schedule.left(begin)), (None, 0));
    }

    #[test]
    fn threads_share_the_rate() {
        let begin = begin();
        let end = after(begin, 1_000_000);
        let mut all: Vec<Instant> = Vec::new();
        for thread in 0..3 {
            let mut schedule = Schedule::new(begin, end, 1000, thread, 3);
            all.extend(std::iter::from_fn(|| schedule.take_due(end)));
        }
        all.sort();
        let expected: Vec<_> = (0..1000).map(|k| after(begin, 1000 * k)).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn requests_that_no_client_took_are_counted_from_a_time_on() {
        let begin = begin();
        let schedule = Schedule::new(begin, after(begin, 10_000), 1000, 0, 1);
        for (from, left) in [(0, 10), (1, 9), (9000, 1), (9001, 0)] {
            assert_eq!(schedule.left(after(begin, from)), left, "from {from} µs");
        }
    }

    /// Counted one by one, it is the same number.
    #[test]
    fn the_number_left_is_the_number_that_would_be_taken() {
        let begin = begin();
        let end = after(begin, 70_001);
        for (rate, threads) in [(1, 1), (3, 2), (999, 3), (1000, 1), (1_000_000_007, 7)] {
            for (thread, taken) in [(0, 0), (threads - 1, 0), (0, 5), (threads - 1, 20)] {
                let end = if rate > 1_000_000 { after(begin, 10) } else { end };
                let mut schedule = Schedule::new(begin, end, rate, thread, threads);
                for _ in 0..taken {
                    schedule.take_due(end);
                }
                for from in [0, 1, 1000, 1001, 33_334, 70_000, 70_001, 80_000] {
                    let mut rest = schedule.clone();
                    let due = std::iter::from_fn(|| rest.take_due(end)).filter(|due| *due >= after(begin, from));
                    let counted = due.count() as u64;
                    assert_eq!(schedule.left(after(begin, from)), counted, "{rate} {thread}/{threads} {taken} {from}");
                }
            }
        }
        // A day of a million a second is not counted one by one.
        let day = begin + Duration::from_secs(86_400);
        assert_eq!(Schedule::new(begin, day, 1_000_000, 0, 1).left(begin), 86_400_000_000);
    }
}
