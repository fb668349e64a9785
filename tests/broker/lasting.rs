//! Everything that outlives the process: after kill -9 and after an orderly end.

use super::wire::{ACCEPTED, CLEAN, DISCONNECT, NONE, Peer, connect3, connect5, packet, props, publish, s, subscribe};
use crate::support::process::{Process, refusal, start};
use std::{fs, net::SocketAddr};

fn broker(folder: &tempfile::TempDir) -> Process {
    start(env!("CARGO_BIN_EXE_broker"), &["--data", folder.path().to_str().unwrap(), "--metrics", "0s"])
}

fn hour() -> Vec<u8> {
    props(&[&[17, 0, 0, 14, 16]])
}

/// Connects to a session, which has to be there.
fn resume(to: SocketAddr, id: &str) -> Peer {
    let mut peer = Peer::open(to);
    peer.send(&connect5(id, 0, 0, &hour()));
    let connack = peer.packet();
    assert_eq!((connack[2], connack[3]), (1, 0), "{id}");
    peer
}

/// Messages for sessions, retained ones, and one that is not retained any more.
fn publish_all(to: SocketAddr) {
    let mut bob = Peer::v5(to, "bob", CLEAN, NONE);
    for (flags, id, topic, text) in
        [(2, 1, "a/1", "one"), (4, 2, "a/2", "two"), (3, 3, "kept", "kept"), (2, 4, "s", "shared")]
    {
        bob.send(&publish(flags, topic, Some(id), Some(NONE), text));
        assert_eq!(bob.packet()[3], id as u8);
    }
    bob.send(&publish(3, "passing", Some(5), Some(NONE), "x"));
    bob.packet();
    bob.send(&publish(3, "passing", Some(6), Some(NONE), ""));
    bob.packet();
}

/// Sessions with their subscriptions and messages, shared subscriptions, retained messages and wills.
#[test]
fn sessions_retained_messages_and_wills_survive_the_process() {
    for signal in ["KILL", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let mut first = broker(&folder);
        let to = first.address();
        let mut ann = Peer::v5(to, "ann", 0, &hour());
        ann.send(&subscribe(1, Some(&props(&[&[11, 9]])), &[("a/+", 2), ("$share/g/s", 1)]));
        ann.expect(&[0x90, 5, 0, 1, 0, 2, 1]);
        ann.send(DISCONNECT);
        ann.closed();
        let mut watcher = Peer::v5(to, "watcher", 0, &hour());
        watcher.send(&subscribe(1, Some(NONE), &[("will/#", 1)]));
        watcher.packet();
        watcher.send(DISCONNECT);
        watcher.closed();
        publish_all(to);
        // One with a will that is due when it is lost, one that has to wait.
        let mut will = Peer::open(to);
        will.send(&packet(0x10, &[&s("MQTT"), &[4, CLEAN | 4 | 1 << 3, 0, 0], &s("w"), &s("will/now"), &s("gone")]));
        will.expect(ACCEPTED);
        let mut later = Peer::open(to);
        let delay = props(&[&[24, 0, 0, 0, 1]]);
        later.send(&packet(
            0x10,
            &[&s("MQTT"), &[5, 4 | 1 << 3, 0, 0], &hour(), &s("l"), &delay, &s("will/later"), &s("gone")],
        ));
        later.packet();
        first.signal(signal);
        first.wait();
        let second = broker(&folder);
        let to = second.address();
        let mut ann = resume(to, "ann");
        let number = props(&[&[11, 9]]);
        ann.expect(&publish(2, "a/1", Some(1), Some(&number), "one"));
        ann.expect(&publish(4, "a/2", Some(2), Some(&number), "two"));
        ann.expect(&publish(2, "s", Some(3), Some(&number), "shared"));
        ann.send(&publish(0, "a/3", None, Some(NONE), "three"));
        ann.expect(&publish(0, "a/3", None, Some(&number), "three"));
        let mut new = Peer::v3(to, "new");
        new.send(&subscribe(1, None, &[("kept", 0), ("passing", 0)]));
        new.expect(&[0x90, 4, 0, 1, 0, 0]);
        new.expect(&publish(1, "kept", None, None, "kept"));
        new.quiet();
        let mut watcher = resume(to, "watcher");
        watcher.expect(&publish(2, "will/now", Some(1), Some(NONE), "gone"));
        watcher.expect(&publish(2, "will/later", Some(2), Some(NONE), "gone"));
        drop(second);
    }
}

