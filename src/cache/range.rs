//! Which part a client wants: `Range` and `If-Range` (RFC 9110 §14.1, §14.2, §13.1.5).
//!
//! ```text
//! Range: bytes=0-99, 50-149, -1        of 1000 bytes:  0..150, 999..1000
//! ```
//!
//! | the request | gets |
//! |---|---|
//! | any method but `GET` | the whole: `Range` is defined for `GET` alone (§14.2) |
//! | another unit than bytes, a broken set, several `Range` lines | the whole: the field is ignored (§14.2) |
//! | more than [`MAX_RANGES`] ranges | the whole: a broken client, or one that wants us to work (§14.2) |
//! | `If-Range` that is not exactly ours, or weak | the whole (§13.1.5) |
//! | ranges that overlap, touch, or leave a gap smaller than what a part costs | those as one, where the first of them stood (§15.3.7.2) |
//! | nothing that is there | 416 (§15.5.17) |
//! | any range of an empty representation | the whole, which is nothing (§14.2) |
//!
//! So an answer is never longer than the whole and what a few parts cost.

use super::{
    Body, Stored,
    date::{date_of, parse_date},
    validators::{EntityTag, strong_last_modified},
};
use crate::http::{Method, RequestHead};
use std::{ops::Range, time::SystemTime};

/// How many ranges one request may have. Readers of PDFs ask for a dozen or two.
pub const MAX_RANGES: usize = 32;

/// What a part costs besides its bytes, about (RFC 9110 §15.3.7.2): a smaller gap is sent along.
const PART_OVERHEAD: u64 = 80;

/// One range as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// `first-last`, or `first-` to the end.
    From(u64, Option<u64>),
    /// `-length`: the last so many.
    Last(u64),
}

/// The ranges of a request: at least one, at most [`MAX_RANGES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    specs: Specs,
}

/// One range is the rule, and costs no heap.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Specs {
    One(Spec),
    Many(Vec<Spec>),
}

/// Which bytes to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// One part: a plain 206.
    One(Range<u64>),
    /// At least two parts, with gaps between them, in the order in which they were asked for.
    Many(Vec<Range<u64>>),
    /// No byte of these exists: 416.
    Nothing,
    /// What is stored does not reach so far, or not to the end that it would have to know.
    Missing,
}

impl Ranges {
    /// The ranges that `request` wants of some representation. `None` if it gets the whole.
    #[must_use]
    pub fn of(request: &RequestHead) -> Option<Self> {
        let mut lines = request.fields.get_all("range");
        let line = lines.next()?;
        if request.method != Method::Get || lines.next().is_some() {
            return None;
        }
        let (unit, set) = line.split_at(line.iter().position(|byte| *byte == b'=')?);
        if !unit.eq_ignore_ascii_case(b"bytes") {
            return None;
        }
        let mut specs = set[1..].split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty());
        let first = Spec::parse(specs.next()?)?;
        let Some(second) = specs.next() else { return Some(Self { specs: Specs::One(first) }) };
        let mut many = vec![first, Spec::parse(second)?];
        for spec in specs {
            if many.len() == MAX_RANGES {
                return None;
            }
            many.push(Spec::parse(spec)?);
        }
        Some(Self { specs: Specs::Many(many) })
    }

    fn specs(&self) -> &[Spec] {
        match &self.specs {
            Specs::One(spec) => std::slice::from_ref(spec),
            Specs::Many(specs) => specs,
        }
    }

    /// What of `body` to send.
    #[must_use]
    pub fn select(&self, body: &Body) -> Selected {
        let mut selected: Vec<Range<u64>> = Vec::new();
        let mut one = None;
        for spec in self.specs() {
            let range = match body.complete() {
                Some(complete) => spec.resolve(complete),
                // Without knowing the end, only what names both of its own.
                None => match spec.bounded() {
                    Some(range) => Some(range),
                    None => return Selected::Missing,
                },
            };
            match (range, &self.specs) {
                (Some(range), Specs::One(_)) => one = Some(range),
                (Some(range), Specs::Many(_)) => selected.push(range),
                (None, _) => {}
            }
        }
        coalesce(&mut selected);
        let here = body.range();
        let is_here = |range: &Range<u64>| here.start <= range.start && range.end <= here.end;
        match (one, selected.len()) {
            (None, 0) => Selected::Nothing,
            (None, 1) if is_here(&selected[0]) => Selected::One(selected.swap_remove(0)),
            (None, _) if selected.iter().all(is_here) => Selected::Many(selected),
            (Some(range), _) if is_here(&range) => Selected::One(range),
            _ => Selected::Missing,
        }
    }
}

impl Spec {
    /// `None` for what is neither form, and for a last position before the first (§14.1.1).
    fn parse(text: &[u8]) -> Option<Self> {
        let dash = text.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (&text[..dash], &text[dash + 1..]);
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Self::Last(position(last)?)),
            (false, true) => Some(Self::From(position(first)?, None)),
            (false, false) => {
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// The bytes of a representation of that length; `None` if there are none of them.
    fn resolve(self, complete: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, last) => first..last.map_or(complete, |last| last.saturating_add(1).min(complete)),
            Self::Last(length) => complete.saturating_sub(length)..complete,
        };
        (range.start < range.end).then_some(range)
    }

    /// The bytes, if the range says so itself.
    fn bounded(self) -> Option<Range<u64>> {
        match self {
            Self::From(first, Some(last)) => Some(first..last.checked_add(1)?),
            Self::From(_, None) | Self::Last(_) => None,
        }
    }
}

/// `1*DIGIT`. What no 64 bits can hold is as far away as anything.
fn position(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, byte| {
        byte.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

/// Makes one of those that overlap or nearly do, in the place of the first of them.
fn coalesce(ranges: &mut Vec<Range<u64>>) {
    let mut at = 0;
    while at < ranges.len() {
        let mut range = ranges[at].clone();
        let mut grew = false;
        let mut other = at + 1;
        while other < ranges.len() {
            let next = &ranges[other];
            let apart = next.start >= range.end.saturating_add(PART_OVERHEAD)
                || range.start >= next.end.saturating_add(PART_OVERHEAD);
            if apart {
                other += 1;
            } else {
                range = range.start.min(next.start)..range.end.max(next.end);
                ranges.remove(other);
                grew = true;
            }
        }
        ranges[at] = range;
        // What has grown may now touch one that was apart from it.
        if !grew {
            at += 1;
        }
    }
}

/// Whether `If-Range` lets the request's `Range` count for this response: there is none, or it is exactly ours and strong.
#[must_use]
pub fn if_range_holds(request: &RequestHead, stored: &Stored, now: SystemTime) -> bool {
    let mut lines = request.fields.get_all("if-range");
    let Some(line) = lines.next() else { return true };
    if lines.next().is_some() {
        return false;
    }
    let fields = &stored.head.fields;
    if let Some(theirs) = EntityTag::parse(line) {
        return EntityTag::of(fields).is_some_and(|ours| ours.is_strongly(theirs));
    }
    let Some(theirs) = parse_date(line, now) else { return false };
    // Compared for equality: a later one is no less another version (RFC 9110 §13.1.5).
    date_of(fields, "last-modified", now) == Some(theirs) && strong_last_modified(fields, now).is_some()
}
