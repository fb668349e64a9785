//! The cost of the worst heads that pass the limits: a head may be odd, but not expensive.
//!
//! Where two lengths that peers choose are multiplied (options of `Connection` by fields, members of `Vary` by variants,
//! ranges by stored parts), a head of 16 KiB can cost thousands of times what it costs to send. Each case here is the
//! worst that we know of one such place, in a head as long as may be, through a whole worker of the proxy with its cache and
//! without sockets. It may cost at most [`FACTOR`] times what an ordinary head of the same length does.
//!
//! The fastest of many runs counts, and they take turns with runs of the ordinary head, so that other load of the
//! machine disturbs both alike. `cargo test --release --test worst_heads -- --nocapture` shows all numbers.

#![allow(clippy::unwrap_used)]

use clap::Parser;
use socket_patterns::{
    app::{Action, App, ConnId, Cx, ListenerId, Origin},
    backend::{Backend, BackendId},
    cache::CacheArgs,
    pool::PoolArgs,
    proxy::{BalanceArgs, Config, Forwarding, Plan, Proxy},
    time::{Instant, Now},
};
use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

/// How much dearer than an ordinary head one may be.
const FACTOR: f64 = 5.0;

/// Runs of each case. One that nothing disturbed is enough.
const ROUNDS: usize = 200;

/// Bytes that the fields of a case may have: with its first line and its `Host`, a head is just below the limit of 16 KiB.
const ROOM: usize = 16 * 1024 - 160;

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    balance: BalanceArgs,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    cache: CacheArgs,
}

/// One worker, its driver, and one client whose address is that of a trusted proxy.
struct World {
    proxy: Proxy,
    cx: Cx,
    client: ConnId,
    backend: Option<ConnId>,
    connecting: bool,
    answered: Vec<u8>,
}

impl World {
    fn new() -> Self {
        // Any instant will do: nothing here reads the clock again, but for measuring.
        #[allow(clippy::disallowed_methods)]
        let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
        let flags = Flags::parse_from(["test", "--no-health", "--retries", "0", "--cache-size", "1g"]);
        let forwarding = Forwarding { trusted: vec!["192.0.2.0/24".parse().unwrap()], ..Forwarding::default() };
        let config = Config { forwarding, ..Config::default() };
        let plan = Plan::new(config).balance(flags.balance).pool(&flags.pool).cache(&flags.cache);
        let addresses = std::net::SocketAddr::from(([127, 0, 0, 1], 9000)).into();
        let backend =
            Backend { id: BackendId(0), name: "backend".to_owned(), addresses, weight: 1, max: None, secured: None };
        let mut proxy = plan.build(vec![backend], 1, now, 0).0.remove(0);
        let mut cx = Cx::new(now);
        proxy.started(&mut cx);
        let client = cx.allocate();
        let origin = Origin { listener: ListenerId(0), peer: ([192, 0, 2, 7], 4000).into(), local: None, secure: None };
        proxy.accepted(&mut cx, client, origin);
        Self { proxy, cx, client, backend: None, connecting: false, answered: Vec::new() }
    }

    /// The client asks; the backend answers, if it is asked.
    fn exchange(&mut self, request: &[u8], answer: &[u8]) {
        self.answered.clear();
        self.cx.set_clock(self.cx.clock().after(Duration::from_micros(20)));
        self.hear(self.client, request);
        let Some(backend) = self.backend.take() else { return };
        if std::mem::take(&mut self.connecting) {
            self.proxy.connected(&mut self.cx, backend);
            self.carry_out(&[]);
        }
        self.hear(backend, answer);
        self.backend = None;
    }

    fn hear(&mut self, conn: ConnId, input: &[u8]) {
        self.cx.hear(input);
        self.proxy.received(&mut self.cx, conn, input);
        self.carry_out(input);
        self.cx.hear(&[]);
    }

    fn carry_out(&mut self, heard: &[u8]) {
        loop {
            let mut actions = Vec::new();
            self.cx.take_actions(&mut actions);
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Connect(conn, _) => (self.backend, self.connecting) = (Some(conn), true),
                    Action::Send(conn, bytes) => self.write(conn, &bytes),
                    Action::Forward(conn, range) => self.write(conn, &heard[range]),
                    Action::Peek(conn, _) => self.proxy.peeked(&mut self.cx, conn, true),
                    Action::Close(conn) | Action::HangUp(conn) | Action::Abort(conn) => {
                        assert_ne!(conn, self.client, "{:?}", String::from_utf8_lossy(&self.answered));
                    }
                    Action::Finish(_) | Action::SetReading(..) | Action::SetReads(..) => {}
                    Action::Progress(_) | Action::Splice { .. } | Action::ConnectSecured(..) => {}
                    Action::SendFile(..) => unreachable!("a proxy has no files"),
                }
            }
        }
    }

    fn write(&mut self, conn: ConnId, bytes: &[u8]) {
        if conn == self.client { self.answered.extend_from_slice(bytes) } else { self.backend = Some(conn) }
    }
}

