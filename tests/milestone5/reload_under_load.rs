//! Certificates change many times a second under load: no request fails and no handshake, and the next client is shown the new one.
//!
//! `make soak-reload` does it for a minute instead of twenty times, and tells how often that was.

use crate::{
    PROGRAM,
    support::{
        http2::Client,
        process::{Process, now, wait_until},
        raw::{Backend, Conn, in_parallel},
        tls::{Site, Special, Tls, config},
    },
};
use std::{
    env,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

/// The name for which there is always a certificate.
const HOST: &str = "test";

/// Without a time from `make soak-reload`.
const ROUNDS: usize = 20;

/// The least that a soak must come to.
const RELOADS_A_SECOND: f64 = 5.0;

/// At once on a connection of HTTP/2.
const STREAMS: usize = 8;

/// A client: it asks until the load is over, and counts its answers as those of its kind.
type Work = fn(&Load<'_>, usize);

/// All that goes on while certificates change, with a name for the report.
const KINDS: [(&str, Work); 6] = [
    ("requests in plain, on one connection", plain),
    ("requests over TLS, on one connection", kept),
    ("full handshakes with a request", strangers),
    ("handshakes that may resume, with a request", returning),
    ("times eight requests over HTTP/2, on one connection", streams),
    ("connections of HTTP/2 with eight requests each", connections),
];

struct Load<'a> {
    proxy: &'a Process,
    over: AtomicBool,
    answered: [AtomicUsize; KINDS.len()],
}

impl Load<'_> {
    fn goes_on(&self) -> bool {
        !self.over.load(SeqCst)
    }

    fn count(&self, kind: usize) {
        self.answered[kind].fetch_add(1, SeqCst);
    }

    fn answered(&self) -> [usize; KINDS.len()] {
        self.answered.each_ref().map(|count| count.load(SeqCst))
    }
}

/// Lets the clients end, also when a test fails in the meantime.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn plain(load: &Load<'_>, kind: usize) {
    let mut client = Conn::open(load.proxy.address());
    while load.goes_on() {
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n").body, b"hello");
        load.count(kind);
    }
}

fn kept(load: &Load<'_>, kind: usize) {
    let mut client = Tls::open(load.proxy.tls_address(), HOST);
    while load.goes_on() {
        assert_eq!(client.get("/", HOST).body, b"hello");
        load.count(kind);
    }
}

fn strangers(load: &Load<'_>, kind: usize) {
    while load.goes_on() {
        come_and_go(load, &Arc::new(config()));
        load.count(kind);
    }
}

fn returning(load: &Load<'_>, kind: usize) {
    let config = Arc::new(config());
    while load.goes_on() {
        come_and_go(load, &config);
        load.count(kind);
    }
}

fn come_and_go(load: &Load<'_>, config: &Arc<rustls::ClientConfig>) {
    let mut client = Tls::try_open(load.proxy.tls_address(), HOST, config).unwrap();
    assert_eq!(client.get("/", HOST).body, b"hello");
    client.close_notify();
}

fn streams(load: &Load<'_>, kind: usize) {
    let mut client = Client::over_tls(load.proxy.tls_address(), HOST);
    while load.goes_on() {
        ask_at_once(&mut client);
        load.count(kind);
    }
}

fn connections(load: &Load<'_>, kind: usize) {
    while load.goes_on() {
        ask_at_once(&mut Client::over_tls(load.proxy.tls_address(), HOST));
        load.count(kind);
    }
}

fn ask_at_once(client: &mut Client) {
    let streams = [(); STREAMS].map(|()| client.begin("GET", "/", &[], true));
    for stream in streams {
        assert_eq!(client.answer(stream).text(), "hello");
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

/// How long `make soak-reload` wants it to last.
fn soak() -> Option<Duration> {
    let seconds = env::var("RELOAD_SECONDS").ok()?;
    Some(Duration::from_secs(seconds.parse().expect("RELOAD_SECONDS is a number")))
}

/// Changes the certificates as fast as the proxy says that it has them. Gives the number of times.
fn change_certificates(load: &Load<'_>, site: &Site) -> usize {
    let _ending = Ending(&load.over);
    let until = soak().map(|time| now() + time);
    let mut round = 0;
    while until.map_or(round < ROUNDS, |until| now() < until) {
        round += 1;
        let name = format!("{round}.example");
        site.renew(&[HOST, &name], Special::default());
        let before = load.answered();
        load.proxy.signal("HUP");
        load.proxy.wait_for_stderr(&format!("certificates reloaded: {HOST} {name} "));
        let shown = Tls::try_open(load.proxy.tls_address(), &name, &Arc::new(config()));
        shown
            .unwrap_or_else(|error| panic!("the next client is not shown certificate {round}: {error}"))
            .close_notify();
        wait_until("an answer to a client of each kind", || {
            load.answered().iter().zip(&before).all(|(now, before)| now > before)
        });
    }
    round
}

#[test]
fn no_request_fails_however_often_certificates_change() {
    let (backend, site) = (backend(), Site::new(&[HOST]));
    let flags = ["--access-log", "off", "--admin", "127.0.0.1:0"];
    let proxy = PROGRAM.start(&[&backend], &[&site.flags()[..], &flags].concat());
    let load = Load { proxy: &proxy, over: AtomicBool::new(false), answered: Default::default() };
    let (rounds, began) = (AtomicUsize::new(0), now());
    in_parallel(KINDS.len() + 1, |number| match KINDS.get(number) {
        Some((_, work)) => work(&load, number),
        None => rounds.store(change_certificates(&load, &site), SeqCst),
    });
    let (rounds, took) = (rounds.into_inner(), began.elapsed().as_secs_f64());
    let stats = proxy.stats();
    assert_eq!((&stats["tls"]["reloads"]["done"], &stats["tls"]["reloads"]["failed"]), (&rounds.into(), &0.into()));
    // A client of HTTP/2 has nothing more to say, and goes.
    let failures = stats["tls"]["failures"].as_object().unwrap();
    assert!(failures.keys().all(|failure| failure == "ended without close_notify"), "{stats:#}");
    assert_eq!(stats["http2"]["connections_ended"], serde_json::json!({}), "{stats:#}");
    if soak().is_some() {
        report(rounds as f64 / took, &load.answered());
        assert!(rounds as f64 / took >= RELOADS_A_SECOND, "only {rounds} reloads in {took:.1} s");
    }
}

/// For the person who started it; `println!` would be shown only after a failure.
fn report(rate: f64, answered: &[usize]) {
    let _ = writeln!(std::io::stderr(), "{rate:.1} reloads a second, and no failure among");
    for ((what, _), count) in KINDS.iter().zip(answered) {
        let _ = writeln!(std::io::stderr(), "{count:>9} {what}");
    }
}
