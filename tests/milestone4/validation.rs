//! Validation over the wire: what the backend is asked, and what its answer means for the client and for what is stored
//! (RFC 9111 §4.3, §3.2).

use crate::{
    stage::{HIT, MISS, Stage, Step},
    support::{
        milestones::{Milestone, from_milestone4},
        raw::{Backend, Conn},
    },
};

from_milestone4! {
    over_http2 {
        the_request_that_the_backend_gets,
        a_date_of_the_same_second_validates,
        a_304_updates_what_is_stored,
        a_304_decides_how_long_it_lives_on,
        a_304_that_is_about_something_else,
        the_conditions_of_a_client_are_answered_from_the_outcome,
        a_304_to_the_client_is_news_for_the_cache_too,
        a_connection_that_a_304_ends_is_not_used_again,
        a_failing_validation,
    }
}

/// Stale when it comes: each use is a validation.
pub(crate) const TAGGED: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\nETag: \"a\"\r\nContent-Length: 3\r\n\r\nold";
const WEAK: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\nETag: W/\"a\"\r\nContent-Length: 3\r\n\r\nold";
const DATED: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\n\
                     Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n\r\nold";
const BOTH: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\nETag: \"a\"\r\n\
                    Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n\r\nold";
const SAME: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nCache-Control: max-age=100\r\n\r\n";
const SAME_WEAK: &str = "HTTP/1.1 304 Not Modified\r\nETag: W/\"a\"\r\nCache-Control: max-age=100\r\n\r\n";
const SAME_DATE: &str = "HTTP/1.1 304 Not Modified\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                         Cache-Control: max-age=100\r\n\r\n";
const BARE: &str = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=100\r\n\r\n";
const OTHER: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nCache-Control: max-age=100\r\n\r\n";
pub(crate) const NEW: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nETag: \"b\"\r\nContent-Length: 3\r\n\r\nnew";

pub(crate) const fn get(fields: &'static str, backend: &'static [&'static str], body: &'static str) -> Step {
    Step { fields, backend, body, ..MISS }
}

pub(crate) const fn hit(body: &'static str) -> Step {
    Step { body, ..HIT }
}

pub(crate) const fn asking(step: Step, asked: &'static [&'static str]) -> Step {
    Step { asked, ..step }
}

fn the_request_that_the_backend_gets(milestone: &Milestone) {
    const DATE: &str = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT";
    Stage::new(milestone, &[]).play(&[
        (
            "a tag",
            &[
                asking(get("", &[TAGGED], "old"), &["!If-None-Match", "!If-Modified-Since"]),
                asking(get("", &[SAME], "old"), &["If-None-Match: \"a\"", "!If-Modified-Since"]),
                hit("old"),
            ],
        ),
        (
            "a weak tag",
            &[get("", &[WEAK], "old"), asking(get("", &[SAME_WEAK], "old"), &["If-None-Match: W/\"a\""]), hit("old")],
        ),
        (
            "a date",
            &[get("", &[DATED], "old"), asking(get("", &[SAME_DATE], "old"), &[DATE, "!If-None-Match"]), hit("old")],
        ),
        (
            "both",
            &[get("", &[BOTH], "old"), asking(get("", &[SAME], "old"), &[DATE, "If-None-Match: \"a\""]), hit("old")],
        ),
        ("a weak answer to a strong question", &[get("", &[TAGGED], "old"), get("", &[SAME_WEAK], "old"), hit("old")]),
        ("changed", &[get("", &[TAGGED], "old"), get("", &[NEW], "new"), hit("new")]),
        (
            "ours in place of the client's",
            &[
                get("", &[TAGGED], "old"),
                asking(
                    get("If-None-Match: \"c\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", &[SAME], "old"),
                    &["If-None-Match: \"a\"", "!If-Modified-Since"],
                ),
                hit("old"),
            ],
        ),
        (
            "the client wants it validated",
            &[
                get("", &[NEW], "new"),
                hit("new"),
                asking(
                    get("Cache-Control: no-cache\r\n", &["HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\n\r\n"], "new"),
                    &["If-None-Match: \"b\"", "Cache-Control: no-cache"],
                ),
            ],
        ),
    ]);
}

/// RFC 9110 §8.8.2.2: weak, since the page may have changed twice within that second; and good enough for a 304 (RFC 9111
/// §4.3.4).
fn a_date_of_the_same_second_validates(milestone: &Milestone) {
    const JUST_MADE: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                             Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n\r\nold";
    const SETTLED: &str = "HTTP/1.1 304 Not Modified\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                           Cache-Control: max-age=2000000000\r\nDate: Sun, 06 Nov 1994 08:49:39 GMT\r\n\r\n";
    Stage::new(milestone, &[]).play(&[(
        "",
        &[
            get("", &[JUST_MADE], "old"),
            asking(get("", &[SETTLED], "old"), &["If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"]),
            hit("old"),
        ],
    )]);
}

