//! How an exchange ends when it does not end well.

use super::{Failure, Link, State, Step};
use crate::{
    health::{Asked, Outcome},
    http::Status,
    pool::NotKept,
    proxy::{
        access::{Barred, Rate},
        answer,
        client::{Ending, Unread},
        explain::{FIELD, Fact},
        routing::Target,
    },
};

impl Step<'_> {
    /// Ends the exchange for `failure`: with an answer of our own if the response has not begun, else by breaking off.
    pub(super) fn give_up(&mut self, link: Option<Link>, failure: Failure) -> State {
        if let Some(link) = link {
            self.drop_link(link, self.outcome_of(failure));
        }
        self.worker.pool.cancel(self.core.key);
        if self.core.record.status == 0
            && failure.is_of_backend()
            && let Some(state) = self.stand_in()
        {
            return state;
        }
        match failure {
            Failure::ClientGone | Failure::ClientClosed | Failure::ClientStalled | Failure::Http2(_) => {
                self.core.ending = Ending::Broken;
                if self.core.record.status == 0 {
                    self.core.record.status = failure.status().code();
                }
            }
            // A response cut short must look cut short: a reset, never an end that could be taken for the body's.
            _ if self.core.record.status != 0 => self.core.ending = Ending::Broken,
            _ => self.answer(failure),
        }
        State::Done(Err(failure))
    }

    /// Answers for the backend that does not.
    fn answer(&mut self, failure: Failure) {
        if !self.core.request.is_complete() || matches!(failure, Failure::Request(_)) {
            // The rest of the request would be taken for the next one.
            self.reply().leaves_unread(Unread::NotToItsEnd);
        }
        let mut answer = answer::failure(&answer::Context {
            failure,
            status: self.status_of(failure),
            head: Some(&self.core.request.head),
            retry_after: self.worker.shared.groups.get(self.core.way.group).health.retry_after(self.cx.now()),
            forwarding: &self.worker.shared.config.forwarding,
            location: self.location_of(failure),
            target: self.target(),
            realm: self.realm(),
            rate: self.rate(failure),
        });
        let status = self.status_of(failure).code();
        self.explain(|_| Fact::Own { failure, status });
        if let Some(edits) = self.worker.shared.response_edits(self.core.way) {
            answer.edit(edits);
        }
        if let Some(number) = self.explanation_told() {
            answer.mark(FIELD, &number);
        }
        if let Some(standing) = self.worker.shared.standing(self.core.way) {
            standing.iter().for_each(|(name, value)| answer.fields.push(name, value));
        }
        if let Some((name, id)) = self.request_id() {
            answer.mark(name, id);
        }
        self.reply().own(&answer);
    }

    /// The target of its route.
    fn target(&self) -> Option<&Target> {
        self.worker.shared.router.as_ref()?.target(self.core.way)
    }

    /// The limit that its client has reached.
    fn rate(&self, failure: Failure) -> Option<&Rate> {
        let Failure::Barred(Barred::Rate { limit, .. }) = failure else { return None };
        self.worker.shared.policy(self.core.way)?.rates.get(usize::from(limit))
    }

    /// The place that its route asks a password for.
    fn realm(&self) -> Option<&str> {
        let login = self.worker.shared.policy(self.core.way)?.login.as_ref()?;
        Some(&login.realm)
    }

    /// Where the client finds what it asked for, if that is why it is not answered.
    fn location_of(&self, failure: Failure) -> Option<String> {
        let head = &self.core.request.head;
        match failure {
            Failure::NeedsTls => self.worker.shared.config.redirect.as_ref()?.location(head),
            Failure::OfRoute(_) => self.worker.shared.router.as_ref()?.location(self.core.way, head),
            _ => None,
        }
    }

    /// The status that the client is told. If there is a stale response that must not be used without validation, it is
    /// 504: no backend could be asked. That goes before any other failure (RFC 9111 §5.2.2.2, a SHOULD).
    fn status_of(&self, failure: Failure) -> Status {
        let stored = self.core.caching.as_ref().and_then(|caching| caching.question.stored.as_ref());
        let must_ask = stored.is_some_and(|entry| entry.stored.freshness.must_not_be_used(self.cx.now()));
        if must_ask && failure.is_disconnected() { Status::GATEWAY_TIMEOUT } else { failure.status() }
    }

    /// The outcome that health is told.
    pub(super) fn outcome_of(&self, failure: Failure) -> Outcome {
        let head = &self.core.request.head;
        let asked = || Asked::new(self.core.record.client, head.method.as_str(), head.target());
        failure.blame().map_or(Outcome::Neutral, |kind| Outcome::Failure(kind, asked()))
    }

    /// Gives up the backend connection at once.
    pub(super) fn drop_link(&mut self, link: Link, outcome: Outcome) {
        self.worker.finish_with(link, outcome, self.cx);
        if self.worker.remove_upstream(link.conn, NotKept::Ended) {
            self.cx.abort(link.conn);
        }
    }
}
