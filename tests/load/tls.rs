//! TLS: handshakes, resumption, certificates, and what ends a connection, each by its name.

use crate::{
    BRIEF, load, number, run,
    support::{
        http2_origin::{Http2Origin, allowing, server_config},
        process::{Process, spawn, start_listening},
        raw::Backend,
        tls::{Site, Special, authority, text},
    },
};
use predicates::{prelude::*, str::contains};
use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::{
    io::{Read, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

const SHORT: [&str; 4] = ["--duration", BRIEF, "--clients", "3"];

/// A server's certificate, and the file with the authority that has signed it.
struct Trusted {
    site: Site,
    authority: PathBuf,
}

impl Trusted {
    fn new(names: &[&str]) -> Self {
        Self::special(names, Special::default())
    }

    fn special(names: &[&str], special: Special) -> Self {
        let site = Site::special(names, special);
        let file = site.path("authority.pem");
        std::fs::write(&file, authority()).unwrap();
        Self { site, authority: file }
    }

    fn flags(&self) -> [&str; 2] {
        ["--ca", text(&self.authority)]
    }
}

/// A proxy that speaks TLS, before this backend.
fn milestone5(trusted: &Trusted, backend: &Backend) -> Process {
    let name = backend.name();
    let listen = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--no-health", "--backend", &name];
    start_listening(env!("CARGO_BIN_EXE_milestone5"), &[&listen[..], &trusted.site.flags()].concat(), 2)
}

type Secured = StreamOwned<ServerConnection, TcpStream>;

/// A server that speaks TLS on its first connection, which is the look whether it is there, and does as the test says on all others.
fn turning(trusted: &Trusted, script: impl Fn(TcpStream, ServerConnection) + Send + Sync + 'static) -> SocketAddr {
    let config = Arc::new(server_config(&trusted.site, &["http/1.1"]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(script);
    spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let (script, tls) = (script.clone(), ServerConnection::new(config.clone()).unwrap());
            spawn(move || if number == 0 { read_to_end(StreamOwned::new(tls, stream)) } else { script(stream, tls) });
        }
    });
    address
}

fn read_to_end(mut stream: Secured) {
    while has_read(&mut stream) {}
}

/// Reads something; `false`: the other side has ended.
fn has_read(stream: &mut impl Read) -> bool {
    matches!(stream.read(&mut [0; 4096]), Ok(1..))
}

fn handshakes(report: &Value) -> (f64, f64) {
    (number(report, "/handshakes/full"), number(report, "/handshakes/resumed"))
}

#[test]
fn good_answers_in_every_way() {
    let trusted = Trusted::new(&["localhost", "127.0.0.1"]);
    let backend = Backend::saying("hello");
    let server = milestone5(&trusted, &backend);
    for (host, way) in [
        ("localhost", &[][..]),
        ("127.0.0.1", &["--pipeline", "4"]),
        ("localhost", &["--rate", "100", "--threads", "2"]),
        ("localhost", &["--no-keep-alive"]),
    ] {
        let url = format!("https://{host}:{}/", server.tls_address().port());
        let report = load(&url, &[&SHORT[..], &trusted.flags(), way].concat());
        assert_eq!(report["errors"], json!({}), "{way:?}: {report:#}");
        assert!(number(&report, "/requests/answered") > 0.0, "{way:?}: {report:#}");
        let (full, resumed) = handshakes(&report);
        let made = number(&report, "/connections/made");
        // At the end, some are in the middle of it.
        assert!(full >= 1.0 && full + resumed <= made && full + resumed >= made - 3.0, "{way:?}: {report:#}");
        assert!(number(&report, "/handshakes/latency_us/p50") > 0.0, "{report:#}");
        let kept = !way.contains(&"--no-keep-alive");
        assert_eq!(
            (made == 3.0, number(&report, "/handshakes/per_second") == 0.0),
            (kept, kept),
            "{way:?}: {report:#}"
        );
        let facts = ["version", "key_exchange", "suite"].map(|name| &report["handshakes"][name]);
        assert_eq!(facts, ["1.3", "X25519MLKEM768", "TLS_AES_256_GCM_SHA384"], "{report:#}");
    }
}

#[test]
fn sessions_are_resumed_unless_that_is_refused() {
    let trusted = Trusted::new(&["localhost"]);
    let backend = Backend::saying("hello");
    let server = milestone5(&trusted, &backend);
    let url = format!("https://localhost:{}/", server.tls_address().port());
    let flags = [&SHORT[..], &trusted.flags(), &["--no-keep-alive"]].concat();
    let (full, resumed) = handshakes(&load(&url, &flags));
    // Each client needs a full one first, and from then on has a ticket.
    assert!(full <= 3.0 && resumed > full, "{full} full, {resumed} resumed");
    let (full, resumed) = handshakes(&load(&url, &[&flags[..], &["--no-resume"]].concat()));
    assert!(full > 3.0 && resumed == 0.0, "{full} full, {resumed} resumed");
}

#[test]
fn http_2_is_agreed_in_the_handshake() {
    let trusted = Trusted::new(&["localhost"]);
    let origin = Http2Origin::start_secured(allowing(100), &trusted.site, &["h2", "http/1.1"]);
    for (path, way) in [
        ("/bytes/100", &["--streams", "8"][..]),
        ("/bytes/1000000", &["--streams", "2"]),
        ("/bytes/10", &["--no-keep-alive"]),
        ("/echo", &["--method", "POST", "--body", "hello", "--rate", "100"]),
    ] {
        let url = format!("https://localhost:{}{path}", origin.address.port());
        let report = load(&url, &[&SHORT[..], &["--http2"], &trusted.flags(), way].concat());
        assert_eq!(report["errors"], json!({}), "{path}: {report:#}");
        assert!(number(&report, "/requests/answered") > 0.0, "{path}: {report:#}");
        assert_eq!(report["load"]["protocol"], "HTTP/2");
    }
    origin.with_first(|request| assert_eq!(request.scheme, Some(socket_patterns::http::target::Scheme::Https)));
}

#[test]
fn a_server_that_does_not_agree_on_http_2_is_told_of_and_not_measured_in_another_protocol() {
    let trusted = Trusted::new(&["localhost"]);
    for protocols in [&["http/1.1"][..], &[]] {
        let origin = Http2Origin::start_secured(allowing(100), &trusted.site, protocols);
        let url = format!("https://localhost:{}/", origin.address.port());
        let line = format!(
            "error: {url} does not speak HTTP/2: the handshake does not agree on h2 (ALPN). Leave --http2 out\n"
        );
        run(&[&[&*url, "--http2"], &trusted.flags()[..]].concat()).code(1).stdout("").stderr(line);
        assert_eq!(origin.count(), 0);
    }
}

#[test]
fn a_certificate_is_checked_and_the_flag_that_helps_is_named() {
    let day = Duration::from_secs(24 * 3600);
    let expired = Special { past: Some((30 * day, day)), ..Special::default() };
    for (trusted, has_ca, why) in [
        (
            Trusted::new(&["localhost"]),
            false,
            "certificate of an unknown authority. Give the authority's with --ca FILE",
        ),
        (
            Trusted::new(&["other.example"]),
            true,
            "certificate is for other names. To trust any server, give --insecure",
        ),
        (Trusted::special(&["localhost"], expired), true, "certificate has expired"),
    ] {
        let origin = Http2Origin::start_secured(allowing(100), &trusted.site, &["h2"]);
        let url = format!("https://localhost:{}/", origin.address.port());
        let flags = if has_ca { &trusted.flags()[..] } else { &[] };
        let said = run(&[&[&*url, "--http2"], flags].concat()).code(1).stdout("");
        said.stderr(contains(format!("error: {url} is not trusted: ")).and(contains(why)));
        let report = load(&url, &[&SHORT[..], &["--http2", "--insecure"]].concat());
        assert_eq!(report["errors"], json!({}), "{why}");
        assert!(number(&report, "/requests/answered") > 0.0, "{why}");
    }
}

#[test]
fn a_server_without_tls_and_one_that_refuses_are_told_of() {
    let plain = Backend::start(|mut served| {
        // The hello is no text.
        served.conn.read(5);
        served.conn.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        served.conn.read_to_end();
    });
    let url = format!("https://{}/", plain.name());
    let line = format!("error: {url} does not speak TLS. If it speaks HTTP, write http:// instead of https://\n");
    run(&[&url, "--insecure"]).code(1).stdout("").stderr(line);
    let other = Backend::start(|mut served| {
        served.conn.send("SSH-2.0-OpenSSH_9.2\r\n");
        served.conn.read_to_end();
    });
    run(&[&format!("https://{}/", other.name()), "--insecure"]).code(1).stderr(contains("does not speak TLS"));
    let refusing = Backend::start(|mut served| {
        served.conn.read(5);
        // handshake_failure
        served.conn.send([21, 3, 3, 0, 2, 2, 40]);
        served.conn.read_to_end();
    });
    let url = format!("https://{}/", refusing.name());
    let line = format!("error: {url} refuses the handshake: TLS alert handshake_failure\n");
    run(&[&url, "--insecure"]).code(1).stdout("").stderr(line);
    let ending = Backend::start(|mut served| drop(served.conn.read(5)));
    let url = format!("https://{}/", ending.name());
    run(&[&url, "--insecure"]).code(1).stderr(contains("it ends the connection in the handshake"));
    let silent = Backend::start(|mut served| drop(served.conn.read_to_end()));
    let url = format!("https://{}/", silent.name());
    run(&[&url, "--insecure", "--timeout", "200ms"])
        .code(1)
        .stderr(contains("no handshake with ").and(contains("says nothing")));
}

#[test]
fn failures_of_the_run_have_their_names() {
    let trusted = Trusted::new(&["localhost"]);
    let raw = |bytes: &'static [u8]| {
        turning(&trusted, move |mut stream, _| {
            if has_read(&mut stream) && stream.write_all(bytes).is_ok() {
                // Until the client has heard it, and gone.
                while has_read(&mut stream) {}
            }
        })
    };
    let without_end = turning(&trusted, |stream, tls| {
        let mut stream = StreamOwned::new(tls, stream);
        if has_read(&mut stream) {
            // The client takes it, or has gone.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nuntil the end");
        }
    });
    let cases = [
        (raw(&[21, 3, 3, 0, 2, 2, 80]), "TLS alert internal_error"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "TLS: malformed message"),
        (turning(&trusted, |mut stream, _| assert!(has_read(&mut stream))), "TLS: closed in the handshake"),
        (turning(&trusted, |mut stream, _| while has_read(&mut stream) {}), "timeout"),
        (without_end, "TLS: ended without close_notify"),
    ];
    for (address, kind) in cases {
        let url = format!("https://localhost:{}/", address.port());
        let report = load(&url, &[&SHORT[..], &trusted.flags(), &["--timeout", "100ms"]].concat());
        let errors = report["errors"].as_object().unwrap();
        assert!(errors.len() == 1 && errors.contains_key(kind), "{kind}: {report:#}");
        assert_eq!(report["requests"]["answered"], 0, "{kind}");
    }
}

