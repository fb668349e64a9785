//! No client grows without bound, and neither do the keys.

use super::{
    drivers,
    resp::{Client, Value, encode},
    store,
};
use crate::support::process::wait_until;

fn number(client: &mut Client, field: &str) -> u64 {
    let (Value::Bulk(text) | Value::Verbatim(text)) = client.say("INFO") else { panic!("INFO is a text") };
    let lines = text.split("\\r\\n");
    lines.filter_map(|line| line.strip_prefix(&format!("{field}:"))).next().unwrap().parse().unwrap()
}

#[test]
fn memory_stays_below_its_limit_while_keys_go() {
    const LIMIT: u64 = 8 << 20;
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl"] {
        let store = store(&["--in-memory", "--maxmemory", "8m", "--maxmemory-policy", policy]);
        let mut client = Client::tcp(store.address());
        let value = "x".repeat(1000);
        for round in 0..30 {
            let commands: Vec<u8> = (0..500)
                .flat_map(|n| encode(&["SET", &format!("{round}-{n}"), &value, "EX", &format!("{}", 1000 + n)]))
                .collect();
            client.send_raw(&commands);
            for _ in 0..500 {
                assert_eq!(client.read(), Value::Simple("OK".to_owned()));
            }
            // The last change is not counted before the next command.
            assert!(number(&mut client, "used_memory") <= LIMIT + 2000);
        }
        assert!(number(&mut client, "evicted_keys") > 1000, "{policy}");
        assert!(store.peak_memory() < 32 * 1024, "{policy}: {} KiB", store.peak_memory());
    }
    let store = store(&["--in-memory", "--maxmemory", "100k"]);
    let mut client = Client::tcp(store.address());
    let refused = (0..200).find_map(|n| match client.say(&format!("SET k{n} {}", "x".repeat(1000))) {
        Value::Error(text) => Some(text),
        _ => None,
    });
    assert_eq!(refused.as_deref(), Some("OOM command not allowed when used memory > 'maxmemory'."));
    assert_eq!(client.say("DEL k0"), Value::Int(1), "what needs no memory is allowed");
    assert_eq!(client.say("STRLEN k1"), Value::Int(1000));
}

/// Commands wait as bytes, not as replies: what a client that does not read costs is what it has sent itself.
#[test]
fn a_client_that_does_not_read_costs_little_and_stops_no_one() {
    for driver in drivers() {
        let store = store(&[&["--in-memory"], &driver[..]].concat());
        let mut other = Client::tcp(store.address());
        other.say(&format!("SET large {}", "x".repeat(1_000_000)));
        let before = store.peak_memory();
        let mut deaf = Client::tcp(store.address());
        // 300 megabytes of replies.
        deaf.send_raw(&encode(&["GET", "large"]).repeat(300));
        for _ in 0..100 {
            assert_eq!(other.say("PING"), Value::Simple("PONG".to_owned()));
        }
        let more = store.peak_memory() - before;
        assert!(more < 40 * 1024, "{more} KiB more with {driver:?}");
        // It reads in the end, and has them all.
        for _ in 0..300 {
            assert!(matches!(deaf.read(), Value::Bulk(text) if text.len() == 1_000_000));
        }
    }
}

