//! Backends that lie, break off or talk nonsense, and clients that try to choose what others get: nothing wrong is served.

use crate::{
    get, get_with, ok,
    stage::{HIT, MISS, Stage, Step},
    support::{
        milestones::{Milestone, from_milestone4},
        raw::{Backend, Conn, LOOPBACK_IS_A_NETWORK},
    },
};

from_milestone4! {
    over_http2 {
        a_response_that_is_cut_short_changes_nothing,
        bytes_after_a_response_are_not_taken_for_the_next,
        nonsense_in_fields,
        long_fields,
        fields_that_the_backend_did_not_see_select_nothing,
        a_field_that_a_client_lists_takes_no_condition_of_ours_away,
        content_of_a_get_is_not_ignored,
    }
    for_reverse_proxies "they ask for hosts by name, and to a forward proxy a name is one that resolves" {
        over_http2 {
            the_scheme_is_that_of_a_trusted_gateway,
            the_address_of_the_client_selects_nothing,
            another_spelling_is_another_entry,
        }
        in_plain "they are about connections without TLS" {
            the_same_resource_in_both_forms,
        }
    }
    for_reverse_proxies "the server sees the host that the target names, and hears of its client only where that is asked for" {
        over_http2 {
            fields_that_are_not_in_the_key_do_not_get_to_the_backend,
            a_gateways_claims_beyond_the_key_are_not_for_the_cache,
        }
    }
}

/// A validation, a part, a first response: broken off, each leaves what was stored as it was.
fn a_response_that_is_cut_short_changes_nothing(milestone: &Milestone) {
    const STALE: &str = "Cache-Control: max-age=5\r\nAge: 5\r\nETag: \"a\"\r\n";
    for broken in [
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: 9\r\n\r\nnew",
        "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=100\r\nETag: \"a\"\r\n\
         Content-Range: bytes 0-8/9\r\nContent-Length: 9\r\n\r\nnew",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nCache-Control: max-a",
    ] {
        let backend = Backend::start(move |mut served| {
            let _ = served.request();
            let answer = match served.number {
                0 => ok(STALE, "old").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
                1 => broken.to_owned(),
                _ => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nCache-Control: max-age=100\r\n\r\n".to_owned(),
            };
            let _ = served.conn.try_send(answer);
        });
        let proxy = milestone.start(&[&backend], milestone.forgiving());
        assert_eq!(Conn::open(proxy.address()).ask(&get("/a")).body, b"old");
        let mut client = Conn::open(proxy.address());
        client.send(get_with("/a", "Range: bytes=0-8\r\n"));
        let outcome = client.outcome("GET");
        assert!(outcome.as_ref().map_or(true, |got| got.status() == 502), "{broken}: looks whole: {outcome:?}");
        let validated = Conn::open(proxy.address()).ask(&get("/a"));
        assert_eq!((validated.status(), validated.body.as_slice()), (200, &b"old"[..]), "{broken}");
        assert_eq!(backend.requests()[2].field("if-none-match"), Some("\"a\""), "{broken}");
        let hit = Conn::open(proxy.address()).ask(&get("/a"));
        assert_eq!((hit.body.as_slice(), backend.requests().len()), (&b"old"[..], 3), "{broken}");
    }
}

/// Bytes beyond the announced length would be the answer to another client's request.
fn bytes_after_a_response_are_not_taken_for_the_next(milestone: &Milestone) {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: 4\r\n\r\nevil";
    for announced in [
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: 4\r\n\r\ngood",
        "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=100\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nCache-Control: max-age=100\r\n\r\n",
    ] {
        let backend = Backend::start(move |mut served| {
            let number = served.number;
            while served.request().is_some() {
                let answer = if number == 0 { format!("{announced}{EVIL}") } else { ok("", "later") };
                let _ = served.conn.try_send(answer);
            }
        });
        let proxy = milestone.start(&[&backend], &["--workers", "1"]);
        let mut client = Conn::open(proxy.address());
        client.ask(&get("/a"));
        let next = client.ask(&get("/b"));
        assert_eq!(next.body, b"later", "{announced}: {next:?}");
        assert_ne!(client.ask(&get("/a")).body, b"evil");
    }
}

