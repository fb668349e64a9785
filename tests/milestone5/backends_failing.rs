//! Backends that do not prove what they have to prove: no request reaches them, and the log says why.

use crate::{
    backends::Stage,
    support::{
        process::{now, wait_until},
        raw::{Backend, End},
        tls::{Signer, Special},
        tls_backend::{TlsBackend, config},
    },
};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// One failed handshake a request, and no consequences for the next.
const ONCE: &[&str] = &["--admin", "127.0.0.1:0", "--retries", "0", "--breaker-failures", "0"];

/// A request is answered with 502, and the reason is in the answer in general words, in the log, and in the counters.
fn expect_refusal(spec: &str, word: &str, error: &str) {
    let stage = Stage::new(&[spec], ONCE);
    let answer = stage.client().ask(GET);
    assert_eq!(
        (answer.status(), answer.field("proxy-status")),
        (502, Some(format!("socket-patterns; error={error}").as_str())),
        "{word}"
    );
    stage.proxy.wait_for_stderr(&format!("failure=\"{word}\" close="));
    let stats = stage.stats();
    assert_eq!(stats.matches(&format!("\"{word}\": 1")).count(), 2, "as an error and as a failed handshake: {stats}");
}

#[test]
fn a_certificate_that_is_not_accepted() {
    let special = |special: Special| config(&["b.test"], special);
    let past = Special { past: Some((20 * DAY, 10 * DAY)), ..Special::default() };
    let future = Special { later: Some(DAY), ..Special::default() };
    let signed = |signer| Special { signer, ..Special::default() };
    for (config, name, word) in [
        (special(past), "b.test", "backend certificate has expired"),
        (special(future), "b.test", "backend certificate is not valid yet"),
        (special(Special::default()), "a.test", "backend certificate for other names"),
        (special(Special::default()), "x.b.test", "backend certificate for other names"),
        (special(Special::default()), "127.0.0.1", "backend certificate for other names"),
        // An authority of that name is trusted, and it has another key.
        (special(signed(Signer::Stranger)), "b.test", "backend certificate with a wrong signature"),
        (special(signed(Signer::Itself)), "b.test", "backend certificate of an unknown authority"),
    ] {
        let backend = TlsBackend::saying(config, "secret");
        expect_refusal(&backend.spec(name), word, "tls_certificate_error");
        let broken = backend.wait_for_broken(1);
        let told = ["Certificate", "UnknownCA", "DecryptError"].iter().any(|alert| broken[0].contains(alert));
        assert!(told, "{word}: the backend hears why: {broken:?}");
        assert!(backend.requests().is_empty(), "{word}: it must not hear a word of the request");
    }
}

#[test]
fn a_backend_without_tls() {
    let backend = Backend::start(|mut served| {
        // It takes the hello for a request, as real ones do.
        let _ = served.conn.try_send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let (heard, _) = served.conn.read_to_end();
        assert!(!heard.windows(4).any(|word| word == b"GET "), "nothing leaves in plain");
    });
    expect_refusal(&format!("https://{},name=b.test", backend.address), "backend speaks no TLS", "tls_protocol_error");
}

#[test]
fn a_backend_that_closes_or_resets_in_the_handshake() {
    for (reset, reads) in [(false, false), (false, true), (true, true)] {
        let backend = Backend::start(move |mut served| {
            if reads {
                served.conn.read(1);
            }
            if reset { served.conn.reset() } else { served.conn.finish() }
        });
        let spec = format!("https://{},name=b.test", backend.address);
        expect_refusal(&spec, "backend closed in the handshake", "tls_protocol_error");
    }
}

#[test]
fn a_backend_that_says_an_alert_and_goes() {
    let backend = Backend::start(|mut served| {
        let _ = served.conn.try_send([21, 3, 3, 0, 2, 2, 40]);
        served.conn.finish();
    });
    let spec = format!("https://{},name=b.test", backend.address);
    expect_refusal(&spec, "alert handshake_failure", "tls_alert_received");
}

