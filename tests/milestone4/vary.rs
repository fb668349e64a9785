//! `Vary` over the wire: which client gets which of several responses for one URI (RFC 9111 §4.1).

use crate::{
    stage::{HIT, MISS, Stage, Step},
    support::milestones::{Milestone, from_milestone4},
};

from_milestone4! {
    over_http2 {
        responses_are_kept_apart,
        values_that_mean_the_same,
        variants_of_one_representation,
        a_variant_with_a_date_is_asked_about_by_itself,
    }
}

const ONE: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nVary: Foo\r\nETag: \"1\"\r\nContent-Length: 3\r\n\r\none";
const TWO: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nVary: Foo\r\nETag: \"2\"\r\nContent-Length: 3\r\n\r\ntwo";
const PLAIN: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: 5\r\n\r\nplain";
const STAR: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nVary: Foo, *\r\nContent-Length: 4\r\n\r\nstar";
const STAR_LINES: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nVary: \r\nVary: *\r\nContent-Length: 4\r\n\r\nstar";
const STALE: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\nVary: Foo\r\nETag: \"0\"\r\n\
                     Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 5\r\n\r\nstale";
const BAR: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=2000000000\r\nVary: Bar\r\n\
                   Date: Sun, 06 Nov 1994 08:49:36 GMT\r\nContent-Length: 3\r\n\r\nbar";
const LANGUAGE: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nVary: Accept-Language\r\nContent-Length: 4\r\n\r\nlang";

