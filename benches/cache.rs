//! What the cache costs, part by part.
//!
//! - **look up**: the same with a million entries as with a thousand, but for what the processor's own caches no longer
//!   hold.
//! - **look up by threads**: whether they get in each other's way.
//! - **insert**: into a full store, so that each pushes an older one out.
//! - **choose**: among variants, as many as are kept for one URI at most.
//! - **answer**: from a stored response to what goes over the wire, without the head's last lines and the socket.
//!
//! The largest store takes about a gigabyte while it is measured; `cargo bench --bench cache -- lookup/1000$` does not.

mod common;

use bytes::Bytes;
use common::start;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use socket_patterns::{
    cache::{
        Body, Freshness, Mail, RequestDirectives, ResponseDirectives, Rules, Seed, Selecting, Situation, Store, Stored,
        Uri, answer, reuse, storable,
        store::{Entry, Limits},
        vary,
    },
    http::{Fields, Method, RequestHead, ResponseHead, Status, target::Scheme},
    time::Now,
};
use std::{cell::LazyCell, hint::black_box, sync::Arc, thread, time::Duration};

/// How many of them are asked for in turn.
const ASKED: usize = 4096;

/// The sizes between which a look-up must not grow.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn store(bytes: usize) -> Arc<Store> {
    let limits = Limits { bytes, object: 1 << 20, variants: vary::MAX_VARIANTS, pass: Duration::from_secs(10) };
    Arc::new(Store::new(limits, 64, Seed(0x5eed), Mail::new(1, Arc::new(|_| {}))))
}

fn request(target: &str, lines: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::new(Method::Get, target).expect("it is an origin-form target");
    head.fields = [("Host", "www.example.com")].into_iter().chain(lines.iter().copied()).collect();
    head
}

/// A response as small as they come, which is what makes the overhead show.
fn stored(lines: &[(&str, &str)], request: &Fields, body: &Bytes, now: Now) -> Stored {
    let mut head = ResponseHead::new(Status::OK);
    head.fields = [("Cache-Control", "max-age=3600")].into_iter().chain(lines.iter().copied()).collect();
    let said = ResponseDirectives::of(&head.fields);
    Stored {
        selecting: Selecting::of(&head.fields, request),
        freshness: Freshness::of(&head, &said, now, now, &Rules::default()),
        head: storable(&head, &said, now),
        date: now.wall,
        body: Body::whole(vec![body.clone()]),
        tags: Box::default(),
    }
}

fn entry(store: &Store, request: &RequestHead, body: &Bytes, now: Now) -> Entry {
    let uri = Uri::of(request, Scheme::Http).expect("a GET names a resource");
    let stored = stored(&[], &request.fields, body, now);
    Entry::new(uri.to_key(), store.place(uri).hash, stored)
}

/// Which of `count` is next: all of them, in an order that no cache of the processor foresees.
fn scattered(number: usize, count: usize) -> usize {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count
}

fn target(number: usize) -> String {
    format!("/articles/{number}?page=1")
}

fn look_up(criterion: &mut Criterion) {
    let now = start();
    let mut group = criterion.benchmark_group("cache/lookup");
    let body = Bytes::from_static(b"content");
    for count in SIZES {
        // Filled once, and only if it is measured, so that a filter on the command line saves the memory.
        let filled = LazyCell::new(|| {
            let store = store(4 << 30);
            for number in 0..count {
                let entry = entry(&store, &request(&target(number), &[]), &body, now);
                assert!(store.insert(entry, now.instant, |_, _| false).is_ok(), "there is room for all of them");
            }
            // Requests that have been read: what is measured starts with the key.
            let asked = (0..ASKED).map(|number| request(&target(scattered(number, count)), &[]));
            (store, asked.collect::<Vec<RequestHead>>())
        });
        let mut number = 0;
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            let (store, requests) = &*filled;
            bencher.iter(|| {
                number = (number + 1) % requests.len();
                let uri = Uri::of(&requests[number], Scheme::Http).expect("a GET names a resource");
                let found = store.look_up(store.place(uri), now.instant);
                assert_eq!(found.entries.as_slice().len(), 1);
                found
            });
        });
    }
    group.finish();
}

