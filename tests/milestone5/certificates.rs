//! Which certificate a client gets, and which are not accepted at the start.

use crate::{
    PROGRAM, Stage,
    support::{
        raw::{Backend, Conn},
        tls::{Site, Special, Tls, authority, config, config_as, pem, stranger, text},
    },
};
use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The names of the certificate that a client gets that asks for `name`; an error, if it gets none that is for it.
fn shown(proxy: &crate::Process, name: &str) -> Result<u16, String> {
    let client = Tls::try_open(proxy.tls_address(), name, &Arc::new(config()));
    client.map(|mut client| client.get("/", name).status()).map_err(|error| error.to_string())
}

#[test]
fn a_client_gets_the_certificate_for_the_name_it_asks_for() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let (first, star, exact) =
        (Site::new(&["first.example"]), Site::new(&["*.star.example"]), Site::new(&["a.star.example", "B.Example"]));
    let flags = [first.flags(), star.flags(), exact.flags()].concat();
    let proxy = PROGRAM.start(&[&backend], &flags);
    for name in ["first.example", "x.star.example", "a.star.example", "b.example", "B.EXAMPLE", "X.star.Example"] {
        assert_eq!(shown(&proxy, name), Ok(200), "{name}");
    }
    // The first certificate, which is for another host: the client refuses it, and we say nothing else.
    for name in ["star.example", "y.x.star.example", "other.example"] {
        let error = shown(&proxy, name).unwrap_err();
        assert!(error.contains("not valid for name"), "{name}: {error}");
    }
    proxy.wait_for_stderr("failure=\"alert bad_certificate\"");
    let strict = PROGRAM.start(&[&backend], &[&flags[..], &["--sni-strict"]].concat());
    assert_eq!(shown(&strict, "x.star.example"), Ok(200));
    let error = shown(&strict, "other.example").unwrap_err();
    assert!(error.contains("UnrecognisedName"), "{error}");
    strict.wait_for_stderr("sni=other.example failure=\"unrecognized name\"");
}

#[test]
fn a_request_for_a_host_of_another_certificate_is_misdirected() {
    let stage = Stage::new(&[]);
    let mut client = stage.client();
    for (host, status) in [
        ("test", 200),
        ("TEST:443", 200),
        ("a.test", 200),
        ("127.0.0.1:8443", 200),
        ("other.example", 421),
        ("b.a.test", 421),
        ("127.0.0.2", 421),
        ("test", 200),
    ] {
        assert_eq!(client.get("/", host).status(), status, "{host}");
    }
    assert_eq!(client.ask("GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n").status(), 200);
    assert_eq!(client.ask("GET https://other.example/ HTTP/1.1\r\nHost: test\r\n\r\n").status(), 421);
    stage.proxy.wait_for_stderr("failure=\"host not covered by the certificate\"");
}

/// The words of the program about a pair that it does not accept.
fn refusal(site: &Site, more: &[&str]) -> String {
    let flags = [
        &["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--backend", "localhost:1"],
        &site.flags()[..],
        more,
    ]
    .concat();
    let assert = PROGRAM.run(&flags).code(2);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
    said
}

#[test]
fn a_pair_that_does_not_work_is_refused_at_the_start_by_its_file() {
    let site = Site::new(&["test"]);
    let (good, key) = (fs::read_to_string(&site.certificate).unwrap(), fs::read_to_string(&site.key).unwrap());
    let (_, other_key) = pem(&["test"], Special::default());
    let rsa = fs::read_to_string(rsa_key(&site)).unwrap();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let chain = |second: &str| format!("{good}{second}");
    for (certificate, key, flag, why) in [
        (good.as_str(), other_key.as_str(), "--key", "does not belong to the certificate"),
        (&good, &rsa, "--key", "does not belong to the certificate"),
        (&good, "", "--key", "has no private key"),
        (&good, &good, "--key", "has no private key"),
        (&good, &[&key[..], &key].concat(), "--key", "more than one private key"),
        (&good, encrypted, "--key", "protected by a password"),
        ("", &key, "--certificate", "has no certificate"),
        (&key, &key, "--certificate", "has no certificate"),
        (&good[..good.len() / 2], &key, "--certificate", "not a PEM file, or a damaged one"),
        (&chain(&good), &key, "--certificate", "certificate 2 in it did not sign the one before it"),
        (&[authority(), good.clone()].concat(), &key, "--certificate", "certificate 2 in it did not sign"),
        (
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            &key,
            "--certificate",
            "certificate 1 in it cannot be read",
        ),
    ] {
        site.write(certificate, key);
        let said = refusal(&site, &[]);
        let file = if flag == "--key" { &site.key } else { &site.certificate };
        assert!(said.contains(&format!("{flag} {}: ", text(file))) && said.contains(why), "{why}: {said}");
    }
    // An authority that calls itself the same has another key.
    site.write(&chain(&stranger()), &key);
    let said = refusal(&site, &[]);
    assert!(said.contains("certificate 2 in it did not sign the one before it"), "{said}");
    site.write(&chain(&authority()), &key);
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let proxy = PROGRAM.start(&[&backend], &site.flags());
    assert_eq!(shown(&proxy, "test"), Ok(200), "with its authority it is a good chain");
    let missing = [["--certificate", "/does/not/exist", "--key", text(&site.key)]].concat();
    let assert = PROGRAM.run(&[&["--backend", "localhost:1"], &missing[..]].concat()).code(2);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("--certificate /does/not/exist: cannot be read"), "{said}");
}

