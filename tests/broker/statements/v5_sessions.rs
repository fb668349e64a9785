//! MQTT 5: sessions, what expires, wills with a delay, and shared subscriptions.

use super::{
    Row,
    v5::{LASTING, clean, connack, kept, subscribe_to, subscriber, with_will},
    wire::{CLEAN, DISCONNECT, NONE, Peer, connect5, packet, props, publish},
};

/// A session that outlives its connection for a second.
const SHORT: &[u8] = &[5, 17, 0, 0, 0, 1];

pub(super) const ROWS: &[Row] = &[
    ("3.1.2-8", "a will waits for its delay", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 0);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), 0, LASTING, &props(&[&[24, 0, 0, 0, 1]]), &t.of("w"), 0));
        peer.packet();
        peer.lose();
        other.quiet();
        other.expect(&publish(0, &t.of("w"), None, Some(NONE), "gone"));
    }),
    ("3.1.3-9, 3.1.2-4", "the end of the session is the latest time of its will, and a clean start is its end", |t| {
        let mut other = subscriber(t, "other", &t.of("w"), 0);
        for properties in [SHORT, NONE] {
            let mut peer = Peer::open(t.to);
            peer.send(&with_will(&t.of("c"), 0, properties, &props(&[&[24, 0, 0, 14, 16]]), &t.of("w"), 0));
            peer.packet();
            peer.lose();
            other.expect(&publish(0, &t.of("w"), None, Some(NONE), "gone"));
        }
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("c"), 0, LASTING, &props(&[&[24, 0, 0, 14, 16]]), &t.of("w"), 0));
        peer.packet();
        peer.lose();
        other.quiet();
        clean(t, "c").quiet();
        other.expect(&publish(0, &t.of("w"), None, Some(NONE), "gone"));
    }),
    ("3.1.2-23, 4.1.0-2", "a session ends when its time has passed, and not before", |t| {
        let mut witness = subscriber(t, "witness", &t.of("w"), 0);
        let mut peer = Peer::open(t.to);
        // The will tells when the session has ended.
        peer.send(&with_will(&t.of("c"), 0, SHORT, &props(&[&[24, 0, 0, 14, 16]]), &t.of("w"), 0));
        peer.packet();
        peer.lose();
        assert_eq!(connack(t, &connect5(&t.of("c"), 0, 0, SHORT)).1, 1);
        let mut peer = Peer::open(t.to);
        peer.send(&with_will(&t.of("d"), 0, SHORT, &props(&[&[24, 0, 0, 14, 16]]), &t.of("w"), 0));
        peer.packet();
        peer.lose();
        witness.expect(&publish(0, &t.of("w"), None, Some(NONE), "gone"));
        assert_eq!(connack(t, &connect5(&t.of("d"), 0, 0, SHORT)).1, 0);
    }),
    ("4.1.0-1", "a session does not end while its client is connected", |t| {
        let mut witness = subscriber(t, "witness", &t.of("w"), 0);
        let mut peer = Peer::v5(t.to, &t.of("c"), 0, SHORT);
        subscribe_to(&mut peer, &t.of("a"), 0);
        let mut clock = Peer::open(t.to);
        clock.send(&with_will(&t.of("d"), 0, SHORT, &props(&[&[24, 0, 0, 14, 16]]), &t.of("w"), 0));
        clock.packet();
        clock.lose();
        witness.packet();
        peer.send(&publish(0, &t.of("a"), None, Some(NONE), "x"));
        peer.expect(&publish(0, &t.of("a"), None, Some(NONE), "x"));
    }),
    (
        "3.3.1-1, 4.4.0-1, 4.3.2-3, 4.3.3-3, 4.3.3-5",
        "what was not acknowledged is sent again, in order, with its identifier and DUP",
        |t| {
            let mut peer = kept(t, "c");
            subscribe_to(&mut peer, &t.of("a"), 2);
            let mut other = clean(t, "other");
            for (flags, id, text) in [(2, 1, "one"), (4, 2, "two"), (4, 3, "three")] {
                other.send(&publish(flags, &t.of("a"), Some(id), Some(NONE), text));
                peer.expect(&publish(flags, &t.of("a"), Some(id), Some(NONE), text));
            }
            peer.send(&[0x50, 2, 0, 3]);
            peer.expect(&[0x62, 2, 0, 3]);
            peer.lose();
            let (mut peer, present, ..) = connack(t, &connect5(&t.of("c"), 0, 0, LASTING));
            assert_eq!(present, 1);
            peer.expect(&publish(2 | 8, &t.of("a"), Some(1), Some(NONE), "one"));
            peer.expect(&publish(4 | 8, &t.of("a"), Some(2), Some(NONE), "two"));
            peer.expect(&[0x62, 2, 0, 3]);
            peer.send(&[0x40, 2, 0, 1, 0x50, 2, 0, 2]);
            peer.expect(&[0x62, 2, 0, 2]);
            peer.send(&[0x70, 2, 0, 3, 0x70, 2, 0, 2]);
            peer.quiet();
        },
    ),
    ("4.4.0-2, 4.8.2-6", "a message that a client refuses is done", |t| {
        let mut peer = kept(t, "c");
        subscribe_to(&mut peer, &t.of("a"), 2);
        let mut other = clean(t, "other");
        other.send(&publish(2, &t.of("a"), Some(1), Some(NONE), "one"));
        other.send(&publish(4, &t.of("a"), Some(2), Some(NONE), "two"));
        peer.packet();
        peer.packet();
        peer.send(&[0x40, 3, 0, 1, 0x97, 0x50, 3, 0, 2, 0x97]);
        peer.quiet();
        peer.lose();
        let (mut peer, present, ..) = connack(t, &connect5(&t.of("c"), 0, 0, LASTING));
        assert_eq!(present, 1);
        peer.quiet();
    }),
    ("4.3.3-10", "a message of QoS 2 that comes again on another connection is not delivered again", |t| {
        let mut other = subscriber(t, "other", &t.of("a"), 0);
        let mut peer = kept(t, "c");
        peer.send(&publish(4, &t.of("a"), Some(1), Some(NONE), "x"));
        peer.expect(&[0x50, 2, 0, 1]);
        peer.lose();
        let (mut peer, present, ..) = connack(t, &connect5(&t.of("c"), 0, 0, LASTING));
        assert_eq!(present, 1);
        peer.send(&publish(4 | 8, &t.of("a"), Some(1), Some(NONE), "x"));
        peer.expect(&[0x50, 2, 0, 1]);
        peer.send(&[0x62, 2, 0, 1]);
        peer.expect(&[0x70, 2, 0, 1]);
        other.expect(&publish(0, &t.of("a"), None, Some(NONE), "x"));
        other.quiet();
    }),
    ("3.3.2-5, 3.3.2-6", "a message that waits too long is deleted, and another has less time left", |t| {
        let mut peer = kept(t, "c");
        subscribe_to(&mut peer, &t.of("a"), 1);
        peer.send(DISCONNECT);
        peer.closed();
        let mut witness = subscriber(t, "witness", &t.of("w"), 0);
        let mut other = clean(t, "other");
        for (id, seconds) in [(1, 1), (2, 100)] {
            let expiry = props(&[&[2, 0, 0, 0, seconds]]);
            other.send(&publish(3, &t.of("a"), Some(id), Some(&expiry), "x"));
            other.expect(&[0x40, 2, 0, id as u8]);
        }
        // Two seconds pass.
        for _ in 0..2 {
            let mut clock = Peer::open(t.to);
            clock.send(&with_will(&t.of("clock"), 0, SHORT, &props(&[&[24, 0, 0, 14, 16]]), &t.of("w"), 0));
            clock.packet();
            clock.lose();
            witness.packet();
        }
        let (mut peer, present, ..) = connack(t, &connect5(&t.of("c"), 0, 0, LASTING));
        assert_eq!(present, 1);
        let got = peer.packet();
        let seconds = got[got.len() - 2];
        assert!((96..=98).contains(&seconds), "{got:?}");
        peer.quiet();
    }),
    ("3.3.2-5", "a retained message that is too old is not sent", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(1, &t.of("a"), None, Some(&props(&[&[2, 0, 0, 0, 1]])), "x"));
        peer.quiet();
        let mut witness = subscriber(t, "witness", &t.of("w"), 0);
        for _ in 0..2 {
            let mut clock = Peer::open(t.to);
            clock.send(&with_will(&t.of("clock"), 0, SHORT, &props(&[&[24, 0, 0, 14, 16]]), &t.of("w"), 0));
            clock.packet();
            clock.lose();
            witness.packet();
        }
        subscribe_to(&mut peer, &t.of("a"), 0);
        peer.quiet();
    }),
    ("4.5.0-1", "messages wait for a session without a connection", |t| {
        let mut peer = kept(t, "c");
        subscribe_to(&mut peer, &t.of("a"), 2);
        peer.lose();
        let mut other = clean(t, "other");
        for (flags, id) in [(0, None), (2, Some(1)), (4, Some(2))] {
            other.send(&publish(flags, &t.of("a"), id, Some(NONE), &flags.to_string()));
            if id.is_some() {
                other.packet();
            }
        }
        let (mut peer, present, ..) = connack(t, &connect5(&t.of("c"), 0, 0, LASTING));
        assert_eq!(present, 1);
        peer.expect(&publish(2, &t.of("a"), Some(1), Some(NONE), "2"));
        peer.expect(&publish(4, &t.of("a"), Some(2), Some(NONE), "4"));
    }),
    ("4.8.2-3, 4.8.2-1", "a group shares messages, each in the quality that it was granted", |t| {
        let filter = format!("$share/g/{}", t.of("a"));
        let mut members = [("one", 0), ("two", 1)].map(|(id, qos)| subscriber(t, id, &filter, qos));
        let mut alone = subscriber(t, "alone", &t.of("a"), 0);
        let mut other = clean(t, "other");
        for id in 1..=4 {
            other.send(&publish(4, &t.of("a"), Some(id), Some(NONE), "x"));
            alone.expect(&publish(0, &t.of("a"), None, Some(NONE), "x"));
        }
        for (n, member) in members.iter_mut().enumerate() {
            for id in 1..=2 {
                let expected = if n == 0 {
                    publish(0, &t.of("a"), None, Some(NONE), "x")
                } else {
                    publish(2, &t.of("a"), Some(id), Some(NONE), "x")
                };
                member.expect(&expected);
            }
            member.quiet();
        }
    }),
    ("4.8.2-4, 4.8.2-5", "a message that one of a group was sent is completed with it, or with no one", |t| {
        let filter = format!("$share/g/{}", t.of("a"));
        let mut one = kept(t, "one");
        subscribe_to(&mut one, &filter, 2);
        let mut other = clean(t, "other");
        other.send(&publish(4, &t.of("a"), Some(1), Some(NONE), "x"));
        one.expect(&publish(4, &t.of("a"), Some(1), Some(NONE), "x"));
        let mut two = subscriber(t, "two", &filter, 2);
        one.lose();
        let (mut one, present, ..) = connack(t, &connect5(&t.of("one"), 0, 0, LASTING));
        assert_eq!(present, 1);
        one.expect(&publish(4 | 8, &t.of("a"), Some(1), Some(NONE), "x"));
        one.lose();
        clean(t, "one").quiet();
        two.quiet();
    }),
    ("3.3.1-9", "a shared subscription brings no retained messages", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(1, &t.of("a"), None, Some(NONE), "kept"));
        subscribe_to(&mut peer, &format!("$share/g/{}", t.of("a")), 0);
        peer.quiet();
        peer.send(&packet(0xA2, &[&[0, 2], NONE, &super::wire::s(format!("$share/g/{}", t.of("a")))]));
        peer.expect(&[0xB0, 4, 0, 2, 0, 0]);
    }),
    ("3.2.2-21, 3.1.2-21", "a client that may keep its keep-alive is told no other", |t| {
        let properties = connack(t, &connect5(&t.of("c"), CLEAN, 60, NONE)).3;
        assert_eq!(properties, [33, 0, 100, 39, 0, 16, 0, 0, 34, 0, 64]);
    }),
];
