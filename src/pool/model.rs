//! Three pools on one cap against a model that keeps its own books, through random histories.
//!
//! The model plays the owner: it looks for connections as a proxy would, answers wake-ups late and in any order, and
//! after every step compares. The claim in `slots.rs` is checked for every waiting request at every step. At the end
//! all leases are finished, and each request that can be served must have been.

use super::{testing::*, *};
use crate::time::Instant;
use proptest::{collection::vec, prelude::*, sample::Index};
use std::{collections::BTreeMap, time::Duration};

const WORKERS: usize = 3;
const BACKENDS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// A request arrives at a worker that may use the backends of the mask.
    Arrive(usize, u8),
    /// The nth busy connection is through; whether it can be kept.
    Finish(Index, bool),
    /// The nth idle connection ends.
    Lose(Index),
    /// The nth waiting request gives up.
    Cancel(Index),
    /// A worker answers its wake-ups.
    Answer(usize),
    /// Time passes; whether the owner's timers run.
    Pass(Duration, bool),
    /// A backend goes down or comes back.
    Toggle(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..WORKERS;
    prop_oneof![
        12 => (worker.clone(), 1u8..1 << BACKENDS).prop_map(|(worker, mask)| Step::Arrive(worker, mask)),
        8 => (any::<Index>(), prop::bool::weighted(0.8)).prop_map(|(nth, keep)| Step::Finish(nth, keep)),
        1 => any::<Index>().prop_map(Step::Lose),
        2 => any::<Index>().prop_map(Step::Cancel),
        6 => worker.prop_map(Step::Answer),
        2 => (0u64..3000, any::<bool>()).prop_map(|(ms, timers)| Step::Pass(Duration::from_millis(ms), timers)),
        1 => (0..BACKENDS).prop_map(Step::Toggle),
    ]
}

#[derive(Debug)]
struct Request {
    worker: usize,
    usable: u8,
    /// The backends that it named as full when it last joined the line.
    full: BackendSet,
}

#[derive(Debug)]
struct Kept {
    worker: usize,
    backend: BackendId,
    until: Instant,
}

struct World {
    slots: Arc<Slots>,
    pools: Vec<Pool<u32>>,
    wakeups: Wakeups,
    limits: [usize; BACKENDS],
    now: Instant,
    up: [bool; BACKENDS],
    /// Backends have gone down or come back: then an older request may rejoin behind a grant that was already made.
    toggled: bool,
    last: u32,
    /// By ticket, hence in order of arrival.
    waiting: BTreeMap<u32, Request>,
    busy: Vec<(usize, u32, Lease)>,
    idle: BTreeMap<u32, Kept>,
    expected: Stats,
}

