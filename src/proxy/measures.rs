//! How long requests take, by site and by upstream: counts in buckets, one writer per worker.
//!
//! The labels are names of the configuration, and never anything that a client says: so there are as many series as there are sites and
//! upstreams, whatever is asked for.

use super::counter::Counter;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The upper bounds of the buckets, in microseconds: from an answer of the cache to one that a person waits for in vain.
pub(super) const BOUNDS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];

/// The name of the series for requests without a site, and of the only group of a proxy without upstreams.
pub(super) const NONE: &str = "-";

/// The durations that one worker has seen. In lines of memory of its own: what one worker writes throws nothing out of the caches of
/// the others.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Durations {
    /// By [`BOUNDS`], and those that are longer.
    buckets: [Counter; BOUNDS.len() + 1],
    micros: Counter,
}

/// The durations of one site or upstream.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: Box<str>,
    by_worker: Box<[Durations]>,
}

/// A reading of a [`Series`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Reading {
    /// How many were no longer than each of [`BOUNDS`].
    pub(super) up_to: [u64; BOUNDS.len()],
    pub(super) count: u64,
    pub(super) seconds: f64,
}

impl Reading {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        let up_to = std::array::from_fn(|at| self.up_to[at] + other.up_to[at]);
        Self { up_to, count: self.count + other.count, seconds: self.seconds + other.seconds }
    }
}

impl Series {
    fn new(name: &str, workers: usize) -> Self {
        Self { name: name.into(), by_worker: (0..workers).map(|_| Durations::default()).collect() }
    }

    /// A worker has seen one more.
    pub(super) fn count(&self, worker: usize, took: Duration) {
        let Some(durations) = self.by_worker.get(worker) else { return };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        durations.buckets[bucket].add(1);
        durations.micros.add(micros);
    }

    /// All counts now. The count is that of the buckets, so they agree whatever workers do meanwhile.
    pub(super) fn read(&self) -> Reading {
        let mut reading = Reading::default();
        let mut micros = 0;
        for durations in &self.by_worker {
            micros += durations.micros.read();
            let mut so_far = 0;
            for (at, bucket) in durations.buckets.iter().enumerate() {
                so_far += bucket.read();
                reading.up_to.get_mut(at).into_iter().for_each(|up_to| *up_to += so_far);
            }
            reading.count += so_far;
        }
        #[allow(clippy::cast_precision_loss)] // After 285 years of requests.
        let seconds = micros as f64 / 1e6;
        Reading { seconds, ..reading }
    }
}

/// Series by their names.
type ByName = BTreeMap<Box<str>, Arc<Series>>;

/// The series that a configuration shows. The next one goes on with those that it names, too: counters do not go back.
#[derive(Debug, Default)]
pub(super) struct Known {
    sites: ByName,
    upstreams: ByName,
}

/// The series of one configuration.
#[derive(Debug)]
pub(super) struct Measures {
    known: Known,
    /// By the numbers of the sites. In front of them, that of requests without a site.
    sites: Vec<Arc<Series>>,
    /// By the numbers of the groups.
    upstreams: Vec<Arc<Series>>,
}

impl Measures {
    /// The series for these sites and upstreams. Those that were known `before` go on.
    pub(super) fn new<'a>(
        before: &Known,
        workers: usize,
        sites: impl Iterator<Item = &'a str>,
        upstreams: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut known = Known::default();
        let series = |now: &mut ByName, before: &ByName, name: &str| {
            let series = || before.get(name).cloned().unwrap_or_else(|| Arc::new(Series::new(name, workers)));
            now.entry(name.into()).or_insert_with(series).clone()
        };
        let sites = [NONE].into_iter().chain(sites);
        let sites = sites.map(|name| series(&mut known.sites, &before.sites, name)).collect();
        let upstreams = upstreams.map(|name| series(&mut known.upstreams, &before.upstreams, name)).collect();
        Self { known, sites, upstreams }
    }

    /// Its series, for the next configuration.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// A request is over. `site`, `upstream`: their numbers; a request that no backend was asked for has no upstream.
    pub(super) fn count(&self, worker: usize, site: Option<usize>, upstream: Option<usize>, took: Duration) {
        let site = self.sites.get(site.map_or(0, |site| site + 1));
        let upstream = upstream.and_then(|upstream| self.upstreams.get(upstream));
        site.into_iter().chain(upstream).for_each(|series| series.count(worker, took));
    }

    /// The series of sites, by their names.
    pub(super) fn sites(&self) -> impl Iterator<Item = &Series> {
        self.known.sites.values().map(|series| &**series)
    }

    /// The series of upstreams, by their names.
    pub(super) fn upstreams(&self) -> impl Iterator<Item = &Series> {
        self.known.upstreams.values().map(|series| &**series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_it_fits_into() {
        let series = Series::new("a", 2);
        for (worker, micros) in [(0, 0), (1, 500), (0, 501), (1, 29_999_999), (0, 30_000_000), (1, 30_000_001)] {
            series.count(worker, Duration::from_micros(micros));
        }
        let reading = series.read();
        assert_eq!(
            (reading.up_to[0], reading.up_to[1], reading.up_to[13], reading.up_to[14], reading.count),
            (2, 3, 3, 5, 6)
        );
        assert!((reading.seconds - 90.001_001).abs() < 1e-9, "{reading:?}");
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn the_next_configuration_goes_on_with_the_series_that_it_names() {
        let first = Measures::new(&Known::default(), 1, ["a", "b"].into_iter(), ["web"].into_iter());
        let took = Duration::from_millis(1);
        first.count(0, Some(0), Some(0), took);
        first.count(0, Some(1), None, took);
        first.count(0, None, None, took);
        let second = Measures::new(first.known(), 1, ["b", "c"].into_iter(), ["api", "web"].into_iter());
        second.count(0, Some(0), Some(1), took);
        fn counts<'s>(series: impl Iterator<Item = &'s Series>) -> Vec<(&'s str, u64)> {
            series.map(|series| (&*series.name, series.read().count)).collect()
        }
        assert_eq!(counts(second.sites()), [("-", 1), ("b", 2), ("c", 0)], "a is gone");
        assert_eq!(counts(second.upstreams()), [("api", 0), ("web", 2)]);
        // It begins again if it comes back, as after a start.
        let third = Measures::new(second.known(), 1, ["a"].into_iter(), ["web"].into_iter());
        assert_eq!(counts(third.sites()), [("-", 1), ("a", 0)]);
    }
}
