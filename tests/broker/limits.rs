//! Everything that a client can grow has a bound, and one client's slowness is no one else's.

use super::{
    broker,
    wire::{CLEAN, NONE, Peer, connect3, connect5, props, publish, s, subscribe},
};
use crate::support::process::{Process, wait_until};
use std::{fs, net::SocketAddr};

/// Bytes of memory that the process has.
fn memory(of: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", of.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn descriptors(of: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/fd", of.id())).unwrap().count()
}

/// The broker's numbers in its log, when they have this in them.
fn report(of: &Process, text: &str) {
    wait_until(text, || {
        of.signal("USR1");
        of.stderr().contains(text)
    });
}

/// A subscriber that reads nothing costs its queue, loses what has no place there, and holds up no one.
#[test]
#[cfg(target_os = "linux")]
fn a_slow_subscriber_is_bounded_and_holds_up_no_one() {
    let broker = broker(&["--max-queue-size", "1m", "--max-queue", "500"]);
    let mut slow = [0, 1].map(|qos| {
        let mut peer = Peer::open_narrow(broker.address());
        peer.send(&connect3(&format!("slow-{qos}"), CLEAN, 0));
        peer.packet();
        peer.send(&subscribe(1, None, &[("a", qos)]));
        peer.packet();
        peer
    });
    let mut quick = Peer::v3(broker.address(), "quick");
    quick.send(&subscribe(1, None, &[("a", 1)]));
    quick.packet();
    let before = memory(&broker);
    let mut publisher = Peer::v3(broker.address(), "publisher");
    // 32 MiB, which is far more than sockets hold.
    let payload = "x".repeat(16 * 1024);
    for n in 1..=2000_u16 {
        publisher.send(&publish(2, "a", Some(n), None, &payload));
        let got = quick.packet();
        // A topic of one character behind a length of three bytes.
        quick.send(&[0x40, 2, got[7], got[8]]);
        assert_eq!(publisher.packet()[0], 0x40);
    }
    let grown = memory(&broker).saturating_sub(before);
    assert!(grown < 12 * 1024 * 1024, "{grown} bytes more");
    report(&broker, "dropped");
    assert!(!broker.stderr().contains(" 0 dropped"), "{}", broker.stderr());
    // The beginning of what it was sent is there, in order.
    assert_eq!(slow[1].packet()[0], 0x32);
    assert_eq!(slow[0].packet()[0], 0x30);
}

/// A client that asks and does not read is not heard any more: its answers do not pile up.
#[test]
#[cfg(target_os = "linux")]
fn a_client_that_never_reads_is_not_heard() {
    let broker = broker(&[]);
    let mut rude = Peer::open_narrow(broker.address());
    rude.send(&connect3("rude", CLEAN, 0));
    let before = memory(&broker);
    let pings = [0xC0, 0].repeat(8 * 1024 * 1024);
    let sent = rude.send_some(&pings);
    assert!(sent < pings.len(), "all was taken");
    let grown = memory(&broker).saturating_sub(before);
    assert!(grown < 4 * 1024 * 1024, "{grown} bytes more");
    Peer::v3(broker.address(), "other").quiet();
}

#[test]
fn each_limit_holds_at_its_edge() {
    let broker = broker(&["--max-packet", "200", "--max-subscriptions", "2", "--max-sessions", "4"]);
    let to = broker.address();
    let mut peer = Peer::v5(to, "peer", CLEAN, NONE);
    // The longest packet, and one byte more.
    peer.send(&publish(0, "a", None, Some(NONE), &"x".repeat(200 - 3 - 4)));
    peer.quiet();
    let mut other = Peer::v5(to, "other", CLEAN, NONE);
    other.send(&publish(0, "a", None, Some(NONE), &"x".repeat(201 - 3 - 4)));
    other.dismissed(0x95);
    // Subscriptions; the same filter again is none more.
    peer.send(&subscribe(1, Some(NONE), &[("a", 0), ("b", 0), ("c", 0), ("a", 1)]));
    peer.expect(&[0x90, 7, 0, 1, 0, 0, 0, 0x97, 1]);
    // Sessions.
    let mut all: Vec<Peer> = (0..3).map(|n| Peer::v5(to, &format!("s{n}"), CLEAN, NONE)).collect();
    let mut late = Peer::open(to);
    late.send(&connect5("late", CLEAN, 0, NONE));
    let got = late.packet();
    assert_eq!((got[0], got[3]), (0x20, 0x97));
    late.closed();
    all.pop().unwrap().lose();
    Peer::v5(to, "late", CLEAN, NONE).quiet();
}