#[test]
fn a_certificate_of_somebody_else_in_the_middle_of_a_run_is_a_failure() {
    let trusted = Trusted::new(&["localhost"]);
    let other = Arc::new(server_config(&Site::new(&["other.example"]), &[]));
    let address = turning(&trusted, move |stream, _| {
        read_to_end(StreamOwned::new(ServerConnection::new(other.clone()).unwrap(), stream));
    });
    let url = format!("https://localhost:{}/", address.port());
    let report = load(&url, &[&SHORT[..], &trusted.flags()].concat());
    let errors = report["errors"].as_object().unwrap();
    assert!(errors.len() == 1 && errors.contains_key("certificate is for other names"), "{report:#}");
}

#[test]
fn text_and_page_tell_of_handshakes() {
    let trusted = Trusted::new(&["localhost"]);
    let origin = Http2Origin::start_secured(allowing(100), &trusted.site, &["h2"]);
    let url = format!("https://localhost:{}/bytes/10", origin.address.port());
    let flags = [&["--duration", "1s", "--http2", "--no-keep-alive"], &trusted.flags()[..]].concat();
    let said = run(&[&[&*url], &flags[..]].concat()).success();
    said.stdout(contains("closed loop, HTTP/2, a new connection each")).stdout(contains("\nhandshake  ")).stdout(
        contains("\nhandshakes ")
            .and(contains(" full, "))
            .and(contains("TLS 1.3, X25519MLKEM768, TLS_AES_256_GCM_SHA384\n")),
    );
    let page = run(&[&[&*url, "--html", "-"], &flags[..]].concat()).success();
    let page = String::from_utf8_lossy(&page.get_output().stdout).into_owned();
    crate::pages::assert_well_formed(&page);
    assert!(page.contains("<td>handshakes</td>") && page.contains("<td>handshake</td>"), "{page}");
    assert!(page.contains("<td>protocol</td><td>HTTP/2</td>"), "{page}");
}
