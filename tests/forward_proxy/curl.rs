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
fn curl_gives_its_password_when_it_is_asked_and_before() {
    let backend = Backend::saying("hello");
    let url = format!("http://localhost:{}/", crate::port(&backend));
    let users = crate::users::file();
    let proxy = open(&["--connect-port", &crate::port(&backend), "--users", users.path().to_str().unwrap()]);
    let by = proxy.address().to_string();
    let Some(page) = curl(&["--proxy-user", "alice:secret", "--proxy", &by, &url]) else { return };
    assert_eq!(page, "hello");
    assert_eq!(curl(&["--proxy-anyauth", "--proxy-user", "alice:secret", "--proxy", &by, &url]).unwrap(), "hello");
    let tunnel = ["--proxytunnel", "--proxy-anyauth", "--proxy-user", "alice:secret", "--proxy", &by, &url];
    assert_eq!(curl(&tunnel).unwrap(), "hello");
    let wrong =
        ["--proxy-user", "alice:wrong", "--write-out", "%{http_code}", "--output", "/dev/null", "--proxy", &by, &url];
    assert_eq!(curl(&wrong).unwrap(), "407");
}

/// GNU wget, in plain and with a password; it has no tunnels for plain pages.
#[test]
fn wget_asks_for_pages() {
    let backend = Backend::saying("hello");
    let url = format!("http://localhost:{}/", crate::port(&backend));
    let users = crate::users::file();
    let proxy = open(&["--users", users.path().to_str().unwrap()]);
    let by = format!("http_proxy=http://{}/", proxy.address());
    let wget = |more: &[&str]| {
        let common = ["--quiet", "--output-document=-", "--tries=1", "--timeout=20", "-e", "use_proxy=yes", "-e"];
        let mut command = Command::new("wget");
        command.args(common).arg(&by).args(more).arg(&url).env_remove("no_proxy").env_remove("NO_PROXY");
        command.output().ok()
    };
    let Some(page) = wget(&["--proxy-user=alice", "--proxy-password=secret"]) else { return };
    assert_eq!((page.status.code(), &page.stdout[..]), (Some(0), &b"hello"[..]), "{page:?}");
    // The code that it has for an answer with an error.
    assert_eq!(wget(&["--proxy-user=alice", "--proxy-password=wrong"]).unwrap().status.code(), Some(8));
}

/// A package index through the proxy, as `apt-get update` asks for it: a repository without signatures, which it only warns about.
#[test]
fn apt_reads_an_index() {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let head = request.head.as_ref().unwrap();
            let known = head.target().ends_with("/Packages");
            let (status, body) =
                if known { ("200 OK", "Package: a\nVersion: 1\nArchitecture: all\n\n") } else { ("404 Not Found", "") };
            served.conn.send(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
            served.note(request);
        }
    });
    let proxy = open(&[]);
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).display().to_string();
    for directory in ["lists/partial", "cache/archives/partial", "etc", "empty"] {
        std::fs::create_dir_all(place.path().join(directory)).unwrap();
    }
    let line = format!("deb [trusted=yes] http://localhost:{}/ ./\n", crate::port(&backend));
    std::fs::write(place.path().join("etc/sources.list"), line).unwrap();
    std::fs::write(place.path().join("status"), "").unwrap();
    let options = [
        format!("Acquire::http::Proxy=http://{}/", proxy.address()),
        format!("Dir::State::lists={}", at("lists")),
        format!("Dir::State::status={}", at("status")),
        format!("Dir::Cache={}", at("cache")),
        format!("Dir::Etc::sourcelist={}", at("etc/sources.list")),
        format!("Dir::Etc::sourceparts={}", at("empty")),
        format!("Dir::Etc::parts={}", at("empty")),
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::Retries=0".to_owned(),
    ];
    let mut apt = Command::new("apt-get");
    apt.arg("update").env_remove("no_proxy").env_remove("NO_PROXY").env_remove("http_proxy");
    for option in &options {
        apt.args(["-o", option]);
    }
    let Ok(output) = apt.output() else { return };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let asked = backend.requests();
    let index = asked.iter().find(|request| request.head.as_ref().unwrap().target().ends_with("/Packages"));
    let index = index.unwrap_or_else(|| panic!("no index was asked for: {said}"));
    assert_eq!(index.field("Via"), Some("1.1 socket-patterns"), "{said}");
    assert!(output.status.success(), "{said}");
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
