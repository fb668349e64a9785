//! The way of a session's questions to the file system, and of the replies back.

use super::{Files, Question, Reply};
use crate::session::Waker;
use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

/// Replies that have come, by the numbers of their questions.
type Inbox = Mutex<Vec<(u64, Reply)>>;

/// One session's end of the way.
#[derive(Debug, Default)]
pub(super) struct Line {
    inbox: Arc<Inbox>,
    waker: Option<Waker>,
    /// The number of the next question.
    next: u64,
}

impl Line {
    /// The session is called by `waker` when a reply is there.
    pub(super) fn attach(&mut self, waker: Waker) {
        self.waker = Some(waker);
    }

    /// Asks; tells the number that the reply will have.
    pub(super) fn ask(&mut self, files: &impl Files, question: Question) -> u64 {
        let number = self.next;
        self.next += 1;
        let (inbox, waker) = (Arc::clone(&self.inbox), self.waker.clone());
        let done = move |reply| {
            inbox.lock().unwrap_or_else(PoisonError::into_inner).push((number, reply));
            waker.iter().for_each(Waker::wake);
        };
        files.ask(question, Box::new(done));
        number
    }

    /// The replies that have come since this was last asked.
    pub(super) fn take(&self) -> Vec<(u64, Reply)> {
        mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
