//! The effects of a command outside of the hall, in their order.

use super::{
    super::{
        event::{Event, Told},
        record::Record,
    },
    share::Share,
};
use crate::session::CloseReason;
use std::{fmt, mem, sync::Arc};

/// A person, over all connections. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PersonId(pub(super) u64);

/// The secret with which a person comes back: 128 bits that no one else can guess.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token(pub String);

/// One thing to be done.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// Tell a person. One that is away has no connection and is told nothing.
    Tell(PersonId, Arc<Event>),
    /// Tell a person something of a long answer that it has asked for: a message of a history, or who is in the rooms to which it comes back.
    TellAgain(PersonId, Arc<Event>),
    /// No more is told to this person on this connection.
    End(PersonId, CloseReason),
    /// Keep this for the next start. [`Hall::stored`](super::Hall::stored) hears when it is.
    Record(Box<Record>),
    /// Tell the other servers.
    Share(Box<Share>),
    /// Compute something that takes long, and tell [`Hall::judged`](super::Hall::judged). The person says nothing meanwhile.
    Ask(PersonId, Ask),
    /// The connection of one person is from now on that of another.
    Move {
        /// Is no one from now on.
        from: PersonId,
        /// Came back.
        to: PersonId,
    },
}

/// Something that takes long to compute.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The hash of a password for a name.
    Hash { name: String, password: String },
    /// Whether a password is that of a name.
    Verify { name: String, hash: String, password: String },
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Hashed {
        name: String,
        hash: String,
    },
    /// It is the password.
    Right {
        name: String,
    },
    Wrong,
    /// Too many others wait, or the computation failed.
    Busy,
}

/// No password gets into a log.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Hash { name, .. } | Self::Verify { name, .. }) = self;
        f.debug_struct("Ask").field("name", name).finish_non_exhaustive()
    }
}

/// A list of effects.
#[derive(Debug, Default)]
pub(super) struct Effects(Vec<Effect>);

impl Effects {
    pub(super) fn tell(&mut self, id: PersonId, told: Told) {
        self.pass(id, Event::new(told));
    }

    /// See [`Effect::TellAgain`].
    pub(super) fn tell_again(&mut self, id: PersonId, told: Told) {
        self.pass_again(id, Event::new(told));
    }

    pub(super) fn pass(&mut self, id: PersonId, event: Arc<Event>) {
        self.0.push(Effect::Tell(id, event));
    }

    pub(super) fn pass_again(&mut self, id: PersonId, event: Arc<Event>) {
        self.0.push(Effect::TellAgain(id, event));
    }

    pub(super) fn end(&mut self, id: PersonId, reason: CloseReason) {
        self.0.push(Effect::End(id, reason));
    }

    pub(super) fn replace(&mut self, from: PersonId, to: PersonId) {
        self.0.push(Effect::Move { from, to });
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    pub(super) fn take(&mut self, into: &mut Vec<Effect>) {
        if into.is_empty() {
            mem::swap(&mut self.0, into);
        } else {
            into.append(&mut self.0);
        }
    }
}
