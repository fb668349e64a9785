//! The end of a connection on which nothing went wrong (RFC 9113 §6.8).
//!
//! ```text
//!   GOAWAY 2^31-1, PING ──▶            no new streams, please
//!                       ◀── HEADERS    one that was on its way: it is served
//!                       ◀── PING ACK   the peer has heard it
//!   GOAWAY 5 ──▶                       5 was the last; what comes after it was not looked at
//!                   …                  running streams end
//!   PING ──▶
//!                       ◀── PING ACK   the peer has read the last answer
//! ```
//!
//! Then the connection is over. Not before: the kernel of a client may hold much that it has yet to read, and what it says meanwhile, a
//! window update for example, would be answered with a reset if we had closed, and a reset can destroy what was not read. One without
//! streams is over at once: a request that is on its way was not looked at, and the client learns so.
//!
//! A client that says goodbye is served to the end in the same way. If nothing runs, it closes by itself, or we do after a while.

use super::{Connection, Event, Reset};
use crate::{
    http2::{
        cause::{Cause, ErrorCode, Fault},
        frame::{self, Kind, MAX_31, first_word},
        limits::GOODBYE,
        settings::Role,
        stream::Closed,
    },
    time::Instant,
};

/// The PING that follows the first goodbye. Its answer comes behind everything that the peer sent before it heard of that.
const PING: &[u8; 8] = b"goodbye!";

/// The PING behind the last answer.
const FAREWELL: &[u8; 8] = b"farewell";

/// How far we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Going {
    No,
    /// The peer has said goodbye. If none of its streams ran then, it has time to close until then.
    Peer(Option<Instant>),
    /// We have said it once, and wait for a round trip, at most until then.
    Announced(Instant),
    /// No stream after that one is served.
    Last(u32),
    /// The last stream has ended, and the peer has not yet read all that it was told.
    Parting(u32),
    /// The peer has read everything, or the connection has failed.
    Over,
}

impl Going {
    /// Whether a stream that begins is too late.
    pub(super) fn ignores(self, stream: u32) -> bool {
        match self {
            Self::Last(last) | Self::Parting(last) => stream > last,
            Self::No | Self::Peer(_) | Self::Announced(_) => false,
            Self::Over => true,
        }
    }
}

impl Connection {
    /// Begins to end the connection: streams that run go on, and then it is over. Without any it is over now. Tells whether this is
    /// news to the peer.
    pub fn drain(&mut self, now: Instant) -> bool {
        match self.going {
            Going::No | Going::Peer(_) if self.streams.is_empty() || self.role == Role::Client => self.say_last(),
            Going::No | Going::Peer(_) => {
                frame::write_go_away(MAX_31, ErrorCode::NO_ERROR, "", &mut self.out);
                self.write_frame(Kind::Ping, 0, 0, PING);
                self.going = Going::Announced(now + GOODBYE);
            }
            // It has had its time to read.
            Going::Parting(_) => {
                self.going = Going::Over;
                return false;
            }
            Going::Announced(_) | Going::Last(_) | Going::Over => return false,
        }
        true
    }

    /// Ends the connection for a rule of the application. Its streams are over without an event for each.
    pub fn give_up(&mut self, cause: Cause) {
        self.fail(cause);
    }

    /// Resets all streams that are left. Content that waits is lost.
    pub fn cut_off(&mut self, code: ErrorCode) {
        for (stream, _) in self.numbers.clone() {
            self.reset(stream, code);
        }
    }

