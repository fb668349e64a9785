//! One worker of the proxy, driven by a program: each input is a list of things that clients, backends, the network and
//! the clock do. In every case the books balance, backends hear requests, and clients hear responses that are complete
//! or visibly broken.

use super::{
    peer::{Ending, Peer, Side},
    pieces::MOST,
};
use clap::Parser;
use socket_patterns::{
    app::{Action, App, ConnId, Cx, ListenerId, Origin, Progress},
    backend::{Backend, BackendId},
    pool::PoolArgs,
    proxy::{BalanceArgs, Census, Config, Plan, Proxy},
    time::{Instant, Now},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io::ErrorKind,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

/// The texts of clients; raw bytes are possible, too.
const ASKS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
    "llo",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "0\r\n\r\n",
    "2\r\nxy\r\n0\r\nSum: 1\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    "GET / HTTP/1.1\r\nHo",
    "st: a\r\n\r\n",
    "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
    "\r\n",
];

/// The texts of backends.
const ANSWERS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha",
    "lf",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "0\r\n\r\n",
    "1\r\nx\r\n",
    "HTTP/1.1 200 OK\r\n\r\nuntil close",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
    "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
];

/// How far the clock jumps, in milliseconds: below, at and above what the deadlines are.
const JUMPS: [u64; 8] = [10, 100, 1000, 4000, 6000, 11_000, 61_000, 3_601_000];

/// Client connections at a time.
const CLIENTS: usize = 4;

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let mut program = Program(&data[..data.len().min(MOST)]);
    let mut world = World::new(&mut program);
    while let Some(op) = program.byte() {
        world.step(op, &mut program);
        world.check();
    }
    world.finish();
}

/// The input, used up from its front.
struct Program<'d>(&'d [u8]);

impl<'d> Program<'d> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> usize {
        usize::from(self.byte().unwrap_or(0))
    }

    /// One of the phrases, or bytes that the input brings.
    fn phrase(&mut self, phrases: &[&'static str]) -> &'d [u8] {
        let number = self.number();
        if number < 128 {
            return phrases[number % phrases.len()].as_bytes();
        }
        let (raw, rest) = self.0.split_at((number - 128).min(self.0.len()));
        self.0 = rest;
        raw
    }
}

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    balance: BalanceArgs,
    #[command(flatten)]
    pool: PoolArgs,
}

/// An event that the driver owes the application, after the call that caused it.
enum Owed {
    Sent(ConnId),
    Peeked(ConnId, bool),
    Progressed(ConnId, Progress),
}

struct World {
    proxy: Proxy,
    cx: Cx,
    peers: BTreeMap<ConnId, Peer>,
    owed: VecDeque<Owed>,
    draining: bool,
}

impl World {
    fn new(program: &mut Program<'_>) -> Self {
        // Any instant will do: nothing here reads the clock again.
        #[allow(clippy::disallowed_methods)]
        let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
        let (shape, room) = (program.number(), program.number());
        let mut config = Config { unseen: if shape & 1 == 0 { 1 } else { u64::MAX }, ..Config::default() };
        config.keep_alive_requests = u32::from(shape & 2 != 0) * 2;
        config.deadlines.exchange = (shape & 4 != 0).then_some(Duration::from_secs(20));
        let flag = |on: bool, yes, no| if on { yes } else { no };
        let Flags { balance, pool } = Flags::parse_from([
            "proxy",
            flag(shape & 8 != 0, "--retries=0", "--retries=2"),
            flag(room & 1 == 0, "--pool-max=1", "--pool-max=100"),
            flag(room & 2 == 0, "--pool-queue=1", "--pool-queue=100"),
            flag(room & 4 == 0, "--health-interval=10s", "--health-interval=1s"),
        ]);
        let plan = Plan::new(config);
        let plan = match shape >> 4 & 3 {
            0 => plan,
            1 => plan.balance(balance),
            _ => plan.balance(balance).pool(&pool),
        };
        let count = if shape >> 4 & 3 == 0 { 1 } else { 1 + (room >> 3) as u16 % 3 };
        let backend = |number| {
            let addresses = SocketAddr::from(([127, 0, 0, 1], 3000 + number)).into();
            Backend {
                id: BackendId(number),
                name: format!("b{number}"),
                addresses,
                weight: 1,
                max: None,
                secured: None,
            }
        };
        let (mut proxies, _) = plan.build((0..count).map(backend).collect(), 1, now, 0);
        let proxy = proxies.remove(0);
        let mut world =
            Self { proxy, cx: Cx::new(now), peers: BTreeMap::new(), owed: VecDeque::new(), draining: false };
        world.call(&[], |proxy, cx| proxy.started(cx));
        world
    }

