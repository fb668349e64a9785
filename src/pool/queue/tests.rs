//! Tests of which request is next, and of the cost of finding it.

use super::*;
use crate::pool::{
    testing::{self, ONE, client},
    tickets::Tickets,
};

const A: BackendId = BackendId(0);
const B: BackendId = BackendId(1);

fn set(ids: &[BackendId]) -> BackendSet {
    ids.iter().copied().collect()
}

fn slot(local: bool) -> Grant {
    if local { Grant::Idle(A) } else { Grant::Slot(A) }
}

#[test]
fn the_local_front_goes_first_unless_another_waited_longer_by_more_than_patience() {
    const MS: Duration = Duration::from_millis(1);
    let start = testing::start();
    // (arrivals in order as worker and time, chosen for a connection that comes free at worker 0)
    for (arrivals, chosen) in [
        (&[][..], None),
        (&[(0, 0)][..], Some(0)),
        (&[(1, 0)], Some(1)),
        (&[(1, 0), (0, 19)], Some(0)),
        (&[(1, 0), (0, 20)], Some(0)),
        (&[(1, 0), (0, 21)], Some(1)),
        (&[(0, 0), (1, 50)], Some(0)),
        (&[(2, 0), (1, 1)], Some(2)),
        (&[(1, 5), (2, 0), (0, 25)], Some(2)),
    ] {
        let mut queue = Queue::new(3);
        for (number, (worker, ms)) in (0..).zip(arrivals) {
            // Each is the only one of its client.
            let place = queue.last_place(client(number), start + *ms * MS);
            queue.join(*worker, place, set(&[A]));
        }
        assert_eq!(queue.grant(0, A, slot), chosen, "{arrivals:?}");
        assert_eq!(queue.waiting(), arrivals.len() - usize::from(chosen.is_some()));
        if let Some(worker) = chosen {
            assert_eq!(queue.next_grant(worker).unwrap().1, slot(worker == 0));
        }
    }
}

#[test]
fn a_line_is_in_order_of_arrival_and_passes_over_who_cannot_use_the_backend() {
    let mut queue = Queue::new(1);
    let places: Vec<Place> = (0..4).map(|_| queue.last_place(ONE, testing::start())).collect();
    for (place, wanted) in places.iter().zip([&[B][..], &[A, B], &[A], &[B]]) {
        queue.join(0, *place, set(wanted));
    }
    let mut next = |backend| {
        queue.grant(0, backend, |_| Grant::Slot(backend))?;
        let (place, _) = queue.next_grant(0)?;
        Some((place, place.number))
    };
    let (second, number) = next(A).unwrap();
    assert_eq!(number, 2);
    assert_eq!(next(B).unwrap().1, 1);
    queue.join(0, second, set(&[A, B])); // Looked in vain: before those that came later.
    let mut next = |backend| {
        queue.grant(0, backend, |_| Grant::Slot(backend))?;
        Some(queue.next_grant(0)?.0.number)
    };
    assert_eq!([next(B), next(A), next(B), next(B), next(A)], [Some(2), Some(3), Some(4), None, None]);
}

#[test]
fn a_request_that_leaves_is_not_granted_and_returns_an_earlier_grant() {
    let mut queue = Queue::new(2);
    let places: Vec<Place> = (0..3).map(|_| queue.last_place(ONE, testing::start())).collect();
    places.iter().for_each(|place| queue.join(1, *place, set(&[A])));
    assert_eq!(queue.grant(0, A, slot), Some(1));
    assert_eq!(queue.leave(1, places[1]), Some(Left::Waiting));
    assert_eq!(queue.leave(1, places[0]), Some(Left::Granted(Grant::Slot(A))));
    assert_eq!((queue.leave(1, places[0]), queue.next_grant(1), queue.waiting()), (None, None, 1));
    queue.grant_look(1);
    assert_eq!((queue.waiting(), queue.wants(A)), (0, false));
    assert_eq!(queue.close_lane(1).collect::<Vec<_>>(), [Grant::Look]);
}

#[test]
fn a_line_covers_what_either_end_waits_for() {
    let mut queue = Queue::new(2);
    assert!(!queue.covers(&set(&[])) && !queue.covers(&set(&[A])));
    for wanted in [set(&[A]), set(&[A, B])] {
        let place = queue.last_place(ONE, testing::start());
        queue.join(1, place, wanted);
    }
    assert!(queue.covers(&set(&[A])) && queue.covers(&set(&[A, B])));
    assert!(!queue.covers(&set(&[A, B, BackendId(2)])));
    assert!(queue.wants(B) && !queue.wants(BackendId(2)));
}

/// The order in which clients are served: first come the `arrivals` of clients at workers, then a connection comes free
/// at worker 0 again and again.
fn served(arrivals: &[(usize, u128)]) -> Vec<u128> {
    let mut queue = Queue::new(2);
    for (worker, number) in arrivals {
        let place = queue.last_place(client(*number), testing::start());
        queue.join(*worker, place, set(&[A]));
    }
    let mut order = Vec::new();
    while let Some(worker) = queue.grant(0, A, slot) {
        order.push(queue.next_grant(worker).unwrap().0.client);
    }
    order.iter().map(|one| (0..10).find(|number| client(*number) == *one).unwrap()).collect()
}

