//! Which backend, which connection; and what if there is none.

use super::{Failure, Link, State, Step, relay::Relay};
use crate::{
    app::ConnId,
    backend::BackendId,
    health::Outcome,
    http::{self, BodyLength, Method},
    lb::RouteKey,
    pool::{BackendSet, Checkout, Client, Granted, Lease},
    proxy::{
        explain::{Fact, Pooled, Standing, Timer},
        headers,
        proxy_protocol::written,
        record::PoolUse,
        table::Role,
        upstream::{Upstream, connect},
        worker::Worker,
    },
    resilience::{DeadlineBudget, Dial},
};
use bytes::Bytes;

/// A body longer than this is read in large pieces.
const BULK: u64 = 16 * 1024;

/// The result of choosing.
enum Choice {
    /// An established connection from the pool.
    Reuse(BackendId, ConnId, Lease),
    /// A backend with room for a new connection.
    Open(BackendId, Lease),
    /// There are backends, but all of these are at their limits.
    Full(BackendSet),
    /// There are none.
    Nobody,
}

impl Choice {
    fn backend(&self) -> Option<BackendId> {
        match self {
            Self::Reuse(backend, ..) | Self::Open(backend, _) => Some(*backend),
            Self::Full(_) | Self::Nobody => None,
        }
    }
}

