//! Fetches under way: which there are, and how far each of them is.
//!
//! ```text
//!   collapse   who leads, who follows ──▶ flights ──▶ fill   what has come of a response ──▶ store
//! ```
//!
//! There is one fetch for each URI, or for each of its variants where it is known what they differ in. The map is in shards, each
//! with a lock of its own. The store knows nothing of it: what is stored and what is on its way are asked for one after the other,
//! and [`Flights::remove`] takes both away.

use super::{
    fill::Fill,
    key::{Key, Seed},
    mail::Ticket,
    store::{Apart, ByHash, Entry, Place, Store},
    vary::Selecting,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize};

/// All fetches of a proxy that others may follow.
#[derive(Debug)]
pub struct Flights {
    store: Arc<Store>,
    seed: Seed,
    /// By the hash of the URI and the variant; in the shard of the URI.
    shards: Box<[Apart<Mutex<Shard>>]>,
}

/// The fetches behind one lock.
type Shard = ByHash<Arc<Flight>>;

impl Flights {
    /// No fetch yet. The responses that they bring are for `store`; there are `shards` shards (rounded up to a power of
    /// two).
    #[must_use]
    pub fn new(store: Arc<Store>, shards: usize) -> Self {
        let seed = store.seed();
        let shards = std::iter::repeat_with(Apart::default).take(shards.next_power_of_two()).collect();
        Self { store, seed, shards }
    }

    /// Where what they bring is kept.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// How many there are.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// The fetch of this variant, if it is under way.
    #[must_use]
    pub fn flight(&self, place: Place<'_>, variant: Option<&Selecting>) -> Option<Arc<Flight>> {
        let slot = self.slot(place.hash, variant);
        self.shard(place.hash).get(&slot).filter(|flight| flight.is_of(place, variant)).cloned()
    }

    /// Takes out everything stored for a URI, and what is on its way. How many responses were stored.
    pub fn remove(&self, place: Place<'_>) -> usize {
        let gone = self.store.remove(place);
        // A response that is on its way was made before: no request follows it any more, and it is not stored.
        self.forget(place.hash);
        gone
    }

    /// Responses that are on their way for this URI are not to be stored, and no request follows them any more.
    pub fn cut(&self, place: Place<'_>) {
        self.store.cut(place);
        self.forget(place.hash);
    }

    /// The same for every response that `matches`. A fetch is followed no longer if its URI is one of `names`.
    pub(super) fn cut_all(
        &self,
        matches: impl Fn(&Entry) -> bool + Send + Sync + 'static,
        names: impl Fn(&Key) -> bool,
    ) {
        self.store.cut_all(matches);
        for shard in &self.shards {
            lock(shard).retain(|_, flight| !names(&flight.key));
        }
    }

    /// The fetch is over: the next request for the same leads again.
    pub(super) fn land(&self, flight: &Arc<Flight>) {
        let mut shard = self.shard(flight.hash);
        if shard.get(&flight.slot).is_some_and(|other| Arc::ptr_eq(other, flight)) {
            shard.remove(&flight.slot);
        }
    }

    fn forget(&self, hash: u64) {
        // All fetches of the shard are looked at: there are as many as requests under way, over the number of shards.
        self.shard(hash).retain(|_, flight| flight.hash != hash);
    }

    /// Where the fetch of a variant is in the shard of its URI.
    pub(super) fn slot(&self, hash: u64, variant: Option<&Selecting>) -> u64 {
        // Clients choose what variants differ in, and must not be able to choose what collides.
        variant.map_or(hash, |variant| self.seed.hash((hash, variant)))
    }

    pub(super) fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // Bits that the map inside does not use: it takes the low ones for the place and the high ones for its tags.
        lock(&self.shards[(hash >> 32) as usize & (self.shards.len() - 1)])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under the lock, so a poisoned one is still in order.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why there is nothing to wait for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Look again: there is something in the store now.
    Stored,
    /// Look again: the leader failed, and the next one takes its place.
    Failed,
    /// The answer may not be shared: go alone.
    Private,
}

/// How far a fetch is.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Nothing has come back.
    Asked,
    /// A response arrives that may be shared.
    Open(Arc<Fill>),
    /// It is over.
    Over(Over),
}

/// A fetch that others may follow.
#[derive(Debug)]
pub struct Flight {
    key: Key,
    hash: u64,
    /// Which variant it is hoped to be. `None`: nothing is known of variants.
    variant: Option<Selecting>,
    /// Its place among the fetches: the hash of both.
    slot: u64,
    pub(super) followers: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) stage: Stage,
    pub(super) waiting: Vec<Ticket>,
    /// A leader that goes on for its followers alone, and is told when the last one has left.
    pub(super) orphan: Option<Ticket>,
}

impl Flight {
    pub(super) fn new(key: Key, hash: u64, variant: Option<Selecting>, slot: u64) -> Self {
        let state = State { stage: Stage::Asked, waiting: Vec::new(), orphan: None };
        Self { key, hash, variant, slot, followers: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// Whether it fetches this variant of this URI. Two of them may have one hash.
    pub(super) fn is_of(&self, place: Place<'_>, variant: Option<&Selecting>) -> bool {
        place.uri.is(&self.key) && self.variant.as_ref() == variant
    }

    /// The response that arrives, without its body, if one that may be shared has begun to.
    #[must_use]
    pub fn opening(&self) -> Option<Arc<Entry>> {
        match &self.lock().stage {
            Stage::Open(fill) => Some(fill.opening().clone()),
            Stage::Asked | Stage::Over(_) => None,
        }
    }

    /// The key that is fetched.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The new stage, for all requests that wait.
    pub(super) fn enter(&self, stage: Stage, store: &Store) {
        let mut state = self.lock();
        state.stage = stage;
        let told = std::mem::take(&mut state.waiting);
        drop(state);
        store.mail().post(&told);
    }
}
