//! The events that one connection still has to be told: a bounded queue that any thread fills and one session empties.
//!
//! ```text
//!   House, on any worker ── push ──▶ │ event │ event │ … ── take ──▶ session, on its own worker
//!                             └─ first one: calls the session's waker
//! ```
//!
//! A session that cannot send takes nothing, and its queue grows. At the limit the queue is full for good: nothing more is put in, and the
//! session ends its connection. So a reader that stalls costs its own queue and no one else's time.

use super::event::Event;
use crate::{
    buf::ROOM,
    session::{CloseReason, Waker},
};
use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The queue of one connection.
#[derive(Debug)]
pub(crate) struct Mailbox {
    held: Mutex<Held>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Held {
    /// Each with what it weighs here.
    events: VecDeque<(Arc<Event>, usize)>,
    weight: usize,
    waker: Option<Waker>,
    /// The waker was called, and nothing taken since.
    called: bool,
    end: Option<End>,
    /// Something is computed for the person, who says nothing meanwhile.
    busy: bool,
}

/// Why nothing more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The queue was full. Its events are gone.
    Full,
    /// The events before this are the last ones.
    Over(CloseReason),
}

/// Whether an event found a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// It made the queue overflow.
    Overflow,
    /// There was an end already.
    TooLate,
}

impl Mailbox {
    /// An empty queue for events of so much weight.
    #[must_use]
    pub(crate) fn new(limit: usize, waker: Option<Waker>) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(Held { waker, ..Held::default() }), limit })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in an event and has the session called.
    pub(crate) fn push(&self, event: &Arc<Event>) -> Pushed {
        self.put(event, event.weight())
    }

    /// Puts in a part of a long answer that the client has asked for: it weighs nothing. Otherwise one who comes back to several rooms that
    /// were busy would be too slow before it has read the first word. All of it is bounded by the histories and the people of its rooms.
    pub(crate) fn push_again(&self, event: &Arc<Event>) -> Pushed {
        self.put(event, 0)
    }

    fn put(&self, event: &Arc<Event>, weight: usize) -> Pushed {
        let mut held = self.lock();
        if held.end.is_some() {
            return Pushed::TooLate;
        }
        held.weight += weight;
        // One event always fits: a list of rooms may be longer than all the rest together.
        if weight > 0 && held.weight > self.limit && held.weight > weight {
            held.end = Some(End::Full);
            held.call();
            return Pushed::Overflow;
        }
        held.events.push_back((Arc::clone(event), weight));
        held.call();
        Pushed::Queued
    }

    /// Nothing comes after what is in it.
    pub(crate) fn end(&self, reason: CloseReason) {
        let mut held = self.lock();
        held.end.get_or_insert(End::Over(reason));
        held.call();
    }

    /// Bytes of what is in it.
    pub(crate) fn weight(&self) -> usize {
        self.lock().weight
    }

    /// Whether the person may say something.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.lock().busy = busy;
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.lock().busy
    }

    /// Takes events of about `most` bytes, and tells whether they were the last ones.
    pub(crate) fn take(&self, most: usize, into: &mut Vec<Arc<Event>>) -> Option<End> {
        let mut held = self.lock();
        held.called = false;
        if held.end == Some(End::Full) {
            return held.end;
        }
        let mut taken = 0;
        while taken < most
            && let Some((event, weight)) = held.events.pop_front()
        {
            taken += event.weight();
            held.weight -= weight;
            into.push(event);
        }
        if held.events.is_empty() {
            if held.events.capacity() > ROOM {
                // A burst must not be kept as room for ever.
                held.events = VecDeque::new();
            }
            held.end
        } else {
            None
        }
    }

    /// Takes all that was never told, for the books.
    pub(crate) fn leftovers(&self) -> Vec<Arc<Event>> {
        mem::take(&mut self.lock().events).into_iter().map(|(event, _)| event).collect()
    }
}

impl Held {
    fn call(&mut self) {
        if !mem::replace(&mut self.called, true)
            && let Some(waker) = &self.waker
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::event::Told, *};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    fn event(len: usize) -> Arc<Event> {
        Event::new(Told::Done { text: "x".repeat(len) })
    }

    #[test]
    fn it_holds_so_much_and_is_full_with_the_next() {
        let weight = event(100).weight();
        let mailbox = Mailbox::new(weight * 3, None);
        for _ in 0..3 {
            assert_eq!(mailbox.push(&event(100)), Pushed::Queued);
        }
        assert_eq!(mailbox.push(&event(100)), Pushed::Overflow);
        assert_eq!(mailbox.push(&event(0)), Pushed::TooLate);
        let mut taken = Vec::new();
        assert_eq!((mailbox.take(usize::MAX, &mut taken), taken.len()), (Some(End::Full), 0));
        assert_eq!(mailbox.leftovers().len(), 3, "they are for the books");
    }

    #[test]
    fn one_event_fits_whatever_its_size_and_room_comes_back() {
        let mailbox = Mailbox::new(1, None);
        for _ in 0..10 {
            assert_eq!(mailbox.push(&event(1000)), Pushed::Queued);
            let mut taken = Vec::new();
            assert_eq!((mailbox.take(1, &mut taken), taken.len()), (None, 1));
        }
    }

    #[test]
    fn history_weighs_nothing() {
        let mailbox = Mailbox::new(event(100).weight() * 2, None);
        for _ in 0..1000 {
            assert_eq!(mailbox.push_again(&event(100)), Pushed::Queued);
        }
        assert_eq!([(); 3].map(|()| mailbox.push(&event(100))), [Pushed::Queued, Pushed::Queued, Pushed::Overflow]);
        assert_eq!(mailbox.leftovers().len(), 1002);
    }

    #[test]
    fn a_session_is_called_once_until_it_looks() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let waker = Waker::new(
            1,
            Arc::new(move |_| {
                counted.fetch_add(1, Relaxed);
            }),
        );
        let mailbox = Mailbox::new(10_000, Some(waker));
        for _ in 0..3 {
            mailbox.push(&event(1));
        }
        assert_eq!(calls.load(Relaxed), 1);
        let mut taken = Vec::new();
        mailbox.take(1, &mut taken);
        mailbox.end(CloseReason::PeerAsked);
        assert_eq!((calls.load(Relaxed), taken.len()), (2, 1));
        assert_eq!(mailbox.take(1, &mut taken), None, "one is left");
        assert_eq!(mailbox.take(1, &mut taken), Some(End::Over(CloseReason::PeerAsked)));
    }
}
