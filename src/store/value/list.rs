//! A list: both ends are near, and so is each element by its place.

use super::ALLOCATION;
use std::collections::VecDeque;

#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    items: VecDeque<Box<[u8]>>,
    bytes: usize,
}

fn weight(item: &[u8]) -> usize {
    item.len() + ALLOCATION
}

/// The end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Left,
    Right,
}

impl List {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn weight(&self) -> usize {
        self.bytes + self.items.capacity() * size_of::<Box<[u8]>>()
    }

    pub(crate) fn push(&mut self, end: End, item: &[u8]) {
        self.bytes += weight(item);
        match end {
            End::Left => self.items.push_front(item.into()),
            End::Right => self.items.push_back(item.into()),
        }
    }

    pub(crate) fn pop(&mut self, end: End) -> Option<Box<[u8]>> {
        let item = match end {
            End::Left => self.items.pop_front(),
            End::Right => self.items.pop_back(),
        }?;
        self.bytes -= weight(&item);
        if self.items.capacity() > 64 && self.items.len() < self.items.capacity() / 4 {
            self.items.shrink_to(self.items.len() * 2);
        }
        Some(item)
    }

    pub(crate) fn at(&self, index: usize) -> Option<&[u8]> {
        self.items.get(index).map(|item| &**item)
    }

    pub(crate) fn range(&self, from: usize, to: usize) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.items.range(from..to).map(|item| &**item)
    }

    pub(crate) fn replace(&mut self, index: usize, item: &[u8]) {
        if let Some(place) = self.items.get_mut(index) {
            self.bytes = self.bytes + item.len() - place.len();
            *place = item.into();
        }
    }

    pub(crate) fn insert(&mut self, index: usize, item: &[u8]) {
        self.bytes += weight(item);
        self.items.insert(index, item.into());
    }

    /// Leaves only these.
    pub(crate) fn keep(&mut self, from: usize, to: usize) {
        self.items.truncate(to);
        self.items.drain(..from.min(to));
        self.bytes = self.items.iter().map(|item| weight(item)).sum();
        self.items.shrink_to(self.items.len() * 2);
    }

    /// Removes so many elements that are equal to `item`, from the left or from the right. Tells how many there were.
    pub(crate) fn remove(&mut self, item: &[u8], most: usize, end: End) -> usize {
        let equal = |place: &usize| &*self.items[*place] == item;
        let mut places: Vec<usize> = match end {
            End::Left => (0..self.items.len()).filter(equal).take(most).collect(),
            End::Right => (0..self.items.len()).rev().filter(equal).take(most).collect(),
        };
        places.sort_unstable();
        let (mut index, mut next) = (0, places.iter().copied().peekable());
        self.items.retain(|_| {
            index += 1;
            next.next_if_eq(&(index - 1)).is_none()
        });
        self.bytes -= places.len() * weight(item);
        places.len()
    }
}
