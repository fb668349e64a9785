//! One worker in a world of its own: the test is driver, clients, backends and clock.
//!
//! The proxy hears bytes and answers with actions; a table of both is a test.

#[cfg(target_os = "linux")]
mod completions;
mod deadlines;
mod dialing;
mod draining;
mod ends;
mod forwarding;
mod parked;
mod pressure;
mod sharing;
mod splicing;
mod streams;
mod streams_ends;
mod streams_peer;
mod streams_pressure;
mod upstreams;
mod waiting;

use super::{BalanceArgs, Config, Desk, ForwardArgs, Http2Args, Plan, Proxy, ProxyArgs, Resolver};
use crate::{
    app::{Action, App, ConnId, Cx, ListenerId, Origin, Progress, TimerKey},
    backend::{Addresses, Backend, BackendId},
    cache::CacheArgs,
    pool::PoolArgs,
    time::{Instant, Now},
};
use clap::Parser;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// How much of a body must be left here to pass unseen.
const LONG: u64 = 512 * 1024;

#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    proxy: ProxyArgs,
    #[command(flatten)]
    balance: BalanceArgs,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    forward: ForwardArgs,
    #[command(flatten)]
    http2: Http2Args,
}

/// The actions of the proxy on one connection since the test looked last.
#[derive(Debug, Default)]
struct Seen {
    sent: Vec<u8>,
    end: Option<&'static str>,
}

pub(super) struct World {
    pub(super) proxy: Proxy,
    /// The service behind the admin listener, and its connections.
    pub(super) desk: Desk,
    admins: BTreeSet<ConnId>,
    pub(super) cx: Cx,
    /// Connections that were asked for, in order, until the test takes them; and to which ports.
    opened: Vec<ConnId>,
    pub(super) ports: BTreeMap<ConnId, u16>,
    seen: BTreeMap<ConnId, Seen>,
    /// Connections on which bytes or an end wait that the proxy has not heard.
    pub(super) not_quiet: Vec<ConnId>,
    /// Splices: by their sender, the receiver and the number of bytes that are left.
    pub(super) splices: BTreeMap<ConnId, (ConnId, u64)>,
    /// Connections that are not read.
    pub(super) paused: BTreeSet<ConnId>,
    /// How far peers are, for those that a test has set; all others have taken everything.
    pub(super) progress: BTreeMap<ConnId, Progress>,
    /// Exchanges and probes whose timer passed.
    pub(super) rung: Vec<u32>,
    /// How often the proxy put something off.
    pub(super) turns: usize,
}

impl World {
    /// Milestone 3 with one backend that is not probed, and these flags.
    pub(super) fn new(flags: &[&str]) -> Self {
        Self::with_backends(1, &[&["--no-health"], flags].concat())
    }

    /// Milestone 4 with one backend that is not probed, and these flags.
    pub(super) fn caching(flags: &[&str]) -> Self {
        Self::numbered(1, &[&["--no-health"], flags].concat(), |plan, args| plan.cache(&args.cache))
    }

    /// Milestone 4 with one backend that is not probed, these flags, and HTTP/2.
    pub(super) fn speaking_http2(flags: &[&str]) -> Self {
        let flags = [&["--no-health"], flags].concat();
        Self::numbered(1, &flags, |plan, args| plan.cache(&args.cache).http2(&args.http2))
    }

    /// Milestone 3 with so many backends and these flags.
    pub(super) fn with_backends(count: u16, flags: &[&str]) -> Self {
        Self::numbered(count, flags, |plan, _| plan)
    }

    fn numbered(count: u16, flags: &[&str], more: impl FnOnce(Plan, &Args) -> Plan) -> Self {
        let ports: Vec<[u16; 1]> = (0..count).map(|number| [3000 + number]).collect();
        Self::build(&ports.iter().map(|ports| &ports[..]).collect::<Vec<_>>(), flags, more)
    }

    /// Milestone 3 with a backend for each list of ports, at all of these.
    pub(super) fn at(backends: &[&[u16]], flags: &[&str]) -> Self {
        Self::build(backends, flags, |plan, _| plan)
    }

    /// A forward proxy with these flags, whose names `resolver` finds.
    pub(super) fn forwarding(flags: &[&str], resolver: Arc<dyn Resolver>) -> Self {
        let flags = [&["--retries", "0"], flags].concat();
        Self::build(&[], &flags, |plan, args| plan.cache(&args.cache).forward(&args.forward, resolver))
    }

