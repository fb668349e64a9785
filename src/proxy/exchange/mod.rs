//! One request and its response: the state machine at the centre of the proxy.
//!
//! ```text
//!            choose                connected / quiet            101
//!   Start ──────────▶ Connect, Peek ───────────▶ Relay ─────────────────▶ Tunnel
//!     ▲  ╲ full                │                   │ │                      │
//!     │   ╲                    ▼                   │ ▼                      ▼
//!   room   ▶ Wait            retry ◀───────────────┘ Done ◀─────────────────┘
//!     │         │              │    before any response
//!     └─────────┴─── Pause ◀───┘
//! ```
//!
//! Every state owns what it needs and nothing else. An [`Event`] consumes the state and returns the next one
//! (`state.rs`); what happens on the way is in one file per question:
//!
//! | file | question |
//! |---|---|
//! | `event.rs` | which events there are |
//! | `request.rs` | what is asked, and how far its content is |
//! | `admit.rs` | is it that of a user, where its route asks |
//! | `cache.rs` | is there an answer in the cache, or another exchange to wait for |
//! | `caching.rs` | what is remembered of that |
//! | `second.rs` | have other proxies stored an answer |
//! | `serve.rs` | how a stored response is given to the client |
//! | `join.rs` | who fetches what is not stored |
//! | `follow.rs` | whose answer is ours, too |
//! | `share.rs` | at whose pace a response passes that several read |
//! | `keep.rs` | what a response means for the cache |
//! | `wanted.rs` | for whom it goes on when its client has left |
//! | `confirm.rs` | what a 304 means for it, and what answers for a backend that fails |
//! | `hold.rs` | is it worth a connection: has its body come, and does its client listen |
//! | `origin.rs` | which server the client of a forward proxy has named |
//! | `route.rs` | which backend, which connection, and what if there is none |
//! | `retry.rs` | may this request be sent again |
//! | `late.rs` | which deadline has passed |
//! | `granted.rs` | does its client know that it may send more |
//! | `relay.rs` | what moves between the two sides, and when is it complete |
//! | `response.rs` | what a response does on its way |
//! | `tunnel.rs` | what happens after a 101, and after a CONNECT |
//! | `parked.rs` | what is left of a tunnel in which nothing happens |
//! | `state.rs` | what each state does with an event |
//! | `transitions.rs` | which state may follow which |
//! | `fail.rs` | how it ends when it does not end well |
//! | `explained.rs` | which facts are noted for somebody who wants to know why |

mod admit;
mod cache;
mod caching;
mod confirm;
mod event;
mod explained;
mod fail;
mod follow;
mod granted;
mod hold;
mod join;
mod keep;
mod late;
mod origin;
mod parked;
mod relay;
mod request;
mod response;
mod retry;
mod route;
mod second;
mod serve;
mod share;
mod state;
mod transitions;
mod tunnel;
mod wanted;

pub(super) use cache::{Cache, Fetch};
use caching::Caching;
pub(super) use event::Event;
pub(super) use hold::{BEGINNING, needed};
pub(super) use parked::Rest;
pub(super) use request::{Needed, Request};
pub use transitions::{Name, RULES, states_diagram};

use super::{
    client::{Client, Ending, Reply},
    downstream::{HIGH_WATER, LOW_WATER},
    explain::{CacheFact, Explanation, Fact},
    failure::Failure,
    forward::TUNNELS,
    phase,
    phase::Phase,
    record::Record,
    routing::Way,
    shared::Shared,
    worker::Worker,
};
use crate::{
    app::{ConnId, Cx, TimerKey},
    backend::{Backend, BackendId},
    cache::{Lead, fill::Fill},
    http::BodyLength,
    time::Instant,
};
use bytes::Bytes;
use follow::{Follow, Read};
use late::Clock;
use relay::{Receiving, Relay};
use second::Lookup;
use std::{sync::Arc, vec};
use tunnel::Tunnel;

/// The backend connection an exchange holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// Its name.
    pub(super) conn: ConnId,
    /// The backend at its other end.
    pub(super) backend: BackendId,
    /// It carried exchanges before, so the backend may have given it up without our knowing yet.
    pub(super) reused: bool,
}

/// Where an exchange is, with exactly the data of that place.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing chosen yet.
    Start,
    /// A password is being verified, until then at the longest.
    Verify(Instant),
    /// The addresses of the server that the client names are being asked for, until then at the longest.
    Resolve(Instant),
    /// Every usable backend is at its limit: in the pool's queue.
    Wait,
    /// Between two tries.
    Pause,
    /// A connection is being opened.
    Connect(Link),
    /// A pooled connection is looked at before it gets a request. Answered within the turn: it needs no deadline.
    Peek(Link),
    /// Another request asks a backend for the same: its answer is waited for.
    Follow(Follow),
    /// The second level of the cache is asked.
    Lookup(Lookup),
    /// That answer is passed on as it arrives.
    Read(Read),
    /// A long stored body: what the client has not been given yet.
    Serve(vec::IntoIter<Bytes>),
    /// Both directions at once.
    Relay(Relay),
    /// Bytes both ways, of a protocol that we do not know.
    Tunnel(Tunnel),
    /// Answered, broken off or given up.
    Done(Result<(), Failure>),
}

