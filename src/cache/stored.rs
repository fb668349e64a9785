//! A stored response: its head and body, the requests that it may answer, and how long it is fresh.
//!
//! ```text
//! Stored ── head        what the backend said, without what belonged to one hop
//!        ├─ selecting   which requests may get it (vary)
//!        ├─ freshness   until when (freshness)
//!        └─ body        Bytes, shared: a hit, a freshened copy and a range of it are references to the same memory
//! ```
//!
//! An entry is never changed. A freshened response is a new entry that shares the body, so that clients that are being
//! sent the old one go on undisturbed.

use super::{Freshness, ResponseDirectives, vary::Selecting};
use crate::{
    http::{
        Fields, ResponseHead, framing,
        hop::{HopByHop, is_hop_by_hop},
        http_date,
    },
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
    let mut fields: Fields = storable_fields(&received.fields, directives).collect();
    if !fields.contains("date") {
        fields.push("Date", http_date(arrived.wall));
    }
    fields.shrink();
    received.with_fields(fields)
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
/// how long. `Content-Range` is among them only where it says something, in a part: elsewhere it has no meaning (RFC
/// 9110 §14.4), and is stored like any other field without one. `Trailer` is not: without the trailers it still tells
/// what is missing (RFC 9110 §6.6.2), and clients that read the response as it arrives get them.
fn is_written_anew(name: impl AsRef<[u8]>) -> bool {
    let name = name.as_ref();
    name.eq_ignore_ascii_case(b"age") || framing::is_framing(name)
}

/// Whether a line of that name is ever stored, whatever `Connection` has listed beside it.
pub(super) fn is_end_to_end(name: &[u8]) -> bool {
    !(is_hop_by_hop(name) || is_written_anew(name))
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
        /// How many there are in all, if a response said so.
        complete: Option<u64>,
    },
}

impl Extent {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    /// How many bytes the representation has, if known.
    #[must_use]
    pub fn complete(&self) -> Option<u64> {
        match self {
            Self::Whole(length) => Some(*length),
            Self::Part { complete, .. } => *complete,
        }
    }

    /// Which bytes of the representation are here.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        match self {
            Self::Whole(length) => 0..*length,
            Self::Part { range, .. } => range.clone(),
        }
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
}

impl Body {
    /// All of a representation.
    #[must_use]
    pub fn whole(pieces: Vec<Bytes>) -> Self {
        let length = length_of(&pieces);
        Self { pieces: pieces.into(), extent: Extent::Whole(length) }
    }

    /// The part that starts at byte `start` of a representation of `complete` bytes. `None` if that is no byte, or more
    /// than there can be. A part that is all of it is [`Extent::Whole`].
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

    /// The same bytes, without runs of small pieces: for a body that is kept.
    #[must_use]
    pub fn compacted(self) -> Self {
        let small = |pieces: &[Bytes]| pieces.iter().all(|piece| piece.len() < SMALL_PIECE);
        if !self.pieces.windows(2).any(small) {
            return self;
        }
        let mut merged: Vec<Bytes> = Vec::new();
        let mut run = Vec::new();
        // Copied once more, into just the memory that it takes.
        let end = |run: &mut Vec<u8>, merged: &mut Vec<Bytes>| {
            merged.extend((!run.is_empty()).then(|| Bytes::copy_from_slice(run)));
            run.clear();
        };
        for piece in self.pieces {
            if piece.len() >= SMALL_PIECE || run.len() >= SMALL_PIECE {
                end(&mut run, &mut merged);
            }
            if piece.len() >= SMALL_PIECE {
                merged.push(piece);
            } else {
                run.extend_from_slice(&piece);
            }
        }
        end(&mut run, &mut merged);
        Self { pieces: merged.into(), extent: self.extent }
    }

    /// The same bytes in what `change` makes of each piece, which has to have the same.
    pub(super) fn map(self, change: impl FnMut(Bytes) -> Bytes) -> Self {
        Self { pieces: self.pieces.into_iter().map(change).collect(), extent: self.extent }
    }

    /// How much is here.
    #[must_use]
    pub fn extent(&self) -> &Extent {
        &self.extent
    }

