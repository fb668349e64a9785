//! Tests that the suites' clients speak TLS and HTTP/2 where they seem to: else the tests with such clients would prove nothing.

use crate::{
    get,
    support::{
        milestones::{Client, Milestone},
        raw::{Backend, Conn},
    },
};

/// The access log's line of a client of that kind.
fn line(client: Client) -> String {
    let backend = Backend::saying("x");
    let proxy = Milestone::last().with(client).start(&[&backend], &[]);
    assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"x");
    proxy.wait_for_stderr("request=\"GET / ");
    proxy.stderr()
}

#[test]
fn it_is_tls_that_the_proxy_hears() {
    let log = line(Client::Tls);
    assert!(log.contains(" tls=\"1.3 ") && log.contains("GET / HTTP/1.1"), "{log}");
}

#[test]
fn it_is_http2_over_tls_that_the_proxy_hears() {
    let log = line(Client::Http2);
    assert!(log.contains(" tls=\"1.3 ") && log.contains(" alpn=h2 ") && log.contains("GET / HTTP/2.0"), "{log}");
}
