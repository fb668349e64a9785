//! How facts about one request are collected, and how they become a record that others may read.

use super::{About, CacheFact, Fact, Pooled, Timer};
use crate::{
    backend::BackendId,
    http::{BodyLength, RequestHead},
    proxy::{
        failure::Failure,
        phase::Phase,
        record::{PoolUse, Record as Line},
    },
    time::Instant,
};
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

/// Facts of one request, at most. A request that is sent again and again, or whose body comes in a million pieces, must not fill the
/// memory; the first facts are those that explain.
const MOST_FACTS: usize = 250;

/// The last state of an exchange.
const DONE: &str = "done";

/// Why a request is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Why {
    /// It says the token.
    Marked,
    /// It is one in so many.
    Sampled,
    /// It may fail. If it does not, it is forgotten.
    MayFail,
}

impl Why {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Marked => "marked",
            Self::Sampled => "sampled",
            Self::MayFail => "failed",
        }
    }
}

/// The facts about one request, as they come.
#[derive(Debug)]
pub(in crate::proxy) struct Explanation {
    pub(super) number: u64,
    pub(super) why: Why,
    began: Instant,
    /// As it came, without the token.
    received: RequestHead,
    facts: Vec<(Duration, Fact)>,
    left_out: usize,
}

impl Explanation {
    pub(super) fn new(number: u64, why: Why, began: Instant, received: RequestHead, body: BodyLength) -> Self {
        let parsed = Fact::Parsed { bytes: size_of_head(&received), fields: received.fields.len(), body };
        let phase = Fact::Phase(Phase::ReadingRequest);
        let facts = vec![(Duration::ZERO, parsed), (Duration::ZERO, phase)];
        Self { number, why, began, received, facts, left_out: 0 }
    }

    /// Notes a fact.
    pub(in crate::proxy) fn note(&mut self, fact: Fact, now: Instant) {
        // The end is always told.
        let is_last = matches!(fact, Fact::Moved { to: DONE, .. });
        if self.facts.len() < MOST_FACTS || is_last {
            self.facts.push((now.saturating_duration_since(self.began), fact));
        } else {
            self.left_out += 1;
        }
    }

    /// The backends that facts speak of.
    pub(super) fn backends(&self) -> Vec<BackendId> {
        let mut ids = Vec::new();
        for (_, fact) in &self.facts {
            match fact {
                Fact::Candidates(list) => ids.extend(list.iter().map(|candidate| candidate.backend)),
                Fact::Pool(Pooled::Opened(id) | Pooled::Reused(id)) | Fact::Dialed { backend: id, .. } => ids.push(*id),
                _ => {}
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The sender is known, and where the request goes, or why it does not.
    pub(in crate::proxy) fn admitted(
        &mut self,
        (peer, client, trusted): (SocketAddr, IpAddr, bool),
        (matched, failure): (Option<&'static str>, Option<Failure>),
        whole: Option<Duration>,
    ) {
        let now = self.began;
        self.note(Fact::Client { peer, client, trusted }, now);
        self.note(Fact::Routed { matched, failure }, now);
        if let Some(within) = whole {
            self.note(Fact::Armed { timer: Timer::Whole, within }, now);
        }
    }

    /// The number that the client is told, if it has asked.
    pub(in crate::proxy) fn told(&self) -> Option<u64> {
        (self.why == Why::Marked).then_some(self.number)
    }

    /// The request is over.
    pub(super) fn finish(self, line: &Line, outcome: Result<(), Failure>, known: Known, now: Instant) -> Record {
        Record {
            number: self.number,
            why: self.why,
            method: self.received.method.as_str().to_owned(),
            target: self.received.target().to_owned(),
            at: line.started.wall,
            took: now.saturating_duration_since(self.began),
            status: line.status,
            outcome,
            sent: line.sent,
            received: line.received,
            went: Went::of(line),
            known,
            head: Some(self.received),
            facts: self.facts,
            left_out: self.left_out,
        }
    }
}

/// The names of what facts speak of, as they were when the request ended.
#[derive(Debug, Clone, Default)]
pub(in crate::proxy) struct Known {
    pub(in crate::proxy) site: Option<String>,
    pub(in crate::proxy) route: Option<String>,
    pub(in crate::proxy) upstream: Option<String>,
    pub(in crate::proxy) algorithm: String,
    pub(in crate::proxy) backends: Vec<(BackendId, String)>,
}

/// The facts of the access log, for which an explanation has to account.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Went {
    asked_backend: bool,
    asked_cache: bool,
    retries: usize,
}

impl Went {
    fn of(line: &Line) -> Self {
        Self {
            asked_backend: line.pool != PoolUse::None,
            asked_cache: line.cache.is_some(),
            retries: line.retries.len(),
        }
    }
}

/// The explanation of a request that is over.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Record {
    pub(in crate::proxy) number: u64,
    pub(super) why: Why,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) at: SystemTime,
    pub(super) took: Duration,
    pub(super) status: u16,
    pub(super) outcome: Result<(), Failure>,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) went: Went,
    pub(super) known: Known,
    /// `None`: it was no request.
    pub(super) head: Option<RequestHead>,
    pub(super) facts: Vec<(Duration, Fact)>,
    pub(super) left_out: usize,
}

