//! A browser without a window asks for a site over TLS through the proxy: a page, what belongs to it, and a WebSocket.

use crate::{
    open,
    support::{
        browser::{BROWSER_PATIENCE, Browser, Page, Setting},
        milestones::{Client, Milestone},
        page_site as site,
        process::wait_until_within,
        tls::Site,
    },
};

#[test]
fn a_browser_shows_a_page_through_tunnels_and_its_websocket_works() {
    let backend = site::start();
    let files = Site::new(&["127.0.0.1"]);
    let server = Milestone::last().with(Client::Plain).start(&[&backend], &files.flags());
    let port = server.tls_address().port().to_string();
    let proxy = open(&["--connect-port", &port]);
    let setting = Setting { certificate: Some(&files.certificate), proxy: Some(proxy.address()) };
    let Some(browser) = Browser::open(setting) else { return };
    let _page = Page::open(&browser, &format!("https://127.0.0.1:{port}/"));
    wait_until_within(BROWSER_PATIENCE, "the page to report", || site::report(&backend).is_some());
    let log = browser.log();
    // The browser speaks with the server itself, over HTTP/2: the proxy reads nothing of it, and sends nothing of its own.
    assert_eq!(site::report(&backend).unwrap(), site::REPORT, "{log}");
    site::expect_http2(&backend);
    let stats = proxy.stats();
    assert!(stats["origins"]["tunnels_in_flight"].as_u64().unwrap() > 0, "{stats}");
    drop(browser);
    proxy.wait_for_stderr(&format!("request=\"CONNECT 127.0.0.1:{port} HTTP/1.1\" status=200"));
    assert!(!proxy.stderr().contains(" ERROR "), "{}", proxy.stderr());
}
