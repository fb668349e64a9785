//! Tests of purging by the operator, and of the numbers about the cache.

use crate::{
    get, get_with,
    origin::{World, body, response},
    support::{
        milestones::{Milestone, from_milestone4},
        raw::{Backend, Conn},
        wire::Message,
    },
};
use serde_json::Value;

from_milestone4! {
    over_http2 {
        parts_have_the_tags_of_the_newest,
        a_purge_of_many_is_done_in_steps,
        purging_is_for_the_operator_only,
        a_purge_that_is_not_understood_purges_nothing,
        without_a_cache_there_is_nothing_to_purge,
        the_numbers_of_the_cache_add_up,
    }
    for_reverse_proxies "they ask for hosts by name, and to a forward proxy a name is one that resolves" {
        over_http2 {
            purging_takes_out_what_matches_and_nothing_else,
            a_dry_run_names_what_would_go,
            a_purge_reaches_matching_responses_on_their_way,
        }
    }
}

const FLAGS: &[&str] = &["--admin", "127.0.0.1:0", "--workers", "2"];

fn purge(world: &World, method: &str, query: &str, lines: &str) -> Message {
    let request = format!("{method} /purge?{query} HTTP/1.1\r\nHost: admin\r\n{lines}\r\n");
    Conn::open(world.proxy.admin()).ask(&request)
}

fn json(answer: &Message) -> Value {
    assert_eq!((answer.status(), answer.field("content-type")), (200, Some("application/json")), "{answer:?}");
    serde_json::from_slice(&answer.body).expect("it is JSON")
}

/// Asks for it twice, so that it is stored and has answered.
fn store(world: &World, target: &str, lines: &str) {
    world.say(target, response(200, &format!("Cache-Control: max-age=1000\r\n{lines}"), "old"));
    world.say(target, response(200, "Cache-Control: no-store\r\n", "new"));
    (0..2).for_each(|_| assert_eq!(body(&world.get(target)), "old"));
}

const TARGETS: &[(&str, &str)] = &[
    ("/news", "Surrogate-Key: news front\r\n"),
    ("/news/1", "Surrogate-Key: news\r\n"),
    ("/news/1?page=2", "Cache-Tag: news,page\r\n"),
    ("/newspaper", ""),
    ("/other", "Cache-Tag: newspaper\r\nCache-Tag: front\r\n"),
];

fn purging_takes_out_what_matches_and_nothing_else(milestone: &Milestone) {
    for (query, gone) in [
        ("url=http://test/news/1", &["/news/1"][..]),
        ("url=http://test/news/1%3Fpage%3D2", &["/news/1?page=2"]),
        ("url=/news/1?page=2", &["/news/1?page=2"]),
        ("url=http://elsewhere/news/1", &[]),
        ("url=/News", &[]),
        ("prefix=/news/", &["/news/1", "/news/1?page=2"]),
        ("prefix=http://test/news", &["/news", "/news/1", "/news/1?page=2", "/newspaper"]),
        ("prefix=http://elsewhere/", &[]),
        ("tag=news", &["/news", "/news/1", "/news/1?page=2"]),
        ("tag=front", &["/news", "/other"]),
        ("tag=NEWS", &[]),
        ("all", &["/news", "/news/1", "/news/1?page=2", "/newspaper", "/other"]),
    ] {
        let query = &milestone.in_its_scheme(query);
        let world = World::new(milestone, FLAGS);
        TARGETS.iter().for_each(|(target, lines)| store(&world, target, lines));
        let answer = json(&purge(&world, "POST", query, ""));
        assert_eq!(
            (&answer["entries"], &answer["dry_run"]),
            (&Value::from(gone.len()), &Value::from(false)),
            "{query}"
        );
        for (target, _) in TARGETS {
            let expected = if gone.contains(target) { "new" } else { "old" };
            assert_eq!(body(&world.get(target)), expected, "{query}: {target}");
        }
        assert_eq!(json(&purge(&world, "POST", query, ""))["entries"], 0, "{query}: they went already");
    }
}

/// A whole that was put together has the newest one's fields (RFC 9111 §3.4), and goes by them.
fn parts_have_the_tags_of_the_newest(milestone: &Milestone) {
    let world = World::new(milestone, FLAGS);
    for (range, part, tag) in [("bytes 0-1/4", "ab", "one"), ("bytes 2-3/4", "cd", "two")] {
        let lines =
            format!("Cache-Control: max-age=100\r\nETag: \"a\"\r\nContent-Range: {range}\r\nCache-Tag: {tag}\r\n");
        world.say("/a", response(206, &lines, part));
        let asked = range.replace(' ', "=").replace("/4", "");
        assert_eq!(body(&world.ask("GET", "/a", &format!("Range: {asked}\r\n"))), part);
    }
    assert_eq!(body(&world.get("/a")), "abcd");
    for (tag, entries) in [("one", 0), ("two", 1)] {
        assert_eq!(json(&purge(&world, "POST", &format!("tag={tag}"), ""))["entries"], entries, "{tag}");
    }
}

