//! The requests that wait, and which of them is next when a connection comes free.
//!
//! Two halves: [`Queue`] is shared by all workers and lives under a lock, it knows places in line but no request.
//! [`Tickets`](super::tickets::Tickets) is one worker's own and knows which request has which place. The order of the
//! places is decided in `turns.rs`.
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

use super::{
    BackendSet, Client,
    turns::{Clients, Place, Rank},
};
use crate::{backend::BackendId, time::Instant};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// How much longer than the local front another worker's front must have waited to get a connection that came free
/// here.
///
/// Handing a connection to a local request is free; handing its slot to another worker costs closing it and opening
/// another. So the local front goes first, but not for ever: a worker that holds none of the slots would starve while
/// another hands its own from request to request. 20 ms is many handshakes in a data centre, so the price stays a small
/// part of the wait, and is too short for a person to notice.
pub const HANDOVER_PATIENCE: Duration = Duration::from_millis(20);

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

/// A waiting request gets one of these when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// The right to open a connection to this backend.
    Slot(BackendId),
    /// An idle connection to this backend, which its own worker keeps.
    Idle(BackendId),
    /// Nothing but another look: the backends have changed.
    Look,
    /// Nothing: its place went to a client with fewer requests in line.
    Displaced,
}

/// Where a place was found that left the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It still waited.
    Waiting,
    /// This was on its way to it, and another request should get it.
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

    /// Whether a request already waits for all of `wanted`.
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

    /// Turns a grant of `worker` for an idle connection to `backend`, which another request may have taken, into a
    /// slot.
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
        let (rank, worker) = self.clients.newest_of_the_most(client)?;
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

    /// Empties the lines of `worker`; returns the grants that were on their way to it.
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
    /// The place whose turn it is among those that wait for `backend`.
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

#[cfg(test)]
mod tests;
