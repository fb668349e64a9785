//! The reverse proxy: the parts put together.
//!
//! ```text
//!  client ──▶ Downstream ──▶ Exchange ──▶ Upstream ──▶ backend
//!     ▲       clients.rs     exchange/    backends.rs
//!     ╰───────  Reply  ◀────────╯│
//!              client/           │ asks
//!            lb (which backend) · health (is it alive) · pool (which connection) · resilience (again?)
//! ```
//!
//! A [`Proxy`] is one worker's [`App`]: it hears what happened on a connection, finds out whose turn it is
//! (`table.rs`), and lets the exchange concerned take one step. A [`Plan`] decides which parts are put together: a
//! milestone is a plan with more parts.

mod access;
mod access_log;
mod admin;
mod answer;
mod args;
mod backend_spec;
mod backends;
mod blueprint;
mod bodies;
mod candidates;
mod client;
mod clients;
mod config;
mod counter;
mod demo;
mod downstream;
mod due;
mod edits;
mod exchange;
mod explain;
mod failure;
mod forward;
mod greeting;
mod groups;
mod headers;
mod identity;
mod idle;
mod keeper;
mod late;
mod leaving;
mod load;
mod marks;
mod measures;
mod metrics;
mod network;
mod orders;
mod outcomes;
mod parked;
mod phase;
mod plan;
mod policy;
mod ports;
mod probe;
mod proxy_protocol;
mod pulse;
mod questions;
mod readings;
mod record;
mod refusals;
mod resolving;
mod room;
mod routing;
mod rules;
mod run;
mod running;
mod scheme;
mod second_level;
mod secured;
mod server_names;
mod setup;
mod shared;
mod sites;
mod stall;
mod stats;
mod streams;
mod succession;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod turns;
mod upstream;
mod versions;
mod watchdog;
mod wishes;
mod worker;
mod writing;

pub use access::{AtOnce, Barred, Lists, Login, MOST_BURST, Passwords, Rate, RateKey, SharingArgs};
pub use access_log::{AccessFormat, LogArgs};
pub use admin::Desk;
pub use answer::TEXT;
pub use args::{BalanceArgs, ProxyArgs};
pub use backend_spec::BackendSpec;
pub use config::{ClientField, Config, Deadlines, Forwarding};
pub use demo::Demo;
pub use edits::{Edits, Side, check_name, check_value};
pub use exchange::{Name, RULES, states_diagram};
pub use explain::{ExplainArgs, ExplainConfig};
pub use failure::Failure;
pub use forward::{
    Denied, Done, ForwardArgs, Guard, Host, NameRules, Pattern, Place, Ports, Reserved, Resolver, Rules, Trust, Users,
    host,
};
pub use groups::GroupId;
pub use keeper::{Next, Source};
pub use marks::{MarkArgs, Marks, TraceContext};
pub use network::Network;
pub use phase::{Phase, TRANSITIONS, diagram};
pub use plan::Plan;
pub use policy::Policy;
pub use proxy_protocol::{
    AnnounceArgs, Ends, Look as Announced, ProxyProtocol, look as announced, written as announcement,
};
pub use routing::{Location, Route, Site, Target};
pub use run::{run, serve};
pub use second_level::{SecondLevelArgs, SecondLevelConfig};
pub use secured::Teller;
pub use secured::{Redirect, ServerArgs, TlsArgs};
pub use setup::Setup;
pub use sites::Upstream;
pub use streams::Http2Args;

use crate::app::{App, ConnId, Cx, Insecure, Origin, Progress, TimerKey};
use exchange::{Event, Exchange};
use slab::Slab;
use std::{io, sync::atomic::Ordering};
use table::Role;
use worker::Worker;

/// One worker of a reverse proxy.
#[derive(Debug)]
pub struct Proxy {
    exchanges: Slab<Exchange>,
    worker: Worker,
    /// Requests that were not finished in time at the end.
    cut_off: usize,
}

impl Proxy {
    /// The service behind the admin listener, for all workers of this one's proxy.
    #[must_use]
    pub fn desk(&self) -> Desk {
        Desk::new(self.current())
    }

    /// Where the newest configuration is.
    pub(in crate::proxy) fn current(&self) -> std::sync::Arc<versions::Current> {
        self.worker.versions.current().clone()
    }

    /// The work of all workers of this one's proxy so far, as it is told on SIGUSR1.
    fn tally(&self) -> tally::Tally {
        tally::Tally(self.worker.shared.counters.clone())
    }

    /// How many requests were cut off at the drain deadline.
    #[must_use]
    pub fn cut_off_at_end(&self) -> usize {
        self.cut_off
    }

