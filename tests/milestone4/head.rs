//! `HEAD`: answered from what a `GET` has stored, and news about it (RFC 9111 §4.3.5).

use crate::{
    stage::{MISS, Stage, Step},
    support::milestones::{Milestone, from_milestone4},
    validation::{NEW, TAGGED, asking, get, hit},
};

from_milestone4! {
    over_http2 {
        a_head_is_answered_from_a_get_and_freshens_it,
        a_head_is_news_for_all_that_could_have_answered_it,
    }
}

fn a_head_is_answered_from_a_get_and_freshens_it(milestone: &Milestone) {
    const HEAD: Step = Step { method: "HEAD", ..MISS };
    const HEAD_SAME: &str =
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\nX-New: 1\r\nContent-Length: 3\r\n\r\n";
    const HEAD_LONGER: &str =
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nETag: \"b\"\r\nContent-Length: 4\r\n\r\n";
    const HEAD_GONE: &str = "HTTP/1.1 410 Gone\r\nCache-Control: max-age=100\r\nContent-Length: 4\r\n\r\n";
    const NEW_SAME: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\nCache-Control: max-age=100\r\n\r\n";
    Stage::new(milestone, &[]).play(&[
        (
            "from a fresh GET",
            &[
                get("", &[NEW], "new"),
                Step { backend: &[], got: &["Content-Length: 3", "ETag: \"b\"", "Age"], ..HEAD },
                Step { backend: &[], fields: "If-None-Match: \"b\"\r\n", status: 304, ..HEAD },
            ],
        ),
        ("on its own it stores nothing", &[Step { backend: &[HEAD_SAME], ..HEAD }, get("", &[NEW], "new"), hit("new")]),
        (
            "freshens",
            &[
                get("", &[TAGGED], "old"),
                Step { backend: &[HEAD_SAME], got: &["X-New: 1"], ..HEAD },
                Step { got: &["X-New: 1", "Content-Length: 3"], ..hit("old") },
            ],
        ),
        (
            "of another version: what is stored is stale",
            &[
                get("", &[NEW], "new"),
                Step { fields: "Cache-Control: no-cache\r\n", backend: &[HEAD_SAME], ..HEAD },
                asking(get("", &[NEW_SAME], "new"), &["If-None-Match: \"b\""]),
                hit("new"),
                Step { fields: "Cache-Control: no-cache\r\n", backend: &[HEAD_LONGER], ..HEAD },
                asking(get("", &[TAGGED], "old"), &["If-None-Match: \"b\""]),
            ],
        ),
        (
            "no other status changes anything",
            &[
                get("", &[NEW], "new"),
                Step { fields: "Cache-Control: no-cache\r\n", backend: &[HEAD_GONE], status: 410, ..HEAD },
                hit("new"),
            ],
        ),
    ]);
}

fn a_head_is_news_for_all_that_could_have_answered_it(milestone: &Milestone) {
    const HEAD: Step = Step { method: "HEAD", ..MISS };
    const VARIANT: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nVary: Foo\r\nETag: \"1\"\r\n\
                           Content-Length: 3\r\n\r\none";
    const LONGER: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nETag: \"b\"\r\nContent-Length: 4\r\n\r\n";
    const SAME_AS_NEW: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\nCache-Control: max-age=100\r\n\r\n";
    const MISSING: &str = "HTTP/1.1 404 Not Found\r\nCache-Control: max-age=100\r\nContent-Length: 2\r\n\r\nno";
    const FOUND: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\n\r\n";
    Stage::new(milestone, &[]).play(&[
        (
            "not only for what was chosen",
            &[
                get("Foo: 1\r\n", &[VARIANT], "one"),
                get("Foo: 2\r\n", &[NEW], "new"),
                Step { fields: "Foo: 1\r\nCache-Control: no-cache\r\n", backend: &[LONGER], ..HEAD },
                asking(get("Foo: 2\r\n", &[SAME_AS_NEW], "new"), &["If-None-Match~\"b\""]),
            ],
        ),
        (
            "a 200 is not about a stored error",
            &[
                Step { status: 404, ..get("", &[MISSING], "no") },
                Step { fields: "Cache-Control: no-cache\r\n", backend: &[FOUND], ..HEAD },
                get("", &[NEW], "new"),
            ],
        ),
    ]);
}
