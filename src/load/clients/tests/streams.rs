//! Clients with streams, against servers that speak HTTP/2, on a fake clock.

use super::{MILLI, SECOND, millis};
use crate::{
    app::{Action, App, ConnId, Cx},
    buf::Output,
    http::{Fields, Method, Status},
    http2::{Cause, Connection, ErrorCode, Event, Limits, PREFACE, Role},
    load::{
        Http2Script, Kind, Record, Script, Target, Timeline,
        clients::{Clients, Control, Orders},
    },
    time::{Instant, Now},
};
use std::{
    collections::BTreeMap,
    io::ErrorKind,
    sync::{Arc, mpsc::channel},
    time::{Duration, SystemTime},
};

/// The server's behaviour by a request's number among all, from 0.
type Server = fn(usize) -> Does;

#[derive(Debug, Clone, Copy)]
enum Does {
    /// Answers after so long.
    Answer(Duration),
    Nothing,
    Reset(ErrorCode),
    /// Says goodbye: this request and later ones of its connection were not looked at. The one before it is answered.
    GoAway(ErrorCode),
    /// Says goodbye as usual, and then breaks the connection with all that runs on it.
    Break,
    /// Says this, which is against the rules.
    Say(&'static [u8]),
}

struct World {
    clients: Clients,
    cx: Cx,
    control: Arc<Control>,
    begin: Instant,
    servers: BTreeMap<ConnId, Connection>,
    /// Streams to be answered.
    due: Vec<(Instant, ConnId, u32)>,
    /// Bytes on their way to the clients.
    said: Vec<(ConnId, Vec<u8>)>,
    server: Server,
    limits: Arc<Limits>,
    requests: usize,
    /// The most requests that were open on one connection.
    most: usize,
    /// Streams that the clients gave up.
    given_up: usize,
    /// Content that came.
    content: usize,
}

/// The shape of a run.
#[derive(Clone, Copy)]
struct Shape {
    rate: Option<u64>,
    clients: usize,
    streams: u32,
    /// Content of each request.
    body: usize,
    keep_alive: bool,
    /// Streams that the server allows.
    allows: u32,
}

const SHAPE: Shape = Shape { rate: None, clients: 1, streams: 4, body: 0, keep_alive: true, allows: 100 };

impl World {
    fn new(shape: Shape, server: Server) -> Self {
        #[allow(clippy::disallowed_methods)] // Any time will do to start from.
        let begin = Instant::now();
        let target: Target = "http://127.0.0.1:1/".parse().unwrap();
        let Shape { rate, clients, streams, body, keep_alive, allows } = shape;
        let method = if body > 0 { Method::Post } else { Method::Get };
        let script = Http2Script::new(&target, method, &[], &vec![b'x'; body], streams, keep_alive).unwrap();
        let orders = Orders {
            to: "127.0.0.1:1".parse().unwrap(),
            script: Script::Http2(script),
            callee: None,
            clients,
            slots: streams,
            keep_alive,
            timeout: 3 * SECOND,
            rate,
            thread: 0,
            threads: 1,
        };
        let control = Arc::new(Control::default());
        let record = Record::new(Duration::from_millis(100));
        let clients = Clients::new(orders, record, Arc::clone(&control), channel().0, |cx| cx.now(), begin);
        Self {
            clients,
            cx: Cx::new(Now { instant: begin, wall: SystemTime::UNIX_EPOCH }),
            control,
            begin,
            servers: BTreeMap::new(),
            due: Vec::new(),
            said: Vec::new(),
            server,
            limits: Arc::new(Limits { max_streams: allows, ..Limits::default() }),
            requests: 0,
            most: 0,
            given_up: 0,
            content: 0,
        }
    }

