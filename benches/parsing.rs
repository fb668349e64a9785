//! Where messages start and end: the readers and the writer of [`socket_patterns::http`], bytes in, events out.
//!
//! Every byte of every peer passes here first, before anything is known about the peer. So two numbers matter:
//!
//! - **The common case**: a whole head in one input. It is most of what a request costs the proxy in user time.
//! - **The worst case**: the same head one byte at a time, and a body in tiny chunks. It may cost more, but only in
//!   proportion to its bytes. A reader that searched its buffer anew for each byte would be quadratic: a cheap attack.
//!
//! Compare rates (bytes per second) between a good and a bad case, not the times of different heads.

mod common;

use common::{ANSWER, BROWSER_GET, SMALL_GET};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use socket_patterns::{
    buf::Output,
    http::{
        BodyLength, BodyWriter, Fields, Limits, Method, RequestEvent, RequestReader, ResponseEvent, ResponseReader,
    },
};
use std::hint::black_box;

/// A page, or a piece of a download: as much content as in each of the benches with bodies.
const CONTENT: usize = 64 * 1024;

/// Reads all of `wire`, as a server does that hears it at once. How many requests ended in it.
fn hear_requests(reader: &mut RequestReader, wire: &[u8], limits: &Limits) -> usize {
    let mut input = wire;
    let mut ended = 0;
    while let Some(event) = reader.next(&mut input, limits).expect("the wire is valid") {
        ended += usize::from(matches!(black_box(event), RequestEvent::End(_)));
    }
    ended
}

/// Reads the one response in `wire`. How many bytes of content it had.
fn hear_response(reader: &mut ResponseReader, wire: &[u8], limits: &Limits) -> usize {
    reader.expect(&Method::Get);
    let mut input = wire;
    let mut content = 0;
    while let Some(event) = reader.next(&mut input, limits).expect("the wire is valid") {
        if let ResponseEvent::Data(data) = black_box(event) {
            content += data.len();
        }
    }
    content
}

fn heads(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("request head");
    for (name, wire) in [("small", SMALL_GET), ("browser", BROWSER_GET)] {
        let mut reader = RequestReader::new();
        assert_eq!(hear_requests(&mut reader, wire, &limits), 1);
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| hear_requests(&mut reader, black_box(wire), &limits)));
    }
    let mut reader = RequestReader::new();
    group.throughput(Throughput::Bytes(BROWSER_GET.len() as u64));
    group.bench_function("browser, a byte at a time", |bencher| {
        bencher.iter(|| {
            let bytes = black_box(BROWSER_GET).chunks(1);
            bytes.map(|byte| hear_requests(&mut reader, byte, &limits)).sum::<usize>()
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("response head");
    let mut reader = ResponseReader::new();
    assert_eq!(hear_response(&mut reader, ANSWER, &limits), 13);
    group.throughput(Throughput::Bytes(ANSWER.len() as u64));
    group.bench_function("7 fields", |bencher| {
        bencher.iter(|| hear_response(&mut reader, black_box(ANSWER), &limits));
    });
    group.finish();
}

/// A chunked response with [`CONTENT`] in chunks of one size.
fn chunked(size: usize) -> Vec<u8> {
    let mut wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..CONTENT / size {
        wire.extend_from_slice(format!("{size:x}\r\n").as_bytes());
        wire.resize(wire.len() + size, b'x');
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

/// Content is handed on as slices of the input, so the cost is one of chunks, not of bytes.
fn decoding(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("chunked decoding of 64 KiB");
    group.throughput(Throughput::Bytes(CONTENT as u64));
    for (name, size) in [("chunks of 16 bytes", 16), ("chunks of 16 KiB", 16 * 1024)] {
        let wire = chunked(size);
        let mut reader = ResponseReader::new();
        assert_eq!(hear_response(&mut reader, &wire, &limits), CONTENT);
        group.bench_function(name, |bencher| bencher.iter(|| hear_response(&mut reader, black_box(&wire), &limits)));
    }
    group.finish();
}

/// The other way round, into a queue of output. Here the bytes are copied, so their number counts.
fn writing(criterion: &mut Criterion) {
    let content = vec![b'x'; CONTENT];
    let none = Fields::new();
    let mut group = criterion.benchmark_group("body writer, 64 KiB");
    group.throughput(Throughput::Bytes(CONTENT as u64));
    for (name, length, piece) in [
        ("chunked, pieces of 64 bytes", BodyLength::Chunked, 64),
        ("chunked, pieces of 16 KiB", BodyLength::Chunked, 16 * 1024),
        ("exact, pieces of 16 KiB", BodyLength::Exact(CONTENT as u64), 16 * 1024),
    ] {
        let mut output = Output::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut writer = BodyWriter::of(length);
                for piece in black_box(&content).chunks(piece) {
                    writer.data(&mut output, piece).expect("as much as declared");
                }
                writer.end(&mut output, &none).expect("as much as declared");
                let written = output.len();
                output.clear();
                written
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = common::quick(); targets = heads, decoding, writing }
criterion_main!(benches);
