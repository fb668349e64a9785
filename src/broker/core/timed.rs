//! The core in a world where time passes: messages and sessions expire, wills wait, retained messages come and go. One seed decides all of
//! it, and a model of a few lines says what has to be seen. The disk loses nothing here; the process is killed now and then.
//!
//! ```text
//!   subjects: connect with a will, say goodbye, are lost, take over ──▶ Core ──▶ watcher: each will that was due, once
//!   publisher: messages that expire, retained ones, empty ones ───────╯    ╰──▶ visitor: all that is retained, with the time left
//! ```

use super::*;
use crate::{
    app::Cx,
    broker::{image::Image, rights::Rights},
    mqtt::{
        Ack, Connect, Disconnect, Frame, PacketId, Properties, Publish, QoS, Value, Version, Will, decode, frame, id,
    },
    service::testing::now,
};
use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use std::{collections::BTreeMap, time::Duration};

const STEPS: usize = 200;
const SUBJECTS: usize = 3;

/// A message as a client sees it: topic, text, the time that it has left.
type Seen = (String, String, Option<u32>);

/// The model of a subject's session.
#[derive(Default)]
struct Subject {
    key: Option<Key>,
    /// There is a session, which outlives its connection by so many milliseconds.
    session: Option<u64>,
    since: u64,
    /// Text, delay in milliseconds, retained, and the seconds that it is of use.
    will: Option<(String, u64, bool, Option<u32>)>,
    /// Messages that wait, each with the time at which it expires.
    waiting: Vec<(String, Option<u64>)>,
}

struct World {
    random: SmallRng,
    now: Now,
    cx: Cx,
    core: Core,
    disk: Vec<Record>,
    told: u64,
    subjects: Vec<Subject>,
    watcher: Option<Key>,
    publisher: Option<Key>,
    /// The next text, which no other message has.
    next: u64,
    /// By topic: text, and when it expires.
    retained: BTreeMap<String, (String, Option<u64>)>,
    /// Wills that had to be seen, in any order.
    due: Vec<String>,
    seen: BTreeMap<ConnId, Vec<Seen>>,
    wills: usize,
}

fn seconds(most: Option<u32>, id: u8) -> Properties {
    most.map_or_else(Properties::default, |most| Properties::default().with(id, Value::Four(most)))
}

impl World {
    fn new(seed: u64) -> Self {
        let now = now();
        let mut world = Self {
            random: SmallRng::seed_from_u64(seed),
            now,
            cx: Cx::new(now),
            core: Core::new(Limits::default()),
            disk: Vec::new(),
            told: 0,
            subjects: (0..SUBJECTS).map(|_| Subject::default()).collect(),
            watcher: None,
            publisher: None,
            next: 0,
            retained: BTreeMap::new(),
            due: Vec::new(),
            seen: BTreeMap::new(),
            wills: 0,
        };
        world.enter();
        // Once: another time it would bring what is retained.
        let watcher = world.watcher.unwrap();
        world.subscribe(watcher, "w/+");
        world.settle();
        world
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.random.random_range(0..bound)
    }

    fn at(&self) -> u64 {
        millis(self.now)
    }

    fn text(&mut self) -> String {
        self.next += 1;
        self.next.to_string()
    }

    /// Those who are always there.
    fn enter(&mut self) {
        let (watcher, _) = self.connect("watcher", false, u32::MAX, None);
        let (publisher, _) = self.connect("publisher", true, 0, None);
        (self.watcher, self.publisher) = (Some(watcher), Some(publisher));
        self.settle();
    }

    fn connect(&mut self, name: &str, clean: bool, expiry: u32, will: Option<Will>) -> (Key, ConnId) {
        let conn = self.cx.allocate();
        let connect = Connect {
            version: Version::V5,
            is_bridge: false,
            clean,
            keep_alive: 0,
            properties: seconds(Some(expiry), id::SESSION_EXPIRY),
            client_id: name.into(),
            will,
            user_name: None,
            password: None,
        };
        let arrival = Arrival { conn, connect, rights: Arc::new(Rights::All), assigned: Text::default() };
        (self.core.connect(arrival, self.now).unwrap().key, conn)
    }

    fn subscribe(&mut self, key: Key, filter: &str) {
        let bytes =
            [b"\x82", &[filter.len() as u8 + 6, 0, 1, 0, 0, filter.len() as u8][..], filter.as_bytes(), b"\x01"];
        let bytes = bytes.concat();
        let frame = frame(&bytes).unwrap().unwrap();
        let packet = decode(frame, Bytes::copy_from_slice(&bytes[frame.head..]), Version::V5).unwrap();
        self.core.packet(key, packet, self.now).unwrap();
    }

    fn publish(&mut self, topic: &str, text: &str, retain: bool, expiry: Option<u32>) {
        let id = PacketId::new(1);
        let properties = seconds(expiry, id::MESSAGE_EXPIRY);
        let payload = Bytes::copy_from_slice(text.as_bytes());
        let qos = QoS::AtLeastOnce;
        let publish = Publish { dup: false, qos, retain, topic: topic.into(), id, properties, payload };
        self.core.packet(self.publisher.unwrap(), Packet::Publish(publish), self.now).unwrap();
        self.settle();
    }

