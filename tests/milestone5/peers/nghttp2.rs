//! nghttp2's clients: `nghttp` asks for several things on one connection, `h2load` for very many.

use super::{Peer, Scene, site};
use crate::support::raw::Backend;
use std::fs;

#[test]
fn nghttp_gets_several_things_at_once_through_narrow_windows() {
    let Some(nghttp) = Peer::find(&["nghttp"], &["--version"]) else { return };
    let scene = Scene::new(site::start(), &[]);
    let mut urls: Vec<String> = (0..5).map(|number| scene.url(&format!("/item/{number}"))).collect();
    urls.push(scene.url("/large"));
    // Windows of 2¹² bytes for a stream and of 2¹⁶ for the connection, and no table for fields.
    let flags = ["-n", "-s", "--no-verify-peer", "-w", "12", "-W", "16", "--header-table-size=0"];
    let args: Vec<&str> = flags.into_iter().chain(urls.iter().map(String::as_str)).collect();
    let said = scene.run(nghttp, &args, "");
    let answered = said.stdout.lines().filter(|line| line.contains(" 200 ")).count();
    assert!(said.success && answered == urls.len(), "{said:?}");
    scene.expect_no_complaint();
}

#[test]
fn nghttp_sends_content_and_trailers() {
    let Some(nghttp) = Peer::find(&["nghttp"], &["--version"]) else { return };
    let scene = Scene::new(site::start(), &[]);
    fs::write(scene.path("upload"), vec![b'x'; 200_000]).unwrap();
    let flags = ["-v", "--no-verify-peer", "-H", "te: trailers", "-d", "upload", "--trailer", "x-sum: 7"];
    for (url, expect) in [(scene.url("/length"), "--expect-continue"), (scene.plain_url("/length"), "--no-push")] {
        let said = scene.run(nghttp, &[&flags[..], &[expect, &url]].concat(), "");
        assert!(said.success, "{said:?}");
        said.has(&[":status: 200", "200000", "x-sum: 7"]);
    }
    assert!(scene.stage.backend.requests().iter().all(|request| request.body.len() == 200_000));
    scene.expect_no_complaint();
}

#[test]
fn h2load_counts_no_failure() {
    let Some(h2load) = Peer::find(&["h2load"], &["--version"]) else { return };
    let scene = Scene::new(Backend::saying("hello"), &["--access-log", "off"]);
    let (url, plain) = (scene.url("/"), scene.plain_url("/"));
    for (protocol, args) in [("h2", &[&url[..]][..]), ("h2c", &[&plain]), ("http/1.1", &["--h1", &url])] {
        let streams = if protocol == "http/1.1" { "1" } else { "16" };
        let said = scene.run(h2load, &[&["-n", "1000", "-c", "8", "-m", streams], args].concat(), "");
        assert!(said.success, "{said:?}");
        said.has(&[protocol, "1000 succeeded, 0 failed, 0 errored, 0 timeout", "status codes: 1000 2xx"]);
    }
    scene.expect_no_complaint();
}