    fn build(backends: &[&[u16]], flags: &[&str], more: impl FnOnce(Plan, &Args) -> Plan) -> Self {
        let args = Args::parse_from(["test", "--access-log", "off"].iter().chain(flags));
        // Any instant will do: nothing here reads the clock again.
        #[allow(clippy::disallowed_methods)]
        let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
        let backend = |(number, ports): (u16, &&[u16])| {
            let addresses: Vec<_> = ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
            Backend {
                id: BackendId(number),
                name: format!("b:{}", ports[0]),
                addresses: Addresses::new(&addresses),
                weight: 1,
                max: None,
                secured: None,
            }
        };
        let config = Config { unseen: LONG, admin_hosts: vec!["a".to_owned()], ..args.proxy.config() };
        let plan = more(Plan::new(config).balance(args.balance.clone()).pool(&args.pool), &args);
        let (mut proxies, _) = plan.build((0..).zip(backends).map(backend).collect(), 1, now, 0);
        let proxy = proxies.remove(0);
        let (desk, admins) = (proxy.desk(), BTreeSet::new());
        let (opened, not_quiet) = (Vec::new(), Vec::new());
        let mut world = Self {
            proxy,
            desk,
            admins,
            cx: Cx::new(now),
            opened,
            ports: BTreeMap::new(),
            seen: BTreeMap::new(),
            not_quiet,
            splices: BTreeMap::new(),
            paused: BTreeSet::new(),
            progress: BTreeMap::new(),
            rung: Vec::new(),
            turns: 0,
        };
        world.proxy.started(&mut world.cx);
        world.settle();
        world
    }

    fn accept(&mut self, admin: bool, from: [u8; 4]) -> ConnId {
        let conn = self.cx.allocate();
        let origin = Origin { listener: ListenerId(0), peer: (from, 4000).into(), local: None, secure: None };
        if admin {
            self.admins.insert(conn);
        }
        self.app(conn, |app, cx| app.accepted(cx, conn, origin));
        conn
    }

    /// Has the application whose connection it is hear something. For tests, they share a driver.
    fn app(&mut self, conn: ConnId, call: impl FnOnce(&mut dyn App, &mut Cx)) {
        if self.admins.contains(&conn) {
            call(&mut self.desk, &mut self.cx);
        } else {
            call(&mut self.proxy, &mut self.cx);
        }
        self.settle();
    }

    /// A client connects, and says `request`.
    pub(super) fn client(&mut self, request: &str) -> ConnId {
        self.client_from([192, 0, 2, 7], request)
    }

    /// A client with that address connects, and says `request`.
    pub(super) fn client_from(&mut self, from: [u8; 4], request: &str) -> ConnId {
        let conn = self.accept(false, from);
        self.say(conn, request);
        conn
    }

    /// A connection to the admin listener that sends `request`.
    pub(super) fn admin(&mut self, request: &str) -> ConnId {
        let conn = self.accept(true, [192, 0, 2, 7]);
        self.say(conn, request);
        conn
    }

    /// A client that asks, and the backend connection on which its request arrives.
    pub(super) fn exchange(&mut self, request: &str) -> (ConnId, ConnId) {
        let client = self.client(request);
        let backend = self.opened();
        self.connect(backend);
        (client, backend)
    }

    /// The next connection that the proxy asked for.
    pub(super) fn opened(&mut self) -> ConnId {
        assert!(!self.opened.is_empty(), "no connection was asked for");
        self.opened.remove(0)
    }

    pub(super) fn opened_none(&self) -> bool {
        self.opened.is_empty()
    }

    pub(super) fn connect(&mut self, conn: ConnId) {
        self.proxy.connected(&mut self.cx, conn);
        self.settle();
    }

    /// A peer says something.
    pub(super) fn say(&mut self, conn: ConnId, text: &str) {
        self.bring(conn, text);
    }

    /// As [`World::say`], of bytes that may be no text.
    pub(super) fn bring(&mut self, conn: ConnId, bytes: impl AsRef<[u8]>) {
        let text = bytes.as_ref();
        if text.is_empty() || !self.cx.is_open(conn) {
            return;
        }
        let text = self.splice(conn, text);
        if text.is_empty() {
            return;
        }
        self.cx.hear(text);
        if self.admins.contains(&conn) {
            self.desk.received(&mut self.cx, conn, text);
        } else {
            self.proxy.received(&mut self.cx, conn, text);
        }
        self.carry_out(text);
        self.cx.hear(&[]);
        self.settle();
    }

