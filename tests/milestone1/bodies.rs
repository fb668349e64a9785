//! Every method with every form of body, both ways, byte for byte.

use crate::support::{
    milestones::{Milestone, from_milestone1},
    raw::{Backend, Conn, Served},
    wire::{Message, chunked},
};

from_milestone1! {
    over_both {
        every_method_and_body_form_passes_unchanged,
        large_bodies_pass_unchanged,
        bodies_pass_however_they_are_cut,
        trailers_pass_both_ways,
        http10_backends_are_understood,
    }
    over_tls "HTTP/2 has no clients of HTTP/1.0" {
        http10_clients_get_every_body_form,
    }
}

/// Every byte value, in no regular order.
fn body(len: usize) -> Vec<u8> {
    let mut state = len as u32 | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

const TRAILERS: &str = "X-Sum: 7\r\nx-two: b\r\n";

/// A request in one of the forms: `none`, `length`, `chunked`, `trailers`.
fn request(method: &str, target: &str, form: &str, body: &[u8]) -> Vec<u8> {
    let (field, content) = match form {
        "none" => (String::new(), Vec::new()),
        "length" => (format!("Content-Length: {}\r\n", body.len()), body.to_vec()),
        "chunked" => ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(body, 1000, "")),
        "trailers" => ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(body, 1000, TRAILERS)),
        other => panic!("{other}"),
    };
    [format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{field}\r\n").into_bytes(), content].concat()
}

/// Answers in the form that the target names: `/FORM/LEN`.
fn serve(mut served: Served) {
    while let Some(request) = served.request() {
        let head = request.head.expect("it is complete");
        let mut parts = head.target().split('/').skip(1);
        let (form, len) = (parts.next().unwrap(), parts.next().unwrap().parse().unwrap());
        let content = if head.method() == "HEAD" { Vec::new() } else { body(len) };
        let (status, field, content) = match form {
            "length" => ("200 OK", format!("Content-Length: {len}\r\n"), content),
            "chunked" | "trailers" => {
                let trailers = if form == "chunked" { "" } else { TRAILERS };
                let content = if head.method() == "HEAD" { Vec::new() } else { chunked(&content, 1000, trailers) };
                ("200 OK", "Transfer-Encoding: chunked\r\n".to_owned(), content)
            }
            "close" => ("200 OK", String::new(), content),
            "204" => ("204 No Content", String::new(), Vec::new()),
            "304" => ("304 Not Modified", format!("Content-Length: {len}\r\n"), Vec::new()),
            other => panic!("{other}"),
        };
        let response = [format!("HTTP/1.1 {status}\r\n{field}\r\n").into_bytes(), content].concat();
        // After a HEAD nothing tells the proxy that this is the end: it would be right to use the connection again.
        let ends = form == "close" && head.method() != "HEAD";
        if served.conn.try_send(response).is_err() || ends {
            return;
        }
    }
}

/// The trailers of a message in `form`.
fn trailers(form: &str) -> Vec<(String, String)> {
    let pairs: &[(&str, &str)] = if form == "trailers" { &[("X-Sum", "7"), ("x-two", "b")] } else { &[] };
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The names of HTTP/2 are in lower case, and in HTTP/1.1 the case means nothing.
fn lower(trailers: &[(String, String)]) -> Vec<(String, String)> {
    trailers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

pub(super) fn every_method_and_body_form_passes_unchanged(milestone: &Milestone) {
    const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "M-SEARCH", "lower"];
    let backend = Backend::start(serve);
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    let mut asked = 0;
    for method in METHODS {
        for sent in ["none", "length", "chunked", "trailers"] {
            for received in ["length", "chunked", "trailers", "close", "204", "304"] {
                for len in [0, 1, 2500] {
                    let case = format!("{method}, {len} bytes, {sent} there, {received} back");
                    let target = format!("/{received}/{len}?a=%20b");
                    let target = if sent == "none" { format!("/{received}/{len}") } else { target.replace("?", "/?") };
                    let content = if sent == "none" { Vec::new() } else { body(len) };
                    client.send(request(method, &target, sent, &content));
                    let response = client.response(method);
                    asked += 1;
                    let request = backend.wait_for_request(asked);
                    let head = request.head.as_ref().unwrap();
                    assert_eq!((head.method(), head.target()), (method, &target[..]), "{case}");
                    assert!(request.body == content, "{case}: the request's body changed");
                    assert_eq!(lower(&request.trailers), lower(&trailers(sent)), "{case}");
                    check_response(&response, method, received, len, &case);
                }
            }
        }
    }
}

fn check_response(response: &Message, method: &str, form: &str, len: usize, case: &str) {
    let bodiless = method == "HEAD" || form == "204" || form == "304";
    let status = form.parse().unwrap_or(200);
    assert_eq!(response.status(), status, "{case}");
    assert!(response.body == if bodiless { Vec::new() } else { body(len) }, "{case}: the response's body changed");
    let framing = (response.field("content-length"), response.field("transfer-encoding"));
    let length = len.to_string();
    let expected = match form {
        "length" | "304" => (Some(&length[..]), None),
        "204" => (None, None),
        _ if method == "HEAD" => (None, None),
        // Without a length of its own, it gets chunks: so the client's connection persists.
        _ => (None, Some("chunked")),
    };
    assert_eq!(framing, expected, "{case}");
    let expected = if bodiless { Vec::new() } else { trailers(form) };
    assert_eq!(lower(&response.trailers), lower(&expected), "{case}");
    assert!(!response.head.as_ref().unwrap().has_token("connection", "close"), "{case}");
}

pub(super) fn large_bodies_pass_unchanged(milestone: &Milestone) {
    let backend = Backend::start(serve);
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    let mut asked = 0;
    // Around the sizes of buffers: 16 KiB, 64 KiB, 256 KiB, and far beyond.
    for len in [16_383, 16_384, 16_385, 65_536, 262_143, 262_145, 3_000_000] {
        for form in ["length", "chunked", "close"] {
            let content = body(len);
            let sent = if form == "close" { "chunked" } else { form };
            client.send(request("PUT", &format!("/{form}/{len}"), sent, &content));
            let response = client.response("PUT");
            assert!(response.body == content, "{len} bytes in form {form} changed on their way back");
            asked += 1;
            assert!(backend.wait_for_request(asked).body == content, "{len} bytes in form {form} changed");
        }
    }
}

pub(super) fn bodies_pass_however_they_are_cut(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while served.request().is_some() {
            for byte in
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nX-T: 1\r\n\r\n"
            {
                served.conn.send([*byte]);
            }
        }
    });
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    let wire = request("POST", "/cut", "trailers", b"hello, world");
    for (n, cut) in (1..wire.len()).step_by(3).enumerate() {
        client.send(&wire[..cut]);
        client.send(&wire[cut..]);
        let response = client.response("POST");
        assert_eq!((&response.body[..], response.trailers.len()), (&b"abcd"[..], 1), "cut at {cut}");
        let request = backend.wait_for_request(n + 1);
        assert_eq!((&request.body[..], request.trailers.len()), (&b"hello, world"[..], 2), "cut at {cut}");
    }
    wire.iter().for_each(|byte| client.send([*byte]));
    assert_eq!(client.response("POST").body, b"abcd");
}

