//! The cost of each decision: which deadline is next, which connection, which backend, is it alive.
//!
//! A proxied request takes about one of each. They are measured apart because each makes a promise that a profile of
//! the whole would hide:
//!
//! - **timer wheel**: setting and moving a deadline costs the same with 10,000 connections as with ten. A heap's cost
//!   would grow with their number.
//! - **pool**: reuse takes no lock and writes nothing that other workers read.
//! - **pool/line**: joining it, being served and giving up cost about the same with 10,000 requests waiting as with ten.
//! - **balancer**: what grows with the number of backends (look at the step from 3 to 100) and what does not.
//! - **health**: a backend with nothing against it costs a few atomic loads.

mod common;

use common::{backends, start};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use socket_patterns::{
    app::{Cx, TimerKey},
    backend::BackendId,
    health::{Health, HealthConfig, Outcome},
    lb::{Algorithm, Balancer, Candidate, RouteKey},
    pool::{BackendSet, Checkin, Checkout, Client, Pool, PoolConfig, Slots},
    time::{Instant, wheel::Timers},
};
use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

/// As many connections as a busy worker has.
const DEADLINES: usize = 10_000;
/// The longest of them: a keep-alive timeout.
const LONGEST: Duration = Duration::from_secs(60);

/// Names of connections, and for each a deadline: spread over [`LONGEST`], in no order.
fn deadlines(now: Instant) -> Vec<(TimerKey, Instant)> {
    let mut cx = Cx::new(start());
    // The step is coprime to the number: each multiple of it is another place.
    let place = |index: usize| (index * 7919 % DEADLINES) as u32;
    let after = |index: usize| LONGEST / DEADLINES as u32 * (place(index) + 1);
    (0..DEADLINES).map(|index| (TimerKey::Conn(cx.allocate()), now + after(index))).collect()
}

fn timer_wheel(criterion: &mut Criterion) {
    let now = start().instant;
    let deadlines = deadlines(now);
    let full = || {
        let mut timers = Timers::new(now);
        deadlines.iter().for_each(|&(key, at)| timers.set(key, Some(at), now));
        timers
    };
    let expire_all = |timers: &mut Timers<TimerKey>| {
        let mut expired = 0;
        while let Some(at) = timers.next() {
            while let Some(key) = timers.expire(at) {
                black_box(key);
                expired += 1;
            }
        }
        expired
    };
    let moved = |timers: &mut Timers<TimerKey>, to: Instant| {
        deadlines.iter().for_each(|&(key, _)| timers.set(key, Some(to), now));
    };
    assert_eq!(expire_all(&mut full()), DEADLINES);

    let mut group = criterion.benchmark_group("timer wheel, 10000 deadlines");
    group.throughput(Throughput::Elements(DEADLINES as u64));
    // Room for the keys is made once a connection slot, so it is not in this.
    let known = || {
        let mut timers = full();
        expire_all(&mut timers);
        timers
    };
    let later = now + LONGEST;
    group.bench_function("set", |bencher| {
        let set = |timers: &mut Timers<TimerKey>| {
            deadlines.iter().for_each(|&(key, at)| timers.set(key, Some(at + LONGEST), later));
        };
        bencher.iter_batched_ref(known, set, BatchSize::PerIteration);
    });
    // The usual change of a deadline: a field write.
    group.bench_function("move later", |bencher| {
        bencher.iter_batched_ref(full, |timers| moved(timers, now + 2 * LONGEST), BatchSize::PerIteration);
    });
    // A shorter phase begins: taken out of one list, put into another.
    group.bench_function("move earlier", |bencher| {
        let nearest = now + LONGEST / DEADLINES as u32;
        bencher.iter_batched_ref(full, |timers| moved(timers, nearest), BatchSize::PerIteration);
    });
    group.bench_function("expire", |bencher| {
        bencher.iter_batched_ref(full, expire_all, BatchSize::PerIteration);
    });
    group.finish();
}

