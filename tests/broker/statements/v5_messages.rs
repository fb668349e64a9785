//! MQTT 5: messages, subscriptions, and what is retained.

use super::{
    Row,
    v5::{clean, dismissed, subscribe_to, subscriber},
    wire::{CLEAN, NONE, Peer, packet, props, publish, s, subscribe},
};

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;

/// Options of a subscription.
const NO_LOCAL: u8 = 1 << 2;
const RETAIN_AS_PUBLISHED: u8 = 1 << 3;
const IF_NEW: u8 = 1 << 4;
const NEVER: u8 = 2 << 4;

/// The packets, whatever their order.
fn sorted<const N: usize>(peer: &mut Peer) -> [Vec<u8>; N] {
    let mut got = [(); N].map(|()| peer.packet());
    got.sort();
    got
}

pub(super) const ROWS: &[Row] = &[
    ("3.3.1-2", "DUP with QoS 0 is malformed", |t| dismissed(t, MALFORMED, &[b"\x38\x05\x00\x01a\x00x"])),
    ("3.3.1-3, 4.3.1-1, 4.3.2-2, 4.3.3-2", "DUP is not passed on", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 1);
        peer.send(&publish(2 | 8, &t.of("a"), Some(5), Some(NONE), "x"));
        assert_eq!(sorted(&mut peer), [publish(2, &t.of("a"), Some(1), Some(NONE), "x"), vec![0x40, 2, 0, 5]]);
    }),
    ("3.3.1-4", "QoS 3 is malformed", |t| dismissed(t, MALFORMED, &[b"\x36\x07\x00\x01a\x00\x01\x00x"])),
    ("3.3.1-5, 3.3.1-9", "the last retained message of each topic comes with the retain flag", |t| {
        let mut peer = clean(t, "c");
        for text in ["one", "two"] {
            peer.send(&publish(3, &t.of("a"), Some(1), Some(NONE), text));
            assert_eq!(peer.packet()[0], 0x40);
        }
        let mut new = subscriber(t, "new", &t.of("+"), 2);
        new.expect(&publish(3, &t.of("a"), Some(1), Some(NONE), "two"));
        new.quiet();
    }),
    ("3.3.1-6, 3.3.1-7", "an empty message removes the retained one, and is delivered", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), RETAIN_AS_PUBLISHED);
        for text in ["one", ""] {
            peer.send(&publish(1, &t.of("a"), None, Some(NONE), text));
            peer.expect(&publish(1, &t.of("a"), None, Some(NONE), text));
        }
        subscriber(t, "new", &t.of("a"), 0).quiet();
    }),
    ("3.3.1-8", "a message without the flag leaves the retained one as it is", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(1, &t.of("a"), None, Some(NONE), "kept"));
        peer.send(&publish(0, &t.of("a"), None, Some(NONE), "passing"));
        peer.send(&publish(0, &t.of("a"), None, Some(NONE), ""));
        peer.quiet();
        subscriber(t, "new", &t.of("a"), 0).expect(&publish(1, &t.of("a"), None, Some(NONE), "kept"));
    }),
    ("3.3.1-10, 3.3.1-11, 3.8.4-4", "retain handling: always, if the subscription is new, never", |t| {
        let mut peer = clean(t, "c");
        peer.send(&publish(1, &t.of("a"), None, Some(NONE), "kept"));
        peer.quiet();
        let kept = publish(1, &t.of("a"), None, Some(NONE), "kept");
        for (options, comes) in [(NEVER, false), (IF_NEW, false), (0, true), (0, true)] {
            subscribe_to(&mut peer, &t.of("a"), options);
            if comes {
                peer.expect(&kept);
            }
            peer.quiet();
        }
        subscriber(t, "new", &t.of("a"), IF_NEW).expect(&kept);
    }),
    ("3.3.1-12, 3.3.1-13", "the retain flag as it was published, or not", |t| {
        let mut plain = subscriber(t, "plain", &t.of("a"), 0);
        let mut as_published = subscriber(t, "as-published", &t.of("a"), RETAIN_AS_PUBLISHED);
        let mut peer = clean(t, "c");
        for flag in [1, 0] {
            peer.send(&publish(flag, &t.of("a"), None, Some(NONE), "x"));
            plain.expect(&publish(0, &t.of("a"), None, Some(NONE), "x"));
            as_published.expect(&publish(flag, &t.of("a"), None, Some(NONE), "x"));
        }
    }),
    (
        "3.3.2-1, 3.3.2-2, 4.7.0-1, 4.7.3-1",
        "a topic name is a string without wildcards, and not empty without an alias",
        |t| {
            dismissed(
                t,
                MALFORMED,
                &[b"\x30\x04\x00\x01#\x00", b"\x30\x06\x00\x03a/+\x00", b"\x30\x01\x00", b"\x30\x06\x00\x03a+b\x00"],
            );
            dismissed(t, PROTOCOL, &[b"\x30\x03\x00\x00\x00"]);
        },
    ),
    ("3.3.2-3", "a message goes to those whose filters match", |t| {
        let mut peer = subscriber(t, "c", &t.of("+/b"), 0);
        for topic in ["a", "a/b/c", "a/B", "b", "x/b"] {
            peer.send(&publish(0, &t.of(topic), None, Some(NONE), topic));
        }
        peer.expect(&publish(0, &t.of("x/b"), None, Some(NONE), "x/b"));
    }),
    (
        "3.3.2-4, 3.3.2-15, 3.3.2-16, 3.3.2-17, 3.3.2-18, 3.3.2-20",
        "properties of a message are passed on as they are",
        |t| {
            let all = props(&[
                &[1, 1],
                &[38],
                &s("b"),
                &s("1"),
                &[3],
                &s("text/plain"),
                &[8],
                &s("answer/here"),
                &[38],
                &s("a"),
                &s(""),
                &[9],
                &s(b"\x00\xff"),
                &[38],
                &s("b"),
                &s("1"),
            ]);
            let mut peer = subscriber(t, "c", &t.of("a"), 0);
            let mut other = clean(t, "other");
            other.send(&publish(1, &t.of("a"), None, Some(&all), "x"));
            peer.expect(&publish(0, &t.of("a"), None, Some(&all), "x"));
            subscriber(t, "late", &t.of("a"), 0).expect(&publish(1, &t.of("a"), None, Some(&all), "x"));
        },
    ),
    (
        "3.3.2-8, 3.3.2-7",
        "alias 0 and an alias that stands for nothing are errors; aliases end with their connection",
        |t| {
            dismissed(t, 0x94, &[&publish(0, &t.of("a"), None, Some(&props(&[&[35, 0, 0]])), "x")]);
            let alias = props(&[&[35, 0, 1]]);
            let mut peer = clean(t, "c");
            peer.send(&publish(0, &t.of("a"), None, Some(&alias), "x"));
            peer.quiet();
            let mut peer = clean(t, "c");
            peer.send(&publish(0, "", None, Some(&alias), "x"));
            peer.dismissed(PROTOCOL);
        },
    ),
    ("3.3.2-12", "an alias stands for the topic that it was last given with", |t| {
        let mut peer = subscriber(t, "c", &t.of("+"), 0);
        let alias = props(&[&[35, 0, 64]]);
        for (topic, expected) in
            [(t.of("a"), t.of("a")), (String::new(), t.of("a")), (t.of("b"), t.of("b")), (String::new(), t.of("b"))]
        {
            peer.send(&publish(0, &topic, None, Some(&alias), "x"));
            peer.expect(&publish(0, &expected, None, Some(NONE), "x"));
        }
    }),
    ("3.3.2-13, 3.3.2-14, 3.3.2-19", "a response topic is a topic name, a content type a string", |t| {
        dismissed(
            t,
            MALFORMED,
            &[
                &publish(0, "a", None, Some(&props(&[&[8], &s("b/#")])), "x"),
                &publish(0, "a", None, Some(&props(&[&[8], &s(b"\xff")])), "x"),
                &publish(0, "a", None, Some(&props(&[&[3], &s(b"\xff")])), "x"),
            ],
        );
    }),
    ("3.3.4-1, 4.3.2-4, 4.3.3-8, 4.3.3-11, 3.4.2-1, 3.5.2-1", "each quality has its answer", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 0);
        peer.send(&publish(2, &t.of("a"), Some(1), Some(NONE), "x"));
        assert_eq!(sorted(&mut peer), [publish(0, &t.of("a"), None, Some(NONE), "x"), vec![0x40, 2, 0, 1]]);
        peer.send(&publish(4, &t.of("a"), Some(2), Some(NONE), "x"));
        assert_eq!(sorted(&mut peer), [publish(0, &t.of("a"), None, Some(NONE), "x"), vec![0x50, 2, 0, 2]]);
        peer.send(&[0x62, 2, 0, 2]);
        peer.expect(&[0x70, 2, 0, 2]);
    }),
    ("3.3.4-2, 3.3.4-3, 3.3.4-4", "overlapping subscriptions: one copy, the highest quality, all identifiers", |t| {
        let mut peer = clean(t, "c");
        for (n, (filter, qos)) in [("a", 0), ("+", 2), ("#", 1)].into_iter().enumerate() {
            let number = props(&[&[11, n as u8 + 1]]);
            peer.send(&subscribe(1, Some(&number), &[(&t.of(filter), qos)]));
            peer.expect(&[0x90, 4, 0, 1, 0, qos]);
        }
        let mut other = clean(t, "other");
        other.send(&publish(4, &t.of("a"), Some(1), Some(NONE), "x"));
        let got = peer.packet();
        let start = 5 + t.of("a").len();
        assert_eq!((got[0], got[start + 1]), (0x34, 6), "{got:?}");
        let mut numbers = [got[start + 3], got[start + 5], got[start + 7]];
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3]);
        peer.quiet();
    }),
    ("3.3.4-6", "a client's message with a subscription identifier is an error", |t| {
        dismissed(t, PROTOCOL, &[&publish(0, "a", None, Some(&props(&[&[11, 1]])), "x")]);
    }),
    ("3.3.4-7", "a client that sends more than the receive maximum is told", |t| {
        let mut peer = clean(t, "c");
        for id in 1..=101 {
            peer.send(&publish(4, "none", Some(id), Some(NONE), "x"));
        }
        for _ in 1..=100 {
            assert_eq!(peer.packet()[0], 0x50);
        }
        peer.dismissed(0x93);
    }),
    (
        "3.3.4-9, 3.3.4-10, 4.9.0-1, 4.9.0-2, 4.9.0-3",
        "no more is on its way than a client has room for, and all else goes on",
        |t| {
            let mut peer = Peer::v5(t.to, &t.of("c"), CLEAN, &props(&[&[33, 0, 2]]));
            subscribe_to(&mut peer, &t.of("a"), 2);
            let mut other = clean(t, "other");
            for id in 1..=4 {
                other.send(&publish(if id == 2 { 4 } else { 2 }, &t.of("a"), Some(id), Some(NONE), &id.to_string()));
                other.packet();
            }
            peer.expect(&publish(2, &t.of("a"), Some(1), Some(NONE), "1"));
            peer.expect(&publish(4, &t.of("a"), Some(2), Some(NONE), "2"));
            peer.quiet();
            other.send(&publish(0, &t.of("a"), None, Some(NONE), "zero"));
            peer.expect(&publish(0, &t.of("a"), None, Some(NONE), "zero"));
            peer.send(&[0x50, 2, 0, 2]);
            peer.expect(&[0x62, 2, 0, 2]);
            peer.quiet();
            peer.send(&[0x70, 2, 0, 2]);
            peer.expect(&publish(2, &t.of("a"), Some(3), Some(NONE), "3"));
            peer.send(&[0x40, 2, 0, 1]);
            peer.expect(&publish(2, &t.of("a"), Some(4), Some(NONE), "4"));
        },
    ),
    ("3.6.2-1, 3.7.2-1", "an identifier that is not known is answered as that", |t| {
        let mut peer = clean(t, "c");
        peer.send(&[0x62, 2, 0, 9]);
        peer.expect(&[0x70, 3, 0, 9, 0x92]);
        peer.send(&[0x50, 2, 0, 8]);
        peer.expect(&[0x62, 3, 0, 8, 0x92]);
        peer.send(&[0x40, 2, 0, 7, 0x70, 2, 0, 7]);
        peer.quiet();
    }),
    ("3.8.3-1, 3.8.3-2, 3.10.3-1, 3.10.3-2", "SUBSCRIBE and UNSUBSCRIBE have a filter at least", |t| {
        dismissed(t, PROTOCOL, &[b"\x82\x03\x00\x01\x00", b"\xa2\x03\x00\x01\x00"]);
        dismissed(t, MALFORMED, &[b"\x82\x06\x00\x01\x00\x00\x01a", b"\xa2\x06\x00\x01\x00\x00\x01\xff"]);
    }),
    ("3.8.3-3", "no local: a client does not get its own messages", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), NO_LOCAL);
        peer.send(&publish(0, &t.of("a"), None, Some(NONE), "own"));
        clean(t, "other").send(&publish(0, &t.of("a"), None, Some(NONE), "other"));
        peer.expect(&publish(0, &t.of("a"), None, Some(NONE), "other"));
    }),
    ("3.8.3-4", "no local on a shared subscription is an error", |t| {
        dismissed(t, PROTOCOL, &[&subscribe(1, Some(NONE), &[("$share/g/a", NO_LOCAL)])]);
    }),
    ("3.8.3-5", "reserved bits of a subscription are malformed", |t| {
        for options in [0x40, 0x80, 3] {
            dismissed(t, MALFORMED, &[&subscribe(1, Some(NONE), &[("a", options)])]);
        }
        dismissed(
            t,
            PROTOCOL,
            &[&subscribe(1, Some(NONE), &[("a", 0x30)]), &subscribe(1, Some(&props(&[&[11, 0]])), &[("a", 0)])],
        );
    }),
    ("3.8.4-3", "the same filter again replaces the subscription", |t| {
        let mut peer = clean(t, "c");
        for (qos, number) in [(2, 1), (0, 2)] {
            peer.send(&subscribe(1, Some(&props(&[&[11, number]])), &[(&t.of("a"), qos)]));
            peer.expect(&[0x90, 4, 0, 1, 0, qos]);
        }
        clean(t, "other").send(&publish(4, &t.of("a"), Some(1), Some(NONE), "x"));
        peer.expect(&publish(0, &t.of("a"), None, Some(&props(&[&[11, 2]])), "x"));
        peer.quiet();
    }),
    ("3.8.4-5, 3.8.4-6, 3.8.4-7, 3.9.3-1, 3.9.3-2", "several filters have one answer, in order", |t| {
        let mut peer = clean(t, "c");
        let deep = "a/".repeat(200);
        peer.send(&subscribe(1, Some(NONE), &[("a", 2), (&deep, 0), ("c", 1)]));
        peer.expect(&[0x90, 6, 0, 1, 0, 2, 0x8F, 1]);
    }),
    ("3.8.4-8", "a message has the lower one of its quality and the subscription's", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 1);
        let mut other = clean(t, "other");
        other.send(&publish(0, &t.of("a"), None, Some(NONE), "zero"));
        other.send(&publish(4, &t.of("a"), Some(1), Some(NONE), "two"));
        peer.expect(&publish(0, &t.of("a"), None, Some(NONE), "zero"));
        peer.expect(&publish(2, &t.of("a"), Some(1), Some(NONE), "two"));
    }),
    (
        "3.10.4-1, 3.10.4-2, 3.10.4-6, 3.11.3-1, 3.11.3-2",
        "filters are compared as they are, and each has its reason",
        |t| {
            let mut peer = subscriber(t, "c", &t.of("#"), 0);
            peer.send(&packet(0xA2, &[&[0, 2], NONE, &s(t.of("a")), &s(t.of("#")), &s(t.of("#"))]));
            peer.expect(&[0xB0, 6, 0, 2, 0, 0x11, 0, 0x11]);
            peer.send(&publish(0, &t.of("a"), None, Some(NONE), "no more"));
            peer.quiet();
        },
    ),
    ("3.10.4-3", "what was begun is completed", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 2);
        clean(t, "other").send(&publish(4, &t.of("a"), Some(1), Some(NONE), "x"));
        peer.expect(&publish(4, &t.of("a"), Some(1), Some(NONE), "x"));
        peer.send(&packet(0xA2, &[&[0, 2], NONE, &s(t.of("a"))]));
        peer.expect(&[0xB0, 4, 0, 2, 0, 0]);
        peer.send(&[0x50, 2, 0, 1]);
        peer.expect(&[0x62, 2, 0, 1]);
        peer.send(&[0x70, 2, 0, 1]);
        peer.quiet();
    }),
    ("4.3.2-5", "a message of QoS 1 that comes again is new", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 0);
        for dup in [0, 8] {
            peer.send(&publish(2 | dup, &t.of("a"), Some(1), Some(NONE), "x"));
            assert_eq!(sorted(&mut peer), [publish(0, &t.of("a"), None, Some(NONE), "x"), vec![0x40, 2, 0, 1]]);
        }
    }),
    (
        "4.3.3-10, 4.3.3-12",
        "a message of QoS 2 that comes again before its end is not delivered again; behind it, it is new",
        |t| {
            let mut peer = subscriber(t, "c", &t.of("a"), 0);
            for dup in [0, 8] {
                peer.send(&publish(4 | dup, &t.of("a"), Some(1), Some(NONE), "x"));
            }
            let ack = || vec![0x50, 2, 0, 1];
            assert_eq!(sorted(&mut peer), [publish(0, &t.of("a"), None, Some(NONE), "x"), ack(), ack()]);
            peer.send(&[0x62, 2, 0, 1]);
            peer.expect(&[0x70, 2, 0, 1]);
            peer.send(&publish(4, &t.of("a"), Some(1), Some(NONE), "y"));
            assert_eq!(sorted(&mut peer), [publish(0, &t.of("a"), None, Some(NONE), "y"), ack()]);
        },
    ),
    ("4.3.3-4, 4.3.3-6", "a PUBREC is answered by a PUBREL, each time", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 2);
        clean(t, "other").send(&publish(4, &t.of("a"), Some(1), Some(NONE), "x"));
        peer.expect(&publish(4, &t.of("a"), Some(1), Some(NONE), "x"));
        for _ in 0..2 {
            peer.send(&[0x50, 2, 0, 1]);
            peer.expect(&[0x62, 2, 0, 1]);
        }
        peer.send(&[0x70, 2, 0, 1]);
        peer.quiet();
    }),
    ("4.3.3-9", "a message that was refused is new when it comes again", |t| {
        let mut peer = clean(t, "c");
        for _ in 0..2 {
            peer.send(&publish(4, "$SYS/mine", Some(1), Some(NONE), "x"));
            peer.expect(&[0x50, 3, 0, 1, 0x87]);
        }
        peer.send(&[0x62, 2, 0, 1]);
        peer.expect(&[0x70, 3, 0, 1, 0x92]);
    }),
    ("4.6.0-5, 4.6.0-6", "messages of one topic and quality keep their order", |t| {
        let mut peer = subscriber(t, "c", &t.of("a"), 1);
        let mut other = clean(t, "other");
        for n in 1..=90 {
            other.send(&publish(2, &t.of("a"), Some(n), Some(NONE), &n.to_string()));
        }
        for n in 1..=90_u16 {
            peer.expect(&publish(2, &t.of("a"), Some(n), Some(NONE), &n.to_string()));
            peer.send(&packet(0x40, &[&n.to_be_bytes()]));
        }
    }),
    ("4.7.1-1, 4.7.1-2, 4.8.2-1, 4.8.2-2", "filters that are none are malformed", |t| {
        for filter in ["", "a#", "a/#/b", "#a", "a+", "a/+b", "##", "$share/g+/a", "$share/#/a"] {
            dismissed(t, MALFORMED, &[&subscribe(1, Some(NONE), &[(filter, 0)])]);
        }
    }),
    (
        "4.8.2-1, 4.8.2-2",
        "a shared subscription without a name or a filter is refused, and others with it are not",
        |t| {
            let mut peer = clean(t, "c");
            for filter in ["$share/g", "$share/", "$share//a", "$share/g/", "$share/+/a"] {
                peer.send(&subscribe(1, Some(NONE), &[(&t.of("a"), 1), (filter, 0)]));
                peer.expect(&[0x90, 5, 0, 1, 0, 1, 0x8F]);
                peer.send(&packet(0xA2, &[&[0, 2], NONE, &super::wire::s(filter)]));
                peer.expect(&[0xB0, 4, 0, 2, 0, 0x8F]);
            }
            peer.send(&publish(0, &t.of("a"), None, Some(NONE), "x"));
            peer.expect(&publish(0, &t.of("a"), None, Some(NONE), "x"));
        },
    ),
    ("4.7.2-1", "wildcards in the first level do not match $", |t| {
        let mut peer = clean(t, "c");
        peer.send(&subscribe(1, Some(NONE), &[("+/x/5", 0), ("$a/x/5", 0)]));
        peer.expect(&[0x90, 5, 0, 1, 0, 0, 0]);
        peer.send(&publish(0, "$b/x/5", None, Some(NONE), "no"));
        peer.send(&publish(0, "$a/x/5", None, Some(NONE), "yes"));
        peer.expect(&publish(0, "$a/x/5", None, Some(NONE), "yes"));
    }),
];