/// The first request, for which the backend is asked.
const fn first(fields: &'static str, backend: &'static [&'static str], body: &'static str) -> Step {
    Step { fields, backend, body, ..MISS }
}

const fn hit(fields: &'static str, body: &'static str) -> Step {
    Step { fields, body, ..HIT }
}

fn responses_are_kept_apart(milestone: &Milestone) {
    Stage::new(milestone, &[]).play(&[
        (
            "the same value",
            &[first("Foo: 1\r\n", &[ONE], "one"), hit("Foo: 1\r\n", "one"), hit("foo:1\r\nBar: x\r\n", "one")],
        ),
        (
            "another value",
            &[
                first("Foo: 1\r\n", &[ONE], "one"),
                first("Foo: 2\r\n", &[TWO], "two"),
                hit("Foo: 1\r\n", "one"),
                hit("Foo: 2\r\n", "two"),
            ],
        ),
        (
            "absent is not empty",
            &[first("", &[ONE], "one"), first("Foo:\r\n", &[TWO], "two"), hit("", "one"), hit("Foo:\r\n", "two")],
        ),
        ("a star among others", &[first("", &[STAR], "star"), first("", &[STAR], "star")]),
        ("a star on a second line", &[first("", &[STAR_LINES], "star"), first("", &[STAR_LINES], "star")]),
        (
            "one without a Vary in place of the one with it that was asked about",
            &[
                first("Foo: 1\r\n", &[STALE], "stale"),
                Step { asked: &["If-None-Match: \"0\""], ..first("Foo: 1\r\n", &[PLAIN], "plain") },
                hit("Foo: 1\r\n", "plain"),
                hit("Foo: 2\r\n", "plain"),
            ],
        ),
        (
            "one with another Vary in its place",
            &[
                first("Foo: 1\r\nBar: 1\r\n", &[STALE], "stale"),
                first("Foo: 1\r\nBar: 1\r\n", &[BAR], "bar"),
                hit("Foo: 1\r\nBar: 1\r\n", "bar"),
                first("Foo: 1\r\nBar: 2\r\n", &[BAR], "bar"),
            ],
        ),
        (
            "one with a Vary before one without",
            &[
                first("Foo: 1\r\n", &[ONE], "one"),
                first("Foo: 2\r\n", &[PLAIN], "plain"),
                hit("Foo: 1\r\n", "one"),
                hit("Foo: 2\r\n", "plain"),
                hit("Foo: 3\r\n", "plain"),
            ],
        ),
    ]);
}

fn values_that_mean_the_same(milestone: &Milestone) {
    Stage::new(milestone, &[]).play(&[
        ("lines folded into a list", &[first("Foo: 1, 2\r\n", &[ONE], "one"), hit("Foo: 1\r\nFoo: 2\r\n", "one")]),
        ("white space", &[first("Foo: 1,2\r\n", &[ONE], "one"), hit("Foo:  1 ,  2 \r\n", "one")]),
        ("order matters", &[first("Foo: 1, 2\r\n", &[ONE], "one"), first("Foo: 2, 1\r\n", &[TWO], "two")]),
        (
            "languages ignore case",
            &[
                first("Accept-Language: en, de\r\n", &[LANGUAGE], "lang"),
                hit("Accept-Language: eN ,De\r\n", "lang"),
                first("Accept-Language: de, en\r\n", &[LANGUAGE], "lang"),
            ],
        ),
    ]);
}

const NOT_TWO: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"2\"\r\nVary: Foo\r\nCache-Control: max-age=100\r\n\r\n";

/// The backend chooses among what is stored, by tag (RFC 9111 §4.3).
fn variants_of_one_representation(milestone: &Milestone) {
    Stage::new(milestone, &[]).play(&[(
        "a third value that gets the second's response",
        &[
            first("Foo: 1\r\n", &[ONE], "one"),
            first("Foo: 2\r\n", &[TWO], "two"),
            Step {
                asked: &["If-None-Match~\"1\"", "If-None-Match~\"2\"", "!If-Modified-Since"],
                ..first("Foo: 3\r\n", &[NOT_TWO], "two")
            },
            hit("Foo: 3\r\n", "two"),
            hit("Foo: 2\r\n", "two"),
            hit("Foo: 1\r\n", "one"),
        ],
    )]);
}

/// A date is that of one response (RFC 9111 §4.3.1).
fn a_variant_with_a_date_is_asked_about_by_itself(milestone: &Milestone) {
    const OLD: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\nVary: Foo\r\n\
                       Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n\r\nold";
    const BOTH: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\nVary: Foo\r\nETag: \"1\"\r\n\
                        Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 4\r\n\r\nboth";
    const SAME: &str = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=100\r\n\r\n";
    const NOT_ONE: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nVary: Foo\r\nCache-Control: max-age=100\r\n\r\n";
    const DATE: &str = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT";
    Stage::new(milestone, &[]).play(&[
        (
            "two variants, both with dates",
            &[
                first("Foo: 1\r\n", &[OLD], "old"),
                first("Foo: 2\r\n", &[OLD], "old"),
                Step { asked: &[DATE], ..first("Foo: 1\r\n", &[SAME], "old") },
                hit("Foo: 1\r\n", "old"),
            ],
        ),
        (
            "one with a date, which says nothing of another request's",
            &[
                first("Foo: 1\r\n", &[OLD], "old"),
                Step { asked: &["!If-Modified-Since", "!If-None-Match"], ..first("Foo: 2\r\n", &[TWO], "two") },
            ],
        ),
        (
            "one with both beside one with a date",
            &[
                first("Foo: 1\r\n", &[BOTH], "both"),
                first("Foo: 2\r\n", &[OLD], "old"),
                Step { asked: &["If-None-Match: \"1\"", DATE], ..first("Foo: 1\r\n", &[NOT_ONE], "both") },
                hit("Foo: 1\r\n", "both"),
            ],
        ),
        (
            "two with the same tag, which is asked about once",
            &[
                first("Foo: 1\r\n", &[ONE], "one"),
                first("Foo: 2\r\n", &[ONE], "one"),
                Step { asked: &["If-None-Match: \"1\""], ..first("Foo: 3\r\n", &[NOT_ONE], "one") },
                hit("Foo: 3\r\n", "one"),
            ],
        ),
    ]);
}