fn nonsense_in_fields(milestone: &Milestone) {
    const fn twice(backend: &'static [&'static str]) -> [Step; 2] {
        [Step { backend, body: "x", ..MISS }, Step { backend, body: "x", ..MISS }]
    }
    let mut stage = Stage::new(milestone, &[]);
    stage.play(&[
        ("Expires: 0", &twice(&["HTTP/1.1 200 OK\r\nExpires: 0\r\nContent-Length: 1\r\n\r\nx"])),
        (
            "Expires: garbage",
            &twice(&["HTTP/1.1 200 OK\r\nExpires: Foo, 99 Bar 9999 99:99:99 GMT\r\nContent-Length: 1\r\n\r\nx"]),
        ),
        ("max-age: garbage", &twice(&["HTTP/1.1 200 OK\r\nCache-Control: max-age=1e9\r\nContent-Length: 1\r\n\r\nx"])),
        (
            "an age beyond all numbers",
            &twice(&["HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nAge: 99999999999999999999\r\nContent-Length: 1\r\n\r\nx"]),
        ),
        (
            "a Date in the far past",
            &twice(&["HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
                      Content-Length: 1\r\n\r\nx"]),
        ),
        (
            "a Date that is none",
            &[
                Step {
                    backend: &["HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nDate: 0\r\nContent-Length: 1\r\n\r\nx"],
                    body: "x",
                    ..MISS
                },
                Step { body: "x", ..HIT },
            ],
        ),
        (
            "a lifetime beyond all numbers",
            &[
                Step {
                    backend: &["HTTP/1.1 200 OK\r\nCache-Control: max-age=99999999999999999999\r\nContent-Length: 1\r\n\r\nx"],
                    body: "x",
                    ..MISS
                },
                Step { body: "x", ..HIT },
            ],
        ),
    ]);
}

fn long_fields(milestone: &Milestone) {
    let long_directive = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=100, x=\"{}\"\r\nContent-Length: 1\r\n\r\nx",
        "y".repeat(10_000)
    );
    let names: Vec<String> = (0..1000).map(|number| format!("F{number}")).collect();
    let long_vary = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nVary: {}\r\nContent-Length: 1\r\n\r\nx",
        names.join(",")
    );
    // The one is read to its end, the other never reused.
    for (answer, requests) in [(long_directive, 1), (long_vary, 2)] {
        let backend = Backend::answering(answer);
        let proxy = milestone.start(&[&backend], &[]);
        let mut client = Conn::open(proxy.address());
        for _ in 0..2 {
            assert_eq!(client.ask(&get("/a")).body, b"x");
        }
        assert_eq!(backend.requests().len(), requests);
    }
}

/// A header that decides what the backend says, and that the key does not have, is how one client poisons all others.
fn fields_that_are_not_in_the_key_do_not_get_to_the_backend(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let fields =
                ["host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for", "forwarded", "x-original-url"];
            let fields = fields.iter().chain(&["x-forwarded-prefix"]);
            let said: Vec<_> = fields.filter_map(|name| request.field(name)).collect();
            served.conn.send(ok("Cache-Control: max-age=100\r\n", &said.join(" ")));
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    let evil = "X-Forwarded-Host: evil\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: host=evil\r\n\
                X_Forwarded_Host: evil\r\nX-Forwarded-Prefix: /evil\r\nX-Original-URL: /evil\r\n";
    let poisoned = client.ask(&get_with("/a", evil));
    let own = |host: &str| format!("{host} {host} {} 127.0.0.1", milestone.scheme()).into_bytes();
    assert_eq!(poisoned.body, own("test"));
    assert_eq!(client.ask(&get("/a")).body, poisoned.body);
    assert_eq!(backend.requests().len(), 1);
    assert_eq!(client.ask("GET /a HTTP/1.1\r\nHost: evil\r\n\r\n").body, own("evil"));
    assert_eq!(client.ask(&get("/a")).body, poisoned.body);
}

