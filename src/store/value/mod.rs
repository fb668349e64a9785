//! The values that a key can have, and how much memory each takes.
//!
//! A value knows its weight at any moment without counting: each change adds what it added. The limit of memory stands on that.

mod encodings;
mod hash;
pub(crate) mod list;
mod set;
mod text;
mod zset;

pub(crate) use encodings::Encodings;
pub(crate) use hash::Hash;
pub(crate) use list::List;
pub(crate) use set::Set;
pub(crate) use text::Text;
pub(crate) use zset::{Added, ZSet};

/// Memory of one allocation besides its bytes: its header, and half of the rounding to sixteen.
pub(crate) const ALLOCATION: usize = 16;

/// The value of a key.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(Text),
    List(Box<List>),
    Hash(Box<Hash>),
    Set(Box<Set>),
    ZSet(Box<ZSet>),
}

impl Value {
    /// As TYPE tells it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::ZSet(_) => "zset",
        }
    }

    /// As OBJECT ENCODING tells it.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::Text(text) => text.encoding(),
            Self::List(_) => "quicklist",
            Self::Hash(hash) => hash.encoding(),
            Self::Set(set) => set.encoding(),
            Self::ZSet(zset) => zset.encoding(),
        }
    }

    /// After a change: what has become large stays so.
    pub(crate) fn settle(&mut self, encodings: &Encodings) {
        match self {
            Self::Text(_) | Self::List(_) => {}
            Self::Hash(hash) => hash.settle(encodings),
            Self::Set(set) => set.settle(encodings),
            Self::ZSet(zset) => zset.settle(encodings),
        }
    }

    /// Bytes of memory, about.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.weight(),
            Self::List(list) => size_of::<List>() + ALLOCATION + list.weight(),
            Self::Hash(hash) => size_of::<Hash>() + ALLOCATION + hash.weight(),
            Self::Set(set) => size_of::<Set>() + ALLOCATION + set.weight(),
            Self::ZSet(zset) => size_of::<ZSet>() + ALLOCATION + zset.weight(),
        }
    }

    /// Elements that have to be let go of one by one.
    pub(crate) fn elements(&self) -> usize {
        match self {
            Self::Text(_) => 1,
            Self::List(list) => list.len(),
            Self::Hash(hash) => hash.len(),
            Self::Set(set) => set.len(),
            Self::ZSet(zset) => zset.len(),
        }
    }
}

/// A kind of collection: a key that holds an empty one does not exist.
pub(crate) trait Kind: Sized {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn is_empty(&self) -> bool;
    fn into_value(self) -> Value;
}

macro_rules! kinds {
    ($($kind:ident)*) => {
        $(impl Kind for $kind {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$kind(it) = value { Some(it) } else { None }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$kind(it) = value { Some(it) } else { None }
            }
            fn is_empty(&self) -> bool {
                self.len() == 0
            }
            fn into_value(self) -> Value {
                Value::$kind(Box::new(self))
            }
        })*
    };
}

kinds! { List Hash Set ZSet }