    /// All is written, all leaves, and all is answered.
    fn settle(&mut self) {
        loop {
            let before = self.disk.len();
            self.core.take_records(&mut self.disk);
            self.told += (self.disk.len() - before) as u64;
            self.core.stored(self.told, self.now);
            while self.core.take_end().is_some() {}
            let mut any = false;
            while let Some((conn, output)) = self.core.take_output() {
                any = true;
                self.read(conn, output);
            }
            self.core.turn(self.now);
            if !any && self.disk.len() == before {
                return;
            }
        }
    }

    fn read(&mut self, conn: ConnId, mut output: Output) {
        let mut bytes = Vec::new();
        while let Some(piece) = output.pop() {
            bytes.extend_from_slice(&piece);
        }
        let mut rest = &bytes[..];
        while let Some(found) = frame(rest).unwrap() {
            let Frame { head, .. } = found;
            let body = Bytes::copy_from_slice(&rest[head..found.len()]);
            rest = &rest[found.len()..];
            let Packet::Publish(publish) = decode(found, body, Version::V5).unwrap() else { continue };
            let text = String::from_utf8(publish.payload.to_vec()).unwrap();
            let left = publish.properties.number(id::MESSAGE_EXPIRY);
            self.seen.entry(conn).or_default().push((publish.topic.to_string(), text, left));
            let key =
                self.core.sessions.iter().find(|(_, session)| session.link().is_some_and(|link| link.conn == conn));
            if let (Some((key, _)), Some(id)) = (key, publish.id) {
                self.core.packet(key, Packet::PubAck(Ack::new(id, Reason::SUCCESS)), self.now).unwrap();
            }
        }
        assert!(rest.is_empty());
    }

    /// A will is published, as the model has it.
    fn publishes(&mut self, subject: usize) {
        let Some((text, _, retain, lives)) = self.subjects[subject].will.take() else { return };
        if retain {
            let expires = lives.map(|lives| self.at() + u64::from(lives) * 1000);
            self.retained.insert(format!("w/{subject}"), (text.clone(), expires));
        }
        self.due.push(text);
        self.wills += 1;
    }

    /// A subject's connection is gone, and was not ended in peace.
    fn was_lost(&mut self, subject: usize) {
        let at = self.at();
        let Subject { key, session, since, .. } = &mut self.subjects[subject];
        (*key, *since) = (None, at);
        if *session == Some(0) {
            *session = None;
            self.subjects[subject].waiting.clear();
            self.publishes(subject);
        } else {
            self.pass(subject);
        }
    }

    /// The will and the end of a subject that is away, if they are due by now.
    fn pass(&mut self, subject: usize) {
        let at = self.at();
        let Subject { key: None, session: Some(lasts), since, ref will, .. } = self.subjects[subject] else { return };
        if will.as_ref().is_some_and(|(_, delay, ..)| since + lasts.min(*delay) <= at) {
            self.publishes(subject);
        }
        if since + lasts <= at {
            self.subjects[subject].session = None;
            self.subjects[subject].waiting.clear();
        }
    }

    fn arrive(&mut self, subject: usize) {
        let clean = self.below(3) == 0;
        let expiry = self.below(6);
        let will = (self.below(4) > 0).then(|| (self.text(), self.below(5), self.below(2) == 0, self.lifetime()));
        let name = format!("subject-{subject}");
        if self.subjects[subject].key.is_some() {
            self.was_lost(subject);
        }
        if clean {
            self.publishes(subject);
            self.subjects[subject].session = None;
            self.subjects[subject].waiting.clear();
        }
        // It is called off.
        self.subjects[subject].will = None;
        let packet = will.clone().map(|(text, delay, retain, lives)| Will {
            qos: QoS::AtLeastOnce,
            retain,
            topic: Text::from(&*format!("w/{subject}")),
            properties: seconds(lives, id::MESSAGE_EXPIRY).with(id::WILL_DELAY, Value::Four(delay)),
            payload: Bytes::from(text.into_bytes()),
        });
        let (key, conn) = self.connect(&name, clean, expiry, packet);
        if self.subjects[subject].session.is_none() {
            self.subscribe(key, "m");
        }
        self.settle();
        let at = self.at();
        let left = |expires: u64| u32::try_from((expires - at).div_ceil(1000)).unwrap();
        let waiting = std::mem::take(&mut self.subjects[subject].waiting);
        let expected: Vec<Seen> = waiting
            .into_iter()
            .filter(|(_, expires)| expires.is_none_or(|expires| expires > at))
            .map(|(text, expires)| ("m".to_owned(), text, expires.map(left)))
            .collect();
        assert_eq!(self.seen.remove(&conn).unwrap_or_default(), expected, "{name} at {at}");
        let will = will.map(|(text, delay, retain, lives)| (text, u64::from(delay) * 1000, retain, lives));
        let all = &mut self.subjects[subject];
        (all.key, all.session, all.will) = (Some(key), Some(u64::from(expiry) * 1000), will);
    }