    fn step(&mut self, op: u8, program: &mut Program<'_>) {
        match op % 16 {
            0 | 1 => {
                self.accept();
                self.say(Side::Client, program.number(), program.phrase(ASKS));
            }
            2..=4 => self.say(Side::Client, program.number(), program.phrase(ASKS)),
            5..=8 => self.say(Side::Backend, program.number(), program.phrase(ANSWERS)),
            9 => self.connect(program.number()),
            10 => self.any(program.number(), |world, conn| world.fail(conn, ErrorKind::ConnectionReset)),
            11 => self.any(program.number(), Self::end),
            12 => self.any(program.number(), |world, conn| world.peer(conn).deaf = true),
            13 => {
                let all = program.number();
                self.any(program.number(), |world, conn| world.take(conn, all & 1 == 0));
            }
            14 => self.pass(Duration::from_millis(JUMPS[program.number() % JUMPS.len()])),
            _ if program.number() < 250 => self.any(program.number(), |world, conn| world.peer(conn).noisy = true),
            _ => self.drain(),
        }
    }

    fn accept(&mut self) {
        let clients = self.peers.values().filter(|peer| peer.is_there() && peer.side == Side::Client).count();
        if clients < CLIENTS && !self.draining {
            let conn = self.cx.allocate();
            self.peers.insert(conn, Peer::new(Side::Client));
            let origin =
                Origin { listener: ListenerId(0), peer: ([192, 0, 2, 7], 4000).into(), local: None, secure: None };
            self.call(&[], |proxy, cx| proxy.accepted(cx, conn, origin));
        }
    }

    /// The first connection that waits to be established.
    fn connect(&mut self, choice: usize) {
        if let Some(conn) = pick(self.peers.iter().filter(|(_, peer)| peer.is_connecting()), choice) {
            self.peer(conn).connected = true;
            self.call(&[], |proxy, cx| proxy.connected(cx, conn));
        }
    }

    fn any(&mut self, choice: usize, what: impl FnOnce(&mut Self, ConnId)) {
        if let Some(conn) = pick(self.peers.iter().filter(|(_, peer)| peer.is_there()), choice) {
            what(self, conn);
        }
    }

    fn peer(&mut self, conn: ConnId) -> &mut Peer {
        self.peers.get_mut(&conn).expect("a connection that was named")
    }

    fn say(&mut self, side: Side, choice: usize, said: &[u8]) {
        let speaks = |peer: &Peer| peer.side == side && peer.may_speak();
        let Some(conn) = pick(self.peers.iter().filter(|(_, peer)| speaks(peer)), choice) else { return };
        self.peer(conn).says(said);
        let said = self.splice(conn, said);
        // A copy of its own: a name for bytes that are gone is then noticed by the address sanitizer.
        let said = said.to_vec();
        if !said.is_empty() && self.peer(conn).is_there() {
            self.call(&said, |proxy, cx| proxy.received(cx, conn, &said));
        }
    }

