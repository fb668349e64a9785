//! The response of a running exchange: it goes on to the client, and to the cache if there is one.

use super::{
    Failure, State, Step,
    keep::{Kept, Piece},
    relay::{Receiving, Relay},
};
use crate::{
    cache::{Did, store::Entry},
    health::Outcome,
    http::{self, BodyLength, Fields, ResponseHead, Status, hop},
    proxy::{
        client::Unread,
        explain::{FIELD, Fact},
    },
};
use std::sync::Arc;

/// Interim responses per exchange. Real ones send one or two (100, 103); a stream of them is an attack on the client.
const INTERIMS_MAX: u8 = 16;

impl Relay {
    /// Passes a 1xx on.
    pub(super) fn interim(self, head: &ResponseHead, step: &mut Step<'_>) -> State {
        step.core.interims.count += 1;
        if step.core.interims.count > INTERIMS_MAX {
            return self.give_up(Failure::TooManyInterims, step);
        }
        step.reply().interim(head);
        step.core.interims.continued |= head.status == Status::CONTINUE;
        if head.status == Status::CONTINUE && !step.core.request.is_complete() {
            step.expect_upstream(self.link, None);
            step.expect_body(0);
        }
        State::Relay(self)
    }

    /// The head of the response: to the client, unless the cache makes something else of it.
    pub(super) fn response_head(mut self, head: &ResponseHead, body: BodyLength, step: &mut Step<'_>) -> State {
        self.reusable = http::persistent_after(head, body).is_ok();
        if step.core.client.takes_success_for_switch() && head.status.is_success() {
            return self.give_up(Failure::NotSwitched, step);
        }
        let kept = if step.core.caching.is_some() { step.keep(head, body) } else { Kept::ToClient { stored: false } };
        let stored = match kept {
            Kept::ToClient { stored } => stored,
            Kept::Instead(receiving) => {
                self.receiving = receiving;
                return State::Relay(self);
            }
            Kept::StandIn(entry) => {
                step.worker.close_link(self.link, Outcome::Success, step.cx);
                return step.serve(&entry, Did::IfError);
            }
        };
        if step.may_have_no_content() {
            self.reusable = false;
            step.reply().leaves_unread(Unread::AnsweredInsteadOf100);
        }
        if !self.reusable && !step.core.request.is_complete() {
            step.reply().leaves_unread(Unread::BackendCloses);
        }
        let key = step.core.caching.as_ref().and_then(|_| step.status_key());
        let status = step.core.caching.as_ref().and_then(|_| step.cache_status(None, stored, key.as_ref()));
        let edited = step.edited(head);
        match &edited {
            None => step.reply().head(head, body, status),
            Some(edited) => step.reply().head(edited, body, status),
        }
        step.explain(|_| Fact::Answered { head: Box::new(head.clone()), edited: edited.map(Box::new), body });
        let by = (body != BodyLength::Empty).then(|| step.cx.now() + step.worker.shared.config.deadlines.response);
        step.expect_upstream(self.link, by);
        self.receiving = Receiving::of(body);
        State::Relay(self)
    }

    pub(super) fn response_data(mut self, data: &[u8], step: &mut Step<'_>) -> State {
        let cached = step.core.caching.is_some();
        if let Receiving::Body { .. } = self.receiving {
            let piece = if cached { step.keep_piece(self.link, data) } else { Piece::Unkept };
            let written = match piece {
                Piece::Kept(piece) => step.reply().data_owned(piece),
                Piece::Unkept => step.reply().data(data),
                Piece::AsReader => Ok(()),
            };
            if let Err(error) = written {
                return self.give_up(Failure::Response(error), step);
            }
            self.came(data.len() as u64, step);
        }
        if cached { self.share_on(step) } else { State::Relay(self) }
    }

    /// `length` bytes of the content went to the client unseen.
    pub(super) fn response_spliced(mut self, length: u64, step: &mut Step<'_>) -> State {
        if let Receiving::Body { .. } = self.receiving {
            if let Err(error) = step.reply().passed(length) {
                return self.give_up(Failure::Response(error), step);
            }
            self.came(length, step);
        }
        State::Relay(self)
    }

    /// `length` bytes of the content have come. A small body that came in one piece needs no deadline; one that trickles has a new one
    /// for each part.
    fn came(&mut self, length: u64, step: &mut Step<'_>) {
        if let Receiving::Body { owed: Some(owed) } = &mut self.receiving {
            *owed = owed.saturating_sub(length);
        }
        if !matches!(self.receiving, Receiving::Body { owed: Some(0) }) {
            let by = step.cx.now() + step.worker.shared.config.deadlines.response;
            step.expect_upstream(self.link, Some(by));
        }
    }

