//! A client of another kind than HTTP/1's: several exchanges at once, answers as values (`client/streams.rs`).

use super::{SECOND, World};
use crate::{
    app::ConnId,
    http::{BodyLength, Method, RequestHead, Status},
    proxy::{
        Census,
        client::{Ending, streams::Said},
    },
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use std::collections::BTreeMap;

impl World {
    fn streams(&mut self) -> ConnId {
        let conn = self.cx.allocate();
        self.proxy.accept_streams(conn, ([192, 0, 2, 7], 4000).into());
        conn
    }

    fn ask(&mut self, conn: ConnId, id: u32, method: Method, path: &str, body: BodyLength) {
        let mut head = RequestHead::new(method, path).unwrap();
        head.fields.push("Host", "a");
        self.proxy.ask(&mut self.cx, conn, id, head, body);
        self.settle();
    }

    fn get(&mut self, conn: ConnId, id: u32, path: &str) {
        self.ask(conn, id, Method::Get, path, BodyLength::Empty);
    }

    fn more(&mut self, conn: ConnId, id: u32, content: &[u8], complete: bool) {
        self.proxy.more(&mut self.cx, conn, id, content, complete);
        self.settle();
    }

    fn said(&mut self, conn: ConnId, id: u32) -> Told {
        let said = self.proxy.said(&mut self.cx, conn, id);
        self.settle();
        let mut told = Told::default();
        said.into_iter().for_each(|said| told.hear(said));
        told
    }
}

/// The reply as one stream got it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    status: Option<Status>,
    fields: String,
    content: String,
    ended: bool,
    over: Option<Ending>,
}

impl Told {
    /// One more piece, which has to come in the order of a message.
    fn hear(&mut self, said: Said) {
        assert_eq!(self.over, None, "{said:?} after the end");
        match said {
            Said::Interim(_) => assert_eq!(self.status, None),
            Said::Head(status, fields) => {
                assert_eq!(self.status.replace(status), None, "a second head");
                self.fields = fields.iter().map(|(name, _)| name.to_owned() + " ").collect();
            }
            Said::Data(data) => {
                assert!(!self.ended, "content after its end");
                self.content.push_str(std::str::from_utf8(&data).unwrap());
            }
            Said::End(_) => self.ended = true,
            Said::Over(ending) => self.over = Some(ending),
        }
    }
}

fn answer(content: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nKeep-Alive: 5\r\n\r\n{content}", content.len())
}

#[test]
fn several_are_answered_at_once_and_in_any_order() {
    let mut world = World::new(&[]);
    let client = world.streams();
    for id in [1, 3, 5] {
        world.get(client, id, &format!("/{id}"));
    }
    let backends: Vec<ConnId> = (0..3).map(|_| world.opened()).collect();
    for backend in &backends {
        world.connect(*backend);
    }
    for (at, id) in [(2, 5), (0, 1), (1, 3)] {
        assert!(world.sent(backends[at]).starts_with(&format!("GET /{id} HTTP/1.1\r\n")));
        world.say(backends[at], &answer(&format!("for {id}")));
        let told = world.said(client, id);
        assert_eq!((told.content.as_str(), told.ended, told.over), (&*format!("for {id}"), true, Some(Ending::Clean)));
        assert_eq!(told.fields, "Date Via Content-Length ", "nothing of it is about a connection");
    }
}

