//! Other certificates while it runs: all of them at once or none, and no client notices.

use crate::{
    PROGRAM, Stage,
    support::{
        process::{Process, wait_until},
        raw::Backend,
        tls::{Site, Special, Tls, config, pem},
    },
};
use rustls::HandshakeKind;
use std::{fs, sync::Arc};

fn backend() -> Backend {
    Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
}

/// Whether a new client is shown a certificate for `name`.
fn is_shown(proxy: &Process, name: &str) -> bool {
    Tls::try_open(proxy.tls_address(), name, &Arc::new(config())).is_ok()
}

fn reloads(proxy: &Process) -> usize {
    proxy.stderr().matches("certificates reloaded").count()
}

#[test]
fn a_signal_brings_other_certificates_and_open_connections_go_on() {
    let (backend, site) = (backend(), Site::new(&["old.example"]));
    let proxy = PROGRAM.start(&[&backend], &site.flags());
    let mut open = Tls::open(proxy.tls_address(), "old.example");
    assert_eq!(open.get("/", "old.example").status(), 200);
    site.renew(&["new.example"], Special::default());
    proxy.signal("HUP");
    proxy.wait_for_stderr("certificates reloaded: new.example");
    assert!(is_shown(&proxy, "new.example") && !is_shown(&proxy, "old.example"));
    assert_eq!(open.get("/", "old.example").status(), 200, "it has its certificate still");
}

#[test]
fn files_that_change_are_noticed() {
    let (backend, site) = (backend(), Site::new(&["old.example"]));
    let proxy = PROGRAM.start(&[&backend], &site.flags());
    site.renew(&["new.example"], Special::default());
    proxy.wait_for_stderr("certificates reloaded: new.example");
    assert!(is_shown(&proxy, "new.example") && !is_shown(&proxy, "old.example"));
    assert_eq!(reloads(&proxy), 1);
}

#[test]
fn a_pair_that_does_not_work_leaves_the_one_before_in_place() {
    let (backend, site) = (backend(), Site::new(&["old.example"]));
    let proxy = PROGRAM.start(&[&backend], &site.flags());
    let (certificate, key) = (fs::read_to_string(&site.certificate).unwrap(), fs::read_to_string(&site.key).unwrap());
    let (other, _) = pem(&["new.example"], Special::default());
    for (certificate, key, why) in [
        (&other, &key, "does not belong to the certificate"),
        (&certificate, &String::new(), "has no private key"),
        (&String::new(), &key, "has no certificate"),
    ] {
        site.write(certificate, key);
        proxy.signal("HUP");
        proxy.wait_for_stderr(why);
        assert!(is_shown(&proxy, "old.example"), "{why}");
    }
    fs::remove_file(&site.certificate).unwrap();
    proxy.signal("HUP");
    proxy.wait_for_stderr("cannot be read");
    assert!(is_shown(&proxy, "old.example"));
    let said = proxy.stderr();
    assert_eq!(said.matches("the certificates from before stay in use").count(), 4, "{said}");
    assert_eq!(reloads(&proxy), 0);
}

#[test]
fn a_ticket_of_another_certificate_does_not_resume() {
    let (backend, site) = (backend(), Site::new(&["a.example"]));
    let proxy = PROGRAM.start(&[&backend], &site.flags());
    let config = Arc::new(config());
    let ask = || {
        let mut client = Tls::try_open(proxy.tls_address(), "a.example", &config).unwrap();
        assert_eq!(client.get("/", "a.example").status(), 200);
        client.tls.handshake_kind()
    };
    assert_eq!((ask(), ask()), (Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)));
    proxy.signal("HUP");
    wait_until("the same certificate once more", || reloads(&proxy) == 1);
    assert_eq!(ask(), Some(HandshakeKind::Resumed), "the certificate is the same");
    site.renew(&["a.example"], Special::default());
    proxy.signal("HUP");
    wait_until("another certificate", || reloads(&proxy) == 2);
    assert_eq!(ask(), Some(HandshakeKind::Full), "the client has not seen this certificate");
    assert_eq!(ask(), Some(HandshakeKind::Resumed));
}

#[test]
fn a_certificate_of_the_spot_stays_and_the_signal_does_no_harm() {
    let proxy = PROGRAM.start(&[&backend()], &[]);
    proxy.signal("HUP");
    proxy.wait_for_stderr("certificates reloaded: localhost");
    drop(proxy);
    let stage = Stage::new(&[]);
    assert_eq!(stage.client().get("/", "test").status(), 200);
}
