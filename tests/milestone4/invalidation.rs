//! An unsafe request makes stored responses untrue: those for its target and for the URIs that its answer names (RFC
//! 9111 §4.4).

use crate::{
    origin::{World, body, response},
    support::milestones::{Milestone, from_milestone4},
};

from_milestone4! {
    over_http2 {
        unsafe_requests_invalidate,
        failed_unsafe_requests_change_nothing,
    }
    for_reverse_proxies "they ask for hosts by name, and to a forward proxy a name is one that resolves" {
        over_http2 {
            unsafe_requests_invalidate_what_they_name,
        }
    }
}

/// §4.4: the target, for unsafe methods and for unknown ones.
fn unsafe_requests_invalidate(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "2"]);
    for (method, status, gone) in [
        ("POST", 200, true),
        ("PUT", 201, true),
        ("DELETE", 204, true),
        ("PATCH", 303, true),
        ("FROBNICATE", 200, true),
        ("OPTIONS", 200, false),
        ("POST", 400, false),
        ("PUT", 412, false),
        ("DELETE", 500, false),
    ] {
        let target = format!("/{method}/{status}");
        world.say(&target, response(200, "Cache-Control: max-age=100\r\n", "old"));
        world.say(&target, response(status, "", ""));
        world.say(&target, response(200, "Cache-Control: max-age=100\r\n", "new"));
        world.get(&target);
        assert_eq!(world.ask(method, &target, "Content-Length: 0\r\n").status(), status);
        assert_eq!(body(&world.get(&target)), if gone { "new" } else { "old" }, "{method} {status}");
    }
}

/// §4.4: `Location` and `Content-Location` of the same origin, relative or not, and never of another one.
fn unsafe_requests_invalidate_what_they_name(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1"]);
    for (n, (reference, gone)) in [
        ("/ROW/named", true),
        ("named", true),
        ("../ROW/./named#here", true),
        ("http://test/ROW/named", true),
        ("http://TEST:PORT/ROW/named", true),
        ("//test/ROW/named", true),
        ("http://other/ROW/named", false),
        ("http://test:81/ROW/named", false),
        ("https://test/ROW/named", false),
        ("http://test@other/ROW/named", false),
    ]
    .into_iter()
    .enumerate()
    {
        let reference = milestone.in_its_scheme(reference).replace("PORT", &milestone.default_port().to_string());
        for name in ["Location", "Content-Location"] {
            let row = format!("{name}-{n}");
            let (target, named) = (format!("/{row}/form"), format!("/{row}/named"));
            world.say(&named, response(200, "Cache-Control: max-age=100\r\n", "old"));
            world.say(&named, response(200, "Cache-Control: max-age=100\r\n", "new"));
            world.say(&target, response(201, &format!("{name}: {}\r\n", reference.replace("ROW", &row)), ""));
            world.get(&named);
            world.ask("POST", &target, "Content-Length: 0\r\n");
            assert_eq!(body(&world.get(&named)), if gone { "new" } else { "old" }, "{name}: {reference}");
        }
    }
}

fn failed_unsafe_requests_change_nothing(milestone: &Milestone) {
    let world = World::new(milestone, &["--workers", "1"]);
    world.say("/a", response(200, "Cache-Control: max-age=100\r\n", "old"));
    world.get("/a");
    world.say("/a", "");
    assert_eq!(world.ask("POST", "/a", "Content-Length: 0\r\n").status(), 502);
    world.say("/b", response(404, "Location: /a\r\n", ""));
    assert_eq!(world.ask("POST", "/b", "Content-Length: 0\r\n").status(), 404);
    assert_eq!(body(&world.get("/a")), "old");
}
