//! The table that everything else hangs on: what each state of an exchange does with an event.

use super::{
    Core, Event, Failure, Link, Name, State, Step,
    relay::{Receiving, Relay},
    tunnel::Tunnel,
};
use crate::proxy::{access::Barred, forward::Denied, phase::Phase};

impl State {
    /// The next state. Events that mean nothing to a state leave it as it is.
    pub(super) fn on(self, event: Event<'_>, step: &mut Step<'_>) -> Self {
        match (self, event) {
            (state, Event::ClientClosed) => step.client_closed(state),
            (Self::Start, Event::Route) => step.begin(),
            (Self::Start, Event::Fetch) => step.route(None),
            (Self::Follow(follow), event) => follow.on(event, step),
            (Self::Lookup(_), Event::News) if step.is_forsaken() => step.give_up(None, Failure::Unwanted),
            (Self::Lookup(lookup), event) => lookup.on(event, step),
            (Self::Read(read), event) => read.on(event, step),
            (Self::Serve(rest), event) => step.serving(rest, event),
            (Self::Wait, Event::Room(granted)) if granted.displaced => step.give_up(None, Failure::QueueShare),
            (Self::Wait, Event::Room(granted)) => step.route(Some(granted)),
            (Self::Wait, Event::WaitOver) => step.give_up(None, Failure::QueueTimeout),
            (Self::Pause, Event::WaitOver) => step.route(None),
            (Self::Verify(_), Event::WaitOver) => step.give_up(None, Failure::Barred(Barred::Busy)),
            (Self::Verify(until), Event::News) => step.admit(Some(until)),
            (Self::Resolve(_), Event::WaitOver) => step.give_up(None, Failure::Denied(Denied::ResolveTimeout)),
            (Self::Connect(link), Event::Connected) => step.connected(link),
            (Self::Connect(link), Event::Redialed(conn)) => Self::Connect(Link { conn, ..link }),
            (Self::Peek(link), Event::Peeked(quiet)) => step.peeked(link, quiet),
            (Self::Connect(link), Event::UpstreamFailed(error)) => step.lost(link, Failure::of_connect(error), false),
            (Self::Connect(link), Event::UpstreamInsecure(why)) => step.lost(link, Failure::Insecure(why), false),
            (Self::Connect(link), Event::UpstreamEnded) => step.lost(link, Failure::UpstreamClosed, false),
            (Self::Peek(link), Event::UpstreamFailed(_) | Event::UpstreamInsecure(_) | Event::UpstreamEnded) => {
                step.peeked(link, false)
            }
            (Self::Relay(relay), event) => relay.on(event, step),
            (Self::Tunnel(tunnel), event) => tunnel.on(event, step),
            (state, Event::News) if state.may_be_forsaken() && step.is_forsaken() => {
                step.give_up(state.link(), Failure::Unwanted)
            }
            (Self::Resolve(until), Event::News) => step.resolve(until),
            (state, Event::ClientLost(failure) | Event::RequestBad(failure)) => step.give_up(state.link(), failure),
            (state, Event::ClientEnded) if !step.core.request.is_complete() => {
                step.give_up(state.link(), Failure::ClientGone)
            }
            // It is the client that is late: nothing was asked of a backend.
            (Self::Start, Event::Expired) => step.give_up(None, Failure::BodyTimeout),
            (state, Event::Expired) => step.give_up(state.link(), Failure::ExchangeTimeout),
            (state, _) => state,
        }
    }

    /// The backend connection it holds.
    pub(super) fn link(&self) -> Option<Link> {
        match self {
            Self::Connect(link)
            | Self::Peek(link)
            | Self::Relay(Relay { link, .. })
            | Self::Tunnel(Tunnel { link, .. }) => Some(*link),
            Self::Start
            | Self::Verify(_)
            | Self::Resolve(_)
            | Self::Wait
            | Self::Pause
            | Self::Follow(_)
            | Self::Lookup(_)
            | Self::Read(_)
            | Self::Serve(_)
            | Self::Done(_) => None,
        }
    }

    /// Whether it is on its way to a backend, for others too, and has not reached one.
    fn may_be_forsaken(&self) -> bool {
        matches!(self, Self::Resolve(_) | Self::Wait | Self::Pause | Self::Connect(_) | Self::Peek(_))
    }

    pub(super) fn name(&self) -> Name {
        match self {
            Self::Start => Name::Start,
            Self::Verify(_) => Name::Verify,
            Self::Resolve(_) => Name::Resolve,
            Self::Wait => Name::Wait,
            Self::Pause => Name::Pause,
            Self::Connect(_) => Name::Connect,
            Self::Peek(_) => Name::Peek,
            Self::Follow(_) => Name::Follow,
            Self::Lookup(_) => Name::Lookup,
            Self::Read(_) => Name::Read,
            Self::Serve(_) => Name::Serve,
            Self::Relay(_) => Name::Relay,
            Self::Tunnel(_) => Name::Tunnel,
            Self::Done(_) => Name::Done,
        }
    }

    pub(super) fn phase(&self, core: &Core) -> Phase {
        match self {
            Self::Start | Self::Verify(_) => Phase::ReadingRequest,
            Self::Follow(_)
            | Self::Lookup(_)
            | Self::Resolve(_)
            | Self::Wait
            | Self::Pause
            | Self::Connect(_)
            | Self::Peek(_) => Phase::Forwarding,
            Self::Relay(Relay { receiving: Receiving::Head | Receiving::Again | Receiving::Unchanged(_), .. })
                if core.request.is_complete() =>
            {
                Phase::ReadingResponse
            }
            Self::Relay(Relay { receiving: Receiving::Head, .. }) => Phase::Forwarding,
            Self::Relay(_) | Self::Tunnel(_) | Self::Read(_) | Self::Serve(_) => Phase::WritingResponse,
            Self::Done(Err(
                Failure::ClientGone | Failure::ClientClosed | Failure::ClientStalled | Failure::Http2(_),
            )) => Phase::Closing,
            Self::Done(_) => Phase::WritingResponse,
        }
    }
}
