//! Tests of each backend's share of the requests.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone2},
        process::Process,
        raw::{Backend, Conn, LOOPBACK_IS_A_NETWORK},
    },
};
use predicates::{prelude::*, str::contains};
use std::{collections::BTreeSet, net::Ipv4Addr};

from_milestone2! {
    over_http2 {
        round_robin_is_even,
        weights_are_kept_to_the_request,
        least_connections_avoids_the_busy_one,
        power_of_two_avoids_the_busy_one,
        ip_hash_keeps_a_client_with_its_backend,
        ip_hash_goes_by_the_client_behind_a_trusted_proxy,
    }
    in_plain "clients have no part in it" {
        wrong_flags_exit_with_2,
    }
}

fn three() -> [Backend; 3] {
    ["a", "b", "c"].map(Backend::saying)
}

fn counts(backends: &[Backend]) -> Vec<usize> {
    backends.iter().map(|backend| backend.requests().len()).collect()
}

fn ask(proxy: &Process, n: usize) {
    let mut client = Conn::open(proxy.address());
    (0..n).for_each(|_| assert_eq!(client.ask(&get("/")).status(), 200));
}

fn round_robin_is_even(milestone: &Milestone) {
    let backends = three();
    let proxy = milestone.start(&[&backends[0], &backends[1], &backends[2]], &["--workers", "1"]);
    ask(&proxy, 60);
    assert_eq!(counts(&backends), [20, 20, 20]);
    // One after the other, whichever connection the requests come on.
    (0..30).for_each(|_| ask(&proxy, 1));
    assert_eq!(counts(&backends), [30, 30, 30]);
}

fn weights_are_kept_to_the_request(milestone: &Milestone) {
    let backends = three();
    let specs: Vec<String> =
        backends.iter().zip(1..).map(|(backend, weight)| format!("{},weight={weight}", backend.name())).collect();
    let flags = ["--workers", "1", "--no-health", "--algorithm", "weighted-round-robin"];
    let proxy = milestone.start_before(&specs.iter().map(String::as_str).collect::<Vec<_>>(), &flags);
    ask(&proxy, 60);
    assert_eq!(counts(&backends), [10, 20, 30]);
    // Smoothly: no six in a row are without the lightest.
    ask(&proxy, 6);
    assert_eq!(counts(&backends), [11, 22, 33]);
}

/// While one backend has a request, all others go to the other one.
fn avoids_the_busy_one(milestone: &Milestone, algorithm: &str) {
    let (busy, incoming) = Backend::by_hand();
    let (other, others) = Backend::by_hand();
    let flags = ["--workers", "1", "--algorithm", algorithm];
    let proxy = milestone.start(&[&busy, &other], &flags);
    let mut held = Conn::open(proxy.address());
    held.send(get("/held"));
    // Either may have it.
    crate::support::process::wait_until("it to arrive", || busy.connections() + other.connections() == 1);
    let (incoming, others) = if busy.connections() == 1 { (incoming, others) } else { (others, incoming) };
    let mut holder = incoming.accept();
    holder.read_head();
    for n in 0..10 {
        let mut client = Conn::open(proxy.address());
        client.send(get("/"));
        let mut free = others.accept();
        free.read_head();
        free.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_eq!(client.response("GET").status(), 200, "request {n}");
    }
    assert!(incoming.is_empty());
    holder.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld");
    assert_eq!(held.response("GET").body, b"held");
}

fn least_connections_avoids_the_busy_one(milestone: &Milestone) {
    avoids_the_busy_one(milestone, "least-connections");
}

fn power_of_two_avoids_the_busy_one(milestone: &Milestone) {
    // Of two backends, the two choices are both.
    avoids_the_busy_one(milestone, "power-of-two");
}

fn ip_hash_keeps_a_client_with_its_backend(milestone: &Milestone) {
    if !LOOPBACK_IS_A_NETWORK {
        return;
    }
    let backends = three();
    let flags = ["--workers", "2", "--algorithm", "ip-hash"];
    let proxy = milestone.start(&[&backends[0], &backends[1], &backends[2]], &flags);
    let mut chosen = BTreeSet::new();
    for last in 1..=30 {
        let from = Ipv4Addr::new(127, 0, 0, last);
        // Over several connections, and whichever worker they come to.
        let answers: BTreeSet<Vec<u8>> =
            (0..4).map(|_| Conn::open_from(from, proxy.address()).ask(&get("/")).body).collect();
        assert_eq!(answers.len(), 1, "{from} was moved");
        chosen.extend(answers);
    }
    assert_eq!(chosen.len(), 3, "thirty clients on {} backends", chosen.len());
}

fn ip_hash_goes_by_the_client_behind_a_trusted_proxy(milestone: &Milestone) {
    let ask = |proxy: &Process, client: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {client}\r\n\r\n");
        Conn::open(proxy.address()).ask(&head).body
    };
    let backends = three();
    let flags = ["--workers", "2", "--algorithm", "ip-hash"];
    let trusting = [&flags[..], &["--trusted-proxy", "127.0.0.0/8"]].concat();
    for (flags, reached) in [(&flags[..], 1), (&trusting, 3)] {
        let proxy = milestone.start(&[&backends[0], &backends[1], &backends[2]], flags);
        let mut chosen = BTreeSet::new();
        for last in 1..=30 {
            let client = format!("203.0.113.{last}");
            let answers: BTreeSet<Vec<u8>> = (0..3).map(|_| ask(&proxy, &client)).collect();
            assert_eq!(answers.len(), 1, "{client} was moved");
            chosen.extend(answers);
        }
        // Of a stranger, all that it names are itself.
        assert_eq!(chosen.len(), reached, "{flags:?}");
    }
}

fn wrong_flags_exit_with_2(milestone: &Milestone) {
    for flags in [
        &["--algorithm", "random-walk"][..],
        &["--retries", "11"],
        &["--retry-backoff", "25"],
        &["--health-path", "health"],
        &["--health-interval", "0s"],
        &["--health-status", "fine"],
        &["--fail-after", "0"],
        &["--recover-after", "0"],
        &["--breaker-open", "0s"],
        &["--breaker-successes", "0"],
    ] {
        milestone.run(flags).code(2).stderr(contains(flags[0]).and(contains(flags[1])));
    }
}