/// The fields of a request, those of a response, what is stored before, and what is behind the head.
#[derive(Debug, Clone, Default)]
struct Case {
    name: &'static str,
    method: &'static str,
    request: String,
    response: String,
    /// Fields of a request and of its response, each of which is stored for the URI before. Then nothing but hits, or 304s,
    /// is measured.
    stored: Vec<(String, String)>,
    status: &'static str,
}

/// As many of these as fit beside `before`.
fn fill(before: &str, piece: &str) -> String {
    let room = ROOM.saturating_sub(before.len() + 2);
    format!("{before}{}\r\n", piece.repeat(room / piece.len()))
}

/// As many lines as one head may have, each as long as fits.
fn lines(count: usize, line: impl Fn(usize, &str) -> String) -> String {
    let width = ROOM / count;
    (0..count)
        .map(|at| {
            let bare = line(at, "").len() + 2;
            line(at, &"v".repeat(width.saturating_sub(bare))) + "\r\n"
        })
        .collect()
}

/// A request head as a browser sends it, with an application's fields, as long as may be.
fn ordinary_request() -> String {
    let start = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36\r\n\
                 Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n\
                 Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
                 Cache-Control: max-age=0\r\nConnection: keep-alive\r\nSec-Fetch-Mode: navigate\r\n";
    format!("{start}{}", application_fields(ROOM - start.len()))
}

/// A response head of an application server, as long as may be.
fn ordinary_response() -> String {
    let start = "Server: backend\r\nContent-Type: text/plain; charset=utf-8\r\nETag: \"5f2c-61a8\"\r\n\
                 Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\n";
    format!("{start}{}", application_fields(ROOM - start.len()))
}

fn application_fields(room: usize) -> String {
    let line = |at: usize| format!("X-Application-{at}: {}\r\n", "v".repeat(room / 40 - 25));
    (0..40).map(line).collect()
}

impl Case {
    fn new(name: &'static str) -> Self {
        let fresh = "Cache-Control: max-age=60\r\n".to_owned();
        Self { name, method: "GET", response: fresh, status: "200", ..Self::default() }
    }

    fn asking(name: &'static str, request: impl Into<String>) -> Self {
        Self { request: request.into(), ..Self::new(name) }
    }

    fn answered(name: &'static str, response: impl Into<String>) -> Self {
        Self { response: response.into(), ..Self::new(name) }
    }

    fn with_stored(self, stored: Vec<(String, String)>) -> Self {
        Self { stored, ..self }
    }

    fn wire_request(&self, target: &str, fields: &str) -> String {
        format!("{} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n", self.method)
    }

    fn wire_response(&self, status: &str, fields: &str) -> String {
        let body = if status == "304" { "" } else { "Content-Length: 13\r\n\r\nHello, world!" };
        if status == "304" {
            format!("HTTP/1.1 304 No\r\n{fields}\r\n")
        } else {
            format!("HTTP/1.1 {status} OK\r\n{fields}{body}")
        }
    }
}

