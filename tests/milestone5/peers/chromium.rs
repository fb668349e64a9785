//! A browser without a window: a page over HTTP/2 with what belongs to it, and a WebSocket on the same connection.

use super::{Scene, site};
use crate::support::{
    browser::{BROWSER_PATIENCE, Browser, Page, Setting},
    process::wait_until_within,
};

#[test]
fn a_browser_shows_a_page_over_http2_and_its_websocket_works() {
    let scene = Scene::new(site::start(), &[]);
    let setting = Setting { certificate: Some(&scene.stage.site.certificate), ..Setting::default() };
    let Some(browser) = Browser::open(setting) else { return };
    let _page = Page::open(&browser, &format!("https://test:{}/", scene.port()));
    let backend = &scene.stage.backend;
    wait_until_within(BROWSER_PATIENCE, "the page to report", || site::report(backend).is_some());
    let log = browser.log();
    drop(browser);
    assert_eq!(site::report(backend).unwrap(), site::REPORT, "{log}");
    site::expect_http2(backend);
    scene.expect_no_complaint();
}