/// Two paths of a gateway that are one path here, a user that it has let in, another method: no key tells them apart.
fn a_gateways_claims_beyond_the_key_are_not_for_the_cache(milestone: &Milestone) {
    const BEYOND: &[&str] =
        &["X-Forwarded-Prefix", "X-Original-URL", "X-Forwarded-User", "X-Forwarded-Port", "X-HTTP-Method-Override"];
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let said: Vec<_> = BEYOND.iter().filter_map(|name| request.field(name)).collect();
            served.conn.send(ok("Cache-Control: max-age=100\r\n", &said.join(" ")));
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--trusted-proxy", "127.0.0.0/8"]);
    let mut client = Conn::open(proxy.address());
    for field in BEYOND {
        for value in ["/one", "/other"] {
            let got = client.ask(&get_with("/a", &format!("{field}: {value}\r\n")));
            assert_eq!(String::from_utf8_lossy(&got.body), value, "{field}");
        }
        assert_eq!(client.ask(&get("/a")).body, b"", "{field} got into the cache");
    }
    assert_eq!(backend.requests().len(), 2 * BEYOND.len() + 1);
    // A field that agrees with the key is no reason to ask the backend.
    let agrees = format!("X-Forwarded-Port: {}\r\nX-Real-IP: 6.6.6.6\r\n", milestone.default_port());
    assert_eq!(client.ask(&get_with("/a", &agrees)).body, b"");
    assert_eq!(backend.requests().len(), 2 * BEYOND.len() + 1);
}

/// RFC 9112 §3.3: the scheme of the target is the one that a trusted gateway names. Else a redirect from http to https would
/// answer those who are there already.
fn the_scheme_is_that_of_a_trusted_gateway(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let said = ["x-forwarded-proto", "x-forwarded-host"].map(|name| request.field(name).unwrap().to_owned());
            let stale = "Cache-Control: max-age=5, stale-while-revalidate=100\r\nAge: 5\r\n";
            let fields = if request.head.as_ref().unwrap().target() == "/stale" {
                stale
            } else {
                "Cache-Control: max-age=100\r\n"
            };
            served.conn.send(ok(fields, &said.join(" ")));
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--trusted-proxy", "127.0.0.0/8"]);
    let mut client = Conn::open(proxy.address());
    for _ in 0..2 {
        for scheme in ["http", "https"] {
            let got = client.ask(&get_with("/a", &format!("X-Forwarded-Proto: {scheme}\r\n")));
            assert_eq!(String::from_utf8_lossy(&got.body), format!("{scheme} test"));
        }
    }
    assert_eq!(backend.requests().len(), 2);
    // Two hosts in one request have no key.
    for host in ["other", "another"] {
        let got = client.ask(&get_with("/a", &format!("X-Forwarded-Host: {host}\r\n")));
        assert_eq!(String::from_utf8_lossy(&got.body), format!("{} {host}", milestone.scheme()));
    }
    assert_eq!(client.ask(&get("/a")).body, format!("{} test", milestone.scheme()).into_bytes());
    assert_eq!(backend.requests().len(), 4);
    // The request in the background asks for the same resource.
    for _ in 0..2 {
        assert_eq!(client.ask(&get_with("/stale", "X-Forwarded-Proto: https\r\n")).body, b"https test");
    }
    assert_eq!(backend.wait_for_request(6).field("x-forwarded-proto"), Some("https"));
}