impl Step<'_> {
    /// Chooses a backend and gets hold of a connection to it, or waits for one. `granted`: it has waited already.
    pub(super) fn route(&mut self, granted: Option<Granted<u32>>) -> State {
        self.route_to(granted.as_ref().and_then(|granted| granted.backend), granted)
    }

    /// As [`Step::route`], but asks `meant` first: room was made there, or it was its turn already.
    pub(super) fn route_to(&mut self, meant: Option<BackendId>, granted: Option<Granted<u32>>) -> State {
        if let Err(state) = self.find_origin(None) {
            return state;
        }
        match self.choose(meant) {
            Choice::Reuse(backend, conn, lease) => {
                let link = Link { conn, backend, reused: true };
                self.take(link, lease, PoolUse::Reused);
                // Even for a request that could be sent twice: what lies unread on an idle connection (a 408, a second
                // response) would be taken for its answer.
                self.cx.peek(conn, self.core.client.peek_by());
                State::Peek(link)
            }
            Choice::Open(backend, lease) => self.open(backend, lease),
            Choice::Full(full) => self.wait(full, granted),
            Choice::Nobody => {
                self.explain(|_| Fact::Pool(Pooled::Nobody));
                self.give_up(None, Failure::NoBackend)
            }
        }
    }

    /// Opens a connection; `backends.rs` goes on to the next address of the backend if this one does not answer.
    fn open(&mut self, backend: BackendId, lease: Lease) -> State {
        let now = self.cx.now();
        let shared = &self.worker.shared;
        let budget = DeadlineBudget::new(shared.config.deadlines.connect, now);
        let server = shared.backend(backend, self.core.origin.as_ref());
        let mut dial = Dial::new(&server.addresses, budget);
        let Some((address, share)) = dial.next(now) else {
            self.worker.report(backend, Outcome::Neutral, now);
            self.worker.pool.ended(lease);
            return self.give_up(None, Failure::ConnectTimeout);
        };
        let announced = shared.groups.announces(backend).map(|version| written(version, self.core.record.ends()));
        let first = announced.map(Bytes::from).unwrap_or_default();
        let conn = connect(self.cx, server, address, &first);
        self.core.explain(|| Fact::Dialed { backend, address }, now);
        let mut upstream = Upstream::new(conn, backend, dial, self.core.origin.clone());
        upstream.first = first;
        self.worker.table.insert(conn, Role::Upstream(Box::new(upstream)));
        let link = Link { conn, backend, reused: false };
        self.take(link, lease, PoolUse::Opened);
        self.expect_upstream(link, Some(now + share));
        State::Connect(link)
    }

    /// Joins the queue of the pool, or takes its old place in it.
    fn wait(&mut self, full: BackendSet, granted: Option<Granted<u32>>) -> State {
        let since = granted.as_ref().map_or(self.cx.now(), |granted| granted.since);
        match granted {
            Some(granted) => self.worker.pool.wait_again(granted, full),
            None => {
                let client = Client::from(self.core.record.client);
                if self.worker.pool.wait(self.core.key, client, full, since).is_err() {
                    self.explain(|_| Fact::Pool(Pooled::QueueFull));
                    return self.give_up(None, Failure::QueueFull);
                }
            }
        }
        self.explain(|_| Fact::Pool(Pooled::Waits));
        let until = since + self.worker.shared.config.deadlines.queue;
        self.wait_until(Some(until));
        self.ask_if_closed();
        State::Wait
    }

    /// Asks `meant`, then the balancer, until a backend has a connection for us.
    fn choose(&mut self, meant: Option<BackendId>) -> Choice {
        if let Some(origin) = &self.core.origin {
            return self.choose_origin(origin.id);
        }
        let now = self.cx.now();
        let client = RouteKey { client: self.core.record.client };
        let id = self.core.way.group;
        let mut candidates = std::mem::take(&mut self.worker.chooser(id).candidates);
        let shared = &self.worker.shared;
        candidates.begin(&shared.groups.get(id).health, &shared.backends, now);
        if self.worker.chooser(id).balancer.compares_load() {
            candidates.look_at(&self.worker.shared.load);
        }
        candidates.spare(&self.core.attempts.tried);
        let mut choice = Choice::Nobody;
        let mut meant = meant.filter(|meant| candidates.has(*meant));
        // Why others were not chosen, if somebody wants to know.
        let mut seen = self.core.explanation.as_ref().map(|_| Vec::new());
        while let Some(backend) =
            meant.take().or_else(|| self.worker.chooser(id).balancer.pick(&client, candidates.as_slice()))
        {
            if self.worker.shared.groups.get(id).health.admit(backend, now) {
                match self.worker.checkout(backend, self.core.attempts.fresh, self.cx) {
                    Checkout::Reuse { conn, lease, .. } => {
                        choice = Choice::Reuse(backend, conn, lease);
                        break;
                    }
                    Checkout::Open(lease) => {
                        choice = Choice::Open(backend, lease);
                        break;
                    }
                    Checkout::Full | Checkout::Evict { .. } => {
                        self.worker.shared.groups.get(id).health.report(backend, Outcome::Neutral, now);
                        let mut full = if let Choice::Full(full) = choice { full } else { BackendSet::default() };
                        full.insert(backend);
                        choice = Choice::Full(full);
                        seen.iter_mut().for_each(|seen| seen.push((backend, Standing::Full)));
                    }
                }
            } else {
                seen.iter_mut().for_each(|seen| seen.push((backend, Standing::NotAdmitted)));
            }
            candidates.cross_out(backend);
        }
        self.worker.chooser(id).candidates = candidates;
        if let Some(seen) = seen {
            self.explain_choice(&seen, choice.backend());
        }
        choice
    }

    /// A client of a forward proxy has chosen itself.
    fn choose_origin(&mut self, origin: BackendId) -> Choice {
        match self.worker.checkout(origin, self.core.attempts.fresh, self.cx) {
            Checkout::Reuse { conn, lease, .. } => Choice::Reuse(origin, conn, lease),
            Checkout::Open(lease) => Choice::Open(origin, lease),
            Checkout::Full | Checkout::Evict { .. } => Choice::Full(BackendSet::from_iter([origin])),
        }
    }

    /// From here on the exchange holds a connection, and a place among those in flight.
    fn take(&mut self, link: Link, lease: Lease, pool: PoolUse) {
        self.worker.shared.load.begin(self.worker.number, link.backend);
        self.core.record.backend = Some(link.backend);
        self.core.record.pool = pool;
        self.explain(|_| {
            Fact::Pool(if link.reused { Pooled::Reused(link.backend) } else { Pooled::Opened(link.backend) })
        });
        let reads = self.core.client.reads(self.worker);
        if let Some(upstream) = self.worker.table.upstream(link.conn) {
            upstream.exchange = Some(self.core.key);
            upstream.lease = Some(lease);
            upstream.set_reads(self.cx, reads);
        }
        self.wait_until(None);
    }

    /// The pooled connection was looked at. One that is not quiet is no fault of the backend, and nothing was sent on
    /// it: looking again is not a retry.
    pub(super) fn peeked(&mut self, link: Link, quiet: bool) -> State {
        self.explain(|_| Fact::Peeked { quiet });
        if quiet {
            return self.send_request(link);
        }
        self.drop_link(link, Outcome::Neutral);
        // The pool may hold more such; a new connection settles it.
        self.core.attempts.fresh = true;
        self.route(None)
    }

    /// The connection is there. A client that wants no more than that has its tunnel.
    pub(super) fn connected(&mut self, link: Link) -> State {
        if self.core.request.head.method == Method::Connect { self.open_tunnel(link) } else { self.send_request(link) }
    }

    /// Sends the head; the body follows as it arrives.
    pub(super) fn send_request(&mut self, link: Link) -> State {
        let now = self.cx.clock();
        self.core.attempts.sent = true;
        if let Some(caching) = &mut self.core.caching {
            caching.question.sent = Some(now);
        }
        let head = self.head_for(link);
        self.core.explain(|| Fact::Sent { head: head.clone() }, now.instant);
        self.cx.send(link.conn, head);
        let deadlines = &self.worker.shared.config.deadlines;
        let answer_by = self.cx.now() + deadlines.first_byte;
        // A client that waits for 100 is not late, and then it is the backend's turn.
        let polite = !self.core.request.is_complete() && http::expects_continue(&self.core.request.head);
        let waits = self.core.request.is_complete() || polite;
        if let Some(upstream) = self.worker.table.upstream(link.conn) {
            upstream.begin();
            upstream.reader.expect(&self.core.request.head.method);
            upstream.expect(self.cx, waits.then_some(answer_by));
        }
        self.explain_timer(Timer::Server, waits.then_some(answer_by));
        // An earlier backend may have taken no more of it.
        self.forget_congestion();
        if !self.core.request.is_complete() {
            if polite {
                self.expect_no_body();
            } else {
                self.expect_body(0);
            }
            let bulk = is_bulk(self.core.request.body);
            self.reply().begin_body(bulk);
        }
        State::Relay(Relay::new(link, self.core.request.body))
    }

    /// The head of the request as the backend gets it.
    fn head_for(&mut self, link: Link) -> Bytes {
        let without = self.keeps_credentials().then(|| {
            let question = self.core.caching.as_ref().and_then(|caching| caching.question.head.as_ref());
            let mut head = question.unwrap_or(&self.core.request.head).clone();
            head.fields.remove("authorization");
            head
        });
        let Worker { writing, shared, pool, .. } = &mut *self.worker;
        let core = &*self.core;
        let question = core.caching.as_ref().and_then(|caching| caching.question.head.as_ref());
        let inbound = headers::Inbound {
            head: without.as_ref().or(question).unwrap_or(&core.request.head),
            body: core.request.body,
            upgrade: core.request.upgrade,
            peer: core.record.peer.ip(),
            chain_is_set: shared.policy(core.way).is_some_and(|policy| policy.request.replaces("x-forwarded-for")),
            received_by: core.record.stream.map(|_| "2.0 "),
            secure: core.record.secure.is_some(),
            subject: core.record.secure.as_ref().and_then(|secure| secure.client.as_deref()),
            backend: shared.backend(link.backend, core.origin.as_ref()),
            persist: pool.config(link.backend).max > 0,
        };
        writing.head(|out| headers::write_request(out, &inbound, &shared.config.forwarding))
    }

    /// Sets what the backend has to do next, and by when.
    pub(super) fn expect_upstream(&mut self, link: Link, by: Option<crate::time::Instant>) {
        self.explain_timer(Timer::Server, by);
        if let Some(upstream) = self.worker.table.upstream(link.conn) {
            upstream.expect(self.cx, by);
        }
    }
}

/// Whether a body is worth large reads.
pub(super) fn is_bulk(body: BodyLength) -> bool {
    match body {
        BodyLength::Empty => false,
        BodyLength::Exact(length) => length > BULK,
        BodyLength::Chunked | BodyLength::UntilClose => true,
    }
}
