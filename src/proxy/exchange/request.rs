//! The request of an exchange, and how far its content is.
//!
//! ```text
//!   Awaited ──enough is here──▶ Held ──a byte goes to a backend──▶ Begun ──the end──▶ Complete { consumed }
//!                                ╰──────────the end, and there was no content──────────────▲
//! ```
//!
//! As long as nothing was consumed, all of the request can be sent a second time (`retry.rs`).

use crate::{
    http::{BodyLength, RequestHead},
    proxy::headers,
    time::Instant,
};

/// A request.
#[derive(Debug)]
pub(in crate::proxy) struct Request {
    pub(in crate::proxy) head: RequestHead,
    /// How long its content is.
    pub(in crate::proxy) body: BodyLength,
    /// The client asked to switch protocols, and may.
    pub(in crate::proxy) upgrade: bool,
    /// It asks for another method by a field, which no stored response may answer.
    pub(in crate::proxy) overrides_method: bool,
    content: Content,
}

/// How far the content of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// It has to come before the request may take a connection.
    Awaited(Needed),
    /// The part that is here is kept.
    Held,
    /// A part of it went to a backend.
    Begun,
    /// It has come to its end; whether any of it went to a backend.
    Complete { consumed: bool },
}

/// The part of the content that has to be here before the request may take a connection, and the time by which it has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Needed {
    pub(in crate::proxy) bytes: usize,
    pub(in crate::proxy) by: Instant,
}

impl Request {
    /// A request with `head` and content of that length, of which a part may be `needed` first.
    pub(in crate::proxy) fn new(head: RequestHead, body: BodyLength, needed: Option<Needed>) -> Self {
        let content = match (body, needed) {
            (BodyLength::Empty, _) => Content::Complete { consumed: false },
            (_, Some(needed)) => Content::Awaited(needed),
            (_, None) => Content::Held,
        };
        Self { upgrade: headers::may_upgrade(&head), overrides_method: false, content, head, body }
    }

    /// The part of the content that has to come before it goes on, if it waits for that.
    pub(super) fn needs(&self) -> Option<Needed> {
        if let Content::Awaited(needed) = self.content { Some(needed) } else { None }
    }

    /// Enough of the content is here.
    pub(super) fn has_enough(&mut self) {
        if self.needs().is_some() {
            self.content = Content::Held;
        }
    }

    /// A part of the content goes to a backend.
    pub(super) fn consume(&mut self) {
        debug_assert!(!self.is_complete(), "content after its end");
        self.content = Content::Begun;
    }

    /// The content has come to its end. The last chunk is a part of it.
    pub(super) fn complete(&mut self) {
        let consumed = self.is_consumed() || self.body == BodyLength::Chunked;
        self.content = Content::Complete { consumed };
    }

    /// Whether all that the client sends for this request has come.
    pub(in crate::proxy) fn is_complete(&self) -> bool {
        matches!(self.content, Content::Complete { .. })
    }

    /// Whether a part of the content went to a backend, so that the request cannot be sent again.
    pub(super) fn is_consumed(&self) -> bool {
        matches!(self.content, Content::Begun | Content::Complete { consumed: true })
    }
}
