//! One request and its response: the state machine at the centre of the proxy.
//!
//! ```text
//!            choose                connected / quiet            101
//!   Start ──────────▶ Connect, Probe ──────────▶ Relay ─────────────────▶ Tunnel
//!     ▲  ╲ full                │                   │ │                      │
//!     │   ╲                    ▼                   │ ▼                      ▼
//!   room   ▶ Wait            retry ◀───────────────┘ Done ◀─────────────────┘
//!     │         │              │    before any response
//!     └─────────┴─── Pause ◀───┘
//! ```
//!
//! Every state owns what it needs and nothing else. An [`Event`] consumes the state and returns the next one
//! ([`State::on`]); what happens on the way is in one file per question:
//!
//! | file | question |
//! |---|---|
//! | `begin.rs` | what is known when it begins |
//! | `cache.rs` | is there an answer in the cache, or somebody to wait for |
//! | `serve.rs` | what a stored response looks like on the wire |
//! | `join.rs` | who fetches what is not stored |
//! | `follow.rs` | whose answer is ours, too |
//! | `share.rs` | at whose pace a response passes that several read |
//! | `keep.rs` | what a response means for the cache |
//! | `wanted.rs` | for whom it goes on when its client has left |
//! | `confirm.rs` | what a 304 means for it, and what answers for a backend that fails |
//! | `hold.rs` | is it worth a connection: has its body come, and does its client listen |
//! | `route.rs` | which backend, which connection, and what if there is none |
//! | `retry.rs` | may this request be sent again |
//! | `relay.rs` | what moves between the two sides, and when is it complete |
//! | `tunnel.rs` | what happens after a 101 |
//! | `fail.rs` | how it ends when it does not end well |

mod begin;
mod cache;
mod confirm;
mod event;
mod fail;
mod follow;
mod hold;
mod join;
mod keep;
mod relay;
mod retry;
mod route;
mod serve;
mod share;
mod tunnel;
mod wanted;

pub(super) use cache::{Cache, Caching, Fetch};
pub(super) use event::Event;
pub(super) use hold::{BEGINNING, needed};
use relay::To;

use super::{failure::Failure, parts::Parts, phase, phase::Phase, record::Record};
use crate::{
    app::{ConnId, Cx, TimerKey},
    backend::BackendId,
    cache::{collapse::Follower, fill::Reader, store::Entry},
    http::{BodyLength, BodyWriter, RequestHead},
};
use bytes::Bytes;
use std::{sync::Arc, time::Instant, vec};

/// The backend connection an exchange holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// Its name.
    pub(super) conn: ConnId,
    /// Whose it is.
    pub(super) backend: BackendId,
    /// It carried exchanges before, so the backend may have given it up without our knowing yet.
    pub(super) reused: bool,
}

/// How far the response is.
#[derive(Debug)]
pub(super) enum Receiving {
    /// Nothing but interim responses.
    Head,
    /// The head went to the client; this frames the body.
    Body(BodyWriter),
    /// Complete; the request is not yet.
    Complete,
    /// A 304 to our own question: this answers the client.
    Unchanged(Arc<Entry>),
    /// A 304 to our own question, about something else than what is stored: to be asked again.
    Again,
}

/// Where an exchange is, with exactly the data of that place.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing chosen yet.
    Start,
    /// Every usable backend is at its limit: in the pool's queue until then.
    Wait {
        /// When the wait is over.
        until: Instant,
    },
    /// Between two tries.
    Pause,
    /// A connection is being opened.
    Connect(Link),
    /// A pooled connection is looked at before it gets a request. Answered within the turn: it needs no deadline.
    Probe(Link),
    /// Somebody else asks a backend the same: its answer is waited for.
    Follow {
        /// Whose.
        follower: Follower,
        /// When the wait is over.
        until: Instant,
    },
    /// That answer is passed on as it arrives.
    Read {
        /// Where we are in it.
        reader: Reader,
        /// As long as it is held, it is fetched. `None`: all of it is here.
        follower: Option<Follower>,
        /// Frames the body for our client.
        writer: BodyWriter,
    },
    /// A long stored body: what the client has not been given yet.
    Serve(vec::IntoIter<Bytes>),
    /// Both directions at once.
    Relay {
        /// The backend's side.
        link: Link,
        /// Frames the request body; finished when the request is complete.
        sending: BodyWriter,
        /// The response.
        receiving: Receiving,
        /// Whether the backend's connection persists after this response.
        reusable: bool,
    },
    /// Bytes both ways, of a protocol that we do not know.
    Tunnel {
        /// The backend's side.
        link: Link,
        /// The client sends nothing more.
        client_ended: bool,
        /// The backend sends nothing more.
        backend_ended: bool,
    },
    /// Answered, aborted or given up; the client's connection is dealt with by [`Close`].
    Done(Result<(), Failure>),
}

