//! The store, its budget, and what happens while a response arrives.

use super::{shard::SECOND_LIVES, *};
use crate::{
    cache::{
        Body,
        collapse::{Follower, Over, Stage},
        fill::{Added, End},
        mail::Ticket,
        readers::WINDOW,
        testing::{later, now, stored},
    },
    http::{Fields, Method, RequestHead, target::Scheme},
};
use bytes::Bytes;
use std::time::Duration;

const TICKET: Ticket = Ticket { worker: 0, who: 1 };

fn store(bytes: usize, object: usize, shards: usize) -> Arc<Store> {
    let limits = Limits { bytes, object, variants: 3, pass: Duration::from_secs(5) };
    Arc::new(Store::new(limits, shards, Seed(7), Mail::new(1, Arc::new(|_| ()))))
}

fn request(path: &str) -> RequestHead {
    let mut head = RequestHead::new(Method::Get, path).unwrap();
    head.fields.push("Host", "h");
    head
}

/// An entry whose body is `content`; `variant` is what it answers in `X`.
fn entry(store: &Store, path: &str, content: &str, variant: Option<&str>) -> Entry {
    let head = request(path);
    let place = store.place(Uri::of(&head, Scheme::Http).unwrap());
    let mut stored = stored(&[("Cache-Control", "max-age=60")], "");
    stored.body = Body::whole(vec![Bytes::copy_from_slice(content.as_bytes())]);
    if let Some(variant) = variant {
        let vary: Fields = [("Vary", "X")].into_iter().collect();
        let asked: Fields = [("X", variant)].into_iter().collect();
        stored.selecting = crate::cache::Selecting::of(&vary, &asked);
    }
    Entry::new(place.uri.to_key(), place.hash, stored)
}

fn put(store: &Store, path: &str, content: &str) -> bool {
    let entry = entry(store, path, content, None);
    store.insert(entry, now().instant, |_, _| true).is_ok()
}

fn bodies(store: &Store, path: &str) -> Vec<Vec<u8>> {
    let head = request(path);
    let found = store.look_up(store.place(Uri::of(&head, Scheme::Http).unwrap()), now().instant);
    found.entries.as_slice().iter().map(|entry| entry.stored.body.pieces().concat()).collect()
}

fn lead(store: &Arc<Store>, path: &str) -> Join {
    let head = request(path);
    let place = store.place(Uri::of(&head, Scheme::Http).unwrap());
    let found = store.look_up(place, now().instant);
    store.join(place, &found, None)
}

fn leader(store: &Arc<Store>, path: &str) -> Lead {
    let Join::Lead(lead) = lead(store, path) else { panic!("somebody leads already") };
    lead
}

fn follower(store: &Arc<Store>, path: &str) -> Follower {
    let Join::Follow(flight) = lead(store, path) else { panic!("nobody leads") };
    flight.follow(store)
}

fn opened(store: &Arc<Store>, path: &str, length: Option<u64>) -> Lead {
    let mut lead = leader(store, path);
    lead.open(entry(store, path, "", None), length);
    lead
}

fn append(lead: &mut Lead, data: &[u8]) -> (Added, Bytes) {
    lead.append(data, Ticket { worker: 0, who: 99 }, now().instant)
}

fn complete(lead: Lead) -> bool {
    let finish = |opening: &Entry, pieces| {
        let stored = crate::cache::Stored { body: Body::whole(pieces), ..opening.stored.clone() };
        Some(Entry::new(opening.key.clone(), opening.hash, stored))
    };
    lead.complete(now().instant, &Fields::new(), finish, |_, _| true).is_some()
}

fn use_it(store: &Store, path: &str) {
    let head = request(path);
    let found = store.look_up(store.place(Uri::of(&head, Scheme::Http).unwrap()), now().instant);
    found.entries.as_slice()[0].touch();
}

/// Which of the paths `/0`, `/1`, … are stored.
fn left(store: &Store, count: usize) -> Vec<usize> {
    (0..count).filter(|n| !bodies(store, &format!("/{n}")).is_empty()).collect()
}

#[test]
fn what_was_not_used_goes_and_of_that_the_oldest() {
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
    assert_eq!((store.flights(), store.emptied()), (0, 0));
}

