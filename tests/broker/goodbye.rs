//! A client that says everything in one go, with its goodbye, and then reads: the answers come before the end of the connection, and what they
//! promise outlives the process.

use super::{
    limits::users,
    wire::{ACCEPTED, CLEAN, DISCONNECT, NONE, Peer, connect3, connect5, packet, props, publish, s, subscribe},
};
use crate::support::process::{Process, start};
use std::net::SocketAddr;

/// The ways in which a client stops talking.
const ENDS: [(&str, &[u8], bool); 4] = [
    ("DISCONNECT", DISCONNECT, false),
    ("end of input", b"", true),
    ("both", DISCONNECT, true),
    ("a mistake", b"\x00\x00", false),
];

fn broker(folder: &tempfile::TempDir, more: &[&str]) -> Process {
    let args = [&["--data", folder.path().to_str().unwrap(), "--metrics", "0s"], more].concat();
    start(env!("CARGO_BIN_EXE_broker"), &args)
}

/// CONNECT with a session that is kept.
fn kept(version: u8, id: &str) -> Vec<u8> {
    if version == 4 { connect3(id, 0, 0) } else { connect5(id, 0, 0, &props(&[&[17, 0, 0, 14, 16]])) }
}

fn none(version: u8) -> Option<&'static [u8]> {
    (version == 5).then_some(NONE)
}

/// Packets of each kind that has an answer: messages of QoS 1 and 2 to `t`, and subscriptions, of which that to `y` stays.
fn everything(version: u8, name: &str, one: &str, two: &str) -> [Vec<u8>; 7] {
    let properties = none(version);
    [
        kept(version, name),
        publish(2, "t", Some(1), properties, one),
        publish(4, "t", Some(2), properties, two),
        packet(0x62, &[&[0, 2]]),
        subscribe(3, properties, &[("x", 1)]),
        packet(0xA2, &[&[0, 4], properties.unwrap_or_default(), &s("x")]),
        subscribe(5, properties, &[("y", 1)]),
    ]
}

/// Says all of it in one go, and returns the first byte of each answer. The last may be a DISCONNECT, which says why.
fn say(to: SocketAddr, packets: &[Vec<u8>], end: (&str, &[u8], bool)) -> Vec<u8> {
    let mut peer = Peer::open(to);
    peer.send(&[&packets.concat(), end.1].concat());
    if end.2 {
        peer.finish();
    }
    std::iter::from_fn(|| peer.try_packet()).map(|packet| packet[0]).collect()
}

#[test]
fn the_answers_to_all_that_was_said_come_before_the_end_and_last() {
    for driver in super::drivers() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = broker(&folder, &driver);
        let to = first.address();
        let mut ann = Peer::open(to);
        ann.send(&[connect3("ann", 0, 0), subscribe(1, None, &[("t", 2)])].concat());
        ann.expect(ACCEPTED);
        ann.packet();
        ann.send(DISCONNECT);
        ann.closed();
        let mut texts = Vec::new();
        for version in [4, 5] {
            for end in ENDS {
                let name = format!("{version} {}", end.0);
                let (one, two) = (format!("{name} one"), format!("{name} two"));
                let last: &[u8] = if version == 5 && end.0 == "a mistake" { &[0xE0] } else { &[] };
                let expected = [&[0x20, 0x40, 0x50, 0x70, 0x90, 0xB0, 0x90], last].concat();
                assert_eq!(say(to, &everything(version, &name, &one, &two), end), expected, "{name}");
                texts.extend([(2, one), (4, two)]);
            }
        }
        first.signal("KILL");
        first.wait();
        let second = broker(&folder, &driver);
        let mut ann = Peer::open(second.address());
        ann.send(&connect3("ann", 0, 0));
        ann.expect(&[0x20, 2, 1, 0]);
        for (n, (flags, text)) in texts.iter().enumerate() {
            ann.expect(&publish(*flags, "t", Some(n as u16 + 1), None, text));
        }
        // The subscriptions are those that the answers told of.
        let mut other = Peer::v3(second.address(), "other");
        other.send(&publish(2, "x", Some(1), None, "not for them"));
        other.expect(&[0x40, 2, 0, 1]);
        other.send(&publish(2, "y", Some(2), None, "for them"));
        other.expect(&[0x40, 2, 0, 2]);
        for version in [4, 5] {
            for (end, ..) in ENDS {
                let mut peer = Peer::open(second.address());
                peer.send(&kept(version, &format!("{version} {end}")));
                assert_eq!(peer.packet()[2], 1, "{version} {end}: its session is there");
                peer.expect(&publish(2, "y", Some(1), none(version), "for them"));
            }
        }
    }
}

/// Its second connection takes the session over while answers to the first wait for the disk.
#[test]
fn a_client_that_connects_again_at_once_has_the_answers_to_both() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, &[]);
    for round in 0..50 {
        let to = broker.address();
        let (mut old, mut new) = (Peer::open(to), Peer::open(to));
        let bytes = [kept(5, "ann"), publish(2, "t", Some(1), Some(NONE), "old")].concat();
        old.send(&bytes);
        new.send(&bytes);
        // Either may be the first to be heard.
        let answers = |mut peer: Peer| {
            peer.finish();
            std::iter::from_fn(|| peer.try_packet()).map(|packet| packet[0]).collect::<Vec<_>>()
        };
        for answers in [answers(old), answers(new)] {
            // One that was taken over before its message came has only its CONNACK.
            assert!(
                matches!(&*answers, [0x20, 0x40] | [0x20, 0x40, 0xE0] | [0x20, 0xE0]),
                "round {round}: {answers:02x?}"
            );
        }
    }
}

#[test]
fn packets_that_come_while_the_password_is_looked_at_are_heard_even_if_nothing_more_comes() {
    let folder = tempfile::tempdir().unwrap();
    let file = users(&folder);
    let broker = broker(&folder, &["--users", &file]);
    for version in [4, 5] {
        let properties: &[u8] = if version == 5 { NONE } else { &[] };
        for end in ENDS {
            for (password, right) in [("secret", true), ("wrong", false)] {
                let head = [&[version, 0xC0 | CLEAN, 0, 0], properties].concat();
                let connect = packet(0x10, &[&s("MQTT"), &head, &s("c"), &s("ann"), &s(password)]);
                let message = publish(2, "home/ann/x", Some(1), none(version), "hello");
                let got = say(broker.address(), &[connect, message], end);
                let last: &[u8] = if version == 5 && end.0 == "a mistake" { &[0xE0] } else { &[] };
                let expected = if right { [&[0x20, 0x40], last].concat() } else { vec![0x20] };
                assert_eq!(got, expected, "{version} {} {password}", end.0);
            }
        }
    }
}
