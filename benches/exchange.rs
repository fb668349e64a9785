//! One whole exchange through the proxy, without a socket: everything between two system calls.
//!
//! A [`Proxy`] is an [`App`], so this file can be its driver: it says what clients and backends send, and carries out
//! what the proxy asks for. The rest is the proxy's own cost of a request: parsing both heads, choosing a backend, the
//! pool, the deadlines, the new heads. The kernel's cost of the four reads and writes is several times that, and
//! `peers.py` measures both together.
//!
//! - **new connection**: milestone 1. A connection to the backend for each request.
//! - **kept connection**: milestone 3. Balancing, pooling and probing cost the proxy about what opening and closing did;
//!   what they save is the kernel's handshake, which is not in here.
//! - **kept connection, browser**: 16 fields instead of one: what a field costs on its way through.

mod common;

use clap::Parser;
use common::{ANSWER, BROWSER_GET, SMALL_GET, backends, start};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use socket_patterns::{
    app::{Action, App, ConnId, Cx, ListenerId, Origin, Progress},
    pool::PoolArgs,
    proxy::{BalanceArgs, Census, Config, Plan, Proxy},
};
use std::{hint::black_box, time::Duration};

/// As much time passes with each exchange: ordinary traffic for one worker.
const STEP: Duration = Duration::from_micros(20);

/// The parts that milestones 2 and 3 add, as their flags.
#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    balance: BalanceArgs,
    #[command(flatten)]
    pool: PoolArgs,
}

/// Forwards to one backend, as milestone 1 does.
fn forwarding() -> Plan {
    Plan::new(Config::default())
}

/// Balances and keeps connections, as milestone 3 does, without probes.
fn pooling() -> Plan {
    let Flags { balance, pool } = Flags::parse_from(["bench", "--no-health"]);
    forwarding().balance(balance).pool(&pool)
}

/// One worker, its driver, and one client that asks again and again.
struct World {
    proxy: Proxy,
    cx: Cx,
    client: ConnId,
    /// The connection to a backend that the last request was sent on.
    backend: Option<ConnId>,
    /// Whether that connection was asked for and is not there yet.
    connecting: bool,
    /// Bytes that went to the client.
    answered: usize,
    /// Kept for its memory.
    actions: Vec<Action>,
}

impl World {
    fn new(plan: Plan, count: u16) -> Self {
        let now = start();
        let (mut proxies, _) = plan.build(backends(count), 1, now, 0);
        let mut proxy = proxies.remove(0);
        let mut cx = Cx::new(now);
        proxy.started(&mut cx);
        let client = cx.allocate();
        let origin = Origin { listener: ListenerId(0), peer: ([192, 0, 2, 7], 4000).into(), local: None, secure: None };
        proxy.accepted(&mut cx, client, origin);
        Self { proxy, cx, client, backend: None, connecting: false, answered: 0, actions: Vec::new() }
    }

    /// The client asks, the backend answers. How many bytes reached the client.
    fn exchange(&mut self, request: &[u8], answer: &[u8]) -> usize {
        self.answered = 0;
        self.pass_time();
        self.hear(self.client, request);
        let backend = self.backend.take().expect("the request goes to a backend");
        if std::mem::take(&mut self.connecting) {
            self.proxy.connected(&mut self.cx, backend);
            self.carry_out();
        }
        self.hear(backend, answer);
        self.answered
    }

    fn pass_time(&mut self) {
        self.cx.set_clock(self.cx.clock().after(STEP));
        while let Some(key) = self.cx.next_expired() {
            self.proxy.expired(&mut self.cx, key);
            self.carry_out();
        }
    }

    fn hear(&mut self, conn: ConnId, input: &[u8]) {
        self.cx.hear(input);
        self.proxy.received(&mut self.cx, conn, input);
        self.carry_out();
        self.cx.hear(&[]);
    }

    /// Carries out actions as a reactor does, but without the system calls.
    fn carry_out(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        loop {
            self.cx.take_actions(&mut actions);
            if actions.is_empty() {
                break;
            }
            for action in actions.drain(..) {
                self.perform(action);
            }
        }
        self.actions = actions;
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Connect(conn, _) => (self.backend, self.connecting) = (Some(conn), true),
            Action::Send(conn, bytes) => self.write(conn, black_box(bytes).len()),
            Action::Forward(conn, range) => self.write(conn, range.len()),
            Action::Peek(conn, _) => self.proxy.peeked(&mut self.cx, conn, true),
            Action::Progress(conn) => self.proxy.progressed(&mut self.cx, conn, Progress::default()),
            Action::Finish(_) | Action::Close(_) | Action::HangUp(_) | Action::Abort(_) => {}
            Action::SetReading(..) | Action::SetReads(..) | Action::Splice { .. } | Action::ConnectSecured(..) => {}
            Action::SendFile(..) => unreachable!("a proxy has no files"),
        }
    }

    fn write(&mut self, conn: ConnId, bytes: usize) {
        if conn == self.client {
            self.answered += bytes;
        } else {
            self.backend = Some(conn);
        }
    }
}

/// A bench that measures refusals would be fast. Afterwards as many connections are idle as the plan promises.
fn check(world: &mut World, request: &[u8], idle: usize) {
    for _ in 0..10 {
        assert!(world.exchange(request, ANSWER) > ANSWER.len(), "all of the answer, and our Via");
    }
    assert_eq!(world.proxy.census(), Census { clients: 1, idle, ..Census::default() });
}

fn exchanges(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exchange");
    group.throughput(Throughput::Elements(1));
    for (name, plan, count, idle, request) in [
        ("new connection", forwarding(), 1, 0, SMALL_GET),
        ("kept connection", pooling(), 3, 3, SMALL_GET),
        ("kept connection, browser", pooling(), 3, 3, BROWSER_GET),
    ] {
        let mut world = World::new(plan, count);
        check(&mut world, request, idle);
        group.bench_function(name, |bencher| bencher.iter(|| world.exchange(black_box(request), black_box(ANSWER))));
    }
    group.finish();
}

criterion_group! { name = benches; config = common::quick(); targets = exchanges }
criterion_main!(benches);
