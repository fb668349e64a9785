//! A thousand sites with certificates, each with an upstream of its own.

use crate::{
    PROXY,
    support::{
        process::start_listening,
        raw::Backend,
        tls::{Special, Tls, pem},
    },
};
use std::{fmt::Write as _, fs};

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
    let proxy = start_listening(PROXY, &["--config", file.to_str().unwrap()], 2);
    let took = cpu_seconds(proxy.id());
    for number in [0, 1, SITES / 2, SITES - 1] {
        let name = format!("site-{number}.test");
        assert_eq!(Tls::open(proxy.tls_address(), &name).get("/", &name).body, b"hello");
    }
    // An unoptimised build takes about two seconds; a step for each pair of sites would show.
    assert!(took.is_none_or(|took| took < 20.0), "{took:?} seconds of a processor");
}

/// The time that a process has computed for; `None`: this system does not tell.
fn cpu_seconds(process: u32) -> Option<f64> {
    /// Of all Linux systems, whatever their kernel counts with.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program may have spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}
