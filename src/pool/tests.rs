//! One pool, step by step, with fake time.

use super::{testing::*, *};
use std::time::Duration;

const A: BackendId = BackendId(0);
const B: BackendId = BackendId(1);
const NANO: Duration = Duration::from_nanos(1);

/// `workers` pools over backends with these limits.
fn pools(limits: &[Option<usize>], config: PoolConfig, workers: usize) -> (Arc<Slots>, Vec<Pool<u32>>, Wakeups) {
    let slots = Arc::new(Slots::new(&backends(limits), config, workers));
    let wakeups = Wakeups::attach(&slots);
    let pools = (0..workers).map(|worker| Pool::new(Arc::clone(&slots), worker)).collect();
    (slots, pools, wakeups)
}

fn pool(limits: &[Option<usize>], config: PoolConfig) -> Pool<u32> {
    pools(limits, config, 1).1.remove(0)
}

fn open(pool: &mut Pool<u32>, backend: BackendId, now: Instant) -> Lease {
    match pool.checkout(backend, now) {
        Checkout::Open(lease) => lease,
        other => panic!("{other:?}"),
    }
}

fn set(ids: &[BackendId]) -> BackendSet {
    ids.iter().copied().collect()
}

fn kept(until: Instant) -> Checkin {
    Checkin::Kept { until: Some(until) }
}

fn tickets(pool: &mut Pool<u32>) -> Vec<u32> {
    std::iter::from_fn(|| pool.granted()).map(|granted| granted.ticket).collect()
}

#[test]
fn a_connection_is_reused_last_in_first_out() {
    let (start, mut pool) = (start(), pool(&[None], CONFIG));
    let leases = [open(&mut pool, A, start), open(&mut pool, A, start)];
    for (conn, lease) in (1..).zip(leases) {
        assert_eq!(pool.checkin(conn, lease, start + SECOND), kept(start + 5 * SECOND));
    }
    let lease = Lease { backend: A, served: 1, opened: start };
    let expected = Checkout::Reuse { conn: 2, idle_for: 2 * SECOND, lease };
    assert_eq!(pool.checkout(A, start + 3 * SECOND), expected);
    assert!(matches!(pool.checkout(A, start + 3 * SECOND), Checkout::Reuse { conn: 1, .. }));
    assert!(matches!(pool.checkout(A, start + 3 * SECOND), Checkout::Open(_)));
    let Stats { opened, reused, idle, busy, .. } = pool.stats();
    assert_eq!((opened, reused, idle, busy), (3, 2, 0, 3));
}

