//! The cost of the cache, part by part.
//!
//! - **look up**: the same with a million entries as with a thousand, but for what the processor's own caches no longer
//!   hold. That is what **floor** shows: as many reads of plain memory, each at a place that the one before it names.
//! - **look up by threads**: whether they get in each other's way, at many URLs and at a single one.
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
        Audience, Body, Freshness, Mail, RequestDirectives, ResponseDirectives, Rules, Seed, Selecting, Situation,
        Store, Stored, Uri, answer, reuse, storable,
        store::{Entry, Found, Limits},
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

/// Lines of memory that a look-up reads one after the other: the tags of the index, a place in it, the slab, the entry and
/// its key; and one more where an entry begins in the middle of a line.
const LINES: usize = 6;

fn store(bytes: usize) -> Arc<Store> {
    let limits =
        Limits { bytes, object: 1 << 20, variants: vary::MAX_VARIANTS, uncacheable_for: Duration::from_secs(10) };
    Arc::new(Store::new(limits, 64, Seed(0x5eed), Mail::new(1, Arc::new(|_| {}))))
}

fn request(target: &str, lines: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::new(Method::Get, target).expect("it is an origin-form target");
    head.fields = [("Host", HOST)].into_iter().chain(lines.iter().copied()).collect();
    head
}

