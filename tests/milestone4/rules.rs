//! Tests of the rules of `src/cache/` over real sockets: which responses are stored, how long they are used, and for
//! which clients. Time passes by fields that say so (`Age`, `Date`), never by waiting.

use crate::{
    get,
    origin::{World, all, body, field, response},
    support::{
        milestones::{Milestone, from_milestone4},
        mortal::Mortal,
        raw::Conn,
    },
};

from_milestone4! {
    over_http2 {
        the_responses_that_are_stored_and_used,
        the_directives_of_the_client,
        ages_add_up,
        only_if_cached_never_reaches_a_backend,
        requests_that_are_not_to_be_stored,
        an_answer_to_one_requests_mistake_is_not_told_to_others,
        the_use_of_stale_responses_when_the_backend_dies,
        a_response_that_must_be_validated_is_missed_with_504,
        fields_of_one_user_are_not_stored,
        all_fields_are_stored_but_those_of_one_hop,
    }
}

/// Whether the second request is answered with the first one's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Second {
    Hit,
    Asked,
}
use Second::{Asked, Hit};

/// Status and fields of the first response, fields of both requests.
type Row = (u16, &'static str, &'static str, Second);

const STORED: &[Row] = &[
    // RFC 9111 §4.2.1.
    (200, "Cache-Control: max-age=100\r\n", "", Hit),
    (200, "Cache-Control: MAX-AGE=\"100\"\r\n", "", Hit),
    (200, "Cache-Control: max-age=0\r\n", "", Asked),
    (200, "Cache-Control: max-age=100, max-age=1\r\nAge: 5\r\n", "", Asked),
    (200, "Cache-Control: max-age=1h\r\n", "", Asked),
    (200, "Cache-Control: max-age=-1\r\n", "", Asked),
    (200, "Cache-Control: max-age=99999999999999999999\r\n", "", Hit),
    (200, "Cache-Control: max-age=1, s-maxage=100\r\nAge: 5\r\n", "", Hit),
    (200, "Cache-Control: max-age=100, s-maxage=1\r\nAge: 5\r\n", "", Asked),
    (200, "Expires: {+100}\r\nDate: {+0}\r\n", "", Hit),
    (200, "Expires: {+100}\r\n", "", Hit),
    (200, "Expires: {-100}\r\n", "", Asked),
    (200, "Expires: 0\r\n", "", Asked),
    (200, "Expires: 0\r\nCache-Control: max-age=100\r\n", "", Hit),
    (200, "Expires: {+100}\r\nCache-Control: max-age=0\r\n", "", Asked),
    // A backend whose clock is ahead, and one whose clock is behind.
    (200, "Date: {+3600}\r\nExpires: {+3700}\r\n", "", Hit),
    (200, "Date: {+3600}\r\nExpires: {+3600}\r\n", "", Asked),
    (200, "Date: {-3600}\r\nExpires: {-3500}\r\n", "", Asked),
    // §4.2.3.
    (200, "Cache-Control: max-age=100\r\nAge: 100\r\n", "", Asked),
    (200, "Cache-Control: max-age=100\r\nAge: 50\r\n", "", Hit),
    (200, "Cache-Control: max-age=100\r\nAge: 101\r\n", "", Asked),
    (200, "Cache-Control: max-age=100\r\nAge: x\r\n", "", Hit),
    (200, "Cache-Control: max-age=100\r\nAge: 0, 500\r\n", "", Hit),
    (200, "Cache-Control: max-age=100\r\nDate: {-50}\r\n", "", Hit),
    (200, "Cache-Control: max-age=100\r\nDate: {-200}\r\n", "", Asked),
    (200, "Cache-Control: max-age=100\r\nDate: {-200}\r\nAge: 5\r\n", "", Asked),
    // §4.2.2.
    (200, "Last-Modified: {-10000}\r\n", "", Hit),
    (404, "Last-Modified: {-10000}\r\n", "", Hit),
    (301, "Last-Modified: {-10000}\r\nLocation: /x\r\n", "", Hit),
    (204, "Last-Modified: {-10000}\r\n", "", Hit),
    (302, "Last-Modified: {-10000}\r\nLocation: /x\r\n", "", Asked),
    (302, "Last-Modified: {-10000}\r\nLocation: /x\r\nCache-Control: public\r\n", "", Hit),
    (201, "Last-Modified: {-10000}\r\n", "", Asked),
    (500, "Last-Modified: {-10000}\r\n", "", Asked),
    (200, "Last-Modified: {-10000}\r\nDate: {-2000}\r\n", "", Asked),
    (200, "Last-Modified: {+10000}\r\n", "", Asked),
    (200, "", "", Asked),
    // §3.
    (302, "Cache-Control: max-age=100\r\nLocation: /x\r\n", "", Hit),
    (500, "Cache-Control: max-age=100\r\n", "", Hit),
    (599, "Cache-Control: max-age=100\r\n", "", Hit),
    (299, "Cache-Control: max-age=100\r\n", "", Hit),
    (599, "Cache-Control: max-age=100, must-understand\r\n", "", Asked),
    (200, "Cache-Control: max-age=100, must-understand, no-store\r\n", "", Hit),
    (200, "Cache-Control: max-age=100, no-store\r\n", "", Asked),
    (200, "Cache-Control: max-age=100\r\nCache-Control: no-store\r\n", "", Asked),
    (200, "Cache-Control: max-age=100, private\r\n", "", Asked),
    (200, "Cache-Control: max-age=100, no-cache\r\n", "", Asked),
    (200, "Cache-Control: max-age=100, foo=\"no-store\"\r\n", "", Hit),
    (200, "Cache-Control: max-age=100\r\nPragma: no-cache\r\n", "", Hit),
    (200, "Cache-Control: max-age=100\r\nSet-Cookie: a=b\r\n", "Cookie: a=b\r\n", Hit),
    (200, "Cache-Control: max-age=100\r\nVary: *\r\n", "", Asked),
    // §3.5.
    (200, "Cache-Control: max-age=100\r\n", "Authorization: Basic YTpi\r\n", Asked),
    (200, "Cache-Control: max-age=100, public\r\n", "Authorization: Basic YTpi\r\n", Hit),
    (200, "Cache-Control: max-age=100, must-revalidate\r\n", "Authorization: Basic YTpi\r\n", Hit),
    (200, "Cache-Control: s-maxage=100\r\n", "Authorization: Basic YTpi\r\n", Hit),
    (200, "Expires: {+100}\r\n", "Authorization: Basic YTpi\r\n", Asked),
    // RFC 9213.
    (200, "CDN-Cache-Control: max-age=100\r\nCache-Control: no-store\r\n", "", Hit),
    (200, "CDN-Cache-Control: max-age=100\r\nExpires: 0\r\n", "", Hit),
    (200, "CDN-Cache-Control: no-store\r\nCache-Control: max-age=100\r\n", "", Asked),
    (200, "CDN-Cache-Control: private\r\nCache-Control: max-age=100\r\n", "", Asked),
    (200, "CDN-Cache-Control: max-age=100, &&&\r\nCache-Control: no-store\r\n", "", Asked),
    (200, "CDN-Cache-Control: max-age=\"100\"\r\nCache-Control: no-store\r\n", "", Asked),
    (200, "CDN-Cache-Control: max-age=0, &&&\r\nCache-Control: max-age=100\r\n", "", Hit),
];