fn requests() -> Vec<Case> {
    let options: Vec<String> = (0..32).map(|at| format!("option-number-{at:03}")).collect();
    let connection = format!("Connection: {}\r\n", options.join(","));
    let beside = lines(95, |at, value| format!("Option-Number-{}: {}", at + 900, &value[..value.len().min(100)]));
    let options_by_fields = format!("{connection}{beside}");
    vec![
        Case::asking("Connection by fields", options_by_fields),
        Case::asking("Upgrade", fill("Connection: upgrade\r\nUpgrade: ", "a,")),
        Case::asking("Connection of long options", fill("Connection: ", &format!("{},", "x".repeat(600)))),
        Case::asking("Via", fill("Via: 1.1 socket-patterns", ",1 b")),
        Case::asking("Via of our name", fill("Via: 1.1 a", " socket-patterns")),
        Case::asking("Via of one long hop", fill(&format!("Via: {}", "x".repeat(ROOM / 2)), " socket-patterns")),
        Case { method: "OPTIONS", ..Case::asking("Max-Forwards", lines(95, |_, _| "Max-Forwards: 9".to_owned())) },
        Case::asking("Cache-Control", fill("Cache-Control: a", ",a")),
        Case::asking("Cache-Control of known directives", fill("Cache-Control: a", ",no-cache")),
        Case::asking("Pragma", fill("Pragma: a", ",a")),
        Case::asking("TE", fill("TE: a", ",a")),
        Case::asking("Expect", fill("Expect: a", ",a")),
        Case::asking("X-Forwarded-For", fill("X-Forwarded-For: 1.1.1.1", ",192.0.2.1")),
        Case::asking("X-Forwarded-Proto", lines(95, |_, value| format!("X-Forwarded-Proto: http,{value}"))),
        Case::asking("Forwarded", fill("Forwarded: for=1.1.1.1", ",for=192.0.2.1")),
        Case::asking("claims", lines(95, |at, value| format!("X-Forwarded-{at}: {value}"))),
        Case::asking(
            "names in disguise",
            lines(95, |at, value| format!("X_{}{at}: 1", &value[..value.len().min(120)])),
        ),
        Case::asking("short fields", lines(95, |at, _| format!("X{at}:"))),
        Case::asking("long names", lines(95, |at, value| format!("{value}{at}: 1"))),
    ]
}

fn responses() -> Vec<Case> {
    let fresh = "Cache-Control: max-age=60\r\n";
    let options: Vec<String> = (0..32).map(|at| format!("option-number-{at:03}")).collect();
    let names =
        |from: usize| (from..from + 60).map(|at| format!("name-of-a-field-{at:03}")).collect::<Vec<_>>().join(",");
    let withheld = format!("Cache-Control: max-age=60, no-cache=\"{}\", private=\"{}\"\r\n", names(0), names(60));
    let beside = lines(95, |at, value| format!("Name-Of-A-Field-{}: {}", at + 900, &value[..value.len().min(80)]));
    let beside = &beside[..beside[..beside.len().min(ROOM - withheld.len())].rfind("\r\n").unwrap() + 2];
    let vary: Vec<String> = (0..32).map(|at| format!("x-name-{at:03}")).collect();
    vec![
        Case::answered("Connection by fields", format!("{fresh}Connection: {}\r\n{}", options.join(","), beside)),
        Case::answered("Vary", format!("{fresh}Vary: {}\r\n", vary.join(","))),
        Case::answered("Vary of one name", fill(&format!("{fresh}Vary: a"), ",a")),
        Case::answered("Cache-Control", fill("Cache-Control: max-age=60", ",a")),
        Case::answered("Cache-Control of names", fill("Cache-Control: max-age=60", ",private=\"a\"")),
        Case::answered("Cache-Control of known directives", fill("Cache-Control: max-age=60", ",public")),
        Case::answered("withheld by fields", format!("{withheld}{beside}")),
        Case::answered("CDN-Cache-Control", fill("CDN-Cache-Control: max-age=60", ", a")),
        Case::answered("CDN-Cache-Control of directives", fill("CDN-Cache-Control: max-age=60", ", public")),
        Case::answered("Surrogate-Key", fill(&format!("{fresh}Surrogate-Key: a"), " a")),
        Case::answered("Cache-Tag", fill(&format!("{fresh}Cache-Tag: a"), ",a")),
        Case::answered("Via", fill(&format!("{fresh}Via: 1.1 a"), ",1 b")),
        Case::answered(
            "Set-Cookie",
            format!(
                "{fresh}{}",
                &lines(95, |at, value| format!("Set-Cookie: {at}={}", &value[..value.len().min(120)]))
            ),
        ),
        Case::answered(
            "space before colons",
            format!("{fresh}{}", lines(95, |at, value| format!("X{at} : {}", &value[..value.len().min(120)]))),
        ),
        Case::answered("ETag", format!("{fresh}ETag: \"{}\"\r\n", "x".repeat(ROOM - 100))),
        Case::answered("short fields", format!("{fresh}{}", lines(95, |at, _| format!("X{at}:")))),
    ]
}

