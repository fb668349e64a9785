//! When is a request worth a connection to a backend, and for how long?
//!
//! A backend's connections are few, a client's promises are cheap. So a request waits here for its body before it takes a
//! connection, and a client that has closed its side is asked whether it still listens before it gets one.
//!
//! ```text
//!   head with `Content-Length: 10`     10 bytes of it          Route
//!   ─────────────────────────▶ Start ──────────────────────▶ Start ─────▶ Wait, Connect, Peek …
//!                                                                          │ client ends its side
//!                                                                          ▼
//!                                     finish: ask (100), and serve     cancel: give up
//! ```
//!
//! # Is somebody there?
//!
//! A FIN says that a client sends nothing more. Whether it reads, it does not say: a program that has ended looks the same
//! as one that has called `shutdown(SHUT_WR)`, as `nc -N` does. Nothing that a kernel offers can tell the two apart but
//! sending: a socket that is closed answers with a reset, one that is half-closed does not. HTTP/1.1 has a message that may
//! be sent at any time and means nothing to a client that has sent all: `100 (Continue)`. "A client MUST be able to parse
//! one or more 1xx responses received prior to a final response, even if the client does not expect one" (RFC 9110 §15.2).

use super::{Core, Event, Exchange, Failure, Needed, State, Step};
use crate::{
    http::{self, BodyLength, RequestHead},
    proxy::{config::OnClientClose, downstream::PENDING_MAX},
};

/// How many times `--body-timeout` the beginning of a body may take as a whole. Two parts of it may be that far apart, and
/// there are up to 16 KiB: with a byte now and then, a client would never be done.
pub(in crate::proxy) const BEGINNING: u32 = 4;

/// How many bytes of a request's body have to be here before it may take a connection: all of a small one. Of a large one,
/// as much as is kept for a client anyway. Chunks do not say how much they will be, and some clients send one and wait for
/// an answer to it: of those the first byte is enough.
///
/// A client that waits for `100 (Continue)` sends nothing before a backend has been asked (RFC 9110 §10.1.1).
pub(in crate::proxy) fn needed(head: &RequestHead, body: BodyLength) -> usize {
    match body {
        _ if http::expects_continue(head) => 0,
        BodyLength::Empty => 0,
        BodyLength::Exact(length) => usize::try_from(length).unwrap_or(usize::MAX).min(PENDING_MAX),
        BodyLength::Chunked | BodyLength::UntilClose => 1,
    }
}

impl Exchange {
    /// The part of its body that has to be here before it goes on, if it waits for that.
    pub(in crate::proxy) fn needs(&self) -> Option<Needed> {
        if matches!(self.state, State::Start) { self.core.request.needs() } else { None }
    }
}

impl Core {
    /// Whether nothing is lost if its backend never answers: nothing was sent, or nothing that changes anything.
    fn may_be_cancelled(&self) -> bool {
        !self.attempts.sent || self.request.head.method.is_safe()
    }
}

impl Step<'_> {
    /// The client has ended its side. All that it sent is here, and may not be understood yet.
    pub(super) fn client_closed(&mut self, state: State) -> State {
        let cancel = self.worker.shared.config.on_client_close == OnClientClose::Cancel && self.core.may_be_cancelled();
        match state {
            // The rest of its body will never come.
            State::Start => self.give_up(None, Failure::ClientGone),
            State::Done(_) | State::Tunnel(_) => state,
            State::Verify(_)
            | State::Resolve(_)
            | State::Wait
            | State::Pause
            | State::Connect(_)
            | State::Peek(_)
            | State::Follow(_)
            | State::Lookup(_)
            | State::Read(_)
            | State::Serve(_)
            | State::Relay(_)
                if cancel =>
            {
                state.on(Event::ClientLost(Failure::ClientClosed), self)
            }
            State::Verify(_) | State::Resolve(_) | State::Wait | State::Pause | State::Follow(_) | State::Lookup(_) => {
                self.ask_whether_it_listens();
                state
            }
            State::Connect(_) | State::Peek(_) | State::Read(_) | State::Serve(_) | State::Relay(_) => state,
        }
    }

    /// A request that waits, of a client that has ended its side: does it still listen? If not, its connection fails before
    /// the request's turn comes, unless that is sooner than an answer from there can be here.
    pub(super) fn ask_whether_it_listens(&mut self) {
        if !self.core.attempts.sent && self.reply().ask_whether_it_listens().is_ok() {
            self.worker.counters().asked.add(1);
        }
    }

    /// Asks if the client has ended its side already.
    pub(super) fn ask_if_closed(&mut self) {
        if self.reply().has_ended() {
            self.ask_whether_it_listens();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    #[test]
    fn the_part_of_a_body_that_is_waited_for() {
        let most = PENDING_MAX as u64;
        for (expects, body, expected) in [
            (false, BodyLength::Empty, 0),
            (false, BodyLength::Exact(1), 1),
            (false, BodyLength::Exact(most), PENDING_MAX),
            (false, BodyLength::Exact(most + 1), PENDING_MAX),
            (false, BodyLength::Exact(u64::MAX), PENDING_MAX),
            (false, BodyLength::Chunked, 1),
            (true, BodyLength::Exact(10), 0),
            (true, BodyLength::Chunked, 0),
        ] {
            let mut head = RequestHead::new(Method::Post, "/").unwrap();
            if expects {
                head.fields = [("Expect", "100-continue")].into_iter().collect();
            }
            assert_eq!(needed(&head, body), expected, "{expects} {body:?}");
        }
    }
}