/// A field that `Connection` lists is not passed on: the answer to a request without it is not that for one with it.
fn fields_that_the_backend_did_not_see_select_nothing(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let said = request.field("cookie").unwrap_or("nobody");
            served.conn.send(ok("Cache-Control: max-age=100\r\nVary: Cookie\r\n", said));
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    let mut ask = |lines: &str| String::from_utf8(client.ask(&get_with("/a", lines)).body).unwrap();
    assert_eq!(ask("Cookie: me\r\nConnection: cookie\r\n"), "nobody");
    assert_eq!(ask("Cookie: me\r\n"), "me");
    assert_eq!(ask("Cookie: you\r\nConnection: keep-alive, Cookie\r\n"), "nobody");
    assert_eq!(backend.requests().len(), 2);
}

/// The proxy itself tells the backend which client asks: so two requests without such a field are not the same for the
/// backend.
fn the_address_of_the_client_selects_nothing(milestone: &Milestone) {
    use std::net::Ipv4Addr;
    if !LOOPBACK_IS_A_NETWORK {
        return;
    }
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let said = request.field("x-forwarded-for").unwrap();
            served.conn.send(ok("Cache-Control: max-age=100\r\nVary: X-Forwarded-For\r\n", said));
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    for last in [1, 2, 1] {
        let mut client = Conn::open_from(Ipv4Addr::new(127, 0, 0, last), proxy.address());
        assert_eq!(client.ask(&get("/a")).body, format!("127.0.0.{last}").as_bytes());
    }
}

/// Nor are our own conditions taken away by a client that lists their names.
fn a_field_that_a_client_lists_takes_no_condition_of_ours_away(milestone: &Milestone) {
    Stage::new(milestone, &[]).play(&[(
        "",
        &[
            Step {
                backend: &["HTTP/1.1 200 OK\r\nETag: \"a\"\r\nCache-Control: no-cache\r\nContent-Length: 1\r\n\r\nx"],
                body: "x",
                ..MISS
            },
            Step {
                fields: "Connection: If-None-Match\r\n",
                backend: &["HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"],
                asked: &["If-None-Match: \"a\""],
                body: "x",
                ..MISS
            },
        ],
    )]);
}

fn another_spelling_is_another_entry(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let said = format!("{} {}", request.head.as_ref().unwrap().target(), request.field("host").unwrap());
            served.conn.send(ok("Cache-Control: max-age=100\r\n", &said));
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    let spellings = [
        ("/a", "h"),
        ("/a", "H"),
        ("/a", &format!("h:{}", milestone.default_port())),
        ("/a?", "h"),
        ("/a?b", "h"),
        ("/%61", "h"),
        ("/a/", "h"),
        ("/A", "h"),
    ];
    for _ in 0..2 {
        for (target, host) in spellings {
            let got = client.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!(String::from_utf8_lossy(&got.body), format!("{target} {host}"));
        }
    }
    assert_eq!(backend.requests().len(), spellings.len());
}

fn the_same_resource_in_both_forms(milestone: &Milestone) {
    let backend = Backend::answering(ok("Cache-Control: max-age=100\r\n", "x"));
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    for target in ["/", "http://test/", "http://test"] {
        assert_eq!(client.ask(&get(target)).body, b"x");
    }
    assert_eq!(backend.requests().len(), 1);
}

/// A `GET` with content may be answered by the content; the key knows nothing of it.
fn content_of_a_get_is_not_ignored(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            served.conn.send(ok("Cache-Control: max-age=100\r\n", &String::from_utf8_lossy(&request.body)));
        }
    });
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    assert_eq!(client.ask(&(get_with("/a", "Content-Length: 4\r\n") + "evil")).body, b"evil");
    assert_eq!(client.ask(&get("/a")).body, b"");
    assert_eq!(client.ask(&(get_with("/a", "Content-Length: 4\r\n") + "more")).body, b"more");
    assert_eq!(client.ask(&get("/a")).body, b"");
    assert_eq!(backend.requests().len(), 3);
}