/// What becomes of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// It persists: the next request may come.
    No,
    /// It is closed properly, for this reason.
    After(&'static str),
    /// It breaks off: the client must not take what it has for complete.
    Abort,
}

/// What every state of an exchange needs.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) key: u32,
    pub(super) client: ConnId,
    pub(super) head: RequestHead,
    pub(super) body: BodyLength,
    /// The client asked to switch protocols, and may.
    pub(super) upgrade: bool,
    /// It asks for another method by a field, which no stored response may answer.
    pub(super) overrides_method: bool,
    /// Everything the client sends for this request is here.
    pub(super) request_complete: bool,
    /// The client announced that no other request follows.
    pub(super) last_request: bool,
    /// So many bytes of its body have to be here before it may take a connection, and by then. `None`: they are here.
    pub(super) needed: Option<(usize, Instant)>,
    /// Its head went to a backend.
    pub(super) sent: bool,
    /// The client had ended its side, and was asked whether it listens.
    pub(super) asked: bool,
    /// A byte of the body went to a backend, so the request cannot be sent again.
    pub(super) body_begun: bool,
    /// Backends that failed this request.
    pub(super) tried: Vec<BackendId>,
    /// A pooled connection turned out dead: take a new one.
    pub(super) fresh: bool,
    /// Interim responses relayed.
    pub(super) interims: u8,
    /// One of them asked the client to send its content.
    pub(super) continued: bool,
    /// What becomes of the client's connection.
    pub(super) close: Close,
    /// What it has to do with the cache, unless that is nothing or answered it at once.
    pub(super) caching: Option<Box<Caching>>,
    /// When the whole exchange must be over.
    pub(super) until: Option<Instant>,
    /// For the access log.
    pub(super) record: Record,
}

impl Core {
    /// Whether others than the client read the response, or it is being stored.
    fn is_kept(&self) -> bool {
        self.caching.as_ref().and_then(|caching| caching.lead.as_ref()).is_some_and(|lead| lead.fill().is_some())
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
pub(super) struct Turn<'a> {
    pub(super) core: &'a mut Core,
    pub(super) parts: &'a mut Parts,
    pub(super) cx: &'a mut Cx,
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
    pub(super) fn on(&mut self, event: Event<'_>, parts: &mut Parts, cx: &mut Cx) {
        // The placeholder is never seen: `on` returns the state that replaces it.
        let state = std::mem::replace(&mut self.state, State::Start);
        let mut turn = Turn { core: &mut self.core, parts, cx };
        self.state = state.on(event, &mut turn);
        self.enter_phase();
    }

    /// Whether the request body may be read now: there is somewhere to put it.
    pub(super) fn takes_body(&self) -> bool {
        match self.state {
            State::Relay { .. } => !self.core.request_complete,
            State::Tunnel { .. } => true,
            _ => false,
        }
    }

    /// Whether it waits for a connection.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self.state, State::Wait { .. })
    }

    /// Whether all of a request with content was sent, as far as we know, and nothing has come back.
    pub(super) fn uploads(&self) -> bool {
        let head = matches!(self.state, State::Relay { receiving: Receiving::Head, .. });
        head && self.core.request_complete && self.core.body != BodyLength::Empty
    }

    /// Whether bytes pass without being read as HTTP.
    pub(super) fn is_tunnel(&self) -> bool {
        matches!(self.state, State::Tunnel { .. })
    }

    /// Whether what is left of the response body, `left` bytes, may go to the client unseen.
    pub(super) fn may_pass_unseen(&self, left: u64, least: u64) -> bool {
        let to_client_alone = !self.core.is_kept() && self.core.client != ConnId::NOBODY;
        to_client_alone
            && matches!(&self.state, State::Relay { receiving, .. } if relay::may_pass_unseen(receiving, left, least))
    }