#[test]
fn retained_messages_have_a_limit() {
    let broker = broker(&["--max-retained", "2", "--metrics", "0s"]);
    let mut peer = Peer::v5(broker.address(), "peer", CLEAN, NONE);
    let mut retain = |topic: &str, text: &str, answer: &[u8]| {
        peer.send(&publish(3, topic, Some(1), Some(NONE), text));
        peer.expect(answer);
    };
    // There are no subscribers for any of them.
    let (taken, refused) = (&[0x40, 3, 0, 1, 0x10][..], &[0x40, 3, 0, 1, 0x97][..]);
    retain("a", "x", taken);
    retain("b", "x", taken);
    retain("c", "x", refused);
    retain("a", "another", taken);
    retain("a", "", taken);
    retain("c", "x", taken);
    // MQTT 3.1.1 has no word for it, and an acknowledgement would be a lie.
    let mut old = Peer::v3(broker.address(), "old");
    old.send(&publish(3, "d", Some(1), None, "x"));
    old.closed();
}

/// The newest message goes, or with a flag the oldest; and a broker that is killed has dropped the same ones.
#[test]
fn a_queue_that_is_full_drops_by_its_policy() {
    for (policy, kept) in [("drop-new", 1..=3), ("drop-old", 3..=5)] {
        let folder = tempfile::tempdir().unwrap();
        let flags = ["--max-queue", "3", "--when-full", policy, "--data", folder.path().to_str().unwrap()];
        let mut first = broker(&flags);
        let mut ann = Peer::open(first.address());
        ann.send(&[connect3("ann", 0, 0), subscribe(1, None, &[("a", 2)])].concat());
        ann.packet();
        ann.packet();
        ann.lose();
        let mut publisher = Peer::v3(first.address(), "publisher");
        for n in 1..=5_u8 {
            publisher.send(&publish(2, "a", Some(n.into()), None, &n.to_string()));
            publisher.expect(&[0x40, 2, 0, n]);
        }
        report(&first, "2 dropped");
        first.signal("KILL");
        first.wait();
        let second = broker(&flags);
        let mut ann = Peer::open(second.address());
        ann.send(&connect3("ann", 0, 0));
        ann.expect(&[0x20, 2, 1, 0]);
        for (id, n) in (1..).zip(kept) {
            ann.expect(&publish(2, "a", Some(id), None, &n.to_string()));
        }
        ann.quiet();
    }
}

#[test]
fn a_client_that_says_nothing_is_sent_away() {
    let broker = broker(&["--connect-timeout", "100ms"]);
    let mut silent = Peer::open(broker.address());
    let mut slow = Peer::open(broker.address());
    slow.send(&connect3("slow", CLEAN, 0)[..5]);
    silent.closed();
    slow.closed();
}

#[test]
fn a_keep_alive_may_be_made_shorter() {
    let broker = broker(&["--max-keep-alive", "1"]);
    let mut peer = Peer::open(broker.address());
    peer.send(&connect5("c", CLEAN, 60, NONE));
    let connack = peer.packet();
    assert!(connack.windows(3).any(|part| part == [19, 0, 1]), "{connack:?}");
    peer.dismissed(0x8D);
}

