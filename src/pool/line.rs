//! One worker's side of waiting: joining the line, being granted another look, giving up, passing on.

use super::{BackendSet, Client, Granted, NotKept, Pool, QueueFull, queue::Grant, slots::HandedTo, turns::Place};
use crate::time::Instant;

/// The line.
impl<C: Copy + Eq, T: Copy + Ord> Pool<C, T> {
    /// A request of `client` found all of `full` full, and no other backend will do: it waits for the first of them that has
    /// room. Returns how many waited when it came, over all workers.
    ///
    /// There is no timeout here: set one ([`queue_timeout`](super::PoolConfig::queue_timeout)) and [`Pool::cancel`].
    ///
    /// # Errors
    ///
    /// [`QueueFull`]: the line is at its limit, the request should be refused.
    pub fn wait(&mut self, ticket: T, client: Client, full: BackendSet, now: Instant) -> Result<usize, QueueFull> {
        let (place, ahead) = match self.slots.wait(self.worker, client, now, &full) {
            Ok(joined) => joined,
            Err(refused) => {
                self.stats.refused += 1;
                return Err(refused);
            }
        };
        self.stats.waited += 1;
        self.joined(place, ticket, &full);
        Ok(ahead)
    }

    /// A granted request looked in vain and takes its old place in line, before all that came later.
    ///
    /// `full` is what it found full this time. The backend of the grant is left out unless it was checked out in vain:
    /// who does not use what it waits for does not wait for it.
    pub fn wait_again(&mut self, granted: Granted<T>, mut full: BackendSet) {
        if let Some(unused) = self.meant_for {
            full.remove(unused);
        }
        self.slots.wait_again(self.worker, granted.place, &full);
        self.joined(granted.place, granted.ticket, &full);
    }

    fn joined(&mut self, place: Place, ticket: T, full: &BackendSet) {
        self.tickets.insert(place, ticket);
        self.stats.waiting = self.tickets.len();
        if full.iter().any(|backend| !self.backends[backend.index()].idle.is_empty()) {
            self.slots.wake(self.worker); // Not full after all: `woken` offers it.
        }
    }

    /// A waiting request gave up: timed out, or its client went away. `false`: it does not wait here.
    pub fn cancel(&mut self, ticket: T) -> bool {
        let Some(place) = self.tickets.cancel(ticket) else { return false };
        self.stats.waiting = self.tickets.len();
        if self.slots.cancel(self.worker, place) == HandedTo::Here {
            self.slots.wake(self.worker);
        }
        true
    }

    /// The next request that should look again. Call until `None`; each call also passes on what the request before it
    /// was granted and did not use.
    pub fn granted(&mut self) -> Option<Granted<T>> {
        self.hand_on();
        if self.tickets.len() == 0 {
            return None;
        }
        // At most once round: a place leaves `tickets` and the shared line together.
        while let Some((place, grant)) = self.slots.next_grant(self.worker) {
            (self.meant_for, self.reserved) = match grant {
                Grant::Slot(backend) => (Some(backend), Some(backend)),
                Grant::Idle(backend) => (Some(backend), None),
                Grant::Look | Grant::Displaced => (None, None),
            };
            let displaced = grant == Grant::Displaced;
            self.stats.refused += u64::from(displaced);
            if let Some(ticket) = self.tickets.take(place) {
                self.stats.waiting = self.tickets.len();
                return Some(Granted { ticket, since: place.since, backend: self.meant_for, displaced, place });
            }
            self.hand_on();
        }
        None
    }

    /// Passes on what the last grant did not use, to another request. For an owner that stops before [`Pool::granted`]
    /// says `None`.
    pub fn hand_on(&mut self) {
        let unused = self.meant_for.take();
        if let Some(backend) = self.reserved.take() {
            self.slots.hand_on(self.worker, backend);
        } else if unused.is_some() && self.slots.contended() {
            self.slots.wake(self.worker); // An idle connection: `woken` offers it.
        }
    }

    /// Every waiting request of this worker should look again: a backend came back, or one went away.
    pub fn reconsider(&mut self) {
        if self.tickets.len() > 0 {
            self.slots.grant_look(self.worker);
        }
    }

    /// Another worker called this one's [`Wake`](super::Wake). Idle connections that others wait for go to `closing`:
    /// close them, their slots are passed on. Then serve the line.
    pub fn woken(&mut self, closing: &mut Vec<C>) {
        for backend in self.ids() {
            for _ in 0..self.backends[backend.index()].idle.len() {
                let handed =
                    if self.slots.contended() { self.slots.offer(self.worker, backend) } else { HandedTo::NoRequest };
                match handed {
                    HandedTo::NoRequest => break,
                    HandedTo::Here => {} // It stays idle until that request looks.
                    HandedTo::There => {
                        closing.extend(self.backends[backend.index()].idle.pop_oldest());
                        self.stats.idle -= 1;
                        self.stats.closed.add(NotKept::SlotWanted);
                    }
                }
            }
        }
        self.check_laws();
    }

    /// The request that has waited longest here, and since when: one timer for it serves the whole line.
    #[must_use]
    pub fn oldest(&self) -> Option<(T, Instant)> {
        self.tickets.oldest()
    }
}
