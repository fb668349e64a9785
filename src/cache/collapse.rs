//! One fetch for many who ask at once (RFC 9111 §4): the first leads, the others follow.
//!
//! ```text
//!            lead                       the response may be shared
//!   nobody ──────▶ Asked ───────────────────────────────────────▶ Open ──▶ stored, or not
//!                   │                                              followers read it as it arrives
//!                   ├── it may not be shared: everybody goes alone, and so do those who come soon
//!                   ╰── the leader failed: somebody else leads
//! ```
//!
//! There is one fetch for each URI, or for each of its variants where it is known what they differ in: from what is stored,
//! or from the response to the first of them. Followers that see there that it is not theirs, but one with the same `Vary`
//! may be, follow a fetch of their own variant, so that each variant is asked for once.
//!
//! A leader that goes away in any manner drops its [`Lead`], and that releases its followers: no request waits for one
//! that is gone.

use super::{
    fill::{Added, End, Fill},
    flights::{Flight, Flights},
    key::Key,
    mail::Ticket,
    store::{Entry, Found, Mark, Place, Store},
    vary::Selecting,
};
use crate::{http::Fields, time::Instant};
use bytes::Bytes;
use std::sync::{Arc, atomic::Ordering::Relaxed};

pub use super::flights::{Over, Stage};

/// The part of a request in a fetch.
#[derive(Debug)]
pub enum Join {
    /// It fetches.
    Lead(Lead),
    /// Another request fetches already.
    Follow(Arc<Flight>),
    /// Something was stored since the look-up: look again.
    Again,
    /// It cannot wait for another: the hash of the key is taken.
    Alone,
}

impl Flights {
    /// Takes part in fetching a URI, after a look-up that `found` nothing to use; `variant`: the one that the request would
    /// get, as far as it is known what variants differ in.
    pub fn join(self: &Arc<Self>, place: Place<'_>, found: &Found, variant: Option<Selecting>) -> Join {
        let slot = self.slot(place.hash, variant.as_ref());
        let mut shard = self.shard(place.hash);
        if let Some(flight) = shard.get(&slot) {
            let is_ours = flight.is_of(place, variant.as_ref());
            return if is_ours { Join::Follow(flight.clone()) } else { Join::Alone };
        }
        // A fetch that is over has stored its response before it left the map. So a request that finds neither, with the map
        // locked, is the only one.
        if self.store().has_changed(place, found) {
            return Join::Again;
        }
        let flight = Arc::new(Flight::new(place.uri.to_key(), place.hash, variant, slot));
        shard.insert(slot, flight.clone());
        drop(shard);
        Join::Lead(Lead::new(self.clone(), flight))
    }
}

impl Flight {
    /// Follows.
    #[must_use]
    pub fn follow(self: &Arc<Self>, store: &Arc<Store>) -> Follower {
        self.followers.fetch_add(1, Relaxed);
        Follower { flight: self.clone(), store: store.clone() }
    }
}

/// One who waits for a fetch, or reads what it brings.
#[derive(Debug)]
pub struct Follower {
    flight: Arc<Flight>,
    store: Arc<Store>,
}

impl Follower {
    /// How far it is. If nothing has come back, `ticket` is told when something has.
    #[must_use]
    pub fn stage(&self, ticket: Ticket) -> Stage {
        let mut state = self.flight.lock();
        if matches!(state.stage, Stage::Asked) {
            state.waiting.push(ticket);
        }
        state.stage.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if self.flight.followers.fetch_sub(1, Relaxed) == 1 {
            let leader = self.flight.lock().orphan;
            self.store.mail().post(leader.as_slice());
        }
    }
}

/// The request that fetches.
#[derive(Debug)]
pub struct Lead {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    /// When it began: what is cut afterwards is not stored.
    since: Mark,
    fill: Option<Arc<Fill>>,
    over: bool,
}

impl Lead {
    fn new(flights: Arc<Flights>, flight: Arc<Flight>) -> Self {
        let since = flights.store().mark(flight.hash());
        Self { flights, flight, since, fill: None, over: false }
    }

