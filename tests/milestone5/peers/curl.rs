//! curl, with OpenSSL and nghttp2 beneath it.

use super::{Peer, Said, Scene, site};
use std::fs;

fn curl() -> Option<Peer> {
    // One that cannot speak HTTP/2 says so.
    Peer::find(&["curl"], &["--http2", "--version"])
}

impl Scene {
    fn curl(&self, peer: Peer, args: &[&str]) -> Said {
        self.run(peer, &[&["-sS", "--cacert", "ca.pem"], args].concat(), "")
    }
}

#[test]
fn curl_speaks_each_version_of_http_and_tls() {
    let Some(curl) = curl() else { return };
    let scene = Scene::new(site::start(), &[]);
    let (url, plain) = (scene.url("/item/1"), scene.plain_url("/item/1"));
    let version = ["-w", " over %{http_version}, %{http_code}"];
    let ask = |args: &[&str]| scene.curl(curl, &[&version, args].concat());
    for tls in ["1.2", "1.3"] {
        ask(&["--http1.1", "--tls-max", tls, &url]).expect("item 1 over 1.1, 200");
        ask(&["--http2", "--tls-max", tls, &url]).expect("item 1 over 2, 200");
        scene.stage.proxy.wait_for_stderr(&format!("tls=\"{tls} "));
    }
    ask(&["--http2-prior-knowledge", &plain]).expect("item 1 over 2, 200");
    // It asks to go over to HTTP/2, which RFC 9113 §3.1 has abolished.
    ask(&["--http2", &plain]).expect("item 1 over 1.1, 200");
    scene.expect_no_complaint();
}

#[test]
fn curl_goes_away_from_a_certificate_that_nobody_vouches_for() {
    let Some(curl) = curl() else { return };
    let scene = Scene::new(site::start(), &[]);
    scene.run(curl, &["-sS", &scene.url("/")], "").expect_failure("certificate");
    scene.stage.proxy.wait_for_stderr("failure=\"alert unknown_ca\"");
}

#[test]
fn curl_shows_a_certificate_of_its_own() {
    let Some(curl) = curl() else { return };
    let scene = Scene::new(site::start(), &["--client-ca", "ca.pem", "--client-cert-header", "X-SSL-Client-Subject"]);
    let url = scene.url("/subject");
    for version in ["--http1.1", "--http2"] {
        scene.curl(curl, &[version, "--cert", "client.pem", "--key", "client.key", &url]).expect("customer");
    }
    scene.curl(curl, &[&url]).expect_failure("alert");
}

#[test]
fn large_bodies_of_curl_pass_both_ways() {
    let Some(curl) = curl() else { return };
    let scene = Scene::new(site::start(), &[]);
    fs::write(scene.path("upload"), vec![b'x'; 3_000_000]).unwrap();
    for version in ["--http1.1", "--http2"] {
        // Of so much it asks first whether it may send it: `Expect: 100-continue`.
        let said = scene.curl(curl, &[version, "--data-binary", "@upload", &scene.url("/length")]);
        said.expect("3000000");
        let said =
            scene.curl(curl, &[version, "-H", "Transfer-Encoding: chunked", "-T", "upload", &scene.url("/length")]);
        said.expect("3000000");
        scene.curl(curl, &[version, "-o", "download", &scene.url("/large")]).expect("");
        assert!(fs::read(scene.path("download")).unwrap() == b"0123456789".repeat(100_000));
    }
    scene.expect_no_complaint();
}

#[test]
fn twenty_transfers_of_curl_run_at_once() {
    let Some(curl) = curl() else { return };
    let scene = Scene::new(site::start(), &[]);
    for version in ["--http1.1", "--http2"] {
        let url = scene.url("/item/[1-20]");
        scene.curl(curl, &[version, "--parallel", "--parallel-max", "20", "-o", "#1", &url]).expect("");
        for number in 1..=20 {
            assert_eq!(fs::read_to_string(scene.path(&number.to_string())).unwrap(), format!("item {number}"));
        }
    }
    scene.expect_no_complaint();
}

/// This curl knows nothing of WebSockets: it shows what comes behind the head.
#[test]
fn a_websocket_of_curl_opens_or_is_refused_by_the_backend() {
    let Some(curl) = curl() else { return };
    let scene = Scene::new(site::start(), &[]);
    let upgrade = ["-i", "--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket"];
    let key = ["-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    let url = scene.url("/greeting");
    let said = scene.curl(curl, &[&upgrade[..], &[&url]].concat());
    assert!(said.success && said.stdout.starts_with("HTTP/1.1 403 ") && said.stdout.ends_with("no go"), "{said:?}");
    let said = scene.curl(curl, &[&upgrade[..], &key, &[&url]].concat());
    // The accept of the example in RFC 6455 §1.3.
    said.has(&["HTTP/1.1 101 Switching Protocols", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "hello"]);
    assert!(said.success, "{said:?}");
}
