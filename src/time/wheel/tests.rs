use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn epoch() -> Instant {
    // Any instant will do: the tests count from it and never read the clock again.
    #[allow(clippy::disallowed_methods)]
    Instant::now()
}

fn expire_all(timers: &mut Timers<usize>, now: Instant) -> Vec<usize> {
    std::iter::from_fn(|| timers.expire(now)).collect()
}

#[test]
fn a_key_costs_little() {
    assert!(size_of::<Entry<u64>>() + size_of::<u32>() <= 48, "{}", size_of::<Entry<u64>>());
}

#[test]
fn a_deadline_passes_neither_early_nor_more_than_a_tick_late() {
    let spans = [0, 1, 63, 64, 65, 4095, 4096, 4097, 262_143, 262_144, 262_145, HORIZON, HORIZON + 1, 1 << 24, 1 << 26];
    // Where in the wheel's round the deadline is set; the last is shortly before the top level goes round.
    for start in [0, 1, 63, 64, 4095, 262_143, (1 << 24) - 1] {
        for span in spans {
            for fraction in [Duration::ZERO, MS, TICK - Duration::from_nanos(1)] {
                let mut timers = Timers::new(epoch());
                let now = timers.epoch + TICK * start;
                let at = now + TICK * span as u32 + fraction;
                assert_eq!(timers.expire(now), None);
                timers.set(7, Some(at), now);
                assert!(expire_all(&mut timers, at - MS).is_empty(), "early: {start} + {span}");
                assert_eq!(expire_all(&mut timers, at + TICK), [7], "late: {start} + {span}");
                assert_eq!((timers.next(), timers.occupied), (None, [0; LEVELS]));
            }
        }
    }
}

#[test]
fn waiting_for_next_looks_once_a_level_and_once_a_horizon() {
    for (wait, most) in [(TICK, 1), (TICK * 63, 2), (60_000 * MS, 4), (HOUR, 4), (40 * HOUR, 5), (400 * HOUR, 16)] {
        let mut timers = Timers::new(epoch());
        let start = timers.epoch + 123_457 * MS;
        assert_eq!(timers.expire(start), None);
        timers.set(0, Some(start + wait), start);
        let mut looks = 0;
        while let Some(next) = timers.next() {
            looks += 1;
            timers.expire(next);
        }
        assert!((1..=most).contains(&looks), "{looks} looks for {wait:?}");
    }
}

#[test]
fn a_later_deadline_is_a_field_write_and_an_earlier_one_is_filed() {
    let mut timers = Timers::new(epoch());
    let (now, key) = (timers.epoch, 3);
    timers.set(key, Some(now + 60_000 * MS), now);
    let (look, level) = (timers.entries[0].look, timers.entries[0].level);
    // 45 s is before the deadline, but not before the look at its slot, which starts after 40.96 s.
    for at in [Some(90_000), Some(60_000), None, Some(45_000), Some(40_960), None, Some(120_000)] {
        timers.set(key, at.map(|at| now + at * MS), now);
        assert_eq!((timers.entries[0].look, timers.entries[0].level), (look, level));
    }
    timers.set(key, Some(now + 300 * MS), now);
    assert_eq!((timers.entries[0].look, timers.entries[0].level), (30, 0));
    assert_eq!(expire_all(&mut timers, now + 300 * MS), [key]);
}

#[test]
fn a_dropped_deadline_wakes_nobody() {
    let mut timers = Timers::new(epoch());
    let now = timers.epoch;
    for (key, wait) in [(0, 10), (1, 5000), (2, 300_000)] {
        timers.set(key, Some(now + wait * MS), now);
        timers.set(key, None, now);
    }
    timers.set(9, None, now);
    assert_eq!((timers.next(), timers.entries.len()), (None, 3));
    assert!(expire_all(&mut timers, now + HOUR).is_empty());
    assert_eq!(timers.occupied, [0; LEVELS]);
}

#[test]
fn passed_deadlines_set_while_expiring_wait_for_the_next_tick() {
    let mut timers = Timers::new(epoch());
    let now = timers.epoch + HOUR;
    let key = 0;
    assert_eq!(timers.expire(now), None);
    timers.set(key, Some(now - MS), now);
    assert_eq!(timers.next(), Some(now + TICK));
    assert_eq!(timers.expire(now + TICK), Some(key));
    timers.set(key, Some(now), now + TICK);
    assert_eq!(timers.expire(now + TICK), None);
    assert_eq!(timers.expire(now + TICK * 2), Some(key));
}

#[test]
fn a_slot_s_next_tenant_is_named_by_its_own_generation() {
    /// A place and the generation of its tenant.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Tenant(usize, u32);

    impl Key for Tenant {
        fn index(self) -> usize {
            self.0
        }
    }

    let mut timers = Timers::new(epoch());
    let now = timers.epoch;
    timers.set(Tenant(0, 1), Some(now + 50 * MS), now);
    timers.set(Tenant(0, 1), None, now);
    timers.set(Tenant(0, 2), Some(now + 80 * MS), now);
    assert_eq!(timers.expire(now + 70 * MS), None);
    assert_eq!(timers.expire(now + 90 * MS), Some(Tenant(0, 2)));
}

