//! HTTP/2: streams, the server's limits, and the end of requests and connections by their names.

use crate::{
    BRIEF, load, number, run,
    support::{
        http2_origin::{Http2Origin, allowing},
        raw::Backend,
    },
};
use predicates::{prelude::*, str::contains};
use serde_json::json;

const SHORT: [&str; 5] = ["--http2", "--duration", BRIEF, "--clients", "2"];

#[test]
fn good_answers_in_every_way() {
    let origin = Http2Origin::start(allowing(100));
    for (path, way) in [
        ("/bytes/100", &[][..]),
        ("/bytes/100000", &["--streams", "8"]),
        // More than the window of a stream, and that of a connection with two of them.
        ("/bytes/9000000", &["--streams", "2"]),
        ("/bytes/10", &["--no-keep-alive"]),
        ("/bytes/10", &["--rate", "100", "--streams", "3", "--threads", "2"]),
        ("/bytes/10", &["--method", "HEAD", "--streams", "4"]),
    ] {
        let report = load(&format!("http://{}{path}", origin.name()), &[&SHORT, way].concat());
        assert_eq!(report["errors"], json!({}), "{path} {way:?}: {report:#}");
        assert!(report["requests"]["answered"].as_u64() > Some(0), "{path} {way:?}: {report:#}");
        assert_eq!(report["load"]["protocol"], "HTTP/2");
        let made = report["connections"]["made"].as_u64();
        let expected = if way.contains(&"--no-keep-alive") { report["requests"]["started"].as_u64() } else { Some(2) };
        assert_eq!(made, expected, "{path} {way:?}: {report:#}");
    }
}

#[test]
fn a_request_is_what_the_flags_say() {
    let origin = Http2Origin::start(allowing(100));
    let flags = ["--method", "POST", "--header", "X-Test: a b", "-H", "Host: other", "--body", "12345"];
    let report = load(&format!("http://{}/echo?x=1", origin.name()), &[&SHORT[..], &flags].concat());
    assert_eq!(report["errors"], json!({}));
    origin.with_first(|request| {
        assert_eq!((request.head.method.as_str(), request.head.target()), ("POST", "/echo?x=1"));
        assert_eq!(request.head.authority(), Some("other"));
        for (name, value) in [("x-test", "a b"), ("content-length", "5")] {
            assert_eq!(request.head.fields.get(name), Some(value.as_bytes()), "{name}");
        }
    });
}

#[test]
fn content_beyond_every_window_is_sent_and_comes_back() {
    let origin = Http2Origin::start(allowing(100));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'x'; 1_000_000]).unwrap();
    let flags = ["--method", "POST", "--body-file", file.path().to_str().unwrap(), "--streams", "3"];
    let report = load(&format!("http://{}/echo", origin.name()), &[&SHORT[..], &flags].concat());
    assert_eq!(report["errors"], json!({}), "{report:#}");
    let (answered, seconds) = (number(&report, "/requests/answered"), number(&report, "/load/duration_seconds"));
    let received = number(&report, "/throughput/bytes_per_second") * seconds;
    assert!(answered > 0.0 && received >= answered * 1e6, "{report:#}");
}

#[test]
fn a_server_that_allows_fewer_streams_is_not_asked_for_more_and_a_note_says_so() {
    let origin = Http2Origin::start(allowing(3));
    let url = format!("http://{}/bytes/10", origin.name());
    let flags = [&SHORT[..], &["--streams", "10"]].concat();
    let report = load(&url, &flags);
    assert_eq!((&report["errors"], &report["load"]["streams_allowed"]), (&json!({}), &json!(3)), "{report:#}");
    // At the end, two connections with three streams each.
    assert!(number(&report, "/requests/unfinished") <= 6.0, "{report:#}");
    let flags = ["--http2", "--duration", "1s", "--clients", "2", "--streams", "10"];
    let said = run(&[&[&*url], &flags[..]].concat()).success();
    said.stdout(contains("HTTP/2 with 10 streams")).stdout(contains(
        "note: the server allows 3 streams on a connection: no more were used, of the 10 of --streams",
    ));
    // At the limit there is nothing to say.
    let flags = ["--http2", "--duration", "1s", "--clients", "2", "--streams", "3"];
    run(&[&[&*url], &flags[..]].concat()).success().stdout(contains("note: ").not());
}

#[test]
fn every_failure_has_its_name() {
    let origin = Http2Origin::start(allowing(100));
    for (path, kind) in [
        ("/status/404", "status 4xx"),
        ("/status/503", "status 5xx"),
        ("/reset/7", "RST_STREAM REFUSED_STREAM"),
        ("/reset/2", "RST_STREAM INTERNAL_ERROR"),
        ("/reset/255", "RST_STREAM 0xff"),
        ("/goaway/11", "GOAWAY ENHANCE_YOUR_CALM"),
        ("/silent", "timeout"),
    ] {
        let flags = [&SHORT[..], &["--streams", "2", "--timeout", "150ms"]].concat();
        let report = load(&format!("http://{}{path}", origin.name()), &flags);
        let errors = report["errors"].as_object().unwrap();
        assert!(errors.len() == 1 && errors.contains_key(kind), "{kind}: {report:#}");
        assert_eq!(report["requests"]["answered"], 0, "{kind}");
    }
}

#[test]
fn a_server_that_does_not_speak_it_is_told_from_one_that_does_so_badly() {
    let http1 = Backend::start(|mut served| {
        served.conn.read_until("\r\n\r\n");
        served.conn.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        served.conn.read_to_end();
    });
    let url = format!("http://{}/", http1.name());
    let line = format!("error: {url} does not speak HTTP/2: it answers in HTTP/1.1. Leave --http2 out\n");
    run(&[&url, "--http2"]).code(1).stdout("").stderr(line);
    let ends = Backend::start(|mut served| drop(served.conn.read_until("\r\n\r\n")));
    let url = format!("http://{}/", ends.name());
    run(&[&url, "--http2"]).code(1).stdout("").stderr(contains("does not speak HTTP/2: it ends the connection"));
    let other = Backend::start(|mut served| {
        served.conn.send("SSH-2.0-OpenSSH_9.2\r\n");
        served.conn.read_to_end();
    });
    let url = format!("http://{}/", other.name());
    run(&[&url, "--http2"]).code(1).stdout("").stderr(contains("does not speak HTTP/2: no SETTINGS first"));
    let silent = Backend::start(|mut served| drop(served.conn.read_to_end()));
    let url = format!("http://{}/", silent.name());
    run(&[&url, "--http2", "--timeout", "200ms"]).code(1).stderr(contains("it says nothing"));
}
