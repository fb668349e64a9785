//! Both directions at once: the request towards the backend (here), the response towards the client (`response.rs`).
//!
//! Either may finish first. A response that arrives before the request body ends is relayed at once; if the backend will
//! close after it, the rest of the request is no longer forwarded and the client's connection is closed after the
//! response (RFC 9112 §9.6), else the request goes on to its end and both connections persist.

use super::{Event, Failure, Link, State, Step};
use crate::{
    cache::store::Entry,
    health::Outcome,
    http::{BodyLength, BodyWriter, Fields},
    proxy::client::{To, Unread},
};
use std::sync::Arc;

/// Both directions of an exchange that holds a connection.
#[derive(Debug)]
pub(in crate::proxy) struct Relay {
    /// The backend's side.
    pub(super) link: Link,
    /// Frames the request body; finished when the request is complete.
    pub(super) sending: BodyWriter,
    /// The response.
    pub(super) receiving: Receiving,
    /// Whether the backend's connection persists after this response.
    pub(super) reusable: bool,
}

/// How far the response is.
#[derive(Debug)]
pub(in crate::proxy) enum Receiving {
    /// Nothing but interim responses.
    Head,
    /// The head went to the client, and content follows.
    Body {
        /// Bytes that are still to come; `None`: that is not known.
        owed: Option<u64>,
    },
    /// Complete; the request is not yet.
    Complete,
    /// A 304 to our own question: this answers the client.
    Unchanged(Arc<Entry>),
    /// A 304 to our own question, about something else than what is stored: to be asked again.
    Again,
}

impl Receiving {
    /// A response whose head has come, and content of that length behind it.
    pub(super) fn of(length: BodyLength) -> Self {
        match length {
            BodyLength::Empty => Self::Body { owed: Some(0) },
            BodyLength::Exact(length) => Self::Body { owed: Some(length) },
            BodyLength::Chunked | BodyLength::UntilClose => Self::Body { owed: None },
        }
    }
}

impl Relay {
    /// The head of the request is on its way, and content of that length follows.
    pub(super) fn new(link: Link, body: BodyLength) -> Self {
        Self { link, sending: BodyWriter::of(body), receiving: Receiving::Head, reusable: false }
    }

    /// Whether the response is complete.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.receiving, Receiving::Complete)
    }

    /// May the driver pass on what is left of this response body without showing it to us? `left`: what the backend's reader
    /// still expects. Only if all of it is long enough to be worth it.
    pub(super) fn may_splice(&self, left: u64, least: u64) -> bool {
        matches!(self.receiving, Receiving::Body { owed: Some(owed) } if owed == left) && left >= least.max(1)
    }

    /// The next state after an event.
    pub(super) fn on(mut self, event: Event<'_>, step: &mut Step<'_>) -> State {
        match event {
            // The client has its whole response: whatever is wrong with the rest of the request, it is not broken off.
            Event::ClientEnded | Event::RequestBad(_) | Event::UpstreamBad(_) | Event::UpstreamStalled
                if matches!(self.receiving, Receiving::Complete) =>
            {
                step.reply().leaves_unread(Unread::NotToItsEnd);
                self.reusable = false;
                self.complete(step)
            }
            Event::RequestData(data) => self.request_data(data, step),
            Event::RequestEnd(trailers) => self.request_end(&trailers, step),
            Event::Interim(head) => self.interim(&head, step),
            Event::Head(head, body) => self.response_head(&head, body, step),
            Event::Switched(head) => step.switched(self.link, &head),
            Event::ResponseData(data) => self.response_data(data, step),
            Event::ResponseSpliced(length) => self.response_spliced(length, step),
            Event::ResponseEnd(trailers) => self.response_end(&trailers, step),
            Event::UpstreamBad(error) => self.upstream_failed(Failure::Response(error), step),
            Event::UpstreamEnded | Event::UpstreamFailed(_) => self.upstream_gone(step),
            Event::UpstreamInsecure(_) if matches!(self.receiving, Receiving::Complete) => self.upstream_gone(step),
            Event::UpstreamInsecure(why) => self.upstream_failed(Failure::Insecure(why), step),
            Event::UpstreamLate => self.response_late(step),
            Event::UpstreamStalled => self.give_up(Failure::UpstreamStalled, step),
            // Half-close: a client may end its side after the request and still read the response.
            Event::ClientEnded if step.core.request.is_complete() => State::Relay(self),
            Event::ClientEnded => self.give_up(Failure::ClientGone, step),
            Event::ClientLost(failure) if step.goes_on_without_client(&self.receiving) => {
                step.detach(self.link, failure);
                State::Relay(self)
            }
            Event::ClientLost(failure) | Event::RequestBad(failure) => self.give_up(failure, step),
            Event::News | Event::Drained | Event::WaitOver => self.sharing(&event, step),
            Event::Expired if step.leaves_it_to_others(self.link, &self.receiving) => State::Relay(self),
            Event::Expired => self.give_up(Failure::ExchangeTimeout, step),
            Event::Route
            | Event::Fetch
            | Event::ClientClosed
            | Event::Room(_)
            | Event::Connected
            | Event::Redialed(_)
            | Event::Peeked(_) => State::Relay(self),
        }
    }

    /// Ends it for `failure`, with the backend's connection.
    pub(super) fn give_up(self, failure: Failure, step: &mut Step<'_>) -> State {
        step.give_up(Some(self.link), failure)
    }

    fn request_data(mut self, data: &[u8], step: &mut Step<'_>) -> State {
        if !step.core.request.is_consumed() && matches!(self.receiving, Receiving::Head) {
            // It did not wait for 100, or no longer: the answer is due when the request is complete.
            step.expect_upstream(self.link, None);
        }
        step.core.request.consume();
        step.core.record.received += data.len() as u64;
        step.expect_body(data.len());
        match self.sending.data(&mut To { cx: step.cx, conn: self.link.conn }, data) {
            Ok(()) => State::Relay(self),
            Err(error) => self.give_up(Failure::Request(error), step),
        }
    }

    fn request_end(mut self, trailers: &Fields, step: &mut Step<'_>) -> State {
        if let Err(error) = self.sending.end(&mut To { cx: step.cx, conn: self.link.conn }, trailers) {
            return self.give_up(Failure::Request(error), step);
        }
        step.core.request.complete();
        step.expect_no_body();
        step.reply().end_body();
        match self.receiving {
            Receiving::Complete => return self.complete(step),
            Receiving::Head => {
                let by = step.cx.now() + step.worker.shared.config.deadlines.first_byte;
                step.expect_upstream(self.link, Some(by));
            }
            Receiving::Body { .. } | Receiving::Unchanged(_) | Receiving::Again => {}
        }
        State::Relay(self)
    }

    /// Both messages are through, or the rest of the request is not needed.
    pub(super) fn complete(self, step: &mut Step<'_>) -> State {
        if self.reusable && step.core.request.is_complete() {
            step.worker.give_back(self.link, step.cx);
        } else {
            step.worker.close_link(self.link, Outcome::Success, step.cx);
        }
        State::Done(Ok(()))
    }
}
