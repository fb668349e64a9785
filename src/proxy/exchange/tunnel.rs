//! After a 101, or after a CONNECT to a forward proxy: bytes both ways, each side ending on its own. A tunnel lasts as long as it is used: its deadline is
//! `--tunnel-timeout`, and that of the exchange which it began as (`--request-timeout`) is over.

use super::{Event, Failure, Link, State, Step};
use crate::{
    health::Outcome,
    http::{BodyLength, Fields, ResponseHead, Status},
    proxy::{client::Client, explain::Fact, headers},
};

/// Bytes both ways, of a protocol that we do not know.
#[derive(Debug)]
pub(in crate::proxy) struct Tunnel {
    /// The backend's side.
    pub(super) link: Link,
    /// The client sends nothing more.
    client_ended: bool,
    /// The backend sends nothing more.
    backend_ended: bool,
}

impl Tunnel {
    /// Both sides may speak.
    pub(super) fn new(link: Link) -> Self {
        Self { link, client_ended: false, backend_ended: false }
    }

    /// Whether neither side has ended.
    pub(super) fn is_whole(&self) -> bool {
        !self.client_ended && !self.backend_ended
    }

    /// The next state after an event.
    pub(super) fn on(mut self, event: Event<'_>, step: &mut Step<'_>) -> State {
        match event {
            Event::RequestData(data) => {
                step.core.record.received += data.len() as u64;
                step.cx.forward(self.link.conn, data);
            }
            Event::ResponseData(data) => {
                if let Err(error) = step.reply().data(data) {
                    return self.give_up(Failure::Response(error), step);
                }
            }
            // Heard again whenever nothing is left to read.
            Event::ClientEnded if self.client_ended => {}
            Event::ClientEnded => {
                step.cx.finish(self.link.conn);
                self.client_ended = true;
                return self.half(step);
            }
            Event::UpstreamEnded => {
                step.reply().finish();
                self.backend_ended = true;
                return self.half(step);
            }
            Event::ClientLost(failure) | Event::RequestBad(failure) => return self.give_up(failure, step),
            // It has said everything and read no more: of what it said, nothing is missing.
            Event::UpstreamFailed(_) | Event::UpstreamInsecure(_) if self.backend_ended => {
                self.client_ended = true;
                return self.half(step);
            }
            Event::UpstreamFailed(_) | Event::UpstreamInsecure(_) => return self.give_up(Failure::Truncated, step),
            Event::UpstreamLate => return self.give_up(Failure::TunnelIdle, step),
            Event::UpstreamStalled => return self.give_up(Failure::UpstreamStalled, step),
            Event::Expired
            | Event::WaitOver
            | Event::Route
            | Event::Fetch
            | Event::News
            | Event::Drained
            | Event::ClientClosed
            | Event::Room(_)
            | Event::Connected
            | Event::Redialed(_)
            | Event::Peeked(_)
            | Event::RequestEnd(_)
            | Event::Interim(_)
            | Event::Head(..)
            | Event::Switched(_)
            | Event::ResponseSpliced(_)
            | Event::ResponseEnd(_)
            | Event::UpstreamBad(_) => {}
        }
        step.expect_tunnel(self.link);
        State::Tunnel(self)
    }

    fn give_up(self, failure: Failure, step: &mut Step<'_>) -> State {
        step.give_up(Some(self.link), failure)
    }

    /// One side has ended: the other may go on; when both have, the tunnel is over.
    fn half(self, step: &mut Step<'_>) -> State {
        if !(self.client_ended && self.backend_ended) {
            return State::Tunnel(self);
        }
        step.worker.close_link(self.link, Outcome::Success, step.cx);
        State::Done(Ok(()))
    }
}

impl Step<'_> {
    /// The backend switches protocols: from here on we relay bytes.
    pub(super) fn switched(&mut self, link: Link, head: &ResponseHead) -> State {
        let proper = headers::accepts_an_offer(head, &self.core.request.head) && self.core.client.accepts_switch(head);
        if !(self.core.request.upgrade && self.core.request.is_complete() && proper) {
            return self.give_up(Some(link), Failure::UnaskedUpgrade);
        }
        self.reply().switch(head);
        self.explain(|_| Fact::Answered { head: Box::new(head.clone()), edited: None, body: BodyLength::Empty });
        self.forget_request();
        // The exchange ends here, and its deadline with it: a tunnel has one of its own.
        self.has_no_end();
        self.stand(link)
    }

    /// The connection to the server that the client named in a `CONNECT` is open: that is all that it wants of us (RFC 9110
    /// §9.3.6).
    pub(super) fn open_tunnel(&mut self, link: Link) -> State {
        // It is connected, and no other address of its server will be.
        self.core.origin = None;
        if let Some(upstream) = self.worker.table.upstream(link.conn) {
            upstream.origin = None;
            upstream.begin();
        }
        self.core.attempts.sent = true;
        self.reply().switch(&ResponseHead::new(Status::OK));
        self.forget_request();
        self.has_no_end();
        self.stand(link)
    }

    /// The tunnel stands, and nothing is said yet.
    fn stand(&mut self, link: Link) -> State {
        self.expect_tunnel(link);
        if let Client::Connection(http1) = &self.core.client {
            self.worker.silent.push(http1.conn());
        }
        State::Tunnel(Tunnel::new(link))
    }

    /// A tunnel may last for days. Of the request that it began as, the line is kept for the log.
    fn forget_request(&mut self) {
        self.core.request.head.fields = Fields::new();
        if self.core.lead().is_none() {
            self.core.caching = None;
        }
    }

    /// Whichever side speaks, the tunnel is in use for some time.
    fn expect_tunnel(&mut self, link: Link) {
        let by = self.cx.now() + self.worker.shared.config.deadlines.tunnel;
        self.expect_upstream(link, Some(by));
    }
}
