//! An HTTP/2 connection without a socket: [`socket_patterns::http2`], bytes in, events out, and the way back.
//!
//! - **field blocks**: HPACK alone. The first request of a browser is all literals; in the next ones nearly every line is one
//!   number.
//! - **requests**: from frames to heads, as HTTP/1.1 has them (compare `request head` in `parsing.rs`).
//! - **exchanges**: a request in, a response of 128 bytes out. In batches, as many streams would have it, and alone: then each pays
//!   for a write of its own.
//!
//! Times are of one block, request or exchange: criterion divides by the number of elements.

mod common;

use common::{BROWSER_GET, quick, start};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use socket_patterns::{
    buf::Output,
    http::{Fields, Limits as HttpLimits, RequestEvent, RequestReader, Status},
    http2::{
        Connection, Event, Limits, Role,
        hpack::{Decoder, Encoder},
    },
    time::Instant,
};
use std::{hint::black_box, sync::Arc};

/// Exchanges in one measurement.
const MANY: usize = 960;

/// A window that lets all responses go: connection and streams.
const WINDOWS: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0];

/// The fields of a browser's request, without those that HTTP/2 does not have.
fn browser() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut reader = RequestReader::new();
    let Ok(Some(RequestEvent::Head(head, _))) = reader.next(&mut { BROWSER_GET }, &HttpLimits::default()) else {
        panic!("the request is valid")
    };
    let control =
        [(":method", "GET"), (":scheme", "https"), (":authority", "www.example.com"), (":path", head.target())];
    let control = control.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let fields = head.fields.lines().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()));
    control.into_iter().chain(fields.filter(|(name, _)| !matches!(&**name, b"host" | b"connection"))).collect()
}

fn blocks(criterion: &mut Criterion) {
    let lines = browser();
    let encode = |encoder: &mut Encoder| {
        let mut block = Vec::with_capacity(1024);
        encoder.begin(&mut block);
        lines.iter().for_each(|(name, value)| encoder.field(name, value, &mut block));
        block
    };
    let mut encoder = Encoder::new();
    let (first, next) = (encode(&mut encoder), encode(&mut encoder));
    let mut decoder = Decoder::new();
    let hear = |decoder: &mut Decoder, block: &[u8]| {
        let mut lines = 0;
        decoder.decode(block, 64 * 1024, |name, value| lines += name.len() + value.len()).expect("the block is valid");
        lines
    };
    hear(&mut decoder, &first);
    let mut group = criterion.benchmark_group("field block of a browser");
    group.throughput(Throughput::Elements(1));
    group.bench_function("first, decoded", |bencher| {
        bencher.iter_batched(Decoder::new, |mut decoder| hear(&mut decoder, black_box(&first)), BatchSize::SmallInput);
    });
    group.bench_function("next, decoded", |bencher| bencher.iter(|| hear(&mut decoder, black_box(&next))));
    group.bench_function("next, encoded", |bencher| bencher.iter(|| encode(&mut encoder).len()));
    group.finish();
}

fn drain(connection: &mut Connection, now: Instant) -> Vec<u8> {
    let mut output = Output::new();
    connection.write(&mut output, usize::MAX, now);
    std::iter::from_fn(|| output.pop()).flatten().collect()
}

/// The bytes of [`MANY`] requests, in batches, each as a client sends it when it has the answers to the one before.
fn requests(lines: &[(Vec<u8>, Vec<u8>)], batch: usize, now: Instant) -> Vec<Vec<u8>> {
    let limits = Arc::new(Limits::default());
    let mut client = Connection::new(Role::Client, limits.clone(), now);
    let mut server = Connection::new(Role::Server, limits, now);
    let text = |at: usize| std::str::from_utf8(&lines[at].1).expect("control data is text");
    let mut wires = Vec::new();
    while wires.len() * batch < MANY {
        for _ in 0..batch {
            let (_, mut head) = client.request(text(0), text(1), text(2), text(3)).expect("there is room");
            lines[4..].iter().for_each(|(name, value)| head.field(name, value));
            head.finish(true);
        }
        let wire = drain(&mut client, now);
        exchange(&mut server, &wire, now, 0);
        let answers = drain(&mut server, now);
        let mut input = &answers[..];
        while client.next(&mut input, now).is_some() {}
        wires.push(wire);
    }
    wires
}

/// Hears `wire`, and answers each request in it with so many bytes: 0 or 128. How many there were.
fn exchange(server: &mut Connection, wire: &[u8], now: Instant, length: usize) -> usize {
    let mut input = wire;
    let mut many = 0;
    while let Some(event) = server.next(&mut input, now) {
        let Event::Request { stream, request, .. } = event else { continue };
        black_box(&request);
        let mut head = server.respond(stream, Status::OK).expect("it is open");
        for (name, value) in [
            ("Server", "backend"),
            ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", if length == 0 { "0" } else { "128" }),
        ] {
            head.field(name.as_bytes(), value.as_bytes());
        }
        head.finish(length == 0);
        if length > 0 {
            server.send_copy(stream, &[b'x'; 128][..length]);
            server.finish(stream, Fields::new());
        }
        many += 1;
    }
    many
}

/// A server that has heard nothing but windows.
fn server(now: Instant) -> Connection {
    let limits = Arc::new(Limits { max_streams: MANY as u32, ..Limits::default() });
    Connection::new(Role::Server, limits, now)
}

fn connections(criterion: &mut Criterion) {
    let now = start().instant;
    let small: Vec<_> = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/")]
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .to_vec();
    let mut group = criterion.benchmark_group("requests of HTTP/2");
    group.throughput(Throughput::Elements(MANY as u64));
    for (name, lines) in [("small", &small), ("browser", &browser())] {
        let wire = requests(lines, 32, now).concat();
        group.bench_function(name, |bencher| {
            let hear = |mut server: Connection| {
                let mut input = black_box(&wire[..]);
                std::iter::from_fn(|| server.next(&mut input, now))
                    .filter(|event| matches!(event, Event::Request { .. }))
                    .count()
            };
            bencher.iter_batched(|| server(now), hear, BatchSize::SmallInput);
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("exchanges of HTTP/2, 128 bytes");
    group.throughput(Throughput::Elements(MANY as u64));
    for (name, batch) in [("32 at once", 32), ("one at a time", 1)] {
        let mut wires = requests(&small, batch, now);
        // Behind the settings, before the first request is answered.
        wires[0].extend_from_slice(WINDOWS);
        group.bench_function(name, |bencher| {
            let serve = |mut server: Connection| {
                let mut many = 0;
                for wire in &wires {
                    many += exchange(&mut server, black_box(wire), now, 128);
                    let mut output = Output::new();
                    server.write(&mut output, usize::MAX, now);
                    black_box(&output);
                }
                assert_eq!((many, server.open()), (MANY, 0));
            };
            bencher.iter_batched(|| server(now), serve, BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = blocks, connections }
criterion_main!(benches);
