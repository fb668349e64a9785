//! Which of a worker's requests has which place in line.

use super::turns::Place;
use crate::time::Instant;
use std::collections::BTreeMap;

/// The waiting requests of one worker, in order of arrival.
#[derive(Debug)]
pub(super) struct Tickets<T> {
    /// By [`Place::number`].
    entries: BTreeMap<u64, (Place, T)>,
    numbers: BTreeMap<T, u64>,
}

impl<T: Copy + Ord> Tickets<T> {
    pub(super) fn new() -> Self {
        Self { entries: BTreeMap::new(), numbers: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, place: Place, ticket: T) {
        self.entries.insert(place.number, (place, ticket));
        self.numbers.insert(ticket, place.number);
    }

    pub(super) fn oldest(&self) -> Option<(T, Instant)> {
        self.entries.first_key_value().map(|(_, (place, ticket))| (*ticket, place.since))
    }

    /// Takes out the request that has `place`.
    pub(super) fn take(&mut self, place: Place) -> Option<T> {
        let (_, ticket) = self.entries.remove(&place.number)?;
        self.numbers.remove(&ticket);
        Some(ticket)
    }

    /// Takes out a request by its ticket.
    pub(super) fn cancel(&mut self, ticket: T) -> Option<Place> {
        let number = self.numbers.remove(&ticket)?;
        self.entries.remove(&number).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::testing::{self, ONE};

    #[test]
    fn tickets_are_found_by_place_and_by_name() {
        let since = testing::start();
        let place = |number| Place { turn: 0, number, since, client: ONE };
        let mut tickets = Tickets::new();
        [3, 1, 2, 9].into_iter().for_each(|number| tickets.insert(place(number), number * 10));
        assert_eq!((tickets.oldest(), tickets.len()), (Some((10, since)), 4));
        assert_eq!((tickets.take(place(2)), tickets.take(place(2))), (Some(20), None));
        assert_eq!((tickets.cancel(90), tickets.cancel(90)), (Some(place(9)), None));
        assert_eq!((tickets.take(place(1)), tickets.take(place(3)), tickets.oldest()), (Some(10), Some(30), None));
    }
}
