//! Which deadline is next: a timing wheel (Varghese and Lauck, 1987), four levels of 64 slots, one tick 10 ms.
//!
//! ```text
//!   level 0   64 slots of 10 ms       the next 0.64 s, one slot a tick
//!   level 1   64 slots of 0.64 s      the next 41 s
//!   level 2   64 slots of 41 s        the next 44 min
//!   level 3   64 slots of 44 min      the next 46 h; what is due even later waits in its last slot
//! ```
//!
//! A deadline is filed in the level of the highest digit (base 64) in which its tick differs from the present one. When
//! time reaches the start of a slot, its entries are looked at and filed again, lower, until they are due.
//!
//! That look is also what makes moving a deadline cheap. Nearly every deadline is moved before it passes, so an entry
//! only promises to be *looked at* in time: whatever is not before that look is a field write, and the look finds out.
//!
//! No deadline passes early. One passes at most a tick late, counted from when it was set if it had passed by then.

use crate::time::Instant;
use std::time::Duration;

/// Finer than any limit a server sets, coarse enough that a busy loop looks at most a hundred times a second.
const TICK: Duration = Duration::from_millis(10);
const TICK_NANOS: u64 = TICK.as_nanos() as u64;

const LEVELS: usize = 4;
/// A digit of a tick: 64 slots a level, as many as a word has bits.
const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
/// How far ahead an entry is filed at most. One slot less than the wheel has, or the last would meet the present one.
const HORIZON: u64 = (SLOTS as u64 - 1) << (DIGIT as usize * (LEVELS - 1));

/// The tick of a deadline that was dropped.
const NEVER: u64 = u64::MAX;
/// No entry: ends a list, or marks a key without one.
const NONE: u32 = u32::MAX;

/// The name of a deadline.
pub trait Key: Copy {
    /// Its place in a table. Two keys have one place only if they never have deadlines at the same time. Places must be small
    /// numbers, for the table is as long as the largest of them.
    fn index(self) -> usize;
}

/// A name that is its own place.
impl Key for usize {
    fn index(self) -> usize {
        self
    }
}

/// One deadline per key.
///
/// A key costs 44 bytes from its first deadline on; later keys with the same index use them again.
#[derive(Debug)]
pub struct Timers<K> {
    /// Tick 0.
    epoch: Instant,
    /// Every slot that starts before this tick has been looked at. Its own slot in level 0 may be in the middle of it.
    tick: u64,
    /// No entry has to be looked at before this tick. [`NEVER`]: there is none at all.
    quiet_until: u64,
    /// How many keys have a deadline; an entry whose deadline was dropped may still be filed.
    set: usize,
    /// Per level, a bit for each slot that has entries.
    occupied: [u64; LEVELS],
    /// Per slot, the first of its entries.
    slots: [[u32; SLOTS]; LEVELS],
    entries: Vec<Entry<K>>,
    /// The entry of each key, by [`Key::index`].
    places: Vec<u32>,
}

/// A key's deadline, and where in the wheel it is filed: a list through all entries of a slot.
#[derive(Debug)]
struct Entry<K> {
    /// The tick in which the deadline passes, or [`NEVER`].
    due: u64,
    /// Start of the slot it is filed in: when it is looked at. Never after `due`. [`NEVER`] if it is not filed.
    look: u64,
    prev: u32,
    next: u32,
    key: K,
    /// Which of the lists it is in, for `look` alone does not tell.
    level: u8,
}

impl<K: Key> Timers<K> {
    /// No deadline. Ticks are counted from `now`; no later call may name an earlier time.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            tick: 0,
            quiet_until: NEVER,
            set: 0,
            occupied: [0; LEVELS],
            slots: [[NONE; SLOTS]; LEVELS],
            entries: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Sets, moves or (with `None`) drops the deadline of `key`. Constant time; for a deadline not before the filed one, a
    /// field write.
    ///
    /// A deadline that has passed already is reported in the next tick, never by the [`Timers::expire`] calls of this
    /// turn: else an application that answers each report with another such deadline would never get out of them.
    pub fn set(&mut self, key: K, at: Option<Instant>, now: Instant) {
        if self.quiet_until == NEVER {
            // Nothing is filed: until now there was no reason to keep the tick up to date.
            self.tick = self.tick.max(self.tick_at(now));
        }
        let due = match at {
            Some(at) if at > now => self.tick_after(at).max(self.tick + 1),
            Some(_) => self.tick_at(now).max(self.tick) + 1,
            None => NEVER,
        };
        let Some(id) = self.entry_of(key, at.is_some()) else { return };
        let entry = &mut self.entries[id as usize];
        self.set -= usize::from(entry.due != NEVER);
        self.set += usize::from(due != NEVER);
        entry.due = due;
        entry.key = key;
        if due < entry.look {
            self.unfile(id);
            self.file(id);
        }
    }