fn pool(criterion: &mut Criterion) {
    let now = start().instant;
    let backend = BackendId(0);
    // Limited, as by default: only then is there something shared to take.
    let slots = Arc::new(Slots::new(&backends(3), PoolConfig { max: 100, ..PoolConfig::default() }, 4));
    let mut pool: Pool<u32> = Pool::new(slots, 0);
    let mut group = criterion.benchmark_group("pool, uncontended");
    group.bench_function("open, end", |bencher| {
        bencher.iter(|| match pool.checkout(black_box(backend), now) {
            Checkout::Open(lease) => pool.ended(lease),
            other => unreachable!("nothing idles and nothing is taken: {other:?}"),
        });
    });
    let Checkout::Open(lease) = pool.checkout(backend, now) else { unreachable!("nothing idles, nothing is taken") };
    assert!(matches!(pool.checkin(7, lease, now), Checkin::Kept { .. }));
    group.bench_function("checkout, checkin", |bencher| {
        bencher.iter(|| match pool.checkout(black_box(backend), now) {
            Checkout::Reuse { conn, lease, .. } => pool.checkin(conn, lease, now),
            other => unreachable!("it was just checked in: {other:?}"),
        });
    });
    group.finish();
}

/// One request joins the line, the next one is served, and one gives up from the middle; so many wait all the time.
fn line(criterion: &mut Criterion) {
    let now = start().instant;
    let mut group = criterion.benchmark_group("pool/line");
    for waiting in [10, 1_000, 10_000] {
        let config = PoolConfig { max: 1, ..PoolConfig::default() };
        let mut pool: Pool<u32> = Pool::new(Arc::new(Slots::new(&backends(1), config, 1)), 0);
        let all: BackendSet = [BackendId(0)].into_iter().collect();
        let Checkout::Open(lease) = pool.checkout(BackendId(0), now) else { panic!("there is room for one") };
        let mut held = Some(lease);
        // Of a thousand clients.
        let client = |ticket: u32| Client::from(IpAddr::from(Ipv4Addr::from(ticket % 1_000)));
        let join = |pool: &mut Pool<u32>, ticket| {
            black_box(pool.wait(ticket, client(ticket), all.clone(), now)).expect("there is no limit");
        };
        (0..waiting).for_each(|ticket| join(&mut pool, ticket));
        let mut ticket = waiting;
        group.bench_function(BenchmarkId::from_parameter(waiting), |bencher| {
            bencher.iter(|| {
                join(&mut pool, ticket);
                join(&mut pool, ticket + 1);
                let middle = ticket - waiting / 2;
                if !pool.cancel(middle) {
                    pool.cancel(ticket);
                }
                ticket += 2;
                let Checkin::Kept { .. } = pool.checkin(1, held.take().expect("it is put back"), now) else {
                    panic!("somebody waits for it")
                };
                let _ = black_box(pool.granted()).expect("somebody waits");
                let Checkout::Reuse { lease: next, .. } = pool.checkout(BackendId(0), now) else { panic!("it idles") };
                held = Some(next);
            });
        });
    }
    group.finish();
}

fn balancers(criterion: &mut Criterion) {
    const ALGORITHMS: [Algorithm; 5] = [
        Algorithm::RoundRobin,
        Algorithm::WeightedRoundRobin,
        Algorithm::LeastConnections,
        Algorithm::IpHash,
        Algorithm::PowerOfTwo,
    ];
    let key = RouteKey { client: [192, 0, 2, 7].into() };
    let mut group = criterion.benchmark_group("balancer");
    for algorithm in ALGORITHMS {
        for count in [3, 100] {
            // Unequal, so that no algorithm finds that it has nothing to compare.
            let candidate = |id: u16| Candidate {
                id: BackendId(id),
                weight: 100 * (1 + u32::from(id) % 3),
                in_flight: u32::from(id) * 7 % 10,
            };
            let candidates: Vec<Candidate> = (0..count).map(candidate).collect();
            let mut balancer = Balancer::new(algorithm, 1);
            group.bench_with_input(BenchmarkId::new(algorithm.as_str(), count), &candidates, |bencher, candidates| {
                bencher.iter(|| balancer.pick(black_box(&key), candidates));
            });
        }
    }
    group.finish();
}

fn health(criterion: &mut Criterion) {
    let now = start().instant;
    let health = Health::new(&backends(3), HealthConfig::default(), now);
    let backend = BackendId(1);
    assert!(health.admit(backend, now) && health.report(backend, Outcome::Success, now).is_none());
    let mut group = criterion.benchmark_group("health, nothing wrong");
    group.bench_function("available", |bencher| bencher.iter(|| health.available(black_box(backend), now)));
    group.bench_function("report", |bencher| {
        bencher.iter(|| health.report(black_box(backend), Outcome::Success, now));
    });
    group.finish();
}

criterion_group! { name = benches; config = common::quick(); targets = timer_wheel, pool, line, balancers, health }
criterion_main!(benches);