#[test]
fn a_deadline_of_never_is_no_overflow() {
    let mut timers = Timers::new(epoch());
    let now = timers.epoch;
    let never = (0..63).rev().fold(now, |at, bit| at.checked_add(Duration::from_secs(1 << bit)).unwrap_or(at));
    timers.set(0, Some(never), now);
    timers.set(1, Some(now + 3_000_000 * HOUR), now);
    assert!(timers.next().is_some_and(|at| at < now + 48 * HOUR));
    assert!(expire_all(&mut timers, now + 1000 * HOUR).is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    /// Key, and how far ahead.
    Set(u8, Duration),
    /// Key, and how long ago.
    SetPassed(u8, Duration),
    Drop(u8),
    /// Lets time pass and takes what has passed; the first so many are set again, so far ahead.
    Advance(Duration, u8, Duration),
    /// The same, up to what `next` answers.
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let span = prop_oneof![
        2 => 0..30_000_000u64,
        4 => 0..2_000_000_000u64,
        4 => 0..120_000_000_000u64,
        2 => 0..8_000_000_000_000u64,
        1 => 0..900_000_000_000_000u64,
    ]
    .prop_map(Duration::from_nanos)
    .boxed();
    // Whole ticks are where off-by-one lives.
    let span = prop_oneof![3 => span.clone(), 1 => span.prop_map(|span| TICK * (span.as_millis() / 10) as u32)];
    let step = prop_oneof![
        6 => (0..24u8, span.clone()).prop_map(|(key, ahead)| Step::Set(key, ahead)),
        1 => (0..24u8, span.clone()).prop_map(|(key, ago)| Step::SetPassed(key, ago)),
        2 => (0..24u8).prop_map(Step::Drop),
        4 => (span.clone(), 0..4u8, span).prop_map(|(by, again, ahead)| Step::Advance(by, again, ahead)),
        4 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

/// The wheel beside a sorted map that counts in nanoseconds.
struct World {
    timers: Timers<usize>,
    now: Instant,
    /// Per key with a deadline: the tick it belongs to, and the deadline.
    model: BTreeMap<u8, (u128, Instant)>,
}

impl World {
    fn new() -> Self {
        let now = epoch();
        Self { timers: Timers::new(now), now, model: BTreeMap::new() }
    }

    fn nanos(&self, at: Instant) -> u128 {
        at.saturating_duration_since(self.timers.epoch).as_nanos()
    }

    fn present(&self) -> u128 {
        self.nanos(self.now) / TICK.as_nanos()
    }

    fn set(&mut self, key: u8, at: Option<Instant>) {
        self.timers.set(usize::from(key), at, self.now);
        match at {
            Some(at) => {
                let tick = self.nanos(at).div_ceil(TICK.as_nanos()).max(self.present() + 1);
                self.model.insert(key, (tick, at));
            }
            None => drop(self.model.remove(&key)),
        }
    }

    /// Takes everything that has passed, setting the first `again` anew.
    fn expire(&mut self, mut again: u8, ahead: Duration) {
        let mut before = 0;
        while let Some(key) = self.timers.expire(self.now) {
            let key = u8::try_from(key).expect("one of ours");
            let (tick, at) = self.model.remove(&key).expect("set, and reported once");
            assert!(at <= self.now && tick <= self.present(), "early");
            assert!(tick >= before, "out of order");
            before = tick;
            if again > 0 {
                again -= 1;
                self.set(key, Some(self.now + ahead));
            }
        }
    }

    fn check(&self) {
        let next = self.timers.next();
        assert_eq!(self.timers.set, self.model.len());
        assert_eq!(next.is_some(), !self.model.is_empty());
        assert!(next.is_none_or(|next| next > self.now), "next() would spin");
        for &(tick, _) in self.model.values() {
            assert!(tick > self.present(), "late");
            assert!(next.is_some_and(|next| self.nanos(next) <= tick * TICK.as_nanos()), "next() would sleep past it");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn behaves_as_a_sorted_map(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Set(key, ahead) => world.set(key, Some(world.now + ahead)),
                Step::SetPassed(key, ago) => {
                    world.set(key, Some(world.now.checked_sub(ago).unwrap_or(world.now)));
                }
                Step::Drop(key) => world.set(key, None),
                Step::Advance(by, again, ahead) => {
                    world.now += by;
                    world.expire(again, ahead);
                }
                Step::Wait => {
                    world.now = world.timers.next().unwrap_or(world.now);
                    world.expire(0, Duration::ZERO);
                }
            }
            world.check();
        }
        // All deadlines that are left pass when their time comes, and no others.
        world.now += 2000 * HOUR;
        world.expire(0, Duration::ZERO);
        prop_assert!(world.model.is_empty());
        prop_assert_eq!(world.timers.next(), None);
        prop_assert_eq!(world.timers.occupied, [0; LEVELS]);
    }
}
