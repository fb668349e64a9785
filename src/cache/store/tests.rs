//! The store and its budget.

use super::{
    shard::SECOND_LIVES,
    testing::{bodies, entry, place, put, store},
    *,
};
use crate::cache::testing::{later, now};
use bytes::Bytes;

fn use_it(store: &Store, path: &str) {
    let found = store.look_up(place(store, path), now().instant);
    found.entries.as_slice()[0].touch();
}

/// Which of the paths `/0`, `/1`, … are stored.
fn left(store: &Store, count: usize) -> Vec<usize> {
    (0..count).filter(|n| !bodies(store, &format!("/{n}")).is_empty()).collect()
}

#[test]
fn an_unused_entry_goes_and_of_these_the_oldest() {
    let one = entry(&store(1 << 20, 1 << 10, 1), "/0", &"x".repeat(100), None).cost();
    // Paths are of one length, so that all cost the same.
    let store = store(one * 4 + one / 2, 1 << 10, 1);
    let put = |n: usize| assert!(put(&store, &format!("/{n}"), &"x".repeat(100)));
    (0..4).for_each(put);
    use_it(&store, "/0");
    put(4);
    assert_eq!(left(&store, 5), [0, 2, 3, 4], "it was used");
    (5..7).for_each(put);
    assert_eq!(left(&store, 7), [0, 4, 5, 6], "its second life begins with the first eviction");
    put(7);
    assert_eq!(left(&store, 8), [4, 5, 6, 7], "and is its last");
    assert_eq!((store.stats().entries, store.stats().evicted, store.stats().stored), (4, 4, 8));
    assert_eq!(store.stats().bytes, one * 4);
    assert_eq!(store.emptied(), 0);
}

/// The locks of all others are taken meanwhile: if there were one that all share, this would not end.
#[test]
fn a_hit_takes_the_lock_of_its_shard_and_no_other() {
    let store = store(1 << 20, 1 << 10, 16);
    for n in 0..64 {
        let path = format!("/{n}");
        assert!(put(&store, &path, "x"));
        let place = place(&store, &path);
        let own = store.shard_of(place.hash);
        let others: Vec<_> = store.shards.iter().enumerate().filter(|(at, _)| *at != own).collect();
        let locked: Vec<_> = others.iter().map(|(_, shard)| lock(shard)).collect();
        let found = store.look_up(place, now().instant);
        found.entries.as_slice()[0].touch();
        assert_eq!((locked.len(), found.entries.as_slice().len()), (15, 1));
    }
}

/// Where everything is in use, something goes all the same, and soon.
#[test]
fn second_lives_are_few_at_a_time() {
    let one = entry(&store(1 << 20, 1 << 10, 1), "/00", "x", None).cost();
    let count = 3 * SECOND_LIVES;
    let store = store(one * count + one / 2, 1 << 10, 1);
    let path = |n: usize| format!("/{n:02}");
    (0..count).for_each(|n| assert!(put(&store, &path(n), "x")));
    (0..count).for_each(|n| use_it(&store, &path(n)));
    assert!(put(&store, "/new", ""));
    let gone: Vec<usize> = (0..count).filter(|n| bodies(&store, &path(*n)).is_empty()).collect();
    assert_eq!(gone, [SECOND_LIVES]);
}

/// An entry that would not fit even without the others does not make them go.
#[test]
fn a_slow_reader_of_much_does_not_empty_the_cache() {
    let store = store(100_000, 50_000, 1);
    assert!(put(&store, "/a", &"x".repeat(40_000)) && put(&store, "/b", &"x".repeat(40_000)));
    let slow = ["/a", "/b"].map(|path| store.look_up(place(&store, path), now().instant));
    for n in 0..5 {
        assert!(put(&store, &format!("/small/{n}"), "x"));
    }
    for _ in 0..3 {
        assert!(!put(&store, "/c", &"x".repeat(40_000)));
        assert_eq!(store.stats().entries, 5, "only what is read, and frees nothing, has gone");
    }
    drop(slow);
    assert!(put(&store, "/c", &"x".repeat(40_000)));
    assert_eq!((store.stats().entries, store.stats().unstored), (6, 0));
}

