//! MQTT over TLS.

use super::{
    drivers,
    peers::is_there,
    wire::{ACCEPTED, CLEAN, Peer, connect3, publish, subscribe},
};
use crate::support::{
    process::{Process, refusal, start_listening, wait_until},
    tls::{Site, Special, Tls, config_as, pem},
};
use std::{
    fs,
    process::{Command, Stdio},
    sync::Arc,
};

fn secured(site: &Site, driver: &[&str]) -> Process {
    let listen = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--metrics", "0s"];
    start_listening(env!("CARGO_BIN_EXE_broker"), &[&listen[..], &site.flags(), driver].concat(), 2)
}

/// Clients of both listeners hear each other. A long message is in many records.
#[test]
fn clients_speak_over_tls_and_without() {
    for driver in drivers() {
        let site = Site::new(&["localhost"]);
        let broker = secured(&site, &driver);
        let mut tls = Tls::open_with(broker.tls_address(), "localhost", config_as("mqtt"));
        tls.send([connect3("tls", CLEAN, 0), subscribe(1, None, &[("a", 1)])].concat());
        let mut got = Vec::new();
        let mut expect = |tls: &mut Tls, expected: &[u8]| {
            while got.len() < expected.len() {
                got.extend(tls.read().expect("bytes, not the end"));
            }
            let rest = got.split_off(expected.len());
            assert!(std::mem::replace(&mut got, rest) == expected);
        };
        expect(&mut tls, &[ACCEPTED, &[0x90, 3, 0, 1, 1]].concat());
        let mut plain = Peer::v3(broker.address(), "plain");
        let long = "x".repeat(100_000);
        for text in ["hello", &long] {
            plain.send(&publish(2, "a", Some(1), None, text));
            plain.expect(&[0x40, 2, 0, 1]);
        }
        expect(&mut tls, &publish(2, "a", Some(1), None, "hello"));
        expect(&mut tls, &publish(2, "a", Some(2), None, &long));
        // Without TLS there is nothing for a client on this port.
        let mut wrong = Peer::open(broker.tls_address());
        wrong.send(&connect3("wrong", CLEAN, 0));
        while wrong.try_byte().is_some() {}
    }
}

/// A client that is there stays there. Files that do not fit, as between the two steps of a renewal, change nothing.
#[test]
fn a_certificate_is_renewed_on_the_signal() {
    let site = Site::new(&["old.example"]);
    let mut broker = secured(&site, &[]);
    let config = Arc::new(config_as("mqtt"));
    let is_shown = |broker: &Process, name: &str| Tls::try_open(broker.tls_address(), name, &config).is_ok();
    let mut client = Tls::open_with(broker.tls_address(), "old.example", config_as("mqtt"));
    let (certificate, key) = pem(&["new.example"], Special::default());
    let old_key = fs::read_to_string(&site.key).unwrap();
    for (certificate, key, why) in [
        (&*certificate, &*old_key, "--key "),
        ("", &key, "has no certificate in it"),
        (&certificate, "nonsense", "--key "),
    ] {
        let before = broker.stderr().matches("stay in use").count();
        site.write(certificate, key);
        broker.signal("HUP");
        wait_until("the refusal", || broker.stderr().matches("stay in use").count() == before + 1);
        assert!(broker.stderr().contains(why) && is_shown(&broker, "old.example"), "{why}");
    }
    site.write(&certificate, &key);
    broker.signal("HUP");
    broker.wait_for_stderr("certificates reloaded: new.example (until ");
    assert!(is_shown(&broker, "new.example") && !is_shown(&broker, "old.example"));
    client.send(connect3("client", CLEAN, 0));
    assert_eq!(client.read().unwrap(), ACCEPTED);
    broker.signal("TERM");
    assert_eq!(broker.wait().code(), Some(0));
}

#[test]
fn mosquitto_clients_speak_tls() {
    let found = Command::new("mosquitto_pub").arg("--help").stdout(Stdio::null()).status();
    if !is_there(found.is_ok(), "mosquitto_pub") {
        return;
    }
    let site = Site::new(&["localhost"]);
    let broker = secured(&site, &[]);
    let authority = site.path("authority.pem");
    fs::write(&authority, crate::support::tls::authority()).unwrap();
    let port = broker.tls_address().port().to_string();
    let run = |program: &str, args: &[&str]| {
        let common = ["-h", "localhost", "-p", &port, "--cafile", authority.to_str().unwrap(), "-t", "a", "-q", "1"];
        Command::new(program).args(common).args(args).stdin(Stdio::null()).output().unwrap()
    };
    let done = run("mosquitto_pub", &["-m", "hello", "-r"]);
    assert!(done.status.success(), "{done:?}");
    let heard = run("mosquitto_sub", &["-C", "1", "-W", "20"]);
    assert_eq!(String::from_utf8_lossy(&heard.stdout), "hello\n", "{heard:?}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_said() {
    let said = |args: &[&str]| refusal(env!("CARGO_BIN_EXE_broker"), args);
    let (code, text) = said(&["--tls-listen", "127.0.0.1:0"]);
    assert!(code == Some(2) && text.contains("--certificate"), "{text}");
    let (code, text) = said(&["--tls-listen", "127.0.0.1:0", "--certificate", "/dev/null", "--key", "/dev/null"]);
    assert!(code == Some(2) && text.contains("has no certificate in it"), "{text}");
}