fn a_304_updates_what_is_stored(milestone: &Milestone) {
    const DESCRIBED: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\nETag: \"a\"\r\nContent-Type: a/b\r\n\
                             X-Old: 1\r\nX-Both: 1\r\nX-Both: 2\r\nContent-Length: 3\r\n\r\nold";
    const NEWS: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nCache-Control: max-age=100\r\nContent-Type: c/d\r\n\
                        X-Both: 3\r\nX-New: 1\r\nContent-Length: 10\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n";
    const UPDATED: &[&str] = &[
        "Content-Type: c/d",
        "X-Old: 1",
        "X-Both: 3",
        "X-New: 1",
        "Content-Length: 3",
        "Cache-Control: max-age=100",
        "ETag: \"a\"",
        "!X-Hop",
    ];
    const OPEN: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\nETag: \"a\"\r\nX-Mine: 1\r\n\
                        Content-Length: 3\r\n\r\nold";
    const WITHHOLDS: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5, private=\"x-mine\"\r\nAge: 5\r\nETag: \"a\"\r\n\
                             X-Mine: 1\r\nContent-Length: 3\r\n\r\nold";
    const MINE: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nX-Mine: 2\r\n\r\n";
    const FROM_NOW_ON: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\
                               Cache-Control: max-age=100, no-cache=\"X-Mine\"\r\n\r\n";
    Stage::new(milestone, &[]).play(&[
        (
            "fields",
            &[
                get("", &[DESCRIBED], "old"),
                Step { got: UPDATED, ..get("", &[NEWS], "old") },
                Step { got: UPDATED, ..hit("old") },
            ],
        ),
        (
            "withheld from now on",
            &[get("", &[OPEN], "old"), get("", &[FROM_NOW_ON], "old"), Step { got: &["!X-Mine"], ..hit("old") }],
        ),
        (
            "withheld by what was said before",
            &[
                Step { got: &["X-Mine: 1"], ..get("", &[WITHHOLDS], "old") },
                get("", &[MINE], "old"),
                Step { got: &["!X-Mine"], ..hit("old") },
            ],
        ),
    ]);
}

fn a_304_decides_how_long_it_lives_on(milestone: &Milestone) {
    const FORBIDDEN: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nCache-Control: no-store\r\n\r\n";
    Stage::new(milestone, &[]).play(&[
        (
            "its age",
            &[
                get("", &[TAGGED], "old"),
                get(
                    "",
                    &["HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nAge: 60\r\nCache-Control: max-age=1000\r\n\r\n"],
                    "old",
                ),
                Step { got: &["Age~6"], ..hit("old") },
            ],
        ),
        (
            "no longer to be stored",
            &[
                get("", &[TAGGED], "old"),
                get("", &[FORBIDDEN], "old"),
                asking(get("", &[NEW], "new"), &["!If-None-Match"]),
            ],
        ),
        (
            "not by a request that says no-store",
            &[
                get("", &[TAGGED], "old"),
                get("Cache-Control: no-store\r\n", &[SAME], "old"),
                asking(get("", &[SAME], "old"), &["If-None-Match: \"a\""]),
                hit("old"),
            ],
        ),
        (
            "without a word of its own, it has the old life again",
            &[
                get("", &[TAGGED], "old"),
                get("", &["HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"], "old"),
                hit("old"),
            ],
        ),
    ]);
}

fn a_304_that_is_about_something_else(milestone: &Milestone) {
    Stage::new(milestone, &[]).play(&[
        (
            "another tag: asked again without conditions",
            &[
                get("", &[TAGGED], "old"),
                asking(get("", &[OTHER, NEW], "new"), &["!If-None-Match", "!If-Modified-Since"]),
                hit("new"),
            ],
        ),
        (
            "a strong tag where ours is weak",
            &[get("", &[WEAK], "old"), asking(get("", &[SAME, NEW], "new"), &["!If-None-Match"]), hit("new")],
        ),
        (
            "no validator at all, and only one asked about",
            &[get("", &[DATED], "old"), get("", &[BARE], "old"), hit("old")],
        ),
        (
            "nobody asked: passed on as it is",
            &[Step { status: 304, ..get("If-None-Match: \"a\"\r\n", &[SAME], "") }, get("", &[NEW], "new")],
        ),
        ("unasked for, for a plain request", &[Step { status: 304, ..get("", &[SAME], "") }, get("", &[NEW], "new")]),
    ]);
}

