//! Deadlines: a small table of instants for a connection or an exchange, one for each kind of thing that is waited
//! for. The owner tells the driver the earliest of them, and asks afterwards which one passed.
//!
//! | table | kinds |
//! |---|---|
//! | of a client's connection (`downstream.rs`) | what is read, and that the peer takes what is sent |
//! | of a backend's connection (`upstream.rs`) | the next part of an answer, and that the peer takes what is sent |
//! | of an exchange (`exchange/late.rs`) | its end, the end of a wait, the next part of the request's content |
//!
//! The deadlines of a request are the exchange's, those of a connection the connection's: so a connection may carry
//! several exchanges that are late each on its own.

use crate::{
    app::{Cx, TimerKey},
    time::Instant,
};
use std::marker::PhantomData;

/// A kind of deadline.
pub(super) trait Kind: Copy + 'static {
    /// All kinds of one table. If several passed, the first of them counts.
    const ALL: &'static [Self];

    /// Its place in the table.
    fn index(self) -> usize;
}

/// The deadlines of one owner, `N` kinds of them.
#[derive(Debug)]
pub(super) struct Due<K, const N: usize> {
    at: [Option<Instant>; N],
    /// The driver may know of one.
    armed: bool,
    kind: PhantomData<K>,
}

impl<K, const N: usize> Default for Due<K, N> {
    fn default() -> Self {
        Self { at: [None; N], armed: false, kind: PhantomData }
    }
}

impl<K: Kind, const N: usize> Due<K, N> {
    /// Sets, moves or (with `None`) drops a deadline.
    pub(super) fn set(&mut self, kind: K, at: Option<Instant>) {
        self.at[kind.index()] = at;
    }

    /// A deadline of which the driver knows already.
    pub(super) fn resume(&mut self, kind: K, at: Option<Instant>) {
        self.set(kind, at);
        self.armed = at.is_some();
    }

    /// When it is.
    pub(super) fn at(&self, kind: K) -> Option<Instant> {
        self.at[kind.index()]
    }

    /// Whether it passed.
    pub(super) fn is_past(&self, kind: K, now: Instant) -> bool {
        self.at(kind).is_some_and(|at| at <= now)
    }

    /// The earliest of all.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.at.iter().flatten().min().copied()
    }

    /// Tells the driver the earliest of all, under the owner's name; or nothing, where there is none and was none.
    pub(super) fn arm(&mut self, owner: TimerKey, cx: &mut Cx) {
        let earliest = self.earliest();
        if earliest.is_some() || self.armed {
            cx.set_deadline(owner, earliest);
        }
        self.armed = earliest.is_some();
    }

    /// Drops all of them.
    pub(super) fn clear(&mut self, owner: TimerKey, cx: &mut Cx) {
        self.at = [None; N];
        self.arm(owner, cx);
    }

    /// The first kind that passed.
    pub(super) fn past(&self, now: Instant) -> Option<K> {
        K::ALL.iter().copied().find(|kind| self.is_past(*kind, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Test {
        First,
        Second,
    }

    impl Kind for Test {
        const ALL: &'static [Self] = &[Self::First, Self::Second];

        fn index(self) -> usize {
            self as usize
        }
    }

    #[test]
    fn the_earliest_is_told_and_the_first_kind_that_passed() {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut due = Due::<Test, 2>::default();
        assert_eq!((due.earliest(), due.past(start)), (None, None));
        due.set(Test::First, Some(after(2)));
        due.set(Test::Second, Some(after(1)));
        assert_eq!(due.earliest(), Some(after(1)));
        assert_eq!(
            (due.past(start), due.past(after(1)), due.past(after(2))),
            (None, Some(Test::Second), Some(Test::First))
        );
        due.set(Test::First, None);
        assert_eq!((due.at(Test::First), due.past(after(2))), (None, Some(Test::Second)));
    }
}
