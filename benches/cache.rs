//! What a look-up in the cache costs, whether it holds a thousand responses or a million, and whether threads get in
//! each other's way: `cargo bench --bench cache`.
#![allow(clippy::unwrap_used)] // Nobody but us decides what is measured.
#![allow(clippy::disallowed_methods)] // Benchmarks have a clock, and threads.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use socket_patterns::{
    cache::{
        Body, Freshness, Mail, ResponseDirectives, Rules, Seed, Selecting, Store, Stored, Uri,
        store::{Entry, Limits},
    },
    http::{Method, RequestHead, ResponseHead, Status, target::Scheme},
    time::Now,
};
use std::{
    hint::black_box,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

fn request(n: usize) -> RequestHead {
    let mut head = RequestHead::new(Method::Get, &format!("/some/path/of/an/item/{n}")).unwrap();
    head.fields.push("Host", "www.example.com");
    head
}

/// A store of `entries` responses of 1 KiB, which share one body: a million of them fit anywhere.
fn filled(entries: usize) -> Arc<Store> {
    let now = Now { instant: Instant::now(), wall: SystemTime::now() };
    let limits = Limits { bytes: usize::MAX / 4, object: 1 << 20, variants: 64, pass: Duration::from_secs(5) };
    let store = Arc::new(Store::new(limits, 64, Seed(7), Mail::new(1, Arc::new(|_| ()))));
    let mut head = ResponseHead::new(Status::OK);
    head.fields.push("Cache-Control", "max-age=3600");
    let said = ResponseDirectives::of(&head.fields);
    let body = Bytes::from(vec![b'x'; 1024]);
    for n in 0..entries {
        let asked = request(n);
        let place = store.place(Uri::of(&asked, Scheme::Http).unwrap());
        let stored = Stored {
            head: head.clone(),
            selecting: Selecting::Everything,
            freshness: Freshness::of(&head, &said, now, now, &Rules::default()),
            date: now.wall,
            body: Body::whole(vec![body.clone()]),
            tags: Box::default(),
        };
        let entry = Entry { key: place.uri.to_key(), hash: place.hash, stored, wire: Bytes::new(), useless_at: None };
        assert!(store.insert(Arc::new(entry), now.instant, |_| true));
    }
    store
}

/// Every look-up another URL, so that nothing is in the processor's caches because it was just used.
fn look_ups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("look_up");
    group.throughput(Throughput::Elements(1));
    for entries in [1_000, 10_000, 100_000, 1_000_000] {
        let store = filled(entries);
        let asked: Vec<RequestHead> = (0..1000).map(|n| request(n * (entries / 1000))).collect();
        let now = Instant::now();
        let mut at = 0;
        group.bench_function(BenchmarkId::from_parameter(entries), |bencher| {
            bencher.iter(|| {
                at = (at + 7) % asked.len();
                let place = store.place(Uri::of(&asked[at], Scheme::Http).unwrap());
                black_box(store.look_up(place, now));
            });
        });
    }
    group.finish();
}

/// So many look-ups by each of several threads, all URLs over.
fn threads(criterion: &mut Criterion) {
    const EACH: u64 = 100_000;
    let store = filled(10_000);
    let mut group = criterion.benchmark_group("look_up_by_threads");
    group.sample_size(10);
    for threads in [1, 2, 4] {
        group.throughput(Throughput::Elements(EACH * threads));
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter(|| {
                thread::scope(|scope| {
                    for thread in 0..threads as usize {
                        let store = &store;
                        scope.spawn(move || {
                            let asked: Vec<RequestHead> = (0..100).map(|n| request(n * 97 + thread)).collect();
                            let now = Instant::now();
                            for n in 0..EACH as usize {
                                let uri = Uri::of(&asked[n % asked.len()], Scheme::Http).unwrap();
                                black_box(store.look_up(store.place(uri), now));
                            }
                        });
                    }
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, look_ups, threads);
criterion_main!(benches);
