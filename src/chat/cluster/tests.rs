//! Several halls around one store, in a world where all that can go wrong goes wrong, by a seed: connections break at any moment, the store
//! loses all it has, commands and answers wait as long as they like.

use super::{Cluster, Tag};
use crate::{
    chat::{
        command,
        event::Told,
        hall::{Effect, Hall, PersonId, Token},
        limits::Limits,
        record::Archive,
    },
    redis::{Event, Lost},
    resp::Value,
    service::testing::now,
    time::Now,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

type Words = Vec<Vec<u8>>;
type Id = (u64, u64);
type Entry = (Id, [Vec<u8>; 2]);

/// The part of Redis that a cluster uses.
#[derive(Default)]
struct Store {
    streams: BTreeMap<String, Vec<Entry>>,
    rooms: BTreeSet<Vec<u8>>,
    /// The time of entries that are not numbered.
    time: u64,
}

fn text(text: impl AsRef<[u8]>) -> Value {
    Value::Text(text.as_ref().to_vec())
}

fn entries<'e>(entries: impl Iterator<Item = &'e Entry>) -> Value {
    let shown = |((time, number), fields): &Entry| {
        Value::List(vec![text(format!("{time}-{number}")), Value::List(fields.iter().map(text).collect())])
    };
    Value::List(entries.map(shown).collect())
}

impl Store {
    /// Carries out a command. A message of a channel is returned beside the answer.
    fn run(&mut self, words: &Words) -> (Value, Option<(String, Vec<u8>)>) {
        let word = |at: usize| String::from_utf8(words[at].clone()).unwrap();
        let key = words.get(1).map(|_| word(1)).unwrap_or_default();
        let answer = match word(0).as_str() {
            "XADD" => self.add(&key, words),
            "XRANGE" => {
                let (from, after) = match word(2).strip_prefix('(') {
                    Some(from) => (id(from), true),
                    None => (id(&word(2)), false),
                };
                let count = word(5).parse().unwrap();
                let stream = self.streams.get(&key).into_iter().flatten();
                let fits = |entry: &&(Id, _)| if after { entry.0 > from } else { entry.0 >= from };
                entries(stream.filter(fits).take(count))
            }
            "XREVRANGE" => entries(self.streams.get(&key).into_iter().flatten().rev().take(1)),
            "SADD" => Value::Int(i64::from(self.rooms.insert(words[2].clone()))),
            "SREM" => Value::Int(i64::from(self.rooms.remove(&words[2]))),
            "SMEMBERS" => Value::List(self.rooms.iter().map(text).collect()),
            "DEL" => Value::Int(i64::from(self.streams.remove(&key).is_some())),
            "EXPIRE" => Value::Int(1),
            "PUBLISH" => return (Value::Int(1), Some((key, words[2].clone()))),
            other => panic!("{other}"),
        };
        (answer, None)
    }

    fn add(&mut self, key: &str, words: &Words) -> Value {
        let stream = self.streams.entry(key.to_owned()).or_default();
        let at = if words[2] == b"MAXLEN" { 5 } else { 2 };
        let last = stream.last().map_or((0, 0), |(id, _)| *id);
        let next = match &words[at][..] {
            b"*" => {
                self.time += 1;
                (self.time, 0)
            }
            b"0-*" => (0, last.1 + 1),
            given => id(std::str::from_utf8(given).unwrap()),
        };
        if next <= last {
            return Value::Error(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item".into(),
            );
        }
        stream.push((next, [words[at + 1].clone(), words[at + 2].clone()]));
        text(format!("{}-{}", next.0, next.1))
    }
}

fn id(text: &str) -> Id {
    let (time, number) = text.split_once('-').unwrap();
    (time.parse().unwrap(), number.parse().unwrap())
}

/// A server, its way to the store, and its two people.
struct Node {
    me: String,
    hall: Hall,
    cluster: Cluster,
    is_connected: bool,
    commands: VecDeque<(Words, Tag)>,
    events: VecDeque<Event<Tag>>,
    people: Vec<PersonId>,
    /// The messages that each of them has heard: numbers and words.
    heard: Vec<Vec<(u64, String)>>,
    said: u64,
    /// Words for one person: how many were meant to be sent, how many of them were answered, and which were told as sent.
    posted: u64,
    answered: u64,
    sent: Vec<String>,
    /// Words for one person that came here.
    post: Vec<String>,
}

