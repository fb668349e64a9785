//! TLS to the store that proxies share: to a real Redis, and to one that is not the one that was meant.

use crate::{
    PLAIN, Stage,
    support::{
        process::wait_until,
        raw::{Backend, Conn},
        redis::RedisServer,
        tls::{Signer, Site, Special, authority, text},
        tls_backend::{TlsBackend, config},
    },
    upstream,
};
use std::{fs, net::SocketAddr};

const REQUEST: &str = "GET /up HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// A Redis with TLS on one port and without on another one.
struct Store {
    redis: RedisServer,
    secure: SocketAddr,
    /// Its certificate, and beside it those of two authorities.
    site: Site,
}

impl Store {
    /// `names`: of its certificate, or its address. `clients`: it asks for theirs.
    fn start(names: &[&str], special: Special, clients: &str) -> Option<Self> {
        let (redis, secure, site) = RedisServer::start_secured(names, special, clients)?;
        Some(Self { redis, secure, site })
    }

    /// Connections that it has taken.
    fn connections(&self) -> u64 {
        let info = self.redis.ask("INFO stats");
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
        line.trim().parse().unwrap()
    }

    /// A proxy that shares its limits there, and what it stores. `ca`: the authority that it believes.
    fn proxy(&self, ca: &str, more: [&str; 2], backend: &Backend) -> Stage {
        let store = |more: &str| {
            format!("store = \"rediss://{}\"\nstore-ca = \"{}\"\n{more}", self.secure, text(&self.site.path(ca)))
        };
        let cache = format!("{}\nstore-timeout = \"10s\"\n", store(more[1]));
        proxy(&store(more[0]), &cache, backend)
    }
}

fn proxy(store: &str, cache: &str, backend: &Backend) -> Stage {
    let config = format!(
        "workers = 1\n{store}\n{PLAIN}[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n\
         [cache]\n{cache}\n\
         [[site]]\nhosts = [\"a.test\"]\nupstream = \"b\"\nrate-limit = {{ rate = \"10000/s\", key = \"site\" }}\n{}",
        upstream("b", &backend.name())
    );
    Stage::new(&config, 1)
}

/// Whether limits are shared, and whether responses are.
fn are_up(stage: &Stage) -> (bool, bool) {
    // The first request has the time asked for.
    Conn::open(stage.proxy.address()).ask(REQUEST);
    let stats = stage.proxy.stats();
    (stats["limits"]["store"] == "up", stats["cache"]["second_level"]["up"] == true)
}

fn storable(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

#[test]
fn limits_and_responses_are_shared_over_tls() {
    let Some(mut store) = Store::start(&[], Special::default(), "no") else { return };
    let backend = Backend::answering(storable(&"x".repeat(300_000)));
    let one = store.proxy("ours.pem", [""; 2], &backend);
    let up = |stage: &Stage| wait_until("both to be up", || are_up(stage) == (true, true));
    up(&one);
    assert_eq!(one.get("a.test", "/page").body.len(), 300_000);
    wait_until("it to be in the store", || one.proxy.stats()["cache"]["second_level"]["writes"]["done"] == 1);
    // More records than one, in one answer.
    let other = store.proxy("ours.pem", [""; 2], &backend);
    up(&other);
    let answer = other.get("a.test", "/page");
    assert_eq!(answer.body.len(), 300_000);
    assert!(
        answer.field("cache-status").unwrap().ends_with("detail=second-level"),
        "{:?}",
        answer.field("cache-status")
    );
    assert!(one.proxy.stderr().contains(&format!("rediss://{} answers", store.secure)));
    store.redis.kill();
    one.wait_for("; this proxy lets in its own part of each limit", 1);
    one.wait_for("; servers are asked for what is not stored here", 1);
    store.redis.start_again();
    one.wait_for(" is back", 2);
    up(&one);
}

#[test]
fn a_store_that_is_not_the_one_meant_gets_no_word_and_is_told_of_once() {
    let backend = Backend::answering(storable("x"));
    let old = Special { signer: Signer::Stranger, ..Special::default() };
    for (names, special, ca, reason) in [
        (&["b.test"][..], Special::default(), "ours.pem", "certificate is for other names"),
        (&[], Special::default(), "others.pem", "certificate"),
        (&[], old, "ours.pem", "certificate"),
    ] {
        let Some(store) = Store::start(names, special, "no") else { return };
        let before = store.connections();
        let stage = store.proxy(ca, [""; 2], &backend);
        let line = format!("rediss://{}: {reason}", store.secure);
        stage.wait_for(&line, 2);
        // Each of both tries again, and again.
        wait_until("more tries", || store.connections() > before + 20);
        assert_eq!(stage.proxy.stderr().matches(&line).count(), 2, "{}", stage.proxy.stderr());
        assert_eq!(are_up(&stage), (false, false));
        assert_eq!(store.redis.ask("DBSIZE"), ":0\r\n", "nothing was put there");
        assert_eq!(stage.get("a.test", "/").status(), 200, "it goes on alone");
    }
}

#[test]
fn a_store_without_tls_is_none_with_it() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let backend = Backend::saying("x");
    let site = Site::new(&[]);
    fs::write(site.path("ours.pem"), authority()).unwrap();
    let store = format!("store = \"rediss://{}\"\nstore-ca = \"{}\"\n", redis.address(), text(&site.path("ours.pem")));
    let stage = proxy(&store, "", &backend);
    stage.wait_for("; this proxy lets in its own part of each limit", 1);
    assert_eq!(are_up(&stage), (false, false));
    assert_eq!(redis.ask("DBSIZE"), ":0\r\n");
}

#[test]
fn a_store_that_asks_for_a_certificate_gets_one() {
    let Some(store) = Store::start(&[], Special::default(), "yes") else { return };
    let backend = Backend::saying("x");
    let own = Site::new(&["proxy.test"]);
    let shown = format!("store-certificate = \"{}\"\nstore-key = \"{}\"\n", text(&own.certificate), text(&own.key));
    // Only one of both has something to show.
    let stage = store.proxy("ours.pem", [&shown, ""], &backend);
    stage.wait_for("TLS alert certificate_required; servers are asked", 1);
    wait_until("the limits to be shared", || are_up(&stage) == (true, false));
}

/// The name of the store is told in the handshake, as one that has several certificates needs it.
#[test]
fn the_name_of_the_store_is_the_one_that_is_asked_for() {
    let (store, backend) = (TlsBackend::start(config(&["localhost"], Special::default()), drop), Backend::saying("x"));
    let site = Site::new(&[]);
    fs::write(site.path("ours.pem"), authority()).unwrap();
    let port = store.address.port();
    let keys = format!("store = \"rediss://localhost:{port}\"\nstore-ca = \"{}\"\n", text(&site.path("ours.pem")));
    let stage = proxy(&keys, "", &backend);
    stage.wait_for(&format!("rediss://localhost:{port}: "), 1);
    let handshakes = store.handshakes();
    assert_eq!(handshakes[0].name.as_deref(), Some("localhost"));
    assert_eq!(handshakes[0].alpn, None, "Redis speaks one protocol");
}
