//! Other authorities for backends, and another certificate of ours for them, while the proxy runs.

use crate::{
    PROGRAM,
    support::{
        process::{Process, wait_until},
        raw::Conn,
        tls::{Signer, Site, Special, authority, stranger, text},
        tls_backend::{TlsBackend, config, config_asking, file},
    },
};
use std::{fs, path::Path};

/// A backend of which each answer is the last on its connection.
fn backend(config: rustls::ServerConfig) -> TlsBackend {
    TlsBackend::start(config, |mut served| {
        if served.request().is_some() {
            served.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
            served.close();
        }
    })
}

fn start(backend: &TlsBackend, authorities: &Path, flags: &[&str]) -> Process {
    let always = ["--no-health", "--backend-ca", text(authorities), "--retries", "0", "--breaker-failures", "0"];
    PROGRAM.start_before(&[&backend.spec("b.test")], &[&always, flags].concat())
}

fn status(proxy: &Process) -> u16 {
    Conn::open(proxy.address()).ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").status()
}

/// In the line that says that certificates were reloaded.
const OTHERS: &str = "; for backends: other authorities";

#[test]
fn other_authorities_are_read_by_signal_and_a_broken_file_changes_nothing() {
    let backend = backend(config(&["b.test"], Special::default()));
    let authorities = file(&stranger());
    let proxy = start(&backend, authorities.path(), &[]);
    assert_eq!(status(&proxy), 502);
    proxy.wait_for_stderr("failure=\"backend certificate with a wrong signature\"");
    fs::write(&authorities, authority()).unwrap();
    proxy.signal("HUP");
    proxy.wait_for_stderr(OTHERS);
    assert_eq!(status(&proxy), 200);
    for broken in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&authorities, broken).unwrap();
        let before = proxy.stderr().matches("stay in use").count();
        proxy.signal("HUP");
        wait_until("the refusal", || proxy.stderr().matches("stay in use").count() > before);
        assert!(proxy.stderr().contains(&format!("ERROR --backend-ca {}: ", authorities.path().display())));
        assert_eq!(status(&proxy), 200, "the authorities from before");
    }
}

#[test]
fn a_file_of_authorities_that_changes_is_noticed() {
    let backend = backend(config(&["b.test"], Special::default()));
    let authorities = file(&authority());
    let proxy = start(&backend, authorities.path(), &[]);
    assert_eq!(status(&proxy), 200);
    fs::write(&authorities, stranger()).unwrap();
    proxy.wait_for_stderr(OTHERS);
    assert_eq!(status(&proxy), 502, "the session from before is not resumed either");
}

#[test]
fn the_same_authorities_keep_the_sessions() {
    let backend = backend(config(&["b.test"], Special::default()));
    let authorities = file(&authority());
    let proxy = start(&backend, authorities.path(), &[]);
    assert_eq!((status(&proxy), status(&proxy)), (200, 200));
    proxy.signal("HUP");
    proxy.wait_for_stderr("certificates reloaded: ");
    assert_eq!(status(&proxy), 200);
    fs::write(&authorities, authority() + &stranger()).unwrap();
    proxy.signal("HUP");
    proxy.wait_for_stderr(OTHERS);
    assert_eq!(status(&proxy), 200);
    let resumed: Vec<bool> = backend.handshakes().iter().map(|handshake| handshake.resumed).collect();
    assert_eq!(resumed, [false, true, true, false]);
}

#[test]
fn another_certificate_of_ours_is_shown_to_backends() {
    let backend = backend(config_asking(rustls::ALL_VERSIONS, &["b.test"]));
    let authorities = file(&authority());
    let own = Site::special(&["proxy"], Special { signer: Signer::Stranger, ..Special::default() });
    let flags = ["--backend-certificate", text(&own.certificate), "--backend-key", text(&own.key)];
    let proxy = start(&backend, authorities.path(), &flags);
    assert_eq!(status(&proxy), 502);
    backend.wait_for_broken(1);
    // The certificate and the key of two pairs.
    let key = fs::read_to_string(&own.key).unwrap();
    own.renew(&["proxy"], Special::default());
    let good = fs::read_to_string(&own.key).unwrap();
    fs::write(&own.key, key).unwrap();
    proxy.signal("HUP");
    proxy.wait_for_stderr("the key does not belong to the certificate; the certificates from before stay in use");
    assert_eq!(status(&proxy), 502);
    fs::write(&own.key, good).unwrap();
    proxy.signal("HUP");
    proxy.wait_for_stderr(OTHERS);
    assert_eq!(status(&proxy), 200);
    assert!(backend.handshakes().iter().all(|handshake| handshake.certified));
}

#[test]
fn a_connection_to_a_backend_that_is_open_goes_on() {
    let backend = TlsBackend::saying(config(&["b.test"], Special::default()), "hello");
    let authorities = file(&authority());
    let proxy = start(&backend, authorities.path(), &["--workers", "1"]);
    assert_eq!(status(&proxy), 200);
    fs::write(&authorities, stranger()).unwrap();
    proxy.signal("HUP");
    proxy.wait_for_stderr(OTHERS);
    assert_eq!((status(&proxy), backend.handshakes().len()), (200, 1));
}
