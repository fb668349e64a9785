//! Decides which question a thread is given next.
//!
//! ```text
//!   /slow/1  /slow/2  /slow/3  /slow/4  /quick/1      questions, oldest first
//!      │        │        │        │        │
//!      ▼        ▼        ▼      waits      ▼
//!   thread   thread   thread            thread        of four
//! ```
//!
//! Another file system may be mounted below the directory, and it may stand still: then each question about it holds a thread until it
//! goes on. Which file system a path leads to is only known when it has been opened, so what is told apart is the first name of the path.
//! Questions below one name get all threads but one, and three of four places in the queue. A file system that is mounted over the whole
//! directory holds everything; and so do two that stand still at once, each below a name of its own.

use super::{
    super::{Done, Place, Question, listing::Listing, version::Facts},
    look::MISSING,
};
use std::collections::{HashMap, VecDeque};

/// Questions that may wait for a thread. One takes some microseconds, a listing some milliseconds: more could not be answered in time.
pub(super) const MAX_WAITING: usize = 1024;

/// Of these, below one name.
pub(super) const MAX_WAITING_OF_ONE: usize = 768;

/// Questions that wait, and those that threads are at.
pub(super) struct Queue {
    jobs: VecDeque<Question>,
    /// Those that wait for the answer to a question, asked or not.
    waiting: HashMap<Key, Vec<Done>>,
    /// The first name of each question that a thread is at.
    asked: Vec<Box<[u8]>>,
    /// Threads for questions below one name.
    most_of_one: usize,
    pub(super) is_over: bool,
}

/// Two questions with the same key have the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Look(Place, Option<Listing>),
    Missing,
    Pack(Facts),
}

impl Key {
    fn of(question: &Question) -> Self {
        match question {
            Question::Look { place, listing } => Self::Look(place.clone(), *listing),
            Question::Missing => Self::Missing,
            Question::Pack { found, .. } => Self::Pack(*found.facts()),
        }
    }
}

/// The first name of the path that a question is about.
fn first_name(question: &Question) -> &[u8] {
    match question {
        Question::Look { place, .. } | Question::Pack { place, .. } => place.first_name(),
        Question::Missing => MISSING.as_bytes(),
    }
}

/// A question that a thread is at.
#[derive(Debug)]
pub(super) struct Asked {
    key: Key,
    first_name: Box<[u8]>,
}

impl Queue {
    /// For so many threads.
    pub(super) fn new(threads: usize) -> Self {
        let most_of_one = threads.saturating_sub(1).max(1);
        Self { jobs: VecDeque::new(), waiting: HashMap::new(), asked: Vec::new(), most_of_one, is_over: false }
    }

    /// Puts a question in its place, if it is not there already.
    ///
    /// # Errors
    ///
    /// Too many wait.
    pub(super) fn put(&mut self, question: Question, done: Done) -> Result<(), (Question, Done)> {
        let key = Key::of(&question);
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.push(done);
            return Ok(());
        }
        if self.is_full_for(&question) {
            return Err((question, done));
        }
        self.waiting.insert(key, vec![done]);
        self.jobs.push_back(question);
        Ok(())
    }

    fn is_full_for(&self, question: &Question) -> bool {
        let waiting = self.jobs.len();
        if !(MAX_WAITING_OF_ONE..MAX_WAITING).contains(&waiting) {
            return waiting >= MAX_WAITING;
        }
        let name = first_name(question);
        self.jobs.iter().filter(|job| first_name(job) == name).count() >= MAX_WAITING_OF_ONE
    }

    /// The oldest question that a thread may be given.
    pub(super) fn take(&mut self) -> Option<(Question, Asked)> {
        let may_have_another =
            |name: &[u8]| self.asked.iter().filter(|asked| ***asked == *name).count() < self.most_of_one;
        let at = self.jobs.iter().position(|job| may_have_another(first_name(job)))?;
        let question = self.jobs.remove(at)?;
        let first_name: Box<[u8]> = first_name(&question).into();
        self.asked.push(first_name.clone());
        let key = Key::of(&question);
        Some((question, Asked { key, first_name }))
    }

    /// Those that wait for the answer to a question, which is there.
    pub(super) fn answered(&mut self, asked: &Asked) -> Vec<Done> {
        self.waiting.remove(&asked.key).unwrap_or_default()
    }

    /// The thread is done with it.
    pub(super) fn release(&mut self, asked: &Asked) {
        if let Some(at) = self.asked.iter().position(|name| *name == asked.first_name) {
            self.asked.swap_remove(at);
        }
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (waiting, asked) = (self.jobs.len(), self.asked.len());
        f.debug_struct("Queue").field("waiting", &waiting).field("asked", &asked).finish_non_exhaustive()
    }
}
