//! kill -9 at random points of a run: nothing that was acknowledged is lost, and no message of QoS 2 comes twice.
//!
//! ```text
//!   Publisher ── QoS 1 and 2 ──▶ broker, killed and started again ──▶ Subscriber
//!   numbers its messages            ▲ after a random number of        counts them
//!   and repeats what was not        ╰ answers to either
//!   acknowledged, as a client has to
//! ```

// `pub` here means "for the tests".
#![allow(unreachable_pub)]

use super::wire::{Peer, connect3, packet, publish, subscribe};
use crate::support::{
    process::{PATIENCE, Process, now, start, wait_until},
    random::Random,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
};

/// Messages that the publisher has on their way.
const WINDOW: usize = 20;

pub const TOPIC: &str = "crash/a";

/// The last message, of QoS 1.
const END: &str = "end";

/// The run as all parts of it see it.
pub struct Run {
    /// Where messages are published.
    pub publish: Mutex<SocketAddr>,
    /// Where they arrive: with a bridge between, at another broker.
    pub receive: Mutex<SocketAddr>,
    /// Packets that either client was sent.
    pub events: AtomicU64,
    /// No more kills come: the publisher ends when all is acknowledged.
    pub ending: AtomicBool,
    /// The publisher's last number.
    pub last: AtomicU64,
}

impl Run {
    pub fn new(publish: SocketAddr, receive: SocketAddr) -> Self {
        let (events, ending, last) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
        Self { publish: Mutex::new(publish), receive: Mutex::new(receive), events, ending, last }
    }

    /// Sends two clients, does `harm` with a number for each round while they work, and counts what came. Each message of QoS 1 has to come, each
    /// of QoS 2 once.
    pub fn judge(&self, rounds: u64, random: &mut Random, mut harm: impl FnMut(u64)) {
        let counts = thread::scope(|scope| {
            let subscriber = scope.spawn(|| subscriber(self));
            // A message that is published before there is a subscription is no one's.
            wait_until("a subscription", || self.events.load(SeqCst) > 0);
            let publisher = scope.spawn(|| self.last.store(publisher(self), SeqCst));
            for round in 1..=rounds {
                let until = self.events.load(SeqCst) + random.magnitude(1..=300) as u64;
                wait_until("more packets", || self.events.load(SeqCst) >= until || publisher.is_finished());
                harm(round);
            }
            self.ending.store(true, SeqCst);
            publisher.join().unwrap();
            let mut end = Peer::v3(*self.publish.lock().unwrap(), "end");
            end.send(&publish(2, TOPIC, Some(1), None, END));
            end.expect(&[0x40, 2, 0, 1]);
            subscriber.join().unwrap()
        });
        let last = self.last.load(SeqCst);
        assert!(last > rounds, "{last} messages in {rounds} rounds");
        for number in 1..=last {
            let qos = 1 + number % 2;
            let count = counts.get(&format!("{qos} {number}")).copied().unwrap_or(0);
            assert!(count == 1 || qos == 1 && count > 1, "message {number} of QoS {qos} came {count} times");
        }
        assert_eq!(counts.len() as u64, last);
    }

    /// Connects with a session that is kept, as often as it takes.
    fn connect(&self, id: &str) -> Peer {
        let deadline = now() + PATIENCE;
        loop {
            assert!(now() < deadline, "{id} cannot connect");
            let to = *if id == "publisher" { &self.publish } else { &self.receive }.lock().unwrap();
            let Some(mut peer) = Peer::try_open(to) else {
                thread::yield_now();
                continue;
            };
            if peer.try_send(&connect3(id, 0, 0)) && peer.next().is_some_and(|got| got[0] == 0x20 && got[3] == 0) {
                return peer;
            }
        }
    }
}

/// A message on its way, as its publisher sees it.
#[derive(Clone, Copy)]
struct Outgoing {
    number: u64,
    qos: u8,
    /// QoS 2: the broker has it.
    released: bool,
}

impl Outgoing {
    fn wire(self, id: u16, dup: bool) -> Vec<u8> {
        if self.released {
            return packet(0x62, &[&id.to_be_bytes()]);
        }
        publish(
            self.qos << 1 | if dup { 8 } else { 0 },
            TOPIC,
            Some(id),
            None,
            &format!("{} {}", self.qos, self.number),
        )
    }
}

