//! Real threads: no wake-up is lost, whatever the timing.

use super::{testing::*, *};
use std::{
    hint,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

const A: BackendId = BackendId(0);

/// A bell that wakes a sleeping thread, as the waker of an event loop does.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.heard.notify_one();
    }

    /// Waits for a ring if `block`, far longer than any is under way. Whether it rang.
    fn listen(&self, block: bool) -> bool {
        let rung = self.rung.lock().unwrap();
        let timeout = if block { 10 * SECOND } else { Duration::ZERO };
        let (mut rung, _) = self.heard.wait_timeout_while(rung, timeout, |rung| !*rung).unwrap();
        std::mem::take(&mut rung)
    }
}

/// One event loop: keeps `PARALLEL` requests going until it has had its share, then serves the others' wake-ups.
struct Loop<'a> {
    pool: Pool<u64>,
    bell: Arc<Bell>,
    shared: &'a Shared,
    start: Instant,
    busy: Vec<(u64, Lease)>,
    closing: Vec<u64>,
    begun: u32,
    done: u32,
    random: u64,
}

struct Shared {
    turns: AtomicU64,
    next_conn: AtomicU64,
    finished: AtomicUsize,
    bells: Vec<Arc<Bell>>,
}

const PARALLEL: u32 = 3;
const REQUESTS: u32 = 4000;

impl Loop<'_> {
    fn run(mut self) -> Stats {
        while self.shared.finished.load(SeqCst) < self.shared.bells.len() {
            let starting = self.begun < REQUESTS && self.begun - self.done < PARALLEL;
            let block = self.busy.is_empty() && !starting;
            if self.bell.listen(block) {
                self.pool.woken(&mut self.closing);
                self.closing.clear();
                self.serve();
            } else {
                assert!(!block, "nothing to do, and nobody rings: {:?}", self.pool);
            }
            if starting {
                self.begun += 1;
                if let Err(full) = self.look() {
                    let now = self.now();
                    self.pool.wait(self.begun, ONE, full, now).expect("the queue has room for all");
                }
            }
            if self.random() % 4 < 3 {
                self.finish_one();
            }
        }
        self.pool.stats()
    }

    /// A millisecond a turn, so that the patience of waiting requests runs out now and then.
    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.shared.turns.fetch_add(1, SeqCst) / 16)
    }

    fn look(&mut self) -> Result<(), BackendSet> {
        let now = self.now();
        let first = (self.random() % 2) as u16;
        let mut full = BackendSet::new();
        for backend in [BackendId(first), BackendId(1 - first)] {
            loop {
                match self.pool.checkout(backend, now) {
                    Checkout::Reuse { conn, lease, .. } => {
                        self.busy.push((conn, lease));
                        return Ok(());
                    }
                    Checkout::Open(lease) => {
                        self.busy.push((self.shared.next_conn.fetch_add(1, SeqCst), lease));
                        return Ok(());
                    }
                    Checkout::Evict { .. } => {}
                    Checkout::Full => break full.insert(backend),
                }
            }
        }
        Err(full)
    }

    fn finish_one(&mut self) {
        if self.busy.is_empty() {
            return;
        }
        let nth = self.random() as usize % self.busy.len();
        let (conn, lease) = self.busy.swap_remove(nth);
        if self.random().is_multiple_of(8) {
            self.pool.ended(lease);
        } else {
            let _ = self.pool.checkin(conn, lease, self.now());
        }
        self.done += 1;
        self.serve();
        if self.done == REQUESTS && self.shared.finished.fetch_add(1, SeqCst) + 1 == self.shared.bells.len() {
            self.shared.bells.iter().for_each(|bell| bell.ring());
        }
    }

    fn serve(&mut self) {
        while let Some(granted) = self.pool.granted() {
            if let Err(full) = self.look() {
                self.pool.wait_again(granted, full);
            }
        }
    }

    /// xorshift: any spread of choices will do.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

#[test]
fn four_event_loops_share_three_connections() {
    const WORKERS: usize = 4;
    let slots = Arc::new(Slots::new(&backends(&[Some(1), Some(2)]), CONFIG, WORKERS));
    let shared = Shared {
        turns: AtomicU64::new(0),
        next_conn: AtomicU64::new(0),
        finished: AtomicUsize::new(0),
        bells: (0..WORKERS).map(|_| Arc::default()).collect(),
    };
    let mut sum = Stats::default();
    thread::scope(|scope| {
        let start = |worker: usize| {
            let bell = Arc::clone(&shared.bells[worker]);
            let ring = Arc::clone(&bell);
            slots.attach(worker, Arc::new(move || ring.ring()));
            let pool = Pool::new(Arc::clone(&slots), worker);
            let shared = &shared;
            let (start, random) = (start(), 88172645463325252 + worker as u64);
            let (busy, closing) = (Vec::new(), Vec::new());
            scope.spawn(move || Loop { pool, bell, shared, start, busy, closing, begun: 0, done: 0, random }.run())
        };
        let threads: Vec<_> = (0..WORKERS).map(start).collect();
        threads.into_iter().for_each(|thread| sum += thread.join().unwrap());
    });
    assert_eq!(sum.opened + sum.reused, u64::from(REQUESTS) * WORKERS as u64);
    assert_eq!((sum.busy, sum.waiting, slots.waiting()), (0, 0, 0));
    assert!(sum.closed.count(NotKept::SlotWanted) > 0, "the test is about handing over");
    assert_eq!(
        (slots.open(A), slots.open(BackendId(1))),
        (Some(0), Some(0)),
        "the pools are gone, and their slots free"
    );
}