    /// Moves what a splice wants of it; what is left is heard.
    fn splice<'t>(&mut self, conn: ConnId, text: &'t [u8]) -> &'t [u8] {
        let Some((to, left)) = self.splices.remove(&conn).filter(|(to, _)| self.cx.is_open(*to)) else { return text };
        let (moved, rest) = text.split_at(text.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        self.seen.entry(to).or_default().sent.extend_from_slice(moved);
        if left > moved.len() as u64 {
            self.splices.insert(conn, (to, left - moved.len() as u64));
        }
        self.proxy.spliced(&mut self.cx, conn, moved.len() as u64);
        self.settle();
        if self.cx.is_open(conn) { rest } else { &[] }
    }

    pub(super) fn end(&mut self, conn: ConnId) {
        self.app(conn, |app, cx| app.ended(cx, conn));
    }

    pub(super) fn fail(&mut self, conn: ConnId) {
        self.fail_with(conn, ErrorKind::ConnectionReset);
    }

    pub(super) fn fail_with(&mut self, conn: ConnId, error: ErrorKind) {
        self.proxy.failed(&mut self.cx, conn, error);
        self.cx.release(conn);
        self.settle();
    }

    /// Tells the proxy that `bytes` bytes wait for this peer.
    pub(super) fn unsent(&mut self, conn: ConnId, bytes: usize) {
        self.progress.entry(conn).or_default().outstanding = bytes as u64;
        self.app(conn, |app, cx| app.sent(cx, conn, bytes));
    }

    /// The proxy looks into its letter box.
    pub(super) fn wake(&mut self) {
        self.proxy.woken(&mut self.cx);
        self.settle();
    }

    pub(super) fn drain(&mut self) {
        self.proxy.drain(&mut self.cx);
        self.settle();
    }

    /// The drain deadline has passed.
    pub(super) fn cut_off(&mut self) {
        self.proxy.cut_off(&mut self.cx);
        self.settle();
    }

    /// A connection waits, and there is no place for it.
    pub(super) fn crowded(&mut self) {
        self.proxy.crowded(&mut self.cx);
        self.settle();
    }

    /// The workers have ended, and so does the admin listener.
    pub(super) fn end_desk(&mut self) {
        self.desk.drain(&mut self.cx);
        self.settle();
    }

    /// A connection to the admin listener waits, and all places are taken.
    pub(super) fn crowded_desk(&mut self) {
        self.desk.crowded(&mut self.cx);
        self.settle();
    }

    /// Time passes, in steps of a hundredth of a second, with every deadline on its way.
    pub(super) fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / 10 {
            self.cx.set_clock(self.cx.clock().after(Duration::from_millis(10)));
            while let Some(key) = self.cx.next_expired() {
                if let TimerKey::App(key) = key {
                    self.rung.push(key);
                }
                match key {
                    TimerKey::Conn(conn) => self.app(conn, |app, cx| app.expired(cx, key)),
                    TimerKey::App(_) => self.proxy.expired(&mut self.cx, key),
                }
                self.settle();
            }
        }
    }

    /// The worker is busy for so long, and then finds every deadline passed.
    pub(super) fn be_busy(&mut self, time: Duration) {
        self.cx.set_clock(self.cx.clock().after(time));
        self.pass(Duration::from_millis(10));
    }

    /// The answer of `/stats`.
    pub(super) fn stats(&mut self) -> serde_json::Value {
        let admin = self.admin("GET /stats HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = self.sent(admin);
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// The bytes sent to a peer since the last look.
    pub(super) fn sent(&mut self, conn: ConnId) -> String {
        String::from_utf8(self.sent_bytes(conn)).unwrap()
    }

    /// As [`World::sent`], of bytes that are no text.
    pub(super) fn sent_bytes(&mut self, conn: ConnId) -> Vec<u8> {
        self.seen.get_mut(&conn).map(|seen| std::mem::take(&mut seen.sent)).unwrap_or_default()
    }

    /// `close`, `abort`, `finish`, or `-`.
    pub(super) fn ended(&self, conn: ConnId) -> &'static str {
        self.seen.get(&conn).and_then(|seen| seen.end).unwrap_or("-")
    }

    pub(super) fn settle(&mut self) {
        self.carry_out(&[]);
    }

    fn carry_out(&mut self, heard: &[u8]) {
        loop {
            let mut actions = Vec::new();
            self.cx.take_actions(&mut actions);
            if actions.is_empty() && self.cx.take_call() {
                self.turns += 1;
                self.proxy.woken(&mut self.cx);
                continue;
            }
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.perform(action, heard);
            }
        }
    }

    fn perform(&mut self, action: Action, heard: &[u8]) {
        match action {
            Action::Connect(conn, to) => {
                self.ports.insert(conn, to.port());
                self.opened.push(conn);
            }
            Action::Send(conn, bytes) => self.seen.entry(conn).or_default().sent.extend_from_slice(&bytes),
            Action::Forward(conn, range) => {
                self.seen.entry(conn).or_default().sent.extend_from_slice(&heard[range]);
            }
            Action::Peek(conn, _) => {
                let quiet = !self.not_quiet.contains(&conn);
                self.proxy.peeked(&mut self.cx, conn, quiet);
            }
            Action::Progress(conn) => {
                let progress = self.progress.get(&conn).copied().unwrap_or_default();
                self.proxy.progressed(&mut self.cx, conn, progress);
            }
            Action::Finish(conn) => self.seen.entry(conn).or_default().end = Some("finish"),
            Action::Close(conn) | Action::HangUp(conn) => self.seen.entry(conn).or_default().end = Some("close"),
            Action::Abort(conn) => self.seen.entry(conn).or_default().end = Some("abort"),
            Action::Splice { from, to, len } => drop(self.splices.insert(from, (to, len))),
            Action::SetReading(conn, true) => drop(self.paused.remove(&conn)),
            Action::SetReading(conn, false) => drop(self.paused.insert(conn)),
            Action::SetReads(..) | Action::ConnectSecured(..) => {}
            Action::SendFile(..) => unreachable!("a proxy has no files"),
        }
    }
}

/// The status code of the first response in `wire`.
pub(super) fn status(wire: &str) -> &str {
    wire.get(9..12).unwrap_or("-")
}