#[test]
fn a_subscriber_that_does_not_read_is_let_go() {
    let store = store(&["--in-memory"]);
    let mut other = Client::tcp(store.address());
    other.ask(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 8mb 0 0"]);
    let mut deaf = Client::tcp(store.address());
    deaf.say("SUBSCRIBE news");
    let text = "x".repeat(1_000_000);
    wait_until("the subscriber to go", || other.ask(&["PUBLISH", "news", &text]) == Value::Int(0));
    assert!(store.peak_memory() < 64 * 1024, "{} KiB", store.peak_memory());
}

#[test]
fn half_commands_are_bounded_and_broken_ones_end_the_connection() {
    let store = store(&["--in-memory"]);
    let mut admin = Client::tcp(store.address());
    assert_eq!(admin.say("CONFIG SET client-query-buffer-limit 1mb"), Value::Simple("OK".to_owned()));
    let before = store.peak_memory();
    // They promise half a gigabyte, and send little of it.
    let mut halves: Vec<Client> = (0..50).map(|_| Client::tcp(store.address())).collect();
    for half in &mut halves {
        half.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nxxxx");
        half.send_raw(b"*1000000\r\n");
    }
    assert_eq!(admin.say("PING"), Value::Simple("PONG".to_owned()));
    let more = store.peak_memory() - before;
    assert!(more < 8 * 1024, "{more} KiB more");
    let mut long = Client::tcp(store.address());
    long.send_raw(&[&b"*2\r\n$4\r\nECHO\r\n$2000000\r\n"[..], &vec![b'x'; 1_100_000]].concat());
    assert_eq!(long.try_read(), None, "beyond the limit of what has not come to its end");
    for (wire, expected) in [
        (&b"*1\r\n$536870913\r\n"[..], "ERR Protocol error: invalid bulk length"),
        (b"*2147483648\r\n", "ERR Protocol error: invalid multibulk length"),
        (b"*1\r\nGET\r\n", "ERR Protocol error: expected '$', got 'G'"),
        (b"\"\r\n", "ERR Protocol error: unbalanced quotes in request"),
    ] {
        let mut client = Client::tcp(store.address());
        client.send_raw(wire);
        assert_eq!(client.read(), Value::Error(expected.to_owned()));
        assert_eq!(client.try_read(), None);
    }
}

#[test]
fn clients_beyond_the_limit_are_told_so() {
    let store = store(&["--in-memory", "--max-clients", "3"]);
    let mut inside: Vec<Client> = (0..3).map(|_| Client::tcp(store.address())).collect();
    inside.iter_mut().for_each(|client| assert_eq!(client.say("PING"), Value::Simple("PONG".to_owned())));
    let mut outside = Client::tcp(store.address());
    assert_eq!(outside.read(), Value::Error("ERR max number of clients reached".to_owned()));
    drop(inside.pop());
    wait_until("room for one more", || {
        let mut client = Client::tcp(store.address());
        client.send(&["PING"]);
        client.try_read() == Some(Value::Simple("PONG".to_owned()))
    });
}

/// Each client waits for its own key, and behind that has a command that serves the next one.
#[test]
fn a_long_chain_of_clients_that_serve_each_other_is_no_deep_one() {
    const LINKS: usize = 1500;
    let store = store(&["--in-memory"]);
    let mut chain: Vec<Client> = (0..LINKS).map(|_| Client::tcp(store.address())).collect();
    for (number, client) in chain.iter_mut().enumerate() {
        client.send(&["PING"]);
        assert_eq!(client.read(), Value::Simple("PONG".to_owned()));
        let next = format!("k{}", number + 1);
        client.send_raw(&[encode(&["BLPOP", &format!("k{number}"), "0"]), encode(&["RPUSH", &next, "x"])].concat());
    }
    let mut other = Client::tcp(store.address());
    wait_until("all to wait", || number(&mut other, "blocked_clients") == LINKS as u64);
    other.say("RPUSH k0 x");
    for (number, client) in chain.iter_mut().enumerate() {
        assert!(matches!(client.read(), Value::Array(_)), "{number}");
        assert_eq!(client.read(), Value::Int(1), "{number}");
    }
    assert_eq!(other.say(&format!("LLEN k{LINKS}")), Value::Int(1));
}

/// Ten thousand clients that say nothing cost their sockets and little else, and the one that talks does not notice them.
#[test]
#[ignore = "it takes 20,000 descriptors: `make test-all` runs it"]
fn ten_thousand_idle_clients_cost_little() {
    let store = store(&["--in-memory", "--max-clients", "10100"]);
    let before = store.peak_memory();
    let mut idle: Vec<Client> = (0..10_000).map(|_| Client::tcp(store.address())).collect();
    for client in &mut idle {
        assert_eq!(client.say("PING"), Value::Simple("PONG".to_owned()));
    }
    let each = (store.peak_memory() - before) * 1024 / 10_000;
    assert!(each < 3000, "{each} bytes for each idle client");
    let mut other = Client::tcp(store.address());
    assert_eq!(other.say("SET a 1"), Value::Simple("OK".to_owned()));
    let descriptors = store.descriptors();
    drop(idle);
    wait_until("descriptors to be given back", || store.descriptors() < descriptors - 9_900);
}

/// Ten thousand clients come, with a transaction, channels or a wait, and go, some of them without a word: `make sessions`.
#[test]
#[ignore = "10,000 connections"]
fn ten_thousand_sessions_come_and_go() {
    let store = store(&["--in-memory"]);
    let mut other = Client::tcp(store.address());
    other.say("PING");
    let (empty, mut full) = (store.settled_descriptors(), 0);
    for round in 0..10 {
        let mut clients: Vec<Client> = (0..1000).map(|_| Client::tcp(store.address())).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.say(&format!("SET k{n} {round}"));
            client.say(&format!("WATCH k{n} mine"));
            match n % 4 {
                0 => drop(client.say(&format!("SUBSCRIBE news-{n}"))),
                1 => client.send(&["BLPOP", &format!("nothing-{n}"), "0"]),
                2 => drop((client.say("MULTI"), client.say("INCR k"))),
                _ => assert_eq!(client.say("QUIT"), Value::Simple("OK".to_owned())),
            }
        }
        drop(clients);
        wait_until("all to be gone", || store.descriptors() <= empty);
        if round == 0 {
            full = store.memory();
        }
    }
    let grown = store.memory().saturating_sub(full);
    assert!(grown < 2048, "{grown} KiB more than after the first thousand");
    assert_eq!((number(&mut other, "connected_clients"), number(&mut other, "blocked_clients")), (1, 0));
    assert_eq!(number(&mut other, "pubsub_channels"), 0);
}
