//! Notes about a request, for somebody who wants to know: see [`crate::proxy::explain`].
//!
//! Nearly always nobody does, and each of these calls is one look at an `Option`.

use super::{Core, Event, Exchange, Failure, Name, Step};
use crate::{
    app::Cx,
    backend::BackendId,
    health::Availability,
    proxy::{
        explain::{Candidate, Explanation, Fact, Known, Standing, Timer},
        phase::Phase,
        worker::Worker,
    },
    time::Instant,
};
use std::io::ErrorKind;

/// An event as it is told, and the timer whose time is over with it.
pub(super) struct Heard {
    event: &'static str,
    timer: Option<Timer>,
    /// There may be many of them: only one that changes something is told.
    is_piece: bool,
}

pub(super) fn heard(event: &Event<'_>) -> Heard {
    let is_piece = matches!(
        event,
        Event::RequestData(_) | Event::ResponseData(_) | Event::ResponseSpliced(_) | Event::Drained | Event::News
    );
    let (event, timer) = match event {
        Event::RequestData(_) => ("a part of the request's content", None),
        Event::ResponseData(_) | Event::ResponseSpliced(_) => ("a part of the response's content", None),
        Event::Drained => ("the client has taken nearly all of it", None),
        Event::Route => ("the request is here", None),
        Event::Fetch => ("the proxy asks for itself", None),
        Event::News => ("there is news of what it waits for", None),
        Event::Room(_) => ("its turn has come in the queue", None),
        Event::Connected => ("connected", None),
        Event::Redialed(_) => ("no connection at one address", None),
        Event::Peeked(_) => ("the idle connection was looked at", None),
        Event::RequestEnd(_) => ("the request is complete", None),
        Event::Interim(_) => ("an interim response", None),
        Event::Head(..) => ("the head of the response is here", None),
        Event::Switched(_) => ("the server speaks another protocol from here on", None),
        Event::ResponseEnd(_) => ("the response is complete", None),
        Event::UpstreamBad(_) => ("the server breaks a rule of HTTP", None),
        Event::UpstreamEnded => ("the server sends nothing more", None),
        Event::UpstreamFailed(ErrorKind::TimedOut) => ("no connection to the server in time", Some(Timer::Server)),
        Event::UpstreamFailed(_) => ("the connection to the server failed", None),
        Event::UpstreamInsecure(_) => ("the connection to the server is not protected", None),
        Event::UpstreamLate => ("the server is late", Some(Timer::Server)),
        Event::UpstreamStalled => ("the server does not read", Some(Timer::Write)),
        Event::ClientClosed => ("the client has ended its side", None),
        Event::ClientEnded => ("the client sends nothing more", None),
        Event::ClientLost(_) => ("the client is gone", None),
        Event::RequestBad(Failure::BodyTimeout) => ("the client is late", Some(Timer::Body)),
        Event::RequestBad(Failure::BodyTooSlow) => ("the client is too slow", Some(Timer::Pace)),
        Event::RequestBad(_) => ("the request cannot go on", None),
        Event::Expired => ("the time of the whole request is over", Some(Timer::Whole)),
        Event::WaitOver => ("a wait is over", Some(Timer::Wait)),
    };
    Heard { event, timer, is_piece }
}

impl Core {
    /// Notes a fact, if somebody wants to know.
    pub(super) fn explain(&mut self, fact: impl FnOnce() -> Fact, now: Instant) {
        if let Some(explanation) = &mut self.explanation {
            explanation.note(fact(), now);
        }
    }
}

impl Exchange {
    /// Notes what one event has done.
    pub(super) fn explain_step(&mut self, heard: Heard, (from, to): (Name, Name), phase: Phase, cx: &Cx) {
        let (Heard { event, timer, is_piece }, now) = (heard, cx.now());
        if is_piece && from == to && self.phase == phase {
            return;
        }
        if let Some(timer) = timer {
            self.core.explain(|| Fact::Fired { timer }, now);
        }
        self.core.explain(|| Fact::Moved { event, from: from.as_str(), to: to.as_str() }, now);
        if self.phase != phase {
            let phase = self.phase;
            self.core.explain(|| Fact::Phase(phase), now);
        }
    }
}

impl Step<'_> {
    /// Notes a fact, if somebody wants to know.
    pub(super) fn explain(&mut self, fact: impl FnOnce(&Self) -> Fact) {
        if self.core.explanation.is_some() {
            let (fact, now) = (fact(self), self.cx.now());
            self.core.explain(|| fact, now);
        }
    }

    /// The number of the explanation, if the client has asked for one.
    pub(super) fn explanation_told(&self) -> Option<String> {
        self.core.explanation.as_ref()?.told().map(|number| number.to_string())
    }

    /// Notes that a timer was set.
    pub(super) fn explain_timer(&mut self, timer: Timer, at: Option<Instant>) {
        if let Some(at) = at {
            self.explain(|step| Fact::Armed { timer, within: at.saturating_duration_since(step.cx.now()) });
        }
    }

    /// Notes which servers there were, and what stood against each. `seen`: those that were looked at and had no connection.
    pub(super) fn explain_choice(&mut self, seen: &[(BackendId, Standing)], chosen: Option<BackendId>) {
        let (now, tried) = (self.cx.now(), &self.core.attempts.tried);
        let shared = &self.worker.shared;
        let health = &shared.groups.get(self.core.way.group).health;
        let candidate = |id: &BackendId| {
            let standing = match (health.available(*id, now), seen.iter().find(|(known, _)| known == id)) {
                _ if chosen == Some(*id) => Standing::Chosen,
                (_, Some((_, standing))) => *standing,
                (Availability::Down(reason), None) => Standing::Down(reason),
                (Availability::Up { .. }, None) if tried.contains(id) => Standing::Tried,
                (Availability::Up { .. }, None) => Standing::NotPicked,
            };
            Candidate {
                backend: *id,
                weight: shared.backends[id.index()].weight,
                in_flight: shared.load.of(*id),
                standing,
            }
        };
        let list = health.members().iter().map(candidate).collect();
        self.explain(|_| Fact::Candidates(list));
    }
}

impl Worker {
    /// The request of an exchange is over, and so is its explanation.
    pub(in crate::proxy) fn conclude(
        &self,
        explanation: Explanation,
        core: &Core,
        outcome: Result<(), Failure>,
        now: Instant,
    ) {
        let Some(watcher) = &self.shared.explain else { return };
        watcher.finish(explanation, &core.record, outcome, |ids| self.known(core, ids), now);
    }

    /// The names of what was chosen.
    fn known(&self, core: &Core, ids: Vec<BackendId>) -> Known {
        let shared = &self.shared;
        let owned = |name: Option<&str>| name.map(str::to_owned);
        let chosen = shared.chosen(core.way).unwrap_or_default();
        let name = |id: BackendId| (id, core.name_of(id, shared).to_owned());
        Known {
            site: owned(chosen.site),
            route: owned(chosen.route),
            upstream: owned(chosen.upstream),
            algorithm: shared.groups.get(core.way.group).algorithm.to_string(),
            backends: ids.into_iter().map(name).collect(),
        }
    }
}
