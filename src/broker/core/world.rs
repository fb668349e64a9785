//! The core in a world of clients, a disk and crashes, all of them fake and from one seed.
//!
//! ```text
//!   publishers ◀──▶ Core ──▶ records ──▶ pending ── stored ──▶ disk
//!   subscribers                          lost in a crash,      what the next core begins with
//!                                        but for a part that was written and not told
//! ```
//!
//! Connections break with bytes on their way, readers are slow, logs become snapshots. In the end each message of QoS 1 has come once or more
//! to each subscriber, and each of QoS 2 once.

use super::*;
use crate::{
    app::Cx,
    broker::{
        image::Image,
        record::{HEAD, Mark},
        rights::Rights,
    },
    mqtt::{Ack, Connect, PacketId, Properties, Publish, QoS, Version, decode, frame},
    service::testing::now,
};
use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use std::collections::BTreeMap;

const SEEDS: u64 = 300;
const STEPS: usize = 400;
const PUBLISHERS: usize = 2;
const CLIENTS: usize = 4;
const WINDOW: usize = 4;
const TOPIC: &str = "a/b";

/// A client of either kind, which behaves as the standard asks of it.
#[derive(Default)]
struct Client {
    key: Option<Key>,
    conn: Option<ConnId>,
    /// Bytes on their way to it.
    inbox: Vec<u8>,
    /// A publisher's messages that are not done, by number: packet id, QoS, and whether it was received.
    out: BTreeMap<u64, (PacketId, QoS, bool)>,
    next: u64,
    /// A subscriber's counts by message, and the packet ids of QoS 2 that it holds.
    counts: BTreeMap<String, u32>,
    held: std::collections::BTreeSet<PacketId>,
}

struct World {
    random: SmallRng,
    now: Now,
    cx: Cx,
    core: Core,
    clients: Vec<Client>,
    pending: Vec<Record>,
    disk: Vec<Record>,
    /// Connections whose last answers wait for the disk.
    leaving: Vec<(usize, End)>,
    /// Records that this core has been told of.
    told: u64,
    crashes: u32,
}