    /// Counts of what the worker holds right now; all zero when nothing goes on. For tests and simulations.
    #[must_use]
    pub fn census(&self) -> Census {
        let unattended = self.exchanges.iter().filter(|(_, exchange)| exchange.is_unattended()).count();
        let mut census = Census { exchanges: self.exchanges.len(), unattended, ..Census::default() };
        for role in self.worker.table.roles() {
            match role {
                Role::Vacant => {}
                Role::Downstream(_) => census.clients += 1,
                Role::Streams(client) => {
                    census.clients += 1;
                    census.streams += client.exchanges();
                }
                Role::Upstream(upstream) if upstream.exchange.is_some() => census.busy += 1,
                Role::Upstream(_) => census.idle += 1,
                Role::Parked(_) => {
                    census.exchanges += 1;
                    census.clients += 1;
                }
                Role::ParkedWith(_) => census.busy += 1,
                Role::Probe(_) => census.probes += 1,
            }
        }
        if let Some(cache) = &self.worker.shared.cache {
            census.fetches = cache.flights.under_way();
        }
        census.queued = self.exchanges.iter().filter(|(_, exchange)| exchange.is_queued()).count();
        census.waiting = self.worker.pool.stats().waiting;
        census.in_flight = self.worker.shared.load.all();
        census
    }

    /// Empties the cache of all workers, and tells how many bytes are counted all the same: none, when nothing goes on
    /// and no client reads. For tests and simulations.
    #[must_use]
    pub fn empty_cache(&self) -> usize {
        self.worker.shared.cache.as_ref().map_or(0, |cache| cache.store.emptied())
    }

    /// Decisions that explanations of requests do not tell: none, or there is a mistake. For tests and simulations.
    #[must_use]
    pub fn unexplained(&self) -> Vec<String> {
        let records = self.worker.shared.explain.iter().flat_map(|watcher| watcher.book.all());
        let gaps = records.filter(|record| !record.gaps().is_empty());
        gaps.map(|record| format!("{:?} are missing in:\n{}", record.gaps(), record.text())).collect()
    }

    /// Passes an event to its exchange, and deals with the client's connection if that was the end.
    fn on(&mut self, cx: &mut Cx, key: u32, event: Event<'_>) {
        match self.exchanges.get(key as usize) {
            Some(exchange) if exchange.core.version == self.worker.version => self.step_exchange(cx, key, event),
            Some(_) => self.on_older(cx, key, event),
            None => {}
        }
    }

    /// The same; the worker works with the configuration of the exchange.
    #[inline]
    fn step_exchange(&mut self, cx: &mut Cx, key: u32, event: Event<'_>) {
        let Some(exchange) = self.exchanges.get_mut(key as usize) else { return };
        exchange.on(event, &mut self.worker, cx);
        if let Some(outcome) = exchange.outcome() {
            self.retire(cx, key, outcome);
        }
    }
}

/// Numbers of things that one worker holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Requests being answered.
    pub exchanges: usize,
    /// Of these, those that no client waits for: what they fetch is for the cache.
    pub unattended: usize,
    /// Of these, waiting for a connection.
    pub queued: usize,
    /// Fetches that others may follow, over all workers.
    pub fetches: usize,
    /// Requests in the pool's queue: the same, between two events.
    pub waiting: usize,
    /// Client connections.
    pub clients: usize,
    /// Streams of those that speak HTTP/2 whose requests are being answered.
    pub streams: usize,
    /// Backend connections that carry an exchange.
    pub busy: usize,
    /// Backend connections in the pool.
    pub idle: usize,
    /// Health checks under way.
    pub probes: usize,
    /// Requests in flight, over all workers.
    pub in_flight: u32,
}