    /// Whether nothing more will be said: what is left is to be written, and the connection closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self.going {
            Going::No | Going::Peer(_) | Going::Announced(_) | Going::Parting(_) => false,
            Going::Last(_) => self.streams.is_empty(),
            Going::Over => true,
        }
    }

    /// When [`Connection::expire`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.going {
            Going::Announced(until) => Some(until),
            Going::Peer(until) => until,
            Going::No | Going::Last(_) | Going::Parting(_) | Going::Over => None,
        }
    }

    /// Time has passed.
    pub fn expire(&mut self, now: Instant) {
        if let Going::Announced(until) | Going::Peer(Some(until)) = self.going
            && until <= now
        {
            let is_busy = matches!(self.going, Going::Announced(_));
            self.say_last();
            if is_busy {
                self.part();
            }
        }
    }

    /// Since when a window may be shut that something waits for; `None`: none is.
    #[must_use]
    pub fn shut_since(&self) -> Option<Instant> {
        self.shut
    }

    /// Ends the streams of which a window was shut at that time and has been ever since, or the connection if its own was.
    /// [`Connection::next`] tells what came of it. Whether the peer could have opened it is for its application to say: the core does
    /// not know what has arrived.
    pub fn end_shut(&mut self, since: Instant, now: Instant) {
        if let Err(cause) = self.end_streams_shut(since, now) {
            let failed = self.fail(cause);
            self.events.push_back(failed);
        }
    }

    fn end_streams_shut(&mut self, since: Instant, now: Instant) -> Result<(), Cause> {
        let is_due = |shut: &Instant| *shut <= since;
        if self.blocked.as_ref().is_some_and(is_due) {
            return Err(Cause::ZeroWindow);
        }
        let due: Vec<u32> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.blocked.as_ref().is_some_and(is_due))
            .map(|(_, stream)| stream.id)
            .collect();
        for stream in due {
            let event = self.stream_fault(stream, Cause::ZeroWindow, now)?;
            self.events.extend(event);
        }
        let blocked = self.streams.iter().filter_map(|(_, stream)| stream.blocked);
        self.shut = blocked.chain(self.blocked).min();
        Ok(())
    }

    /// The answer to a PING of ours. Tells whether it is one.
    pub(super) fn hear_answer(&mut self, ping: &[u8]) -> bool {
        match self.going {
            // The peer knows that it shall begin no streams: those that came are all that there will be.
            Going::Announced(_) if ping == PING => {
                self.say_last();
                self.part();
            }
            Going::Parting(_) if ping == FAREWELL => self.going = Going::Over,
            _ => return false,
        }
        true
    }

    fn say_last(&mut self) {
        frame::write_go_away(self.last_peer, ErrorCode::NO_ERROR, "", &mut self.out);
        self.going = Going::Last(self.last_peer);
    }

    /// There are no streams any more. A peer that has said goodbye needs the connection for nothing else.
    pub(super) fn say_last_goodbye(&mut self) {
        if matches!(self.going, Going::Peer(_)) {
            self.say_last();
        }
        self.part();
    }

    /// Asks a client that has all its answers to say when it has read them.
    fn part(&mut self) {
        if let Going::Last(last) = self.going
            && self.streams.is_empty()
            && self.role == Role::Server
        {
            self.write_frame(Kind::Ping, 0, 0, FAREWELL);
            self.going = Going::Parting(last);
        }
    }

    pub(super) fn go_away_by_peer(&mut self, payload: &[u8], now: Instant) -> Result<Option<Event<'static>>, Fault> {
        let last = first_word(payload) & MAX_31;
        let code = payload.get(4..).map_or(ErrorCode::NO_ERROR, |rest| ErrorCode(first_word(rest)));
        if self.role == Role::Client {
            let unheard: Vec<u32> =
                self.numbers.iter().map(|(number, _)| *number).filter(|number| *number > last).collect();
            for stream in unheard {
                if let Some(slot) = self.slot(stream) {
                    self.remove(slot, Closed::ByUs);
                }
                self.events.push_back(Event::Reset { stream, why: Reset::Unprocessed });
            }
        }
        let is_first = self.going == Going::No;
        if is_first {
            self.going = Going::Peer(self.streams.is_empty().then(|| now + GOODBYE));
        }
        // A server takes no new requests of ours: there is nothing to wait for.
        if self.streams.is_empty() && self.role == Role::Client {
            self.say_last_goodbye();
        }
        // It may be said again, with fewer streams, and to say it a thousand times is no news.
        Ok(is_first.then_some(Event::GoAway(code)))
    }

    /// Whether the peer takes new streams, as far as it has said.
    pub(super) fn is_going(&self) -> bool {
        self.going != Going::No
    }
}
