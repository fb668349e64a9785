//! How an exchange ends when it does not end well.

use super::{Close, Failure, Link, State, Turn};
use crate::{
    health::{Asked, Outcome},
    http::Status,
    pool::CloseReason,
    proxy::answer,
};

impl Turn<'_> {
    /// Ends the exchange for `failure`: with an answer of our own if the response has not begun, else by breaking off.
    pub(super) fn give_up(&mut self, link: Option<Link>, failure: Failure) -> State {
        if let Some(link) = link {
            self.drop_link(link, self.outcome_of(failure));
        }
        self.parts.pool.cancel(self.core.key);
        if self.core.record.status == 0
            && failure.is_of_backend()
            && let Some(state) = self.stand_in()
        {
            return state;
        }
        match failure {
            Failure::ClientGone | Failure::ClientClosed | Failure::ClientStalled => {
                self.core.close = Close::Abort;
                if self.core.record.status == 0 {
                    self.core.record.status = failure.status().code();
                }
            }
            // A response cut short must look cut short: a reset, never an end that could be taken for the body's.
            _ if self.core.record.status != 0 => self.core.close = Close::Abort,
            _ => self.answer(failure),
        }
        State::Done(Err(failure))
    }

    /// Answers for the backend that does not.
    fn answer(&mut self, failure: Failure) {
        if !self.core.request_complete || matches!(failure, Failure::Request(_)) {
            // What follows of the request would be taken for the next one.
            self.close_after("request not read to its end");
        }
        let now = self.cx.clock();
        let status = self.status_of(failure);
        let bytes = answer::failure(
            &answer::Context {
                failure,
                status,
                head: Some(&self.core.head),
                persist: self.core.close == Close::No,
                retry_after: self.parts.shared.health.retry_after(now.instant),
                date: self.parts.date.text(now.wall),
                forwarding: &self.parts.shared.config.forwarding,
            },
            &mut self.parts.scratch,
        );
        self.core.record.status = status.code();
        self.core.record.sent += bytes.body as u64;
        self.send_client(bytes.message);
    }

    /// What the client is told. Of a stale response that must not be used without validation, it is told that nobody could
    /// be asked: 504, rather than what else was the matter (RFC 9111 §5.2.2.2, a SHOULD).
    fn status_of(&self, failure: Failure) -> Status {
        let stored = self.core.caching.as_ref().and_then(|caching| caching.stored.as_ref());
        let must_ask = stored.is_some_and(|entry| entry.stored.freshness.must_not_be_used(self.cx.now()));
        if must_ask && failure.is_disconnected() { Status::GATEWAY_TIMEOUT } else { failure.status() }
    }

    /// What health is told of a failure.
    pub(super) fn outcome_of(&self, failure: Failure) -> Outcome {
        let head = &self.core.head;
        let asked = || Asked::new(self.core.record.client, head.method.as_str(), head.target());
        failure.blame().map_or(Outcome::Neutral, |kind| Outcome::Failure(kind, asked()))
    }

    /// Gives up the backend connection at once.
    pub(super) fn drop_link(&mut self, link: Link, outcome: Outcome) {
        self.parts.finish_with(link, outcome, self.cx);
        if self.parts.remove_upstream(link.conn, CloseReason::Ended) {
            self.cx.abort(link.conn);
        }
    }
}
