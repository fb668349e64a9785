//! A response that is passed on and not stored, and that others read with our client: each at its own pace.
//!
//! While a response is stored, all of it is in memory, and no reader waits for another. A response that turns out too
//! large for that has readers all the same. From then on the leader's client is a reader like the others: it takes from
//! the window what it can, and the backend waits for the window, not for this client (`cache/readers.rs`).

use super::{
    Event, Failure, Link, State, Step,
    follow::Read,
    follow::is_backed_up,
    relay::{Receiving, Relay},
};
use crate::proxy::downstream::HIGH_WATER;

/// How it goes on with the leader's client.
enum Pumped {
    /// It has got what it can take now.
    On,
    /// It was too slow for the others.
    LeftBehind,
    /// Its framing does not fit.
    Failed(Failure),
}

impl Relay {
    /// Something has changed for our client or for those who read with it: our client may take more, has been too slow, or
    /// the others have caught up.
    pub(super) fn share_on(self, step: &mut Step<'_>) -> State {
        if let Receiving::Body { .. } = self.receiving {
            match step.pump() {
                Pumped::On => {}
                Pumped::LeftBehind => step.detach(self.link, Failure::LeftBehind),
                Pumped::Failed(failure) => return self.give_up(failure, step),
            }
        }
        if step.is_wanted(&self.receiving) { State::Relay(self) } else { self.give_up(Failure::Unwanted, step) }
    }

    /// The next state after the client, the cache or the clock says that something has changed.
    pub(super) fn sharing(self, event: &Event<'_>, step: &mut Step<'_>) -> State {
        match event {
            _ if step.core.caching.is_none() => State::Relay(self),
            Event::WaitOver => {
                step.wait_for_readers(self.link);
                // It may be our own client that was left behind.
                self.share_on(step)
            }
            Event::News => match self.share_on(step) {
                State::Relay(relay) => {
                    step.wait_for_readers(relay.link);
                    State::Relay(relay)
                }
                state => state,
            },
            _ => self.share_on(step),
        }
    }
}

impl Step<'_> {
    /// A response is too large to be stored: if others read it, our client reads it as they do.
    pub(super) fn read_beside_others(&mut self) {
        if self.core.client.is_nobody() {
            return;
        }
        let Some(caching) = &mut self.core.caching else { return };
        caching.storing.own = caching.storing.fill().and_then(|fill| fill.reader_beside_others());
    }

    /// Gives our client what has come, if it is one reader among others.
    fn pump(&mut self) -> Pumped {
        let unsent = self.reply().unsent();
        let (ticket, now) = (self.ticket(), self.cx.now());
        let Some(own) = self.core.caching.as_ref().and_then(|caching| caching.storing.own.as_ref()) else {
            return Pumped::On;
        };
        if own.is_left_behind() {
            return Pumped::LeftBehind;
        }
        if is_backed_up(unsent) {
            return Pumped::On;
        }
        let read = own.read(HIGH_WATER, ticket, now);
        if !read.pieces.is_empty() {
            // There may be more. If all of this leaves at once, the driver does not tell; by the next turn it is known
            // whether it did.
            own.fill().tell(ticket);
        }
        for piece in read.pieces {
            if let Err(error) = self.reply().data_owned(piece) {
                return Pumped::Failed(Failure::Response(error));
            }
        }
        Pumped::On
    }

    /// Those who read the response with us have it, or nearly: more of it may come.
    fn readers_caught_up(&mut self, link: Link) {
        let own = self.reads_beside_others();
        let unsent = self.reply().unsent();
        if (own || unsent <= HIGH_WATER)
            && let Some(upstream) = self.worker.table.upstream(link.conn)
        {
            upstream.set_congested(self.cx, false);
        }
    }

    /// The window is full: nothing more is read from the backend until the slowest have caught up or are left behind.
    pub(super) fn wait_for_readers(&mut self, link: Link) {
        let (now, shared) = (self.cx.now(), self.worker.shared.clone());
        let patience = shared.cache.as_ref().map(|cache| cache.config.wait).unwrap_or_default();
        let again = self.core.fill().and_then(|fill| fill.let_go(patience, now));
        self.wait_until(again);
        if again.is_none() {
            self.readers_caught_up(link);
        } else if let Some(upstream) = self.worker.table.upstream(link.conn) {
            upstream.set_congested(self.cx, true);
        }
    }

    /// Whether our client reads a response beside others, and is not given each piece at once.
    pub(super) fn reads_beside_others(&self) -> bool {
        self.core.caching.as_ref().is_some_and(|caching| caching.storing.own.is_some())
    }

    /// The response is complete, and others have got it. The rest of it, our client reads like they do.
    pub(super) fn read_rest(&mut self) -> Option<State> {
        let own = self.core.caching.as_mut().and_then(|caching| caching.storing.own.take())?;
        self.wait_until(None);
        Some(self.read_on(Read { reader: own, follower: None }))
    }
}