/// The tries to get an answer so far.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The head went to a backend.
    pub(super) sent: bool,
    /// Backends that failed this request.
    pub(super) tried: Vec<BackendId>,
    /// A pooled connection turned out dead: take a new one.
    pub(super) fresh: bool,
}

/// The interim responses that went to the client.
#[derive(Debug, Default)]
pub(super) struct Interims {
    pub(super) count: u8,
    /// One of them asked the client to send its content.
    pub(super) continued: bool,
}

/// The data that every state of an exchange needs.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) key: u32,
    /// The version of the configuration that it began with.
    pub(super) version: u32,
    /// The receiver of the answer.
    pub(super) client: Client,
    pub(super) request: Request,
    /// The group that it goes to, and why.
    pub(super) way: Way,
    /// In a forward proxy, the server that the client has named, once its addresses are known.
    pub(super) origin: Option<Arc<Backend>>,
    pub(super) attempts: Attempts,
    pub(super) interims: Interims,
    /// How it ends for the client.
    pub(super) ending: Ending,
    /// Its dealings with the cache, unless there are none or the cache answered it at once.
    pub(super) caching: Option<Box<Caching>>,
    /// When it has to be somewhere.
    pub(super) clock: Clock,
    /// For the access log.
    pub(super) record: Record,
    /// For somebody who wants to know. `None`: nobody does.
    pub(super) explanation: Option<Box<Explanation>>,
}

impl Core {
    /// A request of `client` that nothing has happened to: nothing was tried, nothing sent. It must be over by `until`.
    pub(super) fn new(
        (key, version): (u32, u32),
        client: Client,
        request: Request,
        until: Option<Instant>,
        record: Record,
    ) -> Self {
        Self {
            key,
            version,
            client,
            request,
            way: Way::default(),
            origin: None,
            attempts: Attempts::default(),
            interims: Interims::default(),
            ending: Ending::Clean,
            caching: None,
            clock: Clock::new(until),
            record,
            explanation: None,
        }
    }

    /// The name of a backend that it had to do with.
    pub(super) fn name_of<'a>(&'a self, id: BackendId, shared: &'a Shared) -> &'a str {
        match &self.origin {
            // Of its server, a tunnel of a forward proxy keeps no more than what its client said.
            None if id == TUNNELS && shared.forward.is_some() => self.request.head.target(),
            origin => &shared.backend(id, origin.as_ref()).name,
        }
    }

    /// Whether others than the client read the response, or it is being stored.
    fn is_kept(&self) -> bool {
        self.fill().is_some()
    }

    /// Its part in fetching a response that others may wait for.
    fn lead(&self) -> Option<&Lead> {
        self.caching.as_ref()?.storing.lead.as_ref()
    }

    /// The response that others read with it, or that is being stored.
    fn fill(&self) -> Option<&Arc<Fill>> {
        self.caching.as_ref()?.storing.fill()
    }

    /// Whether no client ever waited for it.
    pub(super) fn is_our_own(&self) -> bool {
        self.caching.as_ref().is_some_and(|caching| caching.background)
    }
}

/// One request and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) core: Core,
    state: State,
    phase: Phase,
}

/// One event's view of the exchange and of everything around it.
pub(super) struct Step<'a> {
    pub(super) core: &'a mut Core,
    pub(super) worker: &'a mut Worker,
    pub(super) cx: &'a mut Cx,
}

impl Step<'_> {
    /// The request is here, as much of it as is needed first.
    fn begin(&mut self) -> State {
        self.core.request.has_enough();
        if self.core.way.guarded { self.admit(None) } else { self.go_in() }
    }

    /// The request is let in: the cache first, if there is one.
    fn go_in(&mut self) -> State {
        if self.worker.shared.cache.is_some() {
            return self.look_up();
        }
        self.explain(|_| Fact::Cache(CacheFact::None));
        self.route(None)
    }

    /// The way to the client.
    pub(super) fn reply(&mut self) -> Reply<'_> {
        let Core { client, record, .. } = &mut *self.core;
        Reply { client, record, worker: self.worker, cx: self.cx }
    }
}

/// The timer of exchange `key`. Odd numbers are the health probes'.
pub(super) fn timer(key: u32) -> TimerKey {
    TimerKey::App(key * 2)
}

