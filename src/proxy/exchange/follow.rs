//! Waiting for the answer to somebody else's request, and reading it as it arrives.

use super::{ConnId, Event, Failure, Parts, State, To, Turn, serve::STEP};
use crate::{
    cache::{
        Answer, Did, Reuse, Situation, Stale,
        collapse::{Follower, Over, Stage},
        conditional::not_modified,
        fill::{End, Fill, Reader},
        reuse,
    },
    http::{BodyLength, BodyWriter, Fields},
    proxy::downstream::LOW_WATER,
};
use std::{sync::Arc, time::Instant};

/// So much of a response that is not stored is given to the driver at once, and a piece at least.
const SIP: usize = 64 * 1024;

/// What a piece costs besides its bytes: the frame of a chunk, which an origin may make around each byte.
const FRAMING: usize = 8;

impl Turn<'_> {
    /// Follows a fetch that is under way.
    pub(super) fn follow(&mut self, follower: Follower, until: Instant) -> State {
        match follower.stage(self.ticket()) {
            Stage::Asked => {
                self.arm(Some(until));
                self.ask_if_closed();
                State::Follow { follower, until }
            }
            Stage::Open(fill) => self.read(&fill, follower),
            Stage::Over(Over::Private) => self.go_alone(),
            Stage::Over(over) => {
                drop(follower);
                self.arm(None);
                if let Some(caching) = &mut self.core.caching {
                    caching.collapsed = Some(over == Over::Stored);
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

    /// What a follower does with an event.
    pub(super) fn following(&mut self, follower: Follower, until: Instant, event: Event<'_>) -> State {
        match event {
            Event::Told => self.follow(follower, until),
            Event::Expired if self.exchange_is_late() => self.give_up(None, Failure::ExchangeTimeout),
            Event::Expired if until <= self.cx.now() => {
                drop(follower);
                self.go_alone()
            }
            Event::ClientLost(failure) | Event::RequestBad(failure) => self.give_up(None, failure),
            _ => State::Follow { follower, until },
        }
    }

    /// A response has begun that may be for everybody: for us, too?
    fn read(&mut self, fill: &Arc<Fill>, follower: Follower) -> State {
        self.arm(None);
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
        if !stored.selecting.matches(&self.core.head.fields) {
            drop(follower);
            return self.another_variant(fill.opening());
        }
        let Some(reader) = fill.reader() else {
            drop(follower);
            return self.go_alone();
        };
        if not_modified(&self.core.head, stored, self.cx.clock().wall) {
            return self.serve_answer(fill.opening(), Did::Collapsed, &Answer::NotModified);
        }
        self.note(Did::Collapsed, fill.opening());
        let body = match fill.length() {
            _ if stored.head.status.is_bodiless() => BodyLength::Empty,
            Some(length) => BodyLength::Exact(length),
            None => BodyLength::Chunked,
        };
        let framing = self.client_framing(body);
        self.send_stored_head(fill.opening(), framing);
        self.read_on(reader, Some(follower), BodyWriter::of(framing))
    }

    /// Sends what has arrived since.
    pub(super) fn read_on(&mut self, reader: Reader, follower: Option<Follower>, mut writer: BodyWriter) -> State {
        if is_backed_up(self.parts, self.core.client) && !reader.is_left_behind() {
            // The client will say when it has taken some of it.
            return State::Read { reader, follower, writer };
        }
        // What is stored is in memory anyway. What is not is this client's alone once it was taken out of the window.
        let most = if reader.fill().is_storing() { STEP } else { SIP };
        let mut given = 0;
        loop {
            let (more, ticket, now) = (most.saturating_sub(given), self.ticket(), self.cx.now());
            let read = if given == 0 { reader.read(more, ticket, now) } else { reader.read_ahead(more, ticket, now) };
            let nothing = read.pieces.is_empty();
            for piece in read.pieces {
                given += piece.len() + FRAMING;
                self.core.record.sent += piece.len() as u64;
                let mut to = To { cx: self.cx, conn: self.core.client };
                if let Err(error) = writer.data_owned(&mut to, piece) {
                    return self.give_up(None, Failure::Response(error));
                }
            }
            match read.end {
                Some(end) => return self.read_out(writer, end, &read.trailers),
                // The ticket tells of more, or the client that it has taken so much.
                None if nothing && (given == 0 || most == STEP) || given >= STEP => {
                    return State::Read { reader, follower, writer };
                }
                None if nothing || given >= most => {
                    // If all of it leaves at once, nobody tells. By the next turn it is known whether it did.
                    reader.fill().tell(self.ticket());
                    return State::Read { reader, follower, writer };
                }
                None => {}
            }
        }
    }

    fn read_out(&mut self, mut writer: BodyWriter, end: End, trailers: &Fields) -> State {
        match end {
            End::Complete => {}
            End::Broken => return self.give_up(None, Failure::Truncated),
            End::LeftBehind => return self.give_up(None, Failure::LeftBehind),
        }
        match writer.end(&mut To { cx: self.cx, conn: self.core.client }, trailers) {
            Ok(()) => State::Done(Ok(())),
            Err(error) => self.give_up(None, Failure::Response(error)),
        }
    }

    /// What a reader does with an event.
    pub(super) fn reading(
        &mut self,
        reader: Reader,
        follower: Option<Follower>,
        writer: BodyWriter,
        event: Event<'_>,
    ) -> State {
        match event {
            Event::Told | Event::Drained => self.read_on(reader, follower, writer),
            Event::ClientLost(failure) | Event::RequestBad(failure) => self.give_up(None, failure),
            Event::Expired if self.exchange_is_late() => self.give_up(None, Failure::ExchangeTimeout),
            _ => State::Read { reader, follower, writer },
        }
    }
}

/// Whether the client has so much to take that it gets no more now.
pub(super) fn is_backed_up(parts: &mut Parts, client: ConnId) -> bool {
    parts.table.downstream(client).is_some_and(|client| client.unsent_now() > LOW_WATER)
}