fn a_dry_run_names_what_would_go(milestone: &Milestone) {
    let world = World::new(milestone, FLAGS);
    (0..120).for_each(|n| store(&world, &format!("/{n}"), "Cache-Tag: all\r\n"));
    // Two variants of one URL.
    for language in ["en", "de"] {
        world.say("/v", response(200, "Cache-Control: max-age=1000\r\nVary: Accept-Language\r\n", language));
        world.ask("GET", "/v", &format!("Accept-Language: {language}\r\n"));
    }
    for (method, query) in [("GET", "tag=all"), ("POST", "tag=all&dry-run"), ("POST", "dry-run&tag=all")] {
        let answer = json(&purge(&world, method, query, ""));
        assert_eq!(
            (&answer["dry_run"], &answer["entries"]),
            (&Value::from(true), &Value::from(120)),
            "{method} {query}"
        );
        let urls = answer["urls"].as_array().unwrap();
        assert_eq!((urls.len(), &answer["not_listed"]), (100, &Value::from(20)));
        assert!(
            urls.iter()
                .all(|url| url.as_str().is_some_and(|url| url.starts_with(&milestone.in_its_scheme("http://test/"))))
        );
        assert!(answer["bytes"].as_u64().unwrap() > 120 * 100, "{answer}");
    }
    let variants = milestone.in_its_scheme("url=http://test/v");
    assert_eq!(json(&purge(&world, "GET", &variants, ""))["entries"], 2);
    assert_eq!(body(&world.get("/7")), "old");
    assert_eq!(json(&purge(&world, "POST", &variants, ""))["entries"], 2);
    assert_eq!(json(&purge(&world, "POST", "all", ""))["entries"], 120);
}

/// A purge of many is done in steps, between which clients are served, and answers when all of it is done.
fn a_purge_of_many_is_done_in_steps(milestone: &Milestone) {
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=1000\r\nContent-Length: 1\r\n\r\nx";
    let backend = Backend::answering(head);
    let proxy = milestone.start(&[&backend], &["--admin", "127.0.0.1:0", "--workers", "1", "--log-level", "info"]);
    let mut client = Conn::open(proxy.address());
    const MANY: usize = 3000;
    for from in (0..MANY).step_by(50) {
        client.send((from..from + 50).map(|n| get(&format!("/{n}"))).collect::<String>());
        (0..50).for_each(|_| assert_eq!(client.response("GET").body, b"x"));
    }
    let mut operator = Conn::open(proxy.admin());
    // The end of what the operator sends does not end the purge.
    operator.send("POST /purge?all HTTP/1.1\r\nHost: admin\r\n\r\n");
    operator.finish();
    while operator.is_quiet() {
        assert_eq!(client.ask(&get("/elsewhere")).status(), 200);
    }
    let answer = json(&operator.response("POST"));
    // Entries that were stored again meanwhile may have gone again.
    assert!(answer["entries"].as_u64() >= Some(MANY as u64), "{answer}");
    operator.expect_end();
}

fn purging_is_for_the_operator_only(milestone: &Milestone) {
    let world = World::new(milestone, FLAGS);
    store(&world, "/a", "");
    world.say("/purge?all", response(200, "", "the backend's"));
    assert_eq!(body(&world.ask("POST", "/purge?all", "Content-Length: 0\r\n")), "the backend's");
    assert_eq!(purge(&world, "POST", "all", "Origin: http://evil.example\r\n").status(), 403);
    assert_eq!(body(&world.get("/a")), "old");
}

fn a_purge_that_is_not_understood_purges_nothing(milestone: &Milestone) {
    let world = World::new(milestone, FLAGS);
    store(&world, "/a", "");
    for query in
        ["", "dry-run", "url=/a?b&all", "all=yes", "all&tag=x", "url=a", "prefix=", "tag=", "prefix=%zz", "x=1"]
    {
        let answer = purge(&world, "POST", query, "");
        assert_eq!(answer.status(), 400, "{query}");
        assert!(body(&answer).contains("/purge?url=URL"), "{query}: {answer:?}");
    }
    for method in ["PUT", "DELETE", "PURGE"] {
        let answer = purge(&world, method, "all", "");
        assert_eq!((answer.status(), answer.field("allow")), (405, Some("GET, HEAD, POST")), "{method}");
    }
    assert_eq!(purge(&world, "HEAD", "all", "").status(), 200);
    assert_eq!(body(&world.get("/a")), "old");
}

fn without_a_cache_there_is_nothing_to_purge(milestone: &Milestone) {
    let world = World::new(milestone, &[FLAGS, &["--cache-size", "0"]].concat());
    let answer = purge(&world, "POST", "all", "");
    assert_eq!((answer.status(), body(&answer).contains("--cache-size")), (404, true));
    assert_eq!(world.proxy.stats()["cache"], Value::Null);
}