fn the_responses_that_are_stored_and_used(milestone: &Milestone) {
    check(milestone, STORED.iter().map(|&(status, said, lines, second)| (status, said, lines, lines, second)));
}

/// A response that is ten seconds old, and the second request's wishes.
const WISHES: &[(&str, &str, Second)] = &[
    ("max-age=40", "", Hit),
    ("max-age=40", "Cache-Control: no-cache\r\n", Asked),
    ("max-age=40", "Pragma: no-cache\r\n", Asked),
    ("max-age=40", "Pragma: no-cache\r\nCache-Control: x\r\n", Hit),
    ("max-age=40", "Cache-Control: max-age=0\r\n", Asked),
    ("max-age=40, immutable", "Cache-Control: max-age=0\r\n", Hit),
    ("max-age=40, immutable", "Cache-Control: no-cache\r\n", Asked),
    ("max-age=40", "Cache-Control: max-age=5\r\n", Asked),
    ("max-age=40", "Cache-Control: max-age=39\r\n", Hit),
    ("max-age=40", "Cache-Control: min-fresh=10\r\n", Hit),
    ("max-age=40", "Cache-Control: min-fresh=35\r\n", Asked),
    ("max-age=40", "Cache-Control: no-store\r\n", Hit),
    ("max-age=5", "", Asked),
    ("max-age=5", "Cache-Control: max-stale\r\n", Hit),
    ("max-age=5", "Cache-Control: max-stale=30\r\n", Hit),
    ("max-age=5", "Cache-Control: max-stale=2\r\n", Asked),
    ("max-age=5, must-revalidate", "Cache-Control: max-stale\r\n", Asked),
    ("max-age=5, proxy-revalidate", "Cache-Control: max-stale\r\n", Asked),
    ("s-maxage=5", "Cache-Control: max-stale\r\n", Asked),
    ("max-age=5, no-cache", "Cache-Control: max-stale\r\n", Asked),
];

