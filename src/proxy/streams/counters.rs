//! Counts of what HTTP/2 connections do, and why they and their streams end before their time.

use crate::{
    http2::Cause,
    proxy::{
        leaving::LetGo,
        stats::{Counter, Counters},
    },
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

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
    /// Locked on the error path only.
    causes: Mutex<Causes>,
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

/// By their names, the rules and limits that clients broke.
#[derive(Debug, Default)]
struct Causes {
    /// So that a stream ended.
    streams: BTreeMap<&'static str, u64>,
    /// So that a connection ended.
    connections: BTreeMap<&'static str, u64>,
}

impl Http2Counters {
    /// A stream was not let in, or was reset, for this cause.
    pub(super) fn count_stream(&self, cause: Cause) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        *causes.streams.entry(cause.as_str()).or_default() += 1;
    }

    /// A client was told that no more of its requests are taken.
    pub(super) fn count_goodbye(&self, why: Goodbye) {
        let counter = Goodbye::ALL.iter().position(|other| *other == why).and_then(|at| self.own_goodbyes.get(at));
        counter.into_iter().for_each(|counter| counter.add(1));
    }

    /// A connection was ended for this cause.
    pub(super) fn count_connection(&self, cause: Cause) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        *causes.connections.entry(cause.as_str()).or_default() += 1;
    }
}

/// The counts of all workers, as `/stats` shows them.
pub(in crate::proxy) fn http2_stats(all: &[Counters]) -> Value {
    let sum = |read: fn(&Http2Counters) -> &Counter| -> u64 { all.iter().map(|c| read(&c.http2).read()).sum() };
    let mut total = Causes::default();
    for counters in all {
        let causes = counters.http2.causes.lock().unwrap_or_else(PoisonError::into_inner);
        for (sums, counts) in [(&mut total.streams, &causes.streams), (&mut total.connections, &causes.connections)] {
            for (cause, count) in counts {
                *sums.entry(cause).or_default() += count;
            }
        }
    }
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
        "streams_ended": total.streams,
        "connections_ended": total.connections,
    })
}