fn id(n: u64) -> PacketId {
    PacketId::new((n % 65_535) as u16 + 1).unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let now = now();
        let mut world = Self {
            random: SmallRng::seed_from_u64(seed),
            now,
            cx: Cx::new(now),
            core: Core::new(limits()),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            pending: Vec::new(),
            disk: Vec::new(),
            leaving: Vec::new(),
            told: 0,
            crashes: 0,
        };
        for at in PUBLISHERS..CLIENTS {
            world.connect(at);
            let bytes = b"\x82\x08\x00\x01\x00\x03a/+\x02";
            world.hear(at, bytes);
        }
        world.store(usize::MAX);
        world
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound)
    }

    /// A packet of a client, as bytes.
    fn hear(&mut self, at: usize, bytes: &[u8]) {
        let Some(key) = self.clients[at].key else { return };
        let frame = frame(bytes).unwrap().unwrap();
        let packet = decode(frame, Bytes::copy_from_slice(&bytes[frame.head..]), Version::V3).unwrap();
        self.core.packet(key, packet, self.now).unwrap();
    }

    fn say(&mut self, at: usize, packet: &Packet) {
        let mut bytes = Vec::new();
        crate::mqtt::encode(packet, Version::V3, &mut bytes);
        self.hear(at, &bytes);
    }

    fn connect(&mut self, at: usize) {
        if self.clients[at].key.is_some() {
            return;
        }
        self.clients[at].inbox.clear();
        self.leaving.retain(|(other, _)| *other != at);
        let conn = self.cx.allocate();
        let connect = Connect {
            version: Version::V3,
            is_bridge: false,
            clean: false,
            keep_alive: 0,
            properties: Properties::default(),
            client_id: Text::from(&*format!("client-{at}")),
            will: None,
            user_name: None,
            password: None,
        };
        let arrival = Arrival { conn, connect, rights: Arc::new(Rights::All), assigned: Text::default() };
        let key = self.core.connect(arrival, self.now).unwrap().key;
        (self.clients[at].key, self.clients[at].conn) = (Some(key), Some(conn));
        let again: Vec<_> = self.clients[at].out.iter().map(|(number, sent)| (*number, *sent)).collect();
        for (number, (id, qos, released)) in again {
            if released {
                self.say(at, &Packet::PubRel(Ack::new(id, Reason::SUCCESS)));
            } else {
                self.publish(at, number, id, qos, true);
            }
        }
    }

    fn publish(&mut self, at: usize, number: u64, id: PacketId, qos: QoS, dup: bool) {
        let payload = Bytes::from(format!("{at} {} {number}", qos as u8));
        let properties = Properties::default();
        let publish = Publish { dup, qos, retain: false, topic: TOPIC.into(), id: Some(id), properties, payload };
        self.say(at, &Packet::Publish(publish));
    }

    fn publish_next(&mut self, at: usize) {
        if self.clients[at].key.is_none() || self.clients[at].out.len() >= WINDOW {
            return;
        }
        let number = self.clients[at].next;
        let qos = if self.below(2) == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        self.clients[at].next += 1;
        self.clients[at].out.insert(number, (id(number), qos, false));
        self.publish(at, number, id(number), qos, false);
    }

    /// Everything that may leave, leaves.
    fn send(&mut self) {
        self.core.take_records(&mut self.pending);
        while let Some((conn, output)) = self.core.take_output() {
            let client = self.clients.iter_mut().find(|client| client.conn == Some(conn)).unwrap();
            append(&mut client.inbox, output);
        }
        self.core.turn(self.now);
    }

    /// A client reads one packet, if one has come.
    fn read(&mut self, at: usize) -> bool {
        let inbox = std::mem::take(&mut self.clients[at].inbox);
        let Some(frame) = frame(&inbox).unwrap() else { return false };
        let body = Bytes::copy_from_slice(&inbox[frame.head..frame.len()]);
        self.clients[at].inbox = inbox[frame.len()..].to_vec();
        let client = &mut self.clients[at];
        let answer = match decode(frame, body, Version::V3).unwrap() {
            Packet::Publish(publish) => {
                let id = publish.id.unwrap();
                let is_first = publish.qos == QoS::AtLeastOnce || client.held.insert(id);
                if is_first {
                    *client.counts.entry(String::from_utf8(publish.payload.to_vec()).unwrap()).or_default() += 1;
                }
                let ack = Ack::new(id, Reason::SUCCESS);
                if publish.qos == QoS::AtLeastOnce { Packet::PubAck(ack) } else { Packet::PubRec(ack) }
            }
            Packet::PubRel(ack) => {
                client.held.remove(&ack.id);
                Packet::PubComp(Ack::new(ack.id, Reason::SUCCESS))
            }
            Packet::PubRec(ack) => {
                client.out.values_mut().filter(|(id, ..)| *id == ack.id).for_each(|sent| sent.2 = true);
                Packet::PubRel(Ack::new(ack.id, Reason::SUCCESS))
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                client.out.retain(|_, (id, ..)| *id != ack.id);
                return true;
            }
            _ => return true,
        };
        self.say(at, &answer);
        true
    }

    /// The disk has so many more records, and says so.
    fn store(&mut self, most: usize) {
        self.core.take_records(&mut self.pending);
        let count = most.min(self.pending.len());
        self.disk.extend(self.pending.drain(..count));
        self.told += count as u64;
        self.core.stored(self.told, self.now);
        let Self { leaving, clients, told, .. } = self;
        leaving.retain_mut(|(at, end)| {
            end.out.stored(*told);
            append(&mut clients[*at].inbox, end.out.take());
            end.out.waiting() > 0
        });
    }

    /// A client says goodbye, and reads on.
    fn leave(&mut self, at: usize) {
        let Some(key) = self.clients[at].key.take() else { return };
        let packet = Packet::Disconnect(crate::mqtt::Disconnect::normal());
        assert_eq!(self.core.packet(key, packet, self.now), Err(Stop::Goodbye));
        let mut end = self.core.take_end().unwrap();
        assert_eq!(Some(end.conn), self.clients[at].conn.take());
        append(&mut self.clients[at].inbox, end.out.take());
        if end.out.waiting() > 0 {
            self.leaving.push((at, end));
        }
    }

    fn lose(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.inbox.clear();
        client.conn = None;
        if let Some(key) = client.key.take() {
            self.core.lost(key, self.now);
        }
    }

    /// The process is killed, with records that were written and not told.
    fn crash(&mut self) {
        self.core.take_records(&mut self.pending);
        let written = self.below(self.pending.len() + 1);
        self.disk.extend(self.pending.drain(..written));
        self.pending.clear();
        let mut image = Image::default();
        for record in &self.disk {
            let mut bytes = Vec::new();
            record.write(Mark::Behind, &mut bytes);
            image.add(Record::read(Bytes::copy_from_slice(&bytes[HEAD..])).unwrap());
        }
        if self.below(2) == 0 {
            // The log has become a snapshot.
            self.disk = image.records();
        }
        self.core = Core::restore(limits(), image, self.now);
        self.leaving.clear();
        (self.told, self.crashes) = (0, self.crashes + 1);
        for client in &mut self.clients {
            (client.key, client.conn) = (None, None);
            client.inbox.clear();
        }
    }

    fn step(&mut self) {
        let at = self.below(CLIENTS);
        match self.below(100) {
            0..=29 => self.publish_next(at % PUBLISHERS),
            30..=59 => {
                self.read(at);
            }
            60..=79 => {
                let most = self.below(6);
                self.store(most);
            }
            80..=89 => self.connect(at),
            90..=91 => self.lose(at),
            92..=93 => self.leave(at),
            94..=96 => {
                let unsent = self.below(2) * 100_000;
                let key = self.clients[at].key;
                key.into_iter().for_each(|key| self.core.unsent(key, unsent, self.now));
            }
            97 => self.crash(),
            _ => self.now = self.now.after(std::time::Duration::from_millis(10)),
        }
        self.send();
    }

    /// Everything that was begun comes to its end.
    fn end(&mut self) {
        for at in 0..CLIENTS {
            self.connect(at);
            let key = self.clients[at].key.unwrap();
            self.core.unsent(key, 0, self.now);
        }
        for _ in 0..10_000 {
            self.send();
            self.store(usize::MAX);
            self.send();
            if (0..CLIENTS).filter(|at| self.read(*at)).count() == 0 && self.pending.is_empty() {
                return;
            }
        }
        panic!("it does not come to its end");
    }
}

