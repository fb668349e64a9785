//! Counts of a run. Each thread counts for itself, and the counts are added up afterwards.

use super::{Failures, Kind};
use crate::{time::Instant, tls::Facts};
use hdrhistogram::Histogram;
use std::time::Duration;

/// Three significant digits: a percentile is right to a thousandth of itself.
const DIGITS: u8 = 3;
/// The longest time that is told apart: no request is waited for that long.
const LONGEST: Duration = Duration::from_secs(3600);

/// When a run begins, is counted, and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// The first request.
    pub begin: Instant,
    /// From here on it counts: after the warm-up.
    pub measure: Instant,
    /// No more requests from here on.
    pub end: Instant,
}

impl Timeline {
    /// Whether what happens at a time counts.
    #[must_use]
    pub fn covers(&self, at: Instant) -> bool {
        self.measure <= at && at < self.end
    }

    /// How long is counted.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.end - self.measure
    }
}

/// A part of the run: for plots over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slot {
    /// Good answers that came in it.
    pub answered: u64,
    /// Failures in it.
    pub failed: u64,
    /// The longest latency among its answers, in nanoseconds.
    pub worst: u64,
}

/// Times, in nanoseconds.
pub type Times = Histogram<u64>;

/// The counts and times of one thread, or of all.
#[derive(Debug, Clone)]
pub struct Record {
    /// From when a request was meant to start until its answer was complete. Good answers only: a quick refusal would
    /// flatter a server.
    pub latency: Times,
    /// From when it did start. Differs from `latency` only at a fixed rate.
    pub service: Times,
    /// Requests whose start counts. Each of them is answered, failed or unfinished.
    pub started: u64,
    /// Those with a good answer before the end.
    pub answered: u64,
    /// Those that failed before the end.
    pub failures: Failures,
    /// Those that were under way at the end. A later answer comes from a server that the other clients have left, so it is
    /// not waited for, and in no latency.
    pub unfinished: u64,
    /// The longest that one of them had waited by then.
    pub longest_wait: Duration,
    /// Due at a fixed rate, and not even begun at the end, because all clients were waiting for answers.
    pub never_sent: u64,
    /// Good answers that came while it counted, whenever they were asked for: what throughput is made of.
    pub completed: u64,
    /// Bytes that came meanwhile.
    pub received: u64,
    /// Connections made, from the first to the last moment.
    pub connections: u64,
    /// Connections on which bytes arrived that no request had asked for.
    pub unasked: u64,
    /// TLS: from when a connection was there until its handshake was over, of all connections.
    pub handshakes: Times,
    /// How many of them resumed an earlier session.
    pub resumed: u64,
    /// How many were over while it counted.
    pub shaken: u64,
    /// The facts about the last one.
    pub facts: Option<Facts>,
    /// HTTP/2: requests that the server handed back when it said goodbye, and that were sent again.
    pub sent_again: u64,
    /// HTTP/2: the fewest streams that the server has allowed on a connection.
    pub allowed: Option<u32>,
    /// Clients that got at least one good answer before the end, the warm-up included.
    pub served: u64,
    /// Parts of the run, from [`Timeline::measure`] on.
    pub slots: Vec<Slot>,
    /// How long each of them is.
    pub slot: Duration,
}

impl Record {
    /// Nothing seen. Plots will have a point for each `slot`.
    #[must_use]
    pub fn new(slot: Duration) -> Self {
        let times = || {
            let longest = u64::try_from(LONGEST.as_nanos()).expect("an hour has less than 2^64 nanoseconds");
            Times::new_with_bounds(1, longest, DIGITS).expect("the bounds are in order and the digits at most 5")
        };
        Self {
            latency: times(),
            service: times(),
            started: 0,
            answered: 0,
            failures: Failures::default(),
            unfinished: 0,
            longest_wait: Duration::ZERO,
            never_sent: 0,
            completed: 0,
            received: 0,
            connections: 0,
            unasked: 0,
            handshakes: times(),
            resumed: 0,
            shaken: 0,
            facts: None,
            sent_again: 0,
            allowed: None,
            served: 0,
            slots: Vec::new(),
            slot,
        }
    }