impl Record {
    /// Bytes that were no request. `shown`: as far as they may be shown.
    pub(super) fn of_bytes(number: u64, shown: &str, line: &Line, failure: Failure) -> Self {
        let client = Fact::Client { peer: line.peer, client: line.client, trusted: false };
        let refused = Fact::Refused { failure, after: 0 };
        Self {
            number,
            why: Why::MayFail,
            method: String::new(),
            target: shown.to_owned(),
            at: line.started.wall,
            took: Duration::ZERO,
            status: line.status,
            outcome: Err(failure),
            sent: line.sent,
            received: line.received,
            went: Went::default(),
            known: Known::default(),
            head: None,
            facts: vec![(Duration::ZERO, refused), (Duration::ZERO, client)],
            left_out: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn empty(number: u64) -> Self {
        Self {
            number,
            why: Why::Sampled,
            method: "GET".to_owned(),
            target: "/".to_owned(),
            at: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            status: 200,
            outcome: Ok(()),
            sent: 0,
            received: 0,
            went: Went::default(),
            known: Known::default(),
            head: None,
            facts: Vec::new(),
            left_out: 0,
        }
    }

    /// The bytes that it takes, about.
    pub(super) fn size(&self) -> usize {
        let of_fact = |(_, fact): &(Duration, Fact)| {
            let more = match fact {
                Fact::Sent { head } => head.len(),
                Fact::Answered { head, edited, .. } => {
                    let sizes =
                        [Some(head), edited.as_ref()].into_iter().flatten().map(|head| size_of_fields(&head.fields));
                    sizes.sum()
                }
                Fact::Candidates(list) => size_of_val(&list[..]),
                _ => 0,
            };
            size_of::<(Duration, Fact)>() + more
        };
        let facts: usize = self.facts.iter().map(of_fact).sum();
        let names: usize = self.known.backends.iter().map(|(_, name)| name.len() + 32).sum();
        size_of::<Self>() + facts + names + self.target.len() + self.head.as_ref().map_or(0, size_of_head)
    }

    /// The facts about something.
    pub(super) fn about(&self, about: About) -> impl Iterator<Item = (Duration, &Fact)> {
        self.facts.iter().filter(move |(_, fact)| fact.about() == about).map(|(at, fact)| (*at, fact))
    }

    fn has(&self, about: About) -> bool {
        self.about(about).next().is_some()
    }

    fn entered(&self, state: &str) -> bool {
        self.facts.iter().any(|(_, fact)| matches!(fact, Fact::Moved { to, from, .. } if *to == state && from != to))
    }

    /// The decisions that were taken and are not told. None: the explanation is complete.
    pub(in crate::proxy) fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        let mut needs = |needed: bool, has: bool, what: &str| {
            if needed && !has && self.left_out == 0 {
                gaps.push(what.to_owned());
            }
        };
        let facts = || self.facts.iter().map(|(_, fact)| fact);
        let is_request = self.head.is_some();
        needs(true, self.has(About::Parser), "the verdict of the parser");
        needs(true, self.has(About::Client), "the client");
        needs(is_request, self.has(About::Route), "the route");
        needs(is_request, self.entered(DONE), "the end");
        needs(is_request, facts().any(|fact| matches!(fact, Fact::Phase(_))), "the phases");
        let went_on = self.went.asked_backend || self.entered("wait") || self.went.asked_cache;
        needs(went_on, self.has(About::Cache), "what the cache has decided");
        let in_pool = facts().any(|fact| matches!(fact, Fact::Pool(Pooled::Opened(_) | Pooled::Reused(_))));
        needs(self.went.asked_backend, in_pool, "where the connection comes from");
        needs(self.has(About::Pool), self.has(About::Candidates), "the candidates");
        let again = facts().filter(|fact| matches!(fact, Fact::Retry { refused: None, .. })).count();
        needs(true, again == self.went.retries, "each retry");
        let waits = ["connect", "wait", "pause", "verify"].into_iter().any(|state| self.entered(state));
        needs(waits, facts().any(|fact| matches!(fact, Fact::Armed { .. })), "the timers that were armed");
        needs(self.entered("relay"), facts().any(|fact| matches!(fact, Fact::Sent { .. })), "the head that was sent");
        let used = facts().any(|fact| matches!(fact, Fact::Cache(CacheFact::Used(_))));
        let answered = facts().any(|fact| matches!(fact, Fact::Answered { .. } | Fact::Own { .. }));
        let refused = facts().any(|fact| matches!(fact, Fact::Refused { .. }));
        let gone = |failure: Failure| {
            matches!(failure, Failure::ClientGone | Failure::ClientClosed | Failure::ClientStalled | Failure::Http2(_))
        };
        let was_answered = self.status != 0 && !self.outcome.is_err_and(gone);
        needs(was_answered, answered || used || refused, "where the answer comes from");
        gaps
    }
}

fn size_of_head(head: &RequestHead) -> usize {
    // Two spaces, the version, and the ends of the line and of the head.
    head.method.as_str().len() + head.target().len() + 14 + size_of_fields(&head.fields)
}

/// As bytes on the wire: a colon, a space and the end of the line for each.
fn size_of_fields(fields: &crate::http::Fields) -> usize {
    fields.lines().map(|(name, value)| name.len() + value.len() + 4).sum()
}