    pub(super) fn response_end(mut self, trailers: &Fields, step: &mut Step<'_>) -> State {
        match std::mem::replace(&mut self.receiving, Receiving::Complete) {
            Receiving::Unchanged(entry) => return self.complete_unchanged(&entry, step),
            Receiving::Again => {
                let _ = self.complete(step);
                return step.route(None);
            }
            Receiving::Body { .. } => {
                let reads_on = step.reads_beside_others();
                if !reads_on && let Err(error) = step.reply().end(trailers) {
                    return self.give_up(Failure::Response(error), step);
                }
                if step.core.caching.is_some() {
                    step.keep_complete(trailers);
                }
                if reads_on {
                    let done = self.complete(step);
                    return step.read_rest().unwrap_or(done);
                }
            }
            Receiving::Head | Receiving::Complete => {}
        }
        if step.core.request.is_complete() || !self.reusable {
            return self.complete(step);
        }
        step.expect_upstream(self.link, None);
        step.expect_body(0);
        State::Relay(self)
    }

    /// The backend has confirmed what is stored: that is the answer.
    fn complete_unchanged(self, entry: &Arc<Entry>, step: &mut Step<'_>) -> State {
        let done = self.complete(step);
        if step.core.client.is_nobody() { done } else { step.serve(entry, Did::Validated) }
    }

    /// The backend failed: before its response, another one may be asked.
    pub(super) fn upstream_failed(self, failure: Failure, step: &mut Step<'_>) -> State {
        match self.receiving {
            Receiving::Head => step.lost(self.link, failure, true),
            _ => self.give_up(failure, step),
        }
    }

    /// The response does not begin in time, or does not go on.
    pub(super) fn response_late(self, step: &mut Step<'_>) -> State {
        match self.receiving {
            Receiving::Head => step.lost(self.link, Failure::FirstByteTimeout, true),
            _ => self.give_up(Failure::ResponseTimeout, step),
        }
    }

    /// The backend ended or reset its connection before the response did.
    pub(super) fn upstream_gone(mut self, step: &mut Step<'_>) -> State {
        match self.receiving {
            Receiving::Head => step.lost(self.link, Failure::UpstreamClosed, true),
            Receiving::Body { .. } | Receiving::Unchanged(_) | Receiving::Again => {
                self.give_up(Failure::Truncated, step)
            }
            Receiving::Complete => {
                step.reply().leaves_unread(Unread::BackendClosed);
                self.reusable = false;
                self.complete(step)
            }
        }
    }
}

impl Step<'_> {
    /// The head as the client gets it, if its route changes it, or if it says the id of the request or what is left of a limit.
    pub(super) fn edited(&self, head: &ResponseHead) -> Option<ResponseHead> {
        let way = self.core.way;
        let edits = if way.ruled { self.worker.shared.response_edits(way) } else { None };
        let (id, number) = (self.request_id(), self.explanation_told());
        let standing = self.worker.shared.standing(way);
        if edits.is_none() && id.is_none() && number.is_none() && standing.is_none() {
            return None;
        }
        let mut head = head.clone();
        // A field that `Connection` names does not go on, and would take the one of the file with it.
        hop::remove_listed(&mut head.fields);
        edits.into_iter().for_each(|edits| edits.apply_to_response(&mut head.fields));
        if let Some((name, id)) = id {
            // A stored response has that of the request by which it was fetched.
            head.fields.remove(name);
            head.fields.push(name, id);
        }
        if let Some(number) = number {
            head.fields.remove(FIELD);
            head.fields.push(FIELD, number);
        }
        // Behind those of the server, whose limits are others: the fields are lists.
        standing.iter().flatten().for_each(|(name, value)| head.fields.push(name, value));
        Some(head)
    }

    /// The id that the request was marked with, and its field.
    pub(super) fn request_id(&self) -> Option<(&str, &str)> {
        self.worker.shared.config.forwarding.marks.request_id(&self.core.request.head.fields)
    }

    /// Whether the client may send its content after this response, or may not: it waits for 100, and is not asked to
    /// (RFC 9110 §10.1.1). The bytes it sends next could be either content or its next request, and not
    /// every proxy in front of us would read them as we do.
    pub(super) fn may_have_no_content(&self) -> bool {
        let core = &*self.core;
        !core.request.is_complete()
            && !core.request.is_consumed()
            && !core.interims.continued
            && http::expects_continue(&core.request.head)
    }
}
