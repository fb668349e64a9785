//! How long a response is used that does not say so, and whose it may be (RFC 9111 §4.2.2, §7.3).

use crate::{
    origin::{World, all, body, field, response},
    rules::Second::{Asked, Hit},
    support::milestones::{Milestone, from_milestone4},
};

from_milestone4! {
    over_http2 {
        guesses_of_the_operator,
        a_guess_gives_nothing_of_one_client_to_another,
        a_guess_about_strangers_is_not_for_a_named_client,
    }
}

/// `--cache-default-ttl` is for those that say nothing.
fn guesses_of_the_operator(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1", "--cache-default-ttl", "60s"]);
    for (n, (status, said, second)) in [
        (200, "", Hit),
        (404, "", Hit),
        (302, "", Asked),
        (200, "Cache-Control: max-age=0\r\n", Asked),
        (200, "Expires: 0\r\n", Asked),
        (200, "Cache-Control: no-cache\r\n", Asked),
        (200, "Age: 61\r\n", Asked),
        (200, "Set-Cookie: a=b\r\n", Asked),
        (200, "Set-Cookie: a=b\r\nETag: \"a\"\r\n", Asked),
        (200, "Authentication-Info: rspauth=x\r\n", Asked),
        (200, "Vary: Cookie\r\n", Asked),
        (200, "Set-Cookie: a=b\r\nCache-Control: public\r\n", Hit),
        (200, "Set-Cookie: a=b\r\nCache-Control: max-age=60\r\n", Hit),
        (200, "Content-Disposition: attachment\r\n", Hit),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/{n}");
        world.say(&target, response(status, said, "first"));
        world.say(&target, response(200, "Cache-Control: no-store\r\n", "second"));
        world.get(&target);
        world.get(&target);
        assert_eq!(world.asked(&target), if second == Hit { 1 } else { 2 }, "{status} {said:?}");
    }
}

/// One client's page is not given to another only because the response does not forbid it: not by a guess, not by the
/// other client's wish for a stale response, not when the backend fails, and not with a 304 (RFC 9111 §4.2.2, §7.3).
fn a_guess_gives_nothing_of_one_client_to_another(milestone: &Milestone) {
    let flags = ["--workers", "1", "--cache-default-ttl", "60s", "--cache-stale-if-error", "60s"];
    let world = World::new(milestone, &flags);
    let said = [
        "Last-Modified: {-10000}\r\nSet-Cookie: sid=1\r\n",
        "Set-Cookie: sid=1\r\n",
        "ETag: \"a\"\r\nSet-Cookie: sid=1\r\n",
        "Cache-Control: stale-while-revalidate=60\r\nLast-Modified: {-10000}\r\nSet-Cookie: sid=1\r\n",
    ];
    let asked = ["", "Cache-Control: max-stale\r\n", "Cache-Control: stale-if-error=60\r\n"];
    for (n, said) in said.iter().enumerate() {
        for (m, asked) in asked.iter().enumerate() {
            let target = format!("/{n}/{m}");
            world.say(&target, response(200, said, "one"));
            assert_eq!(field(&world.get(&target), "set-cookie"), "sid=1");
            world.say(&target, response(503, "Cache-Control: no-store\r\n", "two"));
            let other = world.ask("GET", &target, asked);
            assert_eq!((body(&other), field(&other, "set-cookie")), ("two", "-"), "{said} {asked}");
        }
    }
}

/// A page that says nothing may be another one for a client with a session: that client's answer is not for others, and
/// theirs is not for it. A 304 tells.
fn a_guess_about_strangers_is_not_for_a_named_client(milestone: &Milestone) {
    const PAGE: &str = "Last-Modified: {-10000}\r\nETag: \"a\"\r\n";
    const NAMED: &str = "Cookie: sid=1\r\n";
    let world = World::new(milestone, &["--workers", "1"]);
    let not_modified = || response(304, PAGE, "");
    // The client with a session comes first: its response is validated for every client.
    world.say("/a", response(200, PAGE, "page"));
    world.say("/a", not_modified());
    assert_eq!(body(&world.ask("GET", "/a", NAMED)), "page");
    let named = world.ask("GET", "/a", NAMED);
    assert_eq!((body(&named), all(&named, "cache-status").len(), world.asked("/a")), ("page", 1, 2));
    assert!(field(&named, "cache-status").contains("fwd=stale; fwd-status=304"), "{named:?}");
    // The backend says that a stranger gets the same; from then on strangers are not asked about.
    world.say("/a", not_modified());
    assert_eq!((body(&world.get("/a")), world.asked("/a")), ("page", 3));
    assert_eq!((body(&world.get("/a")), world.asked("/a")), ("page", 3));
    // The client with a session is, and does not spoil it for the others.
    for lines in [NAMED, "Authorization: Basic YTpi\r\n", "Cookie: sid=1\r\nCache-Control: max-stale\r\n"] {
        let before = world.asked("/a");
        world.say("/a", not_modified());
        let named = world.ask("GET", "/a", lines);
        assert!(field(&named, "cache-status").contains("fwd=request; fwd-status=304"), "{named:?}");
        assert_eq!((body(&world.get("/a")), world.asked("/a")), ("page", before + 1), "{lines}");
    }
    // Nor does a page of its own take the place of theirs, or take it away.
    for own in [
        "Cache-Control: private\r\n",
        "Cache-Control: no-store\r\n",
        "Set-Cookie: sid=2\r\n",
        "Last-Modified: {-10000}\r\nETag: \"own\"\r\n",
    ] {
        let before = world.asked("/a");
        world.say("/a", response(200, own, "own"));
        assert_eq!(body(&world.ask("GET", "/a", NAMED)), "own");
        assert_eq!((body(&world.get("/a")), world.asked("/a")), ("page", before + 1), "{own}");
    }
    // "Not modified since" does not tell one client's page from another's: without a tag, the response is not
    // validated.
    world.say("/b", response(200, "Last-Modified: {-10000}\r\n", "own"));
    world.say("/b", response(200, "", "page"));
    assert_eq!(body(&world.ask("GET", "/b", NAMED)), "own");
    assert_eq!(body(&world.get("/b")), "page");
    assert!(world.backend.requests().last().is_some_and(|asked| asked.field("if-modified-since").is_none()));
}