    /// Carries out what both sides want, until they want nothing.
    fn settle(&mut self) {
        loop {
            let mut actions = Vec::new();
            self.cx.take_actions(&mut actions);
            if actions.is_empty() && self.said.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Connect(conn, _) => {
                        let server = Connection::new(Role::Server, self.limits.clone(), self.cx.now());
                        self.servers.insert(conn, server);
                        self.clients.connected(&mut self.cx, conn);
                        self.write(conn);
                    }
                    Action::Send(conn, bytes) => self.hear(conn, &bytes),
                    Action::HangUp(conn) | Action::Close(conn) | Action::Abort(conn) => {
                        self.servers.remove(&conn);
                    }
                    _ => {}
                }
            }
            for (conn, bytes) in std::mem::take(&mut self.said) {
                if !self.cx.is_open(conn) {
                    continue;
                }
                if bytes.is_empty() {
                    self.clients.failed(&mut self.cx, conn, ErrorKind::ConnectionReset);
                } else {
                    self.clients.received(&mut self.cx, conn, &bytes);
                }
            }
        }
    }

    /// The server of this connection hears something.
    fn hear(&mut self, conn: ConnId, mut bytes: &[u8]) {
        let now = self.cx.now();
        let Some(mut server) = self.servers.remove(&conn) else { return };
        while let Some(event) = server.next(&mut bytes, now) {
            match event {
                Event::Request { stream, .. } => self.asked(conn, &mut server, stream),
                Event::Data { stream, data } => {
                    self.content += data.len();
                    server.took(stream, data.len());
                }
                Event::Reset { .. } => self.given_up += 1,
                Event::End { .. } | Event::GoAway(_) => {}
                other => panic!("{other:?}"),
            }
            self.most = self.most.max(server.open());
        }
        self.servers.insert(conn, server);
        self.write(conn);
    }

    fn asked(&mut self, conn: ConnId, server: &mut Connection, stream: u32) {
        let does = (self.server)(self.requests);
        self.requests += 1;
        match does {
            Does::Answer(after) => self.due.push((self.cx.now() + after, conn, stream)),
            Does::Nothing => {}
            Does::Reset(code) => server.reset(stream, code),
            Does::Say(bytes) => self.said.push((conn, bytes.to_vec())),
            Does::GoAway(_) | Does::Break => {
                let code = if let Does::GoAway(code) = does { code } else { ErrorCode::NO_ERROR };
                let last = stream.saturating_sub(2).to_be_bytes();
                let frame = [&[0, 0, 8, 7, 0, 0, 0, 0, 0][..], &last, &code.0.to_be_bytes()].concat();
                self.said.push((conn, frame));
                if let Does::Break = does {
                    self.said.push((conn, Vec::new()));
                }
            }
        }
    }

    fn write(&mut self, conn: ConnId) {
        let Some(server) = self.servers.get_mut(&conn) else { return };
        let mut output = Output::new();
        server.write(&mut output, usize::MAX, self.cx.now());
        let bytes: Vec<u8> = std::iter::from_fn(|| output.pop()).flatten().collect();
        if !bytes.is_empty() {
            self.said.push((conn, bytes));
        }
    }

    /// Lets everything happen that happens before `until`, in order.
    fn run(&mut self, until: Instant) {
        loop {
            let due = self.due.iter().map(|(at, ..)| *at).chain(self.cx.next_deadline()).min();
            let Some(next) = due.filter(|next| *next < until) else { break };
            self.set_clock(next.max(self.cx.now()));
            let now = self.cx.now();
            for (_, conn, stream) in self.due.extract_if(.., |(at, ..)| *at <= now).collect::<Vec<_>>() {
                let Some(server) = self.servers.get_mut(&conn) else { continue };
                if let Some(head) = server.respond(stream, Status::OK) {
                    head.finish(false);
                    server.send_copy(stream, b"hello");
                    server.finish(stream, Fields::new());
                }
                self.write(conn);
                self.settle();
            }
            while let Some(key) = self.cx.next_expired() {
                self.clients.expired(&mut self.cx, key);
                self.settle();
            }
        }
        self.set_clock(until);
    }

    fn set_clock(&mut self, now: Instant) {
        self.cx.set_clock(Now { instant: now, wall: SystemTime::UNIX_EPOCH });
    }

    /// A whole run of so long.
    fn finish(&mut self, duration: Duration) -> Record {
        self.clients.started(&mut self.cx);
        self.settle();
        let end = self.begin + duration;
        self.control.line.set(Timeline { begin: self.begin, measure: self.begin, end }).unwrap();
        self.clients.woken(&mut self.cx);
        self.settle();
        self.run(end);
        self.clients.drain(&mut self.cx);
        self.settle();
        self.run(end + 10 * SECOND);
        assert_eq!(self.cx.open(), 0, "nothing is left");
        let record = self.clients.record.clone();
        assert_eq!(record.started, record.answered + record.failures.total() + record.unfinished);
        record
    }
}

