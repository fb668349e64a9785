//! Bridges between brokers: ours and ours, ours and mosquitto, in both roles, over connections that are cut and beside brokers that are killed.

use super::{
    broker,
    crash::Run,
    drivers,
    limits::users,
    mosquitto::Mosquitto,
    relay::{Relay, To},
    wire::{CLEAN, NONE, Peer, connect3, publish, subscribe},
};
use crate::support::{
    process::{Process, refusal, start_listening},
    random::Random,
};
use std::net::SocketAddr;

/// The flags of a bridge.
fn flags<'a>(name: &'a str, to: &'a str, topics: &[&'a str]) -> Vec<&'a str> {
    let mut flags = vec!["--bridge", to, "--bridge-id", name, "--metrics", "0s"];
    topics.iter().for_each(|topic| flags.extend(["--bridge-topic", topic]));
    flags
}

fn url(to: SocketAddr) -> String {
    format!("mqtt://{to}")
}

/// A broker with a bridge that is up.
fn bridged(name: &str, to: SocketAddr, topics: &[&str]) -> Process {
    let it = broker(&flags(name, &url(to), topics));
    let has_in = topics.iter().any(|topic| topic.contains(" in ") || topic.contains(" both "));
    it.wait_for_stderr(if has_in { ": topics come in" } else { ": up, its session " });
    it
}

fn subscriber(to: SocketAddr, id: &str, filter: &str) -> Peer {
    let mut peer = Peer::v3(to, id);
    peer.send(&subscribe(1, None, &[(filter, 0)]));
    peer.expect(&[0x90, 3, 0, 1, 0]);
    peer
}

/// Publishes with QoS 1, and waits for the answer.
fn say(peer: &mut Peer, topic: &str, text: &str) {
    peer.send(&publish(2, topic, Some(1), None, text));
    peer.expect(&[0x40, 2, 0, 1]);
}

/// Publishes with QoS 2, to the end.
fn say_once(peer: &mut Peer, topic: &str, text: &str) {
    peer.send(&publish(4, topic, Some(1), None, text));
    peer.expect(&[0x50, 2, 0, 1]);
    peer.send(&[0x62, 2, 0, 1]);
    peer.expect(&[0x70, 2, 0, 1]);
}

fn heard(topic: &str, text: &str) -> Vec<u8> {
    publish(0, topic, None, None, text)
}

/// Topics cross as the lines say, each once, and nothing comes back to where it was.
fn topics_cross(near: SocketAddr, far: SocketAddr) {
    let (mut here, mut there) = (subscriber(near, "here", "#"), subscriber(far, "there", "#"));
    let (mut a, mut b) = (Peer::v3(near, "a"), Peer::v3(far, "b"));
    say(&mut a, "up/x", "1");
    say(&mut a, "here/named", "2");
    say(&mut a, "both/x", "3");
    for (topic, text) in [("up/x", "1"), ("there/named", "2"), ("both/x", "3")] {
        there.expect(&heard(topic, text));
    }
    for (topic, text) in [("up/x", "1"), ("here/named", "2"), ("both/x", "3")] {
        here.expect(&heard(topic, text));
    }
    // An echo of these would have come before what follows.
    say(&mut b, "up/x", "stays");
    say(&mut b, "down/x", "4");
    say(&mut b, "both/x", "5");
    for (topic, text) in [("up/x", "stays"), ("down/x", "4"), ("both/x", "5")] {
        there.expect(&heard(topic, text));
    }
    for (topic, text) in [("down/x", "4"), ("both/x", "5")] {
        here.expect(&heard(topic, text));
    }
    say(&mut a, "both/x", "end");
    here.expect(&heard("both/x", "end"));
    there.expect(&heard("both/x", "end"));
}

const TOPICS: &[&str] = &["up/# out 1", "down/# in 1", "both/# both 2", "named out 1 here/ there/"];

#[test]
fn two_brokers_share_topics() {
    for driver in drivers() {
        let far = broker(&[&driver[..], &["--metrics", "0s"]].concat());
        let near = bridged("near", far.address(), TOPICS);
        topics_cross(near.address(), far.address());
    }
}

#[test]
fn a_bridge_to_mosquitto_shares_topics() {
    if !Mosquitto::is_installed() {
        return;
    }
    let far = Mosquitto::start("");
    let near = bridged("near", far.relay.address, TOPICS);
    topics_cross(near.address(), far.clients.address);
}

