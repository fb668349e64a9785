//! Which server the client of a forward proxy has named: `forward/` knows, or asks.
//!
//! An exchange holds its server ([`Core::origin`](super::Core)) until it is over: so the server's id means this server and no
//! other.

use super::{Failure, State, Step};
use crate::{proxy::forward::Found, time::Instant};

impl Step<'_> {
    /// Finds the server that the client has named, if this is a forward proxy. `until`: it has waited for that already.
    ///
    /// `Err`: its name is being asked for, or there is no way to it.
    pub(super) fn find_origin(&mut self, until: Option<Instant>) -> Result<(), State> {
        if self.core.origin.is_some() {
            return Ok(());
        }
        let Some(forward) = self.worker.shared.forward.clone() else { return Ok(()) };
        let (client, ticket, now) = (self.core.record.client, self.ticket(), self.cx.now());
        match forward.find(&self.core.request.head, client, ticket, now) {
            Found::Origin(origin) => {
                self.core.origin = Some(origin);
                Ok(())
            }
            Found::Denied(denied) => Err(self.give_up(None, Failure::Denied(denied))),
            Found::Asked => {
                // A name is a part of the way to its server.
                let until = until.unwrap_or(now + self.worker.shared.config.deadlines.connect);
                self.wait_until(Some(until));
                self.ask_if_closed();
                Err(State::Resolve(until))
            }
        }
    }

    /// There is news about names: perhaps about this one.
    pub(super) fn resolve(&mut self, until: Instant) -> State {
        match self.find_origin(Some(until)) {
            Ok(()) => self.route(None),
            Err(state) => state,
        }
    }
}