pub(super) fn trailers_pass_both_ways(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while served.request().is_some() {
            let trailers = "X-Sum: 7\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n";
            served.conn.send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n");
            served.conn.send(chunked(b"abc", 2, trailers));
        }
    });
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    let fields = "TE: trailers\r\nConnection: TE\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n";
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
    client.send(chunked(b"xyz", 2, "X-Sum: 8\r\nHost: evil\r\nAuthorization: root\r\nTransfer-Encoding: chunked\r\n"));
    let response = client.response("POST");
    let request = backend.wait_for_request(1);
    // Fields for routing, authentication or framing must not be read from trailers (RFC 9110 §6.5.1).
    assert_eq!(lower(&request.trailers), [("x-sum".to_owned(), "8".to_owned())]);
    assert_eq!(lower(&response.trailers), [("x-sum".to_owned(), "7".to_owned())]);
    assert_eq!((request.field("te"), request.field("trailer")), (Some("trailers"), Some("X-Sum")));
    assert_eq!(response.field("trailer"), Some("X-Sum"));
}

pub(super) fn http10_clients_get_every_body_form(milestone: &Milestone) {
    let backend = Backend::start(serve);
    let proxy = milestone.start(&[&backend], &[]);
    for form in ["length", "chunked", "trailers", "close"] {
        let mut client = Conn::open(proxy.address());
        client.send(format!("GET /{form}/2500 HTTP/1.0\r\n\r\n"));
        let response = client.response("GET");
        assert!(response.body == body(2500), "{form}: the body changed");
        assert_eq!(response.field("transfer-encoding"), None, "{form}: HTTP/1.0 knows no chunks");
        client.expect_end();
    }
    // Kept only if asked for, and if the end can be told without closing.
    for (form, kept) in [("length", true), ("304", true), ("chunked", false), ("close", false)] {
        let mut client = Conn::open(proxy.address());
        client.send(format!("GET /{form}/10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        let response = client.response("GET");
        let head = response.head.unwrap();
        assert_eq!(head.has_token("connection", "keep-alive"), kept, "{form}");
        assert_eq!(head.has_token("connection", "close"), !kept, "{form}");
        if kept {
            assert_eq!(client.ask(&crate::get("/length/3")).body, body(3), "{form}");
        } else {
            client.expect_end();
        }
    }
}

pub(super) fn http10_backends_are_understood(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let keeps = match request.head.unwrap().target() {
                "/close" => {
                    served.conn.send("HTTP/1.0 200 OK\r\n\r\nuntil the end");
                    false
                }
                "/length" => {
                    served.conn.send("HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\nuntil the end");
                    false
                }
                _ => {
                    let fields = "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 13\r\n";
                    served.conn.send(format!("HTTP/1.0 200 OK\r\n{fields}\r\nuntil the end"));
                    true
                }
            };
            if !keeps {
                return;
            }
        }
    });
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    for target in ["/close", "/length", "/keep", "/keep", "/close", "/keep"] {
        let response = client.ask(&crate::get(target));
        let head = response.head.unwrap();
        assert_eq!((&head.start[0][..], &response.body[..]), ("HTTP/1.1", &b"until the end"[..]), "{target}");
        assert_eq!((head.field("via"), head.field("keep-alive")), (Some("1.0 socket-patterns"), None), "{target}");
    }
}
