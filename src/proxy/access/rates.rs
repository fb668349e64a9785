//! How often a client may ask: token buckets, one for each key, in a table of a fixed size that all workers share.
//!
//! ```text
//!   limit, key ──▶ keyed hash ──▶ a set of eight places ──▶ its own bucket
//!                                                      ├──▶ a place that is free, or whose bucket is full: nothing is forgotten
//!                                                      ╰──▶ the place of the bucket that is full soonest: the least is forgotten
//! ```
//!
//! A bucket that is full says nothing, so its place is free. If all eight are in use, the key that has taken least gives its place away, and
//! begins again with a full bucket. A key that has taken much is not pushed out by others that have taken little: to make room for its next
//! burst, a client would have to have taken as much by seven other keys of the same set, and it does not know which these are. How often a
//! bucket was forgotten is counted.

use crate::{cache::Seed, resilience::TokenBucket, time::Instant};
use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Buckets that are kept: 1.5 MiB.
const PLACES: usize = 64 * 1024;

/// Locks, each for a part of the table: two workers seldom meet at one.
const SHARDS: usize = 64;

/// Places in which the bucket of a key may be.
const SET: usize = 8;

/// The most that a bucket may hold.
pub const MOST_BURST: u32 = 1_000_000;

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Tells its buckets from those of other limits.
    pub id: Box<str>,
    /// As clients read it: visible ASCII without quotes.
    pub name: Box<str>,
    /// The number of requests…
    pub requests: NonZeroU32,
    /// …in this number of seconds.
    pub seconds: NonZeroU32,
    /// The number at once: at most [`MOST_BURST`].
    pub burst: NonZeroU32,
    /// The requests that share a bucket.
    pub key: RateKey,
}

/// The requests that share a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateKey {
    /// Those of one client: of one IPv4 address, or of one IPv6 network of 64 bits, which is what one customer gets.
    Client,
    /// All.
    Site,
    /// Those with one value of this field; those without it by their client.
    Header(Box<str>),
}

impl Rate {
    /// A token here is a request; the bucket's are a part of it, so that it counts in whole ones: `seconds` of them are a request.
    fn bucket(&self, full_at: Instant) -> TokenBucket {
        let burst = self.burst.saturating_mul(self.seconds);
        TokenBucket::full_at(self.requests, burst, full_at)
    }

    /// Tokens for one request, of one of so many proxies: its part is the same as the whole at a higher price. One request always fits.
    fn price(&self, proxies: u32) -> u32 {
        self.seconds.get().saturating_mul(proxies.min(self.burst.get()))
    }

    /// The time in which an empty bucket fills.
    fn window(&self) -> Duration {
        let parts = u64::from(self.burst.get()) * u64::from(self.seconds.get());
        Duration::from_millis(parts * 1000 / u64::from(self.requests.get()))
    }

    /// The values of `RateLimit-Policy` and `RateLimit` for a client that has no request left until then
    /// (draft-ietf-httpapi-ratelimit-headers-10).
    pub(in crate::proxy) fn fields(&self, wait: Duration) -> [(&'static str, String); 2] {
        let policy = format!("\"{}\";q={};w={}", self.name, self.burst, whole_seconds(self.window()));
        [("RateLimit-Policy", policy), ("RateLimit", format!("\"{}\";r=0;t={}", self.name, whole_seconds(wait)))]
    }
}

/// Rounded up, and at least one: a client that comes at that time is let in.
pub(in crate::proxy) fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

/// The address that stands for a client. One customer has a whole network of IPv6 addresses.
pub(in crate::proxy) fn client_key(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(client) => client.to_ipv6_mapped().to_bits(),
        IpAddr::V6(client) => client.to_bits() & (u128::MAX << 64),
    }
}

/// The buckets of all limits.
#[derive(Debug)]
pub(in crate::proxy) struct Buckets {
    shards: Box<[Mutex<Box<[Place]>>]>,
    seed: Seed,
    forgotten: AtomicU64,
}

/// A bucket's place.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The hash of limit and key.
    key: u64,
    /// `None`: it was never used.
    full_at: Option<Instant>,
}

impl Buckets {
    /// With a secret that no client knows.
    pub(in crate::proxy) fn new(seed: Seed) -> Self {
        Self::with_places(seed, PLACES)
    }

    fn with_places(seed: Seed, places: usize) -> Self {
        let shards = SHARDS.min(places / SET);
        let shard = || Mutex::new(vec![Place { key: 0, full_at: None }; places / shards].into());
        let shards = std::iter::repeat_with(shard).take(shards).collect();
        Self { shards, seed, forgotten: AtomicU64::new(0) }
    }