#[test]
fn a_backend_that_says_nonsense() {
    let backend = Backend::start(|mut served| {
        let _ = served.conn.try_send([0; 64]);
        let _ = served.conn.read_to_end();
    });
    let spec = format!("https://{},name=b.test", backend.address);
    expect_refusal(&spec, "malformed message", "tls_protocol_error");
}

#[test]
fn a_handshake_that_stands_still_is_over_with_the_connect_timeout() {
    let (backend, incoming) = Backend::by_hand();
    let spec = format!("https://{},name=b.test", backend.address);
    let stage = Stage::new(&[&spec], &[ONCE, &["--connect-timeout", "300ms"]].concat());
    let begun = now();
    let mut client = stage.client();
    client.send(GET);
    let mut conn = incoming.accept();
    let answer = client.response("GET");
    assert_eq!(
        (answer.status(), answer.field("proxy-status")),
        (504, Some("socket-patterns; error=connection_timeout"))
    );
    assert!(now() - begun >= Duration::from_millis(300));
    assert_eq!(conn.read_to_end().1, End::Reset, "it is not left behind");
    assert!(stage.stats().contains("\"given up in the handshake\": 1"));
}

#[test]
fn another_backend_answers_for_one_whose_handshake_fails() {
    let bad =
        TlsBackend::saying(config(&["b.test"], Special { signer: Signer::Stranger, ..Special::default() }), "bad");
    let good = TlsBackend::saying(config(&["b.test"], Special::default()), "good");
    let plain = Backend::saying("good");
    for other in [good.spec("b.test"), plain.name()] {
        let stage = Stage::new(&[&bad.spec("b.test"), &other], &["--retry-backoff", "1ms"]);
        // A body whose beginning is not consumed can be sent to the other one, whatever the method: nothing was sent.
        for _ in 0..6 {
            let answer = stage.client().ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nab");
            assert_eq!((answer.status(), &answer.body[..]), (200, &b"good"[..]));
        }
        stage.proxy.wait_for_stderr("retries=\"backend certificate with a wrong signature\"");
    }
    assert!(bad.requests().is_empty());
}

#[test]
fn health_checks_go_over_tls_and_say_what_is_wrong() {
    let expired = Special { past: Some((20 * DAY, 10 * DAY)), ..Special::default() };
    let (bad, good) = (
        TlsBackend::saying(config(&["b.test"], expired), "bad"),
        TlsBackend::saying(config(&["b.test"], Special::default()), "good"),
    );
    let flags = ["--admin", "127.0.0.1:0", "--health-path", "/up", "--health-interval", "50ms", "--fail-after", "2"];
    let stage = Stage::new(&[&bad.spec("b.test"), &good.spec("b.test")], &flags);
    stage.proxy.wait_for_stderr("failed: backend certificate has expired");
    wait_until("the bad one to be down", || stage.stats().contains("\"down\""));
    wait_until("a check of the good one", || !good.requests().is_empty());
    let check = &good.requests()[0];
    let host = format!("b.test:{}", good.address.port());
    assert_eq!(
        (check.field("host"), check.head.as_ref().map(|head| head.target())),
        (Some(host.as_str()), Some("/up"))
    );
    for _ in 0..4 {
        assert_eq!(stage.client().ask(GET).body, b"good");
    }
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let refused = |args: &[&str], why: &str| {
        crate::PROGRAM.run(args).failure().code(2).stderr(predicates::str::contains(why));
    };
    refused(&["--backend-ca", "/etc/hosts"], "--backend-ca means nothing without a backend with https://");
    refused(&["--backend", "https://localhost", "--backend-ca", "/nowhere"], "--backend-ca /nowhere: cannot be read");
    refused(&["--backend", "https://localhost", "--backend-ca", "/etc/hosts"], "has no certificate in it");
    refused(&["--backend", "https://a_b-.localhost:1"], "no certificate can be for this name");
    refused(&["--backend", "https://localhost", "--backend-certificate", "x"], "--backend-key");
}