impl World {
    fn new(limits: [usize; BACKENDS], config: PoolConfig) -> Self {
        let slots = Arc::new(Slots::new(&backends(&limits.map(Some)), config, WORKERS));
        Self {
            wakeups: Wakeups::attach(&slots),
            pools: (0..WORKERS).map(|worker| Pool::new(Arc::clone(&slots), worker)).collect(),
            slots,
            limits,
            now: start(),
            up: [true; BACKENDS],
            toggled: false,
            last: 0,
            waiting: BTreeMap::new(),
            busy: Vec::new(),
            idle: BTreeMap::new(),
            expected: Stats::default(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Arrive(worker, usable) => self.arrive(worker, usable),
            Step::Finish(nth, keep) if !self.busy.is_empty() => self.finish(nth.index(self.busy.len()), keep),
            Step::Lose(nth) if !self.idle.is_empty() => {
                let conn = *nth.get(&self.idle.keys().collect::<Vec<_>>());
                self.forget(*conn, NotKept::Lost);
            }
            Step::Cancel(nth) if !self.waiting.is_empty() => {
                let ticket = **nth.get(&self.waiting.keys().collect::<Vec<_>>());
                let request = self.waiting.remove(&ticket).unwrap();
                assert!(self.pools[request.worker].cancel(ticket));
                assert!(!self.pools[request.worker].cancel(ticket));
            }
            Step::Answer(worker) => self.answer(worker),
            Step::Pass(time, timers) => {
                self.now += time;
                while timers && let Some((&conn, _)) = self.idle.iter().find(|(_, kept)| kept.until <= self.now) {
                    self.forget(conn, NotKept::IdleTooLong);
                }
            }
            Step::Toggle(backend) => self.toggle(backend),
            Step::Finish(..) | Step::Lose(_) | Step::Cancel(_) => {}
        }
        self.check();
    }

    fn arrive(&mut self, worker: usize, usable: u8) {
        self.last += 1;
        let Err(full) = self.look(worker, usable, None) else { return };
        if self.pools[worker].wait(self.last, ONE, full.clone(), self.now) == Err(QueueFull) {
            self.expected.refused += 1;
            return;
        }
        self.expected.waited += 1;
        self.waiting.insert(self.last, Request { worker, usable, full });
    }

    /// Looks for a connection as a proxy does for a request: at the first of its backends that is up and has room,
    /// beginning with the one where room was made for it.
    fn look(&mut self, worker: usize, usable: u8, hint: Option<BackendId>) -> Result<(), BackendSet> {
        let mut full = BackendSet::new();
        let others = (0..BACKENDS as u16).map(BackendId).filter(|other| Some(*other) != hint);
        for backend in hint.into_iter().chain(others) {
            if usable & 1 << backend.index() == 0 || !self.up[backend.index()] {
                continue;
            }
            loop {
                match self.pools[worker].checkout(backend, self.now) {
                    Checkout::Reuse { conn, lease, .. } => {
                        let kept = self.idle.remove(&conn).expect("reused only what idles");
                        assert!(kept.worker == worker && kept.backend == backend && self.now < kept.until);
                        self.expected.reused += 1;
                        self.busy.push((worker, conn, lease));
                        return Ok(());
                    }
                    Checkout::Open(lease) => {
                        assert_eq!(lease.backend(), backend);
                        self.expected.opened += 1;
                        self.busy.push((worker, self.expected.opened as u32, lease));
                        return Ok(());
                    }
                    Checkout::Evict { conn, reason } => {
                        assert!(self.idle.remove(&conn).unwrap().until <= self.now);
                        self.expected.closed.add(reason);
                    }
                    Checkout::Full => break full.insert(backend),
                }
            }
        }
        Err(full)
    }

    fn finish(&mut self, nth: usize, keep: bool) {
        let (worker, conn, lease) = self.busy.swap_remove(nth);
        let backend = lease.backend();
        if !keep {
            self.pools[worker].ended(lease);
            self.expected.closed.add(NotKept::Ended);
        } else {
            match self.pools[worker].checkin(conn, lease, self.now) {
                Checkin::Kept { until } => {
                    self.idle.insert(conn, Kept { worker, backend, until: until.unwrap() });
                }
                Checkin::Close(reason) => self.expected.closed.add(reason),
            }
        }
        self.serve(worker);
    }

    fn forget(&mut self, conn: u32, reason: NotKept) {
        let kept = self.idle.remove(&conn).unwrap();
        assert!(self.pools[kept.worker].forget(kept.backend, conn, reason));
        self.expected.closed.add(reason);
        self.serve(kept.worker);
    }

    fn answer(&mut self, worker: usize) {
        self.wakeups.take(worker);
        let mut closing = Vec::new();
        self.pools[worker].woken(&mut closing);
        self.gone(worker, &closing, NotKept::SlotWanted);
        self.serve(worker);
    }

    fn toggle(&mut self, index: usize) {
        self.toggled = true;
        self.up[index] = !self.up[index];
        let backend = BackendId(index as u16);
        for worker in 0..WORKERS {
            if !self.up[index] {
                let mut closing = Vec::new();
                self.pools[worker].retire(backend, &mut closing);
                self.gone(worker, &closing, NotKept::Retired);
            }
            self.pools[worker].reconsider();
            self.serve(worker);
        }
    }

    fn gone(&mut self, worker: usize, closing: &[u32], reason: NotKept) {
        for conn in closing {
            assert_eq!(self.idle.remove(conn).expect("gave up only what idles").worker, worker);
            self.expected.closed.add(reason);
        }
    }

    fn serve(&mut self, worker: usize) {
        while let Some(granted) = self.pools[worker].granted() {
            let request = self.waiting.remove(&granted.ticket).expect("granted only who waits, and once");
            assert_eq!(request.worker, worker);
            if let (Some(backend), false) = (granted.backend, self.toggled) {
                let mut older = self.waiting.range(..granted.ticket).map(|(_, other)| other);
                let overtaken = older.find(|other| other.worker == worker && other.full.contains(backend));
                assert!(overtaken.is_none(), "{granted:?} overtook {overtaken:?}");
            }
            if let Err(full) = self.look(worker, request.usable, granted.backend) {
                self.waiting.insert(granted.ticket, Request { full: full.clone(), ..request });
                self.pools[worker].wait_again(granted, full);
            }
        }
    }

    fn held(&self, backend: BackendId) -> usize {
        let busy = self.busy.iter().filter(|(_, _, lease)| lease.backend() == backend).count();
        busy + self.idle.values().filter(|kept| kept.backend == backend).count()
    }

    fn check(&self) {
        let mut sum = Stats::default();
        self.pools.iter().for_each(|pool| sum += pool.stats());
        let (idle, busy, waiting) = (self.idle.len(), self.busy.len(), self.waiting.len());
        assert_eq!(sum, Stats { idle, busy, waiting, ..self.expected });
        for (worker, pool) in self.pools.iter().enumerate() {
            let oldest = self.waiting.iter().find(|(_, request)| request.worker == worker);
            assert_eq!(pool.oldest().map(|(ticket, _)| ticket), oldest.map(|(ticket, _)| *ticket));
        }
        let awake = (0..WORKERS).any(|worker| self.wakeups.pending(worker));
        for (index, limit) in self.limits.into_iter().enumerate() {
            let backend = BackendId(index as u16);
            let open = self.slots.open(backend).unwrap();
            assert!(self.held(backend) <= open && open <= limit, "{} <= {open} <= {limit}", self.held(backend));
            assert!(awake || self.held(backend) == open, "a slot is under way, but nobody to fetch it");
            for request in self.waiting.values().filter(|request| request.full.contains(backend)) {
                let fetch = self.wakeups.pending(request.worker);
                assert!(open == limit || fetch, "a slot of {index} is free, and {request:?} is not told");
                for kept in self.idle.values().filter(|kept| kept.backend == backend) {
                    assert!(fetch || self.wakeups.pending(kept.worker), "{kept:?} idles, {request:?} waits");
                }
            }
        }
    }

    fn settle(&mut self) {
        let mut rounds = 0;
        while let Some(worker) = (0..WORKERS).find(|&worker| self.wakeups.pending(worker)) {
            self.answer(worker);
            self.check();
            rounds += 1;
            assert!(rounds < 1000, "wake-ups that never end");
        }
    }

    /// Everything that runs is finished, until nothing runs: then no request waits that could be served.
    fn finish_all(mut self) {
        self.settle();
        while !self.busy.is_empty() {
            self.finish(0, true);
            self.check();
            self.settle();
        }
        for request in self.waiting.values() {
            assert!((0..BACKENDS).all(|index| request.usable & 1 << index == 0 || !self.up[index]), "{request:?}");
        }
        for backend in (0..BACKENDS as u16).map(BackendId) {
            assert_eq!(self.slots.open(backend), Some(self.held(backend)));
        }
        let slots = Arc::clone(&self.slots);
        drop(self);
        assert!((0..BACKENDS as u16).all(|index| slots.open(BackendId(index)) == Some(0)), "{slots:?}");
        assert_eq!(slots.waiting(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_request_waits_for_a_connection_that_nobody_uses(
        limits in prop::array::uniform3(1usize..4),
        idle in prop_oneof![3 => Just(None), 1 => (0usize..6).prop_map(Some)],
        requests in prop::option::of(1u32..4),
        pooling in prop::bool::weighted(0.9),
        queue in prop_oneof![3 => Just(None), 1 => (0usize..4).prop_map(Some)],
        steps in vec(step(), 1..120),
    ) {
        let max = if pooling { CONFIG.max } else { 0 };
        let mut world = World::new(limits, PoolConfig { max, idle, requests, queue, ..CONFIG });
        steps.into_iter().for_each(|step| world.take(step));
        world.finish_all();
    }
}

/// A worker that dies leaves nothing behind that others wait for.
#[test]
fn the_slots_of_a_worker_that_is_gone_are_passed_on() {
    let mut world = World::new([2, 1, 1], CONFIG);
    for worker in [0, 0, 1, 0, 2] {
        world.take(Step::Arrive(worker, 1));
    }
    assert_eq!((world.busy.len(), world.waiting.len()), (2, 3));
    let dead = std::mem::replace(&mut world.pools[0], Pool::new(Arc::clone(&world.slots), 0));
    drop(dead);
    assert!(world.wakeups.pending(1) && world.wakeups.pending(2));
    assert_eq!((world.slots.open(BackendId(0)), world.slots.waiting()), (Some(2), 0));
    let served: Vec<_> = [1, 2].iter().flat_map(|&worker| world.pools[worker].granted()).map(|it| it.ticket).collect();
    assert_eq!(served, [3, 5]);
    world.pools.clear();
    assert_eq!(world.slots.open(BackendId(0)), Some(0));
}