    /// The backend connection it holds.
    pub(super) fn link(&self) -> Option<Link> {
        match self.state {
            State::Connect(link) | State::Probe(link) | State::Relay { link, .. } | State::Tunnel { link, .. } => {
                Some(link)
            }
            _ => None,
        }
    }

    /// How it ended, if it has.
    pub(super) fn outcome(&self) -> Option<Result<(), Failure>> {
        match self.state {
            State::Done(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The exchange is over: the connection idles again, or it closes.
    pub(super) fn leave(&mut self, persists: bool) {
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

impl State {
    /// The next state. Events that mean nothing to a state leave it as it is.
    fn on(self, event: Event<'_>, turn: &mut Turn<'_>) -> Self {
        match (self, event) {
            (state, Event::ClientClosed) => turn.client_closed(state),
            (Self::Start, Event::Route) => turn.look_up(),
            (Self::Start, Event::Fetch) => turn.route(None),
            (Self::Follow { follower, until }, event) => turn.following(follower, until, event),
            (Self::Read { reader, follower, writer }, event) => turn.reading(reader, follower, writer, event),
            (Self::Serve(rest), event) => turn.serving(rest, event),
            (Self::Wait { .. }, Event::Room(granted)) if granted.displaced => turn.give_up(None, Failure::QueueShare),
            (Self::Wait { .. }, Event::Room(granted)) => turn.route(Some(granted)),
            (Self::Pause, Event::Expired) if !turn.exchange_is_late() => turn.route(None),
            (Self::Connect(link), Event::Connected) => turn.send_request(link),
            (Self::Connect(link), Event::Redialed(conn)) => Self::Connect(Link { conn, ..link }),
            (Self::Probe(link), Event::Probed(quiet)) => turn.probed(link, quiet),
            (Self::Connect(link), Event::UpstreamFailed(error)) => turn.lost(link, Failure::of_connect(error), false),
            (Self::Connect(link), Event::UpstreamEnded) => turn.lost(link, Failure::UpstreamClosed, false),
            (Self::Probe(link), Event::UpstreamFailed(_) | Event::UpstreamEnded) => turn.probed(link, false),
            (Self::Relay { link, sending, receiving, reusable }, event) => {
                turn.relay(link, sending, receiving, reusable, event)
            }
            (Self::Tunnel { link, client_ended, backend_ended }, event) => {
                turn.tunnel(link, client_ended, backend_ended, event)
            }
            (state, Event::ClientLost(failure) | Event::RequestBad(failure)) => turn.give_up(state.held(), failure),
            (state, Event::ClientEnded) if !turn.core.request_complete => {
                turn.give_up(state.held(), Failure::ClientGone)
            }
            (state, Event::Expired) => {
                let failure = match state {
                    Self::Wait { until } if until <= turn.cx.now() => Failure::QueueTimeout,
                    _ if turn.exchange_is_late() => Failure::ExchangeTimeout,
                    _ => return state,
                };
                turn.give_up(state.held(), failure)
            }
            (state, _) => state,
        }
    }

    /// The connection of a state that has not sent anything on it.
    fn held(&self) -> Option<Link> {
        match self {
            Self::Connect(link) | Self::Probe(link) => Some(*link),
            Self::Relay { link, .. } | Self::Tunnel { link, .. } => Some(*link),
            _ => None,
        }
    }

    fn phase(&self, core: &Core) -> Phase {
        match self {
            Self::Start => Phase::ReadingRequest,
            Self::Follow { .. } | Self::Wait { .. } | Self::Pause | Self::Connect(_) | Self::Probe(_) => {
                Phase::Forwarding
            }
            Self::Relay { receiving: Receiving::Head | Receiving::Again, .. } if core.request_complete => {
                Phase::ReadingResponse
            }
            Self::Relay { receiving: Receiving::Head, .. } => Phase::Forwarding,
            Self::Relay { .. } | Self::Tunnel { .. } | Self::Read { .. } | Self::Serve(_) => Phase::WritingResponse,
            Self::Done(Err(Failure::ClientGone | Failure::ClientClosed | Failure::ClientStalled)) => Phase::Closing,
            Self::Done(_) => Phase::WritingResponse,
        }
    }
}
