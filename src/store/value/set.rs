//! A set: integers in order while it has few and nothing else, a table otherwise.

use super::{
    super::number::{self, Decimal},
    ALLOCATION, Encodings,
    encodings::MOST_INTS,
};
use indexmap::IndexSet;
use std::borrow::Cow;

/// Memory of one member besides its bytes.
const MEMBER: usize = 32 + ALLOCATION;

/// A member, which may have to be written first.
pub(crate) type Member<'s> = Cow<'s, [u8]>;

#[derive(Debug, Clone)]
pub(crate) enum Set {
    Ints {
        values: Vec<i64>,
        /// One is new since it was last settled.
        has_grown: bool,
    },
    Table {
        members: IndexSet<Box<[u8]>>,
        bytes: usize,
    },
}

impl Default for Set {
    fn default() -> Self {
        Self::Ints { values: Vec::new(), has_grown: false }
    }
}

fn written(value: i64) -> Vec<u8> {
    Decimal::new(value).bytes().to_vec()
}

impl Set {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ints { values, .. } => values.len(),
            Self::Table { members, .. } => members.len(),
        }
    }

    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Ints { values, .. } => values.capacity() * 8 + ALLOCATION,
            Self::Table { bytes, .. } => *bytes,
        }
    }

    pub(super) fn encoding(&self) -> &'static str {
        if self.is_small() { "intset" } else { "hashtable" }
    }

    /// Whether a scan tells all of it at once, as the original does.
    pub(crate) fn is_small(&self) -> bool {
        matches!(self, Self::Ints { .. })
    }

    pub(crate) fn has(&self, member: &[u8]) -> bool {
        match self {
            Self::Ints { values, .. } => {
                number::integer(member).is_some_and(|value| values.binary_search(&value).is_ok())
            }
            Self::Table { members, .. } => members.contains(member),
        }
    }

    /// The member at a place, as it happens to be.
    pub(crate) fn nth(&self, index: usize) -> Option<Member<'_>> {
        match self {
            Self::Ints { values, .. } => values.get(index).map(|value| Cow::Owned(written(*value))),
            Self::Table { members, .. } => members.get_index(index).map(|member| Cow::Borrowed(&**member)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        (0..self.len()).filter_map(|index| self.nth(index))
    }

    /// Whether it is new.
    pub(crate) fn add(&mut self, member: &[u8]) -> bool {
        if let Self::Ints { values, has_grown } = self {
            if let Some(value) = number::integer(member) {
                match values.binary_search(&value) {
                    Ok(_) => return false,
                    Err(place) if values.len() < MOST_INTS => {
                        values.insert(place, value);
                        *has_grown = true;
                        return true;
                    }
                    Err(_) => {}
                }
            }
            self.make_table();
        }
        let Self::Table { members, bytes } = self else { return false };
        if members.contains(member) {
            return false;
        }
        members.insert(member.into());
        *bytes += member.len() + MEMBER;
        true
    }

    fn make_table(&mut self) {
        if let Self::Ints { values, .. } = self {
            let members: IndexSet<Box<[u8]>> = values.iter().map(|value| written(*value).into_boxed_slice()).collect();
            let bytes = members.iter().map(|member| member.len() + MEMBER).sum();
            *self = Self::Table { members, bytes };
        }
    }

    pub(super) fn settle(&mut self, encodings: &Encodings) {
        if let Self::Ints { values, has_grown } = self
            && std::mem::take(has_grown)
            && !encodings.is_small_set(values.len())
        {
            self.make_table();
        }
    }

    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Self::Ints { values, .. } => {
                let place = number::integer(member).and_then(|value| values.binary_search(&value).ok());
                place.map(|place| values.remove(place)).is_some()
            }
            Self::Table { members, bytes } => {
                let removed = members.swap_remove(member);
                *bytes -= if removed { member.len() + MEMBER } else { 0 };
                if members.len() * 4 < members.capacity() {
                    members.shrink_to(members.len() * 2);
                }
                removed
            }
        }
    }
}
