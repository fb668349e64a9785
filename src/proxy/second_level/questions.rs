//! The questions that a purge asks of the store.

use crate::cache::{Key, purge::Purge};

/// The responses to be taken out.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// Those of one URI.
    Uri(Key),
    /// Those that match.
    Matching(Purge),
}

/// The question that an answer belongs to.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// To take one out of a purge's.
    Ignored,
    /// To take out the only one.
    Removed(u64),
    /// For names.
    Page(u64),
    /// For the beginning of the value of that name.
    Front(u64, Vec<u8>),
    /// Whether all earlier answers have come; and whether all that followed from them was done.
    Settled(u64),
    Done(u64),
    /// For the name of the last purge.
    Last,
}

impl What {
    /// Whether a response with this URI and these tags is meant.
    pub(super) fn covers(&self, uri: &str, tags: &[&[u8]]) -> bool {
        match self {
            Self::Uri(key) => key.as_str() == uri,
            Self::Matching(purge) => purge.covers(uri, tags),
        }
    }
}

/// A command.
pub(super) fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
