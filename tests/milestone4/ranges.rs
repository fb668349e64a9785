//! Parts over the wire: from what is stored, and put together from what backends send (RFC 9110 §14, RFC 9111 §3.3, §3.4).

use crate::{
    stage::{HIT, MISS, Stage, Step},
    support::milestones::{Milestone, from_milestone4},
};

from_milestone4! {
    over_http2 {
        parts_of_what_is_stored,
        several_parts_of_what_is_stored,
        parts_are_stored_and_put_together,
        parts_that_are_not_to_be_trusted,
        a_part_is_validated,
        parts_have_the_fields_of_all_of_them,
        the_limit_of_a_body_is_that_of_all_its_parts,
    }
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\nContent-Type: a/b\r\n\
                     Content-Length: 10\r\n\r\n0123456789";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\nContent-Length: 0\r\n\r\n";

const fn get(fields: &'static str, backend: &'static [&'static str], body: &'static str) -> Step {
    Step { fields, backend, body, ..MISS }
}

const fn part(fields: &'static str, backend: &'static [&'static str], body: &'static str) -> Step {
    Step { status: 206, ..get(fields, backend, body) }
}

/// A part from the cache.
const fn hit(fields: &'static str, body: &'static str, got: &'static [&'static str]) -> Step {
    Step { fields, body, status: 206, got, ..HIT }
}

const fn asking(step: Step, asked: &'static [&'static str]) -> Step {
    Step { asked, ..step }
}

fn parts_of_what_is_stored(milestone: &Milestone) {
    const ALL: Step = Step { body: "0123456789", ..HIT };
    Stage::new(milestone, &[]).play(&[
        (
            "which part",
            &[
                get("", &[WHOLE], "0123456789"),
                hit(
                    "Range: bytes=0-1\r\n",
                    "01",
                    &["Content-Range: bytes 0-1/10", "Content-Length: 2", "Age", "Content-Type: a/b"],
                ),
                hit("Range: bytes=8-\r\n", "89", &["Content-Range: bytes 8-9/10"]),
                hit("Range: bytes=-1\r\n", "9", &["Content-Range: bytes 9-9/10", "ETag: \"a\""]),
                hit("Range: bytes=5-99\r\n", "56789", &["Content-Range: bytes 5-9/10"]),
                Step {
                    fields: "Range: bytes=10-\r\n",
                    status: 416,
                    got: &["Content-Range: bytes */10", "Date", "Age"],
                    ..HIT
                },
            ],
        ),
        (
            "what is no range",
            &[
                get("", &[WHOLE], "0123456789"),
                Step { fields: "Range: bytes=5-4\r\n", ..ALL },
                Step { fields: "Range: lines=0-1\r\n", ..ALL },
                Step { fields: "Range: bytes=0-1\r\nRange: bytes=2-3\r\n", ..ALL },
                Step { method: "HEAD", fields: "Range: bytes=0-1\r\n", got: &["Content-Length: 10"], ..HIT },
            ],
        ),
        (
            "If-Range",
            &[
                get("", &[WHOLE], "0123456789"),
                hit("Range: bytes=0-1\r\nIf-Range: \"a\"\r\n", "01", &["Content-Range: bytes 0-1/10"]),
                Step { fields: "Range: bytes=0-1\r\nIf-Range: \"b\"\r\n", ..ALL },
                Step { fields: "Range: bytes=0-1\r\nIf-Range: W/\"a\"\r\n", ..ALL },
            ],
        ),
        ("of nothing", &[get("", &[EMPTY], ""), Step { fields: "Range: bytes=0-1\r\n", ..HIT }]),
    ]);
}

fn several_parts_of_what_is_stored(milestone: &Milestone) {
    use crate::{
        get_with,
        support::raw::{Backend, Conn},
    };
    let content: String = ('a'..='z').cycle().take(1000).collect();
    let backend = Backend::answering(crate::ok("Cache-Control: max-age=100\r\nContent-Type: a/b\r\n", &content));
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.ask(&crate::get("/a"));
    let got = client.ask(&get_with("/a", "Range: bytes=500-501, 0-2\r\n"));
    let boundary =
        got.field("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
    let expected = format!(
        "--{boundary}\r\nContent-Type: a/b\r\nContent-Range: bytes 500-501/1000\r\n\r\ngh\r\n\
         --{boundary}\r\nContent-Type: a/b\r\nContent-Range: bytes 0-2/1000\r\n\r\nabc\r\n--{boundary}--\r\n"
    );
    assert_eq!((got.status(), String::from_utf8_lossy(&got.body).as_ref()), (206, expected.as_str()));
    assert_eq!(got.field("content-range"), None);
    // Too many of them: the whole. Nearly all of it, many times: once.
    let many: Vec<String> = (0..500).map(|at| format!("{0}-{0}", at * 2)).collect();
    assert_eq!(client.ask(&get_with("/a", &format!("Range: bytes={}\r\n", many.join(",")))).status(), 200);
    let greedy: Vec<String> = (0..30).map(|at| format!("{at}-")).collect();
    let got = client.ask(&get_with("/a", &format!("Range: bytes={}\r\n", greedy.join(","))));
    assert_eq!((got.status(), got.body.len()), (206, 1000));
    assert_eq!(backend.requests().len(), 1);
}

/// Bytes 0 to 4 and 3 to 9 of ten.
const START: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\nX: 1\r\n\
                     Content-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\r\n01234";
const REST: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\nX: 2\r\n\
                    Content-Range: bytes 3-9/10\r\nContent-Length: 7\r\n\r\n3456789";

fn parts_are_stored_and_put_together(milestone: &Milestone) {
    const OTHER: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"b\"\r\n\
                         Content-Range: bytes 3-9/10\r\nContent-Length: 7\r\n\r\nDEFGHIJ";
    const UNTAGGED: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\n\
                            Content-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789";
    const UNKNOWN: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\n\
                           Content-Range: bytes 5-6/*\r\nContent-Length: 2\r\n\r\n56";
    const AGED: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nETag: \"b\"\r\nContent-Length: 3\r\n\r\nnew";
    Stage::new(milestone, &[]).play(&[
        (
            "a part answers what is within it",
            &[
                asking(part("Range: bytes=-5\r\n", &[UNTAGGED], "56789"), &["Range: bytes=-5"]),
                hit("Range: bytes=-5\r\n", "56789", &["Content-Range: bytes 5-9/10"]),
                hit("Range: bytes=6-8\r\n", "678", &["Content-Range: bytes 6-8/10"]),
                hit("Range: bytes=6-\r\n", "6789", &["Content-Range: bytes 6-9/10"]),
                hit("Range: bytes=-1\r\n", "9", &["Content-Range: bytes 9-9/10"]),
                get("", &[WHOLE], "0123456789"),
            ],
        ),
        (
            "and nothing else",
            &[
                part("Range: bytes=0-4\r\n", &[START], "01234"),
                asking(part("Range: bytes=3-9\r\n", &[REST], "3456789"), &["Range: bytes=3-9"]),
                // Now it is whole, and the newer fields are its.
                Step { body: "0123456789", got: &["X: 2", "Content-Length: 10", "!Content-Range", "Age"], ..HIT },
                hit("Range: bytes=4-6\r\n", "456", &["Content-Range: bytes 4-6/10"]),
            ],
        ),
        (
            "of another version",
            &[
                part("Range: bytes=0-4\r\n", &[START], "01234"),
                part("Range: bytes=3-9\r\n", &[OTHER], "DEFGHIJ"),
                hit("Range: bytes=3-4\r\n", "DE", &["ETag: \"b\""]),
                part("Range: bytes=0-4\r\n", &[START], "01234"),
            ],
        ),
        (
            "of nobody knows how many",
            &[
                part("Range: bytes=5-6\r\n", &[UNKNOWN], "56"),
                hit("Range: bytes=5-5\r\n", "5", &["Content-Range: bytes 5-5/*"]),
                part("Range: bytes=5-\r\n", &[UNTAGGED], "56789"),
            ],
        ),
        (
            "the whole is not lost to a part of something else",
            &[
                get("", &[AGED], "new"),
                hit("Range: bytes=0-0\r\n", "n", &["Content-Range: bytes 0-0/3"]),
                Step { body: "new", ..HIT },
            ],
        ),
    ]);
}

fn parts_that_are_not_to_be_trusted(milestone: &Milestone) {
    const SHORT: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\n\
                         Content-Range: bytes 0-4/10\r\nContent-Length: 4\r\n\r\n0123";
    const BACKWARDS: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\n\
                             Content-Range: bytes 4-0/10\r\nContent-Length: 5\r\n\r\n01234";
    const BEYOND: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\n\
                          Content-Range: bytes 6-10/10\r\nContent-Length: 5\r\n\r\n6789A";
    const MULTIPART: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\n\
                             Content-Type: multipart/byteranges; boundary=x\r\nContent-Length: 7\r\n\r\n--x--\r\n";
    const UNSATISFIABLE: &str =
        "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n\r\n";
    const SHOUTED: Step = get("", &[WHOLE], "0123456789");
    Stage::new(milestone, &[]).play(&[
        (
            "shorter than it says",
            &[part("Range: bytes=0-4\r\n", &[SHORT], "0123"), part("Range: bytes=0-1\r\n", &[START], "01234"), SHOUTED],
        ),
        ("backwards", &[part("Range: bytes=0-4\r\n", &[BACKWARDS], "01234"), SHOUTED]),
        ("beyond the end", &[part("Range: bytes=6-\r\n", &[BEYOND], "6789A"), SHOUTED]),
        ("several in one", &[part("Range: bytes=0-0, 9-9\r\n", &[MULTIPART], "--x--\r\n"), SHOUTED]),
        ("none asked for", &[part("", &[START], "01234"), SHOUTED]),
        ("there is none", &[Step { status: 416, ..get("Range: bytes=10-\r\n", &[UNSATISFIABLE], "") }, SHOUTED]),
    ]);
}

fn a_part_is_validated(milestone: &Milestone) {
    const STALE: &str =
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nAge: 5\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n0123456789";
    const STALE_PART: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=5\r\nAge: 5\r\nETag: \"a\"\r\n\
                              Content-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\r\n01234";
    const SAME: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nCache-Control: max-age=100\r\n\r\n";
    const NEW: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nETag: \"b\"\r\nContent-Length: 3\r\n\r\nnew";
    Stage::new(milestone, &[]).play(&[
        (
            "of a whole",
            &[
                get("", &[STALE], "0123456789"),
                asking(part("Range: bytes=2-3\r\n", &[SAME], "23"), &["If-None-Match: \"a\""]),
                hit("Range: bytes=4-5\r\n", "45", &["Content-Range: bytes 4-5/10"]),
                Step { body: "0123456789", ..HIT },
            ],
        ),
        (
            "of a whole that has changed",
            &[get("", &[STALE], "0123456789"), get("Range: bytes=2-3\r\n", &[NEW], "new"), Step { body: "new", ..HIT }],
        ),
        (
            "of a part",
            &[
                part("Range: bytes=0-4\r\n", &[STALE_PART], "01234"),
                asking(part("Range: bytes=2-3\r\n", &[SAME], "23"), &["If-None-Match: \"a\""]),
                hit("Range: bytes=0-1\r\n", "01", &["Content-Range: bytes 0-1/10"]),
            ],
        ),
        (
            "a part is not nominated for what it has not",
            &[
                part("Range: bytes=0-4\r\n", &[STALE_PART], "01234"),
                asking(get("", &[NEW], "new"), &["!If-None-Match"]),
                Step { body: "new", ..HIT },
            ],
        ),
    ]);
}

/// RFC 9111 §3.4, RFC 9110 §15.3.7: to a client that names what it has, a part comes without what describes it.
fn parts_have_the_fields_of_all_of_them(milestone: &Milestone) {
    const DESCRIBED: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\nContent-Type: a/b\r\n\
                             X: 1\r\nX-Old: 1\r\nContent-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\r\n01234";
    const FIRST: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\nContent-Type: a/b\r\n\
                         Content-Range: bytes 0-0/10\r\nContent-Length: 1\r\n\r\n0";
    const VALIDATED: &str = "HTTP/1.1 206 Partial Content\r\nCache-Control: no-cache\r\nETag: \"a\"\r\n\
                             Content-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\r\n01234";
    const SILENT: &str = "HTTP/1.1 206 Partial Content\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"a\"\r\n\
                          Content-Range: bytes 3-9/10\r\nContent-Length: 7\r\n\r\n3456789";
    const SAME: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n";
    Stage::new(milestone, &[]).play(&[
        (
            "the whole",
            &[
                part("Range: bytes=0-4\r\n", &[DESCRIBED], "01234"),
                part("Range: bytes=3-9\r\nIf-Range: \"a\"\r\n", &[REST], "3456789"),
                Step { body: "0123456789", got: &["X: 2", "X-Old: 1", "Content-Type: a/b"], ..HIT },
                hit("Range: bytes=4-6\r\n", "456", &["X: 2", "X-Old: 1", "Content-Type: a/b"]),
            ],
        ),
        (
            "a part without a description is not for others",
            &[
                part("Range: bytes=3-9\r\nIf-Range: \"a\"\r\n", &[REST], "3456789"),
                part("Range: bytes=3-9\r\n", &[REST], "3456789"),
                hit("Range: bytes=3-9\r\n", "3456789", &["X: 2"]),
            ],
        ),
        (
            "nor where there is a gap between it and what is stored",
            &[
                part("Range: bytes=0-0\r\n", &[FIRST], "0"),
                part("Range: bytes=3-9\r\nIf-Range: \"a\"\r\n", &[REST], "3456789"),
                hit("Range: bytes=0-0\r\n", "0", &["Content-Type: a/b"]),
            ],
        ),
        (
            "directives",
            &[
                part("Range: bytes=0-4\r\n", &[VALIDATED], "01234"),
                part("Range: bytes=3-9\r\n", &[SILENT], "3456789"),
                asking(get("", &[SAME], "0123456789"), &["If-None-Match: \"a\""]),
            ],
        ),
    ]);
}

/// `--cache-max-object` is about what is stored, not about what comes in one message: parts that would be too large together
/// are not put together, and nothing else has to go for them.
fn the_limit_of_a_body_is_that_of_all_its_parts(milestone: &Milestone) {
    use crate::{
        get_with,
        support::raw::{Backend, Conn},
    };
    const PART: usize = 1000;
    let backend = Backend::start(move |mut served| {
        while let Some(request) = served.request() {
            let Some(range) = request.field("range").and_then(|range| range.strip_prefix("bytes=")) else {
                served.conn.send(crate::ok("Cache-Control: max-age=100\r\n", "small"));
                continue;
            };
            let lines = format!("Cache-Control: max-age=100\r\nETag: \"a\"\r\nContent-Range: bytes {range}/20000");
            let body = "x".repeat(PART);
            served
                .conn
                .send(format!("HTTP/1.1 206 Partial Content\r\n{lines}\r\nContent-Length: {PART}\r\n\r\n{body}"));
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-max-object", "3000"]);
    let mut client = Conn::open(proxy.address());
    client.ask(&crate::get("/small"));
    for at in (0..20_000).step_by(PART) {
        let got = client.ask(&get_with("/a", &format!("Range: bytes={at}-{}\r\n", at + PART - 1)));
        assert_eq!((got.status(), got.body.len()), (206, PART));
    }
    // Three of them are at the limit, the fourth would be beyond it and is stored alone: the last two are together again.
    let only = |range: &str| format!("Range: bytes={range}\r\nCache-Control: only-if-cached\r\n");
    for (range, status) in [("19000-19999", 206), ("18000-19999", 206), ("17000-17999", 504), ("0-0", 504)] {
        assert_eq!(client.ask(&get_with("/a", &only(range))).status(), status, "{range}");
    }
    assert_eq!(client.ask(&get_with("/small", "Cache-Control: only-if-cached\r\n")).body, b"small");
}
