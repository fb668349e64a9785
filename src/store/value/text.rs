//! A string: bytes, or an integer that is kept as one.

use super::{
    super::number::{self, Decimal},
    ALLOCATION,
};
use std::borrow::Cow;

/// Strings up to this length are `embstr` in the original until they are changed in place.
const EMBEDDED: usize = 44;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    Int(i64),
    /// As it was set.
    Plain(Box<[u8]>),
    /// Changed in place: it may have room to grow.
    Raw(Vec<u8>),
}

impl Text {
    /// As SET keeps it.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match if bytes.len() <= 20 { number::integer(bytes) } else { None } {
            Some(value) => Self::Int(value),
            None => Self::Plain(bytes.into()),
        }
    }

    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Int(value) => Cow::Owned(Decimal::new(*value).bytes().to_vec()),
            Self::Plain(bytes) => Cow::Borrowed(bytes),
            Self::Raw(bytes) => Cow::Borrowed(bytes),
        }
    }

    /// Does something with the bytes, without an allocation.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Int(value) => act(Decimal::new(*value).bytes()),
            Self::Plain(bytes) => act(bytes),
            Self::Raw(bytes) => act(bytes),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.with(<[u8]>::len)
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Plain(bytes) => number::integer(bytes),
            Self::Raw(bytes) => number::integer(bytes),
        }
    }

    /// The bytes, to be changed in place.
    pub(crate) fn raw(&mut self) -> &mut Vec<u8> {
        if !matches!(self, Self::Raw(_)) {
            *self = Self::Raw(self.bytes().into_owned());
        }
        match self {
            Self::Raw(bytes) => bytes,
            Self::Int(_) | Self::Plain(_) => unreachable!("it was made raw just now"),
        }
    }

    pub(super) fn encoding(&self) -> &'static str {
        match self {
            Self::Int(_) => "int",
            Self::Plain(bytes) if bytes.len() <= EMBEDDED => "embstr",
            Self::Plain(_) | Self::Raw(_) => "raw",
        }
    }

    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Int(_) => 0,
            Self::Plain(bytes) => bytes.len() + ALLOCATION,
            Self::Raw(bytes) => bytes.capacity() + ALLOCATION,
        }
    }
}