/// The other way round: mosquitto is the client, as an old one with its own mark for bridges, and as one of MQTT 5.
#[test]
fn a_bridge_of_mosquitto_shares_topics() {
    if !Mosquitto::is_installed() {
        return;
    }
    for version in ["mqttv311", "mqttv50"] {
        let far = broker(&["--metrics", "0s", "--log-level", "debug"]);
        let lines: String = TOPICS.iter().map(|line| format!("topic {line}\n")).collect();
        let near = Mosquitto::start(&format!(
            "connection one\naddress {}\nbridge_protocol_version {version}\ncleansession false\nnotifications false\n\
             remote_clientid mosquitto\nrestart_timeout 1\n{lines}",
            far.address()
        ));
        // It is there when it has subscribed: a retained message comes over.
        let mut b = Peer::v3(far.address(), "retains");
        b.send(&publish(3, "down/ready", Some(1), None, "yes"));
        b.expect(&[0x40, 2, 0, 1]);
        let mut waits = subscriber(near.clients.address, "waits", "down/ready");
        assert_eq!(waits.packet()[2..], publish(1, "down/ready", None, None, "yes")[2..]);
        b.send(&publish(3, "down/ready", Some(1), None, ""));
        b.expect(&[0x40, 2, 0, 1]);
        assert_eq!(waits.packet()[2..], publish(1, "down/ready", None, None, "")[2..]);
        topics_cross(near.clients.address, far.address());
    }
}

/// While the other broker is away, messages of QoS 1 and 2 wait, on the disk as well; each comes once, in order.
#[test]
fn messages_wait_for_a_broker_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    let relay = Relay::new(To::Nowhere);
    let to = url(relay.address);
    let start = || broker(&[&flags("near", &to, &["a/# both 2"])[..], &data].concat());
    let mut near = start();
    near.wait_for_stderr("it is tried again until it is up");
    let mut publisher = Peer::v3(near.address(), "publisher");
    (1..=20).for_each(|n| say(&mut publisher, "a/x", &n.to_string()));
    near.signal("KILL");
    near.wait();
    let near = start();
    let far = broker(&["--metrics", "0s"]);
    let mut there = subscriber(far.address(), "there", "#");
    relay.lead(To::Port(far.address()));
    (1..=20).for_each(|n| there.expect(&heard("a/x", &n.to_string())));
    // The other broker waits for us, too. With QoS 2, a cut at any moment doubles nothing.
    let mut here = subscriber(near.address(), "here", "a/y");
    let mut b = Peer::v3(far.address(), "b");
    say_once(&mut b, "a/y", "before");
    for end in [&mut here, &mut there] {
        end.expect(&heard("a/y", "before"));
    }
    relay.lead(To::Nowhere);
    say_once(&mut b, "a/y", "meanwhile");
    relay.lead(To::Port(far.address()));
    for end in [&mut here, &mut there] {
        end.expect(&heard("a/y", "meanwhile"));
    }
}

/// The things that are broken in turn: mosquitto, which keeps its state when it is asked to end, our broker, which is killed, or the way between them.
struct Harm {
    mosquitto: Mosquitto,
    ours: Process,
    folder: tempfile::TempDir,
}

impl Harm {
    fn new(topic: &'static str) -> (Self, impl FnMut(&Self) -> Process) {
        let (mosquitto, folder) = (Mosquitto::start(""), tempfile::tempdir().unwrap());
        let start = move |mosquitto: &Mosquitto, folder: &tempfile::TempDir| {
            let to = url(mosquitto.relay.address);
            broker(&[&flags("near", &to, &[topic])[..], &["--data", folder.path().to_str().unwrap()]].concat())
        };
        let ours = start(&mosquitto, &folder);
        // A message that is published before there is a subscription is no one's.
        ours.wait_for_stderr(if topic.contains(" in ") { ": topics come in" } else { ": up, its session " });
        (Self { mosquitto, ours, folder }, move |harm| start(&harm.mosquitto, &harm.folder))
    }
}

/// Each message of QoS 1 arrives, and each of QoS 2 arrives once, whatever is killed or cut between its publisher and its subscriber.
fn nothing_is_lost_on_the_way(outward: bool, rounds: u64) {
    let (mut harm, mut start) = Harm::new(if outward { "crash/# out 2" } else { "crash/# in 2" });
    let (ours, theirs) = (harm.ours.address(), harm.mosquitto.clients.address);
    let run = if outward { Run::new(ours, theirs) } else { Run::new(theirs, ours) };
    run.judge(rounds, &mut Random::new(rounds), |round| match round % 3 {
        // A mosquitto that starts again publishes once more what it had released (seen on the wire of 2.0.11, against [MQTT-4.3.3-6]): its receiver
        // takes this for a new message, rightly.
        0 if outward => harm.mosquitto.restart("TERM"),
        1 => {
            harm.ours.signal("KILL");
            harm.ours.wait();
            harm.ours = start(&harm);
            *if outward { &run.publish } else { &run.receive }.lock().unwrap() = harm.ours.address();
        }
        _ => harm.mosquitto.relay.cut(),
    });
}