#[test]
fn a_session_may_be_made_shorter() {
    let broker = broker(&["--max-session-expiry", "60"]);
    let mut peer = Peer::open(broker.address());
    peer.send(&connect5("c", CLEAN, 0, &props(&[&[17, 0xFF, 0xFF, 0xFF, 0xFF]])));
    let connack = peer.packet();
    assert!(connack.windows(5).any(|part| part == [17, 0, 0, 0, 60]), "{connack:?}");
}

/// A file with a user, ann, whose password is `secret`, and with something for everybody.
pub(crate) fn users(folder: &tempfile::TempDir) -> String {
    let file = folder.path().join("users.toml");
    let mut hash = std::process::Command::new(env!("CARGO_BIN_EXE_broker"));
    hash.arg("--hash-password").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = hash.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"secret\n").unwrap();
    let hash = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let text = format!(
        "[users.ann]\npassword = \"{}\"\npublish = [\"home/%u/#\"]\nsubscribe = [\"home/#\"]\n[anonymous]\nsubscribe = [\"public/#\"]\n",
        hash.trim()
    );
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Users, their passwords, and the topics that are theirs.
#[test]
fn users_have_what_the_file_gives_them() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&["--users", &users(&folder)]);
    let to = broker.address();
    let log_in = |version: u8, user: &str, password: &str| {
        let mut peer = Peer::open(to);
        let properties = if version == 5 { NONE } else { &[] };
        let head = [&[version, CLEAN | 0xC0, 0, 0], properties].concat();
        peer.send(&super::wire::packet(
            0x10,
            &[&s("MQTT"), &head, &s(format!("{user}{version}")), &s(user), &s(password)],
        ));
        let got = peer.packet();
        (peer, got[3])
    };
    for (version, refused) in [(4, 4), (5, 0x86)] {
        for (user, password) in [("ann", "wrong"), ("bob", "secret"), ("ann", "")] {
            let (mut peer, reason) = log_in(version, user, password);
            assert_eq!(reason, refused);
            peer.closed();
        }
    }
    let (mut ann, reason) = log_in(5, "ann", "secret");
    assert_eq!(reason, 0);
    ann.send(&subscribe(1, Some(NONE), &[("home/+/x", 0), ("#", 0), ("public/a", 0)]));
    ann.expect(&[0x90, 6, 0, 1, 0, 0, 0x87, 0x87]);
    for (topic, answer) in [("home/ann/x", &[0x40, 2, 0, 1][..]), ("home/bob/x", &[0x40, 3, 0, 1, 0x87])] {
        ann.send(&publish(2, topic, Some(1), Some(NONE), "x"));
        if answer.len() == 4 {
            ann.expect(&publish(0, topic, None, Some(NONE), "x"));
        }
        ann.expect(answer);
    }
    // Without a name: what is public, and nothing to say. MQTT 3.1.1 cannot tell a refusal from a message that no one wants.
    let mut guest = Peer::v3(to, "guest");
    guest.send(&subscribe(1, None, &[("public/a", 1), ("home/ann/x", 0)]));
    guest.expect(&[0x90, 4, 0, 1, 1, 0x80]);
    guest.send(&publish(2, "public/a", Some(1), None, "x"));
    guest.expect(&[0x40, 2, 0, 1]);
    guest.quiet();
    // A will is a message like others.
    let mut will = Peer::open(to);
    will.send(&super::wire::packet(0x10, &[&s("MQTT"), &[4, CLEAN | 4, 0, 0], &s("w"), &s("home/ann/x"), &s("x")]));
    will.expect(&[0x20, 2, 0, 5]);
    will.closed();
}

const CLIENTS: usize = 5000;

/// Thousands of clients that subscribe to `all` and to a topic of their own.
fn thousands(to: SocketAddr) -> Vec<Peer> {
    let arrive = |n: usize| {
        let mut peer = Peer::open(to);
        let filters: &[(&str, u8)] = &[("all", 0), (&format!("own/{n}"), 1)];
        peer.send(&[connect3(&format!("c{n}"), CLEAN, 60), subscribe(1, None, filters)].concat());
        peer
    };
    let mut peers: Vec<Peer> = (0..CLIENTS).map(arrive).collect();
    for peer in &mut peers {
        peer.packet();
        peer.expect(&[0x90, 4, 0, 1, 0, 1]);
    }
    peers
}