impl Node {
    fn new(number: usize, now: Now) -> Self {
        let me = format!("s{number}");
        let mut hall = Hall::new(Limits { history: 1000, ..Limits::default() }, Archive::default(), None, now);
        hall.join_company(&me);
        let people = ["a", "b"].map(|name| {
            let id = hall.arrive(Token(format!("{me}{name}")), now).unwrap();
            for line in [format!("/nick {name}{number}"), "/join tea".to_owned(), "/echo on".to_owned()] {
                hall.command(id, command::parse(&line).unwrap(), now);
            }
            id
        });
        let cluster = Cluster::new(&me, 1000);
        let (commands, events) = (VecDeque::new(), VecDeque::new());
        let heard = vec![Vec::new(); 2];
        let people = people.to_vec();
        let (posted, answered, sent, post) = (0, 0, Vec::new(), Vec::new());
        let (is_connected, said) = (false, 0);
        let mut node = Self {
            me,
            hall,
            cluster,
            is_connected,
            commands,
            events,
            people,
            heard,
            said,
            posted,
            answered,
            sent,
            post,
        };
        node.settle(now);
        node
    }

    fn settle(&mut self, now: Now) {
        let mut effects = Vec::new();
        loop {
            self.hall.take_effects(&mut effects);
            if effects.is_empty() {
                break;
            }
            for effect in effects.drain(..) {
                match effect {
                    Effect::Share(share) => self.cluster.share(*share),
                    Effect::Record(_) => self.hall.stored(1, now),
                    Effect::Tell(id, event) | Effect::TellAgain(id, event) => {
                        let person = self.people.iter().position(|person| *person == id);
                        match (person, &event.told) {
                            (Some(person), Told::Said { seq, text, .. }) => {
                                self.heard[person].push((*seq, text.clone()))
                            }
                            (_, Told::Direct { text, .. }) => self.post.push(text.clone()),
                            (_, Told::Sent { text, .. }) => {
                                self.sent.push(text.clone());
                                self.answered += 1;
                            }
                            (_, Told::Refused { .. }) => self.answered += 1,
                            _ => {}
                        }
                    }
                    Effect::End(..) | Effect::Ask(..) | Effect::Move { .. } => {}
                }
            }
        }
        let asks = self.cluster.take_asks();
        if self.is_connected {
            self.commands.extend(asks);
        }
        if self.cluster.take_broken().is_some() {
            self.cut();
        }
    }

    /// One of its people says something.
    fn say(&mut self, person: usize, now: Now) {
        self.said += 1;
        let line = format!("{} {}", self.me, self.said);
        self.hall.command(self.people[person], command::parse(&line).unwrap(), now);
        self.settle(now);
    }

    /// One of its people says something to a person of another server.
    fn post(&mut self, to: usize, now: Now) {
        self.posted += 1;
        let line = format!("/msg a{to} {} {}", self.me, self.posted);
        self.hall.command(self.people[0], command::parse(&line).unwrap(), now);
        self.settle(now);
    }

    /// Its connection breaks. Some of what is on its way arrives at the store, and no answer comes back.
    fn cut(&mut self) {
        if !std::mem::replace(&mut self.is_connected, false) {
            return;
        }
        let answers = std::mem::take(&mut self.events);
        let lost = answers.into_iter().filter_map(|event| match event {
            Event::Answer(tag, _) => Some(Event::Answer(tag, Err(Lost))),
            _ => None,
        });
        let unsent = self.commands.drain(..).map(|(_, tag)| Event::Answer(tag, Err(Lost)));
        self.events = lost.chain(unsent).chain([Event::Down("cut".to_owned())]).collect();
    }

    /// One event of the client.
    fn hear(&mut self, now: Now) -> bool {
        let Some(event) = self.events.pop_front() else { return false };
        self.cluster.heard(event, &mut self.hall, now);
        self.settle(now);
        true
    }
}

struct World {
    store: Store,
    nodes: Vec<Node>,
    now: Now,
}

