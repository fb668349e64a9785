//! Who waits, in which order, and who is next when a connection comes free.
//!
//! Two halves: [`Queue`] is shared by all workers and lives under a lock, it knows places in line but no request.
//! [`Tickets`] is one worker's own and knows which request has which place.
//!
//! ```text
//!   Queue  worker 0   {a,b}: #4      {b}: #7          granted  #2 a
//!          worker 1   {a,b}: #5                       granted
//!          worker 2                                   granted  #3 b  #6 b
//!
//!   Tickets of worker 0   #2 → 17   #4 → 21   #7 → 22
//! ```
//!
//! Requests that found the same backends full stand in one line. So a free connection is offered only to requests that can
//! use it, and a request that waits for a backend which is gone does not hold up the others. There are few such sets of
//! backends at a time, and a line is a tree: with ten thousand requests waiting, joining, leaving from any place and being
//! chosen take a few steps each.
//!
//! # Whose turn it is
//!
//! First come, first served would let one client with a thousand connections keep everybody else waiting. So clients take
//! turns (start-time fair queueing, Goyal et al., 1996): the first waiting request of a client is due in the next turn, its
//! second one in the turn after that. Within a turn, and for the requests of one client, the order is that of arrival.
//!
//! ```text
//!   arrival   A A A A B A C        A has many connections, B and C one each
//!   turn      1 2 3 4 1 5 1
//!   served    A B C A A A A
//! ```
//!
//! With few clients, or with all of them behind one address, that is the order of arrival. Nobody is refused for having
//! many requests while the line has room. When it is at its limit ([`super::PoolConfig::queue`]), the newest request of the
//! client with the most gives its place to a client with fewer.

use super::{BackendSet, Client, slots::Grant};
use crate::backend::BackendId;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
    /// In which turn of all clients it is due.
    pub(super) turn: u64,
    /// Order of arrival over all workers.
    pub(super) number: u64,
    /// When it arrived, by its worker's clock.
    pub(super) since: Instant,
    /// Whose request it is.
    pub(super) client: Client,
}

/// What lines are sorted by: turn, then order of arrival.
type Rank = (u64, u64);

impl Place {
    fn rank(&self) -> Rank {
        (self.turn, self.number)
    }
}

/// The lines of all workers.
#[derive(Debug)]
pub(super) struct Queue {
    next: u64,
    /// The latest turn in which a request was granted something.
    turn: u64,
    waiting: usize,
    lanes: Vec<Lane>,
    clients: Clients,
}

/// One worker's lines, by what their requests wait for.
#[derive(Debug, Default)]
struct Lane {
    /// No line is empty. Sets that differ in empty words have lines of their own, which costs a look and changes nothing.
    lines: BTreeMap<BackendSet, BTreeMap<Rank, Place>>,
    /// In the order in which the grants were made.
    granted: VecDeque<(Place, Grant)>,
}