/// The path of a new RSA key, in the format of PKCS#1.
fn rsa_key(site: &Site) -> std::path::PathBuf {
    let path = site.path("rsa.key");
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    fs::write(&path, crate::support::tls::pem_of("PRIVATE KEY", &key.serialize_der())).unwrap();
    path
}

#[test]
fn a_certificate_that_has_expired_is_refused_unless_that_is_wanted() {
    let expired = Special { past: Some((10 * DAY, DAY)), ..Special::default() };
    let site = Site::special(&["test"], expired);
    let said = refusal(&site, &[]);
    assert!(said.contains("has expired on") && said.contains("--allow-expired"), "{said}");
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let proxy = PROGRAM.start(&[&backend], &[&site.flags()[..], &["--allow-expired"]].concat());
    proxy.wait_for_stderr("the certificate has expired on");
    assert!(shown(&proxy, "test").unwrap_err().contains("expired"));
}

#[test]
fn a_certificate_that_ends_soon_and_a_key_for_everybody_are_warned_about() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let site = Site::special(&["test"], Special { lifetime: Some(29 * DAY), ..Special::default() });
    fs::set_permissions(&site.key, fs::Permissions::from_mode(0o644)).unwrap();
    let proxy = PROGRAM.start(&[&backend], &site.flags());
    proxy.wait_for_stderr("the certificate ends on");
    proxy.wait_for_stderr("other users can read this file");
    let site = Site::special(&["test"], Special { lifetime: Some(31 * DAY), ..Special::default() });
    let proxy = PROGRAM.start(&[&backend], &site.flags());
    assert_eq!(shown(&proxy, "test"), Ok(200));
    assert!(!proxy.stderr().contains("WARN"), "{}", proxy.stderr());
}

#[test]
fn clients_show_certificates_if_they_have_to() {
    let site = Site::new(&["test"]);
    let ca = site.path("ca.pem");
    fs::write(&ca, authority()).unwrap();
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let proxy = PROGRAM.start(&[&backend], &[&site.flags()[..], &["--client-ca", text(&ca)]].concat());
    let known = Arc::new(config_as("alice"));
    for resumed in [false, true] {
        let mut client = Tls::try_open(proxy.tls_address(), "test", &known).unwrap();
        assert_eq!(client.get("/", "test").status(), 200);
        proxy.wait_for_stderr(&format!("resumed={resumed} subject=\"alice\""));
    }
    // In TLS 1.3 a client's handshake is over before the server has seen its certificate.
    let mut stranger = Tls::begin(proxy.tls_address(), "test", &Arc::new(config()));
    let _ = stranger.handshake();
    stranger.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(stranger.read().is_err());
    proxy.wait_for_stderr("failure=\"no client certificate\"");
}

/// The backend hears who asks, from us alone; and an answer for one client answers no other.
#[test]
fn backends_are_told_whose_certificate_it_is() {
    const FIELD: &str = "X-SSL-Client-Subject";
    let site = Site::new(&["test"]);
    let ca = site.path("ca.pem");
    fs::write(&ca, authority()).unwrap();
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\n\r\n");
    let flags = ["--client-ca", text(&ca), "--client-cert-header", FIELD];
    let proxy = PROGRAM.start(&[&backend], &[&site.flags()[..], &flags].concat());
    for name in ["alice", "bob 1%", "alice"] {
        let config = Arc::new(config_as(name));
        let mut client = Tls::try_open(proxy.tls_address(), "test", &config).unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: test\r\n{FIELD}: root\r\nx_ssl_client_subject: root\r\n\r\n");
        assert_eq!(client.ask(&request).status(), 200);
    }
    let mut plain = Conn::open(proxy.address());
    assert_eq!(plain.ask(&format!("GET /plain HTTP/1.1\r\nHost: test\r\n{FIELD}: root\r\n\r\n")).status(), 200);
    let told: Vec<_> = backend.requests().iter().map(|request| request.field(FIELD).map(str::to_owned)).collect();
    assert_eq!(told, [Some("alice".to_owned()), Some("bob%201%25".to_owned()), Some("alice".to_owned()), None]);
    assert!(backend.requests().iter().all(|request| request.field("x_ssl_client_subject").is_none()));
}

/// A server takes the absolute form (RFC 9112 §3.2.2), and a connection that is better than the scheme asks for is good enough.
#[test]
fn an_http_target_over_tls_is_served_as_https() {
    let stage = Stage::new(&[]);
    let answer = stage.client().ask("GET http://test/ HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(answer.status(), 200);
    let request = &stage.backend.requests()[0];
    assert_eq!((request.field("host"), request.field("x-forwarded-proto")), (Some("test"), Some("https")));
}

#[test]
fn without_a_certificate_one_is_made_and_said_so() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let proxy = PROGRAM.start(&[&backend], &[]);
    proxy.wait_for_stderr("the certificate was made on the spot and no client trusts it");
    let error = shown(&proxy, "localhost").unwrap_err();
    assert!(error.contains("UnknownIssuer") || error.contains("invalid peer certificate"), "{error}");
}