    /// Takes a request out of the bucket of that key, which is one of so many that `proxies` have of it: each has a part of the limit.
    ///
    /// # Errors
    ///
    /// The bucket is empty: the time until there is one.
    pub(in crate::proxy) fn take(&self, rate: &Rate, key: &[u8], proxies: u32, now: Instant) -> Result<(), Duration> {
        self.with(rate, key, |key, set| self.take_from(set, key, (rate, proxies), now))
    }

    /// Gives back a request that was taken out of the bucket of that key, as one of `proxies`.
    pub(in crate::proxy) fn give_back(&self, rate: &Rate, key: &[u8], proxies: u32, now: Instant) {
        self.with(rate, key, |key, set| {
            // One that was forgotten meanwhile begins with a full bucket as it is.
            let place = set.iter_mut().find(|place| place.key == key);
            if let Some((place, full_at)) = place.and_then(|place| place.full_at.map(|full_at| (place, full_at))) {
                let mut bucket = rate.bucket(full_at);
                bucket.give_back(rate.price(proxies), now);
                place.full_at = Some(bucket.is_full_at());
            }
        });
    }

    /// Calls with the hash of a key, and the places in which its bucket may be.
    fn with<T>(&self, rate: &Rate, key: &[u8], call: impl FnOnce(u64, &mut [Place]) -> T) -> T {
        let key = self.seed.hash((&rate.id, key));
        // The parts of a hash that choose the shard and the set.
        let (shard, rest) = ((key % self.shards.len() as u64) as usize, key / self.shards.len() as u64);
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let sets = (shard.len() / SET) as u64;
        call(key, &mut shard[(rest % sets) as usize * SET..][..SET])
    }

    fn take_from(
        &self,
        set: &mut [Place],
        key: u64,
        (rate, proxies): (&Rate, u32),
        now: Instant,
    ) -> Result<(), Duration> {
        let place = match set.iter().position(|place| place.key == key && place.full_at.is_some()) {
            Some(own) => &mut set[own],
            None => {
                let place = set.iter_mut().min_by_key(|place| place.full_at);
                let place = place.expect("a set has places");
                if place.full_at.is_some_and(|full_at| full_at > now) {
                    self.forgotten.fetch_add(1, Relaxed);
                }
                *place = Place { key, full_at: Some(now) };
                place
            }
        };
        let mut bucket = rate.bucket(place.full_at.map_or(now, |full_at| full_at.max(now)));
        let taken = bucket.try_take(rate.price(proxies), now);
        place.full_at = Some(bucket.is_full_at());
        taken
    }

    /// Buckets that were forgotten before they were full.
    pub(in crate::proxy) fn forgotten(&self) -> u64 {
        self.forgotten.load(Relaxed)
    }
}