/// A response as small as they come, which is what makes the overhead show.
fn stored(lines: &[(&str, &str)], request: &Fields, body: &Bytes, now: Now) -> Stored {
    let mut head = ResponseHead::new(Status::OK);
    head.fields = [("Cache-Control", "max-age=3600")].into_iter().chain(lines.iter().copied()).collect();
    let said = ResponseDirectives::of(&head.fields);
    Stored {
        selecting: Selecting::of(&head.fields, request),
        freshness: Freshness::of(&head, &said, Audience::Everybody, now, now, &Rules::default()),
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

const HOST: &str = "www.example.com";

const PATH: &[u8; 17] = b"/articles/0000000";

fn target(number: usize) -> String {
    format!("{}?page=1", put_number(&mut PATH.clone(), number))
}

/// The path with that number, without an allocation.
fn put_number(path: &mut [u8; 17], mut number: usize) -> &str {
    for digit in path[10..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    std::str::from_utf8(path).expect("digits are text")
}

/// Filled once, and only if it is measured, so that a filter on the command line saves the memory.
fn filled(count: usize, now: Now) -> LazyCell<Arc<Store>, impl FnOnce() -> Arc<Store>> {
    LazyCell::new(move || {
        let (store, body) = (store(4 << 30), Bytes::from_static(b"content"));
        for number in 0..count {
            let entry = entry(&store, &request(&target(number), &[]), &body, now);
            assert!(store.insert(entry, now.instant, |_, _| false).is_ok(), "there is room for all of them");
        }
        store
    })
}

fn look_up(criterion: &mut Criterion) {
    let now = start();
    let mut group = criterion.benchmark_group("cache/lookup");
    for count in SIZES {
        let filled = filled(count, now);
        // Requests that have been read: what is measured starts with the key.
        let asked: Vec<_> = (0..ASKED).map(|number| request(&target(scattered(number, count)), &[])).collect();
        let mut number = 0;
        group.bench_function(BenchmarkId::new("popular", count), |bencher| {
            let store: &Store = &filled;
            bencher.iter(|| {
                number = (number + 1) % asked.len();
                let uri = Uri::of(&asked[number], Scheme::Http).expect("a GET names a resource");
                found(store, uri, now)
            });
        });
        // A request for each would be larger than what is looked up.
        let mut path = *PATH;
        group.bench_function(BenchmarkId::new("any", count), |bencher| {
            let store: &Store = &filled;
            bencher.iter(|| {
                number = number.wrapping_add(1);
                let path = put_number(&mut path, scattered(number, count));
                found(store, Uri { scheme: Scheme::Http, authority: HOST, path, query: Some("page=1") }, now)
            });
        });
    }
    group.finish();
}

fn found(store: &Store, uri: Uri<'_>, now: Now) -> Found {
    let found = store.look_up(store.place(uri), now.instant);
    let [entry] = found.entries.as_slice() else { panic!("it is stored") };
    entry.touch();
    found
}

/// The least time that a look-up in a table of that size can take: the same number of reads, each at a place that
/// depends on the one before.
fn floor(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cache/floor");
    for count in SIZES {
        let table = |salt: usize| (0..count).map(move |at| [scattered(at * LINES + salt, count); 8]).collect();
        let tables = LazyCell::new(|| (1..=LINES).map(table).collect::<Vec<Vec<[usize; 8]>>>());
        let (mut number, mut last) = (0usize, 0usize);
        for (what, asked) in [("popular", ASKED), ("any", usize::MAX)] {
            group.bench_function(BenchmarkId::new(what, count), |bencher| {
                let tables: &Vec<_> = &tables;
                bencher.iter(|| {
                    // None of them begins before the last one is over, as if a lock were between them.
                    number = number.wrapping_add(1 + last / count);
                    last = tables.iter().fold(scattered(number % asked, count), |at, table| table[at][0]);
                });
            });
        }
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

/// The request names the last of the variants. `alike`: values as long as a field may well be, which differ at their end.
fn choose(criterion: &mut Criterion) {
    let now = start();
    let body = Bytes::from_static(b"content");
    let mut group = criterion.benchmark_group("cache/choose");
    for (what, before) in [("short", ""), ("alike", &*"x".repeat(4000))] {
        for count in [1, 8, vary::MAX_VARIANTS] {
            let of = |number: usize| {
                let language = format!("{before}l{number}, en;q=0.5");
                // As many fields as a browser sends.
                let others = (0..15).map(|number| (format!("X-Other-{number}"), "what it says")).collect::<Vec<_>>();
                let others = others.iter().map(|(name, value)| (&**name, *value));
                request("/", &others.chain([("Accept-Language", &*language)]).collect::<Vec<_>>())
            };
            let variants: Vec<Stored> = (0..count)
                .map(|number| stored(&[("Vary", "Accept-Language")], &of(number).fields, &body, now))
                .collect();
            let asked = of(count - 1);
            group.bench_function(BenchmarkId::new(what, count), |bencher| {
                bencher.iter(|| {
                    let chosen = vary::choose(&variants, &asked.fields, |stored| (&stored.selecting, stored.date));
                    assert!(chosen.is_some());
                    chosen
                });
            });
        }
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

/// Each of several threads makes `EACH` look-ups. In one case each has its own key at any moment, in the other all want
/// the same: with as many processors as threads, they take no longer together than one alone.
fn threads(criterion: &mut Criterion) {
    const EACH: usize = 100_000;
    const ENTRIES: usize = 10_000;
    let now = start();
    let filled = filled(ENTRIES, now);
    let asked: Vec<RequestHead> = (0..ASKED).map(|number| request(&target(scattered(number, ENTRIES)), &[])).collect();
    let mut group = criterion.benchmark_group("cache/lookup-by-threads");
    for (what, keys) in [("many", ASKED), ("one", 1)] {
        for count in [1, 2, 4] {
            group.throughput(Throughput::Elements((EACH * count) as u64));
            group.bench_function(BenchmarkId::new(what, count), |bencher| {
                let store: &Store = &filled;
                let work = |from: usize| {
                    for number in from..from + EACH {
                        let uri = Uri::of(&asked[number % keys], Scheme::Http).expect("a GET names a resource");
                        black_box(found(store, uri, now));
                    }
                };
                bencher.iter(|| {
                    thread::scope(|scope| {
                        for at in 0..count {
                            let work = &work;
                            scope.spawn(move || work(at * 997));
                        }
                    });
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::quick();
    targets = look_up, floor, threads, insert, choose, serve
}
criterion_main!(benches);
