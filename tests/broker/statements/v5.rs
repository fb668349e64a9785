//! MQTT 5: strings, packets, and how a client connects.

use super::{
    Row, Site,
    wire::{CLEAN, DISCONNECT, NONE, Peer, connect5, packet, props, publish, s, subscribe},
};

pub(super) fn clean(site: &Site, id: &str) -> Peer {
    Peer::v5(site.to, &site.of(id), CLEAN, NONE)
}

/// A session that outlives its connection for an hour.
pub(super) const LASTING: &[u8] = &[5, 17, 0, 0, 14, 16];

pub(super) fn kept(site: &Site, id: &str) -> Peer {
    Peer::v5(site.to, &site.of(id), 0, LASTING)
}

pub(super) fn subscribe_to(peer: &mut Peer, filter: &str, options: u8) {
    peer.send(&subscribe(1, Some(NONE), &[(filter, options)]));
    peer.expect(&[0x90, 4, 0, 1, 0, options & 3]);
}

pub(super) fn subscriber(site: &Site, id: &str, filter: &str, options: u8) -> Peer {
    let mut peer = clean(site, id);
    subscribe_to(&mut peer, filter, options);
    peer
}

/// A client connects, and is answered: session present, reason, properties.
pub(super) fn connack(site: &Site, wire: &[u8]) -> (Peer, u8, u8, Vec<u8>) {
    let mut peer = Peer::open(site.to);
    peer.send(wire);
    let got = peer.packet();
    assert_eq!(got[0], 0x20, "{got:?}");
    (peer, got[2], got[3], got[5..].to_vec())
}

/// Each of these ends a client's connection, with a reason.
pub(super) fn dismissed(site: &Site, reason: u8, wires: &[&[u8]]) {
    for (n, wire) in wires.iter().enumerate() {
        let mut peer = clean(site, &n.to_string());
        peer.send(wire);
        peer.dismissed(reason);
    }
}

/// Each of these is refused: with a CONNACK that says so, or without one.
fn refused(site: &Site, wires: &[Vec<u8>]) {
    for wire in wires {
        let mut peer = Peer::open(site.to);
        peer.send(wire);
        if let Some(got) = peer.try_packet() {
            assert!(got[0] == 0x20 && got[2] == 0 && got[3] >= 0x80, "{got:?}");
            peer.closed();
        }
    }
}

/// CONNECT with a will.
pub(super) fn with_will(id: &str, flags: u8, properties: &[u8], will: &[u8], topic: &str, keep_alive: u16) -> Vec<u8> {
    let ka = keep_alive.to_be_bytes();
    packet(0x10, &[&s("MQTT"), &[5, 4 | flags], &ka, properties, &s(id), will, &s(topic), &s("gone")])
}

fn raw(flags: u8, properties: &[u8], payload: &[&[u8]]) -> Vec<u8> {
    packet(0x10, &[&s("MQTT"), &[5, flags, 0, 0], properties, &payload.concat()])
}

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;