    /// A request was meant to start at `intended`, did at `started`, and has a good answer now.
    pub fn answer(&mut self, line: &Timeline, intended: Instant, started: Instant, now: Instant) {
        if now >= line.end {
            return self.leave_unfinished(line, intended, now);
        }
        let latency = nanos(now.saturating_duration_since(intended));
        if line.covers(intended) {
            self.answered += 1;
            self.latency.saturating_record(latency);
            self.service.saturating_record(nanos(now.saturating_duration_since(started)));
        }
        if line.covers(now) {
            self.completed += 1;
            let slot = self.slot_at(line, now);
            slot.answered += 1;
            slot.worst = slot.worst.max(latency);
        }
    }

    /// A request that was meant to start at `intended` will have no good answer.
    pub fn fail(&mut self, line: &Timeline, intended: Instant, kind: Kind, now: Instant) {
        if now >= line.end {
            return self.leave_unfinished(line, intended, now);
        }
        if line.covers(intended) {
            self.failures.add(kind, 1);
        }
        if line.covers(now) {
            self.slot_at(line, now).failed += 1;
        }
    }

    /// The run ends, now at the latest, while a request that was meant to start at `intended` is under way.
    pub fn leave_unfinished(&mut self, line: &Timeline, intended: Instant, now: Instant) {
        if line.covers(intended) {
            self.unfinished += 1;
            self.longest_wait = self.longest_wait.max(now.min(line.end).saturating_duration_since(intended));
        }
    }

    /// A handshake is over that took so long. `counts`: while it counts.
    pub fn shake(&mut self, facts: Facts, took: Duration, counts: bool) {
        self.handshakes.saturating_record(nanos(took));
        self.resumed += u64::from(facts.resumed);
        self.shaken += u64::from(counts);
        // A resumed session has no key exchange to speak of.
        if !facts.resumed || self.facts.is_none() {
            self.facts = Some(facts);
        }
    }

    /// A server allows so many streams on a connection.
    pub fn allow(&mut self, streams: u32) {
        self.allowed = Some(self.allowed.map_or(streams, |least| least.min(streams)));
    }

    fn slot_at(&mut self, line: &Timeline, now: Instant) -> &mut Slot {
        let at = (now - line.measure).as_nanos() / self.slot.as_nanos().max(1);
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(MAX_SLOTS - 1);
        if self.slots.len() <= at {
            self.slots.resize(at + 1, Slot::default());
        }
        &mut self.slots[at]
    }

    /// Adds what another thread has seen in the same run.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.latency, &other.latency),
            (&mut self.service, &other.service),
            (&mut self.handshakes, &other.handshakes),
        ] {
            mine.add(theirs).expect("both have the same bounds");
        }
        self.failures.merge(&other.failures);
        for (mine, theirs) in [
            (&mut self.started, other.started),
            (&mut self.answered, other.answered),
            (&mut self.unfinished, other.unfinished),
            (&mut self.never_sent, other.never_sent),
            (&mut self.completed, other.completed),
            (&mut self.received, other.received),
            (&mut self.connections, other.connections),
            (&mut self.unasked, other.unasked),
            (&mut self.sent_again, other.sent_again),
            (&mut self.resumed, other.resumed),
            (&mut self.shaken, other.shaken),
            (&mut self.served, other.served),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self.facts = other.facts.or(self.facts);
        other.allowed.into_iter().for_each(|streams| self.allow(streams));
        if self.slots.len() < other.slots.len() {
            self.slots.resize(other.slots.len(), Slot::default());
        }
        for (mine, theirs) in self.slots.iter_mut().zip(&other.slots) {
            mine.answered += theirs.answered;
            mine.failed += theirs.failed;
            mine.worst = mine.worst.max(theirs.worst);
        }
    }
}

/// Points of a plot over time, at most: more than a screen has columns to show them.
pub(super) const MAX_SLOTS: usize = 1000;