fn insert(criterion: &mut Criterion) {
    let now = start();
    let mut group = criterion.benchmark_group("cache/insert-and-evict");
    let body = Bytes::from_static(b"content");
    for count in [1_000, 100_000] {
        let full = LazyCell::new(|| {
            let sample = entry(&store(1 << 20), &request(&target(count), &[]), &body, now);
            let store = store(sample.cost() * count);
            for number in 0..count * 2 {
                let entry = entry(&store, &request(&target(number), &[]), &body, now);
                assert!(store.insert(entry, now.instant, |_, _| false).is_ok());
            }
            assert!(store.stats().evicted > 0, "it is full");
            store
        });
        let mut number = count * 2;
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            let store = &*full;
            bencher.iter_batched(
                || {
                    number += 1;
                    entry(store, &request(&target(number), &[]), &body, now)
                },
                |entry| assert!(store.insert(entry, now.instant, |_, _| false).is_ok()),
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn choose(criterion: &mut Criterion) {
    let now = start();
    let mut group = criterion.benchmark_group("cache/choose");
    for count in [1, 8, vary::MAX_VARIANTS] {
        let of = |number: usize| request("/", &[("Accept-Language", &format!("l{number}, en;q=0.5"))]);
        let body = Bytes::from_static(b"content");
        let variants: Vec<Stored> =
            (0..count).map(|number| stored(&[("Vary", "Accept-Language")], &of(number).fields, &body, now)).collect();
        let asked = of(count - 1);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let chosen = vary::choose(&variants, &asked.fields, |stored| (&stored.selecting, stored.date));
                assert!(chosen.is_some());
                chosen
            });
        });
    }
    group.finish();
}

fn serve(criterion: &mut Criterion) {
    let now = start();
    let mut group = criterion.benchmark_group("cache/answer");
    let body = Bytes::from(vec![b'x'; 64 * 1024]);
    let tagged = stored(&[("ETag", "\"v1\""), ("Content-Type", "text/html")], &Fields::new(), &body, now);
    for (what, lines) in [
        ("whole", &[][..]),
        ("not-modified", &[("If-None-Match", "\"v0\", \"v1\"")]),
        ("part", &[("Range", "bytes=1000-1999")]),
        ("parts", &[("Range", "bytes=0-99, 1000-1999, -100")]),
    ] {
        let request = request("/", lines);
        group.bench_function(what, |bencher| {
            let mut out = Vec::with_capacity(1024);
            bencher.iter(|| {
                out.clear();
                let said = RequestDirectives::of(&request.fields);
                black_box(reuse(&tagged.freshness, &said, now.instant, Situation::Normal));
                let answer = answer(&request, &tagged, now.wall, || 7).expect("it is whole");
                answer.write_head(&tagged, &mut out);
                answer.body(&tagged).map(|piece| piece.len()).sum::<usize>()
            });
        });
    }
    group.finish();
}

/// So many look-ups by each of several threads, all over the same URLs: with as many processors as threads, one of them takes
/// no longer than alone.
fn threads(criterion: &mut Criterion) {
    const EACH: usize = 100_000;
    let now = start();
    let filled = LazyCell::new(|| {
        let (store, body) = (store(1 << 30), Bytes::from_static(b"content"));
        for number in 0..10_000 {
            assert!(
                store
                    .insert(entry(&store, &request(&target(number), &[]), &body, now), now.instant, |_, _| false)
                    .is_ok()
            );
        }
        store
    });
    let asked: Vec<RequestHead> = (0..ASKED).map(|number| request(&target(scattered(number, 10_000)), &[])).collect();
    let mut group = criterion.benchmark_group("cache/lookup-by-threads");
    for count in [1, 2, 4] {
        group.throughput(Throughput::Elements((EACH * count) as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            let (store, asked) = (&*filled, &asked);
            let work = |from: usize| {
                for number in from..from + EACH {
                    let uri = Uri::of(&asked[number % ASKED], Scheme::Http).expect("a GET names a resource");
                    black_box(store.look_up(store.place(uri), now.instant));
                }
            };
            bencher.iter(|| thread::scope(|scope| (0..count).for_each(|at| drop(scope.spawn(move || work(at * 997))))));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::quick();
    targets = look_up, threads, insert, choose, serve
}
criterion_main!(benches);
