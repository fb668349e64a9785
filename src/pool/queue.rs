//! Who waits, in which order, and who is next when a connection comes free.
//!
//! Two halves: [`Queue`] is shared by all workers and lives under a lock, it knows places in line but no request.
//! [`Tickets`] is one worker's own and knows which request has which place.
//!
//! ```text
//!   Queue  worker 0   waiting  #4{a,b} #7{b}          granted  #2 a
//!          worker 1   waiting  #5{a,b}                granted
//!          worker 2   waiting                         granted  #3 b  #6 b
//!
//!   Tickets of worker 0   #2 → 17   #4 → 21   #7 → 22
//! ```
//!
//! A place says which backends its request found full. So a free connection is offered only to requests that can use
//! it: the first of a line that waits for a backend which is gone does not hold up the rest.

use super::{BackendSet, slots::Grant};
use crate::backend::BackendId;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How much longer than the local front another worker's front must have waited to get a connection that came free
/// here.
///
/// Handing a connection to a local request is free; handing its slot to another worker costs closing it and opening
/// another. So the local front goes first, but not for ever: a worker that holds none of the slots would starve while
/// another hands its own from request to request. 20 ms is many handshakes in a data centre, so the price stays a small
/// part of the wait, and is too short for a person to notice.
pub const HANDOVER_PATIENCE: Duration = Duration::from_millis(20);

/// A request's place in line: kept when it looks in vain and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Order of arrival over all workers.
    pub(super) number: u64,
    /// When it arrived, by its worker's clock.
    pub(super) since: Instant,
}

/// The lines of all workers.
#[derive(Debug)]
pub(super) struct Queue {
    next: u64,
    waiting: usize,
    lanes: Vec<Lane>,
}

/// One worker's line. Both parts are sorted by arrival, except that grants are in the order in which they were made.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    granted: VecDeque<(Place, Grant)>,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    wanted: BackendSet,
}

/// Where a place was found that left the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It still waited.
    Waiting,
    /// This was on its way to it, and somebody else should have it.
    Granted(Grant),
}

impl Queue {
    pub(super) fn new(workers: usize) -> Self {
        Self { next: 0, waiting: 0, lanes: std::iter::repeat_with(Lane::default).take(workers).collect() }
    }

    /// How many wait, over all workers, without a grant on its way.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// The place behind everyone else.
    pub(super) fn last_place(&mut self, since: Instant) -> Place {
        self.next += 1;
        Place { number: self.next, since }
    }

    /// Joins the line of `worker`, before everyone who arrived later.
    pub(super) fn join(&mut self, worker: usize, place: Place, wanted: BackendSet) {
        let line = &mut self.lanes[worker].waiting;
        let at = line.partition_point(|other| other.place.number < place.number);
        line.insert(at, Waiting { place, wanted });
        self.waiting += 1;
    }

    /// Whether anyone waits for `backend`.
    pub(super) fn wants(&self, backend: BackendId) -> bool {
        self.lanes.iter().any(|lane| lane.first_for(backend).is_some())
    }

    /// Whether somebody already waits for all of `wanted`. Looks at both ends of each line, where it costs nothing: a
    /// `false` only means a needless round of wake-ups.
    pub(super) fn covers(&self, wanted: &BackendSet) -> bool {
        let ends = |lane: &Lane| {
            let covers = |end: Option<&Waiting>| end.is_some_and(|other| wanted.is_subset(&other.wanted));
            covers(lane.waiting.front()) || covers(lane.waiting.back())
        };
        self.lanes.iter().any(ends)
    }

    /// Chooses who gets a connection to `backend` that came free at `giver`, and notes it as granted. The worker whose
    /// request it is, if anyone wants it.
    pub(super) fn grant(
        &mut self,
        giver: usize,
        backend: BackendId,
        grant: impl FnOnce(bool) -> Grant,
    ) -> Option<usize> {
        let (worker, at) = self.next_for(giver, backend)?;
        let lane = &mut self.lanes[worker];
        let place = lane.waiting.remove(at)?.place;
        lane.granted.push_back((place, grant(worker == giver)));
        self.waiting -= 1;
        Some(worker)
    }