/// A rule for each client. The burst is what may come at once.
#[cfg(test)]
pub(super) fn rate(requests: u32, seconds: u32, burst: u32) -> Rate {
    let whole = |number: u32| NonZeroU32::new(number).unwrap();
    Rate {
        id: "r".into(),
        name: "r".into(),
        requests: whole(requests),
        seconds: whole(seconds),
        burst: whole(burst),
        key: RateKey::Client,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Instant {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    /// Requests that pass in so many seconds, if `per_second` come.
    fn passed(rate: &Rate, per_second: u64, seconds: u64) -> u64 {
        let (buckets, start) = (Buckets::with_places(Seed(1), 512), now());
        let at = |n: u64| start + Duration::from_nanos(n * 1_000_000_000 / per_second);
        (0..per_second * seconds).filter(|n| buckets.take(rate, b"k", 1, at(*n)).is_ok()).count() as u64
    }

    #[test]
    fn the_rate_passes_in_a_time_and_the_burst_at_once() {
        for (requests, seconds, burst) in [(100, 1, 1), (100, 1, 50), (10, 60, 5), (1, 3600, 3), (999_983, 1, 20_000)] {
            let rate = rate(requests, seconds, burst);
            let (buckets, now) = (Buckets::with_places(Seed(1), 512), now());
            let at_once = (0..burst + 10).filter(|_| buckets.take(&rate, b"k", 1, now).is_ok()).count();
            assert_eq!(at_once as u32, burst, "{rate:?}");
            let wait = buckets.take(&rate, b"k", 1, now).unwrap_err();
            assert!(buckets.take(&rate, b"k", 1, now + wait - Duration::from_micros(1)).is_err(), "{rate:?} {wait:?}");
            assert!(buckets.take(&rate, b"k", 1, now + wait).is_ok(), "{rate:?} {wait:?}");
        }
        for (requests, per_second) in [(100, 1000), (100, 101), (100, 99), (7, 1000)] {
            // A bucket of one loses what comes between two requests that are not in step with it.
            let (time, burst) = (100, 20);
            let passed = passed(&rate(requests, 1, burst), per_second, time);
            let expected = (u64::from(requests) * time + u64::from(burst)).min(per_second * time);
            assert!(passed.abs_diff(expected) <= 1 + expected / 1000, "{requests} {per_second} {passed} {expected}");
        }
    }

    #[test]
    fn each_key_and_each_limit_has_a_bucket_of_its_own() {
        let (buckets, now) = (Buckets::with_places(Seed(1), 512), now());
        let (one, other) = (rate(1, 1, 1), Rate { id: "other".into(), ..rate(1, 1, 1) });
        for (rate, key) in [(&one, b"a"), (&one, b"b"), (&other, b"a")] {
            assert!(buckets.take(rate, key, 1, now).is_ok() && buckets.take(rate, key, 1, now).is_err());
        }
        assert_eq!(buckets.forgotten(), 0);
    }

    #[test]
    fn a_full_table_forgets_those_that_have_taken_least() {
        // One set: all keys meet in it.
        let (buckets, now, rate) = (Buckets::with_places(Seed(1), SET), now(), rate(1, 1, 100));
        while buckets.take(&rate, b"greedy", 1, now).is_ok() {}
        // Keys that are made up push each other out, and not the one that has taken much.
        for n in 0_u32..10_000 {
            assert!(buckets.take(&rate, &n.to_be_bytes(), 1, now).is_ok());
            assert!(buckets.take(&rate, b"greedy", 1, now).is_err(), "{n}");
        }
        assert_eq!(buckets.forgotten(), 10_000 - (SET as u64 - 1));
        // Buckets that are full again are forgotten without a loss.
        let later = now + Duration::from_secs(200);
        for n in 0..SET as u32 {
            assert!(buckets.take(&rate, &n.to_le_bytes(), 1, later).is_ok());
        }
        assert_eq!(buckets.forgotten(), 10_000 - (SET as u64 - 1));
    }

    #[test]
    fn each_of_several_proxies_has_its_part() {
        let now = now();
        for (proxies, passed) in [(1, 6), (2, 3), (3, 2), (4, 1), (6, 1), (100, 1)] {
            let buckets = Buckets::with_places(Seed(1), 512);
            let taken = (0..20).filter(|_| buckets.take(&rate(1, 60, 6), b"k", proxies, now).is_ok()).count();
            assert_eq!(taken, passed, "{proxies}");
        }
    }

    #[test]
    fn a_request_that_is_given_back_can_be_taken_again() {
        let (buckets, now) = (Buckets::with_places(Seed(1), 512), now());
        for proxies in [1, 2, 100] {
            let rate = Rate { id: proxies.to_string().into(), ..rate(1, 3600, 2) };
            for _ in 0..20 {
                assert_eq!(buckets.take(&rate, b"k", proxies, now), Ok(()));
                buckets.give_back(&rate, b"k", proxies, now);
            }
            let passed = (0..9).filter(|_| buckets.take(&rate, b"k", proxies, now).is_ok()).count();
            assert_eq!(passed, 2 / proxies.min(2) as usize, "{proxies}");
        }
    }

    #[test]
    fn workers_share_the_buckets() {
        let (buckets, now, rate) = (Buckets::new(Seed(1)), now(), rate(1, 3600, 1000));
        let passed: usize = std::thread::scope(|scope| {
            let take = || (0..1000).filter(|_| buckets.take(&rate, b"k", 1, now).is_ok()).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }

    #[test]
    fn one_customer_is_one_client() {
        let key = |text: &str| client_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    }

    #[test]
    fn fields_of_an_answer() {
        let fields = rate(10, 60, 5).fields(Duration::from_millis(5500));
        assert_eq!(fields[0], ("RateLimit-Policy", "\"r\";q=5;w=30".to_owned()));
        assert_eq!(fields[1], ("RateLimit", "\"r\";r=0;t=6".to_owned()));
        assert_eq!((whole_seconds(Duration::ZERO), whole_seconds(Duration::from_secs(2))), (1, 2));
    }
}
