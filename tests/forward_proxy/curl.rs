//! A real client: curl asks for pages in plain and over TLS, by way of the proxy.

use crate::{
    open,
    support::{process::start_listening, raw::Backend},
};
use std::process::Command;

/// The output of curl with these arguments; `None`: there is no curl here.
fn curl(args: &[&str]) -> Option<String> {
    let patience = ["--silent", "--show-error", "--max-time", "20"];
    let output =
        Command::new("curl").args(patience).args(args).env_remove("no_proxy").env_remove("NO_PROXY").output().ok()?;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn curl_asks_for_pages_in_plain_and_through_tunnels() {
    let backend = Backend::saying("hello");
    let url = format!("http://localhost:{}/", crate::port(&backend));
    let proxy = open(&["--connect-port", &crate::port(&backend)]);
    let by = proxy.address().to_string();
    let Some(page) = curl(&["--proxy", &by, &url]) else { return };
    assert_eq!(page, "hello");
    assert_eq!(curl(&["--proxytunnel", "--proxy", &by, &url]).unwrap(), "hello");
    assert_eq!(curl(&["--http1.0", "--proxy", &by, &url]).unwrap(), "hello");
    assert_eq!(curl(&["--proxy", &by, "--data", "a=b", &url, &url]).unwrap(), "hellohello");
}

#[test]
fn curl_speaks_tls_and_http2_through_a_tunnel() {
    let backend = Backend::saying("hello");
    let listen = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--no-health", "--backend"];
    let server =
        start_listening(env!("CARGO_BIN_EXE_milestone5"), &[&listen[..], &[backend.name().as_str()]].concat(), 2);
    let port = server.tls_address().port().to_string();
    let proxy = open(&["--connect-port", &port]);
    let by = proxy.address().to_string();
    let url = format!("https://localhost:{port}/");
    let shown = ["--insecure", "--write-out", " %{http_version}", "--proxy", &by, &url];
    let Some(page) = curl(&[&["--http1.1"], &shown[..]].concat()) else { return };
    assert_eq!(page, "hello 1.1");
    if curl(&["--version"]).is_some_and(|version| version.contains("HTTP2")) {
        assert_eq!(curl(&[&["--http2"], &shown[..]].concat()).unwrap(), "hello 2");
    }
    assert!(proxy.stats()["requests"]["tunnels"].as_u64().unwrap() >= 1);
}