#[test]
fn nothing_is_lost_on_the_way_to_mosquitto() {
    if Mosquitto::is_installed() {
        nothing_is_lost_on_the_way(true, 6);
    }
}

#[test]
fn nothing_is_lost_on_the_way_from_mosquitto() {
    if Mosquitto::is_installed() {
        nothing_is_lost_on_the_way(false, 6);
    }
}

/// A mosquitto that is killed has forgotten its sessions. Messages that it had not acknowledged come again.
#[test]
fn a_mosquitto_that_is_killed_gets_what_it_had_not_acknowledged() {
    if !Mosquitto::is_installed() {
        return;
    }
    let mut far = Mosquitto::start("");
    let near = bridged("near", far.relay.address, &["a/# out 2"]);
    let mut publisher = Peer::v3(near.address(), "publisher");
    far.stop("KILL");
    for n in 1..=20 {
        publisher.send(&publish(4, "a/x", Some(n), None, &n.to_string()));
        publisher.expect(&[0x50, 2, 0, n as u8]);
        publisher.send(&[0x62, 2, 0, n as u8]);
        publisher.expect(&[0x70, 2, 0, n as u8]);
    }
    far.begin();
    let mut there = subscriber(far.clients.address, "there", "a/#");
    far.open();
    for n in 1..=20 {
        there.expect(&heard("a/x", &n.to_string()));
    }
}

/// A ring is a mistake, and ends: a message goes round once in each direction, and is dropped where it began.
#[test]
fn a_ring_of_brokers_is_no_loop() {
    let relays = [(); 3].map(|()| Relay::new(To::Nowhere));
    let names = ["a", "b", "c"];
    let brokers: Vec<Process> =
        (0..3).map(|n| broker(&flags(names[n], &url(relays[(n + 1) % 3].address), &["ring/# both 1"]))).collect();
    brokers.iter().zip(&relays).for_each(|(broker, relay)| relay.lead(To::Port(broker.address())));
    brokers.iter().for_each(|broker| broker.wait_for_stderr(": topics come in"));
    let mut ends: Vec<Peer> = brokers.iter().map(|broker| subscriber(broker.address(), "end", "#")).collect();
    let mut publisher = Peer::v5(brokers[0].address(), "publisher", CLEAN, NONE);
    for n in 0..10 {
        publisher.send(&publish(2, "ring/x", Some(1), Some(NONE), &n.to_string()));
        publisher.expect(&[0x40, 2, 0, 1]);
    }
    for (end, copies) in ends.iter_mut().zip([1, 2, 2]) {
        let mut got: Vec<Vec<u8>> = (0..10 * copies).map(|_| end.packet()).collect();
        got.sort();
        let expected: Vec<Vec<u8>> = (0..10 * copies).map(|n| heard("ring/x", &(n / copies).to_string())).collect();
        assert_eq!(got, expected);
    }
    for (end, broker) in ends.iter_mut().zip(&brokers) {
        say(&mut Peer::v3(broker.address(), "local"), "local", "no more");
        end.expect(&heard("local", "no more"));
    }
}

#[test]
fn a_bridge_that_cannot_be_is_said() {
    let far = broker(&["--users", "/dev/null"]);
    let near = broker(&flags("near", &format!("mqtt://ann:wrong@{}", far.address()), &["#"]));
    near.wait_for_stderr("it refuses the connection with reason 0x86");
    let (code, said) = refusal(env!("CARGO_BIN_EXE_broker"), &["--bridge", "mqtt://localhost"]);
    assert!(code == Some(2) && said.contains("--bridge-topic"), "{said}");
    // The name of its session is no client's.
    let mut liar = Peer::open(near.address());
    liar.send(&connect3("$bridge/near", CLEAN, 0));
    liar.expect(&[0x20, 2, 0, 2]);
    let broken = start_listening(env!("CARGO_BIN_EXE_broker"), &["--listen", "127.0.0.1:0"], 1);
    Peer::v3(broken.address(), "near").quiet();
}

/// Not on the command line, which all users of the machine can read.
#[test]
fn a_bridge_has_its_password_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "secret\n").unwrap();
    let file = file.to_str().unwrap();
    let far = broker(&["--users", &users(&folder)]);
    let near = |login: &str| format!("mqtt://{login}{}", far.address());
    let with_user = near("ann@");
    let bridge = broker(&[&flags("near", &with_user, &["home/# in"])[..], &["--bridge-password-file", file]].concat());
    bridge.wait_for_stderr(": topics come in");
    for (place, why) in [(near(""), "whose password is it?"), (near("ann:x@"), "--bridge has a password already")] {
        let flags = ["--bridge", &place, "--bridge-topic", "#", "--bridge-password-file", file];
        let (code, said) = refusal(env!("CARGO_BIN_EXE_broker"), &flags);
        assert!(code == Some(2) && said.contains(why), "{said}");
    }
}