pub(super) const ROWS: &[Row] = &[
    ("1.5.4-1, 4.13.1-1", "ill-formed UTF-8 is malformed", |t| {
        dismissed(
            t,
            MALFORMED,
            &[
                b"\x30\x05\x00\x02\xc3\x28\x00",
                b"\x30\x06\x00\x03\xed\xa0\x80\x00",
                b"\x82\x08\x00\x01\x00\x00\x02\xff\xfe\x00",
            ],
        );
    }),
    ("1.5.4-2, 4.7.3-2", "U+0000 is malformed", |t| {
        dismissed(t, MALFORMED, &[b"\x30\x06\x00\x03a\x00b\x00", b"\x82\x07\x00\x01\x00\x00\x01\x00\x00"]);
    }),
    ("1.5.4-3, 4.7.3-4", "U+FEFF is a character like others", |t| {
        let topic = t.of("\u{feff}a");
        let mut peer = subscriber(t, "c", &topic, 0);
        peer.send(&publish(0, &t.of("a"), None, Some(NONE), "no"));
        peer.send(&publish(0, &topic, None, Some(NONE), "yes"));
        peer.expect(&publish(0, &topic, None, Some(NONE), "yes"));
    }),
    ("1.5.5-1", "a length has as few bytes as it can", |t| {
        dismissed(
            t,
            MALFORMED,
            &[b"\x30\x85\x00\x00\x01a\x00x", b"\x30\x06\x00\x01a\x80\x00x", b"\x30\xff\xff\xff\xff\x01"],
        );
    }),
    ("1.5.7-1", "both parts of a user property are strings", |t| {
        dismissed(
            t,
            MALFORMED,
            &[b"\x30\x0b\x00\x01a\x07\x26\x00\x01\xff\x00\x01b", b"\x30\x0b\x00\x01a\x07\x26\x00\x01a\x00\x01\x00"],
        );
    }),
    ("2.1.3-1, 3.6.1-1, 3.8.1-1, 3.10.1-1, 3.14.1-1, 3.15.1-1", "reserved flags are malformed", |t| {
        let wires: [&[u8]; 8] = [
            b"\xc1\x00",
            b"\xe1\x00",
            b"\x80\x07\x00\x01\x00\x00\x01a\x00",
            b"\x60\x02\x00\x01",
            b"\x66\x02\x00\x01",
            b"\x41\x02\x00\x01",
            b"\xa0\x06\x00\x01\x00\x00\x01a",
            b"\xf1\x00",
        ];
        dismissed(t, MALFORMED, &wires);
    }),
    ("2.2.1-2", "a message of QoS 0 has no identifier", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 2);
        peer.send(&publish(0, &t.of("a"), None, Some(NONE), "x"));
        peer.expect(&publish(0, &t.of("a"), None, Some(NONE), "x"));
    }),
    ("2.2.1-3", "packet identifier 0 is an error", |t| {
        dismissed(
            t,
            PROTOCOL,
            &[b"\x32\x06\x00\x01a\x00\x00\x00", b"\x82\x07\x00\x00\x00\x00\x01a\x00", b"\xa2\x06\x00\x00\x00\x00\x01a"],
        );
    }),
    ("2.2.1-4, 4.3.2-1, 4.3.3-1", "a server's messages have identifiers that are not in use", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 2);
        let mut other = clean(t, "other");
        for id in 1..=3 {
            other.send(&publish(4, &t.of("a"), Some(id), Some(NONE), "x"));
        }
        let mut ids: Vec<_> = (0..3).map(|_| peer.packet()).map(|got| got[got.len() - 3]).collect();
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.len() == 3 && !ids.contains(&0), "{ids:?}");
    }),
    (
        "2.2.1-5, 2.2.1-6, 3.8.4-1, 3.8.4-2, 3.10.4-4, 3.10.4-5",
        "an answer has the identifier of what it answers",
        |t| {
            let mut peer = clean(t, "c");
            peer.send(&subscribe(0x1234, Some(NONE), &[("a", 0)]));
            peer.expect(&[0x90, 4, 0x12, 0x34, 0, 0]);
            peer.send(&packet(0xA2, &[&[0x12, 0x35], NONE, &s("a")]));
            peer.expect(&[0xB0, 4, 0x12, 0x35, 0, 0]);
            peer.send(&publish(2, &t.of("none"), Some(0x1236), Some(NONE), ""));
            peer.expect(&[0x40, 3, 0x12, 0x36, 0x10]);
            // One that is kept for later subscribers has none now, either.
            peer.send(&publish(3, &t.of("kept"), Some(0x1236), Some(NONE), "x"));
            peer.expect(&[0x40, 3, 0x12, 0x36, 0x10]);
            peer.send(&publish(4, &t.of("none"), Some(0x1237), Some(NONE), ""));
            peer.expect(&[0x50, 3, 0x12, 0x37, 0x10]);
            peer.send(&[0x62, 2, 0x12, 0x37]);
            peer.expect(&[0x70, 2, 0x12, 0x37]);
        },
    ),
    ("2.2.2-1", "no properties are a length of 0", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 0);
        peer.send(&publish(0, &t.of("a"), None, Some(NONE), ""));
        peer.expect(&publish(0, &t.of("a"), None, Some(NONE), ""));
        // A packet that has none at all.
        dismissed(t, MALFORMED, &[b"\x82\x02\x00\x01", b"\x30\x03\x00\x01a"]);
    }),
    ("2.2.2-2", "a property has a known number, stands once, and where it may", |t| {
        dismissed(t, MALFORMED, &[b"\x30\x06\x00\x01a\x02\x7e\x00", b"\x30\x06\x00\x01a\x03\x02\x00"]);
        dismissed(
            t,
            PROTOCOL,
            &[
                b"\x30\x08\x00\x01a\x04\x01\x01\x01\x01",
                b"\x30\x09\x00\x01a\x05\x11\x00\x00\x00\x01",
                b"\x30\x06\x00\x01a\x02\x01\x02",
            ],
        );
    }),
    ("3.1.0-1, 3.14.0-1", "the first packet is a CONNECT, and there is no other answer", |t| {
        for wire in [publish(0, "a", None, Some(NONE), "x"), vec![0xC0, 0], vec![0xF0, 0], vec![0xE0, 0]] {
            let mut peer = Peer::open(t.to);
            peer.send(&wire);
            peer.closed();
        }
    }),
    ("3.1.0-2", "a second CONNECT is an error", |t| dismissed(t, PROTOCOL, &[&connect5("other", CLEAN, 0, NONE)])),
    ("3.1.2-1, 3.1.2-2", "another protocol or version is refused", |t| {
        let mut peer = Peer::open(t.to);
        peer.send(&packet(0x10, &[&s("MQTT"), &[6, CLEAN, 0, 0], NONE, &s("c")]));
        let got = peer.packet();
        assert_eq!((got[0], got[2], got[3]), (0x20, 0, 0x84));
        peer.closed();
        refused(t, &[packet(0x10, &[&s("MQTX"), &[5, CLEAN, 0, 0], NONE, &s("c")])]);
    }),
    ("3.1.2-3", "the reserved flag of a CONNECT", |t| {
        let (mut peer, present, reason, _) = connack(t, &connect5(&t.of("c"), CLEAN | 1, 0, NONE));
        assert_eq!((present, reason), (0, MALFORMED));
        peer.closed();
    }),
    ("3.1.2-4, 3.1.4-4, 3.2.2-2", "a clean start discards the session", |t| {
        let mut peer = kept(t, "c");
        subscribe_to(&mut peer, &t.of("a"), 1);
        peer.send(DISCONNECT);
        peer.closed();
        let (mut peer, present, reason, _) = connack(t, &connect5(&t.of("c"), CLEAN, 0, LASTING));
        assert_eq!((present, reason), (0, 0));
        peer.send(&publish(0, &t.of("a"), None, Some(NONE), "x"));
        peer.quiet();
    }),
    ("3.1.2-5, 3.1.2-6, 3.2.2-3, 3.1.2-23", "without a clean start, a session goes on or begins", |t| {
        for expected in [0, 1, 1] {
            let (mut peer, present, reason, _) = connack(t, &connect5(&t.of("c"), 0, 0, LASTING));
            assert_eq!((present, reason), (expected, 0));
            peer.send(DISCONNECT);
            peer.closed();
        }
    }),
    ("3.1.2-7, 3.1.2-8, 3.1.2-14", "a will is published when its client is lost, and not retained", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 1);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), CLEAN | 1 << 3, NONE, NONE, &t.of("w"), 0));
        peer.packet();
        peer.lose();
        other.expect(&publish(2, &t.of("w"), Some(1), Some(NONE), "gone"));
        subscriber(t, "late", &t.of("w"), 0).quiet();
    }),
    ("3.1.2-10, 3.14.4-3", "a client that says goodbye has no will, unless it says so", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 0);
        for (goodbye, text) in
            [(&[0xE0, 0][..], "not published"), (&[0xE0, 2, 0, 0], "nor this one"), (&[0xE0, 1, 4], "published")]
        {
            let mut peer = Peer::open(t.to);
            peer.send(&packet(
                0x10,
                &[&s("MQTT"), &[5, CLEAN | 4, 0, 0], NONE, &s(t.of("c")), NONE, &s(t.of("w")), &s(text)],
            ));
            peer.packet();
            peer.send(goodbye);
            peer.closed();
        }
        other.expect(&publish(0, &t.of("w"), None, Some(NONE), "published"));
    }),
    ("3.1.2-9, 3.1.2-11, 3.1.2-12, 3.1.2-13", "flags and fields of a will go together", |t| {
        refused(
            t,
            &[
                connect5(&t.of("c"), CLEAN | 1 << 3, 0, NONE),
                connect5(&t.of("c"), CLEAN | 1 << 5, 0, NONE),
                with_will(&t.of("c"), CLEAN | 3 << 3, NONE, NONE, "w", 0),
                raw(CLEAN | 4, NONE, &[&s(t.of("c"))]),
                raw(CLEAN, NONE, &[&s(t.of("c")), NONE, &s("w"), &s("x")]),
            ],
        );
    }),
    ("3.1.2-15", "a will is retained if its flag says so", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 0);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), CLEAN | 1 << 5, NONE, NONE, &t.of("w"), 0));
        peer.packet();
        peer.lose();
        other.expect(&publish(0, &t.of("w"), None, Some(NONE), "gone"));
        subscriber(t, "late", &t.of("w"), 0).expect(&publish(1, &t.of("w"), None, Some(NONE), "gone"));
    }),
    (
        "3.1.2-16, 3.1.2-17, 3.1.2-18, 3.1.2-19",
        "user name and password are there if their flags are set; a password may stand alone",
        |t| {
            let id = &*s(t.of("c"));
            refused(
                t,
                &[
                    raw(CLEAN | 0x80, NONE, &[id]),
                    raw(CLEAN, NONE, &[id, &s("u")]),
                    raw(CLEAN | 0xC0, NONE, &[id, &s("u")]),
                ],
            );
            assert_eq!(connack(t, &raw(CLEAN | 0x40, NONE, &[id, &s("p")])).2, 0);
        },
    ),
    ("3.1.2-22, 3.2.2-22", "silence of one and a half times the keep-alive ends the connection", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 0);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), CLEAN, NONE, NONE, &t.of("w"), 1));
        peer.packet();
        peer.dismissed(0x8D);
        other.expect(&publish(0, &t.of("w"), None, Some(NONE), "gone"));
    }),
    ("3.1.2-24, 3.1.2-25", "a message that is longer than the client takes is not sent, and the next one is", |t| {
        let mut peer = Peer::v5(t.to, &t.of("c"), CLEAN, &props(&[&[39, 0, 0, 0, 100]]));
        subscribe_to(&mut peer, &t.of("#"), 2);
        let mut other = clean(t, "other");
        for (qos, id, answer) in [(0, None, None), (2, Some(1), Some(0x40)), (4, Some(2), Some(0x50))] {
            other.send(&publish(qos, &t.of("a"), id, Some(NONE), &"x".repeat(100)));
            if let Some(answer) = answer {
                assert_eq!(other.packet()[0], answer);
            }
        }
        other.send(&publish(0, &t.of("a"), None, Some(NONE), "short"));
        peer.expect(&publish(0, &t.of("a"), None, Some(NONE), "short"));
    }),
    (
        "3.1.2-26, 3.1.2-27, 3.3.2-11",
        "a client gets no aliases it has not asked for, and none above its maximum",
        |t| {
            let mut without = subscriber(t, "without", &t.of("+"), 0);
            let mut with = Peer::v5(t.to, &t.of("with"), CLEAN, &props(&[&[34, 0, 1]]));
            subscribe_to(&mut with, &t.of("+"), 0);
            let mut other = clean(t, "other");
            for topic in ["a", "a", "b"] {
                other.send(&publish(0, &t.of(topic), None, Some(NONE), "x"));
            }
            let alias = props(&[&[35, 0, 1]]);
            with.expect(&publish(0, &t.of("a"), None, Some(&alias), "x"));
            with.expect(&publish(0, "", None, Some(&alias), "x"));
            with.expect(&publish(0, &t.of("b"), None, Some(NONE), "x"));
            for topic in ["a", "a", "b"] {
                without.expect(&publish(0, &t.of(topic), None, Some(NONE), "x"));
            }
        },
    ),
    ("3.1.2-28", "response information is not sent to a client that has not asked", |t| {
        assert!(!connack(t, &connect5(&t.of("c"), CLEAN, 0, NONE)).3.contains(&26));
    }),
    ("3.1.2-29", "without problem information, no reason strings but in CONNACK and DISCONNECT", |t| {
        let mut peer = Peer::v5(t.to, &t.of("c"), CLEAN, &props(&[&[23, 0]]));
        peer.send(&publish(2, "$SYS/mine", Some(1), Some(NONE), "x"));
        peer.expect(&[0x40, 3, 0, 1, 0x87]);
        peer.send(&[0x62, 2, 0, 9]);
        peer.expect(&[0x70, 3, 0, 9, 0x92]);
    }),
    (
        "3.1.3-1, 3.1.3-3, 3.1.3-4, 3.1.3-11, 3.1.3-12, 3.1.4-1",
        "the fields of a CONNECT are in order, and are strings",
        |t| {
            let bad = s(b"\xff");
            refused(
                t,
                &[
                    raw(CLEAN, NONE, &[&bad]),
                    raw(CLEAN | 4, NONE, &[&s("c"), NONE, &bad, &s("x")]),
                    raw(CLEAN | 0x80, NONE, &[&s("c"), &bad]),
                    raw(CLEAN, NONE, &[]),
                    raw(CLEAN, NONE, &[&s("c"), b"x"]),
                ],
            );
        },
    ),
    ("3.1.3-5", "identifiers of 1 to 23 letters and digits are allowed", |t| {
        for id in ["y", "0123456789abcdefghijklN", "OPQRSTUVWXYZnopqrstuvwx"] {
            assert_eq!(connack(t, &connect5(id, CLEAN, 0, NONE)).2, 0);
        }
    }),
    ("3.1.3-6, 3.1.3-7, 3.2.2-16", "a client without an identifier is given one, by which it can come back", |t| {
        let assigned = |flags| {
            let (peer, present, reason, properties) = connack(t, &connect5("", flags, 0, LASTING));
            assert_eq!((present, reason), (0, 0));
            let at = properties.windows(7).position(|part| part[0] == 18 && &part[3..] == b"auto").unwrap();
            let len = usize::from(properties[at + 2]);
            (peer, String::from_utf8(properties[at + 3..at + 3 + len].to_vec()).unwrap())
        };
        let ((mut first, one), (_, two)) = (assigned(CLEAN), assigned(0));
        assert_ne!(one, two);
        first.send(DISCONNECT);
        first.closed();
        assert_eq!(connack(t, &connect5(&one, 0, 0, LASTING)).1, 1);
    }),
    ("3.1.3-9", "a client that is back in time has no will published", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 0);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), 0, LASTING, &props(&[&[24, 0, 0, 0, 1]]), &t.of("w"), 0));
        peer.packet();
        peer.lose();
        let (mut peer, present, ..) = connack(t, &connect5(&t.of("c"), 0, 1, LASTING));
        assert_eq!(present, 1);
        // Its own end is later than the will would have been.
        peer.dismissed(0x8D);
        other.quiet();
    }),
    ("3.1.3-10", "user properties of a will keep their order", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 0);
        let users = props(&[&[38], &s("b"), &s("1"), &[38], &s("a"), &s("2"), &[38], &s("b"), &s("0")]);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), CLEAN, NONE, &users, &t.of("w"), 0));
        peer.packet();
        peer.lose();
        other.expect(&publish(0, &t.of("w"), None, Some(&users), "gone"));
    }),
    ("3.1.4-3", "a client that connects again ends its old connection, which is told", |t| {
        let mut old = kept(t, "c");
        let mut new = kept(t, "c");
        old.dismissed(0x8E);
        new.quiet();
    }),
    ("3.1.4-5, 3.2.0-1, 3.2.0-2, 3.2.2-1", "the first answer is one CONNACK", |t| {
        let mut peer = Peer::open(t.to);
        peer.send(&[connect5(&t.of("c"), CLEAN, 0, NONE), subscribe(1, Some(NONE), &[("a", 0)])].concat());
        let got = peer.packet();
        assert_eq!((got[0], got[2], got[3]), (0x20, 0, 0));
        peer.expect(&[0x90, 4, 0, 1, 0, 0]);
        peer.quiet();
    }),
    (
        "3.1.4-2, 3.1.4-6, 3.2.2-6, 3.2.2-7, 3.2.2-8, 4.12.0-1, 4.13.2-1",
        "extended authentication is refused, and nothing behind it is heard",
        |t| {
            let mut other = subscriber(t, "other", &t.of("a"), 0);
            let wire = connect5(&t.of("c"), 0, 0, &props(&[&[21], &s("SCRAM-SHA-1")]));
            let (mut peer, present, reason, _) =
                connack(t, &[wire, publish(0, &t.of("a"), None, Some(NONE), "x")].concat());
            assert_eq!((present, reason), (0, 0x8C));
            peer.closed();
            other.quiet();
        },
    ),
    ("3.2.2-15", "a packet that is longer than the server takes is an error", |t| {
        let mut peer = clean(t, "c");
        peer.send(&[0x30, 0x81, 0x80, 0x40]);
        peer.dismissed(0x95);
    }),
    ("3.2.2-17", "aliases above the server's maximum are an error", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(0, &t.of("a"), None, Some(&props(&[&[35, 0, 65]])), "x"));
        peer.dismissed(0x94);
    }),
    ("3.2.2-19, 3.14.2-3", "a reason that would make a packet too long is left out", |t| {
        let small = props(&[&[39, 0, 0, 0, 80]]);
        let mut peer = Peer::v5(t.to, &t.of("c"), CLEAN, &small);
        peer.send(b"\x36\x00");
        let got = peer.packet();
        assert!(got[0] == 0xE0 && got.len() <= 80, "{got:?}");
        let auth = props(&[&[39, 0, 0, 0, 72], &[21], &s("x")]);
        let (_, _, reason, rest) = connack(t, &connect5(&t.of("d"), CLEAN, 0, &auth));
        assert_eq!((reason, rest.len()), (0x8C, 0));
        // As little as a CONNACK needs: longer with a name that is given by the server.
        for (name, most, expected) in [("e", 24, 0), ("e", 23, 0x95), ("", 72, 0), ("", 71, 0x95)] {
            let name = if name.is_empty() { String::new() } else { t.of(name) };
            let (_, _, reason, _) = connack(t, &connect5(&name, CLEAN, 0, &props(&[&[39, 0, 0, 0, most]])));
            assert_eq!(reason, expected, "{name:?} {most}");
        }
    }),
    ("3.12.4-1", "a ping has its answer", |t| clean(t, "c").quiet()),
    ("3.14.2-1", "a reason of a DISCONNECT is one of the table", |t| dismissed(t, MALFORMED, &[b"\xe0\x01\x01"])),
    ("3.14.2-2", "a session that ends with its connection cannot be made to last; others can be made shorter", |t| {
        let mut peer = clean(t, "c");
        peer.send(&packet(0xE0, &[&[0], &props(&[&[17, 0, 0, 0, 9]])]));
        peer.dismissed(PROTOCOL);
        let mut peer = kept(t, "d");
        peer.send(&packet(0xE0, &[&[0], &props(&[&[17, 0, 0, 0, 0]])]));
        peer.closed();
        assert_eq!(connack(t, &connect5(&t.of("d"), 0, 0, LASTING)).1, 0);
    }),
    ("3.14.4-1, 3.14.4-2", "behind a goodbye nothing is heard", |t| {
        let mut other = subscriber(t, "other", &t.of("a"), 0);
        let mut peer = clean(t, "c");
        peer.send(&[DISCONNECT, &publish(0, &t.of("a"), None, Some(NONE), "late")].concat());
        peer.closed();
        other.quiet();
    }),
    ("4.12.0-6, 4.12.0-7, 3.15.2-1", "an AUTH without a method is an error", |t| {
        dismissed(t, PROTOCOL, &[b"\xf0\x00", b"\xf0\x02\x18\x00"]);
        dismissed(t, MALFORMED, &[b"\xf0\x02\x17\x00"]);
    }),
];
