//! A response that is passed on and not stored, and that others read with our client: each at its own pace.
//!
//! While a response is stored, all of it is in memory, and nobody waits for anybody. One that turns out too large for that
//! has readers all the same. From then on the leader's client is a reader like the others: it takes from the window what it
//! can, and the backend waits for the window, not for this client (`cache/readers.rs`).

use super::{ConnId, Event, Failure, Link, Receiving, State, To, Turn, follow::is_backed_up};
use crate::{cache::Lead, http::BodyWriter, proxy::downstream::HIGH_WATER};

/// How it goes on with the leader's client.
pub(super) enum Pumped {
    /// It has got what it can take now.
    On,
    /// It was too slow for the others.
    LeftBehind,
    /// Its framing does not fit.
    Failed(Failure),
}

impl Turn<'_> {
    /// A response is too large to be stored: if others read it, our client reads it as they do.
    pub(super) fn read_beside_others(&mut self) {
        if self.core.client == ConnId::NOBODY {
            return;
        }
        let Some(caching) = &mut self.core.caching else { return };
        let fill = caching.lead.as_ref().and_then(Lead::fill);
        caching.own = fill.and_then(|fill| fill.reader_beside_others());
    }

    /// Gives our client what has come, if it is one reader among others.
    pub(super) fn pump(&mut self, body: &mut BodyWriter) -> Pumped {
        let Some(own) = self.core.caching.as_ref().and_then(|caching| caching.own.as_ref()) else { return Pumped::On };
        if own.is_left_behind() {
            return Pumped::LeftBehind;
        }
        if is_backed_up(self.parts, self.core.client) {
            return Pumped::On;
        }
        let (ticket, now) = (self.ticket(), self.cx.now());
        let read = own.read(HIGH_WATER, ticket, now);
        if !read.pieces.is_empty() {
            // There may be more. If all of this leaves at once, nobody tells; by the next turn it is known whether it did.
            own.fill().tell(ticket);
        }
        for piece in read.pieces {
            self.core.record.sent += piece.len() as u64;
            if let Err(error) = body.data_owned(&mut To { cx: self.cx, conn: self.core.client }, piece) {
                return Pumped::Failed(Failure::Response(error));
            }
        }
        Pumped::On
    }

    /// Something has changed for our client or for those who read with it: our client may take more, has been too slow, or
    /// the others have caught up.
    pub(super) fn share_on(&mut self, link: Link, receiving: &mut Receiving) -> Result<(), Failure> {
        if let Receiving::Body(body) = receiving {
            match self.pump(body) {
                Pumped::On => {}
                Pumped::LeftBehind => self.detach(link, Failure::LeftBehind),
                Pumped::Failed(failure) => return Err(failure),
            }
        }
        if self.is_wanted(receiving) { Ok(()) } else { Err(Failure::Unwanted) }
    }

    /// What a running exchange does when it is told that something has changed, by its client, the cache or the clock.
    pub(super) fn sharing(&mut self, link: Link, receiving: &mut Receiving, event: &Event<'_>) -> Result<(), Failure> {
        match event {
            Event::Expired if self.exchange_is_late() => {
                let others = self.leaves_it_to_others(link, receiving);
                return if others { Ok(()) } else { Err(Failure::ExchangeTimeout) };
            }
            Event::Expired => {
                self.wait_for_readers(link);
                // It may be our own client that was left behind.
                self.share_on(link, receiving)?;
            }
            Event::Told => {
                self.share_on(link, receiving)?;
                self.wait_for_readers(link);
            }
            _ => self.share_on(link, receiving)?,
        }
        Ok(())
    }

    /// Those who read the response with us have it, or nearly: more of it may come.
    fn readers_caught_up(&mut self, link: Link) {
        let own = self.core.caching.as_ref().is_some_and(|caching| caching.own.is_some());
        let unsent = self.parts.table.downstream(self.core.client).map_or(0, |client| client.unsent_now());
        if (own || unsent <= HIGH_WATER)
            && let Some(upstream) = self.parts.table.upstream(link.conn)
        {
            upstream.set_congested(self.cx, false);
        }
    }

    /// The window is full: nothing more is read from the backend until the slowest have caught up or are left behind.
    pub(super) fn wait_for_readers(&mut self, link: Link) {
        let (now, shared) = (self.cx.now(), self.parts.shared.clone());
        let patience = shared.cache.as_ref().map(|cache| cache.config.wait).unwrap_or_default();
        let fill = self.core.caching.as_ref().and_then(|caching| caching.lead.as_ref()).and_then(Lead::fill);
        let again = fill.and_then(|fill| fill.let_go(patience, now));
        self.arm(again);
        if again.is_none() {
            self.readers_caught_up(link);
        } else if let Some(upstream) = self.parts.table.upstream(link.conn) {
            upstream.set_congested(self.cx, true);
        }
    }

    /// The response is complete, and others have got it. What our client has not yet got, it reads like they do.
    pub(super) fn read_rest(&mut self, body: BodyWriter) -> Option<State> {
        let own = self.core.caching.as_mut().and_then(|caching| caching.own.take())?;
        self.arm(None);
        Some(self.read_on(own, None, body))
    }
}
