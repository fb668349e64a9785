//! Reloads of every kind and upgrades under load: no request fails, no connection is reset, WebSockets live on, and nothing is left over.
//!
//! `make soak` does it for as long as one likes, and tells how often that was.

use crate::{
    PLAIN, Stage,
    support::{
        http2::{Client, Told},
        process::{now, wait_until},
        raw::{Backend, Conn},
        tls::{Site, Special, Tls},
        websocket,
        wire::Message,
    },
    upgrade::Successor,
    upstream,
};
use socket_patterns::http2::{ErrorCode, Reset};
use std::{
    env,
    io::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

/// The name for which there is always a certificate.
const HOST: &str = "test";

/// Without numbers from `make soak`: each kind of change three times.
const RELOADS: usize = 21;
const UPGRADES: usize = 2;

/// At once on a connection of HTTP/2.
const STREAMS: usize = 8;

type Work = fn(&Load);

/// All that goes on meanwhile, with a name for the report.
const KINDS: [(&str, Work); 6] = [
    ("requests in plain, on kept connections", kept),
    ("connections in plain with a request each", strangers),
    ("requests over TLS, on kept connections", kept_tls),
    ("handshakes with a request each", strangers_tls),
    ("times eight requests over HTTP/2, on kept connections", kept_streams),
    ("connections of HTTP/2 with eight requests each", strangers_streams),
];

struct Load {
    plain: SocketAddr,
    secure: SocketAddr,
    over: AtomicBool,
    answered: [AtomicUsize; KINDS.len()],
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.over.load(SeqCst)
    }

    fn count(&self, kind: usize) {
        self.answered[kind].fetch_add(1, SeqCst);
    }

    fn answered(&self) -> [usize; KINDS.len()] {
        self.answered.each_ref().map(|count| count.load(SeqCst))
    }

    /// Waits until a client of each kind has had an answer.
    fn wait_for_all(&self) {
        let before = self.answered();
        wait_until("an answer to a client of each kind", || {
            self.answered().iter().zip(&before).all(|(now, before)| now > before)
        });
    }
}

/// Lets the clients end, also when a test fails in the meantime.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// Whether the answer is right, and the connection may be used again.
fn persists(answer: &Message) -> bool {
    assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"hello"[..]));
    answer.field("connection") != Some("close")
}

fn kept(load: &Load) {
    while load.goes_on() {
        let mut client = Conn::open(load.plain);
        while load.goes_on() && persists(&client.ask(REQUEST)) {
            load.count(0);
        }
    }
}

fn strangers(load: &Load) {
    while load.goes_on() {
        persists(&Conn::open(load.plain).ask(REQUEST));
        load.count(1);
    }
}

fn kept_tls(load: &Load) {
    while load.goes_on() {
        let mut client = Tls::open(load.secure, HOST);
        while load.goes_on() && persists(&client.get("/", HOST)) {
            load.count(2);
        }
    }
}

fn strangers_tls(load: &Load) {
    while load.goes_on() {
        let mut client = Tls::open(load.secure, HOST);
        persists(&client.get("/", HOST));
        client.close_notify();
        load.count(3);
    }
}

/// Eight requests at once. `false`: the server has said goodbye before it heard of all of them; the others may be asked again elsewhere
/// (RFC 9113 §8.7), as every client does by itself.
fn ask(client: &mut Client) -> bool {
    let streams = [(); STREAMS].map(|()| client.begin("GET", "/", &[], true));
    for stream in streams {
        let Told { status, body, reset, .. } = client.answer(stream);
        if reset == Some(Reset::Unprocessed) && client.goaway == Some(ErrorCode::NO_ERROR) {
            return false;
        }
        assert_eq!((status, body.as_slice(), reset), (200, &b"hello"[..], None), "{:?}", client.ended);
    }
    true
}

fn kept_streams(load: &Load) {
    while load.goes_on() {
        let mut client = Client::over_tls(load.secure, HOST);
        while load.goes_on() && client.goaway.is_none() && ask(&mut client) {
            load.count(4);
        }
    }
}

fn strangers_streams(load: &Load) {
    while load.goes_on() {
        if ask(&mut Client::over_tls(load.secure, HOST)) {
            load.count(5);
        }
    }
}

/// Answers, and keeps no book of the requests: there are too many.
fn backend() -> Backend {
    Backend::start(|mut served| {
        while served.conn.request().is_ok() {
            if served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_err() {
                return;
            }
        }
    })
}

/// The file after so many changes: each is of another kind than the one before.
struct Changing<'a> {
    certified: &'a Site,
    servers: [&'a Backend; 2],
    sockets: &'a Backend,
    round: usize,
}