    fn lifetime(&mut self) -> Option<u32> {
        let lives = self.below(6);
        (lives > 0).then_some(lives)
    }

    fn leave(&mut self, subject: usize) {
        let Some(key) = self.subjects[subject].key else { return };
        let with_will = self.below(2) == 0;
        let reason = if with_will { Reason::DISCONNECT_WITH_WILL } else { Reason::SUCCESS };
        let lasts = self.subjects[subject].session.unwrap();
        let other = (lasts > 0 && self.below(2) == 0).then(|| self.below(4));
        let goodbye = Disconnect { reason, properties: seconds(other, id::SESSION_EXPIRY) };
        assert_eq!(self.core.packet(key, Packet::Disconnect(goodbye), self.now), Err(Stop::Goodbye));
        if !with_will {
            self.subjects[subject].will = None;
        }
        self.subjects[subject].session = Some(other.map_or(lasts, |other| u64::from(other) * 1000));
        self.was_lost(subject);
    }

    /// A message to all subjects.
    fn say(&mut self) {
        let (text, lives) = (self.text(), self.lifetime());
        let expires = lives.map(|lives| self.at() + u64::from(lives) * 1000);
        for subject in self.subjects.iter_mut().filter(|subject| subject.key.is_none() && subject.session.is_some()) {
            subject.waiting.push((text.clone(), expires));
        }
        self.publish("m", &text, false, lives);
    }

    fn keep(&mut self) {
        let topic = format!("r/{}", self.below(3));
        if self.below(3) == 0 {
            self.retained.remove(&topic);
            return self.publish(&topic, "", true, None);
        }
        let (text, lives) = (self.text(), self.lifetime());
        let expires = lives.map(|lives| self.at() + u64::from(lives) * 1000);
        self.retained.insert(topic.clone(), (text.clone(), expires));
        self.publish(&topic, &text, true, lives);
    }

    fn crash(&mut self) {
        let mut image = Image::default();
        self.disk.drain(..).for_each(|record| image.add(record));
        self.disk = image.records();
        let mut again = Image::default();
        self.disk.iter().for_each(|record| again.add(record.clone()));
        self.core = Core::restore(Limits::default(), again, self.now);
        self.told = 0;
        for subject in 0..SUBJECTS {
            if self.subjects[subject].key.is_some() {
                self.was_lost(subject);
            }
        }
        self.seen.clear();
        let before = self.disk.len();
        self.core.take_records(&mut self.disk);
        self.told = (self.disk.len() - before) as u64;
        self.enter();
    }

    fn step(&mut self) {
        let subject = self.below(SUBJECTS as u32) as usize;
        match self.below(100) {
            0..=19 => self.arrive(subject),
            20..=29 => self.leave(subject),
            30..=39 => {
                if let Some(key) = self.subjects[subject].key {
                    self.core.lost(key, self.now);
                    self.was_lost(subject);
                }
            }
            40..=59 => self.say(),
            60..=69 => self.keep(),
            70..=72 => self.crash(),
            _ => {
                // One step of the clock at a time, so that the model need not know an order.
                self.now = self.now.after(Duration::from_millis(500));
                self.core.tick(self.now);
                (0..SUBJECTS).for_each(|subject| self.pass(subject));
            }
        }
        self.settle();
        self.look();
    }

    /// The wills that the watcher has seen, and all that is retained.
    fn look(&mut self) {
        let mut seen: Vec<String> = Vec::new();
        for (topic, text, _) in self.seen.values().flatten() {
            seen.extend(topic.starts_with("w/").then(|| text.clone()));
        }
        self.seen.clear();
        let mut due = std::mem::take(&mut self.due);
        seen.sort();
        due.sort();
        assert_eq!(seen, due, "wills");
        let (key, conn) = self.connect("visitor", true, 0, None);
        self.subscribe(key, "#");
        self.settle();
        let mut found = self.seen.remove(&conn).unwrap_or_default();
        found.sort();
        let at = self.at();
        self.retained.retain(|_, (_, expires)| expires.is_none_or(|expires| expires > at));
        let left = |expires: u64| u32::try_from((expires - at).div_ceil(1000)).unwrap();
        let kept = |(topic, (text, expires)): (&String, &(String, Option<u64>))| {
            (topic.clone(), text.clone(), expires.map(left))
        };
        assert_eq!(found, self.retained.iter().map(kept).collect::<Vec<Seen>>(), "retained");
        self.core.lost(key, self.now);
        self.settle();
    }
}

#[test]
fn all_that_expires_or_waits_is_seen_at_its_time_and_once() {
    let seeds = std::env::var("BROKER_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut wills = 0;
    for seed in 0..seeds {
        let mut world = World::new(seed);
        for step in 0..STEPS {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.step()));
            assert!(done.is_ok(), "seed {seed}, step {step}");
        }
        wills += world.wills;
    }
    assert!(wills as u64 > seeds * 5, "{wills} wills");
}
