//! From the plain port to TLS.

use crate::{
    Stage,
    support::raw::{Backend, Conn},
};

#[test]
fn plain_requests_are_sent_to_tls() {
    let stage = Stage::new(&["--redirect-https=443", "--redirect-except", "/.well-known/acme-challenge/*"]);
    let mut client = Conn::open(stage.proxy.address());
    for (request, location) in [
        ("GET /x?y=1 HTTP/1.1\r\nHost: test:8080\r\n\r\n", "https://test/x?y=1"),
        ("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "https://a.test/"),
        ("POST /form HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n", "https://test/form"),
    ] {
        let answer = client.ask(request);
        assert_eq!((answer.status(), answer.field("Location")), (308, Some(location)), "{request}");
    }
    assert_eq!(client.ask("GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: test\r\n\r\n").status(), 200);
    assert_eq!(stage.client().get("/", "test").status(), 200, "over TLS it is answered");
    assert_eq!(stage.backend.requests().len(), 2, "the redirected ones went nowhere");
    let mut old = Conn::open(stage.proxy.address());
    assert_eq!(old.ask("GET / HTTP/1.0\r\n\r\n").status(), 421, "of which host?");
    stage.proxy.wait_for_stderr("failure=\"redirected to TLS\"");
}

#[test]
fn without_another_port_it_is_that_of_the_listener() {
    let stage = Stage::new(&["--redirect-https"]);
    let answer = Conn::open(stage.proxy.address()).ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let expected = format!("https://test:{}/", stage.proxy.tls_address().port());
    assert_eq!((answer.status(), answer.field("Location")), (308, Some(&*expected)));
}

#[test]
fn a_client_that_came_to_a_trusted_gateway_over_tls_is_answered() {
    let stage = Stage::new(&["--redirect-https", "--trusted-proxy", "127.0.0.0/8"]);
    let mut client = Conn::open(stage.proxy.address());
    let request = |scheme| format!("GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-Proto: {scheme}\r\n\r\n");
    assert_eq!(client.ask(&request("https")).status(), 200);
    assert_eq!(client.ask(&request("http")).status(), 308);
}

#[test]
fn answers_over_tls_say_that_tls_is_to_be_used() {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let own = if request.head.as_ref().is_some_and(|head| head.target() == "/own") {
                "Strict-Transport-Security: max-age=1\r\n"
            } else {
                ""
            };
            served.conn.send(format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{own}Content-Length: 0\r\n\r\n"));
        }
    });
    let stage = Stage::before(backend, &["--hsts", "180days", "--hsts-subdomains"]);
    let mut client = stage.client();
    let ours = Some("max-age=15552000; includeSubDomains");
    for (target, host, expected) in [
        ("/", "test", ours),
        ("/", "test", ours),
        ("/own", "test", Some("max-age=1")),
        ("/own", "test", Some("max-age=1")),
        ("/", "other.example", ours),
    ] {
        let answer = client.get(target, host);
        let fields: Vec<&str> = answer.head.as_ref().unwrap().all("Strict-Transport-Security").collect();
        assert_eq!(fields, expected.into_iter().collect::<Vec<_>>(), "{target} {host}");
    }
    client.send("BAD\r\n\r\n");
    assert_eq!(client.response("GET").field("Strict-Transport-Security"), ours);
    let plain = Conn::open(stage.proxy.address()).ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(plain.field("Strict-Transport-Security"), None, "without TLS it would be ignored");
}

#[test]
fn tls_on_the_plain_port_is_refused_at_its_first_byte() {
    let stage = Stage::new(&[]);
    let mut client = Conn::open(stage.proxy.address());
    client.send([22]);
    let (answer, _) = client.read_to_end();
    assert!(answer.starts_with(b"HTTP/1.1 400 "));
    stage.proxy.wait_for_stderr("failure=\"TLS on the plain port\"");
}