/// How long a slot is for a run of some length: a part of it, as near above a tenth of a second as can be, and longer if there
/// were more than 200.
#[must_use]
pub fn slot_of(duration: Duration) -> Duration {
    let parts = (duration.as_millis() / 100).clamp(1, 200);
    // Rounded up: else the last nanoseconds would be a part of their own.
    Duration::from_nanos(u64::try_from(duration.as_nanos().div_ceil(parts)).unwrap_or(u64::MAX))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods)] // Any time will do.
    fn line() -> Timeline {
        let begin = Instant::now();
        Timeline { begin, measure: begin + Duration::from_secs(1), end: begin + Duration::from_secs(3) }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_request_that_starts_while_it_counts_counts() {
        let line = line();
        let mut record = Record::new(SECOND);
        let at = |millis| line.begin + Duration::from_millis(millis);
        // Warm-up, answered while it counts: throughput, no latency.
        record.answer(&line, at(999), at(999), at(1000));
        assert_eq!((record.answered, record.completed, record.latency.len()), (0, 1, 0));
        record.answer(&line, at(1000), at(1500), at(2000));
        assert_eq!((record.answered, record.completed), (1, 2));
        // A request under way at the end is counted, and nothing else. One that began at the end or later is not counted at all.
        record.answer(&line, at(2999), at(2999), at(3000));
        record.fail(&line, at(2500), Kind::Reset, at(9000));
        record.leave_unfinished(&line, at(2000), at(2800));
        record.answer(&line, at(3000), at(3000), at(3001));
        assert_eq!((record.answered, record.completed, record.latency.len()), (1, 2, 1));
        assert_eq!((record.unfinished, record.longest_wait), (3, Duration::from_millis(800)));
        record.answer(&line, at(2998), at(2998), at(2999));
        let near = |times: &Times, millis: u64| times.max().abs_diff(millis * 1_000_000) <= millis * 1000;
        assert!(near(&record.latency, 1000) && near(&record.service, 500));
        record.fail(&line, at(999), Kind::Reset, at(1001));
        record.fail(&line, at(2500), Kind::Reset, at(2600));
        assert_eq!((record.failures.total(), record.unfinished), (1, 3));
        let [first, second] = record.slots[..] else { panic!("{:?}", record.slots) };
        assert_eq!((first.answered, first.failed, first.worst), (1, 1, 1_000_000));
        assert_eq!((second.answered, second.failed, second.worst), (2, 1, 1_000_000_000));
    }

    #[test]
    fn threads_add_up() {
        let line = line();
        let (mut one, mut two) = (Record::new(SECOND), Record::new(SECOND));
        let at = |millis| line.measure + Duration::from_millis(millis);
        one.answer(&line, at(0), at(0), at(10));
        two.answer(&line, at(0), at(0), at(1500));
        two.fail(&line, at(0), Kind::Timeout, at(20));
        one.leave_unfinished(&line, at(500), at(600));
        two.leave_unfinished(&line, at(300), at(600));
        one.merge(&two);
        assert_eq!((one.unfinished, one.longest_wait), (2, Duration::from_millis(300)));
        assert_eq!((one.answered, one.latency.len(), one.failures.of(Kind::Timeout)), (2, 2, 1));
        assert_eq!(one.slots.iter().map(|slot| (slot.answered, slot.failed)).collect::<Vec<_>>(), [(1, 1), (1, 0)]);
    }

    #[test]
    fn no_time_is_too_long_or_too_short_to_be_counted() {
        let line = line();
        let mut record = Record::new(SECOND);
        let year = Duration::from_secs(365 * 24 * 3600);
        record.answer(&line, line.measure, line.measure, line.measure);
        let line = Timeline { end: line.measure + 2 * year, ..line };
        record.answer(&line, line.measure, line.measure, line.measure + year);
        assert_eq!(record.latency.len(), 2);
    }

    #[test]
    fn the_parts_of_a_run_are_equal() {
        for (run, slot) in [(1, 1), (10, 10), (100, 100), (150, 150), (250, 125), (1000, 100), (100_000, 500)] {
            assert_eq!(slot_of(Duration::from_millis(run)), Duration::from_millis(slot), "{run} ms");
        }
        for nanos in [1, 999_999_999, 10_000_000_001, 86_400_000_000_007] {
            let run = Duration::from_nanos(nanos);
            let slot = slot_of(run);
            let parts = nanos.div_ceil(slot.as_nanos() as u64);
            let more = slot * u32::try_from(parts).unwrap() - run;
            assert!(parts <= 200 && more < Duration::from_micros(1), "{nanos}: {parts} parts of {slot:?}");
        }
    }

    #[test]
    fn counts_that_are_too_large_to_add_up_stay_large() {
        let mut one = Record::new(SECOND);
        one.never_sent = u64::MAX - 1;
        one.merge(&one.clone());
        assert_eq!(one.never_sent, u64::MAX);
    }
}