    /// Moves what a splice wants of it; what is left is heard.
    fn splice<'s>(&mut self, conn: ConnId, said: &'s [u8]) -> &'s [u8] {
        let Some((to, left)) = self.peer(conn).splice.take() else { return said };
        if !self.peer(to).is_there() {
            return said;
        }
        let (moved, rest) = said.split_at(said.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        if moved.len() as u64 != left {
            self.peer(conn).splice = Some((to, left - moved.len() as u64));
        }
        if !moved.is_empty() {
            self.deliver(to, moved);
            self.call(&[], |proxy, cx| proxy.spliced(cx, conn, moved.len() as u64));
        }
        rest
    }

    fn fail(&mut self, conn: ConnId, error: ErrorKind) {
        self.peer(conn).finish(Ending::Failed);
        self.call(&[], |proxy, cx| {
            proxy.failed(cx, conn, error);
            cx.release(conn);
        });
    }

    fn end(&mut self, conn: ConnId) {
        let peer = self.peer(conn);
        if peer.may_speak() {
            peer.ended = true;
            self.call(&[], |proxy, cx| proxy.ended(cx, conn));
        }
    }

    /// The peer takes what waits for it: half of it, or all and from now on everything.
    fn take(&mut self, conn: ConnId, all: bool) {
        let peer = self.peer(conn);
        if peer.unsent > 0 {
            peer.deaf = !all;
            let left = if all { 0 } else { peer.unsent / 2 };
            peer.taken += (peer.unsent - left) as u64;
            peer.unsent = left;
            self.owed.push_back(Owed::Sent(conn));
            self.pay();
        }
    }

    fn pass(&mut self, time: Duration) {
        self.cx.set_clock(self.cx.clock().after(time));
        for _ in 0..10_000 {
            let Some(key) = self.cx.next_expired() else { return };
            self.call(&[], |proxy, cx| proxy.expired(cx, key));
        }
        panic!("deadlines without end");
    }

    fn drain(&mut self) {
        if !std::mem::replace(&mut self.draining, true) {
            self.call(&[], |proxy, cx| proxy.drain(cx));
        }
    }

    /// Calls the application, then does what it asked for.
    fn call(&mut self, heard: &[u8], what: impl FnOnce(&mut Proxy, &mut Cx)) {
        self.cx.hear(heard);
        what(&mut self.proxy, &mut self.cx);
        self.cx.hear(&[]);
        let mut actions = Vec::new();
        self.cx.take_actions(&mut actions);
        for action in actions {
            self.perform(action, heard);
        }
        self.pay();
        if self.cx.take_call() {
            self.call_again();
        }
    }

    /// In a function of its own: a closure in [`World::call`] would be another type for each kind of call, without end.
    fn call_again(&mut self) {
        self.call(&[], |proxy, cx| proxy.woken(cx));
    }

    fn pay(&mut self) {
        while let Some(owed) = self.owed.pop_front() {
            match owed {
                Owed::Sent(conn) if self.peer(conn).is_there() => {
                    let unsent = self.peer(conn).unsent;
                    self.call(&[], |proxy, cx| proxy.sent(cx, conn, unsent));
                }
                Owed::Peeked(conn, quiet) if self.peer(conn).is_there() => {
                    self.call(&[], |proxy, cx| proxy.peeked(cx, conn, quiet));
                }
                Owed::Progressed(conn, progress) if self.peer(conn).is_there() => {
                    self.call(&[], |proxy, cx| proxy.progressed(cx, conn, progress));
                }
                Owed::Sent(_) | Owed::Peeked(..) | Owed::Progressed(..) => {}
            }
        }
    }

    fn perform(&mut self, action: Action, heard: &[u8]) {
        let (Action::Connect(conn, _)
        | Action::ConnectSecured(conn, ..)
        | Action::Send(conn, _)
        | Action::Forward(conn, _)
        | Action::SendFile(conn, _)
        | Action::Splice { from: conn, .. }
        | Action::SetReading(conn, _)
        | Action::SetReads(conn, _)
        | Action::Peek(conn, _)
        | Action::Progress(conn)
        | Action::Finish(conn)
        | Action::Close(conn)
        | Action::HangUp(conn)
        | Action::Abort(conn)) = action;
        // An action for a connection that has ended is ignored.
        if self.peers.get(&conn).is_some_and(|peer| !peer.is_there()) {
            return;
        }
        match action {
            Action::Connect(conn, _) => drop(self.peers.insert(conn, Peer::new(Side::Backend))),
            Action::Send(conn, bytes) => self.deliver(conn, &bytes),
            Action::Forward(conn, range) => self.deliver(conn, &heard[range]),
            Action::Peek(conn, _) => {
                let quiet = !self.peer(conn).noisy;
                // Before anything else happens to it.
                self.owed.push_front(Owed::Peeked(conn, quiet));
            }
            Action::Progress(conn) => {
                let peer = self.peer(conn);
                let progress = Progress { acknowledged: peer.taken, outstanding: peer.unsent as u64 };
                self.owed.push_front(Owed::Progressed(conn, progress));
            }
            Action::Finish(conn) => self.peer(conn).finished = true,
            Action::Close(conn) | Action::HangUp(conn) => self.peer(conn).finish(Ending::Closed),
            Action::Abort(conn) => self.peer(conn).finish(Ending::Aborted),
            Action::Splice { from, to, len } => {
                let before = self.peer(from).splice.replace((to, len));
                assert!(before.is_none(), "one splice at a time");
            }
            Action::SetReading(conn, on) => self.peer(conn).paused = !on,
            Action::SetReads(..) | Action::ConnectSecured(..) => {}
            Action::SendFile(..) => panic!("a proxy has no files"),
        }
    }

    fn deliver(&mut self, conn: ConnId, bytes: &[u8]) {
        let tunnels = self.peers.values().any(|peer| peer.switched);
        let peer = self.peer(conn);
        peer.hears(bytes, tunnels);
        if peer.deaf {
            peer.unsent += bytes.len();
            self.owed.push_back(Owed::Sent(conn));
        } else {
            peer.taken += bytes.len() as u64;
        }
    }

    /// The books, after every step.
    fn check(&self) {
        let census = self.proxy.census();
        let roles = census.clients + census.busy + census.idle + census.probes;
        assert_eq!(roles, self.cx.open(), "connections with a role, and connections: {census:?}");
        assert_eq!(roles, self.peers.values().filter(|peer| peer.is_there()).count(), "{census:?}");
        assert!(census.exchanges <= census.clients, "{census:?}");
        assert_eq!(census.queued, census.waiting, "{census:?}");
        assert!(census.in_flight as usize <= census.exchanges, "{census:?}");
    }

    /// Everybody goes: nothing is left.
    fn finish(&mut self) {
        self.drain();
        for _ in 0..10_000 {
            let Some(conn) = pick(self.peers.iter().filter(|(_, peer)| peer.is_there()), 0) else { break };
            self.fail(conn, ErrorKind::ConnectionReset);
            self.check();
        }
        self.pass(Duration::from_secs(1));
        assert_eq!(self.proxy.census(), Census::default());
        assert_eq!(self.proxy.empty_cache(), 0, "memory that nobody has");
        assert_eq!(self.cx.open(), 0);
    }
}

/// One of them, by number.
fn pick<'p>(among: impl Iterator<Item = (&'p ConnId, &'p Peer)>, choice: usize) -> Option<ConnId> {
    let among: Vec<ConnId> = among.map(|(conn, _)| *conn).collect();
    among.get(choice % among.len().max(1)).copied()
}