/// The waiting requests of each client, with their workers.
#[derive(Debug, Default)]
struct Clients {
    waiting: BTreeMap<Client, BTreeMap<Rank, usize>>,
    /// How many each has, to find the one with the most.
    by_count: BTreeSet<(usize, Client)>,
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
        Self {
            next: 0,
            turn: 0,
            waiting: 0,
            lanes: std::iter::repeat_with(Lane::default).take(workers).collect(),
            clients: Clients::default(),
        }
    }

    /// How many wait, over all workers, without a grant on its way.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// The place behind everyone else of this turn, and behind the client's own requests.
    pub(super) fn last_place(&mut self, client: Client, since: Instant) -> Place {
        self.next += 1;
        let turn = self.turn.max(self.clients.last_turn(client)) + 1;
        Place { turn, number: self.next, since, client }
    }

    /// Joins a line of `worker`, at its place.
    pub(super) fn join(&mut self, worker: usize, place: Place, wanted: BackendSet) {
        self.lanes[worker].lines.entry(wanted).or_default().insert(place.rank(), place);
        self.clients.add(&place, worker);
        self.waiting += 1;
    }

    /// Whether anyone waits for `backend`.
    pub(super) fn wants(&self, backend: BackendId) -> bool {
        self.lanes.iter().any(|lane| lane.lines.keys().any(|wanted| wanted.contains(backend)))
    }

    /// Whether somebody already waits for all of `wanted`.
    pub(super) fn covers(&self, wanted: &BackendSet) -> bool {
        self.lanes.iter().any(|lane| lane.lines.keys().any(|other| wanted.is_subset(other)))
    }

    /// Chooses who gets a connection to `backend` that came free at `giver`, and notes it as granted. The worker whose
    /// request it is, if anyone wants it.
    pub(super) fn grant(
        &mut self,
        giver: usize,
        backend: BackendId,
        grant: impl FnOnce(bool) -> Grant,
    ) -> Option<usize> {
        let (worker, place) = self.next_for(giver, backend)?;
        self.take_out(worker, &place);
        self.lanes[worker].granted.push_back((place, grant(worker == giver)));
        self.turn = self.turn.max(place.turn);
        Some(worker)
    }

    /// The local front, unless it is another worker's turn: because that one's front has waited longer by more than
    /// [`HANDOVER_PATIENCE`], or because the local front is of a client that has had its share.
    fn next_for(&self, giver: usize, backend: BackendId) -> Option<(usize, Place)> {
        let front = |worker: usize| self.lanes[worker].first_for(backend).map(|place| (worker, place));
        let others = (0..self.lanes.len()).filter(|&worker| worker != giver).filter_map(front);
        let there = others.min_by_key(|(_, place)| (place.turn, place.since));
        let (here, there) = match (front(giver), there) {
            (Some(here), Some(there)) => (here, there),
            (here, there) => return here.or(there),
        };
        let goes_first = if there.1.rank() > here.1.rank() {
            false
        } else if there.1.since <= here.1.since {
            here.1.since.saturating_duration_since(there.1.since) > HANDOVER_PATIENCE
        } else {
            // It came later and is due earlier: the local front is one of many of its client.
            there.1.client != here.1.client
        };
        Some(if goes_first { there } else { here })
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
        if self.take_out(worker, &place) {
            return Some(Left::Waiting);
        }
        let lane = &mut self.lanes[worker];
        let at = lane.granted.iter().position(|(other, _)| *other == place)?;
        lane.granted.remove(at).map(|(_, grant)| Left::Granted(grant))
    }

    /// The line is at its limit, and a request of `client` has come: the newest request of the client with the most has to
    /// go, if `client` has fewer even with this one. The worker of the one that goes; it hears so by a grant.
    pub(super) fn make_room(&mut self, client: Client) -> Option<usize> {
        let own = self.clients.waiting.get(&client).map_or(0, BTreeMap::len);
        let (most, other) = *self.clients.by_count.last()?;
        if most < own + 2 {
            return None;
        }
        let (rank, worker) =
            self.clients.waiting.get(&other)?.last_key_value().map(|(rank, worker)| (*rank, *worker))?;
        let place = self.lanes[worker].lines.values().find_map(|line| line.get(&rank).copied())?;
        self.take_out(worker, &place);
        self.lanes[worker].granted.push_back((place, Grant::Displaced));
        Some(worker)
    }

    /// Lets everyone in the lines of `worker` look, without a connection.
    pub(super) fn grant_look(&mut self, worker: usize) {
        let mut places: Vec<Place> = self.lanes[worker].places().collect();
        places.sort_unstable_by_key(Place::rank);
        for place in places {
            self.take_out(worker, &place);
            self.lanes[worker].granted.push_back((place, Grant::Look));
        }
    }

    /// Empties the lines of `worker`; what was on its way to it is returned.
    pub(super) fn close_lane(&mut self, worker: usize) -> impl Iterator<Item = Grant> + use<> {
        let lane = std::mem::take(&mut self.lanes[worker]);
        for place in lane.places() {
            self.clients.remove(&place);
            self.waiting -= 1;
        }
        lane.granted.into_iter().map(|(_, grant)| grant)
    }

    /// Takes a place out of its line. `false`: it is in none.
    fn take_out(&mut self, worker: usize, place: &Place) -> bool {
        let found = self.lanes[worker].take_out(place.rank());
        if found {
            self.clients.remove(place);
            self.waiting -= 1;
        }
        found
    }
}

impl Lane {
    /// Whose turn it is among those that wait for `backend`.
    fn first_for(&self, backend: BackendId) -> Option<Place> {
        let usable = self.lines.iter().filter(|(wanted, _)| wanted.contains(backend));
        usable.filter_map(|(_, line)| line.first_key_value()).min_by_key(|(rank, _)| **rank).map(|(_, place)| *place)
    }

    fn take_out(&mut self, rank: Rank) -> bool {
        let Some((wanted, line)) = self.lines.iter_mut().find(|(_, line)| line.contains_key(&rank)) else {
            return false;
        };
        line.remove(&rank);
        if line.is_empty() {
            let wanted = wanted.clone();
            self.lines.remove(&wanted);
        }
        true
    }

    fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.lines.values().flat_map(BTreeMap::values).copied()
    }
}

impl Clients {
    /// The turn of the last request of `client` that waits.
    fn last_turn(&self, client: Client) -> u64 {
        let last = self.waiting.get(&client).and_then(BTreeMap::last_key_value);
        last.map_or(0, |((turn, _), _)| *turn)
    }