/// The same for the entry itself, to which an exchange refers that waits for a backend.
#[test]
fn an_entry_counts_until_its_last_reference_goes() {
    let store = store(1 << 20, 1 << 10, 1);
    let entry = store.insert(entry(&store, "/a", "x", None), now().instant, |_, _| true).unwrap();
    assert_eq!(store.stats().bytes, entry.cost());
    let freshened = Entry::new(entry.key.clone(), entry.hash, entry.stored.clone());
    let freshened = store.replace(&entry, freshened).unwrap();
    assert_eq!(store.stats().bytes, entry.cost() + freshened.own_cost(), "the body is shared");
    drop(entry);
    assert_eq!(store.stats().bytes, freshened.cost());
    assert!(store.remove_entry(&freshened));
    assert_eq!(store.stats().bytes, freshened.cost());
    drop(freshened);
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn the_budget_holds_over_all_shards() {
    let store = store(100_000, 50_000, 16);
    for n in 0..2000 {
        assert!(put(&store, &format!("/{n}"), &"x".repeat(n % 300)));
        assert!(store.stats().bytes <= 100_000);
    }
    assert!(store.stats().entries > 50 && store.stats().evicted > 1000, "{:?}", store.stats());
    // An entry that needs all the room gets it; one that needs more does not, and pushes no other out.
    let large = |length: usize| {
        let mut entry = entry(&store, "/large", "", None);
        entry.wire = Bytes::from(vec![b'x'; length]);
        entry
    };
    let bare = large(0).cost();
    let put = |length| store.insert(large(length), now().instant, |_, _| true).is_ok();
    assert!(put(100_000 - bare));
    assert_eq!(store.stats().entries, 1);
    assert!(!put(100_001 - bare));
    assert_eq!(store.stats().entries, 1);
}

#[test]
fn the_same_is_replaced_and_variants_are_few() {
    let store = store(1 << 20, 1 << 10, 1);
    let same = |variant: &'static str| {
        let entry = entry(&store, "/a", variant, Some(variant));
        let selecting = entry.stored.selecting.clone();
        store.insert(entry, now().instant, move |_, other| other.stored.selecting == selecting).is_ok()
    };
    for variant in ["1", "2", "1", "3"] {
        assert!(same(variant));
    }
    assert_eq!(bodies(&store, "/a"), [b"3", b"2", b"1"]);
    assert!(same("4"));
    assert_eq!(bodies(&store, "/a"), [b"4", b"3", b"2"], "the oldest went");
    assert_eq!(store.remove(place(&store, "/a")), 3);
    assert_eq!((bodies(&store, "/a").len(), store.stats().bytes), (0, 0));
}

#[test]
fn a_useless_entry_goes_when_it_is_met_or_swept() {
    let store = store(1 << 20, 1 << 10, 1);
    for n in 0..10 {
        let mut entry = entry(&store, &format!("/{n}"), "x", None);
        entry.useless_at = Some(later(60).instant);
        assert!(store.insert(entry, now().instant, |_, _| false).is_ok());
    }
    let place = place(&store, "/0");
    assert_eq!(store.look_up(place, later(59).instant).entries.as_slice().len(), 1);
    assert_eq!(store.look_up(place, later(60).instant).entries.as_slice().len(), 0);
    for n in 0..9 {
        assert!(store.insert(entry(&store, &format!("/new/{n}"), "x", None), later(60).instant, |_, _| false).is_ok());
    }
    assert_eq!((store.stats().entries, store.stats().expired), (9, 10));
}

/// In whatever way it grew.
#[test]
fn no_stored_body_is_larger_than_the_limit() {
    let store = store(1 << 20, 100, 1);
    assert!(put(&store, "/at", &"x".repeat(100)));
    assert!(!put(&store, "/past", &"x".repeat(101)));
    let old = store.insert(entry(&store, "/a", "x", None), now().instant, |_, _| true).unwrap();
    let (at, past) = (entry(&store, "/a", &"x".repeat(100), None), entry(&store, "/a", &"x".repeat(101), None));
    assert!(store.replace(&old, past).is_err());
    assert!(store.replace(&old, at).is_ok());
    drop(old);
    assert_eq!((bodies(&store, "/a")[0].len(), store.emptied()), (100, 0));
}

#[test]
fn an_uncacheable_uri_is_remembered_for_a_while() {
    let store = store(1 << 20, 1 << 16, 1);
    let here = place(&store, "/a");
    store.note_uncacheable(here, now().instant);
    assert!(store.look_up(here, later(4).instant).uncacheable);
    assert!(!store.look_up(here, later(5).instant).uncacheable);
    assert!(put(&store, "/a", "x"));
    assert!(!store.look_up(here, now().instant).uncacheable, "something was stored after all");
    // However many there are, few are remembered.
    for n in 0..1000 {
        store.note_uncacheable(place(&store, &format!("/{n}")), now().instant);
    }
    assert!(lock(&store.shards[0]).uncacheable.len() <= UNCACHEABLE_MAX);
}

#[test]
fn a_walk_meets_every_entry_once() {
    let store = store(64 << 20, 1 << 16, 4);
    for n in 0..1000 {
        assert!(put(&store, &format!("/{n}"), "x"));
    }
    let (mut walk, mut met) = (Walk::default(), Vec::new());
    while store.walk(&mut walk, |entry| met.push(entry.key.as_str().to_owned())) {}
    met.sort();
    met.dedup();
    assert_eq!(met.len(), 1000);
}