fn the_conditions_of_a_client_are_answered_from_the_outcome(milestone: &Milestone) {
    const KNOWN: Step = Step { status: 304, ..MISS };
    Stage::new(milestone, &[]).play(&[
        (
            "it has what is confirmed",
            &[
                get("", &[TAGGED], "old"),
                Step { fields: "If-None-Match: \"a\"\r\n", backend: &[SAME], got: &["ETag: \"a\""], ..KNOWN },
                hit("old"),
            ],
        ),
        (
            "it has another version",
            &[get("", &[TAGGED], "old"), get("If-None-Match: \"c\"\r\n", &[SAME], "old"), hit("old")],
        ),
        (
            "it has the new version already, which we cannot know before it is here",
            &[get("", &[TAGGED], "old"), get("If-None-Match: \"b\"\r\n", &[NEW], "new"), hit("new")],
        ),
        (
            "by date",
            &[
                get("", &[DATED], "old"),
                Step { fields: "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", backend: &[SAME_DATE], ..KNOWN },
                hit("old"),
            ],
        ),
        (
            "an older date",
            &[
                get("", &[DATED], "old"),
                get("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", &[SAME_DATE], "old"),
                hit("old"),
            ],
        ),
    ]);
}

/// Conditions that only the origin server may judge go there as they are, and so do those on what cannot be asked about.
fn a_304_to_the_client_is_news_for_the_cache_too(milestone: &Milestone) {
    const KNOWN: Step = Step { status: 304, ..MISS };
    const BARE_AND_FRESH: &str = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=100\r\nX-New: 1\r\n\r\n";
    const LONG: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5, stale-if-error=2000000000\r\n\
                        Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n\r\nold";
    Stage::new(milestone, &[]).play(&[
        (
            "with a tag that is ours",
            &[
                get("", &[TAGGED], "old"),
                Step {
                    fields: "If-Match: \"a\"\r\nIf-None-Match: \"a\"\r\n",
                    backend: &[SAME],
                    asked: &["If-Match: \"a\"", "If-None-Match: \"a\""],
                    ..KNOWN
                },
                hit("old"),
            ],
        ),
        (
            "with another",
            &[
                get("", &[TAGGED], "old"),
                Step { fields: "If-Match: \"x\"\r\nIf-None-Match: \"x\"\r\n", backend: &[OTHER], ..KNOWN },
                asking(get("", &[SAME], "old"), &["If-None-Match: \"a\""]),
            ],
        ),
        (
            "without a validator, about what has none and is no older",
            &[
                get("", &[LONG], "old"),
                Step {
                    fields: "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                    backend: &[BARE_AND_FRESH],
                    asked: &["If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"],
                    ..KNOWN
                },
                Step { got: &["X-New: 1"], ..hit("old") },
            ],
        ),
    ]);
}

/// RFC 9112 §9.6: also where the 304 is not passed on.
fn a_connection_that_a_304_ends_is_not_used_again(milestone: &Milestone) {
    const STALE: &str = "Cache-Control: max-age=5\r\nAge: 5\r\nETag: \"a\"\r\n";
    for tag in ["\"a\"", "\"x\""] {
        let (backend, incoming) = Backend::by_hand();
        let proxy = milestone.start(&[&backend], &["--workers", "1"]);
        let mut client = Conn::open(proxy.address());
        client.send(crate::get("/a"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        upstream.send(crate::ok(STALE, "old"));
        assert_eq!(client.response("GET").body, b"old");
        client.send(crate::get("/a"));
        upstream.read_head();
        upstream.send(format!("HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\nConnection: close\r\n\r\n"));
        if tag == "\"a\"" {
            assert_eq!(client.response("GET").body, b"old");
            client.send(crate::get("/b"));
        }
        // The next request, for this client or because the 304 was about something else, goes over another connection.
        incoming.accept().read_head();
        upstream.expect_end();
    }
}

fn a_failing_validation(milestone: &Milestone) {
    const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\noh!";
    const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nwho";
    const GONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    Stage::new(milestone, &[]).play(&[
        (
            "a failure is passed on, and what is stored stays",
            &[
                get("", &[TAGGED], "old"),
                Step { status: 500, ..get("", &[BROKEN], "oh!") },
                asking(get("", &[SAME], "old"), &["If-None-Match: \"a\""]),
                hit("old"),
            ],
        ),
        (
            "who is refused takes nothing from the others",
            &[
                get("", &[NEW], "new"),
                Step {
                    status: 401,
                    ..get("Cache-Control: no-cache\r\nAuthorization: Basic QQ==\r\n", &[REFUSED], "who")
                },
                hit("new"),
            ],
        ),
        (
            "nor does who gets something of its own",
            &[
                get("", &[NEW], "new"),
                get("Cache-Control: no-cache\r\nAuthorization: Basic QQ==\r\n", &[TAGGED], "old"),
                hit("new"),
            ],
        ),
        (
            "any other answer is the answer",
            &[get("", &[TAGGED], "old"), Step { status: 404, ..get("", &[GONE], "no") }],
        ),
    ]);
}