    /// The local front, unless another worker's has waited longer by more than [`HANDOVER_PATIENCE`].
    fn next_for(&self, giver: usize, backend: BackendId) -> Option<(usize, usize)> {
        let front = |worker: usize| self.lanes[worker].first_for(backend).map(|(at, since)| (since, worker, at));
        let here = front(giver);
        let there = (0..self.lanes.len()).filter(|&worker| worker != giver).filter_map(front).min();
        let (_, worker, at) = match (here, there) {
            (Some(here), Some(there)) if here.0.saturating_duration_since(there.0) <= HANDOVER_PATIENCE => here,
            (here, there) => there.or(here)?,
        };
        Some((worker, at))
    }

    /// Takes the oldest grant of `worker`.
    pub(super) fn next_grant(&mut self, worker: usize) -> Option<(Place, Grant)> {
        self.lanes[worker].granted.pop_front()
    }

    /// Turns a grant of `worker` for an idle connection to `backend`, which somebody else may have taken, into a slot.
    pub(super) fn upgrade(&mut self, worker: usize, backend: BackendId) -> bool {
        let idle = |(_, grant): &&mut (Place, Grant)| *grant == Grant::Idle(backend);
        match self.lanes[worker].granted.iter_mut().find(idle) {
            Some((_, grant)) => {
                *grant = Grant::Slot(backend);
                true
            }
            None => false,
        }
    }

    /// A request no longer waits.
    pub(super) fn leave(&mut self, worker: usize, place: Place) -> Option<Left> {
        let lane = &mut self.lanes[worker];
        if let Ok(at) = lane.waiting.binary_search_by_key(&place.number, |other| other.place.number) {
            lane.waiting.remove(at);
            self.waiting -= 1;
            return Some(Left::Waiting);
        }
        let at = lane.granted.iter().position(|(other, _)| *other == place)?;
        lane.granted.remove(at).map(|(_, grant)| Left::Granted(grant))
    }

    /// Lets everyone in the line of `worker` look, without a connection.
    pub(super) fn grant_look(&mut self, worker: usize) {
        let lane = &mut self.lanes[worker];
        self.waiting -= lane.waiting.len();
        lane.granted.extend(lane.waiting.drain(..).map(|other| (other.place, Grant::Look)));
    }

    /// Empties the line of `worker`; what was on its way to it is returned.
    pub(super) fn close_lane(&mut self, worker: usize) -> impl Iterator<Item = Grant> + use<> {
        let lane = std::mem::take(&mut self.lanes[worker]);
        self.waiting -= lane.waiting.len();
        lane.granted.into_iter().map(|(_, grant)| grant)
    }
}

impl Lane {
    /// The first that waits for `backend`: its position and since when.
    fn first_for(&self, backend: BackendId) -> Option<(usize, Instant)> {
        let at = self.waiting.iter().position(|other| other.wanted.contains(backend))?;
        Some((at, self.waiting[at].place.since))
    }
}

/// Which of a worker's requests has which place, in order of arrival.
#[derive(Debug)]
pub(super) struct Tickets<T> {
    entries: VecDeque<(Place, T)>,
}