impl Exchange {
    /// A request whose head is complete.
    pub(super) fn new(core: Core) -> Self {
        Self { core, state: State::Start, phase: Phase::ReadingRequest }
    }

    /// Hears one event.
    pub(super) fn on(&mut self, event: Event<'_>, worker: &mut Worker, cx: &mut Cx) {
        let expired = matches!(event, Event::Expired);
        let heard = if expired { self.expired(worker, cx) } else { Some(event) };
        if let Some(event) = heard {
            self.step(event, worker, cx);
        }
        // Another deadline may be next.
        if expired && self.outcome().is_none() {
            self.core.arm(cx);
        }
    }

    fn step(&mut self, event: Event<'_>, worker: &mut Worker, cx: &mut Cx) {
        // The placeholder is never seen: `on` returns the state that replaces it.
        let state = std::mem::replace(&mut self.state, State::Start);
        let before = state.name();
        let heard = self.core.explanation.as_ref().map(|_| explained::heard(&event));
        let mut step = Step { core: &mut self.core, worker, cx };
        self.state = state.on(event, &mut step);
        let after = self.state.name();
        debug_assert!(
            transitions::may_follow(before, after),
            "{after:?} must not follow {before:?}: add it to transitions.rs or mend the exchange",
        );
        let phase = self.phase;
        self.enter_phase();
        if let Some(heard) = heard {
            self.explain_step(heard, (before, after), phase, cx);
        }
    }

    /// Whether the request body may be read now: there is somewhere to put it.
    pub(super) fn takes_body(&self) -> bool {
        match self.state {
            State::Relay(_) => !self.core.request.is_complete(),
            State::Tunnel(_) => true,
            State::Start
            | State::Verify(_)
            | State::Resolve(_)
            | State::Wait
            | State::Pause
            | State::Connect(_)
            | State::Peek(_)
            | State::Follow(_)
            | State::Lookup(_)
            | State::Read(_)
            | State::Serve(_)
            | State::Done(_) => false,
        }
    }

    /// Whether it waits for a connection.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self.state, State::Wait)
    }

    /// Whether all of a request with content was sent, as far as we know, and nothing has come back.
    pub(super) fn uploads(&self) -> bool {
        let head = matches!(self.state, State::Relay(Relay { receiving: Receiving::Head, .. }));
        head && self.core.request.is_complete() && self.core.request.body != BodyLength::Empty
    }

    /// Whether the response was passed on to its end, and the request has not come to its own.
    pub(super) fn is_answered(&self) -> bool {
        matches!(&self.state, State::Relay(relay) if relay.is_answered())
    }

    /// Whether bytes pass without being read as HTTP.
    pub(super) fn is_tunnel(&self) -> bool {
        matches!(self.state, State::Tunnel(_))
    }

    /// The client to which what is left of the response body, `left` bytes, may go unseen.
    pub(super) fn splice_to(&self, left: u64, least: u64) -> Option<ConnId> {
        let State::Relay(relay) = &self.state else { return None };
        let to = self.core.client.splice_to().filter(|_| !self.core.is_kept());
        to.filter(|_| relay.may_splice(left, least))
    }

    /// The backend connection it holds.
    pub(super) fn link(&self) -> Option<Link> {
        self.state.link()
    }

    /// How it ended, if it has.
    pub(super) fn outcome(&self) -> Option<Result<(), Failure>> {
        match self.state {
            State::Done(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// `unsent` bytes of the request wait for the backend: the client waits with it.
    pub(super) fn backend_took(&mut self, unsent: usize, worker: &mut Worker, cx: &mut Cx) {
        let mut step = Step { core: &mut self.core, worker, cx };
        if unsent > HIGH_WATER {
            step.want_body(false);
        } else if unsent <= LOW_WATER {
            step.want_body(true);
        }
    }

    /// The exchange is over: its client's connection idles again, or it closes.
    pub(super) fn leave(&mut self) {
        let core = &self.core;
        let persists = core.ending == Ending::Clean && !core.client.is_nobody() && core.client.closes().is_none();
        if self.phase != Phase::Closing {
            self.enter(if persists { Phase::Idle } else { Phase::Closing });
        }
    }

    fn enter_phase(&mut self) {
        let phase = self.state.phase(&self.core);
        if phase != self.phase {
            self.enter(phase);
        }
    }

    /// Reports the phase; in debug builds it must be one that may follow the last.
    fn enter(&mut self, phase: Phase) {
        debug_assert!(
            phase::TRANSITIONS.iter().any(|(from, to, _)| (*from, *to) == (self.phase, phase)),
            "{:?} must not follow {:?}: add it to phase.rs or mend the exchange",
            phase,
            self.phase,
        );
        tracing::debug!(exchange = self.core.key, from = self.phase.as_str(), to = phase.as_str(), "phase");
        self.phase = phase;
    }
}