/// The locks of all others are taken meanwhile: if there were one that all share, this would not end.
#[test]
fn a_hit_takes_the_lock_of_its_shard_and_no_other() {
    let store = store(1 << 20, 1 << 10, 16);
    for n in 0..64 {
        let path = format!("/{n}");
        assert!(put(&store, &path, "x"));
        let head = request(&path);
        let place = store.place(Uri::of(&head, Scheme::Http).unwrap());
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

/// A body of which somebody still has to get something is there, whether it is stored or not.
#[test]
fn what_is_still_read_counts_after_it_was_evicted() {
    let store = store(100_000, 50_000, 4);
    let slow: Vec<Vec<Bytes>> = (0..3)
        .map(|n| {
            let path = format!("/{n}");
            let mut lead = opened(&store, &path, None);
            assert_eq!(append(&mut lead, &[b'x'; 30_000]).0, Added::Kept);
            assert!(complete(lead));
            let head = request(&path);
            let found = store.look_up(store.place(Uri::of(&head, Scheme::Http).unwrap()), now().instant);
            found.entries.as_slice()[0].stored.body.slice(0..1).collect()
        })
        .collect();
    assert!(!put(&store, "/large", &"x".repeat(20_000)), "their readers have taken what there is");
    let stats = store.stats();
    assert!(stats.bytes > 90_000 && stats.unstored == stats.bytes && stats.entries == 0, "{stats:?}");
    assert!(put(&store, "/small", &"x".repeat(5_000)), "but for this");
    assert!(store.stats().bytes < 100_000);
    drop(slow);
    assert!(put(&store, "/large", &"x".repeat(50_000)) && store.stats().entries == 2, "{:?}", store.stats());
    assert_eq!(store.emptied(), 0);
}

/// What others have to go for in vain does not make them go.
#[test]
fn who_holds_much_does_not_empty_the_cache() {
    let store = store(100_000, 50_000, 1);
    assert!(put(&store, "/a", &"x".repeat(40_000)) && put(&store, "/b", &"x".repeat(40_000)));
    let slow = ["/a", "/b"].map(|path| {
        let head = request(path);
        store.look_up(store.place(Uri::of(&head, Scheme::Http).unwrap()), now().instant)
    });
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
    // One that needs all the room gets it; one that needs more does not, and pushes nobody out.
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
    let head = request("/a");
    assert_eq!(store.remove(store.place(Uri::of(&head, Scheme::Http).unwrap())), 3);
    assert_eq!((bodies(&store, "/a").len(), store.stats().bytes), (0, 0));
}

#[test]
fn what_is_of_no_use_goes_when_it_is_met_or_swept() {
    let store = store(1 << 20, 1 << 10, 1);
    for n in 0..10 {
        let mut entry = entry(&store, &format!("/{n}"), "x", None);
        entry.useless_at = Some(later(60).instant);
        assert!(store.insert(entry, now().instant, |_, _| false).is_ok());
    }
    let head = request("/0");
    let place = store.place(Uri::of(&head, Scheme::Http).unwrap());
    assert_eq!(store.look_up(place, later(59).instant).entries.as_slice().len(), 1);
    assert_eq!(store.look_up(place, later(60).instant).entries.as_slice().len(), 0);
    for n in 0..9 {
        assert!(store.insert(entry(&store, &format!("/new/{n}"), "x", None), later(60).instant, |_, _| false).is_ok());
    }
    assert_eq!((store.stats().entries, store.stats().expired), (9, 10));
}

#[test]
fn one_leads_and_the_others_read_what_arrives() {
    let store = store(1 << 20, 1 << 16, 4);
    let mut lead = leader(&store, "/a");
    let follower = follower(&store, "/a");
    assert!(matches!(follower.stage(TICKET), Stage::Asked));
    assert_eq!(lead.followers(), 1);
    lead.open(entry(&store, "/a", "", None), Some(6));
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
    assert_eq!(bodies(&store, "/a"), [b"abcdef"]);
    drop((reader, follower, fill));
    assert_eq!((store.flights(), store.emptied()), (0, 0));
}

#[test]
fn who_looked_before_something_was_stored_looks_again() {
    let store = store(1 << 20, 1 << 16, 1);
    let head = request("/a");
    let place = store.place(Uri::of(&head, Scheme::Http).unwrap());
    let found = store.look_up(place, now().instant);
    assert!(complete(opened(&store, "/a", None)));
    assert!(matches!(store.join(place, &found, None), Join::Again));
}

#[test]
fn a_leader_that_goes_away_releases_its_followers() {
    let store = store(1 << 20, 1 << 16, 1);
    for begun in [false, true] {
        let lead = if begun { opened(&store, "/a", None) } else { leader(&store, "/a") };
        let follower = follower(&store, "/a");
        let reader = lead.fill().and_then(|fill| fill.reader());
        let _ = (follower.stage(TICKET), reader.as_ref().map(|reader| reader.read(1, TICKET, now().instant)));
        drop(lead);
        assert!(matches!(follower.stage(TICKET), Stage::Over(Over::Failed)));
        assert!(reader.is_none_or(|reader| reader.read(1, TICKET, now().instant).end == Some(End::Broken)));
        assert!(!store.mail().take(0).is_empty());
        assert_eq!(bodies(&store, "/a").len(), 0);
    }
    assert!(matches!(lead(&store, "/a"), Join::Lead(_)), "the next one leads");
    assert_eq!((store.flights(), store.emptied()), (0, 0));
}

/// The last follower leaves, on another worker, after the leader has looked whether there is one, and before it says that it
/// goes on for followers alone.
#[test]
fn an_orphaned_leader_hears_of_followers_that_left_before_it_was_one() {
    let store = store(1 << 20, 1 << 16, 1);
    let lead = leader(&store, "/a");
    let last = follower(&store, "/a");
    assert!(lead.followers() > 0);
    drop(last);
    assert_eq!(store.mail().take(0), [0; 0]);
    lead.orphan(Ticket { worker: 0, who: 9 });
    assert_eq!(store.mail().take(0), [9]);
}

/// The same with threads: however the two meet, the leader is told.
#[test]
fn an_orphaned_leader_is_always_told() {
    let store = store(1 << 20, 1 << 16, 1);
    for _ in 0..2000 {
        let lead = leader(&store, "/a");
        let last = follower(&store, "/a");
        std::thread::scope(|scope| {
            scope.spawn(|| drop(last));
            lead.orphan(Ticket { worker: 0, who: 9 });
        });
        assert!(store.mail().take(0).contains(&9));
        drop(lead);
    }
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
fn an_orphaned_leader_hears_when_the_last_follower_leaves() {
    let store = store(1 << 20, 1 << 16, 1);
    let lead = leader(&store, "/a");
    let (one, two) = (follower(&store, "/a"), follower(&store, "/a"));
    lead.orphan(Ticket { worker: 0, who: 9 });
    drop(one);
    assert_eq!(store.mail().take(0), [0; 0]);
    drop(two);
    assert_eq!(store.mail().take(0), [9]);
}

#[test]
fn what_is_too_large_is_passed_on_in_a_window() {
    let store = store(64 << 20, 1000, 1);
    let mut lead = opened(&store, "/a", None);
    let late = follower(&store, "/a");
    let reader = lead.fill().unwrap().reader().unwrap();
    assert_eq!(append(&mut lead, &[1; 1000]).0, Added::Kept);
    assert_eq!(append(&mut lead, &[2; 1]).0, Added::TooLarge);
    assert!(matches!(late.stage(TICKET), Stage::Over(Over::Private)), "nobody new follows");
    assert!(lead.fill().unwrap().reader().is_none());
    let piece = vec![3; WINDOW / 4];
    for _ in 0..3 {
        assert_eq!(append(&mut lead, &piece).0, Added::Passed);
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
    assert_eq!((bodies(&store, "/a").len(), store.flights(), store.stats().bytes), (0, 0, 0));
}

/// A fast reader waits for a slow one for as long as it has patience, and then no longer; one that is alone waits for nobody.
#[test]
fn a_reader_that_holds_up_others_is_left_behind() {
    const LEADER: Ticket = Ticket { worker: 0, who: 5 };
    const FAST: Ticket = Ticket { worker: 0, who: 6 };
    let patience = Duration::from_secs(5);
    for company in [true, false] {
        let store = store(64 << 20, 1000, 1);
        let mut lead = opened(&store, "/a", None);
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
        assert_eq!((store.flights(), store.emptied()), (0, 0));
    }
}

/// The leader's own client reads what is still to come, if others do, too.
#[test]
fn the_leaders_client_is_one_of_the_readers() {
    let store = store(64 << 20, 1000, 1);
    let mut lead = opened(&store, "/a", None);
    let fill = lead.fill().unwrap().clone();
    assert!(fill.reader_beside_others().is_none(), "there are no others");
    let other = fill.reader().unwrap();
    assert_eq!(append(&mut lead, &[1; 1001]).0, Added::TooLarge);
    let own = fill.reader_beside_others().unwrap();
    assert_eq!(append(&mut lead, &[2; 10]).0, Added::Passed);
    assert_eq!(own.read(100, TICKET, now().instant).pieces, [Bytes::from_static(&[2; 10])]);
    drop(other);
    assert_eq!(append(&mut lead, &[3; 10]).0, Added::Passed, "it still reads");
    assert_eq!(own.read(100, TICKET, now().instant).pieces, [Bytes::from_static(&[3; 10])]);
    drop(own);
    assert_eq!(append(&mut lead, &[4; 10]).0, Added::Unread);
}

/// Fetches of one URI are one for each variant, as far as it is known what variants differ in.
#[test]
fn each_variant_has_a_fetch_of_its_own() {
    let store = store(1 << 20, 1 << 16, 1);
    let head = request("/a");
    let place = store.place(Uri::of(&head, Scheme::Http).unwrap());
    let vary: Fields = [("Vary", "X")].into_iter().collect();
    let of = |value: &str| Some(crate::cache::Selecting::of(&vary, &[("X", value)].into_iter().collect()));
    let join = |variant| store.join(place, &store.look_up(place, now().instant), variant);
    let leads: Vec<Lead> = [None, of("1"), of("2")]
        .into_iter()
        .map(|variant| match join(variant) {
            Join::Lead(lead) => lead,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(matches!(join(of("2")), Join::Follow(flight) if flight.is_of(place, of("2").as_ref())));
    assert!(store.flight(place, of("3").as_ref()).is_none());
    assert_eq!(store.flights(), 3);
    // What is cut is all of them.
    store.cut(place);
    assert_eq!(store.flights(), 0);
    let newer = join(of("2"));
    drop(leads);
    assert!(matches!(join(of("2")), Join::Follow(_)), "the old one has taken nothing away");
    drop(newer);
    assert_eq!(store.flights(), 0);
}

#[test]
fn a_body_that_came_byte_by_byte_is_one_piece() {
    let store = store(64 << 20, 8 << 20, 1);
    let mut lead = opened(&store, "/a", None);
    let sent: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    for piece in sent.chunks(7) {
        assert_eq!(append(&mut lead, piece).0, Added::Kept);
    }
    assert!(complete(lead));
    let head = request("/a");
    let found = store.look_up(store.place(Uri::of(&head, Scheme::Http).unwrap()), now().instant);
    let body = &found.entries.as_slice()[0].stored.body;
    assert!(body.pieces().len() == 1 && body.pieces()[0] == sent);
}

#[test]
fn what_nobody_need_wait_for_is_remembered_for_a_while() {
    let store = store(1 << 20, 1 << 16, 1);
    let head = request("/a");
    let place = store.place(Uri::of(&head, Scheme::Http).unwrap());
    store.pass(place, now().instant);
    assert!(store.look_up(place, later(4).instant).passed);
    assert!(!store.look_up(place, later(5).instant).passed);
    assert!(put(&store, "/a", "x"));
    assert!(!store.look_up(place, now().instant).passed, "something was stored after all");
    // However many there are, few are remembered.
    for n in 0..1000 {
        let head = request(&format!("/{n}"));
        store.pass(store.place(Uri::of(&head, Scheme::Http).unwrap()), now().instant);
    }
    assert!(lock(&store.shards[0]).passed.len() <= PASSED_MAX);
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
