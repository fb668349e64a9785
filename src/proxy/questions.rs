//! Questions whose answers take a while: each is asked once, by one of those that want to know, and its answer is kept for a while.
//!
//! ```text
//!   look ──▶ Known        asked lately
//!       ├──▶ Ask          the caller has it asked, and waits with the others
//!       ├──▶ Wait         another one has
//!       ╰──▶ Busy         too many are being asked
//! ```
//!
//! The addresses of names are such answers, and whether a password is right.

use crate::{cache::Ticket, time::Instant};
use std::{borrow::Borrow, collections::HashMap, hash::Hash, mem, net::IpAddr, time::Duration};

/// How many there may be, and how long an answer holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<A> {
    /// Questions that are remembered.
    pub(super) most: usize,
    /// Questions that are being asked at once.
    pub(super) asked: usize,
    /// Of these, those of one client: if it asks what takes long, others can still ask.
    pub(super) asked_by_one: usize,
    /// How long an answer holds, from the first look on: so no clock is needed when it comes.
    pub(super) kept: fn(&A) -> Duration,
}

/// Questions, and what is known of each.
#[derive(Debug)]
pub(super) struct Questions<K, A> {
    known: HashMap<K, Question<A>>,
    asked: usize,
    bounds: Bounds<A>,
}

#[derive(Debug)]
enum Question<A> {
    /// It was asked on behalf of this client; these wait for the answer.
    Asked { by: IpAddr, waiting: Vec<Ticket> },
    /// The answer, and until when it holds.
    Known { answer: A, until: Option<Instant> },
}

/// The result of a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look<A> {
    /// The answer, and until when it holds.
    Known(A, Instant),
    /// It was not asked yet.
    Ask,
    /// The answer is under way.
    Wait,
    /// Too many are being asked, by all or by this client.
    Busy,
}

impl<K: Hash + Eq, A: Clone> Questions<K, A> {
    /// None yet.
    pub(super) fn new(bounds: Bounds<A>) -> Self {
        Self { known: HashMap::new(), asked: 0, bounds }
    }

    /// Looks for the answer to `question` on behalf of `client`. `who` is told when there is news ([`Questions::answered`]).
    pub(super) fn look<Q>(&mut self, question: &Q, client: IpAddr, who: Ticket, now: Instant) -> Look<A>
    where
        K: Borrow<Q> + for<'q> From<&'q Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.known.get_mut(question) {
            Some(Question::Asked { waiting, .. }) => {
                waiting.push(who);
                return Look::Wait;
            }
            Some(Question::Known { answer, until }) => {
                let until = *until.get_or_insert(now + (self.bounds.kept)(answer));
                if now < until {
                    return Look::Known(answer.clone(), until);
                }
            }
            None => {}
        }
        let by_client = |question: &Question<A>| matches!(question, Question::Asked { by, .. } if *by == client);
        let Bounds { asked, asked_by_one, .. } = self.bounds;
        // Few are asked at once, so few are counted; with none, nothing is.
        if self.asked >= asked
            || self.asked >= asked_by_one
                && self.known.values().filter(|question| by_client(question)).count() >= asked_by_one
        {
            return Look::Busy;
        }
        self.make_room(now);
        self.asked += 1;
        self.known.insert(question.into(), Question::Asked { by: client, waiting: vec![who] });
        Look::Ask
    }

    /// The answer to a question is here: those that wait for it.
    pub(super) fn answered<Q>(&mut self, question: &Q, answer: A) -> Vec<Ticket>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(entry) = self.known.get_mut(question) else { return Vec::new() };
        match mem::replace(entry, Question::Known { answer, until: None }) {
            Question::Asked { waiting, .. } => {
                self.asked -= 1;
                waiting
            }
            Question::Known { .. } => Vec::new(),
        }
    }

    /// If the memory is full, forgets what does not hold any more; if that is too little, all that is known. So no client
    /// makes each look cost a search.
    fn make_room(&mut self, now: Instant) {
        let most = self.bounds.most;
        if self.known.len() < most {
            return;
        }
        self.known.retain(|_, question| match question {
            Question::Asked { .. } => true,
            Question::Known { until, .. } => until.is_none_or(|until| now < until),
        });
        if self.known.len() > most / 2 {
            self.known.retain(|_, question| matches!(question, Question::Asked { .. }));
        }
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
