//! What is stored: a response, what it answered, and how long it is good for.
//!
//! ```text
//! Stored ── head        what the backend said, without what belonged to one hop
//!        ├─ selecting   which requests may get it (vary)
//!        ├─ freshness   until when (freshness)
//!        └─ body        Bytes, shared: a hit, a freshened copy and a range of it are references to the same memory
//! ```
//!
//! An entry is never changed. What freshens it makes a new one that shares the body, so that whoever is being sent the
//! old one goes on undisturbed.

use super::{Freshness, ResponseDirectives, vary::Selecting};
use crate::{
    http::{Fields, ResponseHead, framing, hop::HopByHop, http_date},
    time::Now,
};
use bytes::Bytes;
use std::{ops::Range, time::SystemTime};

/// A stored response.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Status line and end-to-end fields: what [`storable`] leaves.
    pub head: ResponseHead,
    /// Which requests for the URI it answers.
    pub selecting: Selecting,
    /// Until when, and what then.
    pub freshness: Freshness,
    /// Its `Date`, or when it came if that is none: which of several is the most recent (RFC 9111 §4).
    pub date: SystemTime,
    /// Content, as far as it is here.
    pub body: Body,
    /// Names under which it can be purged: `Surrogate-Key` and `Cache-Tag`.
    pub tags: Box<[Box<[u8]>]>,
}

impl Stored {
    /// How many bytes it takes: what counts against the size of the cache. A body that two entries share counts in both,
    /// for as long as both are stored.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let tags: usize = self.tags.iter().map(|tag| size_of::<Box<[u8]>>() + tag.len()).sum();
        let heap = self.head.fields.heap() + self.selecting.heap() + tags;
        let pieces = self.body.pieces.len() * size_of::<Bytes>();
        (size_of::<Self>() + heap + pieces) as u64 + self.body.len()
    }
}

/// The head to store for a response that arrived now: without the fields of one hop, those that `no-cache` and `private`
/// withhold by name, and those that are written anew each time it is used (RFC 9111 §3.1). All others are kept, known or
/// not. A response without `Date` gets one (RFC 9110 §6.6.1).
#[must_use]
pub fn storable(received: &ResponseHead, directives: &ResponseDirectives, arrived: Now) -> ResponseHead {
    let mut head = received.clone();
    head.fields = storable_fields(&received.fields, directives).collect();
    if !head.fields.contains("date") {
        head.fields.push("Date", http_date(arrived.wall));
    }
    head.fields.shrink();
    head
}

/// The lines of a response that may be stored, in order.
pub(super) fn storable_fields<'f>(
    fields: &'f Fields,
    directives: &'f ResponseDirectives,
) -> impl Iterator<Item = (&'f str, &'f [u8])> {
    let one_hop = HopByHop::of(fields);
    fields
        .iter()
        .filter(move |(name, _)| !one_hop.contains(name) && !is_written_anew(name) && !directives.withholds(name))
}

/// Fields that say something about one transfer of the content. The cache knows it better for each of its own: how old,
/// how long, which part. `Trailer` announces what is not stored.
pub(super) fn is_written_anew(name: &str) -> bool {
    match name.len() {
        3 => name.eq_ignore_ascii_case("age"),
        7 => name.eq_ignore_ascii_case("trailer"),
        13 => name.eq_ignore_ascii_case("content-range"),
        _ => framing::is_framing(name),
    }
}

/// Content, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pieces: Box<[Bytes]>,
    extent: Extent,
}

/// How much of a representation is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// All of it: so many bytes.
    Whole(u64),
    /// A part that does not wrap or have gaps.
    Part {
        /// Which bytes. Not empty.
        range: Range<u64>,
        /// How many there are in all, if anybody said so.
        complete: Option<u64>,
    },
}

impl Body {
    /// All of a representation.
    #[must_use]
    pub fn whole(pieces: Vec<Bytes>) -> Self {
        let length = length_of(&pieces);
        Self { pieces: pieces.into(), extent: Extent::Whole(length) }
    }

    /// What starts at byte `start` of a representation of `complete` bytes. `None` if that is no byte, or more than there
    /// can be. A part that is all of it is [`Extent::Whole`].
    #[must_use]
    pub fn part(pieces: Vec<Bytes>, start: u64, complete: Option<u64>) -> Option<Self> {
        let length = length_of(&pieces);
        let end = start.checked_add(length)?;
        if length == 0 || complete.is_some_and(|complete| end > complete) {
            return None;
        }
        let extent = match complete {
            Some(complete) if length == complete => Extent::Whole(complete),
            _ => Extent::Part { range: start..end, complete },
        };
        Some(Self { pieces: pieces.into(), extent })
    }

    /// How much is here.
    #[must_use]
    pub fn extent(&self) -> &Extent {
        &self.extent
    }

    /// How many bytes are here.
    #[must_use]
    pub fn len(&self) -> u64 {
        let range = self.range();
        range.end - range.start
    }

    /// Whether no byte is here: an empty representation, complete.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.extent, Extent::Whole(_))
    }

    /// How many bytes the representation has, if known.
    #[must_use]
    pub fn complete(&self) -> Option<u64> {
        match self.extent {
            Extent::Whole(length) => Some(length),
            Extent::Part { complete, .. } => complete,
        }
    }

    /// Which bytes of the representation are here.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        match &self.extent {
            Extent::Whole(length) => 0..*length,
            Extent::Part { range, .. } => range.clone(),
        }
    }

    /// All pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The bytes `range` of the representation as references, no byte of them copied. What is not here is left out.
    pub fn slice(&self, range: Range<u64>) -> impl Iterator<Item = Bytes> {
        let mut at = self.range().start;
        self.pieces.iter().filter_map(move |piece| {
            let start = at;
            at += piece.len() as u64;
            let (from, to) = (range.start.max(start), range.end.min(at));
            // Both are within the piece, so that they fit its length's type.
            (from < to).then(|| piece.slice((from - start) as usize..(to - start) as usize))
        })
    }
}

fn length_of(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}