    /// When to call [`Timers::expire`] again, at the latest. `None`: there is no deadline.
    ///
    /// Not before the next tick once `expire` has answered `None`, so waiting for it never spins. It may be earlier than
    /// any deadline, by a few times per deadline: entries have to be looked at in between.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if self.set == 0 {
            return None;
        }
        // The horizon keeps looks within two days from the present tick: this does not overflow.
        let tick = Some(self.quiet_until).filter(|tick| *tick != NEVER);
        tick.map(|tick| self.epoch + Duration::from_nanos(tick.saturating_mul(TICK_NANOS)))
    }

    /// Takes a deadline that has passed, those of earlier ticks first. Call until `None`.
    #[inline]
    pub fn expire(&mut self, now: Instant) -> Option<K> {
        // Of the wheels of an event loop, most have nothing filed most of the time, and each is asked in each turn.
        if self.quiet_until == NEVER { None } else { self.expire_filed(now) }
    }

    fn expire_filed(&mut self, now: Instant) -> Option<K> {
        let present = self.tick_at(now);
        while self.quiet_until <= present {
            let look = self.next_look().unwrap_or(NEVER);
            self.quiet_until = look;
            if look > present {
                break;
            }
            self.tick = look;
            self.lower();
            let Some(id) = self.take_present(0) else { continue };
            let entry = &mut self.entries[id as usize];
            if entry.due <= look {
                entry.due = NEVER;
                self.set -= 1;
                return Some(entry.key);
            }
            // Moved since it was filed, or dropped.
            self.file(id);
        }
        self.tick = self.tick.max(present);
        None
    }

    /// The entry of `key`; made if there is none and it is needed.
    fn entry_of(&mut self, key: K, needed: bool) -> Option<u32> {
        let index = key.index();
        match self.places.get(index) {
            Some(&id) if id != NONE => return Some(id),
            _ if !needed => return None,
            Some(_) => {}
            None => self.places.resize(index + 1, NONE),
        }
        let id = u32::try_from(self.entries.len()).expect("keys are numbered in 32 bits, and few of them");
        self.places[index] = id;
        self.entries.push(Entry { due: NEVER, look: NEVER, prev: NONE, next: NONE, key, level: 0 });
        Some(id)
    }

    /// The earliest start of a slot that has entries.
    fn next_look(&self) -> Option<u64> {
        let earliest_in = |level: usize| {
            let occupied = self.occupied[level];
            let digits = self.tick >> shift(level);
            // Slots before the present one are of the next round.
            let ahead = occupied.rotate_right(slot_of(self.tick, level) as u32).trailing_zeros();
            (occupied != 0).then(|| (digits + u64::from(ahead)) << shift(level))
        };
        (0..LEVELS).filter_map(earliest_in).min()
    }

    /// Empties the slots of the upper levels that start in this tick: their entries go to lower levels.
    fn lower(&mut self) {
        for level in 1..LEVELS {
            // Entries that are filed again go to slots that start later or to lower levels: this ends.
            while let Some(id) = self.take_present(level) {
                self.file(id);
            }
        }
    }

    /// Takes an entry out of the slot of `level` that the present tick is in.
    fn take_present(&mut self, level: usize) -> Option<u32> {
        let id = self.slots[level][slot_of(self.tick, level)];
        if id == NONE {
            return None;
        }
        self.unfile(id);
        Some(id)
    }

    /// Puts an entry that is in no list where it will be looked at in time. A dropped one stays out.
    fn file(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        if entry.due == NEVER {
            return;
        }
        debug_assert!(entry.due >= self.tick, "a deadline was filed in the past");
        let reach = entry.due.min(self.tick + HORIZON);
        let differing = (reach ^ self.tick).checked_ilog2().unwrap_or(0);
        // Beyond the top digit the top level goes round.
        let level = ((differing / DIGIT) as usize).min(LEVELS - 1);
        let slot = slot_of(reach, level);
        let head = &mut self.slots[level][slot];
        entry.look = reach >> shift(level) << shift(level);
        self.quiet_until = self.quiet_until.min(entry.look);
        entry.level = level as u8;
        entry.prev = NONE;
        entry.next = *head;
        let next = std::mem::replace(head, id);
        self.occupied[level] |= 1 << slot;
        if next != NONE {
            self.entries[next as usize].prev = id;
        }
    }

    /// Takes an entry out of its list, if it is in one.
    fn unfile(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        if entry.look == NEVER {
            return;
        }
        let (level, prev, next) = (entry.level as usize, entry.prev, entry.next);
        let slot = slot_of(entry.look, level);
        entry.look = NEVER;
        if next != NONE {
            self.entries[next as usize].prev = prev;
        }
        if prev != NONE {
            self.entries[prev as usize].next = next;
            return;
        }
        self.slots[level][slot] = next;
        if next == NONE {
            self.occupied[level] &= !(1 << slot);
        }
    }

    /// The tick that `at` is in.
    fn tick_at(&self, at: Instant) -> u64 {
        at.nanos_since(self.epoch) / TICK_NANOS
    }

    /// The first tick that does not start before `at`.
    fn tick_after(&self, at: Instant) -> u64 {
        at.nanos_since(self.epoch).div_ceil(TICK_NANOS)
    }
}

/// How many lower bits of a tick a level ignores.
fn shift(level: usize) -> u32 {
    DIGIT * level as u32
}

/// Which slot of `level` a tick belongs to.
fn slot_of(tick: u64, level: usize) -> usize {
    (tick >> shift(level)) as usize % SLOTS
}

#[cfg(test)]
mod tests;
