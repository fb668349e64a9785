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
    /// Each answer says how many requests are left, and not only that of a request which is refused.
    pub advertised: bool,
}

/// How much is left of the limit of a route that is nearest to its end, of those that are advertised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Standing {
    /// The limit's place in the list of its route.
    pub(in crate::proxy) limit: u8,
    left: u32,
    seconds: u32,
}

impl Standing {
    /// `left` requests, as many as the client may have in that time.
    pub(in crate::proxy) fn new(limit: u8, left: u32, time: Duration) -> Self {
        Self { limit, left, seconds: u32::try_from(whole_seconds(time)).unwrap_or(u32::MAX) }
    }

    /// The values of `RateLimit-Policy` and `RateLimit` under these limits; none: they are other ones than those that it is about.
    pub(in crate::proxy) fn fields(self, rates: &[Rate]) -> Option<[(&'static str, String); 2]> {
        let rate = rates.get(usize::from(self.limit)).filter(|rate| rate.advertised)?;
        let policies: Vec<String> = rates.iter().filter(|rate| rate.advertised).map(Rate::policy).collect();
        Some([(POLICY, policies.join(", ")), (LIMIT, rate.service_limit(self.left, self.seconds.into()))])
    }
}

/// The fields of draft-ietf-httpapi-ratelimit-headers-11: the limits that count, and how much is left of one.
const POLICY: &str = "RateLimit-Policy";
const LIMIT: &str = "RateLimit";

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

    /// An item of `RateLimit-Policy`: the requests at once, and the time in which an empty bucket fills.
    fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.burst, whole_seconds(self.window()))
    }

    /// An item of `RateLimit`: the client may have so many more requests in so many seconds.
    fn service_limit(&self, left: u32, seconds: u64) -> String {
        format!("\"{}\";r={left};t={seconds}", self.name)
    }

    /// The values of `RateLimit-Policy` and `RateLimit` for a client that has no request left until then.
    pub(in crate::proxy) fn fields(&self, wait: Duration) -> [(&'static str, String); 2] {
        [(POLICY, self.policy()), (LIMIT, self.service_limit(0, whole_seconds(wait)))]
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

    /// The requests that are left in the bucket of that key, as one of `proxies`, and the time in which the rate makes so many: a client
    /// that spreads them over it is not refused. If none is left, the time until there is one.
    pub(in crate::proxy) fn left(&self, rate: &Rate, key: &[u8], proxies: u32, now: Instant) -> (u32, Duration) {
        self.with(rate, key, |key, set| {
            let place = set.iter().find(|place| place.key == key);
            let full_at = place.and_then(|place| place.full_at).map_or(now, |full_at| full_at.max(now));
            let (mut bucket, price) = (rate.bucket(full_at), rate.price(proxies));
            match bucket.available(now) / price {
                0 => (0, bucket.try_take(price, now).err().unwrap_or_default()),
                left => {
                    let parts = u64::from(left) * u64::from(price);
                    (left, Duration::from_millis(parts * 1000 / u64::from(rate.requests.get())))
                }
            }
        })
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
        advertised: false,
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
    fn the_requests_that_are_left_are_spread_over_the_time_in_which_they_come_again() {
        let (buckets, now, rate) = (Buckets::with_places(Seed(1), 512), now(), rate(10, 60, 3));
        let left = |proxies| buckets.left(&rate, b"k", proxies, now);
        assert_eq!(left(1), (3, Duration::from_secs(18)), "it was never used");
        for (after, seconds) in [(2, 12), (1, 6), (0, 6)] {
            assert!(buckets.take(&rate, b"k", 1, now).is_ok());
            assert_eq!((left(1).0, whole_seconds(left(1).1)), (after, seconds));
        }
        let later = now + Duration::from_secs(4);
        let (none, wait) = buckets.left(&rate, b"k", 1, later);
        assert_eq!((none, whole_seconds(wait)), (0, 2), "the next one comes then, as Retry-After has it");
        assert_eq!(Err(wait), buckets.take(&rate, b"k", 1, later));
        // Its part of what several proxies share.
        assert_eq!(buckets.left(&rate, b"other", 3, now), (1, Duration::from_secs(18)));
    }

    #[test]
    fn of_several_limits_the_nearest_is_told_and_all_policies_are() {
        let named = |name: &str, advertised| Rate { name: name.into(), advertised, ..rate(10, 60, 5) };
        let rates = [named("a", true), named("quiet", false), named("b", true)];
        let fields = Standing::new(2, 4, Duration::from_millis(23_001)).fields(&rates).unwrap();
        assert_eq!(fields[0], (POLICY, "\"a\";q=5;w=30, \"b\";q=5;w=30".to_owned()));
        assert_eq!(fields[1], (LIMIT, "\"b\";r=4;t=24".to_owned()));
        assert_eq!(Standing::new(1, 4, Duration::ZERO).fields(&rates), None);
        assert_eq!(Standing::new(9, 4, Duration::ZERO).fields(&rates), None);
    }

    #[test]
    fn fields_of_an_answer() {
        let fields = rate(10, 60, 5).fields(Duration::from_millis(5500));
        assert_eq!(fields[0], (POLICY, "\"r\";q=5;w=30".to_owned()));
        assert_eq!(fields[1], ("RateLimit", "\"r\";r=0;t=6".to_owned()));
        assert_eq!((whole_seconds(Duration::ZERO), whole_seconds(Duration::from_secs(2))), (1, 2));
    }
}