#[test]
fn as_many_streams_as_the_server_allows_and_no_more_than_asked_for() {
    for (allows, streams, used) in [(100, 4, 4), (4, 4, 4), (3, 4, 3), (1, 1000, 1), (100, 1, 1)] {
        let mut world = World::new(Shape { streams, allows, clients: 2, ..SHAPE }, |_| Does::Answer(MILLI));
        let record = world.finish(SECOND);
        assert_eq!((world.most, record.failures.total(), record.connections), (used, 0, 2), "{allows} {streams}");
        // Each stream carries a thousand, and those that were parked are not begun and then waited for.
        assert_eq!(record.started, 2000 * used as u64, "{allows} {streams}");
        assert!(millis(&record.latency, 100.0) <= 2, "{allows} {streams}");
        assert_eq!(record.allowed, Some(allows));
    }
}

#[test]
fn a_fixed_rate_is_kept_with_streams_and_counts_what_no_stream_was_free_for() {
    let shape = Shape { rate: Some(1000), streams: 8, ..SHAPE };
    let record = World::new(shape, |_| Does::Answer(4 * MILLI)).finish(SECOND);
    assert_eq!((record.started, record.never_sent, record.failures.total()), (1000, 0, 0));
    // Two streams, five milliseconds each: 400 a second. Requests wait from when they were due.
    let shape = Shape { allows: 2, ..shape };
    let record = World::new(shape, |_| Does::Answer(5 * MILLI)).finish(SECOND);
    assert_eq!(record.started + record.never_sent, 1000);
    assert!((399..=402).contains(&record.started), "{}", record.started);
    assert!(millis(&record.latency, 100.0) > 500 && millis(&record.service, 100.0) <= 6);
}

#[test]
fn answers_come_in_any_order_and_each_has_its_own_time() {
    let slow_and_quick = |number: usize| Does::Answer(if number.is_multiple_of(4) { 100 * MILLI } else { MILLI });
    let record = World::new(SHAPE, slow_and_quick).finish(SECOND);
    assert_eq!(record.failures.total(), 0);
    assert!(millis(&record.latency, 50.0) <= 2 && (100..=101).contains(&millis(&record.latency, 100.0)));
}

#[test]
fn a_request_that_is_never_answered_times_out_alone() {
    let mut world = World::new(SHAPE, |number| if number == 1 { Does::Nothing } else { Does::Answer(MILLI) });
    let record = world.finish(4 * SECOND);
    assert_eq!((record.failures.of(Kind::Timeout), record.failures.total(), record.connections), (1, 1, 1));
    assert_eq!(world.given_up, 1, "the server hears of it");
    // Its stream is used again.
    assert!(record.answered > 3 * 4000 - 10, "{}", record.answered);
}

#[test]
fn a_connection_on_which_nothing_comes_is_given_up() {
    let record =
        World::new(SHAPE, |number| if number < 4 { Does::Nothing } else { Does::Answer(MILLI) }).finish(4 * SECOND);
    assert_eq!((record.failures.of(Kind::Timeout), record.failures.total(), record.connections), (4, 4, 2));
    assert!(record.answered > 3000, "{}", record.answered);
}

#[test]
fn a_stream_that_the_server_resets_fails_by_its_code_and_leaves_the_others_alone() {
    let server = |number: usize| match number % 4 {
        1 => Does::Reset(ErrorCode::REFUSED_STREAM),
        2 => Does::Reset(ErrorCode::INTERNAL_ERROR),
        _ => Does::Answer(MILLI),
    };
    let shape = Shape { rate: Some(100), ..SHAPE };
    let record = World::new(shape, server).finish(SECOND);
    let count = |code| record.failures.of(Kind::StreamReset(code));
    assert_eq!((count(ErrorCode::REFUSED_STREAM), count(ErrorCode::INTERNAL_ERROR)), (25, 25));
    assert_eq!((record.answered, record.connections), (50, 1));
}