#[test]
fn requests_are_counted_and_the_deadline_is_the_nearer_of_two() {
    let (start, mut pool) = (start(), pool(&[None], CONFIG));
    let mut lease = open(&mut pool, A, start);
    for (second, until) in [(1, 5), (4, 8), (7, 10)] {
        assert_eq!((lease.backend(), lease.opened(), lease.served()), (A, start, second / 3));
        assert_eq!(pool.checkin(9, lease, start + second * SECOND), kept(start + until * SECOND), "at {second} s");
        lease = match pool.checkout(A, start + second * SECOND + NANO) {
            Checkout::Reuse { conn: 9, lease, .. } => lease,
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(pool.checkin(9, lease, start + 10 * SECOND), Checkin::Close(NotKept::TooOld));
}

#[test]
fn a_connection_that_has_idled_or_lived_too_long_is_handed_out_for_closing() {
    for (config, after, reason) in [
        (CONFIG, 4 * SECOND, NotKept::IdleTooLong),
        (PoolConfig { idle_timeout: 60 * SECOND, ..CONFIG }, 10 * SECOND, NotKept::TooOld),
    ] {
        let (start, mut pool) = (start(), pool(&[Some(2)], config));
        let leases = [open(&mut pool, A, start), open(&mut pool, A, start)];
        for (conn, lease) in (1..).zip(leases) {
            let _ = pool.checkin(conn, lease, start);
        }
        assert!(matches!(pool.checkout(A, start + after - NANO), Checkout::Reuse { conn: 2, .. }));
        assert_eq!(pool.checkout(A, start + after), Checkout::Evict { conn: 1, reason });
        assert!(matches!(pool.checkout(A, start + after), Checkout::Open(_)), "its slot is free");
        assert_eq!(pool.stats().closed.count(reason), 1);
    }
}

#[test]
fn the_cap_counts_idle_and_busy_and_a_backends_own_wins() {
    for (own, default, expected) in [(None, 2, 2), (Some(1), 2, 1), (Some(3), 2, 3), (Some(0), 2, 0), (Some(1), 0, 1)] {
        let (slots, mut pools, _) = pools(&[own], PoolConfig { max: default, ..CONFIG }, 2);
        let now = start();
        let leases: Vec<Lease> = (0..expected).map(|n| open(&mut pools[n % 2], A, now)).collect();
        assert_eq!(pools[0].checkout(A, now), Checkout::Full, "{own:?} {default}");
        assert_eq!(slots.open(A), Some(expected));
        for (n, lease) in leases.into_iter().enumerate() {
            pools[n % 2].ended(lease);
        }
        assert_eq!(slots.open(A), Some(0));
    }
}

#[test]
fn capacity_0_keeps_nothing_and_limits_nothing() {
    let (slots, mut pools, _) = pools(&[None], PoolConfig { max: 0, ..CONFIG }, 1);
    let now = start();
    let leases: Vec<Lease> = (0..5000).map(|_| open(&mut pools[0], A, now)).collect();
    for lease in leases {
        assert_eq!(pools[0].checkin(1, lease, now), Checkin::Close(NotKept::PoolingOff));
    }
    assert_eq!(slots.open(A), None);
    assert_eq!(pools[0].stats().closed.count(NotKept::PoolingOff), 5000);
}

#[test]
fn each_worker_keeps_its_share_of_idle_connections_rounded_up() {
    for (idle, workers, share) in [(0, 2, 0), (1, 2, 1), (4, 2, 2), (5, 2, 3), (3, 1, 3)] {
        let (_, mut pools, _) = pools(&[None, None], PoolConfig { idle: Some(idle), ..CONFIG }, workers);
        let (now, pool) = (start(), &mut pools[0]);
        for backend in [A, B] {
            let leases: Vec<Lease> = (0..=share).map(|_| open(pool, backend, now)).collect();
            let checkins: Vec<Checkin> = leases.into_iter().map(|lease| pool.checkin(1, lease, now)).collect();
            assert!(checkins[..share].iter().all(|checkin| matches!(checkin, Checkin::Kept { .. })));
            assert_eq!(checkins[share], Checkin::Close(NotKept::TooManyIdle), "{idle} {workers}");
        }
    }
}

#[test]
fn a_connection_may_serve_so_many_requests() {
    let (now, mut pool) = (start(), pool(&[Some(1)], PoolConfig { requests: Some(2), ..CONFIG }));
    let lease = open(&mut pool, A, now);
    assert!(matches!(pool.checkin(1, lease, now), Checkin::Kept { .. }));
    let Checkout::Reuse { lease, .. } = pool.checkout(A, now) else { panic!("it idles") };
    assert_eq!(pool.checkin(1, lease, now), Checkin::Close(NotKept::TooManyRequests));
    let _ = open(&mut pool, A, now);
}

#[test]
fn idle_connections_are_forgotten_retired_and_drained() {
    let (slots, mut pools, _) = pools(&[Some(9), Some(9)], CONFIG, 1);
    let (now, pool) = (start(), &mut pools[0]);
    for (backend, conns) in [(A, 1..=4), (B, 5..=6)] {
        let leases: Vec<(u32, Lease)> = conns.map(|conn| (conn, open(pool, backend, now))).collect();
        for (conn, lease) in leases {
            let _ = pool.checkin(conn, lease, now);
        }
    }
    assert!(pool.forget(A, 2, NotKept::Lost) && !pool.forget(A, 2, NotKept::Lost));
    assert!(!pool.forget(A, 5, NotKept::Lost), "it belongs to the other backend");
    let busy = match pool.checkout(A, now) {
        Checkout::Reuse { conn: 4, lease, .. } => lease,
        other => panic!("{other:?}"),
    };
    let mut closing = Vec::new();
    pool.retire(A, &mut closing);
    assert_eq!((closing.as_slice(), slots.open(A), slots.open(B)), (&[1, 3][..], Some(1), Some(2)));
    pool.drain(&mut closing);
    assert_eq!((closing.as_slice(), slots.open(B)), (&[1, 3, 5, 6][..], Some(0)));
    assert_eq!(pool.checkin(4, busy, now), Checkin::Close(NotKept::Draining));
    let closed = pool.stats().closed;
    let counts = [NotKept::Lost, NotKept::Retired, NotKept::Draining].map(|reason| closed.count(reason));
    assert_eq!((counts, slots.open(A)), ([1, 2, 3], Some(0)));
}

#[test]
fn the_line_is_bounded_over_all_workers_and_first_come_first_served() {
    let (_, mut pools, _) = pools(&[Some(1)], PoolConfig { queue: Some(3), ..CONFIG }, 2);
    let now = start();
    let mut lease = open(&mut pools[0], A, now);
    for (ahead, worker) in [0, 0, 1].into_iter().enumerate() {
        assert_eq!(pools[worker].wait(ahead as u32, ONE, set(&[A]), now), Ok(ahead));
    }
    assert_eq!(pools[0].wait(3, ONE, set(&[A]), now), Err(QueueFull));
    assert_eq!(pools[0].oldest(), Some((0, now)));
    assert!(pools[1].cancel(2) && !pools[1].cancel(2) && !pools[1].cancel(0));
    assert_eq!(pools[0].wait(3, ONE, set(&[A]), now), Ok(2));
    for expected in [0, 1, 3] {
        assert!(matches!(pools[0].checkin(7, lease, now), Checkin::Kept { .. }));
        let granted = pools[0].granted().unwrap();
        assert_eq!((granted.ticket, granted.backend, granted.since), (expected, Some(A), now));
        lease = match pools[0].checkout(A, now) {
            Checkout::Reuse { conn: 7, lease, .. } => lease,
            other => panic!("{other:?}"),
        };
        assert_eq!(pools[0].granted(), None);
    }
    let Stats { waited, refused, waiting, .. } = pools[0].stats();
    assert_eq!((waited, refused, waiting), (3, 1, 0));
}

#[test]
fn an_idle_connection_of_another_worker_is_given_up_for_a_waiting_request() {
    let (slots, mut pools, wakeups) = pools(&[Some(2), Some(1)], CONFIG, 2);
    let now = start();
    let leases = [open(&mut pools[0], A, now), open(&mut pools[0], A, now)];
    for (conn, lease) in (1..).zip(leases) {
        let _ = pools[0].checkin(conn, lease, now);
    }
    assert_eq!(pools[1].checkout(A, now), Checkout::Full);
    assert_eq!(pools[1].wait(5, ONE, set(&[A]), now), Ok(0));
    assert!(wakeups.take(0) && !wakeups.pending(1));
    let mut closing = Vec::new();
    pools[0].woken(&mut closing);
    assert_eq!(
        (closing, pools[0].stats().idle),
        (vec![1], 1),
        "one request, one connection, the one used least lately"
    );
    assert_eq!(pools[0].checkout(B, now), Checkout::Open(Lease { backend: B, served: 0, opened: now }));
    assert_eq!(slots.open(A), Some(2), "the slot is on its way, nobody else can take it");
    assert!(wakeups.take(1));
    assert_eq!(tickets(&mut pools[1]), [5]);
    assert_eq!(slots.open(A), Some(1), "it was not used, and nobody else waits");
}

#[test]
fn a_worker_that_hands_connections_from_request_to_request_is_interrupted() {
    for (ms, expected) in [(20, None), (21, Some(NotKept::SlotWanted))] {
        let (_, mut pools, wakeups) = pools(&[Some(1)], CONFIG, 2);
        let start = start();
        let lease = open(&mut pools[0], A, start);
        let later = start + Duration::from_millis(ms);
        assert!(pools[1].wait(1, ONE, set(&[A]), start).is_ok() && pools[0].wait(2, ONE, set(&[A]), later).is_ok());
        let checkin = pools[0].checkin(7, lease, later);
        let closed = if let Checkin::Close(reason) = checkin { Some(reason) } else { None };
        assert_eq!((closed, wakeups.pending(1)), (expected, expected.is_some()), "{ms}");
        let [here, there] = [0, 1].map(|worker| tickets(&mut pools[worker]));
        assert_eq!((here.len(), there.len()), if expected.is_some() { (0, 1) } else { (1, 0) });
    }
}

#[test]
fn a_request_that_looks_in_vain_keeps_its_place() {
    let (slots, mut pools, _) = pools(&[Some(1), Some(1)], CONFIG, 1);
    let (start, pool) = (start(), &mut pools[0]);
    let leases = [open(pool, A, start), open(pool, B, start)];
    for (ticket, full) in [(1, set(&[A, B])), (2, set(&[A, B])), (3, set(&[A]))] {
        pool.wait(ticket, ONE, full, start + ticket * SECOND).unwrap();
    }
    let [a, b] = leases;
    pool.ended(a);
    let granted = pool.granted().unwrap();
    assert_eq!((granted.ticket, granted.backend), (1, Some(A)));
    // It cannot use A any more (its breaker opened, say). A goes to the next one, not back to the same.
    pool.wait_again(granted, set(&[A, B]));
    let granted = pool.granted().unwrap();
    assert_eq!((granted.ticket, granted.backend), (2, Some(A)));
    let a = open(pool, A, start);
    assert_eq!((pool.granted(), pool.oldest()), (None, Some((1, start + SECOND))));
    pool.ended(b);
    assert_eq!(pool.granted().unwrap().ticket, 1, "first in line for B");
    let b = open(pool, B, start);
    pool.ended(a);
    assert_eq!((tickets(pool), slots.open(A), slots.open(B)), (vec![3], Some(0), Some(1)));
    pool.ended(b);
}

#[test]
fn a_grant_on_its_way_to_a_request_that_gives_up_goes_to_the_next() {
    let (slots, mut pools, wakeups) = pools(&[Some(1)], CONFIG, 3);
    let now = start();
    let lease = open(&mut pools[0], A, now);
    for (worker, ticket) in [(1, 1), (1, 2), (2, 3)] {
        pools[worker].wait(ticket, ONE, set(&[A]), now).unwrap();
    }
    wakeups.clear();
    pools[0].ended(lease);
    assert!(wakeups.take(1) && !wakeups.take(2));
    assert!(pools[1].cancel(1));
    assert!(wakeups.take(1), "cancel is not followed by serving the line");
    assert!(pools[1].cancel(2));
    assert!(wakeups.take(2) && tickets(&mut pools[1]).is_empty());
    assert_eq!((slots.open(A), tickets(&mut pools[2])), (Some(1), vec![3]));
    assert_eq!((slots.open(A), slots.waiting()), (Some(0), 0));
}

#[test]
fn an_idle_connection_whose_request_gives_up_is_offered_again() {
    let (_, mut pools, wakeups) = pools(&[Some(1)], CONFIG, 2);
    let now = start();
    let lease = open(&mut pools[0], A, now);
    pools[0].wait(1, ONE, set(&[A]), now).unwrap();
    pools[1].wait(2, ONE, set(&[A]), now).unwrap();
    let _ = pools[0].checkin(7, lease, now);
    wakeups.take(0);
    assert!(pools[0].cancel(1) && wakeups.take(0));
    let mut closing = Vec::new();
    pools[0].woken(&mut closing);
    assert_eq!((closing, tickets(&mut pools[1])), (vec![7], vec![2]));
}

#[test]
fn when_backends_change_everyone_looks_again() {
    let (_, mut pools, _) = pools(&[Some(1), Some(1)], CONFIG, 1);
    let (now, pool) = (start(), &mut pools[0]);
    let lease = open(pool, A, now);
    (1..=2).for_each(|ticket| assert!(pool.wait(ticket, ONE, set(&[A]), now).is_ok()));
    pool.reconsider();
    let first = pool.granted().unwrap();
    assert_eq!((first.ticket, first.backend), (1, None));
    let _ = open(pool, B, now);
    let second = pool.granted().unwrap();
    pool.wait_again(second, set(&[A, B]));
    assert_eq!(pool.granted(), None);
    pool.ended(lease);
    assert_eq!(tickets(pool), [2]);
}

#[test]
fn reusing_a_connection_writes_no_shared_memory() {
    let (slots, mut pools, wakeups) = pools(&[Some(1)], CONFIG, 2);
    let now = start();
    let mut lease = open(&mut pools[0], A, now);
    let before = format!("{slots:?}");
    for _ in 0..10 {
        let _ = pools[0].checkin(1, lease, now);
        lease = match pools[0].checkout(A, now) {
            Checkout::Reuse { lease, .. } => lease,
            other => panic!("{other:?}"),
        };
        assert_eq!(pools[0].granted(), None);
    }
    assert_eq!((format!("{slots:?}"), wakeups.pending(1)), (before, false));
}

#[test]
fn a_request_that_waits_for_what_idles_here_gets_it() {
    let (_, mut pools, wakeups) = pools(&[Some(2)], CONFIG, 2);
    let now = start();
    let leases = [open(&mut pools[0], A, now), open(&mut pools[0], A, now)];
    for (conn, lease) in (1..).zip(leases) {
        let _ = pools[0].checkin(conn, lease, now);
    }
    // It did not look properly. The other one did.
    pools[0].wait(1, ONE, set(&[A]), now).unwrap();
    assert!(wakeups.take(0));
    pools[1].wait(2, ONE, set(&[A]), now).unwrap();
    let mut closing = Vec::new();
    pools[0].woken(&mut closing);
    assert_eq!((closing, pools[0].granted().unwrap().ticket), (vec![1], 1));
    assert!(matches!(pools[0].checkout(A, now), Checkout::Reuse { conn: 2, .. }));
    assert_eq!(tickets(&mut pools[1]), [2]);
}

#[test]
fn an_idle_connection_that_its_request_does_not_use_is_offered_again() {
    let (_, mut pools, wakeups) = pools(&[Some(1), Some(1)], CONFIG, 2);
    let now = start();
    let lease = open(&mut pools[0], A, now);
    pools[0].wait(1, ONE, set(&[A]), now).unwrap();
    pools[1].wait(2, ONE, set(&[A]), now).unwrap();
    let _ = pools[0].checkin(7, lease, now);
    assert_eq!(pools[0].granted().unwrap().ticket, 1);
    let _ = open(&mut pools[0], B, now);
    wakeups.clear();
    assert!(pools[0].granted().is_none() && wakeups.take(0));
    let mut closing = Vec::new();
    pools[0].woken(&mut closing);
    assert_eq!((closing, wakeups.take(1), tickets(&mut pools[1])), (vec![7], true, vec![2]));
}

#[test]
fn a_connection_for_a_local_request_is_kept_beyond_the_share() {
    let mut pool = pool(&[Some(1)], PoolConfig { idle: Some(0), ..CONFIG });
    let now = start();
    let lease = open(&mut pool, A, now);
    pool.wait(1, ONE, set(&[A]), now).unwrap();
    assert!(matches!(pool.checkin(7, lease, now), Checkin::Kept { .. }));
    assert_eq!(pool.granted().unwrap().ticket, 1);
    let Checkout::Reuse { conn: 7, lease, .. } = pool.checkout(A, now) else { panic!("it was kept for this") };
    assert_eq!(pool.checkin(7, lease, now), Checkin::Close(NotKept::TooManyIdle));
}

#[test]
fn a_request_whose_granted_connection_is_gone_still_waits_for_that_backend() {
    let mut pool = pool(&[Some(1)], CONFIG);
    let now = start();
    let lease = open(&mut pool, A, now);
    [1, 2].iter().for_each(|ticket| assert!(pool.wait(*ticket, ONE, set(&[A]), now).is_ok()));
    let _ = pool.checkin(7, lease, now);
    assert!(pool.forget(A, 7, NotKept::Lost), "before the line was served");
    let first = pool.granted().unwrap();
    assert_eq!(pool.checkout(A, now), Checkout::Full);
    pool.wait_again(first, set(&[A]));
    assert_eq!(pool.granted().unwrap().ticket, 2);
    let lease = open(&mut pool, A, now);
    pool.ended(lease);
    assert_eq!(tickets(&mut pool), [1]);
}

#[test]
fn a_grant_on_its_way_to_a_worker_that_is_gone_goes_to_the_next() {
    let (slots, mut pools, wakeups) = pools(&[Some(1)], CONFIG, 3);
    let now = start();
    let lease = open(&mut pools[0], A, now);
    pools[1].wait(1, ONE, set(&[A]), now).unwrap();
    pools[2].wait(2, ONE, set(&[A]), now).unwrap();
    pools[0].ended(lease);
    wakeups.clear();
    drop(pools.remove(1));
    assert!(wakeups.take(2));
    assert_eq!((slots.open(A), tickets(&mut pools[1]), slots.open(A)), (Some(1), vec![2], Some(0)));
}