/// Requests that are compared with what is stored.
fn look_ups() -> Vec<Case> {
    let fresh = "Cache-Control: max-age=60\r\n";
    let tagged = || vec![(String::new(), format!("{fresh}ETag: \"x\"\r\n"))];
    let vary: Vec<String> = (0..30).map(|at| format!("x-name-{at:03}")).collect();
    let vary = format!("{fresh}Vary: {},accept-language\r\n", vary.join(","));
    let variant = |at: usize| (format!("Accept-Language: l{at}\r\n"), vary.clone());
    let variants = || (0..64).map(variant).collect::<Vec<_>>();
    let long_variant =
        |at: usize| (fill(&format!("Accept-Language: l{at}"), ", a"), format!("{fresh}Vary: Accept-Language\r\n"));
    vec![
        Case::asking("If-None-Match", fill("If-None-Match: \"a\"", ",\"a\"")).with_stored(tagged()),
        Case::asking("If-None-Match without tags", fill("If-None-Match: a", ",a")).with_stored(tagged()),
        Case::asking("If-None-Match of one long word", fill("If-None-Match: ", "x")).with_stored(tagged()),
        Case {
            status: "206",
            ..Case::asking("Range of empty members", fill("Range: bytes=0-1", ",")).with_stored(tagged())
        },
        Case::asking("If-Range", format!("Range: bytes=0-1\r\n{}", fill("If-Range: \"", "x"))).with_stored(tagged()),
        Case::asking("variants", fill("Accept-Language: l0\r\nX-Other: ", "x")).with_stored(variants()),
        Case::asking("long variants", fill("Accept-Language: l0", ",  a"))
            .with_stored((0..16).map(long_variant).collect()),
    ]
}

/// The least time that one exchange of each case took.
fn measure(cases: &[Case]) -> Vec<Duration> {
    let mut worlds: Vec<World> = cases.iter().map(|_| World::new()).collect();
    for (world, case) in worlds.iter_mut().zip(cases) {
        for (request, response) in &case.stored {
            let request = format!("GET /stored HTTP/1.1\r\nHost: a\r\n{request}\r\n");
            world.exchange(request.as_bytes(), case.wire_response("200", response).as_bytes());
            assert!(world.answered.starts_with(b"HTTP/1.1 200 "), "{}: {:?}", case.name, world.answered.escape_ascii());
        }
    }
    let mut least = vec![Duration::MAX; cases.len()];
    for round in 0..ROUNDS {
        for ((world, case), least) in worlds.iter_mut().zip(cases).zip(&mut least) {
            // Another URI each time, so that the backend is asked and its answer stored; or the one that is stored.
            let target = if case.stored.is_empty() { format!("/{round}") } else { "/stored".to_owned() };
            let request = case.wire_request(&target, &case.request);
            let response = case.wire_response("200", &case.response);
            assert!(
                request.len() <= 16 * 1024 && response.len() <= 16 * 1024 + 13,
                "{}: {} {}",
                case.name,
                request.len(),
                response.len()
            );
            #[allow(clippy::disallowed_methods)] // What is measured is how long it takes.
            let begun = Instant::now();
            world.exchange(black_box(request.as_bytes()), black_box(response.as_bytes()));
            *least = begun.elapsed().min(*least);
            let status = format!("HTTP/1.1 {} ", case.status);
            assert!(
                world.answered.starts_with(status.as_bytes()),
                "{}: {:?}",
                case.name,
                world.answered[..200.min(world.answered.len())].escape_ascii()
            );
        }
    }
    least
}

#[test]
fn no_head_costs_much_more_than_an_ordinary_one() {
    let stored = vec![(String::new(), "Cache-Control: max-age=60\r\nETag: \"x\"\r\n".to_owned())];
    let hit = Case::asking("ordinary", ordinary_request().replace("max-age=0", "max-age=9")).with_stored(stored);
    let mut dear = Vec::new();
    for (of, ordinary, cases) in [
        ("request", Case::asking("ordinary", ordinary_request()), requests()),
        ("response", Case::answered("ordinary", ordinary_response()), responses()),
        ("look-up", hit, look_ups()),
    ] {
        let cases: Vec<Case> = std::iter::once(ordinary).chain(cases).collect();
        let times = measure(&cases);
        for (case, time) in cases.iter().zip(&times) {
            let factor = time.as_secs_f64() / times[0].as_secs_f64();
            println!("{of:8} {:40} {:8.1} µs  {factor:4.1}", case.name, time.as_secs_f64() * 1e6);
            if factor > FACTOR {
                dear.push(format!("{of}, {}: {factor:.1} times an ordinary one", case.name));
            }
        }
    }
    assert!(dear.is_empty(), "{dear:#?}");
}