impl<T: Copy + Eq> Tickets<T> {
    pub(super) fn new() -> Self {
        Self { entries: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, place: Place, ticket: T) {
        let at = self.entries.partition_point(|(other, _)| other.number < place.number);
        self.entries.insert(at, (place, ticket));
    }

    pub(super) fn oldest(&self) -> Option<(T, Instant)> {
        self.entries.front().map(|(place, ticket)| (*ticket, place.since))
    }

    /// Takes out the request that has `place`.
    pub(super) fn take(&mut self, place: Place) -> Option<T> {
        let at = self.entries.binary_search_by_key(&place.number, |(other, _)| other.number).ok()?;
        self.entries.remove(at).map(|(_, ticket)| ticket)
    }

    /// Takes out a request by its ticket. Searched from the front: who gives up has usually waited longest.
    pub(super) fn cancel(&mut self, ticket: T) -> Option<Place> {
        let at = self.entries.iter().position(|(_, other)| *other == ticket)?;
        self.entries.remove(at).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::testing;

    const A: BackendId = BackendId(0);
    const B: BackendId = BackendId(1);

    fn set(ids: &[BackendId]) -> BackendSet {
        ids.iter().copied().collect()
    }

    fn slot(local: bool) -> Grant {
        if local { Grant::Idle(A) } else { Grant::Slot(A) }
    }

    #[test]
    fn the_local_front_goes_first_unless_another_waited_longer_by_more_than_patience() {
        const MS: Duration = Duration::from_millis(1);
        let start = testing::start();
        // (arrivals in order as worker and time, chosen for a connection that comes free at worker 0)
        for (arrivals, chosen) in [
            (&[][..], None),
            (&[(0, 0)][..], Some(0)),
            (&[(1, 0)], Some(1)),
            (&[(1, 0), (0, 19)], Some(0)),
            (&[(1, 0), (0, 20)], Some(0)),
            (&[(1, 0), (0, 21)], Some(1)),
            (&[(0, 0), (1, 50)], Some(0)),
            (&[(2, 0), (1, 1)], Some(2)),
            (&[(1, 5), (2, 0), (0, 25)], Some(2)),
        ] {
            let mut queue = Queue::new(3);
            for (worker, ms) in arrivals {
                let place = queue.last_place(start + *ms * MS);
                queue.join(*worker, place, set(&[A]));
            }
            assert_eq!(queue.grant(0, A, slot), chosen, "{arrivals:?}");
            assert_eq!(queue.waiting(), arrivals.len() - usize::from(chosen.is_some()));
            if let Some(worker) = chosen {
                assert_eq!(queue.next_grant(worker).unwrap().1, slot(worker == 0));
            }
        }
    }

    #[test]
    fn a_line_is_in_order_of_arrival_and_passes_over_who_cannot_use_the_backend() {
        let mut queue = Queue::new(1);
        let places: Vec<Place> = (0..4).map(|_| queue.last_place(testing::start())).collect();
        for (place, wanted) in places.iter().zip([&[B][..], &[A, B], &[A], &[B]]) {
            queue.join(0, *place, set(wanted));
        }
        let mut next = |backend| {
            queue.grant(0, backend, |_| Grant::Slot(backend))?;
            let (place, _) = queue.next_grant(0)?;
            Some((place, place.number))
        };
        let (second, number) = next(A).unwrap();
        assert_eq!(number, 2);
        assert_eq!(next(B).unwrap().1, 1);
        queue.join(0, second, set(&[A, B])); // Looked in vain: before those that came later.
        let mut next = |backend| {
            queue.grant(0, backend, |_| Grant::Slot(backend))?;
            Some(queue.next_grant(0)?.0.number)
        };
        assert_eq!([next(B), next(A), next(B), next(B), next(A)], [Some(2), Some(3), Some(4), None, None]);
    }

    #[test]
    fn who_leaves_is_not_granted_and_returns_what_was() {
        let mut queue = Queue::new(2);
        let places: Vec<Place> = (0..3).map(|_| queue.last_place(testing::start())).collect();
        places.iter().for_each(|place| queue.join(1, *place, set(&[A])));
        assert_eq!(queue.grant(0, A, slot), Some(1));
        assert_eq!(queue.leave(1, places[1]), Some(Left::Waiting));
        assert_eq!(queue.leave(1, places[0]), Some(Left::Granted(Grant::Slot(A))));
        assert_eq!((queue.leave(1, places[0]), queue.next_grant(1), queue.waiting()), (None, None, 1));
        queue.grant_look(1);
        assert_eq!((queue.waiting(), queue.wants(A)), (0, false));
        assert_eq!(queue.close_lane(1).collect::<Vec<_>>(), [Grant::Look]);
    }

    #[test]
    fn a_line_covers_what_either_end_waits_for() {
        let mut queue = Queue::new(2);
        assert!(!queue.covers(&set(&[])) && !queue.covers(&set(&[A])));
        for wanted in [set(&[A]), set(&[A, B])] {
            let place = queue.last_place(testing::start());
            queue.join(1, place, wanted);
        }
        assert!(queue.covers(&set(&[A])) && queue.covers(&set(&[A, B])));
        assert!(!queue.covers(&set(&[A, B, BackendId(2)])));
        assert!(queue.wants(B) && !queue.wants(BackendId(2)));
    }

    #[test]
    fn tickets_are_found_by_place_and_by_name() {
        let since = testing::start();
        let place = |number| Place { number, since };
        let mut tickets = Tickets::new();
        [3, 1, 2, 9].into_iter().for_each(|number| tickets.insert(place(number), number * 10));
        assert_eq!((tickets.oldest(), tickets.len()), (Some((10, since)), 4));
        assert_eq!((tickets.take(place(2)), tickets.take(place(2))), (Some(20), None));
        assert_eq!((tickets.cancel(90), tickets.cancel(90)), (Some(place(9)), None));
        assert_eq!((tickets.take(place(1)), tickets.take(place(3)), tickets.oldest()), (Some(10), Some(30), None));
    }
}
