//! MQTT 3.1.1.

use super::{
    Row, Site,
    wire::{ACCEPTED, CLEAN, DISCONNECT, Peer, connect3, packet, publish, s, subscribe},
};

/// A client with a session that is kept.
fn kept(site: &Site, id: &str) -> Peer {
    let mut peer = Peer::open(site.to);
    peer.send(&connect3(&site.of(id), 0, 0));
    let connack = peer.packet();
    assert_eq!((connack[0], connack[3]), (0x20, 0));
    peer
}

fn clean(site: &Site, id: &str) -> Peer {
    Peer::v3(site.to, &site.of(id))
}

/// A client that subscribes and was answered.
fn subscriber(site: &Site, id: &str, filter: &str, qos: u8) -> Peer {
    let mut peer = clean(site, id);
    subscribe_to(&mut peer, filter, qos);
    peer
}

fn subscribe_to(peer: &mut Peer, filter: &str, qos: u8) {
    peer.send(&subscribe(1, None, &[(filter, qos)]));
    peer.expect(&[0x90, 3, 0, 1, qos]);
}

/// Each of these ends the connection of a client that is let in.
fn ends(site: &Site, wires: &[&[u8]]) {
    for (n, wire) in wires.iter().enumerate() {
        let mut peer = clean(site, &n.to_string());
        peer.send(wire);
        peer.closed();
    }
}

/// Each of these is refused without an answer.
fn not_answered(site: &Site, wires: &[Vec<u8>]) {
    for wire in wires {
        let mut peer = Peer::open(site.to);
        peer.send(wire);
        peer.closed();
    }
}

/// CONNECT with a will: QoS and retain by its flags.
fn with_will(id: &str, flags: u8, topic: &str, keep_alive: u16) -> Vec<u8> {
    packet(0x10, &[&s("MQTT"), &[4, CLEAN | 4 | flags], &keep_alive.to_be_bytes(), &s(id), &s(topic), &s("gone")])
}

fn raw(flags: u8, payload: &[&[u8]]) -> Vec<u8> {
    packet(0x10, &[&s("MQTT"), &[4, flags, 0, 0], &payload.concat()])
}