/// A response that was begun before it was declared untrue goes to its client, and to no other.
fn a_purge_reaches_matching_responses_on_their_way(milestone: &Milestone) {
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=1000\r\nCache-Tag: t\r\nContent-Length: 4\r\n\r\n";
    for (query, gone) in [
        ("url=http://test/a", true),
        ("url=/a", true),
        ("prefix=/", true),
        ("tag=t", true),
        ("all", true),
        ("POST", true),
        ("url=http://test/b", false),
        ("prefix=/b", false),
        ("tag=u", false),
        ("all&dry-run", false),
    ] {
        let query = &milestone.in_its_scheme(query);
        let (backend, incoming) = Backend::by_hand();
        let flags = ["--admin", "127.0.0.1:0", "--workers", "1"];
        let proxy = milestone.start(&[&backend], &[&flags, milestone.forgiving()].concat());
        let mut first = Conn::open(proxy.address());
        first.send(get("/a"));
        let mut server = incoming.accept();
        server.request().unwrap();
        server.send(format!("{head}ol"));
        first.read_until("\r\n\r\nol");
        if query == "POST" {
            let mut other = Conn::open(proxy.address());
            other.send("POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
            let mut server = incoming.accept();
            server.request().unwrap();
            server.send("HTTP/1.1 204 X\r\nConnection: close\r\n\r\n");
            assert_eq!(other.response("POST").status(), 204);
        } else {
            let purge = format!("POST /purge?{query} HTTP/1.1\r\nHost: admin\r\n\r\n");
            assert_eq!(json(&Conn::open(proxy.admin()).ask(&purge))["entries"], 0, "{query}");
        }
        server.send("d!");
        assert_eq!(first.read(2), b"d!", "{query}");
        let mut second = Conn::open(proxy.address());
        second.send(get("/a"));
        if gone {
            server.request().unwrap_or_else(|end| panic!("{query}: {end:?} instead of a request"));
            server.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew");
        }
        assert_eq!(body(&second.response("GET")), if gone { "new" } else { "old!" }, "{query}");
    }
}

fn the_numbers_of_the_cache_add_up(milestone: &Milestone) {
    let world = World::new(milestone, FLAGS);
    store(&world, "/a", "");
    store(&world, "/b", "Cache-Tag: t\r\n");
    let unchanged = "HTTP/1.1 304 X\r\nETag: \"v\"\r\nCache-Control: max-age=1000\r\n\r\n";
    world.say("/c", response(200, "Cache-Control: max-age=5\r\nAge: 9\r\nETag: \"v\"\r\n", "c"));
    world.say("/c", unchanged);
    (0..3).for_each(|_| assert_eq!(body(&world.get("/c")), "c"));
    world.say("/d", response(200, "Cache-Control: max-age=5\r\nAge: 9\r\nETag: \"d\"\r\n", "d"));
    world.get("/d");
    assert_eq!(body(&world.ask("GET", "/d", "Cache-Control: max-stale\r\n")), "d");
    world.say("/e", response(200, "Vary: Accept\r\nCache-Control: max-age=1000\r\n", "e"));
    world.say("/e", response(200, "Cache-Control: no-store\r\n", "e"));
    world.get("/e");
    Conn::open(world.proxy.address()).ask(&get_with("/e", "Accept: x\r\n"));
    world.say("/a", response(200, "", ""));
    world.ask("POST", "/a", "Content-Length: 0\r\n");
    store(&world, "/f", "");
    world.ask("GET", "/f", "Cache-Control: no-cache\r\n");
    let before = &world.proxy.stats()["cache"];
    json(&purge(&world, "POST", "tag=t", ""));
    let stats = &world.proxy.stats()["cache"];
    for (path, expected) in [
        // `/a`, `/b`, `/c` and `/f` were hit once each, `/d` stale. The last answer for `/f` was not to be stored, and
        // shows that the stored one is old.
        ("/hits", 5),
        ("/stale_served", 1),
        ("/forwarded/uri-miss", 6),
        ("/forwarded/vary-miss", 1),
        ("/forwarded/stale", 1),
        ("/forwarded/request", 1),
        ("/forwarded/method", 1),
        ("/forwarded/bypass", 0),
        ("/revalidated", 1),
        ("/invalidated", 1),
        ("/purged", 1),
        ("/evicted", 0),
        ("/collapsed", 0),
        ("/entries", 3),
    ] {
        assert_eq!(stats.pointer(path).and_then(Value::as_u64), Some(expected), "{path}: {stats:#}");
    }
    assert!(
        stats["bytes"].as_u64() < before["bytes"].as_u64() && stats["bytes"].as_u64() > Some(0),
        "{before} {stats}"
    );
}
