//! Milestone 5's suite: clients speak TLS and HTTP/2, and nothing else that they hear of the proxy is different from before.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod backends;
mod backends_failing;
mod backends_reload;
mod bad_input;
mod certificates;
mod closing;
mod handshake;
mod http2;
mod http2_crowd;
mod peers;
mod redirect;
mod reload;
mod reload_under_load;
mod streams;
mod unread;

use support::{
    milestones::Milestone,
    process::Process,
    raw::Backend,
    tls::{Site, Tls},
};

const PROGRAM: Milestone = Milestone::last().with(support::milestones::Client::Plain);

/// A proxy before a backend that says hello, with a certificate for `test`.
struct Stage {
    proxy: Process,
    site: Site,
    backend: Backend,
}

impl Stage {
    fn new(flags: &[&str]) -> Self {
        Self::before(Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), flags)
    }

    fn before(backend: Backend, flags: &[&str]) -> Self {
        let site = Site::new(&["test", "a.test", "b.test", "127.0.0.1"]);
        let proxy = PROGRAM.start(&[&backend], &[&site.flags()[..], flags].concat());
        Self { proxy, site, backend }
    }

    fn client(&self) -> Tls {
        Tls::open(self.proxy.tls_address(), "test")
    }
}
