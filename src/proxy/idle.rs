//! Clients that neither ask nor are answered, in the order in which they began to do nothing.
//!
//! At `--max-connections` the longest idle one has to go for a client that waits. It is found, and each that asks again is taken
//! out, in one step: the entries are linked, and an entry is found by the index of its connection.

use crate::{app::ConnId, time::Instant};
use std::{num::NonZeroU32, time::Duration};

/// How long a client may take for the first byte of its first request before it counts as idle: nearly every client has that
/// ready when it connects, and to close it then would be to refuse it.
const MOMENT: Duration = Duration::from_secs(1);

/// The end of a list.
const NONE: u32 = u32::MAX;

/// The past of an idle client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// It connected, and has not asked for anything.
    Silent,
    /// It was answered.
    Served,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Of the connection; none while it is in no list. The table has an entry for each connection, so it is kept small.
    generation: Option<NonZeroU32>,
    /// Milliseconds since the list was made, wrapping.
    since: u32,
    past: Past,
    before: u32,
    after: u32,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

/// The idle clients of one worker: two lists, the longest idle first.
#[derive(Debug)]
pub(super) struct Idle {
    started: Instant,
    /// By [`ConnId::index`].
    entries: Vec<Entry>,
    lists: [Ends; 2],
}

impl Idle {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, entries: Vec::new(), lists: [Ends { first: NONE, last: NONE }; 2] }
    }

    /// `conn` has nothing to do from now on. If it had nothing before, it keeps its place.
    pub(super) fn enter(&mut self, conn: ConnId, past: Past, now: Instant) {
        let index = conn.index();
        if self.entries.len() <= index {
            let nobody = Entry { generation: None, since: 0, past, before: NONE, after: NONE };
            self.entries.resize(index + 1, nobody);
        }
        let generation = NonZeroU32::new(conn.generation());
        if self.entries[index].generation == generation {
            return;
        }
        let last = self.lists[past as usize].last;
        self.entries[index] = Entry { generation, since: self.millis(now), past, before: last, after: NONE };
        let index = u32::try_from(index).expect("fewer connections than 2^31");
        self.link(past, last, index);
        self.link(past, index, NONE);
    }

    /// `conn` does something, or is gone.
    pub(super) fn leave(&mut self, conn: ConnId) {
        let generation = NonZeroU32::new(conn.generation());
        let Some(entry) = self.entries.get_mut(conn.index()) else { return };
        if entry.generation.is_none() || entry.generation != generation {
            return;
        }
        entry.generation = None;
        let Entry { past, before, after, .. } = *entry;
        self.link(past, before, after);
    }

    /// The client that has done nothing for the longest time, and may be closed for another.
    pub(super) fn longest(&self, now: Instant) -> Option<ConnId> {
        let first = |past: Past| {
            let index = self.lists[past as usize].first;
            let entry = self.entries.get(index as usize)?;
            Some((self.millis(now).wrapping_sub(entry.since), ConnId::of_parts(index, entry.generation?.get())))
        };
        let silent = first(Past::Silent).filter(|(age, _)| u128::from(*age) >= MOMENT.as_millis());
        first(Past::Served).into_iter().chain(silent).max_by_key(|(age, _)| *age).map(|(_, conn)| conn)
    }

    /// Makes two entries neighbours; `NONE` stands for the end of the list.
    fn link(&mut self, past: Past, before: u32, after: u32) {
        match self.entries.get_mut(before as usize) {
            Some(entry) => entry.after = after,
            None => self.lists[past as usize].first = after,
        }
        match self.entries.get_mut(after as usize) {
            Some(entry) => entry.before = before,
            None => self.lists[past as usize].last = before,
        }
    }

    fn millis(&self, now: Instant) -> u32 {
        // Wraps after 49 days. No connection idles that long.
        now.saturating_duration_since(self.started).as_millis() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::Cx, time::Now};
    use std::time::SystemTime;

    #[test]
    fn the_longest_idle_is_first_and_who_asks_again_goes_to_the_end() {
        // Any instant will do: nothing here reads the clock again.
        #[allow(clippy::disallowed_methods)]
        let start = Instant::now();
        let mut cx = Cx::new(Now { instant: start, wall: SystemTime::UNIX_EPOCH });
        let conns: Vec<ConnId> = (0..5).map(|_| cx.allocate()).collect();
        let at = |millis| start + Duration::from_millis(millis);
        let mut idle = Idle::new(start);
        assert_eq!(idle.longest(at(0)), None);
        idle.leave(conns[4]);
        for (millis, conn) in [(0, 3), (1, 1), (2, 4), (3, 0)] {
            idle.enter(conns[conn], Past::Served, at(millis));
        }
        // It was idle before: its place is what it was.
        idle.enter(conns[3], Past::Served, at(4));
        for expected in [3, 1, 4, 0] {
            assert_eq!(idle.longest(at(9)), Some(conns[expected]));
            idle.leave(conns[expected]);
            idle.leave(conns[expected]);
        }
        assert_eq!(idle.longest(at(9)), None);
        // From the middle and from the end.
        (0..4).for_each(|conn| idle.enter(conns[conn], Past::Served, at(10 + conn as u64)));
        [1, 3].into_iter().for_each(|conn| idle.leave(conns[conn]));
        idle.enter(conns[1], Past::Served, at(20));
        for expected in [0, 2, 1] {
            assert_eq!(idle.longest(at(30)), Some(conns[expected]));
            idle.leave(conns[expected]);
        }
        // A stale name takes no client out.
        idle.enter(conns[0], Past::Served, at(40));
        cx.release(conns[0]);
        let next = cx.allocate();
        idle.leave(next);
        assert_eq!((next.index(), idle.longest(at(50))), (0, Some(conns[0])));
    }

    #[test]
    fn a_client_that_has_just_come_is_not_idle_yet() {
        #[allow(clippy::disallowed_methods)]
        let start = Instant::now();
        let mut cx = Cx::new(Now { instant: start, wall: SystemTime::UNIX_EPOCH });
        let (silent, served) = (cx.allocate(), cx.allocate());
        let mut idle = Idle::new(start);
        idle.enter(silent, Past::Silent, start);
        let just_before = start + MOMENT - Duration::from_millis(1);
        assert_eq!(idle.longest(just_before), None);
        idle.enter(served, Past::Served, just_before);
        assert_eq!(idle.longest(just_before), Some(served));
        assert_eq!(idle.longest(start + MOMENT), Some(silent));
    }
}
