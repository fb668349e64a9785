//! The cap that all workers share, and how a freed slot finds the request that waits for it.
//!
//! Every open connection of a limited backend holds a slot, busy or idle. Taking one and giving it back is one atomic
//! operation while no request waits; reusing an idle connection touches nothing shared but one counter that is read.
//! Once a request waits, a worker that releases a connection takes a lock and hands the slot over.
//!
//! # Why no request waits in vain
//!
//! *Claim.* Let a request wait for backend `b`. Then no slot of `b` is free and no worker has an idle connection to
//! `b` that is not granted already, unless some thread is on the way to repair it: it is inside one of the operations
//! below, or a wake-up is pending for it. There are two ways to miss each other, and each is closed in its own way.
//!
//! ***A slot is freed while a request joins the line.** Both write before they read, all four in one total order
//! (`SeqCst`):
//!
//! ```text
//!   release (nobody waits)             join (under the lock)
//!   R1  open[b] -= 1                   J1  waiting = n + 1
//!   R2  waiting?                       J2  open[b] < limit?
//! ```
//!
//! If R2 reads no waiter, then R2 comes before J1, so R1 comes before J2, which sees the free slot and takes it. If R2
//! sees a waiter, the releasing thread takes the lock, takes the slot back and grants it. If both see each other, the
//! first to take the slot grants it to the front of the line; the other finds either no free slot or no request that
//! wants it. A release that sees a waiter at once never frees the slot: under the lock it goes to the first request
//! that wants it. If there is none, it is freed under the lock, where no request can join meanwhile. So except for the
//! moment in which R1 and J1 cross, a request that came later cannot take a slot that an earlier one waits for. `take`
//! never overshoots the limit, not even for a moment: a join that saw the overshoot would believe there is no slot.
//!
//! ***A connection becomes idle while a request joins the line.** The idle side only reads, so that pooling stays free
//! of shared writes; the waiting side pays instead:
//!
//! ```text
//!   checkin on worker X                join on worker W
//!   C1  waiting?  no                   J1  waiting = n + 1
//!   C2  keep it idle                   J3  wake every other worker
//! ```
//!
//! If C1 sees a waiter, the connection is offered under the lock. If not, worker X has not yet answered the wake-up of
//! J3: had it, the wake-up would have brought J1 along, and C1 could not read an older value. So the wake-up is still
//! to come, and `woken` offers whatever idles. It leaves no idle connection behind that a request waits for.
//!
//! J3 is left out if an earlier request waits for all the backends that the new one waits for: for those backends the
//! claim holds for the earlier request, so every worker that has an idle connection has been woken or will see the
//! counter. So in a standing queue no worker is woken in vain.
//!
//! **A grant is not used.** The request it was meant for gave up, or took another connection. Then it is offered again,
//! by the same rules, at the latest when its worker asks for the next grant. A request that comes back in vain joins
//! the line again with the same two checks.

use super::{
    BackendSet, Client, PoolConfig, QueueFull,
    queue::{Grant, Left, Queue},
    turns::Place,
};
use crate::{
    backend::{Backend, BackendId},
    time::Instant,
};
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::*},
    },
};

/// Makes a worker call [`Pool::woken`](super::Pool::woken) soon, from any thread. For a closure: call it.
///
/// Memory written before `wake` must be seen after the wake-up, as with every waker of an event loop. Several calls may
/// lead to one wake-up.
pub trait Wake: Send + Sync {
    /// Wakes the worker; returns at once.
    fn wake(&self);
}

impl<F: Fn() + Send + Sync> Wake for F {
    fn wake(&self) {
        self();
    }
}

/// State that the pools of all workers share: how many connections are open, and which requests wait for one.
pub struct Slots {
    config: PoolConfig,
    counts: Box<[Count]>,
    waiting: Waiting,
    queue: Mutex<Queue>,
    wakers: Box<[OnceLock<Arc<dyn Wake>>]>,
}

/// The slots of one backend.
#[repr(align(128))] // On lines of their own: workers that use different backends do not slow each other down.
struct Count {
    /// [`UNLIMITED`]: it is not counted.
    limit: AtomicUsize,
    open: AtomicUsize,
}

/// The limit of a backend without one.
const UNLIMITED: usize = usize::MAX;

/// How many requests wait. Written under the lock only; read without it by every checkin.
#[repr(align(128))]
struct Waiting(AtomicUsize);

/// The receiver of a slot or connection that a worker let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandedTo {
    /// No request wanted it.
    NoRequest,
    /// A request of the same worker, which should ask for its grant.
    Here,
    /// A request of another worker, which was woken.
    There,
}

impl Slots {
    /// For `workers` pools over these backends, whose ids are their positions.
    #[must_use]
    pub fn new(backends: &[Backend], config: PoolConfig, workers: usize) -> Self {
        let limits = backends.iter().map(|backend| backend.max.or(config.limit()));
        Self::with_limits(limits.collect(), config, workers)
    }

