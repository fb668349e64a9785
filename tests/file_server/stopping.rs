//! The end of a server, asked for or not.

use crate::{
    Site, drivers, get,
    support::raw::{Conn, End},
};
use std::fs;

/// More bytes than the buffers of two kernels hold.
const LARGE: u64 = 16 << 20;

fn site() -> Site {
    let site = Site::new(&[("small", "content")]);
    fs::File::create(site.path("large")).unwrap().set_len(LARGE).unwrap();
    site
}

#[test]
fn a_stop_lets_running_responses_end() {
    let site = site();
    for driver in drivers() {
        // A busy machine takes seconds for a client with small windows.
        let mut server = site.serve(driver, &["--drain-timeout", "1m"]);
        let mut idle = Conn::open(server.address());
        assert_eq!(idle.ask(&get("/small")).status(), 200);
        let mut running = Conn::open_narrow(server.address());
        running.send(get("/large"));
        running.wait_for_input();
        server.signal("TERM");
        idle.expect_end();
        assert_eq!(running.response("GET").body.len() as u64, LARGE, "{driver}");
        running.expect_end();
        assert_eq!(server.wait().code(), Some(0), "{driver}");
    }
}

#[test]
fn a_response_that_takes_longer_than_the_drain_is_cut_off() {
    let site = site();
    for driver in drivers() {
        let mut server = site.serve(driver, &["--drain-timeout", "200ms"]);
        let mut deaf = Conn::open_narrow(server.address());
        deaf.send(get("/large"));
        deaf.wait_for_input();
        server.signal("TERM");
        assert_eq!(server.wait().code(), Some(0), "{driver}");
        let (content, end) = deaf.read_to_end();
        assert!(end == End::Reset && (content.len() as u64) < LARGE, "{driver}: {end:?}");
    }
}

#[test]
fn a_server_that_is_killed_breaks_its_responses() {
    let site = site();
    let mut server = site.serve("auto", &[]);
    let mut client = Conn::open_narrow(server.address());
    client.send(get("/large"));
    client.wait_for_input();
    server.signal("KILL");
    assert_eq!(server.wait().code(), None);
    assert!(client.outcome("GET").is_err());
    let again = site.serve("auto", &[]);
    assert_eq!(Conn::open(again.address()).ask(&get("/small")).body, b"content");
}

#[test]
fn the_work_so_far_is_told_on_a_signal() {
    let server = site().serve("auto", &[]);
    let mut client = Conn::open(server.address());
    (0..3).for_each(|_| drop(client.ask(&get("/nothing"))));
    server.signal("USR1");
    server.wait_for_stderr("3 requests, ");
    server.wait_for_stderr("request=\"GET /nothing\" status=404");
}
