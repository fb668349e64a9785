//! The same client to the same backend.

use super::{Candidate, RouteKey, mix::mix};
use crate::backend::BackendId;
use std::net::IpAddr;

/// Weighted rendezvous hashing (Thaler and Ravishankar, 1998).
///
/// Every backend draws a lot for every client, by hashing the pair, and the best lot wins. A lot depends on no other
/// backend, so a backend that leaves moves only its own clients, and gets exactly those back when it returns. `hash %
/// n` would move nearly all clients. Nothing is remembered: every worker, and the proxy after a restart, draws the same
/// lots.
///
/// A lot is `weight / -ln(u)` with `u` uniform in `0..1`: the time of the first event of a process of that rate, turned
/// upside down, and of several such processes each is first as often as its rate says.
///
/// Backends are known by their position in the list: one added at its end takes clients only for itself, one inserted
/// in the middle takes others' lots and moves many.
#[derive(Debug, Clone, Copy, Default)]
pub struct IpHash;

impl IpHash {
    pub(super) fn pick(&self, key: &RouteKey, candidates: &[Candidate]) -> Option<BackendId> {
        let client = hash(key.client);
        let mut best: Option<(BackendId, f64)> = None;
        for candidate in candidates {
            let lot = draw(client, candidate);
            if best.is_none_or(|(_, most)| lot > most) {
                best = Some((candidate.id, lot));
            }
        }
        best.map(|(id, _)| id)
    }
}

/// One number for a client. The same for `192.0.2.1` and `::ffff:192.0.2.1`: which of them we see depends on whether
/// the listener is bound to `0.0.0.0` or `[::]`, not on the client (RFC 4291 §2.5.5.2).
fn hash(client: IpAddr) -> u64 {
    let address = match client {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let bytes = address.octets();
    let half = |from: usize| bytes[from..from + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    mix(mix(half(0)) ^ half(8))
}

/// The lot of a backend for a client; larger is better.
fn draw(client: u64, candidate: &Candidate) -> f64 {
    let bits = mix(client ^ mix(u64::from(candidate.id.0)));
    // 52 random bits and a half: exact in an f64, and never 0 or 1, whose logarithms would be of no use.
    let u = ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
    f64::from(candidate.weight) / -u.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lb::tests::{counts, equal, weighted};
    use std::net::{Ipv4Addr, Ipv6Addr};

    const CLIENTS: u32 = 100_000;

    /// 10.0.0.0 onwards: addresses that differ in their last bits only, as those of one network do.
    fn client(n: u32) -> RouteKey {
        RouteKey { client: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)) }
    }

    fn place(candidates: &[Candidate]) -> Vec<u16> {
        (0..CLIENTS).filter_map(|n| IpHash.pick(&client(n), candidates)).map(|id| id.0).collect()
    }

    #[test]
    fn a_lost_backend_moves_only_its_own_clients_and_gets_them_back() {
        let all = weighted(&[1, 2, 3, 1, 1]);
        let before = place(&all);
        for lost in 0..all.len() {
            let mut rest = all.clone();
            let id = rest.remove(lost).id.0;
            let after = place(&rest);
            let moved = (0..before.len()).filter(|n| before[*n] != after[*n]).collect::<Vec<_>>();
            let own = (0..before.len()).filter(|n| before[*n] == id).collect::<Vec<_>>();
            assert_eq!(moved, own, "backend {lost} left");
            let reached = counts(&moved.iter().map(|n| after[*n]).collect::<Vec<_>>());
            assert_eq!(reached.len(), rest.len(), "its clients spread over all others: {reached:?}");
        }
    }

    #[test]
    fn a_lower_weight_moves_clients_away_from_that_backend_only() {
        let (before, after) = (place(&weighted(&[100, 100, 100])), place(&weighted(&[100, 10, 100])));
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *before == 1, "{before} -> {after}");
        }
        assert!(after.contains(&1));
    }

    #[test]
    fn shares_follow_the_weights() {
        for weights in [&[1, 1, 1][..], &[1, 2, 3], &[100, 10], &[1, 1, 1, 1, 1, 1, 1, 50]] {
            let counts = counts(&place(&weighted(weights)));
            let total: u32 = weights.iter().sum();
            for (id, weight) in (0u16..).zip(weights) {
                let share = f64::from(*weight) / f64::from(total);
                let expected = f64::from(CLIENTS) * share;
                // Four standard deviations of a binomial distribution.
                let tolerance = 4.0 * (expected * (1.0 - share)).sqrt();
                let got = counts[&id] as f64;
                assert!((got - expected).abs() < tolerance, "{weights:?}, backend {id}: {got}, not {expected}");
            }
        }
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        for n in 0..1000 {
            let IpAddr::V4(v4) = client(n).client else { unreachable!("client() makes IPv4") };
            assert_eq!(hash(IpAddr::V6(v4.to_ipv6_mapped())), hash(IpAddr::V4(v4)));
            assert_ne!(hash(IpAddr::V6(v4.to_ipv6_compatible())), hash(IpAddr::V4(v4)));
        }
    }

    #[test]
    fn every_bit_of_an_ipv6_address_counts() {
        let base = 0x2001_0db8_0000_0000_0000_0000_0000_0001_u128;
        let candidates = equal(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let hashes: std::collections::BTreeSet<u64> =
            (0..128).map(|bit| hash(IpAddr::V6(Ipv6Addr::from_bits(base ^ (1 << bit))))).collect();
        assert_eq!(hashes.len(), 128);
        let hosts = (0..64).map(|n| RouteKey { client: IpAddr::V6(Ipv6Addr::from_bits(base + n)) });
        let networks = (0..64).map(|n| RouteKey { client: IpAddr::V6(Ipv6Addr::from_bits(base + (n << 64))) });
        for clients in [hosts.collect::<Vec<_>>(), networks.collect()] {
            let picks: Vec<u16> =
                clients.iter().filter_map(|key| IpHash.pick(key, &candidates)).map(|id| id.0).collect();
            assert_eq!(counts(&picks).len(), candidates.len(), "64 clients reach all of 8 backends");
        }
    }

    #[test]
    fn the_mapping_outlives_restarts() {
        // Written down once: a change of the hash moves every client of every running installation.
        let candidates = equal(&[0, 1, 2, 3]);
        let picks: Vec<u16> = (0..12).filter_map(|n| IpHash.pick(&client(n), &candidates)).map(|id| id.0).collect();
        assert_eq!(picks, [1, 0, 2, 2, 3, 1, 1, 1, 0, 0, 0, 3]);
    }
}
