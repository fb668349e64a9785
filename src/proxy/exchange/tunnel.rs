//! After a 101: bytes both ways, each side ending on its own. A tunnel lasts as long as it is used: its deadline is
//! `--tunnel-timeout`, and that of the exchange which it began as (`--request-timeout`) is over.

use super::{Close, Event, Failure, Link, State, Turn};
use crate::health::Outcome;

impl Turn<'_> {
    /// What a tunnel does with an event.
    pub(super) fn tunnel(&mut self, link: Link, client_ended: bool, backend_ended: bool, event: Event<'_>) -> State {
        let idle = self.parts.shared.config.deadlines.tunnel;
        match event {
            Event::RequestData(data) => {
                self.core.record.received += data.len() as u64;
                self.cx.forward(link.conn, data);
            }
            Event::ResponseData(data) => {
                self.core.record.sent += data.len() as u64;
                self.cx.forward(self.core.client, data);
            }
            // Heard again whenever nothing is left to read.
            Event::ClientEnded if client_ended => {}
            Event::ClientEnded => {
                self.cx.finish(link.conn);
                return self.tunnel_half(link, true, backend_ended);
            }
            Event::UpstreamEnded => {
                self.cx.finish(self.core.client);
                return self.tunnel_half(link, client_ended, true);
            }
            Event::ClientLost(failure) | Event::RequestBad(failure) => return self.give_up(Some(link), failure),
            // It has said everything and read no more: of what it said, nothing is missing.
            Event::UpstreamFailed(_) if backend_ended => return self.tunnel_half(link, true, true),
            Event::UpstreamFailed(_) => return self.give_up(Some(link), Failure::Truncated),
            Event::UpstreamLate => return self.give_up(Some(link), Failure::TunnelIdle),
            Event::UpstreamStalled => return self.give_up(Some(link), Failure::UpstreamStalled),
            Event::Expired
            | Event::Route
            | Event::Fetch
            | Event::Told
            | Event::Drained
            | Event::ClientClosed
            | Event::Room(_)
            | Event::Connected
            | Event::Redialed(_)
            | Event::Probed(_)
            | Event::RequestEnd(_)
            | Event::Interim(_)
            | Event::Head(..)
            | Event::Switched(_)
            | Event::ResponsePassed(_)
            | Event::ResponseEnd(_)
            | Event::UpstreamBad(_) => {}
        }
        let by = self.cx.now() + idle;
        self.expect_upstream(link, Some(by));
        State::Tunnel { link, client_ended, backend_ended }
    }

    /// One side has ended: the other may go on; when both have, the tunnel is over.
    fn tunnel_half(&mut self, link: Link, client_ended: bool, backend_ended: bool) -> State {
        if !(client_ended && backend_ended) {
            return State::Tunnel { link, client_ended, backend_ended };
        }
        self.core.close = Close::After("tunnel ended");
        self.parts.close_link(link, Outcome::Success, self.cx);
        State::Done(Ok(()))
    }
}
