//! Waits for the answer to another client's request, and reads it as it arrives.

use super::{Event, Failure, State, Step, serve::STEP};
use crate::{
    cache::{
        Answer, Did, Reuse, Situation, Stale,
        collapse::{Follower, Over, Stage},
        conditional::not_modified,
        fill::{End, Fill, Reader},
        reuse,
    },
    http::{BodyLength, Fields},
    proxy::{client::Announced, downstream::LOW_WATER},
};
use std::sync::Arc;

/// An exchange that waits for the answer to another's request.
#[derive(Debug)]
pub(in crate::proxy) struct Follow {
    /// Its place among those that wait for it.
    follower: Follower,
}

/// An exchange that passes on, as it arrives, what another one fetches.
#[derive(Debug)]
pub(in crate::proxy) struct Read {
    /// Where it is in it.
    pub(super) reader: Reader,
    /// As long as it is held, it is fetched. `None`: all of it is here.
    #[expect(dead_code, reason = "it is there to be dropped with this")]
    pub(super) follower: Option<Follower>,
}

/// As much of a response that is not stored is given to the driver at once, and a piece at least.
const SIP: usize = 64 * 1024;

/// The cost of a piece besides its bytes: the frame of a chunk, which an origin may make around each byte.
const FRAMING: usize = 8;

impl Follow {
    /// The next state after an event.
    pub(super) fn on(self, event: Event<'_>, step: &mut Step<'_>) -> State {
        match event {
            Event::News => step.follow(self.follower),
            Event::Expired => step.give_up(None, Failure::ExchangeTimeout),
            Event::WaitOver => {
                drop(self);
                step.go_alone()
            }
            Event::ClientLost(failure) | Event::RequestBad(failure) => step.give_up(None, failure),
            _ => State::Follow(self),
        }
    }
}

impl Read {
    /// The next state after an event.
    pub(super) fn on(self, event: Event<'_>, step: &mut Step<'_>) -> State {
        match event {
            Event::News | Event::Drained => step.read_on(self),
            Event::ClientLost(failure) | Event::RequestBad(failure) => step.give_up(None, failure),
            Event::Expired => step.give_up(None, Failure::ExchangeTimeout),
            _ => State::Read(self),
        }
    }
}

impl Step<'_> {
    /// Follows a fetch that is under way.
    pub(super) fn follow(&mut self, follower: Follower) -> State {
        match follower.stage(self.ticket()) {
            Stage::Asked => {
                self.ask_if_closed();
                State::Follow(Follow { follower })
            }
            Stage::Open(fill) => self.read(&fill, follower),
            Stage::Over(Over::Private) => self.go_alone(),
            Stage::Over(over) => {
                drop(follower);
                self.wait_until(None);
                if let Some(caching) = &mut self.core.caching {
                    caching.waiting.was_enough = Some(over == Over::Stored);
                }
                if over == Over::Failed
                    && let Some(state) = self.stand_in()
                {
                    return state;
                }
                self.look_up()
            }
        }
    }

    /// A response has begun that may be for all clients: for this one, too?
    fn read(&mut self, fill: &Arc<Fill>, follower: Follower) -> State {
        self.wait_until(None);
        let stored = &fill.opening().stored;
        let asked = self.core.caching.as_ref().map(|caching| caching.asked).unwrap_or_default();
        let fresh = matches!(
            reuse(&stored.freshness, &asked, self.cx.now(), Situation::Normal),
            Reuse::Fresh | Reuse::Stale(Stale::ClientAccepts | Stale::WhileRevalidating)
        );
        if !fresh {
            drop(follower);
            return self.go_alone();
        }
        if !stored.selecting.matches(&self.core.request.head.fields) {
            drop(follower);
            return self.another_variant(fill.opening());
        }
        let Some(reader) = fill.reader() else {
            drop(follower);
            return self.go_alone();
        };
        if not_modified(&self.core.request.head, stored, self.cx.clock().wall) {
            return self.serve_answer(fill.opening(), Did::Collapsed, &Answer::NotModified);
        }
        self.note(Did::Collapsed, fill.opening());
        let length = match fill.length() {
            _ if stored.head.status.is_bodiless() => BodyLength::Empty,
            Some(length) => BodyLength::Exact(length),
            None => BodyLength::Chunked,
        };
        self.send_stored_head(fill.opening(), Announced { length, follows: true });
        self.read_on(Read { reader, follower: Some(follower) })
    }

    /// Sends what has arrived since.
    pub(super) fn read_on(&mut self, read: Read) -> State {
        let reader = &read.reader;
        if is_backed_up(self.reply().unsent()) && !reader.is_left_behind() {
            // The client will say when it has taken some of it.
            return State::Read(read);
        }
        // A stored response is in memory anyway. A piece of another one is this client's alone once it was taken out of the window.
        let most = if reader.fill().is_storing() { STEP } else { SIP };
        let mut given = 0;
        loop {
            let (more, ticket, now) = (most.saturating_sub(given), self.ticket(), self.cx.now());
            let got = if given == 0 { reader.read(more, ticket, now) } else { reader.read_ahead(more, ticket, now) };
            let nothing = got.pieces.is_empty();
            for piece in got.pieces {
                given += piece.len() + FRAMING;
                if let Err(error) = self.reply().data_owned(piece) {
                    return self.give_up(None, Failure::Response(error));
                }
            }
            match got.end {
                Some(end) => return self.read_out(end, &got.trailers),
                // The ticket tells of more, or the client that it has taken so much.
                None if nothing && (given == 0 || most == STEP) || given >= STEP => return State::Read(read),
                None if nothing || given >= most => {
                    // If all of it leaves at once, the driver does not tell. By the next turn it is known whether it
                    // did.
                    reader.fill().tell(self.ticket());
                    return State::Read(read);
                }
                None => {}
            }
        }
    }

    fn read_out(&mut self, end: End, trailers: &Fields) -> State {
        match end {
            End::Complete => {}
            End::Broken => return self.give_up(None, Failure::Truncated),
            End::LeftBehind => return self.give_up(None, Failure::LeftBehind),
        }
        match self.reply().end(trailers) {
            Ok(()) => State::Done(Ok(())),
            Err(error) => self.give_up(None, Failure::Response(error)),
        }
    }
}

/// Whether the client has so much to take, `unsent` bytes, that it gets no more now.
pub(super) fn is_backed_up(unsent: usize) -> bool {
    unsent > LOW_WATER
}