/// Two workers and one connection: worker 0 lets go of it in the very moment in which a request of worker 1 finds the
/// backend full. Round after round, a little more or less apart.
struct Race {
    slots: Arc<Slots>,
    wakeups: Wakeups,
    now: Instant,
    /// How often a worker has come to a meeting.
    met: AtomicU32,
    /// The last round in which each worker has done its part.
    done: [AtomicU32; 2],
}

const ROUNDS: u32 = 4000;

impl Race {
    fn new() -> Self {
        let slots = Arc::new(Slots::new(&backends(&[Some(1)]), CONFIG, 2));
        let (wakeups, done) = (Wakeups::attach(&slots), [AtomicU32::new(0), AtomicU32::new(0)]);
        Self { slots, wakeups, now: start(), met: AtomicU32::new(0), done }
    }

    /// How many requests had to wait.
    fn run(&self, let_go: fn(&mut Pool<u32>, Lease, Instant)) -> u32 {
        thread::scope(|scope| {
            let other = scope.spawn(|| self.let_go(let_go));
            let waited = self.ask();
            other.join().unwrap();
            waited
        })
    }

    fn let_go(&self, let_go: fn(&mut Pool<u32>, Lease, Instant)) {
        let mut pool: Pool<u32> = Pool::new(Arc::clone(&self.slots), 0);
        for round in 1..=ROUNDS {
            let Checkout::Open(lease) = pool.checkout(A, self.now) else { panic!("round {round}: all was given back") };
            self.meet();
            self.stagger(round, 0, round % 61);
            let_go(&mut pool, lease, self.now);
            self.done[0].store(round, SeqCst);
            self.meet();
            if self.wakeups.take(0) {
                pool.woken(&mut Vec::new());
            }
            self.meet(); // The request has what it needs, or never will.
            self.meet(); // It is through.
            pool.retire(A, &mut Vec::new());
        }
    }

    fn ask(&self) -> u32 {
        let mut pool: Pool<u32> = Pool::new(Arc::clone(&self.slots), 1);
        let mut waited = 0;
        for round in 1..=ROUNDS {
            self.meet();
            self.stagger(round, 1, round % 67);
            let mut checkout = pool.checkout(A, self.now);
            if checkout == Checkout::Full {
                pool.wait(round, ONE, [A].into_iter().collect(), self.now).expect("nobody else waits");
            }
            self.done[1].store(round, SeqCst);
            self.meet();
            self.meet();
            if checkout == Checkout::Full {
                waited += 1;
                let told = self.wakeups.take(1);
                let ticket = pool.granted().map(|granted| granted.ticket);
                assert_eq!((told, ticket), (true, Some(round)), "nobody uses the connection, and nobody says so");
                checkout = pool.checkout(A, self.now);
            }
            let Checkout::Open(lease) = checkout else { panic!("round {round}: {checkout:?}") };
            pool.ended(lease);
            assert!(pool.granted().is_none());
            self.wakeups.clear();
            self.meet();
        }
        waited
    }

    /// In two rounds of eight the order is certain, one way and the other; in the rest it is close.
    fn stagger(&self, round: u32, worker: usize, spins: u32) {
        if (round + 4 * worker as u32).is_multiple_of(8) {
            spin_until(|| self.done[1 - worker].load(SeqCst) == round);
        }
        (0..spins).for_each(|_| hint::spin_loop());
    }

    /// Waits for the other worker.
    fn meet(&self) {
        let both = (self.met.fetch_add(1, SeqCst) / 2 + 1) * 2;
        spin_until(|| self.met.load(SeqCst) >= both);
    }
}

fn spin_until(done: impl Fn() -> bool) {
    let mut spins = 0u32;
    while !done() {
        spins += 1;
        if spins.is_multiple_of(1000) {
            thread::yield_now()
        } else {
            hint::spin_loop()
        }
        assert!(spins < 1 << 26, "the other thread is gone");
    }
}

#[test]
fn a_slot_that_is_freed_while_a_request_joins_is_not_lost() {
    let waited = Race::new().run(|pool, lease, _| pool.ended(lease));
    assert!((ROUNDS / 8..=ROUNDS * 7 / 8).contains(&waited), "both orders occur: {waited} of {ROUNDS}");
}

#[test]
fn a_connection_that_becomes_idle_while_a_request_joins_is_given_up() {
    let waited = Race::new().run(|pool, lease, now| {
        let _ = pool.checkin(7, lease, now);
    });
    assert_eq!(waited, ROUNDS, "busy or idle, it is another worker's");
}

/// A slot that a request waits for is handed over; a third worker that tries to take it all the time never gets it.
#[test]
fn a_slot_that_is_wanted_is_never_up_for_grabs() {
    let slots = Slots::new(&backends(&[Some(1)]), CONFIG, 3);
    let (wanted, now): (BackendSet, _) = ([A].into_iter().collect(), start());
    let (grabbing, over) = (AtomicBool::new(false), AtomicBool::new(false));
    assert!(slots.take(A));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                assert!(!slots.take(A), "the request that waits has been overtaken");
                grabbing.store(true, SeqCst);
            }
        });
        spin_until(|| grabbing.load(SeqCst));
        for round in 0..20_000 {
            let (from, to) = (round % 2, 1 - round % 2);
            slots.wait(to, ONE, now, &wanted).expect("nobody else waits");
            slots.release(from, A);
            let granted = slots.next_grant(to).map(|(_, grant)| grant);
            if granted != Some(queue::Grant::Slot(A)) {
                break; // The other thread says what happened.
            }
        }
        over.store(true, SeqCst);
    });
    assert_eq!(slots.open(A), Some(1));
}