/// A message of QoS 2 that the broker had before it was killed is not new when it comes again; and one that was sent has its identifier.
#[test]
fn both_halves_of_qos_2_survive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = broker(&folder);
    let mut ann = Peer::v5(process.address(), "ann", 0, &hour());
    ann.send(&subscribe(1, Some(NONE), &[("a", 2)]));
    ann.packet();
    let mut bob = Peer::v5(process.address(), "bob", 0, &hour());
    bob.send(&publish(4, "a", Some(7), Some(NONE), "once"));
    bob.expect(&[0x50, 2, 0, 7]);
    ann.expect(&publish(4, "a", Some(1), Some(NONE), "once"));
    let mut restart = || {
        process.signal("KILL");
        process.wait();
        process = broker(&folder);
        process.address()
    };
    let to = restart();
    let mut bob = resume(to, "bob");
    bob.send(&publish(4 | 8, "a", Some(7), Some(NONE), "once"));
    bob.expect(&[0x50, 2, 0, 7]);
    let mut ann = resume(to, "ann");
    ann.expect(&publish(4 | 8, "a", Some(1), Some(NONE), "once"));
    ann.send(&[0x50, 2, 0, 1]);
    ann.expect(&[0x62, 2, 0, 1]);
    let to = restart();
    let mut ann = resume(to, "ann");
    ann.expect(&[0x62, 2, 0, 1]);
    ann.send(&[0x70, 2, 0, 1]);
    ann.quiet();
    let mut bob = resume(to, "bob");
    bob.send(&[0x62, 2, 0, 7]);
    bob.expect(&[0x70, 2, 0, 7]);
    bob.send(&publish(4, "a", Some(7), Some(NONE), "twice"));
    bob.expect(&[0x50, 2, 0, 7]);
    let id = ann.packet();
    assert_eq!(&id[id.len() - 5..], b"twice");
}

#[test]
fn a_torn_log_is_cut_and_a_damaged_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = broker(&folder);
    let mut bob = Peer::v3(process.address(), "bob");
    for (id, topic) in [(1, "one"), (2, "two")] {
        bob.send(&publish(3, topic, Some(id), None, topic));
        bob.packet();
    }
    process.signal("KILL");
    process.wait();
    let log = folder.path().join("log-00000001");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 3]).unwrap();
    let mut process = broker(&folder);
    process.wait_for_stderr("are no whole record, as after a crash: cut off, and kept in ");
    let mut new = Peer::v3(process.address(), "new");
    new.send(&subscribe(1, None, &[("+", 0)]));
    new.packet();
    new.expect(&publish(1, "one", None, None, "one"));
    new.quiet();
    process.signal("TERM");
    process.wait();
    let mut damaged = whole;
    damaged[10] ^= 1;
    fs::write(&log, damaged).unwrap();
    let args = ["--listen", "127.0.0.1:0", "--data", folder.path().to_str().unwrap()];
    let (code, said) = refusal(env!("CARGO_BIN_EXE_broker"), &args);
    assert_eq!(code, Some(1));
    assert!(said.contains("damaged at byte 0, which no crash does: restore it, or move it away"), "{said}");
}

/// A session is there again by its client's identifier alone, in MQTT 3.1.1 as well.
#[test]
fn a_session_of_mqtt_3_1_1_survives() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = broker(&folder);
    let mut ann = Peer::open(process.address());
    ann.send(&connect3("ann", 0, 0));
    ann.expect(ACCEPTED);
    process.signal("KILL");
    process.wait();
    let process = broker(&folder);
    let mut ann = Peer::open(process.address());
    ann.send(&connect3("ann", 0, 0));
    ann.expect(&[0x20, 2, 1, 0]);
}