    fn add(&mut self, place: &Place, worker: usize) {
        let own = self.waiting.entry(place.client).or_default();
        self.by_count.remove(&(own.len(), place.client));
        own.insert(place.rank(), worker);
        self.by_count.insert((own.len(), place.client));
    }

    fn remove(&mut self, place: &Place) {
        let Some(own) = self.waiting.get_mut(&place.client) else { return };
        self.by_count.remove(&(own.len(), place.client));
        own.remove(&place.rank());
        if own.is_empty() {
            self.waiting.remove(&place.client);
        } else {
            self.by_count.insert((own.len(), place.client));
        }
    }
}

/// Which of a worker's requests has which place, in order of arrival.
#[derive(Debug)]
pub(super) struct Tickets<T> {
    /// By [`Place::number`].
    entries: BTreeMap<u64, (Place, T)>,
    numbers: BTreeMap<T, u64>,
}

impl<T: Copy + Ord> Tickets<T> {
    pub(super) fn new() -> Self {
        Self { entries: BTreeMap::new(), numbers: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, place: Place, ticket: T) {
        self.entries.insert(place.number, (place, ticket));
        self.numbers.insert(ticket, place.number);
    }

    pub(super) fn oldest(&self) -> Option<(T, Instant)> {
        self.entries.first_key_value().map(|(_, (place, ticket))| (*ticket, place.since))
    }

    /// Takes out the request that has `place`.
    pub(super) fn take(&mut self, place: Place) -> Option<T> {
        let (_, ticket) = self.entries.remove(&place.number)?;
        self.numbers.remove(&ticket);
        Some(ticket)
    }

    /// Takes out a request by its ticket.
    pub(super) fn cancel(&mut self, ticket: T) -> Option<Place> {
        let number = self.numbers.remove(&ticket)?;
        self.entries.remove(&number).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::testing::{self, ONE, client};

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
            for (number, (worker, ms)) in (0..).zip(arrivals) {
                // Each is the only one of its client.
                let place = queue.last_place(client(number), start + *ms * MS);
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
        let places: Vec<Place> = (0..4).map(|_| queue.last_place(ONE, testing::start())).collect();
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
        let places: Vec<Place> = (0..3).map(|_| queue.last_place(ONE, testing::start())).collect();
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
            let place = queue.last_place(ONE, testing::start());
            queue.join(1, place, wanted);
        }
        assert!(queue.covers(&set(&[A])) && queue.covers(&set(&[A, B])));
        assert!(!queue.covers(&set(&[A, B, BackendId(2)])));
        assert!(queue.wants(B) && !queue.wants(BackendId(2)));
    }

    #[test]
    fn tickets_are_found_by_place_and_by_name() {
        let since = testing::start();
        let place = |number| Place { turn: 0, number, since, client: ONE };
        let mut tickets = Tickets::new();
        [3, 1, 2, 9].into_iter().for_each(|number| tickets.insert(place(number), number * 10));
        assert_eq!((tickets.oldest(), tickets.len()), (Some((10, since)), 4));
        assert_eq!((tickets.take(place(2)), tickets.take(place(2))), (Some(20), None));
        assert_eq!((tickets.cancel(90), tickets.cancel(90)), (Some(place(9)), None));
        assert_eq!((tickets.take(place(1)), tickets.take(place(3)), tickets.oldest()), (Some(10), Some(30), None));
    }

    /// Who is served in which order: `arrivals` of clients at workers, then a connection comes free at worker 0 again and
    /// again.
    fn served(arrivals: &[(usize, u128)]) -> Vec<u128> {
        let mut queue = Queue::new(2);
        for (worker, number) in arrivals {
            let place = queue.last_place(client(*number), testing::start());
            queue.join(*worker, place, set(&[A]));
        }
        let mut order = Vec::new();
        while let Some(worker) = queue.grant(0, A, slot) {
            order.push(queue.next_grant(worker).unwrap().0.client);
        }
        order.iter().map(|one| (0..10).find(|number| client(*number) == *one).unwrap()).collect()
    }

    #[test]
    fn clients_take_turns_however_many_requests_each_has() {
        for (arrivals, order) in [
            (&[1, 1, 1, 1, 2, 1, 3][..], &[1, 2, 3, 1, 1, 1, 1][..]),
            (&[1, 1, 2, 2, 3, 3], &[1, 2, 3, 1, 2, 3]),
            (&[1, 2, 3], &[1, 2, 3]),
            (&[1, 1, 1], &[1, 1, 1]),
            (&[], &[]),
        ] {
            let here: Vec<(usize, u128)> = arrivals.iter().map(|number| (0, *number)).collect();
            assert_eq!(served(&here), order, "{arrivals:?}");
        }
        // Wherever its connections are: what comes free at one worker goes to another whose turn it is.
        assert_eq!(served(&[(0, 1), (0, 1), (0, 1), (1, 2), (1, 2)]), [1, 2, 1, 2, 1]);
        assert_eq!(served(&[(0, 1), (1, 1), (0, 1), (1, 1)]), [1, 1, 1, 1]);
    }

    /// A client that asks again as soon as it was served does not get ahead of those who wait all the time.
    #[test]
    fn a_client_that_comes_back_waits_for_its_next_turn() {
        let mut queue = Queue::new(1);
        let join = |queue: &mut Queue, number| {
            let place = queue.last_place(client(number), testing::start());
            queue.join(0, place, set(&[A]));
        };
        (0..6).for_each(|_| join(&mut queue, 1));
        let mut order = Vec::new();
        join(&mut queue, 2);
        while let Some(worker) = queue.grant(0, A, slot) {
            let next = queue.next_grant(worker).unwrap().0.client;
            order.push(if next == client(1) { 1 } else { 2 });
            if next == client(2) && order.len() < 8 {
                join(&mut queue, 2);
            }
        }
        assert_eq!(order, [1, 2, 1, 2, 1, 2, 1, 2, 1, 1]);
    }

    /// The client with the most loses its newest request, to a client that has fewer even then.
    #[test]
    fn a_full_line_is_shared_out() {
        for (waiting, comes, displaced) in [
            (&[1, 1, 1][..], 2, Some(3)),
            (&[1, 1, 1], 1, None),
            (&[1, 2, 1], 2, None),
            (&[1, 1, 2, 1], 2, Some(4)),
            (&[1], 2, None),
            (&[1, 2, 3], 4, None),
            (&[], 1, None),
        ] {
            let mut queue = Queue::new(1);
            for number in waiting {
                let place = queue.last_place(client(*number), testing::start());
                queue.join(0, place, set(&[A]));
            }
            let worker = queue.make_room(client(comes));
            let told = worker.and_then(|worker| queue.next_grant(worker));
            assert_eq!(told.map(|(place, grant)| (place.number, grant)), displaced.map(|at| (at, Grant::Displaced)));
            assert_eq!(queue.waiting(), waiting.len() - usize::from(displaced.is_some()), "{waiting:?} {comes}");
        }
    }

    /// As many as 10,000 connections wait with; whatever each does, it does not cost a walk along the line. With a walk, ten
    /// times as many requests would take a hundred times as long.
    #[test]
    fn a_long_line_costs_no_more_per_request_than_a_short_one() {
        // The test measures, the code that it measures does not look at a clock.
        #[allow(clippy::disallowed_methods)]
        let run = |waiting: u64| {
            let begun = Instant::now();
            let mut queue = Queue::new(2);
            let mut tickets = Tickets::new();
            let places: Vec<Place> =
                (0..waiting).map(|number| queue.last_place(client(u128::from(number % 7)), begun)).collect();
            // From the back, where a sorted array would move everybody; and the first wait for what never comes free.
            for (number, place) in places.iter().enumerate().rev() {
                let number = number as u64;
                queue.join(0, *place, set(if number < waiting / 2 { &[B] } else { &[A, B] }));
                tickets.insert(*place, number);
            }
            // Every fourth gives up, from the middle outwards; some are served; the rest looks once and comes back.
            let mut left = 0;
            for number in (0..waiting / 2).rev().step_by(4) {
                let place = tickets.cancel(number).expect("it waits");
                assert_eq!(queue.leave(0, place), Some(Left::Waiting));
                left += 1;
            }
            for _ in 0..waiting / 4 {
                let worker = queue.grant(1, A, slot).expect("half of them want it");
                let (place, _) = queue.next_grant(worker).expect("it was just granted");
                assert!(tickets.take(place).is_some());
                left += 1;
            }
            queue.grant_look(0);
            while let Some((place, _)) = queue.next_grant(0) {
                queue.join(0, place, set(&[B]));
            }
            assert_eq!(queue.waiting() as u64, waiting - left);
            begun.elapsed()
        };
        // As much work each, so that other programs on the machine disturb both alike.
        let short = (0..5).map(|_| (0..10).map(|_| run(1_000)).sum::<Duration>()).min().unwrap();
        let long = (0..5).map(|_| run(10_000)).min().unwrap();
        assert!(long < 6 * short, "ten times 1,000 requests: {short:?}, 10,000: {long:?}");
    }
}
