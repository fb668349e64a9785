//! Conditions of a client, judged by what is stored and fresh (RFC 9111 §4.3.2).

use crate::{
    stage::{HIT, Stage, Step},
    support::milestones::{Milestone, from_milestone4},
    validation::{NEW, get, hit},
};

from_milestone4! {
    over_http2 { conditions_on_a_fresh_response, }
}

fn conditions_on_a_fresh_response(milestone: &Milestone) {
    const KNOWN: Step =
        Step { status: 304, got: &["ETag: \"b\"", "Age", "Cache-Control: max-age=100", "!Content-Length"], ..HIT };
    const DATE: &str = "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n";
    Stage::new(milestone, &[]).play(&[
        (
            "tags",
            &[
                get("", &[NEW], "new"),
                Step { fields: "If-None-Match: \"b\"\r\n", ..KNOWN },
                Step { fields: "If-None-Match: W/\"b\"\r\n", ..KNOWN },
                Step { fields: "If-None-Match: \"x,y\", \"b\"\r\n", ..KNOWN },
                Step { fields: "If-None-Match: \"x\"\r\nIf-None-Match: \"b\"\r\n", ..KNOWN },
                Step { fields: "If-None-Match: *\r\n", ..KNOWN },
                Step { fields: "If-None-Match: \"x\"\r\n", ..hit("new") },
                Step { fields: "If-None-Match: b\r\n", ..hit("new") },
            ],
        ),
        (
            "dates",
            &[
                get("", &[NEW], "new"),
                Step { fields: DATE, ..KNOWN },
                Step { fields: "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", ..hit("new") },
                Step { fields: "If-Modified-Since: tomorrow\r\n", ..hit("new") },
                Step {
                    fields: "If-None-Match: \"x\"\r\nIf-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
                    ..hit("new")
                },
            ],
        ),
        (
            "not for a cache",
            &[
                get("", &[NEW], "new"),
                Step { fields: "If-Match: \"x\"\r\n", ..hit("new") },
                Step { fields: "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", ..hit("new") },
            ],
        ),
    ]);
}