    /// For `places` backends that come and go, with ids from 0 on. All have the limit of `config`, but for `unlimited`.
    #[must_use]
    pub fn with_places(places: usize, unlimited: BackendId, config: PoolConfig, workers: usize) -> Self {
        let limit = |place| config.limit().filter(|_| place != unlimited.index());
        Self::with_limits((0..places).map(limit).collect(), config, workers)
    }

    /// For backends with these limits, in the order of their ids; `None`: it has none. The rules of `config` decide about the queue,
    /// which all backends share.
    #[must_use]
    pub fn with_limits(limits: Vec<Option<usize>>, config: PoolConfig, workers: usize) -> Self {
        let count =
            |limit: Option<usize>| Count { limit: limit.unwrap_or(UNLIMITED).into(), open: AtomicUsize::new(0) };
        Self {
            config,
            counts: limits.into_iter().map(count).collect(),
            waiting: Waiting(AtomicUsize::new(0)),
            queue: Mutex::new(Queue::new(workers)),
            wakers: std::iter::repeat_with(OnceLock::new).take(workers).collect(),
        }
    }

    /// Says how to wake a worker. To be called once, before the worker's first request; later calls change nothing.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    pub fn attach(&self, worker: usize, wake: Arc<dyn Wake>) {
        // Under the lock: a request that joins the line afterwards sees the waker, and the worker sees the count of
        // those that joined before.
        let _queue = self.lock();
        let _ = self.wakers[worker].set(wake);
    }

    /// The rules for connections, where a backend has none of its own ([`Pool::place`](super::Pool::place)).
    #[must_use]
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// The backend has another limit, or another backend has this id. Whether connections are counted changes only while there are
    /// none.
    pub fn place(&self, backend: BackendId, limit: Option<usize>) {
        let count = &self.counts[backend.index()];
        debug_assert!(
            count.limit().is_some() == limit.is_some() || count.open.load(SeqCst) == 0,
            "not all were counted"
        );
        count.limit.store(limit.unwrap_or(UNLIMITED), SeqCst);
    }

    /// Slots of `backend` that are taken; `None` if it is unlimited, which is not counted.
    #[must_use]
    pub fn open(&self, backend: BackendId) -> Option<usize> {
        let count = &self.counts[backend.index()];
        count.limit().map(|_| count.open.load(Relaxed))
    }

    /// Makes every worker call [`Pool::woken`](super::Pool::woken): the backends have changed.
    pub fn wake_everyone(&self) {
        self.wake_all(0..self.wakers.len());
    }

    /// Requests that wait, over all workers, with nothing on the way to them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.0.load(Relaxed)
    }

    pub(super) fn workers(&self) -> usize {
        self.wakers.len()
    }

    /// How many backends there may be.
    #[must_use]
    pub fn backends(&self) -> usize {
        self.counts.len()
    }

    /// Whether anyone waits for anything. The only shared memory that reuse touches, and it only reads it.
    pub(super) fn contended(&self) -> bool {
        self.waiting.0.load(Acquire) != 0
    }

    /// Takes a free slot.
    pub(super) fn take(&self, backend: BackendId) -> bool {
        let count = &self.counts[backend.index()];
        let Some(limit) = count.limit() else { return true };
        // Compare and swap, not add and undo: see "never overshoots" above.
        count.open.fetch_update(SeqCst, SeqCst, |open| (open < limit).then_some(open + 1)).is_ok()
    }

    /// A connection that held a slot is gone: frees the slot or hands it to a request.
    pub(super) fn release(&self, worker: usize, backend: BackendId) -> HandedTo {
        let count = &self.counts[backend.index()];
        if count.limit().is_none() {
            return HandedTo::NoRequest;
        }
        if self.contended() {
            return self.hand_over(worker, backend, |_| Grant::Slot(backend), || count.free());
        }
        count.free();
        if self.waiting.0.load(SeqCst) == 0 {
            return HandedTo::NoRequest;
        }
        let mut granted = Vec::new();
        let mut queue = self.lock();
        self.grant_free(&mut queue, worker, backend, &mut granted);
        drop(queue);
        self.wake_all(granted.iter().copied().filter(|&other| other != worker));
        match granted.first() {
            None => HandedTo::NoRequest,
            Some(_) if granted.contains(&worker) => HandedTo::Here,
            Some(_) => HandedTo::There,
        }
    }

    /// A granted slot was not used. Often the request took an idle connection instead, one that was granted to another
    /// request here: that one gets the slot, so that no other overtakes it.
    pub(super) fn hand_on(&self, worker: usize, backend: BackendId) {
        if !self.lock().upgrade(worker, backend) {
            self.release(worker, backend);
        }
    }

    /// Offers a connection that `worker` has and could keep idle. If it goes elsewhere, its slot has gone with it.
    pub(super) fn offer(&self, worker: usize, backend: BackendId) -> HandedTo {
        let grant = |local| if local { Grant::Idle(backend) } else { Grant::Slot(backend) };
        self.hand_over(worker, backend, grant, || ())
    }

    /// Gives the slot or connection to the first request that wants it. If there is none, `keep` runs before any can
    /// join the line.
    fn hand_over(
        &self,
        worker: usize,
        backend: BackendId,
        grant: impl FnOnce(bool) -> Grant,
        keep: impl FnOnce(),
    ) -> HandedTo {
        let mut queue = self.lock();
        match queue.grant(worker, backend, grant) {
            None => {
                keep();
                HandedTo::NoRequest
            }
            Some(other) => {
                self.publish(&queue);
                drop(queue);
                if other == worker {
                    return HandedTo::Here;
                }
                self.wake(other);
                HandedTo::There
            }
        }
    }

    /// A request joins the line. Its place, and how many waited before.
    pub(super) fn wait(
        &self,
        worker: usize,
        client: Client,
        since: Instant,
        wanted: &BackendSet,
    ) -> Result<(Place, usize), QueueFull> {
        let mut queue = self.lock();
        let ahead = queue.waiting();
        if self.config.queue.is_some_and(|most| ahead >= most) {
            let other = queue.make_room(client).ok_or(QueueFull)?;
            self.publish(&queue);
            self.wake(other);
        }
        let place = queue.last_place(client, since);
        self.join(queue, worker, place, wanted);
        Ok((place, ahead))
    }

    /// Whether anyone waits for a connection to `backend`.
    #[must_use]
    pub fn wanted(&self, backend: BackendId) -> bool {
        self.contended() && self.lock().wants(backend)
    }

    /// A request that looked in vain takes its old place again.
    pub(super) fn wait_again(&self, worker: usize, place: Place, wanted: &BackendSet) {
        self.join(self.lock(), worker, place, wanted);
    }

    fn join(&self, mut queue: MutexGuard<'_, Queue>, worker: usize, place: Place, wanted: &BackendSet) {
        let covered = wanted.is_empty() || queue.covers(wanted);
        queue.join(worker, place, wanted.clone());
        self.publish(&queue); // J1, before J2.
        let mut granted = Vec::new();
        for backend in wanted.iter() {
            self.grant_free(&mut queue, worker, backend, &mut granted);
        }
        drop(queue);
        self.wake_all(granted.into_iter());
        if !covered {
            self.wake_all((0..self.workers()).filter(|&other| other != worker)); // J3
        }
    }

    /// Grants free slots of `backend` to requests that wait for it. Appends the workers of those requests to `granted`;
    /// usually there are none.
    fn grant_free(&self, queue: &mut Queue, worker: usize, backend: BackendId, granted: &mut Vec<usize>) {
        while self.counts[backend.index()].has_free() && queue.wants(backend) && self.take(backend) {
            granted.extend(queue.grant(worker, backend, |_| Grant::Slot(backend)));
            self.publish(queue);
        }
    }

    /// The next grant of this worker's requests.
    pub(super) fn next_grant(&self, worker: usize) -> Option<(Place, Grant)> {
        self.lock().next_grant(worker)
    }

    /// A request gives up its place.
    pub(super) fn cancel(&self, worker: usize, place: Place) -> HandedTo {
        let mut queue = self.lock();
        let left = queue.leave(worker, place);
        self.publish(&queue);
        drop(queue);
        match left {
            Some(Left::Granted(Grant::Slot(backend))) => self.release(worker, backend),
            // Still idle here, and granted to no request now: to be offered again.
            Some(Left::Granted(Grant::Idle(_))) => HandedTo::Here,
            Some(Left::Granted(Grant::Look | Grant::Displaced) | Left::Waiting) | None => HandedTo::NoRequest,
        }
    }

    /// Lets every waiting request of `worker` look again.
    pub(super) fn grant_look(&self, worker: usize) {
        let mut queue = self.lock();
        queue.grant_look(worker);
        self.publish(&queue);
    }

    /// A worker is gone, and with it its requests and its connections, `held`.
    pub(super) fn leave(&self, worker: usize, held: impl Iterator<Item = BackendId>) {
        let mut queue = self.lock();
        let grants = queue.close_lane(worker);
        self.publish(&queue);
        drop(queue);
        let granted = grants.filter_map(|grant| if let Grant::Slot(backend) = grant { Some(backend) } else { None });
        for backend in granted.chain(held) {
            self.release(worker, backend);
        }
    }

    /// Makes `worker` call [`Pool::woken`](super::Pool::woken), and look into whatever else it shares.
    pub fn wake(&self, worker: usize) {
        if let Some(waker) = self.wakers[worker].get() {
            waker.wake();
        }
    }

    fn wake_all(&self, workers: impl Iterator<Item = usize>) {
        workers.for_each(|worker| self.wake(worker));
    }

    fn publish(&self, queue: &Queue) {
        self.waiting.0.store(queue.waiting(), SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under the lock, so a poisoned one is still in order.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn limit(&self) -> Option<usize> {
        Some(self.limit.load(Relaxed)).filter(|limit| *limit != UNLIMITED)
    }

    fn has_free(&self) -> bool {
        self.limit().is_none_or(|limit| self.open.load(SeqCst) < limit)
    }

    fn free(&self) {
        let before = self.open.fetch_sub(1, SeqCst);
        debug_assert!(before > 0, "a slot is released once");
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.counts.iter().map(|count| (count.open.load(Relaxed), count.limit()));
        f.debug_struct("Slots")
            .field("open", &open.collect::<Vec<_>>())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