impl World {
    /// The store carries out one command of a server.
    fn serve(&mut self, at: usize) -> bool {
        let Some((words, tag)) = self.nodes[at].commands.pop_front() else { return false };
        let (answer, message) = self.store.run(&words);
        if let Some((channel, letter)) = message {
            for node in self.nodes.iter_mut().filter(|node| node.is_connected) {
                if channel == "chat:all" || channel == format!("chat:to:{}", node.me) {
                    let items = vec![text("message"), text(&channel), text(&letter)];
                    node.events.push_back(Event::Push(items));
                }
            }
        }
        self.nodes[at].events.push_back(Event::Answer(tag, Ok(answer)));
        true
    }

    fn connect(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if !node.is_connected && node.events.is_empty() {
            node.is_connected = true;
            node.events.push_back(Event::Up);
        }
    }

    /// Until nothing is on its way.
    fn rest(&mut self) {
        loop {
            let mut busy = false;
            for at in 0..self.nodes.len() {
                busy |= self.serve(at) | self.nodes[at].hear(self.now);
            }
            if !busy {
                return;
            }
        }
    }

    fn step(&mut self, random: &mut SmallRng) {
        let at = random.random_range(0..self.nodes.len());
        match random.random_range(0..100) {
            0..40 => {
                self.serve(at);
            }
            40..80 => {
                self.nodes[at].hear(self.now);
            }
            80..84 => {
                let to = random.random_range(1..self.nodes.len());
                self.nodes[at].post((at + to) % 3, self.now);
            }
            84..92 => {
                let person = random.random_range(0..2);
                self.nodes[at].say(person, self.now);
            }
            92..94 => self.nodes[at].cut(),
            94..99 => self.connect(at),
            _ if random.random_range(0..4) == 0 => {
                self.store = Store { time: self.store.time, ..Store::default() };
                self.nodes.iter_mut().for_each(Node::cut);
            }
            _ => {}
        }
    }
}

/// In any world, each hears no words twice and numbers that only grow, and all that its own server's people say. In the end all are
/// together, and hear the same again.
#[test]
fn nothing_is_heard_twice_and_own_words_are_heard_once() {
    let worlds = std::env::var("CLUSTER_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    for seed in 0..worlds {
        let (mut random, now) = (SmallRng::seed_from_u64(seed), now());
        let nodes = (0..3).map(|number| Node::new(number, now)).collect();
        let mut world = World { store: Store::default(), nodes, now };
        for _ in 0..1500 {
            world.step(&mut random);
        }
        world.rest();
        for _ in 0..2 {
            (0..3).for_each(|at| world.connect(at));
            world.rest();
        }
        let before: Vec<usize> = world.nodes.iter().map(|node| node.heard[0].len()).collect();
        for at in 0..3 {
            world.nodes[at].say(1, now);
        }
        world.rest();
        for (at, node) in world.nodes.iter().enumerate() {
            assert_eq!(node.answered, node.posted, "seed {seed}: each of its words for one person has one answer");
            let arrived: Vec<&String> = world.nodes.iter().flat_map(|other| &other.post).collect();
            for text in &node.sent {
                assert_eq!(arrived.iter().filter(|other| **other == text).count(), 1, "seed {seed}: {at}: {text}");
            }
            for heard in &node.heard {
                assert!(heard.is_sorted_by(|(one, _), (next, _)| one < next), "seed {seed}: {heard:?}");
                let words: BTreeSet<&str> = heard.iter().map(|(_, text)| text.as_str()).collect();
                assert_eq!(words.len(), heard.len(), "seed {seed}: words twice");
                let own = (1..=node.said).map(|number| format!("{} {number}", node.me));
                let mut own_heard = heard.iter().filter(|(_, text)| text.starts_with(&format!("{} ", node.me)));
                let mut missing: Vec<String> = own.collect();
                own_heard.by_ref().for_each(|(_, text)| missing.retain(|own| own != text));
                assert!(missing.is_empty(), "seed {seed}: {missing:?} of its own are missing");
            }
        }
        let last: Vec<&[(u64, String)]> =
            world.nodes.iter().zip(before).map(|(node, before)| &node.heard[0][before..]).collect();
        assert!(last[0].len() >= 3 && last.iter().all(|heard| *heard == last[0]), "seed {seed}: {last:?}");
    }
}
