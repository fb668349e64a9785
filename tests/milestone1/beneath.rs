//! Tests that the suites' clients speak TLS, HTTP/2 and the form for proxies where they seem to: else the tests with such clients would
//! prove nothing.

use crate::{
    get,
    support::{
        milestones::{Client, Milestone},
        raw::{Backend, Conn},
    },
};

/// The access log's line of a client of that kind.
fn line(client: Client) -> String {
    line_before(&Backend::saying("x"), Milestone::last().with(client))
}

fn line_before(backend: &Backend, milestone: Milestone) -> String {
    let proxy = milestone.start(&[backend], &[]);
    assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"x");
    proxy.wait_for_stderr("request=\"GET ");
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

#[test]
fn it_is_a_whole_uri_that_the_forward_proxy_hears() {
    let backend = Backend::saying("x");
    let log = line_before(&backend, Milestone::forward());
    assert!(log.contains(&format!("request=\"GET http://{}/ HTTP/1.1\"", backend.name())), "{log}");
}
