//! Counters: one writer per worker, summed when `/stats` is asked for.

use super::{counter::Counter, failure::Failure, leaving::LetGo, streams::Http2Counters};
use crate::{
    cache::{Did, Forward},
    pool::{NotKept, Stats},
    units::WordCounts,
};
use std::collections::BTreeMap;

/// A copy of a pool's own statistics, for other threads to read.
#[derive(Debug, Default)]
pub(super) struct PoolCounters {
    pub(super) opened: Counter,
    pub(super) reused: Counter,
    pub(super) idle: Counter,
    pub(super) busy: Counter,
    pub(super) waiting: Counter,
    pub(super) waited: Counter,
    pub(super) refused: Counter,
    /// By [`NotKept`], and their sum.
    pub(super) closed: [Counter; NotKept::ALL.len()],
    pub(super) closed_total: Counter,
}

impl PoolCounters {
    /// Shows `stats`.
    pub(super) fn show(&self, stats: &Stats) {
        self.opened.set(stats.opened);
        self.reused.set(stats.reused);
        self.idle.set(stats.idle as u64);
        self.busy.set(stats.busy as u64);
        self.waiting.set(stats.waiting as u64);
        self.waited.set(stats.waited);
        self.refused.set(stats.refused);
        // After every event: eleven reasons only when one of them has changed.
        let total = stats.closed.total();
        if total != self.closed_total.read() {
            self.closed_total.set(total);
            for (shown, reason) in self.closed.iter().zip(NotKept::ALL) {
                shown.set(stats.closed.count(reason));
            }
        }
    }
}

/// The work of the cache for one worker's requests.
#[derive(Debug, Default)]
pub(super) struct CacheCounters {
    /// Answered from the store, fresh or stale, without asking a backend first.
    pub(super) hits: Counter,
    /// Answered with a stale response that no backend had confirmed: some of the hits, and some of those given instead
    /// of an error.
    pub(super) stale: Counter,
    /// Answered from the store because no backend gave an answer.
    pub(super) stood_in: Counter,
    /// Clients' requests for which a backend was to be asked, by the reason; whatever came of it.
    pub(super) forwarded: [Counter; Forward::ALL.len()],
    /// Answers of backends (304) by which something stored turned out to be good still.
    pub(super) validated: Counter,
    /// Answered by another client's request.
    pub(super) collapsed: Counter,
    /// Revalidations that no client waited for.
    pub(super) background: Counter,
}

impl CacheCounters {
    /// Counts what was done for a client's request; `is_stale`: with what it was answered.
    pub(super) fn count(&self, did: Did, is_stale: bool) {
        match did {
            Did::Hit | Did::HitStale | Did::SecondLevel => self.hits.add(1),
            Did::Collapsed => self.collapsed.add(1),
            Did::IfError => self.stood_in.add(1),
            // Counted when it was forwarded, and when the 304 came.
            Did::Validated => {}
            Did::Forwarded(why) => self.forwarded[why as usize].add(1),
        }
        // A response that has just come from a backend is not stale for its client, however short its lifetime.
        if is_stale && matches!(did, Did::HitStale | Did::IfError) {
            self.stale.add(1);
        }
    }
}

/// Counts of one worker's events.
///
/// Two laws hold at every moment between two events: `accepted = open + closed`, and
/// `requests = running + responses + aborted`.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Client connections.
    pub(super) accepted: Counter,
    pub(super) closed: Counter,
    /// Idle ones that were closed, by [`LetGo`].
    pub(super) let_go: [Counter; LetGo::ALL.len()],
    /// Requests whose head was understood.
    pub(super) requests: Counter,
    /// Of these, answered completely: by a backend, or by the proxy itself.
    pub(super) responses: Counter,
    /// Of these, broken off.
    pub(super) aborted: Counter,
    /// Bytes that were not a request, answered with an error.
    pub(super) refused: Counter,
    pub(super) retries: Counter,
    /// Clients that had ended their side, and were asked whether they listen before their request got a connection.
    pub(super) asked: Counter,
    /// Body bytes from and to clients.
    pub(super) received: Counter,
    pub(super) sent: Counter,
    /// Final statuses by class: 2 is 2xx. 499s are in none.
    pub(super) classes: [Counter; 6],
    pub(super) tunnels: Counter,
    /// The pool's counts after the last event.
    pub(super) pool: PoolCounters,
    pub(super) cache: CacheCounters,
    pub(super) http2: Http2Counters,
    /// Requests per backend.
    pub(super) backends: Vec<Counter>,
    /// How often each rule ended an exchange.
    reasons: WordCounts,
}

impl Counters {
    pub(super) fn new(backends: usize) -> Self {
        Self { backends: (0..backends).map(|_| Counter::default()).collect(), ..Self::default() }
    }

    /// One exchange ended for this reason.
    pub(super) fn count_reason(&self, failure: Failure) {
        self.reasons.count(failure.as_str());
    }

    pub(super) fn count_status(&self, status: u16) {
        if let Some(class) = self.classes.get(usize::from(status / 100))
            && status != 499
        {
            class.add(1);
        }
    }

    /// Adds this worker's reasons to `total`.
    pub(super) fn add_reasons(&self, total: &mut BTreeMap<&'static str, u64>) {
        self.reasons.add_to(total);
    }
}
