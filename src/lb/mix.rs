//! Numbers that look random, from numbers that do not: a hash for one algorithm, a generator for another.
//!
//! Both are SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Neither is secret
//! or meant to be: a client gains nothing by knowing which backend it will reach.

/// 2^64 divided by the golden ratio, made odd: its multiples are spread evenly.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads every bit of the input over every bit of the output. One to one: different inputs stay different.
pub(super) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(GOLDEN);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A sequence that its seed determines.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Neighbouring seeds (worker 0, worker 1) must not give the same sequence shifted by one.
        Self(mix(seed))
    }

    /// Uniform in `0..limit`, up to a bias of `limit / 2^64`; 0 if `limit` is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        let x = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN);
        // The high half of the product: a multiplication where `%` would divide.
        u64::try_from((u128::from(x) * u128::from(limit)) >> 64).expect("the product of two u64, shifted by 64")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // From the authors' reference implementation: state 1234567, first three outputs.
        let mut random = Random(1_234_567);
        let outputs: [u64; 3] = std::array::from_fn(|_| {
            let x = mix(random.0);
            let _ = random.below(1);
            x
        });
        assert_eq!(outputs, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn below_stays_below_and_reaches_everything() {
        let mut random = Random::new(1);
        assert_eq!((random.below(0), random.below(1)), (0, 0));
        let mut seen = [0u32; 7];
        for _ in 0..7_000 {
            seen[usize::try_from(random.below(7)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
    }

    #[test]
    fn neighbouring_seeds_give_unrelated_sequences() {
        let sequence = |seed| {
            let mut random = Random::new(seed);
            (0..64).map(|_| random.below(1 << 32)).collect::<Vec<_>>()
        };
        assert_eq!(sequence(0), sequence(0));
        let (zero, one) = (sequence(0), sequence(1));
        assert!(zero.iter().all(|x| !one.contains(x)));
    }
}
