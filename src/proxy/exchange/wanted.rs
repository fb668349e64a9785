//! Decides whether a request goes on when its client has left.
//!
//! It goes on for other clients that wait for the response or read it, and for the cache if little is missing.
//! Otherwise it ends.

use super::{Failure, Link, Step, relay::Receiving};
use crate::proxy::client::Ending;

/// A response whose client has left is fetched to its end if so much of it, at most, is still to come.
const NEARLY_DONE: u64 = 256 * 1024;

impl Step<'_> {
    /// The client is gone. Whether its request goes on all the same: others wait for the answer, or little of it is missing.
    pub(super) fn goes_on_without_client(&self, receiving: &Receiving) -> bool {
        let Some(lead) = self.core.lead() else { return false };
        if lead.followers() > 0 {
            return true;
        }
        let Some(fill) = lead.fill() else { return false };
        match receiving {
            // A response that no client may use without asking again is not worth it.
            _ if fill.opening().stored.freshness.left(self.cx.now()).is_err() => false,
            Receiving::Body { .. } => {
                fill.length().is_some_and(|length| length - fill.kept().min(length) <= NEARLY_DONE)
            }
            Receiving::Head | Receiving::Complete | Receiving::Unchanged(_) | Receiving::Again => false,
        }
    }

    /// Whether its client has left, and so have all that waited for the response with it.
    pub(super) fn is_forsaken(&self) -> bool {
        self.core.client.is_nobody()
            && !self.core.is_our_own()
            && self.core.lead().is_none_or(|lead| lead.followers() == 0)
    }

    /// Whether there is a reason to go on.
    pub(super) fn is_wanted(&self, receiving: &Receiving) -> bool {
        !self.core.client.is_nobody()
            || self.goes_on_without_client(receiving)
            || self.core.is_our_own() && self.is_of_use(receiving)
    }

    /// Whether what a request of our own brings is of use: it is not all here, and is being stored, or it is so little that the
    /// connection is worth more. A body without end must not keep it for ever.
    fn is_of_use(&self, receiving: &Receiving) -> bool {
        let Receiving::Body { owed } = receiving else { return true };
        self.core.fill().is_some_and(|fill| fill.is_storing()) || owed.is_some_and(|owed| owed <= NEARLY_DONE)
    }

    /// Lets the client go, and goes on.
    pub(super) fn detach(&mut self, link: Link, failure: Failure) {
        self.core.record.parted = Some(failure);
        self.reply().break_off();
        if self.core.record.status == 0 {
            self.core.record.status = failure.status().code();
        }
        self.core.ending = Ending::Broken;
        let ticket = self.ticket();
        let Some(caching) = &mut self.core.caching else { return };
        // Where the backend waited for this client alone, it goes on; where it waits for others too, they will say.
        let waits_for_others = caching.storing.own.take().is_some();
        if let Some(lead) = &caching.storing.lead {
            lead.orphan(ticket);
        }
        if !waits_for_others && let Some(upstream) = self.worker.table.upstream(link.conn) {
            upstream.set_congested(self.cx, false);
        }
    }

    /// The client's time for all of its request is over. Whether others get the response all the same: each of them has a
    /// deadline of its own.
    pub(super) fn leaves_it_to_others(&mut self, link: Link, receiving: &Receiving) -> bool {
        let leaves = matches!(receiving, Receiving::Body { .. })
            && !self.core.client.is_nobody()
            && self.goes_on_without_client(receiving);
        if leaves {
            self.has_no_end();
            self.detach(link, Failure::ExchangeTimeout);
        }
        leaves
    }
}
