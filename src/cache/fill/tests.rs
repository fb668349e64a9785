//! Tests of a response while it arrives, and of its readers.

use super::*;
use crate::cache::{
    collapse::{
        Over, Stage,
        testing::{append, complete, flights, follower, opened},
    },
    store::testing::{TICKET, bodies, place, put},
    testing::{later, now},
};

/// A body that a reader has not got completely is there, whether it is stored or not.
#[test]
fn an_entry_that_is_still_read_counts_after_it_was_evicted() {
    let flights = flights(100_000, 50_000, 4);
    let store = flights.store();
    let slow: Vec<Vec<Bytes>> = (0..3)
        .map(|n| {
            let path = format!("/{n}");
            let mut lead = opened(&flights, &path, None);
            assert_eq!(append(&mut lead, &[b'x'; 30_000]).0, Added::Kept);
            assert!(complete(lead));
            let found = store.look_up(place(store, &path), now().instant);
            found.entries.as_slice()[0].stored.body.slice(0..1).collect()
        })
        .collect();
    assert!(!put(store, "/large", &"x".repeat(20_000)), "their readers have taken what there is");
    let stats = store.stats();
    assert!(stats.bytes > 90_000 && stats.unstored == stats.bytes && stats.entries == 0, "{stats:?}");
    assert!(put(store, "/small", &"x".repeat(5_000)), "but for this");
    assert!(store.stats().bytes < 100_000);
    drop(slow);
    assert!(put(store, "/large", &"x".repeat(50_000)) && store.stats().entries == 2, "{:?}", store.stats());
    assert_eq!(store.emptied(), 0);
}

#[test]
fn a_response_that_is_too_large_is_passed_on_in_a_window() {
    let flights = flights(64 << 20, 1000, 1);
    let store = flights.store();
    let mut lead = opened(&flights, "/a", None);
    let late = follower(&flights, "/a");
    let reader = lead.fill().unwrap().reader().unwrap();
    assert_eq!(append(&mut lead, &[1; 1000]).0, Added::Kept);
    assert_eq!(append(&mut lead, &[2; 1]).0, Added::TooLarge);
    assert!(matches!(late.stage(TICKET), Stage::Over(Over::Private)), "nobody new follows");
    assert!(lead.fill().unwrap().reader().is_none());
    let piece = vec![3; WINDOW / 4];
    for _ in 0..3 {
        assert_eq!(append(&mut lead, &piece).0, Added::NotStored);
    }
    assert_eq!(lead.append(&piece, Ticket { worker: 0, who: 5 }, now().instant).0, Added::Wait);
    let _ = store.mail().take(0);
    let mut read = 0;
    while read < 1001 + WINDOW {
        read += reader.read(WINDOW, TICKET, now().instant).pieces.iter().map(Bytes::len).sum::<usize>();
    }
    assert_eq!(store.mail().take(0), [5], "the leader may go on");
    assert!(store.stats().bytes <= WINDOW / 3, "{:?}", store.stats());
    drop(reader);
    assert_eq!(append(&mut lead, &piece).0, Added::Unread);
    assert!(!complete(lead));
    drop(late);
    assert_eq!((bodies(store, "/a").len(), flights.under_way(), store.stats().bytes), (0, 0, 0));
}

/// A fast reader waits for a slow one for as long as it has patience, and then no longer; one that is alone does not
/// wait.
#[test]
fn a_reader_that_holds_up_others_is_left_behind() {
    const LEADER: Ticket = Ticket { worker: 0, who: 5 };
    const FAST: Ticket = Ticket { worker: 0, who: 6 };
    let patience = Duration::from_secs(5);
    for company in [true, false] {
        let flights = flights(64 << 20, 1000, 1);
        let store = flights.store();
        let mut lead = opened(&flights, "/a", None);
        let fill = lead.fill().unwrap().clone();
        let slow = fill.reader().unwrap();
        let fast = company.then(|| fill.reader().unwrap());
        assert_eq!(slow.read(1, TICKET, now().instant).pieces.len(), 0);
        assert_eq!(append(&mut lead, &[1; 1001]).0, Added::TooLarge);
        assert_eq!(lead.append(&vec![2; WINDOW], LEADER, now().instant).0, Added::Wait);
        assert!(fill.let_go(patience, now().instant).is_some());
        // The fast one takes everything after two seconds, and waits from then on.
        let take_all = |after: u64| {
            fast.iter().for_each(|fast| while !fast.read(WINDOW, FAST, later(after).instant).pieces.is_empty() {});
        };
        take_all(2);
        assert_eq!(slow.read(1, TICKET, later(2).instant).pieces.len(), 1, "a little of it");
        let _ = store.mail().take(0);
        let again = fill.let_go(patience, later(6).instant);
        assert_eq!(again, Some(later(if company { 7 } else { 11 }).instant));
        assert_eq!(store.mail().take(0), [0; 0]);
        assert_eq!(fill.let_go(patience, later(7).instant).is_none(), company);
        assert_eq!((store.mail().take(0), slow.is_left_behind()), (if company { vec![1] } else { vec![] }, company));
        let read = slow.read(1, TICKET, later(7).instant);
        assert_eq!((read.pieces.len(), read.end), if company { (0, Some(End::LeftBehind)) } else { (1, None) });
        assert!(store.stats().bytes <= 2 * WINDOW, "{:?}", store.stats());
        if company {
            assert!(store.stats().bytes < WINDOW / 2, "nobody needs what it has not read");
        }
        drop((read, slow, fast, fill, lead));
        assert_eq!((flights.under_way(), store.emptied()), (0, 0));
    }
}

/// The leader's own client reads what is still to come, if others do, too.
#[test]
fn the_leaders_client_is_one_of_the_readers() {
    let flights = flights(64 << 20, 1000, 1);
    let mut lead = opened(&flights, "/a", None);
    let fill = lead.fill().unwrap().clone();
    assert!(fill.reader_beside_others().is_none(), "there are no others");
    let other = fill.reader().unwrap();
    assert_eq!(append(&mut lead, &[1; 1001]).0, Added::TooLarge);
    let own = fill.reader_beside_others().unwrap();
    assert_eq!(append(&mut lead, &[2; 10]).0, Added::NotStored);
    assert_eq!(own.read(100, TICKET, now().instant).pieces, [Bytes::from_static(&[2; 10])]);
    drop(other);
    assert_eq!(append(&mut lead, &[3; 10]).0, Added::NotStored, "it still reads");
    assert_eq!(own.read(100, TICKET, now().instant).pieces, [Bytes::from_static(&[3; 10])]);
    drop(own);
    assert_eq!(append(&mut lead, &[4; 10]).0, Added::Unread);
}

#[test]
fn a_body_that_came_byte_by_byte_is_one_piece() {
    let flights = flights(64 << 20, 8 << 20, 1);
    let store = flights.store();
    let mut lead = opened(&flights, "/a", None);
    let sent: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    for piece in sent.chunks(7) {
        assert_eq!(append(&mut lead, piece).0, Added::Kept);
    }
    assert!(complete(lead));
    let found = store.look_up(place(store, "/a"), now().instant);
    let body = &found.entries.as_slice()[0].stored.body;
    assert!(body.pieces().len() == 1 && body.pieces()[0] == sent);
}