fn the_directives_of_the_client(milestone: &Milestone) {
    let said: Vec<String> =
        WISHES.iter().map(|(said, ..)| format!("Cache-Control: {said}\r\nAge: 10\r\nETag: \"v\"\r\n")).collect();
    let rows = WISHES.iter().zip(&said).map(|((_, asks, second), said)| (200, said.as_str(), "", *asks, *second));
    check(milestone, rows);
}

/// For each row: a request, its response, another request, and who answered that.
fn check<'r>(milestone: &Milestone, rows: impl Iterator<Item = (u16, &'r str, &'r str, &'r str, Second)>) {
    let world = World::new(milestone, &["--workers", "2"]);
    for (n, (status, said, lines, asks, second)) in rows.enumerate() {
        let target = format!("/{n}?query={n}");
        world.say(&target, response(status, said, "first"));
        world.say(&target, response(203, "Cache-Control: no-store\r\n", "second"));
        let row = format!("{status} {said:?} {lines:?} {asks:?}");
        assert_eq!(world.ask("GET", &target, lines).status(), status, "{row}");
        let answer = world.ask("GET", &target, asks);
        let expected = if second == Hit { (status, 1) } else { (203, 2) };
        assert_eq!((answer.status(), world.asked(&target)), expected, "{row}: {answer:?}");
        assert_eq!(field(&answer, "cache-status").contains("; hit"), second == Hit, "{row}: {answer:?}");
        assert_eq!(answer.field("age").is_some(), second == Hit, "{row}: {answer:?}");
    }
}

/// §4.2.3, §5.1: what is known of the time before is in `Age`, and `Date` stays the backend's.
fn ages_add_up(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1"]);
    for (n, (lines, least)) in [
        ("", 0),
        ("Age: 30\r\n", 30),
        ("Date: {-40}\r\n", 40),
        ("Date: {-40}\r\nAge: 50\r\n", 50),
        ("Date: {+40}\r\nAge: 20\r\n", 20),
        ("Date: {-1}\r\nAge: 2147483648\r\n", 2_147_483_648),
        ("Age: 7\r\nAge: 70\r\n", 7),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/{n}");
        let said = response(200, &format!("Cache-Control: max-age=99999999999\r\nETag: \"v\"\r\n{lines}"), "x");
        world.say(&target, said);
        let first = world.get(&target);
        let second = world.ask("GET", &target, "Cache-Control: max-stale\r\n");
        let ages = all(&second, "age");
        let age: u64 = ages[0].parse().unwrap();
        assert!((least..least + 20).contains(&age) || age == 1 << 31, "{lines:?}: {second:?}");
        assert_eq!((ages.len(), world.asked(&target)), (1, 1), "{lines:?}: {second:?}");
        assert_eq!(first.field("date"), second.field("date"), "{lines:?}");
        assert_eq!(all(&second, "date").len(), 1, "{second:?}");
    }
}

