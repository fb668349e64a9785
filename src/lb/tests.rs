//! Tests of properties that all algorithms have, and helpers for the tests of each.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Candidates of weight 1 without load.
pub(super) fn equal(ids: &[u16]) -> Vec<Candidate> {
    ids.iter().map(|id| Candidate { id: BackendId(*id), weight: 1, in_flight: 0 }).collect()
}

/// Backends 0, 1, … with these weights, without load.
pub(super) fn weighted(weights: &[u32]) -> Vec<Candidate> {
    (0..).zip(weights).map(|(id, weight)| Candidate { id: BackendId(id), weight: *weight, in_flight: 0 }).collect()
}

/// Backends 0, 1, … with these (weight, in flight).
pub(super) fn loaded(backends: &[(u32, u32)]) -> Vec<Candidate> {
    (0..).zip(backends).map(|(id, &(weight, in_flight))| Candidate { id: BackendId(id), weight, in_flight }).collect()
}

/// How often each was picked.
pub(super) fn counts(picks: &[u16]) -> BTreeMap<u16, usize> {
    picks.iter().fold(BTreeMap::new(), |mut counts, id| {
        *counts.entry(*id).or_default() += 1;
        counts
    })
}

fn key(n: u32) -> RouteKey {
    RouteKey { client: IpAddr::V4(n.into()) }
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    // A weight of 0 breaks the contract, but must not break the balancer.
    let number = || prop_oneof![0u32..4, Just(u32::MAX)];
    prop::collection::btree_map(0u16..40, (number(), number()), 0..8).prop_map(|map| {
        map.into_iter().map(|(id, (weight, in_flight))| Candidate { id: BackendId(id), weight, in_flight }).collect()
    })
}

proptest! {
    #[test]
    fn a_pick_is_one_of_the_candidates(
        seed: u64,
        rounds in prop::collection::vec((candidates(), any::<u32>()), 1..20),
    ) {
        for algorithm in Algorithm::value_variants() {
            let mut balancer = Balancer::new(*algorithm, seed);
            for (candidates, client) in &rounds {
                match balancer.pick(&key(*client), candidates) {
                    Some(id) => prop_assert!(candidates.iter().any(|candidate| candidate.id == id)),
                    None => prop_assert!(candidates.is_empty(), "{algorithm} picked nobody of {candidates:?}"),
                }
            }
        }
    }
}

#[test]
fn everyone_is_picked_now_and_then() {
    let candidates = equal(&[0, 3, 4, 9]);
    for algorithm in Algorithm::value_variants() {
        let mut balancer = Balancer::new(*algorithm, 1);
        let picks: Vec<u16> = (0..1000).filter_map(|n| balancer.pick(&key(n), &candidates)).map(|id| id.0).collect();
        let counts = counts(&picks);
        assert!(counts.len() == 4 && counts.values().all(|n| (190..310).contains(n)), "{algorithm}: {counts:?}");
    }
}

#[test]
fn the_command_line_spells_them_as_we_print_them() {
    for algorithm in Algorithm::value_variants() {
        let value = algorithm.to_possible_value().expect("no variant is hidden");
        assert_eq!(value.get_name(), algorithm.to_string());
        assert!(value.get_help().is_some(), "{algorithm} has no help text");
        assert_eq!(Algorithm::from_str(algorithm.as_str(), false), Ok(*algorithm));
    }
}
