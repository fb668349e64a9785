//! Counts of what HTTP/2 connections do, and why they and their streams end before their time.

use crate::{
    http2::Cause,
    proxy::{counter::Counter, leaving::LetGo, stats::Counters},
    units::WordCounts,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Those of one worker.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Http2Counters {
    pub(super) connections: Counter,
    /// Requests, also those that were not let in.
    pub(super) streams: Counter,
    /// Streams that clients gave up.
    pub(super) given_up: Counter,
    /// Streams that were reset because their answers broke off.
    pub(in crate::proxy) broken_off: Counter,
    /// Streams that were refused because the worker had too many exchanges.
    pub(super) refused: Counter,
    /// Connections to which clients said goodbye.
    pub(super) goodbyes: Counter,
    /// Those to which we did, by [`Goodbye`].
    pub(super) own_goodbyes: [Counter; Goodbye::ALL.len()],
    /// The rules and limits that clients broke, so that a stream ended.
    streams_ended: WordCounts,
    /// So that a connection ended.
    connections_ended: WordCounts,
}

/// Why a connection gets a GOAWAY although its client has broken no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goodbye {
    /// It had nothing to do.
    LetGo(LetGo),
    /// It has served `--keep-alive-requests`.
    EnoughRequests,
}

impl Goodbye {
    const ALL: [Self; 4] =
        [Self::LetGo(LetGo::Idle), Self::LetGo(LetGo::Room), Self::LetGo(LetGo::Drain), Self::EnoughRequests];

    /// For counters.
    fn as_str(self) -> &'static str {
        match self {
            Self::LetGo(why) => why.as_str(),
            Self::EnoughRequests => "enough requests",
        }
    }
}

impl Http2Counters {
    /// A stream was not let in, or was reset, for this cause.
    pub(super) fn count_stream(&self, cause: Cause) {
        self.streams_ended.count(cause.as_str());
    }

    /// A client was told that no more of its requests are taken.
    pub(super) fn count_goodbye(&self, why: Goodbye) {
        let counter = Goodbye::ALL.iter().position(|other| *other == why).and_then(|at| self.own_goodbyes.get(at));
        counter.into_iter().for_each(|counter| counter.add(1));
    }

    /// A connection was ended for this cause.
    pub(super) fn count_connection(&self, cause: Cause) {
        self.connections_ended.count(cause.as_str());
    }
}

/// The counts of all workers, as `/stats` shows them.
pub(in crate::proxy) fn http2_stats(all: &[Counters]) -> Value {
    let sum = |read: fn(&Http2Counters) -> &Counter| -> u64 { all.iter().map(|c| read(&c.http2).read()).sum() };
    let ended = |read: fn(&Http2Counters) -> &WordCounts| {
        let mut total = BTreeMap::new();
        all.iter().for_each(|counters| read(&counters.http2).add_to(&mut total));
        total
    };
    let goodbyes = Goodbye::ALL.iter().enumerate().map(|(at, why)| {
        let said: u64 = all.iter().map(|counters| counters.http2.own_goodbyes[at].read()).sum();
        (why.as_str().to_owned(), Value::from(said))
    });
    json!({
        "connections": sum(|c| &c.connections),
        "streams": sum(|c| &c.streams),
        "given_up_by_client": sum(|c| &c.given_up),
        "broken_off": sum(|c| &c.broken_off),
        "refused": sum(|c| &c.refused),
        "goaway_from_client": sum(|c| &c.goodbyes),
        "goaway_to_client": Value::Object(goodbyes.collect()),
        "streams_ended": ended(|c| &c.streams_ended),
        "connections_ended": ended(|c| &c.connections_ended),
    })
}