fn append(inbox: &mut Vec<u8>, mut output: Output) {
    while let Some(piece) = output.pop() {
        inbox.extend_from_slice(&piece);
    }
}

/// Small ones, so that they are met.
fn limits() -> Limits {
    Limits { inflight: 3, ..Limits::default() }
}

#[test]
fn nothing_acknowledged_is_lost_and_no_message_of_qos_2_comes_twice() {
    let (mut crashes, mut messages) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        world.end();
        for subscriber in &world.clients[PUBLISHERS..] {
            for (text, count) in &subscriber.counts {
                assert!(*count == 1 || text[2..].starts_with('1'), "seed {seed}: {text} came {count} times");
            }
            let published: u64 = world.clients[..PUBLISHERS].iter().map(|publisher| publisher.next).sum();
            assert_eq!(subscriber.counts.len() as u64, published, "seed {seed}");
            assert!(subscriber.held.is_empty(), "seed {seed}");
            messages += published;
        }
        assert!(world.clients.iter().all(|client| client.out.is_empty()), "seed {seed}");
        let numbers = world.core.numbers();
        assert_eq!((numbers.waiting, numbers.inflight, numbers.queued_bytes), (0, 0, 0), "seed {seed}");
        crashes += world.crashes;
    }
    assert!(crashes > SEEDS as u32 && messages > SEEDS * 20, "{crashes} crashes, {messages} messages");
}
