//! A thousand sites with certificates, each with an upstream: they are read at once, and a request costs what it costs with one.

use crate::{
    PROXY,
    support::{
        process::{now, start_listening},
        raw::Backend,
        tls::{Special, Tls, pem},
    },
};
use std::fmt::Write as _;
use std::fs;

const SITES: usize = 1000;

#[test]
fn a_thousand_sites_with_certificates_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::saying("hello");
    let mut config = "workers = 1\naccess-log = false\n[[listen]]\naddress = \"127.0.0.1:0\"\n[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n".to_owned();
    for number in 0..SITES {
        let (certificate, key) = pem(&[&format!("site-{number}.test")], Special::default());
        fs::write(folder.path().join(format!("{number}.pem")), certificate).unwrap();
        fs::write(folder.path().join(format!("{number}.key")), key).unwrap();
        let _ = write!(
            config,
            "[[site]]\nhosts = [\"site-{number}.test\"]\ncertificate = \"{number}.pem\"\nkey = \"{number}.key\"\nupstream = \"u{number}\"\n\
             [upstream.u{number}]\nservers = [\"{}\"]\nhealth = {{ probes = false }}\n",
            backend.name()
        );
    }
    let file = folder.path().join("proxy.toml");
    fs::write(&file, config).unwrap();
    let began = now();
    let proxy = start_listening(PROXY, &["--config", file.to_str().unwrap()], 2);
    let took = now() - began;
    for number in [0, 1, SITES / 2, SITES - 1] {
        let name = format!("site-{number}.test");
        assert_eq!(Tls::open(proxy.tls_address(), &name).get("/", &name).body, b"hello");
    }
    // A build without optimisation, on a machine that is busy: an order of magnitude, not a measure.
    assert!(took.as_secs() < 20, "{took:?}");
}