/// Five thousand clients, and nothing is left of ten thousand that came and went.
#[test]
#[cfg(target_os = "linux")]
fn thousands_of_clients_get_a_message_and_leave_nothing_behind() {
    let broker = broker(&[]);
    let to = broker.address();
    Peer::v3(to, "warm").lose();
    let empty = descriptors(&broker);
    let begun = memory(&broker);
    let mut full = 0;
    for round in 0..2 {
        let mut peers = thousands(to);
        let mut publisher = Peer::v3(to, "publisher");
        publisher.send(&publish(0, "all", None, None, "hello"));
        for peer in &mut peers {
            peer.expect(&publish(0, "all", None, None, "hello"));
        }
        publisher.send(&publish(2, "own/4321", Some(1), None, "x"));
        publisher.expect(&[0x40, 2, 0, 1]);
        peers[4321].expect(&publish(2, "own/4321", Some(1), None, "x"));
        if round == 0 {
            full = memory(&broker);
            assert!(
                full.saturating_sub(begun) / (CLIENTS as u64) < 8 * 1024,
                "{} bytes a client",
                (full - begun) / CLIENTS as u64
            );
        }
        drop(peers);
        drop(publisher);
        wait_until("all to be gone", || descriptors(&broker) <= empty);
    }
    let grown = memory(&broker).saturating_sub(full);
    assert!(grown < 4 * 1024 * 1024, "{grown} bytes more than with all of them");
    report(&broker, "0 clients connected and 0 away, 0 subscriptions");
}

/// Ten thousand sessions come, have messages wait for them, get them, and go: `make broker-sessions`.
#[test]
#[ignore = "10,000 sessions, each with two connections and five messages"]
#[cfg(target_os = "linux")]
fn ten_thousand_sessions_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&["--data", folder.path().to_str().unwrap(), "--sync", "never", "--metrics", "0s"]);
    let to = broker.address();
    Peer::v3(to, "warm").lose();
    let (empty, mut full) = (descriptors(&broker), 0);
    for round in 0..10 {
        let names: Vec<String> = (0..1000).map(|n| format!("{round}-{n}")).collect();
        let arrive = |name: &String| {
            let mut peer = Peer::open(to);
            peer.send(&[connect3(name, 0, 0), subscribe(1, None, &[("all", 1)])].concat());
            peer
        };
        let mut peers: Vec<Peer> = names.iter().map(arrive).collect();
        for peer in &mut peers {
            peer.expect(&[0x20, 2, 0, 0]);
            peer.expect(&[0x90, 3, 0, 1, 1]);
        }
        peers.into_iter().for_each(Peer::lose);
        let mut publisher = Peer::v3(to, "publisher");
        for n in 1..=5 {
            publisher.send(&publish(2, "all", Some(n), None, "hello"));
            publisher.expect(&[0x40, 2, 0, n as u8]);
        }
        publisher.lose();
        for name in &names {
            let mut peer = Peer::open(to);
            peer.send(&connect3(name, 0, 0));
            peer.expect(&[0x20, 2, 1, 0]);
            for n in 1..=5 {
                peer.expect(&publish(2, "all", Some(n), None, "hello"));
                peer.send(&[0x40, 2, 0, n as u8]);
            }
            peer.quiet();
            peer.lose();
            Peer::v3(to, name).lose();
        }
        wait_until("all to be gone", || descriptors(&broker) <= empty);
        if round == 0 {
            full = memory(&broker);
        }
    }
    let grown = memory(&broker).saturating_sub(full);
    assert!(grown < 4 * 1024 * 1024, "{grown} bytes more than after the first thousand");
    report(&broker, "0 clients connected and 0 away, 0 subscriptions");
}