pub(super) const ROWS: &[Row] = &[
    ("1.5.3-1", "ill-formed UTF-8 ends the connection", |t| {
        ends(
            t,
            &[b"\x30\x04\x00\x02\xc3\x28", b"\x30\x05\x00\x03\xed\xa0\x80", b"\x82\x07\x00\x01\x00\x02\xff\xfe\x00"],
        );
    }),
    ("1.5.3-2", "U+0000 in a string ends the connection", |t| {
        ends(t, &[b"\x30\x05\x00\x03a\x00b", b"\x82\x06\x00\x01\x00\x01\x00\x00"]);
    }),
    ("1.5.3-3, 4.7.3-4", "U+FEFF is a character like others", |t| {
        let topic = t.of("\u{feff}a");
        let mut peer = subscriber(t, "c", &topic, 0);
        peer.send(&publish(0, &t.of("a"), None, None, "no"));
        peer.send(&publish(0, &topic, None, None, "yes"));
        peer.expect(&publish(0, &topic, None, None, "yes"));
    }),
    ("2.2.2-1, 2.2.2-2", "reserved flags end the connection", |t| {
        let wires: [&[u8]; 6] = [
            b"\xc1\x00",
            b"\xe1\x00",
            b"\x80\x06\x00\x01\x00\x01a\x00",
            b"\x60\x02\x00\x01",
            b"\x41\x02\x00\x01",
            b"\xa0\x05\x00\x01\x00\x01a",
        ];
        ends(t, &wires);
    }),
    ("2.2.3-0", "a remaining length of five bytes ends the connection", |t| {
        ends(t, &[b"\x30\xff\xff\xff\xff\x01"]);
    }),
    ("2.3.1-1", "packet identifier 0 ends the connection", |t| {
        ends(t, &[b"\x32\x05\x00\x01a\x00\x00", b"\x82\x06\x00\x00\x00\x01a\x00", b"\xa2\x05\x00\x00\x00\x01a"]);
    }),
    (
        "2.3.1-4, 2.3.1-6, 4.3.2-1",
        "a server's messages have identifiers that are not in use, and its answers those of the message",
        |t| {
            let mut peer = subscriber(t, "c", &t.of("a"), 1);
            for id in [9, 8] {
                peer.send(&publish(2, &t.of("a"), Some(id), None, "x"));
            }
            let (mut ids, mut acks) = (Vec::new(), Vec::new());
            for _ in 0..4 {
                let got = peer.packet();
                if got[0] == 0x40 { acks.push(got[3]) } else { ids.push(got[got.len() - 2]) }
            }
            assert_eq!(acks, [9, 8]);
            assert!(ids[0] != ids[1] && !ids.contains(&0), "{ids:?}");
        },
    ),
    ("2.3.1-5", "a message of QoS 0 has no identifier", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 2);
        peer.send(&publish(0, &t.of("a"), None, None, "x"));
        peer.expect(&publish(0, &t.of("a"), None, None, "x"));
    }),
    ("2.3.1-7, 3.8.4-1, 3.8.4-2", "a SUBACK has the identifier of its SUBSCRIBE", |t| {
        let mut peer = clean(t, "c");
        peer.send(&subscribe(0x1234, None, &[("a", 0)]));
        peer.expect(&[0x90, 3, 0x12, 0x34, 0]);
    }),
    ("3.1.0-1", "the first packet is a CONNECT", |t| {
        not_answered(
            t,
            &[publish(0, "a", None, None, "x"), vec![0xC0, 0], subscribe(1, None, &[("a", 0)]), b"GET / HTTP".to_vec()],
        );
    }),
    ("3.1.0-2", "a second CONNECT ends the connection", |t| {
        ends(t, &[&connect3("other", CLEAN, 0)]);
    }),
    ("3.1.2-1", "another protocol name ends the connection", |t| {
        not_answered(
            t,
            &[packet(0x10, &[&s("MQTX"), &[4, 2, 0, 0], &s("c")]), packet(0x10, &[&s(""), &[4, 2, 0, 0], &s("c")])],
        );
    }),
    ("3.1.2-2", "an old protocol level is refused with 1", |t| {
        for wire in
            [packet(0x10, &[&s("MQIsdp"), &[3, 2, 0, 0], &s("c")]), packet(0x10, &[&s("MQTT"), &[3, 2, 0, 0], &s("c")])]
        {
            let mut peer = Peer::open(t.to);
            peer.send(&wire);
            peer.expect(&[0x20, 2, 0, 1]);
            peer.closed();
        }
    }),
    ("3.1.2-3", "the reserved flag of a CONNECT", |t| {
        let mut peer = Peer::open(t.to);
        peer.send(&connect3(&t.of("c"), CLEAN | 1, 0));
        assert!(peer.try_packet().is_none_or(|got| got[..2] == [0x20, 2] && got[3] != 0));
        peer.closed();
    }),
    ("3.1.2-4, 3.1.2-5, 4.1.0-1", "a session goes on, with messages of QoS 1 and 2", |t| {
        let mut peer = kept(t, "c");
        subscribe_to(&mut peer, &t.of("a"), 2);
        peer.send(DISCONNECT);
        peer.closed();
        let mut other = clean(t, "other");
        other.send(&publish(2, &t.of("a"), Some(1), None, "one"));
        other.expect(&[0x40, 2, 0, 1]);
        other.send(&publish(4, &t.of("a"), Some(2), None, "two"));
        other.expect(&[0x50, 2, 0, 2]);
        let mut peer = Peer::open(t.to);
        peer.send(&connect3(&t.of("c"), 0, 0));
        peer.expect(&[0x20, 2, 1, 0]);
        peer.expect(&publish(2, &t.of("a"), Some(1), None, "one"));
        peer.expect(&publish(4, &t.of("a"), Some(2), None, "two"));
    }),
    ("3.1.2-6", "a clean session discards the one that there was, and is not used again", |t| {
        let mut peer = kept(t, "c");
        subscribe_to(&mut peer, &t.of("a"), 1);
        peer.send(DISCONNECT);
        peer.closed();
        let mut peer = clean(t, "c");
        peer.send(&publish(0, &t.of("a"), None, None, "x"));
        peer.quiet();
        subscribe_to(&mut peer, &t.of("a"), 1);
        peer.send(DISCONNECT);
        peer.closed();
        let mut peer = Peer::open(t.to);
        peer.send(&connect3(&t.of("c"), 0, 0));
        peer.expect(ACCEPTED);
        peer.quiet();
    }),
    ("3.1.2-7", "retained messages belong to no session", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(3, &t.of("a"), Some(1), None, "kept"));
        peer.expect(&[0x40, 2, 0, 1]);
        peer.send(DISCONNECT);
        peer.closed();
        let mut peer = subscriber(t, "c", &t.of("a"), 0);
        peer.expect(&publish(1, &t.of("a"), None, None, "kept"));
    }),
    ("3.1.2-8, 3.1.2-16", "a will is published when its client is lost, and not retained", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 1);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), 1 << 3, &t.of("w"), 0));
        peer.expect(ACCEPTED);
        peer.lose();
        other.expect(&publish(2, &t.of("w"), Some(1), None, "gone"));
        subscriber(t, "late", &t.of("w"), 0).quiet();
    }),
    ("3.1.2-10, 3.14.4-3", "a client that says goodbye has no will", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 1);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), 0, &t.of("w"), 0));
        peer.expect(ACCEPTED);
        peer.send(DISCONNECT);
        peer.closed();
        other.quiet();
    }),
    ("3.1.2-11, 3.1.2-13, 3.1.2-15", "flags of a will without a will", |t| {
        not_answered(t, &[connect3("c", CLEAN | 1 << 3, 0), connect3("c", CLEAN | 1 << 5, 0)]);
    }),
    ("3.1.2-14", "a will with QoS 3", |t| {
        not_answered(t, &[with_will("c", 3 << 3, "w", 0)]);
    }),
    ("3.1.2-17", "a will is retained if its flag says so", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 1);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), 1 << 5, &t.of("w"), 0));
        peer.expect(ACCEPTED);
        peer.lose();
        other.expect(&publish(0, &t.of("w"), None, None, "gone"));
        subscriber(t, "late", &t.of("w"), 0).expect(&publish(1, &t.of("w"), None, None, "gone"));
    }),
    (
        "3.1.2-18, 3.1.2-19, 3.1.2-20, 3.1.2-21",
        "user name and password are there if their flags are set, and only then",
        |t| {
            let id = &*s(t.of("c"));
            not_answered(
                t,
                &[raw(CLEAN | 0x80, &[id]), raw(CLEAN, &[id, &s("user")]), raw(CLEAN | 0xC0, &[id, &s("user")])],
            );
            let mut peer = Peer::open(t.to);
            peer.send(&raw(CLEAN | 0xC0, &[id, &s("user"), &s(b"\xff\x00")]));
            peer.expect(ACCEPTED);
        },
    ),
    ("3.1.2-22", "a password without a user name", |t| {
        not_answered(t, &[raw(CLEAN | 0x40, &[&s(t.of("c")), &s("password")])]);
    }),
    ("3.1.2-24", "silence of one and a half times the keep-alive ends the connection", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 0);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), 0, &t.of("w"), 1));
        peer.expect(ACCEPTED);
        peer.closed();
        other.expect(&publish(0, &t.of("w"), None, None, "gone"));
    }),
    ("3.1.3-1, 3.1.3-3, 3.1.3-4, 3.1.3-10, 3.1.3-11", "the fields of a CONNECT are in order, and are strings", |t| {
        let will = [s(t.of("c")), s(t.of("w")), s(b"\xff\xfe")].concat();
        let mut peer = Peer::open(t.to);
        peer.send(&raw(CLEAN | 4 | 0xC0, &[&will, &s("user"), &s("password")]));
        peer.expect(ACCEPTED);
        let bad = s(b"\xff");
        not_answered(
            t,
            &[
                raw(CLEAN, &[&bad]),
                raw(CLEAN | 4, &[&s("c"), &bad, &s("x")]),
                raw(CLEAN | 0x80, &[&s("c"), &bad]),
                packet(0x10, &[&s("MQTT"), &[4, CLEAN, 0, 0]]),
            ],
        );
    }),
    ("3.1.3-2", "a client is known by its identifier", |t| {
        kept(t, "c").lose();
        let mut peer = Peer::open(t.to);
        peer.send(&connect3(&t.of("other"), 0, 0));
        peer.expect(ACCEPTED);
        let mut peer = Peer::open(t.to);
        peer.send(&connect3(&t.of("c"), 0, 0));
        peer.expect(&[0x20, 2, 1, 0]);
    }),
    ("3.1.3-5", "identifiers of 1 to 23 letters and digits are allowed", |t| {
        for id in ["x", "0123456789abcdefghijklm", "NOPQRSTUVWXYZnopqrstuvw"] {
            let mut peer = Peer::open(t.to);
            peer.send(&connect3(id, CLEAN, 0));
            peer.expect(ACCEPTED);
        }
    }),
    ("3.1.3-6, 3.1.3-7", "a client without an identifier gets one of its own", |t| {
        let mut both = [(); 2].map(|()| {
            let mut peer = Peer::open(t.to);
            peer.send(&connect3("", CLEAN, 0));
            peer.expect(ACCEPTED);
            peer
        });
        both.iter_mut().for_each(Peer::quiet);
    }),
    ("3.1.3-8, 3.1.3-9", "without an identifier there is no session to keep", |t| {
        let mut peer = Peer::open(t.to);
        peer.send(&connect3("", 0, 0));
        peer.expect(&[0x20, 2, 0, 2]);
        peer.closed();
    }),
    ("3.1.4-1", "a CONNECT that is longer than its fields", |t| {
        not_answered(t, &[raw(CLEAN, &[&s(t.of("c")), b"x"])]);
    }),
    ("3.1.4-2", "a client that connects again ends its old connection", |t| {
        let mut old = clean(t, "c");
        let mut new = clean(t, "c");
        old.closed();
        new.quiet();
    }),
    ("3.1.4-3, 3.1.4-4, 3.2.0-1", "the first answer is a CONNACK", |t| {
        let mut peer = Peer::open(t.to);
        // A client need not wait for it.
        peer.send(&[connect3(&t.of("c"), CLEAN, 0), subscribe(1, None, &[("a", 0)])].concat());
        peer.expect(ACCEPTED);
        peer.expect(&[0x90, 3, 0, 1, 0]);
    }),
    ("3.1.4-4, 3.14.4-1", "a goodbye that comes with the CONNECT takes nothing from its answer", |t| {
        let mut peer = Peer::open(t.to);
        let ping = [0xC0, 0];
        peer.send(&[&connect3(&t.of("c"), CLEAN, 0)[..], &ping, DISCONNECT].concat());
        peer.expect(ACCEPTED);
        peer.expect(&[0xD0, 0]);
        peer.closed();
    }),
    ("3.1.4-5, 3.2.2-4, 3.2.2-5", "behind a refusal comes nothing", |t| {
        let mut other = subscriber(t, "other", &t.of("a"), 0);
        let mut peer = Peer::open(t.to);
        peer.send(&[connect3("", 0, 0), publish(0, &t.of("a"), None, None, "x")].concat());
        peer.expect(&[0x20, 2, 0, 2]);
        peer.closed();
        other.quiet();
    }),
    ("3.2.2-1, 3.2.2-2, 3.2.2-3", "session present tells whether there is a session", |t| {
        for (flags, present) in [(CLEAN, 0), (0, 0), (0, 1), (CLEAN, 0), (0, 0)] {
            let mut peer = Peer::open(t.to);
            peer.send(&connect3(&t.of("c"), flags, 0));
            peer.expect(&[0x20, 2, present, 0]);
            peer.send(DISCONNECT);
            peer.closed();
        }
    }),
    ("3.3.1-1, 4.4.0-1", "what was not acknowledged is sent again, with its identifier and DUP", |t| {
        let mut peer = kept(t, "c");
        subscribe_to(&mut peer, &t.of("a"), 2);
        let mut other = clean(t, "other");
        other.send(&publish(2, &t.of("a"), Some(1), None, "one"));
        other.expect(&[0x40, 2, 0, 1]);
        other.send(&publish(4, &t.of("a"), Some(2), None, "two"));
        other.expect(&[0x50, 2, 0, 2]);
        other.send(&publish(4, &t.of("a"), Some(3), None, "three"));
        other.expect(&[0x50, 2, 0, 3]);
        peer.expect(&publish(2, &t.of("a"), Some(1), None, "one"));
        peer.expect(&publish(4, &t.of("a"), Some(2), None, "two"));
        peer.expect(&publish(4, &t.of("a"), Some(3), None, "three"));
        peer.send(&[0x50, 2, 0, 3]);
        peer.expect(&[0x62, 2, 0, 3]);
        peer.lose();
        let mut peer = Peer::open(t.to);
        peer.send(&connect3(&t.of("c"), 0, 0));
        peer.expect(&[0x20, 2, 1, 0]);
        peer.expect(&publish(2 | 8, &t.of("a"), Some(1), None, "one"));
        peer.expect(&publish(4 | 8, &t.of("a"), Some(2), None, "two"));
        // It is known to have arrived: only its end is said again.
        peer.expect(&[0x62, 2, 0, 3]);
        peer.send(&[0x40, 2, 0, 1]);
        peer.send(&[0x50, 2, 0, 2]);
        peer.expect(&[0x62, 2, 0, 2]);
        peer.send(&[0x70, 2, 0, 3, 0x70, 2, 0, 2]);
        peer.quiet();
    }),
    ("3.3.1-2", "DUP with QoS 0", |t| ends(t, &[b"\x38\x04\x00\x01ax"])),
    ("3.3.1-3", "DUP is not passed on", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 1);
        peer.send(&publish(2 | 8, &t.of("a"), Some(5), None, "x"));
        let mut got = [peer.packet(), peer.packet()];
        got.sort();
        assert_eq!(got, [publish(2, &t.of("a"), Some(1), None, "x"), vec![0x40, 2, 0, 5]]);
    }),
    ("3.3.1-4", "QoS 3", |t| ends(t, &[b"\x36\x06\x00\x01a\x00\x01x"])),
    (
        "3.3.1-5, 3.3.1-6, 3.3.1-8, 3.3.1-9",
        "the last retained message comes with the retain flag to new subscriptions, without it to old ones",
        |t| {
            let mut old = subscriber(t, "old", &t.of("a"), 0);
            let mut peer = clean(t, "c");
            for text in ["one", "two"] {
                peer.send(&publish(1, &t.of("a"), None, None, text));
                old.expect(&publish(0, &t.of("a"), None, None, text));
            }
            subscriber(t, "new", &t.of("+"), 0).expect(&publish(1, &t.of("a"), None, None, "two"));
        },
    ),
    ("3.3.1-7", "a retained message of QoS 0 takes the place of the one before", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(3, &t.of("a"), Some(1), None, "one"));
        peer.expect(&[0x40, 2, 0, 1]);
        peer.send(&publish(1, &t.of("a"), None, None, "two"));
        peer.quiet();
        let mut new = subscriber(t, "new", &t.of("a"), 1);
        new.expect(&publish(1, &t.of("a"), None, None, "two"));
        new.quiet();
    }),
    ("3.3.1-10, 3.3.1-11", "an empty message removes the retained one, and is delivered", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 0);
        for text in ["one", ""] {
            peer.send(&publish(1, &t.of("a"), None, None, text));
            peer.expect(&publish(0, &t.of("a"), None, None, text));
        }
        subscriber(t, "new", &t.of("a"), 0).quiet();
    }),
    ("3.3.1-12", "a message without the flag leaves the retained one as it is", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(1, &t.of("a"), None, None, "kept"));
        peer.send(&publish(0, &t.of("a"), None, None, "passing"));
        peer.send(&publish(0, &t.of("a"), None, None, ""));
        peer.quiet();
        subscriber(t, "new", &t.of("a"), 0).expect(&publish(1, &t.of("a"), None, None, "kept"));
    }),
    ("3.3.2-1, 3.3.2-2, 4.7.1-1", "a topic name is a string without wildcards", |t| {
        ends(
            t,
            &[b"\x30\x01a", b"\x30\x03\x00\x01#", b"\x30\x03\x00\x01+", b"\x30\x05\x00\x03a/#", b"\x30\x05\x00\x03a+b"],
        );
    }),
    ("3.3.2-3", "a message goes to those whose filters match", |t| {
        let mut peer = subscriber(t, "c", &t.of("+/b"), 0);
        for topic in ["a", "a/b/c", "a/B", "b", "x/b"] {
            peer.send(&publish(0, &t.of(topic), None, None, topic));
        }
        peer.expect(&publish(0, &t.of("x/b"), None, None, "x/b"));
    }),
    ("3.3.4-1, 4.3.2-2, 4.3.3-2", "each quality has its answer", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(0, "a", None, None, "x"));
        peer.send(&publish(2, "a", Some(1), None, "x"));
        peer.expect(&[0x40, 2, 0, 1]);
        peer.send(&publish(4, "a", Some(2), None, "x"));
        peer.expect(&[0x50, 2, 0, 2]);
        peer.send(&[0x62, 2, 0, 2]);
        peer.expect(&[0x70, 2, 0, 2]);
        peer.quiet();
    }),
    ("3.3.5-1", "overlapping subscriptions: the highest quality of all", |t| {
        let mut peer = clean(t, "c");
        peer.send(&subscribe(1, None, &[(&t.of("a"), 0), (&t.of("+"), 2), (&t.of("#"), 1)]));
        peer.expect(&[0x90, 5, 0, 1, 0, 2, 1]);
        let mut other = clean(t, "other");
        other.send(&publish(4, &t.of("a"), Some(1), None, "x"));
        other.expect(&[0x50, 2, 0, 1]);
        peer.expect(&publish(4, &t.of("a"), Some(1), None, "x"));
    }),
    ("3.6.1-1", "flags of a PUBREL", |t| ends(t, &[b"\x60\x02\x00\x01", b"\x66\x02\x00\x01"])),
    ("3.8.1-1", "flags of a SUBSCRIBE", |t| {
        ends(t, &[b"\x80\x06\x00\x01\x00\x01a\x00", b"\x8a\x06\x00\x01\x00\x01a\x00"])
    }),
    ("3.8.3-1, 3.8.3-3", "a SUBSCRIBE has a filter at least", |t| {
        ends(t, &[b"\x82\x02\x00\x01", b"\x82\x05\x00\x01\x00\x01a"])
    }),
    ("3.8.3-4", "reserved bits and QoS 3 of a subscription", |t| {
        ends(
            t,
            &[b"\x82\x06\x00\x01\x00\x01a\x03", b"\x82\x06\x00\x01\x00\x01a\x04", b"\x82\x06\x00\x01\x00\x01a\x80"],
        );
    }),
    ("3.8.4-3", "the same filter again replaces the subscription, and brings the retained message again", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(1, &t.of("a"), None, None, "kept"));
        for qos in [0, 1] {
            subscribe_to(&mut peer, &t.of("a"), qos);
            peer.expect(&publish(1, &t.of("a"), None, None, "kept"));
        }
        peer.send(&publish(2, &t.of("a"), Some(1), None, "x"));
        let mut got = [peer.packet(), peer.packet()];
        got.sort();
        assert_eq!(got, [publish(2, &t.of("a"), Some(1), None, "x"), vec![0x40, 2, 0, 1]]);
        peer.quiet();
    }),
    ("3.8.4-4, 3.8.4-5, 3.9.3-1, 3.9.3-2", "several filters have one answer, in order", |t| {
        let mut peer = clean(t, "c");
        peer.send(&subscribe(1, None, &[("a", 2), ("b", 0), ("c", 1)]));
        peer.expect(&[0x90, 5, 0, 1, 2, 0, 1]);
    }),
    (
        "3.8.4-5, 3.9.3-2",
        "a shared subscription without a name or a filter is refused, and others with it are not",
        |t| {
            let mut peer = Peer::v3(t.to, &t.of("c"));
            for filter in ["$share/g", "$share/", "$share//a", "$share/g/", "$share/+/a"] {
                peer.send(&subscribe(1, None, &[(&t.of("a"), 1), (filter, 0)]));
                peer.expect(&[0x90, 4, 0, 1, 1, 0x80]);
                peer.send(&packet(0xA2, &[&[0, 2], &s(filter)]));
                peer.expect(&[0xB0, 2, 0, 2]);
            }
            peer.quiet();
        },
    ),
    ("3.8.4-6", "a message has the lower one of its quality and the subscription's", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 1);
        let mut other = clean(t, "other");
        other.send(&publish(0, &t.of("a"), None, None, "zero"));
        other.send(&publish(4, &t.of("a"), Some(1), None, "two"));
        other.expect(&[0x50, 2, 0, 1]);
        peer.expect(&publish(0, &t.of("a"), None, None, "zero"));
        peer.expect(&publish(2, &t.of("a"), Some(1), None, "two"));
    }),
    ("3.10.1-1", "flags of an UNSUBSCRIBE", |t| ends(t, &[b"\xa0\x05\x00\x01\x00\x01a", b"\xa3\x05\x00\x01\x00\x01a"])),
    ("3.10.3-1, 3.10.3-2", "an UNSUBSCRIBE has a filter at least", |t| {
        ends(t, &[b"\xa2\x02\x00\x01", b"\xa2\x05\x00\x01\x00\x01\xff"])
    }),
    ("3.10.4-1, 3.10.4-2", "filters are compared as they are", |t| {
        let mut peer = subscriber(t, "c", &t.of("#"), 0);
        peer.send(&packet(0xA2, &[&[0, 2], &s(t.of("a"))]));
        peer.expect(&[0xB0, 2, 0, 2]);
        peer.send(&publish(0, &t.of("a"), None, None, "still"));
        peer.expect(&publish(0, &t.of("a"), None, None, "still"));
        peer.send(&packet(0xA2, &[&[0, 3], &s(t.of("#"))]));
        peer.expect(&[0xB0, 2, 0, 3]);
        peer.send(&publish(0, &t.of("a"), None, None, "no more"));
        peer.quiet();
    }),
    ("3.10.4-3", "what was begun is completed", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 2);
        let mut other = clean(t, "other");
        other.send(&publish(4, &t.of("a"), Some(1), None, "x"));
        other.expect(&[0x50, 2, 0, 1]);
        peer.expect(&publish(4, &t.of("a"), Some(1), None, "x"));
        peer.send(&packet(0xA2, &[&[0, 2], &s(t.of("a"))]));
        peer.expect(&[0xB0, 2, 0, 2]);
        peer.send(&[0x50, 2, 0, 1]);
        peer.expect(&[0x62, 2, 0, 1]);
        peer.send(&[0x70, 2, 0, 1]);
        peer.quiet();
    }),
    ("3.10.4-4, 3.10.4-5, 3.10.4-6", "each UNSUBSCRIBE has one answer, whatever there was", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 0);
        peer.send(&packet(0xA2, &[&[0x12, 0x34], &s(t.of("a")), &s("nothing"), &s("+/#")]));
        peer.expect(&[0xB0, 2, 0x12, 0x34]);
    }),
    ("3.12.4-1", "a ping has its answer", |t| clean(t, "c").quiet()),
    ("3.14.1-1", "flags of a DISCONNECT", |t| ends(t, &[b"\xe1\x00", b"\xe0\x01\x00"])),
    ("3.14.4-1, 3.14.4-2", "behind a goodbye the connection ends", |t| {
        let mut other = subscriber(t, "other", &t.of("a"), 0);
        let mut peer = clean(t, "c");
        peer.send(&[DISCONNECT, &publish(0, &t.of("a"), None, None, "late")].concat());
        peer.closed();
        other.quiet();
    }),
    (
        "4.3.3-2",
        "a message of QoS 2 that comes again before its end is not delivered again; behind it, it is new",
        |t| {
            let mut peer = subscriber(t, "c", &t.of("a"), 0);
            for dup in [0, 8] {
                peer.send(&publish(4 | dup, &t.of("a"), Some(1), None, "x"));
            }
            let mut got: Vec<_> = (0..3).map(|_| peer.packet()).collect();
            got.sort();
            assert_eq!(got, [publish(0, &t.of("a"), None, None, "x"), vec![0x50, 2, 0, 1], vec![0x50, 2, 0, 1]]);
            peer.send(&[0x62, 2, 0, 1, 0x62, 2, 0, 1]);
            peer.expect(&[0x70, 2, 0, 1]);
            peer.expect(&[0x70, 2, 0, 1]);
            peer.send(&publish(4, &t.of("a"), Some(1), None, "y"));
            let mut got: Vec<_> = (0..2).map(|_| peer.packet()).collect();
            got.sort();
            assert_eq!(got, [publish(0, &t.of("a"), None, None, "y"), vec![0x50, 2, 0, 1]]);
        },
    ),
    ("4.5.0-1", "messages wait for a session without a connection, in order", |t| {
        let mut peer = kept(t, "c");
        subscribe_to(&mut peer, &t.of("a"), 1);
        peer.lose();
        let mut other = clean(t, "other");
        for n in 0..50 {
            other.send(&publish(2, &t.of("a"), Some(1), None, &n.to_string()));
            other.expect(&[0x40, 2, 0, 1]);
        }
        let mut peer = Peer::open(t.to);
        peer.send(&connect3(&t.of("c"), 0, 0));
        peer.expect(&[0x20, 2, 1, 0]);
        for n in 0..50 {
            peer.expect(&publish(2, &t.of("a"), Some(n + 1), None, &n.to_string()));
        }
    }),
    ("4.6.0-6", "messages of one topic and quality keep their order", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 1);
        let mut other = clean(t, "other");
        for n in 1..=200 {
            other.send(&publish(2, &t.of("a"), Some(n), None, &n.to_string()));
        }
        for n in 1..=200_u16 {
            peer.expect(&publish(2, &t.of("a"), Some(n), None, &n.to_string()));
            peer.send(&packet(0x40, &[&n.to_be_bytes()]));
        }
    }),
    ("4.7.1-2, 4.7.1-3", "wildcards stand alone in their level, and # is the last", |t| {
        let filters = ["a#", "a/#/b", "#a", "a+", "a/+b", "+a/b", "##"];
        for (n, filter) in filters.iter().enumerate() {
            let mut peer = clean(t, &n.to_string());
            peer.send(&subscribe(1, None, &[(filter, 0)]));
            assert!(peer.try_packet().is_none_or(|got| got == [0x90, 3, 0, 1, 0x80]), "{filter}");
        }
    }),
    ("4.7.2-1", "wildcards in the first level do not match $", |t| {
        let mut peer = clean(t, "c");
        peer.send(&subscribe(1, None, &[("+/x/3.1.1", 0), ("$a/x/3.1.1", 0)]));
        peer.expect(&[0x90, 4, 0, 1, 0, 0]);
        peer.send(&publish(0, "$b/x/3.1.1", None, None, "no"));
        peer.send(&publish(0, "$a/x/3.1.1", None, None, "yes"));
        peer.expect(&publish(0, "$a/x/3.1.1", None, None, "yes"));
        let mut all = subscriber(t, "all", "#", 0);
        all.send(&publish(0, "$b/x/3.1.1", None, None, "no"));
        all.send(subscribe(7, None, &[("$SYS/broker/version", 0)]).as_slice());
        loop {
            // Other rows speak meanwhile.
            let got = all.packet();
            assert_ne!(got, publish(0, "$b/x/3.1.1", None, None, "no"));
            if got.windows(19).any(|part| part == b"$SYS/broker/version") {
                break;
            }
        }
    }),
    ("4.7.3-1", "topics have a character at least", |t| {
        ends(t, &[b"\x30\x02\x00\x00", b"\x82\x05\x00\x01\x00\x00\x00"])
    }),
    ("4.8.0-1, 4.8.0-2", "a packet that only a server sends ends the connection", |t| {
        ends(
            t,
            &[b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x00", b"\xb0\x02\x00\x01", b"\xd0\x00", b"\xf0\x00", b"\x00\x00"],
        );
    }),
];
