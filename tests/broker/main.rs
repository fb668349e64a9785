//! The broker with real clients on real sockets: bytes, mosquitto and paho.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod bridge;
mod crash;
mod full_disk;
mod goodbye;
mod lasting;
mod limits;
mod mosquitto;
mod peers;
mod relay;
mod statements;
mod tls;
mod wire;

use support::process::{Process, start};
use wire::{CLEAN, DISCONNECT, NONE, Peer, publish, subscribe};

fn broker(args: &[&str]) -> Process {
    start(env!("CARGO_BIN_EXE_broker"), args)
}

/// The drivers to try, as flags.
fn drivers() -> Vec<[&'static str; 2]> {
    let others: &[&str] = if cfg!(target_os = "linux") { &["epoll", "io-uring"] } else { &["auto"] };
    others.iter().map(|driver| ["--driver", driver]).collect()
}

#[test]
fn it_works_without_arguments() {
    let broker = broker(&[]);
    let mut ann = Peer::v3(broker.address(), "ann");
    let mut bob = Peer::v5(broker.address(), "bob", CLEAN, NONE);
    ann.send(&subscribe(1, None, &[("a/+", 1)]));
    ann.expect(&[0x90, 3, 0, 1, 1]);
    bob.send(&publish(2, "a/b", Some(7), Some(NONE), "hello"));
    bob.expect(&[0x40, 2, 0, 7]);
    ann.expect(&publish(2, "a/b", Some(1), None, "hello"));
    broker.wait_for_stderr("try: mosquitto_sub -h 127.0.0.1 -p ");
    broker.wait_for_stderr("and go with this process: keep them with --data DIR");
}

#[test]
fn a_stop_is_told_and_ends_all() {
    for driver in drivers() {
        let mut broker = broker(&driver);
        let mut ann = Peer::v5(broker.address(), "ann", CLEAN, NONE);
        let mut bob = Peer::v3(broker.address(), "bob");
        let mut eve = Peer::v3(broker.address(), "eve");
        eve.send(DISCONNECT);
        eve.closed();
        broker.signal("USR1");
        broker.wait_for_stderr("2 clients connected and 0 away");
        broker.signal("TERM");
        ann.dismissed(0x8B);
        bob.closed();
        assert_eq!(broker.wait().code(), Some(0));
    }
}