    /// A fetch that no request can follow, whose response may be stored all the same.
    #[must_use]
    pub fn alone(flights: Arc<Flights>, place: Place<'_>) -> Self {
        Self::new(flights, Arc::new(Flight::new(place.uri.to_key(), place.hash, None, place.hash)))
    }

    fn store(&self) -> &Arc<Store> {
        self.flights.store()
    }

    /// The key that is fetched.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.flight.key()
    }

    /// The same with its hash.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        Place { uri: self.key().uri(), hash: self.flight.hash() }
    }

    /// When it began: what is cut afterwards is not stored.
    #[must_use]
    pub fn since(&self) -> Mark {
        self.since
    }

    /// How many wait for it, or read what it brings.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.flight.followers.load(Relaxed)
    }

    /// The leader has no client of its own any more: it is told when the last follower leaves, or has left already.
    pub fn orphan(&self, leader: Ticket) {
        self.flight.lock().orphan = Some(leader);
        // A follower on another worker may have left before the mark was there to see. Either it saw the mark, or its
        // leaving is seen here: the lock puts one before the other.
        if self.followers() == 0 {
            self.store().mail().post(&[leader]);
        }
    }

    /// The response that arrives, if it is one to be stored.
    #[must_use]
    pub fn fill(&self) -> Option<&Arc<Fill>> {
        self.fill.as_ref()
    }

    /// A response that is to be stored has begun: `opening` is what is known of it, `length` what its head announced.
    pub fn open(&mut self, opening: Entry, length: Option<u64>) {
        let fill = Arc::new(Fill::new(self.store().clone(), opening, length));
        self.fill = Some(fill.clone());
        self.flight.enter(Stage::Open(fill), self.store());
    }

    /// A part of its body, of which a copy is kept, and handed back. When it turns out too large, no new request
    /// follows.
    pub fn append(&mut self, data: &[u8], leader: Ticket, now: Instant) -> (Added, Bytes) {
        let Some(fill) = self.fill.clone() else { return (Added::Unread, Bytes::copy_from_slice(data)) };
        let (added, piece) = fill.append(data, leader, now);
        if added == Added::TooLarge {
            self.release(Over::Private);
        }
        (added, piece)
    }

    /// The body is complete, and `trailers` followed it, for the requests that read it now. Stores the entry that
    /// `finish` makes of it, in the place of those that it `replaces`. Returns the stored entry.
    pub fn complete(
        mut self,
        now: Instant,
        trailers: &Fields,
        finish: impl FnOnce(&Entry, Vec<Bytes>) -> Option<Entry>,
        replaces: impl Fn(&Entry, &Entry) -> bool,
    ) -> Option<Arc<Entry>> {
        let fill = self.fill.clone()?;
        let entry = fill.body().and_then(|body| finish(fill.opening(), body));
        // In this order, a request that finds no fetch any more finds the entry.
        let stored = entry.and_then(|entry| self.put(entry, now, replaces).ok());
        fill.finish(End::Complete, trailers);
        self.release(if stored.is_some() { Over::Stored } else { Over::Private });
        stored
    }

    /// Puts in what a response without content has confirmed, in the place of what it `replaces`. `Err`: it was cut since it
    /// was asked about, or there is no room.
    pub fn put(
        &self,
        entry: Entry,
        now: Instant,
        replaces: impl Fn(&Entry, &Entry) -> bool,
    ) -> Result<Arc<Entry>, Arc<Entry>> {
        let entry = self.store().insert(entry, now, replaces)?;
        if self.store().withdraw(self.since, &entry) { Err(entry) } else { Ok(entry) }
    }

    /// There is nothing to wait for any more. Those who read go on reading what there is.
    pub fn release(&mut self, over: Over) {
        if !self.over {
            self.over = true;
            self.flights.land(&self.flight);
            self.flight.enter(Stage::Over(over), self.store());
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(fill) = &self.fill {
            fill.finish(End::Broken, &Fields::new());
        }
        self.release(Over::Failed);
    }
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