    /// How many bytes are here.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.extent.len()
    }

    /// Whether no byte is here: an empty representation, complete.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.extent.is_empty()
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.extent.is_whole()
    }

    /// How many bytes the representation has, if known.
    #[must_use]
    pub fn complete(&self) -> Option<u64> {
        self.extent.complete()
    }

    /// Which bytes of the representation are here.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.extent.range()
    }

    /// All pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The bytes `range` of the representation as references, no byte of them copied. Bytes that are not here are left
    /// out.
    pub fn slice(&self, range: Range<u64>) -> impl Iterator<Item = Bytes> {
        self.within(range).map(|(piece, part)| piece.slice(part))
    }

    /// The same for a body that is kept on without the rest: a piece of which only a part is left is copied. A reference to
    /// one byte keeps the whole piece in memory, and parts that overlap by nearly everything would keep all of it.
    pub(super) fn cut_out(&self, range: Range<u64>) -> impl Iterator<Item = Bytes> {
        self.within(range).map(|(piece, part)| {
            if part.len() == piece.len() { piece.clone() } else { Bytes::copy_from_slice(&piece[part]) }
        })
    }

    /// The pieces that have some of `range`, each with what of it that is.
    fn within(&self, range: Range<u64>) -> impl Iterator<Item = (&Bytes, Range<usize>)> {
        let mut at = self.range().start;
        self.pieces.iter().filter_map(move |piece| {
            let start = at;
            at += piece.len() as u64;
            let (from, to) = (range.start.max(start), range.end.min(at));
            // Both are within the piece, so that they fit its length's type.
            (from < to).then(|| (piece, (from - start) as usize..(to - start) as usize))
        })
    }
}

/// Neighbouring pieces smaller than this are copied into one: a peer that sends or fetches byte by byte must not leave
/// us an allocation for each.
const SMALL_PIECE: usize = 4096;