#[test]
fn requests_that_a_server_hands_back_with_its_goodbye_are_sent_again() {
    // As servers do that limit the requests of a connection.
    let server =
        |number: usize| if number % 100 == 99 { Does::GoAway(ErrorCode::NO_ERROR) } else { Does::Answer(MILLI) };
    for rate in [None, Some(1000)] {
        let record = World::new(Shape { rate, ..SHAPE }, server).finish(SECOND);
        assert_eq!((record.failures.total(), record.never_sent), (0, 0), "{rate:?}");
        assert!(record.sent_again >= 9 && record.connections >= 10, "{rate:?}: {record:?}");
        assert!(record.unfinished <= 5 && record.answered >= 900, "{rate:?}: {}", record.answered);
    }
}

#[test]
fn a_connection_that_breaks_after_a_goodbye_fails_only_what_ran_on_it() {
    let server = |number: usize| if number % 100 == 99 { Does::Break } else { Does::Answer(MILLI) };
    let record = World::new(SHAPE, server).finish(SECOND);
    let breaks = record.connections - 1;
    // Of the four under way, one was handed back.
    assert_eq!((record.failures.of(Kind::Reset), record.failures.total()), (3 * breaks, 3 * breaks));
    assert_eq!((record.sent_again, breaks >= 9), (breaks, true));
}

#[test]
fn a_goodbye_in_anger_fails_what_it_leaves_unanswered() {
    let server = |number: usize| {
        if number % 100 == 99 { Does::GoAway(ErrorCode::ENHANCE_YOUR_CALM) } else { Does::Answer(MILLI) }
    };
    let record = World::new(SHAPE, server).finish(SECOND);
    let failed = record.failures.of(Kind::GoAway(ErrorCode::ENHANCE_YOUR_CALM));
    assert!(failed >= 9 && record.failures.total() == failed && record.sent_again == 0, "{:?}", record.failures);
    assert!(record.connections >= 10 && record.answered > 900, "{}", record.answered);
}

#[test]
fn a_server_that_says_goodbye_to_everything_is_not_asked_as_fast_as_it_can() {
    for rate in [None, Some(100)] {
        let record = World::new(Shape { rate, ..SHAPE }, |_| Does::GoAway(ErrorCode::NO_ERROR)).finish(2 * SECOND);
        assert!(record.connections <= 22 && record.answered == 0, "{rate:?}: {}", record.connections);
    }
}

#[test]
fn a_server_that_breaks_a_rule_is_named_by_it() {
    // DATA on a stream that nobody has begun.
    let record = World::new(SHAPE, |_| Does::Say(b"\0\0\x01\0\0\0\0\0\x63x")).finish(SECOND);
    assert!(record.failures.of(Kind::Http2(Cause::Idle)) > 0, "{:?}", record.failures);
    assert_eq!(record.failures.total(), record.failures.of(Kind::Http2(Cause::Idle)));
}

#[test]
fn content_beyond_every_window_arrives() {
    let body = 300_000;
    let mut world = World::new(Shape { body, ..SHAPE }, |_| Does::Answer(20 * MILLI));
    let record = world.finish(100 * MILLI);
    assert_eq!((record.failures.total(), record.answered), (0, 16));
    assert_eq!((world.content, world.given_up), (20 * body, 0));
}

#[test]
fn a_new_connection_for_each_request_is_begun_and_ended_with_it() {
    let mut world = World::new(Shape { streams: 1, keep_alive: false, ..SHAPE }, |_| Does::Answer(MILLI));
    let record = world.finish(100 * MILLI);
    assert_eq!((record.connections, record.answered, record.unfinished), (100, 99, 1));
    // The server's settings are not waited for, so its limit is heard with the answer.
    assert_eq!(record.allowed, Some(100));
}

#[test]
fn the_preface_is_the_first_that_a_server_hears() {
    let mut world = World::new(SHAPE, |_| Does::Nothing);
    world.clients.started(&mut world.cx);
    let mut actions = Vec::new();
    world.cx.take_actions(&mut actions);
    let [Action::Connect(conn, _)] = actions[..] else { panic!("{actions:?}") };
    // Settings of the run's begin do not go on a connection that is not there yet.
    world.clients.woken(&mut world.cx);
    world.clients.connected(&mut world.cx, conn);
    world.cx.take_actions(&mut actions);
    let sent = actions.iter().find_map(|action| if let Action::Send(_, bytes) = action { Some(bytes) } else { None });
    assert!(sent.is_some_and(|bytes| bytes.starts_with(PREFACE)), "{actions:?}");
}
