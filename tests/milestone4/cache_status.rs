//! Tests of `Cache-Status`: how a response tells what the cache did (RFC 9211).

use crate::{
    origin::{World, all, response},
    support::milestones::{Milestone, from_milestone4},
};

from_milestone4! {
    over_http2 {
        errors_of_our_own_have_no_cache_status,
    }
    for_reverse_proxies "they ask for hosts by name, and to a forward proxy a name is one that resolves" {
        over_http2 {
            cache_status_tells_what_happened,
        }
    }
}

/// RFC 9211.
fn cache_status_tells_what_happened(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1", "--cache-status-key"]);
    let upstream = "Cache-Control: max-age=100\r\nAge: 10\r\nCache-Status: far; hit\r\n";
    world.say("/a?b\\c", response(200, upstream, "x"));
    world.say("/a?b\\c", response(200, "Cache-Control: no-store\r\n", "x"));
    let status = |answer: crate::support::wire::Message| all(&answer, "cache-status").join(", ");
    let scheme = milestone.scheme();
    let key = format!("key=\"{scheme}://test/a?b\\\\c\"");
    // §2: what others said stays in front.
    let first = status(world.get("/a?b\\c"));
    assert!(first.starts_with("far; hit, socket-patterns; fwd=uri-miss; fwd-status=200; stored;"), "{first}");
    let hit = status(world.get("/a?b\\c"));
    let ttl = hit
        .strip_prefix("far; hit, socket-patterns; hit; ttl=")
        .and_then(|rest| rest.strip_suffix(&format!("; {key}")));
    assert!(ttl.and_then(|ttl| ttl.parse::<i32>().ok()).is_some_and(|ttl| (60..=90).contains(&ttl)), "{hit}");
    let asked = status(world.ask("GET", "/a?b\\c", "Cache-Control: no-cache\r\n"));
    assert_eq!(asked, format!("socket-patterns; fwd=request; fwd-status=200; {key}"));
    // §2.2: the most specific reason.
    world.say("/c", response(200, "Cache-Control: max-age=10\r\nAge: 10\r\nETag: \"v\"\r\n", "x"));
    world.get("/c");
    let stale = status(world.ask("GET", "/c", "Cache-Control: no-cache\r\n"));
    assert_eq!(stale, format!("socket-patterns; fwd=stale; fwd-status=404; key=\"{scheme}://test/c\""));
    world.say("/b", response(200, "", "x"));
    let post = status(world.ask("POST", "/b", "Content-Length: 0\r\n"));
    assert_eq!(post, format!("socket-patterns; fwd=method; fwd-status=200; key=\"{scheme}://test/b\""));
}

/// RFC 9211 §2: SHOULD NOT.
fn errors_of_our_own_have_no_cache_status(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1"]);
    world.say("/a", "");
    let broken = world.get("/a");
    assert_eq!((broken.status(), broken.field("cache-status")), (502, None));
}