impl Changing<'_> {
    fn file(&self) -> String {
        // How often each kind of change, from 1 to 7, was made.
        let made = |kind: usize| (self.round + 7 - kind) / 7;
        let is = |kind| made(kind) % 2 == 1;
        let second = if made(1) > made(2) { format!(", \"{}\"", self.servers[1].name()) } else { String::new() };
        let weight = 1 + made(3) % 3;
        let listener = if is(5) { "[[listen]]\naddress = \"[::1]:0\"\n" } else { "" };
        let route = if is(6) { "[[site.route]]\npath = \"/more\"\nrespond = 404\n" } else { "" };
        let (certificate, key) = (self.certified.certificate.display(), self.certified.key.display());
        format!(
            "workers = 2\ndrain-timeout = \"1h\"\naccess-log = false\n{PLAIN}{PLAIN}tls = true\n{listener}\
             [admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n\
             [limits]\nmax-body = {}\n\
             [[site]]\nhosts = [\"{HOST}\"]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nupstream = \"web\"\n{route}\
             [[site.route]]\npath = \"/socket\"\nupstream = \"sockets\"\n\
             [upstream.web]\nservers = [{{ address = \"{}\", weight = {weight} }}{second}]\nhealth = {{ probes = false }}\n{}",
            1_000_000 + made(7),
            self.servers[0].name(),
            upstream("sockets", &self.sockets.name()),
        )
    }

    /// The next change.
    fn next(&mut self) -> String {
        self.round += 1;
        if self.round % 7 == 4 {
            self.certified.renew(&[HOST, &format!("{}.example", self.round)], Special::default());
        }
        self.file()
    }
}

fn number(name: &str) -> Option<usize> {
    Some(env::var(name).ok()?.parse().expect("a number"))
}

/// The resident memory of a process, in KiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

#[test]
fn no_request_fails_however_often_everything_changes() {
    let (one, two, certified) = (backend(), backend(), Site::new(&[HOST]));
    let (sockets, incoming) = Backend::by_hand();
    let mut changing = Changing { certified: &certified, servers: [&one, &two], sockets: &sockets, round: 0 };
    let mut stage = Stage::new(&changing.file(), 2);
    let (reloads, upgrades) = (number("SOAK_RELOADS").unwrap_or(RELOADS), number("SOAK_UPGRADES").unwrap_or(UPGRADES));
    let load = Load {
        plain: stage.proxy.address(),
        secure: stage.proxy.tls_address(),
        over: AtomicBool::new(false),
        answered: Default::default(),
    };
    let mut tunnel = websocket::open_at(&stage.proxy, &incoming, "/socket");
    let descriptors = stage.proxy.settled_descriptors();
    // Each goes on until its last connection has ended.
    let (began, mut grown, mut successors) = (now(), (0, 0), Vec::<Successor>::new());
    thread::scope(|scope| {
        let load = &load;
        for (_, work) in KINDS {
            scope.spawn(move || work(load));
        }
        let _ending = Ending(&load.over);
        load.wait_for_all();
        for round in 0..reloads {
            if round == reloads / 2 {
                grown.0 = memory(stage.proxy.id());
            }
            let file = changing.next();
            stage.reload(&file);
            load.wait_for_all();
            passes(&mut tunnel, round);
        }
        grown.1 = memory(stage.proxy.id());
        for round in 1..=upgrades {
            upgrade(&stage, &mut successors, round);
            load.wait_for_all();
            passes(&mut tunnel, round);
        }
    });
    let took = began.elapsed().as_secs_f64();
    // All but the last one end, when the last of their connections have; the first one has a WebSocket.
    for process in &successors[..successors.len().saturating_sub(1)] {
        wait_until("a process to end that another one has followed", || !process.is_there());
    }
    // The first process has one connection left, and its server's.
    let open = stage.proxy.descriptors();
    assert!(open <= descriptors + 2, "{open} descriptors of {descriptors} at the start");
    drop(tunnel);
    assert_eq!(stage.proxy.wait().code(), Some(0), "the first process ends with its last tunnel");
    if number("SOAK_RELOADS").is_some() {
        report((reloads, upgrades, took), grown, (descriptors, open), &load.answered());
        assert!(grown.1 < grown.0 + grown.0 / 10 + 1024, "{} KiB after half of the reloads, then {}", grown.0, grown.1);
    }
}

/// Another process takes over from the last one.
fn upgrade(stage: &Stage, successors: &mut Vec<Successor>, round: usize) {
    match successors.last() {
        None => stage.proxy.signal("USR2"),
        Some(process) => process.signal("USR2"),
    }
    successors.push(Successor::of(stage, round));
}

/// A WebSocket carries bytes both ways.
fn passes((near, far): &mut (Conn, Conn), round: usize) {
    let text = format!("{round:08}");
    near.send(&text);
    assert_eq!(far.read(8), text.as_bytes());
    far.send(&text);
    assert_eq!(near.read(8), text.as_bytes());
}

/// For the person who started it; `println!` would be shown only after a failure.
fn report(
    (reloads, upgrades, took): (usize, usize, f64),
    memory: (u64, u64),
    descriptors: (usize, usize),
    answered: &[usize],
) {
    let mut out = std::io::stderr();
    let _ = writeln!(out, "{reloads} reloads and {upgrades} upgrades in {took:.1} s, and no failure among");
    for ((what, _), count) in KINDS.iter().zip(answered) {
        let _ = writeln!(out, "{count:>9} {what}");
    }
    let _ = writeln!(out, "memory after half of the reloads {} KiB, after all {} KiB", memory.0, memory.1);
    let _ = writeln!(out, "descriptors before {}, and after the last upgrade {}", descriptors.0, descriptors.1);
}
