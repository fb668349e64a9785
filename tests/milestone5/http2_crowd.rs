//! A thousand streams on ten connections, with cancels, stalls and backends that die: each stream gets its own answer or a visible
//! break, and in the end the books balance.

use crate::{
    Stage,
    support::{http2::Client, process::wait_until, raw::Backend, raw::in_parallel},
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use serde_json::Value;
use std::collections::BTreeMap;

const CONNECTIONS: usize = 10;
const STREAMS: usize = 100;

/// The content for a stream: its own path, as often as that takes.
fn content(path: &str, length: usize) -> Vec<u8> {
    format!("{path} ").bytes().cycle().take(length).collect()
}

/// A backend whose paths say how long the answer is, and whether it breaks off: `/17/9000/whole`.
fn backend() -> Backend {
    Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let target = request.head.as_ref().unwrap().target().to_owned();
            let parts: Vec<&str> = target.split('/').collect();
            let length: usize = parts[2].parse().unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: {length}\r\n\r\n");
            let body = content(&target, length);
            let whole = parts[3] == "whole";
            let sent = if whole { length } else { length / 2 };
            if served.conn.try_send([head.as_bytes(), &body[..sent]].concat()).is_err() {
                return;
            }
            if !whole {
                return served.conn.reset();
            }
        }
    })
}

fn one_connection(stage: &Stage, number: usize) {
    let mut random = SmallRng::seed_from_u64(number as u64);
    let over_tls = number.is_multiple_of(2);
    let mut client = if over_tls {
        Client::over_tls(stage.proxy.tls_address(), "test")
    } else {
        Client::plain(stage.proxy.address())
    };
    let mut asked = BTreeMap::new();
    for stream in 0..STREAMS {
        let length = random.random_range(0..60_000);
        let whole = random.random_range(0..10) > 0;
        let path = format!("/{number}-{stream}/{length}/{}", if whole { "whole" } else { "half" });
        let posts = random.random_range(0..4) == 0;
        let id = client.begin(if posts { "POST" } else { "GET" }, &path, &[], !posts);
        if posts {
            client.send(id, &vec![b'x'; random.random_range(0..20_000)], true);
        }
        asked.insert(id, (path, length, whole));
        client.flush();
        if random.random_range(0..5) == 0 {
            client.reset(id);
            asked.remove(&id);
        }
    }
    for (stream, (path, length, whole)) in asked {
        let told = client.answer(stream);
        assert_eq!(client.ended, None, "connection {number} ended: {:?}", client.goaway);
        // One that breaks off before its head is 502.
        if told.status == 200 {
            assert!(content(&path, length).starts_with(&told.body), "{path} got the bytes of another");
            assert_eq!(told.ended, told.body.len() == length, "{path}");
        }
        assert!(told.is_over() && (!whole || told.ended), "{path}: {} {:?}", told.status, told.reset);
    }
}

#[test]
fn a_thousand_streams_get_their_own_answers_and_the_books_balance() {
    let flags = ["--admin", "127.0.0.1:0", "--breaker-failures", "0", "--retries", "0", "--pool-max", "200"];
    let stage = Stage::before(backend(), &flags);
    in_parallel(CONNECTIONS, |number| one_connection(&stage, number));
    wait_until("the books to balance", || {
        let stats = stage.proxy.stats();
        let number = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap();
        let requests = number("/requests/total");
        requests == (CONNECTIONS * STREAMS) as u64
            && requests == number("/requests/responses") + number("/requests/aborted")
            && requests == number("/http2/streams")
            && number("/http2/connections") == CONNECTIONS as u64
            && number("/connections/open") == 0
            && number("/pool/busy") == 0
            && number("/pool/waiting") == 0
            && number("/backends/0/in_flight") == 0
    });
}
