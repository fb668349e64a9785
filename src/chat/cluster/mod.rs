//! One of several chat servers that behave as one, over Redis. Pure: what Redis says and what the hall shares come in; commands for Redis
//! and calls of the hall come out.
//!
//! ```text
//!   a room's words       chat:room:tea    stream: 0-1, 0-2, 0-3 …     XADD … 0-*    XRANGE from the last that is known
//!   what lasts           chat:records     stream                     accounts, parts in rooms, bans and mutes
//!   names of rooms       chat:rooms       set
//!   news                 chat:all         channel                    "there is more in tea", people, heartbeats
//!   for one server       chat:to:ID       channel                    words for one person
//! ```
//!
//! Words go through a stream, because a stream gives each a number, the same for all servers, and keeps it: `0-*` is the next
//! number without a gap, and the answer to "what came after 41?" is right however often it is asked. So a server that was away, or whose
//! question was lost, asks again, and no message is missed or doubled. A channel tells only those who listen at that moment; so it
//! has what does no harm when it is lost: the news that there is more to read, and people, who are told again when a server comes back.

mod letter;
mod member;
mod records;
mod streams;
#[cfg(test)]
mod tests;

pub(crate) use member::Cluster;
pub(crate) use streams::Tag;

use crate::redis::{Settings, Target};
use std::time::Duration;

/// How long Redis may take for an answer before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// Commands without an answer at once. One more, and the connection is given up: this server cannot tell the others what happens.
const MOST: usize = 50_000;

/// How the client of Redis has to behave for a server of that name.
pub(crate) fn settings(target: Target, me: &str) -> Settings {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Settings {
        target,
        channels: vec![letter::ALL.to_owned(), letter::to(me)],
        // It may be written, and it counts as needed: older servers refuse `0-*`.
        probe: vec![
            words(&["XADD", "chat:probe", "MAXLEN", "1", "0-*", "m", me]),
            words(&["EXPIRE", "chat:probe", "60"]),
        ],
        patience: PATIENCE,
        most: MOST,
        meanwhile: "the chat goes on alone",
    }
}