impl App for Proxy {
    fn started(&mut self, cx: &mut Cx) {
        self.worker.start_probing(cx);
    }

    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        self.accept_client(cx, conn, origin);
        self.settle(cx);
    }

    fn connected(&mut self, cx: &mut Cx, conn: ConnId) {
        match self.worker.table.get(conn) {
            Some(Role::Upstream(_)) => self.backend_connected(cx, conn),
            Some(Role::Probe(_)) => self.worker.probe_connected(conn, cx),
            Some(Role::Downstream(_) | Role::Streams(_) | Role::Parked(_) | Role::ParkedWith(_) | Role::Vacant)
            | None => {}
        }
        self.settle(cx);
    }

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        match self.worker.table.get(conn) {
            Some(Role::Downstream(_)) => self.hear_client(cx, conn, input),
            Some(Role::Streams(_)) => self.hear_streams(cx, conn, input),
            Some(Role::Upstream(_)) => self.hear_backend(cx, conn, input),
            Some(Role::Probe(_)) => self.worker.probe_heard(conn, input, cx),
            Some(Role::Parked(_) | Role::ParkedWith(_)) => {
                self.unpark(cx, conn);
                return self.received(cx, conn, input);
            }
            Some(Role::Vacant) | None => {}
        }
        self.settle(cx);
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        match self.worker.table.get(conn) {
            Some(Role::Downstream(_)) => self.client_took(cx, conn, unsent),
            Some(Role::Streams(_)) => self.streams_took(cx, conn, unsent),
            Some(Role::Upstream(_)) => self.backend_took(cx, conn, unsent),
            Some(Role::Parked(_) | Role::ParkedWith(_)) => {
                self.unpark(cx, conn);
                return self.sent(cx, conn, unsent);
            }
            Some(Role::Probe(_) | Role::Vacant) | None => {}
        }
        self.settle(cx);
    }

    fn spliced(&mut self, cx: &mut Cx, from: ConnId, moved: u64) {
        self.backend_spliced(cx, from, moved);
        self.settle(cx);
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        match self.worker.table.get(conn) {
            Some(Role::Downstream(_)) => self.client_ended(cx, conn),
            Some(Role::Streams(_)) => self.streams_ended(cx, conn),
            Some(Role::Upstream(_)) => self.backend_ended(cx, conn),
            Some(Role::Probe(_)) => self.worker.probe_failed(conn, io::ErrorKind::UnexpectedEof, cx),
            Some(Role::Parked(_) | Role::ParkedWith(_)) => {
                self.unpark(cx, conn);
                return self.ended(cx, conn);
            }
            Some(Role::Vacant) | None => {}
        }
        self.settle(cx);
    }

    fn peeked(&mut self, cx: &mut Cx, conn: ConnId, quiet: bool) {
        if let Some(key) = self.worker.table.upstream(conn).and_then(|upstream| upstream.exchange) {
            self.on(cx, key, Event::Peeked(quiet));
        } else {
            self.client_peeked(cx, conn, quiet);
        }
        self.settle(cx);
    }

    fn progressed(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        match self.worker.table.get(conn) {
            Some(Role::Downstream(_)) => self.client_progressed(cx, conn, progress),
            Some(Role::Streams(_)) => self.streams_progressed(cx, conn, progress),
            Some(Role::Upstream(_)) => self.backend_progressed(cx, conn, progress),
            // A side of a silent tunnel has everything, and is not asked how far it is.
            Some(Role::Parked(_) | Role::ParkedWith(_) | Role::Probe(_) | Role::Vacant) | None => {}
        }
        self.settle(cx);
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        match self.worker.table.get(conn) {
            Some(Role::Downstream(_)) => self.client_failed(cx, conn),
            Some(Role::Streams(_)) => self.streams_gone(cx, conn),
            Some(Role::Upstream(_)) => self.backend_failed(cx, conn, error),
            Some(Role::Probe(_)) => self.worker.probe_failed(conn, error, cx),
            Some(Role::Parked(_) | Role::ParkedWith(_)) => {
                self.unpark(cx, conn);
                return self.failed(cx, conn, error);
            }
            Some(Role::Vacant) | None => {}
        }
        self.settle(cx);
    }

    fn insecure(&mut self, cx: &mut Cx, conn: ConnId, why: Insecure) {
        match self.worker.table.get(conn) {
            Some(Role::Probe(_)) => self.worker.probe_insecure(conn, why, cx),
            Some(Role::Parked(_) | Role::ParkedWith(_)) => {
                self.unpark(cx, conn);
                return self.insecure(cx, conn, why);
            }
            _ => self.backend_insecure(cx, conn, why),
        }
        self.settle(cx);
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        match key {
            TimerKey::App(key) => match probe::due(key) {
                Some(backend) => self.worker.start_probe(backend, cx),
                None => self.on(cx, key / 2, Event::Expired),
            },
            TimerKey::Conn(conn) => match self.worker.table.get(conn) {
                Some(Role::Downstream(_)) => self.client_late(cx, conn),
                Some(Role::Streams(_)) => self.streams_late(cx, conn),
                Some(Role::Upstream(_)) => self.backend_late(cx, conn),
                Some(Role::Probe(_)) => self.worker.probe_late(conn, cx),
                Some(Role::Parked(_) | Role::ParkedWith(_)) => {
                    self.unpark(cx, conn);
                    return self.expired(cx, TimerKey::Conn(conn));
                }
                Some(Role::Vacant) | None => {}
            },
        }
        self.settle(cx);
    }

    fn woken(&mut self, cx: &mut Cx) {
        self.worker.shared.pulses[self.worker.number].beat();
        self.follow_configuration(cx);
        self.go_on(cx);
        self.worker.pool.woken(&mut self.worker.closing);
        self.worker.follow_health(cx.now());
        self.worker.close_given_up(cx);
        self.settle(cx);
    }

    fn crowded(&mut self, cx: &mut Cx) {
        self.make_room(cx);
        self.settle(cx);
    }

    fn drain(&mut self, cx: &mut Cx) {
        self.worker.draining = true;
        self.worker.shared.draining.store(true, Ordering::Relaxed);
        self.worker.stop_probing(cx);
        self.worker.pool.drain(&mut self.worker.closing);
        self.worker.close_given_up(cx);
        self.drain_clients(cx);
        self.settle(cx);
    }

    fn cut_off(&mut self, cx: &mut Cx) {
        self.cut_off_clients(cx);
        self.settle(cx);
    }
}
