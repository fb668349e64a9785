//! Tests of which request leads and which requests follow.

use super::{
    testing::{append, complete, flights, follower, join, leader, opened},
    *,
};
use crate::cache::{
    fill::End,
    store::testing::{TICKET, bodies, entry, place},
    testing::now,
};

#[test]
fn one_leads_and_the_others_read_what_arrives() {
    let flights = flights(1 << 20, 1 << 16, 4);
    let store = flights.store();
    let mut lead = leader(&flights, "/a");
    let follower = follower(&flights, "/a");
    assert!(matches!(follower.stage(TICKET), Stage::Asked));
    assert_eq!(lead.followers(), 1);
    lead.open(entry(store, "/a", "", None), Some(6));
    assert_eq!(store.mail().take(0), [1], "told that it has begun");
    let Stage::Open(fill) = follower.stage(TICKET) else { panic!("it has begun") };
    let reader = fill.reader().unwrap();
    assert_eq!(reader.read(100, TICKET, now().instant).pieces, Vec::<Bytes>::new());
    assert_eq!(append(&mut lead, b"abc"), (Added::Kept, Bytes::from_static(b"abc")));
    assert_eq!(store.mail().take(0), [1]);
    assert_eq!(reader.read(100, TICKET, now().instant).pieces, [&b"abc"[..]]);
    assert_eq!(append(&mut lead, b"def").0, Added::Kept);
    assert!(complete(lead));
    let read = reader.read(100, TICKET, now().instant);
    assert_eq!((read.pieces, read.end), (vec![Bytes::from_static(b"def")], Some(End::Complete)));
    assert!(matches!(follower.stage(TICKET), Stage::Over(Over::Stored)));
    assert_eq!(bodies(store, "/a"), [b"abcdef"]);
    drop((reader, follower, fill));
    assert_eq!((flights.under_way(), store.emptied()), (0, 0));
}

#[test]
fn a_request_that_looked_before_an_entry_was_stored_looks_again() {
    let flights = flights(1 << 20, 1 << 16, 1);
    let store = flights.store();
    let place = place(store, "/a");
    let found = store.look_up(place, now().instant);
    assert!(complete(opened(&flights, "/a", None)));
    assert!(matches!(flights.join(place, &found, None), Join::Again));
}

#[test]
fn a_leader_that_goes_away_releases_its_followers() {
    let flights = flights(1 << 20, 1 << 16, 1);
    let store = flights.store();
    for begun in [false, true] {
        let lead = if begun { opened(&flights, "/a", None) } else { leader(&flights, "/a") };
        let follower = follower(&flights, "/a");
        let reader = lead.fill().and_then(|fill| fill.reader());
        let _ = (follower.stage(TICKET), reader.as_ref().map(|reader| reader.read(1, TICKET, now().instant)));
        drop(lead);
        assert!(matches!(follower.stage(TICKET), Stage::Over(Over::Failed)));
        assert!(reader.is_none_or(|reader| reader.read(1, TICKET, now().instant).end == Some(End::Broken)));
        assert!(!store.mail().take(0).is_empty());
        assert_eq!(bodies(store, "/a").len(), 0);
    }
    assert!(matches!(join(&flights, "/a"), Join::Lead(_)), "the next one leads");
    assert_eq!((flights.under_way(), store.emptied()), (0, 0));
}

/// The last follower leaves, on another worker, after the leader has looked whether there is one, and before it says that it
/// goes on for followers alone.
#[test]
fn an_orphaned_leader_hears_of_followers_that_left_before_it_was_one() {
    let flights = flights(1 << 20, 1 << 16, 1);
    let store = flights.store();
    let lead = leader(&flights, "/a");
    let last = follower(&flights, "/a");
    assert!(lead.followers() > 0);
    drop(last);
    assert_eq!(store.mail().take(0), [0; 0]);
    lead.orphan(Ticket { worker: 0, who: 9 });
    assert_eq!(store.mail().take(0), [9]);
}

/// The same with threads: however the two meet, the leader is told.
#[test]
fn an_orphaned_leader_is_always_told() {
    let flights = flights(1 << 20, 1 << 16, 1);
    let store = flights.store();
    for _ in 0..2000 {
        let lead = leader(&flights, "/a");
        let last = follower(&flights, "/a");
        std::thread::scope(|scope| {
            scope.spawn(|| drop(last));
            lead.orphan(Ticket { worker: 0, who: 9 });
        });
        assert!(store.mail().take(0).contains(&9));
        drop(lead);
    }
}

#[test]
fn an_orphaned_leader_hears_when_the_last_follower_leaves() {
    let flights = flights(1 << 20, 1 << 16, 1);
    let store = flights.store();
    let lead = leader(&flights, "/a");
    let (one, two) = (follower(&flights, "/a"), follower(&flights, "/a"));
    lead.orphan(Ticket { worker: 0, who: 9 });
    drop(one);
    assert_eq!(store.mail().take(0), [0; 0]);
    drop(two);
    assert_eq!(store.mail().take(0), [9]);
}

/// Fetches of one URI are one for each variant, as far as it is known what variants differ in.
#[test]
fn each_variant_has_a_fetch_of_its_own() {
    let flights = flights(1 << 20, 1 << 16, 1);
    let store = flights.store();
    let place = place(store, "/a");
    let vary: Fields = [("Vary", "X")].into_iter().collect();
    let of = |value: &str| Some(crate::cache::Selecting::of(&vary, &[("X", value)].into_iter().collect()));
    let join = |variant| flights.join(place, &store.look_up(place, now().instant), variant);
    let leads: Vec<Lead> = [None, of("1"), of("2")]
        .into_iter()
        .map(|variant| match join(variant) {
            Join::Lead(lead) => lead,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(matches!(join(of("2")), Join::Follow(flight) if flight.is_of(place, of("2").as_ref())));
    assert!(flights.flight(place, of("3").as_ref()).is_none());
    assert_eq!(flights.under_way(), 3);
    // All of them are cut.
    flights.cut(place);
    assert_eq!(flights.under_way(), 0);
    let newer = join(of("2"));
    drop(leads);
    assert!(matches!(join(of("2")), Join::Follow(_)), "the old one has taken nothing away");
    drop(newer);
    assert_eq!(flights.under_way(), 0);
}