/// Publishes until the end, and returns the last number. Each is of QoS 1 or 2, in turn.
fn publisher(run: &Run) -> u64 {
    let (mut next, mut next_id) = (1, 1_u16);
    let mut on_their_way: BTreeMap<u64, (u16, Outgoing)> = BTreeMap::new();
    let mut deadline = now() + PATIENCE;
    loop {
        assert!(now() < deadline, "nothing is acknowledged: {} messages are on their way", on_their_way.len());
        let mut peer = run.connect("publisher");
        let again: Vec<u8> = on_their_way.values().flat_map(|(id, message)| message.wire(*id, true)).collect();
        let mut good = peer.try_send(&again);
        while good {
            while on_their_way.len() < WINDOW && !run.ending.load(SeqCst) {
                while next_id == 0 || on_their_way.values().any(|(id, _)| *id == next_id) {
                    next_id = next_id.wrapping_add(1);
                }
                let message = Outgoing { number: next, qos: 1 + (next % 2) as u8, released: false };
                on_their_way.insert(next, (next_id, message));
                (next, next_id) = (next + 1, next_id.wrapping_add(1));
                good &= peer.try_send(&message.wire(next_id.wrapping_sub(1), false));
            }
            if on_their_way.is_empty() {
                return next - 1;
            }
            let Some(got) = peer.next() else { break };
            run.events.fetch_add(1, SeqCst);
            let id = u16::from_be_bytes([got[2], got[3]]);
            let found = on_their_way.iter_mut().find(|(_, (its, _))| *its == id);
            let Some((&number, (_, message))) = found else { continue };
            match got[0] {
                0x50 => {
                    message.released = true;
                    good &= peer.try_send(&message.wire(id, false));
                }
                _ => drop(on_their_way.remove(&number)),
            }
            deadline = now() + PATIENCE;
        }
    }
}

/// Receives until it has everything, and counts how often each came.
fn subscriber(run: &Run) -> BTreeMap<String, u32> {
    let (mut counts, mut held) = (BTreeMap::new(), BTreeSet::new());
    let (mut is_subscribed, mut has_ended) = (false, false);
    loop {
        let mut peer = run.connect("subscriber");
        if !is_subscribed {
            peer.try_send(&subscribe(1, None, &[(TOPIC, 2)]));
        }
        let mut good = true;
        while good {
            if has_ended && counts.len() as u64 == run.last.load(SeqCst) && held.is_empty() {
                return counts;
            }
            let Some(got) = peer.next() else {
                // No kill comes any more: what is missing is lost.
                if has_ended {
                    return counts;
                }
                break;
            };
            run.events.fetch_add(1, SeqCst);
            match got[0] & 0xF6 {
                0x90 => is_subscribed = true,
                0x62 => {
                    held.remove(&[got[2], got[3]]);
                    good = peer.try_send(&packet(0x70, &[&got[2..4]]));
                }
                first => {
                    let at = 4 + TOPIC.len();
                    let id = [got[at], got[at + 1]];
                    let text = String::from_utf8(got[at + 2..].to_vec()).unwrap();
                    has_ended |= text == END;
                    // A message of QoS 2 whose identifier is held is the same one again.
                    if text != END && (first == 0x32 || held.insert(id)) {
                        *counts.entry(text).or_insert(0) += 1;
                    }
                    good = peer.try_send(&packet(if first == 0x32 { 0x40 } else { 0x50 }, &[&id]));
                }
            }
        }
    }
}

fn restarted(folder: &str, sync: &str) -> Process {
    start(env!("CARGO_BIN_EXE_broker"), &["--data", folder, "--sync", sync])
}

fn kill_at_random_points(points: u64, seed: u64) {
    let (folder, mut random) = (tempfile::tempdir().unwrap(), Random::new(seed));
    let folder = folder.path().to_str().unwrap();
    // A process that is killed leaves what it has written to its system, whether the disk has it or not.
    let sync = |n: u64| ["always", "1s", "never"][n as usize % 3];
    let mut broker = restarted(folder, sync(0));
    let run = Run::new(broker.address(), broker.address());
    run.judge(points, &mut random, |point| {
        broker.signal("KILL");
        broker.wait();
        broker = restarted(folder, sync(point));
        *run.publish.lock().unwrap() = broker.address();
        *run.receive.lock().unwrap() = broker.address();
    });
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged_and_doubles_no_message_of_qos_2() {
    kill_at_random_points(5, 1);
}

/// `make broker-crash`.
#[test]
#[ignore = "100 restarts"]
fn kill_9_at_a_hundred_points() {
    let seed = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(2);
    kill_at_random_points(100, seed);
}