/// §5.2.1.7.
fn only_if_cached_never_reaches_a_backend(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1"]);
    let only = "Cache-Control: only-if-cached\r\n";
    assert_eq!(world.ask("GET", "/a", only).status(), 504);
    world.say("/a", response(200, "Cache-Control: max-age=10\r\n", "x"));
    world.say("/b", response(200, "Cache-Control: max-age=10\r\nAge: 10\r\nETag: \"v\"\r\n", "x"));
    world.get("/a");
    world.get("/b");
    assert_eq!(world.ask("GET", "/a", only).status(), 200);
    assert_eq!(world.ask("HEAD", "/a", only).status(), 200);
    assert_eq!(world.ask("GET", "/b", only).status(), 504);
    assert_eq!(world.ask("GET", "/b", "Cache-Control: only-if-cached, max-stale\r\n").status(), 200);
    assert_eq!(world.ask("GET", "/a", "Cache-Control: only-if-cached, no-cache\r\n").status(), 504);
    assert_eq!(world.ask("OPTIONS", "/a", only).status(), 504);
    assert_eq!(
        world
            .ask("GET", "/a", "Cache-Control: only-if-cached\r\nUpgrade: websocket\r\nConnection: upgrade\r\n")
            .status(),
        504
    );
    assert_eq!(world.ask("GET", "/a", "Cache-Control: only-if-cached\r\nContent-Length: 1\r\n\r\nx").status(), 504);
    assert_eq!(world.backend.requests().len(), 2);
    // §4: what may change something is written through.
    world.say("/a", response(200, "", "x"));
    assert_eq!(world.ask("POST", "/a", "Cache-Control: only-if-cached\r\nContent-Length: 0\r\n").status(), 200);
    assert_eq!(world.backend.requests().len(), 3);
    // A path that is never stored cannot be answered from the store.
    let world = World::new(milestone, &["--cache-exclude", "/admin/*"]);
    assert_eq!(world.ask("GET", "/admin/", only).status(), 504);
    assert_eq!(world.backend.requests().len(), 0);
}

/// §5.2.1.5, and what §3 wants of the method.
fn requests_that_are_not_to_be_stored(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1"]);
    for (n, (method, lines)) in [
        ("GET", "Cache-Control: no-store\r\n"),
        ("GET", "Content-Length: 0\r\nCache-Control: NO-STORE\r\n"),
        ("HEAD", ""),
        ("OPTIONS", ""),
        ("POST", "Content-Length: 0\r\n"),
        ("PROPFIND", "Content-Length: 0\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/{n}");
        let said = response(200, "Cache-Control: max-age=100\r\n", "x");
        let head = said.trim_end_matches('x').to_owned();
        world.say(&target, if method == "HEAD" { head } else { said.clone() });
        world.say(&target, said);
        assert_eq!(world.ask(method, &target, lines).status(), 200);
        assert_eq!((world.get(&target).status(), world.asked(&target)), (200, 2), "{method} {lines:?}");
    }
}