fn length_of(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{now, pieces, response, stored},
        *,
    };

    #[test]
    fn which_fields_are_kept() {
        // RFC 9111 §3.1: all, but for these.
        let received = response(
            200,
            &[
                ("Connection", "close, X-Listed"),
                ("X-Listed", "1"),
                ("X-Kept", "1"),
                ("x-kept", "2"),
                ("Set-Cookie", "a=b"),
                ("Content-Foo", "1"),
                ("Keep-Alive", "timeout=5"),
                ("Proxy-Connection", "close"),
                ("Proxy-Authenticate", "Basic"),
                ("Proxy-Authentication-Info", "x"),
                ("Proxy-Authorization", "x"),
                ("TE", "trailers"),
                ("Trailer", "X-Late"),
                ("Transfer-Encoding", "chunked"),
                ("Upgrade", "h2c"),
                ("Content-Length", "3"),
                ("Content-Range", "bytes 0-2/3"),
                ("Age", "9"),
                ("Cache-Control", "max-age=9, no-cache=\"x-one, X-Two\", private=x-three"),
                ("X-One", "1"),
                ("x-two", "1"),
                ("X-Three", "1"),
                ("Date", "Sun, 06 Nov 1994 08:00:00 GMT"),
            ],
        );
        let head = storable(&received, &ResponseDirectives::of(&received.fields), now());
        let kept: Vec<_> = head.fields.iter().map(|(name, _)| name).collect();
        let expected =
            ["X-Kept", "x-kept", "Set-Cookie", "Content-Foo", "Trailer", "Content-Range", "Cache-Control", "Date"];
        assert_eq!(kept, expected);
    }

    #[test]
    fn a_response_without_a_date_gets_the_time_of_its_arrival() {
        // RFC 9110 §6.6.1.
        let received = response(200, &[("Server", "s")]);
        let head = storable(&received, &ResponseDirectives::default(), now());
        assert_eq!(head.fields.get("date"), Some(&b"Sun, 06 Nov 1994 08:49:37 GMT"[..]));
    }

    #[test]
    fn parts_of_a_body() {
        let part = |start, content, complete| Body::part(pieces(content), start, complete);
        // Start, content, complete length; whether that can be, and whether it is all.
        for (start, content, complete, expected) in [
            (0, "abcdef", Some(6), Some(true)),
            (0, "abcdef", Some(7), Some(false)),
            (1, "abcdef", Some(7), Some(false)),
            (0, "abcdef", None, Some(false)),
            (1, "abcdef", Some(6), None),
            (0, "", Some(0), None),
            (5, "", None, None),
            (u64::MAX - 6, "abcdef", None, Some(false)),
            (u64::MAX - 5, "abcdef", None, None),
        ] {
            let body = part(start, content, complete);
            assert_eq!(body.as_ref().map(Body::is_whole), expected, "{start} {content} {complete:?}");
            if let Some(body) = body {
                assert_eq!((body.range().start, body.len(), body.complete()), (start, 6, complete));
            }
        }
    }

    #[test]
    fn slices_are_the_stored_memory() {
        let content = "abcdefghijk";
        for start in [0, 100] {
            let body = Body::part(pieces(content), start, Some(200)).unwrap();
            for from in 0..=content.len() {
                for to in from..=content.len() {
                    let slices: Vec<Bytes> = body.slice(start + from as u64..start + to as u64).collect();
                    assert_eq!(slices.concat(), content.as_bytes()[from..to], "{from}..{to}");
                    for slice in &slices {
                        assert!(!slice.is_empty());
                        let within = |piece: &Bytes| piece.as_ptr_range().contains(&slice.as_ptr());
                        assert!(body.pieces().iter().any(within), "a copy at {from}..{to}");
                    }
                }
            }
        }
        // Bytes that are not there are left out.
        let body = Body::part(pieces("abc"), 5, None).unwrap();
        assert_eq!(body.slice(0..u64::MAX).collect::<Vec<_>>().concat(), b"abc");
        assert_eq!(body.slice(0..5).count() + body.slice(8..9).count(), 0);
    }

    #[test]
    fn runs_of_small_pieces_become_few() {
        const LARGE: usize = SMALL_PIECE;
        // Sizes of pieces, before and after.
        for (before, after) in [
            (&[][..], &[][..]),
            (&[1], &[1]),
            (&[1, 1], &[2]),
            (&[LARGE, 1], &[LARGE, 1]),
            (&[1, LARGE, 1], &[1, LARGE, 1]),
            (&[1, 2, LARGE, 3, 4, LARGE, LARGE], &[3, LARGE, 7, LARGE, LARGE]),
            (&[LARGE - 1, LARGE - 1, 5], &[2 * LARGE - 2, 5]),
            (&[LARGE - 1, 1, 5, 6], &[LARGE, 11]),
        ] {
            let piece = |(at, length): (usize, &usize)| Bytes::from(vec![at as u8; *length]);
            let body = Body::whole(before.iter().enumerate().map(piece).collect());
            let compact = body.clone().compacted();
            let sizes: Vec<usize> = compact.pieces().iter().map(Bytes::len).collect();
            assert_eq!(sizes, after, "{before:?}");
            assert_eq!((compact.pieces().concat(), compact.extent()), (body.pieces().concat(), body.extent()));
        }
        // A piece that is large enough is not copied.
        let body = Body::whole(vec![Bytes::from(vec![0; LARGE]), Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
        assert_eq!(body.clone().compacted().pieces()[0].as_ptr(), body.pieces()[0].as_ptr());
    }

    #[test]
    fn an_empty_body_is_whole() {
        let body = Body::whole(Vec::new());
        assert!(body.is_whole() && body.is_empty());
        assert_eq!((body.complete(), body.range(), body.slice(0..9).count()), (Some(0), 0..0, 0));
    }

    #[test]
    fn everything_that_an_entry_owns_weighs() {
        let small = stored(&[], "");
        let large = stored(&[("X", "0123456789"), ("Vary", "Y")], "0123456789");
        assert!(small.weight() >= size_of::<Stored>() as u64);
        assert!(large.weight() >= small.weight() + 10 + 10 + 2 * size_of::<Bytes>() as u64, "{}", large.weight());
        let mut tagged = small.clone();
        tagged.tags = Box::new([b"tag"[..].into()]);
        assert_eq!(tagged.weight(), small.weight() + 3 + 16);
    }
}
