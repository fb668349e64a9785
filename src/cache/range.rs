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
//! | ranges that overlap or touch | those as one, where the first of them stood (§15.3.7.2) |
//! | nothing that is there | 416 (§15.5.17) |
//! | any range of an empty representation | the whole, which is nothing (§14.2) |
//!
//! So an answer is never longer than the whole and what a few parts cost. A gap smaller than what a part costs might be sent
//! along (§15.3.7.2); but who asks for two parts is prepared for two, and not for the bytes between them.

use super::{
    Extent, Representation,
    date::{date_of, parse_date},
    validators::EntityTag,
};
use crate::http::{Method, RequestHead};
use std::{ops::Range, time::SystemTime};

/// How many ranges one request may have. Readers of PDFs ask for a dozen or two.
pub const MAX_RANGES: usize = 32;

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
    /// The stored part does not reach that far, or not to the end that it would have to know.
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

    /// The part of what is here to send.
    #[must_use]
    pub fn select(&self, extent: &Extent) -> Selected {
        let mut selected: Vec<Range<u64>> = Vec::new();
        let mut one = None;
        for spec in self.specs() {
            let range = match extent.complete() {
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
        let here = extent.range();
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

/// `1*DIGIT`. A number beyond 64 bits becomes the largest of them.
fn position(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, byte| {
        byte.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

/// Makes one of those that overlap or touch, in the place of the first of them.
fn coalesce(ranges: &mut Vec<Range<u64>>) {
    let mut at = 0;
    while at < ranges.len() {
        let mut range = ranges[at].clone();
        let mut grew = false;
        let mut other = at + 1;
        while other < ranges.len() {
            let next = &ranges[other];
            if next.start > range.end || range.start > next.end {
                other += 1;
            } else {
                range = range.start.min(next.start)..range.end.max(next.end);
                ranges.remove(other);
                grew = true;
            }
        }
        ranges[at] = range;
        // The range that has grown may now touch one that was apart from it.
        if !grew {
            at += 1;
        }
    }
}

/// Whether `If-Range` lets the request's `Range` count for this response: there is none, or it is exactly ours and strong.
#[must_use]
pub fn if_range_holds<'a>(request: &RequestHead, stored: impl Into<Representation<'a>>, now: SystemTime) -> bool {
    let mut lines = request.fields.get_all("if-range");
    let Some(line) = lines.next() else { return true };
    if lines.next().is_some() {
        return false;
    }
    let stored = stored.into();
    let fields = &stored.head.fields;
    if let Some(theirs) = EntityTag::parse(line) {
        return EntityTag::of(fields).is_some_and(|ours| ours.is_strongly(theirs));
    }
    let Some(theirs) = parse_date(line, now) else { return false };
    // Compared for equality: a later one is no less another version (RFC 9110 §13.1.5).
    date_of(fields, "last-modified", now) == Some(theirs) && stored.is_modification_date_strong(now)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Body,
            testing::{Lines, head, now, pieces, request, stored},
        },
        *,
    };

    fn asked(value: &str) -> Option<Ranges> {
        Ranges::of(&request(&[("Range", value)]))
    }

    fn whole(length: usize) -> Body {
        Body::whole(pieces(&"x".repeat(length)))
    }

    #[test]
    fn which_range_fields_count() {
        // RFC 9110 §14.1.1, §14.2.
        for (value, counts) in [
            ("bytes=0-0", true),
            ("bytes=0-", true),
            ("bytes=-1", true),
            ("BYTES=0-1", true),
            ("bytes=0-1,2-3", true),
            ("bytes= 0-1 ,\t2-3", true),
            ("bytes=,0-1,,", true),
            ("bytes=99999999999999999999-", true),
            ("bytes=0-99999999999999999999", true),
            ("bytes=-0", true),
            ("bytes=1-0", false),
            ("bytes=0-1, 3-2", false),
            ("bytes=0-1, x", false),
            ("bytes=", false),
            ("bytes=,", false),
            ("bytes=-", false),
            ("bytes=0", false),
            ("bytes=a-b", false),
            ("bytes=+1-2", false),
            ("bytes=1-2-3", false),
            ("bytes=0 - 1", false),
            ("bytes=--1", false),
            ("bytes 0-1", false),
            ("bytes =0-1", false),
            ("lines=0-1", false),
            ("=0-1", false),
            ("", false),
        ] {
            assert_eq!(asked(value).is_some(), counts, "{value}");
        }
        assert_eq!(Ranges::of(&request(&[("Range", "bytes=0-1"), ("Range", "bytes=2-3")])), None);
        assert_eq!(Ranges::of(&request(&[])), None);
        assert_eq!(Ranges::of(&head(&[("Range", "bytes=0-1")])), None);
    }

    #[test]
    fn how_many_ranges_are_too_many() {
        let many = |count: u64| {
            let specs: Vec<_> = (0..count).map(|at| format!("{}-{}", at * 200, at * 200 + 9)).collect();
            asked(&format!("bytes={}", specs.join(",")))
        };
        let Selected::Many(ranges) = many(32).unwrap().select(whole(10_000).extent()) else { panic!("not many") };
        assert_eq!(ranges.len(), MAX_RANGES);
        assert_eq!(many(33), None);
    }

    #[test]
    fn the_selection_of_ten_bytes() {
        // RFC 9110 §14.1.2.
        let one = |range| Selected::One(range);
        for (value, expected) in [
            ("bytes=0-0", one(0..1)),
            ("bytes=0-9", one(0..10)),
            ("bytes=0-10", one(0..10)),
            ("bytes=3-99999999999999999999", one(3..10)),
            ("bytes=9-", one(9..10)),
            ("bytes=-1", one(9..10)),
            ("bytes=-10", one(0..10)),
            ("bytes=-11", one(0..10)),
            ("bytes=-99999999999999999999", one(0..10)),
            ("bytes=10-", Selected::Nothing),
            ("bytes=10-20", Selected::Nothing),
            ("bytes=-0", Selected::Nothing),
            ("bytes=99999999999999999999-", Selected::Nothing),
            ("bytes=10-, -0, 20-30", Selected::Nothing),
            ("bytes=10-, 2-3", one(2..4)),
            // Overlapping, touching.
            ("bytes=0-4, 3-6", one(0..7)),
            ("bytes=5-6, 0-4", one(0..7)),
            ("bytes=0-0, -9", one(0..10)),
        ] {
            assert_eq!(asked(value).unwrap().select(whole(10).extent()), expected, "{value}");
        }
    }

    #[test]
    fn several_parts_keep_their_order_and_never_overlap() {
        // RFC 9110 §15.3.7.2.
        for (value, expected) in [
            ("bytes=0-0, 500-500", &[0..1, 500..501][..]),
            ("bytes=500-500, 0-0", &[500..501, 0..1]),
            ("bytes=-1, 0-0", &[999..1000, 0..1]),
            // Ranges that touch become one; those with a gap of a byte do not.
            ("bytes=0-0, 1-1, 500-", &[0..2, 500..1000]),
            ("bytes=0-0, 2-2", &[0..1, 2..3]),
            ("bytes=2-2, 0-0", &[2..3, 0..1]),
            // The third brings the first two together.
            ("bytes=0-9, 400-409, 10-399, 900-", &[0..410, 900..1000]),
            ("bytes=400-409, 900-, 0-9, 10-399", &[0..410, 900..1000]),
            ("bytes=0-9, 0-9, 0-9, 900-", &[0..10, 900..1000]),
        ] {
            let Selected::Many(ranges) = asked(value).unwrap().select(whole(1000).extent()) else { panic!("{value}") };
            assert_eq!(ranges, expected, "{value}");
        }
    }

    #[test]
    fn an_answer_is_hardly_longer_than_the_whole() {
        // The amplification of CVE-2011-3192: many ranges, each nearly everything.
        let value = (0..MAX_RANGES).map(|at| format!("{at}-")).collect::<Vec<_>>().join(",");
        assert_eq!(asked(&format!("bytes={value}")).unwrap().select(whole(1000).extent()), Selected::One(0..1000));
    }

    #[test]
    fn the_selection_of_a_part() {
        // RFC 9111 §3.3: only what is wholly there. Bytes 4 to 8 are, of 10 or of an unknown number.
        let one = |range| Selected::One(range);
        for (value, of_ten, of_unknown) in [
            ("bytes=4-8", one(4..9), one(4..9)),
            ("bytes=5-6", one(5..7), one(5..7)),
            ("bytes=3-8", Selected::Missing, Selected::Missing),
            ("bytes=4-9", Selected::Missing, Selected::Missing),
            ("bytes=4-", Selected::Missing, Selected::Missing),
            ("bytes=-1", Selected::Missing, Selected::Missing),
            ("bytes=0-", Selected::Missing, Selected::Missing),
            ("bytes=4-5, 6-6", one(4..7), one(4..7)),
            ("bytes=4-4, 6-6", Selected::Many(vec![4..5, 6..7]), Selected::Many(vec![4..5, 6..7])),
            ("bytes=4-4, 9-9", Selected::Missing, Selected::Missing),
            ("bytes=4-4, 5-", Selected::Missing, Selected::Missing),
            ("bytes=10-", Selected::Nothing, Selected::Missing),
            ("bytes=10-11", Selected::Nothing, Selected::Missing),
        ] {
            for (complete, expected) in [(Some(10), of_ten), (None, of_unknown)] {
                let body = Body::part(pieces("abcde"), 4, complete).unwrap();
                assert_eq!(asked(value).unwrap().select(body.extent()), expected, "{value} of {complete:?}");
            }
        }
        let to_the_end = Body::part(pieces("abcde"), 5, Some(10)).unwrap();
        assert_eq!(asked("bytes=-5").unwrap().select(to_the_end.extent()), one(5..10));
        assert_eq!(asked("bytes=6-").unwrap().select(to_the_end.extent()), one(6..10));
        let far = Body::part(pieces("a"), u64::MAX - 1, None).unwrap();
        assert_eq!(
            asked(&format!("bytes={}-{0}", u64::MAX - 1)).unwrap().select(far.extent()),
            one(u64::MAX - 1..u64::MAX)
        );
        assert_eq!(asked(&format!("bytes={}-{0}", u64::MAX)).unwrap().select(far.extent()), Selected::Missing);
    }

    #[test]
    fn if_range_has_to_be_exactly_ours_and_strong() {
        const MODIFIED: &str = "Sun, 06 Nov 1994 08:10:00 GMT";
        const LATER: &str = "Sun, 06 Nov 1994 08:20:00 GMT";
        const TAGGED: Lines<'static> = &[("ETag", "\"a\"")];
        const WEAK: Lines<'static> = &[("ETag", "W/\"a\"")];
        const DATED: Lines<'static> = &[("Last-Modified", MODIFIED), ("Date", LATER)];
        const JUST_MADE: Lines<'static> = &[("Last-Modified", MODIFIED), ("Date", MODIFIED)];
        // RFC 9110 §13.1.5: what is stored, what the client names, whether its Range counts.
        for (fields, lines, expected) in [
            (TAGGED, &[][..], true),
            (TAGGED, &["\"a\""], true),
            (TAGGED, &["\"b\""], false),
            (TAGGED, &["W/\"a\""], false),
            (TAGGED, &["a"], false),
            (TAGGED, &["*"], false),
            (TAGGED, &[""], false),
            (TAGGED, &["\"a\", \"b\""], false),
            (TAGGED, &["\"a\"", "\"a\""], false),
            (TAGGED, &[MODIFIED], false),
            (WEAK, &["W/\"a\""], false),
            (WEAK, &["\"a\""], false),
            (&[], &["\"a\""], false),
            (DATED, &[MODIFIED], true),
            (DATED, &["Sunday, 06-Nov-94 08:10:00 GMT"], true),
            (DATED, &[LATER], false),
            (DATED, &["Sun, 06 Nov 1994 08:09:59 GMT"], false),
            (DATED, &["\"a\""], false),
            (JUST_MADE, &[MODIFIED], false),
        ] {
            let mut request = request(&[("Range", "bytes=0-1")]);
            for line in lines {
                request.fields.push("If-Range", line);
            }
            assert_eq!(if_range_holds(&request, &stored(fields, "abc"), now().wall), expected, "{fields:?} {lines:?}");
        }
    }
}