#[test]
fn clients_take_turns_however_many_requests_each_has() {
    for (arrivals, order) in [
        (&[1, 1, 1, 1, 2, 1, 3][..], &[1, 2, 3, 1, 1, 1, 1][..]),
        (&[1, 1, 2, 2, 3, 3], &[1, 2, 3, 1, 2, 3]),
        (&[1, 2, 3], &[1, 2, 3]),
        (&[1, 1, 1], &[1, 1, 1]),
        (&[], &[]),
    ] {
        let here: Vec<(usize, u128)> = arrivals.iter().map(|number| (0, *number)).collect();
        assert_eq!(served(&here), order, "{arrivals:?}");
    }
    // A client's connections may be at any worker: a slot that comes free at one worker goes to another whose turn it
    // is.
    assert_eq!(served(&[(0, 1), (0, 1), (0, 1), (1, 2), (1, 2)]), [1, 2, 1, 2, 1]);
    assert_eq!(served(&[(0, 1), (1, 1), (0, 1), (1, 1)]), [1, 1, 1, 1]);
}

/// A client that asks again as soon as it was served does not get ahead of clients that wait all the time.
#[test]
fn a_client_that_comes_back_waits_for_its_next_turn() {
    let mut queue = Queue::new(1);
    let join = |queue: &mut Queue, number| {
        let place = queue.last_place(client(number), testing::start());
        queue.join(0, place, set(&[A]));
    };
    (0..6).for_each(|_| join(&mut queue, 1));
    let mut order = Vec::new();
    join(&mut queue, 2);
    while let Some(worker) = queue.grant(0, A, slot) {
        let next = queue.next_grant(worker).unwrap().0.client;
        order.push(if next == client(1) { 1 } else { 2 });
        if next == client(2) && order.len() < 8 {
            join(&mut queue, 2);
        }
    }
    assert_eq!(order, [1, 2, 1, 2, 1, 2, 1, 2, 1, 1]);
}

/// The client with the most loses its newest request, to a client that has fewer even then.
#[test]
fn a_full_line_is_shared_out() {
    for (waiting, comes, displaced) in [
        (&[1, 1, 1][..], 2, Some(3)),
        (&[1, 1, 1], 1, None),
        (&[1, 2, 1], 2, None),
        (&[1, 1, 2, 1], 2, Some(4)),
        (&[1], 2, None),
        (&[1, 2, 3], 4, None),
        (&[], 1, None),
    ] {
        let mut queue = Queue::new(1);
        for number in waiting {
            let place = queue.last_place(client(*number), testing::start());
            queue.join(0, place, set(&[A]));
        }
        let worker = queue.make_room(client(comes));
        let told = worker.and_then(|worker| queue.next_grant(worker));
        assert_eq!(told.map(|(place, grant)| (place.number, grant)), displaced.map(|at| (at, Grant::Displaced)));
        assert_eq!(queue.waiting(), waiting.len() - usize::from(displaced.is_some()), "{waiting:?} {comes}");
    }
}

/// As many as 10,000 connections wait with; whatever each does, it does not cost a walk along the line. With a walk, ten
/// times as many requests would take a hundred times as long.
#[test]
fn a_long_line_costs_no_more_per_request_than_a_short_one() {
    // The test measures, the code that it measures does not look at a clock.
    #[allow(clippy::disallowed_methods)]
    let run = |waiting: u64| {
        let begun = Instant::now();
        let mut queue = Queue::new(2);
        let mut tickets = Tickets::new();
        let places: Vec<Place> =
            (0..waiting).map(|number| queue.last_place(client(u128::from(number % 7)), begun)).collect();
        // From the back, where a sorted array would move everybody; and the first wait for what never comes free.
        for (number, place) in places.iter().enumerate().rev() {
            let number = number as u64;
            queue.join(0, *place, set(if number < waiting / 2 { &[B] } else { &[A, B] }));
            tickets.insert(*place, number);
        }
        // Every fourth gives up, from the middle outwards; some are served; the rest looks once and comes back.
        let mut left = 0;
        for number in (0..waiting / 2).rev().step_by(4) {
            let place = tickets.cancel(number).expect("it waits");
            assert_eq!(queue.leave(0, place), Some(Left::Waiting));
            left += 1;
        }
        for _ in 0..waiting / 4 {
            let worker = queue.grant(1, A, slot).expect("half of them want it");
            let (place, _) = queue.next_grant(worker).expect("it was just granted");
            assert!(tickets.take(place).is_some());
            left += 1;
        }
        queue.grant_look(0);
        while let Some((place, _)) = queue.next_grant(0) {
            queue.join(0, place, set(&[B]));
        }
        assert_eq!(queue.waiting() as u64, waiting - left);
        begun.elapsed()
    };
    // As much work each, so that other programs on the machine disturb both alike.
    let short = (0..5).map(|_| (0..10).map(|_| run(1_000)).sum::<Duration>()).min().unwrap();
    let long = (0..5).map(|_| run(10_000)).min().unwrap();
    assert!(long < 6 * short, "ten times 1,000 requests: {short:?}, 10,000: {long:?}");
}
