//! The words of the store, and what follows from them: on the thread of its client, where values are read.

use super::{
    lookup::{Answer, Lookup},
    purges::Purges,
    questions::Asked,
    sweeper::Sweeper,
};
use crate::{
    cache::{
        Store,
        encoding::{self, Saved},
        purge::Purge,
    },
    net::clock,
    redis::{Event, Lost, Next},
    resp::Value,
};
use serde_json::{Value as Json, json};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

/// The question that an answer belongs to.
#[derive(Debug)]
pub(super) enum Tag {
    /// The time that is left for a value.
    Left(Arc<Lookup>),
    /// A value.
    Value(Arc<Lookup>),
    /// Whether a response was put there. Not asked of what goes with it.
    Put,
    Ignored,
    Purge(Asked),
}

/// Counts of what happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) unreadable: AtomicU64,
    pub(super) unavailable: AtomicU64,
    pub(super) put: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) lost: AtomicU64,
}

/// The words of the store.
#[derive(Debug)]
pub(super) struct Known {
    /// The first level: its mail reaches exchanges that wait.
    pub(super) store: Arc<Store>,
    pub(super) counts: Counts,
    is_up: AtomicBool,
    /// It was said that the store takes nothing.
    said: AtomicBool,
    purges: Mutex<Purges>,
    /// How many there are, to be looked at without the lock.
    purging: AtomicUsize,
    /// For what other proxies have purged.
    sweeper: Sweeper,
}

impl Known {
    pub(super) fn new(store: Arc<Store>, purges: Purges, sweeper: Sweeper) -> Self {
        Self {
            store,
            counts: Counts::default(),
            is_up: AtomicBool::new(false),
            said: AtomicBool::new(false),
            purges: Mutex::new(purges),
            purging: AtomicUsize::new(0),
            sweeper,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Purges> {
        // No code that can panic runs halfway through a change.
        self.purges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something about purges, and returns the commands that follow.
    pub(super) fn purge(&self, change: impl FnOnce(&mut Purges) -> Next<Asked>) -> Next<Tag> {
        let mut purges = self.lock();
        let next = change(&mut purges);
        self.purging.store(purges.waiting(), Release);
        let heard = purges.take_heard();
        drop(purges);
        for purge in heard {
            if purge == Purge::All {
                tracing::info!(
                    "everything leaves this cache: another proxy has purged all, or it was not heard of what"
                );
            }
            self.sweeper.take_out(purge);
        }
        next.into_iter().map(|(words, asked)| (words, Tag::Purge(asked))).collect()
    }

    pub(super) fn heard(&self, event: Event<Tag>) -> Next<Tag> {
        match event {
            Event::Up => {
                self.is_up.store(true, Relaxed);
                return self.purge(Purges::again);
            }
            Event::Down(_) => {
                self.is_up.store(false, Relaxed);
                return self.purge(Purges::away);
            }
            Event::Push(push) => return self.purge(|purges| purges.pushed(&push)),
            Event::Answer(Tag::Ignored, _) => {}
            Event::Answer(Tag::Left(lookup), Ok(Value::Int(left))) => lookup.has_left(left),
            Event::Answer(Tag::Left(_), _) => {}
            Event::Answer(Tag::Value(lookup), answer) => {
                let answer = self.answer(&lookup, answer);
                self.tell(&lookup, answer);
            }
            Event::Answer(Tag::Put, Ok(Value::Error(why))) => {
                self.counts.refused.fetch_add(1, Relaxed);
                if !self.said.swap(true, Relaxed) {
                    tracing::warn!("the store of the cache takes nothing: {why}");
                }
            }
            Event::Answer(Tag::Put, Ok(_)) => {
                self.counts.put.fetch_add(1, Relaxed);
                if self.said.load(Relaxed) && self.said.swap(false, Relaxed) {
                    tracing::info!("the store of the cache takes responses again");
                }
            }
            Event::Answer(Tag::Put, Err(Lost)) => {
                self.counts.lost.fetch_add(1, Relaxed);
            }
            Event::Answer(Tag::Purge(asked), Ok(answer)) => return self.purge(|purges| purges.heard(asked, &answer)),
            // With the next connection, it begins again.
            Event::Answer(Tag::Purge(_), Err(Lost)) => {}
        }
        Next::new()
    }

    /// The meaning of a value for a look-up.
    fn answer(&self, lookup: &Lookup, answer: Result<Value, Lost>) -> Answer {
        let bytes = match &answer {
            Err(Lost) => return Answer::Lost,
            Ok(value) => value.text(),
        };
        let (Some(bytes), Some(left)) = (bytes, lookup.left()) else { return Answer::Unreadable };
        if bytes.is_empty() {
            return Answer::Nothing;
        }
        let Ok(saved) = encoding::read(bytes, lookup.key.uri(), Duration::from_millis(left), clock::now()) else {
            return Answer::Unreadable;
        };
        if self.purging.load(Acquire) > 0 && self.is_purged(bytes) {
            return Answer::Nothing;
        }
        match saved {
            Saved::Response(stored) => Answer::Found(stored),
            Saved::Variants(variants) => Answer::Variants(variants),
        }
    }

    fn is_purged(&self, bytes: &[u8]) -> bool {
        encoding::label(bytes).is_none_or(|label| self.lock().cover(label.uri, &label.tags))
    }

    fn tell(&self, lookup: &Lookup, answer: Answer) {
        let count = match &answer {
            Answer::Found(_) => Some(&self.counts.hits),
            Answer::Nothing => Some(&self.counts.misses),
            Answer::Unreadable => Some(&self.counts.unreadable),
            Answer::Lost => Some(&self.counts.unavailable),
            // Half of a look-up.
            Answer::Variants(_) => None,
        };
        if let Some(count) = count {
            count.fetch_add(1, Relaxed);
        }
        lookup.put(answer);
        self.store.mail().post(&[lookup.ticket]);
    }

    /// As `/stats` has it.
    pub(super) fn stats(&self) -> Json {
        let read = |count: &AtomicU64| count.load(Relaxed);
        let counts = &self.counts;
        json!({
            "up": self.is_up.load(Relaxed),
            "lookups": {
                "hit": read(&counts.hits),
                "miss": read(&counts.misses),
                "late": read(&counts.late),
                "unreadable": read(&counts.unreadable),
                "unavailable": read(&counts.unavailable),
            },
            "writes": {"done": read(&counts.put), "refused": read(&counts.refused), "lost": read(&counts.lost)},
            "purges_waiting": self.purging.load(Relaxed),
            "purges_heard": self.sweeper.heard(),
        })
    }
}
