//! A hash: fields with values, in the order in which they came while it is small.

use super::{ALLOCATION, Encodings};
use indexmap::IndexMap;

/// Memory of one field besides its bytes: its place, its part of the index, two allocations.
const FIELD: usize = 48 + 2 * ALLOCATION;

#[derive(Debug, Clone, Default)]
pub(crate) struct Hash {
    fields: IndexMap<Box<[u8]>, Box<[u8]>>,
    bytes: usize,
    /// The longest field or value that was set since it was last settled. `None`: none was.
    longest: Option<usize>,
    is_table: bool,
}

impl Hash {
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn weight(&self) -> usize {
        self.bytes
    }

    pub(super) fn encoding(&self) -> &'static str {
        if self.is_table { "hashtable" } else { "listpack" }
    }

    pub(crate) fn at(&self, field: &[u8]) -> Option<&[u8]> {
        self.fields.get(field).map(|value| &**value)
    }

    /// The field at a place, as it happens to be.
    pub(crate) fn nth(&self, index: usize) -> Option<(&[u8], &[u8])> {
        self.fields.get_index(index).map(|(field, value)| (&**field, &**value))
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(field, value)| (&**field, &**value))
    }

    /// Whether the field is new.
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.longest = self.longest.max(Some(field.len().max(value.len())));
        if let Some(place) = self.fields.get_mut(field) {
            self.bytes = self.bytes + value.len() - place.len();
            *place = value.into();
            return false;
        }
        self.bytes += field.len() + value.len() + FIELD;
        self.fields.insert(field.into(), value.into());
        true
    }

    pub(super) fn settle(&mut self, encodings: &Encodings) {
        if let Some(longest) = self.longest.take() {
            self.is_table |= !encodings.is_small_hash(self.fields.len(), longest);
        }
    }

    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let removed = if self.is_table { self.fields.swap_remove(field) } else { self.fields.shift_remove(field) };
        if let Some(value) = &removed {
            self.bytes -= field.len() + value.len() + FIELD;
        }
        if self.fields.len() * 4 < self.fields.capacity() {
            self.fields.shrink_to(self.fields.len() * 2);
        }
        removed.is_some()
    }

    /// Whether a scan tells all of it at once, as the original does for what is small.
    pub(crate) fn is_small(&self) -> bool {
        !self.is_table
    }
}
