//! A name may stand for several addresses, and the server may be at any of them.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone2},
        raw::{Backend, Conn, refusing_address},
    },
};
use std::net::{Ipv6Addr, TcpListener};

from_milestone2! {
    over_http2 {
        a_server_that_listens_on_ipv6_only_is_found_by_its_name,
        a_server_that_listens_nowhere_is_one_failure,
    }
}

/// A port at which 127.0.0.1 refuses, and a listener at the same port of `::1`. `None`: this machine has no IPv6.
fn ipv6_only() -> Option<TcpListener> {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok()?;
    (0..100).find_map(|_| TcpListener::bind((Ipv6Addr::LOCALHOST, refusing_address().port())).ok())
}

fn a_server_that_listens_on_ipv6_only_is_found_by_its_name(milestone: &Milestone) {
    let Some(listener) = ipv6_only() else { return };
    let name = format!("localhost:{}", listener.local_addr().unwrap().port());
    let backend = Backend::start_on(listener, |mut served| {
        while served.request().is_some() {
            if served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_err() {
                return;
            }
        }
    });
    let flags = ["--fail-after", "1", "--health-interval", "20ms", "--workers", "1", "--retries", "0"];
    let proxy = milestone.start_before(&[&name], &flags);
    for _ in 0..3 {
        let before = backend.connections();
        let mut client = Conn::open(proxy.address());
        (0..10).for_each(|_| assert_eq!(client.ask(&get("/")).body, b"hello"));
        // Probes find it, too.
        crate::support::process::wait_until("probes", || backend.connections() > before + 3);
    }
    assert!(!proxy.stderr().contains(" down: "), "{}", proxy.stderr());
}

/// Refused at both addresses, or, without IPv6, at the only one that there is: there is no listener, and the log says
/// so.
fn a_server_that_listens_nowhere_is_one_failure(milestone: &Milestone) {
    let name = format!("localhost:{}", refusing_address().port());
    let proxy = milestone.start_before(&[&name], &["--no-health", "--retries", "0"]);
    let response = Conn::open(proxy.address()).ask(&get("/"));
    assert_eq!(
        (response.status(), response.field("proxy-status")),
        (502, Some("socket-patterns; error=connection_refused"))
    );
    proxy.wait_for_stderr("failure=\"connection refused\"");
}