/// These statuses are about something in the request that is not in the key: RFC 9110 §15.5, RFC 6585, RFC 8470.
fn an_answer_to_one_requests_mistake_is_not_told_to_others(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1"]);
    for (status, lines) in [
        (412, "If-Match: \"a\"\r\n"),
        (412, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
        (416, "Range: bytes=1000-\r\n"),
        (417, "Expect: wonders\r\n"),
        (425, "Early-Data: 1\r\n"),
        (426, ""),
        (428, ""),
        (429, ""),
        (431, "X-Long: x\r\n"),
        (511, ""),
    ] {
        let target = format!("/{status}/{}", lines.len());
        world.say(&target, response(status, "Cache-Control: public, max-age=100\r\n", ""));
        world.say(&target, response(200, "Cache-Control: max-age=100\r\n", "all is well"));
        assert_eq!(world.ask("GET", &target, lines).status(), status);
        assert_eq!((world.get(&target).status(), world.get(&target).status()), (200, 200), "{status} {lines:?}");
        assert_eq!(world.asked(&target), 2, "{status} {lines:?}");
    }
}

/// §4.2.4, §5.2.2.2, §5.2.2.8, §5.2.2.10, RFC 5861: the backend ends the connection without a word.
fn the_use_of_stale_responses_when_the_backend_dies(milestone: &Milestone) {
    for flags in [&["--workers", "1"][..], &["--workers", "1", "--cache-stale-if-error", "60s"]] {
        let world = World::new(milestone, flags);
        let by_operator = flags.len() > 2;
        for (n, (said, allowed)) in [
            ("max-age=5", by_operator),
            ("max-age=5, stale-if-error=60", true),
            ("max-age=5, stale-if-error=2", false),
            ("max-age=5, must-revalidate, stale-if-error=60", false),
            ("max-age=5, proxy-revalidate, stale-if-error=60", false),
            ("s-maxage=5, stale-if-error=60", false),
            ("max-age=5, no-cache, stale-if-error=60", false),
        ]
        .into_iter()
        .enumerate()
        {
            let target = format!("/{n}");
            world.say(&target, response(200, &format!("Cache-Control: {said}\r\nAge: 10\r\nETag: \"v\"\r\n"), "x"));
            (0..3).for_each(|_| world.say(&target, ""));
            world.get(&target);
            let answer = world.get(&target);
            let expected = if allowed { 200 } else { 502 };
            assert_eq!(answer.status(), expected, "{said} {flags:?}: {answer:?}");
        }
    }
}

/// §5.2.2.2, a SHOULD: it is stale, must be validated, and no backend can be asked.
fn a_response_that_must_be_validated_is_missed_with_504(milestone: &Milestone) {
    for (said, status) in [
        ("max-age=5", 502),
        ("max-age=5, no-cache", 502),
        ("max-age=5, must-revalidate", 504),
        ("max-age=5, proxy-revalidate", 504),
        ("s-maxage=5", 504),
        ("max-age=500, must-revalidate", 200),
    ] {
        let backend =
            Mortal::answering(response(200, &format!("Cache-Control: {said}\r\nAge: 10\r\nETag: \"v\"\r\n"), "x"));
        let flags = [milestone.forgiving(), &["--workers", "1"], milestone.since(2, &["--no-health"])].concat();
        let proxy = milestone.start_before(&[&backend.name()], &flags);
        let ask = || Conn::open(proxy.address()).ask(&get("/")).status();
        assert_eq!(ask(), 200, "{said}");
        backend.kill();
        assert_eq!(ask(), status, "{said}");
    }
}

/// §5.2.2.4, §5.2.2.7 with field names, §3.1, §7.3.
fn fields_of_one_user_are_not_stored(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1"]);
    let said = "Cache-Control: max-age=100, private=\"Set-Cookie, X-Mine\", no-cache=\"X-Changes\"\r\n\
                Set-Cookie: a=b\r\nX-Mine: 1\r\nX-Changes: 1\r\nX-All: 1\r\nConnection: X-Hop\r\nX-Hop: 1\r\n";
    world.say("/a", response(200, said, "x"));
    let first = world.get("/a");
    assert_eq!((field(&first, "set-cookie"), field(&first, "x-mine"), field(&first, "x-changes")), ("a=b", "1", "1"));
    let second = world.get("/a");
    for gone in ["set-cookie", "x-mine", "x-changes", "x-hop"] {
        assert_eq!(second.field(gone), None, "{gone}");
    }
    assert_eq!((field(&second, "x-all"), world.asked("/a")), ("1", 1));
}

/// §3.1: a cache MUST store all fields, known or not, with these exceptions.
fn all_fields_are_stored_but_those_of_one_hop(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1"]);
    for (name, value, stored) in [
        ("X-Unknown", "1", true),
        ("Content-Foo", "1", true),
        ("Content-Encoding", "x", true),
        ("Content-Language", "de", true),
        ("Content-Location", "/foo", true),
        ("Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==", true),
        ("Content-Range", "bytes 0-4/5", true),
        ("Content-Security-Policy", "default-src 'self'", true),
        ("Clear-Site-Data", "cache", true),
        ("ETag", "\"a\"", true),
        ("Expires", "Fri, 01 Jan 2038 01:01:01 GMT", true),
        ("CDN-Cache-Control", "max-age=100", true),
        ("Surrogate-Key", "a b", true),
        ("Pragma", "no-cache", true),
        ("Trailer", "X-Late", true),
        ("Warning", "110 - stale", true),
        ("Set-Cookie", "a=b", true),
        ("Strict-Transport-Security", "max-age=1", true),
        ("WWW-Authenticate", "Basic", true),
        ("Keep-Alive", "timeout=5", false),
        ("Proxy-Authenticate", "Basic", false),
        ("Proxy-Authentication-Info", "x=y", false),
        ("Proxy-Authorization", "Basic YTpi", false),
        ("Proxy-Connection", "keep-alive", false),
        ("TE", "trailers", false),
        ("Upgrade", "h2c", false),
    ] {
        let target = format!("/{name}");
        world.say(&target, response(200, &format!("Cache-Control: max-age=100\r\n{name}: {value}\r\n"), "hello"));
        world.get(&target);
        let hit = world.get(&target);
        assert_eq!((world.asked(&target), body(&hit)), (1, "hello"), "{name}");
        assert_eq!(hit.field(name), stored.then_some(value), "{name}");
        let part = world.ask("GET", &target, "Range: bytes=1-2\r\n");
        assert_eq!((part.status(), all(&part, "content-range")), (206, vec!["bytes 1-2/5"]), "{name}");
    }
}