#[test]
fn the_end_of_one_is_not_the_end_of_another() {
    let mut world = World::new(&[]);
    let client = world.streams();
    world.get(client, 1, "/1");
    world.get(client, 3, "/3");
    world.get(client, 5, "/5");
    let (first, second, third) = (world.opened(), world.opened(), world.opened());
    [first, second, third].into_iter().for_each(|backend| world.connect(backend));
    world.say(first, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    world.end(first);
    world.proxy.reset(&mut world.cx, client, 5);
    world.settle();
    assert_eq!(world.ended(third), "abort", "the backend of a stream that was given up");
    let told = world.said(client, 1);
    assert_eq!((told.content.as_str(), told.ended, told.over), ("half", false, Some(Ending::Broken)));
    // An HTTP/1.0 backend that ends the content with its connection: a stream says by itself where it ends.
    world.say(second, "HTTP/1.0 200 OK\r\n\r\nall");
    world.end(second);
    let told = world.said(client, 3);
    assert_eq!((told.content.as_str(), told.ended, told.over), ("all", true, Some(Ending::Clean)));
}

#[test]
fn content_goes_to_the_backend_of_its_stream() {
    let mut world = World::new(&[]);
    let client = world.streams();
    world.ask(client, 1, Method::Post, "/1", BodyLength::Exact(6));
    world.ask(client, 3, Method::Post, "/3", BodyLength::Chunked);
    world.more(client, 3, b"three", true);
    world.more(client, 1, b"one", false);
    let (first, second) = (world.opened(), world.opened());
    world.connect(first);
    world.connect(second);
    world.more(client, 1, b"one", true);
    assert!(world.sent(first).ends_with("\r\n\r\noneone"));
    assert!(world.sent(second).ends_with("\r\n\r\n5\r\nthree\r\n0\r\n\r\n"));
}

#[test]
fn an_answer_of_the_proxy_itself_is_a_value_too() {
    let mut world = World::new(&["--connect-timeout", "1s"]);
    let client = world.streams();
    world.get(client, 1, "/");
    world.pass(SECOND * 10);
    let told = world.said(client, 1);
    assert_eq!((told.status, told.ended, told.over), (Some(Status::GATEWAY_TIMEOUT), true, Some(Ending::Clean)));
    assert_eq!(told.fields, "Proxy-Status ");
}

#[test]
fn one_fetch_answers_several_streams_and_later_ones_hit() {
    let mut world = World::caching(&[]);
    let client = world.streams();
    for id in [1, 3, 5] {
        world.get(client, id, "/same");
    }
    let backend = world.opened();
    assert!(world.opened_none(), "one asks, the others follow");
    world.connect(backend);
    world.say(backend, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nsame");
    world.wake();
    world.get(client, 7, "/same");
    for id in [1, 3, 5, 7] {
        let told = world.said(client, id);
        assert_eq!((told.content.as_str(), told.ended, told.over), ("same", true, Some(Ending::Clean)), "{id}");
    }
}

/// Streams ask, speak, leave and are answered in any order, by backends that answer whole, in pieces, half or not at all.
/// Each stream gets its own answer, whole or broken off; and in the end nothing is left.
#[test]
fn each_gets_its_own_answer_whatever_the_order() {
    for seed in 0..60 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut run = Run::new(if random.random() { World::caching(&[]) } else { World::new(&["--retries", "1"]) });
        for _ in 0..120 {
            run.step(&mut random);
        }
        run.end();
        run.judge(seed);
    }
}

struct Run {
    world: World,
    client: ConnId,
    asked: u32,
    /// Backend connections, with what each has still to say.
    backends: BTreeMap<ConnId, String>,
    told: BTreeMap<u32, Told>,
    reset: Vec<u32>,
}

impl Run {
    fn new(mut world: World) -> Self {
        let client = world.streams();
        Self { world, client, asked: 0, backends: BTreeMap::new(), told: BTreeMap::new(), reset: Vec::new() }
    }

    fn step(&mut self, random: &mut SmallRng) {
        match random.random_range(0..10) {
            0..3 => self.ask(random),
            3 => {
                let id = random.random_range(0..=self.asked);
                if id > 0 && !self.reset.contains(&id) && self.told.get(&id).is_none_or(|told| told.over.is_none()) {
                    self.world.proxy.reset(&mut self.world.cx, self.client, id);
                    self.world.settle();
                    self.reset.push(id);
                }
            }
            4 => self.world.pass(SECOND),
            _ => self.answer(random),
        }
        self.listen();
    }

    fn ask(&mut self, random: &mut SmallRng) {
        self.asked += 1;
        let (id, length) = (self.asked, random.random_range(0..40));
        // A few ask for the same, so that they may share an answer.
        let path = format!("/{}", if random.random() { id } else { 0 });
        if random.random_range(0..3) == 0 {
            self.world.ask(self.client, id, Method::Post, &path, BodyLength::Exact(length));
            self.world.more(self.client, id, &vec![b'x'; usize::try_from(length).unwrap()], true);
        } else {
            self.world.get(self.client, id, &path);
        }
    }

    /// One of the backends connects, or says a piece more, or ends.
    fn answer(&mut self, random: &mut SmallRng) {
        while !self.world.opened_none() {
            let conn = self.world.opened();
            self.world.connect(conn);
            self.backends.insert(conn, String::new());
        }
        self.backends.retain(|conn, _| self.world.cx.is_open(*conn));
        let Some(at) = (!self.backends.is_empty()).then(|| random.random_range(0..self.backends.len())) else { return };
        let (&conn, rest) = self.backends.iter_mut().nth(at).unwrap();
        let heard = self.world.sent(conn);
        if let Some(path) = heard.split(' ').nth(1) {
            *rest = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=1\r\nContent-Length: 50\r\n\r\n{path:.<50}");
        }
        if random.random_range(0..12) == 0 {
            return self.world.end(conn);
        }
        let piece: String = rest.drain(..random.random_range(0..=rest.len())).collect();
        self.world.say(conn, &piece);
    }

    fn listen(&mut self) {
        for id in 1..=self.asked {
            for said in self.world.proxy.said(&mut self.world.cx, self.client, id) {
                self.told.entry(id).or_default().hear(said);
            }
        }
        self.world.wake();
    }

    /// Every deadline passes, also of those that wait for others.
    fn end(&mut self) {
        for _ in 0..3 {
            self.world.pass(SECOND * 100);
            self.listen();
        }
    }

    fn judge(&mut self, seed: u64) {
        for id in 1..=self.asked {
            let told = self.told.get(&id).unwrap_or_else(|| panic!("seed {seed}: stream {id} was told nothing"));
            match told.over {
                None => panic!("seed {seed}: stream {id} waits: {told:?}"),
                Some(Ending::Broken) => {}
                Some(Ending::Clean) => assert!(told.ended, "seed {seed}: {told:?}"),
            }
            if told.status == Some(Status::OK) {
                let path = told.content.trim_end_matches('.');
                let own = format!("/{id}");
                assert!(
                    own.starts_with(path) || path == "/0",
                    "seed {seed}: stream {id} got another's answer: {told:?}"
                );
                assert!(!told.ended || told.content.len() == 50, "seed {seed}: cut short, and not said so: {told:?}");
            }
        }
        let left = Census { clients: 1, ..Census::default() };
        let census = self.world.proxy.census();
        assert_eq!(Census { idle: 0, ..census }, left, "seed {seed}");
    }
}
